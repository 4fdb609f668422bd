//! The own register: one writer that signs statements, appends them and puts them into the delivery logs.
//!
//! Everything that belongs to a statement (leaf, sealed content, heads, deliveries, checkpoint) is one commit:
//! either all of it is durable or none. A checkpoint is signed only over what that commit makes durable, and
//! nothing is served from memory before the commit has returned.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use eads_domain::audience::AudienceOpening;
use eads_domain::card::KeyLine;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Disclosure;
use eads_domain::id::{Hash, MemberId, NoticeId, RegisterId};
use eads_domain::register::{Checkpoint, Frontier, SignedCheckpoint, Tree, empty_root};
use eads_domain::slot::{SlotNumber, SlotSet};
use eads_domain::statement::{Action, Blind, Payload, Statement};
use eads_store::keys::KeySlot;
use eads_store::port::{Batch, Scan, Store};
use tokio::sync::watch;

use crate::area::{self, meta};
use crate::error::ServiceError;
use crate::node::{Node, OwnIdentity};
use crate::rows::{self, BlobKey, DeliveryKind, DeliveryRow, Holding, OwnVersion};
use crate::stored::StoredStatement;
use crate::trust::Recovered;

const PAGE: usize = 1000;
/// Leaves that are adopted in one commit, two rows each.
const ADOPTED: usize = 28;
/// How far ahead of its delivery log a peer can be after a rollback; more is not believed.
const MOST_PADDING: u64 = 1 << 16;
pub(crate) const STORED_SCHEMA: u16 = 1;

/// A statement that is to be signed and appended, with all that goes into the store beside it.
pub(crate) struct Publication {
    pub action: Action,
    pub notice: NoticeId,
    pub version: u16,
    pub schema: u16,
    pub not_after: Timestamp,
    pub slots: Hash,
    pub audience: Hash,
    pub detail: Hash,
    /// Openings of the audience, for those addressed.
    pub audience_openings: Vec<(MemberId, AudienceOpening)>,
    /// All slots opened; empty where the statement carries no content.
    pub disclosure: Disclosure,
    /// The bytes behind `detail`.
    pub detail_bytes: Vec<u8>,
    /// Data key under which all of it is sealed.
    pub key: KeySlot,
    /// Its photographs.
    pub blobs: Vec<BlobKey>,
    /// Whom it is delivered to, with the slots shown.
    pub deliveries: Vec<(MemberId, SlotSet)>,
}

/// Where a statement came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Register index.
    pub index: u64,
    /// D.
    pub digest: Hash,
}

/// What readers of the register see; replaced after each commit.
#[derive(Debug)]
struct View {
    tree: Tree,
    checkpoint: Option<SignedCheckpoint>,
}

/// Where the next entry of a peer's delivery log goes.
#[derive(Clone, Copy, Debug, Default)]
struct DeliveryHead {
    next: u64,
    /// Sequence + 1 of the last urgent entry; 0 is none.
    last_urgent: u64,
}

#[derive(Debug)]
pub(crate) struct Writer {
    frontier: Frontier,
    heads: BTreeMap<MemberId, DeliveryHead>,
}

/// The register with its writer.
#[derive(Debug)]
pub(crate) struct OwnRegister {
    writer: tokio::sync::Mutex<Writer>,
    view: RwLock<View>,
    grown: watch::Sender<u64>,
}

impl OwnRegister {
    /// Reads the register back and holds it against the last checkpoint that was signed.
    pub(crate) async fn open(
        store: &dyn Store,
        member: MemberId,
        register: RegisterId,
        keys: &KeyLine,
    ) -> Result<Self, ServiceError> {
        let mut tree = Tree::default();
        let mut frontier = Frontier::default();
        let mut after = None;
        loop {
            let mut scan = Scan::new(area::OWN_ENTRY, PAGE);
            scan.after = after.take();
            let page = store.scan(scan).await?;
            for (key, value) in &page {
                let leaf = value.first_chunk::<32>().ok_or_else(damaged)?;
                if area::trailing_number(key) != Some(tree.size()) {
                    return Err(damaged());
                }
                tree.append(Hash::from_bytes(*leaf));
                frontier.append(Hash::from_bytes(*leaf));
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                _ => break,
            }
        }
        let checkpoint = match store.get(area::META, meta::CHECKPOINT).await? {
            Some(bytes) => Some(keys.checkpoint(&bytes, member, register)?.0),
            None => None,
        };
        let signed = match &checkpoint {
            Some(signed) => (signed.checkpoint().size, signed.checkpoint().root),
            None => (0, empty_root()),
        };
        if signed != (tree.size(), tree.root()) {
            return Err(ServiceError::internal(
                "REGISTER_BEHIND",
                format!(
                    "the register holds {} entries but {} were signed; it must not continue",
                    tree.size(),
                    signed.0
                ),
            )
            .with_hint("restore the newest copy of the node's directory; never start an older one"));
        }
        let heads = delivery_heads(store).await?;
        let size = tree.size();
        Ok(Self {
            writer: tokio::sync::Mutex::new(Writer { frontier, heads }),
            view: RwLock::new(View { tree, checkpoint }),
            grown: watch::Sender::new(size),
        })
    }

