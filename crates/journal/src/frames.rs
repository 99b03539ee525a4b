//! Single frames of the commit files, read at random.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{DiskFile, OpenMode};
use crate::files;
use crate::frame::{Head, is_intact};
use crate::limits::{FRAME_HEADER, OPEN_FILES};
use crate::writer::Place;

/// The segments, opened for reading as they are asked for.
pub(crate) struct Frames {
    place: Place,
    seed: u32,
    open: Mutex<BTreeMap<u64, Arc<dyn DiskFile>>>,
}

impl Frames {
    /// Of the journal with this checksum seed.
    pub(crate) fn new(place: Place, seed: u32) -> Self {
        Self { place, seed, open: Mutex::default() }
    }

    /// A segment.
    fn segment(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = self.place.open(&files::segment_name(number), OpenMode::Read)?;
        if open.len() >= OPEN_FILES {
            open.pop_first();
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Up to `len` bytes at `offset` of a segment, as far as it reaches.
    ///
    /// # Errors
    /// The segment's name, and why.
    pub(crate) fn bytes(
        &self,
        segment: u64,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, (String, io::Error)> {
        let mut bytes = vec![0; len];
        let read = self.segment(segment).and_then(|file| file.read_at(offset, &mut bytes));
        let read = read.map_err(|error| (files::segment_name(segment), error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Head and body of the frame with a body of `len` bytes at the front of `bytes`; `None` if it
    /// is not whole or not what was written.
    pub(crate) fn intact<'a>(&self, bytes: &'a [u8], len: usize) -> Option<(Head, &'a [u8])> {
        let frame = bytes.get(..FRAME_HEADER + len)?;
        let head = Head::decode(frame.first_chunk()?)?;
        is_intact(self.seed, &head, frame).then(|| (head, &frame[FRAME_HEADER..]))
    }
}
