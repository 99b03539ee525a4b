//! Accepts mutual-TLS connections and knows who called before a handler runs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use identity::Subject;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use crate::supervisor::{OnEnd, Supervisor};

/// Time a caller has for the TLS handshake: two or three round trips, over a satellite link that
/// loses packets too.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes under way at once. Whoever has shown no certificate yet can occupy these only.
const MAX_HANDSHAKES: usize = 256;
/// Handshakes under way at once from one address, which may be that of a whole building.
const MAX_HANDSHAKES_OF_ADDRESS: usize = 64;
/// Connections under way at once; an office has tens of people, the centre tens of offices.
const MAX_CONNECTIONS: usize = 1_024;
/// Accepted connections waiting for the server task.
const ACCEPTED_QUEUE: usize = 64;

/// Who is at the other end of a connection, from its certificate. In every request's extensions.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Subject>);

/// An accepted connection whose certificate was read.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Handshakes under way, by the address that they come from.
#[derive(Clone, Debug, Default)]
struct Doorway(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One handshake under way.
#[derive(Debug)]
struct Visit {
    doorway: Doorway,
    from: IpAddr,
}

impl Doorway {
    /// `None` if so many from this address are under way already. Of an IPv6 address only the
    /// network counts (RFC 4291: the last 64 bits are the host's own choice).
    fn enter(&self, address: IpAddr) -> Option<Visit> {
        let from = match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4),
                None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            },
            v4 => v4,
        };
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = visits.entry(from).or_default();
        if *count >= MAX_HANDSHAKES_OF_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Visit { doorway: self.clone(), from })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut visits = self.doorway.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = visits.entry(self.from) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Accepts until shutdown; the handshakes run beside each other, so a slow caller holds up nobody.
///
/// Handshakes and connections have slots of their own: a stranger who opens sockets and says
/// nothing takes none from those whose certificate was seen.
pub fn accept(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    domain: String,
    supervisor: &Supervisor,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (accepted, connections) = mpsc::channel(ACCEPTED_QUEUE);
    let door = Door {
        acceptor: TlsAcceptor::from(tls),
        domain: domain.into(),
        connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        accepted,
        stopping: supervisor.stopping(),
    };
    let doorway = Doorway::default();
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let stopping = supervisor.stopping();
    let tasks = supervisor.clone();
    supervisor.spawn("accept connections", OnEnd::StopNode, async move {
        loop {
            let next = async {
                let slot = handshakes.clone().acquire_owned().await.map_err(|e| e.to_string())?;
                Ok::<_, String>((slot, listener.accept().await))
            };
            let (slot, came) = tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                next = next => next?,
            };
            let (socket, peer) = match came {
                Ok(came) => came,
                Err(error) => {
                    // Out of descriptors or a connection gone before it was taken.
                    warn!(%error, "accept connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(visit) = doorway.enter(peer.ip()) else {
                debug!(%peer, "too many handshakes from one address");
                continue;
            };
            let door = door.clone();
            tasks.spawn("handshake", OnEnd::Ignore, async move {
                door.let_in(socket, peer, (slot, visit)).await;
                Ok(())
            });
        }
    });
    connections
}

/// What a handshake needs.
#[derive(Clone)]
struct Door {
    acceptor: TlsAcceptor,
    domain: Arc<str>,
    connections: Arc<Semaphore>,
    accepted: mpsc::Sender<io::Result<Connection>>,
    stopping: CancellationToken,
}

impl Door {
    /// Shakes hands, then hands the connection to the server. `waiting` is what the caller
    /// occupies until it has shown its certificate.
    async fn let_in(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        waiting: (OwnedSemaphorePermit, Visit),
    ) {
        let shaken = tokio::select! {
            () = self.stopping.cancelled() => return,
            shaken = shake_hands(&self.acceptor, socket, &self.domain) => shaken,
        };
        drop(waiting);
        let (stream, caller) = match shaken {
            Ok(shaken) => shaken,
            Err(reason) => return debug!(%peer, reason, "caller refused"),
        };
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            return warn!(%peer, limit = MAX_CONNECTIONS, "too many connections");
        };
        let connection = Connection { stream, caller, _permit: permit };
        // The server has gone when the node stops: the caller sees a closed socket.
        let _ = self.accepted.send(Ok(connection)).await;
    }
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    domain: &str,
) -> Result<(TlsStream<TcpStream>, Caller), String> {
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(socket))
        .await
        .map_err(|_| "no handshake in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .ok_or("no client certificate")?;
    let subject =
        identity::subject_of(certificate.as_ref(), domain).map_err(|error| error.to_string())?;
    Ok((stream, Caller(Arc::new(subject))))
}

#[cfg(test)]
mod tests {
    use identity::{Authority, Credentials, NodeKeys, Validity};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn one_address_cannot_take_every_slot() {
        let doorway = Doorway::default();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mut visits: Vec<_> =
            (0..MAX_HANDSHAKES_OF_ADDRESS).map(|_| doorway.enter(address).unwrap()).collect();
        assert!(doorway.enter(address).is_none());
        assert!(doorway.enter("::ffff:192.0.2.7".parse().unwrap()).is_none(), "the same host");
        assert!(doorway.enter("192.0.2.8".parse().unwrap()).is_some());
        visits.pop();
        assert!(doorway.enter(address).is_some(), "a handshake that ended makes room");
        drop(visits);
        assert!(doorway.0.lock().unwrap().is_empty(), "nothing is remembered of who has gone");
    }

    #[test]
    fn of_an_ipv6_address_only_the_network_counts() {
        let doorway = Doorway::default();
        let host = |n: usize| format!("2001:db8::{n:x}").parse().unwrap();
        let visits: Vec<_> =
            (0..MAX_HANDSHAKES_OF_ADDRESS).map(|n| doorway.enter(host(n))).collect();
        assert!(visits.iter().all(Option::is_some));
        assert!(doorway.enter(host(999)).is_none());
        assert!(doorway.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    /// Silence from one address fills its own slots, and another address is still heard.
    #[tokio::test]
    async fn silent_strangers_are_turned_away_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        NodeKeys::create(&keys).unwrap();
        let now = 1_790_000_000;
        let path = folder.path().join("authority");
        let authority = Authority::create("adal.example", &path, Validity::authority(now)).unwrap();
        let issued = authority.issue_node("KZ-75", &[], Validity::node(now)).unwrap();
        issued.write_node(&keys).unwrap();
        let tls = identity::server_config(&Credentials::node(&keys).unwrap()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        let _connections = accept(listener, tls, "adal.example".to_owned(), &supervisor);

        let from = async |host: &str| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(host.parse().unwrap(), 0)).unwrap();
            socket.connect(address).await.unwrap()
        };
        let mut strangers = Vec::new();
        for _ in 0..MAX_HANDSHAKES_OF_ADDRESS {
            strangers.push(from("127.0.0.1").await);
        }
        let turned_away = from("127.0.0.1").await.read(&mut [0]).await;
        assert_eq!(turned_away.unwrap_or(0), 0, "closed at once");
        let mut other = from("127.0.0.2").await;
        let waits = tokio::time::timeout(SHORT, other.read(&mut [0])).await;
        assert!(waits.is_err(), "its handshake is awaited: {waits:?}");
        supervisor.stop();
        supervisor.drain(SHORT).await.unwrap();
        assert_eq!(other.read(&mut [0]).await.unwrap_or(0), 0);
    }
}
