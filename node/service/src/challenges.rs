//! Challenges against notices, own or held: recorded here, answered by the owner, closed by the desk.
//!
//! Everything about a challenge is sealed under a key of its own, which is destroyed with the notice that it is
//! against. Officers are told that the notice is contested, by whom, on which ground and whether the owner's answer
//! is overdue; words and names are shown to the desk only. Nothing of it is sent anywhere.

use eads_domain::challenge::{ChallengeState, Challenger, Ending, Grounds, text_of};
use eads_domain::clock::Timestamp;
use eads_domain::id::{ChallengeId, MemberId, NoticeId};
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::marks::Contest;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::PurgeJob;

const SCHEMA: u16 = 1;
/// The most challenges against one notice, closed ones among them.
const MAX_PER_NOTICE: usize = 100;
/// The longest time that an owner may be given, seconds.
const LONGEST_SECONDS: i64 = 366 * 86_400;

/// What an officer asks to record.
#[derive(Clone, Debug)]
pub struct NewChallenge {
    /// Of the notice.
    pub reference: String,
    /// Who challenges.
    pub by: Challenger,
    /// Why.
    pub grounds: Grounds,
    /// By when the owner owes an answer.
    pub answer_by: Timestamp,
    /// Who an individual is and how to answer.
    pub contact: String,
}

/// A challenge with all that is known of it.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Which.
    pub id: ChallengeId,
    /// Whose notice.
    pub owner: MemberId,
    /// The notice.
    pub notice: NoticeId,
    /// What people cite.
    pub reference: String,
    /// Who challenges.
    pub by: Challenger,
    /// Why.
    pub grounds: Grounds,
    /// Who an individual is and how to answer.
    pub contact: String,
    /// When it was recorded, and by which officer.
    pub recorded: Timestamp,
    /// The officer who recorded it.
    pub officer: String,
    /// By when the owner owes an answer.
    pub answer_by: Timestamp,
    /// What the owner answered, and when.
    pub answer: Option<(Timestamp, String)>,
    /// How it ended, and when.
    pub ending: Option<(Timestamp, Ending)>,
    /// The notice belongs to an exercise.
    pub exercise: bool,
}

impl Challenge {
    /// Where it is at `now`.
    pub fn state(&self, now: Timestamp) -> ChallengeState {
        ChallengeState::at(now, self.answer_by, self.answer.is_some(), self.ending.map(|(_, ending)| ending))
    }

