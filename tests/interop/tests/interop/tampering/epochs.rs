//! The end of an epoch left out, in front of a next one that is whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::{Hash, sha256};
use evidence::merkle::leaf_hash;

use super::Seen::InText;
use super::{Scene, Tampering};
use crate::forge::{proof_text, successor};
use crate::keys::TIME;

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "end of an epoch left out in front of the next one",
        betrayed_by: "the first record of the next epoch, which says where it ended",
        seen: InText,
        done: |scene| {
            let size = scene.newest() + 10;
            next(scene, size, &sha256(b"the end that is left out"), true);
            refused(scene)
        },
    },
    Tampering {
        name: "next epoch goes on from another history of the one before",
        betrayed_by: "the first record of the next epoch, which has another root",
        seen: InText,
        done: |scene| {
            let size = scene.copied();
            next(scene, size, &sha256(b"another history"), true);
            refused(scene)
        },
    },
    Tampering {
        name: "next epoch without its first record",
        betrayed_by: "nothing says where the epoch before it ended",
        seen: InText,
        done: |scene| {
            let (size, root) = scene.end();
            next(scene, size, &root, false);
            refused(scene)
        },
    },
];

/// Adds a second epoch of one record, which says where the first one ended; everybody cosigned it.
pub fn next(scene: &mut Scene, size: u64, root: &Hash, opened: bool) {
    let mut note = scene.bundle.note("log/checkpoint");
    let log = note.body[0].split_once("/log/").unwrap().1.to_owned();
    let (entry, opening) = successor(&log, size, root);
    note.body[0] = scene.keys.next.name.clone();
    note.body[1] = "1".to_owned();
    note.set_root(&leaf_hash(&entry));
    let cosigners = scene.keys.cosigners();
    let lines = cosigners.iter().map(|key| key.cosignature(&note, TIME)).collect::<Vec<_>>();
    note.lines = [scene.keys.next.signature(&note)].into_iter().chain(lines).collect();
    scene.bundle.put("checkpoints/next-epoch", note.text());
    if opened {
        let extra = format!("extra {}", STANDARD.encode(opening));
        let before = ["c2sp.org/tlog-proof@v1".to_owned(), extra, "index 0".to_owned()];
        scene.bundle.put("receipts/next-epoch.tlog-proof", proof_text(&before, &[], &note));
    }
}

/// The second epoch as a whole.
fn refused(scene: &Scene) -> Vec<String> {
    let mut place = scene.keys.next.name.clone();
    place.insert_str(0, "checkpoints/ of ");
    vec![place]
}
