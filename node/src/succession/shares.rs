//! `eads-node key backup` and `key restore`: the identity and its passphrase in one sealed file, whose key is split
//! among people, so that any few of them can restore it and fewer learn nothing.
//!
//! ```text
//! file  = "eads-keys/1\n" | set[16] | nonce[12] | AES-256-GCM-SIV(key, JSON, AAD = all before)
//!         key = HKDF-SHA-256(secret, PAE("eads/v1/key-backup", set))
//! share = Shamir over GF(2^8) with x^8 + x^4 + x^3 + x + 1, byte by byte; as a line of text:
//!         "eads-share <threshold>-<number>: " and, in groups of four hexadecimal digits,
//!         set[16] | threshold | number | y[32] | SHA-256(PAE("eads/v1/key-share", all before))[..4]
//! ```
//!
//! The next signing key is never in it: it is kept offline, or it would protect against nothing.

mod field;
mod line;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _};
use eads_domain::encode::pae;
use eads_domain::entropy::{Entropy, random};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use self::line::Share;
use crate::control::{Outcome, Refusal};
use crate::identity::{
    Identity, IdentityError, Passphrase, create_private_dir, place, read_card, sync_dir, write_private, write_public,
};

const MAGIC: &[u8] = b"eads-keys/1\n";
const LABEL: &[u8] = b"eads/v1/key-backup";
const SET_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// Larger than any identity.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const FILE_NAME: &str = "identity.eads-keys";

/// How the key of the file is split.
#[derive(Clone, Debug)]
pub(crate) struct Splitting {
    /// People.
    pub(crate) shares: u8,
    /// How many of them together restore it.
    pub(crate) threshold: u8,
    /// Where file and shares go; must not exist.
    pub(crate) out: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    member: String,
    card_sequence: u64,
    passphrase: String,
    /// Name below `identity/` → hexadecimal digits.
    files: BTreeMap<String, String>,
}

/// Writes the identity below `dir` and its passphrase into a sealed file, and a file for each share. Blocking.
pub(crate) fn split(
    dir: &Path,
    passphrase: &Passphrase,
    how: &Splitting,
    entropy: &dyn Entropy,
) -> Result<Outcome, Refusal> {
    if how.threshold < 2 || how.shares < how.threshold {
        let text = "a threshold is at least 2, and there are at least as many shares";
        return Err(Refusal::new("SHARES_INVALID", text, None));
    }
    // Wrong passphrases show here, not in years.
    Identity::load(dir, passphrase)?;
    let card = read_card(dir)?;
    let mut files = BTreeMap::new();
    let identity = dir.join(place::IDENTITY);
    let listed = fs::read_dir(&identity).map_err(|error| IdentityError::io("list", &identity, error))?;
    for entry in listed {
        let path = entry.map_err(|error| IdentityError::io("list", &identity, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_file() {
            let bytes = Zeroizing::new(fs::read(&path).map_err(|error| IdentityError::io("read", &path, error))?);
            files.insert(name, hex(&bytes));
        }
    }
    let content = Content {
        member: card.card().member.to_string(),
        card_sequence: card.card().sequence,
        passphrase: hex(passphrase.as_bytes()),
        files,
    };
    let content = Zeroizing::new(serde_json::to_vec(&content).map_err(|error| Refusal::new("KEYS_IO", error, None))?);
    let (set, secret): ([u8; SET_BYTES], _) = (random(entropy), Zeroizing::new(random::<32>(entropy)));
    let head = [MAGIC, &set, &random::<NONCE_BYTES>(entropy)].concat();
    let (nonce, cipher) = (head.get(MAGIC.len() + SET_BYTES..).unwrap_or_default(), cipher(&secret, &set)?);
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| damaged(&how.out))?;
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: &content, aad: &head });
    let sealed = sealed.map_err(|_| Refusal::new("KEYS_IO", "the keys cannot be sealed", None))?;
    create_private_dir(&how.out)?;
    write_private(&how.out.join(FILE_NAME), &[head, sealed].concat())?;
    let mut lines =
        vec![format!("Keys and passphrase of {} are in {}.", card.card().member, how.out.join(FILE_NAME).display())];
    for share in field::split(&secret, how.threshold, how.shares, entropy) {
        let (number, y) = share;
        let share = Share { set, threshold: how.threshold, number, y };
        let path = how.out.join(format!("share-{number}.txt"));
        write_private(&path, format!("{}\n", &*share.line()).as_bytes())?;
        lines.push(format!("  share {number}  {}  <- to one person, on paper, then remove it", path.display()));
    }
    sync_dir(&how.out)?;
    lines.push(format!("Any {} of the {} restore it: eads-node key restore", how.threshold, how.shares));
    let report = json!({
        "member": card.card().member.to_string(), "card_sequence": card.card().sequence, "file": how.out.join(FILE_NAME),
        "shares": how.shares, "threshold": how.threshold,
    });
    Ok(Outcome { lines, report, sound: true })
}

