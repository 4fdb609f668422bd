//! Evidence holds: content that is to be destroyed is kept under a named order, for a time.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, NoticeId, RequestId};
use serde::{Deserialize, Serialize};

use super::CaseId;
use super::sealed::OnFile;
use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// The most holds on file, those that are over among them.
const MOST_HOLDS: usize = 1000;
/// The longest hold, seconds: an order that lasts longer is placed anew.
const LONGEST: i64 = 10 * 366 * 86_400;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HoldTarget {
    /// Every version of a notice, own or held, with its photographs.
    Notice {
        /// Whose.
        owner: MemberId,
        /// Which.
        notice: NoticeId,
        /// As it was cited.
        reference: String,
    },
    /// The readability of questions in the audit log, both moments included.
    Audit {
        /// The first moment.
        from: Timestamp,
        /// The last moment.
        to: Timestamp,
    },
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum HoldRequest {
    /// By its reference.
    Notice(String),
    /// Of the audit log.
    Audit(Timestamp, Timestamp),
}

/// One administrator's word.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    pub(super) administrator: String,
    pub(super) at: Timestamp,
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum End {
    Released,
    Ended,
}

/// A hold as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRow {
    target: HoldTarget,
    order: String,
    reason: String,
    until: Timestamp,
    placed: Word,
    confirmed: Option<Word>,
    releasing: Option<Word>,
    released: Option<Word>,
    over: Option<(End, Timestamp)>,
}

impl HoldRow {
    const fn is_in_force(&self) -> bool {
        self.confirmed.is_some() && self.over.is_none()
    }

    fn state(&self) -> HoldState {
        match (&self.over, &self.confirmed, &self.releasing) {
            (Some((End::Released, _)), ..) => HoldState::Released,
            (Some((End::Ended, _)), ..) => HoldState::Ended,
            (None, None, _) => HoldState::Pending,
            (None, Some(_), None) => HoldState::InForce,
            (None, Some(_), Some(_)) => HoldState::Releasing,
        }
    }
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// One administrator has asked for it: nothing is kept yet.
    Pending,
    /// Two administrators have placed it.
    InForce,
    /// In force, and one administrator has said that it is to end.
    Releasing,
    /// Ended by two administrators.
    Released,
    /// Ended by its own date.
    Ended,
}

impl HoldState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InForce => "in-force",
            Self::Releasing => "releasing",
            Self::Released => "released",
            Self::Ended => "ended",
        }
    }
}

/// A hold as it is listed.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Its name.
    pub id: CaseId,
    /// What is kept.
    pub target: HoldTarget,
    /// What the order is cited by.
    pub order: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Where it stands.
    pub state: HoldState,
    /// Who has spoken, in order.
    pub administrators: Vec<String>,
    /// Since when it stands so.
    pub since: Timestamp,
    /// Contents that would be destroyed by now.
    pub kept: u64,
}

/// The holds, in memory too: every destruction asks them.
#[derive(Debug, Default)]
pub(crate) struct Court {
    holds: RwLock<BTreeMap<CaseId, OnFile<HoldRow>>>,
    /// Placing, releasing and ending are done one after the other.
    changing: tokio::sync::Mutex<()>,
    /// When purges that are owed were last looked for.
    looked: std::sync::Mutex<Option<Timestamp>>,
}

impl Court {
    fn read<T>(&self, look: impl FnOnce(&BTreeMap<CaseId, OnFile<HoldRow>>) -> T) -> T {
        look(&self.holds.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn insert(&self, id: CaseId, hold: OnFile<HoldRow>) {
        self.holds.write().unwrap_or_else(PoisonError::into_inner).insert(id, hold);
    }

    fn get(&self, id: CaseId) -> Option<OnFile<HoldRow>> {
        self.read(|holds| holds.get(&id).cloned())
    }

    /// Whether purges that are owed are to be looked for; if so, that is noted as done.
    pub(crate) fn is_time_to_look(&self, now: Timestamp, pause: i64) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|at| now.seconds_since(at) >= pause);
        if due {
            *looked = Some(now);
        }
        due
    }

    /// Notices that are kept, each with the reference by which it was cited.
    pub(crate) fn kept_notices(&self) -> Vec<(MemberId, NoticeId, String)> {
        self.read(|holds| {
            let in_force = holds.values().filter(|hold| hold.row.is_in_force());
            in_force
                .filter_map(|hold| match &hold.row.target {
                    HoldTarget::Notice { owner, notice, reference } => Some((*owner, *notice, reference.clone())),
                    HoldTarget::Audit { .. } => None,
                })
                .collect()
        })
    }

    /// Whether content of the notice must not be destroyed.
    pub(crate) fn keeps(&self, owner: MemberId, notice: NoticeId) -> bool {
        self.read(|holds| {
            holds.values().any(|hold| {
                let same = matches!(&hold.row.target, HoldTarget::Notice { owner: o, notice: n, .. }
                    if (*o, *n) == (owner, notice));
                same && hold.row.is_in_force()
            })
        })
    }

