//! How far an import came, in a file, so that a resumed one is quick. Everything is correct
//! without it: what was imported before is recognised by its ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::errors::{Failure, Outcome};
use crate::output::hex;

/// What a state file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// SHA-256 of the input.
    pub input: String,
    /// SHA-256 of the mapping, the offices chosen and the addresses of their nodes.
    pub mapping: String,
    /// Every row up to this one is finished.
    pub finished: u64,
    /// The last of these rows that each office acknowledged: sent once more by a resumed import,
    /// to see that the node is the same.
    pub last: BTreeMap<String, u64>,
}

/// The state file, or none.
pub struct StateFile {
    path: Option<PathBuf>,
}

impl StateFile {
    /// Reads the state of this very import; a file of another one is an error, because it would
    /// be overwritten.
    ///
    /// # Errors
    /// The file cannot be read, or belongs to another import.
    pub fn open(path: Option<&Path>, input: String, mapping: String) -> Outcome<(Self, State)> {
        let fresh = State { input, mapping, ..State::default() };
        let file = Self { path: path.map(Path::to_path_buf) };
        let Some(path) = path else { return Ok((file, fresh)) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((file, fresh)),
            Err(error) => {
                return Err(Failure::wrong(format!("read the state {}", path.display()), &error));
            }
        };
        let state: State = serde_json::from_str(&text).map_err(|error| {
            Failure::wrong(format!("read the state {}", path.display()), &error)
        })?;
        if (&state.input, &state.mapping) != (&fresh.input, &fresh.mapping) {
            return Err(Failure::usage(format!(
                "the state {} is of another input, mapping, choice of offices or set of nodes: \
                 delete it, or name another file with --state",
                path.display()
            )));
        }
        Ok((file, state))
    }

    /// Writes the state: aside, then in the place of the older one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, state: &State) -> Outcome {
        let Some(path) = &self.path else { return Ok(()) };
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let text = serde_json::to_string(state)
            .map_err(|error| Failure::wrong("write the state", &error))?;
        fs::write(&aside, text + "\n")
            .and_then(|()| fs::rename(&aside, path))
            .map_err(|error| Failure::wrong(format!("write the state {}", path.display()), &error))
    }
}

/// The rows up to which everything is finished, whatever order they finish in.
#[derive(Clone, Debug)]
pub struct Prefix {
    finished: u64,
    beyond: BTreeMap<u64, Option<String>>,
    last: BTreeMap<String, u64>,
}

impl Prefix {
    /// Begins where a state ended.
    #[must_use]
    pub fn new(state: &State) -> Self {
        Self { finished: state.finished, beyond: BTreeMap::new(), last: state.last.clone() }
    }

    /// A row is finished; `office` acknowledged it, or it was rejected or left out.
    pub fn done(&mut self, row: u64, office: Option<String>) {
        if row <= self.finished {
            return;
        }
        self.beyond.insert(row, office);
        while let Some(office) = self.beyond.remove(&(self.finished + 1)) {
            self.finished += 1;
            if let Some(office) = office {
                self.last.insert(office, self.finished);
            }
        }
    }

    /// What to keep of it.
    #[must_use]
    pub fn state(&self, of: &State) -> State {
        State { finished: self.finished, last: self.last.clone(), ..of.clone() }
    }
}

/// SHA-256 over texts, each with its length.
#[must_use]
pub fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(path: &Path, input: &str) -> Outcome<(StateFile, State)> {
        StateFile::open(Some(path), input.to_owned(), "m".to_owned())
    }

    #[test]
    fn a_state_is_that_of_one_import() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let (file, state) = open(&path, "a").unwrap();
        assert_eq!(state.finished, 0);
        let mut prefix = Prefix::new(&state);
        prefix.done(2, None);
        prefix.done(1, Some("KZ-10".into()));
        prefix.done(4, Some("KZ-10".into()));
        let state = prefix.state(&state);
        file.save(&state).unwrap();
        file.save(&state).unwrap();
        let (_, read) = open(&path, "a").unwrap();
        assert_eq!((read.finished, read.last["KZ-10"]), (2, 1));
        assert!(open(&path, "b").err().unwrap().text.contains("delete it"));
        fs::write(&path, "{").unwrap();
        assert!(open(&path, "a").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn digests_tell_texts_apart() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
    }

    proptest! {
        #[test]
        fn the_prefix_never_runs_ahead(rows in prop::collection::vec(1_u64..40, 0..80)) {
            let mut prefix = Prefix::new(&State::default());
            let mut done = std::collections::BTreeSet::new();
            for row in rows {
                prefix.done(row, None);
                done.insert(row);
                let whole = (1..).take_while(|row| done.contains(row)).count() as u64;
                prop_assert_eq!(prefix.finished, whole);
            }
        }
    }
}
