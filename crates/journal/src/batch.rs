//! From the records and commands of a group to the entries of the index. Used when a group is
//! committed and when it is read again, so a rebuilt index has the same entries.

use std::collections::BTreeMap;
use std::ops::Range;

use ::sled::IVec;

use crate::index::IndexBatch;
use crate::index::keys::{self, GUARD};
use crate::index::pack::{Form, PackEntry};
use crate::limits::MAX_VALUE;
use crate::replay::{Items, RecordItem};
use crate::report::Role;
use crate::segment::LogKey;
use crate::tail::Mark;
use crate::transaction::CommandKey;

/// A pack that may take more records.
struct OpenPack {
    kind: u8,
    first_seq: u64,
    value: Vec<u8>,
}

impl OpenPack {
    fn close(mut self, log: LogKey) -> (IVec, IVec) {
        let key = keys::pack(self.kind, log, self.first_seq);
        keys::seal(&key, &mut self.value);
        (key.as_slice().into(), self.value.into())
    }
}

/// Appends the entries of a group that starts at `start` of the segment in `mark`, and lies in
/// `bytes`.
pub(crate) fn build(items: &Items, bytes: &[u8], start: u64, mark: &Mark, out: &mut IndexBatch) {
    let mut packs: BTreeMap<LogKey, OpenPack> = BTreeMap::new();
    for item in &items.records {
        let log = (item.log_no, item.epoch);
        let stored = &bytes[item.body()];
        let inline = match item.role {
            Role::Own => Form::Inline(stored),
            Role::Mirror => Form::Place {
                segment: mark.segment as u32,
                offset: (start + item.frame_at as u64) as u32,
                len: item.len as u32,
            },
        };
        let mut entry = PackEntry { nodes: &item.nodes, form: inline };
        if !entry.fits() {
            entry.form = Form::Chunks(item.len as u32);
            put_chunks(item, stored, out);
        }
        let full = |pack: &OpenPack| pack.value.len() + entry.span() > MAX_VALUE;
        if packs.get(&log).is_some_and(full)
            && let Some(pack) = packs.remove(&log)
        {
            out.push(pack.close(log));
        }
        let pack = packs.entry(log).or_insert_with(|| OpenPack {
            kind: kind(item.role),
            first_seq: item.seq,
            value: vec![0; GUARD],
        });
        entry.put(&mut pack.value);
        let place = (item.log_no, item.epoch, item.seq);
        out.push(keys::entry(&keys::event(&item.event_id, place), &[]));
        let version = keys::version(&item.stream, item.stream_version, place);
        out.push(keys::entry(&version, &[]));
    }
    out.extend(packs.into_iter().map(|(log, pack)| pack.close(log)));
    out.extend(items.commands.iter().filter_map(|range| command(bytes, range)));
    out.push(applied(mark));
}

/// Kind of the packs of a log.
pub(crate) fn kind(role: Role) -> u8 {
    match role {
        Role::Own => keys::OWN,
        Role::Mirror => keys::MIRROR,
    }
}

/// The entry that says how far the index is.
pub(crate) fn applied(mark: &Mark) -> (IVec, IVec) {
    keys::entry(keys::APPLIED, &mark.encode())
}

/// The entry of a command: its frame's body without the key.
pub(crate) fn command(bytes: &[u8], range: &Range<usize>) -> Option<(IVec, IVec)> {
    let body = bytes.get(range.clone())?;
    let (principal, rest) = crate::frame::split::<16>(body)?;
    let (command_id, rest) = crate::frame::split::<16>(rest)?;
    Some(keys::entry(&keys::command(&CommandKey { principal, command_id }), rest))
}

/// Bytes of a record in one piece.
pub(crate) const CHUNK: usize = MAX_VALUE - GUARD;

/// Appends a record in pieces.
fn put_chunks(item: &RecordItem, stored: &[u8], out: &mut IndexBatch) {
    for (no, piece) in stored.chunks(CHUNK).enumerate() {
        // 256 KiB make 65 pieces.
        let key = keys::chunk((item.log_no, item.epoch), item.seq, no as u16);
        out.push(keys::entry(&key, piece));
    }
}
