//! The key tree, and the sealed values that no other section opens: drafts, peers, records, and parts.

use std::sync::Arc;

use eads_domain::record::Record;
use eads_store::keys::KeyError;
use eads_store::port::Area;
use eads_store::vault::{self, PARTS, Sealed};

use super::Walk;
use super::finding::Section;
use crate::area;
use crate::error::ServiceError;
use crate::pages::Pages;

impl Walk<'_> {
    pub(super) async fn keys(&self, section: &mut Section) -> Result<(), ServiceError> {
        let keys = Arc::clone(&self.on.keys);
        let checked = tokio::task::spawn_blocking(move || keys.check())
            .await
            .map_err(|error| ServiceError::internal("CHECK_STOPPED", "the check was interrupted").caused_by(error))?;
        match checked {
            Ok(found) => {
                section.count("buckets", found.buckets);
                section.count("keys", found.alive);
                section.count("keys destroyed", found.destroyed);
                Ok(())
            }
            Err(KeyError::Damaged { file, what }) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                section.find("KEYS_DAMAGED", format!("keys/{name}: {what}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn sealed(&self, section: &mut Section) -> Result<(), ServiceError> {
        let areas = [
            (area::DRAFT, "drafts"),
            (area::PEER, "peers"),
            (area::RECORD, "records"),
            (area::OWN_CARD, "own cards"),
            (area::OFFICER, "officers"),
            (area::OFFICER_PENDING, "officers awaiting a second administrator"),
            (area::CHALLENGE, "challenges"),
            (area::HOLD, "evidence holds"),
            (area::SUBJECT_REQUEST, "subject requests"),
            (area::NOT_THIS_PERSON, "marks of namesakes"),
        ];
        for (area, what) in areas {
            let mut pages = Pages::of(self.store(), area);
            while let Some(page) = pages.next().await? {
                for (key, row) in page {
                    section.count(what, 1);
                    self.value(section, area, &key, &row).await?;
                }
            }
        }
        let mut pages = Pages::of(self.store(), PARTS);
        while let Some(page) = pages.next().await? {
            for (key, _) in page {
                section.count("parts of long values", 1);
                self.part(section, &key).await?;
            }
        }
        Ok(())
    }

    async fn value(&self, section: &mut Section, area: Area, key: &[u8], row: &[u8]) -> Result<(), ServiceError> {
        // The keys of these areas are random, members, or HMACs.
        let place = hex::encode(key);
        match self.vault.open_row(area, key, row).await {
            Ok(None) => {}
            Ok(Some(Sealed::Destroyed)) => section.find("VALUE_LOST", format!("{} {place}", area.name())),
            Ok(Some(Sealed::Plain { bytes, .. })) if area == area::RECORD => match Record::parse(&bytes) {
                Ok(record) => {
                    if self.on.keys.mac("record", record.id().as_bytes()).as_slice() != key {
                        section.find("RECORD_MISPLACED", place);
                    }
                }
                Err(_) => section.find("ROW_UNREADABLE", format!("{} {place}", area.name())),
            },
            Ok(Some(Sealed::Plain { .. })) => {}
            Err(error) => {
                self.unopened(section, area, &place, error)?;
            }
        }
        Ok(())
    }

    /// A part belongs to a value whose first row says that it has so many.
    async fn part(&self, section: &mut Section, key: &[u8]) -> Result<(), ServiceError> {
        let owner = vault::owner_of_part(key);
        let parts = match owner {
            Some((area, key, _)) => self.store().get(area, key).await?.and_then(|row| vault::parts_in(&row)),
            None => None,
        };
        if owner.zip(parts).is_none_or(|((_, _, part), parts)| part >= parts) {
            let place = owner.map_or_else(|| "of nothing".to_owned(), |(area, ..)| format!("of area {}", area.id()));
            section.find("PART_ORPHAN", format!("{place} {}", hex::encode(key.get(2..).unwrap_or_default())));
        }
        Ok(())
    }
}
