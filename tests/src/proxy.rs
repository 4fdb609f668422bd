//! A thin line between two nodes: bandwidth, delay, loss, resets and cuts, with a count of every byte.
//!
//! Each node is reached at a door of the line, whose address its card names; behind the door is the node's own
//! listener. Everything that goes towards one node, over however many connections, shares one pipe: bytes wait for the
//! pipe to be free, then travel for the delay. A lost piece is one that TCP has to send again: it, and all that is
//! behind it on its connection, comes later. Nothing is reordered or altered within a connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// One piece, about what a packet carries.
const PIECE: usize = 1400;
/// Pieces that wait in one direction of one connection; the sender's own buffers come before them.
const QUEUE: usize = 12;

/// What a line is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bits a second in each direction; none for as fast as this machine.
    pub bits_per_second: Option<u64>,
    /// On the way, in each direction.
    pub delay: Duration,
    /// Of so many pieces one has to be sent again; none are lost at 0.
    pub lost_one_in: u64,
}

impl Shape {
    /// A province with a bad telephone line: 64 kbit/s, 800 ms there and back.
    pub const THIN: Self = Self { bits_per_second: Some(64_000), delay: Duration::from_millis(400), lost_one_in: 0 };
    /// The same with losses.
    pub const LOSSY: Self = Self { lost_one_in: 50, ..Self::THIN };
    /// Only counted.
    pub const FREE: Self = Self { bits_per_second: None, delay: Duration::ZERO, lost_one_in: 0 };
}

/// All bytes towards one node.
struct Pipe {
    bytes: AtomicU64,
    pieces: AtomicU64,
    free_at: Mutex<Instant>,
}

impl Pipe {
    fn new() -> Self {
        Self { bytes: AtomicU64::new(0), pieces: AtomicU64::new(0), free_at: Mutex::new(Instant::now()) }
    }

    /// When a piece that is sent now arrives.
    fn send(&self, length: usize, shape: &Shape) -> Instant {
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let piece = self.pieces.fetch_add(1, Ordering::Relaxed) + 1;
        let mut free_at = self.free_at.lock().expect("no panic while it was held");
        let takes = shape
            .bits_per_second
            .map_or(Duration::ZERO, |bits| Duration::from_secs_f64(length as f64 * 8.0 / bits as f64));
        *free_at = (*free_at).max(Instant::now()) + takes;
        let lost = shape.lost_one_in > 0 && piece.is_multiple_of(shape.lost_one_in);
        // A retransmission time-out: the round trip, and a second on top.
        let again = if lost { shape.delay * 2 + Duration::from_secs(1) } else { Duration::ZERO };
        *free_at + shape.delay + again
    }
}

struct Shared {
    shape: Mutex<Shape>,
    /// Cancelled with every connection at a cut or reset; replaced at once.
    connections: Mutex<CancellationToken>,
    open: tokio::sync::watch::Sender<bool>,
}

/// A line between two nodes. It ends with this value.
pub struct Proxy {
    shared: Arc<Shared>,
    pipes: [Arc<Pipe>; 2],
    end: CancellationToken,
}

impl Proxy {
    /// Opens a door for each of two nodes: where it is, and the listener behind it.
    pub fn between(doors: [(SocketAddr, SocketAddr); 2], shape: Shape) -> Self {
        let shared = Arc::new(Shared {
            shape: Mutex::new(shape),
            connections: Mutex::new(CancellationToken::new()),
            open: tokio::sync::watch::Sender::new(true),
        });
        let pipes = [Arc::new(Pipe::new()), Arc::new(Pipe::new())];
        let end = CancellationToken::new();
        for (towards, (door, target)) in doors.into_iter().enumerate() {
            let (there, back) = (pipes[towards].clone(), pipes[1 - towards].clone());
            let keeping = keep_door(shared.clone(), door, target, there, back);
            let end = end.clone();
            tokio::spawn(async move { end.run_until_cancelled(keeping).await });
        }
        Self { shared, pipes, end }
    }

    /// What the line is like from now on.
    ///
    /// # Panics
    /// When a piece was being sent while something panicked.
    pub fn shape(&self, shape: Shape) {
        *self.shared.shape.lock().expect("no panic while it was held") = shape;
    }

    /// Every connection dies at once; new ones are taken.
    pub fn reset(&self) {
        let mut connections = self.shared.connections.lock().expect("no panic while it was held");
        std::mem::take(&mut *connections).cancel();
    }

    /// Every connection dies at once, and none can be made until [`Proxy::heal`].
    pub fn cut(&self) {
        self.shared.open.send_replace(false);
        self.reset();
    }

    /// Connections can be made again.
    pub fn heal(&self) {
        self.shared.open.send_replace(true);
    }

    /// Bytes towards the first and the second node so far, as the nodes gave them to the line: TLS included, IP and
    /// TCP headers not.
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|towards: usize| self.pipes[towards].bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.reset();
        self.end.cancel();
    }
}

/// Listens while the line is whole.
async fn keep_door(shared: Arc<Shared>, door: SocketAddr, target: SocketAddr, there: Arc<Pipe>, back: Arc<Pipe>) {
    let mut open = shared.open.subscribe();
    loop {
        let _ = open.wait_for(|open| *open).await;
        let listener = loop {
            match TcpListener::bind(door).await {
                Ok(listener) => break listener,
                Err(_) => sleep(crate::wait::PAUSE).await,
            }
        };
        loop {
            let accepted = tokio::select! {
                _ = open.wait_for(|open| !*open) => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((near, _)) = accepted else { continue };
            let token = shared.connections.lock().expect("no panic while it was held").child_token();
            let carried = carry(shared.clone(), near, target, there.clone(), back.clone());
            tokio::spawn(async move { token.run_until_cancelled(carried).await });
        }
    }
}

/// Carries one connection until one side ends it.
async fn carry(shared: Arc<Shared>, near: TcpStream, target: SocketAddr, there: Arc<Pipe>, back: Arc<Pipe>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::join!(one_way(&shared, from_near, to_far, &there), one_way(&shared, from_far, to_near, &back));
}

async fn one_way(shared: &Shared, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pipe: &Pipe) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let reading = async move {
        let mut piece = [0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            // The place first: what waits for the queue is still with the sender.
            let Ok(place) = sender.reserve().await else { return };
            let shape = *shared.shape.lock().expect("no panic while it was held");
            place.send((pipe.send(length, &shape), piece[..length].to_vec()));
        }
    };
    let writing = async move {
        while let Some((arrives, piece)) = receiver.recv().await {
            sleep_until(arrives).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
