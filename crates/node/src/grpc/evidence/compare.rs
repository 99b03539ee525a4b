//! A head that somebody else was shown, against what is here.

use std::cmp::Ordering;

use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::note::{NoteError, SignedNote, Verifier};
use journal::{LogInfo, Role};
use replication::action::Fault as LogFault;
use replication::{Party, RefusalCode};
use tonic::Status;
use tracing::error;
use wire::pb::evidence::v1 as pb;
use wire::status::Fault;

use super::view;
use crate::grpc::errors;
use crate::heads::{self, SignError};
use crate::keys::log_key;
use crate::link::store::{self, Head};
use crate::office::Office;
use crate::project::chain;

/// What a comparison gives.
pub struct Compared {
    /// The answer.
    pub answer: pb::CompareHeadResponse,
    /// The contradiction, of which evidence must be durable before the answer is given.
    pub fault: Option<LogFault>,
}

/// Compares a signed note with the log that is here, or where this office is only a witness of it,
/// with the head that it has co-signed last.
///
/// # Errors
/// It is no checkpoint, its log is not here, the log's key did not sign it, damage.
pub fn compare(office: &Office, text: &str) -> Result<Compared, Status> {
    let malformed = |error: NoteError| errors::field("note", &error.to_string());
    let note = SignedNote::parse(text).map_err(malformed)?;
    let theirs = Checkpoint::from_body(note.text()).map_err(malformed)?;
    let domain = &office.options.domain;
    let of_origin = |info: &LogInfo| origin(domain, &info.log, info.epoch) == theirs.origin;
    let info = office.journal.logs().into_iter().find(of_origin);
    let Some(info) = info else { return witnessed(office, &note, &theirs, text) };
    let policy = view::policy_of(office, &info.log)?;
    signed_by(&note, policy.keys_of(&theirs.origin), &info.log)?;
    let ours = ours(office, &info, &theirs)?;
    let verdict = verdict(office, &info, &theirs, ours.as_ref())?;
    let against = matches!(verdict, pb::HeadVerdict::Fork | pb::HeadVerdict::Rollback);
    let answer = pb::CompareHeadResponse {
        verdict: verdict.into(),
        log: info.log.to_string(),
        epoch: info.epoch,
        size: theirs.size,
        held: info.size,
        text: words(verdict, &info, &theirs),
        our_note: ours.map(|head| head.note).filter(|_| against).unwrap_or_default(),
    };
    let fault = match against {
        true => Some(contradiction(office, &info, &theirs, text, &answer)?),
        false => None,
    };
    Ok(Compared { answer, fault })
}

fn signed_by<'a>(
    note: &SignedNote,
    keys: impl Iterator<Item = &'a Verifier> + Clone,
    log: &LogName,
) -> Result<(), Status> {
    note.verify_any(keys).map(drop).map_err(|error| {
        let message = format!("the head is not a head of {log}: {error}");
        Fault::NotPermitted { message }.into()
    })
}

/// Compares with the newest head of which this office is a further witness. It has no records of
/// the log, so heads of two sizes cannot be tied here.
fn witnessed(
    office: &Office,
    note: &SignedNote,
    theirs: &Checkpoint,
    text: &str,
) -> Result<Compared, Status> {
    let domain = &office.options.domain;
    let mut all = store::all_witnessed(office).into_iter();
    let found = all.find(|(log, epoch, _)| origin(domain, log, *epoch) == theirs.origin);
    let not_here = || Fault::NotFound { what: "log as the origin of the head names" };
    let (log, epoch, ours) = found.ok_or_else(not_here)?;
    let key = log_key(office, &log, epoch);
    let key = key.and_then(|key| heads::log_verifier(domain, &log, epoch, &key).ok());
    let key = key.ok_or_else(not_here)?;
    signed_by(note, std::iter::once(&key), &log)?;
    let verdict = match theirs.size.cmp(&ours.size) {
        Ordering::Equal if theirs.root == ours.root => pb::HeadVerdict::Same,
        Ordering::Equal => pb::HeadVerdict::Fork,
        Ordering::Greater => pb::HeadVerdict::Ahead,
        Ordering::Less => pb::HeadVerdict::Untied,
    };
    let (size, signed) = (theirs.size, ours.size);
    let says = match verdict {
        pb::HeadVerdict::Same => {
            format!(
                "this office, a witness of {log}, has co-signed this very head of {size} records"
            )
        }
        pb::HeadVerdict::Fork => fork(&log),
        _ => format!(
            "this office is only a witness of {log} and has no records of it; it has co-signed a \
             head of {signed} records, the head covers {size}: compare at the office that writes \
             the log or at the centre, or take a head of {signed} records"
        ),
    };
    let against = verdict == pb::HeadVerdict::Fork;
    let fault = against.then(|| LogFault {
        log: log.clone(),
        epoch,
        own: false,
        code: RefusalCode::Fork,
        found_by: Party::Us,
        text: says.clone(),
        notes: vec![ours.note.clone(), text.to_owned()],
        proof: Vec::new(),
    });
    let answer = pb::CompareHeadResponse {
        verdict: verdict.into(),
        log: log.to_string(),
        epoch,
        size,
        held: 0,
        text: says,
        our_note: if against { ours.note } else { String::new() },
    };
    Ok(Compared { answer, fault })
}

