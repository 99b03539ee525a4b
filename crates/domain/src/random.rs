//! Random requests against random histories: nothing panics, refusals are clean, decisions are
//! repeatable, and what was accepted stays a history the rules understand.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::appeal::{self, AppealPhase, AppealState, Field};
use crate::classifier::list;
use crate::code::{Code, Post};
use crate::contact::{self, ContactPhase, ContactState};
use crate::fact::Fact;
use crate::ids::AppealId;
use crate::permission::Role;
use crate::reception::{self, ReceptionPhase, ReceptionState};
use crate::request::Request;
use crate::state::fold;
use crate::testing::{Desk, at, code, day};
use crate::{image, measure, task};

/// A code of a list, now and then one it does not have.
fn coded(id: &'static str) -> impl Strategy<Value = Code> {
    let desk = Desk::region();
    let mut codes: Vec<Code> =
        desk.classifiers.entries(id).iter().map(|entry| entry.code.clone()).collect();
    codes.push(code("no_such_code"));
    select(codes)
}

fn days() -> impl Strategy<Value = jiff::civil::Date> {
    select(vec![day("2026-03-01"), day("2026-03-02"), day("2026-03-20")])
}

fn appeals() -> impl Strategy<Value = Request> {
    let receive = (coded(list::APPEAL_KIND), coded(list::LANGUAGE), any::<bool>(), 0_u32..3)
        .prop_map(|(kind, language, anonymous, applicants)| {
            let request = appeal::testing::receive();
            appeal::ReceiveAppeal { kind, language, anonymous, applicants, ..request }.into()
        });
    let triage = (coded(list::CATEGORY), any::<bool>(), any::<bool>()).prop_map(
        |(category, corruption, judicial)| {
            let request = appeal::testing::triage(corruption, judicial);
            appeal::TriageAppeal { category, ..request }.into()
        },
    );
    let field = select(Field::ALL.iter().map(|field| code(field.name())).collect::<Vec<_>>());
    let after = select(vec!["true", "false", "2", "2026-03-02", "kk", "complaint", "answered"]);
    let correct = (field, after, proptest::option::of(1_u32..9)).prop_map(|(field, after, of)| {
        appeal::CorrectAppeal {
            of,
            field,
            before: None,
            after: Some(code(after)),
            reason: code("typing_error"),
            personal: None,
        }
        .into()
    });
    prop_oneof![
        receive,
        triage,
        correct,
        Just(appeal::testing::assign().into()),
        Just(appeal::testing::prepare().into()),
        Just(appeal::ApproveDecision {}.into()),
        coded(list::LANGUAGE).prop_map(|language| {
            appeal::AnswerAppeal { channel: code("portal"), language, personal: None }.into()
        }),
        coded(list::CLOSURE).prop_map(|closure| appeal::CloseAppeal { closure }.into()),
        coded(list::VOID_REASON).prop_map(|reason| appeal::VoidRegistration { reason }.into()),
    ]
}

fn contacts() -> impl Strategy<Value = Request> {
    prop_oneof![
        coded(list::CHANNEL).prop_map(|channel| {
            let language = code("kk");
            contact::OpenContact { channel, line: None, language, personal: None }.into()
        }),
        coded(list::TOPIC).prop_map(|topic| contact::GiveConsultation { topic }.into()),
        (0_u8..2).prop_map(|n| contact::LinkContact { appeal: AppealId::from([n; 16]) }.into()),
        coded(list::CONTACT_OUTCOME).prop_map(|outcome| contact::CloseContact { outcome }.into()),
    ]
}

fn receptions() -> impl Strategy<Value = Request> {
    prop_oneof![
        days().prop_map(|on| {
            reception::PlanReception { on, post: Post::new("chief").unwrap() }.into()
        }),
        (coded(list::RECEPTION_MODE), 0_u32..4, 8_i8..14).prop_map(|(mode, visitors, hour)| {
            let (opened_at, closed_at) = (at("2026-03-02", 9, 0), at("2026-03-02", hour, 0));
            reception::HoldReception { mode, visitors, opened_at, closed_at }.into()
        }),
        coded(list::VISITOR_OUTCOME).prop_map(|outcome| {
            reception::ReceiveVisitor { outcome, appeal: None, personal: None }.into()
        }),
        (coded(list::NOT_HELD_REASON), proptest::option::of(days())).prop_map(
            |(reason, replacement_on)| {
                reception::MissReception { reason, replacement_on }.into()
            }
        ),
    ]
}

