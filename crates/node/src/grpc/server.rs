//! Puts the services behind one address and takes them down in the right order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use wire::pb::command::v1::command_service_server::CommandServiceServer;
use wire::pb::evidence::v1::evidence_service_server::EvidenceServiceServer;
use wire::pb::operator::v1::operator_service_server::OperatorServiceServer;
use wire::pb::query::v1::query_service_server::QueryServiceServer;
use wire::pb::replication::v1::replication_service_server::ReplicationServiceServer;

use crate::grpc::command::Commands;
use crate::grpc::evidence::Proofs;
use crate::grpc::health::Health;
use crate::grpc::listener;
use crate::grpc::operator::Operator;
use crate::grpc::query::Queries;
use crate::grpc::replication::{FRAME_BYTES, Replication};
use crate::office::SharedOffice;
use crate::supervisor::OnEnd;

/// Largest message of a person's call: a record's texts (256 KiB) and room for the rest.
const CALL_BYTES: usize = 1024 * 1024;
/// HTTP/2 keep-alive, as on the calling side: a dead peer is noticed within the sum of both.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(60);

/// A service for people: questions are small, answers may be long.
macro_rules! for_people {
    ($service:expr) => {
        $service
            .max_decoding_message_size(CALL_BYTES)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd)
    };
}

/// Binds the address and serves until shutdown. Returns the address that was bound.
pub async fn serve(
    office: &SharedOffice,
    tls: Arc<rustls::ServerConfig>,
) -> anyhow::Result<SocketAddr> {
    let listen = office.options.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}; `listen` in the configuration sets it"))?;
    let address = listener.local_addr()?;
    let domain = office.options.domain.clone();
    let connections = listener::accept(listener, tls, domain, &office.supervisor);

    let (health, health_service) = tonic_health::server::health_reporter();
    let health = Health::begin(office, health).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("describe the services")?;
    let zstd = CompressionEncoding::Zstd;
    let mut router = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_LIMIT))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(for_people!(CommandServiceServer::new(Commands::new(office.clone()))))
        .add_service(for_people!(QueryServiceServer::new(Queries::new(office.clone()))))
        .add_service(for_people!(OperatorServiceServer::new(Operator::new(office.clone()))))
        .add_service(for_people!(EvidenceServiceServer::new(Proofs::new(office.clone()))));
    if office.code.is_centre() {
        router = router.add_service(
            ReplicationServiceServer::new(Replication::new(office.clone()))
                .max_decoding_message_size(FRAME_BYTES)
                .max_encoding_message_size(FRAME_BYTES)
                .accept_compressed(zstd)
                .send_compressed(zstd),
        );
    }
    let (leaving, stopping) = (office.supervisor.leaving(), office.supervisor.stopping());
    office.supervisor.spawn("tell health", OnEnd::Ignore, async move {
        health.tell(leaving.cancelled_owned()).await;
        Ok(())
    });
    office.supervisor.spawn("serve gRPC", OnEnd::StopNode, async move {
        router
            .serve_with_incoming_shutdown(
                ReceiverStream::new(connections),
                stopping.cancelled_owned(),
            )
            .await
            .map_err(|error| crate::project::chain(&error))
    });
    Ok(address)
}
