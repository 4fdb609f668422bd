//! Signed notes (C2SP `signed-note`): a text, a blank line, and signature lines `— <name> <base64>`.
//!
//! Only form is checked here, and no more of the format is offered than checkpoints need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use super::CheckpointError;

/// The largest note, bytes.
pub(super) const MAX_NOTE_BYTES: usize = 64 * 1024;
/// The most signature lines.
pub(super) const MAX_SIGNATURES: usize = 32;

/// Algorithm byte of a plain Ed25519 signature.
pub(super) const ED25519: u8 = 0x01;
/// Algorithm byte of a timestamped Ed25519 cosignature (C2SP `tlog-cosignature`).
pub(super) const COSIGNATURE_V1: u8 = 0x04;

const LINE_START: &str = "\u{2014} ";

/// A note in its parts.
pub(super) struct Note<'a> {
    /// With its final newline; what is signed.
    pub(super) text: &'a str,
    pub(super) signatures: Vec<NoteSignature<'a>>,
}

/// One signature line.
pub(super) struct NoteSignature<'a> {
    pub(super) name: &'a str,
    pub(super) key_id: [u8; 4],
    /// What follows the key id.
    pub(super) signature: Vec<u8>,
}

impl<'a> Note<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::TooLarge);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| CheckpointError::Malformed)?;
        if whole.chars().any(|c| c.is_control() && c != '\n') {
            return Err(CheckpointError::Malformed);
        }
        let blank = whole.rfind("\n\n").ok_or(CheckpointError::Malformed)?;
        let (text, rest) = whole.split_at_checked(blank + 1).ok_or(CheckpointError::Malformed)?;
        let lines =
            rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or(CheckpointError::Malformed)?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(CheckpointError::TooLarge);
        }
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        Ok(Self { text, signatures })
    }

    /// The one signature of a key; `None` if there is none.
    pub(super) fn by_key(&self, name: &str, key_id: [u8; 4]) -> Result<Option<&NoteSignature<'a>>, CheckpointError> {
        let mut found = self.signatures.iter().filter(|line| line.name == name && line.key_id == key_id);
        match (found.next(), found.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => Err(CheckpointError::Malformed),
        }
    }
}

impl<'a> NoteSignature<'a> {
    pub(super) fn parse(line: &'a str) -> Result<Self, CheckpointError> {
        let (name, base64) =
            line.strip_prefix(LINE_START).and_then(|rest| rest.split_once(' ')).ok_or(CheckpointError::Malformed)?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(CheckpointError::Malformed);
        }
        let decoded = STANDARD.decode(base64).map_err(|_| CheckpointError::Malformed)?;
        match decoded.split_first_chunk::<4>() {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name, key_id: *key_id, signature: signature.to_vec() })
            }
            _ => Err(CheckpointError::Malformed),
        }
    }
}

/// A signature line with its newline.
pub(super) fn signature_line(name: &str, key_id: [u8; 4], signature: &[u8]) -> String {
    format!("{LINE_START}{name} {}\n", STANDARD.encode([&key_id, signature].concat()))
}

/// SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key), the first four bytes.
pub(super) fn key_id(name: &str, algorithm: u8, key: &VerifyingKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', algorithm]);
    hasher.update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
    [a, b, c, d]
}
