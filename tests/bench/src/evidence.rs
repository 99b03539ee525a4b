//! `adal-bench evidence`: what hashing, signing, proving and checking cost, beside the figures of
//! the design, and how large what they make is. Processor time of one thread.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;

use anyhow::{Result, ensure};
use evidence::checkpoint::{Checkpoint, cosign, verify_cosignature};
use evidence::merkle::{
    Frontier, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
use evidence::opening::Opening;
use evidence::proof::TlogProof;
use evidence::record::RecordView;
use evidence::tiles::{TileKind, TilePath, hash_tile, tiles_of, verify_copy};
use evidence::verify::admit;
use evidence::witness::{AddCheckpoint, step};

use crate::draft::mix;
use crate::evidence_log::{Log, TIME};
use crate::machine::thread_cpu;
use crate::progress;
use crate::table::{Aim, Report, Section, number};

/// Calls of an operation that takes microseconds.
const CALLS: u64 = 2_000;

/// Records of a batch at the gate of a mirror.
const BATCH: u64 = 1_000;

/// Size of the tree for which the sizes of the design are stated.
const STATED: u64 = 100_000;

/// The tables with their columns.
fn section(title: &str) -> Section {
    Section::new(title, &["", "figure", "design", "aim"])
}

/// Adds a row: the figure, what the design says, and the aim.
fn row(
    report: &mut Report,
    section: &mut Section,
    label: &str,
    figure: (&str, f64, &'static str),
    design: &str,
    aim: Option<Aim>,
) {
    let (id, value, unit) = figure;
    let verdict = report.figure(format!("evidence/{id}"), value, unit, aim);
    let shown = format!("{} {unit}", number(value));
    section.row([label.to_owned(), shown, design.to_owned(), verdict]);
}

/// Processor time of a call in microseconds, the mean of `calls`.
fn per_call(calls: u64, mut call: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let begin = thread_cpu();
    (0..calls).try_for_each(&mut call)?;
    Ok((thread_cpu() - begin).as_secs_f64() * 1e6 / calls as f64)
}

/// Measures everything over a log of `entries`.
pub fn run(entries: u64, report: &mut Report) -> Result<Vec<Section>> {
    let bar = progress::bar("evidence", 3);
    let log = Log::new(entries)?;
    bar.inc(1);
    let mut costs = section("Costs, processor time of one thread");
    leaves(&log, report, &mut costs)?;
    proofs(&log, report, &mut costs)?;
    heads(&log, report, &mut costs)?;
    gate(&log, report, &mut costs)?;
    bar.inc(1);
    copy(&log, report, &mut costs)?;
    costs.note(format!("tree of {} entries, records of 512 bytes", number(entries as f64)));
    let sizes = sizes(&log, report)?;
    bar.finish_and_clear();
    Ok(vec![costs, sizes])
}

/// Record to leaf hash, and appending.
fn leaves(log: &Log, report: &mut Report, section: &mut Section) -> Result<()> {
    let records = (0..BATCH).map(|seq| log.record(seq)).collect::<Result<Vec<_>>>()?;
    let hash = per_call(20 * BATCH, |i| {
        let record = RecordView::parse(records[(i % BATCH) as usize].bytes())?;
        black_box(record.leaf_hash());
        Ok(())
    })?;
    row(report, section, "record to leaf hash", ("hash", hash, "µs"), "1.0 µs", None);
    let mut frontier = Frontier::new();
    let append = per_call(log.size(), |i| {
        black_box(frontier.append(log.leaves[i as usize]));
        Ok(())
    })?;
    ensure!(frontier.root() == log.head(log.size()).root, "the tree has another root");
    row(report, section, "append", ("append", append, "µs"), "0.2 µs", None);
    let sign = per_call(CALLS, |_| {
        let root = black_box(&frontier).root();
        let origin = log.key.name().to_owned();
        black_box(Checkpoint { origin, size: frontier.size(), root }.sign(&log.key)?);
        Ok(())
    })?;
    row(report, section, "root and sign", ("sign", sign, "µs"), "25-45 µs", None);
    Ok(())
}

/// Proofs of inclusion and consistency.
fn proofs(log: &Log, report: &mut Report, section: &mut Section) -> Result<()> {
    let (size, head) = (log.size(), log.head(log.size()));
    let at = |i: u64| mix(i) % size;
    let mut paths = Vec::new();
    let prove = per_call(CALLS, |i| {
        paths.push(inclusion_proof(&log.nodes, at(i), size)?);
        Ok(())
    })?;
    row(report, section, "inclusion: prove", ("inclusion/prove", prove, "µs"), "6-45 µs", None);
    let verify = per_call(CALLS, |i| {
        let leaf = &log.leaves[at(i) as usize];
        Ok(verify_inclusion(at(i), size, leaf, &paths[i as usize], &head.root)?)
    })?;
    row(report, section, "inclusion: verify", ("inclusion/verify", verify, "µs"), "3 µs", None);
    let roots: Vec<_> = (0..CALLS).map(|i| log.head(at(i) + 1).root).collect();
    let mut proofs = Vec::new();
    let prove = per_call(CALLS, |i| {
        proofs.push(consistency_proof(&log.nodes, at(i) + 1, size)?);
        Ok(())
    })?;
    row(report, section, "consistency: prove", ("consistency/prove", prove, "µs"), "15 µs", None);
    let verify = per_call(CALLS, |i| {
        let (old, n) = (at(i) + 1, i as usize);
        Ok(verify_consistency(old, &roots[n], size, &head.root, &proofs[n])?)
    })?;
    row(report, section, "consistency: verify", ("consistency/verify", verify, "µs"), "5 µs", None);
    Ok(())
}

/// Witness, cosignatures, receipts.
fn heads(log: &Log, report: &mut Report, section: &mut Section) -> Result<()> {
    let (size, old) = (log.size(), log.size() * 2 / 3);
    let proof = consistency_proof(&log.nodes, old, size)?;
    let body = AddCheckpoint::new(old, proof, log.note(size)?)?.to_string();
    let (held, keys) = (Some((old, log.head(old).root)), [log.key.verifier()]);
    let witness = per_call(CALLS, |_| {
        let request = AddCheckpoint::parse(&body)?;
        black_box(step(held, &request, &keys)?);
        Ok(())
    })?;
    row(report, section, "witness: read and step", ("witness/step", witness, "µs"), "", None);
    let note = log.note(size)?.to_string();
    let line = cosign(&note, &log.cosigners[0], TIME)?;
    let cosigning = per_call(CALLS, |i| {
        black_box(cosign(&note, &log.cosigners[0], TIME + i)?);
        Ok(())
    })?;
    row(report, section, "witness: cosign", ("witness/cosign", cosigning, "µs"), "", None);
    let key = log.cosigners[0].verifier();
    let checking = per_call(CALLS, |_| {
        black_box(verify_cosignature(&note, &line, &key)?);
        Ok(())
    })?;
    row(report, section, "cosignature: verify", ("cosignature/verify", checking, "µs"), "", None);
    let (index, record) = (old, log.record(old)?);
    let path = inclusion_proof(&log.nodes, index, size)?;
    let opening = Some(Opening::of(&record).to_bytes());
    let receipt = TlogProof::new(index, path, log.cosigned(size)?, opening)?.to_string();
    let verify = per_call(CALLS / 4, |_| {
        let receipt = TlogProof::parse(&receipt)?;
        let opening = receipt.opening()?;
        let leaf = opening.map(|opening| opening.leaf_hash()).unwrap_or_default();
        black_box(receipt.verify(&leaf, &log.policy)?);
        Ok(())
    })?;
    let label = "receipt: read, open and verify, 4 signatures";
    row(report, section, label, ("receipt/verify", verify, "µs"), "", None);
    Ok(())
}

/// The gate of a mirror.
fn gate(log: &Log, report: &mut Report, section: &mut Section) -> Result<()> {
    let size = log.size();
    let head = log.head(size);
    let first = (size - BATCH.min(size)) / 2;
    let end = first + BATCH.min(size);
    let held = Frontier::load(&log.nodes, first)?;
    let proof = consistency_proof(&log.nodes, end, size)?;
    let batch = (first..end).map(|seq| Ok(log.record(seq)?.into_bytes()));
    let batch = batch.collect::<Result<Vec<_>>>()?;
    let mut batches = vec![batch; 20];
    let each = per_call(batches.len() as u64, |_| {
        let batch = batches.pop().unwrap_or_default();
        black_box(admit(&held, &log.name, 1, batch, first, &head, &proof)?);
        Ok(())
    })?;
    let each = each / (end - first) as f64;
    row(report, section, "mirror: re-hash, an event", ("mirror", each, "µs"), "2.6-4.3 µs", None);
    Ok(())
}

/// A whole copy against its head: the aim is a million entries in five seconds.
fn copy(log: &Log, report: &mut Report, section: &mut Section) -> Result<()> {
    let size = log.size();
    let mut tiles: HashMap<TilePath, Vec<u8>> = HashMap::new();
    for path in tiles_of(size) {
        let bytes = match path.kind() {
            TileKind::Hashes { level } => hash_tile(&log.nodes, level, path.index(), path.width())?,
            TileKind::Entries => log.bundles[path.index() as usize].clone(),
        };
        tiles.insert(path, bytes);
    }
    let mut seen = 0u64;
    let begin = thread_cpu();
    // The files are given away, as they are when they come from a disk.
    let read = |path: &TilePath| tiles.remove(path).ok_or(io::Error::from(io::ErrorKind::NotFound));
    verify_copy(&log.head(size), read, |_, _| seen += 1)?;
    let seconds = (thread_cpu() - begin).as_secs_f64();
    ensure!(seen == size && tiles.is_empty(), "not everything was verified");
    let million = seconds * 1e6 / size as f64;
    let label = "audit copy: verify a million entries";
    row(report, section, label, ("copy", million, "s"), "", Some(Aim::AtMost(5.0)));
    Ok(())
}

/// Bytes of what is made, at 100,000 entries or as many as there are.
fn sizes(log: &Log, report: &mut Report) -> Result<Section> {
    let (size, bytes) = (log.size().min(STATED), |text: String| text.len() as f64);
    let mut section = section("Sizes");
    let (note, full) = (log.note(size)?, log.cosigned(size)?);
    let head = bytes(note.to_string());
    row(report, &mut section, "head", ("size/head", head, "B"), "213 B", None);
    let line = bytes(cosign(&note.to_string(), &log.cosigners[0], TIME)?);
    row(report, &mut section, "cosignature", ("size/cosignature", line, "B"), "145 B", None);
    let old = size * 2 / 3;
    let proof = consistency_proof(&log.nodes, old, size)?;
    let request = bytes(AddCheckpoint::new(old, proof, note.clone())?.to_string());
    row(report, &mut section, "consistency", ("size/consistency", request, "B"), "1,035 B", None);
    let last = size - 1;
    let path = inclusion_proof(&log.nodes, last, size)?;
    let slip = bytes(TlogProof::new(last, path.clone(), note, None)?.to_string());
    row(report, &mut section, "slip, last entry", ("size/slip", slip, "B"), "698-833 B", None);
    let opening = Some(Opening::of(&log.record(last)?).to_bytes());
    let receipt = bytes(TlogProof::new(last, path, full, opening)?.to_string());
    row(report, &mut section, "receipt", ("size/receipt", receipt, "B"), "1,880 B", None);
    let copied: u64 = tiles_of(size).map(|path| tile_bytes(log, &path)).sum();
    let each = copied as f64 / size as f64 * STATED as f64 / 1e6;
    row(report, &mut section, "copy of 100,000", ("size/copy", each, "MB"), "16.3 MB", None);
    section.note(format!("at {} entries", number(size as f64)));
    Ok(section)
}

/// Bytes of one file of a copy. The last bundle may hold more entries than the copy has.
fn tile_bytes(log: &Log, path: &TilePath) -> u64 {
    let width = usize::from(path.width());
    match path.kind() {
        TileKind::Hashes { .. } => width as u64 * 32,
        TileKind::Entries => {
            let bundle = &log.bundles[path.index() as usize];
            let entries = bundle.len() as u64 / 256.min(log.size() - path.index() * 256);
            entries * width as u64
        }
    }
}
