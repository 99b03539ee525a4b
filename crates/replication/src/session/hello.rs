//! What the configuration and the hello must be, and what the hello brings.

use std::collections::BTreeMap;

use evidence::log::LogName;
use evidence::note::{Kind, Verifier};

use super::{ConfigError, Session, SessionConfig};
use crate::action::{Action, Close, EpochRefused, EpochTicket, NewEpoch};
use crate::limits::{EPOCHS, HOLDINGS};
use crate::message::{Hello, Holding, PROTOCOL, RefusalCode, Role};
use crate::now::Now;
use crate::origin::{Origin, OwnLog};
use crate::queue::{LogId, Reason, Violation};
use crate::status::LogStatus;

/// A hello whose holdings have not been gone through yet.
pub(super) struct Greeting {
    hello: Hello,
    /// Epochs in it that are not taken up.
    refused: Vec<(LogName, u32)>,
    /// The one that the driver is asked about.
    asked: Option<(u64, LogName, u32)>,
}

impl Greeting {
    pub(super) fn new(hello: Hello) -> Greeting {
        Greeting { hello, refused: Vec::new(), asked: None }
    }

    fn is_refused(&self, holding: &Holding) -> bool {
        let by = |(log, epoch): &(LogName, u32)| *log == holding.log && *epoch <= holding.epoch;
        holding.role == Role::Origin && self.refused.iter().any(by)
    }
}

impl Session {
    /// Answer to [`Action::NewEpoch`]: `Ok` once the epoch's key is known and durable and the
    /// mirror of it is open.
    pub fn epoch_opened(
        &mut self,
        now: Now,
        ticket: EpochTicket,
        answer: Result<(), EpochRefused>,
    ) {
        if self.is_closed() {
            return;
        }
        let Some(mut greeting) = self.greeting.take() else { return };
        match greeting.asked.take() {
            Some((serial, log, epoch)) if serial == ticket.serial => match answer {
                Ok(()) => self.close(now, Close::NewEpoch { log, epoch }),
                Err(EpochRefused { code, text, notes }) => {
                    self.not_taken.push(LogStatus::refused(&log, epoch, code, &text));
                    let id = LogId { slot: 0, log: log.clone(), epoch, own: false };
                    self.queue.refuse_log(&id, Reason::new(code, text).with_notes(notes));
                    greeting.refused.push((log, epoch));
                    self.look_for_epoch(greeting);
                    self.settle(now, Ok(()));
                }
            },
            other => {
                greeting.asked = other;
                self.greeting = Some(greeting);
            }
        }
    }

    /// Asks about the first new epoch of the hello; without one goes through what it holds.
    pub(super) fn look_for_epoch(&mut self, mut greeting: Greeting) {
        let Some(opened) = self.new_epoch(&greeting).cloned() else {
            return self.begin_all(&greeting);
        };
        let Holding { log, epoch, succession, .. } = opened;
        let serial = self.queue.serial();
        greeting.asked = Some((serial, log.clone(), epoch));
        self.greeting = Some(greeting);
        let ticket = EpochTicket { serial };
        self.queue.push(Action::NewEpoch(NewEpoch { ticket, log, epoch, succession }));
    }

