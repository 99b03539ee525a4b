//! Leaves and tiles.

use evidence::hash::sha256;

use super::Seen::{InText, InTrees};
use super::{Scene, Tampering};

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "leaf edited",
        betrayed_by: "the tiles and receipts, which show another entry",
        seen: InTrees,
        done: |scene| {
            let (path, _) = two_leaves(scene);
            scene.bundle.change(&path, |text| swapped_lines(&text));
            vec![path]
        },
    },
    Tampering {
        name: "two leaves exchanged",
        betrayed_by: "an entry names its own index",
        seen: InTrees,
        done: |scene| {
            let (one, other) = two_leaves(scene);
            let (first, second) = (scene.bundle.take(&one), scene.bundle.take(&other));
            scene.bundle.put(&one, second);
            scene.bundle.put(&other, first);
            vec![one, other]
        },
    },
    Tampering {
        name: "leaf under another index",
        betrayed_by: "an entry names its own index",
        seen: InTrees,
        done: |scene| {
            let (one, _) = two_leaves(scene);
            let bytes = scene.bundle.0[&one].clone();
            scene.bundle.put("leaves/2", bytes);
            vec!["leaves/2".to_owned()]
        },
    },
    Tampering {
        name: "byte behind a leaf",
        betrayed_by: "an entry has four lines",
        seen: InTrees,
        done: |scene| {
            let (path, _) = two_leaves(scene);
            scene.bundle.change(&path, |text| text + "\n");
            vec![path]
        },
    },
    Tampering {
        name: "leaf of an index with a leading zero",
        betrayed_by: "the name of the file",
        seen: InText,
        done: |scene| {
            let (path, _) = two_leaves(scene);
            let bytes = scene.bundle.take(&path);
            let other = path.replace("leaves/", "leaves/0");
            scene.bundle.put(&other, bytes);
            // A receipt without an opening may have needed it.
            vec![other]
        },
    },
    Tampering {
        name: "entry edited",
        betrayed_by: "its leaf hash in the tile",
        seen: InTrees,
        done: |scene| {
            entries(scene, |entries| {
                let text = swapped_lines(str::from_utf8(&entries[1]).unwrap());
                entries[1] = text.into_bytes();
            })
        },
    },
    Tampering {
        name: "entry removed",
        betrayed_by: "the entries behind it, which name another index",
        seen: InTrees,
        done: |scene| entries(scene, |entries| drop(entries.remove(1))),
    },
    Tampering {
        name: "two entries exchanged",
        betrayed_by: "the entries, which name another index",
        seen: InTrees,
        done: |scene| entries(scene, |entries| entries.swap(0, 1)),
    },
    Tampering {
        name: "entry inserted",
        betrayed_by: "the entries behind it, which name another index",
        seen: InTrees,
        done: |scene| entries(scene, |entries| entries.insert(1, entries[1].clone())),
    },
    Tampering {
        name: "last entry of a file cut off",
        betrayed_by: "the width in the name of the file",
        seen: InTrees,
        done: |scene| entries(scene, |entries| drop(entries.pop())),
    },
    Tampering {
        name: "bytes behind the last entry",
        betrayed_by: "a file of entries ends with the last",
        seen: InTrees,
        done: |scene| {
            let path = first(scene, "log/tile/entries/");
            scene.bundle.0.get_mut(&path).unwrap().push(0);
            vec![path]
        },
    },
    Tampering {
        name: "entries cut in the middle",
        betrayed_by: "the length before the last entry",
        seen: InTrees,
        done: |scene| {
            let path = first(scene, "log/tile/entries/");
            let bytes = scene.bundle.0.get_mut(&path).unwrap();
            bytes.truncate(bytes.len() / 2 + 1);
            vec![path]
        },
    },
    Tampering {
        name: "entries removed from the bundle",
        betrayed_by: "a copy of the log has all of them",
        seen: InTrees,
        done: |scene| {
            let path = first(scene, "log/tile/entries/");
            scene.bundle.take(&path);
            vec!["log/tile".to_owned()]
        },
    },
    Tampering {
        name: "hash in a tile changed",
        betrayed_by: "the signed root",
        seen: InText,
        done: |scene| tile(scene, |bytes| bytes[32..64].copy_from_slice(&sha256(b"another"))),
    },
    Tampering {
        name: "hashes of a tile exchanged",
        betrayed_by: "the signed root",
        seen: InText,
        done: |scene| tile(scene, |bytes| bytes[..64].rotate_left(32)),
    },
    Tampering {
        name: "tile one hash too short",
        betrayed_by: "the width in its name",
        seen: InText,
        done: |scene| tile(scene, |bytes| bytes.truncate(bytes.len() - 32)),
    },
    Tampering {
        name: "tile one hash too long",
        betrayed_by: "the width in its name",
        seen: InText,
        done: |scene| tile(scene, |bytes| bytes.extend_from_slice(&sha256(b"another"))),
    },
    Tampering {
        name: "byte behind a tile",
        betrayed_by: "a tile is made of whole hashes",
        seen: InText,
        done: |scene| tile(scene, |bytes| bytes.push(0)),
    },
    Tampering {
        name: "partial tile under another width",
        betrayed_by: "the size of the signed tree",
        seen: InText,
        done: |scene| {
            let partial = scene.bundle.paths("log/tile/0/").pop().unwrap();
            let (stem, width) = partial.rsplit_once(".p/").unwrap();
            let other = format!("{stem}.p/{}", width.parse::<u8>().unwrap() + 1);
            let bytes = scene.bundle.take(&partial);
            scene.bundle.put(&other, bytes);
            vec![partial, other]
        },
    },
    Tampering {
        name: "tile removed",
        betrayed_by: "a copy of the log has all of them",
        seen: InText,
        done: |scene| {
            let path = first(scene, "log/tile/0/");
            scene.bundle.take(&path);
            vec![path]
        },
    },
    Tampering {
        name: "tile of a larger tree added",
        betrayed_by: "the size of the signed tree",
        seen: InText,
        done: |scene| {
            scene.bundle.put("log/tile/0/009.p/1", sha256(b"another"));
            vec!["log/tile/0/009.p/1".to_owned()]
        },
    },
    Tampering {
        name: "head of log/ removed",
        betrayed_by: "tiles prove nothing without a signed head",
        seen: InText,
        done: |scene| {
            scene.bundle.take("log/checkpoint");
            vec!["log/".to_owned()]
        },
    },
    Tampering {
        name: "head of log/ exchanged for an older one",
        betrayed_by: "the tiles, which are of another size",
        seen: InText,
        done: |scene| {
            let older = scene.bundle.text(&scene.head());
            scene.bundle.change("log/checkpoint", |_| older);
            vec!["log/".to_owned()]
        },
    },
];

