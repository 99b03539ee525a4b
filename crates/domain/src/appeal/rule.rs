//! The way of an appeal. Each step needs the one before; a case may be closed without an answer
//! only by a closure that claims none; signs of corruption need a chief's hand and override the
//! exclusion of anonymous appeals.

use crate::appeal::correction;
use crate::appeal::facts::{
    AnswerSent, AppealAssigned, AppealClosed, AppealReceived, AppealRegistered, AppealTriaged,
    DecisionApproved, DecisionPrepared, RegistrationVoided,
};
use crate::appeal::field::Field;
use crate::appeal::request::{AnswerAppeal, AppealRequest, CloseAppeal, ReceiveAppeal};
use crate::appeal::state::{AppealPhase, AppealState};
use crate::check;
use crate::classifier::list;
use crate::decide::Context;
use crate::fact::Fact;
use crate::limits;
use crate::permission::Role;
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about an appeal.
pub(crate) fn decide(
    state: &AppealState,
    request: &AppealRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    use AppealPhase::{Answered, Approved, Assigned, DecisionPrepared as Prepared};
    use AppealPhase::{Closed, Registered, Triaged};
    if let AppealRequest::Receive(request) = request {
        return receive(state, request, ctx);
    }
    match state.phase {
        AppealPhase::Absent => {
            let message = "there is no such appeal here; check the stream id or receive it first";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        AppealPhase::Voided => {
            return Err(Refusal::state("the registration was voided; register the appeal anew"));
        }
        _ => {}
    }
    let fact = match request {
        AppealRequest::Receive(_) => return Ok(Vec::new()),
        AppealRequest::Triage(request) => {
            within(state, Registered, Assigned, "triage comes before the decision")?;
            AppealTriaged {
                category: request.category.clone(),
                severity: request.severity.clone(),
                urgency: request.urgency.clone(),
                corruption_signs: request.corruption_signs,
                judicial_matter: request.judicial_matter,
            }
            .into()
        }
        AppealRequest::Assign(request) => {
            within(state, Triaged, Prepared, "assign it after triage and before approval")?;
            AppealAssigned { executor: request.executor.clone() }.into()
        }
        AppealRequest::Prepare(request) => {
            within(state, Assigned, Prepared, "a decision needs an executor and no approval yet")?;
            DecisionPrepared {
                decision: request.decision.clone(),
                answer_nature: request.answer_nature.clone(),
                personal: request.personal.clone(),
            }
            .into()
        }
        AppealRequest::Approve(_) => {
            within(state, Prepared, Prepared, "there is no drafted decision to approve")?;
            DecisionApproved {}.into()
        }
        AppealRequest::Answer(request) => {
            within(state, Approved, Approved, "an answer needs an approved decision, once")?;
            answer(state, request)?
        }
        AppealRequest::Close(request) => {
            within(state, Registered, Answered, "the case is closed already")?;
            close(state, request, ctx)?
        }
        AppealRequest::Correct(request) => correction::correct(state, request, ctx)?,
        AppealRequest::Void(request) => {
            within(state, Registered, Closed, "there is no registration to void")?;
            RegistrationVoided { reason: request.reason.clone() }.into()
        }
    };
    Ok(vec![fact])
}

fn within(
    state: &AppealState,
    from: AppealPhase,
    to: AppealPhase,
    message: &'static str,
) -> Result<(), Refusal> {
    if (from..=to).contains(&state.phase) { Ok(()) } else { Err(Refusal::state(message)) }
}

fn receive(
    state: &AppealState,
    request: &ReceiveAppeal,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if state.phase != AppealPhase::Absent {
        let message = "this appeal was received already; use a new stream id for a new one";
        return Err(Refusal::new(RefusalCode::AlreadyExists, message));
    }
    let received_at = request.received_at.unwrap_or(ctx.occurred_at);
    check::happened("received_at", received_at, ctx)?;
    if received_at > ctx.occurred_at.plus_micros(limits::AHEAD_MICROS) {
        let message = "lies after occurred_at, the time of this record";
        return Err(Refusal::field(RefusalCode::OutOfRange, "received_at", message));
    }
    let received_on = check::date_of("received_at", received_at, ctx)?;
    let registered_on = request.registered_on.unwrap_or(received_on);
    let refuse = |field, message| Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    if registered_on < received_on {
        return refuse("registered_on", "lies before the appeal was received");
    }
    let today = check::date_of("registered_on", ctx.now, ctx)?;
    let days_ahead = today.until(registered_on).map_or(i32::MAX, |span| span.get_days());
    if days_ahead > limits::REGISTRATION_DAYS {
        return refuse("registered_on", "lies too far in the future; name the next working day");
    }
    if let Some(due_on) = request.due_on {
        if due_on < registered_on {
            return refuse("due_on", "lies before the day of registration");
        }
        if due_on.year() > limits::LATEST_YEAR {
            return refuse("due_on", "lies too far in the future");
        }
    }
    let reg_no = ctx.number.filter(|number| number.office() == ctx.office).ok_or_else(|| {
        let message = "this office has no registration number to give; call its operator";
        Refusal::new(RefusalCode::NotReady, message)
    })?;
    let received = AppealReceived {
        kind: request.kind.clone(),
        form: request.form.clone(),
        character: request.character.clone(),
        applicants: request.applicants,
        anonymous: request.anonymous,
        language: request.language.clone(),
        channel: request.channel.clone(),
        contact: request.contact,
        received_at,
        personal: request.personal.clone(),
    };
    let registered =
        AppealRegistered { reg_no: reg_no.clone(), registered_on, due_on: request.due_on };
    Ok(vec![received.into(), registered.into()])
}

/// Answers are due in the state language or the language of the appeal.
fn answer(state: &AppealState, request: &AnswerAppeal) -> Result<Fact, Refusal> {
    let of_appeal = state.value(Field::Language).map_or("", |code| code.as_str());
    let permitted = request.language == list::LANGUAGE_STATE
        || request.language == of_appeal
        || list::LANGUAGES_FREE.contains(&of_appeal);
    if !permitted {
        let message = "must be the state language (kk) or the language of the appeal";
        return Err(Refusal::field(RefusalCode::OutOfRange, "language", message));
    }
    let fact = AnswerSent {
        channel: request.channel.clone(),
        language: request.language.clone(),
        personal: request.personal.clone(),
    };
    Ok(fact.into())
}

fn close(state: &AppealState, request: &CloseAppeal, ctx: &Context<'_>) -> Result<Fact, Refusal> {
    let refuse = |code, message| Err(Refusal::field(code, "closure", message));
    let answered = state.phase == AppealPhase::Answered;
    let corruption = state.flag(Field::CorruptionSigns);
    if request.closure == list::CLOSURE_ANSWERED && !answered {
        return refuse(RefusalCode::WrongState, "says it was answered, but no answer was sent");
    }
    if request.closure == list::CLOSURE_JUDICIAL && !state.flag(Field::JudicialMatter) {
        let message = "says it is a judicial matter, but the triage does not; triage it first";
        return refuse(RefusalCode::WrongState, message);
    }
    if request.closure == list::CLOSURE_ANONYMOUS {
        if !state.flag(Field::Anonymous) {
            return refuse(RefusalCode::WrongState, "says it is anonymous, but it is not");
        }
        if corruption {
            let message = "an anonymous appeal with signs of corruption must be considered";
            return refuse(RefusalCode::WrongState, message);
        }
    }
    if corruption && !answered && !matches!(ctx.actor.role, Role::Chief | Role::National) {
        let message = "an appeal with signs of corruption may be closed without an answer only \
                       by a chief";
        return refuse(RefusalCode::NotPermitted, message);
    }
    Ok(AppealClosed { closure: request.closure.clone() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appeal::testing::{
        answer, assign, close, prepare, receive, registered, triage, worked,
    };
    use crate::appeal::{ApplicantPart, ApproveDecision, VoidRegistration};
    use crate::number::RegistrationNumber;
    use crate::testing::{Desk, at, code, day};

    #[test]
    fn from_receipt_to_answer() {
        let desk = Desk::region();
        let mut history = worked(&desk);
        history.extend_from_slice(desk.accepts(&history, close("answered")).own());
        let names: Vec<_> = history.iter().map(|fact| fact.type_name()).collect();
        let expected = [
            "appeal.received",
            "appeal.registered",
            "appeal.triaged",
            "appeal.assigned",
            "appeal.decision_prepared",
            "appeal.decision_approved",
            "appeal.answer_sent",
            "appeal.closed",
        ];
        assert_eq!(names, expected);
        desk.refuses(&history, close("answered"), RefusalCode::WrongState, None);
        desk.refuses(&history, receive(), RefusalCode::AlreadyExists, None);
    }

    #[test]
    fn registered_at_once_with_the_given_number() {
        let mut desk = Desk::region().with(Role::Clerk);
        let decision = desk.accepts(&[], receive());
        assert_eq!(decision.registration(), desk.number.as_ref());
        let Fact::Appeal(crate::appeal::AppealFact::Registered(fact)) = &decision.own()[1] else {
            panic!("not registered");
        };
        assert_eq!(fact.registered_on, day("2026-03-02"));
        desk.number = None;
        desk.refuses(&[], receive(), RefusalCode::NotReady, None);
        let foreign = RegistrationNumber::from_parts("KZ-71".parse().unwrap(), 2026, 1, 1);
        desk.number = foreign.ok();
        desk.refuses(&[], receive(), RefusalCode::NotReady, None);
    }

    #[test]
    fn an_imported_case_is_closed_straight_away() {
        let mut desk = Desk::region().with(Role::Clerk);
        desk.occurred_at = at("2011-07-01", 1, 32);
        let request = ReceiveAppeal { due_on: Some(day("2011-07-15")), ..receive() };
        let mut history = desk.accepts(&[], request).own().to_vec();
        desk.occurred_at = at("2011-07-01", 5, 6);
        desk.refuses(&history, close("answered"), RefusalCode::WrongState, Some("closure"));
        history.extend_from_slice(desk.accepts(&history, close("resolved")).own());
        assert_eq!(history.len(), 3);
    }

    #[test]
    fn days_of_registration() {
        let desk = Desk::region();
        let on = |text| ReceiveAppeal { registered_on: Some(day(text)), ..receive() };
        desk.accepts(&[], on("2026-03-03"));
        desk.refuses(&[], on("2026-03-01"), RefusalCode::OutOfRange, Some("registered_on"));
        desk.refuses(&[], on("2026-05-02"), RefusalCode::OutOfRange, Some("registered_on"));
        let due = ReceiveAppeal { due_on: Some(day("2026-03-01")), ..receive() };
        desk.refuses(&[], due, RefusalCode::OutOfRange, Some("due_on"));
        let future = ReceiveAppeal { received_at: Some(at("2026-03-02", 13, 0)), ..receive() };
        desk.refuses(&[], future.clone(), RefusalCode::OutOfRange, Some("received_at"));
        let mut desk = Desk::region();
        desk.now = at("2026-03-02", 14, 0);
        desk.refuses(&[], future, RefusalCode::OutOfRange, Some("received_at"));
        desk.occurred_at = desk.now;
        desk.accepts(
            &[],
            ReceiveAppeal { received_at: Some(at("2026-02-28", 23, 0)), ..receive() },
        );
    }

    #[test]
    fn applicants_and_anonymity() {
        let desk = Desk::region();
        let two = ReceiveAppeal { applicants: 2, ..receive() };
        desk.refuses(&[], two.clone(), RefusalCode::OutOfRange, Some("applicants"));
        desk.accepts(&[], ReceiveAppeal { character: code("collective"), ..two });
        let personal =
            Some(ApplicantPart { name: Some("Айгүл".into()), ..ApplicantPart::default() });
        let named = ReceiveAppeal { anonymous: true, personal, ..receive() };
        desk.refuses(&[], named, RefusalCode::OutOfRange, Some("personal.name"));
        let unknown = ReceiveAppeal { kind: code("petition"), ..receive() };
        desk.refuses(&[], unknown, RefusalCode::UnknownCode, Some("kind"));
    }

    #[test]
    fn steps_need_one_another() {
        let desk = Desk::region();
        let history = registered(&desk);
        desk.refuses(&[], triage(false, false), RefusalCode::NotFound, None);
        desk.refuses(&history, assign(), RefusalCode::WrongState, None);
        desk.refuses(&history, prepare(), RefusalCode::WrongState, None);
        desk.refuses(&history, ApproveDecision {}, RefusalCode::WrongState, None);
        desk.refuses(&history, answer("kk"), RefusalCode::WrongState, None);
        let done = worked(&desk);
        desk.refuses(&done, triage(false, false), RefusalCode::WrongState, None);
        desk.refuses(&done, answer("kk"), RefusalCode::WrongState, None);
    }

    #[test]
    fn a_drafted_decision_and_an_executor_may_be_replaced() {
        let desk = Desk::region();
        let mut history = registered(&desk);
        let steps: [crate::Request; 6] = [
            triage(false, false).into(),
            assign().into(),
            prepare().into(),
            assign().into(),
            prepare().into(),
            ApproveDecision {}.into(),
        ];
        for step in steps {
            history.extend_from_slice(desk.accepts(&history, step).own());
        }
        desk.refuses(&history, assign(), RefusalCode::WrongState, None);
    }

    #[test]
    fn answers_speak_the_right_language() {
        let desk = Desk::region();
        let mut history = worked(&desk);
        history.pop();
        desk.accepts(&history, answer("kk"));
        desk.accepts(&history, answer("ru"));
        desk.refuses(&history, answer("en"), RefusalCode::OutOfRange, Some("language"));
    }

    #[test]
    fn clerks_do_not_lead() {
        let desk = Desk::region();
        let clerk = Desk::region().with(Role::Clerk);
        let history = registered(&desk);
        clerk.accepts(&history, triage(false, false));
        clerk.refuses(&history, assign(), RefusalCode::NotPermitted, None);
        clerk.refuses(&history, ApproveDecision {}, RefusalCode::NotPermitted, None);
    }

    #[test]
    fn closures_without_an_answer() {
        let chief = Desk::region();
        let clerk = Desk::region().with(Role::Clerk);
        let mut anonymous =
            chief.accepts(&[], ReceiveAppeal { anonymous: true, ..receive() }).own().to_vec();
        clerk.accepts(&anonymous, close("anonymous"));
        anonymous.extend_from_slice(chief.accepts(&anonymous, triage(true, false)).own());
        let state = RefusalCode::WrongState;
        chief.refuses(&anonymous, close("anonymous"), state, Some("closure"));
        let right = RefusalCode::NotPermitted;
        clerk.refuses(&anonymous, close("not_confirmed"), right, Some("closure"));
        chief.accepts(&anonymous, close("not_confirmed"));

        let mut named = registered(&chief);
        clerk.refuses(&named, close("anonymous"), state, Some("closure"));
        clerk.refuses(&named, close("judicial_matter"), state, Some("closure"));
        named.extend_from_slice(chief.accepts(&named, triage(false, true)).own());
        clerk.accepts(&named, close("judicial_matter"));
    }

    #[test]
    fn a_voided_registration_ends_everything() {
        let desk = Desk::region();
        let mut history = registered(&desk);
        let void = VoidRegistration { reason: code("registered_twice") };
        history.extend_from_slice(desk.accepts(&history, void.clone()).own());
        desk.refuses(&history, void, RefusalCode::WrongState, None);
        desk.refuses(&history, triage(false, false), RefusalCode::WrongState, None);
        desk.refuses(&history, receive(), RefusalCode::AlreadyExists, None);
    }
}
