//! What the node answers, or what happened to the connection, as an error.

use std::borrow::Cow;
use std::error::Error as _;

use tonic::{Code as Grpc, Status};

use super::{CliError, table};
use crate::exit::Exit;

/// Metadata of an error: its stable code.
const CODE: &str = "eads-code";
/// Metadata of an error: what to do next.
const HINT: &str = "eads-hint";
/// More than this of a node's words is not shown.
const TEXT_LIMIT: usize = 4096;

impl CliError {
    /// A status that ended a call.
    pub(crate) fn from_status(status: &Status) -> Self {
        let told = |name: &str| status.metadata().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match told(CODE) {
            Some(code) => {
                let hint = told(HINT).or_else(|| table::hint(&code).map(str::to_owned));
                Self { text: words(status), hint, exit: answered(status.code()), code: Cow::Owned(code) }
            }
            None => Self::from_connection(status),
        }
    }

    /// A failure of which the node said no code: the connection, or something before the node's own code.
    fn from_connection(status: &Status) -> Self {
        if let Some(failure) = status.source().and_then(tls_failure) {
            return Self::from_tls(&failure);
        }
        match status.code() {
            Grpc::Unavailable => {
                Self::new("NODE_UNREACHABLE", Exit::Unreachable, format!("the node went away: {}", words(status)))
            }
            Grpc::DeadlineExceeded | Grpc::Cancelled => {
                Self::new("NODE_TIMED_OUT", Exit::Unreachable, "the node did not answer in time")
            }
            Grpc::Unimplemented => {
                Self::new("NODE_UNIMPLEMENTED", Exit::NodeFault, "this node does not know the request")
                    .with_hint("node and command are of different versions: see `eads status` and `eads --version`")
            }
            code => {
                let name = match code {
                    Grpc::Unauthenticated => "NODE_UNAUTHENTICATED",
                    Grpc::PermissionDenied => "NODE_DENIED",
                    Grpc::NotFound => "NODE_NOT_FOUND",
                    Grpc::InvalidArgument | Grpc::OutOfRange => "NODE_BAD_REQUEST",
                    Grpc::ResourceExhausted => "NODE_LIMIT",
                    _ => "NODE_FAILED",
                };
                Self::new(name, answered(code), words(status))
            }
        }
    }

    /// A TLS failure, on connecting or, as TLS 1.3 has it, on the first use.
    pub(crate) fn from_tls(failure: &TlsFailure) -> Self {
        match failure {
            TlsFailure::Refused(alert) => Self::new(
                "NODE_TLS_REFUSED",
                Exit::Refused,
                format!("the node refused this certificate ({})", alert_in_words(alert)),
            ),
            TlsFailure::Untrusted(why) => Self::new(
                "NODE_TLS_UNTRUSTED",
                Exit::Refused,
                format!("what answers at the endpoint is not the node of this profile ({why})"),
            ),
        }
    }
}

/// How TLS failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsFailure {
    /// The node sent this alert.
    Refused(String),
    /// This side refused the node.
    Untrusted(String),
}

/// How rustls words an alert. HTTP/2 keeps of a failed connection its words only, so that a refusal that TLS 1.3
/// shows late can be told by nothing else.
const ALERT: &str = "received fatal alert: ";

/// The TLS failure at the root of an error, if there is one.
pub(crate) fn tls_failure(error: &(dyn std::error::Error + 'static)) -> Option<TlsFailure> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error carries its cause inside instead of naming it as its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let words = error.to_string();
        if let Some((_, alert)) = words.split_once(ALERT) {
            return Some(TlsFailure::Refused(alert.to_owned()));
        }
        if let Some(failure) = error.downcast_ref::<rustls::Error>().or(inner) {
            return Some(TlsFailure::Untrusted(failure.to_string()));
        }
        next = error.source();
    }
    None
}

/// The exit status of what a node answered.
const fn answered(code: Grpc) -> Exit {
    match code {
        Grpc::Unauthenticated | Grpc::PermissionDenied | Grpc::FailedPrecondition | Grpc::ResourceExhausted => {
            Exit::Refused
        }
        Grpc::NotFound => Exit::NotFound,
        Grpc::InvalidArgument | Grpc::OutOfRange | Grpc::AlreadyExists => Exit::BadInput,
        Grpc::DeadlineExceeded | Grpc::Cancelled => Exit::Unreachable,
        Grpc::DataLoss => Exit::Integrity,
        _ => Exit::NodeFault,
    }
}

/// The message, bounded.
fn words(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        text => text.chars().take(TEXT_LIMIT).collect(),
    }
}

/// An alert in words.
fn alert_in_words(alert: &str) -> String {
    match alert {
        "CertificateExpired" => "it has expired".to_owned(),
        "UnknownCA" => "another authority issued it".to_owned(),
        "CertificateRevoked" => "it has been revoked".to_owned(),
        "AccessDenied" => "access denied".to_owned(),
        other => format!("alert {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: Grpc, text: &str, entries: &[(&'static str, &str)]) -> Status {
        let mut status = Status::new(code, text);
        for (name, value) in entries {
            status.metadata_mut().insert(*name, value.parse().expect("ASCII"));
        }
        status
    }

    #[test]
    fn a_node_s_code_hint_and_words_are_kept() {
        let status = told(
            Grpc::PermissionDenied,
            "the role approver is needed",
            &[(CODE, "ROLE_REQUIRED"), (HINT, "use an approver's profile")],
        );
        let error = CliError::from_status(&status);
        assert_eq!(error.code(), "ROLE_REQUIRED");
        assert_eq!(error.text(), "the role approver is needed");
        assert_eq!(error.hint(), Some("use an approver's profile"));
        assert_eq!(error.exit(), Exit::Refused);
    }

    #[test]
    fn an_unavailable_node_that_names_its_code_has_answered() {
        let error = CliError::from_status(&told(Grpc::Unavailable, "no room", &[(CODE, "DISK_RESERVE")]));
        assert_eq!(error.exit(), Exit::NodeFault);
        let error = CliError::from_status(&told(Grpc::Unavailable, "tcp", &[]));
        assert_eq!((error.code(), error.exit()), ("NODE_UNREACHABLE", Exit::Unreachable));
    }

    #[test]
    fn a_late_tls_alert_is_a_refusal_and_not_an_outage() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        for carried in [std::io::Error::other(alert.clone()), std::io::Error::other(alert.to_string())] {
            let error = CliError::from_status(&Status::from_error(Box::new(carried)));
            assert_eq!((error.code(), error.exit()), ("NODE_TLS_REFUSED", Exit::Refused));
            assert!(error.text().contains("it has expired"));
        }
    }
}
