//! Every failure of a call, and the one place where it becomes a gRPC status.
//!
//! A status carries a `google.rpc.ErrorInfo` with domain `adal` and a stable reason, and a
//! `google.rpc.BadRequest` where fields are at fault. The message says what to do. Nothing in
//! any of them repeats a value of the request or of a record.

use std::collections::HashMap;

use domain::refusal::{Refusal, RefusalCode};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::field::{Invalid, Violation};
use crate::generated::adal::command::v1 as pb;

/// Domain of every reason in `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "adal";

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fields that cannot be what they should.
    Invalid(Invalid),
    /// The domain refused a request.
    Refused {
        /// Name of the request, e.g. `receive_appeal`: the path of its field begins with it.
        request: &'static str,
        /// The refusal.
        refusal: Refusal,
    },
    /// The caller's certificate names nobody who may call.
    Unauthenticated {
        /// What is wrong with the certificate and what to do.
        message: String,
    },
    /// The caller may not do it.
    NotPermitted {
        /// Who may, or what to do.
        message: String,
    },
    /// What the call names is not here.
    NotFound {
        /// What it is, e.g. "log" or "record".
        what: &'static str,
    },
    /// The stream has moved on since the caller saw it.
    VersionConflict {
        /// Version the command expected.
        expected: u32,
        /// Version of the stream.
        actual: u32,
    },
    /// The command id was used for another command.
    CommandReused,
    /// The request is larger than a record may be.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The record has no sealed part.
    NothingSealed,
    /// The sealed part cannot be opened any more: its key was destroyed or is not here.
    KeyMissing,
    /// A stored record or index is damaged.
    Damaged {
        /// The place: log, epoch and sequence, or a file.
        place: String,
    },
    /// No space to record anything.
    DiskFull {
        /// Free bytes.
        free: u64,
        /// Bytes that must stay free.
        watermark: u64,
    },
    /// More is asked at once than the office takes.
    Busy,
    /// The caller began to send a file and sent nothing more of it for too long.
    Idle {
        /// Seconds that the office waits for more of it.
        limit: u64,
    },
    /// The tables are being made anew.
    Rebuilding,
    /// The journal's index is being made anew; reading by position works meanwhile.
    IndexBuilding {
        /// How far it is, in words.
        status: String,
    },
    /// The office is shutting down, or its writer stopped.
    Stopping,
    /// The call is not for this office.
    WrongOffice {
        /// Which office it is for.
        message: String,
    },
    /// The log accepts no more facts until a person has acted.
    ReadOnly {
        /// The log.
        log: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Something failed inside; details are in the office's log.
    Internal {
        /// What was being done, e.g. "read journal".
        doing: &'static str,
    },
}

