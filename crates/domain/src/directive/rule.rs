//! A directive goes to enrolled regions in one decision; an execution is accepted or returned by
//! naming the very report that is meant.

use crate::check;
use crate::decide::{Context, LogTarget, StreamTarget};
use crate::directive::facts::{
    DirectiveIssued, DispatchIssued, ExecutionAccepted, ExecutionReturned,
};
use crate::directive::request::{DirectiveRequest, DispatchRequest};
use crate::directive::state::{DirectiveState, DispatchState};
use crate::fact::{Fact, StreamKind};
use crate::ids::{DirectiveId, DispatchId};
use crate::refusal::{Refusal, RefusalCode};

/// The new streams of a directive's addressees.
type Dispatches = Vec<(StreamTarget, Vec<Fact>)>;

/// Issues a directive: its own fact, and a new dispatch stream for every addressee.
pub(crate) fn issue(
    state: &DirectiveState,
    request: &DirectiveRequest,
    ctx: &Context<'_>,
) -> Result<(Fact, Dispatches), Refusal> {
    let DirectiveRequest::Issue(request) = request;
    if state.issued {
        let message = "this directive was issued already; use a new stream id for a new one";
        return Err(Refusal::new(RefusalCode::AlreadyExists, message));
    }
    check::ahead("due", request.due, ctx)?;
    for (at, office) in request.targets.iter().enumerate() {
        if office.is_centre() || !ctx.offices.contains(office) {
            let message = "is not an enrolled regional office; enrol it first or leave it out";
            let field = format!("targets[{at}]");
            return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
        }
    }
    let directive = DirectiveId::new(ctx.stream);
    let dispatches = request.targets.iter().map(|office| {
        let target = StreamTarget {
            log: LogTarget::To(office.clone()),
            kind: StreamKind::Dispatch,
            id: DispatchId::of(directive, office).uuid(),
        };
        let fact = DispatchIssued {
            directive,
            office: office.clone(),
            due: request.due,
            subject: request.subject.clone(),
            order_number: request.order_number.clone(),
            indicators: request.indicators.clone(),
            evidence_required: request.evidence_required.clone(),
        };
        (target, vec![fact.into()])
    });
    let fact = DirectiveIssued {
        targets: request.targets.clone(),
        due: request.due,
        subject: request.subject.clone(),
        order_number: request.order_number.clone(),
        indicators: request.indicators.clone(),
        evidence_required: request.evidence_required.clone(),
    };
    Ok((fact.into(), dispatches.collect()))
}

