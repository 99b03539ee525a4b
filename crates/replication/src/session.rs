//! One link between two offices: hello, the logs of both directions, liveness, fairness.
//!
//! # How to drive it
//! A driver owns one `Session` per link and does nothing of its own judgement:
//!
//! ```text
//! session = Session::new(config, now)?            // queues our hello
//! loop {
//!     while let Some(action) = session.poll() {   // drain before waiting
//!         Send(m)                 → write to the link, in order
//!         ReadRoot, SignHead, ReadEntries, PersistHead, CommitBatch
//!                                 → do it, then give the ticket back with the answer:
//!                                   root_read, head_signed, entries_read, head_persisted, stored
//!         NewEpoch                → answer with epoch_opened before anything else
//!         Greeted, StoreCosignature, Fault        → note it
//!         Close(why)              → flush, close, drop the session
//!     }
//!     wait for the first of:  a message      → session.handle(now, message)
//!                             own log grew   → session.local_grew(now, ..)
//!                             an answer      → see above
//!                             next_wakeup()  → session.tick(now)
//!                             link broke     → drop the session
//! }
//! ```
//! Handlers only queue; the driver only drains. `PersistHead` and `CommitBatch` of one log are
//! executed in the order queued. Requests may be answered at once or from another thread, in any
//! order among different logs. Two sessions must not mirror the same log at the same time: drop
//! the old one, and wait for its requests to end, before making the new one. If an answer cannot
//! be given, drop the session: everything starts again from what is durable.
//!
//! # Order of the protocol
//! Both directions are the same and run at the same time; the link keeps the order of messages.
//! ```text
//! either side   Hello{holdings}                 at once, once
//! per log       (origin compares the follower's head and position with its own tree)
//! origin        Head{note, old_size, proof}     first, then on growth or as heartbeat
//! follower      (persists it) HeadAccepted{witness cosignature}
//! origin        Entries{records, proof}         below the head, within the window
//! follower      (commits them) Held{size, root, mirror cosignature at the head}
//! either side   Ping / Pong, Refused
//! either side   Witness{note, proof} → Witnessed{cosignature}; Cosigned: see below
//! ```
//! One head per log is unanswered at a time; a batch always leads to the head sent last. `Held`
//! that repeats the known position without a cosignature means: go on from there. A refused log
//! is silent until the next link, except after `disk_full` and `index_building`, which a `Held`
//! ends.
//!
//! # Further witnesses
//! A head of a log that neither side need write goes to an office that co-signs it as a further
//! witness, and the line that it gives is passed on to whoever knows that head. Both are said only
//! to a peer whose hello has the feature [`WITNESS`](crate::message::WITNESS).
//!
//! # Records that come back
//! An office that lost records of its own log says in its hello that it is a follower of it. The
//! other side then gives back what it mirrored:
//! ```text
//! mirror        Return{note, size, rest, proof}  the newest head it accepted, and what it holds
//! writer        (persists the head) Held{size}   go on from there
//! mirror        Entries{records, proof}          up to what it holds, within the window
//! writer        (commits them) Held{size}
//! ```
//! Nothing is co-signed. What the head covers and the mirror does not hold is lost, and known.
//!
//! # Keys
//! Who holds records asks for wraps of the keys that seal them: `KeysWanted{ids}` → `Keys{wraps}`,
//! on a lane of its own, to a peer whose hello has the feature [`KEYS`].
//!
//! # Attachments
//! Sealed files that records name follow them, one after the other, asked for by the side that
//! holds the record: the mirror, or the writer that takes its log back. See
//! [`AttachmentMessage`](crate::message::AttachmentMessage). A head is co-signed as a mirror's once
//! the attachments below it are durable too.
//!
//! # Epochs
//! Each epoch of a log is mirrored on its own. An epoch that its writer has succeeded by a later
//! one is *closed*: it never grows, and after a restore its writer may hold less of it than was
//! mirrored before. That is no rollback: nothing goes out of an epoch of which the mirror holds at
//! least as much, or of which more was co-signed than its writer kept. What is left of it goes out
//! before records of its successor. A new epoch is taken up from the hello: the driver sees whose
//! key it has, the mirror opens it and ends the link, and the next one speaks of it. One that is
//! refused leaves all other logs as they are. When this office opens an epoch itself, the session
//! ends with the same words.

mod attachments;
mod hello;
mod incoming;
mod keys;
mod logs;
mod recall;
mod returns;
mod witness;

use std::sync::Arc;

use evidence::log::LogName;
use evidence::note::{Signer, Verifier};
use thiserror::Error;

