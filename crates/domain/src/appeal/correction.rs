//! Corrections: the wrong record stays, a new fact says which field of which fact is right how.

use crate::appeal::facts::AppealCorrected;
use crate::appeal::field::{Field, FieldKind};
use crate::appeal::request::CorrectAppeal;
use crate::appeal::state::AppealState;
use crate::check;
use crate::code::Code;
use crate::decide::Context;
use crate::fact::Fact;
use crate::refusal::{Refusal, RefusalCode};
use crate::text::Text;

/// Decides a correction.
pub(crate) fn correct(
    state: &AppealState,
    request: &CorrectAppeal,
    ctx: &Context<'_>,
) -> Result<Fact, Refusal> {
    let field = field_of(&request.field)?;
    let of = match request.of.or_else(|| state.last(field)) {
        Some(of) if state.recorded(field, of).is_some() => of,
        _ => {
            let message = "names no fact of this appeal that has the field; leave it out to \
                           correct the last one that has it";
            return Err(Refusal::field(RefusalCode::OutOfRange, "of", message));
        }
    };
    if field.is_personal() {
        check_personal(field, request)?;
    } else {
        check_open(field, of, state, request, ctx)?;
    }
    let before = state.recorded(field, of).flatten().cloned();
    let fact = AppealCorrected {
        of,
        field: request.field.clone(),
        before,
        after: request.after.clone(),
        reason: request.reason.clone(),
        personal: request.personal.clone(),
    };
    Ok(fact.into())
}

fn field_of(name: &Code) -> Result<Field, Refusal> {
    Field::from_name(name.as_str()).ok_or_else(|| {
        let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
        let message = format!(
            "is not a field that can be corrected; use one of: {} (a number is voided, an \
             executor is replaced by assigning anew)",
            names.join(", ")
        );
        Refusal::field(RefusalCode::Malformed, "field", message)
    })
}

/// The values of a personal field stand in the sealed part only.
fn check_personal(field: Field, request: &CorrectAppeal) -> Result<(), Refusal> {
    if request.after.is_some() || request.before.is_some() {
        let message = "the field is personal; give its values in the sealed part only";
        return Err(Refusal::field(RefusalCode::Malformed, "after", message));
    }
    let Some(part) = &request.personal else {
        let message = "the field is personal; give its values here";
        return Err(Refusal::field(RefusalCode::Required, "personal", message));
    };
    let limit = |name, text: Option<&Text>| match field.kind() {
        FieldKind::Personal(max) => check::chars(name, text, max),
        _ => check::free_text(name, text),
    };
    limit("personal.before", part.before.as_ref())?;
    limit("personal.after", part.after.as_ref())?;
    if part.before == part.after {
        let message = "is what the record says already (or both are absent)";
        return Err(Refusal::field(RefusalCode::OutOfRange, "personal.after", message));
    }
    Ok(())
}

fn check_open(
    field: Field,
    of: u32,
    state: &AppealState,
    request: &CorrectAppeal,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    if request.personal.is_some() {
        let message = "the field is not personal; give its values in before and after";
        return Err(Refusal::field(RefusalCode::Malformed, "personal", message));
    }
    let present = state.recorded(field, of).flatten();
    if request.before.is_some() && request.before.as_ref() != present {
        let message = "is not what the record says now; look at it and correct again";
        return Err(Refusal::field(RefusalCode::Stale, "before", message));
    }
    match &request.after {
        Some(after) => field.check_value(after, ctx.classifiers)?,
        None if field.is_optional() => {}
        None => {
            let message = "is needed: the field cannot be without a value";
            return Err(Refusal::field(RefusalCode::Required, "after", message));
        }
    }
    if request.after.as_ref() == present {
        let message = "is what the record says already";
        return Err(Refusal::field(RefusalCode::OutOfRange, "after", message));
    }
    check_dates(field, state, request)
}

