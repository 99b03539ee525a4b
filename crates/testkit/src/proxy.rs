//! A TCP link that can be cut, silenced, delayed, slowed and mended: what lies between two offices,
//! without root rights.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Bytes taken from one end before they are given to the other.
const BUFFER: usize = 16 * 1024;
/// Pieces of one direction that are on their way at once.
const ON_THE_WAY: usize = 256;

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// Open, and nothing passes.
    BlackHole,
    Cut,
}

/// What lies between the ends beside the state.
#[derive(Debug, Default)]
struct Way {
    /// Bytes that the dialling end may still send before the link becomes a black hole.
    dialling: Option<usize>,
    /// The same of the end that is dialled.
    answering: Option<usize>,
    /// Time that each piece needs, in each direction.
    delay: Duration,
    /// Bytes of one direction a second; `None`: as they come.
    rate: Option<u32>,
    /// Time after which a connection is cut, however busy it is.
    life: Option<Duration>,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<Link>,
    way: Mutex<Way>,
    /// Connections that the dialling end has made.
    connections: AtomicU64,
}

impl Shared {
    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes of one end from what it may still send.
    fn spend(&self, end: fn(&mut Way) -> &mut Option<usize>, bytes: usize) {
        if let Some(left) = end(&mut self.way()) {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.state.send_replace(Link::BlackHole);
            }
        }
    }

    fn allow(&self, dialling: Option<usize>, answering: Option<usize>) {
        let mut way = self.way();
        (way.dialling, way.answering) = (dialling, answering);
        drop(way);
        self.state.send_replace(Link::Up);
    }
}

/// Listens on one address and forwards to another while the link is up.
#[derive(Debug)]
pub struct LinkProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl LinkProxy {
    /// Opens a link to `target` on a free loopback port.
    pub async fn start(target: SocketAddr) -> io::Result<LinkProxy> {
        LinkProxy::start_at(Ipv4Addr::LOCALHOST.into(), target).await
    }

