//! `adal evidence export`: the bundle that an auditor takes away, checked here before it is there.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use ::evidence::Hash;
use ::evidence::bundle::write::{self, Piece};
use ::evidence::checkpoint::Checkpoint;
use ::evidence::log::MAX_TREE_SIZE;
use ::evidence::note::{MAX_NOTE, SignedNote};
use ::evidence::policy::Policy;
use ::evidence::proof::TlogProof;
use ::evidence::witness::AddCheckpoint;
use clap::{ArgGroup, Args};
use tonic::transport::Channel;
use wire::pb::common::v1 as common;
use wire::pb::evidence::v1 as pb;
use wire::pb::evidence::v1::evidence_service_client::EvidenceServiceClient;
use wire::pb::evidence::v1::get_proof_request::Record as Wanted;

use super::folder::Writing;
use super::tiler::Tiler;
use super::{read_text, verify};
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::journal::{bar, interrupted, step};
use crate::output::{Cell, Output, Row};

/// What to export, and where to.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("entries").multiple(true)),
    after_help = "The folder holds the policy, the signed heads with their cosignatures, the \
                  proofs that each is the beginning of the next, and what the options add. It has \
                  no record and nothing personal: entries are commitments. What an auditor does \
                  with it is in the guide deploy/VERIFY.md.\n\nExit status 0: written, and \
                  accepted by the check of `adal evidence verify`; 1: what the node gave is \
                  refused, nothing is left; 2: the folder is not empty; 3: the node refused, or \
                  no head meets the policy yet.\n\nExamples:\n  \
                  adal --as auditor evidence export --log kz-75 --out kz-75-bundle --tiles\n  \
                  adal --as auditor evidence export --log kz/all --out all --leaves 0-99\n  \
                  adal --as auditor evidence export --log kz-75 --out new --from-checkpoint old"
)]
pub struct ExportArgs {
    /// Name of the log.
    #[arg(long, value_name = "ID")]
    log: String,
    /// Only this epoch [default: the heads of all, entries of the newest].
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
    /// Folder to make; if it is there, it must be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Add a copy of the whole log as tiles (C2SP tlog-tiles), about 16 MB for 100,000 records.
    #[arg(long)]
    tiles: bool,
    /// Add these entries, each with its receipt: FROM-TO, both included, or one sequence.
    #[arg(long, value_name = "FROM-TO", value_parser = sequences, group = "entries")]
    leaves: Option<RangeInclusive<u64>>,
    /// Add slips of these entries, as the counter hands them out; only its writer can.
    #[arg(long, value_name = "FROM-TO", value_parser = sequences, group = "entries")]
    slips: Option<RangeInclusive<u64>>,
    /// Put into receipts and slips what opens the records: codes, dates, numbers, who recorded.
    #[arg(long, requires = "entries")]
    openings: bool,
    /// Prove that a head that you have from earlier is the beginning of the log.
    #[arg(long, value_name = "FILE")]
    from_checkpoint: Option<PathBuf>,
}

/// `FROM-TO`, both included, or one sequence.
fn sequences(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let range = from.parse().ok().zip(to.parse().ok());
    let range = range.filter(|(from, to)| from <= to && *to < MAX_TREE_SIZE);
    let range = range.map(|(from, to): (u64, u64)| from..=to);
    range.ok_or_else(|| "write FROM-TO, such as 0-99, or one sequence".to_owned())
}

/// Carries it out.
///
/// # Errors
/// The node refused, no head meets the policy yet, what came is refused, the folder.
pub async fn run(args: &ExportArgs, way: &Way, output: Output) -> Outcome {
    let earlier = match &args.from_checkpoint {
        Some(path) => Some(earlier(path)?),
        None => None,
    };
    let mut export = Export { client: way.evidence().await?, log: args.log.clone(), files: 0 };
    let writing = Writing::begin(&args.out)?;
    let made = tokio::select! {
        made = export.write(args, earlier.as_ref(), &writing) => made,
        heard = tokio::signal::ctrl_c() => {
            heard.map_err(|error| Failure::wrong("listen for Ctrl-C", &error))?;
            Err(interrupted("nothing was exported"))
        }
    };
    let (policy, heads) = made?;
    let report = verify::check(writing.folder(), policy).await?;
    if !report.is_accepted() {
        let mut refused = report.refused().map(|(name, why)| format!("{name}: {why}"));
        let first = refused.next().unwrap_or_else(|| "there is no head".to_owned());
        return Err(Failure::bad(format!(
            "the bundle is refused, nothing was exported: {first} (and {} more)",
            refused.count()
        )));
    }
    writing.finish()?;
    for heads in vouched(&heads) {
        output.note(&format!(
            "epoch {} was closed before a head of it met the policy ({}); the epoch after it \
             vouches for its end",
            heads.epoch, heads.lacks
        ))?;
    }
    output.one(&row(args, &heads, export.files))
}

