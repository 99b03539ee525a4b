//! The journal against a model: random histories, crashes and damage.
//!
//! [`reference`] is the journal as plain vectors and maps, [`history`] does the same to both,
//! [`compare`] reads everything back. The number of cases follows `PROPTEST_CASES`.

mod compare;
mod crash;
mod damage;
mod history;
mod reference;

use proptest::prelude::*;

use super::*;
use crate::disk::memory::Chance;
use compare::{Look, View};
use history::{Pair, history};
use reference::Reference;

/// This many cases where `PROPTEST_CASES` is not set, and in proportion where it is.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    // 256 is what proptest does without the variable.
    let all = ProptestConfig::default();
    ProptestConfig { cases: (all.cases * usual).div_ceil(256), max_shrink_iters: 400, ..all }
}

proptest! {
    #![proptest_config(cases(48))]
    #[test]
    fn a_journal_answers_as_its_model(acts in history(4..24), seed: u64) {
        let (disk, mut store) = (MemoryDisk::new(), MemoryStore::new());
        let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
        let (mut pair, mut chance) = (Pair::new(journal), Chance(seed));
        prop_assert!(pair.prepare().is_ok());
        let mut snapshots = Vec::new();
        for (step, act) in acts.iter().enumerate() {
            prop_assert!(pair.act(act, step).is_ok());
            if chance.below(4) == 0 {
                snapshots.push((pair.journal.snapshot(), pair.model.clone()));
            }
            if chance.below(8) == 0 {
                look_back(&mut snapshots, &pair.model, seed);
                store = store.reboot(chance.below(1 + store.unflushed() as u64) as usize);
                pair = pair.reopened(&disk, &store);
                Look::live(&pair.journal, &pair.model, seed);
            }
        }
        look_back(&mut snapshots, &pair.model, seed);
        Look::live(&pair.journal, &pair.model, seed);
        assert_clean(&pair.journal);
    }
}

/// Whatever came later, a snapshot shows what was there when it was taken.
fn look_back(snapshots: &mut Vec<(crate::Snapshot, Reference)>, now: &Reference, seed: u64) {
    for (snapshot, model) in snapshots.drain(..) {
        let mut infos = model.infos();
        infos.sort_by(|a, b| (&a.log, a.epoch).cmp(&(&b.log, b.epoch)));
        assert_eq!(snapshot.logs(), infos);
        Look::new(View::Then(&snapshot), &model, seed, false).everything();
        for record in now.logs.iter().flat_map(|log| log.epochs.values().flatten()) {
            let id = &record.header().event_id;
            assert_eq!(snapshot.find_event(id).unwrap(), model.event(id));
        }
    }
}
