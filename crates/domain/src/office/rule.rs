//! An office is enrolled once, below the centre that enrols it; lost keys are replaced for a later
//! epoch of its log.

use crate::decide::Context;
use crate::fact::Fact;
use crate::office::facts::{OfficeEnrolled, OfficeRekeyed};
use crate::office::request::{EnrolOffice, OfficeRequest, RekeyOffice};
use crate::office::state::OfficeState;
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about an office.
pub(crate) fn decide(
    state: &OfficeState,
    request: &OfficeRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    match request {
        OfficeRequest::Enrol(request) => enrol(state, request, ctx),
        OfficeRequest::Rekey(request) => rekey(state, request, ctx),
    }
}

fn enrol(
    state: &OfficeState,
    request: &EnrolOffice,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if state.enrolled || ctx.offices.contains(&request.code) {
        let message = "this office is enrolled already; two offices cannot share a code";
        return Err(Refusal::field(RefusalCode::AlreadyExists, "code", message));
    }
    let below = request.code.as_str().strip_prefix(ctx.office.as_str());
    if !below.is_some_and(|rest| rest.starts_with('-')) {
        let message = format!("is not a regional office of {0}; write it like {0}-75", ctx.office);
        return Err(Refusal::field(RefusalCode::OutOfRange, "code", message));
    }
    let fact = OfficeEnrolled {
        code: request.code.clone(),
        name_kk: request.name_kk.clone(),
        name_ru: request.name_ru.clone(),
        name_en: request.name_en.clone(),
        zone: request.zone.clone(),
        log_key: request.log_key,
        witness_key: request.witness_key,
        mirror_key: request.mirror_key,
    };
    Ok(vec![fact.into()])
}

fn rekey(
    state: &OfficeState,
    request: &RekeyOffice,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if !state.enrolled {
        let message = "this office is not enrolled; use enrol_office for a new one";
        return Err(Refusal::field(RefusalCode::NotFound, "code", message));
    }
    if let Some(used) = ctx.epoch.filter(|used| request.epoch <= *used) {
        let message = format!(
            "epoch {used} of the office's log is mirrored here already, under its own key; the \
             office must go on in a later one: `adal journal restore --epoch {}` there",
            used.saturating_add(1)
        );
        return Err(Refusal::field(RefusalCode::OutOfRange, "epoch", message));
    }
    // The last one counts: an epoch that no record reached yet may be given a key again.
    let last = state.keys.iter().map(|(epoch, _)| *epoch).max().unwrap_or(1);
    if request.epoch < last {
        let message = format!("epoch {last} has a key already; a later epoch needs a new one");
        return Err(Refusal::field(RefusalCode::OutOfRange, "epoch", message));
    }
    if state.keys.iter().any(|(_, key)| *key == request.log_key) {
        let message = "signed or was to sign an epoch of this log already; a key is for one epoch";
        return Err(Refusal::field(RefusalCode::Repeated, "log_key", message));
    }
    let fact = OfficeRekeyed {
        code: request.code.clone(),
        epoch: request.epoch,
        log_key: request.log_key,
        witness_key: request.witness_key,
        mirror_key: request.mirror_key,
    };
    Ok(vec![fact.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::LogTarget;
    use crate::ids::OfficeId;
    use crate::permission::Role;
    use crate::testing::Desk;

    fn enrol(code: &str) -> EnrolOffice {
        EnrolOffice {
            code: code.parse().unwrap(),
            name_kk: "Шымкент қалалық соты".into(),
            name_ru: "Шымкентский городской суд".into(),
            name_en: "Shymkent City Court".into(),
            zone: "Asia/Almaty".into(),
            log_key: [1; 32],
            witness_key: [2; 32],
            mirror_key: Some([3; 32]),
        }
    }

    fn desk(code: &str) -> Desk {
        let mut desk = Desk::centre();
        desk.stream = OfficeId::of(&code.parse().unwrap()).uuid();
        desk
    }

    #[test]
    fn a_new_office_by_data_alone() {
        let decision = desk("KZ-79").accepts(&[], enrol("KZ-79"));
        assert_eq!(decision.streams[0].0.log, LogTarget::All);
        let again = enrol("KZ-79");
        desk("KZ-79").refuses(decision.own(), again, RefusalCode::AlreadyExists, Some("code"));
        desk("KZ-79").with(Role::Operator).accepts(&[], enrol("KZ-79"));
    }

    #[test]
    fn duplicates_strangers_and_regions() {
        desk("KZ-75").refuses(&[], enrol("KZ-75"), RefusalCode::AlreadyExists, Some("code"));
        desk("KG-1").refuses(&[], enrol("KG-1"), RefusalCode::OutOfRange, Some("code"));
        desk("KZ").refuses(&[], enrol("KZ"), RefusalCode::OutOfRange, Some("code"));
        Desk::region().refuses(&[], enrol("KZ-79"), RefusalCode::NotPermitted, None);
    }

    #[test]
    fn keys_names_and_zone() {
        let desk = desk("KZ-79");
        let request = EnrolOffice { log_key: [0; 32], ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Required, Some("log_key"));
        let request = EnrolOffice { witness_key: [1; 32], ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Repeated, Some("witness_key"));
        let request = EnrolOffice { mirror_key: Some([2; 32]), ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Repeated, Some("mirror_key"));
        let request = EnrolOffice { mirror_key: None, ..enrol("KZ-79") };
        desk.accepts(&[], request);
        let request = EnrolOffice { zone: "Almaty".into(), ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Malformed, Some("zone"));
        let request = EnrolOffice { name_ru: String::new(), ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Required, Some("name_ru"));
    }

    fn rekey(epoch: u32, log_key: u8) -> RekeyOffice {
        RekeyOffice {
            code: "KZ-79".parse().unwrap(),
            epoch,
            log_key: [log_key; 32],
            witness_key: [12; 32],
            mirror_key: Some([13; 32]),
        }
    }

    #[test]
    fn lost_keys_are_replaced_for_a_later_epoch() {
        let desk = desk("KZ-79");
        desk.refuses(&[], rekey(2, 11), RefusalCode::NotFound, Some("code"));
        let mut history = desk.accepts(&[], enrol("KZ-79")).own().to_vec();
        desk.refuses(&history, rekey(1, 11), RefusalCode::OutOfRange, Some("epoch"));
        let mut mirroring = self::desk("KZ-79");
        mirroring.epoch = Some(2);
        let refusal =
            mirroring.refuses(&history, rekey(2, 11), RefusalCode::OutOfRange, Some("epoch"));
        assert!(refusal.message.contains("--epoch 3"), "{refusal}");
        mirroring.accepts(&history, rekey(3, 11));
        desk.refuses(&history, rekey(2, 1), RefusalCode::Repeated, Some("log_key"));
        desk.refuses(&history, rekey(2, 12), RefusalCode::Repeated, Some("witness_key"));
        history.extend_from_slice(desk.accepts(&history, rekey(3, 11)).own());
        desk.refuses(&history, rekey(2, 14), RefusalCode::OutOfRange, Some("epoch"));
        desk.refuses(&history, rekey(4, 11), RefusalCode::Repeated, Some("log_key"));
        // The file was the wrong one: it is put right before the epoch is used.
        let decision = desk.accepts(&history, rekey(3, 15));
        assert_eq!(decision.own()[0].type_name(), "office.rekeyed");
        assert_eq!(decision.streams[0].0.log, LogTarget::All);
    }
}
