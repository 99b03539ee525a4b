//! Lints that may not be switched off by an attribute.

use crate::report::{Finding, Rule};
use crate::source::{Source, line_at};

/// A guarded lint is switched off.
pub const SILENCED: Rule = Rule {
    name: "silenced-lint",
    says: "The lints that carry a house rule are not switched off outside tests.",
    remedy: "Follow the lint. If it is wrong everywhere, change it for everyone in Cargo.toml.",
};

/// Lints that carry a house rule.
const GUARDED: [&str; 14] = [
    "missing_docs",
    "unsafe_code",
    "dead_code",
    "unused",
    "clippy::all",
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::too_many_lines",
    "clippy::todo",
    "clippy::unimplemented",
    "clippy::dbg_macro",
    "warnings",
];

/// Where a lint may be switched off all the same, and why there.
const ALLOWED: [(&str, &str); 8] = [
    // Generated code has neither our docs nor our taste.
    ("crates/wire/src/generated", "missing_docs"),
    ("crates/wire/src/generated", "clippy::all"),
    ("crates/wire/src/generated", "clippy::unwrap_used"),
    ("crates/wire/src/generated", "clippy::expect_used"),
    // A table of strings, each of which is its own description.
    ("crates/ui/src/texts.rs", "missing_docs"),
    // The two owners of what clippy.toml bans.
    ("crates/node/src/clock", "clippy::disallowed_methods"),
    ("crates/node/src/supervisor", "clippy::disallowed_methods"),
    // A harness for tests: its failures are test failures.
    ("crates/testkit/src/", "clippy::disallowed_methods"),
];

/// Guarded lints that the source switches off.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for opening in ["[allow(", "[expect("] {
        for (at, _) in source.code.match_indices(opening) {
            let list = &source.code[at + opening.len()..];
            let list = &list[..list.find(')').unwrap_or(list.len())];
            let line = line_at(&source.code, at);
            for lint in list.split(',').map(str::trim) {
                if GUARDED.contains(&lint) && !allowed(source, line, lint) {
                    let place = format!("{}:{line}", source.path);
                    findings.push(Finding::new(SILENCED, place, format!("`{lint}` is off")));
                }
            }
        }
    }
    findings
}

fn allowed(source: &Source, line: usize, lint: &str) -> bool {
    source.is_test(line)
        || ALLOWED.iter().any(|(path, of)| source.path.starts_with(path) && *of == lint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn guarded_lints_stay_on() {
        let text = "#[allow(clippy::unwrap_used, clippy::needless_return)]\nfn a() {}";
        assert_eq!(count("crates/vault/src/a.rs", text), 1);
        assert_eq!(count("crates/vault/src/a.rs", "#![expect(missing_docs, reason = \"x\")]"), 1);
        assert_eq!(count("crates/vault/src/a.rs", "#[allow(clippy::too_many_arguments)]"), 0);
    }

    #[test]
    fn owners_and_tests_may() {
        let text = "#[allow(clippy::disallowed_methods)]\nfn a() {}";
        assert_eq!(count("crates/node/src/clock.rs", text), 0);
        assert_eq!(count("crates/node/src/decide.rs", text), 1);
        assert_eq!(count("tests/end_to_end/tests/a.rs", text), 0);
        assert_eq!(count("crates/wire/src/generated.rs", "#![allow(missing_docs)]"), 0);
    }

    #[test]
    fn text_about_attributes_is_not_one() {
        assert_eq!(count("crates/vault/src/a.rs", "// #[allow(dead_code)]"), 0);
    }
}
