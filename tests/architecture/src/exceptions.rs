//! `exceptions.toml`: lengths that may still be above the limit. The list only shrinks: an entry
//! must state the present length exactly, so whoever shortens the place lowers or removes the
//! entry in the same change, and whoever lengthens it is stopped.

use serde::Deserialize;

use crate::report::{Finding, Rule};
use crate::size::Oversize;

/// An entry that is no longer true.
pub const STALE: Rule = Rule {
    name: "exceptions",
    says: "exceptions.toml names only lengths that are still above the limit, exactly as long.",
    remedy: "Lower the entry to the length found, or delete it. Never raise one.",
};

/// One entry.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Name of the rule: `file-lines`, `function-lines` or `columns`.
    pub rule: String,
    /// File, from the root of the repository.
    pub file: String,
    /// Name of the function, for `function-lines`.
    #[serde(default)]
    pub item: String,
    /// The present length.
    pub limit: usize,
    /// Why it is not split yet, and when it will be.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// Reads the list.
///
/// # Errors
/// Text that is not TOML, or has other keys.
pub fn parse(text: &str) -> Result<Vec<Exception>, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.exception)
}

/// Findings left after the exceptions, and findings about the exceptions themselves.
pub fn apply(exceptions: &[Exception], found: &[Oversize]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for over in found {
        let limit = exceptions.iter().filter(|e| concerns(e, over)).map(|e| e.limit).max();
        if limit.is_none_or(|limit| over.actual > limit) {
            findings.push(describe(over, limit));
        }
    }
    for entry in exceptions {
        let place = format!("exceptions.toml, {} {} {}", entry.rule, entry.file, entry.item);
        let actual = found.iter().filter(|o| concerns(entry, o)).map(|o| o.actual).max();
        let what = match actual {
            None => "nothing there is above the limit any more".to_owned(),
            Some(actual) if entry.limit > actual => {
                format!("allows {}, the place has only {actual}", entry.limit)
            }
            Some(_) if entry.reason.trim().is_empty() => "gives no reason".to_owned(),
            Some(_) => continue,
        };
        findings.push(Finding::new(STALE, place.trim_end(), what));
    }
    findings
}

fn concerns(entry: &Exception, over: &Oversize) -> bool {
    entry.rule == over.rule.name && entry.file == over.file && entry.item == over.item
}

fn describe(over: &Oversize, limit: Option<usize>) -> Finding {
    let name = if over.item.is_empty() { String::new() } else { format!("fn {}: ", over.item) };
    let excepted = limit.map_or(String::new(), |limit| format!(" (its exception allows {limit})"));
    let what = format!("{name}{}{excepted}", over.actual);
    Finding::new(over.rule, format!("{}:{}", over.file, over.line), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::{FILE, FUNCTION};

    fn over(actual: usize) -> Oversize {
        Oversize { rule: FILE, file: "a.rs".into(), item: String::new(), line: 1, actual }
    }

    fn entry(limit: usize) -> Exception {
        let text = format!(
            "[[exception]]\nrule = \"file-lines\"\nfile = \"a.rs\"\nlimit = {limit}\nreason = \"r\""
        );
        parse(&text).unwrap().remove(0)
    }

    #[test]
    fn an_exact_entry_silences_its_place_and_no_other() {
        assert!(apply(&[entry(510)], &[over(510)]).is_empty());
        let function = Oversize { rule: FUNCTION, item: "f".into(), ..over(80) };
        assert_eq!(apply(&[entry(510)], &[over(510), function]).len(), 1);
    }

    #[test]
    fn growth_beyond_an_entry_is_found() {
        let found = apply(&[entry(510)], &[over(511)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("its exception allows 510"));
    }

    #[test]
    fn an_entry_larger_than_the_place_must_shrink() {
        let found = apply(&[entry(520)], &[over(510)]);
        assert_eq!(found[0].rule, STALE);
        assert!(found[0].what.contains("has only 510"));
    }

    #[test]
    fn an_entry_without_a_place_or_reason_must_go() {
        assert!(apply(&[entry(510)], &[])[0].what.contains("any more"));
        let silent = Exception { reason: " ".into(), ..entry(510) };
        assert!(apply(&[silent], &[over(510)])[0].what.contains("no reason"));
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(
            parse("[[exception]]\nrule = \"x\"\nfile = \"y\"\nlimit = 1\nreason = \"\"\nz = 1")
                .is_err()
        );
        assert!(parse("[[exeption]]").is_err());
        assert!(parse("# nothing").unwrap().is_empty());
    }
}
