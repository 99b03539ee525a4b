//! Facts to record bodies and back.
//!
//! A body is a protobuf message per fact type: the open one (codes, dates, pseudonyms) and, for
//! the types that have one, the personal one, which is sealed before it is stored. Unknown
//! fields of newer software are skipped, unknown codes are carried as they are.

use std::borrow::Cow;

use domain::Fact;
use domain::access::AccessFact;
use domain::appeal::{self, AppealFact};
use domain::classifier::ClassifierFact;
use domain::contact::{self, ContactFact};
use domain::directive::{DirectiveFact, DispatchFact};
use domain::image::ActivityFact;
use domain::integrity::IntegrityFact;
use domain::measure::MeasureFact;
use domain::office::OfficeFact;
use domain::reception::{self, ReceptionFact};
use domain::task::TaskFact;
use prost::Message;
use zeroize::Zeroizing;

use crate::field::{Reader, Wire};
use crate::generated::adal as pb;

/// Version of every body's schema as this build writes it. Adding a field does not change it; a
/// version other than this one means that known fields changed their meaning.
pub const SCHEMA_VERSION: u16 = 1;

/// The bodies of a fact. No `Debug`: the personal one is not for printing.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Type code for the record's header.
    pub type_code: u32,
    /// Schema version for the record's header.
    pub schema_version: u16,
    /// Open body: nothing personal.
    pub open: Vec<u8>,
    /// Personal part in clear, to be sealed; wiped from memory when dropped.
    pub personal: Option<Zeroizing<Vec<u8>>>,
}

/// Why bodies are no fact. Carries type and field, never content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The open body is no protobuf message.
    #[error("the open body of a record of type {type_code:#06x} cannot be read")]
    Open {
        /// Type code of the record.
        type_code: u32,
    },
    /// The personal part is no protobuf message.
    #[error("the personal part of a record of type {type_code:#06x} cannot be read")]
    Personal {
        /// Type code of the record.
        type_code: u32,
    },
    /// A field is missing or cannot be what it should.
    #[error("field {field} of a record of type {type_code:#06x} is not valid")]
    Field {
        /// Type code of the record.
        type_code: u32,
        /// Path of the first such field.
        field: Cow<'static, str>,
    },
}

/// Names of the protobuf messages of one fact type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    pub(crate) open: &'static str,
    pub(crate) personal: Option<&'static str>,
}

fn decode_open<P: Message + Default, T: Wire<P>>(
    type_code: u32,
    open: &[u8],
) -> Result<T, DecodeError> {
    let message = P::decode(open).map_err(|_| DecodeError::Open { type_code })?;
    read(type_code, message)
}

fn decode_personal<P: Message + Default, T: Wire<P>>(
    type_code: u32,
    personal: Option<&[u8]>,
) -> Result<Option<T>, DecodeError> {
    let Some(bytes) = personal else { return Ok(None) };
    let message = P::decode(bytes).map_err(|_| DecodeError::Personal { type_code })?;
    read(type_code, message).map(Some)
}

fn read<P, T: Wire<P>>(type_code: u32, message: P) -> Result<T, DecodeError> {
    let mut reader = Reader::new();
    let value = T::get(message, &mut reader);
    reader.finish(value).map_err(|invalid| DecodeError::Field {
        type_code,
        field: invalid.violations.into_iter().next().map_or("?".into(), |v| v.field.into()),
    })
}

fn encoded<P: Message>(type_code: u32, open: &P) -> Encoded {
    Encoded {
        type_code,
        schema_version: SCHEMA_VERSION,
        open: open.encode_to_vec(),
        personal: None,
    }
}

