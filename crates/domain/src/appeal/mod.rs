//! Appeal: any addressed communication that must be registered, from receipt to answer.

mod correction;
mod facts;
mod field;
mod request;
mod rule;
mod state;
#[cfg(test)]
pub(crate) mod testing;

pub use facts::{
    AnswerPart, AnswerSent, AppealAssigned, AppealClosed, AppealCorrected, AppealFact,
    AppealReceived, AppealRegistered, AppealTriaged, ApplicantPart, CorrectionPart,
    DecisionApproved, DecisionPart, DecisionPrepared, RegistrationVoided,
};
pub use field::{Field, FieldKind};
pub use request::{
    AnswerAppeal, AppealRequest, ApproveDecision, AssignAppeal, CloseAppeal, CorrectAppeal,
    PrepareDecision, ReceiveAppeal, TriageAppeal, VoidRegistration,
};
pub(crate) use rule::decide;
pub use state::{AppealPhase, AppealState};
