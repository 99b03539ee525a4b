//! Queries in pages, with tokens that carry all that a series needs. The node keeps nothing.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evidence::log::LogName;
use evidence::record::Record;

use crate::bounded::{Bounded, at_most};
use crate::error::{PageError, TokenError};

/// The order of the records of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A sequence.
    Sequence(u64),
    /// The first record that was recorded at this time or later, in microseconds since 1970 UTC.
    Time(i64),
}

/// What to read of one epoch of one log, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The order. It does not change which records are meant.
    pub direction: Direction,
    /// The oldest record that is meant; `None`: the first one.
    pub from: Option<Point>,
    /// The first record that is not meant any more; `None`: all that were there when the series
    /// began.
    pub to: Option<Point>,
    /// Most records of a page; 0 counts as 1. May differ from page to page.
    pub max_records: usize,
    /// Stored bytes after which a page ends; it has one record at least. May differ from page to
    /// page.
    pub max_bytes: usize,
}

impl Query {
    /// Everything of one epoch, oldest first, in pages of at most 256 records and about 1 MiB.
    #[must_use]
    pub fn all(log: LogName, epoch: u32) -> Self {
        let (from, to, direction) = (None, None, Direction::Forward);
        Self { log, epoch, direction, from, to, max_records: 256, max_bytes: 1024 * 1024 }
    }

    /// Sum of the bounds, so that a token shows whether they are still the same.
    fn bounds(&self) -> u32 {
        let mut bytes = Vec::with_capacity(18);
        for point in [self.from, self.to] {
            let (kind, value) = match point {
                None => (0, [0; 8]),
                Some(Point::Sequence(seq)) => (1, seq.to_be_bytes()),
                Some(Point::Time(micros)) => (2, micros.to_be_bytes()),
            };
            bytes.push(kind);
            bytes.extend_from_slice(&value);
        }
        crc32c::crc32c(&bytes)
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records, in the order of the query.
    pub records: Vec<Record>,
    /// How to get the next page; `None` after the last one.
    pub next: Option<PageToken>,
}

/// Where a series of pages goes on. `Display` and `FromStr` give its opaque text, URL-safe base64
/// without padding; `FORMAT.md` has the bytes.
///
/// A token is neither secret nor authenticated: it gives no right, and whoever makes one up gets
/// nothing that he could not have asked for without it. Check the right to read the log at every
/// page. It stays valid for as long as the journal exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    journal: [u8; 16],
    log_no: u16,
    epoch: u32,
    direction: Direction,
    /// Forward: the next sequence. Backward: one behind it.
    next: u64,
    /// Forward: one behind the last sequence. Backward: the last sequence.
    end: u64,
    /// Size of the epoch when the series began.
    size: u64,
    /// Sum of the query's bounds.
    bounds: u32,
}

/// The version of tokens that this program writes and reads.
const VERSION: u8 = 1;
/// Length of a token in bytes.
const LEN: usize = 56;

impl PageToken {
    fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[0] = VERSION;
        bytes[1] = u8::from(self.direction == Direction::Backward);
        bytes[2..4].copy_from_slice(&self.log_no.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..24].copy_from_slice(&self.journal);
        bytes[24..32].copy_from_slice(&self.next.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.end.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.size.to_be_bytes());
        bytes[48..52].copy_from_slice(&self.bounds.to_be_bytes());
        let sum = crc32c::crc32c(&bytes[..52]);
        bytes[52..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
        if u32::from_be_bytes(*sum) != crc32c::crc32c(body) {
            return Err(TokenError::Damaged);
        }
        let found = *body.first().ok_or(TokenError::Damaged)?;
        if found != VERSION {
            return Err(TokenError::Version { found, known: VERSION });
        }
        let token = parse(body).ok_or(TokenError::Damaged)?;
        let (low, high) = token.left();
        if low <= high && high <= token.size { Ok(token) } else { Err(TokenError::Damaged) }
    }

    /// The sequences that are still to be read.
    fn left(&self) -> (u64, u64) {
        match self.direction {
            Direction::Forward => (self.next, self.end),
            Direction::Backward => (self.end, self.next),
        }
    }

    /// Refuses a token of another journal or another query.
    fn check(&self, begun: &PageToken, held: u64) -> Result<(), TokenError> {
        if self.journal != begun.journal {
            return Err(TokenError::OtherJournal);
        }
        let parts = [
            ("log", self.log_no == begun.log_no),
            ("epoch", self.epoch == begun.epoch),
            ("direction", self.direction == begun.direction),
            ("bounds", self.bounds == begun.bounds),
        ];
        if let Some((what, _)) = parts.iter().find(|(_, same)| !same) {
            return Err(TokenError::OtherQuery { what });
        }
        if self.size > held {
            return Err(TokenError::Beyond { named: self.size, held });
        }
        Ok(())
    }
}

/// The fields of a token's body.
fn parse(body: &[u8]) -> Option<PageToken> {
    let body: &[u8; LEN - 4] = body.try_into().ok()?;
    let long = |at: usize| Some(u64::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let short = |at: usize| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
    Some(PageToken {
        direction: match body[1] {
            0 => Direction::Forward,
            1 => Direction::Backward,
            _ => return None,
        },
        log_no: u16::from_be_bytes([body[2], body[3]]),
        epoch: short(4)?,
        journal: *body.get(8..)?.first_chunk()?,
        next: long(24)?,
        end: long(32)?,
        size: long(40)?,
        bounds: short(48)?,
    })
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for PageToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::decode(&URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Damaged)?)
    }
}

/// Reads one page.
pub(crate) fn page(
    bounded: &Bounded<'_>,
    query: &Query,
    token: Option<&PageToken>,
) -> Result<Page, PageError> {
    let mut state = begin(bounded, query, token.is_none())?;
    if let Some(token) = token {
        token.check(&state, bounded.size)?;
        state = *token;
    }
    let (low, high) = state.left();
    let most = at_most(query.max_records.max(1), high - low);
    let records = match state.direction {
        Direction::Forward => bounded.range(low, most, query.max_bytes)?,
        Direction::Backward => bounded.range_back(high, most, query.max_bytes)?,
    };
    let read = records.len() as u64;
    state.next = match state.direction {
        Direction::Forward => low + read,
        Direction::Backward => high.saturating_sub(read),
    };
    let done = read == 0 || state.next == state.end;
    Ok(Page { records, next: (!done).then_some(state) })
}

/// The beginning of a series; its bounds are looked up if `with_bounds`.
fn begin(bounded: &Bounded<'_>, query: &Query, with_bounds: bool) -> Result<PageToken, PageError> {
    let size = bounded.size;
    let place = |point: Option<Point>, otherwise: u64| match point {
        None => Ok(otherwise),
        Some(Point::Sequence(seq)) => Ok(seq.min(size)),
        Some(Point::Time(micros)) => bounded.first_at_or_after(micros),
    };
    let (low, high) = if with_bounds {
        let high = place(query.to, size)?;
        (place(query.from, 0)?.min(high), high)
    } else {
        (0, size)
    };
    let (next, end) = match query.direction {
        Direction::Forward => (low, high),
        Direction::Backward => (high, low),
    };
    Ok(PageToken {
        journal: bounded.journal.inner.id,
        log_no: bounded.journal.state().named(bounded.log).map_or(0, |log| log.no),
        epoch: bounded.epoch,
        direction: query.direction,
        next,
        end,
        size,
        bounds: query.bounds(),
    })
}
