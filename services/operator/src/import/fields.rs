//! The requests that can be imported, their fields, and how values become a request.

use std::collections::BTreeMap;

use domain::appeal::{ApplicantPart, CloseAppeal, ReceiveAppeal, TriageAppeal};
use domain::classifier::list;
use domain::contact::{CallerPart, CloseContact, GiveConsultation, LinkContact, OpenContact};
use domain::ids::{AppealId, ContactId};
use domain::{Code, Request, StreamKind, Text, Timestamp};
use jiff::civil::Date;
use uuid::Uuid;

use crate::import::mapping::Value;

/// A request that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// `open_contact`
    OpenContact,
    /// `give_consultation`
    GiveConsultation,
    /// `link_contact`
    LinkContact,
    /// `close_contact`
    CloseContact,
    /// `receive_appeal`
    ReceiveAppeal,
    /// `triage_appeal`
    TriageAppeal,
    /// `close_appeal`
    CloseAppeal,
}

/// What a field of a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A code of this classifier.
    Code(&'static str),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count,
    /// A time.
    Instant,
    /// A day.
    Day,
    /// A text, sealed before it is stored.
    Text,
    /// The id of a stream of the same row.
    Stream,
}

/// One field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its path, as in the command: `personal.text`.
    pub name: &'static str,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether the request needs it.
    pub required: bool,
}

const fn need(name: &'static str, kind: FieldKind) -> Field {
    Field { name, kind, required: true }
}

const fn may(name: &'static str, kind: FieldKind) -> Field {
    Field { name, kind, required: false }
}

const OPEN_CONTACT: &[Field] = &[
    need("channel", FieldKind::Code(list::CHANNEL)),
    may("line", FieldKind::Code(list::LINE)),
    need("language", FieldKind::Code(list::LANGUAGE)),
    may("personal.name", FieldKind::Text),
    may("personal.phone", FieldKind::Text),
    may("personal.note", FieldKind::Text),
];
const GIVE_CONSULTATION: &[Field] = &[need("topic", FieldKind::Code(list::TOPIC))];
const LINK_CONTACT: &[Field] = &[need("appeal", FieldKind::Stream)];
const CLOSE_CONTACT: &[Field] = &[need("outcome", FieldKind::Code(list::CONTACT_OUTCOME))];
const RECEIVE_APPEAL: &[Field] = &[
    need("kind", FieldKind::Code(list::APPEAL_KIND)),
    need("form", FieldKind::Code(list::APPEAL_FORM)),
    need("character", FieldKind::Code(list::APPEAL_CHARACTER)),
    need("applicants", FieldKind::Count),
    need("anonymous", FieldKind::Flag),
    need("language", FieldKind::Code(list::LANGUAGE)),
    need("channel", FieldKind::Code(list::CHANNEL)),
    may("contact", FieldKind::Stream),
    may("received_at", FieldKind::Instant),
    may("registered_on", FieldKind::Day),
    may("due_on", FieldKind::Day),
    may("personal.name", FieldKind::Text),
    may("personal.contacts", FieldKind::Text),
    may("personal.text", FieldKind::Text),
];
const TRIAGE_APPEAL: &[Field] = &[
    need("category", FieldKind::Code(list::CATEGORY)),
    need("severity", FieldKind::Code(list::SEVERITY)),
    need("urgency", FieldKind::Code(list::URGENCY)),
    need("corruption_signs", FieldKind::Flag),
    need("judicial_matter", FieldKind::Flag),
];
const CLOSE_APPEAL: &[Field] = &[need("closure", FieldKind::Code(list::CLOSURE))];