    fn contest(&self) -> Contest {
        Contest {
            id: self.id,
            by: self.by,
            reason: self.grounds.code.clone(),
            recorded: self.recorded,
            answer_by: self.answer_by,
            answered: self.answer.is_some(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeRow {
    reference: String,
    by: Challenger,
    code: String,
    text: String,
    contact: String,
    recorded: Timestamp,
    officer: String,
    answer_by: Timestamp,
    answer: Option<(Timestamp, String)>,
    ending: Option<(Timestamp, Ending)>,
    exercise: bool,
}

impl Node {
    /// Records a challenge. The notice counts as contested at once.
    ///
    /// # Errors
    /// `CHALLENGE_*`, `CHALLENGER_INVALID`, `NOTICE_*` for the notice.
    pub async fn record_challenge(&self, call: &Call, new: NewChallenge) -> Result<Challenge, ServiceError> {
        let subject = new.reference.chars().take(32).collect();
        self.audited(call, "RecordChallenge", Some(subject), self.take_challenge(call, new)).await
    }

    async fn take_challenge(&self, call: &Call, new: NewChallenge) -> Result<Challenge, ServiceError> {
        let now = self.clock.now();
        if new.answer_by <= now || new.answer_by.seconds_since(now) > LONGEST_SECONDS {
            return Err(ServiceError::invalid(
                "CHALLENGE_DEADLINE",
                "the owner's answer is due within a year from now",
            ));
        }
        if matches!(new.by, Challenger::Member(_)) && !new.contact.trim().is_empty() {
            return Err(ServiceError::invalid("CHALLENGE_CONTACT", "a contact is given for individuals only"));
        }
        let contact = text_of("the contact", &new.contact).map_err(ServiceError::from_coded)?;
        let owner = self.referred(&new.reference).await?.owner;
        // A notice does not end while it is challenged: what ends it ends the challenges too.
        let _notices = self.own_lock(owner).await;
        let _applying = self.held_lock(owner).await;
        // Whoever records it may see the notice: the desk, or an issuer whom nothing is hidden from.
        let detail = self.detail(&new.reference, crate::desk::is_desk(call)).await?;
        let notice = detail.view.notice;
        let prefix = area::member_notice(owner, notice);
        let before = self.store.scan(Scan::new(area::CHALLENGE, MAX_PER_NOTICE).prefix(prefix)).await?;
        if before.len() >= MAX_PER_NOTICE {
            return Err(ServiceError::exhausted("CHALLENGES_TOO_MANY", "this notice has a hundred challenges already"));
        }
        let challenge = Challenge {
            id: ChallengeId::random(&*self.entropy),
            owner,
            notice,
            reference: detail.view.reference,
            by: new.by,
            grounds: new.grounds,
            contact,
            recorded: now,
            officer: call.operator.name.to_string(),
            answer_by: new.answer_by,
            answer: None,
            ending: None,
            exercise: detail.view.exercise,
        };
        self.write_challenge(&challenge).await?;
        Ok(challenge)
    }

    /// Challenges against one notice or all, with their words.
    ///
    /// # Errors
    /// `NOTICE_*` for the notice that is named.
    pub async fn challenges(
        &self,
        call: &Call,
        reference: Option<&str>,
        closed: bool,
        limit: usize,
    ) -> Result<Vec<Challenge>, ServiceError> {
        let subject = reference.map(|reference| reference.chars().take(32).collect());
        self.audited(call, "ListChallenges", subject, self.list_challenges(reference, closed, limit)).await
    }

    async fn list_challenges(
        &self,
        reference: Option<&str>,
        closed: bool,
        limit: usize,
    ) -> Result<Vec<Challenge>, ServiceError> {
        let prefix = match reference {
            Some(reference) => {
                let referred = self.referred(reference).await?;
                area::member_notice(referred.owner, referred.notice)
            }
            None => Vec::new(),
        };
        let mut found = Vec::new();
        let mut pages = Pages::of(&*self.store, area::CHALLENGE).prefix(&prefix);
        while let Some(page) = pages.next().await? {
            for (key, row) in &page {
                if found.len() >= limit {
                    return Ok(found);
                }
                let challenge = self.open_challenge(key, row).await?;
                found.extend(challenge.filter(|challenge| closed || challenge.ending.is_none()));
            }
        }
        Ok(found)
    }

    /// Records what the owner answered; a later answer takes the place of an earlier one.
    ///
    /// # Errors
    /// `CHALLENGE_*`.
    pub async fn answer_challenge(
        &self,
        call: &Call,
        id: ChallengeId,
        answer: &str,
    ) -> Result<Challenge, ServiceError> {
        let work = async {
            let answer = text_of("the answer", answer).map_err(ServiceError::from_coded)?;
            if answer.is_empty() {
                return Err(ServiceError::invalid("CHALLENGE_ANSWER", "say what the owner answered"));
            }
            let now = self.clock.now();
            self.change_challenge(id, |challenge| challenge.answer = Some((now, answer))).await
        };
        self.audited(call, "AnswerChallenge", Some(id.to_string()), work).await
    }

    /// Ends a challenge, which is final: the notice is not contested by it any more.
    ///
    /// # Errors
    /// `CHALLENGE_*`.
    pub async fn close_challenge(
        &self,
        call: &Call,
        id: ChallengeId,
        ending: Ending,
    ) -> Result<Challenge, ServiceError> {
        let now = self.clock.now();
        let work = self.change_challenge(id, |challenge| challenge.ending = Some((now, ending)));
        self.audited(call, "CloseChallenge", Some(id.to_string()), work).await
    }

    async fn change_challenge(
        &self,
        id: ChallengeId,
        change: impl FnOnce(&mut Challenge),
    ) -> Result<Challenge, ServiceError> {
        let mut pages = Pages::of(&*self.store, area::CHALLENGE);
        while let Some(page) = pages.next().await? {
            let Some((key, _)) = page.into_iter().find(|(key, _)| key.ends_with(id.as_bytes())) else { continue };
            let (notice, _) = key.split_at(key.len() - id.as_bytes().len());
            let (owner, _) = crate::notices::split(notice)?;
            let _notices = self.own_lock(owner).await;
            let _applying = self.held_lock(owner).await;
            // Read anew under the lock.
            let Some(row) = self.store.get(area::CHALLENGE, &key).await? else { break };
            let Some(mut challenge) = self.open_challenge(&key, &row).await? else { break };
            if !challenge.state(self.clock.now()).takes_answer() {
                return Err(ServiceError::conflict("CHALLENGE_CLOSED", "this challenge is closed, which is final"));
            }
            change(&mut challenge);
            self.write_challenge(&challenge).await?;
            return Ok(challenge);
        }
        Err(ServiceError::not_found("CHALLENGE_UNKNOWN", "there is no such challenge; see `eads challenge list`"))
    }

    async fn own_lock(&self, owner: MemberId) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if owner == self.member { Some(self.notices.lock().await) } else { None }
    }

    async fn held_lock(&self, owner: MemberId) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        if owner == self.member { None } else { Some(self.applying.lock(owner).await) }
    }

    /// Writes a challenge under a fresh key and destroys the one before it. The caller holds the lock of the notice.
    async fn write_challenge(&self, challenge: &Challenge) -> Result<(), ServiceError> {
        let row = ChallengeRow {
            reference: challenge.reference.clone(),
            by: challenge.by,
            code: challenge.grounds.code.clone(),
            text: challenge.grounds.text.clone(),
            contact: challenge.contact.clone(),
            recorded: challenge.recorded,
            officer: challenge.officer.clone(),
            answer_by: challenge.answer_by,
            answer: challenge.answer.clone(),
            ending: challenge.ending,
            exercise: challenge.exercise,
        };
        let bytes = serde_json::to_vec(&row).map_err(|error| {
            ServiceError::internal("ROW_UNWRITABLE", "a challenge cannot be written").caused_by(error)
        })?;
        let key = [area::member_notice(challenge.owner, challenge.notice), challenge.id.as_bytes().to_vec()].concat();
        let mut batch = Batch::new();
        if let Some(old) = self.store.get(area::CHALLENGE, &key).await? {
            let slot = self.vault.slot_of(area::CHALLENGE, &old)?;
            self.queue_purge(&mut batch, &PurgeJob::Key { key: slot.into() })?;
        }
        let slot = self.keys.allocate()?;
        self.vault.replace(&mut batch, area::CHALLENGE, &key, slot, SCHEMA, &bytes).await?;
        self.store.commit(batch).await?;
        self.purge_due.notify_one();
        self.marks.contest(challenge.owner, challenge.notice, challenge.contest(), challenge.ending.is_some());
        Ok(())
    }

    async fn open_challenge(&self, key: &[u8], row: &[u8]) -> Result<Option<Challenge>, ServiceError> {
        let Some(Sealed::Plain { bytes, .. }) = self.vault.open_row(area::CHALLENGE, key, row).await? else {
            return Ok(None);
        };
        let unreadable = || ServiceError::internal("ROW_UNREADABLE", "the key of a challenge cannot be read");
        let (notice, id) = key.split_last_chunk::<16>().ok_or_else(unreadable)?;
        let (owner, notice) = crate::notices::split(notice)?;
        let row: ChallengeRow = crate::rows::parse(&bytes)?;
        Ok(Some(Challenge {
            id: ChallengeId::from_bytes(*id),
            owner,
            notice,
            reference: row.reference,
            by: row.by,
            grounds: Grounds { code: row.code, text: row.text },
            contact: row.contact,
            recorded: row.recorded,
            officer: row.officer,
            answer_by: row.answer_by,
            answer: row.answer,
            ending: row.ending,
            exercise: row.exercise,
        }))
    }

    /// Beside the end of a notice: nothing of the challenges against it is kept.
    pub(crate) async fn forget_challenges(
        &self,
        batch: &mut Batch,
        owner: MemberId,
        notice: NoticeId,
    ) -> Result<(), ServiceError> {
        let prefix = area::member_notice(owner, notice);
        let rows = self.store.scan(Scan::new(area::CHALLENGE, MAX_PER_NOTICE).prefix(prefix)).await?;
        for (key, row) in rows {
            let slot = self.vault.slot_of(area::CHALLENGE, &row)?;
            self.queue_purge(batch, &PurgeJob::Key { key: slot.into() })?;
            self.vault.delete(batch, area::CHALLENGE, &key).await?;
        }
        Ok(())
    }

    /// Reads the challenges back that are not closed.
    pub(crate) async fn fill_challenges(&self) -> Result<(), ServiceError> {
        for challenge in self.list_challenges(None, false, usize::MAX).await? {
            self.marks.contest(challenge.owner, challenge.notice, challenge.contest(), false);
        }
        Ok(())
    }
}
