//! Signed heads: their text, their signatures, their spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::sha256;

use super::Seen::{InText, InTrees};
use super::{Scene, Tampering};
use crate::bundle::Note;
use crate::keys::TIME;

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "root of a head edited",
        betrayed_by: "the log's signature",
        seen: InTrees,
        done: |scene| edited(scene, |_, note| note.set_root(&sha256(b"another"))),
    },
    Tampering {
        name: "size of a head edited",
        betrayed_by: "the log's signature",
        seen: InTrees,
        done: |scene| edited(scene, |_, note| note.body[1] = (note.size() + 1).to_string()),
    },
    Tampering {
        name: "origin of a head edited",
        betrayed_by: "the policy lists no such log",
        seen: InText,
        done: |scene| edited(scene, |_, note| note.body[0].push('x')),
    },
    Tampering {
        name: "false root re-signed by the log alone",
        betrayed_by: "the cosignatures, which are of another text",
        seen: InTrees,
        done: |scene| {
            edited(scene, |scene, note| {
                note.set_root(&sha256(b"another"));
                note.lines[0] = scene.keys.log.signature(note);
            })
        },
    },
    Tampering {
        name: "false root re-signed by the log, cosignatures dropped",
        betrayed_by: "the tiles, which give another root for the size",
        seen: InTrees,
        done: |scene| {
            edited(scene, |scene, note| {
                note.set_root(&sha256(b"another"));
                scene.keys.sign(note, &[]);
            })
        },
    },
    Tampering {
        name: "false root re-signed by log, witness, mirror and peers together",
        betrayed_by: "the tiles, and every other head",
        seen: InTrees,
        done: |scene| {
            edited(scene, |scene, note| {
                note.set_root(&sha256(b"another"));
                scene.keys.sign_again(note);
            })
        },
    },
    Tampering {
        name: "head signed with the centre's witness key as the log",
        betrayed_by: "the policy lists no such key for the origin",
        seen: InText,
        done: |scene| edited(scene, |scene, note| impostor(scene, note, &scene.keys.witness)),
    },
    Tampering {
        name: "head signed with the centre's mirror key as the log",
        betrayed_by: "the policy lists no such key for the origin",
        seen: InText,
        done: |scene| edited(scene, |scene, note| impostor(scene, note, &scene.keys.mirror)),
    },
    Tampering {
        name: "head signed with a stranger's key as the log",
        betrayed_by: "the policy lists no such key for the origin",
        seen: InText,
        done: |scene| edited(scene, |scene, note| impostor(scene, note, &scene.keys.stranger)),
    },
    Tampering {
        name: "log's signature removed, cosignatures kept",
        betrayed_by: "the log has not signed",
        seen: InText,
        done: |scene| edited(scene, |_, note| drop(note.lines.remove(0))),
    },
    Tampering {
        name: "cosignature moved from another size",
        betrayed_by: "the cosignature, which is of another text",
        seen: InText,
        done: |scene| {
            let other = scene.bundle.note(&scene.last_head());
            edited(scene, |scene, note| {
                let name = &scene.keys.witness.name;
                *note.line_of(name) = other.clone().line_of(name).clone();
            })
        },
    },
    Tampering {
        name: "time of a cosignature changed",
        betrayed_by: "the cosignature, which covers its time",
        seen: InText,
        done: |scene| {
            edited(scene, |scene, note| {
                respelled(note.line_of(&scene.keys.mirror.name), |bytes| bytes[11] ^= 1);
            })
        },
    },
    Tampering {
        name: "cosignature with a time beyond 2^63 - 1",
        betrayed_by: "the limit of tlog-cosignature",
        seen: InText,
        done: |scene| {
            edited(scene, |scene, note| {
                let line = scene.keys.mirror.cosignature(note, TIME | 1 << 63);
                *note.line_of(&scene.keys.mirror.name) = line;
            })
        },
    },
    Tampering {
        name: "a second, false line of a key that signed",
        betrayed_by: "each line of a known key is checked",
        seen: InText,
        done: |scene| {
            edited(scene, |scene, note| {
                let mut line = note.line_of(&scene.keys.witness.name).clone();
                respelled(&mut line, |bytes| bytes[20] ^= 1);
                note.lines.push(line);
            })
        },
    },
    Tampering {
        name: "extension line, signed by all",
        betrayed_by: "a checkpoint has three lines here",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body.push("extension".to_owned())),
    },
    Tampering {
        name: "size with a leading zero, signed by all",
        betrayed_by: "numbers have one spelling",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body[1].insert(0, '0')),
    },
    Tampering {
        name: "size with a plus sign, signed by all",
        betrayed_by: "numbers have one spelling",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body[1].insert(0, '+')),
    },
    Tampering {
        name: "size above 2^53, signed by all",
        betrayed_by: "the limit on sizes",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body[1] = ((1u64 << 53) + 1).to_string()),
    },
    Tampering {
        name: "size above 2^64, signed by all",
        betrayed_by: "the limit on sizes",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body[1] = "18446744073709551623".to_owned()),
    },
    Tampering {
        name: "root in another spelling of base64, signed by all",
        betrayed_by: "base64 has one spelling",
        seen: InText,
        done: |scene| resigned(scene, |note| spare_bit(&mut note.body[2])),
    },
    Tampering {
        name: "root without padding, signed by all",
        betrayed_by: "base64 has one spelling",
        seen: InText,
        done: |scene| resigned(scene, |note| note.body[2].truncate(43)),
    },
    Tampering {
        name: "root of 31 bytes, signed by all",
        betrayed_by: "a hash has 32 bytes",
        seen: InTrees,
        done: |scene| resigned(scene, |note| note.body[2] = STANDARD.encode([7; 31])),
    },
    Tampering {
        name: "size 0 with the root of a full tree, signed by all",
        betrayed_by: "the empty tree has one root",
        seen: InTrees,
        done: |scene| resigned(scene, |note| note.body[1] = "0".to_owned()),
    },
    Tampering {
        name: "signature in another spelling of base64",
        betrayed_by: "base64 has one spelling",
        seen: InText,
        done: |scene| edited(scene, |_, note| spare_bit(&mut note.lines[0])),
    },
    Tampering {
        name: "cosignature cut short",
        betrayed_by: "a cosignature has 72 bytes",
        seen: InText,
        done: |scene| {
            edited(scene, |scene, note| {
                respelled(note.line_of(&scene.keys.witness.name), |bytes| bytes.truncate(70));
            })
        },
    },
    Tampering {
        name: "head with CRLF line ends",
        betrayed_by: "a note has no control character but newline",
        seen: InText,
        done: |scene| rewritten(scene, |text| text.replace('\n', "\r\n")),
    },
    Tampering {
        name: "bytes behind a head",
        betrayed_by: "a note ends with a signature line",
        seen: InText,
        done: |scene| rewritten(scene, |text| text + "seen and approved\n"),
    },
    Tampering {
        name: "last newline of a head cut off",
        betrayed_by: "a note ends with a newline",
        seen: InText,
        done: |scene| rewritten(scene, |text| text.trim_end().to_owned()),
    },
    Tampering {
        name: "head cut in the middle",
        betrayed_by: "no signatures are left",
        seen: InText,
        done: |scene| rewritten(scene, |text| text[..text.len() / 6].to_owned()),
    },
];

