//! What a node remembers of heads and cosignatures: control facts of the journal, so that they
//! are as durable as the records they speak of.
//!
//! | key | value |
//! |---|---|
//! | `head/<log>/<epoch>` | newest accepted head of a mirrored log |
//! | `cosigned/<log>/<epoch>/<kind>/<peer>` | newest head of an own log with the peer's line |
//! | `fault/<log>/<epoch>/<code>` | evidence of a fork or rollback, the first one is kept |
//! | `readonly/<log>/<epoch>` | why an epoch of an own log accepts no more facts |
//!
//! Every head is `version u8 = 1 | time i64 | size u64 | root [32] | note text`, big-endian.

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;
use journal::{Control, Role};
use replication::action::Fault;
use replication::{CosignatureKind, Party, RefusalCode};

use crate::heads;
use crate::office::Office;
use crate::records::Records;

const VERSION: u8 = 1;
const FIXED: usize = 1 + 8 + 8 + 32;

/// A stored head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it was accepted or cosigned, microseconds since 1970.
    pub at: i64,
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The note with the signature lines collected so far.
    pub note: String,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.note.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.at.to_be_bytes());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(self.note.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Head> {
        let (fixed, note) = bytes.split_at_checked(FIXED)?;
        if fixed[0] != VERSION {
            return None;
        }
        Some(Head {
            at: i64::from_be_bytes(fixed[1..9].try_into().ok()?),
            size: u64::from_be_bytes(fixed[9..17].try_into().ok()?),
            root: fixed[17..].try_into().ok()?,
            note: String::from_utf8(note.to_vec()).ok()?,
        })
    }
}

/// The control fact that keeps an accepted head of a mirrored log.
pub fn accept(log: &LogName, epoch: u32, head: &Head) -> Control {
    Control { key: accepted_key(log, epoch), value: head.encode() }
}

/// The newest accepted head of a mirrored log.
pub fn accepted(office: &Office, log: &LogName, epoch: u32) -> Option<Head> {
    Head::decode(&office.journal.control(&accepted_key(log, epoch))?)
}

fn accepted_key(log: &LogName, epoch: u32) -> Vec<u8> {
    format!("head/{log}/{epoch}").into_bytes()
}

/// The control fact that keeps a cosignature of an own log's head.
pub fn cosign(
    log: &LogName,
    epoch: u32,
    kind: CosignatureKind,
    peer: &str,
    head: &Head,
) -> Control {
    Control { key: cosigned_key(log, epoch, kind, peer), value: head.encode() }
}

fn cosigned_key(log: &LogName, epoch: u32, kind: CosignatureKind, peer: &str) -> Vec<u8> {
    let kind = kind_name(kind);
    format!("cosigned/{log}/{epoch}/{kind}/{}", peer.to_ascii_lowercase()).into_bytes()
}

/// The newest head of an own log that this peer cosigned in this way, with its line.
pub fn cosigned_by(
    office: &Office,
    log: &LogName,
    epoch: u32,
    kind: CosignatureKind,
    peer: &str,
) -> Option<Head> {
    Head::decode(&office.journal.control(&cosigned_key(log, epoch, kind, peer))?)
}

/// The newest head of an own log that any peer cosigned in this way, with its line.
pub fn cosigned(office: &Office, log: &LogName, epoch: u32, kind: CosignatureKind) -> Option<Head> {
    let prefix = format!("cosigned/{log}/{epoch}/{}/", kind_name(kind));
    let stored = office.journal.controls(prefix.as_bytes());
    stored.iter().filter_map(|(_, value)| Head::decode(value)).max_by_key(|head| head.size)
}

fn kind_name(kind: CosignatureKind) -> &'static str {
    match kind {
        CosignatureKind::Witness => "witness",
        CosignatureKind::Mirror => "mirror",
    }
}

/// The best head to show for a record: of a mirror the accepted one; of an own log the newest one
/// that the peer's mirror cosigned, else one signed now.
pub fn newest_head(office: &Office, log: &LogName, epoch: u32) -> Option<Head> {
    let info = office.journal.log(log, epoch)?;
    if info.role == journal::Role::Mirror {
        return accepted(office, log, epoch);
    }
    cosigned(office, log, epoch, CosignatureKind::Mirror)
        .or_else(|| cosigned(office, log, epoch, CosignatureKind::Witness))
        .or_else(|| signed_now(office, log, epoch, info.size, info.root))
}

