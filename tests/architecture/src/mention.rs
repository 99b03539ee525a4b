//! Names that only some folders may use: each rule is a line in a table.

use crate::report::{Finding, Rule};
use crate::source::{Source, line_at, words};

/// Where the rule looks for its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// In code, blind to comments and literals.
    Code,
    /// At the beginning of string literals.
    Literals,
    /// In comments.
    Comments,
}

/// Names, and the places that may use them.
#[derive(Debug, Clone, Copy)]
pub struct Mention {
    /// What a finding says.
    pub rule: Rule,
    /// Where to look.
    pub look: Look,
    /// The names; a name that begins or ends as an identifier matches whole identifiers only.
    pub names: &'static [&'static str],
    /// Beginnings of paths that the rule applies to.
    pub within: &'static [&'static str],
    /// Beginnings of paths that may use the names.
    pub allowed: &'static [&'static str],
    /// Whether tests may use the names anywhere.
    pub tests_too: bool,
}

/// Folders with Rust of ours.
const EVERYWHERE: &[&str] = &["crates/", "services/", "tests/"];
/// This crate quotes what it looks for.
const SELF: &str = "tests/architecture/";
/// Crates that know no machine.
const PURE: &[&str] = &[
    "crates/domain/src/",
    "crates/evidence/src/",
    "crates/replication/src/",
    "crates/generator/src/",
    "crates/wire/src/",
    "crates/ui/src/",
];

/// All rules of this kind.
pub const MENTIONS: &[Mention] = &[
    Mention {
        rule: Rule {
            name: "protobuf",
            says: "Only `wire` names protobuf.",
            remedy: "Use the functions of `wire`; add a conversion there if one is missing.",
        },
        look: Look::Code,
        names: &["prost::", "prost_types::", "tonic_prost::", "include_proto!", "prost_types"],
        within: EVERYWHERE,
        // The simulated network carries frames as bytes, as gRPC does elsewhere; fuzzing bends
        // such bytes.
        allowed: &[
            "crates/wire/",
            "tests/simulation/src/network.rs",
            "tests/fuzz/src/frames.rs",
            SELF,
        ],
        tests_too: true,
    },
    Mention {
        rule: Rule {
            name: "sql-text",
            says: "Only `projection::store` writes SQL.",
            remedy: "Move the statement into `projection::store` behind a typed query.",
        },
        look: Look::Literals,
        names: &[
            "SELECT ",
            "INSERT INTO ",
            "INSERT OR ",
            "UPDATE ",
            "DELETE FROM ",
            "CREATE TABLE ",
            "CREATE INDEX ",
            "CREATE UNIQUE ",
            "DROP TABLE ",
            "ALTER TABLE ",
            "PRAGMA ",
            "WITH RECURSIVE ",
        ],
        within: EVERYWHERE,
        allowed: &["crates/projection/src/store", SELF],
        tests_too: true,
    },
    Mention {
        rule: Rule {
            name: "wall-clock",
            says: "Only `node::clock` reads the wall clock.",
            remedy: "Take the time as an argument; in a node, ask its clock.",
        },
        look: Look::Code,
        names: &["SystemTime::now"],
        within: EVERYWHERE,
        allowed: &["crates/node/src/clock", "crates/testkit/", "tests/"],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "hidden-clock",
            says: "Libraries do not read a clock through another crate's door either.",
            remedy: "Take the time as an argument; in a node, ask its clock.",
        },
        look: Look::Code,
        names: &["Timestamp::now", "Zoned::now", "ZonedDateTime::now"],
        within: &["crates/"],
        allowed: &["crates/node/src/clock", "crates/testkit/"],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "hidden-ids",
            says: "Libraries make no ids of time and chance; `node` does.",
            remedy: "Take the id as an argument.",
        },
        look: Look::Code,
        names: &["Uuid::now_v7", "Uuid::new_v4"],
        within: &["crates/"],
        allowed: &["crates/node/", "crates/testkit/"],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "spawn",
            says: "Only `node::supervisor` spawns tasks.",
            remedy: "Give the supervisor a task with a kind: it knows what its failure means.",
        },
        look: Look::Code,
        names: &["tokio::spawn", "task::spawn", "task::spawn_local"],
        within: EVERYWHERE,
        allowed: &["crates/node/src/supervisor", "crates/testkit/", "tests/"],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "unbounded",
            says: "Every queue is bounded.",
            remedy: "Use a bounded channel and write down why its size is right.",
        },
        look: Look::Code,
        names: &["unbounded_channel", "mpsc::channel()"],
        within: EVERYWHERE,
        allowed: &[SELF],
        tests_too: true,
    },
    Mention {
        rule: Rule {
            name: "pure",
            says: "Pure crates see no disk, network, thread, environment or running clock.",
            remedy: "Let `node` do it and pass the result in.",
        },
        look: Look::Code,
        names: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::process",
            "Instant::now",
            "tokio::",
            "thread_rng",
            "rand::rng()",
            "SysRng",
        ],
        within: PURE,
        allowed: &[],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "print",
            says: "Libraries do not print.",
            remedy: "Return the value, or emit a `tracing` event without payload.",
        },
        look: Look::Code,
        names: &["println!", "eprintln!", "print!", "eprint!"],
        within: &["crates/"],
        // What both binaries run: its ready line and its last word are its interface.
        allowed: &["crates/testkit/", "crates/wire/build.rs", "crates/node/src/run.rs"],
        tests_too: false,
    },
    Mention {
        rule: Rule {
            name: "exit",
            says: "Only a service decides to end its process.",
            remedy: "Return an error that says what happened; the service turns it into a status.",
        },
        look: Look::Code,
        names: &["process::exit", "process::abort"],
        within: EVERYWHERE,
        allowed: &["services/", SELF],
        tests_too: true,
    },
    Mention {
        rule: Rule {
            name: "unfinished",
            says: "No stub is committed.",
            remedy: "Write the thing, or leave it out together with what would call it.",
        },
        look: Look::Code,
        names: &["todo!", "unimplemented!", "dbg!"],
        within: EVERYWHERE,
        allowed: &[SELF],
        tests_too: true,
    },
    Mention {
        rule: Rule {
            name: "reminder",
            says: "No reminder is left in a comment.",
            remedy: "Do it, or file an issue and say in the comment what holds today.",
        },
        look: Look::Comments,
        names: &["TODO", "FIXME", "XXX", "HACK", "Placeholder"],
        within: EVERYWHERE,
        allowed: &[SELF],
        tests_too: true,
    },
];

