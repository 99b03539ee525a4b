//! A task is delivered once, acknowledged once, and reported in full; it may be reported again,
//! because the centre may return it.

use crate::code::Code;
use crate::fact::Fact;
use crate::refusal::{Refusal, RefusalCode};
use crate::task::facts::{ExecutionReported, TaskAcknowledged, TaskDelivered};
use crate::task::request::{ReportTask, TaskRequest};
use crate::task::state::{TaskPhase, TaskState};

/// Decides a request about a task.
pub(crate) fn decide(state: &TaskState, request: &TaskRequest) -> Result<Vec<Fact>, Refusal> {
    let fact = match (state.phase, request) {
        (TaskPhase::Absent, TaskRequest::Deliver(request)) => TaskDelivered {
            log_epoch: request.log_epoch,
            log_index: request.log_index,
            due: request.due,
            indicators: request.indicators.clone(),
            evidence_required: request.evidence_required.clone(),
        }
        .into(),
        (_, TaskRequest::Deliver(_)) => {
            let message = "the task was delivered already";
            return Err(Refusal::new(RefusalCode::AlreadyExists, message));
        }
        (TaskPhase::Absent, _) => {
            let message = "no such task has arrived here; check the stream id (the directive's id)";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        (TaskPhase::Delivered, TaskRequest::Acknowledge(_)) => TaskAcknowledged {}.into(),
        (_, TaskRequest::Acknowledge(_)) => {
            return Err(Refusal::state("the task was acknowledged already"));
        }
        (TaskPhase::Delivered, TaskRequest::Report(_)) => {
            return Err(Refusal::state("the chief must acknowledge the task first"));
        }
        (_, TaskRequest::Report(request)) => report(state, request)?,
    };
    Ok(vec![fact])
}

fn report(state: &TaskState, request: &ReportTask) -> Result<Fact, Refusal> {
    let asked = &state.indicators;
    if let Some(at) = request.values.iter().position(|value| !asked.contains(&value.indicator)) {
        let message = "is not an indicator this directive asks for; leave it out";
        let field = format!("values[{at}].indicator");
        return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    }
    let given = |code: &Code| request.values.iter().any(|value| value.indicator == *code);
    if let Some(missing) = asked.iter().find(|code| !given(code)) {
        let message = format!("must state indicator {missing}");
        return Err(Refusal::field(RefusalCode::Required, "values", message));
    }
    let lacking = |code: &&Code| !request.evidence.contains(code);
    if let Some(missing) = state.evidence_required.iter().find(lacking) {
        let message = format!("must include {missing}");
        return Err(Refusal::field(RefusalCode::Required, "evidence", message));
    }
    let fact =
        ExecutionReported { values: request.values.clone(), evidence: request.evidence.clone() };
    Ok(fact.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Role;
    use crate::task::{AcknowledgeTask, DeliverTask, IndicatorValue};
    use crate::testing::{Desk, code, day};

    fn deliver() -> DeliverTask {
        DeliverTask {
            log_epoch: 1,
            log_index: 0,
            due: day("2026-03-20"),
            indicators: vec![code("visitors"), code("receptions_held")],
            evidence_required: vec![code("report")],
        }
    }

    fn report(values: &[&str], evidence: &[&str]) -> ReportTask {
        let value = |name: &&str| IndicatorValue { indicator: code(name), value: 7 };
        ReportTask {
            values: values.iter().map(value).collect(),
            evidence: evidence.iter().map(|name| code(name)).collect(),
        }
    }

    fn delivered() -> Vec<Fact> {
        Desk::region().with(Role::Node).plays(vec![deliver().into()])
    }

    fn acknowledged() -> Vec<Fact> {
        let mut history = delivered();
        let decision = Desk::region().accepts(&history, AcknowledgeTask {});
        history.extend_from_slice(decision.own());
        history
    }

    const ALL: [&str; 2] = ["visitors", "receptions_held"];

    #[test]
    fn delivered_acknowledged_reported_and_reported_again() {
        let desk = Desk::region();
        let mut history = acknowledged();
        for _ in 0..2 {
            let decision = desk.accepts(&history, report(&ALL, &["report", "photo"]));
            history.extend_from_slice(decision.own());
        }
        desk.refuses(&history, AcknowledgeTask {}, RefusalCode::WrongState, None);
    }

    #[test]
    fn only_the_node_delivers_and_only_once() {
        Desk::region().refuses(&[], deliver(), RefusalCode::NotPermitted, None);
        let node = Desk::region().with(Role::Node);
        node.refuses(&delivered(), deliver(), RefusalCode::AlreadyExists, None);
    }

    #[test]
    fn a_report_is_complete() {
        let desk = Desk::region();
        desk.refuses(&[], report(&ALL, &["report"]), RefusalCode::NotFound, None);
        desk.refuses(&delivered(), report(&ALL, &["report"]), RefusalCode::WrongState, None);
        let history = acknowledged();
        let refuse = |request, code, field| desk.refuses(&history, request, code, Some(field));
        refuse(report(&["visitors"], &["report"]), RefusalCode::Required, "values");
        refuse(report(&ALL, &[]), RefusalCode::Required, "evidence");
        refuse(report(&ALL, &["oath"]), RefusalCode::UnknownCode, "evidence[0]");
        let extra = report(&["visitors", "receptions_held", "risks_found"], &["report"]);
        refuse(extra, RefusalCode::OutOfRange, "values[2].indicator");
        let twice = report(&["visitors", "visitors"], &["report"]);
        refuse(twice, RefusalCode::Repeated, "values[1]");
    }
}
