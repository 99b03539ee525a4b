//! Links to other offices: a region dials the centre, the centre answers; the rest is the same.
//!
//! - [`plan`]: which logs go over a link, in which direction, and what is held of them.
//! - [`driver`]: runs one `replication::Session` over one stream of frames.
//! - [`dial`]: the region's side: dial, run, pause, dial again.
//! - [`reach`]: whether the centre can be reached at all.
//! - [`successor`]: whether a new epoch of a mirrored log is taken up.
//! - [`answer`]: the centre's side: who may connect, one link per office.
//! - [`state`], [`silence`], [`peer_clock`]: how a link stands, in words.
//! - [`refusals`]: links that were refused as a whole, kept.

pub mod answer;
pub mod dial;
pub mod driver;
pub mod peer_clock;
pub mod plan;
mod reach;
pub mod recall;
pub mod refusals;
pub mod silence;
pub mod state;
pub mod store;
pub mod successor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::OfficeCode;
use evidence::log::LogName;
use replication::{Close, Greeted, LinkState, LogState, LogStatus, Party, RefusalCode, Status};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::link::driver::Ended;
use crate::office::{Office, downlink, own_log};

/// What is known of the link to one office.
#[derive(Clone, Debug, Default)]
pub struct LinkInfo {
    /// The last status; `None` before the first link.
    pub status: Option<Status>,
    /// Time since the running session last renewed the status; `None` before the first link.
    pub unrenewed: Option<Duration>,
    /// Links established since this process started.
    pub connects: u64,
    /// The last reason for which a link ended or could not be made; empty if none.
    pub last_error: String,
    /// Since when the present state holds, microseconds since 1970.
    pub since: Option<i64>,
    /// A refusal that stands until the next link succeeds.
    pub refused: Option<(Party, RefusalCode)>,
    /// What the peer said of itself in its last hello that was accepted.
    pub said: Option<Greeted>,
    /// When a second machine last came under the peer's code, microseconds since 1970. It stands
    /// until a process links that was not seen before: the real node, started anew.
    pub duplicate: Option<i64>,
}

/// The logs shared with a peer, and whether this office writes them.
pub fn shared_logs(office: &Office, peer: &OfficeCode) -> Vec<(LogName, bool)> {
    let region = if office.code.is_centre() { peer } else { &office.code };
    let centre = office.code.is_centre();
    let names = [own_log(region), Ok(office.logs.all.clone()), downlink(region)];
    let owned = [!centre, centre, centre];
    names.into_iter().zip(owned).filter_map(|(log, own)| Some((log.ok()?, own))).collect()
}

#[derive(Debug, Default)]
struct Peer {
    info: LinkInfo,
    /// When the status was last renewed.
    renewed: Option<Instant>,
    /// The wall clock's time at which the running session last heard the peer, and when that was
    /// noticed.
    heard: Option<(i64, Instant)>,
    /// Ends the link that runs now.
    present: Option<CancellationToken>,
    /// Process at the other end of the newest link.
    instance: Option<[u8; 16]>,
    /// Processes that a later one replaced. One that comes back is a second machine.
    replaced: BTreeSet<[u8; 16]>,
    /// Held while a link runs, so that two never write the same mirror.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The links of this node, by peer.
#[derive(Debug)]
pub struct Links {
    peers: Mutex<BTreeMap<OfficeCode, Peer>>,
    began: Mutex<Instant>,
}

impl Default for Links {
    fn default() -> Links {
        Links { peers: Mutex::default(), began: Mutex::new(Instant::now()) }
    }
}

impl Links {
    /// No link yet.
    pub fn new() -> Links {
        Links::default()
    }

    /// What is known of every peer that was ever seen by this process.
    pub fn all(&self) -> BTreeMap<OfficeCode, LinkInfo> {
        let info = |peer: &Peer| LinkInfo {
            unrenewed: peer.renewed.map(|at| at.elapsed()),
            ..peer.info.clone()
        };
        self.lock().iter().map(|(code, peer)| (code.clone(), info(peer))).collect()
    }

