//! `adal receipt verify`: checks a slip or receipt with no network, under a policy that the person
//! has from elsewhere.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::Hash;
use evidence::bundle::Refusal;
use evidence::log::is_origin_of;
use evidence::merkle::leaf_hash;
use evidence::opening::Opening;
use evidence::policy::{Evaluation, MAX_POLICY, Policy};
use evidence::proof::TlogProof;
use evidence::record::{MAX_RECORD, Record};

use super::{load, opened, read, seconds};
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// Longest entry of a tree in bytes; ours have about 130.
const MAX_LEAF: usize = 1024;

/// What to check, and whom to trust.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status 0: accepted; 1: refused, with the reason; 2: a file cannot be \
                        read or is no policy.\n\nTake the policy from the auditor or the \
                        department, not from who made the receipt: `adal policy show` gives it at \
                        an office that you trust.\n\nExamples:\n  \
                        adal receipt verify kz-75-42.tlog-proof --policy kz-75.policy\n  \
                        adal receipt verify slip.tlog-proof --slip --policy kz-75.policy\n  \
                        adal receipt verify r.tlog-proof --policy kz-75.policy --record record.bin"
)]
pub struct VerifyArgs {
    /// The slip or receipt.
    file: PathBuf,
    /// The policy of its log (C2SP tlog-policy).
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// It is a slip: the log's signature is enough.
    #[arg(long)]
    slip: bool,
    /// The entry of the tree that it must be of, as `leaves/` of a bundle holds it.
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    leaf: Option<PathBuf>,
    /// The exact bytes of the record that it must be of, as `adal log get --out` writes them.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where it is refused; a file cannot be read or is no policy.
pub fn run(args: &VerifyArgs, output: Output) -> Outcome {
    let policy = policy(&args.policy)?;
    let proof = load(&args.file)?;
    let leaf = leaf(args, &proof)?;
    same_log(args, &proof)?;
    let judged = match args.slip {
        true => proof.verify_logged(&leaf, &policy),
        false => proof.verify(&leaf, &policy),
    };
    let judged = judged.map_err(|refusal| {
        use evidence::policy::PolicyRefusal::Quorum;
        use evidence::proof::ProofRefusal::Policy;
        let hint = match refusal {
            Policy(Quorum(_)) => "; the log itself signed it: as a slip (--slip) it is good",
            _ => "",
        };
        refused(args, &format!("{refusal}{hint}"))
    })?;
    output.one(&row(args, &proof, &judged)?)
}

fn refused(args: &VerifyArgs, why: &str) -> Failure {
    Failure::bad(format!("REFUSED: {}: {why}", args.file.display()))
}

/// Reads a policy.
fn policy(path: &Path) -> Outcome<Policy> {
    let wrong = |failure: Failure| Failure::usage(failure.text);
    let bytes = read(path, MAX_POLICY).map_err(wrong)?;
    Policy::parse(&bytes)
        .map_err(|error| Failure::wrong(format!("read the policy {}", path.display()), &error))
}

/// The leaf hash that the proof must be of: of the opening, the entry or the record, which must all
/// be the same.
fn leaf(args: &VerifyArgs, proof: &TlogProof) -> Outcome<Hash> {
    let opening = proof.opening();
    let opening = opening.map_err(|error| refused(args, &format!("its opening: {error}")))?;
    let given = match (&args.leaf, &args.record) {
        (Some(path), _) => Some(leaf_hash(&read(path, MAX_LEAF)?)),
        (None, Some(path)) => Some(record(path)?.leaf_hash()),
        (None, None) => None,
    };
    match (opening.map(|opening| opening.leaf_hash()), given) {
        (Some(opened), Some(given)) if opened != given => {
            Err(refused(args, "its opening is of another record than the one that was given"))
        }
        (_, Some(leaf)) | (Some(leaf), None) => Ok(leaf),
        (None, None) => Err(Failure::usage(format!(
            "{} has no opening: say with --leaf or --record what it is of",
            args.file.display()
        ))),
    }
}

/// What is opened must have been written for the log and epoch whose head proves it: the key of
/// another log may sign a tree with anything in it.
fn same_log(args: &VerifyArgs, proof: &TlogProof) -> Outcome {
    let opening = proof.opening();
    let opening = opening.map_err(|error| refused(args, &format!("its opening: {error}")))?;
    let given = match &args.record {
        Some(path) => Some(record(path)?),
        None => None,
    };
    let opened = opening.as_ref().map(Opening::header);
    let headers = opened.into_iter().chain(given.as_ref().map(Record::header));
    let head = proof.checkpoint().text();
    let origin = head.split_once('\n').map_or(head, |(origin, _)| origin);
    for header in headers {
        if !is_origin_of(origin, &header.log, header.epoch) {
            let why = Refusal::Epoch { log: header.log.to_string(), epoch: header.epoch };
            return Err(refused(args, &why.to_string()));
        }
    }
    Ok(())
}

/// A record as `adal log get --out` writes it.
fn record(path: &Path) -> Outcome<Record> {
    let record = Record::parse(read(path, MAX_RECORD)?);
    record.map_err(|error| Failure::bad(format!("{}: {error}", path.display())))
}

fn row(args: &VerifyArgs, proof: &TlogProof, judged: &Evaluation) -> Outcome<Row> {
    let head = &judged.checkpoint;
    let cosigned =
        |name: &evidence::policy::Cosigned| format!("{} at {}", name.name, seconds(name.time));
    let missing = judged.missing.as_ref();
    let mut row = vec![
        ("verdict", Cell::text("ACCEPTED")),
        ("kind", Cell::text(if args.slip { "slip" } else { "receipt" })),
        ("log", Cell::text(&head.origin)),
        ("index", Cell::number(proof.index())),
        ("head", Cell::number(head.size)),
        ("root", Cell::bytes(&head.root)),
        ("cosigned_by", Cell::list(judged.cosigned.iter().map(cosigned))),
        ("missing", missing.map_or_else(Cell::none, |missing| Cell::text(missing.to_string()))),
        ("unknown_lines", Cell::number(judged.unknown as u64)),
    ];
    let opening = proof.opening().map_err(|error| refused(args, &error.to_string()))?;
    row.extend(opening.iter().flat_map(opened));
    Ok(row)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use evidence::checkpoint::{Checkpoint, cosign};
    use evidence::log::origin;
    use evidence::merkle::Frontier;
    use evidence::note::{SignedNote, Signer};

    use super::*;
    use crate::errors::Exit;

    /// A log of one record, a policy of one witness, and files of all of it.
    struct Papers {
        dir: tempfile::TempDir,
        record: Record,
        note: String,
        line: String,
    }

    fn papers() -> Papers {
        papers_of("kz-75", 2)
    }

    /// Papers whose head is of this log, whatever the record says.
    fn papers_of(log: &str, epoch: u32) -> Papers {
        let fixture = include_bytes!("../../../../tests/compatibility/fixtures/record_v1.bin");
        let mut draft = Record::parse(fixture.to_vec()).unwrap().to_draft();
        draft.header.seq = 0;
        let record = draft.into_record().unwrap();
        let mut tree = Frontier::default();
        tree.append(record.leaf_hash());
        let at = record.header().position();
        assert_eq!((at.log.as_str(), at.epoch), ("kz-75", 2));
        let name = origin("adal.example", &log.parse().unwrap(), epoch);
        let log = Signer::log(&name, &[7; 32]).unwrap();
        let note = Checkpoint { origin: name, size: 1, root: tree.root() }.sign(&log).unwrap();
        let witness = Signer::cosigner("adal.example/witness/kz", &[8; 32]).unwrap();
        let line = cosign(&note, &witness, 1_770_000_000).unwrap();
        let policy = format!(
            "log {}\nwitness centre {}\nquorum centre\n",
            log.verifier(),
            witness.verifier()
        );
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("policy"), policy).unwrap();
        fs::write(dir.path().join("leaf"), record.leaf_data()).unwrap();
        fs::write(dir.path().join("record"), record.bytes()).unwrap();
        Papers { dir, record, note, line }
    }

