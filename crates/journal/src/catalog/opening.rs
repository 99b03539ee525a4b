//! The work of opening the index, in the background, and what is answered meanwhile.
//!
//! `Opening → Counting → Ready` if the index can be continued: all its runs are read and compared
//! with what they should hold; with `Building` between if it lacks much. `Opening → Building →
//! Ready` if it is missing or unusable. `Waiting` if it cannot even be built at present (a full
//! disk, say), then again from the start. `Refused`, for good, if the commit files turn out to be
//! damaged: the writer stops, subscriptions end. Reading by sequence works in every phase. Answers
//! that could rest on the absence of a key (streams, events, commands, and so every commit) wait
//! for `Ready`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Catalog;
use super::batch::Filler;
use super::fill::{self, FillError, Target};
use crate::damage::{self, Damaged};
use crate::error::{IndexError, IndexOpenError, ReadError};
use crate::index::{Index, IndexStore};
use crate::limits::{DRAIN_RECORDS, RESERVE, RETRY_WAIT};
use crate::report::{DamageReport, IndexOutcome, IndexStatus};

/// How far opening is, and the state of the thread that does it.
#[derive(Default)]
pub(super) struct Progress {
    phase: Phase,
    /// Groups filled in so far.
    groups: u64,
    /// Groups to be filled in.
    of: u64,
    /// Free bytes with which the last build began, if the disk was too small for it.
    too_few: Option<u64>,
    /// Runs of the index should be merged.
    pub merging: bool,
    /// The journal is being closed.
    pub stopping: bool,
    /// The index failed after it was ready: nothing more can be written.
    pub failed: Option<IndexError>,
}

/// Where opening stands.
#[derive(Default)]
enum Phase {
    #[default]
    Opening,
    Building(String),
    Counting,
    Waiting(String),
    Ready(IndexOutcome),
    /// The commit files are damaged, or lack groups that the index knows.
    Refused(Box<DamageReport>),
}

