//! The fields of an appeal that can be corrected, and the code form of their values.
//!
//! An open value is written as a [`Code`]: a classifier's code as it is, `true` or `false`, a
//! number in decimal digits, a date as `2026-03-02`, an instant in microseconds since 1970, a
//! contact as its UUID in lower case.

use jiff::civil::Date;

use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::ids::ContactId;
use crate::limits;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::Timestamp;

/// What values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A code of the classifier of this id.
    Coded(&'static str),
    /// `true` or `false`.
    Flag,
    /// A number from 1 to the given one.
    Count(u32),
    /// A date, `2026-03-02`.
    Date,
    /// An instant, in microseconds since 1970.
    Instant,
    /// The UUID of a contact.
    Contact,
    /// A personal text of at most so many characters; its values are sealed.
    Personal(usize),
    /// A personal free text within [`limits::TEXT_BYTES`]; its values are sealed.
    PersonalText,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal, $kind:expr, $optional:literal;)*) => {
        /// A field of an appeal's facts that can be corrected.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[$doc])* $field,)*
        }

        impl Field {
            /// All fields.
            pub const ALL: &'static [Self] = &[$(Self::$field),*];

            /// The name, as requests and facts write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }

            /// What values it takes.
            pub const fn kind(self) -> FieldKind {
                match self { $(Self::$field => $kind,)* }
            }

            /// Whether it may be without a value.
            pub const fn is_optional(self) -> bool {
                match self { $(Self::$field => $optional,)* }
            }
        }
    };
}

fields! {
    /// Kind of the appeal.
    Kind = "kind", FieldKind::Coded(list::APPEAL_KIND), false;
    /// Form of the appeal.
    Form = "form", FieldKind::Coded(list::APPEAL_FORM), false;
    /// Individual or collective.
    Character = "character", FieldKind::Coded(list::APPEAL_CHARACTER), false;
    /// Number of applicants.
    Applicants = "applicants", FieldKind::Count(limits::APPLICANTS), false;
    /// Whether the applicant is unnamed.
    Anonymous = "anonymous", FieldKind::Flag, false;
    /// Language of the appeal.
    Language = "language", FieldKind::Coded(list::LANGUAGE), false;
    /// How it arrived.
    Channel = "channel", FieldKind::Coded(list::CHANNEL), false;
    /// The contact that brought it.
    Contact = "contact", FieldKind::Contact, true;
    /// When it reached the office.
    ReceivedAt = "received_at", FieldKind::Instant, false;
    /// The applicant's name.
    ApplicantName = "applicant_name", FieldKind::Personal(limits::NAME_CHARS), true;
    /// How to reach the applicant.
    ApplicantContacts = "applicant_contacts", FieldKind::Personal(limits::CONTACT_CHARS), true;
    /// The appeal's own text.
    Text = "text", FieldKind::PersonalText, true;
    /// Day of registration.
    RegisteredOn = "registered_on", FieldKind::Date, false;
    /// Day the answer is due.
    DueOn = "due_on", FieldKind::Date, true;
    /// Coarse category.
    Category = "category", FieldKind::Coded(list::CATEGORY), false;
    /// How grave it is.
    Severity = "severity", FieldKind::Coded(list::SEVERITY), false;
    /// How urgent it is.
    Urgency = "urgency", FieldKind::Coded(list::URGENCY), false;
    /// Whether there are signs of corruption.
    CorruptionSigns = "corruption_signs", FieldKind::Flag, false;
    /// Whether it belongs to court proceedings.
    JudicialMatter = "judicial_matter", FieldKind::Flag, false;
    /// The decision.
    Decision = "decision", FieldKind::Coded(list::DECISION), false;
    /// Nature of the answer.
    AnswerNature = "answer_nature", FieldKind::Coded(list::ANSWER_NATURE), false;
    /// The decision's words.
    DecisionText = "decision_text", FieldKind::PersonalText, true;
    /// How the answer was sent.
    AnswerChannel = "answer_channel", FieldKind::Coded(list::ANSWER_CHANNEL), false;
    /// Language of the answer.
    AnswerLanguage = "answer_language", FieldKind::Coded(list::LANGUAGE), false;
    /// The answer's words.
    AnswerText = "answer_text", FieldKind::PersonalText, true;
    /// How the case was closed.
    Closure = "closure", FieldKind::Coded(list::CLOSURE), false;
}

