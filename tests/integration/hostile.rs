//! Peers that stall, flood, ask from nowhere, or were removed.

use std::time::Duration;

use eads_domain::entropy::SystemEntropy;
use eads_domain::id::RegisterId;
use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_tests::content::red;
use eads_tests::hostile::{Hostile, Session, noise};
use eads_tests::house::{House, alarmed, faulted, peers, sound};
use eads_tests::member::Member;
use eads_tests::operator::{code, refused};
use eads_tests::wait::until;
use futures::StreamExt as _;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

const SOON: Duration = Duration::from_secs(10);

struct Scene {
    my: Member,
    id: Hostile,
    house: House,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new();
        let my = house.member("MY").await;
        let id = Hostile::accepted_by(&my, &house, "ID").await;
        Self { my, id, house }
    }

    async fn client(&self) -> PeerServiceClient<Channel> {
        PeerServiceClient::new(self.id.dial(&self.my).await.channel())
    }

    fn cursor(&self, register_cursor: u64, delivery_cursor: u64) -> v1::SyncRequest {
        let register = self.my.identity().card.card().register.as_bytes().to_vec();
        v1::SyncRequest { protocol: 1, register, register_cursor, delivery_cursor, ..Default::default() }
    }

    async fn remove(&self) {
        let request = v1::RemovePeerRequest { member: self.id.id.to_string(), reason: "test".to_owned() };
        self.my.operator("admin-1").peering().remove_peer(request).await.unwrap();
    }
}

async fn next(stream: &mut Streaming<v1::SyncResponse>) -> Result<v1::SyncResponse, Status> {
    timeout(SOON, stream.message()).await.expect("an item in time").map(|item| item.expect("the stream goes on"))
}

