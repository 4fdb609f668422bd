//! The proof of a fork as a file that a third party verifies without any of this code (`proto/README.md`).

use eads_domain::card::SignedCard;
use eads_domain::clock::Timestamp;
use eads_domain::register::{EquivocationProof, SignedCheckpoint};
use serde::Serialize;

use crate::error::ServiceError;

const STEPS: &[&str] = &[
    "Make sure by a channel that you trust that signing_key is the key of the member: card is its self-signed card, \
     whose verification code its administrators read out.",
    "Verify both checkpoints as C2SP signed notes with verifier_key (Ed25519 over the text up to and including the \
     newline before the empty line).",
    "Compare their first lines: both must be <member in lower case>.eads/register/<register>.",
    "Sizes equal: two different roots prove the fork, and path is empty.",
    "Sizes different: from path (its first node is that of the smaller tree) compute both roots as RFC 9162 2.1.4.2 \
     does. The larger root must come out; a smaller root other than the one that was signed proves the fork.",
];

#[derive(Serialize)]
struct ProofFile {
    format: &'static str,
    member: String,
    register: String,
    signing_key: String,
    verifier_key: String,
    found_at: i64,
    smaller: String,
    larger: String,
    path: Vec<String>,
    card: String,
    steps: &'static [&'static str],
}

/// JSON, in the order in which a reader needs it.
pub(crate) fn proof_file(
    card: &SignedCard,
    proof: &EquivocationProof,
    found_at: Timestamp,
) -> Result<Vec<u8>, ServiceError> {
    let named = card.card();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let file = ProofFile {
        format: "eads/v1/fork-proof",
        member: named.member.to_string(),
        register: named.register.to_string(),
        signing_key: hex::encode(named.signing_key.as_bytes()),
        verifier_key: SignedCheckpoint::verifier_key(named.member, named.register, &named.signing_key),
        found_at: found_at.as_unix(),
        smaller: text(proof.smaller()),
        larger: text(proof.larger()),
        path: proof.path().iter().map(|node| hex::encode(node.as_bytes())).collect(),
        card: card.to_armor(),
        steps: STEPS,
    };
    let mut bytes = serde_json::to_vec_pretty(&file)
        .map_err(|error| ServiceError::internal("PROOF_UNWRITABLE", "the proof cannot be written").caused_by(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}
