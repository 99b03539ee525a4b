//! The records that are measured: exactly 512 stored bytes, ids spread as real ones are, everything
//! a function of a number.

use anyhow::{Result, ensure};
use evidence::log::LogName;
use evidence::record::{
    ActorRef, Classification, Draft, Header, Record, ShortText, StreamRef, Urgency,
};
use journal::{Append, CommandClaim, CommandKey, ExpectedVersion, Transaction};

/// Stored bytes of a record: the size that the aims of the journal are stated for.
pub const RECORD: usize = 512;

/// Bytes of the open body: a few codes and dates. The sealed part fills the rest.
const OPEN: usize = 70;

/// Kind of the streams.
const KIND: u16 = 2;

/// 2026-01-01 UTC in milliseconds since 1970: where the event ids begin.
const BASE_MS: u64 = 1_767_225_600_000;

/// Records whose ids share a millisecond, so that neighbours are not quite in order.
const PER_MS: u64 = 20;

/// Records go to one of this many last streams: the open cases of a large office, more than the
/// writer remembers the versions of.
const OPEN_STREAMS: u64 = 100_000;

/// Makes records of one log.
pub struct Maker {
    log: LogName,
    zone: ShortText,
    post: ShortText,
    sealed: usize,
}

/// SplitMix64: spreads a number over 64 bits.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What `number` gives for one purpose.
fn salted(purpose: u64, number: u64) -> u64 {
    mix(mix(purpose).wrapping_add(number))
}

/// Fills bytes with noise, so that nothing can be compressed away.
fn fill(purpose: u64, number: u64, bytes: &mut [u8]) {
    let start = salted(purpose, number);
    for (at, piece) in (0..).zip(bytes.chunks_mut(8)) {
        piece.copy_from_slice(&mix(start.wrapping_add(at)).to_be_bytes()[..piece.len()]);
    }
}

fn noise(purpose: u64, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(purpose, number, &mut bytes);
    bytes
}

/// A random UUID (version 4).
fn random_id(purpose: u64, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    fill(purpose, number, &mut id);
    (id[6], id[8]) = (id[6] & 0x0f | 0x40, id[8] & 0x3f | 0x80);
    id
}

/// Id of the event with this number: a UUID of version 7, time in front, chance behind.
pub fn event_id(number: u64) -> [u8; 16] {
    let mut id = random_id(1, number);
    id[..6].copy_from_slice(&(BASE_MS + number / PER_MS).to_be_bytes()[2..]);
    id[6] = id[6] & 0x0f | 0x70;
    id
}

/// Stream of the record with this number: every third begins one, the others go to one of the last
/// [`OPEN_STREAMS`].
pub fn stream_of(number: u64) -> StreamRef {
    let newest = number / 3;
    let back = salted(2, number) % OPEN_STREAMS.min(newest + 1);
    let chosen = if number.is_multiple_of(3) { newest } else { newest - back };
    StreamRef { kind: KIND, id: random_id(3, chosen) }
}

/// Command that causes the record with this number.
pub fn command_of(number: u64) -> CommandKey {
    CommandKey { principal: random_id(4, number % 50), command_id: random_id(5, number) }
}

impl Maker {
    /// Makes records of `log`.
    pub fn new(log: &LogName) -> Result<Self> {
        let (zone, post) = (ShortText::new("Asia/Almaty")?, ShortText::new("kz-75/clerk")?);
        let mut maker = Self { log: log.clone(), zone, post, sealed: 0 };
        let without = maker.draft(0).encoded_len()?;
        ensure!(without <= RECORD, "a record without a sealed part has {without} bytes");
        maker.sealed = RECORD - without;
        Ok(maker)
    }

    /// The draft with this number.
    fn draft(&self, number: u64) -> Draft {
        let header = Header {
            event_id: event_id(number),
            log: self.log.clone(),
            epoch: 1,
            seq: 0,
            stream: stream_of(number),
            stream_version: 1,
            type_code: 0x0201,
            schema_version: 1,
            occurred_at: (BASE_MS * 1000 + number) as i64,
            recorded_at: 0,
            zone: self.zone.clone(),
            actor: ActorRef {
                person: random_id(4, number % 50),
                post: self.post.clone(),
                acting_for: [0; 16],
            },
            command_id: command_of(number).command_id,
            causation_id: [0; 16],
            correlation_id: [0; 16],
            policy_version: 1,
            calendar_version: 1,
            classifier_version: 1,
            classification: Classification::Official,
            urgency: Urgency::Normal,
            centre_head: None,
            statement: None,
            keys: vec![],
            attachments: vec![],
            trace: None,
        };
        let mut blind = [0; 32];
        fill(6, number, &mut blind);
        let (open, sealed) = (noise(7, number, OPEN), noise(8, number, self.sealed));
        Draft { header, blind, open, sealed }
    }

    /// One record for an own log; with a command of its own, as people and imports send them, or
    /// without.
    pub fn transaction(&self, number: u64, with_command: bool) -> Transaction {
        let draft = self.draft(number);
        let mut request_hash = [0; 32];
        fill(9, number, &mut request_hash);
        let claim = || CommandClaim { key: command_of(number), request_hash };
        let append = Append {
            log: self.log.clone(),
            expected: ExpectedVersion::Any,
            stream: draft.header.stream,
            drafts: vec![draft],
        };
        Transaction {
            command: with_command.then(claim),
            appends: vec![append],
            ..Transaction::default()
        }
    }

    /// Record `seq` of a log that another office wrote: streams of three, one after the other.
    pub fn mirrored(&self, seq: u64) -> Result<Record> {
        let mut draft = self.draft(seq);
        draft.header.seq = seq;
        draft.header.stream = StreamRef { kind: KIND, id: random_id(3, seq / 3) };
        draft.header.stream_version = (seq % 3) as u32 + 1;
        draft.header.recorded_at = draft.header.occurred_at;
        Ok(draft.into_record()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn maker() -> Maker {
        Maker::new(&LogName::new("kz-75").unwrap()).unwrap()
    }

    #[test]
    fn every_record_has_512_bytes() {
        for number in [0, 1, 999_999, 1 << 40] {
            assert_eq!(maker().mirrored(number).unwrap().bytes().len(), RECORD);
            let drafts = &maker().transaction(number, true).appends[0].drafts;
            assert_eq!(drafts[0].encoded_len().unwrap(), RECORD);
        }
    }

    #[test]
    fn event_ids_are_of_version_7_and_nearly_in_order() {
        let ids: Vec<[u8; 16]> = (0..1000).map(event_id).collect();
        assert!(ids.iter().all(|id| id[6] >> 4 == 7 && id[8] >> 6 == 2));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(!ids.is_sorted());
        assert!(ids.iter().step_by(PER_MS as usize).is_sorted());
    }

    #[test]
    fn a_third_of_the_streams_is_new() {
        let streams: HashSet<StreamRef> = (0..9000).map(stream_of).collect();
        assert_eq!(streams.len(), 3000);
        assert_eq!(stream_of(0), stream_of(1));
    }

    #[test]
    fn commands_differ() {
        let commands: HashSet<CommandKey> = (0..1000).map(command_of).collect();
        assert_eq!(commands.len(), 1000);
    }
}
