//! Requests about a preventive measure.

use jiff::civil::Date;

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::ids::DirectiveId;
use crate::limits;
use crate::macros::requests;
use crate::measure::facts::Participants;
use crate::refusal::Refusal;

/// Plan a measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanMeasure {
    /// Classifier `measure_kind`.
    pub kind: Code,
    /// Classifier `audience`.
    pub audience: Code,
    /// The day by which it is to be held.
    pub due: Date,
    /// The directive that asks for it.
    pub directive: Option<DirectiveId>,
}

/// Record that it was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldMeasure {
    /// Participants by class; at least one class, each once, each with 1 or more people.
    pub participants: Vec<Participants>,
    /// Duration in minutes, 1 or more.
    pub minutes: u32,
}

/// Cancel it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelMeasure {
    /// Classifier `cancel_reason`.
    pub reason: Code,
}

requests! {
    /// Requests about a measure stream.
    MeasureRequest in Measure {
        /// Plan a measure.
        Plan(PlanMeasure), "plan_measure";
        /// It was held.
        Hold(HoldMeasure), "hold_measure";
        /// Cancel it.
        Cancel(CancelMeasure), "cancel_measure";
    }
}

impl MeasureRequest {
    /// Checks codes and numbers.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Plan(request) => {
                lists.check("kind", list::MEASURE_KIND, &request.kind)?;
                lists.check("audience", list::AUDIENCE, &request.audience)
            }
            Self::Hold(request) => {
                let classes: Vec<_> = request.participants.iter().map(|p| &p.class).collect();
                check::distinct("participants", &classes, 1, limits::PARTICIPANT_CLASSES)?;
                for (at, Participants { class, count }) in request.participants.iter().enumerate() {
                    let field = |name| format!("participants[{at}].{name}");
                    lists.check(field("class"), list::PARTICIPANT_CLASS, class)?;
                    check::count(field("count"), *count, 1, limits::PARTICIPANTS)?;
                }
                check::count("minutes", request.minutes, 1, limits::MEASURE_MINUTES)
            }
            Self::Cancel(request) => lists.check("reason", list::CANCEL_REASON, &request.reason),
        }
    }
}