/// Sync with a cursor that must be refused, at once or with the first item.
async fn refused_sync(client: &mut PeerServiceClient<Channel>, request: v1::SyncRequest) -> String {
    match client.sync(request).await {
        Err(status) => code(&status).to_owned(),
        Ok(stream) => refused(next(&mut stream.into_inner()).await),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_in_the_future_is_refused_and_alarms() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    assert_eq!(refused_sync(&mut client, scene.cursor(9, 0)).await, "CURSOR_IN_FUTURE");
    assert_eq!(refused_sync(&mut client, scene.cursor(0, 9)).await, "CURSOR_IN_FUTURE");
    assert_eq!(refused_sync(&mut client, scene.cursor(u64::MAX, u64::MAX)).await, "CURSOR_IN_FUTURE");
    alarmed(&scene.my, "ID holds more of the own register").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_register_is_refused() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let other = RegisterId::random(&SystemEntropy).as_bytes().to_vec();
    assert_eq!(refused_sync(&mut client, v1::SyncRequest { register: other, ..scene.cursor(0, 0) }).await, "LOG_RESET");
    let short = v1::SyncRequest { register: vec![1], ..scene.cursor(0, 0) };
    assert!(refused_sync(&mut client, short).await.starts_with("MESSAGE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_is_refused() {
    let scene = Scene::new().await;
    let request = v1::SyncRequest { protocol: 2, ..scene.cursor(0, 0) };
    assert_eq!(refused_sync(&mut scene.client().await, request).await, "PROTOCOL_INCOMPATIBLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_cursor_is_served_everything_again() {
    let scene = Scene::new().await;
    let reference = scene.my.issue_to(&red("again"), &["ID"]).await;
    let mut client = scene.client().await;
    for _ in 0..2 {
        let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
        let batch = next(&mut stream).await.unwrap();
        assert_eq!((batch.leaves.len(), batch.deliveries.len()), (32, 1));
    }
    assert_eq!(scene.my.state_of(&reference).await, "valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawals_go_first_ahead_of_a_backlog() {
    let scene = Scene::new().await;
    let mut references = Vec::new();
    for number in 0..40 {
        references.push(scene.my.issue_to(&red(&format!("backlog{number}")), &["ID"]).await);
    }
    scene.my.suspend(&references[3]).await;
    scene.my.withdraw(&references[38]).await;
    let mut client = scene.client().await;
    let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap();
    let urgent: Vec<u64> = first.urgent.iter().map(|delivery| delivery.index).collect();
    assert_eq!(urgent, [40, 41], "what protects people comes first");
    assert!(first.leaves.is_empty() && first.deliveries.is_empty());
    assert!(!first.urgent_checkpoint.is_empty());
    assert!(first.urgent.iter().all(|delivery| !delivery.inclusion.is_empty()));
    let second = next(&mut stream).await.unwrap();
    assert!(second.urgent.is_empty(), "nothing is urgent twice on a stream");
    assert!(!second.deliveries.is_empty());
}

const BACKLOG: usize = 90;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_overtakes_a_backlog_on_a_stream_that_is_open() {
    let scene = Scene::new().await;
    // More than all the windows and buffers of a connection take.
    let long = "Invented. ".repeat(1400);
    let mut references = Vec::new();
    for number in 0..BACKLOG {
        let tag = format!("slow{number}");
        let draft = red(&tag).replace(&format!("{tag}summary."), &long);
        references.push(scene.my.issue_to(&draft, &["ID"]).await);
    }
    let mut client = scene.client().await;
    let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
    // A slow reader: one batch, then a withdrawal happens, then it reads on.
    let first = next(&mut stream).await.unwrap();
    assert!(first.urgent.is_empty());
    scene.my.withdraw(&references[0]).await;
    let mut seen = first.deliveries.len();
    loop {
        let batch = next(&mut stream).await.unwrap();
        if !batch.urgent.is_empty() {
            assert_eq!(batch.urgent[0].index, BACKLOG as u64);
            break;
        }
        seen += batch.deliveries.len();
        // What the transport had buffered already is all that may come before it.
        assert!(seen < BACKLOG, "the withdrawal waited for the whole backlog");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_nothing_is_dropped_and_dialled_again() {
    let house = House::new();
    let mut my = Member::create(house.path(), "MY");
    my.limits.stall = Duration::from_millis(300);
    my.start().await;
    let id = Hostile::accepted_by(&my, &house, "ID").await;
    faulted(&my, id.id, "STALLED").await;
    until("it is dialled again", || async { id.script.cursors().len() >= 3 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_heartbeats_does_not_keep_a_node_from_its_work() {
    let scene = Scene::new().await;
    scene.id.script.next(Session::Endless(Box::new(scene.id.heartbeat(0))));
    until("the flood has begun", || async { peers(&scene.my).await[0].connected }).await;
    let reference = scene.my.issue_to(&red("flooded"), &["ID"]).await;
    scene.my.withdraw(&reference).await;
    assert_eq!(scene.my.state_of(&reference).await, "withdrawn");
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_above_the_limit_is_refused() {
    let scene = Scene::new().await;
    let mut huge = scene.id.heartbeat(0);
    huge.urgent_checkpoint = vec![b'x'; 20 * 1024 * 1024];
    scene.id.serve([huge]);
    until("it complains", || async { !peers(&scene.my).await[0].last_error.is_empty() }).await;
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_stream_of_one_peer_is_refused() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
        next(&mut stream).await.unwrap();
        open.push(stream);
    }
    assert_eq!(refused_sync(&mut client, scene.cursor(0, 0)).await, "SYNC_STREAMS_TOO_MANY");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_are_not_the_peers_own_word_do_not_count() {
    let scene = Scene::new().await;
    let reference = scene.my.issue_to(&red("unreceipted"), &["ID"]).await;
    let mut client = scene.client().await;
    let holder = scene.my.holders(&reference).await.remove(0);
    let status = scene.my.notice(&reference).await.unwrap();
    let receipt = eads_domain::receipt::Receipt {
        status: eads_domain::receipt::ReceiptStatus::Purged,
        receiver: scene.id.id,
        origin: scene.my.id,
        register: scene.my.identity().card.card().register,
        index: holder.index,
        digest: status.digest.as_slice().try_into().unwrap(),
        shown: 0,
        reason: eads_domain::receipt::ReceiptReason::NONE,
        at: scene.my.now(),
        backups_until: None,
        keyseq: 0,
    };
    let signed = |key| eads_domain::receipt::SignedReceipts::sign(std::slice::from_ref(&receipt), key).unwrap();
    let mine = signed(scene.id.key());
    let request = |receipts: &eads_domain::receipt::SignedReceipts| v1::PostReceiptsRequest::from(receipts);
    // Signed by another, flipped, truncated, too many.
    let foreign = request(&signed(&scene.my.identity().signing_key));
    assert!(refused(client.post_receipts(foreign).await).contains("RECEIPT"));
    let mut flipped = request(&mine);
    flipped.parts[0][60] ^= 1;
    assert!(refused(client.post_receipts(flipped).await).contains("RECEIPT"));
    let mut truncated = request(&mine);
    truncated.parts[0].pop();
    assert!(refused(client.post_receipts(truncated).await).contains("RECEIPT"));
    let mut many = request(&mine);
    many.parts = vec![many.parts[0].clone(); 41];
    assert!(!refused(client.post_receipts(many).await).is_empty());
    assert_eq!(scene.my.holders(&reference).await[0].state, "sent");
    // The true one counts, once.
    assert_eq!(client.post_receipts(request(&mine)).await.unwrap().into_inner().recorded, 1);
    assert_eq!(client.post_receipts(request(&mine)).await.unwrap().into_inner().recorded, 0);
    assert_eq!(scene.my.holders(&reference).await[0].state, "purged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_peers_live_stream_is_cut_at_once() {
    let scene = Scene::new().await;
    let channel = scene.id.dial(&scene.my).await;
    let mut client = PeerServiceClient::new(channel.channel());
    let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    let mut live = channel.liveness();
    scene.remove().await;
    timeout(SOON, live.closed()).await.expect("the connection is cut");
    let rest = timeout(SOON, async { while let Some(Ok(_)) = stream.next().await {} }).await;
    rest.expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_peer_gets_withdrawals_and_nothing_else() {
    let scene = Scene::new().await;
    let kept = scene.my.issue_to(&red("kept"), &["ID"]).await;
    let recalled = scene.my.issue_to(&red("recalled"), &["ID"]).await;
    scene.remove().await;
    scene.my.withdraw(&recalled).await;
    let mut client = scene.client().await;
    let mut stream = client.sync(scene.cursor(0, 0)).await.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap();
    assert_eq!(first.urgent.iter().map(|one| one.index).collect::<Vec<_>>(), [2]);
    assert!(first.leaves.is_empty() && first.deliveries.is_empty());
    let second = next(&mut stream).await.unwrap();
    assert!(second.urgent.is_empty() && second.leaves.is_empty() && second.deliveries.is_empty());
    // It may receipt, and it may not ask.
    let withdrawal = scene.my.holders(&recalled).await.into_iter().find(|one| one.action == "withdraw").unwrap();
    assert_eq!(withdrawal.index, 2);
    let question = v1::QueryRequest {
        protocol: 1,
        request_id: noise::<16>().to_vec(),
        query: Some(eads_tests::questions::passport("X0000001")),
    };
    assert_eq!(refused(client.query(question).await), "PEER_UNKNOWN");
    // Nothing new is addressed to it.
    let answer = scene.my.draft_to(&red("later"), &["ID"]).await;
    assert_eq!(refused(answer), "AUDIENCE_UNKNOWN");
    assert_eq!(scene.my.state_of(&kept).await, "valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_or_forked_card_is_refused() {
    use eads_domain::card::SignedCard;
    let scene = Scene::new().await;
    let admin = scene.my.operator("admin-1");
    let import = |card: Vec<u8>| {
        let admin = admin.clone();
        async move { admin.peering().import_card(v1::ImportCardRequest { card }).await }
    };
    let genuine = scene.id.identity.card.bytes().to_vec();
    // The member's own, flipped, truncated, trailing.
    let mut flipped = genuine.clone();
    flipped[20] ^= 1;
    for broken in [flipped, genuine[..genuine.len() - 1].to_vec(), [genuine.as_slice(), b"\0"].concat(), Vec::new()] {
        assert!(refused(import(broken).await).contains("CARD"));
    }
    // A fork: another card of the same sequence and key.
    let mut card = scene.id.identity.card.card().clone();
    card.issued = card.issued.plus_seconds(1);
    let forked = SignedCard::sign(card, scene.id.key()).unwrap();
    assert!(refused(import(forked.bytes().to_vec()).await).contains("CARD"));
    // Somebody else's card under this name.
    let other = Hostile::unknown_to(&scene.my, &scene.house, "TH").await;
    let mut card = other.identity.card.card().clone();
    card.member = scene.id.id;
    let usurped = SignedCard::sign(card, other.key()).unwrap();
    assert!(refused(import(usurped.bytes().to_vec()).await).contains("CARD"));
    // The node's own card is no peer's.
    assert!(refused(import(scene.my.identity().card.bytes().to_vec()).await).contains("CARD"));
    assert_eq!(peers(&scene.my).await[0].state, "accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_with_somebody_else_or_another_code_accepts_nobody() {
    let house = House::new();
    let my = house.member("MY").await;
    let id = Hostile::unknown_to(&my, &house, "ID").await;
    let admin = my.operator("admin-1");
    let card = id.identity.card.bytes().to_vec();
    admin.peering().import_card(v1::ImportCardRequest { card }).await.unwrap();
    let terms = eads_tests::content::Terms::default();
    let accept = |code: String, agreement: String| {
        let admin = admin.clone();
        let request = v1::AcceptPeerRequest { member: "ID".to_owned(), verification_code: code, agreement };
        async move { admin.peering().accept_peer(request).await }
    };
    let code = id.identity.card.verification_code().to_string();
    let other = my.identity().card.verification_code().to_string();
    assert!(!refused(accept(other, terms.with(id.id)).await).is_empty());
    assert_eq!(refused(accept(code.clone(), terms.with("TH".parse().unwrap())).await), "AGREEMENT_OTHER_MEMBER");
    // One administrator alone accepts nobody, however often.
    assert!(!accept(code.clone(), terms.with(id.id)).await.unwrap().into_inner().accepted);
    assert_eq!(refused(accept(code, terms.with(id.id)).await), "SECOND_ADMINISTRATOR_REQUIRED");
    assert_eq!(peers(&my).await[0].state, "candidate");
}
