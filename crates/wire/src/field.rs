//! Fields between domain types and generated ones, in both directions.
//!
//! `Wire` is the one way a value crosses: `put` cannot fail, `get` reports what is wrong to a
//! `Reader`, which knows the path of the field. All faults of a message are collected, so that
//! a clerk learns of all of them at once. No fault repeats a value.

use std::fmt::{self, Display, Write as _};
use std::str::FromStr;

use domain::code::{Code, LogId, OrderNumber, Post};
use domain::ids::{AppealId, ContactId, DirectiveId, EventId};
use domain::integrity::StoredBytes;
use domain::office::OfficeCode;
use domain::refusal::RefusalCode;
use domain::{RegistrationNumber, Text, Timestamp};
use jiff::civil::Date;
use uuid::Uuid;

/// Most violations that one answer lists; further ones show after these are repaired.
pub const MAX_VIOLATIONS: usize = 20;

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the message, e.g. `receive_appeal.kind` or `targets[2]`.
    pub field: String,
    /// Class of the fault.
    pub code: RefusalCode,
    /// What is wrong and what to do; never the value.
    pub description: String,
}

/// A message whose fields cannot be what they should. Never holds a value of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The fields at fault, at least one, at most [`MAX_VIOLATIONS`].
    pub violations: Vec<Violation>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.violations.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Collects faults below a path.
pub(crate) struct Reader {
    path: String,
    violations: Vec<Violation>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { path: String::new(), violations: Vec::new() }
    }

    /// Reads one field: within `read`, faults are reported for this name.
    pub(crate) fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let value = read(self);
        self.path.truncate(before);
        value
    }

    fn element<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.path.len();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "[{index}]");
        let value = read(self);
        self.path.truncate(before);
        value
    }

    /// Reports a fault of the present field.
    pub(crate) fn fault<T>(&mut self, code: RefusalCode, text: impl Into<String>) -> Option<T> {
        if self.violations.len() < MAX_VIOLATIONS {
            let field = self.path.clone();
            self.violations.push(Violation { field, code, description: text.into() });
        }
        None
    }

    fn required<T>(&mut self) -> Option<T> {
        self.fault(RefusalCode::Required, "is needed")
    }

    /// The value, if no fault was reported.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            _ => Err(Invalid { violations: self.violations }),
        }
    }
}

/// A domain value with its form `P` in a generated message.
pub(crate) trait Wire<P>: Sized {
    fn put(&self) -> P;

    /// `None` after reporting at least one fault.
    fn get(from: P, reader: &mut Reader) -> Option<Self>;

    /// Whether an optional field with this content counts as absent. Clients in many languages
    /// cannot leave out a text, so an empty one is "none" wherever empty is no value.
    fn absent(_: &P) -> bool {
        false
    }
}

impl<P, T: Wire<P>> Wire<Option<P>> for Option<T> {
    fn put(&self) -> Option<P> {
        self.as_ref().map(T::put)
    }

    fn get(from: Option<P>, reader: &mut Reader) -> Option<Self> {
        match from {
            Some(value) if !T::absent(&value) => T::get(value, reader).map(Some),
            _ => Some(None),
        }
    }
}

impl<P, T: Wire<P>> Wire<Vec<P>> for Vec<T> {
    fn put(&self) -> Vec<P> {
        self.iter().map(T::put).collect()
    }

    fn get(from: Vec<P>, reader: &mut Reader) -> Option<Self> {
        let mut values = Vec::with_capacity(from.len());
        let mut whole = true;
        for (index, value) in from.into_iter().enumerate() {
            match reader.element(index, |r| T::get(value, r)) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Wire<$kind> for $kind {
            fn put(&self) -> $kind {
                self.clone()
            }

            fn get(from: $kind, _: &mut Reader) -> Option<Self> {
                Some(from)
            }
        }
    )*};
}
plain!(bool, u32, u64, i64, String);

impl Wire<Vec<u8>> for StoredBytes {
    fn put(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn get(from: Vec<u8>, _: &mut Reader) -> Option<Self> {
        Some(StoredBytes(from))
    }
}

/// Personal data and free text: every content is a value, the empty one too.
impl Wire<String> for Text {
    fn put(&self) -> String {
        self.expose().to_owned()
    }

    fn get(from: String, _: &mut Reader) -> Option<Self> {
        Some(Text::new(from))
    }
}

fn parse<T: FromStr<Err: Display>>(from: &str, reader: &mut Reader) -> Option<T> {
    if from.is_empty() {
        return reader.required();
    }
    match from.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let text = T::Err::to_string(&error);
            reader.fault(RefusalCode::Malformed, text)
        }
    }
}

macro_rules! names {
    ($($kind:ty),*) => {$(
        impl Wire<String> for $kind {
            fn put(&self) -> String {
                self.to_string()
            }

            fn get(from: String, reader: &mut Reader) -> Option<Self> {
                parse(&from, reader)
            }

            fn absent(from: &String) -> bool {
                from.is_empty()
            }
        }
    )*};
}
names!(Code, Post, OrderNumber, LogId, OfficeCode, RegistrationNumber);

impl Wire<String> for Uuid {
    fn put(&self) -> String {
        self.to_string()
    }

    fn get(from: String, reader: &mut Reader) -> Option<Self> {
        if from.is_empty() {
            return reader.required();
        }
        match Uuid::try_parse(&from) {
            Ok(id) => Some(id),
            Err(_) => reader.fault(
                RefusalCode::Malformed,
                "is no UUID; write it like 0190163d-8694-739b-aea5-966c26f8ad91",
            ),
        }
    }

