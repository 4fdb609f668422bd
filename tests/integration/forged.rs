//! What a peer sends that is not its own true word: nothing of it is kept, and the fault has a name.

use eads_domain::entropy::SystemEntropy;
use eads_domain::id::{Hash, NoticeId, RegisterId};
use eads_domain::statement::{Action, Payload, Statement};
use eads_proto::v1;
use eads_tests::content::red;
use eads_tests::hostile::{Entry, Hostile, noise};
use eads_tests::house::{House, faulted, peers, sound};
use eads_tests::member::Member;
use eads_tests::wait::until;

struct Scene {
    my: Member,
    id: Hostile,
    _house: House,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new();
        let my = house.member("MY").await;
        let id = Hostile::accepted_by(&my, &house, "ID").await;
        Self { my, id, _house: house }
    }

    /// A changed honest first batch is refused with `code`, nothing of it is kept, and the honest one is then taken:
    /// a fault does not poison the stream.
    async fn refuses(mut self, code: &str, change: impl FnOnce(&mut Hostile, &mut v1::SyncResponse)) {
        self.id.issue(&red("forged"));
        let honest = self.id.batch(0, 1);
        let mut changed = honest.clone();
        change(&mut self.id, &mut changed);
        assert_ne!(honest, changed);
        self.id.serve([changed]);
        faulted(&self.my, self.id.id, code).await;
        assert!(self.my.listed("held").await.is_empty());
        assert_eq!((peers(&self.my).await[0].register_cursor, peers(&self.my).await[0].delivery_cursor), (0, 0));
        assert!(self.id.script.receipts().is_empty());
        // Whatever was tried belongs to no register: the true one is taken up as if nothing had been.
        self.id.serve([honest]);
        until("the honest batch is taken", || async { self.my.listed("held").await.len() == 1 }).await;
        sound(&self.my).await;
    }
}

fn statement(batch: &mut v1::SyncResponse) -> &mut v1::SignedStatement {
    disclosure(batch).statement.as_mut().unwrap()
}

fn disclosure(batch: &mut v1::SyncResponse) -> &mut v1::Disclosure {
    batch.deliveries[0].disclosure.as_mut().unwrap()
}

