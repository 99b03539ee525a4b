//! Requests as clients send them.

use uuid::Uuid;
use wire::pb::appeal::v1::ApplicantPart;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::command::Request;
use wire::pb::contact::v1::CallerPart;

/// A command of a new id; `expected` 0 begins the stream.
pub fn command(stream: Uuid, expected: u32, request: Request) -> pb::Command {
    let stream_id = if stream.is_nil() { String::new() } else { stream.to_string() };
    let meta = pb::CommandMeta {
        command_id: Uuid::now_v7().to_string(),
        stream_id,
        expected_version: (expected > 0).then_some(expected),
        ..pb::CommandMeta::default()
    };
    pb::Command { meta: Some(meta), request: Some(request) }
}

/// A contact of a named caller.
pub fn contact(name: &str, note: &str) -> Request {
    Request::OpenContact(pb::OpenContact {
        channel: "call".to_owned(),
        line: Some("trust_line".to_owned()),
        language: "kk".to_owned(),
        personal: Some(CallerPart {
            name: Some(name.to_owned()),
            phone: Some("+7 000 000 00 00".to_owned()),
            note: Some(note.to_owned()),
        }),
    })
}

/// A contact about which nothing personal is known.
pub fn plain_contact() -> pb::Command {
    let request = Request::OpenContact(pb::OpenContact {
        channel: "call".to_owned(),
        line: Some("trust_line".to_owned()),
        language: "ru".to_owned(),
        personal: None,
    });
    command(Uuid::now_v7(), 0, request)
}

/// A complaint that came by the web site.
pub fn appeal(name: &str, text: &str) -> pb::ReceiveAppeal {
    pb::ReceiveAppeal {
        kind: "complaint".to_owned(),
        form: "electronic".to_owned(),
        character: "individual".to_owned(),
        applicants: 1,
        language: "ru".to_owned(),
        channel: "web".to_owned(),
        personal: Some(ApplicantPart {
            name: Some(name.to_owned()),
            contacts: Some("Made-up Street 1".to_owned()),
            text: Some(text.to_owned()),
        }),
        ..pb::ReceiveAppeal::default()
    }
}
