//! Waiting for something that other processes bring about: look, pause, look again, give up at a deadline.

use std::future::Future;
use std::time::Duration;

use eads_domain::id::MemberId;
use tokio::time::Instant;

use super::FederationError;

const PAUSE: Duration = Duration::from_millis(40);

/// What a look found.
#[derive(Debug)]
pub enum Waiting<T> {
    /// What was waited for.
    Over(T),
    /// Not yet; this is what there is instead.
    NotYet(String),
}

/// Looks until it is over. `expected` at `member` is what the error says that was waited for.
///
/// # Errors
/// [`FederationError::Unexpected`] with what was found last when `within` has passed, and whatever a look fails
/// with.
pub async fn until<T, L>(
    member: MemberId,
    expected: &str,
    within: Duration,
    mut look: impl FnMut() -> L,
) -> Result<T, FederationError>
where
    L: Future<Output = Result<Waiting<T>, FederationError>>,
{
    let deadline = Instant::now() + within;
    loop {
        let found = match look().await? {
            Waiting::Over(found) => return Ok(found),
            Waiting::NotYet(found) => found,
        };
        if Instant::now() >= deadline {
            let expected = format!("{expected} within {} s", within.as_secs());
            return Err(FederationError::unexpected(member, expected, found));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn member() -> MemberId {
        "ID".parse().expect("member")
    }

    #[tokio::test]
    async fn looks_until_it_is_over() {
        let looks = Cell::new(0);
        let found = until(member(), "three looks", Duration::from_secs(5), || async {
            looks.set(looks.get() + 1);
            Ok(if looks.get() == 3 { Waiting::Over("there") } else { Waiting::NotYet("nothing".to_owned()) })
        });
        assert_eq!(found.await.expect("found"), "there");
    }

    #[tokio::test]
    async fn gives_up_with_what_it_found_last() {
        let never = until::<(), _>(member(), "something", Duration::ZERO, || async {
            Ok(Waiting::NotYet("nothing yet".to_owned()))
        });
        let error = never.await.expect_err("nothing comes");
        assert_eq!(error.to_string(), "at ID: expected something within 0 s; found nothing yet");
    }
}
