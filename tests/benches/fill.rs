//! An origin that never runs: it makes signed, approved statements on all processors, and they are applied at a real
//! node exactly as a sync stream would apply them.

use std::sync::Arc;

use eads_domain::approval::Approval;
use eads_domain::audience::Audience;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::reference::Reference;
use eads_domain::register::{Checkpoint, SignedCheckpoint, Tree};
use eads_domain::slot::{Content, Fields as _, SCHEMA, SlotSet, SlotTable};
use eads_domain::statement::{Action, Blind, Payload, Statement};
use eads_node::identity::Identity;
use eads_service::Node;
use eads_service::rows::DeliveryKind;
use eads_service::sync::{Delivery, Disclosed, SyncBatch};
use eads_tests::content::content;
use eads_tests::member::Member;
use eads_tests::notices::YEAR;
use eads_tests::operator::Operator;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::people;

/// Deliveries of one batch.
const BATCH: usize = 64;

/// Signs for the origin.
struct Maker {
    identity: Identity,
    approver: Operator,
    reader: MemberId,
    now: Timestamp,
}

/// One statement, ready to be delivered.
struct Made {
    leaf: Hash,
    disclosed: Disclosed,
    committed: CommittedContent,
}

impl Maker {
    fn issue(&self, number: usize) -> Made {
        let mut said = content(&people::wanted(number));
        said.set_identity(Reference::generate(self.member(), 2026, &SystemEntropy), 1).expect("a reference");
        self.make(Action::Issue, NoticeId::random(&SystemEntropy), said)
    }

    fn withdrawal(&self, of: &CommittedContent) -> Made {
        let reference = of.content().reference().expect("a reference");
        let mut said = of.content().state_change(["charges-dropped"]).expect("a change of state");
        said.set_identity(reference, 2).expect("a reference");
        self.make(Action::Withdraw, of.notice(), said)
    }

    fn member(&self) -> MemberId {
        self.identity.card.card().member
    }

    fn make(&self, action: Action, notice: NoticeId, said: Content) -> Made {
        let not_after = self.now.plus_seconds(YEAR);
        let committed = CommittedContent::new(notice, Seed::random(&SystemEntropy), said);
        let message = committed.approval_message(not_after);
        let approval = Approval::sign(&message, &self.approver.key, self.approver.certificate.clone());
        let committed = committed.with_approvals(&[approval]).expect("an approval");
        let audience = Audience::build(&[self.reader], &SystemEntropy).expect("an audience");
        let card = self.identity.card.card();
        let payload = Payload {
            action,
            origin: card.member,
            register: card.register,
            keyseq: card.keyseq,
            blind: Blind::random(&SystemEntropy),
            notice,
            schema: SCHEMA,
            issued: self.now,
            not_after,
            slots: committed.slots_root(),
            audience: audience.root(),
            detail: Payload::NO_DETAIL,
        };
        let statement = Statement::sign(payload, &self.identity.signing_key).expect("a statement");
        let slots = if action.describes_subject() { SlotSet::ALL } else { SlotTable::get().mandatory() };
        let disclosed = Disclosed {
            payload: statement.payload_bytes().to_vec(),
            signature: statement.signature().to_vec(),
            audience: audience.opening(self.reader).cloned(),
            disclosure: Some(committed.disclose(slots)),
            detail: Vec::new(),
        };
        Made { leaf: statement.leaf(), disclosed, committed }
    }
}

/// The origin with its register.
pub(crate) struct Origin {
    maker: Arc<Maker>,
    tree: Tree,
    last: Option<CommittedContent>,
}

impl Origin {
    /// `home` lends its identity; `reader` is told everything.
    pub(crate) fn new(home: &Member, reader: &Member) -> Self {
        let (identity, approver) = (home.identity(), home.operator("approver"));
        let maker = Maker { identity, approver, reader: reader.id, now: reader.now() };
        Self { maker: Arc::new(maker), tree: Tree::default(), last: None }
    }

    /// Applies so many issues at `node`. Returns how many it held after how many seconds.
    pub(crate) async fn fill(&mut self, node: &Node, count: usize) -> Vec<(f64, f64)> {
        let batches = count.div_ceil(BATCH);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut made: Vec<mpsc::Receiver<Vec<Made>>> = (0..workers)
            .map(|worker| {
                let (sender, receiver) = mpsc::channel(4);
                let maker = self.maker.clone();
                std::thread::spawn(move || {
                    for batch in (worker..batches).step_by(workers) {
                        let numbers = batch * BATCH..((batch + 1) * BATCH).min(count);
                        if sender.blocking_send(numbers.map(|number| maker.issue(number)).collect()).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        let start = Instant::now();
        let mut held = vec![(0.0, 0.0)];
        for batch in 0..batches {
            let receiver = made.get_mut(batch % workers).expect("a worker");
            let made = receiver.recv().await.expect("a batch");
            self.apply(node, made).await;
            if batch % 32 == 0 || batch + 1 == batches {
                held.push((start.elapsed().as_secs_f64(), self.tree.size() as f64));
            }
        }
        held
    }

    async fn apply(&mut self, node: &Node, made: Vec<Made>) {
        let first = self.tree.size();
        let mut batch = self.batch();
        for (at, Made { leaf, disclosed, committed }) in made.into_iter().enumerate() {
            self.tree.append(leaf);
            batch.leaves.push(leaf);
            batch.deliveries.push(delivery(first + at as u64, disclosed));
            self.last = Some(committed);
        }
        let size = self.tree.size();
        batch.checkpoint = self.checkpoint();
        batch.consistency =
            if first == 0 { Vec::new() } else { self.tree.consistency_proof(first, size).expect("a proof") };
        node.apply(self.maker.member(), batch).await.expect("an honest batch");
    }

    /// The withdrawal of the notice issued last, as it goes before everything else.
    pub(crate) fn withdrawal(&mut self) -> SyncBatch {
        let mut batch = self.batch();
        let made = self.maker.withdrawal(self.last.as_ref().expect("something was issued"));
        let index = self.tree.append(made.leaf);
        let mut delivery = delivery(index, made.disclosed);
        delivery.inclusion = self.tree.inclusion_proof(index, self.tree.size()).expect("a proof");
        batch.urgent.push(delivery);
        batch.urgent_checkpoint = self.checkpoint();
        batch
    }

    fn batch(&self) -> SyncBatch {
        SyncBatch {
            cards: Vec::new(),
            urgent: Vec::new(),
            urgent_checkpoint: Vec::new(),
            first_index: self.tree.size(),
            leaves: Vec::new(),
            checkpoint: Vec::new(),
            consistency: Vec::new(),
            deliveries: Vec::new(),
            clock: self.maker.now,
            more: false,
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let card = self.maker.identity.card.card();
        let checkpoint =
            Checkpoint { member: card.member, register: card.register, size: self.tree.size(), root: self.tree.root() };
        SignedCheckpoint::sign(checkpoint, &self.maker.identity.signing_key).expect("a checkpoint").bytes().to_vec()
    }
}

fn delivery(index: u64, disclosed: Disclosed) -> Delivery {
    Delivery {
        sequence: index,
        kind: DeliveryKind::Disclose,
        index,
        disclosed: Some(disclosed),
        inclusion: Vec::new(),
        slot: None,
    }
}
