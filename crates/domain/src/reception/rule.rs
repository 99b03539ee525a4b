//! A promised session ends as held or not held, never both, and its count covers its visitors.

use crate::check;
use crate::decide::Context;
use crate::fact::Fact;
use crate::limits;
use crate::reception::facts::{ReceptionHeld, ReceptionNotHeld, ReceptionPlanned, VisitorReceived};
use crate::reception::request::{HoldReception, MissReception, ReceptionRequest};
use crate::reception::state::{ReceptionPhase, ReceptionState};
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about a reception session.
pub(crate) fn decide(
    state: &ReceptionState,
    request: &ReceptionRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if let ReceptionRequest::Plan(request) = request {
        if state.phase != ReceptionPhase::Absent {
            let message = "this session was planned already; use a new stream id for a new one";
            return Err(Refusal::new(RefusalCode::AlreadyExists, message));
        }
        check::ahead("on", request.on, ctx)?;
        return Ok(vec![ReceptionPlanned { on: request.on, post: request.post.clone() }.into()]);
    }
    let fact = match (state.phase, request) {
        (ReceptionPhase::Absent, _) => {
            let message = "there is no such session here; check the stream id or plan it first";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        (ReceptionPhase::NotHeld, _) => {
            return Err(Refusal::state("the session was not held; plan a new one"));
        }
        (phase, ReceptionRequest::ReceiveVisitor(request)) => {
            let room = if phase == ReceptionPhase::Held { state.counted } else { limits::VISITORS };
            if state.received >= room {
                return Err(Refusal::state(
                    "all visitors counted for this session are recorded already",
                ));
            }
            VisitorReceived {
                outcome: request.outcome.clone(),
                appeal: request.appeal,
                personal: request.personal.clone(),
            }
            .into()
        }
        (ReceptionPhase::Held, _) => {
            return Err(Refusal::state("the session was recorded as held already"));
        }
        (ReceptionPhase::Planned, ReceptionRequest::Hold(request)) => hold(state, request, ctx)?,
        (ReceptionPhase::Planned, ReceptionRequest::Miss(request)) => miss(state, request)?,
        (_, ReceptionRequest::Plan(_)) => return Ok(Vec::new()),
    };
    Ok(vec![fact])
}

fn hold(
    state: &ReceptionState,
    request: &HoldReception,
    ctx: &Context<'_>,
) -> Result<Fact, Refusal> {
    check::happened("closed_at", request.closed_at, ctx)?;
    let opened_on = check::date_of("opened_at", request.opened_at, ctx)?;
    if Some(opened_on) != state.on {
        let message = "is not on the planned day; record this session as not held and plan \
                       another one for that day";
        return Err(Refusal::field(RefusalCode::OutOfRange, "opened_at", message));
    }
    if request.visitors < state.received {
        let message = "is smaller than the number of visitors recorded one by one";
        return Err(Refusal::field(RefusalCode::OutOfRange, "visitors", message));
    }
    let fact = ReceptionHeld {
        mode: request.mode.clone(),
        visitors: request.visitors,
        opened_at: request.opened_at,
        closed_at: request.closed_at,
    };
    Ok(fact.into())
}

fn miss(state: &ReceptionState, request: &MissReception) -> Result<Fact, Refusal> {
    if state.received > 0 {
        return Err(Refusal::state("visitors were received; record the session as held"));
    }
    if let (Some(replacement), Some(on)) = (request.replacement_on, state.on)
        && (replacement <= on || replacement.year() > limits::LATEST_YEAR)
    {
        let message = "must be after the planned day";
        return Err(Refusal::field(RefusalCode::OutOfRange, "replacement_on", message));
    }
    let fact =
        ReceptionNotHeld { reason: request.reason.clone(), replacement_on: request.replacement_on };
    Ok(fact.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Post;
    use crate::ids::AppealId;
    use crate::reception::{PlanReception, ReceiveVisitor};
    use crate::testing::{Desk, at, code, day};

    fn plan(on: &str) -> PlanReception {
        PlanReception { on: day(on), post: Post::new("kz-75/chief").unwrap() }
    }

    fn hold(visitors: u32) -> HoldReception {
        HoldReception {
            mode: code("in_person"),
            visitors,
            opened_at: at("2026-03-02", 9, 0),
            closed_at: at("2026-03-02", 11, 0),
        }
    }

    fn visitor() -> ReceiveVisitor {
        ReceiveVisitor { outcome: code("explained"), appeal: None, personal: None }
    }

    fn miss(replacement: Option<&str>) -> MissReception {
        MissReception { reason: code("illness"), replacement_on: replacement.map(day) }
    }

    #[test]
    fn held_with_visitors_before_and_after_the_count() {
        let desk = Desk::region();
        let history = desk.plays(vec![
            plan("2026-03-02").into(),
            visitor().into(),
            hold(2).into(),
            visitor().into(),
        ]);
        desk.refuses(&history, visitor(), RefusalCode::WrongState, None);
        desk.refuses(&history, miss(None), RefusalCode::WrongState, None);
        desk.refuses(&history, hold(2), RefusalCode::WrongState, None);
    }

    #[test]
    fn not_held_has_a_later_replacement() {
        let desk = Desk::region();
        let planned = desk.plays(vec![plan("2026-03-02").into()]);
        let same_day = miss(Some("2026-03-02"));
        desk.refuses(&planned, same_day, RefusalCode::OutOfRange, Some("replacement_on"));
        let missed = desk.plays(vec![plan("2026-03-02").into(), miss(Some("2026-03-04")).into()]);
        desk.refuses(&missed, visitor(), RefusalCode::WrongState, None);
        let visited = desk.plays(vec![plan("2026-03-02").into(), visitor().into()]);
        desk.refuses(&visited, miss(None), RefusalCode::WrongState, None);
    }

    #[test]
    fn days_and_counts() {
        let desk = Desk::region();
        desk.refuses(&[], plan("2026-03-01"), RefusalCode::OutOfRange, Some("on"));
        desk.refuses(&[], hold(0), RefusalCode::NotFound, None);
        let tomorrow = desk.plays(vec![plan("2026-03-03").into()]);
        desk.refuses(&tomorrow, hold(0), RefusalCode::OutOfRange, Some("opened_at"));
        desk.refuses(&tomorrow, plan("2026-03-03"), RefusalCode::AlreadyExists, None);
        let visited = desk.plays(vec![plan("2026-03-02").into(), visitor().into()]);
        desk.refuses(&visited, hold(0), RefusalCode::OutOfRange, Some("visitors"));
        let backwards = HoldReception { closed_at: at("2026-03-02", 9, 0), ..hold(1) };
        desk.refuses(&visited, backwards, RefusalCode::OutOfRange, Some("closed_at"));
        let future = HoldReception { closed_at: at("2026-03-02", 18, 0), ..hold(1) };
        desk.refuses(&visited, future, RefusalCode::OutOfRange, Some("closed_at"));
    }

    #[test]
    fn an_oral_appeal_is_named() {
        let desk = Desk::region();
        let planned = desk.plays(vec![plan("2026-03-02").into()]);
        let nameless = ReceiveVisitor { outcome: code("appeal_taken"), ..visitor() };
        desk.refuses(&planned, nameless.clone(), RefusalCode::Required, Some("appeal"));
        let named = ReceiveVisitor { appeal: Some(AppealId::from([1; 16])), ..nameless };
        desk.accepts(&planned, named);
    }
}
