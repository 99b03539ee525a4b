//! History rewritten by those who hold the keys: what one honest file from before betrays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::sha256;

use super::Seen::{InText, InTrees};
use super::{Scene, Tampering};
use crate::bundle::Note;
use crate::forge::{Tree, proof_text};
use crate::keys::TIME;

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "complaint suppressed, all keys colluding",
        betrayed_by: "the slip in the citizen's hand",
        seen: InTrees,
        done: |scene| {
            let slip = scene.slip();
            let index = scene.bundle.proof(&slip).value() as usize;
            collude(scene, &slip, |entries| drop(entries.remove(index)))
        },
    },
    Tampering {
        name: "complaint replaced by a consultation, all keys colluding",
        betrayed_by: "the slip in the citizen's hand",
        seen: InTrees,
        done: |scene| {
            let slip = scene.slip();
            let index = scene.bundle.proof(&slip).value() as usize;
            collude(scene, &slip, |entries| entries[index] = other_entry(index))
        },
    },
    Tampering {
        name: "two complaints put into another order, all keys colluding",
        betrayed_by: "the slip in the citizen's hand",
        seen: InTrees,
        done: |scene| {
            let slip = scene.slip();
            let index = scene.bundle.proof(&slip).value() as usize;
            collude(scene, &slip, |entries| entries.swap(index - 1, index))
        },
    },
    Tampering {
        name: "entry with a receipt rewritten, all keys colluding",
        betrayed_by: "the receipt",
        seen: InTrees,
        done: |scene| {
            let receipt = scene.opened();
            let index = scene.bundle.proof(&receipt).value() as usize;
            collude(scene, &receipt, |entries| entries[index] = other_entry(index))
        },
    },
    Tampering {
        name: "tail cut off after it was signed, all keys colluding",
        betrayed_by: "the receipt of a head beyond the end",
        seen: InText,
        done: |scene| {
            let copied = scene.copied();
            let beyond = |note: &Note| note.size() == copied;
            let receipt = scene.bundle.find("receipts/", |note, _| beyond(note));
            collude(scene, &receipt, |entries| entries.truncate(entries.len() - 2))
        },
    },
    Tampering {
        name: "split view: another root for one size, all keys colluding",
        betrayed_by: "two signed heads of one size",
        seen: InTrees,
        done: |scene| {
            let path = scene.last_head();
            let mut note = scene.bundle.note(&path);
            note.set_root(&sha256(b"the view of somebody else"));
            scene.keys.sign_again(&mut note);
            scene.bundle.put("checkpoints/from-another-region", note.text());
            vec!["checkpoints/from-another-region".to_owned(), path]
        },
    },
    Tampering {
        name: "split view beyond the copy, by the log alone",
        betrayed_by: "no proof leads from the cosigned history to it",
        seen: InText,
        done: |scene| {
            let size = scene.copied() + 1000;
            let note = scene.keys.head(size, &sha256(b"later"), &[]);
            scene.bundle.put("checkpoints/later", note.text());
            vec!["checkpoints/later".to_owned()]
        },
    },
    Tampering {
        name: "fork: later head with a consistency proof of its own",
        betrayed_by: "the consistency proof",
        seen: InTrees,
        done: |scene| {
            let mut entries = scene.entries();
            let old = entries.len() as u64;
            entries[0] = other_entry(0);
            entries.extend((old..old + 5).map(|index| other_entry(index as usize)));
            let (tree, new) = (Tree::of(&entries), old + 5);
            let cosigners = scene.keys.cosigners();
            let note = scene.keys.head(new, &tree.root(new), &cosigners);
            let request = proof_text(&[format!("old {old}")], &tree.consistency(old, new), &note);
            scene.bundle.put("consistency/fork", request);
            vec!["consistency/fork".to_owned()]
        },
    },
    Tampering {
        name: "epoch used again from zero with the same key",
        betrayed_by: "two signed roots for one size",
        seen: InTrees,
        done: |scene| {
            let entries: Vec<Vec<u8>> = (0..3).map(other_entry).collect();
            let root = Tree::of(&entries).root(3);
            let note = scene.keys.head(3, &root, &scene.keys.cosigners());
            scene.bundle.put("checkpoints/again", note.text());
            vec!["checkpoints/again".to_owned()]
        },
    },
    Tampering {
        name: "epoch used again with a new key",
        betrayed_by: "the policy lists no such key for the origin",
        seen: InTrees,
        done: |scene| {
            let entries: Vec<Vec<u8>> = (0..3).map(other_entry).collect();
            let mut note = scene.keys.head(3, &Tree::of(&entries).root(3), &[]);
            note.lines = vec![scene.keys.stranger.named(&note.body[0]).signature(&note)];
            scene.bundle.put("checkpoints/again", note.text());
            vec!["checkpoints/again".to_owned()]
        },
    },
    Tampering {
        name: "head of the next epoch signed with the old epoch's key",
        betrayed_by: "the policy lists another key for that origin",
        seen: InText,
        done: |scene| {
            next_epoch(scene, |scene, note| {
                note.lines[0] = scene.keys.log.named(&note.body[0]).signature(note);
            })
        },
    },
    Tampering {
        name: "head of the next epoch signed in the old epoch's name",
        betrayed_by: "the origin is not the name of the key",
        seen: InText,
        done: |scene| {
            next_epoch(scene, |scene, note| {
                note.lines[0] = scene.keys.log.signature(note);
            })
        },
    },
    Tampering {
        name: "receipt of a record that was written for another epoch",
        betrayed_by: "the opened record, which names its epoch",
        seen: InText,
        done: |scene| {
            let mut note = scene.bundle.note(&scene.opened());
            note.body[0] = scene.keys.next.name.clone();
            let log = [scene.keys.next.signature(&note)];
            let cosigners = scene.keys.cosigners();
            let cosignatures = cosigners.iter().map(|key| key.cosignature(&note, TIME));
            note.lines = log.into_iter().chain(cosignatures).collect();
            let path = scene.opened();
            scene.bundle.put("checkpoints/next-epoch", note.text());
            scene.bundle.change_note(&path, |old| *old = note);
            vec![path]
        },
    },
    Tampering {
        name: "head of another log of the same policy's witnesses",
        betrayed_by: "the policy lists no such log",
        seen: InText,
        done: |scene| {
            let path = scene.head();
            let mut note = scene.bundle.note(&path);
            note.body[0].push_str("-27");
            scene.keys.sign_again(&mut note);
            note.lines[0] = scene.keys.log.named(&note.body[0]).signature(&note);
            scene.bundle.put("checkpoints/foreign", note.text());
            vec!["checkpoints/foreign".to_owned()]
        },
    },
    Tampering {
        name: "head removed from which a proof leads on",
        betrayed_by: "the consistency proof, which names its size",
        seen: InTrees,
        done: |scene| {
            let path = scene.request();
            let old = scene.bundle.proof(&path).value();
            for head in scene.bundle.paths("checkpoints/") {
                if scene.bundle.note(&head).size() == old {
                    scene.bundle.take(&head);
                }
            }
            vec![path]
        },
    },
    Tampering {
        name: "all cosignatures taken from the bundle",
        betrayed_by: "no head has the quorum",
        seen: InText,
        done: |scene| {
            let paths: Vec<String> = scene.bundle.0.keys().cloned().collect();
            for path in paths {
                let folder = path.split('/').next().unwrap();
                let signed = ["checkpoints", "consistency", "receipts"].contains(&folder);
                if signed || path == "log/checkpoint" {
                    let keys = scene.keys;
                    let mut note = scene.bundle.note(&path);
                    keys.sign(&mut note, &[]);
                    let text = scene.bundle.text(&path);
                    let before = &text[..text.len() - scene.bundle.note(&path).text().len()];
                    scene.bundle.put(&path, format!("{before}{}", note.text()));
                }
            }
            vec!["checkpoints/".to_owned(), "receipts/".to_owned()]
        },
    },
    Tampering {
        name: "file that no bundle has",
        betrayed_by: "its name",
        seen: InText,
        done: |scene| {
            scene.bundle.put("approved.txt", "All is well.\n");
            vec!["approved.txt".to_owned()]
        },
    },
];

