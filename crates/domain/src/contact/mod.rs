//! Contact: one act of intake, which gives none, one or several appeals.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{
    CallerPart, ConsultationGiven, ContactClosed, ContactFact, ContactLinked, ContactOpened,
    FileAttached, FilePart,
};
pub use request::{
    AttachFile, CloseContact, ContactRequest, GiveConsultation, LinkContact, OpenContact,
};
pub(crate) use rule::decide;
pub use state::{ContactPhase, ContactState};