    /// Spans of the audit log whose questions stay readable.
    pub(crate) fn audit_spans(&self) -> Vec<(Timestamp, Timestamp)> {
        self.read(|holds| {
            let in_force = holds.values().filter(|hold| hold.row.is_in_force());
            in_force
                .filter_map(|hold| match hold.row.target {
                    HoldTarget::Audit { from, to } => Some((from, to)),
                    HoldTarget::Notice { .. } => None,
                })
                .collect()
        })
    }

    /// Orders under which the notice is kept: order, until, administrators.
    pub(crate) fn orders(&self, owner: MemberId, notice: NoticeId) -> Vec<(String, Timestamp, Vec<String>)> {
        self.read(|holds| {
            let about = holds.values().filter(|hold| {
                hold.row.is_in_force()
                    && matches!(&hold.row.target, HoldTarget::Notice { owner: o, notice: n, .. }
                        if (*o, *n) == (owner, notice))
            });
            about.map(|hold| (hold.row.order.clone(), hold.row.until, spoken(&hold.row))).collect()
        })
    }
}

fn spoken(row: &HoldRow) -> Vec<String> {
    let words = [Some(&row.placed), row.confirmed.as_ref(), row.releasing.as_ref(), row.released.as_ref()];
    words.into_iter().flatten().map(|word| word.administrator.clone()).collect()
}

impl Node {
    /// Reads the holds back at the start, before anything is destroyed.
    pub(crate) async fn load_holds(&self) -> Result<(), ServiceError> {
        for (id, hold) in self.all_on_file(area::HOLD).await? {
            self.court.insert(id, hold);
        }
        Ok(())
    }

