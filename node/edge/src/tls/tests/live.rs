//! Connections that live: identities on requests, cuts, replacement of certificates, shutdown.

use eads_proto::v1::peer_service_client::PeerServiceClient;
use tonic::Code;

use super::*;

#[tokio::test]
async fn concurrent_peers_are_seen_as_themselves_and_as_what_they_were_let_in() {
    let server = Server::start().await;
    let (malaysia, thailand, laos) = (Authority::new(), Authority::new(), Authority::new());
    server.peers.accept("MY", &malaysia);
    server.peers.set("TH", PeerAdmission::RecallOnly { anchors: vec![thailand.anchor()] });
    // While a peer changes its authority its card holds both anchors.
    server.peers.set("LA", PeerAdmission::Frozen { anchors: vec![malaysia.anchor(), laos.anchor()] });
    let (my, th, la) = tokio::join!(
        async { server.dialler("MY", &malaysia).connect().await.unwrap() },
        async { server.dialler("TH", &thailand).connect().await.unwrap() },
        async { server.dialler("LA", &laos).connect().await.unwrap() },
    );
    let seen = tokio::join!(whom_it_sees(my.channel()), whom_it_sees(th.channel()), whom_it_sees(la.channel()));
    assert_eq!(seen.0.unwrap(), b"MY Accepted");
    assert_eq!(seen.1.unwrap(), b"TH RecallOnly");
    assert_eq!(seen.2.unwrap(), b"LA Frozen");
    assert_eq!(server.registry.connected().len(), 3);
}

#[tokio::test]
async fn removing_a_peer_ends_its_live_streams_at_once_and_no_others() {
    let mut server = Server::start().await;
    let (malaysia, thailand) = (Authority::new(), Authority::new());
    server.peers.accept("MY", &malaysia);
    server.peers.accept("TH", &thailand);
    let (my_dialler, th_dialler) = (server.dialler("MY", &malaysia), server.dialler("TH", &thailand));
    let (my, th) = (my_dialler.connect().await.unwrap(), th_dialler.connect().await.unwrap());
    let mut stream =
        soon(PeerServiceClient::new(my.channel()).sync(SyncRequest::default())).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().is_some());
    let mut hanging = PeerServiceClient::new(my.channel());
    let hanging = tokio::spawn(async move { hanging.post_receipts(PostReceiptsRequest::default()).await });

    server.peers.set("MY", PeerAdmission::Unknown);
    assert_eq!(server.registry.cut(member("MY")), 1);

    let broken = soon(stream.message()).await.expect_err("the stream is cut");
    assert!(classify(&broken).is_some(), "{broken:?}");
    assert!(soon(hanging).await.unwrap().is_err());
    soon(server.ended.recv()).await.expect("the handler of the stream is gone");
    soon(my.liveness().closed()).await;
    assert!(!my.liveness().is_open());
    assert_eq!(whom_it_sees(th.channel()).await.unwrap(), b"TH Accepted");

    let late = whom_it_sees(my.channel()).await.expect_err("dialling again is refused");
    let refused = ConnectFailure::Refused { alert: Some(rustls::AlertDescription::AccessDenied) };
    assert_eq!(classify(&late), Some(refused), "{late:?}");
    assert_eq!(server.refusal().await, ("TLS_UNKNOWN_PEER", Some("MY".to_owned())));
}

#[tokio::test]
async fn the_dialling_side_can_cut_too() {
    let server = Server::start().await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let dialler = server.dialler("MY", &malaysia);
    let channel = dialler.connect().await.unwrap();
    let mut stream =
        soon(PeerServiceClient::new(channel.channel()).sync(SyncRequest::default())).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().is_some());
    assert_eq!(dialler.registry.connected(), vec![(member("ID"), 1)]);

    dialler.peers.set("ID", PeerAdmission::Unknown);
    assert_eq!(dialler.registry.cut(member("ID")), 1);

    let broken = soon(stream.message()).await.expect_err("the stream is cut");
    assert_eq!(classify(&broken), Some(ConnectFailure::Cut), "{broken:?}");
    soon(channel.liveness().closed()).await;
    let late = whom_it_sees(channel.channel()).await.expect_err("a removed peer is not dialled");
    assert_eq!(classify(&late), Some(ConnectFailure::Untrusted(CertificateProblem::UnknownPeer)), "{late:?}");
}