/// A head that the auditor has.
fn earlier(path: &std::path::Path) -> Outcome<SignedNote> {
    let read = |error| Failure::wrong(format!("read the head {}", path.display()), &error);
    let note = SignedNote::parse(&read_text(path, MAX_NOTE)?).map_err(read)?;
    Checkpoint::from_body(note.text()).map_err(read)?;
    Ok(note)
}

/// The heads of one epoch.
struct Heads {
    epoch: u32,
    /// All that are in the bundle, the smallest first.
    notes: Vec<(SignedNote, Checkpoint)>,
    /// The newest that meets the policy.
    complete: Option<(SignedNote, Checkpoint)>,
    /// What the largest one lacks of the policy, in words.
    lacks: String,
}

impl Heads {
    /// Those that the node has, and the auditor's.
    fn of(answer: pb::ListCheckpointsResponse, earlier: Option<&SignedNote>) -> Outcome<Self> {
        let mut complete = None;
        let mut notes: Vec<(SignedNote, Checkpoint)> = Vec::new();
        for row in &answer.checkpoints {
            let read = |error| Failure::wrong("read a head of the node", &error);
            let note = SignedNote::parse(&row.note).map_err(read)?;
            let head = Checkpoint::from_body(note.text()).map_err(read)?;
            if row.complete {
                complete = Some((note.clone(), head.clone()));
            }
            notes.push((note, head));
        }
        let lacks = answer.checkpoints.last().map_or_else(
            || "there is no signed head".to_owned(),
            |row| format!("that of {} records lacks {}", row.size, row.missing),
        );
        let theirs = earlier.and_then(|note| {
            let head = Checkpoint::from_body(note.text()).ok()?;
            let same = notes.iter().any(|(_, known)| known.origin == head.origin);
            same.then(|| (note.clone(), head))
        });
        if let Some((note, head)) = theirs {
            match notes.iter().find(|(_, known)| known.size == head.size) {
                Some((_, known)) if known.root != head.root => return Err(other_history(&head)),
                Some(_) => {}
                None if head.size > answer.held => return Err(cut(&head, &answer)),
                None => notes.push((note, head)),
            }
        }
        notes.sort_by_key(|(_, head)| head.size);
        Ok(Self { epoch: answer.epoch, notes, complete, lacks })
    }

    /// The newest head that meets the policy, which the newest epoch must have.
    fn complete(&self, log: &str) -> Outcome<&(SignedNote, Checkpoint)> {
        self.complete.as_ref().ok_or_else(|| {
            Failure::refused(format!(
                "NOT_READY: no head of {log} epoch {} meets its policy yet: {}",
                self.epoch, self.lacks
            ))
        })
    }
}

/// The auditor's head and the node's have one size and two roots.
fn other_history(head: &Checkpoint) -> Failure {
    Failure::bad(format!(
        "FORK: the node has another head of {} records than that of --from-checkpoint; have it \
         kept as evidence with `adal evidence compare`",
        head.size
    ))
}

/// The auditor's head covers records that the node does not have.
fn cut(head: &Checkpoint, answer: &pb::ListCheckpointsResponse) -> Failure {
    Failure::bad(format!(
        "the head of --from-checkpoint covers {} records of {} epoch {}, the node holds {}: it is \
         behind, or the end of the log was cut off; ask at the office that writes the log",
        head.size, answer.log, answer.epoch, answer.held
    ))
}

struct Export {
    client: EvidenceServiceClient<Channel>,
    log: String,
    files: u64,
}

