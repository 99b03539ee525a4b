//! What a node remembers of heads and cosignatures: control facts of the journal, so that they
//! are as durable as the records they speak of.
//!
//! | key | value |
//! |---|---|
//! | `head/<log>/<epoch>` | newest accepted head of a mirrored log, or one that came back |
//! | `rest/<log>/<epoch>` | the way from the end of a mirror to a head that covers more |
//! | `cosigned/<log>/<epoch>/<kind>/<peer>` | newest head of an own log with the peer's line |
//! | `succession/<log>/<epoch>` | whence the epoch's key is known, see [`crate::keys`] |
//! | `witness/<log>/<epoch>` | newest head that was co-signed as a further witness |
//! | `note/<log>/<epoch>/<slot>` | a head with its lines: [`crate::notes`] |
//! | `fault/<log>/<epoch>/<code>/<us or peer>/<digest>` | evidence of a fault, by who found it |
//! | `readonly/<log>/<epoch>` | why an epoch of an own log accepts no more facts |
//!
//! Every head is `version u8 = 1 | time i64 | size u64 | root [32] | note text`, big-endian.

use evidence::checkpoint::Checkpoint;
use evidence::hash::{Hash, hex, sha256};
use evidence::log::LogName;
use journal::{Control, Role, Transaction};
use replication::action::Fault;
use replication::{CosignatureKind, Party, RefusalCode, Rest};
use tokio::sync::MutexGuard;

use crate::heads;
use crate::office::Office;
use crate::records::Records;
use crate::reseed;
use crate::writer::WriteError;

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
    /// The bytes of the control fact.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.note.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.at.to_be_bytes());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(self.note.as_bytes());
        bytes
    }

    /// The head of a control fact; `None` for another version of the format.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Head> {
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

fn rest_key(log: &LogName, epoch: u32) -> Vec<u8> {
    format!("rest/{log}/{epoch}").into_bytes()
}

/// The control fact that keeps the way from `size` records of a mirror to a head that covers more:
/// `version u8 = 1 | size u64 | number of hashes u8 | hashes | note text`, big-endian.
pub fn keep_rest(log: &LogName, epoch: u32, size: u64, rest: &Rest) -> Control {
    let mut value = vec![VERSION];
    value.extend_from_slice(&size.to_be_bytes());
    value.push(u8::try_from(rest.proof.len()).unwrap_or(u8::MAX));
    rest.proof.iter().for_each(|hash| value.extend_from_slice(hash));
    value.extend_from_slice(rest.note.as_bytes());
    Control { key: rest_key(log, epoch), value }
}

/// The way from exactly `size` records to a head, if it was kept.
pub fn rest(office: &Office, log: &LogName, epoch: u32, size: u64) -> Option<Rest> {
    let value = office.journal.control(&rest_key(log, epoch))?;
    let (fixed, value) = value.split_first_chunk::<10>()?;
    let of = u64::from_be_bytes(fixed[1..9].try_into().ok()?);
    let (hashes, note) = value.split_at_checked(usize::from(fixed[9]) * 32)?;
    let note = String::from_utf8(note.to_vec()).ok()?;
    let proof = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
    (fixed[0] == VERSION && of == size).then_some(Rest { note, proof })
}

const WITNESS: &str = "witness/";

fn witness_key(log: &LogName, epoch: u32) -> Vec<u8> {
    format!("{WITNESS}{log}/{epoch}").into_bytes()
}

/// The control fact that keeps a head of which this office is a further witness.
pub fn witness(log: &LogName, epoch: u32, head: &Head) -> Control {
    Control { key: witness_key(log, epoch), value: head.encode() }
}

/// The newest head of which this office is a further witness.
pub fn witnessed(office: &Office, log: &LogName, epoch: u32) -> Option<Head> {
    Head::decode(&office.journal.control(&witness_key(log, epoch))?)
}

/// All of them, by log.
pub fn all_witnessed(office: &Office) -> Vec<(LogName, u32, Head)> {
    let stored = office.journal.controls(WITNESS.as_bytes()).into_iter();
    let read = stored.filter_map(|(key, value)| {
        let key = String::from_utf8(key).ok()?;
        let (log, epoch) = key.strip_prefix(WITNESS)?.rsplit_once('/')?;
        Some((log.parse().ok()?, epoch.parse().ok()?, Head::decode(&value)?))
    });
    read.collect()
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
        .or_else(|| accepted(office, log, epoch))
}

