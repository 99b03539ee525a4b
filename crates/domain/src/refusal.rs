//! Refusals: why a request records nothing, in words a person can act on.

use std::borrow::Cow;
use std::fmt;

/// The class of a refusal: stable, for programs; `wire` maps each to a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalCode {
    /// A value that is needed is absent.
    Required,
    /// A value does not have the form it must have.
    Malformed,
    /// A text is longer than its limit.
    TooLong,
    /// A number, date or time is outside its limits, or contradicts another one.
    OutOfRange,
    /// A code is not in the present version of its classifier.
    UnknownCode,
    /// A list names the same thing twice.
    Repeated,
    /// The actor's role, or this office, may not do it.
    NotPermitted,
    /// The stream has no facts yet, so there is nothing to act on.
    NotFound,
    /// The stream was begun already.
    AlreadyExists,
    /// The stream's state does not allow it now.
    WrongState,
    /// What the request believes to be recorded is not (any more).
    Stale,
    /// This office cannot do it until an operator acts (no registration number, no classifier).
    NotReady,
}

impl RefusalCode {
    /// All codes.
    pub const ALL: [Self; 12] = [
        Self::Required,
        Self::Malformed,
        Self::TooLong,
        Self::OutOfRange,
        Self::UnknownCode,
        Self::Repeated,
        Self::NotPermitted,
        Self::NotFound,
        Self::AlreadyExists,
        Self::WrongState,
        Self::Stale,
        Self::NotReady,
    ];

    /// The stable name of the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::OutOfRange => "out_of_range",
            Self::UnknownCode => "unknown_code",
            Self::Repeated => "repeated",
            Self::NotPermitted => "not_permitted",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::WrongState => "wrong_state",
            Self::Stale => "stale",
            Self::NotReady => "not_ready",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A refused request. The message says what to do and never repeats a value of the request, so
/// it may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .field.as_ref().map(|f| format!("{f}: ")).unwrap_or_default())]
pub struct Refusal {
    /// The class.
    pub code: RefusalCode,
    /// The field of the request, as the protobuf names it, for example `participants[2].class`.
    pub field: Option<Cow<'static, str>>,
    /// What is wrong and what to do.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal of the whole request.
    pub fn new(code: RefusalCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: None, message: message.into() }
    }

    /// A refusal because of one field.
    pub fn field(
        code: RefusalCode,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { code, field: Some(field.into()), message: message.into() }
    }

    /// The stream's state does not allow the request now.
    pub(crate) fn state(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalCode::WrongState, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_with_its_field() {
        let refusal = Refusal::field(RefusalCode::Required, "channel", "is needed");
        assert_eq!(refusal.to_string(), "channel: is needed");
        assert_eq!(Refusal::state("is closed").to_string(), "is closed");
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<_> =
            RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), RefusalCode::ALL.len());
    }
}