use crate::action::{Action, Close, Greeted, Party};
use crate::attachments::Lane;
use crate::follower::{Cosigners, Follower, MirroredLog};
use crate::giving::{GivenLog, Giving};
use crate::keys::KeyLane;
use crate::limits::{LimitError, Limits};
use crate::message::{
    ATTACHMENTS, EARLIER_LINES, Hello, KEYS, MEMORY, Message, PROTOCOL, RETURN, RefusalCode,
    Refused, WITNESS, WitnessedHead,
};
use crate::now::Now;
use crate::origin::{Origin, OwnLog, PeerKeys};
use crate::queue::{Queue, Violation};
use crate::recovery::{Recover, Recovery};
use crate::relay::Relay;
use crate::status::{LinkState, LogState, LogStatus, Status};
use crate::witness::Witnessing;
use hello::{Greeting, check_config, newest_epochs};
use recall::Recalling;
use returns::recoveries;

/// Everything a session needs to know when the link opens.
#[derive(Clone)]
pub struct SessionConfig {
    /// Domain of the installation, the first part of every origin.
    pub domain: String,
    /// Our office code.
    pub office: String,
    /// The office code in the peer's certificate.
    pub peer: String,
    /// Random bytes chosen when this process started.
    pub instance: [u8; 16],
    /// Name and version of this software.
    pub software: String,
    /// Our witness key.
    pub witness: Arc<Signer>,
    /// Our mirror key.
    pub mirror: Arc<Signer>,
    /// The peer's witness key; without it its witness cosignatures are ignored.
    pub peer_witness: Option<Verifier>,
    /// The peer's mirror key; without it its mirror cosignatures are ignored.
    pub peer_mirror: Option<Verifier>,
    /// Logs we write and the peer may mirror.
    pub own: Vec<OwnLog>,
    /// Logs the peer writes and we mirror.
    pub mirrored: Vec<MirroredLog>,
    /// The newest head of each log that we co-signed as a further witness.
    pub witnessed: Vec<WitnessedHead>,
    /// The newest head of each log and epoch that carries a line of the peer, with it.
    pub shown: Vec<WitnessedHead>,
    /// Our journal was restored since this peer last showed us what we had co-signed.
    pub forgotten: bool,
    /// Epochs of the peer's logs that we could give back to it.
    pub given: Vec<GivenLog>,
    /// The own log that we take back from the peer; none of its epochs is in `own`.
    pub recover: Option<Recover>,
    /// Limits.
    pub limits: Limits,
}

/// A configuration no session can run on.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A limit is out of bounds.
    #[error("limits")]
    Limits(#[from] LimitError),
    /// A log and epoch is listed twice.
    #[error("log {log} epoch {epoch} is listed twice")]
    Twice {
        /// The log.
        log: LogName,
        /// Its epoch.
        epoch: u32,
    },
    /// A key of the wrong kind.
    #[error("the {which} key is not a cosigner key")]
    Key {
        /// Which one.
        which: &'static str,
    },
}

/// One link. See the module's text.
pub struct Session {
    office: String,
    peer: String,
    instance: [u8; 16],
    limits: Arc<Limits>,
    origins: Vec<Origin>,
    followers: Vec<Follower>,
    /// What the peer might ask back.
    given: Vec<GivenLog>,
    /// What it did ask back.
    givings: Vec<Giving>,
    /// The own log that is taken back.
    recover: Option<LogName>,
    recoveries: Vec<Recovery>,
    relay: Relay,
    witnessing: Witnessing,
    keys: KeyLane,
    lane: Lane,
    queue: Queue,
    greeted: Option<Greeted>,
    /// The peer's hello, while the driver looks at a new epoch in it.
    greeting: Option<Greeting>,
    /// What we co-signed may not be remembered here.
    forgotten: bool,
    /// The peer's hello, while the driver looks at what it shows of our cosignatures.
    recalling: Option<Recalling>,
    /// New epochs that were not taken up, as an operator sees them.
    not_taken: Vec<LogStatus>,
    started: u64,
    heard: u64,
    heard_unix: Option<i64>,
    pings_missed: u32,
    ping: Option<(u64, u64)>,
    round_trip: Option<u64>,
    /// Origin that reads next.
    turn: usize,
    closed: Option<(Close, i64)>,
}

/// The newest head of an own log that carries a line of the peer.
fn shown_of(shown: &[WitnessedHead], own: &OwnLog) -> Option<String> {
    let shown = shown.iter().find(|shown| (&shown.log, shown.epoch) == (&own.log, own.epoch));
    shown.map(|shown| shown.note.clone())
}

