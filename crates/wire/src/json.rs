//! Bodies as JSON text, for the operator's tool and for whoever opened a sealed part.
//!
//! The text follows the descriptors of `proto/`: names as there, identifiers as UUIDs, other
//! bytes in hexadecimal, instants in RFC 3339. Unknown fields of newer software are left out.

use std::fmt::Write as _;
use std::sync::LazyLock;

use domain::{Fact, Timestamp};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value,
};
use zeroize::Zeroizing;

use crate::fact::{self, SCHEMA_VERSION};
use crate::generated::DESCRIPTORS;

/// `None` only if the build wrote no valid descriptors, which a test excludes.
static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// The open body of a record as JSON text: codes, dates, numbers, pseudonyms. With a sealed part
/// a member `"personal": "sealed"` says that there is one.
///
/// Never fails: a type this build does not know gives `{"unknown_type":n,"bytes":n}`, a damaged
/// body `{"unreadable_type":n,"bytes":n}`.
#[must_use]
pub fn open_json(type_code: u32, schema_version: u16, open: &[u8], sealed: bool) -> String {
    let known = fact::messages(type_code).filter(|_| schema_version == SCHEMA_VERSION);
    let Some(names) = known else { return marker("unknown_type", type_code, open, sealed) };
    match dynamic(names.open, open) {
        Some(message) => {
            let mut text = String::from("{");
            members(&message, &mut text);
            personal_marker(sealed, &mut text);
            text.push('}');
            text
        }
        None => marker("unreadable_type", type_code, open, sealed),
    }
}

/// The same for a fact at hand; its personal part shows only as the marker.
#[must_use]
pub fn fact_json(fact: &Fact) -> String {
    let bodies = fact::encode_fact(fact);
    open_json(bodies.type_code, bodies.schema_version, &bodies.open, bodies.personal.is_some())
}

/// An opened personal part as JSON text. `None` if the type has none or it cannot be read.
#[must_use]
pub fn personal_json(
    type_code: u32,
    schema_version: u16,
    personal: &[u8],
) -> Option<Zeroizing<String>> {
    if schema_version != SCHEMA_VERSION {
        return None;
    }
    let message = dynamic(fact::messages(type_code)?.personal?, personal)?;
    // Room for every character escaped, so that no shorter copy stays in memory.
    let mut text = Zeroizing::new(String::with_capacity(6 * personal.len() + 256));
    text.push('{');
    members(&message, &mut text);
    text.push('}');
    Some(text)
}

fn dynamic(name: &str, bytes: &[u8]) -> Option<DynamicMessage> {
    let descriptor = POOL.as_ref()?.get_message_by_name(name)?;
    DynamicMessage::decode(descriptor, bytes).ok()
}

fn marker(name: &str, type_code: u32, open: &[u8], sealed: bool) -> String {
    let mut text = format!("{{\"{name}\":{type_code},\"bytes\":{}", open.len());
    personal_marker(sealed, &mut text);
    text.push('}');
    text
}

fn personal_marker(sealed: bool, text: &mut String) {
    if sealed {
        separate(text);
        text.push_str("\"personal\":\"sealed\"");
    }
}

fn separate(text: &mut String) {
    if !text.ends_with(['{', '[']) {
        text.push(',');
    }
}

fn members(message: &DynamicMessage, text: &mut String) {
    for field in message.descriptor().fields() {
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        separate(text);
        string(field.name(), text);
        text.push(':');
        value(&field, &message.get_field(&field), text);
    }
}

fn value(field: &FieldDescriptor, value: &Value, text: &mut String) {
    if let (Cardinality::Repeated, Value::List(items)) = (field.cardinality(), value) {
        text.push('[');
        for item in items {
            separate(text);
            single(field, item, text);
        }
        text.push(']');
    } else {
        single(field, value, text);
    }
}

fn single(field: &FieldDescriptor, value: &Value, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Bool(v) => write!(text, "{v}"),
        Value::I32(v) => write!(text, "{v}"),
        Value::I64(v) => write!(text, "{v}"),
        Value::U32(v) => write!(text, "{v}"),
        Value::U64(v) => write!(text, "{v}"),
        Value::EnumNumber(v) => write!(text, "{v}"),
        Value::String(v) => return string(v, text),
        Value::Bytes(v) => return bytes(v, text),
        Value::Message(message) => return nested(field, message, text),
        // No body has maps, lists of lists or floating numbers.
        Value::F32(_) | Value::F64(_) | Value::List(_) | Value::Map(_) => write!(text, "null"),
    };
}

