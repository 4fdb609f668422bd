//! Waiting for a condition instead of for a time.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a condition may take to hold; ample on a busy machine, and never reached by a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at it.
pub const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `holds` says so.
///
/// # Panics
/// When it has not within [`PATIENCE`].
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "within {} s it did not come to be that {what}", PATIENCE.as_secs());
        sleep(PAUSE).await;
    }
}
