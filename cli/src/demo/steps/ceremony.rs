//! Every two members become peers: cards, codes, four administrators.

use tokio::time::Instant;

use super::Story;
use crate::demo::Trouble;
use crate::demo::federation::Terms;

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("Every two members become peers")?;
    let started = Instant::now();
    let (indonesia, malaysia) = (story.indonesia, story.malaysia);
    let terms = |here, there| Terms {
        // Telephone numbers stay between Indonesia and the others.
        withheld: if here == indonesia && there == malaysia { vec!["phones"] } else { Vec::new() },
    };
    let ceremony = story.federation.peer_all(terms).await?;
    let line = format!(
        "{} pairs: {} verification codes read out and found the same on the other side, {} confirmations",
        ceremony.pairs, ceremony.codes_compared, ceremony.confirmations
    );
    story.narrator.measured("ceremony", &line, started.elapsed())?;
    story.narrator.fact("the first administrator's confirmation changed nothing; the second one's took effect")?;
    story.federation.connected().await?;
    story.narrator.measured("connected", "everybody follows everybody over mutual TLS 1.3", started.elapsed())?;
    Ok(story.narrator.end()?)
}
