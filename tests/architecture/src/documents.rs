//! Scope docs, invariants, proto packages, and paths that betray a machine.

use crate::report::{Finding, Rule};
use crate::size::functions;
use crate::source::{Source, is_ident, line_at};
use crate::tree::TextFile;

/// A `lib.rs` that does not introduce its crate.
pub const SCOPE: Rule = Rule {
    name: "scope-doc",
    says: "A crate's lib.rs says what is in scope, what is not, and lists its modules; no code.",
    remedy: "Write the module doc (`//!`, at least three lines, with what the crate does not do) \
             and move functions into modules.",
};
/// A crate without its one rule.
pub const INVARIANT: Rule = Rule {
    name: "invariant",
    says: "ARCHITECTURE.md has a section with an invariant for every crate, and for no other.",
    remedy: "Add the heading ### `name` with one paragraph and a line beginning **Invariant:**.",
};
/// A path or name that exists on one machine only.
pub const MACHINE: Rule = Rule {
    name: "machine-path",
    says: "The repository names no folder of somebody's machine.",
    remedy: "Use a path relative to the repository, a temporary folder, or a documented default.",
};
/// A proto file outside its package's folder.
pub const PROTO: Rule = Rule {
    name: "proto-package",
    says: "proto/adal/<area>/v<n>/*.proto declares `package adal.<area>.v<n>;`.",
    remedy: "Move the file or correct its package line; released packages never change.",
};

/// A page that readers of the repository do not have.
pub const REFERENCE: Rule = Rule {
    name: "dead-reference",
    says: "A page that is named, in comments and in pages, is in the repository.",
    remedy: "Say the thing itself in a sentence, or name a page or a public specification.",
};

/// Beginnings of paths that exist on one machine only, in pieces so that this file passes.
const MACHINE_PATHS: [&str; 7] = [
    concat!("/", "work/"),
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "tmp/"),
    concat!("/", "mnt/"),
    concat!("C:", "\\Users"),
];

/// Findings about one crate's `lib.rs`.
pub fn check_scope(source: &Source) -> Vec<Finding> {
    let finding = |what: &str| Finding::new(SCOPE, &source.path, what);
    let doc: Vec<&str> = source.text.lines().filter_map(|l| l.strip_prefix("//!")).collect();
    let filled = doc.iter().filter(|line| !line.trim().is_empty()).count();
    let mut findings = Vec::new();
    if filled < 3 {
        findings.push(finding("its module doc has fewer than three lines"));
    }
    let words = doc.join(" ").to_lowercase();
    let mut words = words.split(|c: char| !is_ident(c));
    if !words.any(|w| ["not", "never", "no", "nothing"].contains(&w)) {
        findings.push(finding("its module doc does not say what is out of scope"));
    }
    for function in functions(source).iter().filter(|f| !source.is_test(f.line)) {
        findings.push(finding(&format!("fn {} stands in lib.rs", function.name)));
    }
    findings
}

/// Findings about the sections of `ARCHITECTURE.md`, given the names of crates and services.
pub fn check_invariants(page: &str, crates: &[&str]) -> Vec<Finding> {
    let finding = |what: String| Finding::new(INVARIANT, "ARCHITECTURE.md", what);
    let mut found: Vec<(&str, bool)> = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            let name = line.strip_prefix("### `").and_then(|l| l.strip_suffix('`'));
            found.push((name.unwrap_or_default(), false));
        } else if let Some(last) = found.last_mut() {
            last.1 |= line.starts_with("**Invariant:**") && line.len() > 30;
        }
    }
    let mut findings = Vec::new();
    for name in crates {
        match found.iter().find(|(of, _)| of == name) {
            None => findings.push(finding(format!("has no section for `{name}`"))),
            Some((_, false)) => findings.push(finding(format!("gives `{name}` no invariant"))),
            Some((_, true)) => {}
        }
    }
    let others = found.iter().filter(|(of, _)| !of.is_empty() && !crates.contains(of));
    findings.extend(others.map(|(of, _)| finding(format!("describes `{of}`, which is not there"))));
    findings
}

/// Paths of somebody's machine in a text file.
pub fn check_paths(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in MACHINE_PATHS {
        for (at, _) in file.text.match_indices(path) {
            let before = file.text[..at].chars().next_back();
            if before.is_none_or(|c| !is_ident(c) && !"/.-}~>".contains(c)) {
                let place = format!("{}:{}", file.path, line_at(&file.text, at));
                findings.push(Finding::new(MACHINE, place, format!("`{path}`")));
            }
        }
    }
    findings
}

