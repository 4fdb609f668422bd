//! The audit log: its whole chain, and each head of it that the register anchors.

use std::collections::BTreeMap;

use eads_domain::id::Hash;
use eads_domain::statement::Action;

use super::finding::Section;
use super::{Value, Walk};
use crate::area;
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::stored::StoredStatement;

impl Walk<'_> {
    pub(super) async fn audit(&self, section: &mut Section) -> Result<(), ServiceError> {
        let anchors = self.anchors(section).await?;
        section.count("anchors", anchors.len() as u64);
        let audit = self.on.audit.clone();
        let walked = tokio::task::spawn_blocking(move || {
            let verified = audit.verify();
            let anchored = audit.chains_at(anchors.keys().copied());
            (verified, anchored, anchors)
        });
        let (verified, anchored, anchors) = walked
            .await
            .map_err(|error| ServiceError::internal("CHECK_STOPPED", "the check was interrupted").caused_by(error))?;
        section.count("entries", verified.entries);
        section.count("unfinished", verified.unfinished);
        if let Some((entry, _)) = verified.finding {
            section.find("AUDIT_DAMAGED", format!("entry {entry}"));
            return Ok(());
        }
        let anchored = anchored?;
        for (sequence, (index, chain)) in anchors {
            match anchored.get(&sequence) {
                None => section.find("AUDIT_CUT", format!("entry {sequence}, anchored at index {index}")),
                Some(held) if *held != chain => {
                    section.find("ANCHOR_DIFFERS", format!("entry {sequence}, anchored at index {index}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Sequence → index of the anchor and the chain that it names.
    async fn anchors(&self, section: &mut Section) -> Result<BTreeMap<u64, (u64, Hash)>, ServiceError> {
        let mut anchors = BTreeMap::new();
        let mut pages = Pages::of(self.store(), area::OWN_ENTRY);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let index = area::trailing_number(&key).unwrap_or(u64::MAX);
                if row.get(32) != Some(&Action::Anchor.byte()) {
                    continue;
                }
                let place = format!("index {index}");
                let Value::Plain(bytes) = self.open(section, area::OWN_CONTENT, &area::index(index), &place).await?
                else {
                    continue;
                };
                let Ok(stored) = StoredStatement::parse(&bytes) else { continue };
                let Some((sequence, chain)) = stored.detail.split_first_chunk::<8>() else { continue };
                let Ok(chain) = Hash::try_from(chain) else { continue };
                // The head before the first entry says nothing.
                let sequence = u64::from_be_bytes(*sequence);
                if sequence > 0 {
                    anchors.insert(sequence, (index, chain));
                }
            }
        }
        Ok(anchors)
    }
}
