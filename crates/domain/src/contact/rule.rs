//! A contact is opened once, worked on while open, and closed with an outcome it can show.

use crate::classifier::list;
use crate::contact::facts::{
    ConsultationGiven, ContactClosed, ContactLinked, ContactOpened, FileAttached,
};
use crate::contact::request::ContactRequest;
use crate::contact::state::{ContactPhase, ContactState};
use crate::fact::Fact;
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about a contact.
pub(crate) fn decide(state: &ContactState, request: &ContactRequest) -> Result<Vec<Fact>, Refusal> {
    if let ContactRequest::Open(request) = request {
        if state.phase != ContactPhase::Absent {
            let message = "this contact was opened already; use a new stream id for a new one";
            return Err(Refusal::new(RefusalCode::AlreadyExists, message));
        }
        let fact = ContactOpened {
            channel: request.channel.clone(),
            line: request.line.clone(),
            language: request.language.clone(),
            personal: request.personal.clone(),
        };
        return Ok(vec![fact.into()]);
    }
    match state.phase {
        ContactPhase::Open => {}
        ContactPhase::Absent => {
            let message = "there is no such contact here; check the stream id or open it first";
            return Err(Refusal::new(RefusalCode::NotFound, message));
        }
        ContactPhase::Closed => {
            return Err(Refusal::state("the contact is closed; open a new one"));
        }
    }
    let fact: Fact = match request {
        ContactRequest::Open(_) => return Ok(Vec::new()),
        ContactRequest::Consult(request) => {
            ConsultationGiven { topic: request.topic.clone() }.into()
        }
        ContactRequest::Link(request) => {
            if state.appeals.contains(&request.appeal) {
                let message = "is linked to this contact already";
                return Err(Refusal::field(RefusalCode::AlreadyExists, "appeal", message));
            }
            ContactLinked { appeal: request.appeal }.into()
        }
        ContactRequest::Attach(request) => {
            if state.files.contains(&request.file) {
                let message = "is attached to this contact already";
                return Err(Refusal::field(RefusalCode::AlreadyExists, "file", message));
            }
            let (file, size, personal) = (request.file, request.size, request.personal.clone());
            FileAttached { file, size, personal }.into()
        }
        ContactRequest::Close(request) => {
            let refuse = |message| Err(Refusal::field(RefusalCode::WrongState, "outcome", message));
            if request.outcome == list::OUTCOME_APPEAL && state.appeals.is_empty() {
                return refuse("says an appeal was taken, but none is linked; link it first");
            }
            if request.outcome == list::OUTCOME_CONSULTATION && !state.consulted {
                return refuse("says a consultation was given, but none is recorded; record it");
            }
            ContactClosed { outcome: request.outcome.clone() }.into()
        }
    };
    Ok(vec![fact])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{
        AttachFile, CallerPart, CloseContact, FilePart, GiveConsultation, LinkContact, OpenContact,
    };
    use crate::ids::AppealId;
    use crate::limits;
    use crate::permission::Role;
    use crate::testing::{Desk, code};

    fn open() -> OpenContact {
        OpenContact {
            channel: code("call"),
            line: Some(code("trust_line")),
            language: code("kk"),
            personal: None,
        }
    }

    fn close(outcome: &str) -> CloseContact {
        CloseContact { outcome: code(outcome) }
    }

    fn link() -> LinkContact {
        LinkContact { appeal: AppealId::from([4; 16]) }
    }

    #[test]
    fn a_call_becomes_an_appeal() {
        let desk = Desk::region().with(Role::Clerk);
        let history = desk.plays(vec![open().into(), link().into(), close("appeal").into()]);
        let names: Vec<_> = history.iter().map(Fact::type_name).collect();
        assert_eq!(names, ["contact.opened", "contact.linked", "contact.closed"]);
    }

    #[test]
    fn an_imported_contact_is_opened_and_closed() {
        let mut desk = Desk::region();
        desk.occurred_at = crate::testing::at("2011-07-01", 1, 32);
        desk.plays(vec![open().into(), close("recorded").into()]);
    }

    #[test]
    fn outcomes_must_be_shown() {
        let desk = Desk::region();
        let history = desk.plays(vec![open().into()]);
        desk.refuses(&history, close("appeal"), RefusalCode::WrongState, Some("outcome"));
        desk.refuses(&history, close("consultation"), RefusalCode::WrongState, Some("outcome"));
        let consult = GiveConsultation { topic: code("ethics") };
        desk.plays(vec![open().into(), consult.into(), close("consultation").into()]);
    }

    #[test]
    fn wrong_states() {
        let desk = Desk::region();
        desk.refuses(&[], close("spam"), RefusalCode::NotFound, None);
        let opened = desk.plays(vec![open().into()]);
        desk.refuses(&opened, open(), RefusalCode::AlreadyExists, None);
        let linked = desk.plays(vec![open().into(), link().into()]);
        desk.refuses(&linked, link(), RefusalCode::AlreadyExists, Some("appeal"));
        let closed = desk.plays(vec![open().into(), close("spam").into()]);
        desk.refuses(&closed, link(), RefusalCode::WrongState, None);
    }

    #[test]
    fn a_file_is_attached_once_to_an_open_contact() {
        let desk = Desk::region();
        let attach = || AttachFile { file: [7; 32], size: 9, personal: Some(FilePart::default()) };
        desk.refuses(&[], attach(), RefusalCode::NotFound, None);
        let history = desk.plays(vec![open().into(), attach().into()]);
        assert_eq!(history[1].type_name(), "contact.file_attached");
        desk.refuses(&history, attach(), RefusalCode::AlreadyExists, Some("file"));
        let nameless = AttachFile { file: [8; 32], personal: None, ..attach() };
        desk.refuses(&history, nameless, RefusalCode::Required, Some("personal"));
        let part = FilePart { name: Some("ы".repeat(limits::NAME_CHARS + 1).into()) };
        let long = AttachFile { file: [8; 32], personal: Some(part), ..attach() };
        desk.refuses(&history, long, RefusalCode::TooLong, Some("personal.name"));
        let closed = desk.plays(vec![open().into(), close("spam").into()]);
        desk.refuses(&closed, attach(), RefusalCode::WrongState, None);
    }

    #[test]
    fn codes_and_lengths() {
        let desk = Desk::region();
        let unknown = OpenContact { channel: code("pigeon"), ..open() };
        desk.refuses(&[], unknown, RefusalCode::UnknownCode, Some("channel"));
        let unknown = OpenContact { line: Some(code("hotline")), ..open() };
        desk.refuses(&[], unknown, RefusalCode::UnknownCode, Some("line"));
        let name = "ы".repeat(limits::NAME_CHARS + 1);
        let part = CallerPart { name: Some(name.into()), ..CallerPart::default() };
        let long = OpenContact { personal: Some(part), ..open() };
        desk.refuses(&[], long, RefusalCode::TooLong, Some("personal.name"));
    }
}
