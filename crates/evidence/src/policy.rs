//! Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of them.
//!
//! A policy is a text of lines `log`, `witness`, `group` and `quorum`. A checkpoint is valid under
//! it if a listed log signed it and the quorum cosigned it ("What is a policy?"). The auditor keeps
//! his own copy; a policy that comes with what it is to judge proves nothing.
//!
//! Rules of the specification that are kept to the letter: items are divided by spaces and tabs
//! only, names are opaque octets, witnesses and groups share one name space in which `none` is
//! taken, a group or quorum names only what stands above it, each name is a member of at most one
//! group and there at most once, no public key is listed twice as a log or twice as a witness, and
//! there is exactly one quorum line.
//!
//! Narrower than the specification: log keys are of type `0x01` and witness keys of type `0x04`
//! (the only types that this crate verifies), the file ends with a newline, `k` has no leading
//! zero, and the limits below hold. This is the one format here with several spellings for one
//! content (comments, blanks, order of lines), so [`Policy::to_bytes`] gives the content's own
//! spelling, not the bytes that were read.

mod build;
mod evaluate;
mod parse;
mod roles;

use std::fmt;

use thiserror::Error;

use crate::note::{Kind, NoteError, Verifier};

pub use build::PolicyBuilder;
pub use evaluate::{Cosigned, Evaluation, Missing, PolicyRefusal};
pub use roles::{centre_policy, centre_quorum, reader_policy, region_policy};

/// Largest policy in bytes.
pub const MAX_POLICY: usize = 256 * 1024;

/// Most logs of a policy: offices times epochs and rotated keys (the format asks for 32).
pub const MAX_LOGS: usize = 1024;

/// Most witnesses of a policy (the format asks for 32).
pub const MAX_WITNESSES: usize = 256;

/// Most groups of a policy (the format asks for 32).
pub const MAX_GROUPS: usize = 256;

/// One item of a line, a name or a URL: octets without blanks and control characters, opaque
/// ("Character set"). Shown with U+FFFD for what is not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Box<[u8]>);

impl Word {
    /// Checks the octets: at least one, each of `0x21..=0x7e` or `0x80..=0xff`.
    ///
    /// # Errors
    /// [`PolicyProblem::Word`].
    pub fn new(octets: &[u8]) -> Result<Self, PolicyProblem> {
        let allowed = |octet: &u8| matches!(octet, 0x21..=0x7e | 0x80..=0xff);
        if octets.is_empty() || octets.len() > MAX_POLICY || !octets.iter().all(allowed) {
            return Err(PolicyProblem::Word);
        }
        Ok(Self(octets.into()))
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A line `log <vkey> [<url>]`. The name of the key is the origin of the log; a log with several
/// keys or epochs has several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key.
    pub key: Verifier,
    /// Where it is reached; nothing here uses it.
    pub url: Option<Word>,
}

/// A line `witness <name> <vkey> [<url>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// What groups and the quorum call it.
    pub name: Word,
    /// Its key.
    pub key: Verifier,
    /// Where it is reached; nothing here uses it.
    pub url: Option<Word>,
}

/// How many members of a group must have cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// `any`: one.
    Any,
    /// `all`: each.
    All,
    /// `<k>`: this many.
    AtLeast(usize),
}

impl Threshold {
    /// The number for a group of `members`.
    #[must_use]
    pub fn needed(self, members: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::All => members,
            Self::AtLeast(k) => k,
        }
    }
}

/// A line `group <name> any|all|<k> <member>...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyGroup {
    /// What other groups and the quorum call it.
    pub name: Word,
    /// How many of its members count as the group.
    pub threshold: Threshold,
    /// Witnesses and groups that stand above it.
    pub members: Vec<Word>,
}

/// A checked policy: every name is defined, above its use, and used as the format allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<PolicyGroup>,
    quorum: Option<Word>,
}

impl Policy {
    /// A policy to be filled line by line.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The logs in their order.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses in their order.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// The groups in their order: members stand before the groups that name them.
    #[must_use]
    pub fn groups(&self) -> &[PolicyGroup] {
        &self.groups
    }

    /// The witness or group that must have cosigned; `None` is `quorum none`.
    #[must_use]
    pub fn quorum(&self) -> Option<&Word> {
        self.quorum.as_ref()
    }

