//! Photographs: every row has its file, every whole file is the one that was named.

use std::sync::Arc;

use eads_domain::encode::sha256;
use eads_domain::id::{BlobId, Hash};
use eads_store::blobs::{BlobError, BlobName};
use eads_store::port::Scan;
use eads_store::vault::Sealed;

use super::finding::Section;
use super::notices::leading_member;
use super::{Value, Walk};
use crate::area;
use crate::blobs::OwnBlob;
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::rows::HeldBlobs;
use crate::stored::StoredStatement;

/// What lies under a name.
enum File {
    /// What was named.
    Same,
    /// Nothing, or its key is destroyed.
    None,
    /// Something else.
    Other,
}

impl Walk<'_> {
    pub(super) async fn photographs(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut pages = Pages::of(self.store(), area::BLOB);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("own photographs", 1);
                self.own_photograph(section, &key, &row).await?;
            }
        }
        let mut pages = Pages::of(self.store(), area::HELD_BLOBS);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let (Some(origin), Some(index)) = (leading_member(&key), area::trailing_number(&key)) else {
                    section.find("ROW_UNREADABLE", "held-blobs");
                    continue;
                };
                let place = format!("{origin} index {index}");
                let Some(held) = self.parse::<HeldBlobs>(section, area::HELD_BLOBS, &place, &row) else { continue };
                section.count("photographs held", held.blobs.len() as u64);
                self.held_photographs(section, &key, &held, &place).await?;
            }
        }
        Ok(())
    }

    async fn own_photograph(&self, section: &mut Section, key: &[u8], row: &[u8]) -> Result<(), ServiceError> {
        let place = format!("blob {}", hex::encode(key));
        let slot = self.vault.slot_of(area::BLOB, row);
        let (Ok(id), Ok(slot)) = (BlobId::try_from(key), slot) else {
            section.find("ROW_UNREADABLE", place);
            return Ok(());
        };
        let bytes = match self.vault.open_row(area::BLOB, key, row).await {
            Ok(Some(Sealed::Plain { bytes, .. })) => bytes,
            Ok(Some(Sealed::Destroyed)) => {
                // A job, its own or its notice's, removes the row next.
                if self.store().scan(Scan::new(area::PURGE, 1)).await?.is_empty() {
                    section.find("VALUE_LOST", place);
                }
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unopened(section, area::BLOB, &place, error)?;
                return Ok(());
            }
        };
        let Some(own) = self.parse::<OwnBlob>(section, area::BLOB, &place, &bytes) else { return Ok(()) };
        let name = BlobName { key: slot, id: *id.as_bytes() };
        match self.file(name, own.len, own.sha256).await? {
            File::Same => {}
            File::None => section.find("BLOB_MISSING", place),
            File::Other => section.find("BLOB_DIFFERS", place),
        }
        Ok(())
    }

    /// Each is here and the one that the signed value names, or is still to be fetched.
    async fn held_photographs(
        &self,
        section: &mut Section,
        key: &[u8],
        held: &HeldBlobs,
        place: &str,
    ) -> Result<(), ServiceError> {
        let Value::Plain(bytes) = self.open(section, area::HELD_CONTENT, key, place).await? else { return Ok(()) };
        let Ok(content) = StoredStatement::parse(&bytes).and_then(|stored| stored.content()) else { return Ok(()) };
        let wanted = self.store().get(area::BLOB_WANTED, key).await?.is_some();
        for blob in &held.blobs {
            let Some((_, named)) = content.blobs().find(|(_, named)| named.blob_id() == blob.id) else { continue };
            match self.file(blob.name(), named.len, named.sha256).await? {
                File::Same => section.count("photographs held and whole", 1),
                File::None if wanted => {}
                File::None => section.find("BLOB_LOST", place),
                File::Other => section.find("BLOB_DIFFERS", place),
            }
        }
        Ok(())
    }

    async fn file(&self, name: BlobName, len: u32, digest: Hash) -> Result<File, ServiceError> {
        let blobs = Arc::clone(&self.on.blobs);
        let read = tokio::task::spawn_blocking(move || blobs.read(&name, len, 0..len)).await;
        let read = read
            .map_err(|error| ServiceError::internal("CHECK_STOPPED", "the check was interrupted").caused_by(error))?;
        match read {
            Ok(Some(plaintext)) if sha256(&plaintext) == digest => Ok(File::Same),
            Ok(Some(_)) | Err(BlobError::Damaged { .. }) => Ok(File::Other),
            Ok(None) => Ok(File::None),
            Err(error) => Err(error.into()),
        }
    }
}
