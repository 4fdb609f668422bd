//! Certificates and the authority behind them change while the nodes run; their ends are warned of in time.

use eads_domain::clock::Clock as _;
use eads_node::identity::TlsIdentities;
use eads_tests::content::red;
use eads_tests::house::House;
use eads_tests::member::Member;
use eads_tests::wait::until;

use crate::rotation::{done, known, refused};

const DAY: i64 = 86_400;

async fn still_deliver(id: &Member, my: &Member, what: &str) {
    let reference = id.issue(&red(what), &[my]).await;
    id.receipted(&reference, my, &["issue accepted"]).await;
}

/// None while the files are being replaced.
fn shown(member: &Member) -> Option<Vec<u8>> {
    Some(TlsIdentities::load(member.dir()).ok()?.node.chain()[0].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_in_three_steps_and_no_peer_is_lost() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let first = shown(&id);
    done(&id, &["cert", "renew"]).await;
    assert_ne!(shown(&id), first);
    my.restart().await;
    still_deliver(&id, &my, "renewed").await;

    assert!(refused(&id, &["ca", "switch"]).await.contains("CA_ROTATION_NOT_BEGUN"));
    assert!(refused(&id, &["ca", "retire"]).await.contains("CA_ALONE"));
    my.stop().await;
    done(&id, &["ca", "rotate", "--cheap-keys"]).await;
    assert!(refused(&id, &["ca", "rotate", "--cheap-keys"]).await.contains("CA_ROTATION_BEGUN"));
    assert!(refused(&id, &["ca", "retire"]).await.contains("CA_NOT_SWITCHED"));
    assert!(refused(&id, &["ca", "switch"]).await.contains("CA_NOT_KNOWN_TO_PEERS"));
    my.start().await;
    until("the peer has the card with both", || async { known(&my, &id) == (0, 2) }).await;
    until("the peer is known to have it", || async { id.node().peers_behind().is_empty() }).await;
    done(&id, &["ca", "switch"]).await;
    // A new connection is made under the new authority.
    my.restart().await;
    still_deliver(&id, &my, "switched").await;
    done(&id, &["ca", "retire"]).await;
    until("the peer has the card with the new one alone", || async { known(&my, &id) == (0, 3) }).await;
    let peer = my.node().peers().get(id.id).unwrap();
    assert_eq!(peer.card.card().tls_anchors.len(), 1);
    id.restart().await;
    my.restart().await;
    still_deliver(&id, &my, "retired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_in_time_and_what_cannot_be_renewed_is_warned_of() {
    let house = House::new();
    let id = house.member("ID").await;
    let first = shown(&id);
    let end = TlsIdentities::load(id.dir()).unwrap().node.not_after();
    // A third of its life is left, and the authority's key is there.
    id.clock.advance(end.seconds_since(id.now()) - 100 * DAY);
    until("it was renewed", || async { shown(&id).is_some_and(|shown| Some(shown) != first) }).await;
    assert!(id.node().alarms().list().is_empty());
    // Without that key it is warned of.
    let key = id.dir().join("identity/tls-ca.key");
    std::fs::rename(&key, id.dir().join("taken-offline.key")).unwrap();
    let end = TlsIdentities::load(id.dir()).unwrap().node.not_after();
    for days in [29, 6, 0] {
        id.clock.advance(end.seconds_since(id.clock.now()) - days * DAY - 3600);
        until("it is warned of", || async {
            id.node().alarms().list().iter().any(|alarm| alarm.starts_with("CERTIFICATE_ENDS:node since"))
        })
        .await;
    }
    std::fs::rename(id.dir().join("taken-offline.key"), &key).unwrap();
    done(&id, &["cert", "renew"]).await;
    until("the warning is gone", || async {
        !id.node().alarms().list().iter().any(|alarm| alarm.starts_with("CERTIFICATE_ENDS:node since"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_served_where_the_configuration_says_and_nothing_else_is() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let house = House::new();
    let mut id = house.member("ID").await;
    id.stop().await;
    let at = eads_tests::ports::free();
    let file = id.dir().join(eads_node::config::FILE_NAME);
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replace("# listen = \"127.0.0.1:9744\"", &format!("listen = \"{at}\""));
    std::fs::write(&file, config).unwrap();
    id.start().await;
    let ask = |request: &'static str| async move {
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    until("the ends of certificates are known", || async {
        ask("GET /metrics HTTP/1.1\r\n\r\n")
            .await
            .contains("eads_certificate_expiry_seconds{certificate=\"node-ca\"} 3")
    })
    .await;
    let answer = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in
        ["eads_register_entries ", "eads_alarms 0", "eads_audit_entries ", "eads_store_free_bytes ", "eads_records 0"]
    {
        assert!(answer.lines().any(|one| one.starts_with(line)), "{line}: {answer}");
    }
    assert!(ask("GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
}
