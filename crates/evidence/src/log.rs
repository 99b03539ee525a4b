//! Names of logs, positions in them, and their origins.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest log name in bytes.
pub const MAX_LOG_NAME: usize = 63;

/// Largest tree size of an epoch that is accepted anywhere: 2^53, so that a size survives every
/// tool that keeps numbers as doubles. Sequences are smaller than this.
pub const MAX_TREE_SIZE: u64 = 1 << 53;

/// The name of a log without the installation's domain, like `kz-75` or `kz/all`.
///
/// 1..=63 bytes of `a-z`, `0-9`, `-` and `/`, no empty segment between slashes. Clones share one
/// allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName(Arc<str>);

/// Why a text is not a log name. It carries no part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogNameError {
    /// Nothing, or more than [`MAX_LOG_NAME`] bytes.
    #[error("log name is {len} bytes long, it must be 1..={MAX_LOG_NAME}")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A byte other than `a-z`, `0-9`, `-`, `/`.
    #[error("log name has a character outside a-z 0-9 - / at byte {at}")]
    Character {
        /// Offset of the first such byte.
        at: usize,
    },
    /// A slash at an end, or two in a row.
    #[error("log name has an empty segment")]
    EmptySegment,
}

impl LogName {
    /// Checks `text` and makes a name of it.
    ///
    /// # Errors
    /// [`LogNameError`] naming the rule that is broken.
    pub fn new(text: &str) -> Result<Self, LogNameError> {
        if text.is_empty() || text.len() > MAX_LOG_NAME {
            return Err(LogNameError::Length { len: text.len() });
        }
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'/');
        if let Some(at) = text.as_bytes().iter().position(|b| !allowed(b)) {
            return Err(LogNameError::Character { at });
        }
        if text.split('/').any(str::is_empty) {
            return Err(LogNameError::EmptySegment);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogName {
    type Err = LogNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for LogName {
    type Error = LogNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl AsRef<str> for LogName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for LogName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogName({})", self.0)
    }
}

/// Where a record is: log, epoch, sequence. Written `kz-75:1:42`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The log.
    pub log: LogName,
    /// The epoch, from 1. A restored writer opens a successor epoch and never reuses a sequence.
    pub epoch: u32,
    /// The sequence in the epoch, from 0: the index of the leaf in the epoch's tree.
    pub seq: u64,
}

/// Why a text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PositionError {
    /// Not `log:epoch:sequence`.
    #[error("a position is written log:epoch:sequence")]
    Shape,
    /// The log is not a log name.
    #[error("position: {0}")]
    Log(#[from] LogNameError),
    /// The epoch is not a plain decimal number of 1..=2^32-1.
    #[error("position: epoch is not a number from 1")]
    Epoch,
    /// The sequence is not a plain decimal number below 2^53.
    #[error("position: sequence is not a number from 0")]
    Sequence,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.log, self.epoch, self.seq)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let (Some(log), Some(epoch), Some(seq)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(PositionError::Shape);
        };
        let log = LogName::new(log)?;
        let epoch = decimal(epoch)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|epoch| *epoch >= 1)
            .ok_or(PositionError::Epoch)?;
        let seq = decimal(seq).filter(|n| *n < MAX_TREE_SIZE).ok_or(PositionError::Sequence)?;
        Ok(Self { log, epoch, seq })
    }
}

/// Reads a decimal number in its only spelling: digits, no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// The origin of a log's epoch, which is also the name of its signing key:
/// `<domain>/log/<log>`, and `.e<epoch>` behind it from the second epoch on.
///
/// A point cannot stand in a [`LogName`], so no two logs or epochs of a domain share an origin; a
/// `+` would be illegal in a key name (C2SP signed-note).
#[must_use]
pub fn origin(domain: &str, log: &LogName, epoch: u32) -> String {
    if epoch <= 1 { format!("{domain}/log/{log}") } else { format!("{domain}/log/{log}.e{epoch}") }
}

