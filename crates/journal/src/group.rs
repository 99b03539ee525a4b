//! A group under construction, its digest, and the bodies of the small frames.

use evidence::hash::{Hash, sha256_parts};
use evidence::log::LogName;
use evidence::merkle::Frontier;
use evidence::record::StreamRef;

use crate::frame::{self, Kind, Label, SNAPSHOT, split};
use crate::limits::FRAME_HEADER;
use crate::report::Role;
use crate::transaction::CommandKey;

/// The frames of a group, encoded into one buffer as they will lie in the file.
#[derive(Default)]
pub(crate) struct GroupBuffer {
    seed: u32,
    /// Frames one behind the other.
    pub bytes: Vec<u8>,
    /// Their heads one behind the other: what the digest covers.
    heads: Vec<u8>,
}

/// Bytes of a trailer frame: head, length of the group, number of commands and digest.
pub(crate) const TRAILER: usize = FRAME_HEADER + 48;

impl GroupBuffer {
    /// An empty buffer for the journal with this checksum seed.
    pub(crate) fn new(seed: u32) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Forgets the frames and keeps the memory, unless an unusual group made it large.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
        self.bytes.shrink_to(4 * 1024 * 1024);
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> usize {
        self.heads.len() / FRAME_HEADER
    }

    /// Appends a frame; returns where its body starts in `bytes`.
    pub(crate) fn put(&mut self, label: Label, body: impl FnOnce(&mut Vec<u8>)) -> usize {
        let at = frame::put(&mut self.bytes, self.seed, label, body);
        self.heads.extend_from_slice(&self.bytes[at - FRAME_HEADER..at]);
        at
    }

    /// Appends the trailer of group number `group`, which makes it whole; `commands` counts the
    /// commands of the journal up to its end. Returns the new digest of the chain.
    pub(crate) fn finish(&mut self, chain: &Hash, group: u64, commands: u64) -> Hash {
        let next = chain_next(chain, group, &self.heads);
        let len = self.bytes.len() as u64;
        let count = self.frames() as u32;
        let label = Label { kind: Kind::Trailer, flags: 0, log_no: 0, epoch: count, seq: group };
        frame::put(&mut self.bytes, self.seed, label, |out| {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&commands.to_be_bytes());
            out.extend_from_slice(&next);
        });
        next
    }
}

/// The digest after a group: over the digest before it, its number and the heads of its frames
/// (whose checksums cover the bodies). A lost, doubled or reordered group breaks the chain.
pub(crate) fn chain_next(chain: &Hash, group: u64, heads: &[u8]) -> Hash {
    sha256_parts(&[b"adal/group/v1\n", chain, &group.to_be_bytes(), heads])
}

/// The body of a trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Bytes of the group's frames.
    pub len: u64,
    /// Commands of the journal up to here.
    pub commands: u64,
    /// Digest of the chain.
    pub chain: Hash,
}

/// Reads the body of a trailer.
pub(crate) fn decode_trailer(body: &[u8]) -> Option<Trailer> {
    let (len, rest) = split::<8>(body)?;
    let (commands, rest) = split::<8>(rest)?;
    let (chain, rest) = split::<32>(rest)?;
    let (len, commands) = (u64::from_be_bytes(len), u64::from_be_bytes(commands));
    rest.is_empty().then_some(Trailer { len, commands, chain })
}

/// The body of a log frame, with the number and epoch of its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogBody {
    pub log_no: u16,
    pub epoch: u32,
    pub role: Role,
    pub name: LogName,
    pub last_recorded_at: i64,
    pub frontier: Frontier,
}

impl LogBody {
    /// Appends the frame.
    pub(crate) fn put(&self, group: &mut GroupBuffer, snapshot: bool) {
        let flags = if snapshot { SNAPSHOT } else { 0 };
        let (log_no, epoch) = (self.log_no, self.epoch);
        let label = Label { kind: Kind::Log, flags, log_no, epoch, seq: self.frontier.size() };
        group.put(label, |out| {
            out.push(match self.role {
                Role::Own => 1,
                Role::Mirror => 2,
            });
            out.push(self.name.as_str().len() as u8);
            out.extend_from_slice(self.name.as_str().as_bytes());
            out.extend_from_slice(&self.last_recorded_at.to_be_bytes());
            out.extend_from_slice(&self.frontier.encode());
        });
    }

    /// Reads a body; `seq` of the head repeats the size.
    pub(crate) fn decode(head: &frame::Head, body: &[u8]) -> Option<Self> {
        let (role, rest) = split::<1>(body)?;
        let (len, rest) = split::<1>(rest)?;
        let (name, rest) = rest.split_at_checked(usize::from(len[0]))?;
        let (last_recorded_at, frontier) = split::<8>(rest)?;
        let frontier = Frontier::decode(frontier).ok()?;
        let role = match role[0] {
            1 => Role::Own,
            2 => Role::Mirror,
            _ => return None,
        };
        (frontier.size() == head.seq && head.log_no > 0 && head.epoch > 0).then_some(())?;
        Some(Self {
            log_no: head.log_no,
            epoch: head.epoch,
            role,
            name: LogName::new(str::from_utf8(name).ok()?).ok()?,
            last_recorded_at: i64::from_be_bytes(last_recorded_at),
            frontier,
        })
    }
}

/// Appends a control frame.
pub(crate) fn put_control(group: &mut GroupBuffer, key: &[u8], value: &[u8], snapshot: bool) {
    let flags = if snapshot { SNAPSHOT } else { 0 };
    let label = Label { kind: Kind::Control, flags, log_no: 0, epoch: 0, seq: 0 };
    group.put(label, |out| {
        out.extend_from_slice(&(key.len() as u16).to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    });
}

/// Reads the body of a control frame: key and value.
pub(crate) fn decode_control(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = split::<2>(body)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(len)))
}

