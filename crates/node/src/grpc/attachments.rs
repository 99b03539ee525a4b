//! Files of a case: taken in sealed, read back by who may open the record that names them.

use std::time::Duration;

use domain::contact::{AttachFile, FilePart};
use domain::permission::{self, Actor};
use domain::{Request, StreamKind};
use evidence::record::{Record, StreamRef};
use journal::{
    AttachmentError, AttachmentInfo, AttachmentReadError, AttachmentReader, AttachmentWriter,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tracing::error;
use uuid::Uuid;
use vault::pieces::{HEADER, Opener, PIECE, SEALED_PIECE, Sealer};
use vault::{KeyId, VaultError};
use wire::pb::command::v1 as pb;
use wire::status::Fault;
use zeroize::Zeroizing;

use crate::grpc::errors;
use crate::office::{Office, SharedOffice};
use crate::project::chain;

/// Bytes to which a file is bound: it opens only as one of this stream.
fn bound_to(stream: &StreamRef) -> Vec<u8> {
    let mut bytes = b"adal/file/v1\n".to_vec();
    bytes.extend_from_slice(&stream.kind.to_be_bytes());
    bytes.extend_from_slice(&stream.id);
    bytes
}

/// Takes in a file for a contact that exists, sealed with the contact's key as it comes. A command
/// then names it. A caller that sends no byte for `idle` is given up, with what it sent.
pub async fn store(
    office: &SharedOffice,
    actor: &Actor,
    pieces: impl Stream<Item = Result<pb::StoreFileRequest, Status>> + Unpin,
    idle: Duration,
) -> Result<pb::StoreFileResponse, Status> {
    let asked = AttachFile { file: [0; 32], size: 0, personal: Some(FilePart::default()) };
    permission::check(actor, &office.code, &Request::from(asked))
        .map_err(|refusal| Fault::Refused { request: "attach_file", refusal })?;
    let mut pieces = Pieces { pieces, idle };
    let Some(first) = pieces.next().await? else {
        return Err(errors::field("stream_id", "nothing was sent; name the contact"));
    };
    let stream = contact(office, &first.stream_id).await?;
    let mut incoming = Incoming::begin(office, stream).await?;
    incoming.add(office, first.data).await?;
    while let Some(piece) = pieces.next_bytes().await? {
        incoming.add(office, piece).await?;
    }
    let AttachmentInfo { hash, size } = incoming.finish(office).await?;
    Ok(pb::StoreFileResponse { file: hash.to_vec(), size })
}

/// What a caller sends, as long as something comes.
struct Pieces<S> {
    pieces: S,
    idle: Duration,
}

impl<S: Stream<Item = Result<pb::StoreFileRequest, Status>> + Unpin> Pieces<S> {
    /// The next message; `None` behind the last.
    async fn next(&mut self) -> Result<Option<pb::StoreFileRequest>, Status> {
        self.until(Instant::now() + self.idle).await
    }

    /// The next bytes; `None` behind the last. Messages without any are no sign of life.
    async fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let end = Instant::now() + self.idle;
        while let Some(piece) = self.until(end).await? {
            if !piece.data.is_empty() {
                return Ok(Some(piece.data));
            }
        }
        Ok(None)
    }

    async fn until(&mut self, end: Instant) -> Result<Option<pb::StoreFileRequest>, Status> {
        let idle = |_| Status::from(Fault::Idle { limit: self.idle.as_secs() });
        tokio::time::timeout_at(end, self.pieces.next()).await.map_err(idle)?.transpose()
    }
}

/// The stream of a contact that is there.
async fn contact(office: &Office, id: &str) -> Result<StreamRef, Status> {
    let id = Uuid::try_parse(id).map_err(|_| errors::field("stream_id", "is no UUID"))?;
    let stream = StreamRef { kind: StreamKind::Contact.code(), id: id.into_bytes() };
    let records = office.journal.stream(&office.logs.own, stream).await;
    if records.map_err(|error| errors::read(&error))?.is_empty() {
        return Err(Fault::NotFound { what: "contact" }.into());
    }
    Ok(stream)
}

/// A file on its way in.
struct Incoming {
    sealer: Sealer,
    writer: Option<AttachmentWriter>,
    /// Plain bytes that fill no piece yet.
    rest: Zeroizing<Vec<u8>>,
}

impl Incoming {
    async fn begin(office: &SharedOffice, stream: StreamRef) -> Result<Incoming, Status> {
        let key = office.vault.key_for(stream.kind, stream.id).map_err(|e| errors::vault(&e))?;
        let vault = office.vault.clone();
        // What is sealed with a key that a crash would lose could never be opened.
        let kept = office.journal.on_thread(move |_| vault.persist()).await;
        kept.map_err(|_| stopped())?.map_err(|error| errors::vault(&error))?;
        let sealer = office.vault.sealer(key, &bound_to(&stream));
        let (sealer, header) = sealer.map_err(|error| errors::vault(&error))?;
        let writer = office.journal.on_thread(|journal| journal.attachment_writer(None)).await;
        let writer = writer.map_err(|_| stopped())?.map_err(|error| refused(&error))?;
        let rest = Zeroizing::new(Vec::with_capacity(2 * PIECE));
        let mut incoming = Incoming { sealer, writer: Some(writer), rest };
        incoming.write(office, header.to_vec()).await?;
        Ok(incoming)
    }

