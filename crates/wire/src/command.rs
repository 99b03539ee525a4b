//! Commands to domain requests and back, and the bytes that tell one command from another.

use domain::ids::CommandId;
use domain::refusal::RefusalCode;
use domain::{Request, Timestamp, Zone};
use prost::Message;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::field::{Invalid, Reader, Wire};
use crate::generated::adal::command::v1 as pb;
use crate::requests;

/// What a command carries besides its request, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandMeta {
    /// Chosen by the client; the same for every repetition.
    pub command_id: CommandId,
    /// The stream the request is about.
    pub stream: Uuid,
    /// Version of the stream that the client has seen; 0 begins a stream.
    pub expected_version: u32,
    /// When it happened; `None`: now.
    pub occurred_at: Option<Timestamp>,
    /// Where it happened; `None`: the office's own zone.
    pub zone: Option<Zone>,
    /// The event or command that led to this one.
    pub causation: Option<Uuid>,
    /// What everything of one undertaking shares.
    pub correlation: Option<Uuid>,
}

/// The checked meta and the request of a command.
///
/// # Errors
/// Every field that cannot be what it should, with its path (`receive_appeal.kind`) and never
/// its value. Codes are checked for their form only; whether a classifier has them is the
/// domain's decision.
pub fn decode_command(command: pb::Command) -> Result<(CommandMeta, Request), Invalid> {
    let mut reader = Reader::new();
    let request = match command.request {
        Some(kind) => requests::get(kind, &mut reader),
        None => reader.field("request", |r| {
            r.fault(RefusalCode::Required, "is needed: set exactly one request")
        }),
    };
    let meta = reader.field("meta", |r| match command.meta {
        Some(meta) => decode_meta(meta, request.as_ref(), r),
        None => r.fault(RefusalCode::Required, "is needed"),
    });
    reader.finish(meta.zip(request))
}

fn decode_meta(
    meta: pb::CommandMeta,
    request: Option<&Request>,
    reader: &mut Reader,
) -> Option<CommandMeta> {
    let command_id = reader.field("command_id", |r| identifier(meta.command_id, r));
    let derived = request.and_then(Request::derived_stream);
    let stream = reader.field("stream_id", |r| match derived {
        None => identifier(meta.stream_id, r),
        Some(derived) if meta.stream_id.is_empty() => Some(derived),
        Some(derived) => match identifier(meta.stream_id, r)? {
            stream if stream == derived => Some(stream),
            _ => r.fault(
                RefusalCode::Malformed,
                "is not the stream that follows from the request; leave it empty",
            ),
        },
    });
    let occurred_at = reader.field("occurred_at", |r| Wire::get(meta.occurred_at, r));
    let zone = reader.field("zone", |r| {
        if meta.zone.is_empty() {
            return Some(None);
        }
        match Zone::new(&meta.zone) {
            Ok(zone) => Some(Some(zone)),
            Err(error) => r.fault(RefusalCode::Malformed, error.to_string()),
        }
    });
    let causation = reader.field("causation_id", |r| Wire::get(Some(meta.causation_id), r));
    let correlation = reader.field("correlation_id", |r| Wire::get(Some(meta.correlation_id), r));
    Some(CommandMeta {
        command_id: command_id?.into(),
        stream: stream?,
        expected_version: meta.expected_version.unwrap_or(0),
        occurred_at: occurred_at?,
        zone: zone?,
        causation: causation?,
        correlation: correlation?,
    })
}

/// A UUID that somebody chose: the nil one is a client that forgot to.
fn identifier(text: String, reader: &mut Reader) -> Option<Uuid> {
    let id: Uuid = Wire::get(text, reader)?;
    if id.is_nil() {
        return reader.fault(RefusalCode::Malformed, "must not be the nil UUID");
    }
    Some(id)
}

/// The command of a request, as a client sends it. `None` for requests that no command carries:
/// a task's delivery is the node's own, opening records has its own call.
#[must_use]
pub fn encode_command(meta: &CommandMeta, request: &Request) -> Option<pb::Command> {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    Some(pb::Command {
        meta: Some(pb::CommandMeta {
            command_id: meta.command_id.to_string(),
            stream_id: meta.stream.to_string(),
            expected_version: (meta.expected_version > 0).then_some(meta.expected_version),
            occurred_at: meta.occurred_at.put(),
            zone: meta.zone.as_ref().map(|zone| zone.name().to_owned()).unwrap_or_default(),
            causation_id: text(meta.causation),
            correlation_id: text(meta.correlation),
        }),
        request: Some(requests::put(request)?),
    })
}

