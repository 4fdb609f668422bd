//! The state of the node in one look, and the re-verification of every register.

use eads_domain::card::KeyLine;
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::register::{Frontier, SignedCheckpoint};
use eads_store::vault::Sealed;

use crate::area;
use crate::check;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::split;
use crate::pages::Pages;
use crate::peers::{Peer, PeerView};
use crate::rows::{self, Followed, HeldNotice};
use crate::trust::{Recalled, Sequencing};

/// The node in one look.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Entries of the own register.
    pub register_size: u64,
    /// The latest signed checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
    /// Own notices in force.
    pub notices_in_force: usize,
    /// Held notices.
    pub held_notices: usize,
    /// National records.
    pub records: usize,
    /// The peers.
    pub peers: Vec<PeerView>,
    /// Whether statements are signed.
    pub sequencing: Sequencing,
    /// Own entries whose content is lost: how many, and the first of them.
    pub unrecovered: (u64, Vec<u64>),
    /// Own notices that peers say were withdrawn or suspended by entries that were lost.
    pub recalled: Vec<Recalled>,
    /// This node's clock.
    pub clock: Timestamp,
    /// What an administrator should look at.
    pub alarms: Vec<String>,
}

/// The node in figures, without a word of what they are about.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Entries of the own register.
    pub register_size: u64,
    /// Own notices in force.
    pub own_notices: u64,
    /// Held notices.
    pub held_notices: u64,
    /// National records.
    pub records: u64,
    /// Entries of the audit log.
    pub audit_entries: u64,
    /// Alarms that stand.
    pub alarms: u64,
    /// Number of the card in force.
    pub card_sequence: u64,
    /// Number of the signing key in force.
    pub keyseq: u32,
    /// Accepted peers, and whether each is connected.
    pub peers: Vec<(MemberId, bool)>,
}

/// What the re-verification of one register found.
#[derive(Clone, Debug)]
pub struct RegisterFinding {
    /// Whose register.
    pub member: MemberId,
    /// Its leaves.
    pub size: u64,
    /// Statements whose content is held and was verified again.
    pub statements: u64,
    /// What is wrong; none if sound.
    pub finding: Option<String>,
}

impl Node {
    /// The node in figures, for whoever watches over the machine: they are no access to data, and not audited.
    pub fn figures(&self) -> Figures {
        let (own_notices, held_notices, records) = self.counts();
        let identity = self.identity();
        let connected = |member| self.peers.status(member).connected;
        Figures {
            register_size: self.register.size(),
            own_notices: own_notices as u64,
            held_notices: held_notices as u64,
            records: records as u64,
            audit_entries: self.audit.head().0,
            alarms: self.alarms.list().len() as u64,
            card_sequence: identity.card.card().sequence,
            keyseq: identity.card.card().keyseq,
            peers: self.peers.accepted().iter().map(|peer| (peer.member(), connected(peer.member()))).collect(),
        }
    }

