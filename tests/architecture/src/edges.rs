//! Which crate may depend on which. The table is read from `ARCHITECTURE.md`, so the page that
//! people read and the check cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::{Finding, Rule};
use crate::source::{Source, has_word};

/// An edge between two of our crates that the table lacks.
pub const EDGE: Rule = Rule {
    name: "dependency-direction",
    says: "Our crates depend on each other only as the table in ARCHITECTURE.md allows.",
    remedy: "Move the code to where its dependencies are. A new edge is rare: discuss it first, \
             then change the table and say why in DECISIONS.md.",
};
/// A dependency on somebody else's crate by a crate that must not know it.
pub const OWNER: Rule = Rule {
    name: "external-owner",
    says: "Some external crates are used by the crates that ARCHITECTURE.md names and no others.",
    remedy: "Call the owner instead. If the owner changes, change the list in ARCHITECTURE.md.",
};
/// The table and the workspace differ.
pub const TABLE: Rule = Rule {
    name: "dependency-table",
    says: "The table in ARCHITECTURE.md names every crate of the workspace once, and no other.",
    remedy: "Add the crate to the table, or remove it from there.",
};
/// A dependency that nothing uses.
pub const UNUSED: Rule = Rule {
    name: "unused-dependency",
    says: "What a manifest names, the package uses.",
    remedy: "Delete the line from its Cargo.toml.",
};

/// Packages that only generated code names, in `wire`.
const IN_GENERATED_CODE: [&str; 3] = ["prost", "prost-types", "tonic-prost"];

/// Stands for every package below `tests/`.
pub const TESTS: &str = "tests/*";

/// A package of the workspace, as the check needs it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Package name, or [`TESTS`] for everything below `tests/`.
    pub name: String,
    /// Its folder, from the root of the repository.
    pub folder: String,
    /// Its dependencies of every kind.
    pub needs: Vec<Need>,
}

/// One dependency of a member.
#[derive(Debug, Clone)]
pub struct Need {
    /// Name of the package.
    pub name: String,
    /// Whether it is in this workspace.
    pub ours: bool,
    /// Whether only tests need it.
    pub dev: bool,
}

/// A table `from -> to to` or `what what: owner owner`, by its left side.
pub type Table = BTreeMap<String, BTreeSet<String>>;

/// Reads the fenced block of `document` whose info string is `text <tag>`; `arrow` divides the
/// two sides of a line. Nothing on the right side is written as `nothing`.
pub fn table(document: &str, tag: &str, arrow: &str) -> Table {
    let fence = format!("```text {tag}");
    let lines = document.lines().skip_while(|line| line.trim() != fence).skip(1);
    let mut table = Table::new();
    for line in lines.take_while(|line| line.trim() != "```") {
        let Some((left, right)) = line.split_once(arrow) else { continue };
        let right = right.split_whitespace().filter(|w| *w != "nothing").map(str::to_owned);
        let right: BTreeSet<String> = right.collect();
        for name in left.split_whitespace() {
            table.entry(name.to_owned()).or_default().extend(right.iter().cloned());
        }
    }
    table
}

/// Edges between members that `allowed` lacks. The right side `anything` allows all.
pub fn check_edges(allowed: &Table, members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let Some(may) = allowed.get(&member.name) else { continue };
        let ours = member.needs.iter().filter(|need| need.ours);
        for need in ours.filter(|need| !may.contains(&need.name) && !may.contains("anything")) {
            let kind = if need.dev { " (dev-dependency)" } else { "" };
            let what = format!("depends on `{}`{kind}", need.name);
            findings.push(Finding::new(EDGE, format!("{}/Cargo.toml", member.name), what));
        }
    }
    findings
}

/// External dependencies of members that do not own them; dev-dependencies are free.
pub fn check_owners(owners: &Table, members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        for need in member.needs.iter().filter(|need| !need.ours && !need.dev) {
            let Some(may) = owners.get(&need.name) else { continue };
            if !may.contains(&member.name) {
                let owners: Vec<&str> = may.iter().map(String::as_str).collect();
                let what = format!("uses `{}`, which belongs to {}", need.name, owners.join(", "));
                findings.push(Finding::new(OWNER, format!("{}/Cargo.toml", member.name), what));
            }
        }
    }
    findings
}

