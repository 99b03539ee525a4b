//! Facts of a task: what a region does with a directive (`task/D` in the region's log; the
//! stream id is the directive's id).

use jiff::civil::Date;

use crate::code::Code;
use crate::macros::facts;

/// The value of one indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorValue {
    /// Classifier `indicator`.
    pub indicator: Code,
    /// The value; the classifier's label says its unit.
    pub value: i64,
}

/// The region holds the directive. Recorded by the region's node itself, not by a person.
/// It repeats what the directive asks for, so that a report can be checked within this stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDelivered {
    /// Epoch of the log `kz/<office>` that brought it.
    pub log_epoch: u32,
    /// Position (sequence) of the dispatch in that epoch.
    pub log_index: u64,
    /// The day by which it is to be executed.
    pub due: Date,
    /// Classifier `indicator`: values to report.
    pub indicators: Vec<Code>,
    /// Classifier `evidence`: kinds of evidence to state.
    pub evidence_required: Vec<Code>,
}

/// The chief has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAcknowledged {}

/// The region reports execution. A later report replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionReported {
    /// A value for every indicator asked for.
    pub values: Vec<IndicatorValue>,
    /// Classifier `evidence`: the kinds of evidence that are at hand.
    pub evidence: Vec<Code>,
}

facts! {
    /// Facts of a task stream.
    TaskFact in Task, Task {
        /// The region holds the directive.
        Delivered(TaskDelivered) = 1, "task.delivered";
        /// The chief has seen it.
        Acknowledged(TaskAcknowledged) = 2, "task.acknowledged";
        /// The region reports execution.
        Reported(ExecutionReported) = 3, "task.execution_reported";
    }
}
