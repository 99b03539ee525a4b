//! Random messages for tests, made from the descriptors: a field added to `proto/` is filled
//! without a change here, so a conversion that forgets it fails.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};

use crate::generated::DESCRIPTORS;

/// All descriptors; read once, because the comments in them make reading slow.
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());
    &POOL
}

/// Deterministic numbers from one seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self, alphabet: &str, min: usize, max: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let length = min + self.below(max - min + 1);
        (0..length).map(|_| letters[self.below(letters.len())]).collect()
    }

    fn code(&mut self) -> String {
        self.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", 1, 48)
    }

    fn free(&mut self) -> String {
        self.text("аәбвгғдABC 123\n\t\"\\{}🙂", 0, 40)
    }

    fn date(&mut self) -> String {
        let (y, m, d) = (self.below(300), self.below(12), self.below(28));
        format!("{:04}-{:02}-{:02}", 1900 + y, 1 + m, 1 + d)
    }

    fn office(&mut self) -> String {
        match self.below(3) {
            0 => "KZ".to_owned(),
            _ => format!("KZ-{}", self.text("ABCXYZ0123456789", 1, 6)),
        }
    }

    fn number(&mut self) -> String {
        domain::RegistrationNumber::from_parts(
            self.office().parse().unwrap(),
            1900 + self.below(300) as i16,
            1 + self.below(702) as u32,
            self.below(1_000_000) as u32,
        )
        .unwrap()
        .to_string()
    }

    pub(crate) fn uuid(&mut self) -> String {
        uuid::Uuid::from_slice(&self.bytes(16)).unwrap().to_string()
    }
}

/// A message whose fields all have a value that may stand there.
pub(crate) fn random(descriptor: &MessageDescriptor, dice: &mut Dice) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let optional = field.supports_presence() && !is_needed(&field);
        if field.containing_oneof().is_some_and(|o| !o.is_synthetic())
            || (optional && dice.below(3) == 0)
        {
            continue;
        }
        if field.cardinality() == Cardinality::Repeated {
            let items = (0..dice.below(4)).map(|_| single(&field, dice)).collect();
            message.set_field(&field, Value::List(items));
        } else {
            let value = single(&field, dice);
            message.set_field(&field, value);
        }
    }
    message
}

/// A required message field: instants of facts, and of requests that need them.
fn is_needed(field: &FieldDescriptor) -> bool {
    let parent = field.parent_message().name().to_owned();
    matches!(field.name(), "opened_at" | "closed_at")
        || (field.name() == "received_at" && parent == "AppealReceived")
}

fn single(field: &FieldDescriptor, dice: &mut Dice) -> Value {
    match field.kind() {
        Kind::Bool => Value::Bool(dice.below(2) == 1),
        Kind::Uint32 => Value::U32(dice.next() as u32),
        Kind::Uint64 => Value::U64(dice.next()),
        Kind::Int64 => Value::I64(dice.next() as i64),
        Kind::String => Value::String(string(field, dice)),
        Kind::Bytes => {
            let name = field.name();
            let is_hash =
                name.ends_with("_key") || matches!(name, "root" | "digest" | "leaf" | "file");
            let length = if is_hash { 32 } else { 16 };
            Value::Bytes(dice.bytes(length).into())
        }
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => {
            let micros = dice.next() as i64;
            let instant = crate::timestamp(domain::Timestamp::from_micros(micros));
            let bytes = instant.encode_to_vec();
            Value::Message(DynamicMessage::decode(kind, bytes.as_slice()).unwrap())
        }
        Kind::Message(kind) => Value::Message(random(&kind, dice)),
        other => panic!("no random value for {other:?} of {}", field.full_name()),
    }
}

fn string(field: &FieldDescriptor, dice: &mut Dice) -> String {
    let parent = field.parent_message().full_name().to_owned();
    match field.name() {
        _ if parent.ends_with("Part") => dice.free(),
        "due" | "due_on" | "on" | "registered_on" | "replacement_on" | "new_due" => dice.date(),
        "reg_no" => dice.number(),
        "targets" | "office" => dice.office(),
        "code" if parent.contains("Office") => dice.office(),
        "name_kk" | "name_ru" | "name_en" | "kk" | "ru" | "en" | "zone" => dice.free(),
        "appeal" | "contact" | "directive" => dice.uuid(),
        "post" | "executor" => dice.text("kz-75/clerk._", 1, 63),
        "log" => dice.text("kz-75/al", 1, 63),
        "order_number" => dice.text("0123456789-/#Nn", 1, 40),
        _ => dice.code(),
    }
}
