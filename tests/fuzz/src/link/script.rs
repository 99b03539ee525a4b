//! The input as a script: what is done next, and with which values.

use evidence::Hash;
use evidence::log::LogName;

use super::material::{LENGTH, LOGS, MATERIAL};

/// Bytes of the input that are not used yet. At its end everything reads as 0.
#[derive(Clone, Copy)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Starts from the whole input.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Script<'a> {
        Script(data)
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// A number of any size.
    pub fn number(&mut self) -> u64 {
        let bytes: [u8; 8] = std::array::from_fn(|_| self.byte());
        u64::from_be_bytes(bytes)
    }

    /// A size or sequence: one that may be, one beside the `current`, or one at an edge.
    pub fn size(&mut self, current: u64) -> u64 {
        match self.byte() {
            small @ 0..=127 => u64::from(small) % (LENGTH + 3),
            128..=159 => current.wrapping_add(1),
            160..=191 => current.wrapping_sub(1),
            192..=207 => u64::MAX,
            208..=223 => u64::MAX - 1,
            224..=239 => 1 << 53,
            _ => self.number(),
        }
    }

    /// An epoch.
    pub fn epoch(&mut self) -> u32 {
        [0, 1, 2, 3, 63, 64, 65, u32::MAX][self.below(8)]
    }

    /// A log's name, also of a log that nobody has.
    pub fn log(&mut self) -> LogName {
        let names = [LOGS[0], LOGS[1], "kz-71", "kz/kz-75"];
        LogName::new(names[self.below(names.len())]).unwrap()
    }

    /// A root of any history, or a changed one.
    pub fn hash(&mut self, current: &Hash) -> Hash {
        if self.byte() < 128 {
            let history = &MATERIAL.nth(self.below(2)).histories[self.below(2)];
            return history.root(self.below(LENGTH as usize + 1) as u64);
        }
        let mut hash = *current;
        hash[self.below(32)] ^= 1 << self.below(8);
        hash
    }

    /// A note: one of the material, or the `current` one changed.
    pub fn note(&mut self, current: &str) -> String {
        match self.byte() % 8 {
            0..=4 => MATERIAL.notes[self.below(MATERIAL.notes.len())].clone(),
            5 => format!("{current}{}", self.line("")),
            6 => String::new(),
            _ => self.text(current),
        }
    }

    /// A cosignature line.
    pub fn line(&mut self, current: &str) -> String {
        match self.byte() % 4 {
            0 | 1 => MATERIAL.lines[self.below(MATERIAL.lines.len())].clone(),
            2 => format!("{current}{current}"),
            _ => self.text(current),
        }
    }

    /// The text with one character changed, or cut.
    pub fn text(&mut self, current: &str) -> String {
        let mut characters: Vec<char> = current.chars().collect();
        let at = usize::from(self.byte()) << 2 | self.below(4);
        match characters.get_mut(at) {
            Some(character) => *character = char::from(self.byte()),
            None => characters.truncate(self.below(characters.len() + 1)),
        }
        characters.into_iter().collect()
    }

    /// A proof: one between other sizes, or the `current` one changed.
    pub fn proof(&mut self, current: &[Hash]) -> Vec<Hash> {
        let mut proof = current.to_vec();
        match self.byte() % 8 {
            0..=2 => {
                let history = &MATERIAL.nth(self.below(2)).histories[self.below(2)];
                let size = self.below(LENGTH as usize + 1);
                let old = self.below(size + 1);
                return history.proof(old as u64, size as u64);
            }
            3 => drop(proof.pop()),
            4 => proof.push(self.hash(&[0; 32])),
            5 => proof.clear(),
            6 => proof.resize(200, [7; 32]),
            _ => {
                let at = self.below(proof.len());
                if let Some(hash) = proof.get_mut(at) {
                    *hash = self.hash(hash);
                }
            }
        }
        proof
    }
}