    fn view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn size(&self) -> u64 {
        self.view(|view| view.tree.size())
    }

    /// The latest signed checkpoint; none before the first entry.
    pub(crate) fn checkpoint(&self) -> Option<SignedCheckpoint> {
        self.view(|view| view.checkpoint.clone())
    }

    pub(crate) fn leaf(&self, index: u64) -> Option<Hash> {
        self.view(|view| view.tree.leaf(index))
    }

    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        self.view(|view| view.tree.root_at(size).ok())
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        self.view(|view| view.tree.inclusion_proof(index, size).ok())
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        self.view(|view| view.tree.consistency_proof(from, to).ok())
    }

    /// Tells of every append.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }
}

fn damaged() -> ServiceError {
    ServiceError::internal("REGISTER_DAMAGED", "the own register has a hole; run `eads-node store check`")
}

/// The end of every peer's delivery log.
async fn delivery_heads(store: &dyn Store) -> Result<BTreeMap<MemberId, DeliveryHead>, ServiceError> {
    let mut heads = BTreeMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        // One look a peer: the first key after everything of the peer before.
        let mut scan = Scan::new(area::DELIVERY, 1);
        scan.after = after.take();
        let Some((key, _)) = store.scan(scan).await?.pop() else { return Ok(heads) };
        let member = key.first_chunk::<2>().and_then(|bytes| MemberId::from_bytes(*bytes).ok()).ok_or_else(damaged)?;
        let last = store.scan(Scan::new(area::DELIVERY, 1).prefix(*member.as_bytes()).reverse()).await?.pop();
        let (last_key, value) = last.ok_or_else(damaged)?;
        let row: DeliveryRow = rows::parse(&value)?;
        let sequence = area::trailing_number(&last_key).ok_or_else(damaged)?;
        let last_urgent = if row.urgent { sequence + 1 } else { row.urgent_before };
        heads.insert(member, DeliveryHead { next: sequence + 1, last_urgent });
        after = Some(area::member_number(member, u64::MAX));
    }
}

impl Node {
    /// The next sequence of a peer's delivery log.
    pub(crate) async fn delivery_next(&self, peer: MemberId) -> u64 {
        self.register.writer.lock().await.heads.get(&peer).copied().unwrap_or_default().next
    }

    /// Signs and appends statements in one commit. `beside` adds the rows that belong to the change and is told
    /// where the statements came to stand.
    pub(crate) async fn append(
        &self,
        publications: Vec<Publication>,
        protective: bool,
        beside: impl FnOnce(&[Appended], &mut Batch) -> Result<(), ServiceError>,
    ) -> Result<Vec<Appended>, ServiceError> {
        let mut writer = self.register.writer.lock().await;
        let identity = self.identity();
        self.append_as(&mut writer, &identity, publications, protective, beside, |_| {}).await
    }

