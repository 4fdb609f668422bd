//! What a stopped node's disk would give to whoever has it and its passphrase: of every content that was ever written,
//! either the notice stands, or the key is destroyed.

use std::path::Path;
use std::sync::Arc;

use eads_domain::entropy::SystemEntropy;
use eads_node::identity::Passphrase;
use eads_service::area;
use eads_store::EmbeddedStore;
use eads_store::embedded::EmbeddedOptions;
use eads_store::keys::KeyTree;
use eads_store::port::{Sequence, Store as _};
use eads_store::vault::Vault;

/// The first commit that the journal still has: a snapshot may stand for its beginning.
fn first(store: &EmbeddedStore) -> Sequence {
    let is_there = |sequence| {
        let mut commits = store.changes(Sequence::new(sequence)).expect("the journal");
        commits.next().is_none_or(|commit| commit.is_ok())
    };
    let (mut low, mut high) = (1, store.head().expect("an open store").sequence + 1);
    while low < high {
        let middle = low.midpoint(high);
        if is_there(middle) { high = middle } else { low = middle + 1 }
    }
    Sequence::new(low)
}

/// Looks at every content in the journal below `dir`. Returns how many stand and how many are destroyed.
///
/// # Panics
/// When one has been deleted and can still be opened.
pub(crate) async fn erased(dir: &Path, passphrase: &Path, place: &str) -> (usize, usize) {
    let store = Arc::new(EmbeddedStore::open(dir, EmbeddedOptions::default()).expect("the store"));
    let passphrase = Passphrase::obtain(Some(passphrase)).map(|words| words.for_key_tree());
    let passphrase = passphrase.expect("a passphrase").expect("a passphrase");
    let keys = Arc::new(KeyTree::open(dir, &passphrase, Arc::new(SystemEntropy)).expect("the keys"));
    let vault = Vault::new(store.clone(), keys.clone());
    let (mut standing, mut destroyed) = (0, 0);
    for commit in store.changes(first(&store)).expect("the journal") {
        for change in commit.expect("a commit").changes {
            let contents = [area::OWN_CONTENT, area::HELD_CONTENT];
            let Some(area) = contents.into_iter().find(|area| area.id() == change.area) else { continue };
            let Some(row) = change.value else { continue };
            let slot = vault.slot_of(area, &row).expect("a sealed row");
            let is_there = store.get(area, &change.key).await.expect("a look").is_some();
            let is_gone = keys.is_destroyed(slot).expect("a look");
            assert_ne!(is_there, is_gone, "{place}: a content that is there: {is_there}, its key destroyed: {is_gone}");
            if is_gone { destroyed += 1 } else { standing += 1 }
        }
    }
    (standing, destroyed)
}
