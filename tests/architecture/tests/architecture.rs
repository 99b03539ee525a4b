//! The repository against its own rules. Each test prints every finding with what to do.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read is a failure")]

use architecture_tests::documents::{
    check_invariants, check_paths, check_proto, check_references, check_scope,
};
use architecture_tests::edges::{self, Member, Need};
use architecture_tests::mention::MENTIONS;
use architecture_tests::packages::{Policy, policy};
use architecture_tests::report::{Finding, render};
use architecture_tests::source::{Source, split_all};
use architecture_tests::tree::{TextFile, root, text_files};
use architecture_tests::{exceptions, licence, manifest, mention, packages, silence, size, units};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Files without which a check would find nothing and pass.
const FEWEST_RUST_FILES: usize = 30;

fn files() -> Vec<TextFile> {
    text_files(&root()).unwrap()
}

fn sources() -> Vec<Source> {
    let sources = split_all(&files());
    assert!(sources.len() >= FEWEST_RUST_FILES, "only {} Rust files were found", sources.len());
    sources
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("read {path}: {e}"))
}

/// The findings of a failed test; prints as they are, without quotes or a backtrace.
struct Broken(Vec<Finding>);

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} finding(s)\n{}", self.0.len(), render(&self.0))
    }
}

fn clean(findings: Vec<Finding>) -> Result<(), Broken> {
    if findings.is_empty() { Ok(()) } else { Err(Broken(findings)) }
}

fn metadata(options: &[&str]) -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command.other_options(options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>());
    command.exec().unwrap()
}

fn members() -> Vec<Member> {
    let metadata = metadata(&["--no-deps"]);
    let names: Vec<String> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let mut members = Vec::new();
    for package in &metadata.packages {
        let folder = package.manifest_path.strip_prefix(root()).unwrap().parent().unwrap();
        let of_tests = folder.starts_with("tests");
        let name = if of_tests { edges::TESTS.to_owned() } else { package.name.to_string() };
        let need = |d: &cargo_metadata::Dependency| Need {
            name: d.name.clone(),
            ours: names.contains(&d.name),
            dev: d.kind == DependencyKind::Development,
        };
        let needs = package.dependencies.iter().map(need).collect();
        members.push(Member { name, folder: folder.to_string(), needs });
    }
    members
}

fn deny() -> Policy {
    policy(&read("deny.toml")).unwrap()
}

#[test]
fn lengths_stay_readable() -> Result<(), Broken> {
    let sources = sources();
    let mut found = size::long_files(&files());
    found.extend(sources.iter().flat_map(size::long_functions));
    found.extend(sources.iter().filter_map(size::long_line));
    let listed = exceptions::parse(&read("tests/architecture/exceptions.toml")).unwrap();
    clean(exceptions::apply(&listed, &found))
}

#[test]
fn dependencies_follow_the_table() -> Result<(), Broken> {
    let members = members();
    let page = read("ARCHITECTURE.md");
    let allowed = edges::table(&page, "edges", "->");
    let mut findings = edges::check_table(&allowed, &members);
    findings.extend(edges::check_edges(&allowed, &members));
    let owners = edges::table(&page, "owners", ":");
    assert!(!owners.is_empty(), "ARCHITECTURE.md has no block `text owners`");
    findings.extend(edges::check_owners(&owners, &members));
    clean(findings)
}

#[test]
fn dependencies_are_used() -> Result<(), Broken> {
    clean(edges::check_used(&members(), &sources()))
}

#[test]
fn manifests_inherit_from_the_workspace() -> Result<(), Broken> {
    let of_members = |f: &&TextFile| f.path.ends_with("/Cargo.toml");
    clean(files().iter().filter(of_members).flat_map(manifest::check).collect())
}

#[test]
fn test_names_are_unique() -> Result<(), Broken> {
    let metadata = metadata(&["--no-deps"]);
    let mut names = Vec::new();
    for package in &metadata.packages {
        let tests = package.targets.iter().filter(|target| target.is_test());
        names.extend(tests.map(|target| (package.name.to_string(), target.name.clone())));
    }
    clean(manifest::check_test_names(&names))
}

#[test]
fn packages_are_neither_banned_nor_doubled() -> Result<(), Broken> {
    let locked = packages::locked(&read("Cargo.lock")).unwrap();
    clean(packages::check(&deny().bans, &locked))
}

#[test]
fn licences_are_approved() -> Result<(), Broken> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = metadata(&["--filter-platform", &platform]);
    let resolved = metadata.resolve.as_ref().unwrap();
    let allowed = deny().licenses;
    let of_node = |node: &cargo_metadata::Node| {
        let package = &metadata[&node.id];
        let name = format!("{} {}", package.name, package.version);
        licence::check(&allowed, &name, package.license.as_deref())
    };
    clean(resolved.nodes.iter().filter_map(of_node).collect())
}

#[test]
fn names_stay_with_their_owners() -> Result<(), Broken> {
    let sources = sources();
    let all = MENTIONS.iter().flat_map(|rule| sources.iter().flat_map(|s| mention::check(rule, s)));
    clean(all.collect())
}

#[test]
fn guarded_lints_stay_on() -> Result<(), Broken> {
    clean(sources().iter().flat_map(silence::check).collect())
}

#[test]
fn crates_say_their_scope() -> Result<(), Broken> {
    let sources = sources();
    let libs = sources.iter().filter(|s| s.path.starts_with("crates/"));
    clean(libs.filter(|s| s.path.ends_with("/src/lib.rs")).flat_map(check_scope).collect())
}

#[test]
fn crates_have_an_invariant() -> Result<(), Broken> {
    let members = members();
    let names = members.iter().map(|m| m.name.as_str()).filter(|name| *name != edges::TESTS);
    clean(check_invariants(&read("ARCHITECTURE.md"), &names.collect::<Vec<_>>()))
}

#[test]
fn no_machine_is_named() -> Result<(), Broken> {
    clean(files().iter().flat_map(check_paths).collect())
}

#[test]
fn named_pages_exist() -> Result<(), Broken> {
    let files = files();
    let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
    let named = |f: &TextFile| match f.extension() {
        "rs" => check_references(&f.path, &Source::new(&f.path, &f.text).comments, &paths),
        "md" | "proto" | "toml" | "service" | "Makefile" => {
            check_references(&f.path, &f.text, &paths)
        }
        _ => Vec::new(),
    };
    clean(
        files
            .iter()
            .filter(|f| !f.path.starts_with("tests/architecture/"))
            .flat_map(named)
            .collect(),
    )
}

#[test]
fn proto_files_lie_in_their_package() -> Result<(), Broken> {
    let files = files();
    let protos: Vec<&TextFile> = files.iter().filter(|f| f.extension() == "proto").collect();
    assert!(!protos.is_empty(), "no proto file was found");
    clean(protos.into_iter().filter_map(check_proto).collect())
}

#[test]
fn units_stay_hardened() -> Result<(), Broken> {
    let files = files();
    let services: Vec<&TextFile> = files.iter().filter(|f| f.extension() == "service").collect();
    assert!(services.len() >= 2, "deploy/ has fewer than two units");
    clean(services.into_iter().flat_map(units::check).collect())
}
