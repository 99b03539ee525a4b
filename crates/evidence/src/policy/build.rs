//! Policies line by line, each line checked against those above it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MAX_GROUPS, MAX_LOGS, MAX_WITNESSES, NONE, Policy, PolicyGroup, PolicyLog, PolicyProblem,
    PolicyWitness, Threshold, Word,
};
use crate::note::{Kind, Verifier};

/// A policy that is being written, from the top to the bottom.
#[derive(Debug, Default)]
pub struct PolicyBuilder {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<PolicyGroup>,
    quorum: Option<Option<Word>>,
    log_keys: BTreeSet<[u8; 32]>,
    witness_keys: BTreeSet<[u8; 32]>,
    /// Every defined name, and whether it is a member of a group.
    names: BTreeMap<Word, bool>,
}

impl PolicyBuilder {
    /// Adds `log <vkey> [<url>]`.
    ///
    /// # Errors
    /// [`PolicyProblem::KeyKind`], [`PolicyProblem::DuplicateKey`] or [`PolicyProblem::TooMany`].
    pub fn log(&mut self, key: Verifier, url: Option<Word>) -> Result<&mut Self, PolicyProblem> {
        room(self.logs.len(), MAX_LOGS)?;
        expect(&key, Kind::Log)?;
        if !self.log_keys.insert(*key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        self.logs.push(PolicyLog { key, url });
        Ok(self)
    }

    /// Adds `witness <name> <vkey> [<url>]`.
    ///
    /// # Errors
    /// As [`PolicyBuilder::log`], and [`PolicyProblem::NameTaken`].
    pub fn witness(
        &mut self,
        name: Word,
        key: Verifier,
        url: Option<Word>,
    ) -> Result<&mut Self, PolicyProblem> {
        room(self.witnesses.len(), MAX_WITNESSES)?;
        expect(&key, Kind::Cosigner)?;
        if self.witness_keys.contains(key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        self.define(&name)?;
        self.witness_keys.insert(*key.public_key());
        self.witnesses.push(PolicyWitness { name, key, url });
        Ok(self)
    }

    /// Adds `group <name> any|all|<k> <member>...`.
    ///
    /// # Errors
    /// [`PolicyProblem::Threshold`], [`PolicyProblem::Undefined`], [`PolicyProblem::MemberTwice`],
    /// [`PolicyProblem::NameTaken`] or [`PolicyProblem::TooMany`].
    pub fn group(
        &mut self,
        name: Word,
        threshold: Threshold,
        members: Vec<Word>,
    ) -> Result<&mut Self, PolicyProblem> {
        room(self.groups.len(), MAX_GROUPS)?;
        if !(1..=members.len()).contains(&threshold.needed(members.len())) {
            return Err(PolicyProblem::Threshold);
        }
        for (i, member) in members.iter().enumerate() {
            let taken = *self.names.get(member).ok_or(PolicyProblem::Undefined)?;
            if taken || members[..i].contains(member) {
                return Err(PolicyProblem::MemberTwice);
            }
        }
        self.define(&name)?;
        self.names.extend(members.iter().map(|member| (member.clone(), true)));
        self.groups.push(PolicyGroup { name, threshold, members });
        Ok(self)
    }

    /// Adds `quorum <name>`, or `quorum none`.
    ///
    /// # Errors
    /// [`PolicyProblem::Undefined`] or [`PolicyProblem::SecondQuorum`].
    pub fn quorum(&mut self, name: Option<Word>) -> Result<&mut Self, PolicyProblem> {
        if self.quorum.is_some() {
            return Err(PolicyProblem::SecondQuorum);
        }
        if name.as_ref().is_some_and(|name| !self.names.contains_key(name)) {
            return Err(PolicyProblem::Undefined);
        }
        self.quorum = Some(name);
        Ok(self)
    }

    /// The policy.
    ///
    /// # Errors
    /// [`PolicyProblem::NoQuorum`].
    pub fn build(self) -> Result<Policy, PolicyProblem> {
        let quorum = self.quorum.ok_or(PolicyProblem::NoQuorum)?;
        let Self { logs, witnesses, groups, .. } = self;
        Ok(Policy { logs, witnesses, groups, quorum })
    }

    /// Takes a name of the one space of witnesses and groups.
    fn define(&mut self, name: &Word) -> Result<(), PolicyProblem> {
        if name.as_bytes() == NONE || self.names.contains_key(name) {
            return Err(PolicyProblem::NameTaken);
        }
        self.names.insert(name.clone(), false);
        Ok(())
    }
}

/// Refuses one more than `limit`.
fn room(have: usize, limit: usize) -> Result<(), PolicyProblem> {
    if have < limit { Ok(()) } else { Err(PolicyProblem::TooMany { limit }) }
}

/// Refuses a key of the other kind.
fn expect(key: &Verifier, expected: Kind) -> Result<(), PolicyProblem> {
    if key.kind() == expected { Ok(()) } else { Err(PolicyProblem::KeyKind { expected }) }
}