fn nested(field: &FieldDescriptor, message: &DynamicMessage, text: &mut String) {
    let is_timestamp = matches!(
        field.kind(), Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp"
    );
    if is_timestamp {
        let instant = message.transcode_to::<prost_types::Timestamp>().ok();
        let instant: Option<Timestamp> = instant.and_then(|t| crate::time::instant(&t));
        return match instant {
            Some(instant) => string(&instant.to_string(), text),
            None => text.push_str("null"),
        };
    }
    text.push('{');
    members(message, text);
    text.push('}');
}

fn bytes(bytes: &[u8], text: &mut String) {
    text.push('"');
    match <[u8; 16]>::try_from(bytes) {
        Ok(id) => {
            let _ = write!(text, "{}", uuid::Uuid::from_bytes(id));
        }
        Err(_) => {
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    text.push('"');
}

/// A JSON string (RFC 8259): quotation mark, backslash and control characters escaped.
fn string(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::testing::{Dice, pool, random};

    #[test]
    fn codes_dates_and_pseudonyms_in_the_order_of_the_proto() {
        let fact: Fact = domain::measure::MeasurePlanned {
            kind: "lecture".parse().unwrap(),
            audience: "judges".parse().unwrap(),
            due: jiff::civil::date(2026, 11, 30),
            directive: Some([0x11; 16].into()),
        }
        .into();
        assert_eq!(
            fact_json(&fact),
            r#"{"kind":"lecture","audience":"judges","due":"2026-11-30","#.to_owned()
                + r#""directive":"11111111-1111-1111-1111-111111111111"}"#
        );
    }

    #[test]
    fn a_sealed_part_shows_as_a_marker_only() {
        let fact: Fact = domain::contact::ContactOpened {
            channel: "call".parse().unwrap(),
            line: None,
            language: "kk".parse().unwrap(),
            personal: Some(domain::contact::CallerPart {
                name: Some("Жасырын \"есім\"".into()),
                ..Default::default()
            }),
        }
        .into();
        assert_eq!(fact_json(&fact), r#"{"channel":"call","language":"kk","personal":"sealed"}"#);
        let bodies = crate::encode_fact(&fact);
        let personal = bodies.personal.unwrap();
        let text = personal_json(bodies.type_code, bodies.schema_version, &personal).unwrap();
        assert_eq!(text.as_str(), "{\"name\":\"Жасырын \\\"есім\\\"\"}");
        assert_eq!(personal_json(0x0103, 1, &personal), None);
    }

    #[test]
    fn unknown_and_damaged_bodies_have_markers() {
        assert_eq!(
            open_json(0x7701, 1, b"abc", true),
            "{\"unknown_type\":30465,\"bytes\":3,\
             \"personal\":\"sealed\"}"
        );
        assert_eq!(open_json(0x0101, 9, b"abc", false), "{\"unknown_type\":257,\"bytes\":3}");
        assert_eq!(open_json(0x0101, 1, &[0xff], false), "{\"unreadable_type\":257,\"bytes\":1}");
    }

    proptest! {
        #[test]
        fn is_json_with_every_field(seed: u64) {
            let mut dice = Dice::new(seed);
            let descriptor =
                pool().get_message_by_name("adal.appeal.v1.AppealReceived").unwrap();
            let message = random(&descriptor, &mut dice);
            let text = open_json(0x0201, 1, &message.encode_to_vec(), false);
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert!(json["received_at"].is_string());
            prop_assert!(json["anonymous"].is_boolean());
            prop_assert_eq!(
                json.get("contact").is_some(),
                message.has_field_by_name("contact")
            );
        }

        #[test]
        fn any_text_is_a_json_string(value: String) {
            let mut text = String::new();
            string(&value, &mut text);
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }

        #[test]
        fn garbage_never_panics(type_code in 0_u32..0x0d00, bytes: Vec<u8>) {
            let text = open_json(type_code, 1, &bytes, false);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            let _ = personal_json(type_code, 1, &bytes);
        }
    }
}
