//! Slips and receipts.

use domain::appeal::AppealFact;
use domain::fact::StreamKind;
use domain::{Fact, Role};
use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::note::{NoteError, SignedNote};
use evidence::opening::Opening;
use evidence::proof::TlogProof;
use evidence::record::{Record, StreamRef};
use projection::{Filter, Page};
use tonic::Status;
use tracing::error;
use wire::pb::evidence::v1 as pb;
use wire::pb::evidence::v1::get_proof_request::Record as Named;
use wire::status::Fault;

use super::{not_ready, view};
use crate::facts;
use crate::grpc::{errors, instant, operator, position};
use crate::heads::{self, SignError};
use crate::office::{Office, own_log};
use crate::project::chain;

/// The record that a question means, among those of which somebody of this role may have a proof.
/// An opening shows a record's codes, and a clerk sees the work of the own office only: of other
/// logs a clerk does not even learn what there is. Those named are refused without a look at them,
/// and what an id or a number names there is answered as what nothing has, before a record is read.
/// A registration number is looked up in the tables.
pub async fn find(office: &Office, role: Role, record: Option<Named>) -> Result<Record, Status> {
    let only = (role == Role::Clerk).then_some(&office.logs.own);
    match record {
        Some(Named::Position(at)) => {
            let log = operator::log_name(&at.log)?;
            if let Some(own) = only.filter(|own| **own != log) {
                let message = format!("a clerk may have slips and receipts of {own}, not of {log}");
                return Err(Fault::NotPermitted { message }.into());
            }
            operator::record_at(office, &log, at.epoch, at.sequence)
        }
        Some(Named::EventId(id)) => {
            let at = operator::find_event(office, &id).await?;
            let at = at.filter(|at| only.is_none_or(|own| *own == at.log));
            let at = at.ok_or_else(operator::no_record)?;
            operator::record_at(office, &at.log, at.epoch, at.seq)
        }
        Some(Named::RegNo(reg_no)) => registration(office, only.is_some(), reg_no).await,
        None => {
            let say = "name a position, an event id or a registration number";
            Err(errors::field("record", say))
        }
    }
}

/// The record that gave an appeal this number.
async fn registration(office: &Office, own_only: bool, reg_no: String) -> Result<Record, Status> {
    office.tables.ready()?;
    let code = own_only.then(|| office.code.to_string());
    let filter = Filter { office: code, reg_no: Some(reg_no.clone()), ..Filter::default() };
    let found = office.views.list_appeals(&filter, &Page { size: 2, token: None }).await;
    let found = found.inspect_err(|error| office.tables.hear(error));
    let found = found.map_err(|error| errors::view(&error))?;
    let [row] = &found.rows[..] else { return Err(no_number()) };
    let log = row.office.parse().ok().and_then(|code| own_log(&code).ok());
    let stream = StreamRef { kind: StreamKind::Appeal.code(), id: row.id.into_bytes() };
    let records = office.journal.stream(&log.ok_or_else(no_number)?, stream).await;
    let registers = |record: &Record| match facts::open_part_or_unknown(record) {
        Fact::Appeal(AppealFact::Registered(fact)) => fact.reg_no.to_string() == reg_no,
        _ => false,
    };
    let mut records = records.map_err(|error| errors::read(&error))?.into_iter();
    records.find(registers).ok_or_else(no_number)
}

fn no_number() -> Status {
    Fault::NotFound { what: "registration number" }.into()
}

