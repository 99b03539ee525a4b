//! Attachments: sealed files beside the commit files, named by the SHA-256 of their bytes.
//!
//! A record names its attachments by hash and size. A record of an own log is committed only when
//! each attachment that it names is durably here; a mirror may hold records whose attachments are
//! still on their way. Attachments are never changed and never removed; one that no record names
//! (its command was refused) stays, and harms nothing. The bytes are the vault's affair: they are
//! sealed before they come here.

mod check;
mod error;
mod reader;
mod store;
mod writer;

use evidence::hash::Hash;

use crate::journal::Journal;

pub(crate) use check::{Files, check_named};
pub use check::{MissingAttachment, MissingAttachments};
pub use error::{AttachmentError, AttachmentReadError};
pub use reader::AttachmentReader;
pub(crate) use store::Store;
pub use writer::AttachmentWriter;

/// An attachment that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentInfo {
    /// SHA-256 of its bytes: its name.
    pub hash: Hash,
    /// Its size in bytes.
    pub size: u64,
}

impl Journal {
    /// Starts to store an attachment. With `expected` (from a record that names it) anything else
    /// is refused. Any number of writers may work at once, beside commits.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`] or [`AttachmentError::DiskFull`] if that is known already,
    /// [`AttachmentError::Io`].
    pub fn attachment_writer(
        &self,
        expected: Option<AttachmentInfo>,
    ) -> Result<AttachmentWriter, AttachmentError> {
        AttachmentWriter::new(self.clone(), expected)
    }

    /// Goes on storing an attachment that comes in parts: behind what is here of it
    /// ([`AttachmentWriter::size`]), also after a restart. What is here may be damaged by a crash;
    /// the hash of the whole decides. At most one such writer of an attachment may be at work.
    ///
    /// # Errors
    /// As [`Journal::attachment_writer`].
    pub fn resume_attachment(
        &self,
        expected: AttachmentInfo,
    ) -> Result<AttachmentWriter, AttachmentError> {
        AttachmentWriter::resume(self.clone(), expected)
    }

    /// So many bytes of an attachment, fewer at its end; `None` if it is not here. They are not
    /// compared with its hash: whoever takes all of them has to do that.
    ///
    /// # Errors
    /// [`AttachmentReadError::Io`].
    pub fn attachment_piece(
        &self,
        hash: &Hash,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, AttachmentReadError> {
        reader::piece(self.inner.attachments.place(), hash, offset, length)
    }

    /// What is here under this name; `None` if nothing is. Its bytes are not looked at.
    ///
    /// # Errors
    /// [`AttachmentReadError::Io`].
    pub fn attachment(&self, hash: &Hash) -> Result<Option<AttachmentInfo>, AttachmentReadError> {
        let size = self.inner.attachments.durable_size(hash);
        let size = size.map_err(|source| AttachmentReadError::io(hash, source))?;
        Ok(size.map(|size| AttachmentInfo { hash: *hash, size }))
    }

    /// Opens an attachment for reading; `None` if it is not here.
    ///
    /// # Errors
    /// [`AttachmentReadError::Io`].
    pub fn read_attachment(
        &self,
        hash: &Hash,
    ) -> Result<Option<AttachmentReader>, AttachmentReadError> {
        AttachmentReader::open(self.inner.attachments.place(), hash)
    }

    /// All attachments, ordered by hash, as they are found while iterating.
    pub fn attachments(
        &self,
    ) -> impl Iterator<Item = Result<AttachmentInfo, AttachmentReadError>> + '_ {
        let store = &self.inner.attachments;
        (0..=u8::MAX).flat_map(move |folder| match store.names(folder) {
            Ok(names) => names.into_iter().filter_map(|hash| self.found(&hash)).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// An attachment whose name was listed; it may be damaged, but not gone.
    fn found(&self, hash: &Hash) -> Option<Result<AttachmentInfo, AttachmentReadError>> {
        self.attachment(hash).transpose()
    }
}
