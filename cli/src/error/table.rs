//! The one table from codes to exit statuses and hints.

use eads_domain::code::{Code, Fault};

use crate::exit::Exit;

/// The exit status that belongs to a code found by this program itself.
pub(super) fn exit(code: Code, fault: Fault) -> Exit {
    match code.as_str() {
        "FILE_UNWRITABLE" => Exit::Local,
        "NODE_UNREACHABLE" | "NODE_TIMED_OUT" => Exit::Unreachable,
        "NODE_TLS_REFUSED" | "PROFILE_KEY_EXPOSED" => Exit::Refused,
        text if text.contains("SIGNATURE") || text.ends_with("_TAMPERED") => Exit::Integrity,
        _ => match fault {
            Fault::Caller | Fault::Peer => Exit::BadInput,
            Fault::Ourselves => Exit::Local,
        },
    }
}

/// What to do next, where the code alone says enough to know it.
pub(super) fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "PROFILE_MISSING" => {
            "give one with --profile FILE or EADS_PROFILE; `eads-node init` writes them to <dir>/profiles/"
        }
        "PROFILE_INVALID" => "a profile has the keys endpoint, server_name, ca, certificate and key, and no others",
        "PROFILE_KEY_EXPOSED" => "take the rights of group and others away: chmod 600 on the key file",
        "PROFILE_KEY_INVALID" => "the key must be an unencrypted P-256 key in PEM (BEGIN PRIVATE KEY)",
        "PROFILE_NO_HOME" => "give the profile with --profile FILE",
        "NODE_UNREACHABLE" => {
            "see whether the node runs (`eads-node run`) and whether endpoint in the profile is right"
        }
        "NODE_TIMED_OUT" => "try again, or wait longer with --timeout SECONDS",
        "NODE_TLS_REFUSED" => {
            "the certificate may have expired or been replaced: ask the administrator for a new profile"
        }
        "NODE_TLS_UNTRUSTED" => {
            "ca and server_name in the profile must be those of this node; do not go on if they are"
        }
        "OFFICER_UNREGISTERED" => {
            "have it enrolled: `eads officer request` here, `eads officer enrol` by administrators"
        }
        "OFFICER_CERTIFICATE_SUPERSEDED" => "use the profile with the newer certificate",
        "OFFICER_CERTIFICATE_EXPIRED" | "OFFICER_SUSPENDED" | "OFFICER_REVOKED" => "ask an administrator",
        "DRAFT_TAMPERED" => "do not approve it; tell the administrator: the node showed what it did not commit to",
        "CARD_CODE_DIFFERS" => "do not accept the peer: read the code to each other again over a channel both trust",
        "CARD_MALFORMED" | "CARD_ARMOR" => "ask the peer for its card again, as `eads peer card --out FILE` writes it",
        "AGREEMENT_MALFORMED" => "start from the file that `eads agreement example MEMBER` prints",
        "REASON_REQUIRED" => "see the reason codes with `eads notice template KIND SUBJECT`",
        "TEMPLATE_UNKNOWN_KIND" | "NOTICE_KIND_INVALID" => "see `eads notice template --help` for the kinds",
        "NOT_CONFIRMED" => "give --yes to confirm without being asked",
        _ => return None,
    })
}
