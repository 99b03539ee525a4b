//! The operator service: logs, records without personal data, checks, links.

use std::pin::Pin;
use std::sync::Arc;

use domain::{OfficeCode, Role};
use evidence::log::{LogName, Position};
use evidence::record::Record;
use journal::LogInfo;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::pb::operator::v1 as pb;
pub use wire::pb::operator::v1::get_record_request::Record as Wanted;
use wire::pb::operator::v1::operator_service_server::OperatorService;
use wire::status::Fault;

use crate::epochs::{self, Rotated};
use crate::grpc::{access, backup, check, errors, explain, pages, previews, stat, sync};
use crate::link::store;
use crate::office::{Office, SharedOffice};
use crate::project;
use crate::recover;
use crate::supervisor::OnEnd;

/// Who may look at logs: people who run, lead or check an office.
pub(crate) const LOOK: [Role; 4] = [Role::Operator, Role::Chief, Role::National, Role::Auditor];
/// Who may have work done: checks and rebuilds cost the machine.
const UPKEEP: [Role; 2] = [Role::Operator, Role::Auditor];
/// Who may take everything that is stored out of the office, open bodies and sealed parts alike.
const BACKUP: [Role; 1] = [Role::Operator];
/// Who may change the key of the office's logs.
const KEYS: [Role; 1] = [Role::Operator];
/// Records read from the journal at once.
const BATCH: usize = 256;
/// Bytes read from the journal at once.
const BATCH_BYTES: usize = 1024 * 1024;
/// Bytes of found records that one call may enter: they are in memory together.
const FOUND_BYTES: usize = 64 * 1024 * 1024;
/// Messages waiting for a slow reader.
const QUEUE: usize = 64;

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves [`OperatorService`] for one office.
pub struct Operator {
    office: SharedOffice,
}

impl Operator {
    /// The service of `office`.
    pub fn new(office: SharedOffice) -> Operator {
        Operator { office }
    }
}

