//! What a check answers: findings that a reader can act on without opening this crate.

use std::fmt;

/// A rule of the house, as its findings print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Short name, also used by `exceptions.toml`.
    pub name: &'static str,
    /// The rule in one sentence.
    pub says: &'static str,
    /// What to do about a finding.
    pub remedy: &'static str,
}

/// One place that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The broken rule.
    pub rule: Rule,
    /// File and line, or package: where to look.
    pub place: String,
    /// What is there.
    pub what: String,
}

impl Finding {
    /// A finding of `rule` at `place`.
    pub fn new(rule: Rule, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule, place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All findings as one text, grouped by rule in the order given; empty if there are none.
pub fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for first in findings {
        if seen.contains(&first.rule.name) {
            continue;
        }
        seen.push(first.rule.name);
        let same: Vec<&Finding> = findings.iter().filter(|f| f.rule == first.rule).collect();
        text.push_str(&format!("\n[{}] {}\n", first.rule.name, first.rule.says));
        for finding in &same {
            text.push_str(&format!("  - {finding}\n"));
        }
        text.push_str(&format!("  what to do: {}\n", first.rule.remedy));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Rule = Rule { name: "a", says: "No a.", remedy: "Remove a." };
    const B: Rule = Rule { name: "b", says: "No b.", remedy: "Remove b." };

    #[test]
    fn findings_are_grouped_and_say_what_to_do() {
        let found = [
            Finding::new(A, "x.rs:1", "has a"),
            Finding::new(B, "x.rs:2", "has b"),
            Finding::new(A, "y.rs:3", "has a"),
        ];
        let text = render(&found);
        assert_eq!(text.matches("what to do: Remove a.").count(), 1);
        assert!(text.contains("  - x.rs:1: has a\n  - y.rs:3: has a\n"));
        assert!(text.contains("[b] No b."));
    }

    #[test]
    fn nothing_found_is_no_text() {
        assert_eq!(render(&[]), "");
    }
}
