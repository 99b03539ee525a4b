//! The command service: facts come in here, each by an authenticated person.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::access::{AccessRequest, OpenRecords};
use domain::ids::{EventId, PersonId};
use domain::permission::{self, Actor};
use domain::{Code, Post};
use evidence::record::Record;
use telemetry::trace::TraceParent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Extensions, Request, Response, Status, Streaming};
use tracing::Instrument;
use uuid::Uuid;
use vault::KeyId;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::command_service_server::CommandService;
use wire::pb::common::v1::Position;
use wire::status::Fault;
use zeroize::Zeroizing;

use crate::decide::{self, Order, Receipt};
use crate::grpc::{access, attachments, errors, instant, operator, position};
use crate::office::{Office, SharedOffice};
use crate::seal::associated_data;
use crate::supervisor::OnEnd;
use crate::trace;

/// Commands of one `ExecuteMany` stream under way at once. They share group commits, so this
/// bounds memory, not speed.
const UNDER_WAY: u32 = 128;
/// Bytes of these commands: a usual one has some hundred, the largest a megabyte. One more may have
/// been received and wait for its turn.
const UNDER_WAY_BYTES: u32 = 8 * 1024 * 1024;
/// Longest wait for more of a file: twice as long as a piece of 64 KiB needs on 10 kbit/s.
const UPLOAD_IDLE: Duration = Duration::from_secs(120);

/// Serves [`CommandService`] for one office.
#[derive(Clone)]
pub struct Commands {
    office: SharedOffice,
    /// Longest wait for more of a file.
    upload_idle: Duration,
}

impl Commands {
    /// The service of `office`.
    pub fn new(office: SharedOffice) -> Commands {
        Commands { office, upload_idle: UPLOAD_IDLE }
    }

