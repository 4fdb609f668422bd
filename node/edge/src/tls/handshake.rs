//! The server's half of one handshake, and the reason when it fails.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{Error, PeerIncompatible};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::identity::IdentitySource;
use super::refusal::{RefusalReason, Rejection};
use super::settings::TlsBase;
use super::transport::{Metered, Moved};
use super::verify::{HandshakeVerifier, Judge};
use crate::progress::{Patience, while_moving};

/// An accepted connection.
pub(super) type Accepted = TlsStream<Metered<TcpStream>>;

/// How many times the limit a handshake may take in all, while bytes move.
pub(super) const WHOLE_HANDSHAKES: u32 = 4;
/// How long a refused client may take to read its alert.
const LINGER: Duration = Duration::from_secs(1);
/// How much a refused client may still have sent.
const LINGER_BYTES: u64 = 64 * 1024;

/// Completes a handshake on `socket`, whose client certificate `judge` accepted. It ends when nothing moves for
/// `limit`, and in any case after a small multiple of it: hybrid keys and certificates take their time on a thin line.
pub(super) async fn accept<J: Judge + 'static>(
    socket: TcpStream,
    judge: &Arc<J>,
    base: &TlsBase,
    identity: &IdentitySource,
    protocols: &[&[u8]],
    limit: Duration,
) -> Result<Accepted, Rejection> {
    // One configuration a handshake: it shows the identity in force, and its verifier keeps this client's reason.
    let verifier = HandshakeVerifier::new(Arc::clone(judge), base.algorithms());
    let config = base
        .server(&identity.current(), Arc::clone(&verifier) as _, protocols)
        .map_err(|_| Rejection::anonymous(RefusalReason::OwnConfiguration))?;
    let moved = Moved::default();
    let socket = Metered::new(socket, moved.clone());
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(socket).into_fallible();
    let patience = Patience { still: limit, whole: limit.saturating_mul(WHOLE_HANDSHAKES), least: 1 };
    match while_moving(patience, || moved.total(), handshake).await {
        None => Err(verifier.rejection().unwrap_or_else(|| Rejection::anonymous(RefusalReason::HandshakeTimeout))),
        Some(Err((error, socket))) => {
            linger(socket).await;
            Err(verifier.rejection().unwrap_or_else(|| Rejection::anonymous(reason(&error))))
        }
        Some(Ok(tls)) if !tls.get_ref().1.alpn_protocol().is_some_and(|chosen| protocols.contains(&chosen)) => {
            close(tls).await;
            Err(Rejection::anonymous(RefusalReason::Alpn))
        }
        Some(Ok(tls)) => Ok(tls),
    }
}

/// Ends an established connection that is not wanted after all.
pub(super) async fn close(mut tls: Accepted) {
    // The client may be gone already; there is nobody else to tell.
    let _ = timeout(LINGER, tls.shutdown()).await;
    linger(tls.into_inner().0).await;
}

/// Reads on for a moment after an alert was sent. A socket closed with unread bytes is reset, and a reset
/// overtakes the alert: the client would see a broken line instead of a refusal.
async fn linger(mut socket: Metered<TcpStream>) {
    let drain = async {
        socket.shutdown().await?;
        tokio::io::copy(&mut socket.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, drain).await;
}

fn reason(error: &io::Error) -> RefusalReason {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => RefusalReason::NoClientCertificate,
        Some(Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        )) => RefusalReason::Version,
        Some(Error::PeerIncompatible(
            PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::KeyShareExtensionRequired,
        )) => RefusalReason::KeyExchange,
        Some(Error::NoApplicationProtocol) => RefusalReason::Alpn,
        Some(Error::AlertReceived(alert)) => RefusalReason::ClientAlert { alert: *alert },
        Some(_) => RefusalReason::HandshakeFailed,
        None => RefusalReason::HandshakeClosed,
    }
}
