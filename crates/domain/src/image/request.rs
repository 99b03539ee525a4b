//! Requests about an activity of the image-policy plan.

use jiff::civil::Date;

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::limits;
use crate::macros::requests;
use crate::refusal::Refusal;

/// Plan an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanActivity {
    /// Classifier `activity_audience`.
    pub audience: Code,
    /// Classifier `activity_kind`.
    pub kind: Code,
    /// Classifier `activity_channel`.
    pub channel: Code,
    /// Classifier `language`.
    pub language: Code,
    /// How many people it should reach; 1 or more.
    pub target_reach: u32,
    /// The day by which it is to be held.
    pub due: Date,
}

/// Record that it was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldActivity {
    /// How many people it reached.
    pub reach: u32,
}

requests! {
    /// Requests about an activity stream.
    ActivityRequest in Activity {
        /// Plan an activity.
        Plan(PlanActivity), "plan_activity";
        /// It was held.
        Hold(HoldActivity), "hold_activity";
    }
}

impl ActivityRequest {
    /// Checks codes and numbers.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Plan(request) => {
                lists.check("audience", list::ACTIVITY_AUDIENCE, &request.audience)?;
                lists.check("kind", list::ACTIVITY_KIND, &request.kind)?;
                lists.check("channel", list::ACTIVITY_CHANNEL, &request.channel)?;
                lists.check("language", list::LANGUAGE, &request.language)?;
                check::count("target_reach", request.target_reach, 1, limits::REACH)
            }
            Self::Hold(request) => check::count("reach", request.reach, 0, limits::REACH),
        }
    }
}
