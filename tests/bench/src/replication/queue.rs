//! Records that wait in a region's journal, written there while its node is down.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use domain::contact::ContactOpened;
use domain::{Code, Fact};
use evidence::log::LogName;
use evidence::record::StreamRef;
use journal::{Journal, Transaction};

use crate::bulk::BATCH;
use crate::draft::{self, event_id};
use crate::machine::{process_cpu, thread_cpu};

/// Bytes of a record's body, open and sealed part.
const BODY: usize = 256;

/// How long a journal may open its index.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes contacts, no two the same in one run.
#[derive(Debug, Default)]
pub struct Maker {
    next: u64,
}

/// What was queued, and what writing it took.
#[derive(Clone, Copy, Debug)]
pub struct Queued {
    /// Records a second, from call to acknowledgement.
    pub rate: f64,
    /// Processor time of a record in microseconds, all threads but for making the records.
    pub cpu: f64,
    /// Stored bytes of the records.
    pub bytes: u64,
}

impl Maker {
    /// Imports `records` contacts into the own log of the journal in `dir`, each with a command.
    ///
    /// # Errors
    /// The journal cannot be opened or refuses one.
    pub fn import(&mut self, dir: &Path, log: &LogName, records: u64) -> Result<Queued> {
        let (journal, _) = Journal::open(dir, journal::Options::default())?;
        ensure!(journal.wait_for_index(PATIENCE), "the index is not there in time");
        journal.ensure_own_log(log, 1)?;
        let (maker, contact) = (draft::Maker::new(log)?, contact()?);
        let (end, clock) = (self.next + records, now());
        let (mut spent, mut making, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
        let cpu = process_cpu();
        while self.next < end {
            let next = (self.next + BATCH as u64).min(end);
            let begun = thread_cpu();
            let group = (self.next..next).map(|number| opened(&maker, &contact, number));
            let group: Vec<Transaction> = group.collect::<Result<_>>()?;
            let drafts = group.iter().flat_map(|t| &t.appends).flat_map(|a| &a.drafts);
            for draft in drafts {
                bytes += draft.encoded_len()? as u64;
            }
            making += thread_cpu() - begun;
            let begun = Instant::now();
            for outcome in journal.commit(group, clock)? {
                outcome?;
            }
            spent += begun.elapsed();
            self.next = next;
        }
        let cpu = (process_cpu() - cpu - making).as_secs_f64() * 1e6 / records as f64;
        journal.close();
        Ok(Queued { rate: records as f64 / spent.as_secs_f64(), cpu, bytes })
    }
}

/// The opening of a contact.
fn contact() -> Result<Fact> {
    let (channel, language) = (Code::new("call")?, Code::new("kk")?);
    Ok(ContactOpened { channel, line: None, language, personal: None }.into())
}

/// A contact in a stream of its own, with a sealed part that fills the body.
fn opened(maker: &draft::Maker, fact: &Fact, number: u64) -> Result<Transaction> {
    let encoded = wire::encode_fact(fact);
    let kind = fact.stream_kind().context("a contact has a stream")?.code();
    let stream = StreamRef { kind, id: event_id(number) };
    let mut transaction = maker.transaction(number, true);
    for append in &mut transaction.appends {
        append.stream = stream;
        for draft in &mut append.drafts {
            draft.header.stream = stream;
            draft.header.type_code = encoded.type_code;
            draft.header.schema_version = encoded.schema_version;
            draft.sealed.resize(BODY.saturating_sub(encoded.open.len()), 9);
            draft.open.clone_from(&encoded.open);
        }
    }
    Ok(transaction)
}

/// Records a second of a bare file in `dir`: as many bytes, a sync for each batch of an import.
///
/// # Errors
/// The file cannot be written.
pub fn bare(dir: &Path, records: u64, bytes: u64) -> Result<f64> {
    let path = dir.join("bare");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let batches = records.div_ceil(BATCH as u64);
    let batch = vec![9; usize::try_from(bytes / batches)?];
    let begun = Instant::now();
    for _ in 0..batches {
        file.write_all(&batch)?;
        file.sync_data()?;
    }
    let elapsed = begun.elapsed();
    fs::remove_file(path)?;
    Ok(records as f64 / elapsed.as_secs_f64())
}

/// Microseconds since 1970.
#[allow(clippy::disallowed_methods)] // these records are made at their own time
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_contacts_of_the_stated_size_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let log: LogName = "kz-75".parse().unwrap();
        let mut maker = Maker::default();
        for part in [1500, 10] {
            let queued = maker.import(dir.path(), &log, part).unwrap();
            assert!(queued.rate > 0.0 && queued.bytes > part * BODY as u64);
        }
        let (journal, _) = Journal::open(dir.path(), journal::Options::default()).unwrap();
        let records = journal.range(&log, 1, 0, usize::MAX, usize::MAX).unwrap();
        assert_eq!(records.len(), 1510);
        for record in &records {
            let header = record.header();
            assert_eq!(record.open().len() + record.sealed().len(), BODY);
            let (code, version) = (header.type_code, header.schema_version);
            let fact = wire::decode_fact(code, version, record.open(), None).unwrap();
            assert_eq!(fact, contact().unwrap());
            assert_eq!(header.stream_version, 1, "each contact has a stream of its own");
        }
        assert!(bare(dir.path(), 1510, 1510 * 400).unwrap() > 0.0);
    }
}
