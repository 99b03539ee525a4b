//! An opening is recorded whenever it is well formed; whether the records exist and may be
//! opened is for the vault's keeper (node) to check before it asks for this fact.

use crate::access::facts::RecordsOpened;
use crate::access::request::AccessRequest;
use crate::fact::Fact;

/// Decides a request to open sealed parts.
pub(crate) fn decide(request: &AccessRequest) -> Vec<Fact> {
    let AccessRequest::Open(request) = request;
    let fact = RecordsOpened { events: request.events.clone(), purpose: request.purpose.clone() };
    vec![fact.into()]
}

#[cfg(test)]
mod tests {
    use crate::access::OpenRecords;
    use crate::ids::EventId;
    use crate::permission::Role;
    use crate::refusal::RefusalCode;
    use crate::testing::{Desk, code};

    fn open(events: &[u8], purpose: &str) -> OpenRecords {
        let events = events.iter().map(|byte| EventId::from([*byte; 16])).collect();
        OpenRecords { events, purpose: code(purpose) }
    }

    #[test]
    fn one_fact_per_view() {
        for role in [Role::Clerk, Role::Chief, Role::Auditor] {
            let decision = Desk::region().with(role).accepts(&[], open(&[1, 2], "case_work"));
            assert_eq!(decision.own()[0].type_name(), "access.records_opened");
        }
    }

    #[test]
    fn needs_a_purpose_records_and_a_right() {
        let desk = Desk::region();
        desk.refuses(&[], open(&[1], "curiosity"), RefusalCode::UnknownCode, Some("purpose"));
        desk.refuses(&[], open(&[], "audit"), RefusalCode::Required, Some("events"));
        desk.refuses(&[], open(&[1, 1], "audit"), RefusalCode::Repeated, Some("events[1]"));
        let operator = Desk::region().with(Role::Operator);
        operator.refuses(&[], open(&[1], "audit"), RefusalCode::NotPermitted, None);
    }
}