impl Fault {
    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::TooLarge { .. } => Code::InvalidArgument,
            Self::Refused { refusal, .. } => refusal_status_code(refusal.code),
            Self::Unauthenticated { .. } => Code::Unauthenticated,
            Self::NotPermitted { .. } => Code::PermissionDenied,
            Self::NotFound { .. } => Code::NotFound,
            Self::VersionConflict { .. } => Code::Aborted,
            Self::CommandReused => Code::AlreadyExists,
            Self::NothingSealed
            | Self::KeyMissing
            | Self::WrongOffice { .. }
            | Self::ReadOnly { .. } => Code::FailedPrecondition,
            Self::Damaged { .. } => Code::DataLoss,
            Self::DiskFull { .. } | Self::Busy => Code::ResourceExhausted,
            Self::Rebuilding | Self::IndexBuilding { .. } | Self::Stopping => Code::Unavailable,
            Self::Idle { .. } => Code::DeadlineExceeded,
            Self::Internal { .. } => Code::Internal,
        }
    }

    /// The stable reason, as in `google.rpc.ErrorInfo`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => {
                invalid.violations.first().map_or("MALFORMED", |v| refusal_reason(v.code))
            }
            Self::Refused { refusal, .. } => refusal_reason(refusal.code),
            Self::Unauthenticated { .. } => "UNAUTHENTICATED",
            Self::NotPermitted { .. } => refusal_reason(RefusalCode::NotPermitted),
            Self::NotFound { .. } => refusal_reason(RefusalCode::NotFound),
            Self::VersionConflict { .. } => "VERSION_CONFLICT",
            Self::CommandReused => "COMMAND_REUSED",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::NothingSealed => "NOTHING_SEALED",
            Self::KeyMissing => "KEY_MISSING",
            Self::Damaged { .. } => "DAMAGED",
            Self::DiskFull { .. } => "DISK_FULL",
            Self::Busy => "BUSY",
            Self::Idle { .. } => "IDLE",
            Self::Rebuilding => "REBUILDING",
            Self::IndexBuilding { .. } => "INDEX_BUILDING",
            Self::Stopping => "STOPPING",
            Self::WrongOffice { .. } => "WRONG_OFFICE",
            Self::ReadOnly { .. } => "READ_ONLY",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// What is wrong and what to do, for the person at the other end.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.to_string(),
            Self::Refused { request, refusal } => match &refusal.field {
                Some(field) => format!("{}: {}", path(request, field), refusal.message),
                None => refusal.message.clone().into_owned(),
            },
            Self::Unauthenticated { message }
            | Self::NotPermitted { message }
            | Self::WrongOffice { message } => message.clone(),
            Self::NotFound { what } => format!("this office has no such {what}"),
            Self::VersionConflict { expected, actual } => format!(
                "the stream is at version {actual}, the command expected {expected}; read the \
                 present state and decide again"
            ),
            Self::CommandReused => "this command id was used for another command; take a new \
                                    one for every undertaking"
                .to_owned(),
            Self::TooLarge { limit } => {
                format!("a record may have {limit} bytes; shorten the texts")
            }
            Self::NothingSealed => "the record has no sealed part".to_owned(),
            Self::KeyMissing => {
                "the sealed part cannot be opened: its key was destroyed or is not in this office"
                    .to_owned()
            }
            Self::Damaged { place } => format!(
                "stored data is damaged at {place}; run `adal journal check` and follow its report"
            ),
            Self::DiskFull { free, watermark } => format!(
                "the disk is full ({free} bytes free, {watermark} must stay free); make space, \
                 nothing was recorded"
            ),
            Self::Busy => "too much at once; try again shortly".to_owned(),
            Self::Idle { limit } => format!(
                "nothing more of the file came for {limit} s: nothing of it was stored; send it \
                 again from its beginning"
            ),
            Self::IndexBuilding { status } => {
                format!("{status}; recording works again when it is ready: try again shortly")
            }
            Self::Rebuilding => "the tables are being made anew; try again shortly".to_owned(),
            Self::Stopping => "the office is shutting down; try again when it is back".to_owned(),
            Self::ReadOnly { log, reason } => format!("log {log} is read-only: {reason}"),
            Self::Internal { doing } => {
                format!("failed to {doing}; the office's log has the details")
            }
        }
    }

    /// The fields at fault, with full paths.
    fn violations(&self) -> Vec<FieldViolation> {
        match self {
            Self::Invalid(invalid) => invalid.violations.iter().map(violation).collect(),
            Self::Refused { request, refusal } => refusal
                .field
                .iter()
                .map(|field| FieldViolation {
                    field: path(request, field),
                    description: refusal.message.clone().into_owned(),
                    reason: refusal_reason(refusal.code).to_owned(),
                    ..FieldViolation::default()
                })
                .collect(),
            Self::VersionConflict { .. } => field("meta.expected_version", self),
            Self::CommandReused => field("meta.command_id", self),
            _ => Vec::new(),
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let pairs: Vec<(&str, String)> = match self {
            Self::VersionConflict { expected, actual } => {
                vec![("expected", expected.to_string()), ("actual", actual.to_string())]
            }
            Self::DiskFull { free, watermark } => {
                vec![("free", free.to_string()), ("watermark", watermark.to_string())]
            }
            Self::TooLarge { limit } | Self::Idle { limit } => vec![("limit", limit.to_string())],
            _ => Vec::new(),
        };
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Fault {}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let mut details =
            ErrorDetails::with_error_info(fault.reason(), ERROR_DOMAIN, fault.metadata());
        let violations = fault.violations();
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        Status::with_error_details(fault.code(), fault.message(), details)
    }
}

impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        Fault::Invalid(invalid).into()
    }
}

fn violation(violation: &Violation) -> FieldViolation {
    FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: refusal_reason(violation.code).to_owned(),
        ..FieldViolation::default()
    }
}

fn field(path: &str, fault: &Fault) -> Vec<FieldViolation> {
    let reason = fault.reason().to_owned();
    vec![FieldViolation { reason, ..FieldViolation::new(path, fault.message()) }]
}

/// Path in the command of a field that a refusal names. The domain names fields of the request,
/// and `occurred_at` and `stream_id`, which stand in the command's meta.
fn path(request: &str, field: &str) -> String {
    match field {
        "occurred_at" | "stream_id" => format!("meta.{field}"),
        _ => format!("{request}.{field}"),
    }
}

fn refusal_status_code(code: RefusalCode) -> Code {
    match code {
        RefusalCode::Required
        | RefusalCode::Malformed
        | RefusalCode::TooLong
        | RefusalCode::OutOfRange
        | RefusalCode::UnknownCode
        | RefusalCode::Repeated => Code::InvalidArgument,
        RefusalCode::NotPermitted => Code::PermissionDenied,
        RefusalCode::NotFound => Code::NotFound,
        RefusalCode::AlreadyExists => Code::AlreadyExists,
        RefusalCode::WrongState | RefusalCode::NotReady => Code::FailedPrecondition,
        RefusalCode::Stale => Code::Aborted,
    }
}

