//! Published lists as notices: each entry one notice, each change an amendment, each run idempotent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::id::{DraftId, MemberId, RequestId};
use eads_domain::slot::SlotNumber;
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::port::Batch;
use serde::{Deserialize, Serialize};

use super::{Draft, DraftOrigin, NewDraft};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::import::Rejection;
use crate::import::un_list::{self, UnEntry, UnKind};
use crate::node::Node;
use crate::pages::Pages;
use crate::rows;

/// The list's name in rows and digests.
const UN_CONSOLIDATED: &str = "un-consolidated";
/// How long an imported notice is valid; the next import renews what still stands on the list.
const VALID_SECONDS: i64 = 5 * 365 * 86_400;
/// The share of a list that one run may withdraw without being told so, in thousandths.
const GUARD_THOUSANDTHS: u64 = 100;
/// Below so many, the share says nothing.
const GUARD_FREE: u64 = 5;

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

/// One run over a list.
struct Run<'a> {
    drafter: &'a str,
    options: ListImportOptions,
    batch: String,
    held: BTreeMap<String, Listed>,
    waiting: BTreeMap<String, (DraftId, String)>,
    seen: BTreeSet<String>,
    found: ListImport,
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
        let mut run = Run {
            drafter: call.operator.name.as_str(),
            options,
            batch: RequestId::random(&*self.entropy).to_string(),
            held: self.listed().await?,
            waiting: self.waiting().await?,
            seen: BTreeSet::new(),
            found: ListImport { rejected: list.rejections, ..ListImport::default() },
        };
        for entry in &list.entries {
            self.import_entry(&mut run, entry).await?;
        }
        self.withdraw_vanished(&mut run).await?;
        let Run { mut found, options, batch, .. } = run;
        if found.issues + found.amendments + found.withdrawals > 0 && !options.dry_run {
            found.batch = batch;
        }
        Ok(found)
    }

    async fn import_entry(&self, run: &mut Run<'_>, entry: &UnEntry) -> Result<(), ServiceError> {
        count(&mut run.found, entry);
        let key = hex::encode(self.keys.mac(UN_CONSOLIDATED, &entry.data_id.to_be_bytes()));
        run.seen.insert(key.clone());
        let content = match un_list::to_content(entry) {
            Ok(content) => content,
            Err(error) => {
                run.found.rejected.push(Rejection {
                    line: entry.line,
                    key: Some(entry.reference.clone()),
                    code: error.code(),
                    reason: error.to_string(),
                });
                return Ok(());
            }
        };
        // To whom it is addressed counts too: a list imported for more members is not unchanged for them.
        let audience: BTreeSet<String> = run.options.audience.iter().map(ToString::to_string).collect();
        let audience: Vec<String> = audience.into_iter().collect();
        let digest = format!("{}:{}", un_list::content_digest(&content), audience.join(","));
        let held = run.held.get(&key);
        let waiting = run.waiting.get(&key);
        let is_same = |known: &str| known == digest;
        if held.is_some_and(|listed| is_same(&listed.digest)) || waiting.is_some_and(|(_, pending)| is_same(pending)) {
            run.found.unchanged += 1;
            return Ok(());
        }
        let reference = held.map(|listed| listed.reference.clone());
        let action = if reference.is_some() { Action::Amend } else { Action::Issue };
        let drafted = if action == Action::Amend { &mut run.found.amendments } else { &mut run.found.issues };
        *drafted += 1;
        if run.options.dry_run {
            return Ok(());
        }
        if let Some((stale, _)) = waiting {
            self.discard(*stale).await?;
        }
        let new = NewDraft {
            action,
            reference,
            values: SlotNumber::all().zip(content.values().iter().cloned()).filter(|(_, v)| !v.is_absent()).collect(),
            audience: run.options.audience.clone(),
            not_after: self.clock.now().plus_seconds(VALID_SECONDS),
            hold: false,
            replace: None,
        };
        let origin = DraftOrigin { batch: run.batch.clone(), listed: key, listed_digest: digest };
        self.draft(run.drafter, new, origin).await.map(drop)
    }

    async fn withdraw_vanished(&self, run: &mut Run<'_>) -> Result<(), ServiceError> {
        let vanished: Vec<_> = run.held.iter().filter(|(key, _)| !run.seen.contains(*key)).collect();
        let count = vanished.len() as u64;
        if !run.options.withdraw_missing {
            run.found.missing = count;
            return Ok(());
        }
        let is_guarded = count > GUARD_FREE && count * 1000 > run.held.len() as u64 * GUARD_THOUSANDTHS;
        if is_guarded && !run.options.override_guard {
            return Err(ServiceError::conflict(
                "MASS_WITHDRAWAL_GUARD",
                format!("{count} of {} notices would be withdrawn, more than a tenth of the list", run.held.len()),
            )
            .with_hint("compare the file with its source; `--override-guard` withdraws them all the same"));
        }
        for (key, listed) in vanished {
            // A withdrawal carries no digest of an entry: one that waits is told by that.
            if run.waiting.get(key).is_some_and(|(_, pending)| pending.is_empty()) {
                run.found.unchanged += 1;
                continue;
            }
            run.found.withdrawals += 1;
            if run.options.dry_run {
                continue;
            }
            let new = NewDraft {
                action: Action::Withdraw,
                reference: Some(listed.reference.clone()),
                values: vec![(SlotNumber::REASONS, Value::List(vec![Value::text("delisted")?]))],
                audience: Vec::new(),
                not_after: Timestamp::default(),
                hold: false,
                replace: None,
            };
            let origin = DraftOrigin { batch: run.batch.clone(), listed: key.clone(), listed_digest: String::new() };
            self.draft(run.drafter, new, origin).await?;
        }
        Ok(())
    }

    /// Every entry of the list that is a notice now, by its key.
    async fn listed(&self) -> Result<BTreeMap<String, Listed>, ServiceError> {
        let mut all = BTreeMap::new();
        let mut pages = Pages::of(&*self.store, area::LISTED);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                all.insert(hex::encode(key), rows::parse(value)?);
            }
        }
        Ok(all)
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