/// The newest head of a log: of a mirror the accepted one, of an own log the present one with
/// the lines that peers gave for exactly this size.
pub fn newest_note(office: &Office, log: &LogName, epoch: u32) -> Option<String> {
    let info = office.journal.log(log, epoch)?;
    if info.role == journal::Role::Mirror {
        return accepted(office, log, epoch).map(|head| head.note);
    }
    let kept = office.notes.of(office, log, epoch).into_iter();
    if let Some(kept) = kept.map(|kept| kept.head).find(|head| head.size == info.size) {
        return Some(kept.note);
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

/// Whether a fault shows that a log is not the one that was signed.
pub fn contradicts(fault: &Fault) -> bool {
    fault.code.contradicts()
}

/// Keeps evidence of a fault, durable when this returns; `false`: nothing, because it is known
/// already or is a pause that nobody need look at. A caller must not be dropped before it has its
/// answer, or the bound of what is kept may be exceeded by what is then still on its way.
///
/// # Errors
/// What kept it from being durable.
pub async fn keep(office: &Office, fault: &Fault) -> Result<bool, WriteError> {
    let turn = office.keeping.lock().await;
    let controls = evidence(office, &turn, fault);
    let is_new = write(office, controls).await?;
    if is_new && contradicts(fault) {
        office.metrics.fork_met();
    }
    Ok(is_new)
}

/// Keeps evidence of a fault that was found here, as [`keep`] does.
///
/// # Errors
/// What kept it from being durable.
pub async fn keep_found(
    office: &Office,
    at: (&LogName, u32),
    code: &str,
    text: &str,
    notes: impl IntoIterator<Item = String>,
) -> Result<bool, WriteError> {
    let turn = office.keeping.lock().await;
    let control = fault_control(office, &turn, at, code, text, notes);
    write(office, control.into_iter().collect()).await
}

async fn write(office: &Office, controls: Vec<Control>) -> Result<bool, WriteError> {
    if controls.is_empty() {
        return Ok(false);
    }
    let transaction = Transaction { controls, ..Transaction::default() };
    office.writer.write(transaction).await.map(|_| true)
}

/// What is to be kept of a fault; as [`fault_control`].
pub fn evidence(office: &Office, turn: &Turn<'_>, fault: &Fault) -> Vec<Control> {
    if fault.code == RefusalCode::IndexBuilding {
        return Vec::new();
    }
    let contradicts = contradicts(fault);
    let found = Found { code: fault.code.as_str(), by: fault.found_by, text: &fault.text };
    let proof: String = fault.proof.iter().map(|hash| format!("{}\n", hex(hash))).collect();
    let notes = fault.notes.iter().cloned().chain([proof]);
    let control = kept(office, turn, (&fault.log, fault.epoch), &found, notes);
    let mut controls: Vec<_> = control.into_iter().collect();
    let freezes = contradicts && fault.own && fault.found_by == Party::Us;
    let key = read_only_key(&fault.log, fault.epoch);
    if freezes && office.journal.control(&key).is_none() {
        controls.push(Control { key, value: fault.text.as_bytes().to_vec() });
    }
    controls
}

const FAULT: &str = "fault/";
/// Pieces of evidence that are kept of one kind of fault of an epoch, of each finder.
const KEPT: usize = 16;

/// Whoever keeps evidence holds the office's `keeping` from the look at what is kept until its own
/// is durable: what is counted is then all that there is, and [`KEPT`] is exact.
pub type Turn<'a> = MutexGuard<'a, ()>;

fn fault_folder(log: &LogName, epoch: u32, code: &str) -> String {
    format!("{FAULT}{log}/{epoch}/{code}")
}

fn party_name(party: Party) -> &'static str {
    match party {
        Party::Us => "us",
        Party::Peer => "peer",
    }
}

/// A fault that was found. What a peer says takes no place of what was found here.
struct Found<'a> {
    code: &'a str,
    by: Party,
    text: &'a str,
}

/// The control fact that keeps evidence of a fault that was found here: its time, its text, and the
/// notes and lines that show it. `None` if they are kept already, or [`KEPT`] others are. It must
/// be durable before the turn is given up, and be the only one of its kind of one turn.
pub fn fault_control(
    office: &Office,
    turn: &Turn<'_>,
    at: (&LogName, u32),
    code: &str,
    text: &str,
    notes: impl IntoIterator<Item = String>,
) -> Option<Control> {
    kept(office, turn, at, &Found { code, by: Party::Us, text }, notes)
}

