//! An office that speaks the real protocol over real mutual TLS, with real keys, and does on
//! purpose what a right program cannot: records with a gap, another version, a clock of its own.
//!
//! It holds nothing on disk: what it mirrors it forgets when it ends, what it writes it only claims
//! to have. One `replication::Session` does the speaking; a [`Twist`] changes what goes out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::merkle::{Frontier, empty_root};
use evidence::note::{Signer, Verifier};
use identity::{NodeKeys, PublicKeys};
use replication::action::{Action, SignedHead};
use replication::{
    Entries, Failure, Limits, Message, MirroredLog, Now, OwnLog, RefusalCode, Refused, Session,
    SessionConfig,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use wire::client::Target;
use wire::pb::replication::v1::Frame;
use wire::pb::replication::v1::replication_service_client::ReplicationServiceClient;
use wire::pb::replication::v1::replication_service_server::{
    ReplicationService, ReplicationServiceServer,
};

use crate::installation::{DOMAIN, Installation};

/// Batches that do not fit, more than a follower tolerates.
const GAPS: u32 = replication::limits::GAPS_TOLERATED + 8;
/// Longest time between two looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// What the peer does that a right program does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Nothing.
    Honest,
    /// It says hello in another version of the protocol.
    Protocol(u32),
    /// It sends records that do not follow those that the other side holds, again and again.
    Gap,
    /// It says that the records of the other side have a gap.
    AccusesOfGap,
    /// Its clock is so many seconds ahead; negative: behind.
    Clock(i64),
}

/// Size and root of a log that the peer claims to have written.
pub type Claimed = BTreeMap<LogName, (u64, Hash)>;

/// The peer, before it speaks.
#[derive(Clone)]
pub struct Peer {
    office: String,
    other: String,
    config: SessionConfig,
    log_seed: [u8; 32],
    target: Target,
    twist: Twist,
    refused: Arc<Mutex<Vec<Refused>>>,
}

/// A peer that speaks; it falls silent when this is dropped.
pub struct Speaking {
    task: JoinHandle<()>,
    refused: Arc<Mutex<Vec<Refused>>>,
}

impl Speaking {
    /// What the other side has refused so far.
    pub fn refused(&self) -> Vec<Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// A peer with the keys of `office`, for a link with `other`; one of the two is the centre.
    ///
    /// # Errors
    /// Keys or certificates cannot be read.
    pub fn new(
        installation: &Installation,
        (office, other): (&str, &str),
        claimed: &Claimed,
        twist: Twist,
    ) -> Result<Peer> {
        let dir = installation.keys(office);
        let keys = NodeKeys::load(&dir)?;
        let theirs = PublicKeys::load(&installation.keys(other).join("public.toml"))?;
        let (here, there) = (office.to_ascii_lowercase(), other.to_ascii_lowercase());
        let region = if office == "KZ" { &there } else { &here };
        let up: LogName = region.parse()?;
        let down: [LogName; 2] = ["kz/all".parse()?, format!("kz/{region}").parse()?];
        let ups = [up];
        let (own, mirrored) =
            if office == "KZ" { (&down[..], &ups[..]) } else { (&ups[..], &down[..]) };
        let mine = Signer::log(&origin(DOMAIN, &own[0], 1), keys.log_seed())?.verifier();
        let cosigner =
            |kind: &str, seed| Signer::cosigner(&format!("{DOMAIN}/{kind}/{here}"), seed);
        let config = SessionConfig {
            shown: Vec::new(),
            forgotten: false,
            given: Vec::new(),
            recover: None,
            domain: DOMAIN.to_owned(),
            office: office.to_owned(),
            peer: other.to_owned(),
            instance: *uuid::Uuid::now_v7().as_bytes(),
            software: "twisted 1".to_owned(),
            witness: Arc::new(cosigner("witness", keys.witness_seed())?),
            mirror: Arc::new(cosigner("mirror", keys.mirror_seed())?),
            peer_witness: None,
            peer_mirror: None,
            own: own.iter().map(|log| own_log(log, &mine, claimed)).collect::<Result<_>>()?,
            mirrored: mirrored
                .iter()
                .map(|log| mirrored_log(log, &theirs))
                .collect::<Result<_>>()?,
            witnessed: Vec::new(),
            limits: Limits { heartbeat: 1_000_000, ..Limits::default() },
        };
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let target = Target {
            address: String::new(),
            server_name: format!("{there}.{DOMAIN}"),
            authority: read("ca.pem")?,
            certificate: read("tls.pem")?,
            key: read("tls.key")?,
        };
        let (office, other) = (office.to_owned(), other.to_owned());
        let (log_seed, refused) = (*keys.log_seed(), Arc::default());
        Ok(Peer { office, other, config, log_seed, target, twist, refused })
    }

