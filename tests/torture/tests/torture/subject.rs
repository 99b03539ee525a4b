//! The journal as the suite sees it: the few calls that follow its interface.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use journal::{IndexStatus, Journal, OpenError, OpenReport, Options};

/// No index of these sizes takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// An index that could not be built is tried again within this time.
const HOPELESS: Duration = Duration::from_secs(4);

/// Small segments, so that rolls happen all the time, and a reserve.
pub fn options() -> Options {
    Options {
        segment_bytes: 64 * 1024,
        sled_cache_bytes: 8_000_000,
        free_space_watermark: 1024 * 1024,
        ..Options::default()
    }
}

/// Opens a journal. Its index may still be being built.
pub fn open(dir: &Path) -> Result<(Journal, OpenReport), OpenError> {
    Journal::open(dir, options())
}

/// Waits until the index has everything; what it waits for itself, if it cannot be built.
pub fn wait_for_index(journal: &Journal) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        if journal.wait_for_index(Duration::from_millis(500)) {
            return Ok(());
        }
        let status = journal.index_status();
        if let IndexStatus::Refused(report) = status {
            return Err(report.to_string());
        }
        let hopeless = matches!(status, IndexStatus::Waiting { .. });
        if begun.elapsed() > if hopeless { HOPELESS } else { PATIENCE } {
            return Err(status.to_string());
        }
    }
}

/// What the deep check found: each damage with its file and in words.
pub fn check(journal: &Journal) -> Vec<(String, String)> {
    let report = journal.check(&mut |_| ControlFlow::Continue(()));
    assert_eq!(report.damage_count == 0, report.is_clean(), "the check was interrupted");
    report.damages.iter().map(|damage| (damage.file.clone(), damage.to_string())).collect()
}