/// Changes the note of a complete head.
fn edited(scene: &mut Scene, change: impl FnOnce(&Scene, &mut Note)) -> Vec<String> {
    let path = scene.head();
    let mut note = scene.bundle.note(&path);
    change(scene, &mut note);
    scene.bundle.change(&path, |_| note.text());
    vec![path]
}

/// Changes the body of a complete head, and has all its signers sign again.
fn resigned(scene: &mut Scene, change: impl FnOnce(&mut Note)) -> Vec<String> {
    edited(scene, |scene, note| {
        change(note);
        scene.keys.sign_again(note);
    })
}

/// Changes the text of a complete head.
fn rewritten(scene: &mut Scene, change: impl FnOnce(String) -> String) -> Vec<String> {
    let path = scene.head();
    scene.bundle.change(&path, change);
    vec![path]
}

/// Signs as the log with a key that is not the log's.
fn impostor(scene: &Scene, note: &mut Note, key: &crate::keys::Key) {
    note.lines[0] = key.named(&scene.keys.log.name).signature(note);
}

/// Changes the bytes of a signature line.
pub fn respelled(line: &mut String, change: impl FnOnce(&mut Vec<u8>)) {
    let (name, encoded) = line.rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(encoded).unwrap();
    change(&mut bytes);
    *line = format!("{name} {}", STANDARD.encode(bytes));
}

/// Sets a bit of base64 that no byte has: the last character in front of the padding.
pub fn spare_bit(text: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = text.find('=').unwrap() - 1;
    let value = ALPHABET.iter().position(|c| *c == text.as_bytes()[at]).unwrap();
    text.replace_range(at..=at, str::from_utf8(&[ALPHABET[value | 1]]).unwrap());
}
