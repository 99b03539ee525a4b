//! The region's side of a link: dials the centre, runs the link, pauses, dials again.

use std::future::Future;
use std::time::Duration;

use domain::OfficeCode;
use replication::{Backoff, Close, Now, Party, RefusalCode, Session};
use thiserror::Error;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport;
use tonic::{Code, Status};
use tracing::{debug, info, warn};
use wire::client::{ConnectError, Target};
use wire::pb::replication::v1::Frame;
use wire::pb::replication::v1::replication_service_client::ReplicationServiceClient;

use crate::grpc::replication::{FRAME_BYTES, FRAMES};
use crate::link::driver::{Driver, Ended, Inbound, Lane, Round, Told, describe};
use crate::link::plan::{self, PlanError};
use crate::link::reach;
use crate::office::SharedOffice;
use crate::project::chain;

/// Time beyond the interval of signs of life after which a link is taken for silent, and between
/// two looks.
const SILENCE: Duration = Duration::from_secs(1);
/// Longest pause before a centre that was out of reach is asked for again.
const SHORT_PAUSE: Duration = Duration::from_millis(400);
/// Least time in which something must come over a silent link once the centre is known to answer:
/// more than any answer takes on a line where it answered at once.
const GRACE: Duration = Duration::from_millis(200);
/// As [`GRACE`], on a slow line.
const LONGEST_GRACE: Duration = Duration::from_secs(30);

/// Why there is no link.
#[derive(Debug, Error)]
pub enum DialError {
    /// A file of the certificates cannot be read.
    #[error("read the certificates")]
    Certificates(#[from] std::io::Error),
    /// The centre is not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It ended the connection instead of opening the link.
    #[error(
        "the centre closed the connection before the link was open; if this goes on, it does not \
         accept this node's certificate: issue it anew from the installation's authority with \
         `adal pki issue node`"
    )]
    Door,
    /// It refused to open the link, or the connection broke.
    #[error("open the link: {}", describe(.0))]
    Open(Box<Status>),
    /// The link cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan is none that the protocol takes.
    #[error("begin the link")]
    Session(#[from] replication::ConfigError),
    /// The node is about to stop.
    #[error("the node is stopping")]
    Stopping,
}

/// How frames get to the centre and back.
pub trait Way: Send + Sync + 'static {
    /// A connection on which no link is open yet.
    type Line: Send;

    /// Connects to the centre.
    fn reach(
        &self,
        office: &SharedOffice,
    ) -> impl Future<Output = Result<Self::Line, DialError>> + Send;

    /// Ends when the centre answers on a connection that was made after this was asked, and says
    /// how long that answer took; asks as often as it takes. It costs next to nothing: no
    /// certificate is shown. A way that cannot tell never ends.
    fn answers(&self, _office: &SharedOffice) -> impl Future<Output = Duration> + Send {
        std::future::pending()
    }

    /// Opens the link: what comes from `frames` goes to the centre.
    fn open(
        &self,
        line: Self::Line,
        frames: mpsc::Receiver<Frame>,
    ) -> impl Future<Output = Result<Inbound, DialError>> + Send;
}

/// The way of every node: gRPC over TLS with both sides' certificates.
#[derive(Clone, Copy, Debug)]
pub struct Channel;

impl Way for Channel {
    type Line = transport::Channel;

    async fn reach(&self, office: &SharedOffice) -> Result<transport::Channel, DialError> {
        let target = target(office)?;
        let mut connecting = std::pin::pin!(target.connect());
        tokio::select! {
            biased;
            made = &mut connecting => return Ok(made?),
            () = answered_elsewhere(office, self) => {}
        }
        // Its first packet was lost and is repeated after ever longer pauses.
        connecting.set(target.connect());
        Ok(connecting.await?)
    }

    async fn answers(&self, office: &SharedOffice) -> Duration {
        let centre = office.options.centre.as_ref();
        let address = centre.map(|centre| centre.address.clone()).unwrap_or_default();
        reach::answered(&address).await
    }

    async fn open(
        &self,
        line: transport::Channel,
        frames: mpsc::Receiver<Frame>,
    ) -> Result<Inbound, DialError> {
        let mut client = ReplicationServiceClient::new(line)
            .max_decoding_message_size(FRAME_BYTES)
            .max_encoding_message_size(FRAME_BYTES)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let opened = client.link(ReceiverStream::new(frames)).await;
        Ok(Box::pin(opened.map_err(refused_or_open)?.into_inner()))
    }
}

