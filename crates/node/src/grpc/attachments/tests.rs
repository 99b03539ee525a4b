//! Files that a caller sends over a real socket.

use std::sync::Arc;

use identity::{Role, Subject};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request};
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::command::v1::command_service_server::CommandServiceServer;

use super::*;
use crate::grpc::command::Commands;
use crate::grpc::listener::Caller;
use crate::testing::{contact, desk};

const SHORT: Duration = Duration::from_millis(300);

fn piece(stream_id: &str, data: Vec<u8>) -> pb::StoreFileRequest {
    pb::StoreFileRequest { stream_id: stream_id.to_owned(), data }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods)] // a test has no supervisor
async fn a_caller_that_sends_nothing_more_holds_nothing() {
    let desk = desk("KZ-75").await;
    let (id, fact) = contact(1);
    desk.record(&desk.office.logs.own, &[(id, fact)]).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let person =
        Subject::Person { office: "KZ-75".to_owned(), id: Uuid::from_u128(7), role: Role::Clerk };
    let caller = Caller(Arc::new(person));
    let service = Commands::with_upload_idle(desk.office.clone(), SHORT);
    let known = move |mut request: Request<()>| {
        request.extensions_mut().insert(caller.clone());
        Ok(request)
    };
    let service = CommandServiceServer::with_interceptor(service, known);
    let server = tonic::transport::Server::builder().add_service(service);
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let mut client = CommandServiceClient::connect(address).await.unwrap();
    let incoming = desk.dir.path().join("data/journal/attachments/incoming");
    let left = || std::fs::read_dir(&incoming).map_or(0, Iterator::count);

    // It says nothing at all, stops behind some bytes, or goes on with pieces that hold none.
    for (first, endless) in [(None, false), (Some(70), false), (Some(70), true)] {
        let (send, pieces) = mpsc::channel(1);
        let sending = tokio::spawn(async move {
            if let Some(len) = first {
                send.send(piece(&id.to_string(), vec![5; len])).await.unwrap();
            }
            while endless && send.send(piece("", Vec::new())).await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
            send.closed().await;
        });
        let status = client.store_file(ReceiverStream::new(pieces)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(wire::status::reason_of(&status).as_deref(), Some("IDLE"));
        assert!(status.message().contains("send it again"), "{status:?}");
        assert_eq!(left(), 0, "what it sent is left over");
        sending.await.unwrap();
    }
    let whole = [piece(&id.to_string(), vec![5; 70]), piece("", vec![6; 70])];
    let stored = client.store_file(tokio_stream::iter(whole)).await.unwrap().into_inner();
    assert_eq!(stored.file.len(), 32, "others are served");
    serving.abort();
}
