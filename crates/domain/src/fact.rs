//! A fact of any slice, and the kinds of streams they form.

use crate::access::AccessFact;
use crate::appeal::{AppealFact, Field};
use crate::classifier::ClassifierFact;
use crate::code::Code;
use crate::contact::ContactFact;
use crate::directive::{DirectiveFact, DispatchFact};
use crate::image::ActivityFact;
use crate::integrity::IntegrityFact;
use crate::measure::MeasureFact;
use crate::office::OfficeFact;
use crate::reception::ReceptionFact;
use crate::task::TaskFact;

/// What kind of aggregate a stream holds; the number is in every record header and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum StreamKind {
    /// A contact.
    Contact = 1,
    /// An appeal.
    Appeal = 2,
    /// A reception session.
    Reception = 3,
    /// A preventive measure.
    Measure = 4,
    /// An activity of the image-policy plan.
    Activity = 5,
    /// A directive at the centre.
    Directive = 6,
    /// A directive as sent to one office.
    Dispatch = 7,
    /// A directive as handled by a region.
    Task = 8,
    /// An office's enrolment.
    Office = 9,
    /// A classifier's versions.
    Classifier = 10,
    /// Openings of sealed parts.
    Access = 11,
    /// What logs say about logs.
    Integrity = 12,
}

impl StreamKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Contact,
        Self::Appeal,
        Self::Reception,
        Self::Measure,
        Self::Activity,
        Self::Directive,
        Self::Dispatch,
        Self::Task,
        Self::Office,
        Self::Classifier,
        Self::Access,
        Self::Integrity,
    ];

    /// The number in the record header.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The kind of a number; `None` for one this version does not know.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name shown to people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Appeal => "appeal",
            Self::Reception => "reception",
            Self::Measure => "measure",
            Self::Activity => "activity",
            Self::Directive => "directive",
            Self::Dispatch => "dispatch",
            Self::Task => "task",
            Self::Office => "office",
            Self::Classifier => "classifier",
            Self::Access => "access",
            Self::Integrity => "integrity",
        }
    }
}

/// Something that happened. Its position, times and actor are in the record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Of a contact.
    Contact(ContactFact),
    /// Of an appeal.
    Appeal(AppealFact),
    /// Of a reception session.
    Reception(ReceptionFact),
    /// Of a preventive measure.
    Measure(MeasureFact),
    /// Of an image-plan activity.
    Activity(ActivityFact),
    /// Of a directive.
    Directive(DirectiveFact),
    /// Of a dispatch.
    Dispatch(DispatchFact),
    /// Of a task.
    Task(TaskFact),
    /// Of an office.
    Office(OfficeFact),
    /// Of a classifier.
    Classifier(ClassifierFact),
    /// Of access to sealed parts.
    Access(AccessFact),
    /// Of logs themselves.
    Integrity(IntegrityFact),
    /// Of newer software: carried, proved and shown by its number, folded as nothing.
    Unknown {
        /// The type code in the record's header.
        type_code: u32,
    },
}

impl Fact {
    /// The type code in the record's header: stream kind << 8 | number.
    pub const fn type_code(&self) -> u32 {
        match self {
            Self::Contact(fact) => fact.type_code(),
            Self::Appeal(fact) => fact.type_code(),
            Self::Reception(fact) => fact.type_code(),
            Self::Measure(fact) => fact.type_code(),
            Self::Activity(fact) => fact.type_code(),
            Self::Directive(fact) => fact.type_code(),
            Self::Dispatch(fact) => fact.type_code(),
            Self::Task(fact) => fact.type_code(),
            Self::Office(fact) => fact.type_code(),
            Self::Classifier(fact) => fact.type_code(),
            Self::Access(fact) => fact.type_code(),
            Self::Integrity(fact) => fact.type_code(),
            Self::Unknown { type_code } => *type_code,
        }
    }

    /// The name shown to people and programs, for example `appeal.received`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Contact(fact) => fact.type_name(),
            Self::Appeal(fact) => fact.type_name(),
            Self::Reception(fact) => fact.type_name(),
            Self::Measure(fact) => fact.type_name(),
            Self::Activity(fact) => fact.type_name(),
            Self::Directive(fact) => fact.type_name(),
            Self::Dispatch(fact) => fact.type_name(),
            Self::Task(fact) => fact.type_name(),
            Self::Office(fact) => fact.type_name(),
            Self::Classifier(fact) => fact.type_name(),
            Self::Access(fact) => fact.type_name(),
            Self::Integrity(fact) => fact.type_name(),
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The kind of stream it belongs to; `None` for a fact of a kind this version does not know.
    pub fn stream_kind(&self) -> Option<StreamKind> {
        u16::try_from(self.type_code() >> 8).ok().and_then(StreamKind::from_code)
    }

