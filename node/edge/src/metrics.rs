//! Figures of a node for Prometheus, as text over plain HTTP on an address of the machine itself.
//!
//! **Promises.** Only `GET /metrics` is answered; a request is bounded in size and time, and few are served at once.
//! Nothing in the answer is about a person: counts, ends of certificates, names of members.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use eads_service::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Requests at a time; further ones wait in the system's queue.
const REQUESTS: usize = 4;
/// The longest head of a request in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// How long a request may take to arrive, and its answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes are free where the node keeps its data; it may block.
pub type FreeBytes = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Serves the figures of `node` until `stop`.
pub async fn serve_metrics(listener: TcpListener, node: Arc<Node>, free: FreeBytes, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(REQUESTS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file handles, most likely: not a reason to spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (node, free) = (node.clone(), free.clone());
        tokio::spawn(async move {
            // Whoever is too slow is hung up on.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &node, free)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, node: &Node, free: FreeBytes) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        if read == 0 || head.len() + read > MAX_HEAD {
            return Ok(());
        }
        head.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    let asked = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, body) = match asked.split(|byte| *byte == b' ').collect::<Vec<_>>().as_slice() {
        [b"GET", b"/metrics", _] => ("200 OK", text(node, free).await),
        [b"GET", ..] => ("404 Not Found", "see /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET only\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn text(node: &Node, free: FreeBytes) -> String {
    let figures = node.figures();
    let free = tokio::task::spawn_blocking(move || free()).await.ok().flatten();
    let mut text = Exposition::default();
    let now = node.clock().now();
    text.begin("eads_certificate_expiry_seconds", "Seconds until a certificate of this node ends.");
    for (name, until) in node.certificate_ends() {
        text.value(&format!("{{certificate=\"{name}\"}}"), until.seconds_since(now));
    }
    let simple: [(&str, &str, u64); 8] = [
        ("eads_register_entries", "Entries of the own register.", figures.register_size),
        ("eads_own_notices", "Own notices in force.", figures.own_notices),
        ("eads_held_notices", "Notices of other members that are held.", figures.held_notices),
        ("eads_records", "National records.", figures.records),
        ("eads_audit_entries", "Entries of the audit log.", figures.audit_entries),
        ("eads_alarms", "Alarms that stand; `eads status` says which.", figures.alarms),
        ("eads_card_sequence", "Number of the card in force.", figures.card_sequence),
        ("eads_signing_keyseq", "Number of the signing key in force.", u64::from(figures.keyseq)),
    ];
    for (name, help, value) in simple {
        text.begin(name, help);
        text.value("", value);
    }
    text.begin("eads_peer_connected", "Whether the sync stream from an accepted peer is open.");
    for (member, connected) in figures.peers {
        text.value(&format!("{{member=\"{member}\"}}"), u8::from(connected));
    }
    if let Some(free) = free {
        text.begin("eads_store_free_bytes", "Free bytes where the data lie.");
        text.value("", free);
    }
    text.0
}

/// Text in the format of Prometheus, version 0.0.4.
#[derive(Default)]
struct Exposition(String, &'static str);

impl Exposition {
    fn begin(&mut self, name: &'static str, help: &str) {
        self.1 = name;
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn value(&mut self, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{}{labels} {value}", self.1);
    }
}