    /// Opens a link to `target` on a free port of this address.
    #[allow(clippy::disallowed_methods)] // a test tool has no supervisor
    pub async fn start_at(door: IpAddr, target: SocketAddr) -> io::Result<LinkProxy> {
        let listener = TcpListener::bind((door, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: watch::channel(Link::Up).0,
            way: Mutex::default(),
            connections: AtomicU64::new(0),
        });
        let of_all = shared.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                if *of_all.state.borrow() == Link::Cut {
                    continue; // dropped: the dialler sees a closed connection
                }
                of_all.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(forward(near, target, of_all.clone()));
            }
        });
        Ok(LinkProxy { address, shared, accepting })
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that the dialling end has made so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Breaks every connection and refuses new ones: both ends notice at once.
    pub fn cut(&self) {
        self.shared.state.send_replace(Link::Cut);
    }

    /// Keeps every connection open, takes new ones, and lets nothing through: neither end is told
    /// that the other is out of reach.
    pub fn black_hole(&self) {
        self.shared.state.send_replace(Link::BlackHole);
    }

    /// Lets connections through until the dialling end has sent so many bytes more; then it is a
    /// black hole.
    pub fn mend_for(&self, bytes: usize) {
        self.shared.allow(Some(bytes), None);
    }

    /// The same, counted at the end that is dialled.
    pub fn mend_for_answers(&self, bytes: usize) {
        self.shared.allow(None, Some(bytes));
    }

    /// Lets connections through again; those that a black hole kept go on where they were.
    pub fn mend(&self) {
        self.shared.allow(None, None);
    }

    /// Everything that is read from now on needs so long to the other end, in each direction. Half
    /// a round trip.
    pub fn delay(&self, delay: Duration) {
        self.shared.way().delay = delay;
    }

    /// Everything that is read from now on passes at so many bytes a second in each direction;
    /// `None`: as it comes.
    pub fn rate(&self, bytes: Option<u32>) {
        self.shared.way().rate = bytes.map(|bytes| bytes.max(1));
    }

    /// Connections made from now on are cut after this time, however busy they are, as some proxies
    /// and firewalls do.
    pub fn cut_after(&self, life: Duration) {
        self.shared.way().life = Some(life);
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn forward(near: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    let mut state = shared.state.subscribe();
    let mut cut = state.clone();
    let life = shared.way().life;
    let both_ways = async {
        passable(&mut state).await?;
        let far = TcpStream::connect(target).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near_out, near_in) = near.into_split();
        let (far_out, far_in) = far.into_split();
        let sent = |bytes| shared.spend(|way| &mut way.dialling, bytes);
        let answered = |bytes| shared.spend(|way| &mut way.answering, bytes);
        let up = copy(near_out, far_in, &shared, sent);
        tokio::try_join!(up, copy(far_out, near_in, &shared, answered))
    };
    let over = async {
        match life {
            Some(life) => tokio::time::sleep(life).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = both_ways => {} // one end has gone: the other is dropped with it
        _ = cut.wait_for(|link| *link == Link::Cut) => {}
        () = over => {}
    }
}

/// What was read and is not yet due at the other end.
type OnTheWay = VecDeque<(Instant, Vec<u8>)>;

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    passed: impl Fn(usize),
) -> io::Result<()> {
    let mut state = shared.state.subscribe();
    let mut buffer = vec![0; BUFFER];
    let mut waiting = OnTheWay::new();
    // When the line has taken in what was read so far.
    let mut free_at = Instant::now();
    let mut ended = false;
    while !ended || !waiting.is_empty() {
        passable(&mut state).await?;
        let due = waiting.front().map(|(due, _)| *due);
        let read = tokio::select! {
            biased;
            _ = state.wait_for(|link| *link == Link::BlackHole) => continue,
            () = at(due) => None,
            read = from.read(&mut buffer), if !ended && waiting.len() < ON_THE_WAY => Some(read?),
        };
        match read {
            None => {
                let Some((_, bytes)) = waiting.pop_front() else { continue };
                to.write_all(&bytes).await?;
                passed(bytes.len());
            }
            Some(0) => ended = true,
            Some(read) => {
                let Way { delay, rate, .. } = *shared.way();
                let takes = rate.map_or(0.0, |rate| read as f64 / f64::from(rate));
                free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(takes);
                waiting.push_back((free_at + delay, buffer[..read].to_vec()));
            }
        }
    }
    to.shutdown().await
}

/// Waits for this moment; for ever if there is none.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits while nothing may pass.
async fn passable(state: &mut watch::Receiver<Link>) -> io::Result<()> {
    let passes = state.wait_for(|link| *link != Link::BlackHole).await;
    passes.map(drop).map_err(|_| io::ErrorKind::NotConnected.into())
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn a_delayed_link_keeps_the_order_and_takes_its_time() {
        let link = echo().await;
        link.delay(Duration::from_millis(50));
        let mut caller = TcpStream::connect(link.address()).await.unwrap();
        let began = Instant::now();
        caller.write_all(b"abc").await.unwrap();
        let mut heard = [0; 3];
        caller.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"abc");
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_slow_link_passes_so_many_bytes_a_second() {
        let link = echo().await;
        link.rate(Some(100));
        let mut caller = TcpStream::connect(link.address()).await.unwrap();
        let began = Instant::now();
        for byte in b"abcdefghij" {
            caller.write_all(&[*byte]).await.unwrap();
        }
        let mut heard = [0; 10];
        caller.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"abcdefghij");
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_short_lived_link_ends_busy_connections_and_takes_new_ones() {
        let link = echo().await;
        link.cut_after(Duration::from_millis(50));
        for connection in 1..3 {
            let mut caller = TcpStream::connect(link.address()).await.unwrap();
            let busy = async {
                while caller.write_all(b"a").await.is_ok() && caller.read_u8().await.is_ok() {}
            };
            let ended = tokio::time::timeout(Duration::from_secs(10), busy).await;
            assert!(ended.is_ok(), "the connection goes on");
            assert_eq!(link.connections(), connection);
        }
    }
}