impl Field {
    /// The field of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Whether its values are personal and therefore sealed.
    pub const fn is_personal(self) -> bool {
        matches!(self.kind(), FieldKind::Personal(_) | FieldKind::PersonalText)
    }

    /// Checks a new open value in its code form.
    pub(crate) fn check_value(self, value: &Code, lists: &Classifiers) -> Result<(), Refusal> {
        let malformed = |message: String| Refusal::field(RefusalCode::Malformed, "after", message);
        let text = value.as_str();
        let fits = match self.kind() {
            FieldKind::Coded(id) => return lists.check("after", id, value),
            FieldKind::Flag => matches!(text, "true" | "false"),
            FieldKind::Count(max) => {
                text.parse().is_ok_and(|n: u32| (1..=max).contains(&n) && n.to_string() == text)
            }
            FieldKind::Date => text.parse().is_ok_and(|day: Date| {
                day.to_string() == text && day.year() <= limits::LATEST_YEAR
            }),
            FieldKind::Instant => text.parse().is_ok_and(|micros: i64| {
                micros >= limits::EARLIEST_MICROS
                    && Timestamp::from_micros(micros).to_jiff().is_some()
            }),
            FieldKind::Contact => {
                text.parse().is_ok_and(|contact: ContactId| contact.to_string() == text)
            }
            FieldKind::Personal(_) | FieldKind::PersonalText => false,
        };
        if fits { Ok(()) } else { Err(malformed(self.form())) }
    }

    fn form(self) -> String {
        match self.kind() {
            FieldKind::Coded(id) => format!("must be a code of classifier {id}"),
            FieldKind::Flag => "must be true or false".into(),
            FieldKind::Count(max) => format!("must be a number from 1 to {max}"),
            FieldKind::Date => "must be a date like 2026-03-02".into(),
            FieldKind::Instant => "must be an instant in microseconds since 1970".into(),
            FieldKind::Contact => "must be the id of a contact, in lower case".into(),
            FieldKind::Personal(_) | FieldKind::PersonalText => {
                "is personal; give it in the sealed part".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::code;

    #[test]
    fn names_round_trip() {
        for field in Field::ALL {
            assert_eq!(Field::from_name(field.name()), Some(*field));
            assert!(Code::new(field.name()).is_ok());
        }
        assert_eq!(Field::from_name("reg_no"), None);
    }

    #[test]
    fn values_have_one_form() {
        let lists = Classifiers::built_in().unwrap();
        let fits = |field: Field, value: &str| field.check_value(&code(value), &lists).is_ok();
        assert!(fits(Field::Kind, "complaint") && !fits(Field::Kind, "true"));
        assert!(fits(Field::Anonymous, "true") && !fits(Field::Anonymous, "yes"));
        assert!(fits(Field::Applicants, "12") && !fits(Field::Applicants, "0"));
        assert!(!fits(Field::Applicants, "012"));
        assert!(fits(Field::DueOn, "2026-03-02") && !fits(Field::DueOn, "2026-02-30"));
        assert!(!fits(Field::DueOn, "20260302"));
        assert!(fits(Field::ReceivedAt, "1772431200000000") && !fits(Field::ReceivedAt, "0"));
        assert!(fits(Field::Contact, "00000000-0000-0000-0000-000000000001"));
        assert!(!fits(Field::Contact, "1"));
        assert!(!fits(Field::ApplicantName, "ivanov"));
    }
}
