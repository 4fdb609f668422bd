//! Published lists as notices: each entry one notice, each change an amendment, each run idempotent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::id::{DraftId, MemberId, RequestId};
use eads_domain::slot::{Content, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::port::{Batch, Scan};
use serde::{Deserialize, Serialize};

use super::{Draft, DraftOrigin, NewDraft};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::import::Rejection;
use crate::import::un_list::{self, UnEntry, UnKind};
use crate::node::Node;
use crate::rows;

/// The list's name in rows and digests.
const UN_CONSOLIDATED: &str = "un-consolidated";
/// How long an imported notice is valid; the next import renews what still stands on the list.
const VALID_SECONDS: i64 = 5 * 365 * 86_400;
/// The share of a list that one run may withdraw without being told so, in thousandths.
const GUARD_THOUSANDTHS: u64 = 100;
/// Below so many, the share says nothing.
const GUARD_FREE: u64 = 5;
const PAGE: usize = 500;

/// What to do with a list.
#[derive(Clone, Debug, Default)]
pub struct ListImportOptions {
    /// Members addressed; empty means that the notices stay local.
    pub audience: Vec<MemberId>,
    /// Withdraw what vanished from the list.
    pub withdraw_missing: bool,
    /// Withdraw even if more vanished than the guard allows.
    pub override_guard: bool,
    /// Count only.
    pub dry_run: bool,
}

/// What a run found and drafted.
#[derive(Clone, Debug, Default)]
pub struct ListImport {
    /// Names the drafts of this run; empty where nothing had to be drafted.
    pub batch: String,
    /// Persons on the list.
    pub persons: u64,
    /// Entities on the list.
    pub entities: u64,
    /// Aliases of both.
    pub aliases: u64,
    /// Documents of both.
    pub documents: u64,
    /// New notices drafted.
    pub issues: u64,
    /// Amendments drafted.
    pub amendments: u64,
    /// Withdrawals drafted.
    pub withdrawals: u64,
    /// Entries that did not change, or whose draft waits already.
    pub unchanged: u64,
    /// Entries that could not be used, and why.
    pub rejected: Vec<Rejection>,
    /// Entries that vanished and were not withdrawn.
    pub missing: u64,
}

/// Which notice an entry of a list became.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    reference: String,
    digest: String,
}

