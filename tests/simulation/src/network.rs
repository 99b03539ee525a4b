//! Frames over simulated TCP: four bytes of length, then the frame. The first message of a region
//! is its code, which stands for its certificate; the centre answers with an empty one or with the
//! reason why it refuses.

use std::io;
use std::time::Duration;

use domain::OfficeCode;
use node::SharedOffice;
use node::grpc::replication::FRAMES;
use node::link::answer;
use node::link::dial::{DialError, Way};
use node::link::driver::Inbound;
use node::supervisor::OnEnd;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use turmoil::net::{TcpListener, TcpStream};
use wire::pb::replication::v1::Frame;

use crate::country::Country;
use crate::machine::Speech;

const PORT: u16 = 7475;
/// Time in which a connection must come about.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest frame, as with gRPC.
const LARGEST: usize = node::grpc::replication::FRAME_BYTES;

/// A connection without a link.
pub struct Line {
    office: SharedOffice,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

/// The way of a simulated region to the centre.
pub struct Road {
    /// The country.
    pub country: Country,
    /// The computer.
    pub name: String,
}

fn broken(error: &io::Error) -> DialError {
    DialError::Open(Box::new(Status::unavailable(error.to_string())))
}

impl Way for Road {
    type Line = Line;

    async fn reach(&self, office: &SharedOffice) -> Result<Line, DialError> {
        let connecting = TcpStream::connect(("kz", PORT));
        let late = |_| broken(&io::ErrorKind::TimedOut.into());
        let stream = tokio::time::timeout(CONNECT, connecting).await.map_err(late)?;
        let (read, write) = stream.map_err(|error| broken(&error))?.into_split();
        Ok(Line { office: office.clone(), read, write })
    }

    async fn open(
        &self,
        mut line: Line,
        frames: mpsc::Receiver<Frame>,
    ) -> Result<Inbound, DialError> {
        let opening = async {
            put(&mut line.write, line.office.code.as_str().as_bytes()).await?;
            take(&mut line.read).await
        };
        let late = |_| broken(&io::ErrorKind::TimedOut.into());
        let answer = tokio::time::timeout(CONNECT, opening).await.map_err(late)?;
        let answer = answer.map_err(|error| broken(&error))?;
        if !answer.is_empty() {
            let text = String::from_utf8_lossy(&answer).into_owned();
            return Err(DialError::Open(Box::new(Status::permission_denied(text))));
        }
        let ends = Ends { name: self.name.clone(), peer: "kz".to_owned() };
        Ok(join(&self.country, &line.office, ends, line.read, line.write, frames))
    }
}

/// Accepts regions until the office stops.
pub async fn listen(country: Country, office: SharedOffice) -> Result<(), String> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await.map_err(|error| error.to_string())?;
    loop {
        let (stream, from) = listener.accept().await.map_err(|error| error.to_string())?;
        let from = turmoil::reverse_lookup(from.ip()).unwrap_or_default();
        let serving = serve(country.clone(), office.clone(), stream, from);
        office.supervisor.spawn("serve a region", OnEnd::Ignore, serving);
    }
}

async fn serve(
    country: Country,
    office: SharedOffice,
    stream: TcpStream,
    from: String,
) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let (mut read, mut write) = stream.into_split();
    let code = take(&mut read).await.map_err(text)?;
    let code: OfficeCode =
        String::from_utf8_lossy(&code).parse().map_err(|_| "no office".to_owned())?;
    if let Err(refused) = answer::admit(&office, &code) {
        return put(&mut write, refused.message().as_bytes()).await.map_err(text);
    }
    put(&mut write, b"").await.map_err(text)?;
    let (outbound, frames) = mpsc::channel(FRAMES);
    let ends = Ends { name: "kz".to_owned(), peer: from };
    let inbound = join(&country, &office, ends, read, write, frames);
    answer::run(office, code, inbound, outbound).await;
    Ok(())
}

/// The names of this computer and of the one at the other end.
#[derive(Clone)]
struct Ends {
    name: String,
    peer: String,
}