    /// Holds off every other append.
    pub(crate) async fn register_writer(&self) -> tokio::sync::MutexGuard<'_, Writer> {
        self.register.writer.lock().await
    }

    /// Has those who follow this member look again at what there is for them.
    pub(crate) fn wake_followers(&self) {
        self.register.grown.send_modify(|_| {});
    }

    /// The same under an identity that may not be in force yet; `durable` runs between the commit and the moment at
    /// which anybody sees the longer register.
    pub(crate) async fn append_as(
        &self,
        writer: &mut Writer,
        identity: &OwnIdentity,
        publications: Vec<Publication>,
        protective: bool,
        beside: impl FnOnce(&[Appended], &mut Batch) -> Result<(), ServiceError>,
        durable: impl FnOnce(&[Appended]),
    ) -> Result<Vec<Appended>, ServiceError> {
        self.sequences_now()?;
        let now = self.clock.now();
        let mut frontier = writer.frontier.clone();
        let mut heads = writer.heads.clone();
        let mut batch = Batch::new();
        if protective {
            batch.protective();
        }
        let mut appended = Vec::with_capacity(publications.len());
        let mut leaves = Vec::with_capacity(publications.len());
        for publication in publications {
            let index = frontier.size();
            let statement = self.sign(identity, &publication, now)?;
            frontier.append(statement.leaf());
            leaves.push(statement.leaf());
            appended.push(Appended { index, digest: statement.digest() });
            self.put_statement(&mut batch, index, &statement, publication, now, &mut heads)?;
        }
        let checkpoint = SignedCheckpoint::sign(
            Checkpoint {
                member: self.member,
                register: self.register_id,
                size: frontier.size(),
                root: frontier.root(),
            },
            &identity.signing,
        )?;
        batch.put(area::META, meta::CHECKPOINT, checkpoint.bytes());
        beside(&appended, &mut batch)?;
        self.store.commit(batch).await?;
        durable(&appended);
        writer.frontier = frontier;
        writer.heads = heads;
        {
            let mut view = self.register.view.write().unwrap_or_else(PoisonError::into_inner);
            for leaf in leaves {
                view.tree.append(leaf);
            }
            view.checkpoint = Some(checkpoint);
        }
        self.register.grown.send_replace(writer.frontier.size());
        Ok(appended)
    }

    fn sign(
        &self,
        identity: &OwnIdentity,
        publication: &Publication,
        now: Timestamp,
    ) -> Result<Statement, ServiceError> {
        let payload = Payload {
            action: publication.action,
            origin: self.member,
            register: self.register_id,
            keyseq: identity.card.card().keyseq,
            blind: Blind::random(&*self.entropy),
            notice: publication.notice,
            schema: publication.schema,
            issued: now,
            not_after: publication.not_after,
            slots: publication.slots,
            audience: publication.audience,
            detail: publication.detail,
        };
        Ok(Statement::sign(payload, &identity.signing)?)
    }

    fn put_statement(
        &self,
        batch: &mut Batch,
        index: u64,
        statement: &Statement,
        publication: Publication,
        now: Timestamp,
        heads: &mut BTreeMap<MemberId, DeliveryHead>,
    ) -> Result<(), ServiceError> {
        let Publication { action, notice, version, key, blobs, deliveries, .. } = publication;
        let entry = [statement.leaf().as_bytes().as_slice(), &[action.byte()], notice.as_bytes()].concat();
        batch.put(area::OWN_ENTRY, area::index(index), entry);
        let stored = StoredStatement {
            payload: statement.payload_bytes().to_vec(),
            signature: statement.signature().to_vec(),
            disclosure: publication.disclosure,
            audience: publication.audience_openings,
            detail: publication.detail_bytes,
        };
        self.vault.put(batch, area::OWN_CONTENT, &area::index(index), key, STORED_SCHEMA, &stored.to_bytes())?;
        let with_blobs: SlotSet = blobs.iter().filter_map(|blob| SlotNumber::new(blob.slot).ok()).collect();
        if !blobs.is_empty() {
            batch.put(area::BLOB_STATEMENT, statement.digest().as_bytes(), area::index(index));
        }
        let own = OwnVersion { action, version, key: key.into(), digest: statement.digest(), destroyed: false, blobs };
        rows::put(batch, area::OWN_VERSION, &area::notice_index(notice, index), &own)?;
        let kind = if action == Action::Retract { DeliveryKind::Retract } else { DeliveryKind::Disclose };
        let urgent = matches!(action, Action::Suspend | Action::Withdraw | Action::Retract);
        for (peer, slots) in deliveries {
            let head = heads.entry(peer).or_default();
            let row = DeliveryRow { kind, index, slots, urgent, urgent_before: head.last_urgent };
            rows::put(batch, area::DELIVERY, &area::member_number(peer, head.next), &row)?;
            if urgent {
                head.last_urgent = head.next + 1;
            }
            head.next += 1;
            for slot in slots.intersection(with_blobs).iter() {
                let kind = DeliveryKind::Blob;
                let slots = SlotSet::from_iter([slot]);
                let row = DeliveryRow { kind, index, slots, urgent: false, urgent_before: head.last_urgent };
                rows::put(batch, area::DELIVERY, &area::member_number(peer, head.next), &row)?;
                head.next += 1;
            }
            let holding = Holding {
                notice,
                action,
                version,
                digest: statement.digest(),
                slots,
                sent_at: now,
                receipt: None,
                undelivered: false,
                written_off: None,
            };
            rows::put(batch, area::HOLDING, &area::index_member(index, peer), &holding)?;
        }
        Ok(())
    }

    /// Continues the register by leaves that peers gave back, if they lead to a checkpoint that this member has
    /// signed; every step is a checkpoint of its own, so that an interruption leaves a sound register. Returns false
    /// if they do not.
    pub(crate) async fn continue_register(
        &self,
        leaves: &[Hash],
        signed: &SignedCheckpoint,
        from: u64,
    ) -> Result<bool, ServiceError> {
        let mut writer = self.register.writer.lock().await;
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        let mut whole = writer.frontier.clone();
        whole.extend(leaves.iter().copied());
        if (whole.size(), whole.root()) != (size, root) {
            return Ok(false);
        }
        for chunk in leaves.chunks(ADOPTED) {
            let mut frontier = writer.frontier.clone();
            let mut batch = Batch::new();
            for leaf in chunk {
                let index = frontier.append(*leaf);
                batch.put(area::OWN_ENTRY, area::index(index), *leaf.as_bytes());
                batch.put(area::OPAQUE, area::index(index), []);
            }
            let reached = Checkpoint { size: frontier.size(), root: frontier.root(), ..*signed.checkpoint() };
            let reached = match reached.size == size {
                true => signed.clone(),
                false => SignedCheckpoint::sign(reached, &self.identity().signing)?,
            };
            batch.put(area::META, meta::CHECKPOINT, reached.bytes());
            rows::put(&mut batch, area::META, meta::RECOVERED, &Recovered { from, asked: Vec::new() })?;
            self.store.commit(batch).await?;
            writer.frontier = frontier;
            let mut view = self.register.view.write().unwrap_or_else(PoisonError::into_inner);
            for leaf in chunk {
                view.tree.append(*leaf);
            }
            view.checkpoint = Some(reached);
        }
        self.register.grown.send_replace(writer.frontier.size());
        Ok(true)
    }

    /// Fills a peer's delivery log with empty entries up to its cursor: what stood there is not known any more.
    pub(crate) async fn pad_deliveries(&self, peer: MemberId, cursor: u64) -> Result<(), ServiceError> {
        let mut writer = self.register.writer.lock().await;
        let mut head = writer.heads.get(&peer).copied().unwrap_or_default();
        if cursor.saturating_sub(head.next) > MOST_PADDING {
            return Err(ServiceError::peer("CURSOR_IMPLAUSIBLE", "the peer's delivery cursor is not to be believed"));
        }
        while head.next < cursor {
            let mut batch = Batch::new();
            while head.next < cursor && batch.room() > 0 {
                let row = DeliveryRow {
                    kind: DeliveryKind::Empty,
                    index: 0,
                    slots: SlotSet::EMPTY,
                    urgent: false,
                    urgent_before: head.last_urgent,
                };
                rows::put(&mut batch, area::DELIVERY, &area::member_number(peer, head.next), &row)?;
                head.next += 1;
            }
            self.store.commit(batch).await?;
            writer.heads.insert(peer, head);
        }
        Ok(())
    }

    /// A checkpoint of the own register at any size that is durable.
    pub(crate) fn checkpoint_at(&self, size: u64) -> Option<SignedCheckpoint> {
        let latest = self.register.checkpoint();
        if let Some(latest) = latest.filter(|latest| latest.checkpoint().size == size) {
            return Some(latest);
        }
        let root = self.register.root_at(size)?;
        let checkpoint = Checkpoint { member: self.member, register: self.register_id, size, root };
        SignedCheckpoint::sign(checkpoint, &self.identity().signing).ok()
    }
}