/// Decides a request about one addressee's dispatch.
pub(crate) fn decide_dispatch(
    state: &DispatchState,
    request: &DispatchRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if state.due.is_none() {
        let message = "this directive was not sent to this office; check both";
        return Err(Refusal::new(RefusalCode::NotFound, message));
    }
    if state.accepted.is_some() {
        return Err(Refusal::state("the execution was accepted already"));
    }
    let Some(held) = ctx.report else {
        return Err(Refusal::state(
            "no report of this office has arrived here yet; look at the replication status",
        ));
    };
    if request.report().is_some_and(|meant| meant != held) {
        let message = "is not the last report held here; look at the report and decide again";
        return Err(Refusal::field(RefusalCode::Stale, "report", message));
    }
    if state.returned.is_some_and(|returned| returned >= held) {
        return Err(Refusal::state("this report was returned already; wait for the next one"));
    }
    let fact = match request {
        DispatchRequest::Accept(_) => ExecutionAccepted { report: held }.into(),
        DispatchRequest::Return(request) => {
            check::ahead("new_due", request.new_due, ctx)?;
            let remarks = request.remarks.clone();
            ExecutionReturned { report: held, remarks, new_due: request.new_due }.into()
        }
    };
    Ok(vec![fact])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::OrderNumber;
    use crate::directive::{AcceptExecution, IssueDirective, ReturnExecution};
    use crate::office::OfficeCode;
    use crate::permission::Role;
    use crate::testing::{Desk, code, day};

    fn office(code: &str) -> OfficeCode {
        code.parse().unwrap()
    }

    fn issue() -> IssueDirective {
        IssueDirective {
            targets: vec![office("KZ-71"), office("KZ-75")],
            due: day("2026-03-20"),
            subject: code("trust_line"),
            order_number: Some(OrderNumber::new("6001-23-7-6/443").unwrap()),
            indicators: vec![code("calls_answered")],
            evidence_required: vec![code("report")],
        }
    }

    fn directive() -> DirectiveId {
        DirectiveId::from([5; 16])
    }

    fn accept(report: Option<u32>) -> AcceptExecution {
        AcceptExecution { directive: directive(), office: office("KZ-75"), report }
    }

    fn give_back(new_due: &str) -> ReturnExecution {
        ReturnExecution {
            directive: directive(),
            office: office("KZ-75"),
            report: None,
            remarks: code("incomplete"),
            new_due: day(new_due),
        }
    }

    /// The desk of the dispatch to KZ-75, its history, and the report it holds.
    fn dispatched(report: Option<u32>) -> (Desk, Vec<Fact>) {
        let mut desk = Desk::centre();
        desk.stream = directive().uuid();
        let decision = desk.accepts(&[], issue());
        let (target, facts) = decision.streams[2].clone();
        desk.stream = target.id;
        desk.report = report;
        (desk, facts)
    }

    #[test]
    fn issued_to_all_at_once() {
        let mut desk = Desk::centre();
        desk.stream = directive().uuid();
        let decision = desk.accepts(&[], issue());
        let logs: Vec<_> = decision.streams.iter().map(|(target, _)| &target.log).collect();
        let to = |code| LogTarget::To(office(code));
        assert_eq!(logs, [&LogTarget::Own, &to("KZ-71"), &to("KZ-75")]);
        let (target, facts) = &decision.streams[2];
        assert_eq!(target.id, DispatchId::of(directive(), &office("KZ-75")).uuid());
        assert!(matches!(&facts[0], Fact::Dispatch(fact) if fact.type_name() == "dispatch.issued"));
        assert!(facts[0].is_urgent() && !decision.own()[0].is_urgent());
        desk.refuses(decision.own(), issue(), RefusalCode::AlreadyExists, None);
    }

    #[test]
    fn targets_are_enrolled_regions() {
        let desk = Desk::centre();
        let with = |code| IssueDirective { targets: vec![office(code)], ..issue() };
        desk.refuses(&[], with("KZ-10"), RefusalCode::OutOfRange, Some("targets[0]"));
        desk.refuses(&[], with("KZ"), RefusalCode::OutOfRange, Some("targets[0]"));
        let nobody = IssueDirective { targets: vec![], ..issue() };
        desk.refuses(&[], nobody, RefusalCode::Required, Some("targets"));
        let late = IssueDirective { due: day("2026-03-01"), ..issue() };
        desk.refuses(&[], late, RefusalCode::OutOfRange, Some("due"));
        let unknown = IssueDirective { evidence_required: vec![code("oath")], ..issue() };
        desk.refuses(&[], unknown, RefusalCode::UnknownCode, Some("evidence_required[0]"));
        Desk::region().refuses(&[], issue(), RefusalCode::NotPermitted, None);
        Desk::centre().with(Role::Clerk).refuses(&[], issue(), RefusalCode::NotPermitted, None);
    }

    #[test]
    fn accepted_once_and_only_a_report_that_is_held() {
        let (desk, history) = dispatched(None);
        desk.refuses(&history, accept(None), RefusalCode::WrongState, None);
        let (desk, mut history) = dispatched(Some(3));
        desk.refuses(&[], accept(None), RefusalCode::NotFound, None);
        desk.refuses(&history, accept(Some(4)), RefusalCode::Stale, Some("report"));
        let decision = desk.accepts(&history, accept(Some(3)));
        assert_eq!(decision.streams[0].0.log, LogTarget::To(office("KZ-75")));
        history.extend_from_slice(decision.own());
        desk.refuses(&history, accept(None), RefusalCode::WrongState, None);
        desk.refuses(&history, give_back("2026-04-01"), RefusalCode::WrongState, None);
    }

    #[test]
    fn returned_until_a_newer_report_arrives() {
        let (mut desk, mut history) = dispatched(Some(3));
        let past = give_back("2026-03-01");
        desk.refuses(&history, past, RefusalCode::OutOfRange, Some("new_due"));
        let returned = desk.accepts(&history, give_back("2026-04-01"));
        history.extend_from_slice(returned.own());
        desk.refuses(&history, accept(None), RefusalCode::WrongState, None);
        desk.report = Some(4);
        desk.accepts(&history, accept(None));
    }

    #[test]
    fn the_stream_follows_from_directive_and_office() {
        let (mut desk, history) = dispatched(Some(3));
        desk.stream = directive().uuid();
        desk.refuses(&history, accept(None), RefusalCode::Malformed, Some("stream_id"));
    }
}
