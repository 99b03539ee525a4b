//! Free space: when facts are refused, how large segments are, and the reserve.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::OpenMode;
use crate::error::OpenError;
use crate::files;
use crate::limits::{RESERVE, SEGMENT_RANGE, SEGMENT_SHARE, WATERMARK_SHARE};
use crate::writer::Place;

/// Watches the free space of the journal's file system.
#[derive(Clone)]
pub(crate) struct Room {
    place: Place,
    /// Size of the file system in bytes.
    total: u64,
    /// Below this many free bytes facts are refused, if the reserve is there.
    watermark: u64,
    /// Whether the reserve is there.
    reserve: Arc<AtomicBool>,
}

impl Room {
    /// For a journal that asks for this watermark; on a small file system it gets a smaller one.
    pub(crate) fn new(place: &Place, watermark: u64) -> Result<Self, OpenError> {
        let space = place.disk.space(&place.dir);
        let total = space.map_err(|error| OpenError::io("stat", files::COMMITS, error))?.total;
        let watermark = watermark.min(total / WATERMARK_SHARE);
        let room = Self { place: place.clone(), total, watermark, reserve: Arc::default() };
        room.look_for_reserve()?;
        Ok(room)
    }

    /// What must be free for facts. The room of a reserve that was given up is not for them: a
    /// restart on a full disk would otherwise open it to them, and the next one would have none.
    fn needed(&self) -> u64 {
        let is_missing = self.watermark > 0 && !self.reserve.load(Ordering::Relaxed);
        self.watermark.saturating_add(if is_missing { RESERVE } else { 0 })
    }

    /// Segment size for this file system, if `asked` is not too large for it.
    pub(crate) fn segment_bytes(&self, asked: u64) -> u64 {
        asked.min((self.total / SEGMENT_SHARE).max(*SEGMENT_RANGE.start()))
    }

    /// Free bytes; `None` if the file system does not tell: it cannot be guarded, writing goes on.
    pub(crate) fn free(&self) -> Option<u64> {
        self.place.disk.space(&self.place.dir).ok().map(|space| space.free)
    }

    /// Free bytes and watermark, for an error.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.free().unwrap_or(0), self.needed())
    }

    /// Free bytes and watermark, if `more` bytes would leave fewer free than the watermark.
    pub(crate) fn lacks(&self, more: u64) -> Option<(u64, u64)> {
        let (free, needed) = (self.free()?, self.needed());
        (free.saturating_sub(more) < needed).then_some((free, needed))
    }

    /// Gives the reserve up if the disk is nearly full, so that there is room to start.
    pub(crate) fn release_reserve(&self) -> Result<bool, OpenError> {
        if self.lacks(0).is_none() || !self.look_for_reserve()? {
            return Ok(false);
        }
        let removed = self.place.disk.remove(&self.place.dir.join(files::RESERVE));
        removed.map_err(|error| OpenError::io("remove", files::RESERVE, error))?;
        self.reserve.store(false, Ordering::Relaxed);
        tracing::warn!("the disk is nearly full: the reserve was given up");
        Ok(true)
    }

    /// Makes the reserve if it is not there and there is room enough. Without it the journal works
    /// as well.
    pub(crate) fn keep_reserve(&self) {
        let enough = self.watermark.saturating_add(2 * RESERVE);
        let is_roomy = self.watermark > 0 && self.free().is_some_and(|free| free > enough);
        // A person may have deleted it to make room.
        if self.look_for_reserve().unwrap_or(true) || !is_roomy {
            return;
        }
        match self.make_reserve() {
            Ok(()) => self.reserve.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "no reserve could be made"),
        }
    }

    /// Looks whether the reserve is there, and remembers it.
    fn look_for_reserve(&self) -> Result<bool, OpenError> {
        let names = self.place.disk.list(&self.place.dir);
        let names = names.map_err(|error| OpenError::io("list", ".", error))?;
        let is_there = names.iter().any(|name| name == files::RESERVE);
        self.reserve.store(is_there, Ordering::Relaxed);
        Ok(is_there)
    }

    fn make_reserve(&self) -> io::Result<()> {
        let file = self.place.open(files::RESERVE, OpenMode::Create)?;
        let made = file.allocate(RESERVE);
        if made.is_err() {
            // An empty one would pass for a reserve.
            self.place.disk.remove(&self.place.dir.join(files::RESERVE))?;
        }
        made
    }
}
