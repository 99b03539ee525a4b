//! `adal log get`: one record, and the proof that its log contains it, checked here.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::{Position, origin};
use evidence::merkle::verify_inclusion;
use evidence::note::Verifier;
use evidence::record::Record;
use identity::{PublicKeys, Trust};
use wire::pb::common::v1 as common;
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::get_record_request::Record as Wanted;

use super::whole_row;
use crate::connect::Way;
use crate::errors::{Failure, Outcome, chain};
use crate::output::{Cell, Output, Row, hex};

/// Which record to fetch.
#[derive(Debug, Args)]
#[command(after_help = "The record's bytes are hashed again here, and the inclusion proof is \
                        followed to the root. With --trust (logs of the centre) or --public \
                        (logs of an office) the signature of the head is checked too.\n\n\
                        Examples:\n  adal log get kz-75:1:42 --public kz-75/public.toml\n  \
                        adal log get 0190163d-8694-739b-aea5-966c26f8ad91 --out record.bin")]
pub struct GetArgs {
    /// log:epoch:sequence, log:sequence (newest epoch), or the id of the event.
    #[arg(value_name = "POSITION-or-EVENT-ID")]
    record: String,
    /// Write the record's exact bytes to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// trust.toml of the installation: the key of the centre's logs.
    #[arg(long, value_name = "FILE", conflicts_with = "public")]
    trust: Option<PathBuf>,
    /// public.toml of the office that writes the log.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

/// What was checked of a record, and came out right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where the record is, by its own header.
    pub position: Position,
    /// Its leaf hash, computed here.
    pub leaf: Hash,
    /// Size of the tree that the proof leads to.
    pub tree_size: u64,
    /// Its root.
    pub root: Hash,
    /// What is known of the signed head.
    pub head: Head,
}

/// What is known of the head over a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// No signed head covers the record yet.
    None,
    /// The head has this root; its signature was not checked.
    Unchecked,
    /// The head has this root, and the log's key signed it.
    Signed,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no signed head covers the record yet",
            Self::Unchecked => {
                "a head with this root is there; its signature was not checked (give --trust or \
                 --public)"
            }
            Self::Signed => "the log's key signed a head with this root: checked here",
        })
    }
}

/// Carries it out.
///
/// # Errors
/// The node refused; [`crate::errors::Exit::Bad`] where a check fails.
pub async fn run(args: &GetArgs, way: &Way, output: Output) -> Outcome {
    let request = pb::GetRecordRequest { record: Some(wanted(&args.record)?) };
    let mut client = way.operator().await?;
    let answer = client.get_record(request).await?.into_inner();
    let checked = check(&answer, |domain, position| key(args, domain, position))?;
    if let Some(path) = &args.out {
        fs::write(path, &answer.record)
            .map_err(|error| Failure::wrong(format!("write {}", path.display()), &error))?;
    }
    let mut row = whole_row(&answer.summary.clone().unwrap_or_default());
    row.extend(checked_row(&checked));
    output.one(&row)
}

fn checked_row(checked: &Checked) -> Row {
    let leaf = "computed again from the bytes here: equal";
    let proof = format!(
        "record {} is in the tree of {} records with root {}: checked here",
        checked.position.seq,
        checked.tree_size,
        hex(&checked.root)
    );
    vec![
        ("leaf_check", Cell::text(leaf)),
        ("inclusion_check", Cell::text(proof)),
        ("head_check", Cell::text(checked.head.to_string())),
    ]
}

/// How the command line names a record.
///
/// # Errors
/// It is neither a position nor an event id.
pub fn wanted(text: &str) -> Outcome<Wanted> {
    if let Ok(id) = text.parse::<uuid::Uuid>() {
        return Ok(Wanted::EventId(id.to_string()));
    }
    let (log, epoch, sequence) = position(text)?;
    Ok(Wanted::Position(common::Position { log, epoch, sequence }))
}

