//! Delivered -> Acknowledged -> Reported.

use crate::code::Code;
use crate::fact::Fact;
use crate::state::State;
use crate::task::facts::TaskFact;

/// Where a task stands in its region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskPhase {
    /// No fact yet.
    #[default]
    Absent,
    /// The region's node holds it.
    Delivered,
    /// The chief has seen it.
    Acknowledged,
    /// Execution was reported, perhaps more than once.
    Reported,
}

/// What the rule needs to know of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskState {
    /// Where it stands.
    pub phase: TaskPhase,
    /// Values asked for.
    pub indicators: Vec<Code>,
    /// Evidence asked for.
    pub evidence_required: Vec<Code>,
}

impl State for TaskState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Task(fact) = fact else { return };
        match fact {
            TaskFact::Delivered(fact) => {
                self.phase = TaskPhase::Delivered;
                self.indicators.clone_from(&fact.indicators);
                self.evidence_required.clone_from(&fact.evidence_required);
            }
            TaskFact::Acknowledged(_) => self.phase = TaskPhase::Acknowledged,
            TaskFact::Reported(_) => self.phase = TaskPhase::Reported,
        }
    }
}
