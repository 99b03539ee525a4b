//! SPDX licence expressions against the list of `deny.toml`.

use serde::Deserialize;

use crate::report::{Finding, Rule};

/// A package under a licence that nobody has approved.
pub const LICENCE: Rule = Rule {
    name: "licence",
    says: "Every package is under licences that deny.toml allows.",
    remedy: "Use another package, or have the licence approved and add it to deny.toml.",
};

/// The section `[licenses]` of `deny.toml`.
#[derive(Debug, Deserialize)]
pub struct Allowed {
    /// SPDX identifiers, with `WITH exception` where there is one.
    pub allow: Vec<String>,
}

/// Findings for a package with the licence field `expression`.
pub fn check(allowed: &Allowed, package: &str, expression: Option<&str>) -> Option<Finding> {
    let what = match expression {
        None => "states no licence".to_owned(),
        Some(expression) => {
            match satisfied(expression, &|id| allowed.allow.iter().any(|a| a == id)) {
                Some(true) => return None,
                Some(false) => format!("is under `{expression}`"),
                None => format!("has a licence field that is no SPDX expression: `{expression}`"),
            }
        }
    };
    Some(Finding::new(LICENCE, package, what))
}

/// Whether the expression can be satisfied by approved licences; none if it cannot be read.
/// The old form `A/B` means `A OR B`.
fn satisfied(expression: &str, approved: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, approved };
    let value = parser.either()?;
    parser.tokens.is_empty().then_some(value)
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    approved: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let there = self.tokens.first() == Some(&word);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn either(&mut self) -> Option<bool> {
        let mut value = self.both()?;
        while self.take("OR") {
            value |= self.both()?;
        }
        Some(value)
    }

    fn both(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.take("AND") {
            value &= self.one()?;
        }
        Some(value)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let value = self.either()?;
            return self.take(")").then_some(value);
        }
        let id = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Some((self.approved)(&format!("{id} WITH {exception}")));
        }
        Some((self.approved)(&id))
    }

    fn name(&mut self) -> Option<String> {
        let (first, rest) = self.tokens.split_first()?;
        if ["OR", "AND", "WITH", "(", ")"].contains(first) {
            return None;
        }
        self.tokens = rest;
        Some((*first).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(expression: &str) -> Option<bool> {
        satisfied(expression, &|id| {
            ["MIT", "BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"].contains(&id)
        })
    }

    #[test]
    fn expressions_are_weighed() {
        assert_eq!(ok("MIT"), Some(true));
        assert_eq!(ok("GPL-3.0-only"), Some(false));
        assert_eq!(ok("GPL-3.0-only OR MIT"), Some(true));
        assert_eq!(ok("MIT AND GPL-3.0-only"), Some(false));
        assert_eq!(ok("MIT AND (GPL-2.0-only OR BSD-3-Clause)"), Some(true));
        assert_eq!(ok("GPL-2.0-only OR MIT AND GPL-3.0-only"), Some(false));
        assert_eq!(ok("MIT/Apache-2.0"), Some(true));
        assert_eq!(ok("Apache-2.0"), Some(false));
        assert_eq!(ok("Apache-2.0 WITH LLVM-exception"), Some(true));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT BSD-3-Clause", "AND MIT", "MIT WITH"] {
            assert_eq!(ok(text), None, "{text}");
        }
    }

    #[test]
    fn silence_is_not_consent() {
        let allowed = Allowed { allow: vec!["MIT".into()] };
        assert!(check(&allowed, "a", Some("MIT")).is_none());
        assert!(check(&allowed, "a", None).unwrap().what.contains("no licence"));
        assert!(check(&allowed, "a", Some("AGPL-3.0-only")).is_some());
    }
}
