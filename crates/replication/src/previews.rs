//! Urgent records behind a backlog, shown ahead of it.
//!
//! Records go out in their order, and on a slow line, or after weeks without one, an urgent record
//! may stand behind hours of others. The writer looks through what has waited for a while, and
//! shows each urgent record once on a link, the newest first, since the oldest come soonest: its
//! bytes, and the proof that the head which the other side accepted covers it. The other side shows
//! it to people. It is not held by that: it comes again in its turn, and only then it is stored and
//! acknowledged.

use std::collections::VecDeque;

use crate::limits::{LOOK_EVERY, LOOK_RECORDS, PREVIEW_AFTER, PREVIEW_SHARE, PREVIEWS_WAITING};

/// What the driver was asked for, by the serial of its ticket.
#[derive(Debug)]
enum Asked {
    Nothing,
    /// To look through the records up to the end of a range.
    Look {
        serial: u64,
        end: u64,
    },
    /// To read a record.
    Read {
        serial: u64,
        seq: u64,
        head_size: u64,
    },
}

/// The writer's part for one log on one link.
#[derive(Debug)]
pub(crate) struct Previews {
    /// The peer's hello says that it understands this.
    understood: bool,
    /// The size of the log at some moment, and that moment: what was there then and is not sent
    /// yet waits since then.
    mark: Option<(u64, u64)>,
    /// Everything below was looked at, or sent.
    looked: u64,
    /// Urgent records that were found and not shown, in order.
    found: VecDeque<u64>,
    asked: Asked,
    look_at: u64,
    show_at: u64,
}

impl Previews {
    pub(crate) fn new() -> Previews {
        Previews {
            understood: false,
            mark: None,
            looked: 0,
            found: VecDeque::new(),
            asked: Asked::Nothing,
            look_at: 0,
            show_at: 0,
        }
    }

    pub(crate) fn greet(&mut self, understood: bool) {
        self.understood = understood;
    }

    /// Whether the driver reads a record to be shown: no head may go out meanwhile, so that the
    /// other side can hold it against the one that it has.
    pub(crate) fn reading(&self) -> bool {
        matches!(self.asked, Asked::Read { .. })
    }

    /// Of `size` records `sent` have gone out.
    pub(crate) fn watch(&mut self, now: u64, sent: u64, size: u64) {
        if self.mark.is_none_or(|(size, _)| sent >= size) {
            self.mark = Some((size, now));
        }
        self.looked = self.looked.max(sent);
        while self.found.front().is_some_and(|seq| *seq < sent) {
            self.found.pop_front();
        }
    }

    /// When there is something to look through. [`Previews::watch`] was called before.
    fn look_due(&self, size: u64) -> Option<u64> {
        let (_, since) = self.mark?;
        let idle = matches!(self.asked, Asked::Nothing);
        let wanted = self.understood && idle && self.looked < size;
        wanted.then(|| since.saturating_add(PREVIEW_AFTER).max(self.look_at))
    }

    /// The records to look through now, as a range of sequences.
    pub(crate) fn look(&mut self, now: u64, size: u64, serial: u64) -> Option<(u64, u64)> {
        self.look_due(size).filter(|at| *at <= now)?;
        let end = size.min(self.looked.saturating_add(LOOK_RECORDS));
        self.asked = Asked::Look { serial, end };
        Some((self.looked, end))
    }

    /// These are the urgent ones, in order.
    pub(crate) fn found(&mut self, now: u64, serial: u64, urgent: &[u64]) {
        let Asked::Look { serial: expected, end } = self.asked else { return };
        if expected == serial {
            self.found.extend(urgent.iter().filter(|seq| (self.looked..end).contains(*seq)));
            while self.found.len() > PREVIEWS_WAITING {
                self.found.pop_front();
            }
            self.asked = Asked::Nothing;
            self.looked = self.looked.max(end);
            self.look_at = now.saturating_add(LOOK_EVERY);
        }
    }

    /// When the next one may be shown, if the head covers one.
    fn show_due(&self, head_size: u64) -> Option<u64> {
        let ready = self.understood && matches!(self.asked, Asked::Nothing);
        let next = self.found.front().filter(|seq| ready && **seq < head_size);
        next.map(|_| self.show_at)
    }

    /// The record to be shown now, against a head that the other side has accepted.
    pub(crate) fn show(&mut self, now: u64, head_size: u64, serial: u64) -> Option<u64> {
        self.show_due(head_size).filter(|at| *at <= now)?;
        let newest = self.found.partition_point(|seq| *seq < head_size).checked_sub(1)?;
        let seq = self.found.remove(newest)?;
        self.asked = Asked::Read { serial, seq, head_size };
        Some(seq)
    }

    /// The driver has read: the record, and the size of the head that it is proved against.
    pub(crate) fn read(&mut self, serial: u64) -> Option<(u64, u64)> {
        match self.asked {
            Asked::Read { serial: expected, seq, head_size } if expected == serial => {
                self.asked = Asked::Nothing;
                Some((seq, head_size))
            }
            _ => None,
        }
    }

    /// So many bytes went out on a link of so many bytes a second. The next ones wait until the
    /// backlog has had the larger share of it.
    pub(crate) fn shown(&mut self, now: u64, bytes: usize, rate: u64) {
        let bytes = (bytes as u64).saturating_mul(PREVIEW_SHARE);
        let wait = bytes.saturating_mul(1_000_000) / rate.max(1_000);
        self.show_at = now.saturating_add(wait);
    }

    /// Monotonic moment at which there is something to do; `head_size`: of the head that the other
    /// side has accepted.
    pub(crate) fn wakeup(&self, size: u64, head_size: Option<u64>) -> Option<u64> {
        let show = head_size.and_then(|size| self.show_due(size));
        self.look_due(size).into_iter().chain(show).min()
    }
}
