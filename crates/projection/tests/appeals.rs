//! The register of appeals says what the domain's own state says, correction by correction.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Country, code, id};
use domain::{
    Fact, Post, RegistrationNumber, StreamKind,
    appeal::{
        AnswerSent, AppealAssigned, AppealClosed, AppealCorrected, AppealPhase, AppealReceived,
        AppealRegistered, AppealState, AppealTriaged, DecisionApproved, DecisionPrepared, Field,
        RegistrationVoided,
    },
    time::Timestamp,
};
use jiff::civil::date;
use projection::{Filter, Page, Views, rows::AppealRow};
use proptest::prelude::*;

fn received() -> Fact {
    AppealReceived {
        kind: code("complaint"),
        form: code("paper"),
        character: code("individual"),
        applicants: 1,
        anonymous: false,
        language: code("ru"),
        channel: code("letter"),
        contact: None,
        received_at: Timestamp::from_micros(common::START),
        personal: None,
    }
    .into()
}

fn registered() -> Fact {
    AppealRegistered {
        reg_no: RegistrationNumber::from_parts(common::office("KZ-75"), 2026, 1, 7).unwrap(),
        registered_on: date(2026, 3, 2),
        due_on: None,
    }
    .into()
}

fn fact() -> impl Strategy<Value = Fact> {
    let short = || proptest::sample::select(vec!["one", "two", "three"]).prop_map(code);
    let triaged = (short(), short(), any::<bool>()).prop_map(|(category, severity, flag)| {
        AppealTriaged {
            category,
            severity,
            urgency: code("normal"),
            corruption_signs: flag,
            judicial_matter: !flag,
        }
        .into()
    });
    let prepared = (short(), short()).prop_map(|(decision, answer_nature)| {
        DecisionPrepared { decision, answer_nature, personal: None }.into()
    });
    let answered = (short(), short())
        .prop_map(|(channel, language)| AnswerSent { channel, language, personal: None }.into());
    prop_oneof![
        3 => triaged,
        2 => prepared,
        2 => answered,
        1 => short().prop_map(|closure| AppealClosed { closure }.into()),
        1 => Just(AppealAssigned { executor: Post::new("kz-75/clerk").unwrap() }.into()),
        1 => Just(DecisionApproved {}.into()),
        1 => Just(Fact::Unknown { type_code: 0x02fe }),
        1 => Just(RegistrationVoided { reason: code("mistake") }.into()),
        12 => correction(),
    ]
}

fn correction() -> impl Strategy<Value = Fact> {
    let value = proptest::sample::select(vec![
        Some("one"),
        Some("true"),
        Some("false"),
        Some("12"),
        Some("2026-03-09"),
        Some("1775000000000000"),
        Some("00000000-0000-0000-0000-000000000001"),
        None,
    ]);
    let field = proptest::sample::select(Field::ALL).prop_map(|field| field.name());
    (1..9_u32, field, value).prop_map(|(of, field, after)| {
        AppealCorrected {
            of,
            field: code(field),
            before: None,
            after: after.map(code),
            reason: code("typing_error"),
            personal: None,
        }
        .into()
    })
}

/// Whether the domain would have accepted the value; what it would not, the register shows as a
/// correction and does not apply.
fn fits(fact: &Fact) -> bool {
    let Fact::Appeal(domain::appeal::AppealFact::Corrected(fact)) = fact else {
        return true;
    };
    let field = Field::from_name(fact.field.as_str()).unwrap();
    let Some(after) = fact.after.as_ref().map(|code| code.as_str()) else {
        return field.is_optional();
    };
    match field.kind() {
        domain::appeal::FieldKind::Coded(_) => true,
        domain::appeal::FieldKind::Flag => matches!(after, "true" | "false"),
        domain::appeal::FieldKind::Count(_) => after == "12",
        domain::appeal::FieldKind::Date => after == "2026-03-09",
        domain::appeal::FieldKind::Instant => after == "1775000000000000",
        domain::appeal::FieldKind::Contact => after.len() == 36,
        domain::appeal::FieldKind::Personal(_) | domain::appeal::FieldKind::PersonalText => true,
    }
}

