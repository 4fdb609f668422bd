//! Two nodes: the ceremony, questions, removal, and a stop with open streams.

use eads_domain::agreement::Agreement;
use eads_proto::v1;
use eads_proto::v1::node_service_client::NodeServiceClient;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_proto::v1::peering_service_client::PeeringServiceClient;
use tonic::Code;

use super::house::House;
use super::operators::{name_query, search};
use super::pki::{Authority, member};
use super::*;

/// Both administrators of `house` accept `other`.
async fn accept(house: &House, other: &House) {
    let card = other.node.card();
    let agreement = Agreement::example(other.node.member());
    for (position, name) in ["admin-1", "admin-2"].into_iter().enumerate() {
        let mut peering = PeeringServiceClient::new(house.operator(name, "administrator").await);
        if position == 0 {
            let request = v1::ImportCardRequest { card: card.card.bytes().to_vec() };
            let imported = soon(peering.import_card(request)).await.unwrap().into_inner();
            assert_eq!(imported.verification_code, card.code.to_string());
        }
        let request = v1::AcceptPeerRequest {
            member: other.node.member().to_string(),
            verification_code: card.code.to_string(),
            agreement: agreement.clone(),
        };
        let accepted = soon(peering.accept_peer(request)).await.unwrap().into_inner().accepted;
        assert_eq!(accepted, position == 1, "the second administrator makes it effective");
    }
}

async fn pair() -> (House, House) {
    let (id, th) = (House::open("ID", 100).await, House::open("TH", 110).await);
    accept(&id, &th).await;
    accept(&th, &id).await;
    (id, th)
}

/// Member, outcome and code of each answer to an officer of `house`.
async fn outcomes(house: &House) -> Vec<(String, String, String)> {
    let officer = house.operator("officer-1", "officer").await;
    let mut answers =
        search(officer, v1::SearchRequest { query: Some(name_query("Aman Rasa")), ..Default::default() }).await;
    answers.sort_by(|a, b| a.member.cmp(&b.member));
    answers.into_iter().map(|answer| (answer.member, answer.outcome, answer.code)).collect()
}

fn outcome(member: &str, outcome: &str, code: &str) -> (String, String, String) {
    (member.to_owned(), outcome.to_owned(), code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reaches_every_peer_and_a_removed_one_gets_no_answer() {
    let (id, th) = pair().await;
    assert_eq!(outcomes(&id).await, [outcome("ID", "no-hit", ""), outcome("TH", "no-hit", "")]);
    let mut peering = PeeringServiceClient::new(th.operator("admin-1", "administrator").await);
    let removal = v1::RemovePeerRequest { member: "ID".to_owned(), reason: "an exercise".to_owned() };
    assert_eq!(soon(peering.remove_peer(removal)).await.unwrap().into_inner().unsettled, 0);
    let after = outcomes(&id).await;
    assert_eq!(after[0], outcome("ID", "no-hit", ""));
    // The cut may surface in this very call; what never comes is a "no hit".
    assert!(["refused", "unreachable"].contains(&after[1].1.as_str()), "{after:?}");
    assert_eq!(outcomes(&id).await[1], outcome("TH", "refused", "PEER_UNKNOWN"));
    let listed = soon(peering.list_peers(v1::ListPeersRequest {})).await.unwrap().into_inner();
    assert_eq!(listed.peers.iter().map(|peer| peer.state.as_str()).collect::<Vec<_>>(), ["recall-only"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_streams_are_limited_a_member_and_end_when_the_node_stops() {
    let (id, th) = pair().await;
    let (channel, _handle) = id.as_peer("TH", th.tls_ca.node("TH")).await;
    let mut peer = PeerServiceClient::new(channel);
    let request = |protocol| v1::SyncRequest {
        protocol,
        register: id.node.card().card.card().register.as_bytes().to_vec(),
        ..Default::default()
    };
    let spoken = soon(peer.sync(request(2))).await.unwrap_err();
    assert_eq!((spoken.code(), code(&spoken)), (Code::Unimplemented, "PROTOCOL_INCOMPATIBLE"));
    let mut first = soon(peer.sync(request(1))).await.unwrap().into_inner();
    let _second = soon(peer.sync(request(1))).await.unwrap();
    let third = soon(peer.sync(request(1))).await.unwrap_err();
    assert_eq!((third.code(), code(&third)), (Code::ResourceExhausted, "SYNC_STREAMS_TOO_MANY"));
    assert!(soon(first.message()).await.unwrap().is_some());

    let begun = tokio::time::Instant::now();
    id.stop.cancel();
    let stopped = loop {
        match soon(first.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream says why it ends"),
            Err(stopped) => break stopped,
        }
    };
    assert_eq!(code(&stopped), "NODE_STOPPING");
    soon(id.served).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "a stop does not wait for streams that never end");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_see_the_peer_service_only_and_only_messages_within_bounds() {
    let (id, th) = pair().await;
    let (channel, _handle) = id.as_peer("TH", th.tls_ca.node("TH")).await;
    let mut nodes = NodeServiceClient::new(channel.clone());
    assert_eq!(soon(nodes.get_status(v1::GetStatusRequest {})).await.unwrap_err().code(), Code::Unimplemented);
    let mut peer = PeerServiceClient::new(channel);
    let large = v1::PostReceiptsRequest { parts: vec![vec![0; 2 * 1024 * 1024]], signature: vec![0; 64] };
    assert_eq!(soon(peer.post_receipts(large)).await.unwrap_err().code(), Code::OutOfRange);
    let forged = v1::PostReceiptsRequest { parts: vec![vec![0; 91]], signature: vec![0; 64] };
    assert_eq!(soon(peer.post_receipts(forged)).await.unwrap_err().code(), Code::InvalidArgument);
    let short = v1::QueryRequest { protocol: 1, request_id: vec![1; 15], query: Some(name_query("Aman")) };
    assert_eq!(code(&soon(peer.query(short)).await.unwrap_err()), "MESSAGE_FIELD_LENGTH");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_in_the_audit_log() {
    let (id, _th) = pair().await;
    let connecting = id.connect_as("MY", Authority::new().node("MY"));
    assert!(soon(connecting).await.is_err());
    let written = || {
        let listed =
            id.node.audit().list(&eads_service::audit::Find { limit: 100, ..Default::default() }, false).unwrap();
        listed.into_iter().find(|listed| listed.entry.operation == "TlsRefused").map(|listed| listed.entry)
    };
    let entry = soon(async {
        loop {
            match written() {
                Some(entry) => break entry,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(entry.result.as_deref(), Some("TLS_UNKNOWN_PEER"));
    assert_eq!(entry.peer, Some(member("MY")));
}