/// Differences between the names of the table and those of the workspace.
pub fn check_table(allowed: &Table, members: &[Member]) -> Vec<Finding> {
    let there: BTreeSet<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let lacking = there.iter().filter(|name| !allowed.contains_key(**name));
    let mut findings: Vec<Finding> = lacking
        .map(|name| Finding::new(TABLE, "ARCHITECTURE.md", format!("lacks `{name}`")))
        .collect();
    let named = allowed.iter().flat_map(|(from, to)| to.iter().chain([from]));
    let named: BTreeSet<&str> = named.map(String::as_str).filter(|n| *n != "anything").collect();
    for name in named.difference(&there) {
        findings.push(Finding::new(TABLE, "ARCHITECTURE.md", format!("`{name}` does not exist")));
    }
    findings
}

/// Dependencies that no source below the member's folder names.
pub fn check_used(members: &[Member], sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let folder = format!("{}/", member.folder);
        let own: Vec<&Source> = sources.iter().filter(|s| s.path.starts_with(&folder)).collect();
        for need in &member.needs {
            let generated = member.name == "wire" && IN_GENERATED_CODE.contains(&&*need.name);
            let name = need.name.replace('-', "_");
            if !generated && !own.iter().any(|source| has_word(&source.code, &name)) {
                let what = format!("never uses `{}`", need.name);
                findings.push(Finding::new(UNUSED, format!("{folder}Cargo.toml"), what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Page\n```text edges\nevidence vault -> nothing\njournal -> evidence\ntests/* -> anything\n```\n\
text a -> b\n```text owners\nsled: journal\n```\n";

    fn member(name: &str, needs: &[(&str, bool, bool)]) -> Member {
        let need = |&(name, ours, dev): &(&str, bool, bool)| Need { name: name.into(), ours, dev };
        let needs = needs.iter().map(need).collect();
        Member { name: name.into(), folder: format!("crates/{name}"), needs }
    }

    fn whole() -> Vec<Member> {
        ["evidence", "vault", "journal", TESTS].iter().map(|name| member(name, &[])).collect()
    }

    #[test]
    fn the_table_is_the_fenced_block_only() {
        let table = table(PAGE, "edges", "->");
        assert_eq!(table.len(), 4);
        assert!(table["vault"].is_empty());
        assert!(table["journal"].contains("evidence"));
    }

    #[test]
    fn an_edge_outside_the_table_is_found_even_for_tests_of_the_crate() {
        let allowed = table(PAGE, "edges", "->");
        let good = member("journal", &[("evidence", true, false), ("sled", false, false)]);
        assert!(check_edges(&allowed, &[good]).is_empty());
        let bad = member("journal", &[("vault", true, false)]);
        assert!(check_edges(&allowed, &[bad])[0].what.contains("`vault`"));
        let dev = member("evidence", &[("journal", true, true)]);
        assert!(check_edges(&allowed, &[dev])[0].what.contains("dev-dependency"));
        assert!(check_edges(&allowed, &[member(TESTS, &[("vault", true, false)])]).is_empty());
    }

    #[test]
    fn an_owned_crate_stays_with_its_owner() {
        let owners = table(PAGE, "owners", ":");
        let uses =
            |name, dev| check_owners(&owners, &[member(name, &[("sled", false, dev)])]).len();
        assert_eq!((uses("journal", false), uses("vault", false), uses("vault", true)), (0, 1, 0));
    }

    #[test]
    fn a_dependency_without_a_use_is_found() {
        let members = [member("journal", &[("tokio-rustls", false, false)])];
        let unused =
            |path: &str, text: &str| check_used(&members, &[Source::new(path, text)]).len() == 1;
        assert!(!unused("crates/journal/src/a.rs", "use tokio_rustls::TlsAcceptor;"));
        assert!(unused(
            "crates/journal/src/a.rs",
            "// tokio_rustls\nuse tokio::fs; my_tokio_rustls"
        ));
        assert!(unused("crates/journal2/src/a.rs", "use tokio_rustls::TlsAcceptor;"));
    }

    #[test]
    fn table_and_workspace_name_the_same_crates() {
        let allowed = table(PAGE, "edges", "->");
        assert!(check_table(&allowed, &whole()).is_empty());
        assert!(check_table(&allowed, &whole()[1..])[0].what.contains("does not exist"));
        let more = [whole(), vec![member("ui", &[])]].concat();
        assert!(check_table(&allowed, &more)[0].what.contains("lacks `ui`"));
    }
}
