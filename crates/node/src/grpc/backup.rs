//! A backup of the journal, sent in pieces while the office goes on.
//!
//! The asker keeps what comes and checks it; here it is only noted that everything was sent. One at
//! a time; it ends when the node stops or the asker hangs up.

use journal::{Backup, BackupError, Transaction};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tonic::Status;
use tracing::{error, info};
use wire::Fault;
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::backup_journal_event::Event;

use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::upkeep::BackupState;

/// Bytes of a piece. With [`QUEUE`] of them waiting, a slow asker costs 2 MiB.
const PIECE: usize = 256 * 1_024;
/// Pieces waiting for a slow asker.
pub const QUEUE: usize = 8;
/// What has failed where the backup itself does.
const FAILED: Fault = Fault::Internal { doing: "read the journal for its backup" };

type Answer = mpsc::Sender<Result<pb::BackupJournalEvent, Status>>;

/// Why no more is sent.
enum Ended {
    /// Nobody listens, or the node stops.
    Gone,
    Failed(Fault),
}

/// Sends a backup.
pub async fn run(office: SharedOffice, send: Answer) -> Result<(), String> {
    let sent = match office.backing_up.try_lock() {
        Err(_) => Err(Ended::Failed(Fault::Busy)),
        Ok(_turn) => send_all(&office, &send).await,
    };
    match sent {
        Ok(state) => {
            info!(group = state.group, bytes = state.bytes, "backup sent");
            note(&office, &state).await;
        }
        Err(Ended::Gone) => {
            let stopping = Status::from(Fault::Stopping);
            // An asker that has gone misses nothing; nobody waits for one that does not read.
            let _ = send.try_send(Err(stopping));
        }
        Err(Ended::Failed(fault)) => {
            let _ = tell(&office, &send, Err(Status::from(fault))).await;
        }
    }
    Ok(())
}

async fn send_all(office: &SharedOffice, send: &Answer) -> Result<BackupState, Ended> {
    let clock = office.clock.now();
    let mut backup = done(office.journal.on_thread(move |journal| journal.backup(clock)).await)?;
    let state = BackupState { taken: clock, group: backup.group(), bytes: backup.bytes() };
    let files = backup.files().to_vec();
    let plan = pb::BackupPlan { files: files.len() as u64, bytes: state.bytes, group: state.group };
    event(office, send, Event::Plan(plan)).await?;
    for (number, file) in files.iter().enumerate() {
        let mut offset = 0;
        loop {
            let (back, data) = blocking(move || piece(backup, number, offset)).await?;
            backup = back;
            let (name, read) = (file.name.clone(), data.len() as u64);
            event(office, send, Event::Piece(pb::BackupPiece { file: name, offset, data })).await?;
            offset += read;
            if offset >= file.len {
                break;
            }
        }
    }
    let manifest = blocking(move || backup.manifest()).await?.encode();
    for part in parts(&manifest) {
        event(office, send, Event::Manifest(part)).await?;
    }
    Ok(state)
}

/// The lines of a manifest in parts of about a piece: it has a line for each attachment.
fn parts(manifest: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in manifest.split_inclusive('\n') {
        match parts.last_mut() {
            Some(part) if part.len() + line.len() <= PIECE => part.push_str(line),
            _ => parts.push(line.to_owned()),
        }
    }
    parts
}

/// Reads a piece.
fn piece(mut backup: Backup, file: usize, offset: u64) -> Result<(Backup, Vec<u8>), BackupError> {
    let mut data = vec![0; PIECE];
    let read = backup.read(file, offset, &mut data)?;
    data.truncate(read);
    Ok((backup, data))
}

/// Works on a thread where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Ended> {
    done(tokio::task::spawn_blocking(work).await)
}

