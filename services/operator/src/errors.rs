//! Every failure as one line that says what happened and what to do, with its exit status.

use std::error::Error;
use std::fmt;

use tonic::{Code, Status};
use wire::client::ConnectError;

/// How the tool ends when not everything is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nobody reads the output any more (a closed pipe); not a failure.
    Quiet,
    /// The answer came and is bad: damage, too many rejected rows.
    Bad,
    /// The command line, a file or a value is wrong.
    Usage,
    /// A node could not be reached, or refused.
    Refused,
}

impl Exit {
    /// The exit status of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Quiet => 0,
            Self::Bad => 1,
            Self::Usage => 2,
            Self::Refused => 3,
        }
    }
}

/// Why a command did not do what it should. Holds no value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status it leads to.
    pub exit: Exit,
    /// One line for the person; empty for [`Exit::Quiet`].
    pub text: String,
}

/// What every command of this tool ends with.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The answer is bad.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { exit: Exit::Bad, text: text.into() }
    }

    /// The command line, a file or a value is wrong.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into() }
    }

    /// A node could not be reached, or refused.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, text: text.into() }
    }

    /// Nobody reads the output.
    #[must_use]
    pub fn quiet() -> Self {
        Self { exit: Exit::Quiet, text: String::new() }
    }

    /// A file or argument is wrong: what was being done, then the chain of causes.
    pub fn wrong(doing: impl fmt::Display, error: &dyn Error) -> Self {
        Self::usage(format!("{doing}: {}", chain(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::refused(status_text(&status))
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let hint = match &error {
            ConnectError::Prepare { .. } => "check the address and the certificate's files",
            ConnectError::Connect { .. } => {
                "check that the node runs there, and that --server-name and ca.pem are its own"
            }
        };
        Self::refused(format!("{}; {hint}", chain(&error)))
    }
}

impl From<identity::IdentityError> for Failure {
    fn from(error: identity::IdentityError) -> Self {
        Self::usage(chain(&error))
    }
}

/// An error with its causes, each once, divided by colons.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    one_line(&text)
}

/// The same text on one line, so that a message from elsewhere cannot forge a line of output.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A status as one line: reason, message, the fields that the message does not name, what to do.
#[must_use]
pub fn status_text(status: &Status) -> String {
    let reason = wire::status::reason_of(status);
    let known = reason.is_some();
    let reason = reason.unwrap_or_else(|| code_name(status.code()).to_owned());
    let mut text = match (status.message(), status.source()) {
        ("", Some(source)) => format!("{reason}: {}", chain(source)),
        ("", None) => reason,
        // A broken connection: the library's message alone says nothing.
        (message, Some(source)) if !known => {
            let cause = chain(source);
            let cause = cause.strip_prefix(message).unwrap_or(&cause).trim_start_matches(": ");
            format!("{reason}: {message}: {cause}")
        }
        (message, _) => format!("{reason}: {message}"),
    };
    for (field, description) in wire::status::fields_of(status) {
        if !text.contains(&field) {
            text = format!("{text} ({field}: {description})");
        }
    }
    if !known && let Some(hint) = hint(status.code()) {
        text = format!("{text}; {hint}");
    }
    one_line(&text)
}

/// What to do about a status that no office of Adal made itself.
fn hint(code: Code) -> Option<&'static str> {
    match code {
        Code::Unavailable | Code::Unknown | Code::Cancelled => Some(
            "the node is not there or broke off: check --node, that it runs, and that it accepts \
             this certificate",
        ),
        Code::DeadlineExceeded => Some("the node did not answer in time: try again"),
        Code::Unimplemented => Some("the node does not know this call: is it of an older version?"),
        Code::PermissionDenied => Some("use --as with the name of a person who may"),
        _ => None,
    }
}

/// The name of a code as the gRPC documentation spells it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether a status says that the node, or the way to it, is away for the moment, so that the
/// same command with the same id is to be sent again.
#[must_use]
pub fn is_away(status: &Status) -> bool {
    let reason = wire::status::reason_of(status);
    match reason.as_deref() {
        Some("STOPPING" | "BUSY" | "REBUILDING" | "INDEX_BUILDING") => true,
        Some(_) => false,
        None => matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
        ),
    }
}

#[cfg(test)]
mod tests {
    use domain::refusal::{Refusal, RefusalCode};
    use wire::status::Fault;

    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_reason_field_and_message() {
        let refusal = Refusal::field(RefusalCode::UnknownCode, "kind", "is not in the list");
        let status: Status = Fault::Refused { request: "receive_appeal", refusal }.into();
        let failure = Failure::from(status);
        assert_eq!(failure.text, "UNKNOWN_CODE: receive_appeal.kind: is not in the list");
        assert_eq!(failure.exit.code(), 3);
        let conflict: Status = Fault::VersionConflict { expected: 1, actual: 4 }.into();
        let text = status_text(&conflict);
        assert!(text.starts_with("VERSION_CONFLICT: the stream is at version 4"), "{text}");
        assert!(text.contains("(meta.expected_version: "), "{text}");
    }

    #[test]
    fn foreign_statuses_get_a_hint() {
        let text = status_text(&Status::unavailable("tcp connect error"));
        assert!(
            text.starts_with("UNAVAILABLE: tcp connect error; the node is not there"),
            "{text}"
        );
        assert!(!status_text(&Status::internal("a\nb")).contains('\n'));
    }

    #[test]
    fn what_is_repeated_and_what_is_not() {
        let stopping: Status = Fault::Stopping.into();
        let busy: Status = Fault::Busy.into();
        let full: Status = Fault::DiskFull { free: 1, watermark: 2 }.into();
        let refused: Status = Fault::NotPermitted { message: "no".into() }.into();
        assert!(is_away(&stopping) && is_away(&busy));
        assert!(is_away(&Status::unknown("h2")) && is_away(&Status::unavailable("gone")));
        assert!(!is_away(&full) && !is_away(&refused));
        assert!(!is_away(&Status::permission_denied("no")));
    }
}