    /// Time since this process began to listen for other offices.
    pub fn up(&self) -> Duration {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// As if the process had begun so long ago.
    #[cfg(test)]
    pub(crate) fn started_before(&self, ago: Duration) {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        *began = began.checked_sub(ago).unwrap_or(*began);
    }

    /// What a peer said of itself in its last hello.
    pub fn said(&self, office: &OfficeCode) -> Option<Greeted> {
        self.with(office, |peer| peer.info.said.clone())
    }

    /// Links to `office` established since this process started.
    fn connects(&self, office: &OfficeCode) -> u64 {
        self.with(office, |peer| peer.info.connects)
    }

    /// When the peer of the running link was last heard; `None` before the first time.
    fn heard(&self, office: &OfficeCode) -> Option<Instant> {
        self.with(office, |peer| peer.heard.map(|(_, at)| at))
    }

    /// Asks a present link to `office` to end, waits until it has, and takes its place; `stop`
    /// will end the new one.
    async fn turn(&self, office: &OfficeCode, stop: CancellationToken) -> OwnedMutexGuard<()> {
        let turn = self.with(office, |peer| {
            if let Some(present) = peer.present.replace(stop) {
                present.cancel();
            }
            peer.heard = None;
            peer.turn.clone()
        });
        turn.lock_owned().await
    }

    /// Asks a present link to `office` to end; the office that dials makes a new one.
    pub fn end(&self, office: &OfficeCode) {
        self.with(office, |peer| {
            if let Some(present) = peer.present.take() {
                present.cancel();
            }
        });
    }

    /// The peer said hello. An error says that two machines claim to be this office: a process
    /// that was replaced by another one has come back.
    fn greeted(&self, office: &OfficeCode, greeted: &Greeted, now: i64) -> Result<(), String> {
        let instance = greeted.instance;
        self.with(office, |peer| {
            peer.info.said = Some(greeted.clone());
            if peer.replaced.contains(&instance) {
                peer.info.duplicate = Some(now);
                return Err(format!(
                    "two machines run as {office}: one of them holds a copy of the other's keys \
                     and data; stop the copy, and restart the real node"
                ));
            }
            if let Some(before) = peer.instance.replace(instance).filter(|b| *b != instance) {
                peer.replaced.insert(before);
                peer.info.duplicate = None;
            }
            peer.info.connects += 1;
            peer.info.last_error.clear();
            peer.info.refused = None;
            peer.info.since = Some(now);
            Ok(())
        })
    }

    /// The running session's status. What only the session before knew is kept: when the peer was
    /// last heard, how recent its heads are, what it holds.
    fn publish(&self, office: &OfficeCode, mut status: Status, now: i64) {
        self.with(office, |peer| {
            if let Some(at) = status.heard_at
                && peer.heard.is_none_or(|(known, _)| known != at)
            {
                peer.heard = Some((at, Instant::now()));
            }
            let before = peer.info.status.as_ref();
            if before.map(|before| before.link.as_str()) != Some(status.link.as_str()) {
                peer.info.since = Some(now);
            }
            if let Some(before) = before {
                carry_over(before, &mut status);
            }
            peer.info.status = Some(status);
            peer.renewed = Some(Instant::now());
        });
    }

    /// The link has ended.
    fn ended(&self, office: &OfficeCode, ended: &Ended, now: i64) {
        let (reason, refused) = match ended {
            Ended::Closed(close) => (close.to_string(), refusal(close)),
            Ended::Broken(reason) => (reason.clone(), None),
            Ended::Stopped => return self.with(office, |peer| peer.close(now, Close::ShutDown)),
        };
        self.with(office, |peer| {
            peer.close(now, &reason);
            peer.info.last_error = reason;
            peer.info.since = Some(now);
            peer.info.refused = refused;
        });
    }

    /// The link could not be made; true if the reason is a new one. `refused`: the peer does not
    /// want it, or we do not.
    fn failed(
        &self,
        office: &OfficeCode,
        reason: &str,
        refused: Option<(Party, RefusalCode)>,
        now: i64,
    ) -> bool {
        self.with(office, |peer| {
            peer.close(now, reason);
            peer.info.refused = refused.or(peer.info.refused);
            let new = peer.info.last_error != reason;
            if new {
                peer.info.last_error = reason.to_owned();
                peer.info.since.get_or_insert(now);
            }
            new
        })
    }

    fn with<T>(&self, office: &OfficeCode, act: impl FnOnce(&mut Peer) -> T) -> T {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        act(peers.entry(office.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OfficeCode, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Nothing runs any more: whatever the last status said, it is over.
    fn close(&mut self, now: i64, why: impl ToString) {
        let Some(status) = self.info.status.take() else { return };
        self.info.status = Some(match &status.link {
            LinkState::Closed { .. } => status,
            _ => {
                self.info.since = Some(now);
                status.closed(now, why.to_string())
            }
        });
    }
}

/// Takes from the status of the session before what the new one has not learnt yet.
fn carry_over(before: &Status, status: &mut Status) {
    status.heard_at = status.heard_at.max(before.heard_at);
    status.clock = status.clock.or(before.clock);
    let same =
        |a: &LogStatus, b: &LogStatus| (&a.log, a.epoch, a.role) == (&b.log, b.epoch, b.role);
    for log in &mut status.logs {
        let Some(old) = before.logs.iter().find(|old| same(old, log)) else { continue };
        if log.head_size == old.head_size || log.head_size.is_none() {
            log.head_size = old.head_size;
            log.head_at = log.head_at.max(old.head_at);
        }
        if log.state == LogState::Waiting && log.held == 0 {
            log.held = old.held;
        }
    }
}

fn refusal(close: &Close) -> Option<(Party, RefusalCode)> {
    match close {
        Close::Refused { by, code, .. } => Some((*by, *code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office() -> OfficeCode {
        "KZ-75".parse().unwrap()
    }

    fn status(link: LinkState) -> Status {
        Status {
            peer: "KZ-75".to_owned(),
            peer_software: None,
            link,
            heard_at: Some(1),
            round_trip: None,
            clock: None,
            logs: Vec::new(),
        }
    }

    #[test]
    fn a_restart_is_let_in_and_a_second_machine_is_not() {
        let links = Links::new();
        let greet = |instance| {
            let (office, software, holdings) = ("KZ-75".to_owned(), String::new(), Vec::new());
            let greeted = Greeted { office, instance, software, holdings };
            links.greeted(&super::tests::office(), &greeted, 7)
        };
        let duplicate = || links.all()[&office()].duplicate;
        assert_eq!(greet([1; 16]), Ok(()));
        assert_eq!(greet([1; 16]), Ok(()), "the same process, a new link");
        assert_eq!((greet([2; 16]), duplicate()), (Ok(()), None), "a restart");
        let refused = greet([1; 16]).unwrap_err();
        assert!(refused.contains("two machines run as KZ-75"), "{refused}");
        assert_eq!((greet([2; 16]), duplicate()), (Ok(()), Some(7)), "the second machine is there");
        assert_eq!(links.connects(&office()), 4);
        assert_eq!((greet([3; 16]), duplicate()), (Ok(()), None), "the real one started anew");
    }

    #[test]
    fn a_link_that_ended_is_not_live() {
        let links = Links::new();
        links.publish(&office(), status(LinkState::Live), 5);
        links.ended(&office(), &Ended::Broken("reset".to_owned()), 9);
        let info = &links.all()[&office()];
        assert!(matches!(info.status.as_ref().unwrap().link, LinkState::Closed { at: 9, .. }));
        assert_eq!((info.last_error.as_str(), info.since), ("reset", Some(9)));
        assert!(links.failed(&office(), "no route", None, 10), "a new reason is told");
        assert!(!links.failed(&office(), "no route", None, 11), "and told once");
    }

    #[test]
    fn a_replaced_link_and_a_plan_that_fails_leave_nothing_live() {
        let links = Links::new();
        let is_closed = |links: &Links| {
            let info = links.all().remove(&office()).unwrap();
            matches!(info.status.unwrap().link, LinkState::Closed { .. })
        };
        links.publish(&office(), status(LinkState::Live), 5);
        links.ended(&office(), &Ended::Stopped, 9);
        assert!(is_closed(&links));
        assert_eq!(links.all()[&office()].last_error, "", "being replaced is no error");
        links.publish(&office(), status(LinkState::Live), 10);
        links.failed(&office(), "no key", Some((Party::Us, RefusalCode::NotEnrolled)), 11);
        assert!(is_closed(&links));
        let info = links.all().remove(&office()).unwrap();
        assert_eq!(info.refused, Some((Party::Us, RefusalCode::NotEnrolled)));
        assert_eq!((info.last_error.as_str(), info.since), ("no key", Some(11)));
    }

    #[test]
    fn a_new_session_keeps_what_the_one_before_knew() {
        let log = |head_at, held, state| LogStatus {
            log: "kz-75".parse().unwrap(),
            epoch: 1,
            role: replication::Role::Origin,
            size: 9,
            head_size: Some(9),
            head_at,
            held,
            witnessed: None,
            lag: None,
            state,
        };
        let links = Links::new();
        let logs = vec![log(Some(40), 9, LogState::Live)];
        links.publish(&office(), Status { logs, ..status(LinkState::Live) }, 50);
        let logs = vec![log(None, 0, LogState::Waiting)];
        let new = Status { heard_at: None, logs, ..status(LinkState::Connecting) };
        links.publish(&office(), new, 60);
        let info = links.all().remove(&office()).unwrap();
        let status = info.status.unwrap();
        assert_eq!((status.link, status.heard_at), (LinkState::Connecting, Some(1)));
        assert_eq!((status.logs[0].head_at, status.logs[0].held), (Some(40), 9));
        assert_eq!(info.since, Some(60));
        assert!(info.unrenewed.is_some());
    }

    #[tokio::test]
    async fn the_newer_link_ends_the_older_and_waits_for_it() {
        let links = Arc::new(Links::new());
        let first = CancellationToken::new();
        let held = links.turn(&office(), first.clone()).await;
        let (other, second) = (links.clone(), CancellationToken::new());
        let taking = async move { other.turn(&office(), second).await };
        tokio::pin!(taking);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), &mut taking);
        assert!(waits.await.is_err(), "two links must not run at once");
        assert!(first.is_cancelled());
        drop(held);
        taking.await;
    }
}
