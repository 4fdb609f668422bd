//! A peer that owns a member's real identity and was accepted by its victim, and whose node is written by hand: it
//! keeps a register of its own and can send, instead of what it should, anything.
//!
//! What it sends starts from what an honest node would send ([`Hostile::batch`]) and is changed by the test.

mod service;

use std::sync::Arc;

use eads_domain::approval::Approval;
use eads_domain::audience::Audience;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::entropy::{Entropy as _, SystemEntropy};
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::reference::Reference;
use eads_domain::register::{Checkpoint, SignedCheckpoint, Tree};
use eads_domain::slot::{Fields as _, SCHEMA, SlotSet, SlotTable};
use eads_domain::statement::{Action, Blind, Payload, RetractDetail, Statement};
use eads_domain::wire::disclosure_message;
use eads_edge::tls::{
    CertificateDer, ConnectTimeouts, ConnectionRegistry, IdentityHandle, PeerAdmission, PeerChannel, PeerConnector,
    PeerDirectory, TlsSettings,
};
use eads_node::identity::Identity;
use eads_proto::v1;
use ed25519_dalek::SigningKey;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use service::{Reply, Script, Session};

use crate::content::{Terms, content};
use crate::house::{House, accept_card};
use crate::member::Member;
use crate::notices::YEAR;
use crate::operator::Operator;

/// One entry of the hostile register, with everything that opens it.
pub struct Entry {
    /// What was signed.
    pub statement: Statement,
    /// To whom.
    pub audience: Audience,
    /// Its content, where it has one.
    pub committed: Option<CommittedContent>,
    /// The bytes behind the payload's detail.
    pub detail: Vec<u8>,
}

/// The peer.
pub struct Hostile {
    /// Who it is.
    pub id: MemberId,
    /// What its service does and was told.
    pub script: Arc<Script>,
    /// Its keys and card.
    pub identity: Identity,
    /// Its register.
    pub tree: Tree,
    /// What stands in it; each was put into the victim's delivery log in this order.
    pub entries: Vec<Entry>,
    home: Member,
    victim: MemberId,
    victim_anchors: Vec<CertificateDer<'static>>,
    handle: IdentityHandle,
    _end: DropGuard,
}

/// Knows one member.
struct Only(MemberId, Vec<CertificateDer<'static>>);

impl PeerDirectory for Only {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        if member == self.0 { PeerAdmission::Accepted { anchors: self.1.clone() } } else { PeerAdmission::Unknown }
    }
}

