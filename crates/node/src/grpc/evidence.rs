//! The evidence service: policies, signed heads, proofs and leaves, for people who check.
//!
//! - [`view`]: which policy and which heads this office knows of a log.
//! - [`proof`]: slips and receipts.
//! - [`leaves`]: the entries of a tree, in pieces.
//! - [`compare`]: a head that somebody else was shown against what is here.

mod compare;
mod leaves;
mod proof;
#[cfg(test)]
mod tests;
mod view;

use std::pin::Pin;

use domain::Role;
use domain::refusal::{Refusal, RefusalCode};
use evidence::Hash;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::error;
use wire::pb::evidence::v1 as pb;
use wire::pb::evidence::v1::evidence_service_server::EvidenceService;
use wire::status::Fault;

use crate::grpc::operator::{LOOK, find_log};
use crate::grpc::{access, errors};
use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::supervisor::OnEnd;

/// Who may be given a slip or receipt: those who may look at logs, and the clerk who hands it out,
/// of records of the own office only ([`proof::find`]).
const GIVE: [Role; 5] = [Role::Clerk, Role::Operator, Role::Chief, Role::National, Role::Auditor];

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves [`EvidenceService`] for one office.
pub struct Proofs {
    office: SharedOffice,
}

impl Proofs {
    /// The service of `office`.
    pub fn new(office: SharedOffice) -> Proofs {
        Proofs { office }
    }

    /// Works on a thread where it may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Office) -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let office = self.office.clone();
        let done = tokio::task::spawn_blocking(move || work(&office)).await;
        done.unwrap_or_else(|failed| {
            error!(error = chain(&failed), "make evidence");
            Err(Fault::Internal { doing: "make evidence" }.into())
        })
        .map(Response::new)
    }
}

#[tonic::async_trait]
impl EvidenceService for Proofs {
    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Result<Response<pb::GetPolicyResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let asked = request.into_inner();
        self.blocking(move |office| {
            let info = find_log(office, named(office, &asked.log), 0)?;
            let policy = view::policy_of(office, &info.log)?.to_bytes();
            let policy = String::from_utf8_lossy(&policy).into_owned();
            Ok(pb::GetPolicyResponse { log: info.log.to_string(), policy })
        })
        .await
    }

    async fn list_checkpoints(
        &self,
        request: Request<pb::ListCheckpointsRequest>,
    ) -> Result<Response<pb::ListCheckpointsResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let asked = request.into_inner();
        self.blocking(move |office| checkpoints(office, &asked)).await
    }

    async fn get_consistency(
        &self,
        request: Request<pb::GetConsistencyRequest>,
    ) -> Result<Response<pb::GetConsistencyResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let asked = request.into_inner();
        self.blocking(move |office| consistency(office, &asked)).await
    }

    async fn get_proof(
        &self,
        request: Request<pb::GetProofRequest>,
    ) -> Result<Response<pb::GetProofResponse>, Status> {
        let asker = access::person_with(request.extensions(), &self.office, &GIVE)?;
        let asked = request.into_inner();
        let record = proof::find(&self.office, asker.role, asked.record.clone()).await?;
        self.blocking(move |office| proof::make(office, &record, &asked)).await
    }

    type ReadLeavesStream = Answer<pb::ReadLeavesResponse>;

    async fn read_leaves(
        &self,
        request: Request<pb::ReadLeavesRequest>,
    ) -> Result<Response<Self::ReadLeavesStream>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let asked = request.into_inner();
        let range = leaves::range(&self.office, &asked)?;
        let (send, answer) = mpsc::channel(leaves::QUEUE);
        let reading = leaves::run(self.office.clone(), range, send);
        self.office.supervisor.spawn("read leaves", OnEnd::Ignore, reading);
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    async fn compare_head(
        &self,
        request: Request<pb::CompareHeadRequest>,
    ) -> Result<Response<pb::CompareHeadResponse>, Status> {
        access::person_with(request.extensions(), &self.office, &LOOK)?;
        let note = request.into_inner().note;
        // All of it is done even if the asker goes away: evidence is kept to the end.
        let runtime = tokio::runtime::Handle::current();
        self.blocking(move |office| {
            let compared = compare::compare(office, &note)?;
            if let Some(fault) = &compared.fault {
                runtime.block_on(compare::keep(office, fault))?;
            }
            Ok(compared.answer)
        })
        .await
    }
}

/// The log that a question means; none named: that of the office's own work.
fn named<'a>(office: &'a Office, log: &'a str) -> &'a str {
    if log.is_empty() { office.logs.own.as_str() } else { log }
}

fn checkpoints(
    office: &Office,
    asked: &pb::ListCheckpointsRequest,
) -> Result<pb::ListCheckpointsResponse, Status> {
    let info = find_log(office, named(office, &asked.log), asked.epoch)?;
    let policy = view::policy_of(office, &info.log)?;
    let logs = office.journal.logs();
    let epochs = logs.iter().filter(|other| other.log == info.log).map(|other| other.epoch);
    let mut epochs: Vec<u32> = epochs.collect();
    epochs.sort_unstable();
    let mut checkpoints = Vec::new();
    for note in view::notes_of(office, &info.log, info.epoch) {
        let missing = view::missing(&policy, &view::parsed(&note.note)?);
        checkpoints.push(pb::CheckpointRow {
            size: note.size,
            note: note.note,
            complete: missing.is_none(),
            missing: missing.unwrap_or_default(),
        });
    }
    let (log, epoch, held) = (info.log.to_string(), info.epoch, info.size);
    Ok(pb::ListCheckpointsResponse { log, epoch, epochs, held, checkpoints })
}

fn consistency(
    office: &Office,
    asked: &pb::GetConsistencyRequest,
) -> Result<pb::GetConsistencyResponse, Status> {
    let info = find_log(office, &asked.log, asked.epoch)?;
    if asked.old_size > asked.new_size {
        return Err(errors::field("old_size", "must not be larger than new_size"));
    }
    held("new_size", &info, asked.new_size)?;
    let (log, epoch) = (&info.log, info.epoch);
    let read = |error: journal::ReadError| errors::read(&error);
    let root = |size| office.journal.root_at(log, epoch, size).map_err(read);
    let proof = office.journal.consistency(log, epoch, asked.old_size, asked.new_size);
    Ok(pb::GetConsistencyResponse {
        proof: proof.map_err(read)?.iter().map(|hash: &Hash| hash.to_vec()).collect(),
        old_root: root(asked.old_size)?.to_vec(),
        new_root: root(asked.new_size)?.to_vec(),
    })
}

/// Refuses what lies beyond what is held.
fn held(field: &str, info: &journal::LogInfo, asked: u64) -> Result<(), Status> {
    if asked <= info.size {
        return Ok(());
    }
    Err(Status::out_of_range(format!(
        "{} epoch {} has {} records here; `{field}` must not be larger",
        info.log, info.epoch, info.size
    )))
}

/// What cannot be given now and will be later, with what is waited for.
fn not_ready(message: String) -> Status {
    let refusal = Refusal::new(RefusalCode::NotReady, message);
    Fault::Refused { request: "get_proof", refusal }.into()
}
