//! What the configuration and the hello must be, and what the hello brings.

use std::collections::BTreeMap;

use evidence::log::LogName;
use evidence::note::{Kind, Verifier};

use super::{ConfigError, Session, SessionConfig};
use crate::action::NewEpoch;
use crate::limits::{EPOCHS, HOLDINGS};
use crate::message::{Hello, PROTOCOL, RefusalCode, Role};
use crate::origin::OwnLog;
use crate::queue::Violation;

impl Session {
    /// The first epoch that the peer has opened behind those of a log that we mirror.
    pub(super) fn new_epoch(&self, hello: &Hello) -> Option<NewEpoch> {
        let opened = hello.holdings.iter().find(|holding| {
            let known = self.followers.iter().filter_map(|f| f.epoch_of(&holding.log));
            let (count, last) = known.fold((0, 0), |(n, last), epoch| (n + 1, last.max(epoch)));
            let may = (1..EPOCHS).contains(&count) && holding.epoch > last;
            may && holding.role == Role::Origin
                && self.origin(&holding.log, holding.epoch).is_none()
        })?;
        Some(NewEpoch { log: opened.log.clone(), epoch: opened.epoch })
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
    let mut all: Vec<_> = own.chain(mirrored).collect();
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
