//! What is done to a bundle: each kind with the file that betrays it and the reason.

use evidence::bundle::write;
use evidence::checkpoint::cosign;
use evidence::note::{SignedNote, Signer};
use evidence::opening::Opening;
use evidence::policy::Policy;
use evidence::proof::TlogProof;
use evidence::witness::AddCheckpoint;

use crate::common::Memory;
use crate::common::parties::{Log, ORIGIN};
use crate::world::{Folder, SIZE, World};

/// A kind of tampering: what is done, the file that betrays it, and a part of the reason.
pub type Tampering = (&'static str, fn(&World, &mut Folder), &'static str, &'static str);

pub const TAMPERINGS: &[Tampering] = &[
    ("policy lost", |_, f| f.without("policy"), "policy", "is missing"),
    ("policy with a weaker quorum", weaker_policy, "policy", "not the policy that the auditor"),
    ("policy cut", |_, f| f.edit("policy", "quorum held\n", ""), "policy", "no quorum line"),
    ("stray file", |_, f| f.set("notes.txt", "hello"), "notes.txt", "is no part of a bundle"),
    ("stray folder", |_, f| f.set("checkpoints/a/b", "x"), "checkpoints/a/b", "no part"),
    (
        "head: size edited",
        |_, f| f.edit("checkpoints/e1-100", "\n100\n", "\n101\n"),
        "checkpoints/e1-100",
        "does not verify",
    ),
    (
        "head: signature removed",
        |_, f| f.edit("checkpoints/e1-300", "— adal.example/log", "— x"),
        "checkpoints/e1-300",
        "has not signed",
    ),
    ("head: re-signed by a thief", thief_signs, "checkpoints/e1-300", "has not signed"),
    (
        "head: cosigned over another root",
        wrong_cosignature,
        "checkpoints/e1-300",
        "signature of adal.example/witness/kz does not verify",
    ),
    ("heads without cosignatures", no_cosignatures, ORIGIN, "quorum cosigned none"),
    ("head cut short", |_, f| f.edit("checkpoints/e1-5", "=\n", "="), "checkpoints/e1-5", "note"),
    (
        "head of another log",
        |_, f| f.edit("checkpoints/e1-5", "kz-75\n", "kz-10\n"),
        "checkpoints/e1-5",
        "does not verify",
    ),
    (
        "head with CRLF",
        |_, f| f.edit("checkpoints/e1-5", "\n", "\r\n"),
        "checkpoints/e1-5",
        "control character",
    ),
    ("fork: two roots for one size", second_root, "checkpoints/other", "FORK"),
    (
        "fork: rewritten tail under a new head",
        rewritten_tail,
        "checkpoints/e1-256",
        "nothing in the bundle links",
    ),
    ("rollback: the last head is withheld", rollback, "receipts/e1-3.tlog-proof", "SUPPRESSION"),
    ("link: hash edited", edited_link, "consistency/e1-100-256", "does not lead to"),
    ("link: hash removed", shorter_link, "consistency/e1-100-256", "does not fit"),
    (
        "link from a head that is not there",
        |_, f| f.without("checkpoints/e1-100"),
        "consistency/e1-100-256",
        "no checkpoint of size 100",
    ),
    (
        "receipt for another index",
        |_, f| f.edit("receipts/e1-3.tlog-proof", "index 3", "index 2"),
        "receipts/e1-3.tlog-proof",
        "of record 3, not of record 2",
    ),
    ("receipt: path reordered", reordered_path, "receipts/e1-3.tlog-proof", "does not lead"),
    (
        "receipt without the mirror's line",
        no_mirror,
        "receipts/e1-3.tlog-proof",
        "cosignatures are missing",
    ),
    ("receipt with another opening", other_opening, "receipts/e1-3.tlog-proof", "does not lead"),
    (
        "receipt with a false extra",
        |_, f| f.edit("receipts/e1-3.tlog-proof", "extra ", "extra AAAA"),
        "receipts/e1-3.tlog-proof",
        "first line of the opening",
    ),
    (
        "receipt under another name",
        |_, f| f.set("receipts/a.txt", "x"),
        "receipts/a.txt",
        "no part",
    ),
    ("slip of a suppressed complaint", suppressed_by_head, "slips/e1-4.tlog-proof", "SUPPRESSION"),
    ("slip beyond the end of the log", slip_beyond, "slips/late.tlog-proof", "shows only 300"),
    ("slip that a copy contradicts", suppressed_by_copy, "slips/e1-4.tlog-proof", "SUPPRESSION"),
    ("slip forged by a thief", forged_slip, "slips/e1-4.tlog-proof", "has not signed"),
    ("leaf edited", |_, f| f.edit("leaves/255", "header ", "header A"), "leaves/255", "malformed"),
    (
        "leaf of another entry",
        |w, f| f.set("leaves/255", w.log.records[254].leaf()),
        "leaves/255",
        "holds entry 254",
    ),
    (
        "leaf that nothing proves",
        |w, f| f.put(write::leaf(&w.other().records[299].leaf())),
        "leaves/299",
        "nothing in the bundle proves",
    ),
    (
        "copy: entry edited",
        |_, f| f.edit("log/tile/entries/000", "seq 9\n", "seq 8\n"),
        "log/tile/0/000",
        "hashes of the entries",
    ),
    (
        "copy: tile changed",
        |_, f| f.0.get_mut("log/tile/0/001.p/44").unwrap()[5] ^= 1,
        "log/tile/0/001.p/44",
        "hashes of the entries",
    ),
    (
        "copy: tile cut",
        |_, f| f.0.get_mut("log/tile/0/000").unwrap().truncate(8000),
        "log/tile/0/000",
        "8192 are expected",
    ),
    (
        "copy: bundle lost",
        |_, f| f.without("log/tile/entries/001"),
        "log/tile/entries/001.p/44",
        "is missing",
    ),
    ("copy: entries reordered", reordered_entries, "log/tile", "entry 1 is not an entry of its"),
    (
        "copy: tile of another size",
        |_, f| f.set("log/tile/0/001.p/45", "x"),
        "log/tile/0/001.p/45",
        "no part",
    ),
    ("copy: no checkpoint", |_, f| f.without("log/checkpoint"), "log/checkpoint", "is missing"),
    ("copy of another history", other_copy, "checkpoints/e1-256", "the copy in log/ has another"),
];

fn weaker_policy(world: &World, folder: &mut Folder) {
    let mut builder = Policy::builder();
    builder.log(world.parties.log.verifier(), None).unwrap();
    builder.quorum(None).unwrap();
    folder.0.insert("policy".into(), builder.build().unwrap().to_bytes());
}

fn thief_signs(world: &World, folder: &mut Folder) {
    let thief = Signer::log(ORIGIN, &[66; 32]).unwrap();
    folder.set("checkpoints/e1-300", world.parties.cosigned(&world.log.signed(SIZE, &thief)));
}

fn wrong_cosignature(world: &World, folder: &mut Folder) {
    let note = world.log.signed(SIZE, &world.parties.log);
    let line = cosign(&world.log.signed(256, &world.parties.log), &world.parties.witness, 7);
    folder.set("checkpoints/e1-300", format!("{note}{}", line.unwrap()));
}

fn no_cosignatures(world: &World, folder: &mut Folder) {
    folder.without("receipts/");
    folder.without("leaves/");
    for name in ["checkpoints/e1-256", "checkpoints/e1-300", "log/checkpoint"] {
        let size = if name.ends_with("256") { 256 } else { SIZE };
        folder.set(name, world.log.signed(size, &world.parties.log));
    }
    for (old, new) in [(100, 256), (256, SIZE)] {
        let note = world.log.signed(new, &world.parties.log).parse().unwrap();
        folder.without(&format!("consistency/e1-{old}"));
        folder.put(write::consistency(&world.log.memory, old, &note).unwrap());
    }
}

fn second_root(world: &World, folder: &mut Folder) {
    folder.set("checkpoints/other", world.note(&world.other(), SIZE));
}

/// The log is rewritten from entry 200 on; its new head is linked to the one of size 100, but
/// nothing leads from the head of size 256, which was cosigned before.
fn rewritten_tail(world: &World, folder: &mut Folder) {
    let (other, note) = (world.other(), world.note(&world.other(), SIZE));
    for prefix in ["log/", "receipts/", "leaves/", "consistency/e1-256", "checkpoints/e1-300"] {
        folder.without(prefix);
    }
    folder.put(write::checkpoint(&note).unwrap());
    folder.put(write::consistency(&other.memory, 100, &note).unwrap());
}

fn rollback(_: &World, folder: &mut Folder) {
    folder.without("log/");
    folder.without("checkpoints/e1-300");
    folder.without("consistency/e1-256");
}

fn change_link(folder: &mut Folder, change: fn(&mut Vec<[u8; 32]>)) {
    let name = "consistency/e1-100-256";
    let link: AddCheckpoint = folder.text(name).parse().unwrap();
    let mut proof = link.proof().to_vec();
    change(&mut proof);
    let changed = AddCheckpoint::new(link.old(), proof, link.checkpoint().clone()).unwrap();
    folder.set(name, changed);
}

fn edited_link(_: &World, folder: &mut Folder) {
    change_link(folder, |proof| proof[1][0] ^= 1);
}

fn shorter_link(_: &World, folder: &mut Folder) {
    change_link(folder, |proof| proof.truncate(1));
}

/// Writes receipt 3 anew with another path, note or extra.
fn change_receipt(folder: &mut Folder, make: impl Fn(TlogProof) -> TlogProof) {
    let name = "receipts/e1-3.tlog-proof";
    let proof = make(folder.text(name).parse().unwrap());
    folder.set(name, proof);
}

fn reordered_path(_: &World, folder: &mut Folder) {
    change_receipt(folder, |proof| {
        let mut path = proof.path().to_vec();
        path.swap(0, 1);
        let extra = proof.extra().map(<[u8]>::to_vec);
        TlogProof::new(3, path, proof.checkpoint().clone(), extra).unwrap()
    });
}

fn no_mirror(_: &World, folder: &mut Folder) {
    let name = "receipts/e1-3.tlog-proof";
    let kept: Vec<String> = folder.text(name).lines().map(|line| format!("{line}\n")).collect();
    let kept = kept.into_iter().filter(|line| !line.contains("mirror/kz")).collect::<String>();
    folder.set(name, kept);
}

fn other_opening(world: &World, folder: &mut Folder) {
    change_receipt(folder, |proof| {
        let mut draft = world.log.records[3].to_draft();
        draft.open = b"no complaint".to_vec();
        let opening = Opening::of(&draft.into_record().unwrap());
        let extra = Some(opening.to_bytes());
        TlogProof::new(3, proof.path().to_vec(), proof.checkpoint().clone(), extra).unwrap()
    });
}

/// The slip's head of size 5 was withheld, and another one of that size is shown.
fn suppressed_by_head(world: &World, folder: &mut Folder) {
    let other = Log::with(5, &[b"another complaint"]);
    let note = SignedNote::parse(&other.signed(5, &world.parties.log)).unwrap();
    let slip = write::prove(&other.memory, &other.records[4], &note).unwrap();
    folder.set("slips/e1-4.tlog-proof", slip);
}

fn slip_beyond(world: &World, folder: &mut Folder) {
    let longer = Log::of(SIZE + 1);
    let note = SignedNote::parse(&longer.signed(SIZE + 1, &world.parties.log)).unwrap();
    let slip = write::prove(&longer.memory, &longer.records[SIZE as usize], &note).unwrap();
    folder.set("slips/late.tlog-proof", slip);
}

/// As a slip that a citizen brings later: only the copy tells.
fn suppressed_by_copy(world: &World, folder: &mut Folder) {
    folder.without("consistency/");
    folder.without("checkpoints/e1-5");
    suppressed_by_head(world, folder);
}

fn forged_slip(world: &World, folder: &mut Folder) {
    let thief = Signer::log(ORIGIN, &[66; 32]).unwrap();
    let note = SignedNote::parse(&world.log.signed(5, &thief)).unwrap();
    let slip = write::prove(&world.log.memory, &world.log.records[4], &note).unwrap();
    folder.set("slips/e1-4.tlog-proof", slip);
}

/// A log whose entries 1 and 2 changed places, signed and copied as such.
fn reordered_entries(world: &World, folder: &mut Folder) {
    let mut records = world.log.records.clone();
    records.swap(1, 2);
    let memory = Memory::of(records.iter().map(|record| record.leaf_hash()));
    let log = Log { origin: world.log.origin.clone(), records, memory };
    let note = world.note(&log, SIZE);
    folder.0.retain(|name, _| name == "policy");
    folder.put(write::checkpoint(&note).unwrap());
    folder.add_copy(&log, &note);
}

fn other_copy(world: &World, folder: &mut Folder) {
    let (other, note) = (world.other(), world.note(&world.other(), SIZE));
    for prefix in ["log/", "checkpoints/e1-300", "consistency/e1-256", "receipts/"] {
        folder.without(prefix);
    }
    folder.add_copy(&other, &note);
}