fn plans_and_tasks() -> impl Strategy<Value = Request> {
    let plan = (coded(list::MEASURE_KIND), coded(list::AUDIENCE), days()).prop_map(
        |(kind, audience, due)| {
            measure::PlanMeasure { kind, audience, due, directive: None }.into()
        },
    );
    let class = (coded(list::PARTICIPANT_CLASS), 0_u32..5)
        .prop_map(|(class, count)| measure::Participants { class, count });
    let values = vec((coded(list::INDICATOR), any::<i64>()), 0..3).prop_map(|values| {
        values.into_iter().map(|(indicator, value)| task::IndicatorValue { indicator, value })
    });
    prop_oneof![
        plan,
        (vec(class, 0..3), 0_u32..100).prop_map(|(participants, minutes)| {
            measure::HoldMeasure { participants, minutes }.into()
        }),
        coded(list::CANCEL_REASON).prop_map(|reason| measure::CancelMeasure { reason }.into()),
        (0_u32..5).prop_map(|reach| image::HoldActivity { reach }.into()),
        vec(coded(list::INDICATOR), 0..2).prop_map(|indicators| {
            let (due, evidence_required) = (day("2026-03-20"), vec![]);
            let (log_epoch, log_index) = (1, 0);
            task::DeliverTask { log_epoch, log_index, due, indicators, evidence_required }.into()
        }),
        Just(task::AcknowledgeTask {}.into()),
        (values, vec(coded(list::EVIDENCE), 0..2)).prop_map(|(values, evidence)| {
            task::ReportTask { values: values.collect(), evidence }.into()
        }),
    ]
}

/// Plays the requests; a refusal must leave no trace, and the same question must get the same
/// answer twice.
fn play(requests: &[Request]) -> Vec<Fact> {
    let mut history = Vec::new();
    for request in requests {
        let deliver = matches!(request, Request::Task(task::TaskRequest::Deliver(_)));
        let role = if deliver { Role::Node } else { Role::Chief };
        let desk = Desk::region().with(role);
        let first = desk.decide(&history, request.clone());
        assert_eq!(first, desk.decide(&history, request.clone()));
        match first {
            Ok(decision) => {
                assert!(!decision.own().is_empty());
                for fact in decision.own() {
                    assert_eq!(fact.stream_kind(), Some(request.stream_kind()));
                    assert_eq!(Fact::name_of(fact.type_code()), Some(fact.type_name()));
                }
                history.extend_from_slice(decision.own());
            }
            Err(refusal) => assert!(!refusal.message.contains("no_such_code")),
        }
    }
    history
}

fn count(history: &[Fact], name: &str) -> usize {
    history.iter().filter(|fact| fact.type_name() == name).count()
}

proptest! {
    #[test]
    fn appeals_keep_their_order(requests in vec(appeals(), 0..24)) {
        let history = play(&requests);
        let state: AppealState = fold(&history);
        prop_assert_eq!(state.version as usize, history.len());
        prop_assert!(count(&history, "appeal.received") <= 1);
        prop_assert!(count(&history, "appeal.answer_sent") <= 1);
        prop_assert!(count(&history, "appeal.closed") <= 1);
        if state.phase == AppealPhase::Answered {
            prop_assert!(count(&history, "appeal.decision_approved") == 1);
        }
        prop_assert_eq!(state.reg_no.is_some(), !history.is_empty());
    }

    #[test]
    fn contacts_close_once(requests in vec(contacts(), 0..16)) {
        let history = play(&requests);
        let state: ContactState = fold(&history);
        prop_assert!(count(&history, "contact.opened") <= 1);
        let closed = count(&history, "contact.closed");
        prop_assert_eq!(closed == 1, state.phase == ContactPhase::Closed);
        prop_assert_eq!(state.appeals.len(), count(&history, "contact.linked"));
    }

    #[test]
    fn receptions_are_held_or_not(requests in vec(receptions(), 0..16)) {
        let history = play(&requests);
        let state: ReceptionState = fold(&history);
        let ends = count(&history, "reception.held") + count(&history, "reception.not_held");
        prop_assert!(ends <= 1);
        if state.phase == ReceptionPhase::Held {
            prop_assert!(state.received <= state.counted);
        }
    }

    #[test]
    fn any_mixture_is_harmless(
        requests in vec(
            prop_oneof![appeals(), contacts(), receptions(), plans_and_tasks()], 0..24,
        )
    ) {
        play(&requests);
    }
}