/// The proof that a log has a record.
///
/// # Errors
/// A slip of another office's log, no head yet that meets the policy, damage.
pub fn make(
    office: &Office,
    record: &Record,
    asked: &pb::GetProofRequest,
) -> Result<pb::GetProofResponse, Status> {
    let (note, size) = match asked.kind() {
        pb::ProofKind::Slip => slip(office, record)?,
        pb::ProofKind::Receipt if !asked.head.is_empty() => under(office, record, &asked.head)?,
        pb::ProofKind::Receipt => receipt(office, record)?,
        pb::ProofKind::Unspecified => return Err(errors::field("kind", "is slip or receipt")),
    };
    let header = record.header();
    let path = office.journal.inclusion(&header.log, header.epoch, header.seq, size);
    let path = path.map_err(|error| errors::read(&error))?;
    let extra = asked.opening.then(|| Opening::of(record).to_bytes());
    let proof =
        TlogProof::new(header.seq, path, note, extra).map_err(|failed| internal(&failed))?;
    let summary = wire::record_summary(record);
    Ok(pb::GetProofResponse {
        position: Some(position(record)),
        proof: proof.to_string(),
        size,
        type_name: summary.type_name,
        recorded_at: Some(instant(header.recorded_at)),
        leaf: record.leaf_data(),
    })
}

/// The log's signature over the tree that ends with the record. It is the same whenever it is
/// asked for, and needs nobody else.
fn slip(office: &Office, record: &Record) -> Result<(SignedNote, u64), Status> {
    let header = record.header();
    let (log, epoch, size) = (&header.log, header.epoch, header.seq + 1);
    let info = office.journal.log(log, epoch);
    if info.is_none_or(|info| info.role != journal::Role::Own) {
        let message = format!(
            "a slip of {log} is signed by the office that writes it; a receipt can be had here"
        );
        return Err(Fault::WrongOffice { message }.into());
    }
    let note = heads::sign(office, log, epoch, size).map_err(|failed| match failed {
        SignError::Read(failed) => errors::read(&failed),
        SignError::NoKey { .. } => {
            let message = format!("{failed}; a receipt can be had all the same");
            Fault::WrongOffice { message }.into()
        }
        other => internal(&other),
    })?;
    Ok((view::parsed(&note)?, size))
}

/// The newest head over the record whose lines meet the policy.
fn receipt(office: &Office, record: &Record) -> Result<(SignedNote, u64), Status> {
    let header = record.header();
    let (log, epoch) = (&header.log, header.epoch);
    let policy = view::policy_of(office, log)?;
    let mut wants = None;
    let notes = view::notes_of(office, log, epoch);
    for head in notes.into_iter().rev().filter(|head| head.size > header.seq) {
        let note = view::parsed(&head.note)?;
        match view::missing(&policy, &note) {
            None => return Ok((note, head.size)),
            // The smallest head over the record has had the most time to collect lines.
            Some(missing) => wants = Some((head.size, missing)),
        }
    }
    let at = header.position();
    Err(not_ready(match wants {
        Some((size, missing)) => format!(
            "no head over {at} meets the policy of {log} yet: that of {size} records lacks \
             {missing}; until then the office that writes {log} can give a slip"
        ),
        None => format!(
            "no signed head covers {at} here yet; until then the office that writes {log} can \
             give a slip"
        ),
    }))
}

/// A head that the asker has: it must be one of the tree that is here.
fn under(office: &Office, record: &Record, text: &str) -> Result<(SignedNote, u64), Status> {
    let header = record.header();
    let malformed = |error: NoteError| errors::field("head", &error.to_string());
    let note = SignedNote::parse(text).map_err(malformed)?;
    let head = Checkpoint::from_body(note.text()).map_err(malformed)?;
    if head.origin != origin(&office.options.domain, &header.log, header.epoch) {
        return Err(errors::field("head", "is of another log or epoch than the record"));
    }
    if head.size <= header.seq {
        return Err(errors::field("head", "does not cover the record"));
    }
    let root = office.journal.root_at(&header.log, header.epoch, head.size);
    match root.map_err(|error| errors::read(&error))? == head.root {
        true => Ok((note, head.size)),
        false => Err(errors::field("head", "is not one of the tree here: compare it")),
    }
}

fn internal(failed: &dyn std::error::Error) -> Status {
    error!(error = chain(failed), "make a proof");
    Fault::Internal { doing: "make the proof" }.into()
}