impl DialError {
    /// Whether the centre cannot be reached at all.
    fn is_out_of_reach(&self) -> bool {
        matches!(self, DialError::Connect(_))
    }

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
pub async fn run(office: SharedOffice, way: impl Way) -> Result<(), String> {
    let centre: OfficeCode = "KZ".parse().map_err(|_| "the centre has no code".to_owned())?;
    let set = &office.options.replication;
    let mut backoff = Backoff::new(set.backoff_min_ms * 1_000, set.backoff_max_ms * 1_000)
        .map_err(|error| error.to_string())?;
    let began = Instant::now();
    let stopping = office.supervisor.stopping();
    while !stopping.is_cancelled() {
        let connects = office.links.connects(&centre);
        let ended = once(&office, &way, &centre).await;
        let mut good = office.links.connects(&centre) > connects;
        let mut away = false;
        match ended {
            Ok(Ended::Closed(Close::ShutDown) | Ended::Stopped) => break,
            Ok(Ended::Closed(
                close @ (Close::NewEpoch { .. } | Close::Recalled | Close::OtherKeys),
            )) => {
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
                away = error.is_out_of_reach();
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
        let due = backoff.failed(mono, office.random.number());
        let pause = Duration::from_micros(due.saturating_sub(mono));
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            () = there_again(&office, &way, pause), if away => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

/// One link from the first packet to the last. Only making it is given up at once when the node
/// stops; a link that runs says goodbye by itself.
async fn once(
    office: &SharedOffice,
    way: &impl Way,
    centre: &OfficeCode,
) -> Result<Ended, DialError> {
    let stopping = office.supervisor.stopping();
    let (_turn, driver) = tokio::select! {
        biased;
        () = stopping.cancelled() => return Err(DialError::Stopping),
        made = make(office, way, centre) => made?,
    };
    let stop = driver.stop.clone();
    let mut running = std::pin::pin!(driver.run());
    tokio::select! {
        biased;
        ended = &mut running => return Ok(ended),
        () = stale(office, way, centre) => stop.cancel(),
    }
    Ok(match running.await {
        Ended::Stopped if !stopping.is_cancelled() => {
            let why = "it was silent while the centre answers on a new connection";
            Ended::Broken(why.to_owned())
        }
        ended => ended,
    })
}

/// Ends when the centre, which was out of reach, can be reached again. Whatever answers for it may
/// only be what stands before it, so a short pause is made in any case.
async fn there_again(office: &SharedOffice, way: &impl Way, pause: Duration) {
    tokio::time::sleep(pause.min(SHORT_PAUSE)).await;
    way.answers(office).await;
}

/// Ends when the centre has answered on a new connection, and what was begun before has had a fair
/// time since.
async fn answered_elsewhere(office: &SharedOffice, way: &impl Way) {
    tokio::time::sleep(SILENCE).await;
    let took = way.answers(office).await;
    tokio::time::sleep((took * 4).clamp(GRACE, LONGEST_GRACE)).await;
}

/// Ends when the link is silent although the centre can be reached: the path was away, and the
/// connection, which waits longer and longer between two attempts to go on, need not be waited for.
async fn stale(office: &SharedOffice, way: &impl Way, centre: &OfficeCode) {
    let patience = Duration::from_millis(office.options.replication.heartbeat_ms) + SILENCE;
    loop {
        let heard = office.links.heard(centre);
        if heard.is_none_or(|at| at.elapsed() < patience) {
            tokio::time::sleep(SILENCE).await;
            continue;
        }
        answered_elsewhere(office, way).await;
        if office.links.heard(centre) == heard {
            return;
        }
    }
}

async fn make(
    office: &SharedOffice,
    way: &impl Way,
    centre: &OfficeCode,
) -> Result<(OwnedMutexGuard<()>, Driver), DialError> {
    let line = way.reach(office).await?;
    let stop = CancellationToken::new();
    let turn = office.links.turn(centre, stop.clone()).await;
    let (outbound, frames) = mpsc::channel(FRAMES);
    let inbound = way.open(line, frames).await?;
    let began = Instant::now();
    let keys = office.country.known().new_keys(centre);
    let config = plan::to_centre(office, centre).await?;
    let session = Session::new(config, Now { mono: 0, unix: office.clock.now() })?;
    let (office, peer) = (office.clone(), centre.clone());
    let (told, round, lane) = (Told::default(), Round::default(), Lane::default());
    let driver =
        Driver { office, session, peer, inbound, outbound, stop, keys, began, told, round, lane };
    Ok((turn, driver))
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
