//! The secret keys of those who could tamper, and signatures made by hand: `evidence` refuses to
//! sign most of what is signed here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use evidence::hash::{Hash, sha256, sha256_parts};

use crate::bundle::Note;

/// When the witnesses of a generated bundle cosigned, seconds since 1970.
pub const TIME: u64 = 1_796_000_000;

/// What a key signs, the signature types of C2SP signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text itself.
    Log = 0x01,
    /// A time and the text.
    Cosigner = 0x04,
}

/// An Ed25519 key under a name.
#[derive(Clone)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Its seed.
    pub seed: [u8; 32],
}

impl Key {
    /// A key with a seed derived from `secret`.
    pub fn derived(name: &str, secret: &str) -> Key {
        Key { name: name.to_owned(), seed: sha256(secret.as_bytes()) }
    }

    /// The same key under another name.
    pub fn named(&self, name: &str) -> Key {
        Key { name: name.to_owned(), seed: self.seed }
    }

    /// Type and public key.
    fn material(&self, kind: Kind) -> [u8; 33] {
        let mut bytes = [kind as u8; 33];
        bytes[1..].copy_from_slice(SigningKey::from_bytes(&self.seed).verifying_key().as_bytes());
        bytes
    }

    fn id(&self, kind: Kind) -> [u8; 4] {
        let digest = sha256_parts(&[self.name.as_bytes(), b"\n", &self.material(kind)]);
        digest[..4].try_into().unwrap()
    }

    /// Its public form.
    pub fn vkey(&self, kind: Kind) -> String {
        let id = u32::from_be_bytes(self.id(kind));
        format!("{}+{id:08x}+{}", self.name, STANDARD.encode(self.material(kind)))
    }

    /// The line by which a log signs.
    pub fn signature(&self, note: &Note) -> String {
        self.line(Kind::Log, &[], note.signed().as_bytes())
    }

    /// The line by which a cosigner signs.
    pub fn cosignature(&self, note: &Note, time: u64) -> String {
        let message = format!("cosignature/v1\ntime {time}\n{}", note.signed());
        self.line(Kind::Cosigner, &time.to_be_bytes(), message.as_bytes())
    }

    fn line(&self, kind: Kind, before: &[u8], message: &[u8]) -> String {
        let signature = SigningKey::from_bytes(&self.seed).sign(message).to_bytes();
        let bytes = [&self.id(kind)[..], before, &signature].concat();
        format!("\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// Who could tamper with a bundle.
pub struct Keys {
    /// The log.
    pub log: Key,
    /// The log in its next epoch.
    pub next: Key,
    /// The centre as witness.
    pub witness: Key,
    /// The centre as mirror.
    pub mirror: Key,
    /// Peer regions as witnesses, as many as the policy has.
    pub peers: Vec<Key>,
    /// Nobody that the policy knows.
    pub stranger: Key,
}

impl Keys {
    /// Everybody who cosigns.
    pub fn cosigners(&self) -> Vec<&Key> {
        [&self.witness, &self.mirror].into_iter().chain(&self.peers).collect()
    }

    /// A head signed by the log and these cosigners.
    pub fn head(&self, size: u64, root: &Hash, cosigners: &[&Key]) -> Note {
        let body = vec![self.log.name.clone(), size.to_string(), STANDARD.encode(root)];
        let mut note = Note { body, lines: Vec::new() };
        self.sign(&mut note, cosigners);
        note
    }

    /// Signs the body of a note: the log first, then these cosigners.
    pub fn sign(&self, note: &mut Note, cosigners: &[&Key]) {
        let cosignatures = cosigners.iter().map(|key| key.cosignature(note, TIME));
        note.lines = [self.log.signature(note)].into_iter().chain(cosignatures).collect();
    }

    /// Signs the body of a note anew with every key that has signed it.
    pub fn sign_again(&self, note: &mut Note) {
        let signed: Vec<&Key> =
            self.cosigners().into_iter().filter(|key| note.has(&key.name)).collect();
        self.sign(note, &signed);
    }
}