/// Pages (`*.md`) named by the text of `path` that are not among `pages`, given as paths.
pub fn check_references(path: &str, text: &str, pages: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = line.split(|c: char| !is_ident(c) && !"./-".contains(c));
        for word in words.map(|w| w.trim_end_matches(['.', '-'])) {
            let name = word.rsplit('/').next().unwrap_or(word);
            let is_page = name.len() > 3 && name.ends_with(".md");
            let there = |page: &&str| page.rsplit('/').next() == Some(name);
            if is_page && !pages.iter().any(there) {
                let place = format!("{path}:{}", at + 1);
                findings.push(Finding::new(REFERENCE, place, format!("names `{word}`")));
            }
        }
    }
    findings
}

/// Findings about the package line of a proto file of ours.
pub fn check_proto(file: &TextFile) -> Option<Finding> {
    let folder = file.path.strip_prefix("proto/")?.rsplit_once('/').map_or("", |(f, _)| f);
    let line = format!("package {};", folder.replace('/', "."));
    let shape = folder.split('/').collect::<Vec<_>>();
    let fits = shape.len() == 3 && shape[0] == "adal" && shape[2].starts_with('v');
    let declared = file.text.lines().any(|l| l.trim() == line);
    let what = || format!("does not declare `{line}`, or is not in proto/adal/<area>/v<n>/");
    (!fits || !declared).then(|| Finding::new(PROTO, &file.path, what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Vec<String> {
        check_scope(&Source::new("crates/x/src/lib.rs", text)).into_iter().map(|f| f.what).collect()
    }

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_scope_doc_says_what_is_not_there() {
        let good = "//! Keys.\n//! Seals.\n//! Does not log.\npub mod key;\n";
        assert!(scope(good).is_empty());
        assert!(scope("//! Keys.\n//! Not logs.\n")[0].contains("three lines"));
        assert!(scope("//! Keys.\n//! Seals.\n//! Opens.\n")[0].contains("out of scope"));
        assert!(scope(&format!("{good}pub fn f() {{}}"))[0].contains("fn f"));
    }

    #[test]
    fn every_crate_has_an_invariant() {
        let page =
            "## Crates\n### `vault`\nKeys.\n\n**Invariant:** no key enters a log at any time.\n";
        assert!(check_invariants(page, &["vault"]).is_empty());
        let what = |page: &str, names: &[&str]| check_invariants(page, names)[0].what.clone();
        assert!(what(page, &["vault", "ui"]).contains("no section for `ui`"));
        assert!(what(page, &[]).contains("not there"));
        assert!(what("### `vault`\n**Invariant:** no.\n", &["vault"]).contains("no invariant"));
        let later =
            "### `vault`\nKeys.\n## Next\n**Invariant:** belongs to nobody in particular.\n";
        assert!(what(later, &["vault"]).contains("no invariant"));
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for path in MACHINE_PATHS {
            assert_eq!(check_paths(&file("a.md", &format!("see\n`{path}x`")))[0].place, "a.md:2");
            assert!(check_paths(&file("a.md", &format!("https://x.example{path}x"))).is_empty());
        }
        assert!(check_paths(&file("a.md", "/var/lib/adal and /etc/adal")).is_empty());
    }

    #[test]
    fn named_pages_exist() {
        let pages = ["README.md", "deploy/INSTALL.md"];
        let of = |text: &str| check_references("a.rs", text, &pages).len();
        assert_eq!(of("See README.md, [x](deploy/INSTALL.md). No page: x.mdx, *.md"), 0);
        assert_eq!(of("As SECRET.md says\n(docs/PLAN.md.)"), 2);
    }

    #[test]
    fn proto_packages_follow_their_folder() {
        let of = |path: &str, text: &str| check_proto(&file(path, text)).is_some();
        assert!(!of("proto/adal/appeal/v1/facts.proto", "package adal.appeal.v1;\n"));
        assert!(of("proto/adal/appeal/v1/facts.proto", "package adal.appeal.v2;\n"));
        assert!(of("proto/adal/facts.proto", "package adal;\n"));
        assert!(!of("crates/x/y.proto", "package z;\n"));
    }
}
