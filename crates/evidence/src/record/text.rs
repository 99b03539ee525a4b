//! Short ASCII texts of the header.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest short text in bytes.
pub const MAX_SHORT_TEXT: usize = 63;

/// A short printable ASCII text: 0..=63 bytes of `0x20..=0x7e`. Used for posts (`kz-75/clerk`) and
/// IANA time zones (`Asia/Almaty`), never for anything personal. Clones share one allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText(Arc<str>);

/// Why a text is not a [`ShortText`]. It carries no part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShortTextError {
    /// More than [`MAX_SHORT_TEXT`] bytes.
    #[error("{len} bytes long, at most {MAX_SHORT_TEXT} are allowed")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A byte outside printable ASCII.
    #[error("byte {at} is not printable ASCII")]
    Character {
        /// Offset of the first such byte.
        at: usize,
    },
}

impl ShortText {
    /// Checks `text` and makes a short text of it.
    ///
    /// # Errors
    /// [`ShortTextError`] naming the rule that is broken.
    pub fn new(text: &str) -> Result<Self, ShortTextError> {
        if text.len() > MAX_SHORT_TEXT {
            return Err(ShortTextError::Length { len: text.len() });
        }
        if let Some(at) = text.bytes().position(|b| !matches!(b, 0x20..=0x7e)) {
            return Err(ShortTextError::Character { at });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for ShortText {
    fn default() -> Self {
        Self("".into())
    }
}

impl FromStr for ShortText {
    type Err = ShortTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for ShortText {
    type Error = ShortTextError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl AsRef<str> for ShortText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold() {
        assert!(ShortText::new("").unwrap().is_empty());
        assert!(ShortText::new(&"z".repeat(63)).is_ok());
        assert_eq!(ShortText::new(&"z".repeat(64)), Err(ShortTextError::Length { len: 64 }));
        assert_eq!(ShortText::new("a\nb"), Err(ShortTextError::Character { at: 1 }));
        assert_eq!(ShortText::new("Қ"), Err(ShortTextError::Character { at: 0 }));
        assert_eq!(ShortText::new("\u{7f}"), Err(ShortTextError::Character { at: 0 }));
    }
}