fn done<T>(worked: Result<Result<T, BackupError>, JoinError>) -> Result<T, Ended> {
    let failed = |error: &dyn std::error::Error| {
        error!(error = chain(error), "back up the journal");
        Ended::Failed(FAILED)
    };
    match worked {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}

async fn event(office: &Office, send: &Answer, event: Event) -> Result<(), Ended> {
    tell(office, send, Ok(pb::BackupJournalEvent { event: Some(event) })).await
}

/// Waits for the asker, not for ever: the node may stop meanwhile.
async fn tell(
    office: &Office,
    send: &Answer,
    what: Result<pb::BackupJournalEvent, Status>,
) -> Result<(), Ended> {
    let stopping = office.supervisor.stopping();
    tokio::select! {
        () = stopping.cancelled() => Err(Ended::Gone),
        sent = send.send(what) => sent.map_err(|_| Ended::Gone),
    }
}

/// Keeps when it was. Losing that loses nothing of the backup.
async fn note(office: &Office, state: &BackupState) {
    let transaction = Transaction { controls: vec![state.control()], ..Transaction::default() };
    if let Err(error) = office.writer.write(transaction).await {
        error!(error = chain(&error), "note the backup");
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use journal::BackupWriter;
    use tonic::Code;

    use super::*;
    use crate::testing::{contact, desk, log};

    #[tokio::test]
    async fn what_is_sent_is_a_whole_backup_and_is_noted() {
        let desk = desk("KZ-75").await;
        desk.record(&log("kz-75"), &[contact(1), contact(2)]).await;
        let (send, mut answer) = mpsc::channel::<Result<pb::BackupJournalEvent, Status>>(QUEUE);
        let dir = tempfile::tempdir().unwrap();
        let mut writer = BackupWriter::create(&dir.path().join("backup")).unwrap();
        let (mut bytes, mut plan, mut manifest) = (0, None, String::new());
        let receiving = async {
            while let Some(event) = answer.recv().await {
                match event.unwrap().event.unwrap() {
                    Event::Plan(coming) => plan = Some(coming),
                    Event::Piece(piece) => {
                        bytes += piece.data.len() as u64;
                        assert!(piece.data.len() <= PIECE);
                        writer.write(&piece.file, piece.offset, &piece.data).unwrap();
                    }
                    Event::Manifest(part) => manifest.push_str(&part),
                }
            }
        };
        let (sent, ()) = tokio::join!(run(desk.office.clone(), send), receiving);
        sent.unwrap();
        writer.finish(&manifest, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(plan.unwrap().bytes, bytes);
        assert_eq!(BackupState::load(&desk.office.journal).unwrap().bytes, bytes);
    }

    #[test]
    fn a_manifest_is_sent_in_whole_lines() {
        let line = format!("{}\n", "x".repeat(99));
        let text = line.repeat(10_000);
        let parts = parts(&text);
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= PIECE));
        assert!(parts.iter().all(|part| part.ends_with('\n')));
        assert_eq!(parts.concat(), text);
    }

    #[tokio::test]
    async fn a_second_backup_is_refused_and_one_that_nobody_hears_ends() {
        let desk = desk("KZ-75").await;
        let (send, mut answer) = mpsc::channel(QUEUE);
        let turn = desk.office.backing_up.lock().await;
        run(desk.office.clone(), send).await.unwrap();
        let refused = answer.recv().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        drop(turn);
        let (send, answer) = mpsc::channel(1);
        drop(answer);
        run(desk.office.clone(), send).await.unwrap();
        assert!(desk.office.backing_up.try_lock().is_ok(), "the next one has its turn");
        assert_eq!(BackupState::load(&desk.office.journal), None);
    }

    #[tokio::test]
    async fn a_stop_ends_a_backup_that_nobody_reads() {
        let desk = desk("KZ-75").await;
        let (send, _answer) = mpsc::channel(1);
        let sending = run(desk.office.clone(), send);
        desk.office.supervisor.stop();
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, sending).await.unwrap().unwrap();
        assert_eq!(BackupState::load(&desk.office.journal), None);
    }
}