/// Everybody signs a history with these changes; the file `witness` stays as it was. Other receipts
/// and slips are taken away, so that nothing else is left to betray it.
fn collude(
    scene: &mut Scene,
    witness: &str,
    change: impl FnOnce(&mut Vec<Vec<u8>>),
) -> Vec<String> {
    let mut entries = scene.entries();
    change(&mut entries);
    let proofs = |path: &str| path.starts_with("receipts/") || path.starts_with("slips/");
    scene
        .bundle
        .0
        .retain(|path, _| path == witness || !(proofs(path) || path.starts_with("leaves/")));
    renumber(&mut entries);
    scene.rewrite(&entries, &scene.keys.cosigners());
    vec![witness.to_owned()]
}

/// Gives each entry the index at which it stands, as a writer who rewrites his log would.
fn renumber(entries: &mut [Vec<u8>]) {
    for (index, entry) in entries.iter_mut().enumerate() {
        let text = str::from_utf8(entry).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[1] = format!("seq {index}");
        *entry = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
    }
}

/// An entry that was never written.
fn other_entry(index: usize) -> Vec<u8> {
    let hash = |of: &str| STANDARD.encode(sha256(of.as_bytes()));
    let (header, payload) = (hash("another header"), hash("another payload"));
    format!("adal/leaf/v1\nseq {index}\nheader {header}\npayload {payload}\n").into_bytes()
}

/// A head like the newest one, of the origin of the next epoch.
fn next_epoch(scene: &mut Scene, sign: impl FnOnce(&Scene, &mut Note)) -> Vec<String> {
    let mut note = scene.bundle.note(&scene.last_head());
    note.body[0].push_str(".e2");
    scene.keys.sign_again(&mut note);
    sign(scene, &mut note);
    scene.bundle.put("checkpoints/next-epoch", note.text());
    vec!["checkpoints/next-epoch".to_owned()]
}
