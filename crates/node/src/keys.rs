//! Which key signs which epoch of which log, as this office knows it: the one place that answers.
//!
//! * Any epoch of an own log: the node's own seeds.
//! * The first epoch: `trust.toml` for the centre's logs, the enrolment for a region's.
//! * A later one: new keys enrolled for it at the centre (`office.rekeyed`); or a statement of
//!   succession that was verified and is stored here; or the closed epoch before it (`log.closed`
//!   in `kz/all`).
//!
//! All logs of an office share the key of an epoch, so what `kz/all` says of the centre's key holds
//! for its other logs.
//!
//! A statement is kept as the control fact `succession/<log>/<epoch>`; its value is the note.

use domain::OfficeCode;
use evidence::log::{LogName, origin};
use evidence::succession::Succession;
use journal::{Control, Role};
use zeroize::Zeroizing;

use crate::country::Known;
use crate::link::store;
use crate::office::Office;
use crate::reseed;

/// The public key that signs an epoch of a log; `None` if this office does not know it.
pub fn log_key(office: &Office, log: &LogName, epoch: u32) -> Option<[u8; 32]> {
    let owner = owner(log)?;
    let known = office.country.known();
    let certain = match epoch {
        1 => first_key(office, &known, &owner),
        _ => later_key(office, &known, &owner, log, epoch),
    };
    // Of what is taken back only what the centre published is believed: this node may have other
    // keys than the one that signed it.
    if owner == office.code && reseed::pending(&office.journal).is_some() {
        return certain;
    }
    match owner == office.code {
        // The open epoch is signed by what this node has, whatever others believe.
        true if is_open(office, log, epoch) => office.log_keys.public(epoch).or(certain),
        true => certain.or_else(|| office.log_keys.public(epoch)),
        false => certain,
    }
}

/// The seed that signs heads of an epoch of an own log; `None` if it is lost, or if the one that is
/// here is not the one that signed the epoch.
pub fn signing_seed(office: &Office, log: &LogName, epoch: u32) -> Option<Zeroizing<[u8; 32]>> {
    let seed = office.log_keys.seed(epoch)?;
    (office.log_keys.public(epoch) == log_key(office, log, epoch)).then_some(seed)
}

/// The office that writes a log: `kz-75` is KZ-75's, everything below `kz` is the centre's.
pub fn owner(log: &LogName) -> Option<OfficeCode> {
    log.as_str().split('/').next()?.to_ascii_uppercase().parse().ok()
}

fn first_key(office: &Office, known: &Known, owner: &OfficeCode) -> Option<[u8; 32]> {
    if owner.is_centre() {
        return Some(office.trust.centre.log);
    }
    known.offices.get(owner).map(|enrolled| enrolled.log_key)
}

fn later_key(
    office: &Office,
    known: &Known,
    owner: &OfficeCode,
    log: &LogName,
    epoch: u32,
) -> Option<[u8; 32]> {
    if let Some(rekeyed) = known.rekeyed.get(owner).and_then(|epochs| epochs.get(&epoch)) {
        return Some(rekeyed.log_key);
    }
    let mut logs = vec![log];
    if owner.is_centre() && *log != office.logs.all {
        logs.push(&office.logs.all);
    }
    logs.into_iter().find_map(|log| {
        let stated = statement(office, log, epoch).map(|s| *s.successor.public_key());
        stated.or_else(|| {
            let of_log = known.closed.range((log.clone(), 0)..=(log.clone(), u32::MAX));
            let before = of_log.map(|(_, closed)| closed);
            let mut before = before.filter(|closed| closed.successor_epoch == epoch);
            before.next().map(|closed| closed.successor_key)
        })
    })
}

/// Whether an epoch is the one to which an own log appends.
pub fn is_open(office: &Office, log: &LogName, epoch: u32) -> bool {
    let own = office.journal.log(log, epoch).is_some_and(|info| info.role == Role::Own);
    own && store::own_epoch(&office.journal, log) == epoch
}

/// The statement that is stored of an epoch: by which key it succeeds which epoch.
pub fn statement(office: &Office, log: &LogName, epoch: u32) -> Option<Succession> {
    Succession::parse(&statement_note(office, log, epoch)?).ok()
}

/// The note of [`statement`].
pub fn statement_note(office: &Office, log: &LogName, epoch: u32) -> Option<String> {
    String::from_utf8(office.journal.control(&statement_key(log, epoch))?).ok()
}

/// The control fact that keeps a statement. To be made of one that was verified, or made here.
pub fn keep_statement(log: &LogName, epoch: u32, note: &str) -> Control {
    Control { key: statement_key(log, epoch), value: note.as_bytes().to_vec() }
}

fn statement_key(log: &LogName, epoch: u32) -> Vec<u8> {
    format!("succession/{log}/{epoch}").into_bytes()
}

/// The epoch of a log that an origin of this installation names.
pub fn epoch_of_origin(domain: &str, log: &LogName, text: &str) -> Option<u32> {
    let epoch = match text.strip_prefix(&origin(domain, log, 1))? {
        "" => 1,
        rest => rest.strip_prefix(".e")?.parse().ok()?,
    };
    (origin(domain, log, epoch) == text).then_some(epoch)
}

/// Where an epoch of a mirrored log was closed: as the centre recorded it, or until it has, as the
/// statement of the next epoch says; never below what was accepted.
pub fn closed_at(office: &Office, log: &LogName, epoch: u32) -> Option<u64> {
    if let Some(closed) = office.country.known().closed.get(&(log.clone(), epoch)) {
        return Some(closed.size);
    }
    let name = origin(&office.options.domain, log, epoch);
    let logs = office.journal.logs().into_iter();
    let later = logs.filter(|info| info.log == *log && info.epoch > epoch);
    let mut stated = later.filter_map(|info| statement(office, log, info.epoch));
    let stated = stated.find(|statement| statement.closed.origin == name)?;
    let accepted = store::accepted(office, log, epoch).map_or(0, |head| head.size);
    Some(stated.closed.size.max(accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_name_epochs_in_one_spelling() {
        let log: LogName = "kz-75".parse().unwrap();
        let epoch = |text| epoch_of_origin("adal.example", &log, text);
        assert_eq!(epoch("adal.example/log/kz-75"), Some(1));
        assert_eq!(epoch("adal.example/log/kz-75.e2"), Some(2));
        assert_eq!(epoch("adal.example/log/kz-75.e4294967295"), Some(u32::MAX));
        for bad in [
            "adal.example/log/kz-75.e1",
            "adal.example/log/kz-75.e02",
            "adal.example/log/kz-75.e0",
            "adal.example/log/kz-7",
            "adal.example/log/kz-75/e2",
            "other.example/log/kz-75",
            "adal.example/log/kz-75.e4294967296",
        ] {
            assert_eq!(epoch(bad), None, "{bad}");
        }
    }

    #[test]
    fn logs_have_owners() {
        let of = |log: &str| owner(&log.parse().unwrap()).map(|code| code.to_string());
        assert_eq!(of("kz-75").as_deref(), Some("KZ-75"));
        assert_eq!(of("kz/kz-75").as_deref(), Some("KZ"));
        assert_eq!(of("kz").as_deref(), Some("KZ"));
        assert_eq!(of("abc"), None);
    }
}
