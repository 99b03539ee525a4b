//! Task: what a region does with a directive.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{ExecutionReported, IndicatorValue, TaskAcknowledged, TaskDelivered, TaskFact};
pub use request::{AcknowledgeTask, DeliverTask, ReportTask, TaskRequest};
pub(crate) use rule::decide;
pub use state::{TaskPhase, TaskState};