/// Places of the source that break the rule.
pub fn check(rule: &Mention, source: &Source) -> Vec<Finding> {
    let applies = starts_with_any(&source.path, rule.within);
    if !applies || starts_with_any(&source.path, rule.allowed) {
        return Vec::new();
    }
    let mut places: Vec<(usize, &str)> = Vec::new();
    for name in rule.names {
        match rule.look {
            Look::Code => places.extend(lines_with(&source.code, name).map(|line| (line, *name))),
            Look::Comments => {
                places.extend(lines_with(&source.comments, name).map(|line| (line, *name)));
            }
            Look::Literals => {
                let hits = source.literals.iter().filter(|l| l.text.trim_start().starts_with(name));
                places.extend(hits.map(|l| (l.line, *name)));
            }
        }
    }
    places.retain(|(line, _)| rule.tests_too || !source.is_test(*line));
    places.sort_unstable_by_key(|(line, name)| (*line, std::cmp::Reverse(name.len())));
    places.dedup_by_key(|(line, _)| *line);
    let finding = |(line, name): (usize, &str)| {
        let what = format!("`{}`", name.trim_end());
        Finding::new(rule.rule, format!("{}:{line}", source.path), what)
    };
    places.into_iter().map(finding).collect()
}

fn starts_with_any(path: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|b| path.starts_with(b))
}

/// Lines of `text` with `name` as a whole word.
fn lines_with<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    words(text, name).map(|at| line_at(text, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(&'static str, String)> {
        let source = Source::new(path, text);
        let findings = MENTIONS.iter().flat_map(|rule| check(rule, &source));
        findings.map(|f| (f.rule.name, f.place)).collect()
    }

    fn names(path: &str, text: &str) -> Vec<&'static str> {
        found(path, text).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn every_rule_can_fail() {
        let cases = [
            ("protobuf", "crates/node/src/a.rs", "use prost::Message;"),
            ("protobuf", "services/operator/src/a.rs", "tonic::include_proto!(\"x\");"),
            ("sql-text", "crates/node/src/a.rs", "let q = \"\n  SELECT 1\";"),
            ("wall-clock", "crates/node/src/decide.rs", "let t = SystemTime::now();"),
            ("hidden-clock", "crates/journal/src/a.rs", "let t = jiff::Timestamp::now();"),
            ("hidden-ids", "crates/journal/src/a.rs", "let i = Uuid::now_v7();"),
            ("spawn", "crates/node/src/outbound.rs", "tokio::spawn(async {});"),
            ("unbounded", "crates/node/src/a.rs", "mpsc::unbounded_channel()"),
            ("pure", "crates/domain/src/a.rs", "std::fs::read(p)"),
            ("print", "crates/vault/src/a.rs", "println!(\"x\")"),
            ("exit", "crates/node/src/a.rs", "std::process::exit(1)"),
            ("unfinished", "services/region/src/main.rs", "todo!()"),
            ("reminder", "crates/vault/src/a.rs", "// TODO: later"),
        ];
        for (name, path, text) in cases {
            assert_eq!(names(path, text), [name], "{path}: {text}");
        }
        let tried: Vec<_> = cases.iter().map(|c| c.0).collect();
        assert!(MENTIONS.iter().all(|rule| tried.contains(&rule.rule.name)));
    }

    #[test]
    fn the_owner_may_use_its_names() {
        assert!(names("crates/wire/src/a.rs", "use prost::Message;").is_empty());
        assert!(names("crates/projection/src/store/a.rs", "query(\"SELECT 1\")").is_empty());
        assert!(names("crates/node/src/clock.rs", "SystemTime::now()").is_empty());
        assert!(names("crates/node/src/supervisor.rs", "tokio::spawn(f)").is_empty());
        assert!(names("tests/end_to_end/tests/a.rs", "tokio::spawn(f)").is_empty());
    }

    #[test]
    fn comments_literals_and_longer_names_do_not_count() {
        assert!(names("crates/node/src/a.rs", "// tokio::spawn\nlet a = \"todo!\";").is_empty());
        assert!(names("crates/node/src/a.rs", "my_todo!(); eprost::x(); TODOS").is_empty());
        assert!(names("crates/node/src/a.rs", "let a = \"UPDATED\"; // selected").is_empty());
    }

    #[test]
    fn tests_are_spared_only_where_the_rule_says_so() {
        let in_test = |body: &str| format!("#[cfg(test)]\nmod tests {{\n{body}\n}}");
        assert!(names("crates/vault/src/a.rs", &in_test("println!();")).is_empty());
        assert_eq!(names("crates/vault/src/a.rs", &in_test("todo!();")), ["unfinished"]);
    }

    #[test]
    fn a_line_is_named_once() {
        let hits = found("crates/node/src/a.rs", "\nprost_types::Timestamp");
        assert_eq!(hits, [("protobuf", "crates/node/src/a.rs:2".to_owned())]);
    }
}