/// Begins the canonical bytes, so that they are never taken for another message.
const CANONICAL: &[u8] = b"adal/command/v1\n";

/// Bytes of a command as it is sent.
#[must_use]
pub fn command_len(command: &pb::Command) -> usize {
    command.encoded_len()
}

/// The bytes to hash when two uses of one command id are compared: everything the command says
/// except the id itself. Fields stand in the order of their numbers, so equal commands give equal
/// bytes in every build. They hold the personal data of the command, hence wiped when dropped;
/// and because a short text can be guessed from a plain hash, hash them under a key.
#[must_use]
pub fn canonical_bytes(command: &pb::Command) -> Zeroizing<Vec<u8>> {
    let meta =
        command.meta.clone().map(|meta| pb::CommandMeta { command_id: String::new(), ..meta });
    let meta = meta.unwrap_or_default();
    let request_len = command.request.as_ref().map_or(0, pb::command::Request::encoded_len);
    // With its final capacity, so that no shorter copy stays in memory. 10: longest length prefix.
    let mut bytes = Vec::with_capacity(CANONICAL.len() + 10 + meta.encoded_len() + request_len);
    bytes.extend_from_slice(CANONICAL);
    // Fails only where a buffer has an end; a Vec grows.
    let _ = meta.encode_length_delimited(&mut bytes);
    if let Some(request) = &command.request {
        request.encode(&mut bytes);
    }
    Zeroizing::new(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::appeal::AppealRequest;
    use domain::directive::DispatchRequest;
    use proptest::prelude::*;
    use prost_reflect::{DynamicMessage, Value};

    use super::*;
    use crate::testing::{Dice, pool, random};

    /// Every field of the `oneof`: name, and a random command with it.
    fn commands(dice: &mut Dice) -> Vec<(String, pb::Command)> {
        let descriptor = pool().get_message_by_name("adal.command.v1.Command").unwrap();
        let oneof = descriptor.oneofs().next().unwrap();
        oneof
            .fields()
            .map(|field| {
                let mut message = DynamicMessage::new(descriptor.clone());
                let kind = field.kind();
                let request = random(kind.as_message().unwrap(), dice);
                message.set_field(&field, Value::Message(request));
                let mut command = message.transcode_to::<pb::Command>().unwrap();
                command.meta = Some(meta(dice));
                (field.name().to_owned(), command)
            })
            .collect()
    }

    fn meta(dice: &mut Dice) -> pb::CommandMeta {
        pb::CommandMeta {
            command_id: dice.uuid(),
            stream_id: String::new(),
            expected_version: (dice.below(2) == 0).then_some(dice.below(100) as u32 + 1),
            occurred_at: (dice.below(2) == 0)
                .then(|| crate::timestamp(Timestamp::from_micros(dice.next() as i64))),
            zone: if dice.below(2) == 0 { String::new() } else { "Asia/Almaty".to_owned() },
            causation_id: if dice.below(2) == 0 { String::new() } else { dice.uuid() },
            correlation_id: if dice.below(2) == 0 { String::new() } else { dice.uuid() },
        }
    }

    fn decoded(mut command: pb::Command, dice: &mut Dice) -> (pb::Command, CommandMeta, Request) {
        if decode_command(command.clone()).is_err() {
            command.meta.as_mut().unwrap().stream_id = dice.uuid();
        }
        let (meta, request) = decode_command(command.clone()).unwrap();
        command.meta.as_mut().unwrap().stream_id = meta.stream.to_string();
        (command, meta, request)
    }

    #[test]
    fn the_oneof_has_every_request_of_the_domain_and_no_other() {
        let oneof: BTreeSet<_> =
            commands(&mut Dice::new(1)).into_iter().map(|(name, _)| name).collect();
        let domain: BTreeSet<_> = [
            domain::contact::ContactRequest::NAMES,
            AppealRequest::NAMES,
            domain::reception::ReceptionRequest::NAMES,
            domain::measure::MeasureRequest::NAMES,
            domain::image::ActivityRequest::NAMES,
            domain::directive::DirectiveRequest::NAMES,
            DispatchRequest::NAMES,
            domain::task::TaskRequest::NAMES,
            domain::office::OfficeRequest::NAMES,
            domain::classifier::ClassifierRequest::NAMES,
        ]
        .into_iter()
        .flatten()
        .map(|name| (*name).to_owned())
        .filter(|name| name != "deliver_task")
        .collect();
        assert_eq!(oneof, domain);
    }

    #[test]
    fn faults_are_all_named() {
        let command = pb::Command {
            meta: Some(pb::CommandMeta {
                command_id: "x".to_owned(),
                stream_id: uuid::Uuid::nil().to_string(),
                zone: "Asia/Nowhere".to_owned(),
                occurred_at: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
                ..pb::CommandMeta::default()
            }),
            request: Some(pb::command::Request::ReceiveAppeal(pb::ReceiveAppeal {
                kind: "Not A Code".to_owned(),
                due_on: Some("tomorrow".to_owned()),
                contact: Some("x".to_owned()),
                form: "oral".to_owned(),
                language: "kk".to_owned(),
                channel: "call".to_owned(),
                ..pb::ReceiveAppeal::default()
            })),
        };
        let invalid = decode_command(command).unwrap_err();
        let fields: Vec<_> = invalid.violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "receive_appeal.kind",
                "receive_appeal.character",
                "receive_appeal.contact",
                "receive_appeal.due_on",
                "meta.command_id",
                "meta.stream_id",
                "meta.occurred_at",
                "meta.zone",
            ]
        );
        let empty = decode_command(pb::Command::default()).unwrap_err();
        let fields: Vec<_> = empty.violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["request", "meta"]);
    }

    #[test]
    fn a_stream_that_follows_from_the_request_cannot_be_another() {
        let mut dice = Dice::new(5);
        let (_, mut command) =
            commands(&mut dice).into_iter().find(|(name, _)| name == "accept_execution").unwrap();
        assert!(decode_command(command.clone()).is_ok());
        command.meta.as_mut().unwrap().stream_id = dice.uuid();
        let invalid = decode_command(command).unwrap_err();
        assert_eq!(invalid.violations[0].field, "meta.stream_id");
    }

    #[test]
    fn debug_of_a_command_shows_no_content() {
        let command = pb::Command {
            meta: None,
            request: Some(pb::command::Request::OpenContact(pb::OpenContact {
                channel: "secret".to_owned(),
                ..pb::OpenContact::default()
            })),
        };
        assert!(!format!("{command:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn every_accepted_command_comes_back(seed: u64) {
            let mut dice = Dice::new(seed);
            for (name, command) in commands(&mut dice) {
                let (command, meta, request) = decoded(command, &mut dice);
                prop_assert_eq!(request.name(), &name);
                prop_assert_eq!(encode_command(&meta, &request), Some(command));
            }
        }

        /// The bytes change with everything but the command's id.
        #[test]
        fn canonical_bytes_tell_commands_apart(seed: u64, at: prop::sample::Index) {
            let mut dice = Dice::new(seed);
            let mut all = commands(&mut dice);
            let (_, command) = all.swap_remove(at.index(all.len()));
            let bytes = canonical_bytes(&command);
            let mut repeated = command.clone();
            repeated.meta.as_mut().unwrap().command_id = dice.uuid();
            prop_assert_eq!(&canonical_bytes(&repeated), &bytes);
            repeated.meta.as_mut().unwrap().expected_version = Some(1_000_000);
            prop_assert_ne!(&canonical_bytes(&repeated), &bytes);
            let (_, other) = all.swap_remove(at.index(all.len()));
            let other = pb::Command { meta: command.meta.clone(), ..other };
            prop_assert_ne!(&canonical_bytes(&other), &bytes);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            if let Ok(command) = pb::Command::decode(bytes.as_slice()) {
                let _ = decode_command(command);
            }
        }

        #[test]
        fn damaged_commands_never_panic(seed: u64, at: prop::sample::Index, to: u8) {
            let mut dice = Dice::new(seed);
            let mut all = commands(&mut dice);
            let (_, command) = all.swap_remove(at.index(all.len()));
            let mut bytes = command.encode_to_vec();
            let place = at.index(bytes.len());
            bytes[place] = to;
            if let Ok(command) = pb::Command::decode(bytes.as_slice()) {
                let _ = decode_command(command);
            }
        }
    }
}
