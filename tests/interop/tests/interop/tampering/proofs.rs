//! Receipts, slips, openings and consistency proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::sha256;

use super::Seen::{InText, InTrees};
use super::{Scene, Tampering};
use crate::bundle::Proof;

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "receipt for the index beside",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| {
            closed(scene, |proof| {
                let beside = if proof.value() == 0 { 1 } else { proof.value() - 1 };
                *proof.number() = format!("index {beside}");
            })
        },
    },
    Tampering {
        name: "receipt with an opening for the index beside",
        betrayed_by: "the opened record, which names its own index",
        seen: InTrees,
        done: |scene| {
            opened(scene, |proof| {
                let beside = if proof.value() == 0 { 1 } else { proof.value() - 1 };
                *proof.number() = format!("index {beside}");
            })
        },
    },
    Tampering {
        name: "receipt for an index beyond the size",
        betrayed_by: "the size of its head",
        seen: InText,
        done: |scene| closed(scene, |proof| *proof.number() = "index 900719925474099".to_owned()),
    },
    Tampering {
        name: "hash of an inclusion proof changed",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| opened(scene, |proof| proof.hashes[0] = STANDARD.encode(sha256(b"another"))),
    },
    Tampering {
        name: "hash of an inclusion proof removed",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| opened(scene, |proof| drop(proof.hashes.pop())),
    },
    Tampering {
        name: "hash added to an inclusion proof",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| opened(scene, |proof| proof.hashes.push(STANDARD.encode(sha256(b"another")))),
    },
    Tampering {
        name: "hashes of an inclusion proof reordered",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| opened(scene, |proof| proof.hashes.swap(0, 1)),
    },
    Tampering {
        name: "inclusion proof of another entry",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| {
            let other = scene.bundle.proof(&scene.slip()).hashes;
            opened(scene, |proof| proof.hashes = other)
        },
    },
    Tampering {
        name: "hash of a proof in another spelling of base64",
        betrayed_by: "base64 has one spelling",
        seen: InText,
        done: |scene| opened(scene, |proof| super::heads::spare_bit(&mut proof.hashes[0])),
    },
    Tampering {
        name: "inclusion proof of 64 lines",
        betrayed_by: "no proof has more than 63",
        seen: InTrees,
        done: |scene| {
            opened(scene, |proof| proof.hashes = vec![STANDARD.encode(sha256(b"long")); 64])
        },
    },
    Tampering {
        name: "head of another size put under a receipt",
        betrayed_by: "the inclusion proof",
        seen: InTrees,
        done: |scene| {
            let path = scene.opened();
            let old = scene.bundle.note(&path).size();
            let wanted = |note: &crate::bundle::Note| note.size() != old && scene.quorum(note);
            let other = scene.bundle.find("checkpoints/", |note, _| wanted(note));
            let other = scene.bundle.note(&other);
            scene.bundle.change_note(&path, |note| *note = other);
            vec![path]
        },
    },
    Tampering {
        name: "opening of another record",
        betrayed_by: "the opened record, which names its own index",
        seen: InText,
        done: |scene| {
            let other = scene.bundle.proof(&scene.slip());
            opened(scene, |proof| {
                assert_ne!(proof.head[1], other.head[1], "the slip is of the same record");
                proof.head[1] = other.head[1].clone();
            })
        },
    },
    Tampering {
        name: "blind of an opening changed",
        betrayed_by: "the leaf, which commits to it",
        seen: InText,
        done: |scene| opened(scene, |proof| proof.change_opening("blind", |bytes| bytes[31] ^= 1)),
    },
    Tampering {
        name: "time in an opened header changed",
        betrayed_by: "the leaf, which commits to it",
        seen: InText,
        done: |scene| {
            opened(scene, |proof| proof.change_opening("header", |bytes| bytes[127] ^= 1))
        },
    },
    Tampering {
        name: "open body of an opened record cut",
        betrayed_by: "the leaf, which commits to it",
        seen: InText,
        done: |scene| {
            opened(scene, |proof| {
                proof.change_opening("header", |bytes| bytes.truncate(bytes.len() - 1));
            })
        },
    },
    Tampering {
        name: "commitment to the sealed part changed",
        betrayed_by: "the leaf, which holds it",
        seen: InText,
        done: |scene| opened(scene, |proof| proof.change_opening("payload", |bytes| bytes[0] ^= 1)),
    },
    Tampering {
        name: "lines of an opening in another order",
        betrayed_by: "an opening has one spelling",
        seen: InText,
        done: |scene| {
            opened(scene, |proof| {
                let mut lines = proof.opening().unwrap();
                lines.swap(1, 3);
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                proof.head[1] = format!("extra {}", STANDARD.encode(text));
            })
        },
    },
    Tampering {
        name: "index with a leading zero",
        betrayed_by: "numbers have one spelling",
        seen: InText,
        done: |scene| opened(scene, |proof| proof.number().insert(6, '0')),
    },
    Tampering {
        name: "receipt of another version",
        betrayed_by: "the first line",
        seen: InText,
        done: |scene| opened(scene, |proof| proof.head[0] = "c2sp.org/tlog-proof@v2".to_owned()),
    },
    Tampering {
        name: "receipt with CRLF line ends",
        betrayed_by: "only newline ends a line",
        seen: InText,
        done: |scene| {
            let path = scene.opened();
            scene.bundle.change(&path, |text| text.replace('\n', "\r\n"));
            vec![path]
        },
    },
    Tampering {
        name: "receipt cut in the middle",
        betrayed_by: "no signed head is left",
        seen: InTrees,
        done: |scene| {
            let path = scene.opened();
            let cut = scene.bundle.text(&path).find("\n\n").unwrap();
            scene.bundle.change(&path, |text| text[..cut].to_owned());
            vec![path]
        },
    },
    Tampering {
        name: "consistency proof of other sizes",
        betrayed_by: "the consistency proof",
        seen: InTrees,
        done: |scene| {
            let path = scene.request();
            let different = scene.bundle.proof(&path).hashes;
            let other = scene.bundle.find("consistency/", |_, text| {
                let hashes = text.split_once('\n').unwrap().1;
                !hashes.starts_with('\n') && !hashes.starts_with(&different[0])
            });
            let other = scene.bundle.proof(&other).hashes;
            request(scene, |proof| proof.hashes = other)
        },
    },
    Tampering {
        name: "hash of a consistency proof removed",
        betrayed_by: "the consistency proof",
        seen: InTrees,
        done: |scene| request(scene, |proof| drop(proof.hashes.remove(0))),
    },
    Tampering {
        name: "hash added to a consistency proof",
        betrayed_by: "the consistency proof",
        seen: InTrees,
        done: |scene| {
            request(scene, |proof| proof.hashes.push(STANDARD.encode(sha256(b"another"))))
        },
    },
    Tampering {
        name: "consistency proof emptied",
        betrayed_by: "the consistency proof",
        seen: InTrees,
        done: |scene| request(scene, |proof| proof.hashes.clear()),
    },
    Tampering {
        name: "consistency proof said to be from size 0",
        betrayed_by: "from size 0 no hash is needed",
        seen: InTrees,
        done: |scene| request(scene, |proof| *proof.number() = "old 0".to_owned()),
    },
    Tampering {
        name: "consistency proof said to be from a size beside",
        betrayed_by: "no signed head of that size is there",
        seen: InTrees,
        done: |scene| {
            request(scene, |proof| *proof.number() = format!("old {}", proof.value() + 1))
        },
    },
    Tampering {
        name: "consistency proof from a larger size",
        betrayed_by: "a log does not shrink",
        seen: InTrees,
        done: |scene| {
            let larger = scene.copied();
            let path = scene.bundle.find("consistency/", |note, _| note.size() < larger);
            scene.bundle.change_proof(&path, |proof| *proof.number() = format!("old {larger}"));
            vec![path]
        },
    },
    Tampering {
        name: "old size with a plus sign",
        betrayed_by: "numbers have one spelling",
        seen: InText,
        done: |scene| request(scene, |proof| proof.number().insert(4, '+')),
    },
];

/// Changes a receipt with an opening, of at least two hashes.
fn opened(scene: &mut Scene, change: impl FnOnce(&mut Proof)) -> Vec<String> {
    let path = scene.opened();
    scene.bundle.change_proof(&path, change);
    vec![path]
}

/// Changes a receipt without an opening.
fn closed(scene: &mut Scene, change: impl FnOnce(&mut Proof)) -> Vec<String> {
    let path = scene.closed();
    scene.bundle.change_proof(&path, change);
    vec![path]
}

/// Changes a consistency proof.
fn request(scene: &mut Scene, change: impl FnOnce(&mut Proof)) -> Vec<String> {
    let path = scene.request();
    scene.bundle.change_proof(&path, change);
    vec![path]
}
