//! A TCP link that can be cut, silenced and mended: what lies between two offices, without root
//! rights.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes taken from one end before they are given to the other.
const BUFFER: usize = 16 * 1024;

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// Open, and nothing passes.
    BlackHole,
    Cut,
}

/// Bytes that may still pass, by the end that sends them; `None`: any number.
#[derive(Debug, Default)]
struct Allowance {
    dialling: Option<usize>,
    answering: Option<usize>,
}

/// Listens on loopback and forwards to one address while the link is up.
#[derive(Debug)]
pub struct LinkProxy {
    address: SocketAddr,
    state: Arc<watch::Sender<Link>>,
    /// Bytes that the ends may still send before the link becomes a black hole.
    allowance: Arc<Mutex<Allowance>>,
    accepting: JoinHandle<()>,
}

impl LinkProxy {
    /// Opens a link to `target` on a free loopback port.
    #[allow(clippy::disallowed_methods)] // a test tool has no supervisor
    pub async fn start(target: SocketAddr) -> io::Result<LinkProxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(watch::channel(Link::Up).0);
        let states = state.clone();
        let allowance = Arc::new(Mutex::new(Allowance::default()));
        let allowed = allowance.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                if *states.borrow() == Link::Cut {
                    continue; // dropped: the dialler sees a closed connection
                }
                tokio::spawn(forward(near, target, states.clone(), allowed.clone()));
            }
        });
        Ok(LinkProxy { address, state, allowance, accepting })
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and refuses new ones: both ends notice at once.
    pub fn cut(&self) {
        self.state.send_replace(Link::Cut);
    }

    /// Keeps every connection open, takes new ones, and lets nothing through: neither end is told
    /// that the other is out of reach.
    pub fn black_hole(&self) {
        self.state.send_replace(Link::BlackHole);
    }

    /// Lets connections through until the dialling end has sent so many bytes more; then it is a
    /// black hole.
    pub fn mend_for(&self, bytes: usize) {
        self.allow(Allowance { dialling: Some(bytes), answering: None });
    }

    /// The same, counted at the end that is dialled.
    pub fn mend_for_answers(&self, bytes: usize) {
        self.allow(Allowance { dialling: None, answering: Some(bytes) });
    }

    /// Lets connections through again; those that a black hole kept go on where they were.
    pub fn mend(&self) {
        self.allow(Allowance::default());
    }

    fn allow(&self, allowance: Allowance) {
        *self.allowance.lock().unwrap_or_else(PoisonError::into_inner) = allowance;
        self.state.send_replace(Link::Up);
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn forward(
    near: TcpStream,
    target: SocketAddr,
    states: Arc<watch::Sender<Link>>,
    allowance: Arc<Mutex<Allowance>>,
) {
    let mut state = states.subscribe();
    let mut cut = state.clone();
    type Of = fn(&mut Allowance) -> &mut Option<usize>;
    let spend = |of: Of| {
        let (allowance, states) = (allowance.clone(), states.clone());
        move |bytes: usize| {
            let mut allowance = allowance.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(left) = of(&mut allowance) {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    states.send_replace(Link::BlackHole);
                }
            }
        }
    };
    let (up, down) = (spend(|of| &mut of.dialling), spend(|of| &mut of.answering));
    let both_ways = async move {
        passable(&mut state).await?;
        let far = TcpStream::connect(target).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near_out, near_in) = near.into_split();
        let (far_out, far_in) = far.into_split();
        let up = copy(near_out, far_in, state.clone(), up);
        tokio::try_join!(up, copy(far_out, near_in, state, down))
    };
    tokio::select! {
        _ = both_ways => {} // one end has gone: the other is dropped with it
        _ = cut.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Link>,
    passed: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        passable(&mut state).await?;
        let read = tokio::select! {
            biased;
            _ = state.wait_for(|link| *link == Link::BlackHole) => continue,
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        passable(&mut state).await?;
        to.write_all(&buffer[..read]).await?;
        passed(read);
    }
}

/// Waits while nothing may pass.
async fn passable(state: &mut watch::Receiver<Link>) -> io::Result<()> {
    let passes = state.wait_for(|link| *link != Link::BlackHole).await;
    passes.map(drop).map_err(|_| io::ErrorKind::NotConnected.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A link to a server that sends every byte back.
    async fn echo() -> LinkProxy {
        let echo = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let target = echo.local_addr().unwrap();
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let mut byte = [0];
                    while socket.read_exact(&mut byte).await.is_ok() {
                        socket.write_all(&byte).await.unwrap();
                    }
                });
            }
        });
        LinkProxy::start(target).await.unwrap()
    }

    #[tokio::test]
    async fn forwards_cuts_and_mends() {
        let link = echo().await;
        let mut caller = TcpStream::connect(link.address()).await.unwrap();
        caller.write_all(b"a").await.unwrap();
        assert_eq!(caller.read_u8().await.unwrap(), b'a');
        link.cut();
        assert_eq!(caller.read(&mut [0]).await.unwrap_or(0), 0, "the connection is broken");
        link.mend();
        let mut caller = TcpStream::connect(link.address()).await.unwrap();
        caller.write_all(b"b").await.unwrap();
        assert_eq!(caller.read_u8().await.unwrap(), b'b');
    }

    #[tokio::test]
    async fn passes_so_many_bytes_and_no_more() {
        let link = echo().await;
        link.cut();
        link.mend_for(2);
        let mut caller = TcpStream::connect(link.address()).await.unwrap();
        for byte in [b'a', b'b'] {
            caller.write_all(&[byte]).await.unwrap();
            if byte == b'a' {
                assert_eq!(caller.read_u8().await.unwrap(), byte);
            }
        }
        let heard = tokio::time::timeout(Duration::from_millis(100), caller.read_u8()).await;
        assert!(heard.is_err(), "its answer stays in the hole: {heard:?}");
        link.mend();
        assert_eq!(caller.read_u8().await.unwrap(), b'b');
    }

    #[tokio::test]
    async fn a_black_hole_keeps_connections_and_passes_nothing() {
        let link = echo().await;
        let mut old = TcpStream::connect(link.address()).await.unwrap();
        old.write_all(b"a").await.unwrap();
        assert_eq!(old.read_u8().await.unwrap(), b'a');
        link.black_hole();
        let mut new = TcpStream::connect(link.address()).await.unwrap();
        for (socket, byte) in [(&mut old, b'b'), (&mut new, b'c')] {
            socket.write_all(&[byte]).await.unwrap();
            let heard = tokio::time::timeout(Duration::from_millis(100), socket.read_u8()).await;
            assert!(heard.is_err(), "open, and nothing comes: {heard:?}");
        }
        link.mend();
        assert_eq!(old.read_u8().await.unwrap(), b'b', "what waited is delivered");
        assert_eq!(new.read_u8().await.unwrap(), b'c');
        link.black_hole();
        link.cut();
        assert_eq!(old.read(&mut [0]).await.unwrap_or(0), 0, "a hole can be cut too");
    }
}