/// Every fact type with its open message, and its personal one where there is one.
macro_rules! bodies {
    ($($slice:ident::$variant:ident in $wrapper:ident = $open:ident::$fact:ident
        $(with $domain:ident::$part:ident)?;)*) => {
        /// Encodes a fact's bodies. [`Fact::Unknown`], which no decision makes, has none: its
        /// body is empty and its schema version 0, which every version reads as unknown.
        #[must_use]
        pub fn encode_fact(fact: &Fact) -> Encoded {
            match fact {
                $(Fact::$wrapper($slice::$variant(inner)) => {
                    #[allow(unused_mut)]
                    let mut bodies = encoded(
                        fact.type_code(),
                        &Wire::<pb::$open::v1::$fact>::put(inner),
                    );
                    $(bodies.personal = inner.personal.as_ref().map(|part: &$domain::$part| {
                        Zeroizing::new(Wire::<pb::$open::v1::$part>::put(part).encode_to_vec())
                    });)?
                    bodies
                })*
                Fact::Unknown { type_code } => Encoded {
                    type_code: *type_code,
                    schema_version: 0,
                    open: Vec::new(),
                    personal: None,
                },
            }
        }

        /// Decodes a fact's bodies. `personal` is the opened part; `None` if there is none or
        /// the caller may not open it. A type or schema that this build does not know gives
        /// [`Fact::Unknown`].
        ///
        /// # Errors
        /// The bytes are no body of this type, or a field cannot be what it should. The error
        /// names the field, never a value.
        pub fn decode_fact(
            type_code: u32,
            schema_version: u16,
            open: &[u8],
            personal: Option<&[u8]>,
        ) -> Result<Fact, DecodeError> {
            if schema_version != SCHEMA_VERSION {
                return Ok(Fact::Unknown { type_code });
            }
            Ok(match type_code {
                $(<domain::$open::$fact>::TYPE => {
                    #[allow(unused_mut)]
                    let mut fact: domain::$open::$fact =
                        decode_open::<pb::$open::v1::$fact, _>(type_code, open)?;
                    $(fact.personal = decode_personal::<pb::$open::v1::$part, $domain::$part>(
                        type_code, personal,
                    )?;)?
                    Fact::$wrapper($slice::$variant(fact))
                })*
                _ => Fact::Unknown { type_code },
            })
        }

        /// The messages of a fact type that this build knows.
        pub(crate) fn messages(type_code: u32) -> Option<Messages> {
            match type_code {
                $(<domain::$open::$fact>::TYPE => {
                    #[allow(unused_mut)]
                    let mut messages = Messages {
                        open: concat!("adal.", stringify!($open), ".v1.", stringify!($fact)),
                        personal: None,
                    };
                    $(messages.personal = Some(
                        concat!("adal.", stringify!($open), ".v1.", stringify!($part)),
                    );)?
                    Some(messages)
                })*
                _ => None,
            }
        }
    };
}