    impl Papers {
        fn args(&self, note: &str, opening: bool) -> VerifyArgs {
            let extra = opening.then(|| Opening::of(&self.record).to_bytes());
            let note = SignedNote::parse(note).unwrap();
            let proof = TlogProof::new(0, Vec::new(), note, extra).unwrap();
            let file = self.dir.path().join("proof");
            fs::write(&file, proof.to_string()).unwrap();
            let policy = self.dir.path().join("policy");
            VerifyArgs { file, policy, slip: false, leaf: None, record: None }
        }

        fn file(&self, name: &str) -> Option<PathBuf> {
            Some(self.dir.path().join(name))
        }
    }

    fn ends(args: &VerifyArgs, exit: Exit, word: &str) {
        let failure = run(args, Output::new(true)).unwrap_err();
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.text.contains(word), "{failure}");
    }

    #[test]
    fn a_slip_is_no_receipt_and_a_receipt_is_one() {
        let papers = papers();
        let slip = papers.args(&papers.note, true);
        ends(&slip, Exit::Bad, "--slip");
        run(&VerifyArgs { slip: true, ..slip }, Output::new(true)).unwrap();
        let whole = format!("{}{}", papers.note, papers.line);
        let receipt = papers.args(&whole, true);
        let judged = load(&receipt.file).unwrap();
        let judged =
            judged.verify(&papers.record.leaf_hash(), &policy(&receipt.policy).unwrap()).unwrap();
        let row = row(&receipt, &load(&receipt.file).unwrap(), &judged).unwrap();
        let shown = crate::output::json(&row);
        assert!(shown.contains("\"cosigned_by\":[\"centre at 2026-02-02T02:40:00Z\"]"), "{shown}");
        run(&receipt, Output::new(true)).unwrap();
    }

    #[test]
    fn without_an_opening_the_entry_or_the_record_decides() {
        let papers = papers();
        let whole = format!("{}{}", papers.note, papers.line);
        let bare = papers.args(&whole, false);
        ends(&bare, Exit::Usage, "--leaf");
        let leaf = VerifyArgs { leaf: papers.file("leaf"), ..papers.args(&whole, false) };
        run(&leaf, Output::new(true)).unwrap();
        let record = VerifyArgs { record: papers.file("record"), ..papers.args(&whole, false) };
        run(&record, Output::new(true)).unwrap();
        let other = VerifyArgs { leaf: papers.file("record"), ..papers.args(&whole, false) };
        ends(&other, Exit::Bad, "REFUSED");
        let opened = VerifyArgs { leaf: papers.file("policy"), ..papers.args(&whole, true) };
        ends(&opened, Exit::Bad, "another record");
    }

    #[test]
    fn a_record_of_another_log_or_epoch_is_not_proved() {
        for (log, epoch) in [("kz-76", 2), ("kz-75", 1)] {
            let papers = papers_of(log, epoch);
            let whole = format!("{}{}", papers.note, papers.line);
            ends(&papers.args(&whole, true), Exit::Bad, "written for kz-75 epoch 2");
            let record = VerifyArgs { record: papers.file("record"), ..papers.args(&whole, false) };
            ends(&record, Exit::Bad, "written for kz-75 epoch 2");
            // An entry alone names no log.
            let leaf = VerifyArgs { leaf: papers.file("leaf"), ..papers.args(&whole, false) };
            run(&leaf, Output::new(true)).unwrap();
        }
    }

    #[test]
    fn files_that_are_something_else_say_so() {
        let papers = papers();
        let whole = format!("{}{}", papers.note, papers.line);
        let good = papers.args(&whole, true);
        let policy = good.policy.clone();
        ends(&VerifyArgs { file: policy, ..papers.args(&whole, true) }, Exit::Bad, "no slip");
        let file = good.file.clone();
        ends(&VerifyArgs { policy: file, ..papers.args(&whole, true) }, Exit::Usage, "policy");
        let absent = papers.file("absent").unwrap();
        ends(&VerifyArgs { file: absent, ..papers.args(&whole, true) }, Exit::Usage, "absent");
    }
}