    /// The node in one look.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn status(&self, call: &Call) -> Result<NodeStatus, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "GetStatus")).await?;
        let outcome = self.look().await;
        self.audit.close(intent, &outcome).await?;
        let (peers, unrecovered, recalled, reminders) = outcome?;
        let (notices_in_force, held_notices, records) = self.counts();
        Ok(NodeStatus {
            register_size: self.register.size(),
            checkpoint: self.register.checkpoint().map(|c| c.bytes().to_vec()).unwrap_or_default(),
            notices_in_force,
            held_notices,
            records,
            peers,
            sequencing: self.trust.sequencing(),
            unrecovered,
            recalled,
            clock: self.clock.now(),
            alarms: self.alarms.list().into_iter().chain(reminders).collect(),
        })
    }

    async fn look(&self) -> Result<(Vec<PeerView>, (u64, Vec<u64>), Vec<Recalled>, Vec<String>), ServiceError> {
        let mut recalled = Vec::new();
        for (notice, mut one) in self.recalled().await? {
            // Known by now, where its content came back later than the word that it ended.
            if let Some(head) = self.own_notice(notice).await? {
                one.reference = head.reference;
            }
            recalled.push(one);
        }
        Ok((self.peer_views().await?, self.unrecovered().await?, recalled, self.reminders().await?))
    }

    /// What officers have to come to by a date.
    async fn reminders(&self) -> Result<Vec<String>, ServiceError> {
        let mut reminders = Vec::new();
        let due = self.due_count().await?;
        if due.soon > 0 {
            reminders.push(format!(
                "REVIEW_DUE: {} own notices come up for review within 30 days, {} of them within 7",
                due.soon, due.at_once
            ));
        }
        if let (waiting, Some(first)) = self.emergencies().await? {
            reminders.push(format!(
                "EMERGENCY_UNCONFIRMED: {waiting} notices issued in an emergency wait for a second officer, the first until {first}"
            ));
        }
        Ok(reminders)
    }

    /// Walks every register anew: leaves against the signed root, and every statement that is held against its
    /// leaf, signature and commitments.
    ///
    /// # Errors
    /// When store or audit fail; what is wrong with a register is its finding.
    pub async fn verify_registers(&self, call: &Call) -> Result<Vec<RegisterFinding>, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "VerifyRegisters")).await?;
        let outcome = self.walk_registers().await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn walk_registers(&self) -> Result<Vec<RegisterFinding>, ServiceError> {
        let mut findings = vec![self.walk_own().await?];
        for peer in self.peers.all() {
            if peer.is_followed() {
                findings.push(self.walk_held(&peer).await?);
            }
        }
        Ok(findings)
    }

    async fn walk_own(&self) -> Result<RegisterFinding, ServiceError> {
        let mut finding = RegisterFinding { member: self.member, size: 0, statements: 0, finding: None };
        let mut frontier = Frontier::new();
        let identity = self.identity();
        let mut pages = Pages::of(&*self.store, area::OWN_ENTRY);
        // Entries beyond the size at the start belong to statements that are being written now.
        let checkpoint = self.register.checkpoint();
        let size = checkpoint.as_ref().map_or(0, |signed| signed.checkpoint().size);
        while let Some(page) = pages.next().await? {
            for (row, value) in page {
                let index = area::trailing_number(&row).unwrap_or(u64::MAX);
                if index >= size {
                    continue;
                }
                let Some(leaf) = value.first_chunk::<32>().map(|leaf| Hash::from_bytes(*leaf)) else {
                    finding.finding = Some(format!("entry {index} cannot be read"));
                    return Ok(finding);
                };
                if frontier.append(leaf) != index {
                    finding.finding = Some(format!("an entry is missing before index {index}"));
                    return Ok(finding);
                }
                if let Some(Sealed::Plain { bytes, .. }) =
                    self.vault.get(area::OWN_CONTENT, &area::index(index)).await?
                {
                    if let Err(error) = check::statement(&bytes, &identity.keys, leaf) {
                        finding.finding = Some(format!("entry {index}: {error}"));
                        return Ok(finding);
                    }
                    finding.statements += 1;
                }
            }
        }
        finding.size = frontier.size();
        finding.finding = checkpoint.and_then(|signed| against(&signed, &frontier));
        Ok(finding)
    }

    async fn walk_held(&self, peer: &Peer) -> Result<RegisterFinding, ServiceError> {
        let origin = peer.member();
        let _applying = self.applying.lock(origin).await;
        let mut finding = RegisterFinding { member: origin, size: 0, statements: 0, finding: None };
        let followed: Followed = rows::get(&*self.store, area::FOLLOWED, origin.as_bytes()).await?.unwrap_or_default();
        let mut frontier = Frontier::new();
        let mut pages = Pages::of(&*self.store, area::LEAVES).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (row, run) in page {
                if area::trailing_number(&row) != Some(frontier.size()) {
                    finding.finding = Some(format!("leaves are missing from index {}", frontier.size()));
                    return Ok(finding);
                }
                frontier.extend(run.chunks_exact(32).filter_map(|leaf| Hash::try_from(leaf).ok()));
            }
        }
        finding.size = frontier.size();
        if !followed.checkpoint.is_empty() {
            let register = peer.card.card().register;
            finding.finding = match peer.keys.checkpoint(followed.checkpoint.as_bytes(), origin, register) {
                Ok((signed, _)) => against(&signed, &frontier),
                Err(error) => Some(error.to_string()),
            };
        }
        let mut pages = Pages::of(&*self.store, area::HELD_NOTICE).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (row, value) in page {
                let (_, notice) = split(&row)?;
                let head: HeldNotice = rows::parse(&value)?;
                if let Some(problem) = self.check_held(origin, notice, &head, &peer.keys).await? {
                    finding.finding = Some(format!("entry {}: {problem}", head.content_index));
                    return Ok(finding);
                }
                finding.statements += 1;
            }
        }
        Ok(finding)
    }

    async fn check_held(
        &self,
        origin: MemberId,
        notice: NoticeId,
        head: &HeldNotice,
        keys: &KeyLine,
    ) -> Result<Option<String>, ServiceError> {
        let row = area::member_number(origin, head.content_index);
        let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::HELD_CONTENT, &row).await? else {
            return Ok(Some("its content is gone without a withdrawal".to_owned()));
        };
        let Some(leaf) = self.held_leaf(origin, head.content_index).await? else {
            return Ok(Some("its leaf is missing".to_owned()));
        };
        Ok(match check::statement(&bytes, keys, leaf) {
            Ok((statement, _)) if statement.payload().notice != notice => Some("it is another notice's".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        })
    }
}

fn against(signed: &SignedCheckpoint, frontier: &Frontier) -> Option<String> {
    let checkpoint = signed.checkpoint();
    (checkpoint.size != frontier.size() || checkpoint.root != frontier.root())
        .then(|| format!("{} leaves do not have the root that was signed over {}", frontier.size(), checkpoint.size))
}
