//! The one map between errors of use cases and gRPC statuses, in both directions.
//!
//! | class of the error | status | a caller should |
//! |---|---|---|
//! | invalid | `INVALID_ARGUMENT` | mend the input |
//! | not found | `NOT_FOUND` | name something else |
//! | denied | `PERMISSION_DENIED` | ask somebody who may |
//! | conflict | `FAILED_PRECONDITION` | change the state of things first |
//! | exhausted | `RESOURCE_EXHAUSTED` | ask less, or later |
//! | unavailable | `UNAVAILABLE` | try again later |
//! | incompatible | `UNIMPLEMENTED` | upgrade one of the two; the same status as for a method that is not there |
//! | internal | `INTERNAL` | tell the administrator |
//!
//! Each status carries the stable code in the metadata `eads-code` and, where there is one, what to do next in
//! `eads-hint` (ASCII). A status without `eads-code` does not come from a node's own code. The cause of an error
//! stays inside: it is logged here and never sent, and an internal error does not even send its own text.

use std::error::Error;

use eads_domain::code::Coded;
use eads_service::peers::{LinkError, LinkFailure};
use eads_service::{Class, ServiceError};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use crate::tls::{ConnectFailure, classify};

/// Metadata key of the stable code.
pub const CODE: &str = "eads-code";
/// Metadata key of what the caller can do next.
pub const HINT: &str = "eads-hint";

/// Longest text of a status, in bytes: percent-encoded it must fit a header of 16 KiB beside all others.
const MAX_TEXT_BYTES: usize = 2048;
const MAX_HINT_BYTES: usize = 512;
/// Longest code that is taken from a peer.
const MAX_CODE_BYTES: usize = 64;
/// Longest text that is taken from a peer, in characters.
const MAX_PEER_TEXT_CHARS: usize = 300;
const INTERNAL_TEXT: &str = "the node failed; its log says why";

/// The status that answers `error`. Logs it with its cause.
pub fn status(error: &ServiceError) -> Status {
    log(error);
    let mut metadata = MetadataMap::new();
    if let Ok(code) = AsciiMetadataValue::try_from(error.code().as_str()) {
        metadata.insert(CODE, code);
    }
    if let Some(hint) = error.hint().and_then(ascii) {
        metadata.insert(HINT, hint);
    }
    let text = match error.class() {
        Class::Internal => INTERNAL_TEXT.to_owned(),
        _ => bounded(&error.to_string(), MAX_TEXT_BYTES),
    };
    Status::with_metadata(grpc_code(error.class()), text, metadata)
}

/// The status that answers an error of the domain.
pub fn refused<E: Coded + Send + Sync + 'static>(error: E) -> Status {
    status(&ServiceError::from_coded(error))
}

/// How a class is answered.
pub const fn grpc_code(class: Class) -> Code {
    match class {
        Class::Invalid => Code::InvalidArgument,
        Class::NotFound => Code::NotFound,
        Class::Denied => Code::PermissionDenied,
        Class::Conflict => Code::FailedPrecondition,
        Class::Exhausted => Code::ResourceExhausted,
        Class::Unavailable => Code::Unavailable,
        Class::Incompatible => Code::Unimplemented,
        Class::Internal => Code::Internal,
    }
}

fn log(error: &ServiceError) {
    let code = error.code().as_str();
    match error.class() {
        Class::Internal => tracing::error!(code, fault = ?error.fault(), cause = causes(error), "{error}"),
        Class::Unavailable => tracing::warn!(code, fault = ?error.fault(), cause = causes(error), "{error}"),
        _ => tracing::debug!(code, fault = ?error.fault(), cause = causes(error), "{error}"),
    }
}

fn causes(error: &ServiceError) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.join(": ")
}

/// Metadata is ASCII: what is not becomes a question mark.
fn ascii(text: &str) -> Option<AsciiMetadataValue> {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let text: String = text.chars().map(printable).take(MAX_HINT_BYTES).collect();
    AsciiMetadataValue::try_from(text).ok()
}