    /// One that waits for so long for more of a file.
    #[cfg(test)]
    pub(crate) fn with_upload_idle(office: SharedOffice, upload_idle: Duration) -> Commands {
        Commands { office, upload_idle }
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<pb::ReadFileResponse, Status>> + Send>>;
type Outcomes = Pin<Box<dyn Stream<Item = Result<pb::CommandOutcome, Status>> + Send>>;

#[tonic::async_trait]
impl CommandService for Commands {
    async fn execute(
        &self,
        request: Request<pb::Command>,
    ) -> Result<Response<pb::CommandReceipt>, Status> {
        let actor = actor(request.extensions(), &self.office)?;
        let span = command_span(&self.office);
        trace::adopt_call(&span, request.metadata());
        let outcome = execute(&self.office, &actor, request.into_inner()).instrument(span).await;
        outcome.map(Response::new)
    }

    type ExecuteManyStream = Outcomes;

    async fn execute_many(
        &self,
        request: Request<Streaming<pb::Command>>,
    ) -> Result<Response<Outcomes>, Status> {
        let actor = Arc::new(actor(request.extensions(), &self.office)?);
        let parent = trace::of_call(request.metadata());
        let (send, outcomes) = mpsc::channel(UNDER_WAY as usize);
        let many = Many { office: self.office.clone(), actor, parent, send };
        let running = many.run(request.into_inner());
        self.office.supervisor.spawn("execute many", OnEnd::Ignore, running);
        Ok(Response::new(Box::pin(ReceiverStream::new(outcomes))))
    }

    async fn open_record(
        &self,
        request: Request<pb::OpenRecordRequest>,
    ) -> Result<Response<pb::OpenRecordResponse>, Status> {
        let actor = actor(request.extensions(), &self.office)?;
        let span = tracing::info_span!("open record", office = %self.office.code);
        trace::adopt_call(&span, request.metadata());
        open(&self.office, &actor, request.into_inner()).instrument(span).await.map(Response::new)
    }

    async fn store_file(
        &self,
        request: Request<Streaming<pb::StoreFileRequest>>,
    ) -> Result<Response<pb::StoreFileResponse>, Status> {
        let actor = actor(request.extensions(), &self.office)?;
        let span = tracing::info_span!("store file", office = %self.office.code);
        trace::adopt_call(&span, request.metadata());
        let (office, pieces) = (&self.office, request.into_inner());
        let stored = attachments::store(office, &actor, pieces, self.upload_idle);
        stored.instrument(span).await.map(Response::new)
    }

    type ReadFileStream = Pieces;

    async fn read_file(
        &self,
        request: Request<pb::OpenRecordRequest>,
    ) -> Result<Response<Pieces>, Status> {
        let actor = actor(request.extensions(), &self.office)?;
        let span = tracing::info_span!("read file", office = %self.office.code);
        trace::adopt_call(&span, request.metadata());
        read_file(&self.office, &actor, request.into_inner()).instrument(span).await
    }
}

/// One `ExecuteMany` stream.
struct Many {
    office: SharedOffice,
    actor: Arc<Actor>,
    parent: Option<TraceParent>,
    send: mpsc::Sender<Result<pb::CommandOutcome, Status>>,
}

impl Many {
    async fn run(
        self,
        mut commands: impl Stream<Item = Result<pb::Command, Status>> + Unpin,
    ) -> Result<(), String> {
        let permits = Arc::new(Semaphore::new(UNDER_WAY as usize));
        let bytes = Arc::new(Semaphore::new(UNDER_WAY_BYTES as usize));
        let stopping = self.office.supervisor.stopping();
        let last = loop {
            let permit = permits.clone().acquire_owned().await.map_err(|e| e.to_string())?;
            let received = tokio::select! {
                () = stopping.cancelled() => break Some(Fault::Stopping.into()),
                received = commands.next() => received,
            };
            match received {
                Some(Ok(command)) => {
                    let weight = u32::try_from(wire::command_len(&command)).unwrap_or(u32::MAX);
                    let room = bytes.clone().acquire_many_owned(weight.min(UNDER_WAY_BYTES)).await;
                    self.begin(command, [permit, room.map_err(|e| e.to_string())?]);
                }
                None => break None,
                // Malformed, too large, or the caller has gone: said to whoever still listens.
                Some(Err(status)) => break Some(status),
            }
        };
        if let Some(status) = last {
            // Behind the outcomes of what is under way.
            let _all = permits.acquire_many(UNDER_WAY).await.map_err(|e| e.to_string())?;
            let _ = self.send.send(Err(status)).await;
        }
        Ok(())
    }

    fn begin(&self, command: pb::Command, room: [OwnedSemaphorePermit; 2]) {
        let (office, actor) = (self.office.clone(), self.actor.clone());
        let (send, parent) = (self.send.clone(), self.parent);
        self.office.supervisor.spawn("execute one of many", OnEnd::Ignore, async move {
            let span = command_span(&office);
            if let Some(parent) = parent {
                parent.adopt(&span);
            }
            let outcome = outcome(&office, &actor, command).instrument(span).await;
            // A caller that has gone learns the outcome by repeating the command.
            let _ = send.send(Ok(outcome)).await;
            drop(room);
            Ok(())
        });
    }
}

fn command_span(office: &Office) -> tracing::Span {
    tracing::info_span!("command", office = %office.code, request = tracing::field::Empty)
}

/// The actor of a request: from the certificate, never from what is sent.
fn actor(extensions: &Extensions, office: &Office) -> Result<Actor, Status> {
    let principal = access::person(extensions, office)?;
    let text = format!("{}/{}", office.logs.own, principal.role.as_str());
    let post = Post::new(&text).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Actor {
        person: PersonId::new(principal.id),
        post,
        role: principal.role,
        office: office.code.clone(),
    })
}

async fn execute(
    office: &Office,
    actor: &Actor,
    command: pb::Command,
) -> Result<pb::CommandReceipt, Status> {
    let request_hash = office.request_hash(&wire::canonical_bytes(&command));
    let decoded = wire::decode_command(command);
    let (meta, request) = decoded?;
    tracing::Span::current().record("request", request.name());
    let order = Order {
        command_id: meta.command_id.uuid(),
        stream_id: meta.stream,
        expected_version: meta.expected_version,
        occurred_at: meta.occurred_at,
        zone: meta.zone,
        causation: meta.causation.unwrap_or_default(),
        correlation: meta.correlation.unwrap_or_default(),
        request,
        request_hash,
        controls: Vec::new(),
    };
    let name = order.request.name();
    let began = Instant::now();
    let outcome = decide::execute(office, actor, order).await;
    office.metrics.command(errors::outcome(&outcome), began.elapsed());
    outcome.map(receipt).map_err(|error| errors::execute(&error, name))
}

async fn outcome(office: &Office, actor: &Actor, command: pb::Command) -> pb::CommandOutcome {
    use pb::command_outcome::Outcome;
    let command_id = command.meta.as_ref().map(|meta| meta.command_id.clone()).unwrap_or_default();
    let outcome = match execute(office, actor, command).await {
        Ok(receipt) => Outcome::Receipt(receipt),
        Err(status) => Outcome::Failure(wire::status::failure(&status)),
    };
    pb::CommandOutcome { command_id, outcome: Some(outcome) }
}

fn receipt(receipt: Receipt) -> pb::CommandReceipt {
    pb::CommandReceipt {
        log: receipt.first.log.to_string(),
        epoch: receipt.first.epoch,
        first_sequence: receipt.first.seq,
        last_sequence: receipt.last_sequence,
        stream_id: receipt.stream_id.to_string(),
        stream_version: receipt.stream_version,
        recorded_at: Some(instant(receipt.recorded_at)),
        replayed: receipt.replayed,
        reg_no: receipt.reg_no.unwrap_or_default(),
    }
}

/// Opens one sealed part. The opening is recorded first: if that fails, nothing is shown.
async fn open(
    office: &Office,
    actor: &Actor,
    request: pb::OpenRecordRequest,
) -> Result<pb::OpenRecordResponse, Status> {
    let purpose = Code::new(&request.purpose)
        .map_err(|error| errors::field("purpose", &error.to_string()))?;
    let opening = |events| {
        domain::Request::Access(AccessRequest::Open(OpenRecords {
            events,
            purpose: purpose.clone(),
        }))
    };
    // Whoever may open nothing does not even learn what there is.
    permission::check(actor, &office.code, &opening(Vec::new()))
        .map_err(|refusal| Fault::Refused { request: "open_record", refusal })?;
    let record = find_record(office, request.record).await?;
    let header = record.header();
    if record.sealed().is_empty() {
        return Err(Fault::NothingSealed.into());
    }
    // Made ready before the opening is recorded, so that no opening is recorded that shows
    // nothing; shown only after it is recorded.
    let personal = unseal(office, &record)?;
    let personal_json = wire::personal_json(header.type_code, header.schema_version, &personal)
        .ok_or_else(|| Status::unimplemented("the sealed part is of a newer software"))?;
    let order = Order {
        command_id: Uuid::now_v7(),
        stream_id: actor.person.uuid(),
        expected_version: 0,
        occurred_at: None,
        zone: None,
        causation: Uuid::from_bytes(header.event_id),
        correlation: Uuid::from_bytes(header.correlation_id),
        request: opening(vec![EventId::from(header.event_id)]),
        request_hash: [0; 32],
        controls: Vec::new(),
    };
    let opening = decide::execute(office, actor, order).await;
    let opening = opening.map_err(|error| errors::execute(&error, "open_record"))?;
    office.metrics.records_opened(1);
    Ok(pb::OpenRecordResponse {
        position: Some(position(&record)),
        type_name: domain::Fact::name_of(header.type_code).unwrap_or_default().to_owned(),
        open_json: wire::open_json(header.type_code, header.schema_version, record.open(), true),
        personal_json: personal_json.to_string(),
        opening: Some(Position {
            log: opening.first.log.to_string(),
            epoch: opening.first.epoch,
            sequence: opening.first.seq,
        }),
    })
}

/// Pieces of one file under way at once: this bounds memory, not speed.
const PIECES_UNDER_WAY: usize = 4;

/// Opens the file that a record names. The opening is recorded first, as that of the sealed part.
async fn read_file(
    office: &SharedOffice,
    actor: &Actor,
    request: pb::OpenRecordRequest,
) -> Result<Response<Pieces>, Status> {
    let nothing = AccessRequest::Open(OpenRecords {
        events: Vec::new(),
        purpose: Code::new(&request.purpose)
            .map_err(|error| errors::field("purpose", &error.to_string()))?,
    });
    permission::check(actor, &office.code, &domain::Request::Access(nothing))
        .map_err(|refusal| Fault::Refused { request: "read_file", refusal })?;
    let record = find_record(office, request.record.clone()).await?;
    let file = attachments::find(office, &record).await?;
    let opened = open(office, actor, request).await?;
    let (send, pieces) = mpsc::channel(PIECES_UNDER_WAY);
    let of = office.clone();
    office.supervisor.spawn("read file", OnEnd::Ignore, async move {
        let first = pb::ReadFileResponse { personal_json: opened.personal_json, data: Vec::new() };
        if send.send(Ok(first)).await.is_ok()
            && let Err(status) = file.send(&of, &send).await
        {
            let _ = send.send(Err(status)).await;
        }
        Ok(())
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(pieces))))
}