impl Session {
    /// Makes a session on a link that has just opened, and queues our hello.
    ///
    /// # Errors
    /// Limits out of bounds, a log listed twice, a key that cannot co-sign.
    pub fn new(config: SessionConfig, now: Now) -> Result<Session, ConfigError> {
        config.limits.validate()?;
        check_config(&config)?;
        let limits = Arc::new(config.limits);
        let peer_keys =
            Arc::new(PeerKeys { witness: config.peer_witness, mirror: config.peer_mirror });
        let keys = Arc::new(Cosigners { witness: config.witness, mirror: config.mirror });
        let domain = config.domain;
        let relay = Relay::new(&domain, peer_keys.witness.clone());
        let witnessing = Witnessing::new(&config.office, &domain, keys.clone());
        let newest = newest_epochs(&config.own);
        let of = |(slot, own): (usize, OwnLog)| {
            let closed = newest.get(&own.log).is_some_and(|newest| *newest > own.epoch);
            let shown = shown_of(&config.shown, &own);
            Origin::new(slot, own, (closed, shown), &domain, peer_keys.clone(), limits.clone())
        };
        let origins: Vec<Origin> = config.own.into_iter().enumerate().map(of).collect();
        let mirrored = config.mirrored.into_iter().enumerate();
        let followers: Vec<Follower> = mirrored
            .map(|(slot, l)| Follower::new(slot, l, &domain, keys.clone(), limits.clone()))
            .collect();
        let recover = config.recover.as_ref().map(|recover| recover.log.clone());
        let recoveries = recoveries(config.recover, followers.len(), &domain, &limits);
        let mut queue = Queue::new(now.mono);
        queue.send(Message::Hello(Hello {
            protocol: PROTOCOL,
            office: config.office.clone(),
            instance: config.instance,
            software: config.software,
            holdings: origins
                .iter()
                .map(Origin::holding)
                .chain(followers.iter().map(Follower::holding))
                .chain(recoveries.iter().map(Recovery::holding))
                .collect(),
            features: [WITNESS, MEMORY, RETURN, KEYS, ATTACHMENTS, EARLIER_LINES]
                .map(str::to_owned)
                .into(),
            witnessed: config.witnessed,
            shown: config.shown,
        }));
        Ok(Session {
            office: config.office,
            lane: Lane::new(&config.peer),
            peer: config.peer,
            instance: config.instance,
            limits,
            origins,
            followers,
            given: config.given,
            givings: Vec::new(),
            recover,
            recoveries,
            relay,
            witnessing,
            keys: KeyLane::new(),
            queue,
            greeted: None,
            greeting: None,
            forgotten: config.forgotten,
            recalling: None,
            not_taken: Vec::new(),
            started: now.mono,
            heard: now.mono,
            heard_unix: None,
            pings_missed: 0,
            ping: None,
            round_trip: None,
            turn: 0,
            closed: None,
        })
    }

    /// The next thing to do, in order. `None`: wait.
    pub fn poll(&mut self) -> Option<Action> {
        self.queue.pop()
    }

    /// Whether [`Action::Close`] was queued: nothing else will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// A message came in.
    pub fn handle(&mut self, now: Now, message: Message) {
        if self.is_closed() {
            return;
        }
        self.heard = now.mono;
        self.heard_unix = Some(now.unix);
        self.pings_missed = 0;
        let outcome = self.dispatch(now, message);
        self.settle(now, outcome);
    }

    /// Time has passed. Harmless at any moment.
    pub fn tick(&mut self, now: Now) {
        if self.is_closed() {
            return;
        }
        if self.greeted.is_none() {
            if now.mono >= self.started.saturating_add(self.limits.hello_timeout) {
                self.close(now, Close::NoHello);
            }
            return;
        }
        for follower in &mut self.followers {
            follower.tick(now, &mut self.queue);
        }
        for recovery in &mut self.recoveries {
            recovery.tick(now, &mut self.queue);
        }
        self.keys.tick(now, &mut self.queue);
        let origins = self.origins.iter().map(|o| (o.stalled_at(), o.log()));
        let mut sending = origins.chain(self.givings.iter().map(|g| (g.stalled_at(), g.log())));
        let stalled = sending.find(|(at, _)| at.is_some_and(|at| at <= now.mono));
        let stalled = stalled.map(|(_, log)| log.clone());
        if let Some(log) = stalled.or_else(|| self.attachment_stalled(now)) {
            return self.close(now, Close::Stalled { log });
        }
        if now.mono >= self.ping_due() {
            if self.pings_missed >= self.limits.missed_pings {
                return self.close(now, Close::Silent);
            }
            self.pings_missed += 1;
            let nonce = self.queue.serial();
            self.ping = Some((nonce, now.mono));
            self.queue.send(Message::Ping { nonce });
        }
        self.pump(now);
    }

