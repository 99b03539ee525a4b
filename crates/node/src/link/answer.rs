//! The centre's side of a link.

use domain::OfficeCode;
use replication::{Close, Now, Party, RefusalCode, Session};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{info, warn};
use wire::pb::replication::v1::Frame;

use crate::link::driver::{Driver, Ended, Inbound, Lane, Round, Told};
use crate::link::plan::{self, PlanError};
use crate::office::{Office, SharedOffice};
use crate::project::chain;

/// Whether an office may link at all.
pub fn admit(office: &Office, peer: &OfficeCode) -> Result<(), Status> {
    if peer.is_centre() {
        return Err(Status::permission_denied("the centre does not link to itself"));
    }
    if office.country.known().offices.contains_key(peer) {
        return Ok(());
    }
    let reason = PlanError::NotEnrolled(peer.clone()).to_string();
    warn!(%peer, reason, "link refused");
    Err(Status::permission_denied(reason))
}

/// Runs the link of one office; a link that it had before ends first.
pub async fn run(
    office: SharedOffice,
    peer: OfficeCode,
    inbound: Inbound,
    outbound: mpsc::Sender<Frame>,
) {
    let stop = CancellationToken::new();
    let _turn = office.links.turn(&peer, stop.clone()).await;
    if stop.is_cancelled() {
        return; // a still newer link waits for its turn
    }
    let began = Instant::now();
    let keys = office.country.known().new_keys(&peer);
    let session = match begin(&office, &peer).await {
        Ok(session) => session,
        Err(error) => {
            let reason = chain(&error);
            let refused = matches!(error, BeginError::Plan(PlanError::NotEnrolled(_)))
                .then_some((Party::Us, RefusalCode::NotEnrolled));
            if office.links.failed(&peer, &reason, refused, office.clock.now()) {
                warn!(%peer, reason, "begin the link"); // once for each new reason
            }
            return;
        }
    };
    let (told, round, from) = (Told::default(), Round::default(), peer.clone());
    let driver = Driver {
        office,
        session,
        peer: from,
        inbound,
        outbound,
        stop,
        keys,
        began,
        told,
        round,
        lane: Lane::default(),
    };
    match driver.run().await {
        Ended::Closed(Close::ShutDown) | Ended::Stopped => {}
        Ended::Closed(close @ (Close::NewEpoch { .. } | Close::Recalled | Close::OtherKeys)) => {
            info!(%peer, reason = %close, "link closed")
        }
        Ended::Closed(close) => warn!(%peer, reason = %close, "link closed"),
        Ended::Broken(reason) => info!(%peer, reason, "link broken"),
    }
}

#[derive(Debug, Error)]
enum BeginError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("begin the link")]
    Session(#[from] replication::ConfigError),
}

async fn begin(office: &Office, peer: &OfficeCode) -> Result<Session, BeginError> {
    let config = plan::to_region(office, peer).await?;
    Ok(Session::new(config, Now { mono: 0, unix: office.clock.now() })?)
}
