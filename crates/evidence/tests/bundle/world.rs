//! A region's log with an honest bundle, in memory.

use std::collections::BTreeMap;

use evidence::bundle::{self, Files, Report, write};
use evidence::checkpoint::Checkpoint;
use evidence::note::SignedNote;
use evidence::policy::Policy;
use evidence::tiles::tiles_of;

use crate::common::parties::{Log, Parties};

/// A folder in memory.
#[derive(Clone, Default)]
pub struct Folder(pub BTreeMap<String, Vec<u8>>);

impl Files for Folder {
    type Error = String;

    fn names(&self) -> Result<Vec<String>, String> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, String> {
        let bytes = self.0.get(name).ok_or("no such file")?;
        if bytes.len() > limit { Err("too large".to_owned()) } else { Ok(bytes.clone()) }
    }
}

impl Folder {
    pub fn put(&mut self, piece: write::Piece) {
        let name = piece.name.clone();
        assert!(self.0.insert(piece.name, piece.bytes).is_none(), "{name} twice");
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.0[name].clone()).unwrap()
    }

    pub fn edit(&mut self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from} is not in {name}");
        self.0.insert(name.to_owned(), changed.into_bytes());
    }

    pub fn set(&mut self, name: &str, text: impl ToString) {
        self.0.insert(name.to_owned(), text.to_string().into_bytes());
    }

    pub fn without(&mut self, prefix: &str) {
        let before = self.0.len();
        self.0.retain(|name, _| !name.starts_with(prefix));
        assert_ne!(before, self.0.len(), "nothing is called {prefix}");
    }

    pub fn add_copy(&mut self, log: &Log, note: &SignedNote) {
        let size = Checkpoint::from_body(note.text()).unwrap().size;
        self.put(write::log_checkpoint(note));
        let entry = |i: u64| Ok(log.records[i as usize].leaf_data());
        for path in tiles_of(size) {
            self.put(write::log_tile(&log.memory, &path, entry).unwrap());
        }
    }
}

pub const SIZE: u64 = 300;

/// The parties, the log, the policy, and an honest bundle: heads at 5, 100, 256 and 300, of which
/// the last two meet the quorum.
pub struct World {
    pub parties: Parties,
    pub log: Log,
    pub policy: Policy,
    pub honest: Folder,
}

impl World {
    pub fn new() -> Self {
        let (parties, log) = (Parties::new(), Log::of(SIZE));
        let policy = parties.policy();
        let mut honest = Folder::default();
        honest.put(write::policy(&policy));
        let note = |size| log.signed(size, &parties.log);
        let slip_note: SignedNote = note(5).parse().unwrap();
        let bare: SignedNote = note(100).parse().unwrap();
        let (held, last) = (parties.cosigned(&note(256)), parties.cosigned(&note(SIZE)));
        for note in [&slip_note, &bare, &held, &last] {
            honest.put(write::checkpoint(note).unwrap());
        }
        for (old, note) in [(0, &slip_note), (5, &bare), (100, &held), (256, &last)] {
            honest.put(write::consistency(&log.memory, old, note).unwrap());
        }
        let prove = |i: usize, note| write::prove(&log.memory, &log.records[i], note).unwrap();
        honest.put(write::slip(&prove(4, &slip_note)));
        honest.put(write::receipt(&prove(255, &held)));
        honest.put(write::receipt(&prove(3, &last)));
        honest.put(write::leaf(&log.records[255].leaf()));
        honest.add_copy(&log, &last);
        Self { parties, log, policy, honest }
    }

    pub fn verify(&self, folder: &Folder) -> Report {
        bundle::verify(folder, &self.policy).unwrap()
    }

    /// Another history of the same log from entry 200 on, signed by the same key.
    pub fn other(&self) -> Log {
        Log::with(SIZE, &[b"rewritten".as_slice(); 100])
    }

    pub fn note(&self, log: &Log, size: u64) -> SignedNote {
        self.parties.cosigned(&log.signed(size, &self.parties.log))
    }
}