fn fork(log: &LogName) -> String {
    format!(
        "FORK: the key of {log} signed two histories. Both heads are kept here for ever. Tell the \
         department and the other offices, keep the file, and rely on nothing that was recorded in \
         this log after the last head that both sides agree on"
    )
}

/// Makes the evidence of a contradiction durable; `false`: it is kept already.
pub async fn keep(office: &Office, fault: &LogFault) -> Result<bool, Status> {
    error!(log = %fault.log, epoch = fault.epoch, text = fault.text, "a head was compared");
    store::keep(office, fault).await.map_err(|failed| {
        error!(error = chain(&failed), "keep the evidence of a contradiction");
        Fault::Internal { doing: "keep the evidence of the contradiction" }.into()
    })
}

/// The head of our view that is held against theirs: the smallest that covers it, or one of the
/// same size. Of an own log it is signed now, over all records where theirs covers more.
fn ours(office: &Office, info: &LogInfo, theirs: &Checkpoint) -> Result<Option<Head>, Status> {
    if info.role == Role::Own {
        match heads::sign(office, &info.log, info.epoch, theirs.size.min(info.size)) {
            Ok(note) => return Ok(store::head_of_note(&note, office.clock.now())),
            // Of an epoch whose key is lost there is what was signed while it was there.
            Err(SignError::NoKey { .. }) => {}
            Err(failed) => {
                error!(error = chain(&failed), "sign a head");
                return Err(Fault::Internal { doing: "sign the head of this size" }.into());
            }
        }
    }
    let accepted = store::accepted(office, &info.log, info.epoch);
    let kept = view::notes_of(office, &info.log, info.epoch).into_iter().chain(accepted);
    Ok(kept.filter(|head| head.size >= theirs.size).min_by_key(|head| head.size))
}

fn verdict(
    office: &Office,
    info: &LogInfo,
    theirs: &Checkpoint,
    ours: Option<&Head>,
) -> Result<pb::HeadVerdict, Status> {
    if theirs.size > info.size && is_open(office, info) {
        // Own heads are signed over durable records only.
        return Ok(pb::HeadVerdict::Rollback);
    }
    if theirs.size > info.size {
        // A mirror may have accepted a head over records that have not come yet.
        let same_size = ours.filter(|head| head.size == theirs.size);
        let contradicts = same_size.is_some_and(|head| head.root != theirs.root);
        return Ok(match contradicts {
            true => pb::HeadVerdict::Fork,
            false => pb::HeadVerdict::Ahead,
        });
    }
    let root = office.journal.root_at(&info.log, info.epoch, theirs.size);
    Ok(match root.map_err(|error| errors::read(&error))? == theirs.root {
        false => pb::HeadVerdict::Fork,
        true if theirs.size == info.size => pb::HeadVerdict::Same,
        true => pb::HeadVerdict::Prefix,
    })
}

/// Whether this office writes the epoch now. An earlier one may be shorter here than what was
/// signed: its end was lost before the journal was restored, and its successor says so.
fn is_open(office: &Office, info: &LogInfo) -> bool {
    info.role == Role::Own && info.epoch == store::own_epoch(&office.journal, &info.log)
}

fn words(verdict: pb::HeadVerdict, info: &LogInfo, theirs: &Checkpoint) -> String {
    let (log, epoch, size, held) = (&info.log, info.epoch, theirs.size, info.size);
    match verdict {
        pb::HeadVerdict::Same => format!("the head is that of all {size} records of {log} here"),
        pb::HeadVerdict::Prefix => format!(
            "the head of {size} records is the beginning of the {held} records of {log} here"
        ),
        pb::HeadVerdict::Ahead if info.role == Role::Own => format!(
            "the head covers {size} records of epoch {epoch} of {log}, which ended at this office \
             with {held}: the others were lost before a later epoch began; who shows the head may \
             have them"
        ),
        pb::HeadVerdict::Ahead => format!(
            "the head covers {size} records of {log}, of which {held} are here: compare again \
             when they are; if they do not come, the log is held back from this office"
        ),
        pb::HeadVerdict::Rollback => format!(
            "ROLLBACK: a head of {size} records of {log} is signed with the key of this office, \
             which has {held}: the end of the log is lost here, or somebody else has the key. The \
             head is kept here for ever and the log accepts no more facts. Tell the department, \
             ask the centre what it holds, and begin a new epoch with a new key"
        ),
        _ => fork(log),
    }
}

/// What is kept of a contradiction: both heads, and the proof that ties ours to the size of theirs
/// if it covers it. An own log accepts no more facts.
fn contradiction(
    office: &Office,
    info: &LogInfo,
    theirs: &Checkpoint,
    text: &str,
    answer: &pb::CompareHeadResponse,
) -> Result<LogFault, Status> {
    let ours = store::head_of_note(&answer.our_note, 0);
    let covered = ours.filter(|head| head.size <= info.size && theirs.size <= head.size);
    let proof = covered
        .map(|head| office.journal.consistency(&info.log, info.epoch, theirs.size, head.size));
    Ok(LogFault {
        log: info.log.clone(),
        epoch: info.epoch,
        own: info.role == Role::Own,
        code: match answer.verdict() {
            pb::HeadVerdict::Rollback => RefusalCode::Rollback,
            _ => RefusalCode::Fork,
        },
        found_by: Party::Us,
        text: answer.text.clone(),
        notes: vec![answer.our_note.clone(), text.to_owned()],
        proof: proof.transpose().map_err(|error| errors::read(&error))?.unwrap_or_default(),
    })
}