    /// The keys that may sign for an origin.
    pub fn keys_of<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = &'a Verifier> + Clone {
        self.logs.iter().map(|log| &log.key).filter(move |key| key.name() == origin)
    }

    /// Whether this policy accepts everything that `other` accepts for the same reasons: the same
    /// witnesses, groups and quorum, and at least its logs. An auditor's copy that has learnt later
    /// keys and epochs covers the older copy in a bundle.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let key = |w: &PolicyWitness| (w.name.clone(), w.key.to_string());
        let witnesses = |policy: &Self| {
            let mut keys: Vec<_> = policy.witnesses.iter().map(key).collect();
            keys.sort();
            keys
        };
        witnesses(self) == witnesses(other)
            && self.groups == other.groups
            && self.quorum == other.quorum
            && other.logs.iter().all(|log| self.logs.iter().any(|own| own.key == log.key))
    }

    /// The policy in its own spelling: logs, witnesses, groups, quorum, one space between items, no
    /// comments. [`Policy::parse`] gives the same policy.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for log in &self.logs {
            put_line(&mut out, &[b"log", log.key.to_string().as_bytes()], &log.url);
        }
        for witness in &self.witnesses {
            let key = witness.key.to_string();
            put_line(&mut out, &[b"witness", &witness.name.0, key.as_bytes()], &witness.url);
        }
        for group in &self.groups {
            let threshold = match group.threshold {
                Threshold::Any => "any".to_owned(),
                Threshold::All => "all".to_owned(),
                Threshold::AtLeast(k) => k.to_string(),
            };
            let mut items: Vec<&[u8]> = vec![b"group", &group.name.0, threshold.as_bytes()];
            items.extend(group.members.iter().map(Word::as_bytes));
            put_line(&mut out, &items, &None);
        }
        put_line(&mut out, &[b"quorum", self.quorum.as_ref().map_or(NONE, Word::as_bytes)], &None);
        out
    }
}

/// The name that is no witness and no group.
const NONE: &[u8] = b"none";

/// Items with one space between them and a newline.
fn put_line(out: &mut Vec<u8>, items: &[&[u8]], url: &Option<Word>) {
    let items = items.iter().copied().chain(url.as_ref().map(Word::as_bytes));
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(item);
    }
    out.push(b'\n');
}

/// Why a text is not a policy, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("policy line {line}: {problem}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: PolicyProblem,
}

/// What is wrong with a line of a policy, or with a policy that is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PolicyProblem {
    /// More than [`MAX_POLICY`] bytes.
    #[error("policy of {size} bytes, at most {MAX_POLICY} are allowed")]
    TooLarge {
        /// Size found, in bytes.
        size: usize,
    },
    /// A control character other than tab and newline.
    #[error("character {at} is a control character")]
    Control {
        /// Its place in the line, from 1.
        at: usize,
    },
    /// No newline at the end: the file may be cut.
    #[error("the last line has no newline")]
    Unterminated,
    /// A line that begins with none of the four keywords.
    #[error("a line begins with log, witness, group or quorum")]
    Keyword,
    /// Too few or too many items for the keyword.
    #[error("a line is written `{form}`")]
    Items {
        /// How it is written.
        form: &'static str,
    },
    /// An item that is empty or has a blank or control character.
    #[error("a name or URL is empty or has a blank")]
    Word,
    /// The key is not a verifier key.
    #[error("{0}")]
    Key(NoteError),
    /// The key is of the other kind.
    #[error("the key is not that of a {expected}")]
    KeyKind {
        /// Kind needed.
        expected: Kind,
    },
    /// The public key stands on an earlier line of this kind, under whatever name.
    #[error("the public key stands on an earlier line")]
    DuplicateKey,
    /// The name is taken by an earlier line, or is `none`.
    #[error("the name is taken")]
    NameTaken,
    /// The name is not defined on an earlier line.
    #[error("a name is not defined above")]
    Undefined,
    /// The name is a member already, of this or another group.
    #[error("a name is a member of a group twice")]
    MemberTwice,
    /// `k` is not a decimal number of 1 to the number of members.
    #[error("the threshold is not any, all or a number from 1 to the number of members")]
    Threshold,
    /// A second quorum line.
    #[error("there is a quorum line already")]
    SecondQuorum,
    /// No quorum line.
    #[error("there is no quorum line")]
    NoQuorum,
    /// More lines of a kind than are allowed.
    #[error("more than {limit} lines of this kind")]
    TooMany {
        /// Lines allowed.
        limit: usize,
    },
}
