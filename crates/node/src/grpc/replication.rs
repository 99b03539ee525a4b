//! The replication service: where regional nodes dial in.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::pb::replication::v1::Frame;
use wire::pb::replication::v1::replication_service_server::ReplicationService;

use crate::grpc::access;
use crate::link::answer;
use crate::office::SharedOffice;
use crate::supervisor::OnEnd;

/// Frames waiting for the transport; each holds at most one batch of records.
pub const FRAMES: usize = 4;
/// Largest frame of a link on both sides: a batch of records (see `replication::limits`) and
/// room.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Serves [`ReplicationService`] at the centre.
pub struct Replication {
    office: SharedOffice,
}

impl Replication {
    /// The service of `office`.
    pub fn new(office: SharedOffice) -> Replication {
        Replication { office }
    }
}

#[tonic::async_trait]
impl ReplicationService for Replication {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

    async fn link(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let peer = access::node(request.extensions())?;
        answer::admit(&self.office, &peer)?;
        let (outbound, frames) = mpsc::channel(FRAMES);
        let inbound = Box::pin(request.into_inner());
        let office = self.office.clone();
        self.office.supervisor.spawn("answer a link", OnEnd::Ignore, async move {
            answer::run(office, peer, inbound, outbound).await;
            Ok(())
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames).map(Ok))))
    }
}