/// Whether `text` is the origin of this log and epoch in some domain (a domain has no slash).
#[must_use]
pub fn is_origin_of(text: &str, log: &LogName, epoch: u32) -> bool {
    let Some((domain, _)) = text.split_once('/') else { return false };
    !domain.is_empty() && text == origin(domain, log, epoch)
}

/// Domain, log and epoch of an origin; the inverse of [`origin`] in its only spelling.
#[must_use]
pub fn parse_origin(text: &str) -> Option<(&str, LogName, u32)> {
    let (domain, rest) = text.split_once("/log/")?;
    let (log, epoch) = match rest.split_once(".e") {
        Some((log, epoch)) => (log, u32::try_from(decimal(epoch)?).ok().filter(|e| *e >= 2)?),
        None => (rest, 1),
    };
    let log = LogName::new(log).ok()?;
    is_origin_of(text, &log, epoch).then_some((domain, log, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["kz", "kz/all", "kz/kz-75", "kz-75", "a/b/c", "0"] {
            assert_eq!(LogName::new(good).unwrap().to_string(), good);
        }
        assert_eq!(LogName::new(""), Err(LogNameError::Length { len: 0 }));
        assert_eq!(LogName::new(&"a".repeat(64)), Err(LogNameError::Length { len: 64 }));
        assert!(LogName::new(&"a".repeat(63)).is_ok());
        assert_eq!(LogName::new("KZ"), Err(LogNameError::Character { at: 0 }));
        assert_eq!(LogName::new("kz.e2"), Err(LogNameError::Character { at: 2 }));
        assert_eq!(LogName::new("kz\n"), Err(LogNameError::Character { at: 2 }));
        for hollow in ["/kz", "kz/", "kz//all", "/"] {
            assert_eq!(LogName::new(hollow), Err(LogNameError::EmptySegment));
        }
    }

    #[test]
    fn positions_have_one_spelling() {
        let position: Position = "kz/all:1:42".parse().unwrap();
        assert_eq!(position.to_string(), "kz/all:1:42");
        for bad in ["kz", "kz:1", "kz:0:1", "kz:01:1", "kz:1:+1", "kz:1:", "kz:1:1:1", "K:1:1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
        assert_eq!("kz:1:9007199254740992".parse::<Position>(), Err(PositionError::Sequence));
        assert_eq!("kz:4294967296:1".parse::<Position>(), Err(PositionError::Epoch));
    }

    #[test]
    fn origins_are_told_apart() {
        let log = LogName::new("kz-75").unwrap();
        assert_eq!(origin("adal.example", &log, 1), "adal.example/log/kz-75");
        assert_eq!(origin("adal.example", &log, 2), "adal.example/log/kz-75.e2");
        assert!(is_origin_of("adal.example/log/kz-75", &log, 1));
        assert!(!is_origin_of("adal.example/log/kz-75", &log, 2));
        assert!(!is_origin_of("adal.example/log/kz-7", &log, 1));
        assert!(!is_origin_of("adal.example/log/x/log/kz-75", &log, 1));
        assert!(!is_origin_of("/log/kz-75", &log, 1));
    }

    #[test]
    fn origins_are_taken_apart_in_their_only_spelling() {
        let log = LogName::new("kz/log/kz-75").unwrap();
        for epoch in [1, 2, 10, u32::MAX] {
            let text = origin("adal.example", &log, epoch);
            assert_eq!(parse_origin(&text), Some(("adal.example", log.clone(), epoch)));
        }
        for bad in ["a/log/kz.e1", "a/log/kz.e02", "a/log/kz.e", "a/log/", "/log/kz", "a/kz"] {
            assert_eq!(parse_origin(bad), None, "{bad}");
        }
        assert_eq!(parse_origin("a/log/kz.e4294967296"), None);
        assert_eq!(parse_origin("a/b/log/kz"), None);
    }
}
