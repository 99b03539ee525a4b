//! Reading an attachment, piece by piece, with its hash.

use std::fmt;
use std::io;
use std::sync::Arc;

use evidence::hash::Hash;
use sha2::{Digest, Sha256};

use super::error::short;
use super::{AttachmentInfo, AttachmentReadError};
use crate::disk::{DiskFile, OpenMode};
use crate::files;
use crate::limits::ATTACHMENT_CHUNK;
use crate::writer::Place;

/// Gives the bytes of one attachment in pieces of up to 256 KiB. The last piece is given only after
/// all of them were found to hash to the attachment's name: a reader who got them all has what was
/// stored, and one of a damaged attachment never gets the last.
pub struct AttachmentReader {
    file: Arc<dyn DiskFile>,
    info: AttachmentInfo,
    at: u64,
    hasher: Sha256,
    /// A piece that was read and not yet given.
    ahead: Option<Vec<u8>>,
    state: Reading,
}

/// How far a reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Going,
    Done,
    Failed,
}

impl fmt::Debug for AttachmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentReader").field("at", &self.at).finish_non_exhaustive()
    }
}

impl AttachmentReader {
    /// Opens an attachment; `None` if it is not there.
    pub(super) fn open(place: &Place, hash: &Hash) -> Result<Option<Self>, AttachmentReadError> {
        let failed = |source| AttachmentReadError::io(hash, source);
        let file = match place.open(&files::attachment_name(hash), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let info = AttachmentInfo { hash: *hash, size: file.size().map_err(failed)? };
        let (hasher, state) = (Sha256::new(), Reading::Going);
        Ok(Some(Self { file, info, at: 0, hasher, ahead: None, state }))
    }

    /// Its name, and its size as the file system tells it.
    #[must_use]
    pub fn info(&self) -> AttachmentInfo {
        self.info
    }

    /// The next piece; `None` behind the last.
    ///
    /// # Errors
    /// [`AttachmentReadError::Damaged`] in place of the last piece if the bytes are not those of
    /// this name; [`AttachmentReadError::Io`]. After an error there is no more to be had.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, AttachmentReadError> {
        match self.state {
            Reading::Done => return Ok(None),
            Reading::Failed => return Err(self.damaged("an earlier piece could not be read")),
            Reading::Going => {}
        }
        let chunk = self.advance();
        match &chunk {
            Ok(_) if self.ahead.is_none() => self.state = Reading::Done,
            Ok(_) => {}
            Err(_) => self.state = Reading::Failed,
        }
        chunk
    }

    /// The next piece, with the one behind it read; the last one once everything was compared.
    fn advance(&mut self) -> Result<Option<Vec<u8>>, AttachmentReadError> {
        let chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None => self.read()?,
        };
        let behind = self.read()?;
        if !behind.is_empty() {
            self.ahead = Some(behind);
            return Ok(Some(chunk));
        }
        if self.at != self.info.size {
            return Err(self.damaged("its size changes"));
        }
        let hash: Hash = std::mem::take(&mut self.hasher).finalize().into();
        if hash != self.info.hash {
            return Err(self.damaged("its bytes do not hash to its name"));
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Reads and hashes a piece; empty at the end.
    fn read(&mut self) -> Result<Vec<u8>, AttachmentReadError> {
        let mut chunk = vec![0; ATTACHMENT_CHUNK];
        let read = self.file.read_at(self.at, &mut chunk);
        let read = read.map_err(|source| AttachmentReadError::io(&self.info.hash, source))?;
        chunk.truncate(read);
        self.hasher.update(&chunk);
        self.at += read as u64;
        Ok(chunk)
    }

    fn damaged(&self, what: &'static str) -> AttachmentReadError {
        AttachmentReadError::Damaged { hash: short(&self.info.hash), what }
    }
}

/// Bytes of an attachment from `offset` on; `None` if it is not there.
pub(super) fn piece(
    place: &Place,
    hash: &Hash,
    offset: u64,
    length: usize,
) -> Result<Option<Vec<u8>>, AttachmentReadError> {
    let failed = |source| AttachmentReadError::io(hash, source);
    let file = match place.open(&files::attachment_name(hash), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = vec![0; length.min(ATTACHMENT_CHUNK)];
    let read = file.read_at(offset, &mut bytes).map_err(failed)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}
