//! The checkers, each with its verdict on a bundle.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use evidence::bundle::Files;
use evidence::policy::Policy;
use serde_json::Value;
use testkit::process::binary;

use crate::bundle::Bundle;
use crate::merkle;
use crate::tampering::Seen;

/// The Python of the system, for which Debian packages pyca/cryptography.
const PYTHON: &str = "/usr/bin/python3";

/// Where Debian's packages put Go's libraries.
const GOPATH: &str = "/usr/share/gocode";

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// `go/check.go`: `golang.org/x/mod/sumdb/note` and `tlog`.
    Go,
    /// `python/check.py`: RFC 9162 by hand, pyca/cryptography.
    Python,
    /// `evidence::bundle`, which is what `adal evidence verify` calls.
    Ours,
    /// `adal evidence verify` itself.
    Adal,
    /// The crate `ct-merkle`: trees and proofs only, no signatures.
    CtMerkle,
    /// `python/trees.py`: `pymerkle` and `sigstore` of PyPI; roots and inclusion only.
    Packages,
}

impl Judge {
    /// Those that need no node and no packages but the system's.
    pub const ALL: [Judge; 4] = [Judge::Go, Judge::Python, Judge::Ours, Judge::CtMerkle];

    /// What the matrix calls it.
    pub fn name(self) -> &'static str {
        match self {
            Judge::Go => "go",
            Judge::Python => "python",
            Judge::Ours => "ours",
            Judge::Adal => "adal",
            Judge::CtMerkle => "ct-merkle",
            Judge::Packages => "pypi",
        }
    }

    /// Whether it cannot see this kind of tampering.
    pub fn may_miss(self, seen: Seen) -> bool {
        match self {
            Judge::Go | Judge::Python | Judge::Ours | Judge::Adal => false,
            Judge::CtMerkle => seen == Seen::InText,
            // Of the trees it sees roots and inclusion proofs.
            Judge::Packages => true,
        }
    }

    /// Its verdict on the bundle in `dir` under the auditor's policy.
    pub fn verdict(self, dir: &Path, policy: &Path) -> Verdict {
        match self {
            Judge::Go => said(Command::new(go_checker()).args([dir, policy]).output().unwrap()),
            Judge::Python => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check.py");
                let arguments = [Path::new("-I"), &script, dir, policy];
                said(Command::new(PYTHON).args(arguments).output().unwrap())
            }
            Judge::Ours => ours(&Bundle::read(dir), &std::fs::read(policy).unwrap()),
            Judge::Adal => adal(dir, policy),
            Judge::Packages => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/trees.py");
                said(Command::new(packages()).arg(&script).args([dir, policy]).output().unwrap())
            }
            Judge::CtMerkle => merkle::verdict(&Bundle::read(dir)),
        }
    }
}

/// The refused files, each with the reason; none if the bundle was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Refused files.
    pub refused: BTreeMap<String, String>,
    /// Files that were looked at and are good.
    pub good: Vec<String>,
}

impl Verdict {
    /// Whether nothing was refused.
    pub fn accepted(&self) -> bool {
        self.refused.is_empty()
    }

    /// The first refused file whose path begins with one of `places`.
    pub fn refused_at(&self, places: &[String]) -> Option<(&String, &String)> {
        self.refused.iter().find(|(path, _)| places.iter().any(|place| path.starts_with(place)))
    }
}

/// The verdict of `evidence` itself.
fn ours(bundle: &Bundle, policy: &[u8]) -> Verdict {
    let policy = Policy::parse(policy).unwrap();
    let Ok(report) = evidence::bundle::verify(&Folder(bundle), &policy);
    let mut verdict = Verdict::default();
    for file in &report.files {
        match &file.verdict {
            evidence::bundle::Verdict::Accepted(_) => verdict.good.push(file.name.clone()),
            evidence::bundle::Verdict::Refused(why) => {
                verdict.refused.insert(file.name.clone(), why.to_string());
            }
        }
    }
    for origin in &report.origins {
        if let Some(why) = &origin.refusal {
            verdict.refused.insert(format!("checkpoints/ of {}", origin.origin), why.to_string());
        }
    }
    assert_eq!(report.is_accepted(), verdict.accepted(), "the report contradicts itself");
    verdict
}

