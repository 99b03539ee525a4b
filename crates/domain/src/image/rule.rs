//! An activity of the image-policy plan is planned ahead and held once.

use crate::check;
use crate::decide::Context;
use crate::fact::Fact;
use crate::image::facts::{ActivityHeld, ActivityPlanned};
use crate::image::request::ActivityRequest;
use crate::image::state::{ActivityPhase, ActivityState};
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about an activity.
pub(crate) fn decide(
    state: &ActivityState,
    request: &ActivityRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let fact = match (state.phase, request) {
        (ActivityPhase::Absent, ActivityRequest::Plan(request)) => {
            check::ahead("due", request.due, ctx)?;
            ActivityPlanned {
                audience: request.audience.clone(),
                kind: request.kind.clone(),
                channel: request.channel.clone(),
                language: request.language.clone(),
                target_reach: request.target_reach,
                due: request.due,
            }
            .into()
        }
        (_, ActivityRequest::Plan(_)) => {
            let message = "this activity was planned already; use a new stream id for a new one";
            return Err(Refusal::new(RefusalCode::AlreadyExists, message));
        }
        (ActivityPhase::Planned, ActivityRequest::Hold(request)) => {
            ActivityHeld { reach: request.reach }.into()
        }
        (ActivityPhase::Absent, ActivityRequest::Hold(_)) => {
            let message = "there is no such activity here; check the stream id or plan it first";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        (ActivityPhase::Held, ActivityRequest::Hold(_)) => {
            return Err(Refusal::state("the activity was held already"));
        }
    };
    Ok(vec![fact])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{HoldActivity, PlanActivity};
    use crate::testing::{Desk, code, day};

    fn plan() -> PlanActivity {
        PlanActivity {
            audience: code("society"),
            kind: code("interview"),
            channel: code("television"),
            language: code("kk"),
            target_reach: 5_000,
            due: day("2026-03-20"),
        }
    }

    #[test]
    fn planned_and_held_once() {
        let desk = Desk::region();
        let history = desk.plays(vec![plan().into(), HoldActivity { reach: 0 }.into()]);
        desk.refuses(&history, HoldActivity { reach: 1 }, RefusalCode::WrongState, None);
        desk.refuses(&history, plan(), RefusalCode::AlreadyExists, None);
        desk.refuses(&[], HoldActivity { reach: 1 }, RefusalCode::NotFound, None);
    }

    #[test]
    fn shapes() {
        let desk = Desk::region();
        let aimless = PlanActivity { target_reach: 0, ..plan() };
        desk.refuses(&[], aimless, RefusalCode::OutOfRange, Some("target_reach"));
        let unknown = PlanActivity { audience: code("everyone"), ..plan() };
        desk.refuses(&[], unknown, RefusalCode::UnknownCode, Some("audience"));
        let late = PlanActivity { due: day("2026-03-01"), ..plan() };
        desk.refuses(&[], late, RefusalCode::OutOfRange, Some("due"));
    }
}
