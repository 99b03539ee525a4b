//! Identifiers: each its own type, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use uuid::Uuid;

use crate::code::{Code, LogId};
use crate::office::OfficeCode;

/// Namespace of the name-based (version 5) identifiers below; fixed for ever, because stored
/// records of different offices agree on a stream only through it.
const NAMESPACE: Uuid = Uuid::from_u128(0x7d1c_93b6_5a0e_4c58_9f0b_21e4_ad41_ada1);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes the identifier as it is; any UUID is a valid one.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The 16 bytes, most significant first (RFC 9562).
            pub const fn bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// The stream of a contact (one call, letter or visit to the intake).
    ContactId;
    /// The stream of an appeal.
    AppealId;
    /// The stream of a personal reception session.
    ReceptionId;
    /// The stream of a preventive measure.
    MeasureId;
    /// The stream of an activity of the image-policy plan.
    ActivityId;
    /// A directive: the stream `directive/D` at the centre and `task/D` in each region.
    DirectiveId;
    /// The stream of one addressee's dispatch of a directive; see [`DispatchId::of`].
    DispatchId;
    /// The stream of an office's enrolment; see [`OfficeId::of`].
    OfficeId;
    /// The stream of a classifier's versions; see [`ClassifierId::of`].
    ClassifierId;
    /// A stream of what logs say about logs; see [`IntegrityId::of_day`] and its neighbours.
    IntegrityId;
    /// One recorded fact.
    EventId;
    /// One command of a client; repeated unchanged when the client tries again.
    CommandId;
    /// Pseudonym of a person who acts in an office.
    PersonId;
}

impl DispatchId {
    /// The dispatch stream of a directive to one office: version 5 UUID of both.
    pub fn of(directive: DirectiveId, office: &OfficeCode) -> Self {
        let mut name = b"dispatch/".to_vec();
        name.extend_from_slice(&directive.bytes());
        name.push(b'/');
        name.extend_from_slice(office.as_str().as_bytes());
        Self(Uuid::new_v5(&NAMESPACE, &name))
    }
}

impl OfficeId {
    /// The enrolment stream of an office: version 5 UUID of its code.
    pub fn of(office: &OfficeCode) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("office/{office}").as_bytes()))
    }
}

impl ClassifierId {
    /// The stream of a classifier: version 5 UUID of its id.
    pub fn of(id: &Code) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("classifier/{id}").as_bytes()))
    }
}

impl IntegrityId {
    /// The stream of heads that the centre accepted on one day (UTC): version 5 UUID of the day.
    pub fn of_day(day: Date) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("integrity/heads/{day}").as_bytes()))
    }

    /// The stream in which a log speaks of its own epochs and keys: version 5 UUID of its name.
    pub fn of_log(log: &LogId) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("integrity/log/{log}").as_bytes()))
    }

    /// The stream in which the centre closes epochs of a log: version 5 UUID of its name.
    pub fn of_closings(log: &LogId) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("integrity/closings/{log}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_frozen() {
        let directive = DirectiveId::from([7; 16]);
        let office: OfficeCode = "KZ-75".parse().unwrap();
        // Stored streams are found through these values: they never change.
        let one = DispatchId::of(directive, &office);
        assert_eq!(one.to_string(), "2de4964d-f446-5aa3-a31f-0c6ba308912e");
        let enrolment = OfficeId::of(&office).to_string();
        assert_eq!(enrolment, "d3e9ef22-84b5-5b64-aaff-6a7a56b3af68");
        let list = ClassifierId::of(&Code::from_static("channel")).to_string();
        assert_eq!(list, "587374a5-2e96-5303-9161-68421c653e4f");
        let (log, day) = (LogId::from_static("kz-75"), jiff::civil::date(2026, 11, 30));
        let heads = IntegrityId::of_day(day).to_string();
        assert_eq!(heads, "be69fff4-a015-5204-ba16-d150f7f4b463");
        assert_eq!(IntegrityId::of_log(&log).to_string(), "20af589c-8dc7-58a9-8ff9-abc465b76fa9");
        let closings = IntegrityId::of_closings(&log).to_string();
        assert_eq!(closings, "141f2534-c8f5-506c-a75d-64c6478b5b0b");
        assert_ne!(one, DispatchId::of(directive, &"KZ-71".parse().unwrap()));
        assert_ne!(one.uuid(), OfficeId::of(&office).uuid());
        assert_eq!(one.uuid().get_version_num(), 5);
    }

    #[test]
    fn text_round_trip() {
        let id = AppealId::from([3; 16]);
        assert_eq!(id.to_string().parse::<AppealId>().unwrap(), id);
        assert!("not-an-id".parse::<AppealId>().is_err());
    }
}