impl Node {
    /// Turns the UN Security Council's consolidated list into one batch of drafts for a second officer.
    ///
    /// # Errors
    /// `XML_*` for a file that is not the list, `MASS_WITHDRAWAL_GUARD`, `AUDIENCE_*`.
    pub async fn import_un_list(
        &self,
        call: &Call,
        file: Vec<u8>,
        options: ListImportOptions,
    ) -> Result<ListImport, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "ImportNotices")).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.import_list(call, file, options).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn import_list(
        &self,
        call: &Call,
        file: Vec<u8>,
        options: ListImportOptions,
    ) -> Result<ListImport, ServiceError> {
        let list = tokio::task::spawn_blocking(move || un_list::read_un_list(Cursor::new(file)))
            .await
            .map_err(|error| ServiceError::internal("IMPORT_STOPPED", "the import was interrupted").caused_by(error))?
            .map_err(ServiceError::from_coded)?;
        let mut found = ListImport { rejected: list.rejections, ..ListImport::default() };
        let batch = RequestId::random(&*self.entropy).to_string();
        let held = self.listed().await?;
        let waiting = self.waiting().await?;
        let mut seen = BTreeSet::new();
        for entry in &list.entries {
            count(&mut found, entry);
            let key = self.listed_key(entry);
            seen.insert(key.clone());
            let content = match un_list::to_content(entry) {
                Ok(content) => content,
                Err(error) => {
                    found.rejected.push(Rejection {
                        line: entry.line,
                        key: Some(entry.reference.clone()),
                        code: error.code(),
                        reason: error.to_string(),
                    });
                    continue;
                }
            };
            let digest = un_list::content_digest(&content).to_string();
            self.entry_of_list(call, &options, &mut found, &batch, &held, &waiting, key, content, digest).await?;
        }
        self.vanished(call, &options, &mut found, &batch, &held, &waiting, &seen).await?;
        if found.issues + found.amendments + found.withdrawals > 0 && !options.dry_run {
            found.batch = batch;
        }
        Ok(found)
    }

    #[allow(clippy::too_many_arguments, reason = "one step of one loop; a struct would only rename them")]
    async fn entry_of_list(
        &self,
        call: &Call,
        options: &ListImportOptions,
        found: &mut ListImport,
        batch: &str,
        held: &BTreeMap<String, Listed>,
        waiting: &BTreeMap<String, (DraftId, String)>,
        key: String,
        content: Content,
        digest: String,
    ) -> Result<(), ServiceError> {
        if held.get(&key).is_some_and(|listed| listed.digest == digest) {
            found.unchanged += 1;
            return Ok(());
        }
        match waiting.get(&key) {
            Some((_, pending)) if *pending == digest => {
                found.unchanged += 1;
                return Ok(());
            }
            Some((stale, _)) if !options.dry_run => self.discard(*stale).await?,
            _ => {}
        }
        let reference = held.get(&key).map(|listed| listed.reference.clone());
        let action = if reference.is_some() { Action::Amend } else { Action::Issue };
        if action == Action::Amend {
            found.amendments += 1
        } else {
            found.issues += 1
        }
        if options.dry_run {
            return Ok(());
        }
        let values = content.values().iter();
        let new = NewDraft {
            action,
            reference,
            values: SlotNumber::all().zip(values.cloned()).filter(|(_, value)| !value.is_absent()).collect(),
            audience: options.audience.clone(),
            not_after: self.list_validity(),
        };
        let origin = DraftOrigin { batch: batch.to_owned(), listed: key, listed_digest: digest };
        self.draft(call.operator.name.as_str(), new, origin).await?;
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one step of one run; a struct would only rename them")]
    async fn vanished(
        &self,
        call: &Call,
        options: &ListImportOptions,
        found: &mut ListImport,
        batch: &str,
        held: &BTreeMap<String, Listed>,
        waiting: &BTreeMap<String, (DraftId, String)>,
        seen: &BTreeSet<String>,
    ) -> Result<(), ServiceError> {
        let vanished: Vec<_> = held.iter().filter(|(key, _)| !seen.contains(*key)).collect();
        let count = vanished.len() as u64;
        if !options.withdraw_missing {
            found.missing = count;
            return Ok(());
        }
        let guarded = count > GUARD_FREE && count * 1000 > held.len() as u64 * GUARD_THOUSANDTHS;
        if guarded && !options.override_guard {
            return Err(ServiceError::conflict(
                "MASS_WITHDRAWAL_GUARD",
                format!("{count} of {} notices would be withdrawn, more than a tenth of the list", held.len()),
            )
            .with_hint("compare the file with its source; `--override-guard` withdraws them all the same"));
        }
        for (key, listed) in vanished {
            if waiting.get(key).is_some_and(|(_, pending)| pending.is_empty()) {
                found.unchanged += 1;
                continue;
            }
            found.withdrawals += 1;
            if options.dry_run {
                continue;
            }
            let reasons = Value::List(vec![Value::text("delisted")?]);
            let new = NewDraft {
                action: Action::Withdraw,
                reference: Some(listed.reference.clone()),
                values: vec![(SlotNumber::REASONS, reasons)],
                audience: Vec::new(),
                not_after: Timestamp::default(),
            };
            let origin = DraftOrigin { batch: batch.to_owned(), listed: key.clone(), listed_digest: String::new() };
            self.draft(call.operator.name.as_str(), new, origin).await?;
        }
        Ok(())
    }

    fn list_validity(&self) -> Timestamp {
        self.clock.now().plus_seconds(VALID_SECONDS)
    }

    fn listed_key(&self, entry: &UnEntry) -> String {
        hex::encode(self.keys.mac(UN_CONSOLIDATED, &entry.data_id.to_be_bytes()))
    }

    /// Every entry of the list that is a notice now, by its key.
    async fn listed(&self) -> Result<BTreeMap<String, Listed>, ServiceError> {
        let mut all = BTreeMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut scan = Scan::new(area::LISTED, PAGE);
            scan.after = after.take();
            let page = self.store.scan(scan).await?;
            for (key, value) in &page {
                all.insert(hex::encode(key), rows::parse(value)?);
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                _ => return Ok(all),
            }
        }
    }

    /// Drafts of list entries that wait for approval or issue, by key, with the digest that they carry.
    async fn waiting(&self) -> Result<BTreeMap<String, (DraftId, String)>, ServiceError> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let (drafts, next) = self.drafts(None, after).await?;
            for draft in drafts.into_iter().filter(|draft| !draft.origin.listed.is_empty()) {
                all.insert(draft.origin.listed, (draft.id, draft.origin.listed_digest));
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Remembers which notice an entry became, beside the statement that made it so.
    pub(super) fn put_listed(&self, batch: &mut Batch, draft: &Draft) -> Result<(), ServiceError> {
        let Ok(key) = hex::decode(&draft.origin.listed) else { return Ok(()) };
        if key.is_empty() {
            return Ok(());
        }
        if draft.action == Action::Withdraw {
            batch.delete(area::LISTED, key);
            return Ok(());
        }
        let listed = Listed { reference: draft.reference.to_string(), digest: draft.origin.listed_digest.clone() };
        rows::put(batch, area::LISTED, &key, &listed)
    }
}

fn count(found: &mut ListImport, entry: &UnEntry) {
    match entry.kind {
        UnKind::Person => found.persons += 1,
        UnKind::Entity => found.entities += 1,
    }
    found.aliases += entry.aliases.len() as u64;
    found.documents += entry.documents.len() as u64;
}
