//! Short validated names that may stand in open bodies: codes of classifiers, posts, order
//! numbers, logs. None of them can hold a sentence.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::limits;

/// Why a text is not a [`Code`], [`Post`], [`OrderNumber`] or [`LogId`]. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than the stated number of bytes.
    #[error("must have 1 to {max} characters")]
    Length {
        /// The longest permitted length, in bytes.
        max: usize,
    },
    /// A character outside the permitted set.
    #[error("may contain only {allowed}")]
    Character {
        /// The permitted characters, in words.
        allowed: &'static str,
    },
}

const fn code_byte(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')
}

const fn post_byte(b: u8) -> bool {
    code_byte(b) || b == b'/'
}

const fn order_byte(b: u8) -> bool {
    b.is_ascii_graphic()
}

const fn log_byte(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'/')
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $max:expr, $allowed:literal, $permitted:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Validates and takes the text.
            ///
            /// # Errors
            /// Wrong length or a character outside the permitted set.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if text.is_empty() || text.len() > $max {
                    return Err(NameError::Length { max: $max });
                }
                if !text.bytes().all($permitted) {
                    return Err(NameError::Character { allowed: $allowed });
                }
                Ok(Self(Cow::Owned(text.to_owned())))
            }

            /// Takes a text written in the program; for constants, where a wrong one does not
            /// compile.
            ///
            /// # Panics
            /// Outside a constant, when the text has another form.
            pub const fn from_static(text: &'static str) -> Self {
                let bytes = text.as_bytes();
                assert!(!bytes.is_empty() && bytes.len() <= $max, "wrong length");
                let mut at = 0;
                while at < bytes.len() {
                    assert!($permitted(bytes[at]), "wrong character");
                    at += 1;
                }
                Self(Cow::Borrowed(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    )*};
}

names! {
    /// A code of a classifier (or its id): 1 to 48 characters of `[a-z0-9_.-]`.
    Code: limits::CODE_BYTES, "a-z, 0-9, '_', '.' and '-'", code_byte;
    /// The post a person acts from, for example `kz-75/clerk`: 1 to 63 characters of
    /// `[a-z0-9_.-/]`.
    Post: limits::POST_BYTES, "a-z, 0-9, '_', '.', '-' and '/'", post_byte;
    /// The number of an order as its register writes it, for example `6001-23-7-6/443`:
    /// 1 to 40 characters of printable ASCII without space.
    OrderNumber: limits::ORDER_NUMBER_BYTES, "printable ASCII without spaces", order_byte;
    /// The name of a log as facts hold it, for example `kz-75` or `kz/all`: 1 to 63 characters of
    /// `[a-z0-9-/]`. Whether a log of this name can exist is for its user to check.
    LogId: limits::LOG_BYTES, "a-z, 0-9, '-' and '/'", log_byte;
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn code_limits() {
        assert!(Code::new("violation_message").is_ok());
        assert!(Code::new(&"a".repeat(48)).is_ok());
        assert_eq!(Code::new(&"a".repeat(49)), Err(NameError::Length { max: 48 }));
        assert_eq!(Code::new(""), Err(NameError::Length { max: 48 }));
        assert!(matches!(Code::new("Call"), Err(NameError::Character { .. })));
        assert!(matches!(Code::new("шағым"), Err(NameError::Character { .. })));
        assert!(Code::new("a/b").is_err());
        assert!(Post::new("kz-75/clerk").is_ok());
        assert!(OrderNumber::new("6001-23-7-6/443").is_ok());
        assert!(OrderNumber::new("No 5").is_err());
        assert!(LogId::new("kz/kz-75").is_ok());
        assert!(LogId::new("kz-75.e2").is_err());
        assert!(LogId::new(&"a".repeat(64)).is_err());
        const CALL: Code = Code::from_static("call");
        assert_eq!(CALL, Code::new("call").unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_code_or_refused(text in "\\PC{0,60}") {
            if let Ok(code) = Code::new(&text) {
                prop_assert_eq!(code.as_str(), text.as_str());
                prop_assert!(text.len() <= 48);
            }
        }
    }
}