/// Two files of `leaves/`.
fn two_leaves(scene: &Scene) -> (String, String) {
    let paths = scene.bundle.paths("leaves/");
    (paths[0].clone(), paths[1].clone())
}

/// The commitments of an entry, exchanged: still an entry of this index.
fn swapped_lines(entry: &str) -> String {
    let lines: Vec<&str> = entry.lines().collect();
    let (header, payload) = (&lines[2]["header ".len()..], &lines[3]["payload ".len()..]);
    format!("{}\n{}\nheader {payload}\npayload {header}\n", lines[0], lines[1])
}

fn first(scene: &Scene, folder: &str) -> String {
    scene.bundle.paths(folder)[0].clone()
}

/// Changes the first file of entries; a judge may find its tile, or the copy as a whole, at fault.
fn entries(scene: &mut Scene, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<String> {
    let path = first(scene, "log/tile/entries/");
    let before = scene.bundle.0[&path].clone();
    scene.change_entries(&path, change);
    assert_ne!(before, scene.bundle.0[&path], "nothing was tampered with in {path}");
    vec!["log/tile".to_owned()]
}

/// Changes the first tile of leaf hashes.
fn tile(scene: &mut Scene, change: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
    let path = first(scene, "log/tile/0/");
    change(scene.bundle.0.get_mut(&path).unwrap());
    vec![path]
}
