//! A bundle in memory: paths and bytes, and the texts in it taken apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::Hash;

/// The files of a bundle by their paths.
#[derive(Clone, Debug, Default)]
pub struct Bundle(pub BTreeMap<String, Vec<u8>>);

impl Bundle {
    /// Reads a folder.
    pub fn read(dir: &Path) -> Bundle {
        let mut files = BTreeMap::new();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        Bundle(files)
    }

    /// Writes it to a folder that does not exist yet.
    pub fn write(&self, dir: &Path) {
        fs::create_dir(dir).unwrap();
        for (name, bytes) in &self.0 {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Paths of a folder, in order.
    pub fn paths(&self, folder: &str) -> Vec<String> {
        self.0.keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }

    /// A file that is text.
    pub fn text(&self, path: &str) -> String {
        let bytes = self.0.get(path).unwrap_or_else(|| panic!("the bundle has no {path}"));
        String::from_utf8(bytes.clone()).unwrap()
    }

    /// Puts a file.
    pub fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.to_owned(), bytes.into());
    }

    /// Takes a file out.
    pub fn take(&mut self, path: &str) -> Vec<u8> {
        self.0.remove(path).unwrap_or_else(|| panic!("the bundle has no {path}"))
    }

    /// Changes a file; the change must change something.
    pub fn change(&mut self, path: &str, change: impl FnOnce(String) -> String) {
        let before = self.text(path);
        let after = change(before.clone());
        assert_ne!(before, after, "nothing was tampered with in {path}");
        self.put(path, after);
    }

    /// Changes the note of a checkpoint, a request, a receipt or a slip.
    pub fn change_note(&mut self, path: &str, change: impl FnOnce(&mut Note)) {
        self.change(path, |text| {
            let (before, note) = split_note(path, &text);
            let mut note = Note::parse(note);
            change(&mut note);
            format!("{before}{}", note.text())
        });
    }

    /// Changes the part of a request, a receipt or a slip in front of the note.
    pub fn change_proof(&mut self, path: &str, change: impl FnOnce(&mut Proof)) {
        self.change(path, |text| {
            let (before, note) = split_note(path, &text);
            let mut proof = Proof::parse(before);
            change(&mut proof);
            format!("{}{note}", proof.text())
        });
    }

    /// The note of a file.
    pub fn note(&self, path: &str) -> Note {
        let text = self.text(path);
        Note::parse(split_note(path, &text).1)
    }

    /// The part of a file in front of the note.
    pub fn proof(&self, path: &str) -> Proof {
        let text = self.text(path);
        Proof::parse(split_note(path, &text).0)
    }

    /// The first file of a folder whose note and proof are as asked for.
    pub fn find(&self, folder: &str, wanted: impl Fn(&Note, &str) -> bool) -> String {
        let mut paths = self.paths(folder).into_iter();
        let found = paths.find(|path| wanted(&self.note(path), &self.text(path)));
        found.unwrap_or_else(|| panic!("the bundle has no such file in {folder}"))
    }
}

/// Where the note of a file begins.
fn split_note<'a>(path: &str, text: &'a str) -> (&'a str, &'a str) {
    match path.split('/').next().unwrap() {
        "consistency" | "receipts" | "slips" => text.split_at(text.find("\n\n").unwrap() + 2),
        _ => ("", text),
    }
}

/// A signed note as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Origin, size, root, and what was added to them.
    pub body: Vec<String>,
    /// The signature lines.
    pub lines: Vec<String>,
}

impl Note {
    /// Takes a note apart.
    pub fn parse(text: &str) -> Note {
        let (body, lines) = text.split_once("\n\n").unwrap();
        let split = |part: &str| part.lines().map(str::to_owned).collect();
        Note { body: split(body), lines: split(lines) }
    }

    /// What is signed.
    pub fn signed(&self) -> String {
        self.body.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The whole note.
    pub fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        format!("{}\n{lines}", self.signed())
    }

    /// The size.
    pub fn size(&self) -> u64 {
        self.body[1].parse().unwrap()
    }

    /// Puts another root.
    pub fn set_root(&mut self, root: &Hash) {
        self.body[2] = STANDARD.encode(root);
    }

    /// Whether a key has signed.
    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(&format!("\u{2014} {name} ")))
    }

    /// The signature line of a key.
    pub fn line_of(&mut self, name: &str) -> &mut String {
        let start = format!("\u{2014} {name} ");
        let found = self.lines.iter_mut().find(|line| line.starts_with(&start));
        found.unwrap_or_else(|| panic!("{name} has not signed"))
    }

    /// Takes the signature line of a key away.
    pub fn drop_line(&mut self, name: &str) {
        let start = format!("\u{2014} {name} ");
        self.lines.retain(|line| !line.starts_with(&start));
    }
}

/// The lines in front of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `old N`, or the version, `extra` and `index`.
    pub head: Vec<String>,
    /// The hashes.
    pub hashes: Vec<String>,
}

impl Proof {
    fn parse(text: &str) -> Proof {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some(""), "an empty line ends a proof");
        let first = |line: &String| line.starts_with("old ") || line.starts_with("index ");
        let hashes = lines.split_off(lines.iter().position(first).unwrap() + 1);
        Proof { head: lines, hashes }
    }

    fn text(&self) -> String {
        let lines = self.head.iter().chain(&self.hashes);
        lines.map(|line| format!("{line}\n")).chain(["\n".to_owned()]).collect()
    }

    /// The line `index N` or `old N`.
    pub fn number(&mut self) -> &mut String {
        self.head.last_mut().unwrap()
    }

    /// Its number.
    pub fn value(&self) -> u64 {
        self.head.last().unwrap().split(' ').next_back().unwrap().parse().unwrap()
    }

    /// The lines of the opening, if there is one.
    pub fn opening(&self) -> Option<Vec<String>> {
        let extra = self.head.iter().find_map(|line| line.strip_prefix("extra "))?;
        let text = String::from_utf8(STANDARD.decode(extra).unwrap()).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Changes one field of the opening.
    pub fn change_opening(&mut self, field: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut lines = self.opening().unwrap();
        let name = format!("{field} ");
        let line = lines.iter_mut().find(|line| line.starts_with(&name)).unwrap();
        let mut bytes = STANDARD.decode(&line[name.len()..]).unwrap();
        change(&mut bytes);
        *line = format!("{name}{}", STANDARD.encode(bytes));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.head[1] = format!("extra {}", STANDARD.encode(text));
    }
}