bodies! {
    ContactFact::Opened in Contact = contact::ContactOpened with contact::CallerPart;
    ContactFact::Consulted in Contact = contact::ConsultationGiven;
    ContactFact::Linked in Contact = contact::ContactLinked;
    ContactFact::Closed in Contact = contact::ContactClosed;
    ContactFact::FileAttached in Contact = contact::FileAttached with contact::FilePart;
    AppealFact::Received in Appeal = appeal::AppealReceived with appeal::ApplicantPart;
    AppealFact::Registered in Appeal = appeal::AppealRegistered;
    AppealFact::Triaged in Appeal = appeal::AppealTriaged;
    AppealFact::Assigned in Appeal = appeal::AppealAssigned;
    AppealFact::DecisionPrepared in Appeal = appeal::DecisionPrepared with appeal::DecisionPart;
    AppealFact::DecisionApproved in Appeal = appeal::DecisionApproved;
    AppealFact::AnswerSent in Appeal = appeal::AnswerSent with appeal::AnswerPart;
    AppealFact::Closed in Appeal = appeal::AppealClosed;
    AppealFact::Corrected in Appeal = appeal::AppealCorrected with appeal::CorrectionPart;
    AppealFact::Voided in Appeal = appeal::RegistrationVoided;
    ReceptionFact::Planned in Reception = reception::ReceptionPlanned;
    ReceptionFact::Held in Reception = reception::ReceptionHeld;
    ReceptionFact::VisitorReceived in Reception =
        reception::VisitorReceived with reception::VisitorPart;
    ReceptionFact::NotHeld in Reception = reception::ReceptionNotHeld;
    MeasureFact::Planned in Measure = measure::MeasurePlanned;
    MeasureFact::Held in Measure = measure::MeasureHeld;
    MeasureFact::Cancelled in Measure = measure::MeasureCancelled;
    ActivityFact::Planned in Activity = image::ActivityPlanned;
    ActivityFact::Held in Activity = image::ActivityHeld;
    DirectiveFact::Issued in Directive = directive::DirectiveIssued;
    DispatchFact::Issued in Dispatch = directive::DispatchIssued;
    DispatchFact::Accepted in Dispatch = directive::ExecutionAccepted;
    DispatchFact::Returned in Dispatch = directive::ExecutionReturned;
    TaskFact::Delivered in Task = task::TaskDelivered;
    TaskFact::Acknowledged in Task = task::TaskAcknowledged;
    TaskFact::Reported in Task = task::ExecutionReported;
    OfficeFact::Enrolled in Office = office::OfficeEnrolled;
    OfficeFact::Rekeyed in Office = office::OfficeRekeyed;
    ClassifierFact::Published in Classifier = classifier::ClassifierPublished;
    AccessFact::RecordsOpened in Access = access::RecordsOpened;
    IntegrityFact::HeadsAccepted in Integrity = integrity::HeadsAccepted;
    IntegrityFact::Succeeds in Integrity = integrity::LogSucceeds;
    IntegrityFact::Closed in Integrity = integrity::LogClosed;
    IntegrityFact::KeyRotated in Integrity = integrity::KeyRotated;
    IntegrityFact::Recovered in Integrity = integrity::LogRecovered;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::DynamicMessage;

    use super::*;
    use crate::testing::{Dice, pool, random};

    fn types() -> Vec<u32> {
        let slices = [
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
        slices.into_iter().flatten().map(|(code, _)| *code).collect()
    }

    fn body(name: &str, dice: &mut Dice) -> DynamicMessage {
        random(&pool().get_message_by_name(name).unwrap(), dice)
    }

    fn with_bodies(type_code: u32, open: &[u8], personal: Option<&[u8]>) -> Fact {
        decode_fact(type_code, SCHEMA_VERSION, open, personal).unwrap()
    }

    #[test]
    fn every_type_of_the_domain_has_its_messages() {
        for type_code in types() {
            let names = messages(type_code).unwrap();
            assert!(pool().get_message_by_name(names.open).is_some(), "{}", names.open);
            let open = body(names.open, &mut Dice::new(1)).encode_to_vec();
            let fact = with_bodies(type_code, &open, Some(&[]));
            assert_eq!(fact.type_code(), type_code);
            assert_eq!(fact.has_personal(), names.personal.is_some(), "{}", names.open);
        }
    }

    #[test]
    fn stored_bytes_are_frozen() {
        let fact: Fact = appeal::AppealReceived {
            kind: "complaint".parse().unwrap(),
            form: "oral".parse().unwrap(),
            character: "individual".parse().unwrap(),
            applicants: 1,
            anonymous: false,
            language: "kk".parse().unwrap(),
            channel: "call".parse().unwrap(),
            contact: Some([7; 16].into()),
            received_at: domain::Timestamp::from_micros(1_764_000_000_000_001),
            personal: Some(appeal::ApplicantPart {
                name: Some("А".into()),
                ..appeal::ApplicantPart::default()
            }),
        }
        .into();
        let bodies = encode_fact(&fact);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!((bodies.type_code, bodies.schema_version), (0x0201, 1));
        assert_eq!(
            hex(&bodies.open),
            "0a09636f6d706c61696e7412046f72616c1a0a696e646976696475616c20013202\
             6b6b3a0463616c6c42100707070707070707070707070707070\
             74a0908808292c90610e807"
        );
        assert_eq!(hex(&bodies.personal.unwrap()), "0a02d090");
    }

    #[test]
    fn newer_software_is_tolerated() {
        let names = messages(appeal::AppealTriaged::TYPE).unwrap();
        let mut open = body(names.open, &mut Dice::new(3)).encode_to_vec();
        let fact = with_bodies(appeal::AppealTriaged::TYPE, &open, None);
        // Field 900, length-delimited, and field 901, a number: unknown to this build.
        open.extend_from_slice(&[0xa2, 0x38, 2, b'h', b'i', 0xa8, 0x38, 5]);
        assert_eq!(with_bodies(appeal::AppealTriaged::TYPE, &open, None), fact);
        let unknown = Fact::Unknown { type_code: 0x02ff };
        assert_eq!(with_bodies(0x02ff, b"anything", None), unknown);
        let later = decode_fact(appeal::AppealTriaged::TYPE, SCHEMA_VERSION + 1, &open, None);
        assert_eq!(later, Ok(Fact::Unknown { type_code: appeal::AppealTriaged::TYPE }));
        let bodies = encode_fact(&unknown);
        let back = decode_fact(bodies.type_code, bodies.schema_version, &bodies.open, None);
        assert_eq!(back, Ok(unknown));
    }

    #[test]
    fn errors_name_the_field_and_never_the_value() {
        let message = pb::contact::v1::ConsultationGiven { topic: "Secret Name".to_owned() };
        let error = decode_fact(
            contact::ConsultationGiven::TYPE,
            SCHEMA_VERSION,
            &message.encode_to_vec(),
            None,
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "field topic of a record of type 0x0102 is not valid");
        assert!(!format!("{error:?}").contains("Secret"));
        let error = decode_fact(contact::ContactOpened::TYPE, 1, &[0xff], None).unwrap_err();
        assert_eq!(error, DecodeError::Open { type_code: contact::ContactOpened::TYPE });
    }

    #[test]
    fn debug_of_messages_shows_no_content() {
        let part =
            pb::contact::v1::CallerPart { name: Some("Secret".to_owned()), ..Default::default() };
        assert_eq!(format!("{part:?}"), "CallerPart(8 bytes)");
    }

    proptest! {
        /// Equal bytes after decoding and encoding: no field of any body is lost or changed.
        #[test]
        fn facts_of_every_kind_come_back(seed: u64) {
            let mut dice = Dice::new(seed);
            for type_code in types() {
                let names = messages(type_code).unwrap();
                let open = body(names.open, &mut dice).encode_to_vec();
                let personal = names.personal.map(|name| body(name, &mut dice).encode_to_vec());
                let fact = with_bodies(type_code, &open, personal.as_deref());
                let bodies = encode_fact(&fact);
                prop_assert_eq!(bodies.type_code, type_code);
                prop_assert_eq!(&bodies.open, &open, "{}", names.open);
                let sealed = bodies.personal.as_ref().map(|part| part.as_slice());
                prop_assert_eq!(sealed, personal.as_deref());
                let again = with_bodies(type_code, &bodies.open, personal.as_deref());
                prop_assert_eq!(&again, &fact);
                let closed = with_bodies(type_code, &bodies.open, None);
                prop_assert_eq!(closed, fact.without_personal());
            }
        }

        #[test]
        fn garbage_never_panics(type_at: prop::sample::Index, bytes: Vec<u8>, personal: Vec<u8>) {
            let types = types();
            let _ = decode_fact(types[type_at.index(types.len())], 1, &bytes, Some(&personal));
        }

        #[test]
        fn damaged_bodies_never_panic(seed: u64, at: prop::sample::Index, to: u8) {
            let mut dice = Dice::new(seed);
            let types = types();
            let type_code = types[dice.below(types.len())];
            let mut open = body(messages(type_code).unwrap().open, &mut dice).encode_to_vec();
            if !open.is_empty() {
                let at = at.index(open.len());
                open[at] = to;
            }
            let _ = decode_fact(type_code, 1, &open, None);
        }
    }
}