    /// The name of a type code this version knows.
    pub fn name_of(type_code: u32) -> Option<&'static str> {
        let all = [
            ContactFact::TYPES,
            AppealFact::TYPES,
            ReceptionFact::TYPES,
            MeasureFact::TYPES,
            ActivityFact::TYPES,
            DirectiveFact::TYPES,
            DispatchFact::TYPES,
            TaskFact::TYPES,
            OfficeFact::TYPES,
            ClassifierFact::TYPES,
            AccessFact::TYPES,
            IntegrityFact::TYPES,
        ];
        all.iter().copied().flatten().find(|(code, _)| *code == type_code).map(|(_, name)| *name)
    }

    /// Whether people must see it before other facts that wait to be sent: an appeal that was found
    /// urgent, a directive for an office and its return.
    pub fn is_urgent(&self) -> bool {
        let urgent = |code: &Code| code.as_str() == "urgent";
        match self {
            Self::Appeal(AppealFact::Triaged(fact)) => urgent(&fact.urgency),
            Self::Appeal(AppealFact::Corrected(fact)) => {
                Field::from_name(fact.field.as_str()) == Some(Field::Urgency)
                    && fact.after.as_ref().is_some_and(urgent)
            }
            Self::Dispatch(DispatchFact::Issued(_) | DispatchFact::Returned(_)) => true,
            _ => false,
        }
    }

    /// Whether a personal part is present (to be sealed, or opened).
    pub fn has_personal(&self) -> bool {
        match self {
            Self::Contact(ContactFact::Opened(fact)) => fact.personal.is_some(),
            Self::Contact(ContactFact::FileAttached(fact)) => fact.personal.is_some(),
            Self::Appeal(AppealFact::Received(fact)) => fact.personal.is_some(),
            Self::Appeal(AppealFact::DecisionPrepared(fact)) => fact.personal.is_some(),
            Self::Appeal(AppealFact::AnswerSent(fact)) => fact.personal.is_some(),
            Self::Appeal(AppealFact::Corrected(fact)) => fact.personal.is_some(),
            Self::Reception(ReceptionFact::VisitorReceived(fact)) => fact.personal.is_some(),
            _ => false,
        }
    }

    /// The same fact as one sees it who may not open the sealed part.
    #[must_use]
    pub fn without_personal(mut self) -> Self {
        match &mut self {
            Self::Contact(ContactFact::Opened(fact)) => fact.personal = None,
            Self::Contact(ContactFact::FileAttached(fact)) => fact.personal = None,
            Self::Appeal(AppealFact::Received(fact)) => fact.personal = None,
            Self::Appeal(AppealFact::DecisionPrepared(fact)) => fact.personal = None,
            Self::Appeal(AppealFact::AnswerSent(fact)) => fact.personal = None,
            Self::Appeal(AppealFact::Corrected(fact)) => fact.personal = None,
            Self::Reception(ReceptionFact::VisitorReceived(fact)) => fact.personal = None,
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appeal::{ApplicantPart, ReceiveAppeal};
    use crate::testing::Desk;

    #[test]
    fn type_codes_are_frozen() {
        let names = [
            (0x0101, "contact.opened"),
            (0x0104, "contact.closed"),
            (0x0105, "contact.file_attached"),
            (0x0201, "appeal.received"),
            (0x0202, "appeal.registered"),
            (0x020a, "appeal.registration_voided"),
            (0x0304, "reception.not_held"),
            (0x0403, "measure.cancelled"),
            (0x0502, "activity.held"),
            (0x0601, "directive.issued"),
            (0x0703, "dispatch.execution_returned"),
            (0x0803, "task.execution_reported"),
            (0x0901, "office.enrolled"),
            (0x0902, "office.rekeyed"),
            (0x0a01, "classifier.published"),
            (0x0b01, "access.records_opened"),
            (0x0c01, "heads.accepted"),
            (0x0c02, "log.succeeds"),
            (0x0c03, "log.closed"),
            (0x0c04, "key.rotated"),
            (0x0c05, "log.recovered"),
        ];
        for (code, name) in names {
            assert_eq!(Fact::name_of(code), Some(name));
        }
        assert_eq!(Fact::name_of(0x0106), None);
        let newer = Fact::Unknown { type_code: 0x0d_01 };
        assert_eq!(newer.stream_kind(), None);
        assert_eq!(Fact::Unknown { type_code: 0x02ff }.stream_kind(), Some(StreamKind::Appeal));
        for kind in StreamKind::ALL {
            assert_eq!(StreamKind::from_code(kind.code()), Some(kind));
        }
    }

    #[test]
    fn personal_parts_are_not_printed_and_can_be_taken_off() {
        let part = ApplicantPart {
            name: Some("Ерлан Қасымов".into()),
            contacts: Some("+7 701 000 00 00".into()),
            text: Some("Прошу проверить".into()),
        };
        let request = ReceiveAppeal { personal: Some(part), ..crate::appeal::testing::receive() };
        let printed = format!("{:?}", crate::Request::from(request.clone()));
        let fact = Desk::region().accepts(&[], request).own()[0].clone();
        let printed = printed + &format!("{fact:?}");
        for secret in ["Ерлан", "701", "Прошу"] {
            assert!(!printed.contains(secret));
        }
        assert!(fact.has_personal());
        let bare = fact.clone().without_personal();
        assert!(!bare.has_personal());
        assert_eq!(bare.type_code(), fact.type_code());
    }
}
