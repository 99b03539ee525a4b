//! The processes that are killed: one writes, one opens and tells everything that is there.
//!
//! They speak lines on standard output that end with ` .`: a torn line was never said.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evidence::hash::{hex, sha256};
use evidence::log::Position;
use evidence::record::Record;
use journal::{Committed, Control, ExpectedVersion, Journal, Role, Transaction};

use crate::chance::Chance;
use crate::history::{
    LOGS, Member, Origin, THREADS, TxId, claim, control_key, cursor_key, own, transaction,
};
use crate::subject;

/// Carries the order to a process of this binary.
pub const ORDER: &str = "ADAL_TORTURE_CHILD";

/// Records read at once, and the most bytes of them.
const PAGE: (usize, usize) = (256, 1 << 20);

/// Runs an order and is nothing otherwise.
#[test]
fn child_process() {
    let Some(order) = std::env::var_os(ORDER) else { return };
    let order = order.into_string().unwrap();
    let mut words = order.splitn(5, ' ');
    let mut word = || words.next().unwrap();
    let (what, seed, generation, limit) = (word(), word(), word(), word());
    let dir = Path::new(word());
    let (seed, generation) = (seed.parse().unwrap(), generation.parse().unwrap());
    match what {
        "write" => write(dir, seed, generation, limit.parse().unwrap()),
        "dump" => dump(dir),
        "sled" => crate::cuts::write_bare_sled(dir),
        "file" => crate::cuts::write_bare_file(dir, limit == "1"),
        other => panic!("{other} is no order"),
    }
}