    /// Dials the centre, as a regional office does.
    ///
    /// # Errors
    /// Nobody answers, or the certificate is refused.
    #[allow(clippy::disallowed_methods)] // a test tool has no supervisor
    pub async fn dial(&self, centre: SocketAddr) -> Result<Speaking> {
        let target = Target { address: centre.to_string(), ..self.target.clone() };
        let mut client = ReplicationServiceClient::new(target.connect().await?)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let (outbound, frames) = mpsc::channel(16);
        let inbound = client.link(ReceiverStream::new(frames)).await?.into_inner();
        let (peer, refused) = (self.clone(), self.refused.clone());
        let task = tokio::spawn(async move {
            let _open = client;
            peer.speak(inbound, outbound).await;
        });
        Ok(Speaking { task, refused })
    }

    /// Waits for regional offices, as the centre does; where, and while the value is kept.
    ///
    /// # Errors
    /// No port, or keys that TLS does not take.
    #[allow(clippy::disallowed_methods)] // a test tool has no supervisor
    pub async fn serve(&self) -> Result<(SocketAddr, Speaking)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.target.certificate, &self.target.key))
            .client_ca_root(Certificate::from_pem(&self.target.authority));
        let service = ReplicationServiceServer::new(self.clone())
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let server = Server::builder().tls_config(tls)?.add_service(service);
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move {
            let _ = serving.await;
        });
        Ok((address, Speaking { task, refused: self.refused.clone() }))
    }

    /// Runs one link to its end.
    async fn speak(self, mut inbound: Streaming<Frame>, outbound: mpsc::Sender<Frame>) {
        let began = Instant::now();
        let now = || self.now(began);
        let Ok(mut session) = Session::new(self.config.clone(), now()) else { return };
        loop {
            while let Some(action) = session.poll() {
                match action {
                    Action::Send(message) => {
                        // Who takes nothing more may have said why: it is still heard below.
                        let _ = outbound.send(wire::encode_frame(self.outgoing(message))).await;
                    }
                    Action::Close(_) => return,
                    other => self.answer(now(), other, &mut session),
                }
            }
            match tokio::time::timeout(TICK, inbound.next()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(message) = wire::decode_frame(frame) else { continue };
                    for extra in self.incoming(&message) {
                        let _ = outbound.send(wire::encode_frame(extra)).await;
                    }
                    session.handle(now(), message);
                }
                Ok(_) => return,
                Err(_) => session.tick(now()),
            }
        }
    }

    #[allow(clippy::disallowed_methods)] // the clock of a machine that is no node
    fn now(&self, began: Instant) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let true_time = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let ahead = if let Twist::Clock(seconds) = self.twist { seconds * 1_000_000 } else { 0 };
        let mono = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono, unix: true_time.saturating_add(ahead) }
    }

    /// What is asked is done in memory: signed, or believed to be durable.
    fn answer(&self, now: Now, action: Action, session: &mut Session) {
        match action {
            Action::ReadRoot(ask) => {
                let own = self.config.own.iter().find(|own| own.log == ask.log);
                let root = own.filter(|own| own.size == ask.size).map(|own| own.root);
                let root = if ask.size == 0 { Some(empty_root()) } else { root };
                session.root_read(now, ask.ticket, root.ok_or(Failure::Internal));
            }
            Action::SignHead(ask) => {
                let signed = self.sign(&ask.log, ask.size).ok_or(Failure::Internal);
                session.head_signed(now, ask.ticket, signed);
            }
            Action::PersistHead(ask) => session.head_persisted(now, ask.ticket, Ok(())),
            Action::CommitBatch(ask) => session.stored(now, ask.ticket, Ok(())),
            Action::Recall(ask) => session.recalled(now, ask.ticket, Ok(false)),
            _ => {}
        }
    }

    /// The head of a claimed log; no proof is needed where the other side holds all of it.
    fn sign(&self, log: &LogName, size: u64) -> Option<SignedHead> {
        let own = self.config.own.iter().find(|own| own.log == *log && own.size == size)?;
        let origin = origin(DOMAIN, log, 1);
        let signer = Signer::log(&origin, &self.log_seed).ok()?;
        let note = Checkpoint { origin, size, root: own.root }.sign(&signer).ok()?;
        Some(SignedHead { note, proof: Vec::new() })
    }

    fn outgoing(&self, message: Message) -> Message {
        match (message, self.twist) {
            (Message::Hello(mut hello), Twist::Protocol(protocol)) => {
                hello.protocol = protocol;
                Message::Hello(hello)
            }
            (message, _) => message,
        }
    }

    /// What is said beside the session's answer.
    fn incoming(&self, message: &Message) -> Vec<Message> {
        match (message, self.twist) {
            (Message::Refused(refused), _) => {
                let mut all = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(refused.clone());
                Vec::new()
            }
            (Message::HeadAccepted(head), Twist::Gap) if head.size > 0 => {
                let batch = Message::Entries(Entries {
                    log: head.log.clone(),
                    epoch: head.epoch,
                    first_seq: head.size + 2,
                    head_size: head.size,
                    records: vec![vec![0; 64]],
                    proof: Vec::new(),
                });
                (0..GAPS).map(|_| batch.clone()).collect()
            }
            (Message::Head(head), Twist::AccusesOfGap) => vec![Message::Refused(Refused {
                log: Some(head.log.clone()),
                epoch: head.epoch,
                code: RefusalCode::Gap,
                text: format!("records of {} keep coming from 9 on, 0 are held here", head.log),
                note: Some(head.note.clone()),
            })],
            _ => Vec::new(),
        }
    }
}

