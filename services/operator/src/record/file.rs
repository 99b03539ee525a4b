//! `adal record attach` and `adal record file`: a file of a contact, sealed on its way in, and read
//! back with its trace in the log.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use domain::contact::{AttachFile, FilePart};
use domain::{Code, Text};
use tokio_stream::StreamExt;
use uuid::Uuid;
use wire::pb::command::v1 as pb;

use super::open::wanted;
use super::{Common, Undertaking};
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output};

/// Plain bytes sent at once.
const PIECE: usize = 64 * 1024;

/// A file for a contact that is open.
#[derive(Debug, Args)]
#[command(after_help = "The file is sealed with the contact's key while it is sent; at most \
                        64 MiB. Its name is sealed too.\n\n\
                        Example: adal record attach --contact UUID call.ogg")]
pub struct AttachArgs {
    /// The contact.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    contact: Uuid,
    /// Name under which it is kept [default: that of the file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

impl AttachArgs {
    /// Sends the file; what is to be recorded then.
    pub(super) async fn undertaking(&self, way: &Way) -> Outcome<Undertaking> {
        let own = || self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(own).map(Text::new);
        let stored = self.send(way).await?;
        let file = stored.file.try_into();
        let file = file.map_err(|_| Failure::usage("the node answered with no hash"))?;
        let personal = Some(FilePart { name });
        Ok(Undertaking::on(self.contact, AttachFile { file, size: stored.size, personal }))
    }

    async fn send(&self, way: &Way) -> Outcome<pb::StoreFileResponse> {
        let failed = |error| Failure::wrong(format!("read {}", self.file.display()), &error);
        let mut file = File::open(&self.file).map_err(failed)?;
        let mut client = way.commands().await?;
        let (send, pieces) = tokio::sync::mpsc::channel(2);
        let stream_id = self.contact.to_string();
        let first = pb::StoreFileRequest { stream_id, data: Vec::new() };
        let reading = async move {
            let mut next = first;
            // A node that takes nothing more says why.
            while send.send(next).await.is_ok() {
                let mut data = vec![0; PIECE];
                let read = file.read(&mut data)?;
                if read == 0 {
                    break;
                }
                data.truncate(read);
                next = pb::StoreFileRequest { stream_id: String::new(), data };
            }
            Ok(())
        };
        let call = client.store_file(tokio_stream::wrappers::ReceiverStream::new(pieces));
        // The pieces end early where the file cannot be read, so the call must not count then.
        let (read, stored) = tokio::join!(reading, call);
        read.map_err(failed)?;
        Ok(stored?.into_inner())
    }
}

/// Which file, and why.
#[derive(Debug, Args)]
#[command(after_help = "The opening itself is recorded before anything is shown: who, which \
                        record, for what purpose.\n\n\
                        Example: adal record file kz-75:1:42 --purpose case_work --out call.ogg")]
pub struct FileArgs {
    /// log:epoch:sequence, log:sequence (newest epoch), or the id of the event.
    #[arg(value_name = "POSITION-or-EVENT-ID")]
    record: String,
    /// Why: a code of `opening_purpose`.
    #[arg(long, value_parser = input::code)]
    purpose: Code,
    /// The new file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Carries it out. Nothing is left at `out` if the file does not come whole.
pub(super) async fn run(args: &FileArgs, way: &Way, output: Output) -> Outcome {
    let record = Some(wanted(&args.record)?);
    let request = pb::OpenRecordRequest { record, purpose: args.purpose.to_string() };
    let mut pieces = way.commands().await?.read_file(request).await?.into_inner();
    let failed = |error| Failure::wrong(format!("write {}", args.out.display()), &error);
    let mut file = File::create_new(&args.out).map_err(failed)?;
    let written = async {
        let (mut size, mut personal) = (0, String::new());
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            file.write_all(&piece.data).map_err(failed)?;
            size += piece.data.len() as u64;
            personal.push_str(&piece.personal_json);
        }
        file.sync_all().map_err(failed)?;
        Outcome::Ok((size, personal))
    };
    let (size, personal) = match written.await {
        Ok(written) => written,
        Err(error) => {
            remove(&args.out)?;
            return Err(error);
        }
    };
    output.one(&vec![
        ("file", Cell::text(args.out.display().to_string())),
        ("bytes", Cell::number(size)),
        ("sealed_part", Cell::json(&personal)),
    ])
}

fn remove(path: &Path) -> Outcome {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::wrong(format!("remove {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}
