//! Why a peer could not be reached, told apart so that an officer sees "refused" where it was refused.

use std::error::Error;
use std::io;

use eads_domain::code::{Code, Coded, Fault};
use rustls::AlertDescription;

use super::refusal::CertificateProblem;
use super::transport::Severed;

/// Why a connection to a peer failed, at dialling or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// The peer's node answered and does not let this node in.
    #[error("the peer refused this node{}", said(*alert))]
    Refused {
        /// The TLS alert that said so; none where the peer only closed the connection.
        alert: Option<AlertDescription>,
    },
    /// No connection to the peer's endpoint, or it broke.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// The other side speaks, but no protocol in common.
    #[error("the peer's endpoint shares no protocol with this node (TLS 1.3, X25519MLKEM768, HTTP/2)")]
    Incompatible,
    /// No answer in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// Whoever answers at the endpoint did not prove to be the peer.
    #[error("the endpoint does not prove to be the peer: {0}")]
    Untrusted(CertificateProblem),
    /// This node cut the connection itself, because the peer was removed or its admission changed.
    #[error("this node cut the connection to the peer")]
    Cut,
    /// The endpoint is not `host:port`.
    #[error("an endpoint is written host:port")]
    EndpointInvalid,
    /// This node's own certificate or settings cannot be used.
    #[error("this node's own TLS configuration cannot be used")]
    OwnConfiguration,
}

fn said(alert: Option<AlertDescription>) -> String {
    alert.map_or_else(String::new, |alert| format!(" with the alert {alert:?}"))
}

impl Coded for ConnectFailure {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Refused { .. } => "PEER_REFUSED",
            Self::Unreachable => "PEER_UNREACHABLE",
            Self::Incompatible => "PEER_INCOMPATIBLE",
            Self::TimedOut => "PEER_TIMED_OUT",
            Self::Untrusted(_) => "PEER_UNTRUSTED",
            Self::Cut => "PEER_CUT",
            Self::EndpointInvalid => "PEER_ENDPOINT_INVALID",
            Self::OwnConfiguration => "TLS_OWN_CONFIGURATION",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Refused { .. } | Self::Unreachable | Self::Incompatible | Self::TimedOut | Self::Untrusted(_) => {
                Fault::Peer
            }
            Self::EndpointInvalid => Fault::Caller,
            Self::Cut | Self::OwnConfiguration => Fault::Ourselves,
        }
    }
}

/// The failure of the connection behind `error`, a [`tonic::Status`], a [`tonic::transport::Error`] or what wraps
/// one; `None` where the peer itself answered, so that its status is what counts.
///
/// A server checks a client's certificate after the client thinks the handshake done (RFC 8446 §4.4.2), so that a
/// refusal can surface as the failure of any later call.
pub fn classify(error: &(dyn Error + 'static)) -> Option<ConnectFailure> {
    let mut transport = false;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = specific(error) {
            return Some(failure);
        }
        transport |= error.is::<tonic::transport::Error>() || error.is::<hyper::Error>();
        // An `io::Error` passes over the error that it wraps when asked for its source.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        if next.is_none()
            && transport
            && let Some(failure) = of_text(&error.to_string())
        {
            return Some(failure);
        }
    }
    transport.then_some(ConnectFailure::Unreachable)
}

/// HTTP/2 keeps only the text of what broke its connection, as the last source of the streams' errors.
fn of_text(text: &str) -> Option<ConnectFailure> {
    if text == Severed.to_string() {
        return Some(ConnectFailure::Cut);
    }
    (0..=u8::MAX)
        .map(|alert| rustls::Error::AlertReceived(alert.into()))
        .find(|error| error.to_string() == text)
        .map(|error| of_tls(&error))
}

fn specific(error: &(dyn Error + 'static)) -> Option<ConnectFailure> {
    if let Some(failure) = error.downcast_ref::<ConnectFailure>() {
        return Some(*failure);
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if error.is::<Severed>() {
        return Some(ConnectFailure::Cut);
    }
    if error.is::<tonic::TimeoutExpired>() || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
    {
        return Some(ConnectFailure::TimedOut);
    }
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => Some(ConnectFailure::TimedOut),
        Some(error) if error.get_ref().is_none() => Some(ConnectFailure::Unreachable),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> ConnectFailure {
    match error {
        rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol,
        )
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::PeerMisbehaved(_)
        | rustls::Error::InvalidMessage(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::NoApplicationProtocol => ConnectFailure::Incompatible,
        rustls::Error::AlertReceived(alert) => ConnectFailure::Refused { alert: Some(*alert) },
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ConnectFailure::Untrusted(CertificateProblem::Unfit)
        }
        _ => ConnectFailure::Unreachable,
    }
}
