//! The deep check of attachments, and what a mirror still lacks.

use std::sync::Arc;

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::record::{AttachmentRef, Header};

use super::reader::AttachmentReader;
use super::store::{Store, hash_of};
use crate::error::ReadError;
use crate::files;
use crate::journal::Journal;
use crate::limits::{ATTACHMENT_SCAN_BYTES, ATTACHMENT_SCAN_RECORDS};
use crate::report::Damage;

/// An attachment that a record names and that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingAttachment {
    /// The record.
    pub position: Position,
    /// The attachment.
    pub attachment: AttachmentRef,
}

/// A page of attachments that are not here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingAttachments {
    /// In order of the records that name them; one that several records name is there for each.
    pub missing: Vec<MissingAttachment>,
    /// The sequence to go on from. All before it were looked at; it is the size of the log when
    /// there are no more.
    pub next: u64,
}

impl Journal {
    /// Attachments that records of a log name from `from` on and that are not here with the named
    /// size: what a mirror still has to fetch. A page ends behind the record that brings `limit`
    /// entries (at least one), or after 65,536 records.
    ///
    /// # Errors
    /// As [`Journal::range`]; [`ReadError::UnknownLog`].
    pub fn missing_attachments(
        &self,
        log: &LogName,
        epoch: u32,
        from: u64,
        limit: usize,
    ) -> Result<MissingAttachments, ReadError> {
        let unknown = || ReadError::UnknownLog { log: log.clone(), epoch };
        let size = self.log(log, epoch).ok_or_else(unknown)?.size;
        let limit = limit.max(1);
        let last = size.min(from.saturating_add(ATTACHMENT_SCAN_RECORDS));
        let mut page = MissingAttachments { missing: Vec::new(), next: from };
        while page.next < last && page.missing.len() < limit {
            let most = (last - page.next) as usize;
            let records = self.range(log, epoch, page.next, most, ATTACHMENT_SCAN_BYTES)?;
            if records.is_empty() {
                break;
            }
            for record in records {
                if page.missing.len() >= limit {
                    break;
                }
                let header = record.header();
                for attachment in self.inner.attachments.unheld(header)? {
                    let (log, seq) = (log.clone(), header.seq);
                    let position = Position { log, epoch, seq };
                    page.missing.push(MissingAttachment { position, attachment });
                }
                page.next = header.seq + 1;
            }
        }
        Ok(page)
    }
}

impl Store {
    /// The attachments of a record that are not here with the named size.
    fn unheld(&self, header: &Header) -> Result<Vec<AttachmentRef>, ReadError> {
        let mut out = Vec::new();
        for attachment in &header.attachments {
            let file = || files::attachment_name(&attachment.hash);
            let size = self.durable_size(&attachment.hash);
            let size = size.map_err(|source| ReadError::Io { file: file(), source })?;
            if size != Some(attachment.size) {
                out.push(*attachment);
            }
        }
        Ok(out)
    }
}

/// Tells of the attachments that a record of an own log names and that are not here.
pub(crate) fn check_named(store: &Store, header: &Header, damage: &mut dyn FnMut(Damage)) {
    for attachment in &header.attachments {
        let what = match store.size(&attachment.hash) {
            Ok(Some(size)) if size == attachment.size => continue,
            Ok(Some(_)) => "an attachment that it names has another size".to_owned(),
            Ok(None) => "an attachment that it names is missing".to_owned(),
            Err(error) => format!("an attachment that it names cannot be read: {error}"),
        };
        let (log, epoch, seq) = (header.log.clone(), header.epoch, header.seq);
        let file = files::attachment_name(&attachment.hash);
        damage(Damage { file, offset: None, position: Some(Position { log, epoch, seq }), what });
    }
}

/// The files of all attachments, to be re-hashed one after the other.
pub(crate) struct Files {
    store: Arc<Store>,
    /// The folder to list next; 256 when there is none left.
    folder: u16,
    /// Names in the folder before it, the next one at the end.
    names: Vec<String>,
}

impl Files {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, folder: 0, names: Vec::new() }
    }

    /// Re-hashes the next file; returns its bytes, `None` when there is none left.
    pub(crate) fn next(&mut self, damage: &mut dyn FnMut(Damage)) -> Option<u64> {
        let mut tell = |file: String, what: &str| {
            damage(Damage { file, offset: None, position: None, what: what.to_owned() });
        };
        while self.names.is_empty() {
            let folder = u8::try_from(self.folder).ok()?;
            self.folder += 1;
            match self.store.listed(folder) {
                Ok(names) => self.names = names.into_iter().rev().collect(),
                Err(error) => tell(files::attachment_folder(folder), &error.to_string()),
            }
        }
        let (folder, name) = ((self.folder - 1) as u8, self.names.pop()?);
        let Some(hash) = hash_of(&name).filter(|hash| hash[0] == folder) else {
            let file = format!("{}/{name}", files::attachment_folder(folder));
            tell(file, "it is not named like an attachment");
            return Some(0);
        };
        let (bytes, flaw) = rehash(&self.store, &hash);
        if let Some(flaw) = flaw {
            tell(files::attachment_name(&hash), &flaw);
        }
        Some(bytes)
    }
}

/// Reads a file whole: its bytes, and what is wrong with it.
fn rehash(store: &Store, hash: &Hash) -> (u64, Option<String>) {
    let mut bytes = 0;
    let mut reader = match AttachmentReader::open(store.place(), hash) {
        Ok(Some(reader)) => reader,
        Ok(None) => return (0, Some("it is gone".to_owned())),
        Err(error) => return (0, Some(error.to_string())),
    };
    loop {
        match reader.next_chunk() {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error.to_string())),
        }
    }
}
