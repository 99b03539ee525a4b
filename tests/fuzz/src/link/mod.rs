//! Targets for the conversation of two offices: real sessions, honest drivers, and between them
//! somebody who bends, drops, repeats, reorders and invents messages as the input says.
//!
//! Each side thus faces a peer that keeps to nothing and has its own real keys; even the writer's
//! key has signed two histories. Whatever comes: no panic; what is stored of a log is the beginning
//! of one history that its key signed, under a head of it; nothing is said to be held or co-signed
//! before it is stored; after the end of a session nothing more is asked; what waits is bounded.
//!
//! * [`material`]: real records, heads, proofs and lines; [`script`]: the input as values
//! * [`bend`], [`cheat`]: messages changed once, and all along; [`office`], [`keys`], [`files`],
//!   [`previews`]: disk and driver; [`audit`]: what must be true
//! * [`conversation`]: two offices, what is on the way between them, and the steps

pub mod audit;
pub mod bend;
pub mod cheat;
pub mod conversation;
pub mod files;
pub mod keys;
pub mod material;
pub mod office;
pub mod previews;
pub mod script;

use replication::{Cosigned, Message, RefusalCode, Refused};

use crate::Target;
use crate::mutate::Random;
use conversation::{CHEAT, Conversation, GROW, PASS, Scene};
use material::MATERIAL;

/// Mutations of a conversation in `make test`.
const FEW: u64 = 150;

/// All conversations.
pub const TARGETS: &[Target] = &[
    Target { name: "link", run: link, seeds: scripts, bounded: FEW },
    Target { name: "link_returns", run: returns, seeds: scripts, bounded: FEW },
    Target { name: "link_witness", run: witness, seeds: scripts, bounded: FEW },
];

/// Two offices that mirror each other.
fn link(data: &[u8]) {
    Conversation::run(Scene::Mirrors, data);
}

/// An office that takes back what it lost.
fn returns(data: &[u8]) {
    Conversation::run(Scene::Returns, data);
}

/// A further witness.
fn witness(data: &[u8]) {
    Conversation::run(Scene::Witness, data);
}

/// A script in which nothing is bent.
#[must_use]
pub fn honest(variant: u8) -> Vec<u8> {
    let turns = [0, 1].repeat(40);
    let more = [GROW, 0, GROW, 1, PASS, 0];
    [&[variant], &turns[..], &more, &turns[..], &[PASS, 2], &turns[..]].concat()
}

/// A script in which nothing is bent, and much is waited for.
#[must_use]
pub fn slow(variant: u8) -> Vec<u8> {
    let turns = [0, 1].repeat(40);
    let wait = [PASS, 0].repeat(3);
    [&[variant], &turns[..8], &wait, &turns[..8], &[PASS, 2], &turns[..]].concat()
}

/// Honest scripts, and such with something else at random places.
fn scripts() -> Vec<Vec<u8>> {
    let mut scripts: Vec<Vec<u8>> = (0..16).map(|n| honest(n * 17)).collect();
    scripts.extend((0..16).map(|n| slow(n * 17)));
    let mut random = Random::new(12);
    for _ in 0..64 {
        let mut script = vec![random.number() as u8];
        if random.below(2) == 0 {
            script.extend([CHEAT, random.below(2) as u8, random.number() as u8]);
        }
        for _ in 0..random.below(80) + 20 {
            script.push(random.below(2) as u8);
            if random.below(5) == 0 {
                let length = random.below(12) + 1;
                script.extend((0..length).map(|_| (random.number() >> 24) as u8));
            }
        }
        scripts.push(script);
    }
    scripts
}

/// Real messages of every kind.
#[must_use]
pub fn samples() -> Vec<Message> {
    let mut samples = Vec::new();
    for scene in [Scene::Mirrors, Scene::Returns, Scene::Witness] {
        for variant in [0, 0x35] {
            samples.extend(Conversation::run(scene, &honest(variant)).said);
        }
    }
    samples.extend(Conversation::run(Scene::Mirrors, &slow(0x3f)).said);
    let log = MATERIAL.nth(0);
    let refused = |log, code| Refused {
        log,
        epoch: 1,
        code,
        text: "why, and what to do".to_owned(),
        note: Some(MATERIAL.notes[7].clone()),
    };
    let cosignature = MATERIAL.lines[0].clone();
    samples.extend([
        Message::Refused(refused(Some(log.name.clone()), RefusalCode::Fork)),
        Message::Refused(refused(None, RefusalCode::NotEnrolled)),
        Message::Cosigned(Cosigned { log: log.name.clone(), epoch: 1, size: 8, cosignature }),
        Message::Ping { nonce: 75 },
        Message::Pong { nonce: u64::MAX },
    ]);
    samples
}
