//! The lines of a note, judged by the policy of its log.

use std::collections::BTreeMap;

use evidence::checkpoint::verify_cosignature;
use evidence::note::{NoteError, NoteSignature, SignedNote, Verifier};
use evidence::policy::{Missing, Policy};

use super::NotesError;
use crate::link::store::Head;

/// What the policy misses on a note.
pub(super) fn judged(head: &Head, policy: &Policy) -> Option<Missing> {
    let nothing = || {
        let name = policy.quorum()?.clone();
        Some(Missing::Witness(name))
    };
    let Ok(note) = SignedNote::parse(&current(head, policy).note) else { return nothing() };
    match policy.evaluate(&note) {
        Ok(evaluation) => evaluation.missing,
        // The log's key was enrolled anew: it proves nothing under the present policy.
        Err(_) => nothing(),
    }
}

pub(super) fn is_of(line: &NoteSignature, key: &Verifier) -> bool {
    key.name() == line.name() && key.key_id() == line.key_id()
}

/// Whether a line is of a key that the policy has under another key of the same name: the office
/// was enrolled anew, the line proves nothing any more and must not stand in the way of a new one.
fn is_outdated(line: &NoteSignature, policy: &Policy) -> bool {
    let logs = policy.logs().iter().map(|log| &log.key);
    let witnesses = policy.witnesses().iter().map(|witness| &witness.key);
    let mut keys = logs.chain(witnesses).filter(|key| key.name() == line.name()).peekable();
    keys.peek().is_some() && !keys.any(|key| is_of(line, key))
}

/// The head without lines of keys that were replaced.
pub(super) fn current(head: &Head, policy: &Policy) -> Head {
    let Ok(note) = SignedNote::parse(&head.note) else { return head.clone() };
    let lines = note.signatures().iter();
    match lines.clone().any(|line| is_outdated(line, policy)) {
        false => head.clone(),
        true => {
            let kept = rebuilt(note.text(), lines.filter(|line| !is_outdated(line, policy)));
            let note = kept.map_or_else(|_| head.note.clone(), |note| note.to_string());
            Head { note, ..head.clone() }
        }
    }
}

/// The note with the signature lines of the policy's log keys alone.
pub(super) fn bare(note: &SignedNote, policy: &Policy) -> Result<SignedNote, NoteError> {
    let ours = |line: &&NoteSignature| policy.logs().iter().any(|log| is_of(line, &log.key));
    let lines: Vec<&NoteSignature> = note.signatures().iter().filter(ours).collect();
    match lines.is_empty() {
        true => Err(NoteError::NotSigned),
        false => rebuilt(note.text(), lines.into_iter()),
    }
}

fn rebuilt<'a>(
    text: &str,
    lines: impl Iterator<Item = &'a NoteSignature>,
) -> Result<SignedNote, NoteError> {
    let lines: String = lines.map(ToString::to_string).collect();
    SignedNote::parse(&format!("{text}\n{lines}"))
}

/// The note with these lines too, the log's own first, the others by name; and whether one of them
/// was passed over, because its key is not in the policy.
pub(super) fn with_lines(
    note: SignedNote,
    lines: &[String],
    policy: &Policy,
) -> Result<(String, bool), NotesError> {
    let mut stranger = false;
    // An office whose new key waits has lines of two keys under one name.
    let mut all: BTreeMap<(bool, String, u32), NoteSignature> = BTreeMap::new();
    let is_log =
        |line: &NoteSignature| policy.logs().iter().any(|log| log.key.name() == line.name());
    for line in note.signatures().iter().filter(|line| !is_outdated(line, policy)) {
        all.insert((!is_log(line), line.name().to_owned(), line.key_id()), line.clone());
    }
    for text in lines {
        let line: NoteSignature = text.parse()?;
        let mut keys = policy.witnesses().iter().map(|witness| &witness.key);
        let key = keys.find(|key| is_of(&line, key));
        // Who is not in the policy proves nothing under it: the line is passed over.
        let Some(key) = key else {
            stranger |= !is_log(&line);
            continue;
        };
        let other = |_| NotesError::OtherHead { name: line.name().to_owned() };
        verify_cosignature(note.text(), text, key).map_err(other)?;
        all.entry((true, line.name().to_owned(), line.key_id())).or_insert(line);
    }
    Ok((rebuilt(note.text(), all.values())?.to_string(), stranger))
}
