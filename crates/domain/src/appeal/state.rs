//! Received -> Registered -> Triaged -> Assigned -> DecisionPrepared -> Approved -> Answered ->
//! Closed; from any of them Voided.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::appeal::facts::{AppealFact, AppealReceived};
use crate::appeal::field::Field;
use crate::code::Code;
use crate::fact::Fact;
use crate::number::RegistrationNumber;
use crate::state::State;

/// Where an appeal stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppealPhase {
    /// No fact yet.
    #[default]
    Absent,
    /// Arrived, without a number.
    Received,
    /// Has its number.
    Registered,
    /// Category and gravity are decided.
    Triaged,
    /// Has an executor.
    Assigned,
    /// A decision is drafted.
    DecisionPrepared,
    /// The decision is approved.
    Approved,
    /// The answer was sent.
    Answered,
    /// Closed.
    Closed,
    /// The registration was a mistake.
    Voided,
}

/// What the rule needs to know of an appeal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppealState {
    /// Facts folded so far: the version of the stream.
    pub version: u32,
    /// Where it stands.
    pub phase: AppealPhase,
    /// Its number.
    pub reg_no: Option<RegistrationNumber>,
    /// Every recorded value that can be corrected, as corrected so far, in its code form; of
    /// personal fields only that they were recorded.
    values: BTreeMap<(Field, u32), Option<Code>>,
}

impl AppealState {
    /// The version of the last fact that has a field.
    pub fn last(&self, field: Field) -> Option<u32> {
        self.of_field(field).next_back().map(|((_, version), _)| *version)
    }

    /// Whether the fact of a version has a field, and the field's value as corrected so far.
    pub fn recorded(&self, field: Field, version: u32) -> Option<Option<&Code>> {
        self.values.get(&(field, version)).map(Option::as_ref)
    }

    /// The present value of an open field.
    pub fn value(&self, field: Field) -> Option<&Code> {
        self.of_field(field).next_back().and_then(|(_, value)| value.as_ref())
    }

    /// Whether a flag is set.
    pub fn flag(&self, field: Field) -> bool {
        self.value(field).is_some_and(|value| *value == "true")
    }

    /// The present value of a date field.
    pub fn date(&self, field: Field) -> Option<Date> {
        self.value(field).and_then(|value| value.as_str().parse().ok())
    }

    fn of_field(
        &self,
        field: Field,
    ) -> impl DoubleEndedIterator<Item = (&(Field, u32), &Option<Code>)> {
        self.values.range((field, 0)..=(field, u32::MAX))
    }

    fn put(&mut self, field: Field, value: Option<Code>) {
        self.values.insert((field, self.version), value);
    }

    fn put_code(&mut self, field: Field, value: &Code) {
        self.put(field, Some(value.clone()));
    }

    /// A value whose text always is a code: a flag, a number, a date, an instant, an id.
    fn put_plain(&mut self, field: Field, value: impl ToString) {
        self.put(field, Code::new(&value.to_string()).ok());
    }

    fn put_received(&mut self, fact: &AppealReceived) {
        self.put_code(Field::Kind, &fact.kind);
        self.put_code(Field::Form, &fact.form);
        self.put_code(Field::Character, &fact.character);
        self.put_plain(Field::Applicants, fact.applicants);
        self.put_plain(Field::Anonymous, fact.anonymous);
        self.put_code(Field::Language, &fact.language);
        self.put_code(Field::Channel, &fact.channel);
        match fact.contact {
            Some(contact) => self.put_plain(Field::Contact, contact),
            None => self.put(Field::Contact, None),
        }
        self.put_plain(Field::ReceivedAt, fact.received_at.micros());
        for field in [Field::ApplicantName, Field::ApplicantContacts, Field::Text] {
            self.put(field, None);
        }
    }
}

impl State for AppealState {
    fn apply(&mut self, fact: &Fact) {
        // Every fact of the stream has a version, also one this software does not know.
        self.version = self.version.saturating_add(1);
        let Fact::Appeal(fact) = fact else { return };
        match fact {
            AppealFact::Received(fact) => {
                self.phase = AppealPhase::Received;
                self.put_received(fact);
            }
            AppealFact::Registered(fact) => {
                self.phase = AppealPhase::Registered;
                self.reg_no = Some(fact.reg_no.clone());
                self.put_plain(Field::RegisteredOn, fact.registered_on);
                match fact.due_on {
                    Some(day) => self.put_plain(Field::DueOn, day),
                    None => self.put(Field::DueOn, None),
                }
            }
            AppealFact::Triaged(fact) => {
                self.phase = self.phase.max(AppealPhase::Triaged);
                self.put_code(Field::Category, &fact.category);
                self.put_code(Field::Severity, &fact.severity);
                self.put_code(Field::Urgency, &fact.urgency);
                self.put_plain(Field::CorruptionSigns, fact.corruption_signs);
                self.put_plain(Field::JudicialMatter, fact.judicial_matter);
            }
            AppealFact::Assigned(_) => self.phase = self.phase.max(AppealPhase::Assigned),
            AppealFact::DecisionPrepared(fact) => {
                self.phase = AppealPhase::DecisionPrepared;
                self.put_code(Field::Decision, &fact.decision);
                self.put_code(Field::AnswerNature, &fact.answer_nature);
                self.put(Field::DecisionText, None);
            }
            AppealFact::DecisionApproved(_) => self.phase = AppealPhase::Approved,
            AppealFact::AnswerSent(fact) => {
                self.phase = AppealPhase::Answered;
                self.put_code(Field::AnswerChannel, &fact.channel);
                self.put_code(Field::AnswerLanguage, &fact.language);
                self.put(Field::AnswerText, None);
            }
            AppealFact::Closed(fact) => {
                self.phase = AppealPhase::Closed;
                self.put_code(Field::Closure, &fact.closure);
            }
            AppealFact::Corrected(fact) => {
                let known = Field::from_name(fact.field.as_str()).filter(|f| !f.is_personal());
                if let Some(field) = known
                    && let Some(value) = self.values.get_mut(&(field, fact.of))
                {
                    value.clone_from(&fact.after);
                }
            }
            AppealFact::Voided(_) => self.phase = AppealPhase::Voided,
        }
    }
}