/// The newest head of a log: of a mirror the accepted one, of an own log the present one with
/// the lines that peers gave for exactly this size.
pub fn newest_note(office: &Office, log: &LogName, epoch: u32) -> Option<String> {
    let info = office.journal.log(log, epoch)?;
    if info.role == journal::Role::Mirror {
        return accepted(office, log, epoch).map(|head| head.note);
    }
    let mut note = signed_now(office, log, epoch, info.size, info.root)?.note;
    for kind in [CosignatureKind::Witness, CosignatureKind::Mirror] {
        let head = cosigned(office, log, epoch, kind).filter(|head| head.size == info.size);
        let line = head.as_ref().and_then(|head| head.note.strip_prefix(&note));
        note.push_str(line.unwrap_or_default());
    }
    Some(note)
}

fn signed_now(office: &Office, log: &LogName, epoch: u32, size: u64, root: Hash) -> Option<Head> {
    let note = heads::sign(office, log, epoch, size).ok()?;
    Some(Head { at: office.clock.now(), size, root, note })
}

/// A head whose root is read from the note itself; `None` if the note is malformed.
pub fn head_of_note(note: &str, at: i64) -> Option<Head> {
    let checkpoint = Checkpoint::parse(note).ok()?;
    let (size, root) = (checkpoint.size, checkpoint.root);
    Some(Head { at, size, root, note: note.to_owned() })
}

/// Whether a fault shows two histories of a log.
pub fn contradicts(fault: &Fault) -> bool {
    matches!(fault.code, RefusalCode::Fork | RefusalCode::Rollback)
}

/// What is to be kept of a fault: nothing if it is known already, or is a pause that nobody need
/// look at.
pub fn evidence(office: &Office, fault: &Fault) -> Vec<Control> {
    if fault.code == RefusalCode::IndexBuilding {
        return Vec::new();
    }
    let contradicts = contradicts(fault);
    let mut controls: Vec<_> = fault_control(office, fault).into_iter().collect();
    if contradicts && !controls.is_empty() {
        office.metrics.fork_met();
    }
    let freezes = contradicts && fault.own && fault.found_by == Party::Us;
    let key = read_only_key(&fault.log, fault.epoch);
    if freezes && office.journal.control(&key).is_none() {
        controls.push(Control { key, value: fault.text.as_bytes().to_vec() });
    }
    controls
}

/// The control fact that keeps evidence of a fault; `None` if there is one of its kind already.
fn fault_control(office: &Office, fault: &Fault) -> Option<Control> {
    let key = format!("fault/{}/{}/{}", fault.log, fault.epoch, fault.code).into_bytes();
    if office.journal.control(&key).is_some() {
        return None;
    }
    let mut text = format!("time {}\n{}\n", office.clock.now(), fault.text);
    fault.notes.iter().for_each(|note| text.push_str(&format!("\n{note}")));
    for hash in &fault.proof {
        text.push_str(&hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        text.push('\n');
    }
    Some(Control { key, value: text.into_bytes() })
}

/// Why the open epoch of an own log accepts no more facts; `None` if it does. What was found wrong
/// with an earlier epoch does not bind its successor: that is what the successor is for.
pub fn read_only_reason(journal: &Records, log: &LogName) -> Option<String> {
    // Asked for every transaction: nothing is looked up while no log is read-only at all.
    let prefix = format!("readonly/{log}/");
    if journal.controls(prefix.as_bytes()).is_empty() {
        return None;
    }
    let reason = journal.control(&read_only_key(log, own_epoch(journal, log)))?;
    Some(String::from_utf8_lossy(&reason).into_owned())
}

/// The open epoch of an own log.
pub fn own_epoch(journal: &Records, log: &LogName) -> u32 {
    let logs = journal.logs().into_iter();
    let own = logs.filter(|info| info.role == Role::Own && info.log == *log);
    own.map(|info| info.epoch).max().unwrap_or(1)
}

fn read_only_key(log: &LogName, epoch: u32) -> Vec<u8> {
    format!("readonly/{log}/{epoch}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_round_trip() {
        let head = Head { at: -5, size: 7, root: [3; 32], note: "a\n7\n".to_owned() };
        assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
        assert_eq!(Head::decode(&head.encode()[..FIXED - 1]), None);
        let mut newer = head.encode();
        newer[0] = 2;
        assert_eq!(Head::decode(&newer), None, "a newer version is not misread");
    }
}
