//! A measure is planned ahead and ends as held or cancelled.

use crate::check;
use crate::decide::Context;
use crate::fact::Fact;
use crate::measure::facts::{MeasureCancelled, MeasureHeld, MeasurePlanned};
use crate::measure::request::MeasureRequest;
use crate::measure::state::{MeasurePhase, MeasureState};
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about a measure.
pub(crate) fn decide(
    state: &MeasureState,
    request: &MeasureRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let fact = match (state.phase, request) {
        (MeasurePhase::Absent, MeasureRequest::Plan(request)) => {
            check::ahead("due", request.due, ctx)?;
            MeasurePlanned {
                kind: request.kind.clone(),
                audience: request.audience.clone(),
                due: request.due,
                directive: request.directive,
            }
            .into()
        }
        (_, MeasureRequest::Plan(_)) => {
            let message = "this measure was planned already; use a new stream id for a new one";
            return Err(Refusal::new(RefusalCode::AlreadyExists, message));
        }
        (MeasurePhase::Planned, MeasureRequest::Hold(request)) => {
            MeasureHeld { participants: request.participants.clone(), minutes: request.minutes }
                .into()
        }
        (MeasurePhase::Planned, MeasureRequest::Cancel(request)) => {
            MeasureCancelled { reason: request.reason.clone() }.into()
        }
        (MeasurePhase::Absent, _) => {
            let message = "there is no such measure here; check the stream id or plan it first";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        (MeasurePhase::Held, _) => {
            return Err(Refusal::state("the measure was held already"));
        }
        (MeasurePhase::Cancelled, _) => {
            return Err(Refusal::state("the measure was cancelled; plan a new one"));
        }
    };
    Ok(vec![fact])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{CancelMeasure, HoldMeasure, Participants, PlanMeasure};
    use crate::permission::Role;
    use crate::testing::{Desk, code, day};

    fn plan() -> PlanMeasure {
        PlanMeasure {
            kind: code("lecture"),
            audience: code("judges"),
            due: day("2026-03-20"),
            directive: None,
        }
    }

    fn hold(classes: &[(&str, u32)]) -> HoldMeasure {
        let participants = classes
            .iter()
            .map(|(class, count)| Participants { class: code(class), count: *count })
            .collect();
        HoldMeasure { participants, minutes: 90 }
    }

    fn cancel() -> CancelMeasure {
        CancelMeasure { reason: code("merged") }
    }

    #[test]
    fn planned_and_held() {
        let desk = Desk::region().with(Role::Clerk);
        let held = hold(&[("judges", 12), ("civil_servants", 30)]);
        let history = desk.plays(vec![plan().into(), held.clone().into()]);
        desk.refuses(&history, held, RefusalCode::WrongState, None);
        desk.refuses(&history, cancel(), RefusalCode::WrongState, None);
        desk.refuses(&history, plan(), RefusalCode::AlreadyExists, None);
    }

    #[test]
    fn cancelled_is_final() {
        let desk = Desk::region();
        let history = desk.plays(vec![plan().into(), cancel().into()]);
        desk.refuses(&history, hold(&[("judges", 1)]), RefusalCode::WrongState, None);
        desk.refuses(&[], cancel(), RefusalCode::NotFound, None);
    }

    #[test]
    fn shapes() {
        let desk = Desk::region();
        let late = PlanMeasure { due: day("2026-03-01"), ..plan() };
        desk.refuses(&[], late, RefusalCode::OutOfRange, Some("due"));
        let planned = desk.plays(vec![plan().into()]);
        let field = Some("participants[1].class");
        let unknown = hold(&[("judges", 1), ("astronauts", 1)]);
        desk.refuses(&planned, unknown, RefusalCode::UnknownCode, field);
        let twice = hold(&[("judges", 1), ("judges", 1)]);
        desk.refuses(&planned, twice, RefusalCode::Repeated, Some("participants[1]"));
        desk.refuses(&planned, hold(&[]), RefusalCode::Required, Some("participants"));
        let nobody = hold(&[("judges", 0)]);
        desk.refuses(&planned, nobody, RefusalCode::OutOfRange, Some("participants[0].count"));
        let endless = HoldMeasure { minutes: 0, ..hold(&[("judges", 1)]) };
        desk.refuses(&planned, endless, RefusalCode::OutOfRange, Some("minutes"));
    }
}