impl RequestKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OpenContact,
        Self::GiveConsultation,
        Self::LinkContact,
        Self::CloseContact,
        Self::ReceiveAppeal,
        Self::TriageAppeal,
        Self::CloseAppeal,
    ];

    /// Its name, as in the command's `oneof`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenContact => "open_contact",
            Self::GiveConsultation => "give_consultation",
            Self::LinkContact => "link_contact",
            Self::CloseContact => "close_contact",
            Self::ReceiveAppeal => "receive_appeal",
            Self::TriageAppeal => "triage_appeal",
            Self::CloseAppeal => "close_appeal",
        }
    }

    /// The request of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its fields.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::OpenContact => OPEN_CONTACT,
            Self::GiveConsultation => GIVE_CONSULTATION,
            Self::LinkContact => LINK_CONTACT,
            Self::CloseContact => CLOSE_CONTACT,
            Self::ReceiveAppeal => RECEIVE_APPEAL,
            Self::TriageAppeal => TRIAGE_APPEAL,
            Self::CloseAppeal => CLOSE_APPEAL,
        }
    }

    /// The field of a name.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Field> {
        self.fields().iter().find(|field| field.name == name).copied()
    }

    /// Whether it begins a stream.
    #[must_use]
    pub fn begins(self) -> bool {
        matches!(self, Self::OpenContact | Self::ReceiveAppeal)
    }

    /// The kind of stream that it is about.
    #[must_use]
    pub fn stream_kind(self) -> StreamKind {
        match self {
            Self::OpenContact | Self::GiveConsultation | Self::LinkContact | Self::CloseContact => {
                StreamKind::Contact
            }
            Self::ReceiveAppeal | Self::TriageAppeal | Self::CloseAppeal => StreamKind::Appeal,
        }
    }
}

impl FieldKind {
    /// Whether a value of the mapping fits this field.
    ///
    /// # Errors
    /// What the field takes.
    pub fn accepts(self, value: &Value) -> Result<(), String> {
        let constant = match value {
            Value::Constant(text) => Some(text.as_str()),
            _ => None,
        };
        let fits = match (self, value) {
            (Self::Stream, Value::Stream(_)) => true,
            (Self::Stream, _) | (_, Value::Stream(_)) => false,
            (Self::Text, Value::Column { not_before: None, .. } | Value::Lines(_)) => true,
            (_, Value::Lines(_)) => false,
            (Self::Day, Value::Column { .. }) => true,
            (_, Value::Column { not_before, .. }) => not_before.is_none(),
            (Self::Instant | Self::Day, Value::Constant(_)) => false,
            (Self::Flag, _) => constant.is_some_and(|text| flag(text).is_some()),
            (Self::Count, _) => constant.is_some_and(|text| text.parse::<u32>().is_ok()),
            (Self::Code(_) | Self::Text, _) => true,
        };
        fits.then_some(()).ok_or_else(|| format!("takes {}", self.words()))
    }

    fn words(self) -> &'static str {
        match self {
            Self::Code(_) => "a code: a constant, or a column with a map",
            Self::Flag => "true or false, or a column of them",
            Self::Count => "a whole number, or a column of them",
            Self::Instant => "a column of times",
            Self::Day => "a column of times or days",
            Self::Text => "a text: a constant, a column or lines of text",
            Self::Stream => "a stream of the row: { stream = \"name\" }",
        }
    }
}

/// Reads `true` and `false`, also as 1 and 0.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A value of one field of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// A code.
    Code(Code),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Count(u32),
    /// A time.
    Instant(Timestamp),
    /// A day.
    Day(Date),
    /// A text.
    Text(Text),
    /// A stream.
    Stream(Uuid),
}

/// The values of one request; what is absent is left out.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<&'static str, Filled>);

macro_rules! takers {
    ($($name:ident: $variant:ident -> $kind:ty;)*) => {$(
        fn $name(&mut self, field: &str) -> Option<$kind> {
            match self.0.remove(field) {
                Some(Filled::$variant(value)) => Some(value),
                _ => None,
            }
        }
    )*};
}

impl Values {
    /// Sets a field.
    pub fn set(&mut self, field: &'static str, value: Filled) {
        self.0.insert(field, value);
    }

