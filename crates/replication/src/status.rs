//! What an operator may rely on: computed from signed heads, never from silence.

use evidence::log::LogName;

use crate::message::{RefusalCode, Role};
use crate::now::Now;

/// Snapshot of a session. Every time is the wall clock in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Office code of the peer.
    pub peer: String,
    /// The peer's software, once it has greeted.
    pub peer_software: Option<String>,
    /// The link as a whole.
    pub link: LinkState,
    /// When a message of the peer was last received.
    pub heard_at: Option<i64>,
    /// Last measured round trip of a ping, microseconds.
    pub round_trip: Option<u64>,
    /// The peer's clock, as its last cosignature showed it. Noted, never a reason to refuse.
    pub clock: Option<PeerClock>,
    /// One entry per log and epoch, own ones first, in the order of the configuration.
    pub logs: Vec<LogStatus>,
}

/// One reading of the peer's clock, taken from the time in a cosignature: it was made between the
/// moment at which the head went out and that at which the answer came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerClock {
    /// When it was read, wall clock here in microseconds since 1970.
    pub at: i64,
    /// How far the peer's clock is ahead of ours, microseconds; negative: behind.
    pub ahead: i64,
    /// The true difference lies within so many microseconds of `ahead`.
    pub within: u64,
}

impl PeerClock {
    /// A reading of `seconds` since 1970, asked for at `sent` and answered at `now`.
    pub(crate) fn read(seconds: u64, sent: u64, now: Now) -> PeerClock {
        let waited = now.mono.saturating_sub(sent);
        // Whole seconds are sent: the clock stood half a second later, on average.
        let stood = i64::try_from(seconds).unwrap_or(i64::MAX / 2_000_000);
        let stood = stood.saturating_mul(1_000_000).saturating_add(500_000);
        let middle = now.unix.saturating_sub(i64::try_from(waited / 2).unwrap_or(0));
        PeerClock {
            at: now.unix,
            ahead: stood.saturating_sub(middle),
            within: waited / 2 + 500_000,
        }
    }
}

/// State of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Hello and comparison are not done yet.
    Connecting,
    /// Every log is [`LogState::Live`].
    Live,
    /// The peer is heard, at least one log is behind or its head is old.
    CatchingUp,
    /// The peer is heard and at least one log does not go on; see the logs for the reason.
    Faulty,
    /// The peer owes an answer; nothing was heard since then.
    SilentSince(i64),
    /// The link was refused, by the peer or by us.
    Refused {
        /// Stable reason.
        code: RefusalCode,
        /// What happened and what to do.
        text: String,
    },
    /// The session has ended otherwise; the text says why.
    Closed {
        /// When.
        at: i64,
        /// Why.
        text: String,
    },
}

impl LinkState {
    /// One word for tables and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            LinkState::Connecting => "connecting",
            LinkState::Live => "live",
            LinkState::CatchingUp => "catching_up",
            LinkState::Faulty => "faulty",
            LinkState::SilentSince(_) => "silent",
            LinkState::Refused { .. } => "refused",
            LinkState::Closed { .. } => "closed",
        }
    }
}

/// State of one log on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStatus {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Our part in it.
    pub role: Role,
    /// Records durably held here.
    pub size: u64,
    /// Size of the newest signed head: as origin the newest one sent on this link, as follower
    /// the newest one durably accepted. `None`: no head yet.
    pub head_size: Option<u64>,
    /// When that head was last stated: as origin when the peer last accepted one, as follower
    /// when the origin's last head (heartbeats count) came in.
    pub head_at: Option<i64>,
    /// Records durably held by the mirror, as it said itself; 0 before it said anything.
    pub held: u64,
    /// Largest head co-signed by the peer as witness (origin) or by us (follower).
    pub witnessed: Option<u64>,
    /// Records that the mirror lacks: as origin counted from our durable size, as follower from
    /// the origin's signed head. `None`: unknown, because no head was seen.
    pub lag: Option<u64>,
    /// Whether it can be relied on.
    pub state: LogState,
}

impl LogStatus {
    /// A new epoch of the peer's log that was not taken up.
    pub(crate) fn refused(log: &LogName, epoch: u32, code: RefusalCode, text: &str) -> LogStatus {
        LogStatus {
            log: log.clone(),
            epoch,
            role: Role::Follower,
            size: 0,
            head_size: None,
            head_at: None,
            held: 0,
            witnessed: None,
            lag: None,
            state: LogState::Stopped { code, text: text.to_owned() },
        }
    }
}

/// Whether a log on a link can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogState {
    /// Nothing agreed on this link yet.
    Waiting,
    /// The origin's newest signed head is recent, accepted, and everything below it is held; or the
    /// epoch is closed and everything of it that the origin has is held.
    Live,
    /// Records or a recent head are missing.
    CatchingUp,
    /// Waits and is tried again by itself (disk full, index being built).
    Paused(RefusalCode),
    /// Stopped until a person has acted or the next link is made.
    Stopped {
        /// Stable reason.
        code: RefusalCode,
        /// What happened and what to do.
        text: String,
    },
}

impl LogState {
    /// One word for tables and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            LogState::Waiting => "waiting",
            LogState::Live => "live",
            LogState::CatchingUp => "catching_up",
            LogState::Paused(_) => "paused",
            LogState::Stopped { .. } => "stopped",
        }
    }

    /// Whether a person must look. An index is built by itself, and records are behind meanwhile.
    pub(crate) fn is_faulty(&self) -> bool {
        match self {
            LogState::Paused(code) => *code != RefusalCode::IndexBuilding,
            LogState::Stopped { .. } => true,
            LogState::Waiting | LogState::Live | LogState::CatchingUp => false,
        }
    }
}

impl Status {
    /// The status of a link that is down, made from the last one: nothing is live any more, the
    /// heads keep their age. `text` says why.
    #[must_use]
    pub fn closed(mut self, at: i64, text: String) -> Status {
        if !matches!(self.link, LinkState::Refused { .. }) {
            self.link = LinkState::Closed { at, text };
        }
        for log in &mut self.logs {
            if matches!(log.state, LogState::Live | LogState::CatchingUp) {
                log.state = LogState::Waiting;
            }
        }
        self
    }
}