/// The due day never lies before the day of registration.
fn check_dates(field: Field, state: &AppealState, request: &CorrectAppeal) -> Result<(), Refusal> {
    let after = request.after.as_ref().and_then(|after| after.as_str().parse().ok());
    let (registered, due) = match field {
        Field::RegisteredOn => (after, state.date(Field::DueOn)),
        Field::DueOn => (state.date(Field::RegisteredOn), after),
        _ => return Ok(()),
    };
    match (registered, due) {
        (Some(registered), Some(due)) if due < registered => {
            let message = "would put the due day before the day of registration";
            Err(Refusal::field(RefusalCode::OutOfRange, "after", message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appeal::testing::{registered, triage, worked};
    use crate::appeal::{AppealFact, AppealPhase, CorrectionPart, TriageAppeal};
    use crate::state::fold;
    use crate::testing::{Desk, code};

    fn correct(field: &str, after: &str) -> CorrectAppeal {
        CorrectAppeal {
            of: None,
            field: code(field),
            before: None,
            after: Some(code(after)),
            reason: code("typing_error"),
            personal: None,
        }
    }

    fn state(history: &[Fact]) -> AppealState {
        fold(history)
    }

    #[test]
    fn what_people_must_see_first_is_urgent() {
        let desk = Desk::region();
        let history = registered(&desk);
        assert!(history.iter().all(|fact| !fact.is_urgent()));
        for (urgency, is_urgent) in [("urgent", true), ("normal", false)] {
            let request = TriageAppeal { urgency: code(urgency), ..triage(false, false) };
            let triaged = desk.accepts(&history, request).own().to_vec();
            assert_eq!(triaged[0].is_urgent(), is_urgent, "{urgency}");
            let history = [history.clone(), triaged].concat();
            let other = if is_urgent { "normal" } else { "urgent" };
            let corrected = |field, after| desk.accepts(&history, correct(field, after));
            assert_eq!(corrected("urgency", other).own()[0].is_urgent(), !is_urgent, "{other}");
            assert!(!corrected("severity", "high").own()[0].is_urgent());
        }
    }

    #[track_caller]
    fn corrected(fact: &Fact) -> &AppealCorrected {
        let Fact::Appeal(AppealFact::Corrected(fact)) = fact else { panic!("no correction") };
        fact
    }

    #[test]
    fn every_open_field_of_a_worked_case_can_be_corrected() {
        let desk = Desk::region();
        let mut history = worked(&desk);
        let values = [
            ("kind", "statement"),
            ("form", "paper"),
            ("character", "collective"),
            ("applicants", "3"),
            ("anonymous", "true"),
            ("language", "kk"),
            ("channel", "letter"),
            ("contact", "00000000-0000-0000-0000-000000000001"),
            ("received_at", "1772431200000000"),
            ("due_on", "2026-03-20"),
            ("registered_on", "2026-03-03"),
            ("category", "ethics"),
            ("severity", "high"),
            ("urgency", "urgent"),
            ("corruption_signs", "true"),
            ("judicial_matter", "true"),
            ("decision", "order_check"),
            ("answer_nature", "satisfied"),
            ("answer_channel", "letter"),
            ("answer_language", "kk"),
        ];
        let open = Field::ALL.iter().filter(|field| !field.is_personal());
        assert_eq!(values.len() + 1, open.count(), "all but closure");
        for (name, after) in values {
            let field = Field::from_name(name).unwrap();
            let before = state(&history).value(field).cloned();
            let decision = desk.accepts(&history, correct(name, after));
            assert_eq!(corrected(&decision.own()[0]).before, before, "{name}");
            history.extend_from_slice(decision.own());
            assert_eq!(state(&history).value(field), Some(&code(after)), "{name}");
            desk.refuses(&history, correct(name, after), RefusalCode::OutOfRange, Some("after"));
        }
        assert_eq!(state(&history).phase, AppealPhase::Answered);
    }

    #[test]
    fn the_fact_meant_is_found_or_named() {
        let desk = Desk::region();
        let mut history = registered(&desk);
        for _ in 0..2 {
            history.extend_from_slice(desk.accepts(&history, triage(false, false)).own());
        }
        let last = desk.accepts(&history, correct("category", "ethics"));
        assert_eq!(corrected(&last.own()[0]).of, 4);
        let named = CorrectAppeal { of: Some(3), ..correct("category", "ethics") };
        let first = desk.accepts(&history, named);
        assert_eq!(corrected(&first.own()[0]).of, 3);
        history.extend_from_slice(first.own());
        assert_eq!(state(&history).value(Field::Category), Some(&code("red_tape")));
        for of in [1, 9] {
            let wrong = CorrectAppeal { of: Some(of), ..correct("category", "ethics") };
            desk.refuses(&history, wrong, RefusalCode::OutOfRange, Some("of"));
        }
        let absent = correct("decision", "answer");
        desk.refuses(&history, absent, RefusalCode::OutOfRange, Some("of"));
    }

    #[test]
    fn two_correctors_do_not_overwrite_one_another() {
        let desk = Desk::region();
        let mut history = registered(&desk);
        let believed = CorrectAppeal { before: Some(code("web")), ..correct("channel", "email") };
        history.extend_from_slice(desk.accepts(&history, believed.clone()).own());
        let other = CorrectAppeal { after: Some(code("letter")), ..believed };
        desk.refuses(&history, other, RefusalCode::Stale, Some("before"));
    }

    #[test]
    fn values_fit_their_field() {
        let desk = Desk::region();
        let history = registered(&desk);
        let refuse = |request, code, field| desk.refuses(&history, request, code, Some(field));
        refuse(correct("kind", "petition"), RefusalCode::UnknownCode, "after");
        refuse(correct("applicants", "many"), RefusalCode::Malformed, "after");
        refuse(correct("reg_no", "1"), RefusalCode::Malformed, "field");
        let none = CorrectAppeal { after: None, ..correct("kind", "x") };
        refuse(none, RefusalCode::Required, "after");
        refuse(correct("due_on", "2026-03-01"), RefusalCode::OutOfRange, "after");
        let reason = CorrectAppeal { reason: code("whim"), ..correct("kind", "statement") };
        refuse(reason, RefusalCode::UnknownCode, "reason");
    }

    #[test]
    fn personal_values_stay_in_the_sealed_part() {
        let desk = Desk::region();
        let history = registered(&desk);
        let part =
            CorrectionPart { before: None, after: Some("Айгүл Нұрланқызы".into()) };
        let request = CorrectAppeal {
            after: None,
            personal: Some(part.clone()),
            ..correct("applicant_name", "x")
        };
        let decision = desk.accepts(&history, request.clone());
        let fact = corrected(&decision.own()[0]);
        assert_eq!((fact.of, &fact.before, &fact.after), (1, &None, &None));
        assert_eq!(fact.personal, Some(part.clone()));
        let refuse = |request, code, field| desk.refuses(&history, request, code, Some(field));
        let open = CorrectAppeal { after: Some(code("aigul")), ..request.clone() };
        refuse(open, RefusalCode::Malformed, "after");
        let absent = CorrectAppeal { personal: None, ..request.clone() };
        refuse(absent, RefusalCode::Required, "personal");
        let same = CorrectionPart { before: part.after.clone(), ..part.clone() };
        let same = CorrectAppeal { personal: Some(same), ..request };
        refuse(same, RefusalCode::OutOfRange, "personal.after");
        let misplaced = CorrectAppeal { personal: Some(part), ..correct("kind", "statement") };
        refuse(misplaced, RefusalCode::Malformed, "personal");
    }
}