    async fn add(&mut self, office: &SharedOffice, data: Vec<u8>) -> Result<(), Status> {
        let data = Zeroizing::new(data);
        if data.len() > PIECE {
            return Err(errors::field("data", "a piece has at most 65,536 bytes"));
        }
        self.rest.extend_from_slice(&data);
        // The last piece is sealed otherwise, so one is kept back until more has come.
        if self.rest.len() > PIECE {
            let sealed = self.sealer.seal(&self.rest[..PIECE], false);
            let left = Zeroizing::new(self.rest[PIECE..].to_vec());
            self.rest.clear();
            self.rest.extend_from_slice(&left);
            self.write(office, sealed.map_err(|error| errors::vault(&error))?).await?;
        }
        Ok(())
    }

    async fn write(&mut self, office: &SharedOffice, sealed: Vec<u8>) -> Result<(), Status> {
        let Some(mut writer) = self.writer.take() else { return Err(stopped()) };
        let work = move |_: &journal::Journal| writer.write(&sealed).map(|()| writer);
        let written = office.journal.on_thread(work).await.map_err(|_| stopped())?;
        self.writer = Some(written.map_err(|error| refused(&error))?);
        Ok(())
    }

    async fn finish(mut self, office: &SharedOffice) -> Result<AttachmentInfo, Status> {
        let sealed = self.sealer.seal(&self.rest, true).map_err(|error| errors::vault(&error))?;
        self.write(office, sealed).await?;
        let Some(writer) = self.writer.take() else { return Err(stopped()) };
        let stored = office.journal.on_thread(move |_| writer.finish()).await;
        stored.map_err(|_| stopped())?.map_err(|error| refused(&error))
    }
}

/// A file that is read back.
pub struct Outgoing {
    reader: AttachmentReader,
    opener: Option<Opener>,
    /// Of the file's header until it is whole; then sealed bytes that fill no piece yet.
    rest: Vec<u8>,
    key: KeyId,
    bound: Vec<u8>,
}

/// Finds the file that a record names, before its opening is recorded.
pub async fn find(office: &SharedOffice, record: &Record) -> Result<Outgoing, Status> {
    let header = record.header();
    let missing = || Status::from(Fault::NotFound { what: "attachment" });
    let hash = header.attachments.first().ok_or_else(missing)?.hash;
    let key = KeyId(header.keys.first().ok_or(Fault::KeyMissing)?.id);
    let reader = office.journal.on_thread(move |journal| journal.read_attachment(&hash)).await;
    let reader = reader.map_err(|_| stopped())?.map_err(|error| unreadable(&error))?;
    let (reader, bound) = (reader.ok_or_else(missing)?, bound_to(&header.stream));
    Ok(Outgoing { reader, opener: None, rest: Vec::new(), key, bound })
}

impl Outgoing {
    /// Sends the opened file, piece by piece, until it ends or nobody takes it. The last piece goes
    /// out only after all bytes were found to be those that the record names.
    pub async fn send(
        mut self,
        office: &SharedOffice,
        to: &mpsc::Sender<Result<pb::ReadFileResponse, Status>>,
    ) -> Result<(), Status> {
        loop {
            let mut reader = self.reader;
            let work = move |_: &journal::Journal| (reader.next_chunk(), reader);
            let (chunk, reader) = office.journal.on_thread(work).await.map_err(|_| stopped())?;
            self.reader = reader;
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            let last = chunk.is_none();
            self.rest.extend(chunk.unwrap_or_default());
            for data in self.opened(office, last).map_err(|error| errors::vault(&error))? {
                let piece = pb::ReadFileResponse { personal_json: String::new(), data };
                if to.send(Ok(piece)).await.is_err() {
                    return Ok(()); // nobody listens any more
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Opens what is whole; at the end, everything.
    fn opened(&mut self, office: &Office, last: bool) -> Result<Vec<Vec<u8>>, VaultError> {
        if self.opener.is_none() {
            let Some((header, rest)) = self.rest.split_first_chunk::<HEADER>() else {
                let no_file = Err(VaultError::NotAuthentic { key: self.key });
                return if last { no_file } else { Ok(Vec::new()) };
            };
            self.opener = Some(office.vault.opener(self.key, &self.bound, header)?);
            self.rest = rest.to_vec();
        }
        let mut opened = Vec::new();
        let Some(opener) = &mut self.opener else { return Ok(opened) };
        while self.rest.len() > SEALED_PIECE {
            opened.push(opener.open(&self.rest[..SEALED_PIECE], false)?.to_vec());
            self.rest.drain(..SEALED_PIECE);
        }
        if last {
            opened.push(opener.open(&self.rest, true)?.to_vec());
        }
        Ok(opened)
    }
}

fn stopped() -> Status {
    Fault::Stopping.into()
}

fn refused(failure: &AttachmentError) -> Status {
    match failure {
        AttachmentError::TooLarge { limit, .. } => Fault::TooLarge { limit: *limit }.into(),
        AttachmentError::DiskFull { free, watermark } => {
            Fault::DiskFull { free: *free, watermark: *watermark }.into()
        }
        other => {
            error!(error = chain(other), "store a file");
            Status::internal("the file was not stored; see the node's log")
        }
    }
}

fn unreadable(failure: &AttachmentReadError) -> Status {
    error!(error = chain(failure), "read a file");
    match failure {
        AttachmentReadError::Damaged { .. } => {
            Fault::Damaged { place: "an attachment".to_owned() }.into()
        }
        AttachmentReadError::Io { .. } => Status::internal("the file cannot be read"),
    }
}

#[cfg(test)]
mod tests;