/// The row's present value of a field in the form the domain gives it.
fn shown(row: &AppealRow, field: Field) -> Option<String> {
    let text = match field {
        Field::Kind => row.kind.clone(),
        Field::Form => row.form.clone(),
        Field::Character => row.character.clone(),
        Field::Applicants => row.applicants.to_string(),
        Field::Anonymous => row.anonymous.to_string(),
        Field::Language => row.language.clone(),
        Field::Channel => row.channel.clone(),
        Field::Contact => row.contact.map(|id| id.to_string()).unwrap_or_default(),
        Field::ReceivedAt => row.received_at.to_string(),
        Field::RegisteredOn => row.registered_on.clone(),
        Field::DueOn => row.due_on.clone(),
        Field::Category => row.category.clone(),
        Field::Severity => row.severity.clone(),
        Field::Urgency => row.urgency.clone(),
        Field::CorruptionSigns => row.corruption_signs.to_string(),
        Field::JudicialMatter => row.judicial_matter.to_string(),
        Field::Decision => row.decision.clone(),
        Field::AnswerNature => row.answer_nature.clone(),
        Field::AnswerChannel => row.answer_channel.clone(),
        Field::AnswerLanguage => row.answer_language.clone(),
        Field::Closure => row.closure.clone(),
        Field::ApplicantName
        | Field::ApplicantContacts
        | Field::Text
        | Field::DecisionText
        | Field::AnswerText => return None,
    };
    Some(text)
}

fn state_name(phase: AppealPhase) -> &'static str {
    match phase {
        AppealPhase::Absent => "",
        AppealPhase::Received => "received",
        AppealPhase::Registered => "registered",
        AppealPhase::Triaged => "triaged",
        AppealPhase::Assigned => "assigned",
        AppealPhase::DecisionPrepared => "decision_prepared",
        AppealPhase::Approved => "approved",
        AppealPhase::Answered => "answered",
        AppealPhase::Closed => "closed",
        AppealPhase::Voided => "voided",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_register_agrees_with_the_domain(facts in proptest::collection::vec(fact(), 0..30)) {
        let history: Vec<Fact> =
            [received(), registered()].into_iter().chain(facts.into_iter().filter(fits)).collect();
        let mut country = Country::new();
        for fact in &history {
            country.own("KZ-75", StreamKind::Appeal, id(2, 7), fact.clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let row = runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let views = Views::open(&folder.path().join("views.sqlite")).await.unwrap();
            views.apply(&country.in_order()).await.unwrap();
            let filter = Filter::office("KZ-75");
            let rows = views.list_appeals(&filter, &Page::default()).await.unwrap().rows;
            views.close().await.unwrap();
            rows.into_iter().next().unwrap()
        });
        let state: AppealState = domain::fold(&history);
        prop_assert_eq!(row.version, state.version);
        prop_assert_eq!(row.seq + 1, history.len() as u64);
        prop_assert_eq!(row.state.as_str(), state_name(state.phase));
        prop_assert_eq!(Some(row.reg_no.clone()), state.reg_no.as_ref().map(ToString::to_string));
        for field in Field::ALL {
            let Some(shown) = shown(&row, *field) else { continue };
            let flag = matches!(field, Field::CorruptionSigns | Field::JudicialMatter);
            let unset = if flag { "false" } else { "" };
            let known = state.value(*field).map_or(unset, |code| code.as_str());
            prop_assert_eq!(shown.as_str(), known, "{}", field.name());
        }
        let month = if row.received_at == common::START { "2026-03" } else { "2026-04" };
        prop_assert_eq!(row.month.as_str(), month);
    }
}