    /// Monotonic moment at which [`Session::tick`] must be called; `None` after the end.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<u64> {
        if self.is_closed() {
            return None;
        }
        if self.greeted.is_none() {
            return Some(self.started.saturating_add(self.limits.hello_timeout));
        }
        let origins = self.origins.iter().flat_map(|o| [o.head_due(), o.stalled_at()]);
        let followers = self.followers.iter().map(Follower::wakeup);
        let givings = self.givings.iter().map(Giving::stalled_at);
        let recoveries = self.recoveries.iter().map(Recovery::wakeup);
        origins
            .chain(followers)
            .chain(givings)
            .chain(recoveries)
            .chain(self.attachments_due())
            .flatten()
            .chain(self.keys.wakeup())
            .chain([self.ping_due()])
            .min()
    }

    /// Refuses the peer, e.g. as a duplicate of an office that is connected already.
    pub fn refuse(&mut self, now: Now, code: RefusalCode, text: impl Into<String>) {
        let violation = Violation { code, text: text.into() };
        self.settle(now, Err(violation));
    }

    /// Ends the session from our side without a reproach.
    pub fn shut_down(&mut self, now: Now) {
        self.close(now, Close::ShutDown);
    }

    /// Ends the session because the keys that it was begun with are no longer the peer's.
    pub fn end_for_other_keys(&mut self, now: Now) {
        self.close(now, Close::OtherKeys);
    }

    /// What an operator may rely on now.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let logs: Vec<_> = self
            .origins
            .iter()
            .map(|o| o.status(now))
            .chain(self.followers.iter().map(|f| f.status(now)))
            .chain(self.givings.iter().map(Giving::status))
            .chain(self.recoveries.iter().map(Recovery::status))
            .chain(self.not_taken.iter().cloned())
            .collect();
        // An epoch that is over and was refused does not hold back the one that goes on.
        let is_over = |l: &LogStatus| {
            let later = |o: &LogStatus| (&o.log, o.role) == (&l.log, l.role) && o.epoch > l.epoch;
            matches!(l.state, LogState::Stopped { .. }) && logs.iter().any(later)
        };
        let counted = || logs.iter().filter(|log| !is_over(log));
        let is = |wanted: fn(&LogState) -> bool| counted().any(|l| wanted(&l.state));
        let silent = self.greeted.is_some()
            && now.mono > self.heard.saturating_add(2 * self.limits.ping_interval);
        let link = match &self.closed {
            Some((Close::Refused { code, text, .. }, _)) => {
                LinkState::Refused { code: *code, text: text.clone() }
            }
            Some((why, at)) => LinkState::Closed { at: *at, text: why.to_string() },
            None if self.greeted.is_none() => LinkState::Connecting,
            None if silent => LinkState::SilentSince(self.heard_unix.unwrap_or(now.unix)),
            None if is(LogState::is_faulty) => LinkState::Faulty,
            None if is(|s| *s != LogState::Live) => LinkState::CatchingUp,
            None => LinkState::Live,
        };
        let status = Status {
            peer: self.peer.clone(),
            peer_software: self.greeted.as_ref().map(|g| g.software.clone()),
            link,
            heard_at: self.heard_unix,
            round_trip: self.round_trip,
            clock: self.origins.iter().filter_map(Origin::clock).max_by_key(|clock| clock.at),
            logs,
        };
        match &self.closed {
            Some((why, at)) => status.closed(*at, why.to_string()),
            None => status,
        }
    }

    fn ping_due(&self) -> u64 {
        let intervals = u64::from(self.pings_missed) + 1;
        self.heard.saturating_add(self.limits.ping_interval.saturating_mul(intervals))
    }

    /// Ends what an event began: refuses the link after a violation, otherwise goes on sending.
    fn settle(&mut self, now: Now, outcome: Result<(), Violation>) {
        if self.is_closed() {
            return;
        }
        match outcome {
            Ok(()) => self.pump(now),
            Err(Violation { code, text }) => {
                let refused = Refused { log: None, epoch: 0, code, text: text.clone(), note: None };
                self.queue.send(Message::Refused(refused));
                self.close(now, Close::Refused { by: Party::Us, code, text });
            }
        }
    }

    fn close(&mut self, now: Now, why: Close) {
        if self.closed.is_none() {
            self.queue.close(why.clone());
            self.closed = Some((why, now.unix));
        }
    }
}
