//! Every failure of this crate as a status. What a person needs is in the message; the details
//! for an operator go to the node's log, payloads to neither.

use std::io;

use domain::refusal::RefusalCode;
use evidence::record::{MAX_RECORD, RecordError};
use journal::{CommitError, IndexStatus, ReadError};
use telemetry::metrics::Outcome;
use tonic::Status;
use tracing::error;
use vault::VaultError;
use wire::field::{Invalid, Violation};
use wire::status::Fault;

use crate::decide::{ExecuteError, Receipt};
use crate::epochs::EpochError;
use crate::facts::FactsError;
use crate::project::chain;
use crate::recover::RecoverError;
use crate::seal::SealError;
use crate::writer::WriteError;

/// A malformed field of a question.
pub fn field(name: &str, description: &str) -> Status {
    let violation = Violation {
        field: name.to_owned(),
        code: RefusalCode::Malformed,
        description: description.to_owned(),
    };
    Fault::Invalid(Invalid { violations: vec![violation] }).into()
}

/// A new epoch that could not be opened. What the operator needs is in the chain: files and
/// folders of the node, nothing else.
pub fn epoch(failure: &EpochError) -> Status {
    match failure {
        EpochError::Write(WriteError::ReadOnly { log, reason }) => {
            Fault::ReadOnly { log: log.to_string(), reason: reason.clone() }.into()
        }
        EpochError::Write(WriteError::Stopped) => Fault::Stopping.into(),
        EpochError::Write(WriteError::Refused(refused)) => commit(refused),
        other => {
            error!(error = chain(other), "change the key");
            Status::failed_precondition(format!("the key was not changed: {}", chain(other)))
        }
    }
}

/// Records that were found and not entered.
pub fn recover(failure: &RecoverError) -> Status {
    match failure {
        RecoverError::Write(WriteError::ReadOnly { log, reason }) => {
            Fault::ReadOnly { log: log.to_string(), reason: reason.clone() }.into()
        }
        RecoverError::Write(WriteError::Stopped) => Fault::Stopping.into(),
        RecoverError::Write(WriteError::Refused(refused)) => commit(refused),
        RecoverError::Read(error) => read(error),
        RecoverError::Foreign { .. } => field("record", &chain(failure)),
        other => {
            error!(error = chain(other), "recover records");
            Status::internal("the records were not entered; see the node's log")
        }
    }
}

/// A command that recorded nothing; `request` is its name, with which the path of a field begins.
pub fn execute(failure: &ExecuteError, request: &'static str) -> Status {
    let fault = match failure {
        ExecuteError::Refused(refusal) => Fault::Refused { request, refusal: refusal.clone() },
        ExecuteError::VersionConflict { expected, actual } => {
            Fault::VersionConflict { expected: *expected, actual: *actual }
        }
        ExecuteError::CommandReused => Fault::CommandReused,
        ExecuteError::Write(WriteError::ReadOnly { log, reason }) => {
            Fault::ReadOnly { log: log.to_string(), reason: reason.clone() }
        }
        ExecuteError::Write(WriteError::Stopped) => Fault::Stopping,
        ExecuteError::Write(WriteError::Keys(source)) if is_full(source) => {
            Fault::DiskFull { free: 0, watermark: 0 }
        }
        ExecuteError::Write(WriteError::Keys(_)) => internal("make keys durable", failure),
        ExecuteError::Write(WriteError::Refused(refused)) => return commit(refused),
        ExecuteError::Load(FactsError::Read(error)) => return read(error),
        ExecuteError::Load(_) => internal("load the stream", failure),
        ExecuteError::Seal(SealError::Vault(error)) => return vault(error),
        ExecuteError::Seal(_) => internal("encode the facts", failure),
        ExecuteError::Numbers(_) => return Status::failed_precondition(failure.to_string()),
        ExecuteError::Number(_) => internal("give a registration number", failure),
        ExecuteError::Log(_) => internal("name the log", failure),
    };
    fault.into()
}

/// How a command ended, for the metric: refusals are the asker's affair, failures ours.
pub fn outcome(executed: &Result<Receipt, ExecuteError>) -> Outcome {
    match executed {
        Ok(receipt) if receipt.replayed => Outcome::Replayed,
        Ok(_) => Outcome::Done,
        Err(
            ExecuteError::Refused(_)
            | ExecuteError::VersionConflict { .. }
            | ExecuteError::CommandReused,
        ) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A transaction that the journal refused.
fn commit(refused: &CommitError) -> Status {
    match refused {
        CommitError::DiskFull { free, watermark } => {
            Fault::DiskFull { free: *free, watermark: *watermark }.into()
        }
        CommitError::AttachmentMissing { .. } => Fault::NotFound { what: "attachment" }.into(),
        CommitError::TooLarge { limit, .. } => Fault::TooLarge { limit: *limit }.into(),
        CommitError::Record(RecordError::TooLarge { .. }) => {
            Fault::TooLarge { limit: MAX_RECORD as u64 }.into()
        }
        CommitError::IndexBuilding { status }
        | CommitError::Read(ReadError::IndexBuilding { status }) => building(status).into(),
        other => internal("commit the facts", other).into(),
    }
}

/// A record that cannot be served.
pub fn read(failure: &ReadError) -> Status {
    match failure {
        ReadError::Damaged { log, epoch, seq, .. } => {
            error!(error = chain(failure), "damaged record");
            Fault::Damaged { place: format!("{log} epoch {epoch} sequence {seq}") }.into()
        }
        ReadError::IndexBuilding { status } => building(status).into(),
        other => internal("read the journal", other).into(),
    }
}

fn building(status: &IndexStatus) -> Fault {
    Fault::IndexBuilding { status: status.to_string() }
}

/// A sealed part that cannot be made or opened.
pub fn vault(failure: &VaultError) -> Status {
    match failure {
        VaultError::UnknownKey { .. } | VaultError::Destroyed { .. } => Fault::KeyMissing.into(),
        other => internal("use the vault", other).into(),
    }
}

/// A table that cannot be read.
pub fn view(failure: &projection::Error) -> Status {
    use projection::Error;
    match failure {
        Error::Filter { field: name, .. } => field(&format!("filter.{name}"), &failure.to_string()),
        Error::Grouping { .. } => field("group_by", &failure.to_string()),
        Error::PageToken => field("page_token", &failure.to_string()),
        other => internal("read the tables", other).into(),
    }
}

fn internal(doing: &'static str, failure: &dyn std::error::Error) -> Fault {
    error!(error = chain(failure), doing, "internal failure");
    Fault::Internal { doing }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn an_attachment_that_is_not_here_is_not_found_and_not_named() {
        let hash = "0123abcd".to_owned();
        let refused = CommitError::AttachmentMissing { index: 0, hash, size: 5, held: None };
        let status = commit(&refused);
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "this office has no such attachment");
    }
}