async fn find_record(
    office: &Office,
    record: Option<pb::open_record_request::Record>,
) -> Result<Record, Status> {
    use pb::open_record_request::Record as Wanted;
    operator::find_record(
        office,
        record.map(|record| match record {
            Wanted::Position(at) => operator::Wanted::Position(at),
            Wanted::EventId(id) => operator::Wanted::EventId(id),
        }),
    )
    .await
}

fn unseal(office: &Office, record: &Record) -> Result<Zeroizing<Vec<u8>>, Status> {
    let header = record.header();
    let key = header.keys.first().ok_or(Fault::KeyMissing)?;
    let id = KeyId(key.id);
    match office.vault.commitment(id) {
        Ok(commitment) if commitment == key.commitment => {}
        Ok(_) => return Err(Fault::Damaged { place: "the vault (another key)".to_owned() }.into()),
        Err(error) => return Err(errors::vault(&error)),
    }
    let bound = associated_data(&header.event_id, &header.stream);
    office.vault.open_sealed(id, &bound, record.sealed()).map_err(|error| errors::vault(&error))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use domain::Role;

    use super::*;
    use crate::testing::desk;

    #[tokio::test]
    async fn large_commands_of_a_stream_are_not_all_under_way_at_once() {
        const COMMANDS: usize = 20;
        let desk = desk("KZ-75").await;
        let (send, mut outcomes) = mpsc::channel(UNDER_WAY as usize);
        let actor = Actor {
            person: PersonId::new(Uuid::from_u128(7)),
            post: Post::new("kz-75/clerk").unwrap(),
            role: Role::Clerk,
            office: desk.office.code.clone(),
        };
        let actor = Arc::new(actor);
        let many = Many { office: desk.office.clone(), actor, parent: None, send };
        let taken = Cell::new(0);
        let large = |_| {
            taken.set(taken.get() + 1);
            let meta = pb::CommandMeta { command_id: "x".repeat(1 << 20), ..Default::default() };
            Ok(pb::Command { meta: Some(meta), request: None })
        };
        let running = many.run(tokio_stream::iter((0..COMMANDS).map(large)));
        tokio::pin!(running);
        // None of them is carried out before this task waits.
        assert!(futures_util::poll!(&mut running).is_pending());
        assert_eq!(taken.get(), 8, "seven fill the room, one waits for it");
        let answered = async {
            let mut answered = 0;
            while outcomes.recv().await.is_some() {
                answered += 1;
            }
            answered
        };
        let (ended, answered) = tokio::join!(running, answered);
        assert_eq!((ended, answered), (Ok(()), COMMANDS));
    }
}