/// A log that the peer claims to have written.
fn own_log(log: &LogName, key: &Verifier, claimed: &Claimed) -> Result<OwnLog> {
    let (size, root) = claimed.get(log).copied().unwrap_or((0, empty_root()));
    Ok(OwnLog {
        log: log.clone(),
        epoch: 1,
        verifier: Verifier::log(&origin(DOMAIN, log, 1), key.public_key())?,
        size,
        root,
        first: None,
        succession: None,
        keyless: false,
        witnessed: None,
        mirrored: None,
    })
}

/// A log of the other side, of which the peer has nothing yet.
fn mirrored_log(log: &LogName, theirs: &PublicKeys) -> Result<MirroredLog> {
    Ok(MirroredLog {
        log: log.clone(),
        epoch: 1,
        verifier: Verifier::log(&origin(DOMAIN, log, 1), &theirs.log)?,
        closed_at: None,
        frozen: None,
        frontier: Frontier::new(),
        first: None,
        head: None,
        head_at: None,
    })
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({} to {}, {:?})", self.office, self.other, self.twist)
    }
}

#[tonic::async_trait]
impl ReplicationService for Peer {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

    #[allow(clippy::disallowed_methods)] // a test tool has no supervisor
    async fn link(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let (outbound, frames) = mpsc::channel(16);
        tokio::spawn(self.clone().speak(request.into_inner(), outbound));
        Ok(Response::new(Box::pin(ReceiverStream::new(frames).map(Ok))))
    }
}
