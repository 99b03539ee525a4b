//! A journal made of a backup.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use evidence::hash::{Hash, from_hex, hex};
use evidence::log::LogName;
use sha2::{Digest, Sha256};

use super::manifest::open_epochs;
use super::{
    CopyPhase, CopyProgress, CopyWatch, Manifest, PIECE, RestoreError, files, manifest_of,
};
use crate::check::check_files;
use crate::disk::os::OsDisk;
use crate::journal::{Journal, Options};
use crate::report::{Damage, IndexStatus, LogInfo};
use crate::transaction::{Control, Transaction};
use crate::writer::Place;

/// How often the caller is asked whether to go on while the index is built.
const SLICE: Duration = Duration::from_millis(200);

/// Prefix of the keys of control facts about restores; the time follows.
const KEY: &str = "restored/";

/// First line of such a fact; the number is the version of the format.
const FIRST: &str = "adal restored 1";

/// What a restore is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restore {
    /// The caller's wall clock, microseconds since 1970 UTC.
    pub clock: i64,
    /// The epoch that every own log opens; without it the one behind the last of them all, and
    /// behind `keyed`. It must be named when an epoch above these was opened after the backup: then
    /// one more than the highest that anybody holds.
    pub epoch: Option<u32>,
    /// The highest epoch of which a signing key was made: it may have been used after the backup
    /// was taken, and one key signs one history. 0: none is known.
    pub keyed: u32,
    /// How the journal is opened to add the next epochs.
    pub options: Options,
}

/// What was made of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The backup's manifest.
    pub manifest: Manifest,
    /// What was noted in the journal.
    pub restored: Restored,
    /// Records re-hashed by the check of the backup.
    pub records: u64,
}

/// The control fact of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When it was made, microseconds since 1970 UTC.
    pub at: i64,
    /// When the backup was taken, microseconds since 1970 UTC.
    pub taken_at: i64,
    /// Identity of the journal.
    pub journal: [u8; 16],
    /// The epochs of own logs that ended, and what succeeds them.
    pub ended: Vec<EndedEpoch>,
}

/// An epoch of an own log that a restore closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedEpoch {
    /// The log.
    pub log: LogName,
    /// The epoch that ended.
    pub epoch: u32,
    /// Its records in the backup. Others may hold more of it.
    pub size: u64,
    /// Its root at that size.
    pub root: Hash,
    /// The epoch that was opened.
    pub successor: u32,
}

impl Restored {
    /// The fact as it is stored.
    fn control(&self) -> Control {
        let mut text = format!("{FIRST}\nat {}\ntaken {}\n", self.at, self.taken_at);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "journal {}", hex(&self.journal));
        for EndedEpoch { log, epoch, size, root, successor } in &self.ended {
            let _ = writeln!(text, "log {log} {epoch} {size} {} {successor}", hex(root));
        }
        Control { key: format!("{KEY}{:020}", self.at).into_bytes(), value: text.into_bytes() }
    }

    /// Reads a fact; `None` if it is of another version.
    fn decode(value: &[u8]) -> Option<Self> {
        let mut lines = str::from_utf8(value).ok()?.lines();
        (lines.next()? == FIRST).then_some(())?;
        let at = lines.next()?.strip_prefix("at ")?.parse().ok()?;
        let taken_at = lines.next()?.strip_prefix("taken ")?.parse().ok()?;
        let journal = from_hex(lines.next()?.strip_prefix("journal ")?)?.try_into().ok()?;
        let ended = |line: &str| {
            let mut words = line.strip_prefix("log ")?.split(' ');
            Some(EndedEpoch {
                log: LogName::new(words.next()?).ok()?,
                epoch: words.next()?.parse().ok()?,
                size: words.next()?.parse().ok()?,
                root: from_hex(words.next()?)?.try_into().ok()?,
                successor: words.next()?.parse().ok()?,
            })
        };
        Some(Self { at, taken_at, journal, ended: lines.map(ended).collect::<Option<_>>()? })
    }
}

impl Journal {
    /// The restores that this journal has come through, the oldest first.
    #[must_use]
    pub fn restorations(&self) -> Vec<Restored> {
        let facts = self.controls(KEY.as_bytes()).into_iter();
        facts.filter_map(|(_, value)| Restored::decode(&value)).collect()
    }
}

/// Makes a journal in the folder `to` of the backup in the folder `from`.
///
/// The backup is checked deeply, copied into `<to>.partial`, compared with its manifest, opened,
/// and given the next epoch of every own log (what was recorded after the backup may be held
/// elsewhere, so no sequence of the old epoch is used again) and a control fact about the restore.
/// Then the folder gets its name. `watch` may end it before; nothing that opens is left then.
///
/// # Errors
/// [`RestoreError`]; never overwrites anything.
pub fn restore(
    from: &Path,
    to: &Path,
    how: &Restore,
    watch: &mut CopyWatch<'_>,
) -> Result<RestoreReport, RestoreError> {
    let obstacle = files::obstacle(to);
    let obstacle = obstacle.map_err(|error| RestoreError::at("look at", to, error))?;
    if let Some(path) = obstacle {
        return Err(RestoreError::Exists { path: path.display().to_string() });
    }
    let source = Place { disk: std::sync::Arc::new(OsDisk), dir: from.to_path_buf() };
    let manifest = manifest_of(&source).map_err(RestoreError::Open)?;
    let none = || RestoreError::NoBackup { folder: from.display().to_string() };
    let manifest = manifest.ok_or_else(none)??;
    let open = open_epochs(&manifest.logs);
    let held = open.iter().map(|(_, epoch)| *epoch).max().unwrap_or(0).max(how.keyed);
    if let Some(asked) = how.epoch.filter(|asked| *asked <= held) {
        return Err(RestoreError::Epoch { asked, held });
    }
    let next = how.epoch.unwrap_or(held.saturating_add(1));
    let records = checked(from, watch)?;
    let partial = files::partial(to);
    let made = fs::create_dir_all(files::parent(to)).and_then(|()| fs::create_dir(&partial));
    made.map_err(|error| RestoreError::at("create", &partial, error))?;
    copy(from, &partial, &manifest, watch)?;
    let total = manifest.bytes();
    let progress = CopyProgress { phase: CopyPhase::Open, bytes: 0, bytes_total: total };
    watched(watch, progress)?;
    let restored = succeed(&partial, &manifest, (how, next), &mut || watched(watch, progress))?;
    watched(watch, CopyProgress { bytes: total, ..progress })?;
    let synced = files::sync_tree(&partial).and_then(|()| files::finish(to));
    synced.map_err(|error| RestoreError::at("rename", &partial, error))?;
    Ok(RestoreReport { manifest, restored, records })
}

