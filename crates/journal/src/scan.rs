//! Reading a segment group by group. Nothing is handed out before its trailer is found and agrees.

use std::io;
use std::sync::Arc;

use evidence::hash::Hash;

use crate::disk::DiskFile;
use crate::frame::{self, Head, Kind};
use crate::group::{chain_next, decode_trailer};
use crate::limits::{ALIGN, FRAME_HEADER, MAX_GROUP, READ_AHEAD};
use crate::segment::{Footer, SEGMENT_HEADER, SegmentHeader};
use crate::tail::Mark;

/// One frame of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameRef {
    pub head: Head,
    /// Where the frame starts, relative to the group.
    pub at: usize,
}

/// A whole, intact group.
pub(crate) struct Group<'a> {
    pub number: u64,
    /// Commands of the journal up to its end.
    pub commands: u64,
    /// Digest of the chain after it.
    pub chain: Hash,
    /// Where its first frame starts in the file.
    pub start: u64,
    /// First byte behind its trailer.
    pub end: u64,
    pub frames: &'a [FrameRef],
    /// Its frames, without the trailer.
    pub bytes: &'a [u8],
}

impl Group<'_> {
    /// The body of one of its frames.
    pub(crate) fn body(&self, frame: &FrameRef) -> &[u8] {
        let start = frame.at + FRAME_HEADER;
        &self.bytes[start..start + frame.head.len as usize]
    }

    /// The end of the group in segment `segment`.
    pub(crate) fn mark(&self, segment: u64) -> Mark {
        Mark { segment, offset: self.end, group: self.number, chain: self.chain }
    }
}