impl Export {
    /// Writes everything; gives the policy and the heads.
    async fn write(
        &mut self,
        args: &ExportArgs,
        earlier: Option<&SignedNote>,
        writing: &Writing,
    ) -> Outcome<(Policy, Vec<Heads>)> {
        let request = pb::GetPolicyRequest { log: self.log.clone() };
        let policy = self.client.get_policy(request).await?.into_inner().policy;
        let policy = Policy::parse(policy.as_bytes())
            .map_err(|error| Failure::bad(format!("the node gave no policy: {error}")))?;
        self.put(writing, &write::policy(&policy))?;
        let newest = self.checkpoints(args.epoch.unwrap_or(0)).await?;
        let others = newest.epochs.iter().copied().filter(|epoch| *epoch != newest.epoch);
        let mut epochs: Vec<u32> = others.filter(|_| args.epoch.is_none()).collect();
        epochs.sort_unstable();
        let mut all = Vec::new();
        for epoch in epochs {
            all.push(Heads::of(self.checkpoints(epoch).await?, earlier)?);
        }
        all.push(Heads::of(newest, earlier)?);
        if let Some(newest) = all.last() {
            newest.complete(&self.log)?;
        }
        if let Some(note) = earlier {
            let found = |heads: &Heads| heads.notes.iter().any(|(n, _)| n.text() == note.text());
            if !all.iter().any(found) {
                return Err(Failure::usage(format!(
                    "the head of --from-checkpoint is of another log than {}",
                    self.log
                )));
            }
        }
        if let Some((heads, range)) = all.last_mut().zip(args.slips.clone()) {
            self.slips(writing, heads, range, args.openings).await?;
        }
        for heads in &all {
            self.heads(writing, heads).await?;
            self.beginning(writing, heads).await?;
        }
        if let Some(heads) = all.last() {
            if let Some(range) = &args.leaves {
                self.leaves(writing, heads, range.clone(), args.openings).await?;
            }
            if args.tiles {
                self.tiles(writing, heads).await?;
            }
        }
        Ok((policy, all))
    }

    fn put(&mut self, writing: &Writing, piece: &Piece) -> Outcome {
        self.files += 1;
        writing.put(piece)
    }

    async fn checkpoints(&mut self, epoch: u32) -> Outcome<pb::ListCheckpointsResponse> {
        let request = pb::ListCheckpointsRequest { log: self.log.clone(), epoch };
        Ok(self.client.list_checkpoints(request).await?.into_inner())
    }

    /// Every head, and the proof that it is the beginning of the largest.
    async fn heads(&mut self, writing: &Writing, heads: &Heads) -> Outcome {
        let Some((largest, last)) = heads.notes.last() else { return Ok(()) };
        for (note, head) in &heads.notes {
            let piece = write::checkpoint(note)
                .map_err(|error| Failure::wrong("read a head of the node", &error))?;
            self.put(writing, &piece)?;
            if head.size == last.size {
                continue;
            }
            let request = pb::GetConsistencyRequest {
                log: self.log.clone(),
                epoch: heads.epoch,
                old_size: head.size,
                new_size: last.size,
            };
            let answer = self.client.get_consistency(request).await?.into_inner();
            let proof: Option<Vec<Hash>> =
                answer.proof.iter().map(|hash| hash.as_slice().try_into().ok()).collect();
            let proof = proof.ok_or_else(|| Failure::bad("the node gave hashes that are none"))?;
            let request = AddCheckpoint::new(head.size, proof, largest.clone())
                .map_err(|error| Failure::bad(format!("the node's proof: {error}")))?;
            let name = format!("consistency/e{}-{}-{}", heads.epoch, head.size, last.size);
            self.put(writing, &Piece { name, bytes: request.to_string().into_bytes() })?;
        }
        Ok(())
    }

    /// The proof of the first record of a later epoch, which says where the one before ended; with
    /// its opening, which shows nothing but that.
    async fn beginning(&mut self, writing: &Writing, heads: &Heads) -> Outcome {
        let complete = heads.complete.as_ref();
        let head = complete.or(heads.notes.last()).filter(|(_, head)| head.size > 0);
        let Some((note, _)) = head.filter(|_| heads.epoch > 1) else { return Ok(()) };
        let proof = self.prove((heads.epoch, 0), Some(note), true).await?;
        let piece = match complete {
            Some(_) => write::receipt(&proof),
            None => write::slip(&proof),
        };
        self.put(writing, &piece)
    }

    /// Slips. Their heads go into the bundle as others do, with the proof that each is the
    /// beginning of the largest.
    async fn slips(
        &mut self,
        writing: &Writing,
        heads: &mut Heads,
        range: RangeInclusive<u64>,
        opening: bool,
    ) -> Outcome {
        for sequence in range {
            let proof = self.prove((heads.epoch, sequence), None, opening).await?;
            self.put(writing, &write::slip(&proof))?;
            let note = proof.checkpoint();
            let head = Checkpoint::from_body(note.text())
                .map_err(|error| Failure::wrong("read the head of a slip", &error))?;
            if heads.notes.iter().all(|(_, known)| known.size != head.size) {
                heads.notes.push((note.clone(), head));
            }
        }
        heads.notes.sort_by_key(|(_, head)| head.size);
        Ok(())
    }