/// The verdict of the operator's tool.
fn adal(dir: &Path, policy: &Path) -> Verdict {
    let mut command = Command::new(binary("adal").unwrap());
    command.args(["evidence", "verify", "--json"]).arg(dir).arg("--policy").arg(policy);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut verdict = Verdict::default();
    for line in str::from_utf8(&output.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let place = if row["of"] == "log" { "checkpoints/ of " } else { "" };
        match row["verdict"].as_str() {
            Some("accepted") => verdict.good.push(text("name")),
            _ => drop(verdict.refused.insert(format!("{place}{}", text("name")), text("says"))),
        }
    }
    let code = i32::from(!verdict.accepted());
    assert_eq!(output.status.code(), Some(code), "adal evidence verify: {errors}");
    verdict
}

/// A Python with the packages of `python/requirements.txt`, installed once.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-venv");
        let python = place.join("bin/python");
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt");
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {why}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&place));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list));
        python
    })
}

/// A bundle as `evidence` reads it.
struct Folder<'a>(&'a Bundle);

impl Files for Folder<'_> {
    type Error = Infallible;

    fn names(&self) -> Result<Vec<String>, Infallible> {
        Ok(self.0.0.keys().cloned().collect())
    }

    fn read(&self, name: &str, _limit: usize) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.0[name].clone())
    }
}

/// Reads what a checker printed. Its exit status must say the same.
fn said(output: Output) -> Verdict {
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut verdict = Verdict::default();
    for line in text.lines() {
        let Some((word, (path, why))) =
            line.split_once(' ').and_then(|(word, rest)| Some((word, rest.split_once(": ")?)))
        else {
            continue;
        };
        match word {
            "ok" => verdict.good.push(path.to_owned()),
            "REFUSED" => drop(verdict.refused.insert(path.to_owned(), why.to_owned())),
            _ => panic!("the checker said: {line}"),
        }
    }
    let last = text.lines().last().unwrap_or_default();
    let (code, word) = if verdict.accepted() { (0, "accepted: ") } else { (1, "refused: ") };
    assert!(
        output.status.code() == Some(code) && last.starts_with(word),
        "the checker ended with {} and {last:?}: {errors}",
        output.status
    );
    verdict
}

/// Compiles `go/check.go` once, from Debian's packages alone: no module, no network.
fn go_checker() -> &'static Path {
    static CHECKER: OnceLock<PathBuf> = OnceLock::new();
    CHECKER.get_or_init(|| {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let checker = tmp.join("interop-check");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go/check.go");
        let built = Command::new("go")
            .args(["build", "-o"])
            .args([&checker, &source])
            .env("GO111MODULE", "off")
            .env("GOPATH", GOPATH)
            .env("GOCACHE", tmp.join("interop-gocache"))
            .env("CGO_ENABLED", "0")
            .output();
        let built = built
            .unwrap_or_else(|e| panic!("go cannot be run ({e}): `make test-packages` installs it"));
        assert!(
            built.status.success(),
            "go build: {}\nit needs golang-go and golang-golang-x-mod-dev: `make test-packages`",
            String::from_utf8_lossy(&built.stderr)
        );
        checker
    })
}

/// What the outside tools are, for the record.
pub fn versions() -> Vec<String> {
    let line = |command: &mut Command| {
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", ")
    };
    let python = "import sys, cryptography; \
                  print('Python', sys.version.split()[0]); \
                  print('cryptography', cryptography.__version__)";
    let package = "golang-golang-x-mod-dev ${Version}";
    vec![
        line(Command::new("go").arg("version")),
        line(Command::new("dpkg-query").args(["-W", "-f", package, "golang-golang-x-mod-dev"])),
        line(Command::new(PYTHON).args(["-c", python])),
        "ct-merkle 0.3".to_owned(),
    ]
}

/// The verdict on a bundle that is written to a folder of its own, with the auditor's policy
/// beside it.
pub fn judged(judge: Judge, bundle: &Bundle, policy: &str) -> Verdict {
    let dir = tempfile::tempdir().unwrap();
    let (folder, trust) = (dir.path().join("bundle"), dir.path().join("policy"));
    bundle.write(&folder);
    std::fs::write(&trust, policy).unwrap();
    judge.verdict(&folder, &trust)
}