fn refusal_reason(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Required => "REQUIRED",
        RefusalCode::Malformed => "MALFORMED",
        RefusalCode::TooLong => "TOO_LONG",
        RefusalCode::OutOfRange => "OUT_OF_RANGE",
        RefusalCode::UnknownCode => "UNKNOWN_CODE",
        RefusalCode::Repeated => "REPEATED",
        RefusalCode::NotPermitted => "NOT_PERMITTED",
        RefusalCode::NotFound => "NOT_FOUND",
        RefusalCode::AlreadyExists => "ALREADY_EXISTS",
        RefusalCode::WrongState => "WRONG_STATE",
        RefusalCode::Stale => "STALE",
        RefusalCode::NotReady => "NOT_READY",
    }
}

/// The stable reason of a status that an office of Adal sent; `None` for any other status.
#[must_use]
pub fn reason_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == ERROR_DOMAIN).then_some(info.reason)
}

/// The fields at fault of a status: path and description.
#[must_use]
pub fn fields_of(status: &Status) -> Vec<(String, String)> {
    let faults = status.get_details_bad_request().map(|bad| bad.field_violations);
    faults.unwrap_or_default().into_iter().map(|v| (v.field, v.description)).collect()
}

/// A status as an outcome of `ExecuteMany` carries it.
#[must_use]
pub fn failure(status: &Status) -> pb::Failure {
    pb::Failure {
        code: status.code().into(),
        message: status.message().to_owned(),
        reason: reason_of(status).unwrap_or_default(),
        fields: fields_of(status)
            .into_iter()
            .map(|(field, description)| pb::FieldFault { field, description })
            .collect(),
        details: status.details().to_vec(),
    }
}

/// The status that `Execute` would have answered.
#[must_use]
pub fn status_of_failure(failure: &pb::Failure) -> Status {
    let code = Code::from_i32(failure.code);
    Status::with_details(code, failure.message.clone(), failure.details.clone().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: RefusalCode, field: Option<&'static str>) -> Status {
        let refusal = Refusal { code, field: field.map(Into::into), message: "say why".into() };
        Fault::Refused { request: "receive_appeal", refusal }.into()
    }

    #[test]
    fn every_refusal_has_its_code_and_reason() {
        let table: Vec<_> = RefusalCode::ALL
            .into_iter()
            .map(|code| {
                let status = refused(code, None);
                let reason = reason_of(&status).unwrap();
                assert_eq!(reason.to_ascii_lowercase(), code.as_str());
                format!("{reason} {:?}", status.code())
            })
            .collect();
        assert_eq!(
            table.join("\n"),
            "REQUIRED InvalidArgument\nMALFORMED InvalidArgument\nTOO_LONG InvalidArgument\n\
             OUT_OF_RANGE InvalidArgument\nUNKNOWN_CODE InvalidArgument\n\
             REPEATED InvalidArgument\nNOT_PERMITTED PermissionDenied\nNOT_FOUND NotFound\n\
             ALREADY_EXISTS AlreadyExists\nWRONG_STATE FailedPrecondition\nSTALE Aborted\n\
             NOT_READY FailedPrecondition"
        );
    }

    #[test]
    fn a_refused_field_is_named_with_its_whole_path() {
        let status = refused(RefusalCode::UnknownCode, Some("kind"));
        assert_eq!(fields_of(&status), [("receive_appeal.kind".to_owned(), "say why".to_owned())]);
        assert_eq!(status.message(), "receive_appeal.kind: say why");
        let status = refused(RefusalCode::OutOfRange, Some("occurred_at"));
        assert_eq!(fields_of(&status)[0].0, "meta.occurred_at");
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].reason, "OUT_OF_RANGE");
    }

    #[test]
    fn a_conflict_names_versions_and_field() {
        let status: Status = Fault::VersionConflict { expected: 2, actual: 5 }.into();
        assert_eq!(status.code(), Code::Aborted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("VERSION_CONFLICT", "adal"));
        assert_eq!(info.metadata["actual"], "5");
        assert_eq!(fields_of(&status)[0].0, "meta.expected_version");
    }

    #[test]
    fn a_failure_gives_the_same_status_back() {
        let status: Status = Fault::DiskFull { free: 10, watermark: 20 }.into();
        let failure = failure(&status);
        assert_eq!(failure.reason, "DISK_FULL");
        let back = status_of_failure(&failure);
        assert_eq!(back.code(), status.code());
        assert_eq!(back.message(), status.message());
        assert_eq!(reason_of(&back).as_deref(), Some("DISK_FULL"));
        assert_eq!(reason_of(&Status::internal("another program's")), None);
    }
}
