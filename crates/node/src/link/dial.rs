//! The region's side of a link: dials the centre, runs the link, pauses, dials again.

use std::time::{Duration, Instant};

use domain::OfficeCode;
use rand::random;
use replication::{Backoff, Close, Now, Party, RefusalCode, Session};
use thiserror::Error;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tracing::{debug, info, warn};
use wire::client::{ConnectError, Target};
use wire::pb::replication::v1::replication_service_client::ReplicationServiceClient;

use crate::grpc::replication::{FRAME_BYTES, FRAMES};
use crate::link::driver::{Driver, Ended, Round, Told, describe};
use crate::link::plan::{self, PlanError};
use crate::office::SharedOffice;
use crate::project::chain;

#[derive(Debug, Error)]
enum DialError {
    #[error("read the certificates")]
    Certificates(#[from] std::io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "the centre closed the connection before the link was open; if this goes on, it does not \
         accept this node's certificate: issue it anew from the installation's authority with \
         `adal pki issue node`"
    )]
    Door,
    #[error("open the link: {}", describe(.0))]
    Open(Box<Status>),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("begin the link")]
    Session(#[from] replication::ConfigError),
    #[error("the node is stopping")]
    Stopping,
}

impl DialError {
    /// Who does not want the link, if that is what is wrong.
    fn refusal(&self) -> Option<(Party, RefusalCode)> {
        match self {
            DialError::Open(status) if status.code() == Code::PermissionDenied => {
                Some((Party::Peer, RefusalCode::NotEnrolled))
            }
            _ => None,
        }
    }
}

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let centre: OfficeCode = "KZ".parse().map_err(|_| "the centre has no code".to_owned())?;
    let set = &office.options.replication;
    let mut backoff = Backoff::new(set.backoff_min_ms * 1_000, set.backoff_max_ms * 1_000)
        .map_err(|error| error.to_string())?;
    let began = Instant::now();
    let stopping = office.supervisor.stopping();
    while !stopping.is_cancelled() {
        let connects = office.links.connects(&centre);
        let ended = once(&office, &centre).await;
        let mut good = office.links.connects(&centre) > connects;
        match ended {
            Ok(Ended::Closed(Close::ShutDown) | Ended::Stopped) => break,
            Ok(Ended::Closed(close @ (Close::NewEpoch { .. } | Close::Recalled))) => {
                info!(reason = %close, "link closed");
                good = true;
            }
            Ok(Ended::Closed(close)) => {
                warn!(reason = %close, "link closed");
                good &= !matches!(close, Close::Refused { .. });
            }
            Ok(Ended::Broken(reason)) => info!(reason, "link broken"),
            Err(DialError::Stopping) => break,
            Err(error) => {
                let (reason, now) = (chain(&error), office.clock.now());
                if office.links.failed(&centre, &reason, error.refusal(), now) {
                    warn!(reason, "dial the centre"); // once for each new reason
                }
            }
        }
        if good {
            backoff.succeeded();
        }
        let mono = micros(began.elapsed());
        let due = backoff.failed(mono, random());
        let pause = Duration::from_micros(due.saturating_sub(mono));
        tokio::select! {
            () = stopping.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

/// One link from the first packet to the last. Only making it is given up at once when the node
/// stops; a link that runs says goodbye by itself.
async fn once(office: &SharedOffice, centre: &OfficeCode) -> Result<Ended, DialError> {
    let stopping = office.supervisor.stopping();
    let (_turn, driver) = tokio::select! {
        () = stopping.cancelled() => return Err(DialError::Stopping),
        made = make(office, centre) => made?,
    };
    Ok(driver.run().await)
}

async fn make(
    office: &SharedOffice,
    centre: &OfficeCode,
) -> Result<(OwnedMutexGuard<()>, Driver), DialError> {
    let channel = target(office)?.connect().await?;
    let mut client = ReplicationServiceClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES)
        .max_encoding_message_size(FRAME_BYTES)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Zstd);
    let stop = CancellationToken::new();
    let turn = office.links.turn(centre, stop.clone()).await;
    let (outbound, frames) = mpsc::channel(FRAMES);
    let opened = client.link(ReceiverStream::new(frames)).await.map_err(refused_or_open);
    let inbound = opened?.into_inner();
    let inbound = Box::pin(inbound);
    let began = Instant::now();
    let config = plan::to_centre(office, centre).await?;
    let session = Session::new(config, Now { mono: 0, unix: office.clock.now() })?;
    let (office, peer) = (office.clone(), centre.clone());
    let (told, round) = (Told::default(), Round::default());
    Ok((turn, Driver { office, session, peer, inbound, outbound, stop, began, told, round }))
}

/// With TLS 1.3 a refused client certificate shows only after the hand-shake, as an alert or as a
/// connection that breaks, whichever this end hears of first: both get the same words.
fn refused_or_open(status: Status) -> DialError {
    let text = describe(&status);
    let broke = ["fatal alert", "broken pipe", "closed", "reset", "canceled"];
    let at_the_door = matches!(status.code(), Code::Unknown | Code::Cancelled | Code::Unavailable);
    if at_the_door && broke.iter().any(|word| text.contains(word)) {
        debug!(reason = text, "the connection broke before the link was open");
        return DialError::Door;
    }
    DialError::Open(Box::new(status))
}

fn target(office: &SharedOffice) -> Result<Target, std::io::Error> {
    let keys = &office.options.keys;
    let read = |name| std::fs::read_to_string(keys.join(name));
    let centre = office.options.centre.as_ref();
    let server_name = centre.and_then(|centre| centre.server_name.clone());
    Ok(Target {
        address: centre.map(|centre| centre.address.clone()).unwrap_or_default(),
        server_name: server_name.unwrap_or_else(|| format!("kz.{}", office.options.domain)),
        authority: read("ca.pem")?,
        certificate: read("tls.pem")?,
        key: read("tls.key")?,
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