/// Puts the identity of the sealed `file` below `dir`, and its passphrase into `passphrase_to`. An identity that is
/// there is kept beside it. Blocking.
pub(crate) fn join(dir: &Path, file: &Path, shares: &[String], passphrase_to: &Path) -> Result<Outcome, Refusal> {
    let content = open(file, shares)?;
    let identity = dir.join(place::IDENTITY);
    let partial = dir.join("identity.partial");
    create_private_dir(&partial)?;
    let written = write(&partial, &content, passphrase_to);
    if let Err(refusal) = written {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_dir_all(&partial);
        return Err(refusal);
    }
    let mut kept = None;
    if identity.exists() {
        let aside = dir.join("identity.before-restore");
        fs::rename(&identity, &aside).map_err(|error| IdentityError::io("rename", &identity, error))?;
        kept = Some(aside);
    }
    fs::rename(&partial, &identity).map_err(|error| IdentityError::io("rename", &partial, error))?;
    sync_dir(dir)?;
    let mut lines = vec![
        format!("The identity of {} with card {} is in {}.", content.member, content.card_sequence, identity.display()),
        format!("  passphrase  {}  <- put it where the node takes it from, then remove it", passphrase_to.display()),
    ];
    lines.extend(kept.iter().map(|kept| format!("  before      {}  <- remove it when the node runs", kept.display())));
    let report = json!({ "member": content.member, "card_sequence": content.card_sequence, "kept": kept });
    Ok(Outcome { lines, report, sound: true })
}

fn open(file: &Path, shares: &[String]) -> Result<Content, Refusal> {
    if fs::metadata(file).map_err(|error| IdentityError::io("read", file, error))?.len() > MAX_BYTES {
        return Err(damaged(file));
    }
    let bytes = fs::read(file).map_err(|error| IdentityError::io("read", file, error))?;
    let (head, sealed) = bytes.split_at_checked(MAGIC.len() + SET_BYTES + NONCE_BYTES).ok_or_else(|| damaged(file))?;
    let rest = head.strip_prefix(MAGIC).ok_or_else(|| damaged(file))?;
    let (set, nonce) = rest.split_first_chunk::<SET_BYTES>().ok_or_else(|| damaged(file))?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| damaged(file))?;
    let mut points: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
    let mut threshold = 2;
    for text in shares {
        let share = Share::parse(text).ok_or_else(|| {
            let hint = "type the line again as it is on the paper: its last digits show a mistake";
            Refusal::new("SHARE_INVALID", "a share is not as it was written", Some(hint))
        })?;
        if share.set != *set {
            return Err(Refusal::new(
                "SHARE_OTHER_SET",
                format!("share {} belongs to another file", share.number),
                None,
            ));
        }
        threshold = share.threshold;
        points.insert(share.number, share.y);
    }
    if points.len() < usize::from(threshold) {
        let text = format!("{} shares of {threshold} that are needed", points.len());
        return Err(Refusal::new("SHARES_TOO_FEW", text, None));
    }
    let secret = Zeroizing::new(field::join(&points));
    let content = cipher(&secret, set)?.decrypt(&nonce.into(), Payload { msg: sealed, aad: head });
    let content = Zeroizing::new(content.map_err(|_| damaged(file))?);
    serde_json::from_slice(&content).map_err(|_| damaged(file))
}

fn write(partial: &Path, content: &Content, passphrase_to: &Path) -> Result<(), Refusal> {
    let wrong = || Refusal::new("KEYS_DAMAGED", "the file holds what belongs to no identity", None);
    for (name, bytes) in &content.files {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(wrong());
        }
        let bytes = Zeroizing::new(unhex(bytes).ok_or_else(wrong)?);
        let at = partial.join(name);
        if name.ends_with(".key") { write_private(&at, &bytes)? } else { write_public(&at, &bytes)? }
    }
    sync_dir(partial)?;
    let secret = Zeroizing::new(unhex(&content.passphrase).ok_or_else(wrong)?);
    Ok(write_private(passphrase_to, &secret)?)
}

fn cipher(secret: &[u8; 32], set: &[u8; SET_BYTES]) -> Result<Aes256GcmSiv, Refusal> {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(&pae(&[LABEL, set]), &mut *key);
    expanded.map_err(|_| Refusal::new("KEYS_IO", "the key cannot be derived", None))?;
    Aes256GcmSiv::new_from_slice(&*key).map_err(|_| Refusal::new("KEYS_IO", "the key cannot be used", None))
}

fn damaged(file: &Path) -> Refusal {
    Refusal::new("KEYS_DAMAGED", format!("{} is no key backup, or damaged", file.display()), None)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}
