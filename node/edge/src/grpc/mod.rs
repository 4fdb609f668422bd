//! gRPC: messages in, use cases called, messages out. No rule lives here.
//!
//! What this promises:
//! * Every call is made by a proven identity: a peer's or an operator's certificate, never anything in a message.
//! * A call that changes something, once begun, is finished even if the caller goes away: what is in memory never
//!   falls behind what is durable.
//! * Messages, streams and waits are bounded.

mod client;
mod operator;
mod pack;
mod peer;
mod sync;
mod trust;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;

use eads_service::ServiceError;
use futures::Stream;
use tonic::Status;

pub(crate) use client::PeerClient;
pub use operator::OperatorApi;
pub use peer::PeerApi;

use crate::error::status;

/// The largest request of a peer, in bytes.
pub(crate) const MAX_PEER_REQUEST_BYTES: usize = 1024 * 1024;
/// The largest message that a node sends, and takes from a peer's answer, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Does `work` to its end, whether or not the caller waits for it.
async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome.map_err(|error| status(&error)),
        Err(stopped) => {
            Err(status(&ServiceError::internal("CALL_STOPPED", "the call was interrupted").caused_by(stopped)))
        }
    }
}
