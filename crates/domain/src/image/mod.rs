//! Image: activities of the image-policy plan, for court officials and for society.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{ActivityFact, ActivityHeld, ActivityPlanned};
pub use request::{ActivityRequest, HoldActivity, PlanActivity};
pub(crate) use rule::decide;
pub use state::{ActivityPhase, ActivityState};
