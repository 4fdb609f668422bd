//! One entry of the audit log, as it is written: a JSON object of closed fields.
//!
//! No entry holds a value of a notice or record. What was asked is sealed under a day key, so that the chain
//! verifies for ever and the question is gone at the end of its retention.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Hash, MemberId, RequestId};
use crate::slot::SlotSet;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Actor {
    /// An officer or administrator of this member.
    Operator {
        /// Name in the certificate.
        name: String,
        /// Roles in the certificate.
        roles: Vec<String>,
    },
    /// Another member's node.
    Peer(MemberId),
    /// This node by itself: expiry, synchronisation, purge.
    Node,
}

impl Actor {
    /// `operator:NAME`, `peer:MEMBER` or `node`.
    pub fn label(&self) -> String {
        match self {
            Self::Operator { name, .. } => format!("operator:{name}"),
            Self::Peer(member) => format!("peer:{member}"),
            Self::Node => "node".to_owned(),
        }
    }

    /// The roles of an operator; nobody else has any.
    pub fn roles(&self) -> &[String] {
        match self {
            Self::Operator { roles, .. } => roles,
            Self::Peer(_) | Self::Node => &[],
        }
    }
}

/// What kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Something is about to be done; without an outcome it may have been done and shown.
    Intent,
    /// How an intent ended, and what is about to be shown.
    Outcome,
    /// Something that happened by itself, or was refused at once.
    Event,
}

impl EntryKind {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Event => "event",
        }
    }
}

/// A statement that was shown, and which of its slots: never their values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// D of the statement; for a record the digest of its handle.
    pub digest: Hash,
    /// Which slots.
    pub slots: SlotSet,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What kind of entry.
    pub kind: EntryKind,
    /// When, by this node's clock.
    pub at: Timestamp,
    /// The request that this belongs to, the same at every member concerned.
    pub request: RequestId,
    /// Who.
    pub actor: Actor,
    /// Method or event, `UpperCamelCase`.
    pub operation: String,
    /// Stated purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Stated legal basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    /// Stated case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_reference: Option<String>,
    /// The peer concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<MemberId>,
    /// What was asked, sealed, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_query: Option<String>,
    /// SHA-256(PAE("eads/v1/audit-key", key)) of the day key that seals it: AES-GCM-SIV does not commit to its key,
    /// so without this a text could be made that opens to another one under another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_key: Option<Hash>,
    /// The notice or draft concerned, by its reference or identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Sequence of the intent that this outcome ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<u64>,
    /// `OK`, `HIT`, `NO-HIT` or an error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Shown>,
}

impl Entry {
    /// An entry that says no more than who did what and when.
    pub fn new(kind: EntryKind, at: Timestamp, request: RequestId, actor: Actor, operation: &str) -> Self {
        Self {
            kind,
            at,
            request,
            actor,
            operation: operation.to_owned(),
            purpose: None,
            legal_basis: None,
            case_reference: None,
            peer: None,
            sealed_query: None,
            query_key: None,
            subject: None,
            intent: None,
            result: None,
            shown: Vec::new(),
        }
    }

    /// The bytes that are written and chained: JSON on one line.
    ///
    /// # Errors
    /// Never in practice: every field is text or a number.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads those bytes.
    ///
    /// # Errors
    /// For anything that is not such an entry.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