fn watched(watch: &mut CopyWatch<'_>, progress: CopyProgress) -> Result<(), RestoreError> {
    if watch(progress).is_break() { Err(RestoreError::Interrupted) } else { Ok(()) }
}

/// The deep check of the backup; the number of its records.
fn checked(from: &Path, watch: &mut CopyWatch<'_>) -> Result<u64, RestoreError> {
    let report = check_files(from, &mut |progress| {
        let (bytes, bytes_total) = (progress.bytes, progress.bytes_total);
        watch(CopyProgress { phase: CopyPhase::Check, bytes, bytes_total })
    });
    let report = report.map_err(RestoreError::Open)?;
    if let Some(first) = report.damages.into_iter().next() {
        return Err(RestoreError::Damaged { count: report.damage_count, first: first.into() });
    }
    if report.interrupted { Err(RestoreError::Interrupted) } else { Ok(report.records) }
}

/// Copies every file of the backup, durably, and compares it with the manifest on the way.
fn copy(
    from: &Path,
    to: &Path,
    manifest: &Manifest,
    watch: &mut CopyWatch<'_>,
) -> Result<(), RestoreError> {
    let (mut done, bytes_total, mut piece) = (0, manifest.bytes(), vec![0; PIECE]);
    for (file, digest) in &manifest.files {
        let (source, target) = (from.join(&file.name), to.join(&file.name));
        let made = fs::create_dir_all(files::parent(&target));
        let made =
            made.and_then(|()| OpenOptions::new().write(true).create_new(true).open(&target));
        let mut out = made.map_err(|error| RestoreError::at("create", &target, error))?;
        let mut input =
            fs::File::open(&source).map_err(|error| RestoreError::at("open", &source, error))?;
        let (mut hasher, mut len) = (Sha256::new(), 0);
        loop {
            let read = input.read(&mut piece);
            let read = read.map_err(|error| RestoreError::at("read", &source, error))?;
            if read == 0 {
                break;
            }
            hasher.update(&piece[..read]);
            let written = out.write_all(&piece[..read]);
            written.map_err(|error| RestoreError::at("write", &target, error))?;
            (len, done) = (len + read as u64, done + read as u64);
            watched(watch, CopyProgress { phase: CopyPhase::Copy, bytes: done, bytes_total })?;
        }
        out.sync_all().map_err(|error| RestoreError::at("sync", &target, error))?;
        let found: Hash = hasher.finalize().into();
        if (len, found) != (file.len, *digest) {
            let what = "it is not what the manifest names".to_owned();
            let first = Damage { file: file.name.clone(), offset: None, position: None, what };
            return Err(RestoreError::Damaged { count: 1, first: first.into() });
        }
    }
    files::sync_tree(to).map_err(|error| RestoreError::at("sync", to, error))
}

/// Opens the copy, compares it with the manifest, opens the next epochs and notes the restore.
fn succeed(
    dir: &Path,
    manifest: &Manifest,
    (how, successor): (&Restore, u32),
    watch: &mut dyn FnMut() -> Result<(), RestoreError>,
) -> Result<Restored, RestoreError> {
    // The watermark guards a node's working room; here it would keep a full disk from coming back.
    let options = Options { free_space_watermark: 0, index_grace: Duration::ZERO, ..how.options };
    let (journal, report) = Journal::open_partial(dir, options).map_err(RestoreError::Open)?;
    // The index is built here, however long that takes, unless it cannot be built now.
    while !journal.wait_for_index(SLICE) {
        watch()?;
        if let IndexStatus::Waiting { reason } = journal.index_status() {
            return Err(RestoreError::Index { reason });
        }
    }
    let logs = journal.logs().into_iter();
    let logs: Vec<_> = logs.map(|i| LogInfo { last_recorded_at: i64::MIN, ..i }).collect();
    if logs != manifest.logs || report.groups != manifest.group() || report.dropped.is_some() {
        return Err(RestoreError::Contradiction);
    }
    let mut ended = Vec::new();
    for (log, epoch) in open_epochs(&logs) {
        journal.ensure_own_log(&log, successor)?;
        let info = logs.iter().find(|info| info.log == log && info.epoch == epoch);
        let (size, root) = info.map_or((0, [0; 32]), |info| (info.size, info.root));
        ended.push(EndedEpoch { log, epoch, size, root, successor });
    }
    let Manifest { journal: id, taken_at, .. } = manifest;
    let restored = Restored { at: how.clock, taken_at: *taken_at, journal: *id, ended };
    let noted = Transaction { controls: vec![restored.control()], ..Transaction::default() };
    for result in journal.commit(vec![noted], how.clock)? {
        result?;
    }
    journal.close();
    Ok(restored)
}
