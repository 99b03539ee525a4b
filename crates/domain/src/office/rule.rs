//! An office is enrolled once, below the centre that enrols it.

use crate::decide::Context;
use crate::fact::Fact;
use crate::office::facts::OfficeEnrolled;
use crate::office::request::OfficeRequest;
use crate::office::state::OfficeState;
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about an office.
pub(crate) fn decide(
    state: &OfficeState,
    request: &OfficeRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let OfficeRequest::Enrol(request) = request;
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
    };
    Ok(vec![fact.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::LogTarget;
    use crate::ids::OfficeId;
    use crate::office::EnrolOffice;
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
        let request = EnrolOffice { zone: "Almaty".into(), ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Malformed, Some("zone"));
        let request = EnrolOffice { name_ru: String::new(), ..enrol("KZ-79") };
        desk.refuses(&[], request, RefusalCode::Required, Some("name_ru"));
    }
}
