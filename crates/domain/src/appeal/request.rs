//! Requests about an appeal.

use jiff::civil::Date;

use crate::appeal::facts::{AnswerPart, ApplicantPart, CorrectionPart, DecisionPart};
use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::{Code, Post};
use crate::ids::ContactId;
use crate::limits;
use crate::macros::requests;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::Timestamp;

/// Receive and register an appeal. Refusing to accept one is forbidden (APPC Art 64(1)), so the
/// two facts come together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveAppeal {
    /// Classifier `appeal_kind`.
    pub kind: Code,
    /// Classifier `appeal_form`.
    pub form: Code,
    /// Classifier `appeal_character`.
    pub character: Code,
    /// Number of applicants; exactly 1 for `individual`.
    pub applicants: u32,
    /// Whether the applicant is unnamed; then no name may be given.
    pub anonymous: bool,
    /// Classifier `language`.
    pub language: Code,
    /// Classifier `channel`.
    pub channel: Code,
    /// The contact that brought it.
    pub contact: Option<ContactId>,
    /// When it reached the office; absent = the request's `occurred_at`.
    pub received_at: Option<Timestamp>,
    /// Day of registration; absent = the date of `received_at` in the office's zone.
    pub registered_on: Option<Date>,
    /// Day the answer is due, where known; not before `registered_on`.
    pub due_on: Option<Date>,
    /// Applicant and text; to be sealed.
    pub personal: Option<ApplicantPart>,
}

/// Decide what the appeal is about. May be repeated until a decision is drafted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriageAppeal {
    /// Classifier `category`.
    pub category: Code,
    /// Classifier `severity`.
    pub severity: Code,
    /// Classifier `urgency`.
    pub urgency: Code,
    /// Whether there are signs of corruption.
    pub corruption_signs: bool,
    /// Whether it belongs to court proceedings.
    pub judicial_matter: bool,
}

/// Give the appeal to an executor (or to another one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignAppeal {
    /// The post that will handle it.
    pub executor: Post,
}

/// Draft a decision (or another one instead of it, until one is approved).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareDecision {
    /// Classifier `decision`.
    pub decision: Code,
    /// Classifier `answer_nature`.
    pub answer_nature: Code,
    /// The words; to be sealed.
    pub personal: Option<DecisionPart>,
}

/// Approve the drafted decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproveDecision {}

/// Send the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerAppeal {
    /// Classifier `answer_channel`.
    pub channel: Code,
    /// Classifier `language`: `kk` (the state language) or the language of the appeal.
    pub language: Code,
    /// The words; to be sealed.
    pub personal: Option<AnswerPart>,
}

/// Close the case: after the answer, or straight away with a closure that claims no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseAppeal {
    /// Classifier `closure`.
    pub closure: Code,
}

/// Correct a recorded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectAppeal {
    /// The stream version of the fact to correct; absent = the last fact that has the field.
    pub of: Option<u32>,
    /// The field, one of [`crate::appeal::Field`]'s names.
    pub field: Code,
    /// The value believed to be recorded, in its code form; when given it must be the one that
    /// is, so that two correctors cannot overwrite one another unseen.
    pub before: Option<Code>,
    /// The right value in its code form; absent takes an optional value away.
    pub after: Option<Code>,
    /// Classifier `correction_reason`.
    pub reason: Code,
    /// The values of a personal field; to be sealed.
    pub personal: Option<CorrectionPart>,
}

/// Declare the registration a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidRegistration {
    /// Classifier `void_reason`.
    pub reason: Code,
}

requests! {
    /// Requests about an appeal stream.
    AppealRequest in Appeal {
        /// Receive and register.
        Receive(ReceiveAppeal), "receive_appeal";
        /// Decide category and gravity.
        Triage(TriageAppeal), "triage_appeal";
        /// Give it to an executor.
        Assign(AssignAppeal), "assign_appeal";
        /// Draft a decision.
        Prepare(PrepareDecision), "prepare_decision";
        /// Approve the decision.
        Approve(ApproveDecision), "approve_decision";
        /// Send the answer.
        Answer(AnswerAppeal), "answer_appeal";
        /// Close the case.
        Close(CloseAppeal), "close_appeal";
        /// Correct a recorded value.
        Correct(CorrectAppeal), "correct_appeal";
        /// Void the registration.
        Void(VoidRegistration), "void_registration";
    }
}

impl AppealRequest {
    /// Checks codes, lengths and numbers.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Receive(request) => request.validate(lists),
            Self::Triage(request) => {
                lists.check("category", list::CATEGORY, &request.category)?;
                lists.check("severity", list::SEVERITY, &request.severity)?;
                lists.check("urgency", list::URGENCY, &request.urgency)
            }
            Self::Assign(_) | Self::Approve(_) => Ok(()),
            Self::Prepare(request) => {
                lists.check("decision", list::DECISION, &request.decision)?;
                lists.check("answer_nature", list::ANSWER_NATURE, &request.answer_nature)?;
                let text = request.personal.as_ref().and_then(|part| part.text.as_ref());
                check::free_text("personal.text", text)
            }
            Self::Answer(request) => {
                lists.check("channel", list::ANSWER_CHANNEL, &request.channel)?;
                lists.check("language", list::LANGUAGE, &request.language)?;
                let text = request.personal.as_ref().and_then(|part| part.text.as_ref());
                check::free_text("personal.text", text)
            }
            Self::Close(request) => lists.check("closure", list::CLOSURE, &request.closure),
            Self::Correct(request) => {
                lists.check("reason", list::CORRECTION_REASON, &request.reason)
            }
            Self::Void(request) => lists.check("reason", list::VOID_REASON, &request.reason),
        }
    }
}

impl ReceiveAppeal {
    fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        lists.check("kind", list::APPEAL_KIND, &self.kind)?;
        lists.check("form", list::APPEAL_FORM, &self.form)?;
        lists.check("character", list::APPEAL_CHARACTER, &self.character)?;
        lists.check("language", list::LANGUAGE, &self.language)?;
        lists.check("channel", list::CHANNEL, &self.channel)?;
        let individual = self.character == list::CHARACTER_INDIVIDUAL;
        let most = if individual { 1 } else { limits::APPLICANTS };
        check::count("applicants", self.applicants, 1, most)?;
        let Some(part) = &self.personal else { return Ok(()) };
        if self.anonymous && part.name.is_some() {
            let message = "is given although the appeal is anonymous; leave one of them out";
            return Err(Refusal::field(RefusalCode::OutOfRange, "personal.name", message));
        }
        check::chars("personal.name", part.name.as_ref(), limits::NAME_CHARS)?;
        check::chars("personal.contacts", part.contacts.as_ref(), limits::CONTACT_CHARS)?;
        check::free_text("personal.text", part.text.as_ref())
    }
}
