//! The lists in force: the built-in version 1, overlaid by what the centre published.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::classifier::facts::{ClassifierPublished, Entry};
use crate::code::Code;
use crate::fact::Fact;
use crate::refusal::{Refusal, RefusalCode};

/// The built-in lists, version 1 of each.
const BUILT_IN: &str = include_str!("built_in.toml");

/// Most codes listed in a refusal of an unknown one: what fits a screen.
const LISTED: usize = 40;

/// The language of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Kazakh.
    Kk,
    /// Russian.
    Ru,
    /// English.
    En,
}

/// The built-in lists cannot be read: the program was built from a damaged source.
#[derive(Debug, thiserror::Error)]
#[error("read the built-in classifiers")]
pub struct BuiltInError(#[from] toml::de::Error);

#[derive(Clone, Debug, PartialEq, Eq)]
struct List {
    version: u32,
    entries: Vec<Entry>,
    retired: Vec<Entry>,
}

/// All classifiers in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifiers {
    edition: u32,
    lists: BTreeMap<Code, List>,
}

impl Classifiers {
    /// The built-in lists, each at version 1.
    ///
    /// # Errors
    /// The embedded file does not parse; a test proves that it does.
    pub fn built_in() -> Result<Self, BuiltInError> {
        let parsed: BTreeMap<Code, Vec<Entry>> = toml::from_str(BUILT_IN)?;
        let lists = parsed
            .into_iter()
            .map(|(id, entries)| (id, List { version: 1, entries, retired: Vec::new() }))
            .collect();
        Ok(Self { edition: 1, lists })
    }

    /// The edition of all lists together: 1 for the built-in ones, one more for every version
    /// published since. Goes into record headers.
    pub const fn edition(&self) -> u32 {
        self.edition
    }

    /// Takes a published version; an older or equal one changes nothing. Entries it leaves out
    /// are retired: refused in requests, still labelled. Returns whether anything changed.
    pub fn publish(&mut self, fact: &ClassifierPublished) -> bool {
        let list = self.lists.entry(fact.id.clone()).or_insert_with(|| List {
            version: 0,
            entries: Vec::new(),
            retired: Vec::new(),
        });
        if fact.version <= list.version {
            return false;
        }
        let stays = |entry: &Entry| fact.entries.iter().any(|new| new.code == entry.code);
        let old = std::mem::replace(&mut list.entries, fact.entries.clone());
        list.retired.extend(old);
        list.retired.retain(|entry| !stays(entry));
        list.version = fact.version;
        self.edition = self.edition.saturating_add(1);
        true
    }