    /// The first epoch that the peer has opened behind those of a log that we mirror.
    fn new_epoch<'a>(&self, greeting: &'a Greeting) -> Option<&'a Holding> {
        greeting.hello.holdings.iter().find(|holding| {
            let known = self.followers.iter().filter_map(|f| f.epoch_of(&holding.log));
            let (count, last) = known.fold((0, 0), |(n, last), epoch| (n + 1, last.max(epoch)));
            let may = (1..EPOCHS).contains(&count) && holding.epoch > last;
            may && holding.role == Role::Origin
                && self.origin(&holding.log, holding.epoch).is_none()
                && !greeting.is_refused(holding)
        })
    }

    /// Takes up every log that both sides know.
    fn begin_all(&mut self, greeting: &Greeting) {
        let holdings = &greeting.hello.holdings;
        for holding in holdings {
            let (log, epoch) = (&holding.log, holding.epoch);
            if let Some(slot) = self.origin(log, epoch) {
                self.origins[slot].begin(holding, &mut self.queue);
            } else if let Some(slot) = self.follower(log, epoch)
                && holding.role == Role::Origin
            {
                let closed = holdings.iter().any(|later| later.succeeds(holding));
                self.followers[slot].begin(holding, closed, &mut self.queue);
            } else if self.comes_back(holding, &greeting.hello) {
                // Told above.
            } else if !greeting.is_refused(holding) && !self.is_gone(holding) {
                self.unknown(log, epoch);
            }
        }
        for follower in &mut self.followers {
            let of_log =
                |h: &&Holding| h.role == Role::Origin && follower.epoch_of(&h.log).is_some();
            let spoken: Vec<u32> = holdings.iter().filter(of_log).map(|h| h.epoch).collect();
            if !spoken.contains(&follower.epoch()) && spoken.iter().any(|e| *e > follower.epoch()) {
                follower.finish();
            }
        }
    }

    /// Whether the peer mirrors an epoch of our log that we have no more, but a later one.
    fn is_gone(&self, holding: &Holding) -> bool {
        let later = |o: &Origin| o.epoch_of(&holding.log).is_some_and(|e| e > holding.epoch);
        holding.role == Role::Follower && self.origins.iter().any(later)
    }

    /// A log that this session writes has an epoch that it does not know: it ends, and the next
    /// one speaks of it.
    pub(super) fn outgrown(&mut self, now: Now, log: &LogName, epoch: u32) {
        let last = self.origins.iter().filter_map(|o| o.epoch_of(log)).max();
        if !self.is_closed() && last.is_some_and(|last| epoch > last) {
            self.close(now, Close::NewEpoch { log: log.clone(), epoch });
        }
    }
}

/// The open epoch of each own log.
pub(super) fn newest_epochs(own: &[OwnLog]) -> BTreeMap<LogName, u32> {
    let mut newest = BTreeMap::new();
    for log in own {
        let epoch = newest.entry(log.log.clone()).or_insert(log.epoch);
        *epoch = log.epoch.max(*epoch);
    }
    newest
}

/// Refuses a configuration no session can run on.
pub(super) fn check_config(config: &SessionConfig) -> Result<(), ConfigError> {
    let own = config.own.iter().map(|l| (&l.log, l.epoch));
    let mirrored = config.mirrored.iter().map(|l| (&l.log, l.epoch));
    let recover = config.recover.iter();
    let lost = recover.flat_map(|r| r.epochs.iter().map(move |lost| (&r.log, lost.epoch)));
    let mut all: Vec<_> = own.chain(mirrored).chain(lost).collect();
    all.sort();
    if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ConfigError::Twice { log: pair[0].0.clone(), epoch: pair[0].1 });
    }
    let kinds = [
        ("witness", Some(config.witness.kind())),
        ("mirror", Some(config.mirror.kind())),
        ("peer's witness", config.peer_witness.as_ref().map(Verifier::kind)),
        ("peer's mirror", config.peer_mirror.as_ref().map(Verifier::kind)),
    ];
    for (which, kind) in kinds {
        if kind.is_some_and(|kind| kind != Kind::Cosigner) {
            return Err(ConfigError::Key { which });
        }
    }
    Ok(())
}

/// Refuses a peer that is not the one expected.
pub(super) fn check_hello(
    hello: &Hello,
    office: &str,
    peer: &str,
    instance: &[u8; 16],
) -> Result<(), Violation> {
    let refuse = |code, text: String| Err(Violation { code, text });
    if hello.protocol != PROTOCOL {
        let text = format!(
            "protocol {} is spoken there, {PROTOCOL} here: update the older office",
            hello.protocol
        );
        return refuse(RefusalCode::IncompatibleVersion, text);
    }
    if hello.instance == *instance || hello.office == office {
        let text = format!(
            "office {office} is linked with itself or with a copy of itself: check the address, \
             stop the copy"
        );
        return refuse(RefusalCode::DuplicateOffice, text);
    }
    if hello.office != peer {
        let text = format!("the certificate is that of {peer}, the office calls itself otherwise");
        return refuse(RefusalCode::NotEnrolled, text);
    }
    if hello.holdings.len() > HOLDINGS {
        return Err(Violation::internal("the hello lists too many logs"));
    }
    Ok(())
}

/// A text of the peer, fit for a terminal and a log line.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    out
}