#[tokio::test]
async fn a_channel_dials_again_by_itself_after_a_break() {
    let server = Server::start().await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let channel = server.dialler("MY", &malaysia).connect().await.unwrap();
    assert_eq!(server.registry.cut(member("MY")), 1);
    soon(channel.liveness().closed()).await;

    server.peers.set("MY", PeerAdmission::Frozen { anchors: vec![malaysia.anchor()] });
    assert_eq!(whom_it_sees(channel.channel()).await.unwrap(), b"MY Frozen", "with the admission now in force");
    assert!(channel.liveness().is_open());
}

/// Passes bytes on until `dead` is cancelled; then keeps both ends open and swallows everything.
async fn thin_line(to: SocketAddr, dead: CancellationToken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
        let passing = tokio::io::copy_bidirectional(&mut near, &mut far);
        let _ = dead.run_until_cancelled(passing).await;
        std::future::pending::<()>().await;
    });
    address
}

#[tokio::test]
async fn a_line_that_died_silently_is_noticed_on_both_sides() {
    let limits = Limits {
        keepalive_interval: Duration::from_millis(100),
        keepalive_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start_with(limits, TlsSettings::default()).await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let dialler = server.dialler("MY", &malaysia);
    let connector = PeerConnector::new(
        dialler._handle.source(),
        Arc::clone(&dialler.peers) as _,
        dialler.registry.clone(),
        Arc::clone(&server.clock) as _,
        TlsSettings::default(),
        ConnectTimeouts {
            keepalive_interval: limits.keepalive_interval,
            keepalive_timeout: limits.keepalive_timeout,
            ..ConnectTimeouts::default()
        },
    );
    let dead = CancellationToken::new();
    let endpoint = thin_line(server.address, dead.clone()).await.to_string();
    let channel = soon(connector.connect(member("ID"), &endpoint)).await.unwrap();
    let mut stream =
        soon(PeerServiceClient::new(channel.channel()).sync(SyncRequest::default())).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().is_some());

    dead.cancel();

    let broken = soon(stream.message()).await.expect_err("the stream does not hang");
    assert_eq!(classify(&broken), Some(ConnectFailure::Unreachable), "{broken:?}");
    soon(channel.liveness().closed()).await;
    let gone = async {
        while !server.registry.connected().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_handshake_and_leaves_connections_alone() {
    let server = Server::start().await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let dialler = server.dialler("MY", &malaysia);
    let before = dialler.connect().await.unwrap();

    let next_authority = Authority::new();
    server.handle.replace(next_authority.node("ID"));

    assert_eq!(dialler.connect().await.err(), Some(ConnectFailure::Untrusted(CertificateProblem::OtherCa)));
    dialler.peers.accept("ID", &next_authority);
    let after = dialler.connect().await.unwrap();
    for channel in [before, after] {
        assert_eq!(whom_it_sees(channel.channel()).await.unwrap(), b"MY Accepted");
    }
}

#[tokio::test]
async fn shutdown_ends_the_listener_after_the_drain() {
    let limits = Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut server = Server::start_with(limits, TlsSettings::default()).await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let channel = server.dialler("MY", &malaysia).connect().await.unwrap();
    let mut stream =
        soon(PeerServiceClient::new(channel.channel()).sync(SyncRequest::default())).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().is_some());

    server.shutdown.cancel();
    soon(&mut server.task).await.unwrap();
    assert!(soon(stream.message()).await.is_err(), "an endless stream does not hold the shutdown up");
    soon(server.ended.recv()).await.expect("its handler is gone");
    assert_eq!(server.registry.connected(), vec![]);
    let late = whom_it_sees(channel.channel()).await.expect_err("nobody listens");
    assert_eq!(late.code(), Code::Unavailable);
    assert_eq!(classify(&late), Some(ConnectFailure::Unreachable), "{late:?}");
}

#[tokio::test]
async fn a_peers_own_answer_is_no_connection_failure() {
    assert_eq!(classify(&Status::permission_denied("not by this agreement")), None);
    assert_eq!(classify(&Status::unavailable("storage is full")), None);
}