/// Carries frames both ways until either side has had enough.
fn join(
    country: &Country,
    office: &SharedOffice,
    ends: Ends,
    mut read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Frame>,
) -> Inbound {
    let (notes, from) = (country.clone(), ends.clone());
    office.supervisor.spawn("send frames", OnEnd::Ignore, async move {
        let speaks = notes.notes().machines[&from.name].speaks;
        while let Some(frame) = frames.recv().await {
            for bytes in spoken(frame, speaks) {
                notes.tell(&from.name, format!("-> {} {}", from.peer, shown(&bytes)));
                put(&mut write, &bytes).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    });
    let (heard, inbound) = mpsc::channel(FRAMES);
    let (notes, office_here) = (country.clone(), office.clone());
    office.supervisor.spawn("receive frames", OnEnd::Ignore, async move {
        loop {
            let bytes = match take(&mut read).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    let _ = heard.send(Err(Status::unavailable(error.to_string()))).await;
                    return Ok(());
                }
            };
            notes.tell(&ends.name, format!("<- {} {}", ends.peer, shown(&bytes)));
            let frame = Frame::decode(&bytes[..]).map_err(|error| error.to_string())?;
            let now = notes.now();
            notes.notes().audit.heard(now, &ends.name, &ends.peer, &frame);
            if heard.send(Ok(frame)).await.is_err() {
                drop(office_here);
                return Ok(());
            }
        }
    });
    Box::pin(ReceiverStream::new(inbound))
}

/// What the trace shows of a frame.
fn shown(bytes: &[u8]) -> String {
    let said = match Frame::decode(bytes).ok().map(wire::decode_frame) {
        Some(Ok(message)) => audit_words(&message),
        _ => "a frame of another version".to_owned(),
    };
    let digest = evidence::hash::sha256(bytes);
    format!("{said} {}", &evidence::hash::hex(&digest)[..8])
}

fn audit_words(message: &replication::Message) -> String {
    use replication::{AttachmentMessage as A, Message as M};
    match message {
        M::Hello(hello) => format!("hello of {}", hello.office),
        M::Head(head) => format!("head {}:{} from {}", head.log, head.epoch, head.old_size),
        M::HeadAccepted(head) => format!("accepted {}:{} {}", head.log, head.epoch, head.size),
        M::Entries(some) => {
            let end = some.first_seq + some.records.len() as u64;
            format!("entries {}:{} {}..{end}", some.log, some.epoch, some.first_seq)
        }
        M::Held(held) => format!("held {}:{} {}", held.log, held.epoch, held.size),
        M::Refused(refused) => format!("refused {}: {}", refused.code, refused.text),
        M::Witness(asked) => format!("witness {}:{}", asked.log, asked.epoch),
        M::Witnessed(line) => format!("witnessed {}:{} {}", line.log, line.epoch, line.size),
        M::Cosigned(line) => format!("cosigned {}:{} {}", line.log, line.epoch, line.size),
        M::Return(back) => format!("return {}:{}", back.log, back.epoch),
        M::KeysWanted(wanted) => format!("keys wanted: {}", wanted.ids.len()),
        M::Keys(keys) => format!("keys: {}", keys.wraps.len()),
        M::Attachment(message) => match message {
            A::Wanted(asked) => {
                format!(
                    "wanted of {}:{} {} from {}",
                    asked.log, asked.epoch, asked.seq, asked.offset
                )
            }
            A::Piece(piece) => format!("piece of {} bytes", piece.bytes.len()),
            A::Absent(_) => "absent".to_owned(),
        },
        M::Preview(shown) => format!("preview {}:{} {}", shown.log, shown.epoch, shown.seq),
        M::Ping { .. } => "ping".to_owned(),
        M::Pong { .. } => "pong".to_owned(),
    }
}

/// The frames as a version of the software would send them.
fn spoken(mut frame: Frame, speaks: Speech) -> Vec<Vec<u8>> {
    use wire::pb::replication::v1::frame::Message as Kind;
    match speaks {
        Speech::Present => vec![frame.encode_to_vec()],
        Speech::Earlier => {
            if let Some(Kind::Hello(hello)) = &mut frame.message {
                hello.features.clear();
                hello.witnessed.clear();
            }
            vec![frame.encode_to_vec()]
        }
        Speech::Later => {
            if let Some(Kind::Hello(hello)) = &mut frame.message {
                hello.features.push("telepathy".to_owned());
                "adal 99.0".clone_into(&mut hello.software);
            }
            // Field 2047 of the frame, four bytes; then a frame whose one message is unknown.
            let (field, unknown) = ([0xfa, 0x7f, 0x02, 0x08, 0x01], [0xa2, 0x06, 0x01, 0x07]);
            let mut bytes = frame.encode_to_vec();
            bytes.extend_from_slice(&field);
            vec![bytes, unknown.to_vec()]
        }
    }
}

async fn put(write: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let mut whole = (bytes.len() as u32).to_be_bytes().to_vec();
    whole.extend_from_slice(bytes);
    write.write_all(&whole).await
}

async fn take(read: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = read.read_u32().await? as usize;
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    read.read_exact(&mut bytes).await?;
    Ok(bytes)
}
