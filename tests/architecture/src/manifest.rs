//! What every `Cargo.toml` below the root has in common.

use toml::{Table, Value};

use crate::report::{Finding, Rule};
use crate::tree::TextFile;

/// A manifest that goes its own way.
pub const MANIFEST: Rule = Rule {
    name: "manifest",
    says: "Versions, lints and package facts stand once, in the root Cargo.toml.",
    remedy: "Write `workspace = true` in the crate and put the value into the root manifest.",
};

/// Two integration tests that the Makefile cannot tell apart.
pub const TEST_NAME: Rule = Rule {
    name: "test-name",
    says: "An integration test has a name of its own in the whole workspace.",
    remedy: "Rename one of the files: the stages of `make test` select tests by this name.",
};

const FACTS: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Findings of one member's manifest.
pub fn check(file: &TextFile) -> Vec<Finding> {
    let whole = |what: String| Finding::new(MANIFEST, &file.path, what);
    let table: Table = match file.text.parse() {
        Ok(table) => table,
        Err(_) => return vec![whole("is not TOML".into())],
    };
    let mut findings = Vec::new();
    let package = table.get("package").and_then(Value::as_table).cloned().unwrap_or_default();
    for fact in FACTS.iter().filter(|fact| !inherits(package.get(**fact))) {
        findings.push(whole(format!("`package.{fact}` is not the workspace's")));
    }
    if !inherits(table.get("lints")) {
        findings.push(whole("`lints` are not the workspace's".into()));
    }
    if package.get("description").and_then(Value::as_str).is_none_or(|d| d.trim().is_empty()) {
        findings.push(whole("has no `package.description`".into()));
    }
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    if !name_fits(&file.path, name) {
        findings.push(whole(format!("package `{name}` is not named like its folder")));
    }
    for kind in KINDS {
        let needs = table.get(kind).and_then(Value::as_table).into_iter().flatten();
        for (need, _) in needs.filter(|(_, value)| !inherits(Some(value))) {
            findings.push(whole(format!("`{kind}.{need}` has a version of its own")));
        }
    }
    findings
}

/// Names that more than one package gives to an integration test, from (package, name).
pub fn check_test_names(tests: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, (package, name)) in tests.iter().enumerate() {
        if let Some((other, _)) = tests[..at].iter().find(|(_, earlier)| earlier == name) {
            findings.push(Finding::new(TEST_NAME, package, format!("`{name}` is {other}'s too")));
        }
    }
    findings
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|v| v.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// `crates/x` and `services/x` hold package `x`; `tests/x_y` holds `x_y`, `x-y` or `x-y-tests`.
fn name_fits(path: &str, name: &str) -> bool {
    let mut parts = path.split('/');
    let (top, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let dashed = folder.replace('_', "-");
    name == folder || top == "tests" && (name == dashed || name == format!("{dashed}-tests"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"vault\"\ndescription = \"d\"\n\
        version.workspace = true\nedition.workspace = true\nlicense.workspace = true\n\
        rust-version.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n\
        [dependencies]\nsha2 = { workspace = true }\n";

    fn of(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.into(), text: text.into() };
        check(&file).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn a_good_manifest_passes() {
        assert_eq!(of("crates/vault/Cargo.toml", GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_part_can_fail() {
        let broken = |from: &str, to: &str| of("crates/vault/Cargo.toml", &GOOD.replace(from, to));
        assert!(broken("sha2 = { workspace = true }", "sha2 = \"0.11\"")[0].contains("sha2"));
        assert!(broken("license.workspace = true", "license = \"MIT\"")[0].contains("license"));
        assert!(broken("[lints]\nworkspace = true\n", "")[0].contains("lints"));
        assert!(broken("description = \"d\"\n", "")[0].contains("description"));
        assert!(broken("\"vault\"", "\"safe\"")[0].contains("like its folder"));
        assert!(broken("[package]", "[package")[0].contains("not TOML"));
    }

    #[test]
    fn a_test_name_is_used_once() {
        let of = |names: &[(&str, &str)]| {
            let names = names.iter().map(|(p, n)| ((*p).to_owned(), (*n).to_owned()));
            check_test_names(&names.collect::<Vec<_>>()).len()
        };
        assert_eq!(of(&[("a", "x"), ("a", "y"), ("b", "z")]), 0);
        assert_eq!(of(&[("a", "x"), ("b", "x"), ("c", "x")]), 2);
    }

    #[test]
    fn test_packages_may_say_that_they_are_tests() {
        assert!(name_fits("tests/end_to_end/Cargo.toml", "end-to-end-tests"));
        assert!(name_fits("tests/demo/Cargo.toml", "demo"));
        assert!(!name_fits("crates/vault/Cargo.toml", "vault-tests"));
    }
}
