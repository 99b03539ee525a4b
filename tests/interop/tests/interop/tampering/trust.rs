//! Who must have signed: the quorum, and the policy in the bundle.

use super::Seen::InText;
use super::{Scene, Tampering};
use crate::bundle::Note;
use crate::keys::{Key, Kind, TIME};

/// The kinds.
pub const TABLE: &[Tampering] = &[
    Tampering {
        name: "receipt without the mirror's cosignature",
        betrayed_by: "the quorum of the policy",
        seen: InText,
        done: |scene| receipt(scene, |scene, note| note.drop_line(&scene.keys.mirror.name)),
    },
    Tampering {
        name: "receipt without the centre's witness",
        betrayed_by: "the quorum of the policy",
        seen: InText,
        done: |scene| receipt(scene, |scene, note| note.drop_line(&scene.keys.witness.name)),
    },
    Tampering {
        name: "slip shown as a receipt",
        betrayed_by: "the quorum of the policy",
        seen: InText,
        done: |scene| {
            let text = scene.bundle.text(&scene.slip());
            scene.bundle.put("receipts/slip.tlog-proof", text);
            vec!["receipts/slip.tlog-proof".to_owned()]
        },
    },
    Tampering {
        name: "mirror's cosignature by the witness's key under the mirror's key id",
        betrayed_by: "the signature, which is not by the mirror's key",
        seen: InText,
        done: |scene| {
            receipt(scene, |scene, note| {
                let forged = scene.keys.witness.cosignature(note, TIME);
                let forged = forged.rsplit_once(' ').unwrap().1.to_owned();
                let line = note.line_of(&scene.keys.mirror.name);
                super::heads::respelled(line, |bytes| {
                    use base64::Engine as _;
                    let other = base64::engine::general_purpose::STANDARD.decode(&forged).unwrap();
                    bytes.splice(4.., other[4..].iter().copied());
                });
            })
        },
    },
    Tampering {
        name: "every receipt and head signed by log and stranger only",
        betrayed_by: "the quorum of the policy",
        seen: InText,
        done: |scene| {
            receipt(scene, |scene, note| {
                scene.keys.sign(note, &[&scene.keys.stranger]);
            })
        },
    },
    Tampering {
        name: "policy in the bundle weakened to no quorum",
        betrayed_by: "the auditor's own policy",
        seen: InText,
        done: |scene| {
            policy(scene, |text| {
                let kept = text.lines().filter(|line| !line.starts_with("quorum "));
                kept.map(|line| format!("{line}\n")).collect::<String>() + "quorum none\n"
            })
        },
    },
    Tampering {
        name: "log key of a stranger added to the policy in the bundle",
        betrayed_by: "the auditor's own policy",
        seen: InText,
        done: |scene| {
            let key = scene.keys.stranger.named(&scene.keys.log.name).vkey(Kind::Log);
            policy(scene, |text| format!("log {key}\n{text}"))
        },
    },
    Tampering {
        name: "one witness under two names in the policy",
        betrayed_by: "tlog-policy allows no public key twice",
        seen: InText,
        done: |scene| {
            let (first, second) = (&scene.keys.witness, &scene.keys.mirror);
            let twin = first.named(&second.name).vkey(Kind::Cosigner);
            let vkey = second.vkey(Kind::Cosigner);
            policy(scene, |text| text.replace(&vkey, &twin))
        },
    },
    Tampering {
        name: "policy removed",
        betrayed_by: "a bundle has a policy",
        seen: InText,
        done: |scene| {
            scene.bundle.take("policy");
            vec!["policy".to_owned()]
        },
    },
];

/// The kinds that need peers in the policy.
pub const PEERS: &[Tampering] = &[
    Tampering {
        name: "head signed with a peer's key as the log",
        betrayed_by: "the policy lists no such key for the origin",
        seen: InText,
        done: |scene| {
            let path = scene.head();
            let mut note = scene.bundle.note(&path);
            let peer = scene.keys.peers[0].named(&scene.keys.log.name);
            note.lines[0] = peer.signature(&note);
            scene.bundle.change(&path, |_| note.text());
            vec![path]
        },
    },
    Tampering {
        name: "receipt without any peer",
        betrayed_by: "the quorum of the policy",
        seen: InText,
        done: |scene| receipt(scene, without_peers),
    },
    Tampering {
        name: "the witness once more under a peer's name",
        betrayed_by: "the policy lists no such key under that name",
        seen: InText,
        done: |scene| peers_line_by(scene, |keys| keys.witness.clone()),
    },
    Tampering {
        name: "a peer's cosignature by the log",
        betrayed_by: "the policy lists no such key under that name",
        seen: InText,
        done: |scene| peers_line_by(scene, |keys| keys.log.clone()),
    },
    Tampering {
        name: "a peer's cosignature by a stranger",
        betrayed_by: "the policy lists no such key under that name",
        seen: InText,
        done: |scene| peers_line_by(scene, |keys| keys.stranger.clone()),
    },
    Tampering {
        name: "a peer in the policy replaced by a stranger",
        betrayed_by: "the auditor's own policy",
        seen: InText,
        done: |scene| {
            let key = &scene.keys.peers[0];
            let other = scene.keys.stranger.vkey(Kind::Cosigner);
            let vkey = key.vkey(Kind::Cosigner);
            policy(scene, |text| text.replace(&vkey, &other))
        },
    },
];

/// Changes the note of a receipt.
fn receipt(scene: &mut Scene, change: impl FnOnce(&Scene, &mut Note)) -> Vec<String> {
    let path = scene.opened();
    let mut note = scene.bundle.note(&path);
    change(scene, &mut note);
    scene.bundle.change_note(&path, |old| *old = note);
    vec![path]
}

fn without_peers(scene: &Scene, note: &mut Note) {
    for peer in &scene.keys.peers {
        note.drop_line(&peer.name);
    }
}

/// Leaves one line under the name of the first peer, by the key of somebody else.
fn peers_line_by(scene: &mut Scene, key: fn(&crate::keys::Keys) -> Key) -> Vec<String> {
    receipt(scene, |scene, note| {
        without_peers(scene, note);
        let key = key(scene.keys).named(&scene.keys.peers[0].name);
        note.lines.push(key.cosignature(note, TIME));
    })
}

fn policy(scene: &mut Scene, change: impl FnOnce(String) -> String) -> Vec<String> {
    scene.bundle.change("policy", change);
    vec!["policy".to_owned()]
}
