//! Reception: a personal reception session, promised, held or not held.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{
    ReceptionFact, ReceptionHeld, ReceptionNotHeld, ReceptionPlanned, VisitorPart, VisitorReceived,
};
pub use request::{HoldReception, MissReception, PlanReception, ReceiveVisitor, ReceptionRequest};
pub(crate) use rule::decide;
pub use state::{ReceptionPhase, ReceptionState};