/// The control fact that keeps evidence of a fault: its time, its text, and the notes and lines
/// that show it. `None` if these notes are kept already, if nothing shows the fault and one of its
/// kind and finder is kept, or if [`KEPT`] are.
fn kept(
    office: &Office,
    _turn: &Turn<'_>,
    (log, epoch): (&LogName, u32),
    found: &Found<'_>,
    notes: impl IntoIterator<Item = String>,
) -> Option<Control> {
    let notes: String = notes.into_iter().map(|note| format!("\n{note}")).collect();
    let folder = fault_folder(log, epoch, found.code);
    let folder = format!("{folder}/{}/", party_name(found.by));
    let key = format!("{folder}{}", hex(&sha256(notes.as_bytes()))).into_bytes();
    let kept = office.journal.controls(folder.as_bytes());
    let shows_nothing = notes.trim().is_empty();
    let is_known = kept.iter().any(|(known, _)| *known == key);
    if is_known || kept.len() >= KEPT || (shows_nothing && !kept.is_empty()) {
        return None;
    }
    let value = format!("time {}\n{}\n{notes}", office.clock.now(), found.text);
    Some(Control { key, value: value.into_bytes() })
}

/// Why this epoch of somebody else's log is frozen: two histories of it were seen here. `None`: it
/// is not; what a peer says of two histories freezes nothing.
pub fn frozen(office: &Office, log: &LogName, epoch: u32) -> Option<String> {
    let is_proof = |fault: &&KeptFault| fault.epoch == epoch && fault.found_by == Party::Us;
    let folder = fault_folder(log, epoch, RefusalCode::Fork.as_str());
    let faults = kept_faults(office, &folder);
    faults.iter().filter(|fault| fault.log == *log).find(is_proof).map(|fault| fault.text.clone())
}

/// A fault of which evidence is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFault {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// What kind of fault.
    pub code: String,
    /// Who found it.
    pub found_by: Party,
    /// When it was first kept, microseconds since 1970.
    pub at: i64,
    /// What happened and what to do.
    pub text: String,
}

/// Every kind of fault of which evidence is kept, once per epoch: the first that was found here, or
/// where none was, the first that a peer told.
pub fn faults(office: &Office) -> Vec<KeptFault> {
    let mut faults = kept_faults(office, FAULT);
    let kind = |fault: &KeptFault| (fault.log.clone(), fault.epoch, fault.code.clone());
    faults.sort_by_key(|fault| (kind(fault), fault.found_by == Party::Peer, fault.at));
    faults.dedup_by_key(|fault| kind(fault));
    faults
}

fn kept_faults(office: &Office, prefix: &str) -> Vec<KeptFault> {
    let stored = office.journal.controls(prefix.as_bytes()).into_iter();
    stored.filter_map(|(key, value)| kept_fault(&key, value)).collect()
}

pub(crate) fn kept_fault(key: &[u8], value: Vec<u8>) -> Option<KeptFault> {
    let key = str::from_utf8(key).ok()?.strip_prefix(FAULT)?;
    let (key, found_by) = match key.rsplit_once('/')?.0 {
        folder if folder.ends_with("/us") => (folder.strip_suffix("/us")?, Party::Us),
        folder if folder.ends_with("/peer") => (folder.strip_suffix("/peer")?, Party::Peer),
        // Written before finders were told apart: the safe reading is that it is a proof.
        _ => (key, Party::Us),
    };
    let mut parts = key.rsplitn(3, '/');
    let (code, epoch, log) = (parts.next()?, parts.next()?, parts.next()?);
    let value = String::from_utf8(value).ok()?;
    let mut lines = value.lines();
    let at = lines.next()?.strip_prefix("time ")?.parse().ok()?;
    let text = lines.next()?.to_owned();
    let (log, epoch, code) = (log.parse().ok()?, epoch.parse().ok()?, code.to_owned());
    Some(KeptFault { log, epoch, code, found_by, at, text })
}

/// Why the open epoch of an own log accepts no more facts; `None` if it does. What was found wrong
/// with an earlier epoch does not bind its successor: that is what the successor is for.
pub fn read_only_reason(journal: &Records, log: &LogName) -> Option<String> {
    if let Some(reason) = reseed::reason(journal, log) {
        return Some(reason);
    }
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
mod tests;