/// Log, epoch (0 = the newest) and sequence of `log:epoch:sequence` or `log:sequence`.
///
/// # Errors
/// The text has another form.
pub fn position(text: &str) -> Outcome<(String, u32, u64)> {
    if let Ok(position) = text.parse::<Position>() {
        return Ok((position.log.to_string(), position.epoch, position.seq));
    }
    let short = text.split_once(':').and_then(|(log, seq)| {
        let log = evidence::log::LogName::new(log).ok()?;
        Some((log.to_string(), 0, seq.parse().ok()?))
    });
    short.ok_or_else(|| {
        Failure::usage(format!(
            "{text:?} names no record; write log:epoch:sequence (kz-75:1:42), log:sequence, or \
             the id of the event"
        ))
    })
}

/// The key of the log, from the files that the person named.
fn key(args: &GetArgs, domain: &str, position: &Position) -> Outcome<Option<Verifier>> {
    let public = match (&args.trust, &args.public) {
        (Some(path), _) => Trust::load(path)?.centre.log,
        (None, Some(path)) => PublicKeys::load(path)?.log,
        (None, None) => return Ok(None),
    };
    let name = origin(domain, &position.log, position.epoch);
    Verifier::log(&name, &public)
        .map(Some)
        .map_err(|error| Failure::wrong("read the log's key", &error))
}

/// Checks an answer: bytes, leaf hash, inclusion proof, head. `key` gives the log's key for a
/// domain and position, where it is known.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] naming the check that failed.
pub fn check(
    answer: &pb::GetRecordResponse,
    key: impl FnOnce(&str, &Position) -> Outcome<Option<Verifier>>,
) -> Outcome<Checked> {
    let bad = |what: String| Failure::bad(format!("the record is not what the node says: {what}"));
    let record = Record::parse(answer.record.clone())
        .map_err(|error| bad(format!("its bytes are malformed: {}", chain(&error))))?;
    let position = record.header().position();
    let summary = answer.summary.as_ref();
    let said = summary.and_then(|summary| summary.position.clone()).unwrap_or_default();
    if (said.log.as_str(), said.epoch, said.sequence)
        != (position.log.as_str(), position.epoch, position.seq)
    {
        return Err(bad(format!("its header says {position}")));
    }
    let leaf = record.leaf_hash();
    if summary.is_none_or(|summary| summary.leaf_hash != leaf) {
        return Err(bad("its leaf hash is another one".to_owned()));
    }
    let root = hash(&answer.root).ok_or_else(|| bad("the root is no hash".to_owned()))?;
    let proof: Option<Vec<Hash>> = answer.inclusion_proof.iter().map(|h| hash(h)).collect();
    let proof = proof.ok_or_else(|| bad("the proof holds something else than hashes".into()))?;
    verify_inclusion(position.seq, answer.tree_size, &leaf, &proof, &root)
        .map_err(|error| bad(format!("the inclusion proof does not hold: {}", chain(&error))))?;
    let head = head(answer, root, &position, key).map_err(|failure| match failure.exit {
        crate::errors::Exit::Bad => bad(failure.text),
        _ => failure,
    })?;
    Ok(Checked { position, leaf, tree_size: answer.tree_size, root, head })
}

fn head(
    answer: &pb::GetRecordResponse,
    root: Hash,
    position: &Position,
    key: impl FnOnce(&str, &Position) -> Outcome<Option<Verifier>>,
) -> Outcome<Head> {
    if answer.head.is_empty() {
        return Ok(Head::None);
    }
    let malformed = |error: &dyn std::error::Error| {
        Failure::bad(format!("its signed head does not verify: {}", chain(error)))
    };
    let claimed = Checkpoint::parse(&answer.head).map_err(|error| malformed(&error))?;
    let (domain, _) = claimed.origin.split_once("/log/").unwrap_or_default();
    if claimed.origin != origin(domain, &position.log, position.epoch) {
        return Err(Failure::bad("its signed head is of another log"));
    }
    if (claimed.size, claimed.root) != (answer.tree_size, root) {
        return Err(Failure::bad("its signed head has another size or root than the proof"));
    }
    match key(domain, position)? {
        None => Ok(Head::Unchecked),
        Some(key) => {
            Checkpoint::open(&answer.head, &key).map_err(|error| malformed(&error))?;
            Ok(Head::Signed)
        }
    }
}