/// The first batch of a register whose only entry is this payload, signed with the real key.
fn with_payload(id: &mut Hostile, batch: &mut v1::SyncResponse, change: impl FnOnce(&mut Payload)) {
    let mut payload = id.entries[0].statement.payload().clone();
    change(&mut payload);
    let forged = Statement::sign(payload, id.key()).unwrap();
    statement(batch).payload = forged.payload_bytes().to_vec();
    statement(batch).signature = forged.signature().to_vec();
    batch.leaves = forged.leaf().as_bytes().to_vec();
    batch.checkpoint = id.checkpoint_of(1, forged.leaf());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_statement() {
    Scene::new().await.refuses("SIGNATURE", |_, batch| statement(batch).payload[100] ^= 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_signature() {
    Scene::new().await.refuses("SIGNATURE", |_, batch| statement(batch).signature[40] ^= 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_statement() {
    Scene::new().await.refuses("MESSAGE", |_, batch| statement(batch).payload.truncate(185)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_with_a_trailing_byte() {
    Scene::new().await.refuses("MESSAGE", |_, batch| statement(batch).payload.push(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_signed_by_another_key() {
    let scene = Scene::new().await;
    let other = scene.my.identity().signing_key;
    scene
        .refuses("SIGNATURE", |id, batch| {
            let payload = id.entries[0].statement.payload().clone();
            statement(batch).signature = Statement::sign(payload, &other).unwrap().signature().to_vec();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_non_canonical_signature() {
    // S + L is the same scalar, and another signature: malleable where it is taken.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    Scene::new()
        .await
        .refuses("SIGNATURE", |_, batch| {
            let mut carry = 0u16;
            for (byte, add) in statement(batch).signature[32..].iter_mut().zip(L) {
                carry += u16::from(*byte) + u16::from(add);
                *byte = (carry & 0xff) as u8;
                carry >>= 8;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_another_origin() {
    let scene = Scene::new().await;
    let my = scene.my.id;
    scene.refuses("STATEMENT_OTHER_ORIGIN", |id, batch| with_payload(id, batch, |payload| payload.origin = my)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_another_register() {
    Scene::new()
        .await
        .refuses("STATEMENT_OTHER_REGISTER", |id, batch| {
            with_payload(id, batch, |payload| payload.register = RegisterId::random(&SystemEntropy));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_another_key_number() {
    Scene::new()
        .await
        .refuses("STATEMENT_OTHER_KEYSEQ", |id, batch| with_payload(id, batch, |payload| payload.keyseq = 1))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_addressed_to_somebody_else() {
    Scene::new()
        .await
        .refuses("AUDIENCE", |id, batch| {
            let other = eads_domain::audience::Audience::build(&["TH".parse().unwrap()], &SystemEntropy).unwrap();
            with_payload(id, batch, |payload| payload.audience = other.root());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_proves_no_addressee() {
    Scene::new().await.refuses("AUDIENCE_MISSING", |_, batch| disclosure(batch).audience = None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_not_the_one_in_the_register() {
    Scene::new()
        .await
        .refuses("STATEMENT_NOT_IN_REGISTER", |id, batch| {
            let mut payload = id.entries[0].statement.payload().clone();
            payload.not_after = payload.not_after.plus_seconds(1);
            // Everything is signed, and the leaf is another's.
            let audience = id.audience();
            payload.audience = audience.root();
            let other = Statement::sign(payload, id.key()).unwrap();
            let opening = audience.opening("MY".parse().unwrap()).unwrap();
            disclosure(batch).audience = Some(opening.into());
            statement(batch).payload = other.payload_bytes().to_vec();
            statement(batch).signature = other.signature().to_vec();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_ahead_of_the_register() {
    Scene::new().await.refuses("DELIVERY_AHEAD", |_, batch| batch.deliveries[0].index = 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_skips_a_place_in_its_log() {
    Scene::new().await.refuses("DELIVERY_GAP", |_, batch| batch.deliveries[0].sequence = 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_calls_itself_a_retraction() {
    Scene::new()
        .await
        .refuses("DELIVERY_KIND_WRONG", |_, batch| batch.deliveries[0].kind = v1::DeliveryKind::Retract.into())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_among_what_is_urgent() {
    Scene::new().await.refuses("URGENT_NOT_PROTECTIVE", |id, batch| *batch = id.urgent(0, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_deliveries_than_a_batch_may_have() {
    Scene::new()
        .await
        .refuses("MESSAGE", |_, batch| {
            let one = batch.deliveries[0].clone();
            batch.deliveries = vec![one; 65];
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_are_no_leaves() {
    Scene::new().await.refuses("MESSAGE", |_, batch| batch.leaves.push(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_with_a_flipped_bit() {
    Scene::new()
        .await
        .refuses("CHECKPOINT", |_, batch| {
            let last = batch.checkpoint.len() - 8;
            batch.checkpoint[last] ^= 1;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_without_a_checkpoint() {
    Scene::new().await.refuses("CHECKPOINT_MISSING", |_, batch| batch.checkpoint.clear()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_whose_root_is_not_that_of_its_leaves() {
    Scene::new()
        .await
        .refuses("CHECKPOINT_INCONSISTENT", |id, batch| {
            batch.checkpoint = id.checkpoint_of(1, Hash::from_bytes(noise()));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_skips_leaves() {
    Scene::new()
        .await
        .refuses("CHECKPOINT_SKIPS", |id, batch| {
            id.issue(&red("skipped"));
            batch.checkpoint = id.checkpoint(2);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_begins_behind_the_cursor() {
    Scene::new().await.refuses("CHECKPOINT_SKIPS", |_, batch| batch.first_index = 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_that_shrinks_is_an_alarm_and_nothing_is_forgotten() {
    let mut scene = Scene::new().await;
    for tag in ["one", "two"] {
        scene.id.issue(&red(tag));
    }
    let mut shrunk = scene.id.heartbeat(2);
    shrunk.checkpoint = scene.id.checkpoint(1);
    scene.id.serve([scene.id.batch(0, 2), shrunk]);
    faulted(&scene.my, scene.id.id, "CHECKPOINT_SHRINKS").await;
    assert_eq!(scene.my.listed("held").await.len(), 2);
    assert_eq!(peers(&scene.my).await[0].register_cursor, 2);
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_that_forks_is_an_alarm_and_the_branch_is_not_followed() {
    let mut scene = Scene::new().await;
    scene.id.issue(&red("trunk"));
    let first = scene.id.batch(0, 1);
    let mut forked = scene.id.heartbeat(1);
    forked.checkpoint = scene.id.checkpoint_of(1, Hash::from_bytes(noise()));
    scene.id.serve([first, forked]);
    faulted(&scene.my, scene.id.id, "CHECKPOINT_INCONSISTENT").await;
    assert_eq!(scene.my.listed("held").await.len(), 1);
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_register_with_another_past_is_not_followed() {
    let mut scene = Scene::new().await;
    scene.id.issue(&red("past"));
    scene.id.serve([scene.id.batch(0, 1)]);
    until("the first entry is held", || async { scene.my.listed("held").await.len() == 1 }).await;
    // The same length of history, another first leaf, and everything signed.
    let mut tree = eads_domain::register::Tree::default();
    tree.append(Hash::from_bytes(noise()));
    tree.append(Hash::from_bytes(noise()));
    let mut other = scene.id.heartbeat(1);
    other.leaves = tree.leaf(1).unwrap().as_bytes().to_vec();
    other.checkpoint = scene.id.checkpoint_of(2, tree.root());
    other.consistency = tree.consistency_proof(1, 2).unwrap().iter().map(|node| node.as_bytes().to_vec()).collect();
    scene.id.serve([other]);
    faulted(&scene.my, scene.id.id, "CHECKPOINT_INCONSISTENT").await;
    assert_eq!(peers(&scene.my).await[0].register_cursor, 1);
    sound(&scene.my).await;
}

/// What breaks a rule and is truly the origin's word is answered with a signed rejection, and the stream goes on.
async fn rejected(mut scene: Scene, reason: u16) {
    scene.id.issue(&red("after"));
    let size = scene.id.tree.size();
    scene.id.serve([scene.id.batch(0, size)]);
    until("the entry behind it is held", || async { scene.my.listed("held").await.len() == 1 }).await;
    until("both are receipted", || async { receipts(&scene.id).len() == 2 }).await;
    let all = receipts(&scene.id);
    assert_eq!(all[0].status, eads_domain::receipt::ReceiptStatus::Rejected);
    assert_eq!(all[0].reason.number(), reason);
    assert_eq!(all[1].status, eads_domain::receipt::ReceiptStatus::Accepted);
    sound(&scene.my).await;
}

fn receipts(id: &Hostile) -> Vec<eads_domain::receipt::Receipt> {
    let posted = id.script.receipts();
    let parts = posted.iter().flat_map(|posted| &posted.parts);
    parts.map(|part| eads_domain::receipt::Receipt::parse(part).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_does_not_open_its_commitment_is_rejected() {
    let mut scene = Scene::new().await;
    scene.id.issue(&red("opening"));
    scene.id.issue(&red("after"));
    let mut batch = scene.id.batch(0, 2);
    let opening = &mut batch.deliveries[0].disclosure.as_mut().unwrap().openings[20];
    opening.salt[0] ^= 1;
    scene.id.serve([batch]);
    until("the entry behind it is held", || async { scene.my.listed("held").await.len() == 1 }).await;
    until("both are receipted", || async { receipts(&scene.id).len() == 2 }).await;
    assert_eq!(receipts(&scene.id)[0].reason, eads_domain::receipt::ReceiptReason::CONTENT_INVALID);
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_nobody_approved_is_rejected() {
    let mut scene = Scene::new().await;
    let notice = NoticeId::random(&SystemEntropy);
    let committed = scene.id.approved(&red("unapproved"), notice, 1).with_approvals(&[]).unwrap();
    scene.id.content(Action::Issue, committed);
    rejected(scene, eads_domain::receipt::ReceiptReason::APPROVAL_INVALID.number()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_by_an_officer_of_another_member_is_rejected() {
    let mut scene = Scene::new().await;
    let foreign = scene.my.operator("approver");
    let committed = scene.id.approved_by(&foreign, &red("foreign"), NoticeId::random(&SystemEntropy), 1);
    scene.id.content(Action::Issue, committed);
    rejected(scene, eads_domain::receipt::ReceiptReason::APPROVAL_INVALID.number()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_by_somebody_who_is_no_approver_is_rejected() {
    let mut scene = Scene::new().await;
    let issuer = scene.id.home().operator("issuer");
    let committed = scene.id.approved_by(&issuer, &red("issuer"), NoticeId::random(&SystemEntropy), 1);
    scene.id.content(Action::Issue, committed);
    rejected(scene, eads_domain::receipt::ReceiptReason::APPROVAL_INVALID.number()).await;
}

/// Takes the approval out of the last entry.
fn disapprove(id: &mut Hostile) {
    let entry = id.entries.pop().unwrap();
    let bare = entry.committed.unwrap().with_approvals(&[]).unwrap();
    let mut payload = entry.statement.payload().clone();
    payload.slots = bare.slots_root();
    let statement = Statement::sign(payload, id.key()).unwrap();
    id.tree = eads_domain::register::Tree::default();
    for before in &id.entries {
        id.tree.append(before.statement.leaf());
    }
    id.push(Entry { statement, committed: Some(bare), ..entry });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumption_that_nobody_approved_resumes_nothing() {
    let mut scene = Scene::new().await;
    let issue = scene.id.issue(&red("stays"));
    scene.id.change_state(Action::Suspend, issue, "under-review");
    scene.id.change_state(Action::Resume, issue, "review-completed");
    disapprove(&mut scene.id);
    scene.id.serve([scene.id.batch(0, 3)]);
    until("the resumption is answered", || async { receipts(&scene.id).iter().any(|one| one.index == 2) }).await;
    let all = receipts(&scene.id);
    let answer = all.iter().find(|one| one.index == 2).unwrap();
    assert_eq!(answer.reason, eads_domain::receipt::ReceiptReason::APPROVAL_INVALID);
    assert_eq!(scene.my.listed("held").await[0].state, "suspended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_counts_by_its_signature_alone() {
    // The safe direction needs no second officer at the receiver: the origin's node has seen to it.
    let mut scene = Scene::new().await;
    let issue = scene.id.issue(&red("goes"));
    scene.id.withdraw(issue);
    disapprove(&mut scene.id);
    scene.id.serve([scene.id.batch(0, 2)]);
    until("the purge is receipted", || async {
        receipts(&scene.id).iter().any(|one| one.status == eads_domain::receipt::ReceiptStatus::Purged)
    })
    .await;
    assert!(scene.my.listed("held").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_notice_cannot_be_resurrected() {
    let mut scene = Scene::new().await;
    let issue = scene.id.issue(&red("undead"));
    scene.id.withdraw(issue);
    scene.id.serve([scene.id.batch(0, 2)]);
    until("the withdrawal is receipted", || async { receipts(&scene.id).iter().any(|one| one.index == 1) }).await;
    // The very statement again, from its place in the log and as a new delivery; and an amendment of the dead notice.
    let mut replayed = scene.id.heartbeat(2);
    replayed.checkpoint = scene.id.checkpoint(2);
    let mut again = scene.id.delivery(issue);
    again.sequence = 2;
    replayed.deliveries = vec![again];
    let notice = scene.id.entries[issue].statement.payload().notice;
    let committed = scene.id.approved(&red("risen"), notice, 3);
    scene.id.content(Action::Amend, committed);
    let mut amended = scene.id.batch(2, 3);
    amended.deliveries[0].sequence = 3;
    let committed = scene.id.approved(&red("risentoo"), notice, 4);
    scene.id.content(Action::Issue, committed);
    let mut reissued = scene.id.batch(3, 4);
    reissued.deliveries[0].sequence = 4;
    scene.id.serve([replayed, amended, reissued]);
    until("everything is taken", || async { peers(&scene.my).await[0].delivery_cursor == 5 }).await;
    assert!(scene.my.listed("held").await.is_empty());
    until("all are answered", || async { receipts(&scene.id).iter().any(|one| one.index == 3) }).await;
    let late: Vec<_> = receipts(&scene.id).into_iter().filter(|one| one.index >= 2).collect();
    assert!(late.iter().all(|one| one.reason == eads_domain::receipt::ReceiptReason::WITHDRAWN_BEFORE), "{late:?}");
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_delivery_is_answered_with_what_was_answered_first() {
    let mut scene = Scene::new().await;
    scene.id.issue(&red("twice"));
    let mut replayed = scene.id.heartbeat(1);
    replayed.checkpoint = scene.id.checkpoint(1);
    let mut again = scene.id.delivery(0);
    again.sequence = 1;
    replayed.deliveries = vec![again];
    scene.id.serve([scene.id.batch(0, 1), replayed]);
    until("the replay is taken", || async { peers(&scene.my).await[0].delivery_cursor == 2 }).await;
    assert_eq!(scene.my.listed("held").await.len(), 1);
    assert!(receipts(&scene.id).iter().all(|one| one.status == eads_domain::receipt::ReceiptStatus::Accepted));
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_withdrawal_without_proof_of_its_place_is_refused() {
    let mut scene = Scene::new().await;
    let issue = scene.id.issue(&red("unproven"));
    let first = scene.id.batch(0, 1);
    let withdrawal = scene.id.withdraw(issue);
    let mut urgent = scene.id.urgent(1, withdrawal);
    urgent.urgent[0].inclusion[0] = noise::<32>().to_vec();
    scene.id.serve([first, urgent]);
    faulted(&scene.my, scene.id.id, "PROOF").await;
    assert_eq!(scene.my.listed("held").await.len(), 1);
    // With its proof it is applied, before and without any leaf of it.
    scene.id.serve([scene.id.urgent(1, withdrawal)]);
    until("it is withdrawn", || async { scene.my.listed("held").await.is_empty() }).await;
    assert_eq!(peers(&scene.my).await[0].register_cursor, 1);
}
