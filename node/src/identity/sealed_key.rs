//! Private keys encrypted under the passphrase: PKCS#8 (RFC 5958) with PBES2, scrypt and AES-256-CBC, PEM.
//!
//! The form is one that `openssl pkey` reads, so that a key is never hostage to this program. OpenSSL refuses a
//! scrypt that needs 32 MiB or more, so memory stays at 16 MiB (N = 2^14, r = 8) and the cost is raised by
//! p = 5 instead, which OWASP's password storage guidance rates as equal to N = 2^17, p = 1.

use std::path::Path;

use eads_domain::entropy::{Entropy, random};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use pkcs8::pkcs5::{self, pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::{IdentityError, Passphrase, files};

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// What deriving a key from the passphrase costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyCost {
    /// About a quarter of a second and 16 MiB a key.
    #[default]
    Production,
    /// Next to nothing, and as good as no protection: for tests and simulations.
    Tests,
}

impl KeyCost {
    fn scrypt(self) -> Result<scrypt::Params, IdentityError> {
        let (log_n, r, p) = match self {
            Self::Production => (14, 8, 5),
            Self::Tests => (4, 8, 1),
        };
        scrypt::Params::new(log_n, r, p).map_err(|error| IdentityError::not_issued(&error))
    }
}

/// An Ed25519 key as encrypted PEM.
pub(crate) fn seal_signing_key(
    key: &SigningKey,
    passphrase: &Passphrase,
    cost: KeyCost,
    entropy: &dyn Entropy,
) -> Result<String, IdentityError> {
    // Without the public half: OpenSSL 3.0 does not read a version 2 structure.
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let document = pair.to_pkcs8_der().map_err(|error| IdentityError::not_issued(&error))?;
    seal(document.as_bytes(), passphrase, cost, entropy)
}

/// A P-256 key, given as PKCS#8 DER, as encrypted PEM.
pub(crate) fn seal_p256(
    key: &[u8],
    passphrase: &Passphrase,
    cost: KeyCost,
    entropy: &dyn Entropy,
) -> Result<String, IdentityError> {
    seal(key, passphrase, cost, entropy)
}

fn seal(pkcs8: &[u8], passphrase: &Passphrase, cost: KeyCost, entropy: &dyn Entropy) -> Result<String, IdentityError> {
    let salt: [u8; 16] = random(entropy);
    let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost.scrypt()?, &salt, random(entropy))
        .map_err(|error| IdentityError::not_issued(&error))?;
    let sealed = PrivateKeyInfoRef::try_from(pkcs8)
        .and_then(|key| key.encrypt_with_params(parameters, passphrase.as_bytes()))
        .map_err(|error| IdentityError::not_issued(&error))?;
    let pem = sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(|error| IdentityError::not_issued(&error))?;
    Ok(pem.to_string())
}

/// Reads an Ed25519 key.
pub(crate) fn open_signing_key(path: &Path, passphrase: &Passphrase) -> Result<SigningKey, IdentityError> {
    let document = open(path, passphrase)?;
    SigningKey::from_pkcs8_der(&document).map_err(|_| IdentityError::Damaged { path: path.to_owned() })
}

/// Reads a key as PKCS#8 DER.
pub(super) fn open(path: &Path, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let damaged = || IdentityError::Damaged { path: path.to_owned() };
    let text = files::read_private(path)?;
    let (label, sealed) = SecretDocument::from_pem(&text).map_err(|_| damaged())?;
    if label != ENCRYPTED {
        return Err(damaged());
    }
    let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).map_err(|_| damaged())?;
    match sealed.decrypt(passphrase.as_bytes()) {
        Ok(document) => Ok(Zeroizing::new(document.as_bytes().to_vec())),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_)) => {
            // CBC has no tag: a wrong passphrase shows in the padding or, now and then, in what comes out.
            Err(IdentityError::PassphraseWrong { path: path.to_owned() })
        }
        Err(_) => Err(damaged()),
    }
}