fn bounded(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Why a call to a peer failed, from the status that ended it: what the peer's node said, or what became of the
/// connection.
///
/// A peer that answered, with any code of its own, has *refused*: it did not look and said why.
pub fn link_error(status: &Status) -> LinkError {
    if let Some(failure) = classify(status) {
        return connect_error(failure);
    }
    match told(status) {
        Some(code) => {
            let failure = match status.code() {
                Code::DeadlineExceeded => LinkFailure::TimedOut,
                Code::Unimplemented => LinkFailure::Incompatible,
                _ => LinkFailure::Refused,
            };
            LinkError::new(failure, code, words(status.message()))
        }
        None => untold(status.code()),
    }
}

/// A status without a node's own code: made by a library on either side.
fn untold(code: Code) -> LinkError {
    match code {
        Code::DeadlineExceeded => {
            LinkError::new(LinkFailure::TimedOut, "PEER_TIMED_OUT", "the peer did not answer in time")
        }
        // A method that is not there, a message above its limit, bytes that cannot be decoded.
        Code::Unimplemented | Code::OutOfRange | Code::Internal | Code::DataLoss => LinkError::new(
            LinkFailure::Incompatible,
            "PEER_INCOMPATIBLE",
            "the peer speaks another version, or nonsense",
        ),
        Code::PermissionDenied
        | Code::Unauthenticated
        | Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::NotFound
        | Code::AlreadyExists => {
            LinkError::new(LinkFailure::Refused, "PEER_REFUSED", "the peer refused without a reason")
        }
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Aborted | Code::Unavailable => {
            LinkError::new(LinkFailure::Unreachable, "PEER_UNREACHABLE", "the connection to the peer broke")
        }
    }
}

/// Why a peer could not be reached, in the words of the use cases.
pub fn connect_error(failure: ConnectFailure) -> LinkError {
    let kind = match failure {
        ConnectFailure::Refused { .. } => LinkFailure::Refused,
        ConnectFailure::TimedOut => LinkFailure::TimedOut,
        ConnectFailure::Incompatible => LinkFailure::Incompatible,
        ConnectFailure::Unreachable
        | ConnectFailure::Untrusted(_)
        | ConnectFailure::Cut
        | ConnectFailure::EndpointInvalid
        | ConnectFailure::OwnConfiguration => LinkFailure::Unreachable,
    };
    let code = match failure {
        ConnectFailure::Untrusted(problem) => problem.code(),
        _ => failure.code(),
    };
    LinkError::new(kind, code.as_str(), failure.to_string())
}

/// The peer's code, if it has the form of one.
fn told(status: &Status) -> Option<String> {
    let code = status.metadata().get(CODE)?.to_str().ok()?;
    let formed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    ((1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(formed)).then(|| code.to_owned())
}

/// A peer's words as a screen may show them.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_PEER_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::CertificateProblem;

    fn every_class() -> [(ServiceError, Code); 8] {
        [
            (ServiceError::invalid("A_CODE", "text"), Code::InvalidArgument),
            (ServiceError::not_found("A_CODE", "text"), Code::NotFound),
            (ServiceError::denied("A_CODE", "text"), Code::PermissionDenied),
            (ServiceError::conflict("A_CODE", "text"), Code::FailedPrecondition),
            (ServiceError::exhausted("A_CODE", "text"), Code::ResourceExhausted),
            (ServiceError::unavailable("A_CODE", "text"), Code::Unavailable),
            (ServiceError::incompatible("A_CODE", "text"), Code::Unimplemented),
            (ServiceError::internal("A_CODE", "text"), Code::Internal),
        ]
    }

    #[test]
    fn each_class_has_its_own_status_and_every_status_its_stable_code() {
        for (error, code) in every_class() {
            let status = status(&error);
            assert_eq!(status.code(), code);
            assert_eq!(status.metadata().get(CODE).unwrap(), "A_CODE");
            assert!(status.metadata().get(HINT).is_none());
        }
    }

    #[test]
    fn causes_and_internal_texts_stay_inside() {
        let cause = std::io::Error::other("a secret path");
        let error = ServiceError::internal("STORE_FAILED", "cannot write a secret path").caused_by(cause);
        let status = status(&error);
        assert!(!format!("{status:?}").contains("secret"));
        assert_eq!(status.message(), INTERNAL_TEXT);
    }

    #[test]
    fn a_hint_is_sent_as_ascii() {
        let error = ServiceError::invalid("A_CODE", "text").with_hint("run `eads peer list` – then\nlook");
        assert_eq!(status(&error).metadata().get(HINT).unwrap(), "run `eads peer list` ? then?look");
    }

    #[test]
    fn a_text_of_any_length_fits_a_header() {
        let error = ServiceError::invalid("A_CODE", "ก".repeat(100_000)).with_hint("h".repeat(100_000));
        let status = status(&error);
        assert!(status.message().len() <= MAX_TEXT_BYTES && !status.message().is_empty());
        assert_eq!(status.metadata().get(HINT).unwrap().len(), MAX_HINT_BYTES);
    }

    #[test]
    fn what_a_peer_said_comes_back_with_its_code_and_as_a_refusal() {
        for (error, code) in every_class() {
            let back = link_error(&status(&error));
            let expected = if code == Code::Unimplemented { LinkFailure::Incompatible } else { LinkFailure::Refused };
            assert_eq!((back.failure, back.code.as_str()), (expected, "A_CODE"), "{code:?}");
        }
    }

    #[test]
    fn a_status_without_a_nodes_code_is_told_by_its_kind() {
        let kind = |code| link_error(&Status::new(code, "")).failure;
        assert_eq!(kind(Code::DeadlineExceeded), LinkFailure::TimedOut);
        assert_eq!(kind(Code::Unimplemented), LinkFailure::Incompatible);
        assert_eq!(kind(Code::Internal), LinkFailure::Incompatible);
        assert_eq!(kind(Code::OutOfRange), LinkFailure::Incompatible);
        assert_eq!(kind(Code::PermissionDenied), LinkFailure::Refused);
        assert_eq!(kind(Code::ResourceExhausted), LinkFailure::Refused);
        assert_eq!(kind(Code::Unavailable), LinkFailure::Unreachable);
        assert_eq!(kind(Code::Unknown), LinkFailure::Unreachable);
    }

    #[test]
    fn a_refusal_by_tls_is_a_refusal_however_late_it_surfaces() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateUnknown);
        let late = Status::from_error(Box::new(std::io::Error::other(alert)));
        assert_eq!(link_error(&late).failure, LinkFailure::Refused);
        let kind = |failure| connect_error(failure).failure;
        assert_eq!(kind(ConnectFailure::Refused { alert: None }), LinkFailure::Refused);
        assert_eq!(kind(ConnectFailure::TimedOut), LinkFailure::TimedOut);
        assert_eq!(kind(ConnectFailure::Unreachable), LinkFailure::Unreachable);
        assert_eq!(kind(ConnectFailure::Incompatible), LinkFailure::Incompatible);
        let other = connect_error(ConnectFailure::Untrusted(CertificateProblem::OtherCa));
        assert_eq!((other.failure, other.code.as_str()), (LinkFailure::Unreachable, "TLS_CERTIFICATE_OTHER_CA"));
    }

    #[test]
    fn a_deadline_that_passed_here_is_a_time_out() {
        let late = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(link_error(&late).failure, LinkFailure::TimedOut);
    }

    #[test]
    fn hostile_codes_and_words_of_a_peer_are_not_passed_on() {
        let mut hostile = Status::permission_denied(format!("\u{1b}[2J{}", "x".repeat(1000)));
        hostile.metadata_mut().insert(CODE, "evil code".parse().unwrap());
        assert_eq!(link_error(&hostile).code, "PEER_REFUSED");
        hostile.metadata_mut().insert(CODE, "FINE".parse().unwrap());
        let error = link_error(&hostile);
        assert!(error.text.chars().count() <= MAX_PEER_TEXT_CHARS && !error.text.contains('\u{1b}'));
    }
}