#[tonic::async_trait]
impl OperatorService for Operator {
    async fn list_logs(
        &self,
        request: Request<pb::ListLogsRequest>,
    ) -> Result<Response<pb::ListLogsResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let logs = self.office.journal.logs();
        let logs = logs.iter().map(|info| log_row(&self.office, info)).collect();
        Ok(Response::new(pb::ListLogsResponse { logs }))
    }

    type ReadLogStream = Answer<pb::RecordSummary>;

    async fn read_log(
        &self,
        request: Request<pb::ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let request = request.into_inner();
        let info = find_log(&self.office, &request.log, request.epoch)?;
        let default = if request.follow { info.size } else { 0 };
        let next = request.from.unwrap_or(default);
        within(&info, next)?;
        let (send, answer) = mpsc::channel(QUEUE);
        let reading = Reading {
            office: self.office.clone(),
            log: info.log,
            epoch: info.epoch,
            next,
            left: if request.limit == 0 { u64::MAX } else { request.limit },
            follow: request.follow,
            send,
        };
        self.office.supervisor.spawn("read log", OnEnd::Ignore, reading.run());
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    async fn page_log(
        &self,
        request: Request<pb::PageLogRequest>,
    ) -> Result<Response<pb::PageLogResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        pages::page(&self.office, &request.into_inner()).map(Response::new)
    }

    async fn get_record(
        &self,
        request: Request<pb::GetRecordRequest>,
    ) -> Result<Response<pb::GetRecordResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let record = find_record(&self.office, request.into_inner().record).await?;
        record_with_proof(&self.office, record).map(Response::new)
    }

    type CheckJournalStream = Answer<pb::CheckJournalEvent>;

    async fn check_journal(
        &self,
        request: Request<pb::CheckJournalRequest>,
    ) -> Result<Response<Self::CheckJournalStream>, Status> {
        access::person_with(request.extensions(), &self.office, &UPKEEP)?;
        let only = request.into_inner().log;
        if !only.is_empty() {
            find_log(&self.office, &only, 0)?;
        }
        let (send, answer) = mpsc::channel(QUEUE);
        let office = self.office.clone();
        self.office.supervisor.spawn("check", OnEnd::Ignore, check::run(office, only, send));
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    async fn journal_stat(
        &self,
        request: Request<pb::JournalStatRequest>,
    ) -> Result<Response<pb::JournalStatResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        stat::stat(&self.office).await.map(Response::new)
    }

    type BackupJournalStream = Answer<pb::BackupJournalEvent>;

    async fn backup_journal(
        &self,
        request: Request<pb::BackupJournalRequest>,
    ) -> Result<Response<Self::BackupJournalStream>, Status> {
        access::person_with(request.extensions(), &self.office, &BACKUP)?;
        let (send, answer) = mpsc::channel(backup::QUEUE);
        let sending = backup::run(self.office.clone(), send);
        self.office.supervisor.spawn("backup", OnEnd::Ignore, sending);
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    async fn recover_records(
        &self,
        request: Request<Streaming<pb::RecoverRecordsRequest>>,
    ) -> Result<Response<pb::RecoverRecordsResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &KEYS)?;
        let found = found(request.into_inner()).await?;
        let summary = recover::recover(&self.office, found).await;
        let summary = summary.map_err(|error| errors::recover(&error))?;
        Ok(Response::new(pb::RecoverRecordsResponse {
            entered: summary.entered,
            kept_apart: summary.kept_apart,
            known: summary.known,
            proved: summary.proved,
        }))
    }

    async fn sync_status(
        &self,
        request: Request<pb::SyncStatusRequest>,
    ) -> Result<Response<pb::SyncStatusResponse>, Status> {
        // Everybody of the office may see whether what they record has reached the centre.
        access::person(request.extensions(), &self.office)?;
        Ok(Response::new(sync::status(&self.office)))
    }

    async fn explain_sync(
        &self,
        request: Request<pb::ExplainSyncRequest>,
    ) -> Result<Response<pb::ExplainSyncResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let named = request.into_inner().office.to_ascii_uppercase();
        let peer = named
            .parse::<OfficeCode>()
            .map_err(|_| errors::field("office", "is not an office code such as KZ or KZ-75"))?;
        let explained = explain::explain(&self.office, &peer);
        let answer = explained.ok_or_else(|| {
            let links: Vec<String> =
                sync::peers(&self.office).keys().map(ToString::to_string).collect();
            errors::field("office", &format!("has no link here; there are: {}", links.join(", ")))
        })?;
        Ok(Response::new(answer))
    }

    async fn list_previews(
        &self,
        request: Request<pb::ListPreviewsRequest>,
    ) -> Result<Response<pb::ListPreviewsResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        Ok(Response::new(previews::list(&self.office)))
    }

    type RebuildViewsStream = Answer<pb::RebuildViewsEvent>;

    async fn rebuild_views(
        &self,
        request: Request<pb::RebuildViewsRequest>,
    ) -> Result<Response<Self::RebuildViewsStream>, Status> {
        access::person_with(request.extensions(), &self.office, &UPKEEP)?;
        let (send, answer) = mpsc::channel(QUEUE);
        let office = self.office.clone();
        self.office.supervisor.spawn("rebuild views", OnEnd::Ignore, async move {
            let total = office.journal.logs().iter().map(|info| info.size).sum();
            let mut done = 0;
            let outcome = project::rebuild(&office, |records| {
                done += records;
                let event = pb::RebuildViewsEvent { done, total, finished: false };
                let _ = send.try_send(Ok(event));
            });
            let last = match outcome.await {
                Ok(()) => Ok(pb::RebuildViewsEvent { done, total, finished: true }),
                Err(reason) => Err(Status::internal(reason)),
            };
            let _ = send.send(last).await;
            Ok(())
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    async fn rotate_key(
        &self,
        request: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &KEYS)?;
        if request.into_inner().office != self.office.code.as_str() {
            let text = format!("is not this office; this node is that of {}", self.office.code);
            return Err(errors::field("office", &text));
        }
        let logs = epochs::rotate(&self.office).await.map_err(|error| errors::epoch(&error))?;
        Ok(Response::new(rotated(&self.office, &logs)))
    }
}

/// The records of one call, which are verified together.
async fn found(mut stream: Streaming<pb::RecoverRecordsRequest>) -> Result<Vec<Record>, Status> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(next) = stream.message().await? {
        bytes += next.record.len();
        if bytes > FOUND_BYTES {
            let text = format!("are more than {FOUND_BYTES} bytes together; enter them in parts");
            return Err(errors::field("record", &text));
        }
        let record = Record::parse(next.record);
        records.push(record.map_err(|error| errors::field("record", &error.to_string()))?);
    }
    Ok(records)
}

/// The logs that went on under a new key, as a message.
fn rotated(office: &Office, logs: &[Rotated]) -> pb::RotateKeyResponse {
    let row = |rotated: &Rotated| {
        let name = evidence::log::origin(&office.options.domain, &rotated.log, rotated.epoch);
        let key = evidence::note::Verifier::log(&name, &rotated.key);
        pb::RotatedLog {
            log: rotated.log.to_string(),
            closed_epoch: rotated.closed,
            closed_size: rotated.size,
            epoch: rotated.epoch,
            verifier_key: key.map(|key| key.to_string()).unwrap_or_default(),
        }
    };
    pb::RotateKeyResponse { logs: logs.iter().map(row).collect() }
}

struct Reading {
    office: Arc<Office>,
    log: LogName,
    epoch: u32,
    next: u64,
    left: u64,
    follow: bool,
    send: mpsc::Sender<Result<pb::RecordSummary, Status>>,
}

