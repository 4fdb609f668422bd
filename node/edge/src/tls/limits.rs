//! How much of everything a listener grants.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::channel::ConnectTimeouts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of one listener and its connections. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a TLS handshake may stand still, and how long until the HTTP/2 preface; a handshake takes at most four
    /// times this. On a thin line its bytes wait behind those of open connections.
    pub handshake_timeout: Duration,
    /// Handshakes under way at one time.
    pub max_handshakes: usize,
    /// Handshakes under way from one network address.
    pub max_handshakes_per_address: usize,
    /// Established connections.
    pub max_connections: usize,
    /// Established connections of one member. Operators are not counted one by one.
    pub max_connections_per_member: usize,
    /// Concurrent requests and streams on one connection.
    pub max_streams_per_connection: u32,
    /// All header fields of one request together.
    pub max_header_list_bytes: u32,
    /// One HTTP/2 frame, 16,384 to 16,777,215.
    pub max_frame_bytes: u32,
    /// Unread bytes of one stream.
    pub stream_window_bytes: u32,
    /// Unread bytes of one connection.
    pub connection_window_bytes: u32,
    /// Bytes buffered for sending on one stream.
    pub send_buffer_bytes: usize,
    /// A ping is sent this often, also on an idle connection.
    pub keepalive_interval: Duration,
    /// A connection whose ping is unanswered for so long is closed. On a thin line an answer waits behind everything
    /// that is in flight.
    pub keepalive_timeout: Duration,
    /// Requests in flight at shutdown may take this long; then connections are cut.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 64,
            max_handshakes_per_address: 16,
            max_connections: 256,
            max_connections_per_member: 16,
            max_streams_per_connection: 128,
            max_header_list_bytes: 16 * 1024,
            max_frame_bytes: 64 * 1024,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
            send_buffer_bytes: 256 * 1024,
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The same for the side that asks.
    pub const fn connect(&self) -> ConnectTimeouts {
        ConnectTimeouts {
            connect: self.handshake_timeout,
            handshake: self.handshake_timeout,
            keepalive_interval: self.keepalive_interval,
            keepalive_timeout: self.keepalive_timeout,
        }
    }
}

/// Counts handshakes and connections against the limits.
#[derive(Debug)]
pub(super) struct Doors {
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    per_address: Mutex<HashMap<IpAddr, usize>>,
    max_per_address: usize,
}

impl Doors {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            handshakes: Arc::new(Semaphore::new(limits.max_handshakes.min(Semaphore::MAX_PERMITS))),
            connections: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
            per_address: Mutex::default(),
            max_per_address: limits.max_handshakes_per_address,
        })
    }

    /// Leave to begin a handshake.
    pub(super) fn begin(self: &Arc<Self>, address: IpAddr) -> Option<HandshakePermit> {
        let permit = Arc::clone(&self.handshakes).try_acquire_owned().ok()?;
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_address.get(&address).copied().unwrap_or_default();
        if count >= self.max_per_address {
            return None;
        }
        per_address.insert(address, count + 1);
        drop(per_address);
        Some(HandshakePermit { doors: Arc::clone(self), address, _permit: permit })
    }

    /// Leave to keep a connection.
    pub(super) fn establish(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }
}

/// Held for the length of one handshake.
#[derive(Debug)]
pub(super) struct HandshakePermit {
    doors: Arc<Doors>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut per_address = self.doors.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                per_address.remove(&self.address);
            }
        }
    }
}
