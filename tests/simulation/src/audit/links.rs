//! Whether what an office shows of its links is true.

use std::collections::BTreeMap;
use std::time::Duration;

use evidence::checkpoint::Checkpoint;
use evidence::log::LogName;
use node::office::Office;
use replication::{LinkState, LogState, LogStatus, Message, Role};

use super::Auditor;
use crate::machine::Machine;

/// Longest silence of a peer that is shown as live: three heartbeats of a second, and a moment to
/// notice.
const LIVE_LIMIT: Duration = Duration::from_millis(5_000);
/// Longest time since a running session renewed what it shows.
const RENEWED_LIMIT: Duration = Duration::from_millis(1_500);
/// Time that an office may take to look at a frame that has come in.
const MOMENT: Duration = Duration::from_millis(500);

/// What came over the wires.
#[derive(Default)]
pub struct Heard {
    /// When a computer last heard of another one.
    frames: BTreeMap<(String, String), Duration>,
    /// The largest head of a log that a computer has received from another one, and when.
    heads: BTreeMap<(String, String, LogName, u32), (u64, Duration)>,
}

impl Heard {
    /// A disk was replaced: what it signed before binds nobody who looks at a link.
    pub fn forget_heads(&mut self) {
        self.heads.clear();
    }

    /// A frame has come in.
    pub fn frame(&mut self, now: Duration, name: &str, from: &str, message: Option<&Message>) {
        self.frames.insert((name.to_owned(), from.to_owned()), now);
        if let Some(Message::Head(head)) = message
            && let Ok(checkpoint) = Checkpoint::parse(&head.note)
        {
            let key = (name.to_owned(), from.to_owned(), head.log.clone(), head.epoch);
            let known = self.heads.get(&key).map_or(0, |(size, _)| *size);
            if checkpoint.size > known {
                self.heads.insert(key, (checkpoint.size, now));
            }
        }
    }
}

impl Auditor {
    /// Holds what an office shows of its links against what is known of them. `peers`: the
    /// computers that say they are this office.
    pub fn judge_links(
        &mut self,
        now: Duration,
        machine: &Machine,
        office: &Office,
        peers: &dyn Fn(&str) -> Vec<String>,
    ) {
        for (peer, info) in office.links.all() {
            let Some(status) = &info.status else { continue };
            if status.link != LinkState::Live {
                continue;
            }
            let (name, peers) = (&machine.name, peers(peer.as_str()));
            let key = |peer: &String| (name.clone(), peer.clone());
            let last = peers.iter().filter_map(|peer| self.heard.frames.get(&key(peer))).max();
            let silent = last.map(|last| now.saturating_sub(*last));
            self.must(silent.is_some_and(|silent| silent <= LIVE_LIMIT), "false-live", || {
                format!("{name} shows its link to {peer} as live, heard of it {silent:?} ago")
            });
            let renewed = info.unrenewed.is_some_and(|ago| ago <= RENEWED_LIMIT);
            self.must(renewed, "false-live", || {
                format!("{name} shows {peer} as live and renewed it {:?} ago", info.unrenewed)
            });
            for log in status.logs.iter().filter(|log| log.state == LogState::Live) {
                self.judge_log(now, name, &peers, log);
            }
        }
    }

    fn judge_log(&mut self, now: Duration, name: &str, peers: &[String], log: &LogStatus) {
        let LogStatus { log: of, epoch, role, held, size, .. } = log;
        match role {
            Role::Follower => {
                // Of two computers that say they are one office, the one that is heard now.
                let key = |peer: &String| (name.to_owned(), peer.clone());
                let from = peers.iter().max_by_key(|peer| self.heard.frames.get(&key(peer)));
                let from = from.cloned().unwrap_or_default();
                let key = (name.to_owned(), from, of.clone(), *epoch);
                let head = self.heard.heads.get(&key).copied();
                let Some((head, at)) = head else { return };
                let lacks = head > *size && now.saturating_sub(at) > MOMENT;
                self.must(!lacks, "false-live", || {
                    format!(
                        "{name} shows {of}:{epoch} as live with {size} records, was sent {head}"
                    )
                });
            }
            Role::Origin => {
                let key = |peer: &String| (peer.clone(), of.clone(), *epoch);
                let there = peers.iter().filter_map(|peer| self.most.get(&key(peer))).max();
                let there = there.copied().unwrap_or(0);
                self.must(there >= *held, "false-live", || {
                    format!("{name} shows that {held} of {of}:{epoch} are held, there are {there}")
                });
            }
        }
    }
}
