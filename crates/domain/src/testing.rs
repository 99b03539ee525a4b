//! The desk at which rules are tested: given a history, when a request, then facts or a refusal.

use std::sync::OnceLock;

use jiff::civil::Date;
use uuid::Uuid;

use crate::classifier::Classifiers;
use crate::code::{Code, Post};
use crate::decide::{Context, Decision, decide};
use crate::fact::Fact;
use crate::ids::PersonId;
use crate::number::RegistrationNumber;
use crate::office::OfficeCode;
use crate::permission::{Actor, Role};
use crate::refusal::{Refusal, RefusalCode};
use crate::request::Request;
use crate::time::{Timestamp, Zone};

/// A code known to be well formed.
pub(crate) fn code(text: &str) -> Code {
    Code::new(text).unwrap()
}

/// A date known to exist.
pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// An instant on a day in Almaty.
pub(crate) fn at(date: &str, hour: i8, minute: i8) -> Timestamp {
    Zone::new("Asia/Almaty").unwrap().at(day(date), hour, minute).unwrap()
}

/// The built-in lists, parsed once for all tests.
fn lists() -> &'static Classifiers {
    static LISTS: OnceLock<Classifiers> = OnceLock::new();
    LISTS.get_or_init(|| Classifiers::built_in().unwrap())
}

/// Everything a context borrows. Noon of Monday 2026-03-02 in Almaty.
pub(crate) struct Desk {
    pub(crate) stream: Uuid,
    pub(crate) now: Timestamp,
    pub(crate) occurred_at: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) office: OfficeCode,
    pub(crate) zone: Zone,
    pub(crate) classifiers: Classifiers,
    pub(crate) number: Option<RegistrationNumber>,
    pub(crate) offices: Vec<OfficeCode>,
    pub(crate) report: Option<u32>,
    pub(crate) epoch: Option<u32>,
}

impl Desk {
    fn new(office: &str, role: Role) -> Self {
        let office: OfficeCode = office.parse().unwrap();
        let now = at("2026-03-02", 12, 0);
        Self {
            stream: Uuid::from_u128(0x5eed),
            now,
            occurred_at: now,
            actor: Actor {
                person: PersonId::from([9; 16]),
                post: Post::new("desk").unwrap(),
                role,
                office: office.clone(),
            },
            number: RegistrationNumber::from_parts(office.clone(), 2026, 1, 48_213).ok(),
            office,
            zone: Zone::new("Asia/Almaty").unwrap(),
            classifiers: lists().clone(),
            offices: ["KZ-71", "KZ-75"].iter().map(|code| code.parse().unwrap()).collect(),
            report: None,
            epoch: None,
        }
    }

    /// A chief in a region.
    pub(crate) fn region() -> Self {
        Self::new("KZ-75", Role::Chief)
    }

    /// National staff at the centre.
    pub(crate) fn centre() -> Self {
        Self::new("KZ", Role::National)
    }

    /// The same desk with another role.
    pub(crate) fn with(mut self, role: Role) -> Self {
        self.actor.role = role;
        self
    }

    /// Decides.
    pub(crate) fn decide(
        &self,
        history: &[Fact],
        request: impl Into<Request>,
    ) -> Result<Decision, Refusal> {
        let ctx = Context {
            office: &self.office,
            stream: self.stream,
            now: self.now,
            occurred_at: self.occurred_at,
            zone: &self.zone,
            actor: &self.actor,
            classifiers: &self.classifiers,
            number: self.number.as_ref(),
            offices: &self.offices,
            report: self.report,
            epoch: self.epoch,
        };
        decide(history, &request.into(), &ctx)
    }

    /// Decides and expects facts.
    #[track_caller]
    pub(crate) fn accepts(&self, history: &[Fact], request: impl Into<Request>) -> Decision {
        match self.decide(history, request) {
            Ok(decision) => decision,
            Err(refusal) => panic!("refused: {refusal}"),
        }
    }

    /// Decides and expects a refusal.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        history: &[Fact],
        request: impl Into<Request>,
        code: RefusalCode,
        field: Option<&str>,
    ) -> Refusal {
        match self.decide(history, request) {
            Ok(_) => panic!("accepted"),
            Err(refusal) => {
                assert_eq!((refusal.code, refusal.field.as_deref()), (code, field), "{refusal}");
                refusal
            }
        }
    }

    /// Plays requests one after another in one stream and returns its history.
    #[track_caller]
    pub(crate) fn plays(&self, requests: Vec<Request>) -> Vec<Fact> {
        let mut history = Vec::new();
        for request in requests {
            let decision = self.accepts(&history, request);
            history.extend_from_slice(decision.own());
        }
        history
    }
}
