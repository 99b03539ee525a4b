//! Requests about an appeal for tests, and histories made of them.

use crate::appeal::{
    AnswerAppeal, ApproveDecision, AssignAppeal, CloseAppeal, PrepareDecision, ReceiveAppeal,
    TriageAppeal,
};
use crate::code::Post;
use crate::fact::Fact;
use crate::testing::{Desk, code};

pub(crate) fn receive() -> ReceiveAppeal {
    ReceiveAppeal {
        kind: code("complaint"),
        form: code("electronic"),
        character: code("individual"),
        applicants: 1,
        anonymous: false,
        language: code("ru"),
        channel: code("web"),
        contact: None,
        received_at: None,
        registered_on: None,
        due_on: None,
        personal: None,
    }
}

pub(crate) fn triage(corruption_signs: bool, judicial_matter: bool) -> TriageAppeal {
    TriageAppeal {
        category: code("red_tape"),
        severity: code("medium"),
        urgency: code("normal"),
        corruption_signs,
        judicial_matter,
    }
}

pub(crate) fn assign() -> AssignAppeal {
    AssignAppeal { executor: Post::new("kz-75/executor").unwrap() }
}

pub(crate) fn prepare() -> PrepareDecision {
    PrepareDecision { decision: code("answer"), answer_nature: code("explained"), personal: None }
}

pub(crate) fn answer(language: &str) -> AnswerAppeal {
    AnswerAppeal { channel: code("portal"), language: code(language), personal: None }
}

pub(crate) fn close(closure: &str) -> CloseAppeal {
    CloseAppeal { closure: code(closure) }
}

/// Received and registered.
#[track_caller]
pub(crate) fn registered(desk: &Desk) -> Vec<Fact> {
    desk.plays(vec![receive().into()])
}

/// Everything up to the answer.
#[track_caller]
pub(crate) fn worked(desk: &Desk) -> Vec<Fact> {
    desk.plays(vec![
        receive().into(),
        triage(false, false).into(),
        assign().into(),
        prepare().into(),
        ApproveDecision {}.into(),
        answer("ru").into(),
    ])
}
