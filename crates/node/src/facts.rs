//! From stored records to domain facts.

use domain::Fact;
use evidence::log::LogName;
use evidence::record::Record;
use journal::ReadError;
use thiserror::Error;
use tracing::warn;

use crate::project::chain;
use crate::records::Records;

/// Why a record does not give a fact.
#[derive(Debug, Error)]
pub enum FactsError {
    /// The journal cannot serve the record.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The open body does not decode as its type code says.
    #[error("decode record {position}")]
    Decode {
        /// The record: `log/epoch/sequence`.
        position: String,
        /// The decoder's reason; never the content.
        #[source]
        source: wire::DecodeError,
    },
}

/// The fact of a record as everybody may see it: without its sealed part.
///
/// # Errors
/// [`FactsError::Decode`].
pub fn open_part(record: &Record) -> Result<Fact, FactsError> {
    let header = record.header();
    wire::decode_fact(header.type_code, header.schema_version, record.open(), None).map_err(
        |source| FactsError::Decode {
            position: format!("{}/{}/{}", header.log, header.epoch, header.seq),
            source,
        },
    )
}

/// As [`open_part`], for a reader that must go on: a record that is held and proved, but not
/// understood, is an unknown fact.
pub fn open_part_or_unknown(record: &Record) -> Fact {
    open_part(record).unwrap_or_else(|error| {
        warn!(error = chain(&error), "a record is passed over as unknown");
        Fact::Unknown { type_code: record.header().type_code }
    })
}

/// What a range of a log gives up to the first record that cannot be read.
#[derive(Debug)]
pub struct Range {
    /// The intact records from the asked one on, without a gap.
    pub records: Vec<Record>,
    /// Why there are not more of them; `None` where there is no fault.
    pub stopped: Option<ReadError>,
}

/// Records from `from` on, limited as [`Records::range`] limits them. One damaged record does not
/// hold back the intact ones before it.
pub fn range(
    journal: &Records,
    (log, epoch): (&LogName, u32),
    from: u64,
    max_records: usize,
    max_bytes: usize,
) -> Range {
    let read = |max_records| journal.range(log, epoch, from, max_records, max_bytes);
    let error = match read(max_records) {
        Ok(records) => return Range { records, stopped: None },
        Err(error) => error,
    };
    let before = match &error {
        ReadError::Damaged { seq, .. } => seq.saturating_sub(from),
        _ => 0,
    };
    let before = usize::try_from(before).unwrap_or(0);
    match read(before) {
        // Cut short by the bytes: the damaged record comes with a later call.
        Ok(records) if records.len() < before => Range { records, stopped: None },
        Ok(records) => Range { records, stopped: Some(error) },
        Err(error) => Range { records: Vec::new(), stopped: Some(error) },
    }
}
