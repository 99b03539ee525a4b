//! Wraps of keys: what an office wants, gives and keeps, and how that is bent.

use std::collections::BTreeSet;

use evidence::log::LogName;
use replication::{Action, Failure, KeyWrap, Keys, KeysWanted, Now, Session};

use super::material::LENGTH;
use super::script::Script;

/// Keys of which an office may hold records.
const COUNT: u8 = 24;

/// What an office keeps of keys.
#[derive(Clone, Default)]
pub struct Kept {
    ids: BTreeSet<[u8; 16]>,
    /// Records of which it has said to the session that their keys are kept.
    keyed: Option<u64>,
}

fn all() -> impl Iterator<Item = [u8; 16]> {
    (0..COUNT).map(|n| [n; 16])
}

impl Kept {
    /// Says to the session what lacks.
    pub fn look(&mut self, now: Now, session: &mut Session) {
        let lacking: Vec<_> = all().filter(|id| !self.ids.contains(id)).collect();
        let keyed = Some(if lacking.is_empty() { LENGTH } else { 0 });
        if session.want_keys(now, lacking.into_iter(), |_: &LogName, _| keyed) {
            self.keyed = keyed;
        }
    }

    /// A new link begins, and knows nothing of what is kept.
    pub fn begin_link(&mut self) {
        self.keyed = None;
    }

    /// The mirror's line for so many records may be given.
    pub fn covers(&self, size: u64) -> bool {
        self.keyed.is_none_or(|keyed| size <= keyed)
    }

    /// Executes a request about keys; gives it back if it is none.
    pub fn execute(
        &mut self,
        now: Now,
        action: Action,
        failure: Option<Failure>,
        session: &mut Session,
    ) -> Option<Action> {
        match action {
            Action::ReadKeys(ask) => {
                let here: BTreeSet<_> = ask.ids.into_iter().filter(|id| id[0] < COUNT).collect();
                let wraps = here.into_iter().map(|id| KeyWrap { id, bytes: vec![id[0]; 147] });
                session.keys_read(now, ask.ticket, wraps.collect());
            }
            Action::KeepKeys(ask) => {
                let wanted = |wrap: &KeyWrap| wrap.id == [wrap.id[0]; 16] && wrap.id[0] < COUNT;
                assert!(ask.wraps.iter().all(wanted), "a key came that was not asked for");
                if failure.is_none() {
                    self.ids.extend(ask.wraps.into_iter().map(|wrap| wrap.id));
                }
                session.keys_kept(now, ask.ticket, failure.map_or(Ok(()), Err));
            }
            other => return Some(other),
        }
        None
    }
}

/// Changes a question.
pub fn bend_wanted(m: &mut KeysWanted, script: &mut Script<'_>) {
    match script.below(4) {
        0 => m.ids.clear(),
        1 => m.ids.extend(vec![[script.byte(); 16]; script.below(300)]),
        2 => m.ids.truncate(script.below(3)),
        _ => m.ids.push([script.byte(); 16]),
    }
}

/// Changes an answer.
pub fn bend_keys(m: &mut Keys, script: &mut Script<'_>) {
    match script.below(5) {
        0 => m.wraps.clear(),
        1 => m.wraps.extend(m.wraps.first().cloned()),
        2 => m.wraps.truncate(script.below(3)),
        3 => m.wraps.push(KeyWrap { id: [script.byte(); 16], bytes: vec![1; script.below(2_000)] }),
        _ => {
            if let Some(wrap) = m.wraps.first_mut() {
                wrap.id = [script.byte(); 16];
            }
        }
    }
}