    /// The proof of one entry under a head; without one, its slip.
    async fn prove(
        &mut self,
        (epoch, sequence): (u32, u64),
        note: Option<&SignedNote>,
        opening: bool,
    ) -> Outcome<TlogProof> {
        let position = common::Position { log: self.log.clone(), epoch, sequence };
        let kind = note.map_or(pb::ProofKind::Slip, |_| pb::ProofKind::Receipt);
        let request = pb::GetProofRequest {
            record: Some(Wanted::Position(position)),
            kind: kind.into(),
            opening,
            head: note.map(ToString::to_string).unwrap_or_default(),
        };
        let proof = self.client.get_proof(request).await?.into_inner().proof;
        TlogProof::parse(&proof)
            .map_err(|error| Failure::bad(format!("the proof of {sequence}: {error}")))
    }

    /// Entries, and the receipt of each under the newest head that meets the policy.
    async fn leaves(
        &mut self,
        writing: &Writing,
        heads: &Heads,
        range: RangeInclusive<u64>,
        opening: bool,
    ) -> Outcome {
        let (note, head) = heads.complete(&self.log)?;
        let (from, to) = (*range.start(), range.end() + 1);
        if to > head.size {
            return Err(Failure::refused(format!(
                "NOT_READY: the newest head of {} epoch {} that meets its policy covers the \
                 records up to {}; name others with --leaves",
                self.log,
                heads.epoch,
                head.size.saturating_sub(1)
            )));
        }
        let (bar, mut next) = (bar(), from);
        let mut pieces = self.read(heads.epoch, from, to).await?;
        while let Some(piece) = pieces.message().await? {
            for leaf in piece.leaves {
                let name = format!("leaves/{next}");
                self.put(writing, &Piece { name, bytes: leaf })?;
                // That of the first record of a later epoch is there already.
                if next > 0 || heads.epoch == 1 {
                    let proof = self.prove((heads.epoch, next), Some(note), opening).await?;
                    self.put(writing, &write::receipt(&proof))?;
                }
                next += 1;
                step(&bar, "receipts", next - from, to - from);
            }
        }
        bar.finish_and_clear();
        whole(next, to)
    }

    /// A copy of the log up to the newest head that meets the policy.
    async fn tiles(&mut self, writing: &Writing, heads: &Heads) -> Outcome {
        let (note, head) = heads.complete(&self.log)?;
        let wrong = |error| Failure::wrong("make a tile", &error);
        self.put(writing, &write::log_checkpoint(note))?;
        let (bar, mut next, mut tiler) = (bar(), 0, Tiler::default());
        let mut pieces = self.read(heads.epoch, 0, head.size).await?;
        while let Some(piece) = pieces.message().await? {
            for leaf in piece.leaves {
                next += 1;
                for piece in tiler.push(leaf).map_err(wrong)? {
                    self.put(writing, &piece)?;
                }
            }
            step(&bar, "tiles", next, head.size);
        }
        bar.finish_and_clear();
        whole(next, head.size)?;
        for piece in tiler.finish().map_err(wrong)? {
            self.put(writing, &piece)?;
        }
        Ok(())
    }

    async fn read(
        &mut self,
        epoch: u32,
        from: u64,
        to: u64,
    ) -> Outcome<tonic::Streaming<pb::ReadLeavesResponse>> {
        let request = pb::ReadLeavesRequest { log: self.log.clone(), epoch, from, to };
        Ok(self.client.read_leaves(request).await?.into_inner())
    }
}

/// Refuses a stream that ended before its end.
fn whole(next: u64, to: u64) -> Outcome {
    if next == to {
        return Ok(());
    }
    Err(Failure::refused(format!("the node broke off before entry {next} of {to}; begin again")))
}

/// Epochs that have no complete head of their own: the next one vouches for their end.
fn vouched(heads: &[Heads]) -> impl Iterator<Item = &Heads> {
    heads.iter().filter(|heads| heads.complete.is_none())
}

fn row(args: &ExportArgs, heads: &[Heads], files: u64) -> Row {
    let newest = heads.last();
    let largest = newest.and_then(|heads| heads.notes.last()).map(|(_, head)| head.size);
    let witnessed = newest.and_then(|heads| heads.complete.as_ref());
    let count: usize = heads.iter().map(|heads| heads.notes.len()).sum();
    vec![
        ("folder", Cell::text(args.out.display().to_string())),
        ("log", Cell::text(&args.log)),
        ("epochs", Cell::list(heads.iter().map(|heads| heads.epoch.to_string()))),
        ("heads", Cell::number(count as u64)),
        ("records", largest.map_or_else(Cell::none, Cell::number)),
        ("witnessed", witnessed.map_or_else(Cell::none, |(_, head)| Cell::number(head.size))),
        ("vouched_epochs", Cell::list(vouched(heads).map(|heads| heads.epoch.to_string()))),
        ("files", Cell::number(files)),
        ("checked", Cell::flag(true)),
    ]
}

#[cfg(test)]
mod tests;