fn hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use evidence::merkle::Frontier;
    use evidence::note::Signer;

    use super::*;
    use crate::errors::Exit;

    /// A log of one record with a signed head over it, as a node would answer.
    fn answer() -> (pb::GetRecordResponse, Signer) {
        let fixture = include_bytes!("../../../../tests/compatibility/fixtures/record_v1.bin");
        let parsed = Record::parse(fixture.to_vec()).unwrap();
        let mut draft = parsed.to_draft();
        draft.header.seq = 0;
        let record = draft.into_record().unwrap();
        let position = record.header().position();
        let mut frontier = Frontier::default();
        frontier.append(record.leaf_hash());
        let name = origin("adal.example", &position.log, position.epoch);
        let signer = Signer::log(&name, &[7; 32]).unwrap();
        let root = frontier.root();
        let head = Checkpoint { origin: name, size: 1, root }.sign(&signer).unwrap();
        let answer = pb::GetRecordResponse {
            summary: Some(wire::record_summary(&record)),
            record: record.into_bytes(),
            tree_size: 1,
            root: root.to_vec(),
            inclusion_proof: Vec::new(),
            head,
        };
        (answer, signer)
    }

    #[test]
    fn a_true_answer_passes_with_its_signature() {
        let (answer, signer) = answer();
        let checked = check(&answer, |_, _| Ok(Some(signer.verifier()))).unwrap();
        assert_eq!((checked.head, checked.tree_size), (Head::Signed, 1));
        assert_eq!(check(&answer, |_, _| Ok(None)).unwrap().head, Head::Unchecked);
        let bare = pb::GetRecordResponse { head: String::new(), ..answer };
        assert_eq!(check(&bare, |_, _| Ok(None)).unwrap().head, Head::None);
    }

    #[test]
    fn every_lie_is_found() {
        let (answer, _) = answer();
        let fails = |change: &dyn Fn(&mut pb::GetRecordResponse), word: &str| {
            let mut changed = answer.clone();
            change(&mut changed);
            let failure = check(&changed, |_, _| Ok(None)).unwrap_err();
            assert_eq!(failure.exit, Exit::Bad);
            assert!(failure.text.contains(word), "{failure}");
        };
        fails(&|a| *a.record.last_mut().unwrap() ^= 1, "leaf hash");
        fails(&|a| a.root[0] ^= 1, "inclusion proof");
        fails(&|a| a.inclusion_proof = vec![vec![0; 31]], "hashes");
        fails(&|a| a.record.truncate(40), "malformed");
        fails(&|a| a.summary.as_mut().unwrap().position.as_mut().unwrap().sequence = 9, "header");
        fails(&|a| a.head = a.head.replace("\n1\n", "\n2\n"), "size or root");
        fails(&|a| a.head = "nothing".into(), "signed head");
        let other = Signer::log("adal.example/log/other", &[8; 32]).unwrap();
        let failure = check(&answer, |_, _| Ok(Some(other.verifier()))).unwrap_err();
        assert!(failure.text.contains("does not verify"), "{failure}");
    }

    #[test]
    fn ways_to_name_a_record() {
        assert_eq!(position("kz-75:1:42").unwrap(), ("kz-75".to_owned(), 1, 42));
        assert_eq!(position("kz/all:7").unwrap(), ("kz/all".to_owned(), 0, 7));
        assert!(position("KZ-75:1").unwrap_err().text.contains("log:epoch:sequence"));
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert!(matches!(wanted(id).unwrap(), Wanted::EventId(text) if text == id));
    }
}