    fn absent(from: &String) -> bool {
        from.is_empty()
    }
}

macro_rules! ids {
    ($($kind:ident),*) => {$(
        impl Wire<String> for $kind {
            fn put(&self) -> String {
                self.to_string()
            }

            fn get(from: String, reader: &mut Reader) -> Option<Self> {
                <Uuid as Wire<String>>::get(from, reader).map($kind::new)
            }

            fn absent(from: &String) -> bool {
                from.is_empty()
            }
        }

        impl Wire<Vec<u8>> for $kind {
            fn put(&self) -> Vec<u8> {
                self.bytes().to_vec()
            }

            fn get(from: Vec<u8>, reader: &mut Reader) -> Option<Self> {
                <[u8; 16] as Wire<Vec<u8>>>::get(from, reader).map($kind::from)
            }
        }
    )*};
}
ids!(AppealId, ContactId, DirectiveId, EventId);

impl<const N: usize> Wire<Vec<u8>> for [u8; N] {
    fn put(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn get(from: Vec<u8>, reader: &mut Reader) -> Option<Self> {
        if from.is_empty() {
            return reader.required();
        }
        match from.try_into() {
            Ok(bytes) => Some(bytes),
            Err(_) => reader.fault(RefusalCode::Malformed, format!("must have {N} bytes")),
        }
    }
}

impl Wire<String> for Date {
    fn put(&self) -> String {
        self.to_string()
    }

    fn get(from: String, reader: &mut Reader) -> Option<Self> {
        if from.is_empty() {
            return reader.required();
        }
        match from.parse::<Date>() {
            // The parser also takes other ISO forms; one form only, so that equal days are
            // equal texts.
            Ok(date) if date.to_string() == from => Some(date),
            _ => reader.fault(RefusalCode::Malformed, "is no date; write it like 2026-11-25"),
        }
    }

    fn absent(from: &String) -> bool {
        from.is_empty()
    }
}

impl Wire<prost_types::Timestamp> for Timestamp {
    fn put(&self) -> prost_types::Timestamp {
        crate::time::timestamp(*self)
    }

    fn get(from: prost_types::Timestamp, reader: &mut Reader) -> Option<Self> {
        match crate::time::instant(&from) {
            Some(instant) => Some(instant),
            None => reader.fault(RefusalCode::OutOfRange, "is no instant that can be recorded"),
        }
    }
}

/// A required instant: generated code has an `Option` for every message field.
impl Wire<Option<prost_types::Timestamp>> for Timestamp {
    fn put(&self) -> Option<prost_types::Timestamp> {
        Some(crate::time::timestamp(*self))
    }

    fn get(from: Option<prost_types::Timestamp>, reader: &mut Reader) -> Option<Self> {
        match from {
            Some(from) => <Self as Wire<prost_types::Timestamp>>::get(from, reader),
            None => reader.required(),
        }
    }
}

/// A struct of the domain and the generated message with the same field names. `without f`
/// names a domain field that the message does not have; it reads as `None`.
macro_rules! message {
    ($($domain:ty = $pb:path { $($field:ident),* $(,)? } $(without $absent:ident)?;)*) => {$(
        impl $crate::field::Wire<$pb> for $domain {
            fn put(&self) -> $pb {
                $pb { $($field: $crate::field::Wire::put(&self.$field)),* }
            }

            #[allow(unused_variables)]
            fn get(from: $pb, reader: &mut $crate::field::Reader) -> Option<Self> {
                $(let $field = reader.field(stringify!($field), |r| {
                    $crate::field::Wire::get(from.$field, r)
                });)*
                Some(Self { $($field: $field?,)* $($absent: None)? })
            }
        }
    )*};
}
pub(crate) use message;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<P, T: Wire<P>>(from: P) -> Result<T, Invalid> {
        let mut reader = Reader::new();
        let value = reader.field("x", |r| T::get(from, r));
        reader.finish(value)
    }

    #[test]
    fn dates_have_one_form() {
        assert_eq!(read::<_, Date>("2026-11-25".to_owned()).unwrap().to_string(), "2026-11-25");
        for bad in ["2026-11-31", "20261125", "2026-11-25T10:00:00", "25.11.2026", "2026-W48-3"] {
            let invalid = read::<_, Date>(bad.to_owned()).unwrap_err();
            assert_eq!(invalid.violations[0].code, RefusalCode::Malformed, "{bad}");
        }
        assert_eq!(
            read::<_, Date>(String::new()).unwrap_err().violations[0].code,
            RefusalCode::Required
        );
    }

    #[test]
    fn every_fault_has_its_path_and_none_its_value() {
        let codes = vec!["ok".to_owned(), "Secret Name".to_owned(), String::new()];
        let invalid = read::<_, Vec<Code>>(codes).unwrap_err();
        let paths: Vec<_> = invalid.violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(paths, ["x[1]", "x[2]"]);
        assert!(!invalid.to_string().contains("Secret"), "{invalid}");
        let many = vec!["Й".to_owned(); 1000];
        assert_eq!(read::<_, Vec<Code>>(many).unwrap_err().violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn an_empty_optional_code_is_none_but_an_empty_text_is_a_text() {
        assert_eq!(read::<_, Option<Code>>(Some(String::new())), Ok(None));
        assert_eq!(read::<_, Option<Text>>(Some(String::new())), Ok(Some(Text::from(""))));
        assert_eq!(read::<_, Option<AppealId>>(Some(String::new())), Ok(None));
        assert!(read::<_, Option<AppealId>>(Some(vec![1_u8; 15])).is_err());
    }
}