/// Records that a command appended one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub log_no: u16,
    pub epoch: u32,
    pub first_seq: u64,
    pub count: u32,
}

/// A command that was done: the body of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub key: CommandKey,
    pub request_hash: Hash,
    pub recorded_at: i64,
    pub runs: Vec<Run>,
    pub versions: Vec<(StreamRef, u32)>,
}

impl Done {
    /// Appends the frame; returns where its body starts.
    pub(crate) fn put(&self, group: &mut GroupBuffer) -> usize {
        let label = Label { kind: Kind::Command, flags: 0, log_no: 0, epoch: 0, seq: 0 };
        group.put(label, |out| {
            out.extend_from_slice(&self.key.principal);
            out.extend_from_slice(&self.key.command_id);
            out.extend_from_slice(&self.request_hash);
            out.extend_from_slice(&self.recorded_at.to_be_bytes());
            out.extend_from_slice(&(self.runs.len() as u16).to_be_bytes());
            out.extend_from_slice(&(self.versions.len() as u16).to_be_bytes());
            for run in &self.runs {
                out.extend_from_slice(&run.log_no.to_be_bytes());
                out.extend_from_slice(&run.epoch.to_be_bytes());
                out.extend_from_slice(&run.first_seq.to_be_bytes());
                out.extend_from_slice(&run.count.to_be_bytes());
            }
            for (stream, version) in &self.versions {
                out.extend_from_slice(&stream.kind.to_be_bytes());
                out.extend_from_slice(&stream.id);
                out.extend_from_slice(&version.to_be_bytes());
            }
        })
    }

    /// Reads a body.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (principal, rest) = split::<16>(body)?;
        let (command_id, rest) = split::<16>(rest)?;
        let (request_hash, rest) = split::<32>(rest)?;
        let (recorded_at, rest) = split::<8>(rest)?;
        let (runs, rest) = split::<2>(rest)?;
        let (versions, rest) = split::<2>(rest)?;
        let (run_bytes, rest) =
            rest.split_at_checked(18 * usize::from(u16::from_be_bytes(runs)))?;
        (rest.len() == 22 * usize::from(u16::from_be_bytes(versions))).then_some(())?;
        Some(Self {
            key: CommandKey { principal, command_id },
            request_hash,
            recorded_at: i64::from_be_bytes(recorded_at),
            runs: run_bytes.chunks_exact(18).map(run).collect::<Option<_>>()?,
            versions: rest.chunks_exact(22).map(version).collect::<Option<_>>()?,
        })
    }
}

fn run(bytes: &[u8]) -> Option<Run> {
    let (log_no, rest) = split::<2>(bytes)?;
    let (epoch, rest) = split::<4>(rest)?;
    let (first_seq, rest) = split::<8>(rest)?;
    let (count, _) = split::<4>(rest)?;
    Some(Run {
        log_no: u16::from_be_bytes(log_no),
        epoch: u32::from_be_bytes(epoch),
        first_seq: u64::from_be_bytes(first_seq),
        count: u32::from_be_bytes(count),
    })
}

fn version(bytes: &[u8]) -> Option<(StreamRef, u32)> {
    let (kind, rest) = split::<2>(bytes)?;
    let (id, rest) = split::<16>(rest)?;
    let (version, _) = split::<4>(rest)?;
    Some((StreamRef { kind: u16::from_be_bytes(kind), id }, u32::from_be_bytes(version)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Head;

    fn first(group: &GroupBuffer) -> (Head, &[u8]) {
        let head = Head::decode(group.bytes.first_chunk().unwrap()).unwrap();
        (head, &group.bytes[FRAME_HEADER..FRAME_HEADER + head.len as usize])
    }

    #[test]
    fn a_log_body_comes_back() {
        let mut frontier = Frontier::new();
        (0..5).for_each(|i| drop(frontier.append([i; 32])));
        let name = LogName::new("kz/kz-75").unwrap();
        let role = Role::Mirror;
        let log = LogBody { log_no: 3, epoch: 2, role, name, last_recorded_at: -7, frontier };
        let mut group = GroupBuffer::new(1);
        log.put(&mut group, true);
        let (head, body) = first(&group);
        assert_eq!(head.flags, SNAPSHOT);
        assert_eq!(LogBody::decode(&head, body), Some(log));
        assert_eq!(LogBody::decode(&head, &body[..body.len() - 1]), None);
    }

    #[test]
    fn a_command_comes_back() {
        let key = CommandKey { principal: [1; 16], command_id: [2; 16] };
        let runs = vec![Run { log_no: 1, epoch: 1, first_seq: 9, count: 2 }; 3];
        let versions = vec![(StreamRef { kind: 4, id: [5; 16] }, 6); 2];
        let done = Done { key, request_hash: [3; 32], recorded_at: 8, runs, versions };
        let mut group = GroupBuffer::new(1);
        done.put(&mut group);
        let (_, body) = first(&group);
        assert_eq!(Done::decode(body), Some(done));
        assert_eq!(Done::decode(&body[..body.len() - 1]), None);
    }

    #[test]
    fn the_chain_depends_on_everything() {
        let base = chain_next(&[0; 32], 1, b"heads");
        assert_ne!(base, chain_next(&[1; 32], 1, b"heads"));
        assert_ne!(base, chain_next(&[0; 32], 2, b"heads"));
        assert_ne!(base, chain_next(&[0; 32], 1, b"Heads"));
    }
}
