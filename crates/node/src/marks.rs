//! Times that this office took itself, by its own clock, kept as control facts.
//!
//! An alarm about what somebody has not done measures from such a mark: the time in a record is
//! its writer's word, and a writer that is suspected may have put it into the future.
//!
//! | key | a mark is met when |
//! |---|---|
//! | `waiting/<log>/<epoch>` | a complete note covers `target` records |
//! | `unlisted/<log>/<epoch>` | a list of accepted heads names a head of `target` records or more |
//!
//! | `complete/<log>/<epoch>` | always: the largest size that was complete, [`crate::policy`] |
//!
//! The value is `target u64 | at i64`, big-endian. A mark that is met is replaced by one for what
//! is there then, so that growth alone never makes an old debt young.

use evidence::log::LogName;
use journal::Control;

use crate::office::Office;

/// What is waited for, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Size of the log that is to be reached.
    pub target: u64,
    /// Since when, microseconds since 1970.
    pub at: i64,
}

/// What marks are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Records without a complete note.
    Waiting,
    /// Co-signed heads that no list of the centre has named.
    Unlisted,
    /// The newest head of the centre's log that was complete.
    Complete,
}

impl Mark {
    /// The control fact that keeps it.
    pub fn control(self, about: About, log: &LogName, epoch: u32) -> Control {
        let value = [self.target.to_be_bytes(), self.at.to_be_bytes()].concat();
        Control { key: key(about, log, epoch), value }
    }
}

/// The mark that is kept.
pub fn of(office: &Office, about: About, log: &LogName, epoch: u32) -> Option<Mark> {
    let value = office.journal.control(&key(about, log, epoch))?;
    let (target, at) = value.split_first_chunk::<8>()?;
    let at = i64::from_be_bytes(at.try_into().ok()?);
    Some(Mark { target: u64::from_be_bytes(*target), at })
}

fn key(about: About, log: &LogName, epoch: u32) -> Vec<u8> {
    let name = match about {
        About::Waiting => "waiting",
        About::Unlisted => "unlisted",
        About::Complete => "complete",
    };
    format!("{name}/{log}/{epoch}").into_bytes()
}
