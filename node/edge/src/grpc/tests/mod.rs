//! Real sockets and certificates: the link against a peer that misbehaves, and whole nodes on loopback.

mod house;
mod link;
mod operators;
mod peers;
mod pki;

use std::time::Duration;

use tokio::time::timeout;
use tonic::Status;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("does not hang")
}

/// The stable code of a status.
fn code(status: &Status) -> &str {
    status.metadata().get("eads-code").map_or("", |code| code.to_str().unwrap())
}
