//! The own register: every leaf under the signed root, every statement that is kept under its leaf.

use eads_domain::id::{Hash, NoticeId};
use eads_domain::register::{Frontier, SignedCheckpoint};

use super::finding::Section;
use super::{Value, Walk, statement};
use crate::area::{self, meta};
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::rows::{OwnVersion, PurgeJob};

/// An entry of the own register as its row says.
pub(super) struct EntryRow {
    pub(super) leaf: Hash,
    /// Action and notice; none for a leaf whose statement is not known here any more.
    pub(super) about: Option<(u8, NoticeId)>,
}

impl EntryRow {
    pub(super) fn parse(row: &[u8]) -> Option<Self> {
        let (leaf, rest) = row.split_first_chunk::<32>()?;
        let about = match rest.split_first() {
            None => None,
            Some((action, notice)) => Some((*action, NoticeId::try_from(notice).ok()?)),
        };
        Some(Self { leaf: Hash::from_bytes(*leaf), about })
    }
}

impl Walk<'_> {
    pub(super) async fn own_register(&self, section: &mut Section) -> Result<(), ServiceError> {
        // Taken first: entries that are appended during the walk lie behind it.
        let signed = self.signed(section).await?;
        let size = signed.as_ref().map_or(0, |signed| signed.checkpoint().size);
        let mut frontier = Frontier::new();
        let (mut behind, mut expected) = (0, 0);
        let mut pages = Pages::of(self.store(), area::OWN_ENTRY);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let index = area::trailing_number(&key).unwrap_or(u64::MAX);
                if index >= size {
                    behind += 1;
                    continue;
                }
                section.count("entries", 1);
                let Some(entry) = EntryRow::parse(&row) else {
                    section.find("ROW_UNREADABLE", format!("own-entry {index}"));
                    continue;
                };
                frontier.append(entry.leaf);
                if index != expected {
                    section.find("ENTRY_MISSING", format!("before index {index}"));
                }
                expected = index + 1;
                match entry.about {
                    Some((action, notice)) => self.own_entry(section, index, entry.leaf, action, notice).await?,
                    None => section.count("opaque entries", 1),
                }
            }
        }
        if behind > 0 && !self.on.running {
            section.find("ENTRY_UNSIGNED", format!("{behind} behind index {size}"));
        }
        if let Some(signed) = signed {
            let checkpoint = signed.checkpoint();
            if frontier.size() < checkpoint.size {
                section.find("ENTRY_MISSING", format!("{} of {} are there", frontier.size(), checkpoint.size));
            }
            if (checkpoint.size, checkpoint.root) != (frontier.size(), frontier.root()) {
                section.find("ROOT_DIFFERS", format!("at size {}", checkpoint.size));
            }
        }
        Ok(())
    }

    async fn signed(&self, section: &mut Section) -> Result<Option<SignedCheckpoint>, ServiceError> {
        let Some(bytes) = self.store().get(area::META, meta::CHECKPOINT).await? else {
            let any = Pages::of(self.store(), area::OWN_ENTRY).next().await?.is_some_and(|page| !page.is_empty());
            if any && !self.on.running {
                section.find("CHECKPOINT_MISSING", "own");
            }
            return Ok(None);
        };
        let signed = self.on.signing.checkpoint(&bytes, self.on.member, self.on.register).map(|(signed, _)| signed);
        if signed.is_err() {
            section.find("CHECKPOINT_INVALID", "own");
        }
        Ok(signed.ok())
    }

    async fn own_entry(
        &self,
        section: &mut Section,
        index: u64,
        leaf: Hash,
        action: u8,
        notice: NoticeId,
    ) -> Result<(), ServiceError> {
        let place = format!("index {index}");
        let key = area::notice_index(notice, index);
        let Some(version) = self.row::<OwnVersion>(section, area::OWN_VERSION, &key, &place).await? else {
            section.find("VERSION_MISSING", place);
            return Ok(());
        };
        if version.action.byte() != action {
            section.find("ENTRY_DIFFERS", place.clone());
        }
        let destroyed = self.is_destroyed(version.key.into()).await?;
        match self.open(section, area::OWN_CONTENT, &area::index(index), &place).await? {
            Value::Plain(_) if version.destroyed => section.find("CONTENT_LEFT", place),
            Value::Plain(bytes) => match statement(&bytes, &self.on.signing, leaf) {
                Ok((statement, _)) => {
                    let payload = statement.payload();
                    let same = (payload.notice, payload.action, statement.digest());
                    if same != (notice, version.action, version.digest) {
                        section.find("ENTRY_DIFFERS", place);
                    }
                    section.count("statements verified", 1);
                }
                Err(error) => {
                    use eads_domain::code::Coded as _;
                    section.find("STATEMENT_INVALID", format!("{place}: {}", error.code()));
                }
            },
            Value::Unopened => {}
            _ if version.destroyed => {
                section.count("statements destroyed", 1);
                match destroyed {
                    Some(true) => {}
                    Some(false) => section.find("KEY_ALIVE", place),
                    None => section.find("KEY_UNKNOWN", place),
                }
            }
            // The keys go first, the rows after them: a job stands until both are done.
            Value::Destroyed | Value::Absent => {
                let job = self.store().get(area::PURGE, &PurgeJob::Own { notice }.row_key()).await?;
                if job.is_none() {
                    section.find("CONTENT_MISSING", place);
                }
            }
        }
        Ok(())
    }
}