/// What comes next in a segment.
pub(crate) enum Step<'a> {
    /// A group.
    Group(Group<'a>),
    /// Zeros or the end of the file: nothing was written from `at` on, as far as one head tells.
    End { at: u64 },
    /// The footer; `end` is the first byte behind its frame.
    Footer { at: u64, end: u64, footer: Footer },
    /// The next group is not whole: the frame at `at` is wrong.
    Broken { at: u64, why: &'static str },
}

/// What lies at a place where a frame should start.
enum Place {
    Intact(Head),
    Nothing,
    Bad(&'static str),
}

/// Reads one segment.
pub(crate) struct Scanner {
    file: Arc<dyn DiskFile>,
    size: u64,
    seed: u32,
    /// Digest of the chain before the next group.
    pub chain: Hash,
    /// Number of the next group.
    pub next_group: u64,
    /// Where the next group starts.
    pub at: u64,
    base: u64,
    buf: Vec<u8>,
    frames: Vec<FrameRef>,
    heads: Vec<u8>,
}

impl Scanner {
    /// A scanner at the first group of a segment.
    pub(crate) fn new(file: Arc<dyn DiskFile>, header: &SegmentHeader) -> io::Result<Self> {
        let size = file.size()?;
        Ok(Self {
            file,
            size,
            seed: frame::seed(&header.journal),
            chain: header.chain,
            next_group: header.first_group,
            at: SEGMENT_HEADER as u64,
            base: 0,
            buf: Vec::new(),
            frames: Vec::new(),
            heads: Vec::new(),
        })
    }

    /// Length of the file when it was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Makes `offset..offset + len` available, as far as the file reaches, and keeps everything
    /// from `keep` on. Returns the available part.
    fn load(&mut self, keep: u64, offset: u64, len: usize) -> io::Result<&[u8]> {
        let end = (offset + len as u64).min(self.size);
        let have = self.base + self.buf.len() as u64;
        if keep < self.base || keep > have {
            self.base = keep;
            self.buf.clear();
        }
        let have = self.base + self.buf.len() as u64;
        if end > have {
            let unneeded = (keep - self.base) as usize;
            self.buf.drain(..unneeded);
            self.base = keep;
            let old = self.buf.len();
            let want = (end - have).max(READ_AHEAD as u64).min(self.size - have) as usize;
            self.buf.resize(old + want, 0);
            let got = self.file.read_at(have, &mut self.buf[old..])?;
            self.buf.truncate(old + got);
        }
        let from = (offset.max(self.base) - self.base) as usize;
        let to = (end.max(self.base) - self.base) as usize;
        Ok(self.buf.get(from..to.min(self.buf.len())).unwrap_or_default())
    }

    /// Looks at one place.
    fn look(&mut self, keep: u64, at: u64) -> io::Result<Place> {
        let seed = self.seed;
        let bytes = self.load(keep, at, FRAME_HEADER)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Place::Nothing);
        }
        let Some(head) = bytes.first_chunk().and_then(Head::decode) else {
            return Ok(Place::Bad("no frame"));
        };
        let bytes = self.load(keep, at, head.span())?;
        if bytes.len() < head.span() {
            return Ok(Place::Bad("frame is cut off"));
        }
        let (frame, padding) = bytes.split_at(FRAME_HEADER + head.len as usize);
        if !frame::is_intact(seed, &head, frame) {
            return Ok(Place::Bad("checksum does not match"));
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Ok(Place::Bad("padding is not zero"));
        }
        Ok(Place::Intact(head))
    }

    /// Reads the next group, or says what is there instead. Only a group moves the scanner on.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        let start = self.at;
        let mut at = start;
        self.frames.clear();
        self.heads.clear();
        loop {
            let broken = |why| Ok(Step::Broken { at, why });
            let head = match self.look(start, at)? {
                Place::Intact(head) => head,
                Place::Nothing if at == start => return Ok(Step::End { at }),
                Place::Nothing => return broken("group is unfinished"),
                Place::Bad(why) => return broken(why),
            };
            match head.kind {
                Kind::Trailer => return self.finish(start, at, &head),
                Kind::Footer if at == start => {
                    let end = at + head.span() as u64;
                    let body = self.body(start, at, &head)?;
                    return Ok(match Footer::decode(body) {
                        Some(footer) => Step::Footer { at, end, footer },
                        None => Step::Broken { at, why: "footer is malformed" },
                    });
                }
                Kind::Footer => return broken("footer inside a group"),
                _ => {}
            }
            self.frames.push(FrameRef { head, at: (at - start) as usize });
            let head_bytes: [u8; FRAME_HEADER] = {
                let mut copy = [0; FRAME_HEADER];
                copy.copy_from_slice(self.load(start, at, FRAME_HEADER)?);
                copy
            };
            self.heads.extend_from_slice(&head_bytes);
            at += head.span() as u64;
            if at - start > MAX_GROUP as u64 {
                return Ok(Step::Broken { at, why: "group is larger than the limit" });
            }
        }
    }

    /// The body of the intact frame at `at`.
    fn body(&mut self, keep: u64, at: u64, head: &Head) -> io::Result<&[u8]> {
        let bytes = self.load(keep, at, FRAME_HEADER + head.len as usize)?;
        Ok(bytes.get(FRAME_HEADER..).unwrap_or_default())
    }

    /// Compares the trailer at `at` with the frames before it and hands the group out.
    fn finish(&mut self, start: u64, at: u64, head: &Head) -> io::Result<Step<'_>> {
        let broken = |why| Ok(Step::Broken { at, why });
        let trailer = decode_trailer(self.body(start, at, head)?);
        let chain = chain_next(&self.chain, head.seq, &self.heads);
        let Some(trailer) = trailer else { return broken("trailer is malformed") };
        if head.seq != self.next_group {
            return broken("group has another number");
        }
        let len = trailer.len;
        if len != at - start || head.epoch as usize != self.frames.len() || trailer.chain != chain {
            return broken("trailer does not match its group");
        }
        let end = at + head.span() as u64;
        (self.at, self.chain, self.next_group) = (end, chain, head.seq + 1);
        self.load(start, start, len as usize)?;
        let from = (start - self.base) as usize;
        let bytes = &self.buf[from..from + len as usize];
        Ok(Step::Group(Group {
            number: head.seq,
            commands: trailer.commands,
            chain,
            start,
            end,
            frames: &self.frames,
            bytes,
        }))
    }

    /// The first intact frame at or behind `from`: where it starts, its head and its body.
    pub(crate) fn find(&mut self, from: u64) -> io::Result<Option<(u64, Head, &[u8])>> {
        let mut at = from.next_multiple_of(ALIGN as u64);
        while at + FRAME_HEADER as u64 <= self.size {
            // Cheap refusals first: most places behind damage are bodies or zeros.
            let bytes = self.load(at, at, FRAME_HEADER)?;
            let plausible = bytes.first_chunk().and_then(Head::decode).is_some();
            if plausible && let Place::Intact(head) = self.look(at, at)? {
                let body = self.body(at, at, &head)?;
                return Ok(Some((at, head, body)));
            }
            at += ALIGN as u64;
        }
        Ok(None)
    }

    /// Up to `len` bytes at `offset`, as far as the file reaches.
    pub(crate) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        self.load(offset, offset, len)
    }

    /// First byte from `from` on, and first byte behind the last one, that is not zero.
    pub(crate) fn rest(&mut self, from: u64) -> io::Result<Option<(u64, u64)>> {
        let mut at = from;
        let mut found: Option<(u64, u64)> = None;
        while at < self.size {
            let bytes = self.load(at, at, READ_AHEAD)?;
            if bytes.is_empty() {
                break;
            }
            let len = bytes.len() as u64;
            if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(first);
                let first = found.map_or(at + first as u64, |(first, _)| first);
                found = Some((first, at + last as u64 + 1));
            }
            at += len;
        }
        Ok(found)
    }
}