impl Reading {
    async fn run(mut self) -> Result<(), String> {
        let stopping = self.office.supervisor.stopping();
        let mut grown = self.office.writer.grown();
        loop {
            grown.mark_seen();
            if !self.catch_up().await || !self.follow {
                return Ok(());
            }
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = self.send.closed() => return Ok(()),
                changed = grown.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Sends what is there; false when nothing more is to be sent.
    async fn catch_up(&mut self) -> bool {
        while self.left > 0 {
            let wanted = BATCH.min(usize::try_from(self.left).unwrap_or(BATCH));
            let read =
                self.office.journal.range(&self.log, self.epoch, self.next, wanted, BATCH_BYTES);
            let records = match read {
                Ok(records) => records,
                Err(error) => {
                    let _ = self.send.send(Err(errors::read(&error))).await;
                    return false;
                }
            };
            if records.is_empty() {
                return true;
            }
            for record in &records {
                if self.send.send(Ok(wire::record_summary(record))).await.is_err() {
                    return false;
                }
            }
            self.next += records.len() as u64;
            self.left -= records.len() as u64;
        }
        false
    }
}

/// The part that an office has in a log, as a message.
pub fn log_role(role: journal::Role) -> pb::LogRole {
    match role {
        journal::Role::Own => pb::LogRole::Own,
        journal::Role::Mirror => pb::LogRole::Mirror,
    }
}

/// One epoch of a log as a message.
pub fn log_row(office: &Office, info: &LogInfo) -> pb::LogRow {
    let role = log_role(info.role);
    pb::LogRow {
        log: info.log.to_string(),
        epoch: info.epoch,
        role: role.into(),
        size: info.size,
        root: info.root.to_vec(),
        origin: evidence::log::origin(&office.options.domain, &info.log, info.epoch),
        head: store::newest_note(office, &info.log, info.epoch).unwrap_or_default(),
    }
}

/// The name of a log.
pub fn log_name(name: &str) -> Result<LogName, Status> {
    name.parse().map_err(|_| errors::field("log", "is not a log name such as kz-75 or kz/all"))
}

/// A log by name; epoch 0 means its newest.
pub fn find_log(office: &Office, name: &str, epoch: u32) -> Result<LogInfo, Status> {
    let log = log_name(name)?;
    let epochs = office.journal.logs().into_iter().filter(|info| info.log == log);
    epochs
        .filter(|info| epoch == 0 || info.epoch == epoch)
        .max_by_key(|info| info.epoch)
        .ok_or_else(|| Fault::NotFound { what: "log; `adal log list` shows all" }.into())
}

/// Refuses to begin behind the end of a log.
pub fn within(info: &LogInfo, from: u64) -> Result<(), Status> {
    if from <= info.size {
        return Ok(());
    }
    Err(Status::out_of_range(format!(
        "{} epoch {} has {} records; `from` must not be larger",
        info.log, info.epoch, info.size
    )))
}

/// The record of a question, by position or by event id.
pub async fn find_record(office: &Office, wanted: Option<Wanted>) -> Result<Record, Status> {
    match wanted {
        Some(Wanted::Position(at)) => record_at(office, &log_name(&at.log)?, at.epoch, at.sequence),
        Some(Wanted::EventId(text)) => {
            let at = find_event(office, &text).await?.ok_or_else(no_record)?;
            record_at(office, &at.log, at.epoch, at.seq)
        }
        None => Err(errors::field("record", "name a position or an event id")),
    }
}

/// The record of a log at this place; epoch 0 means the newest.
pub fn record_at(office: &Office, log: &LogName, epoch: u32, seq: u64) -> Result<Record, Status> {
    let info = find_log(office, log.as_str(), epoch)?;
    let found = office.journal.get(&info.log, info.epoch, seq);
    found.map_err(|error| errors::read(&error))?.ok_or_else(no_record)
}

/// Where the record of an event is.
pub async fn find_event(office: &Office, text: &str) -> Result<Option<Position>, Status> {
    let event: uuid::Uuid = text.parse().map_err(|_| errors::field("event_id", "is not a UUID"))?;
    office.journal.find_event(event.as_bytes()).await.map_err(|error| errors::read(&error))
}

/// What is answered where there is no record.
pub fn no_record() -> Status {
    Fault::NotFound { what: "record" }.into()
}

fn record_with_proof(office: &Office, record: Record) -> Result<pb::GetRecordResponse, Status> {
    let header = record.header();
    let (log, epoch, seq) = (header.log.clone(), header.epoch, header.seq);
    let head = store::newest_head(office, &log, epoch).filter(|head| head.size > seq);
    let size = match &head {
        Some(head) => head.size,
        None => office.journal.log(&log, epoch).map_or(0, |info| info.size),
    };
    // A mirror may have accepted a head that is ahead of what it holds.
    let held = office.journal.log(&log, epoch).map_or(0, |info| info.size);
    let (size, head) = if size <= held { (size, head) } else { (held, None) };
    let read = |error: journal::ReadError| errors::read(&error);
    let proof = office.journal.inclusion(&log, epoch, seq, size).map_err(read)?;
    let root = office.journal.root_at(&log, epoch, size).map_err(read)?;
    let summary = wire::record_summary(&record);
    Ok(pb::GetRecordResponse {
        summary: Some(summary),
        record: record.into_bytes(),
        tree_size: size,
        root: root.to_vec(),
        inclusion_proof: proof.into_iter().map(|hash| hash.to_vec()).collect(),
        head: head.map(|head| head.note).unwrap_or_default(),
    })
}
