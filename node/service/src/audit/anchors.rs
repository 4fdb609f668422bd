//! The heads of the log that the own register anchors.

use eads_domain::id::Hash;
use eads_domain::statement::Action;
use eads_store::port::Store;
use eads_store::vault::{Sealed, Vault};

use crate::area;
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::stored::StoredStatement;

/// One anchor in the own register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The last entry that it covers.
    pub(crate) sequence: u64,
    /// The chain after that entry.
    pub(crate) chain: Hash,
    /// Where it stands in the register.
    pub(crate) index: u64,
    /// The statement's payload.
    pub(crate) payload: Vec<u8>,
}

/// Every anchor whose content is here, by index. One that cannot be read is a finding of the check of the store.
pub(crate) async fn anchors(store: &dyn Store, vault: &Vault) -> Result<Vec<Anchor>, ServiceError> {
    let mut anchors = Vec::new();
    let mut pages = Pages::of(store, area::OWN_ENTRY);
    while let Some(page) = pages.next().await? {
        for (key, row) in page {
            if row.get(32) != Some(&Action::Anchor.byte()) {
                continue;
            }
            let Some(index) = area::trailing_number(&key) else { continue };
            let Ok(Some(Sealed::Plain { bytes, .. })) = vault.get(area::OWN_CONTENT, &area::index(index)).await else {
                continue;
            };
            let Ok(stored) = StoredStatement::parse(&bytes) else { continue };
            let Some((sequence, chain)) = stored.detail.split_first_chunk::<8>() else { continue };
            let Ok(chain) = Hash::try_from(chain) else { continue };
            let sequence = u64::from_be_bytes(*sequence);
            // The head before the first entry says nothing.
            if sequence > 0 {
                anchors.push(Anchor { sequence, chain, index, payload: stored.payload });
            }
        }
    }
    Ok(anchors)
}