    takers! {
        code: Code -> Code;
        flag: Flag -> bool;
        count: Count -> u32;
        instant: Instant -> Timestamp;
        day: Day -> Date;
        text: Text -> Text;
        stream: Stream -> Uuid;
    }

    /// The request with these values; `None` where a needed one is absent, which the caller has
    /// excluded by [`Field::required`].
    #[must_use]
    pub fn build(mut self, kind: RequestKind) -> Option<Request> {
        Some(match kind {
            RequestKind::OpenContact => OpenContact {
                channel: self.code("channel")?,
                line: self.code("line"),
                language: self.code("language")?,
                personal: self.caller(),
            }
            .into(),
            RequestKind::GiveConsultation => GiveConsultation { topic: self.code("topic")? }.into(),
            RequestKind::LinkContact => {
                LinkContact { appeal: AppealId::new(self.stream("appeal")?) }.into()
            }
            RequestKind::CloseContact => CloseContact { outcome: self.code("outcome")? }.into(),
            RequestKind::ReceiveAppeal => self.receive_appeal()?.into(),
            RequestKind::TriageAppeal => TriageAppeal {
                category: self.code("category")?,
                severity: self.code("severity")?,
                urgency: self.code("urgency")?,
                corruption_signs: self.flag("corruption_signs")?,
                judicial_matter: self.flag("judicial_matter")?,
            }
            .into(),
            RequestKind::CloseAppeal => CloseAppeal { closure: self.code("closure")? }.into(),
        })
    }

    fn receive_appeal(&mut self) -> Option<ReceiveAppeal> {
        let part = ApplicantPart {
            name: self.text("personal.name"),
            contacts: self.text("personal.contacts"),
            text: self.text("personal.text"),
        };
        Some(ReceiveAppeal {
            kind: self.code("kind")?,
            form: self.code("form")?,
            character: self.code("character")?,
            applicants: self.count("applicants")?,
            anonymous: self.flag("anonymous")?,
            language: self.code("language")?,
            channel: self.code("channel")?,
            contact: self.stream("contact").map(ContactId::new),
            received_at: self.instant("received_at"),
            registered_on: self.day("registered_on"),
            due_on: self.day("due_on"),
            personal: (part != ApplicantPart::default()).then_some(part),
        })
    }

    fn caller(&mut self) -> Option<CallerPart> {
        let part = CallerPart {
            name: self.text("personal.name"),
            phone: self.text("personal.phone"),
            note: self.text("personal.note"),
        };
        (part != CallerPart::default()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that fits the field.
    fn filled(kind: FieldKind) -> Filled {
        match kind {
            FieldKind::Code(_) => Filled::Code(Code::new("x").unwrap()),
            FieldKind::Flag => Filled::Flag(true),
            FieldKind::Count => Filled::Count(1),
            FieldKind::Instant => Filled::Instant(Timestamp::from_micros(1)),
            FieldKind::Day => Filled::Day(jiff::civil::date(2026, 3, 2)),
            FieldKind::Text => Filled::Text("t".into()),
            FieldKind::Stream => Filled::Stream(Uuid::from_u128(7)),
        }
    }

    #[test]
    fn every_request_is_built_from_its_fields_and_needs_the_needed_ones() {
        for kind in RequestKind::ALL {
            assert_eq!(RequestKind::from_name(kind.name()), Some(kind));
            let mut values = Values::default();
            kind.fields().iter().for_each(|field| values.set(field.name, filled(field.kind)));
            let request = values.clone().build(kind).unwrap();
            assert_eq!(request.name(), kind.name());
            assert_eq!(request.stream_kind(), kind.stream_kind());
            for field in kind.fields() {
                let mut less = values.clone();
                less.0.remove(field.name);
                assert_eq!(less.build(kind).is_none(), field.required, "{}", field.name);
            }
        }
    }
}
