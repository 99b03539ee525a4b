//! Measure: a planned act against corruption.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{MeasureCancelled, MeasureFact, MeasureHeld, MeasurePlanned, Participants};
pub use request::{CancelMeasure, HoldMeasure, MeasureRequest, PlanMeasure};
pub(crate) use rule::decide;
pub use state::{MeasurePhase, MeasureState};