impl Hostile {
    /// A hostile `id` that `victim` has accepted under plain terms, and that serves.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn accepted_by(victim: &Member, house: &House, id: &str) -> Self {
        let hostile = Self::unknown_to(victim, house, id).await;
        let card = &hostile.identity.card;
        let code = card.verification_code().to_string();
        accept_card(victim, id, card.bytes().to_vec(), code, &Terms::default().with(hostile.id)).await;
        hostile
    }

    /// The same that nobody has accepted.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn unknown_to(victim: &Member, house: &House, id: &str) -> Self {
        let home = Member::create(house.path(), id);
        let identity = home.identity();
        let victim_anchors = anchors(&victim.identity());
        let script = Arc::new(Script::default());
        let stop = CancellationToken::new();
        let handle = IdentityHandle::new(home.identity().node);
        let directory = Arc::new(Only(victim.id, victim_anchors.clone()));
        service::serve(home.peers, handle.source(), directory, home.clock.clone(), script.clone(), stop.clone()).await;
        Self {
            id: home.id,
            script,
            identity,
            tree: Tree::default(),
            entries: Vec::new(),
            victim: victim.id,
            victim_anchors,
            handle,
            home,
            _end: stop.drop_guard(),
        }
    }

    /// Its directory, clock and addresses; its node never runs.
    pub const fn home(&self) -> &Member {
        &self.home
    }

    /// Its signing key.
    pub const fn key(&self) -> &SigningKey {
        &self.identity.signing_key
    }

    /// A connection to the victim with the real certificate.
    ///
    /// # Panics
    /// When the victim does not let it in.
    pub async fn dial(&self, victim: &Member) -> PeerChannel {
        let directory = Arc::new(Only(self.victim, self.victim_anchors.clone()));
        let connector = PeerConnector::new(
            self.handle.source(),
            directory,
            ConnectionRegistry::new(),
            self.home.clock.clone(),
            TlsSettings::default(),
            ConnectTimeouts::default(),
        );
        connector.connect(victim.id, &victim.peers.to_string()).await.expect("the victim lets its peer in")
    }

    /// A payload as this member would sign it for the victim.
    pub fn payload(&self, action: Action, notice: NoticeId, slots: Hash, audience: &Audience) -> Payload {
        let now = self.home.now();
        Payload {
            action,
            origin: self.id,
            register: self.identity.card.card().register,
            keyseq: self.identity.card.card().keyseq,
            blind: Blind::random(&SystemEntropy),
            notice,
            schema: SCHEMA,
            issued: now,
            not_after: now.plus_seconds(YEAR),
            slots,
            audience: audience.root(),
            detail: Payload::NO_DETAIL,
        }
    }

    /// An audience of the victim alone.
    ///
    /// # Panics
    /// Never: one member is an audience.
    pub fn audience(&self) -> Audience {
        Audience::build(&[self.victim], &SystemEntropy).expect("an audience")
    }

    /// A content with its reference and the approval of this member's approver.
    ///
    /// # Panics
    /// When the draft is no content.
    pub fn approved(&self, draft: &str, notice: NoticeId, version: u16) -> CommittedContent {
        self.approved_by(&self.home.operator("approver"), draft, notice, version)
    }

    /// The same with the approval of any officer.
    ///
    /// # Panics
    /// When the draft is no content.
    pub fn approved_by(&self, officer: &Operator, draft: &str, notice: NoticeId, version: u16) -> CommittedContent {
        let mut said = content(draft);
        said.set_identity(Reference::generate(self.id, 2026, &SystemEntropy), version).expect("a reference");
        self.sign_approval(officer, CommittedContent::new(notice, Seed::random(&SystemEntropy), said))
    }

    fn sign_approval(&self, officer: &Operator, committed: CommittedContent) -> CommittedContent {
        let message = committed.approval_message(self.home.now().plus_seconds(YEAR));
        let approval = Approval::sign(&message, &officer.key, officer.certificate.clone());
        committed.with_approvals(&[approval]).expect("an approval")
    }

    /// Signs and appends whatever it is. Returns its index.
    ///
    /// # Panics
    /// When no reader would accept the payload.
    pub fn append(&mut self, payload: Payload, audience: Audience, committed: Option<CommittedContent>) -> usize {
        let statement = Statement::sign(payload, self.key()).expect("a statement");
        self.push(Entry { statement, audience, committed, detail: Vec::new() })
    }

    /// Appends an entry, whoever signed it. Returns its index.
    pub fn push(&mut self, entry: Entry) -> usize {
        self.tree.append(entry.statement.leaf());
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// An honest issue to the victim.
    pub fn issue(&mut self, draft: &str) -> usize {
        let notice = NoticeId::random(&SystemEntropy);
        let committed = self.approved(draft, notice, 1);
        self.content(Action::Issue, committed)
    }

    /// A content under an action.
    pub fn content(&mut self, action: Action, committed: CommittedContent) -> usize {
        let audience = self.audience();
        let payload = self.payload(action, committed.notice(), committed.slots_root(), &audience);
        self.append(payload, audience, Some(committed))
    }

    /// An honest change of state of the notice of entry `of`, with this reason.
    ///
    /// # Panics
    /// When the entry has no content.
    pub fn change_state(&mut self, action: Action, of: usize, reason: &str) -> usize {
        let before = self.entries[of].committed.as_ref().expect("a content");
        let notice = before.notice();
        let reference = before.content().reference().expect("a reference");
        let mut said = before.content().state_change([reason]).expect("a change of state");
        said.set_identity(reference, u16::try_from(self.entries.len() + 1).expect("few")).expect("a reference");
        let committed = CommittedContent::new(notice, Seed::random(&SystemEntropy), said);
        let committed = self.sign_approval(&self.home.operator("approver"), committed);
        self.content(action, committed)
    }

    /// An honest withdrawal of the notice of entry `of`.
    pub fn withdraw(&mut self, of: usize) -> usize {
        self.change_state(Action::Withdraw, of, "charges-dropped")
    }

    /// A retraction of entries from the victim.
    ///
    /// # Panics
    /// When there are none.
    pub fn retract(&mut self, of: usize, entries: &[u64]) -> usize {
        let detail = RetractDetail::new(entries.iter().map(|index| (*index, SlotSet::EMPTY)).collect());
        let detail = detail.expect("a detail");
        let audience = self.audience();
        let notice = self.entries[of].statement.payload().notice;
        let mut payload = self.payload(Action::Retract, notice, Hash::random(&SystemEntropy), &audience);
        payload.detail = detail.digest();
        let statement = Statement::sign(payload, self.key()).expect("a statement");
        self.push(Entry { statement, audience, committed: None, detail: detail.encode() })
    }

    /// A checkpoint over any size and root.
    ///
    /// # Panics
    /// When it cannot be signed.
    pub fn checkpoint_of(&self, size: u64, root: Hash) -> Vec<u8> {
        let checkpoint = Checkpoint { member: self.id, register: self.identity.card.card().register, size, root };
        SignedCheckpoint::sign(checkpoint, self.key()).expect("a checkpoint").bytes().to_vec()
    }

    /// The honest checkpoint of that size.
    ///
    /// # Panics
    /// When the register is smaller.
    pub fn checkpoint(&self, size: u64) -> Vec<u8> {
        self.checkpoint_of(size, self.tree.root_at(size).expect("a root"))
    }

    /// The honest delivery of an entry, with everything that an agreement could show.
    pub fn delivery(&self, index: usize) -> v1::Delivery {
        let entry = &self.entries[index];
        let action = entry.statement.payload().action;
        let slots = if action.describes_subject() { SlotSet::ALL } else { SlotTable::get().mandatory() };
        let shown = entry.committed.as_ref().map(|committed| committed.disclose(slots));
        let opening = entry.audience.opening(self.victim);
        let retract = action == Action::Retract;
        let kind = if retract { v1::DeliveryKind::Retract } else { v1::DeliveryKind::Disclose };
        v1::Delivery {
            sequence: index as u64,
            kind: kind.into(),
            index: index as u64,
            disclosure: Some(disclosure_message(&entry.statement, opening, shown.as_ref(), &entry.detail)),
            inclusion: Vec::new(),
            purged: false,
            slot: 0,
        }
    }

    /// The honest batch that leads from `from` entries held to `to`.
    ///
    /// # Panics
    /// When the register is smaller.
    pub fn batch(&self, from: u64, to: u64) -> v1::SyncResponse {
        let consistency = if from == 0 { Vec::new() } else { self.tree.consistency_proof(from, to).expect("a proof") };
        v1::SyncResponse {
            first_index: from,
            leaves: self.tree.leaves(from, to).iter().flat_map(|leaf| *leaf.as_bytes()).collect(),
            checkpoint: if to == 0 { Vec::new() } else { self.checkpoint(to) },
            consistency: consistency.iter().map(|node| node.as_bytes().to_vec()).collect(),
            deliveries: (from..to).map(|index| self.delivery(usize::try_from(index).expect("few"))).collect(),
            clock: self.home.now().as_unix(),
            ..v1::SyncResponse::default()
        }
    }

    /// The honest batch with one urgent entry, for a follower that holds `from` entries.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn urgent(&self, from: u64, index: usize) -> v1::SyncResponse {
        let size = self.tree.size();
        let mut delivery = self.delivery(index);
        let path = self.tree.inclusion_proof(index as u64, size).expect("a proof");
        delivery.inclusion = path.iter().map(|node| node.as_bytes().to_vec()).collect();
        v1::SyncResponse {
            urgent: vec![delivery],
            urgent_checkpoint: self.checkpoint(size),
            first_index: from,
            clock: self.home.now().as_unix(),
            ..v1::SyncResponse::default()
        }
    }

    /// A heartbeat.
    pub fn heartbeat(&self, from: u64) -> v1::SyncResponse {
        v1::SyncResponse { first_index: from, clock: self.home.now().as_unix(), ..v1::SyncResponse::default() }
    }

    /// Serves these batches on the victim's stream, or on its next one if a batch makes it hang up.
    pub fn serve(&self, batches: impl IntoIterator<Item = v1::SyncResponse>) {
        self.script.next(Session::Batches(batches.into_iter().collect()));
    }
}

/// The anchors of a member's card.
fn anchors(identity: &Identity) -> Vec<CertificateDer<'static>> {
    let anchors = identity.card.card().tls_anchors.iter();
    anchors.map(|anchor| CertificateDer::from(anchor.as_der().to_vec())).collect()
}

/// Random bytes, for what only has to be of the right length.
pub fn noise<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes);
    bytes
}
