//! A target for what is inside of records: bodies of facts, which the writer of a log chooses.
//!
//! No panic; a body that is a fact is written as one that reads the same, and as text.

use std::collections::BTreeSet;

use wire::{Encoded, SCHEMA_VERSION, decode_fact, encode_fact, fact_json, open_json};

use crate::Target;

/// Mutations of a body in `make test`.
const MANY: u64 = 5_000;

/// The only one.
pub const TARGETS: &[Target] = &[Target { name: "body", run: body, seeds: bodies, bounded: MANY }];

/// Type code, length of the personal part (0: none), open body, personal part.
fn body(data: &[u8]) {
    let [high, low, length, rest @ ..] = data else { return };
    let code = u32::from(u16::from_be_bytes([*high, *low]));
    let (open, part) = rest.split_at(rest.len().saturating_sub(usize::from(*length)));
    let part = Some(part).filter(|part| !part.is_empty());
    assert!(!open_json(code, SCHEMA_VERSION, open, part.is_some()).is_empty());
    let Ok(fact) = decode_fact(code, SCHEMA_VERSION, open, part) else { return };
    assert!(!fact_json(&fact).is_empty());
    let first = encode_fact(&fact);
    if first.schema_version == SCHEMA_VERSION {
        assert_eq!(first.type_code, code);
        let again = read(code, &first.open, first.personal.as_ref().map(|part| &part[..]));
        assert!(again.is_ok_and(|again| again == first), "{code:#06x} is not read as written");
    }
}

/// The fact of a body as it is written, or why it is none.
fn read(code: u32, open: &[u8], part: Option<&[u8]>) -> Result<Encoded, String> {
    let fact = decode_fact(code, SCHEMA_VERSION, open, part).map_err(|error| error.to_string())?;
    Ok(encode_fact(&fact))
}

/// Fields of each kind that a body may have, without their tags: first the type of the field.
fn values() -> Vec<(u8, Vec<u8>)> {
    let texts = ["call", "KZ-75", "kz-75", "kz-75/clerk", "2026-11-30", "KZ-75-2026-985002-1"];
    let ids = ["01890a5d-ac96-774b-bcce-b302099a8057"];
    // An instant; a message with a code in it.
    let messages: [&[u8]; 2] = [b"\x08\x80\xe2\xcf\xaa\x06", b"\x0a\x04call"];
    let bytes = [vec![7; 16], vec![7; 32]];
    let texts = texts.iter().chain(&ids).map(|text| text.as_bytes().to_vec());
    let chunks = texts.chain(messages.map(<[u8]>::to_vec)).chain(bytes);
    let chunk = |inside: Vec<u8>| (2, [&[inside.len() as u8][..], &inside].concat());
    chunks.map(chunk).chain([(0, vec![1])]).collect()
}

/// A body of this type with as many fields as can be found by trying.
fn found(code: u32) -> Option<Vec<u8>> {
    let mut body: Vec<u8> = Vec::new();
    let mut now = read(code, &body, None);
    if now.as_ref().is_ok_and(|fact| fact.schema_version != SCHEMA_VERSION) {
        return None;
    }
    let values = values();
    // Each field that is right leads to a fault of another one that was not seen before.
    let mut seen: BTreeSet<String> = now.clone().err().into_iter().collect();
    for _ in 0..4 {
        for (number, (kind, value)) in
            (1..15u8).flat_map(|number| values.iter().map(move |value| (number, value)))
        {
            let longer = [&body[..], &[number << 3 | kind], value].concat();
            let then = read(code, &longer, None);
            let is_better = match (&now, &then) {
                (Ok(now), Ok(then)) => then.open.len() > now.open.len(),
                (Err(_), Err(then)) => {
                    !then.contains("cannot be read") && seen.insert(then.clone())
                }
                (Err(_), Ok(_)) => true,
                (Ok(_), Err(_)) => false,
            };
            if is_better {
                (body, now) = (longer, then);
            }
        }
    }
    Some(body)
}

fn bodies() -> Vec<Vec<u8>> {
    let codes = (0x01..0x10).flat_map(|kind| (0..0x20).map(move |n| kind << 8 | n));
    let seed = |code: u32| {
        let body = found(code)?;
        Some([&(code as u16).to_be_bytes()[..], &[0], &body].concat())
    };
    let mut seeds: Vec<Vec<u8>> = codes.filter_map(seed).collect();
    // The same with a personal part.
    let parts = seeds.clone().into_iter().map(|seed| {
        let part = b"\x0a\x04name\x12\x04text";
        [&seed[..2], &[part.len() as u8], &seed[3..], part].concat()
    });
    seeds.extend(parts);
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_types_have_a_seed_that_is_a_fact() {
        let seeds = bodies();
        let code = |seed: &Vec<u8>| u32::from(u16::from_be_bytes([seed[0], seed[1]]));
        let whole = seeds.iter().filter(|seed| seed[2] == 0);
        let facts = whole.clone().filter(|seed| read(code(seed), &seed[3..], None).is_ok()).count();
        assert!(facts * 10 > whole.clone().count() * 8, "{facts} of {}", whole.count());
    }
}