/// Says a line, at once and whole.
pub fn say(line: &str) {
    let line = format!("\n{line} .\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

fn open(dir: &Path) -> Journal {
    say("opening");
    let (journal, report) = subject::open(dir).unwrap_or_else(|error| {
        say(&format!("refused {error}"));
        panic!("refused: {error}")
    });
    subject::wait_for_index(&journal).unwrap();
    say(&format!("ready {report:?}"));
    journal
}

/// Writes until it is killed, or until `limit` transactions are done, if it is not zero.
fn write(dir: &Path, seed: u64, generation: u32, limit: u64) {
    let journal = open(dir);
    let mut chance = Chance::new(seed ^ u64::from(generation) << 20);
    for log in 0..LOGS {
        journal.ensure_own_log(&own(log), 1).unwrap();
    }
    if chance.is(30) {
        let log = own(chance.below(LOGS as u64) as usize);
        let epochs = journal.logs().into_iter().filter(|info| info.log == log);
        let epoch = epochs.map(|info| info.epoch).max().unwrap() + 1;
        journal.ensure_own_log(&log, epoch).unwrap();
        say(&format!("epoch {log} {epoch}"));
    }
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let more =
        || (limit == 0 || done.load(Ordering::Relaxed) < limit) && !stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let mut chance = Chance::new(chance.next());
            let (journal, done, more) = (&journal, &done, &more);
            scope.spawn(move || {
                let mut counter = 0;
                while more() {
                    let count = chance.between(1, 5) as u32;
                    let ids = counter..counter + count;
                    counter += count;
                    let ids = ids.map(|counter| TxId { generation, thread, counter });
                    commit(journal, ids.map(|id| (transaction(seed, id), id)).collect());
                    done.fetch_add(u64::from(count), Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| mirror(&journal, &mut chance, &more));
        scope.spawn(|| {
            while more() {
                std::thread::sleep(Duration::from_millis(25));
                journal.flush_index().unwrap();
            }
        });
    });
    journal.close();
    say("closed");
}

/// Stores a group and says what was acknowledged.
fn commit(journal: &Journal, group: Vec<(Transaction, TxId)>) {
    let (group, ids): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let outcomes = journal.commit(group, 1_760_000_000_000_000).unwrap();
    for (outcome, id) in outcomes.into_iter().zip(ids) {
        let done = outcome.unwrap();
        let mut line = format!("ack {} {}", done.recorded_at, done.positions.len());
        for position in &done.positions {
            // What is acknowledged can be read at once.
            let record = get(journal, position);
            let of = Member::of(&record.header().event_id);
            assert_eq!(
                of.map(|member| member.tx),
                Some(id),
                "{position} is of another transaction"
            );
            tell(&mut line, &record);
        }
        say(&line);
    }
}

fn get(journal: &Journal, position: &Position) -> Record {
    let record = journal.get(&position.log, position.epoch, position.seq).unwrap();
    record.unwrap_or_else(|| panic!("{position} was acknowledged and is not there"))
}

/// Adds a record's place, event and hash to a line.
fn tell(line: &mut String, record: &Record) {
    let header = record.header();
    let (id, hash) = (hex(&header.event_id), hex(&sha256(record.bytes())));
    write!(line, " {} {} {} {id} {hash}", header.log, header.epoch, header.seq).unwrap();
}

/// Mirrors logs of others, each batch in one transaction with a cursor.
fn mirror(journal: &Journal, chance: &mut Chance, more: &dyn Fn() -> bool) {
    let mirrors = journal.logs().into_iter().filter(|info| info.role == Role::Mirror).count();
    for number in (mirrors as u32).max(1).. {
        let origin = Origin::new(number);
        journal.ensure_mirror(&origin.log, 1).unwrap();
        loop {
            if !more() {
                return;
            }
            let held = journal.frontier(&origin.log, 1).unwrap();
            let Some(batch) = origin.batch(&held, chance.between(1, 30)) else { break };
            let size = batch.end();
            let cursor =
                Control { key: cursor_key(&origin.log), value: size.to_be_bytes().to_vec() };
            let whole =
                Transaction { mirror: Some(batch), controls: vec![cursor], ..Default::default() };
            let outcome = journal.commit(vec![whole], 1_760_000_000_000_000).unwrap();
            outcome.into_iter().for_each(|outcome| drop(outcome.unwrap()));
            say(&format!("mirrored {} {size}", origin.log));
            std::thread::sleep(Duration::from_millis(chance.below(20)));
        }
    }
}

/// Opens a journal and says everything that is in it.
fn dump(dir: &Path) {
    let journal = open(dir);
    for info in journal.logs() {
        let role = if info.role == Role::Own { "own" } else { "mirror" };
        say(&format!("log {} {} {role} {}", info.log, info.epoch, info.size));
        let mut seq = 0;
        while seq < info.size {
            let page = journal.range(&info.log, info.epoch, seq, PAGE.0, PAGE.1).unwrap();
            assert!(!page.is_empty(), "nothing at {}:{}:{seq}", info.log, info.epoch);
            for record in &page {
                let header = record.header();
                let mut line = "rec".to_owned();
                tell(&mut line, record);
                write!(line, " {} {}", hex(&header.stream.id), header.stream_version).unwrap();
                say(&line);
                again(&journal, record);
            }
            seq += page.len() as u64;
        }
    }
    for log in 0..LOGS {
        if let Some(value) = journal.control(&control_key(log)) {
            say(&format!("control {} {}", own(log), hex(&value[..16])));
        }
    }
    for (key, value) in journal.controls(b"cursor/") {
        let size = u64::from_be_bytes(value.try_into().unwrap());
        say(&format!("cursor {} {size}", String::from_utf8(key[7..].to_vec()).unwrap()));
    }
    let damages = subject::check(&journal);
    say(&format!("check {} {:?}", damages.len(), damages.first()));
    journal.close();
    say("closed");
}

/// Gives a command once more and says the answer; it must be the old one.
fn again(journal: &Journal, record: &Record) {
    let Some(member) = Member::of(&record.header().event_id) else { return };
    if !member.command || member.number > 0 {
        return;
    }
    let command = Some(claim(member.first()));
    let answer = |appends| {
        let repeated = Transaction { command, appends, ..Default::default() };
        journal.commit(vec![repeated], 1).unwrap().remove(0).unwrap()
    };
    let (log, stream) = (record.header().log.clone(), record.header().stream);
    let expected = ExpectedVersion::Any;
    let drafts = vec![record.to_draft()];
    let done: Committed = answer(vec![journal::Append { log, expected, stream, drafts }]);
    let mut line = format!("again {} {} {}", hex(&member.first()), done.replayed, done.recorded_at);
    for position in &done.positions {
        write!(line, " {} {} {}", position.log, position.epoch, position.seq).unwrap();
    }
    say(&line);
    let hit = journal.find_command(&claim(member.first()).key).unwrap().unwrap();
    assert_eq!(hit.request_hash, claim(member.first()).request_hash);
}
