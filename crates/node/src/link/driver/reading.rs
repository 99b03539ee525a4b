//! What the driver reads of the journal for the peer.

use evidence::hash::Hash;
use evidence::log::LogName;
use journal::ReadError;
use replication::action::{
    CommitBatch, EntriesRead, Failure, ReadEntries, ReadRoot, SignHead, SignedHead,
};
use telemetry::metrics::Flow;
use tracing::error;

use super::Driver;
use crate::heads::{self, SignError};
use crate::office::Office;
use crate::project::chain;
use crate::trace;

/// Records read for one batch; its bytes are bounded by the session.
const BATCH_RECORDS: usize = 4_096;

impl Driver {
    pub(super) fn read_root(&mut self, ask: ReadRoot) {
        let root = self.office.journal.root_at(&ask.log, ask.epoch, ask.size);
        let now = self.now();
        self.session.root_read(now, ask.ticket, root.map_err(|error| failure(&error)));
    }
}

pub(super) fn sign(office: &Office, ask: &SignHead) -> Result<SignedHead, Failure> {
    let signed = heads::sign(office, &ask.log, ask.epoch, ask.size);
    let note = signed.map_err(|error| match error {
        SignError::Read(error) => failure(&error),
        error @ (SignError::Note(_) | SignError::NoKey { .. }) => {
            error!(error = chain(&error), "sign a head");
            Failure::Internal
        }
    })?;
    let proof = proof(office, &ask.log, ask.epoch, ask.old_size, ask.size)?;
    Ok(SignedHead { note, proof })
}

pub(super) fn read_entries(office: &Office, ask: &ReadEntries) -> Result<EntriesRead, Failure> {
    let left = usize::try_from(ask.head_size.saturating_sub(ask.from)).unwrap_or(usize::MAX);
    let most = BATCH_RECORDS.min(left);
    let read = office.journal.range(&ask.log, ask.epoch, ask.from, most, ask.max_bytes);
    let records = read.map_err(|error| failure(&error))?;
    if records.is_empty() {
        return Err(Failure::Internal);
    }
    for record in &records {
        if let Some(context) = &record.header().trace {
            let span = tracing::info_span!("replicate.send", office = %office.code,
                log = %ask.log, seq = record.header().seq);
            trace::adopt(&span, Some(context));
            span.in_scope(|| {});
        }
    }
    let bytes: usize = records.iter().map(|record| record.bytes().len()).sum();
    office.metrics.batch_sent(flow(office), records.len() as u64, bytes as u64);
    let end = ask.from + records.len() as u64;
    let proof = proof(office, &ask.log, ask.epoch, end, ask.head_size)?;
    let records = records.into_iter().map(evidence::record::Record::into_bytes).collect();
    Ok(EntriesRead { records, proof })
}

/// Which way the logs of this office go.
fn flow(office: &Office) -> Flow {
    if office.code.is_centre() { Flow::Down } else { Flow::Up }
}

pub(super) fn proof(
    office: &Office,
    log: &LogName,
    epoch: u32,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, Failure> {
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    office.journal.consistency(log, epoch, old, new).map_err(|error| failure(&error))
}

pub(super) fn arrival_spans(office: &Office, ask: &CommitBatch) -> Vec<tracing::Span> {
    let traced = ask.batch.records().iter().filter_map(|record| {
        let context = record.header().trace.as_ref()?;
        let span = tracing::info_span!("replicate.store", office = %office.code,
            log = %record.header().log, seq = record.header().seq);
        trace::adopt(&span, Some(context));
        Some(span)
    });
    traced.collect()
}

pub(super) fn failure(error: &ReadError) -> Failure {
    error!(error = chain(error), "read for the peer");
    match error {
        ReadError::Damaged { .. } => Failure::Damaged,
        _ => Failure::Internal,
    }
}
