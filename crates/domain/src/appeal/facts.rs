//! Facts of an appeal, from receipt to answer, with corrections.

use jiff::civil::Date;

use crate::code::{Code, Post};
use crate::ids::ContactId;
use crate::macros::facts;
use crate::number::RegistrationNumber;
use crate::text::Text;
use crate::time::Timestamp;

/// Who appeals and what they say: personal data, sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicantPart {
    /// The applicant's name.
    pub name: Option<Text>,
    /// Address, telephone, e-mail: how the applicant wants to be reached.
    pub contacts: Option<Text>,
    /// The appeal's own text.
    pub text: Option<Text>,
}

/// The words of a decision: sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionPart {
    /// The decision's text.
    pub text: Option<Text>,
}

/// The words of an answer: sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerPart {
    /// The answer's text.
    pub text: Option<Text>,
}

/// The two values of a corrected personal field: sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorrectionPart {
    /// What was recorded, as the corrector read it.
    pub before: Option<Text>,
    /// What is right; `None` takes the value away.
    pub after: Option<Text>,
}

/// An appeal arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealReceived {
    /// Classifier `appeal_kind`: statement, complaint, ...
    pub kind: Code,
    /// Classifier `appeal_form`: paper, oral, electronic, video.
    pub form: Code,
    /// Classifier `appeal_character`: individual, collective.
    pub character: Code,
    /// Number of applicants; 1 or more.
    pub applicants: u32,
    /// Whether the applicant gave no name or asked for none to be kept.
    pub anonymous: bool,
    /// Classifier `language`: the language of the appeal, in which it must be answered.
    pub language: Code,
    /// Classifier `channel`: how it arrived.
    pub channel: Code,
    /// The contact that brought it.
    pub contact: Option<ContactId>,
    /// When it reached the office.
    pub received_at: Timestamp,
    /// Sealed; `None` when nothing was given or the part was not opened.
    pub personal: Option<ApplicantPart>,
}

/// The appeal got its number, once and for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealRegistered {
    /// The registration number.
    pub reg_no: RegistrationNumber,
    /// The day of registration in the office's zone.
    pub registered_on: Date,
    /// The day the answer is due, where it is known at registration.
    pub due_on: Option<Date>,
}

/// A person decided what the appeal is about and how grave it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealTriaged {
    /// Classifier `category`: the coarse category only; a fine one may name the judge.
    pub category: Code,
    /// Classifier `severity`.
    pub severity: Code,
    /// Classifier `urgency`.
    pub urgency: Code,
    /// Whether there are signs of corruption.
    pub corruption_signs: bool,
    /// Whether it belongs to court proceedings, which nobody outside them may consider
    /// (Constitutional Law 132-II, Art 1).
    pub judicial_matter: bool,
}

/// The appeal was given to an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealAssigned {
    /// The post that handles it.
    pub executor: Post,
}

/// A decision was drafted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPrepared {
    /// Classifier `decision`.
    pub decision: Code,
    /// Classifier `answer_nature`: explained, satisfied, refused, partly.
    pub answer_nature: Code,
    /// Sealed; `None` when nothing was given or the part was not opened.
    pub personal: Option<DecisionPart>,
}

/// The chief approved the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionApproved {}

/// The answer left the office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSent {
    /// Classifier `answer_channel`.
    pub channel: Code,
    /// Classifier `language`.
    pub language: Code,
    /// Sealed; `None` when nothing was given or the part was not opened.
    pub personal: Option<AnswerPart>,
}

/// The case is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealClosed {
    /// Classifier `closure`.
    pub closure: Code,
}

/// A recorded value was wrong; the wrong record stays, this one says what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealCorrected {
    /// The version in this stream (1 = its first fact) of the fact that is corrected. A version
    /// is checkable where a case continues in another log; it never changes.
    pub of: u32,
    /// The field, one of [`crate::appeal::Field`]'s names; an unknown one is carried and shown.
    pub field: Code,
    /// The recorded value in its code form; `None` where there was none, and for personal fields.
    pub before: Option<Code>,
    /// The right value in its code form; `None` takes it away, and for personal fields.
    pub after: Option<Code>,
    /// Classifier `correction_reason`.
    pub reason: Code,
    /// Sealed; the values of a personal field.
    pub personal: Option<CorrectionPart>,
}

/// The registration was a mistake. The number stays used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationVoided {
    /// Classifier `void_reason`.
    pub reason: Code,
}

facts! {
    /// Facts of an appeal stream.
    AppealFact in Appeal, Appeal {
        /// An appeal arrived.
        Received(AppealReceived) = 1, "appeal.received";
        /// It got its number.
        Registered(AppealRegistered) = 2, "appeal.registered";
        /// Its category and gravity were decided.
        Triaged(AppealTriaged) = 3, "appeal.triaged";
        /// It was given to an executor.
        Assigned(AppealAssigned) = 4, "appeal.assigned";
        /// A decision was drafted.
        DecisionPrepared(DecisionPrepared) = 5, "appeal.decision_prepared";
        /// The decision was approved.
        DecisionApproved(DecisionApproved) = 6, "appeal.decision_approved";
        /// The answer was sent.
        AnswerSent(AnswerSent) = 7, "appeal.answer_sent";
        /// The case is closed.
        Closed(AppealClosed) = 8, "appeal.closed";
        /// A recorded value was wrong.
        Corrected(AppealCorrected) = 9, "appeal.corrected";
        /// The registration was a mistake.
        Voided(RegistrationVoided) = 10, "appeal.registration_voided";
    }
}