    /// Takes any fact; only published classifiers change something.
    pub fn apply(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::Classifier(crate::classifier::ClassifierFact::Published(fact)) => {
                self.publish(fact)
            }
            _ => false,
        }
    }

    /// Ids of all lists, in alphabetical order.
    pub fn ids(&self) -> impl Iterator<Item = &Code> {
        self.lists.keys()
    }

    /// The present version of a list; 0 when there is none.
    pub fn version(&self, id: &str) -> u32 {
        self.list(id).map_or(0, |list| list.version)
    }

    /// The entries of a list's present version; empty when there is none.
    pub fn entries(&self, id: &str) -> &[Entry] {
        self.list(id).map_or(&[], |list| &list.entries)
    }

    /// Whether a code is in the present version of a list.
    pub fn contains(&self, id: &str, code: &str) -> bool {
        self.entries(id).iter().any(|entry| entry.code == *code)
    }

    /// The label of a code, also of a retired one; `None` when no version held here knows it,
    /// and the code itself is to be shown.
    pub fn label(&self, id: &str, code: &str, language: Language) -> Option<&str> {
        let list = self.list(id)?;
        let entry = list.entries.iter().chain(&list.retired).find(|e| e.code == *code)?;
        Some(match language {
            Language::Kk => &entry.kk,
            Language::Ru => &entry.ru,
            Language::En => &entry.en,
        })
    }

    /// Checks that a code is in the present version of a list.
    ///
    /// # Errors
    /// `unknown_code` naming the field and the codes there are; `not_ready` when this office
    /// has no such list. The code itself is not repeated.
    pub fn check(
        &self,
        field: impl Into<Cow<'static, str>>,
        id: &str,
        code: &Code,
    ) -> Result<(), Refusal> {
        let Some(list) = self.list(id) else {
            let message = format!("there is no classifier {id} here; ask the centre to publish it");
            return Err(Refusal::field(RefusalCode::NotReady, field, message));
        };
        if list.entries.iter().any(|entry| entry.code == *code) {
            return Ok(());
        }
        let mut codes: Vec<_> =
            list.entries.iter().take(LISTED).map(|entry| entry.code.as_str()).collect();
        if list.entries.len() > LISTED {
            codes.push("...");
        }
        let message = format!(
            "is not a code of classifier {id} version {}; use one of: {}; or ask the centre to \
             publish a version that has it",
            list.version,
            codes.join(", ")
        );
        Err(Refusal::field(RefusalCode::UnknownCode, field, message))
    }

    fn list(&self, id: &str) -> Option<&List> {
        Code::new(id).ok().and_then(|id| self.lists.get(&id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::classifier::list;
    use crate::limits;
    use crate::testing::code;

    fn entry(name: &str) -> Entry {
        Entry { code: code(name), kk: "қ".into(), ru: "р".into(), en: "e".into() }
    }

    #[test]
    fn built_in_lists_are_complete() {
        let lists = Classifiers::built_in().unwrap();
        let ids: BTreeSet<_> = lists.ids().map(Code::as_str).collect();
        assert_eq!(ids, list::ALL.into_iter().collect());
        for id in list::ALL {
            let entries = lists.entries(id);
            assert!(!entries.is_empty(), "{id}");
            let codes: BTreeSet<_> = entries.iter().map(|entry| &entry.code).collect();
            assert_eq!(codes.len(), entries.len(), "{id} repeats a code");
            for Entry { code, kk, ru, en } in entries {
                for label in [kk, ru, en] {
                    assert!(!label.trim().is_empty(), "{id}/{code} lacks a label");
                    assert!(label.chars().count() <= limits::LABEL_CHARS);
                }
                // Labels of the three languages were not pasted into one another.
                assert!(en.is_ascii(), "{id}/{code}: English label");
                let kazakh = |c| "әғқңөұүһі".contains(c);
                assert!(!ru.chars().any(kazakh), "{id}/{code}: Russian label");
                assert!(!kk.is_ascii(), "{id}/{code}: Kazakh label");
            }
        }
        for (id, kept) in list::KEPT {
            assert!(lists.contains(id, kept), "{id}/{kept}");
        }
    }

    #[test]
    fn unknown_code_is_refused_without_repeating_it() {
        let lists = Classifiers::built_in().unwrap();
        let refusal = lists.check("channel", list::CHANNEL, &code("ivanov")).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::UnknownCode);
        assert_eq!(refusal.field.as_deref(), Some("channel"));
        assert!(refusal.message.contains("call, letter"));
        assert!(!refusal.to_string().contains("ivanov"));
        let refusal = lists.check("x", "no_such_list", &code("call")).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NotReady);
    }

    #[test]
    fn published_versions_replace_and_retire() {
        let mut lists = Classifiers::built_in().unwrap();
        let fact = ClassifierPublished {
            id: code(list::CHANNEL),
            version: 2,
            entries: vec![entry("call"), entry("pigeon")],
        };
        assert!(lists.publish(&fact));
        assert_eq!(lists.version(list::CHANNEL), 2);
        assert_eq!(lists.edition(), 2);
        assert!(lists.check("channel", list::CHANNEL, &code("pigeon")).is_ok());
        assert!(lists.check("channel", list::CHANNEL, &code("letter")).is_err());
        assert_eq!(lists.label(list::CHANNEL, "letter", Language::En), Some("letter"));
        assert!(!lists.publish(&fact), "the same version again changes nothing");
        assert_eq!(lists.edition(), 2);
        assert_eq!(lists.label(list::CHANNEL, "smoke", Language::En), None);
    }
}
