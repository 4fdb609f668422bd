//! What the port means, as a suite that every engine runs.
//!
//! An engine's test calls [`run`] with a function that makes a fresh, empty [`Subject`]. A case that does not hold
//! panics, as tests do, with a text that says which promise is broken.

mod cases;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::port::Store;

type Reopen = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send>;

/// A fresh store under test, and how to close it and open it again over the same data.
pub struct Subject {
    store: Arc<dyn Store>,
    reopen: Reopen,
}

impl Subject {
    /// `store` must be empty. `reopen` is called at most once, after the suite has dropped its own handle; it may
    /// own what must outlive the store, such as a scratch directory, and hand it on to what it returns.
    pub fn new<F, R>(store: Arc<dyn Store>, reopen: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Arc<dyn Store>> + Send + 'static,
    {
        Self { store, reopen: Box::new(move || Box::pin(reopen())) }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Runs every case, each on a fresh subject.
///
/// # Panics
/// When the engine breaks a promise of the port.
pub async fn run<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Subject>,
{
    cases::a_key_that_was_never_set_is_absent(make().await).await;
    cases::a_committed_row_is_visible_at_once(make().await).await;
    cases::many_keys_are_read_in_their_order(make().await).await;
    cases::batches_that_are_committed_together_happen_in_their_order(make().await).await;
    cases::empty_keys_and_values_are_rows(make().await).await;
    cases::the_last_operation_on_a_key_wins(make().await).await;
    cases::areas_and_versions_are_apart(make().await).await;
    cases::scans_are_in_byte_order(make().await).await;
    cases::prefixes_and_exclusive_bounds_hold_in_both_directions(make().await).await;
    cases::paging_meets_every_row_once(make().await).await;
    cases::scans_agree_with_a_model(make().await).await;
    cases::limits_are_refused_and_leave_nothing(make().await).await;
    cases::a_batch_is_seen_whole_or_not_at_all(make().await).await;
    cases::sequences_grow(make().await).await;
    cases::sixteen_committers_lose_nothing(make().await).await;
    cases::committed_rows_survive_reopening(make().await).await;
}
