//! What can be wrong with a link or a log, in the words of those who run it: what it means, and
//! what the operator of each side does.
//!
//! The one place for these texts. `adal sync explain`, the national page and the guide take them
//! from here; a test holds `deploy/INSTALL.md` against this table.

mod texts;

use replication::RefusalCode;

pub use texts::ALL;

/// One thing that can be wrong, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Stable name; that of the [`RefusalCode`] where there is one.
    pub code: &'static str,
    /// In the field's words.
    pub title: &'static str,
    /// What has happened, and what it does to the records.
    pub meaning: &'static str,
    /// What the operator does at the office that writes the log; of a link, at the regional office.
    pub at_writer: &'static str,
    /// What the operator does at the other side.
    pub at_mirror: &'static str,
    /// Whether records may be lost or false, beyond those that only wait to be sent.
    pub endangers: bool,
}

/// The names that the texts of a situation are filled in with.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The office that writes the log; of a link, the regional office.
    pub writer: &'a str,
    /// The other side.
    pub mirror: &'a str,
    /// The log; of a link, that of the regional office.
    pub log: &'a str,
}

impl Situation {
    /// The situation of this name.
    pub fn named(code: &str) -> Option<&'static Situation> {
        ALL.iter().find(|situation| situation.code == code)
    }

    /// The situation of a refusal; each has one.
    pub fn of(code: RefusalCode) -> Option<&'static Situation> {
        Situation::named(code.as_str())
    }
}

/// A text with the names of a case in it.
pub fn fill(text: &str, names: &Names<'_>) -> String {
    text.replace("{writer}", names.writer)
        .replace("{mirror}", names.mirror)
        .replace("{log}", names.log)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../deploy/INSTALL.md");

    #[test]
    fn every_refusal_has_a_situation_and_names_are_unique() {
        for code in RefusalCode::ALL {
            assert!(Situation::of(code).is_some(), "{code} has no situation");
        }
        let mut codes: Vec<_> = ALL.iter().map(|situation| situation.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }

    #[test]
    fn every_text_is_whole_and_names_only_what_is_filled_in() {
        let names = Names { writer: "KZ-75", mirror: "KZ", log: "kz-75" };
        for Situation { code, title, meaning, at_writer, at_mirror, .. } in ALL {
            for text in [title, meaning, at_writer, at_mirror] {
                let filled = fill(text, &names);
                assert!(!filled.trim().is_empty() && !filled.contains(['{', '}']), "{code}");
                assert!(!filled.contains("  ") && !filled.contains('\n'), "{code}: {filled}");
            }
        }
    }

    /// The guide lists each with the same words.
    #[test]
    fn the_guide_lists_every_situation() {
        let names = Names { writer: "KZ-75", mirror: "KZ", log: "kz-75" };
        let row = |s: &Situation| {
            let [meaning, writer, mirror] =
                [s.meaning, s.at_writer, s.at_mirror].map(|text| fill(text, &names));
            format!("| `{}`: {} | {meaning} | {writer} | {mirror} |", s.code, s.title)
        };
        let rows: Vec<String> = ALL.iter().map(row).collect();
        let missing: Vec<&String> = rows.iter().filter(|row| !GUIDE.contains(*row)).collect();
        assert!(missing.is_empty(), "rows that deploy/INSTALL.md lacks:\n{}", rows.join("\n"));
    }
}