impl Catalog {
    /// Changes the progress and wakes who waits for it.
    pub(super) fn tell<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let told = change(&mut self.progress());
        self.changed.notify_all();
        told
    }

    fn enter(&self, phase: Phase) {
        self.tell(|progress| progress.phase = phase);
    }

    /// Whether everything can be answered.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.progress().phase, Phase::Ready(_))
    }

    /// How far it is, for people and telemetry.
    pub(crate) fn status(&self) -> IndexStatus {
        let progress = self.progress();
        let (groups, of) = (progress.groups, progress.of);
        match &progress.phase {
            Phase::Opening | Phase::Counting => IndexStatus::Opening,
            Phase::Building(reason) => IndexStatus::Building { reason: reason.clone(), groups, of },
            Phase::Waiting(reason) => IndexStatus::Waiting { reason: reason.clone() },
            Phase::Ready(_) => IndexStatus::Ready,
            Phase::Refused(report) => IndexStatus::Refused(report.clone()),
        }
    }

    /// The index, when every answer of it can be trusted. Waits a little for counting, not for a
    /// rebuild.
    pub(super) fn ready(&self) -> Result<Arc<dyn Index>, ReadError> {
        let base = self.base().filter(|_| self.is_answering());
        base.ok_or_else(|| ReadError::IndexBuilding { status: self.status() })
    }

    /// Whether the index answers; waits for counting, not for a rebuild.
    pub(crate) fn is_answering(&self) -> bool {
        self.wait(self.patience, true)
    }

    /// Waits until the index is ready or refused, at most `limit`; with `brief` not while it is
    /// being rebuilt. Returns whether it is ready.
    pub(crate) fn wait(&self, limit: Duration, brief: bool) -> bool {
        let begun = Instant::now();
        let mut progress = self.progress();
        loop {
            match progress.phase {
                Phase::Ready(_) => return true,
                Phase::Refused(_) => return false,
                Phase::Building(_) | Phase::Waiting(_) if brief => return false,
                _ => {}
            }
            let Some(left) = limit.checked_sub(begun.elapsed()) else { return false };
            if progress.stopping || left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What came out of opening, as far as it is known.
    pub(crate) fn outcome(&self) -> Result<IndexOutcome, Box<DamageReport>> {
        match &self.progress().phase {
            Phase::Ready(outcome) => Ok(outcome.clone()),
            Phase::Refused(report) => Err(report.clone()),
            _ => Ok(IndexOutcome::Pending),
        }
    }

    /// Ends the thread soon.
    pub(crate) fn stop(&self) {
        self.tell(|progress| progress.stopping = true);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.progress().stopping
    }

    /// Opens the index, then applies groups to it until [`Catalog::stop`]. The body of the thread.
    pub(crate) fn run(&self, store: &dyn IndexStore, target: &Target) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.open_patiently(store, target);
            self.keep_draining()
        }));
        let failed = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => IndexError::new("its thread panicked"),
        };
        tracing::error!(error = %failed, "the index failed");
        self.tell(|progress| progress.failed = Some(failed));
    }

    /// Moves what waits to the index whenever there is enough of it, and merges runs meanwhile: a
    /// little between two drains, more if many runs were added since a merge began.
    fn keep_draining(&self) -> Result<(), IndexError> {
        loop {
            let is_enough = {
                let enough = || self.layers().open.count >= DRAIN_RECORDS;
                let mut progress = self.progress();
                while !progress.stopping && !progress.merging && !enough() {
                    let waited = self.changed.wait(progress);
                    progress = waited.unwrap_or_else(PoisonError::into_inner);
                }
                enough()
            };
            if self.is_ending() {
                return Ok(());
            }
            if is_enough {
                self.drain()?;
            }
            while !self.is_ending() && self.progress().merging && self.merge()? {}
        }
    }

    /// Whether the thread has nothing more to do.
    fn is_ending(&self) -> bool {
        let progress = self.progress();
        progress.stopping || progress.failed.is_some()
    }

    /// Opens the index, again and again where it is only the moment that forbids it.
    fn open_patiently(&self, store: &dyn IndexStore, target: &Target) {
        while !self.stopping() {
            let Err(reason) = self.open(store, target) else { return };
            tracing::warn!(reason, "the index cannot be opened or built; it is tried again");
            self.enter(Phase::Waiting(reason));
            let begun = Instant::now();
            let mut progress = self.progress();
            while let Some(left) = RETRY_WAIT.checked_sub(begun.elapsed())
                && !progress.stopping
            {
                let waited = self.changed.wait_timeout(progress, left);
                progress = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Opens the index once: continues it or builds it. `Err` if neither can be done now.
    pub(crate) fn open(&self, store: &dyn IndexStore, target: &Target) -> Result<(), String> {
        self.enter(Phase::Opening);
        let outcome = match self.continued(store, target) {
            Ok(outcome) => outcome,
            Err(FillError::Stopped) => return Ok(()),
            Err(FillError::Later(reason)) => return Err(reason),
            Err(FillError::Damaged(damaged)) => {
                self.refuse(target, damaged);
                return Ok(());
            }
            Err(FillError::Unusable { reason, quarantined }) => {
                match self.built(store, target, reason.clone()) {
                    Ok(()) => {
                        let kept = store.quarantined().map(|kept| kept.name);
                        let quarantined = quarantined.filter(|moved| kept.as_ref() == Some(moved));
                        IndexOutcome::Rebuilt { reason, quarantined }
                    }
                    Err(FillError::Stopped) => return Ok(()),
                    Err(FillError::Damaged(damaged)) => {
                        self.refuse(target, damaged);
                        return Ok(());
                    }
                    Err(FillError::Later(reason) | FillError::Unusable { reason, .. }) => {
                        return Err(reason);
                    }
                }
            }
        };
        self.enter(Phase::Ready(outcome));
        self.unindexed.forget();
        Ok(())
    }

    /// Notes that the commit files lack something that was acknowledged, and stops the writer: no
    /// commit is under way, all of them wait for `Ready`.
    fn refuse(&self, target: &Target, damaged: Damaged) {
        let index = self.base();
        let report = damage::report(&target.place, damaged, target.tail, index.as_deref());
        tracing::error!(%report, "the commit files are damaged");
        let reason = report.to_string();
        self.enter(Phase::Refused(Box::new(report)));
        self.bell.end(&reason);
    }

    /// Continues the index that is there. Moves an unusable one out of the way.
    fn continued(
        &self,
        store: &dyn IndexStore,
        target: &Target,
    ) -> Result<IndexOutcome, FillError> {
        if !store.exists() {
            if target.created {
                self.built(store, target, "the journal is new".to_owned())?;
                return Ok(IndexOutcome::Intact);
            }
            let reason = "it is missing".to_owned();
            return Err(FillError::Unusable { reason, quarantined: None });
        }
        let continued = surviving(|| {
            let index = store.open()?;
            surviving(|| self.advanced(&index, target))
        });
        if matches!(continued, Err(FillError::Unusable { .. } | FillError::Later(_))) {
            // Before it is opened or moved: sled has one handle at a time.
            let index = self.base.write().unwrap_or_else(PoisonError::into_inner).take();
            let _ = surviving(|| {
                drop(index);
                Ok(())
            });
        }
        let Err(FillError::Unusable { reason, .. }) = continued else { return continued };
        if let Some((free, needed)) = target.room.lacks(0) {
            // sled opens on no full disk; it may be fine.
            forget(store);
            return Err(FillError::Later(format!(
                "it does not open, {reason}, and {free} bytes of disk are free; free {needed} \
                 bytes and it is opened or rebuilt by itself"
            )));
        }
        tracing::warn!(reason, "the index is unusable and is rebuilt from the commit files");
        match store.quarantine() {
            Ok(quarantined) => Err(FillError::Unusable { reason, quarantined }),
            Err(error) => Err(FillError::Later(format!("move the index aside: {error}"))),
        }
    }

    /// Fills in what an index that opened lacks, if it can be continued.
    fn advanced(&self, index: &Arc<dyn Index>, target: &Target) -> Result<IndexOutcome, FillError> {
        let marks = fill::marks(&**index, target);
        // Nobody reads through an index of another history: its places are those of other records.
        // What one knows that is ahead helps to name what is lost.
        if matches!(marks, Ok(_) | Err(FillError::Damaged(_))) {
            *self.base.write().unwrap_or_else(PoisonError::into_inner) = Some(index.clone());
        }
        let marks = marks?;
        self.enter(Phase::Counting);
        let much = |groups| self.enter(Phase::Building(format!("it lacks {groups} groups")));
        let report = |groups| self.filled(groups, target);
        let (filler, outcome) = fill::advance(&**index, target, &marks, &much, &report)?;
        self.take(filler);
        Ok(outcome)
    }

    /// Builds an index from nothing, while the disk has room for it.
    fn built(
        &self,
        store: &dyn IndexStore,
        target: &Target,
        reason: String,
    ) -> Result<(), FillError> {
        let begun = self.room_to_build(store, target)?;
        self.enter(Phase::Building(reason));
        // An index that someone else has open is not this one's to remove.
        let index = match store.open() {
            Err(error @ IndexOpenError::InUse) => return Err(error.into()),
            opened => opened.map_err(FillError::from),
        };
        let report = |groups| {
            self.filled(groups, target)?;
            has_room(store, target)
        };
        let built = surviving(|| {
            let index = index?;
            surviving(|| {
                let stop = || self.stopping();
                self.take(fill::build(&*index, target, &report, &stop)?);
                Ok(())
            })?;
            Ok(index)
        });
        match built {
            Ok(index) => {
                *self.base.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
                Ok(())
            }
            Err(error) => {
                if has_room(store, target).is_err() {
                    self.tell(|progress| progress.too_few = begun);
                }
                let discarded = store.discard();
                let left = |error| FillError::Later(format!("remove a half-built index: {error}"));
                discarded.map_err(left)?;
                Err(error)
            }
        }
    }

    /// Free bytes, if a build may begin with so many. A disk that was too small for one is not
    /// filled again before it has more.
    fn room_to_build(
        &self,
        store: &dyn IndexStore,
        target: &Target,
    ) -> Result<Option<u64>, FillError> {
        has_room(store, target)?;
        let free = target.room.free();
        let too_few = self.progress().too_few;
        match too_few.map(|bytes| bytes.saturating_add(RESERVE)) {
            Some(next) if free.is_some_and(|free| free < next) => Err(FillError::Later(format!(
                "the disk was too small to build it; it is tried again when {next} bytes are \
                     free"
            ))),
            _ => Ok(free),
        }
    }

    /// Takes over what filling the index continues.
    fn take(&self, filler: Filler) {
        self.show(&filler);
        *self.filler.lock().unwrap_or_else(PoisonError::into_inner) = filler;
    }

    /// Notes how far filling is; an error if the journal is being closed.
    fn filled(&self, groups: u64, target: &Target) -> Result<(), FillError> {
        self.tell(|progress| {
            (progress.groups, progress.of) = (groups, target.mark.group);
            if progress.stopping { Err(FillError::Stopped) } else { Ok(()) }
        })
    }
}

/// Works with an index in which it may panic: on some damage sled 0.34.7 does where it reads
/// ("cannot find pid", "failed to deserialize data"). Such an index cannot be used.
fn surviving<T>(work: impl FnOnce() -> Result<T, FillError>) -> Result<T, FillError> {
    let worked = catch_unwind(AssertUnwindSafe(work));
    worked.unwrap_or_else(|_| Err(FillError::unusable("it panicked")))
}

/// Whether there is room to build an index; what was moved aside gives way to it. A new journal
/// needs none.
fn has_room(store: &dyn IndexStore, target: &Target) -> Result<(), FillError> {
    if target.created || target.room.lacks(0).is_none() {
        return Ok(());
    }
    forget(store);
    let Some((free, needed)) = target.room.lacks(0) else { return Ok(()) };
    Err(FillError::Later(format!(
        "{free} bytes of disk are free; free {needed} bytes and it is built by itself"
    )))
}

/// Removes an unusable index that is kept: the room is needed, it is not.
fn forget(store: &dyn IndexStore) {
    let Some(kept) = store.quarantined() else { return };
    match store.forget() {
        Ok(()) => {
            tracing::warn!(folder = kept.name, "removed an old index: the disk is nearly full")
        }
        Err(error) => tracing::warn!(%error, folder = kept.name, "an old index cannot be removed"),
    }
}