    /// One administrator's word for a hold; the second one's puts it in force. Returns its name and whether it is in
    /// force.
    ///
    /// # Errors
    /// `NOTICE_UNKNOWN`, `HOLD_*`, `SECOND_ADMINISTRATOR_REQUIRED` when the same administrator says it twice.
    pub async fn place_hold(
        &self,
        call: &Call,
        asked: HoldRequest,
        order: &str,
        until: Timestamp,
        reason: &str,
    ) -> Result<(CaseId, bool), ServiceError> {
        let mut entry = self.entry(call, "PlaceHold");
        entry.case_reference = Some(order.to_owned());
        entry.subject = Some(match &asked {
            HoldRequest::Notice(reference) => reference.chars().take(32).collect(),
            HoldRequest::Audit(from, to) => format!("audit {from} to {to}"),
        });
        let intent = self.audit.intent(entry).await?;
        let outcome = self.place(call, asked, order, until, reason).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn place(
        &self,
        call: &Call,
        asked: HoldRequest,
        order: &str,
        until: Timestamp,
        reason: &str,
    ) -> Result<(CaseId, bool), ServiceError> {
        let _changing = self.court.changing.lock().await;
        let now = self.clock.now();
        if until <= now || until.seconds_since(now) > LONGEST {
            return Err(ServiceError::invalid("HOLD_UNTIL_INVALID", "a hold ends in the future, within ten years"));
        }
        let target = match asked {
            HoldRequest::Notice(reference) => {
                let referred = self.referred(&reference).await?;
                let parsed: eads_domain::reference::Reference = reference.parse().map_err(ServiceError::from_coded)?;
                HoldTarget::Notice { owner: referred.owner, notice: referred.notice, reference: parsed.to_string() }
            }
            HoldRequest::Audit(from, to) if from <= to => HoldTarget::Audit { from, to },
            HoldRequest::Audit(..) => {
                return Err(ServiceError::invalid("HOLD_SPAN_INVALID", "the first day comes after the last"));
            }
        };
        let word = Word { administrator: call.operator.name.to_string(), at: now };
        let before = self.court.read(|holds| {
            let same = |hold: &OnFile<HoldRow>| {
                hold.row.over.is_none() && hold.row.target == target && hold.row.order == order
            };
            holds.iter().find(|(_, hold)| same(hold)).map(|(id, hold)| (*id, hold.clone()))
        });
        if let HoldTarget::Notice { owner, notice, .. } = &target
            && !self.left_of(*owner, *notice).await?.1
        {
            return Err(ServiceError::conflict("HOLD_NOTHING_LEFT", "nothing of this notice is left to be kept"));
        }
        let (id, hold) = match before {
            None => {
                if self.court.read(BTreeMap::len) >= MOST_HOLDS {
                    return Err(ServiceError::exhausted("HOLDS_TOO_MANY", "no more holds can be kept on file"));
                }
                let row = HoldRow {
                    target,
                    order: order.to_owned(),
                    reason: reason.to_owned(),
                    until,
                    placed: word,
                    confirmed: None,
                    releasing: None,
                    released: None,
                    over: None,
                };
                (CaseId::random(&*self.entropy), OnFile { key: self.keys.allocate()?, row })
            }
            Some((_, hold)) if hold.row.is_in_force() => {
                return Err(ServiceError::conflict("HOLD_EXISTS", "this hold is in force already"));
            }
            Some((_, hold)) if hold.row.placed.administrator == word.administrator => {
                return Err(second_required());
            }
            Some((_, hold)) if hold.row.until != until => {
                return Err(ServiceError::conflict(
                    "HOLD_DIFFERS",
                    format!("the first administrator asked for it until {}", hold.row.until),
                ));
            }
            Some((id, hold)) => (id, OnFile { row: HoldRow { confirmed: Some(word), ..hold.row }, ..hold }),
        };
        self.put_on_file(area::HOLD, id, &hold, true).await?;
        let in_force = hold.row.is_in_force();
        self.court.insert(id, hold);
        Ok((id, in_force))
    }

    /// One administrator's word that a hold be ended; the second one's ends it, and what was kept is destroyed. One
    /// that is not in force yet is taken back by a single word. Returns whether it is over.
    ///
    /// # Errors
    /// `HOLD_UNKNOWN`, `HOLD_OVER`, `SECOND_ADMINISTRATOR_REQUIRED`.
    pub async fn release_hold(&self, call: &Call, id: CaseId, reason: &str) -> Result<bool, ServiceError> {
        let mut entry = self.entry(call, "ReleaseHold");
        entry.subject = Some(format!("hold {id}: {reason}"));
        entry.case_reference = self.court.get(id).map(|hold| hold.row.order);
        let intent = self.audit.intent(entry).await?;
        let outcome = self.release(call, id).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn release(&self, call: &Call, id: CaseId) -> Result<bool, ServiceError> {
        let _changing = self.court.changing.lock().await;
        let now = self.clock.now();
        let hold = self.court.get(id);
        let hold = hold.ok_or_else(|| ServiceError::not_found("HOLD_UNKNOWN", "there is no such hold"))?;
        if hold.row.over.is_some() {
            return Err(ServiceError::conflict("HOLD_OVER", "this hold is over"));
        }
        let word = Word { administrator: call.operator.name.to_string(), at: now };
        let row = match &hold.row.releasing {
            _ if hold.row.confirmed.is_none() => {
                HoldRow { released: Some(word), over: Some((End::Released, now)), ..hold.row.clone() }
            }
            None => HoldRow { releasing: Some(word), ..hold.row.clone() },
            Some(first) if first.administrator == word.administrator => return Err(second_required()),
            Some(_) => HoldRow { released: Some(word), over: Some((End::Released, now)), ..hold.row.clone() },
        };
        let over = row.over.is_some();
        let hold = OnFile { row, ..hold };
        self.put_on_file(area::HOLD, id, &hold, true).await?;
        self.court.insert(id, hold);
        if over {
            self.purge_due.notify_one();
        }
        Ok(over)
    }

    /// Holds that stand, or all on file.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn list_holds(&self, call: &Call, all: bool) -> Result<Vec<Hold>, ServiceError> {
        let work = async {
            let holds: Vec<(CaseId, HoldRow)> =
                self.court.read(|holds| holds.iter().map(|(id, hold)| (*id, hold.row.clone())).collect());
            let mut listed = Vec::new();
            for (id, row) in holds.into_iter().filter(|(_, row)| all || row.over.is_none()) {
                let kept = match &row.target {
                    HoldTarget::Notice { owner, notice, .. } if row.is_in_force() => {
                        self.left_of(*owner, *notice).await?.0
                    }
                    _ => 0,
                };
                let last = [&row.released, &row.releasing, &row.confirmed].into_iter().flatten().next();
                listed.push(Hold {
                    id,
                    since: row.over.map_or_else(|| last.unwrap_or(&row.placed).at, |(_, at)| at),
                    state: row.state(),
                    administrators: spoken(&row),
                    target: row.target,
                    order: row.order,
                    reason: row.reason,
                    until: row.until,
                    kept,
                });
            }
            listed.sort_by_key(|hold| (hold.until, hold.id));
            Ok(listed)
        };
        self.audited(call, "ListHolds", None, work).await
    }

    /// Ends the holds whose date has come.
    pub(crate) async fn end_holds(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let due = |row: &HoldRow| row.over.is_none() && row.until < now;
        if !self.court.read(|holds| holds.values().any(|hold| due(&hold.row))) {
            return Ok(());
        }
        let _changing = self.court.changing.lock().await;
        let ended: Vec<(CaseId, OnFile<HoldRow>)> = self.court.read(|holds| {
            holds.iter().filter(|(_, hold)| due(&hold.row)).map(|(id, hold)| (*id, hold.clone())).collect()
        });
        for (id, hold) in ended {
            let request = RequestId::random(&*self.entropy);
            let mut entry = Entry::new(EntryKind::Event, now, request, Actor::Node, "EndHold");
            entry.subject = Some(format!("hold {id}"));
            entry.case_reference = Some(hold.row.order.clone());
            self.audit.event(entry, "OK").await?;
            let hold = OnFile { row: HoldRow { over: Some((End::Ended, now)), ..hold.row }, ..hold };
            self.put_on_file(area::HOLD, id, &hold, true).await?;
            self.court.insert(id, hold);
        }
        self.purge_due.notify_one();
        Ok(())
    }
}

pub(super) fn second_required() -> ServiceError {
    ServiceError::conflict(
        "SECOND_ADMINISTRATOR_REQUIRED",
        "the same administrator has said so already; another one has to",
    )
}
