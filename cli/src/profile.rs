//! The profile: which node to talk to, and as whom.

use std::path::{Path, PathBuf};

use eads_domain::code::{Code, Coded, Fault};
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::files::{self, FileError};

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// There is no such file.
    #[error("no profile at {path}", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Neither a home nor a configuration directory is known.
    #[error("there is no home directory to look for a profile in")]
    NoHome,
    /// Not the TOML that a profile is.
    #[error("{path}: {text}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, with the line.
        text: String,
    },
    /// The private key can be read by others.
    #[error("{path} can be read by other users of this machine", path = path.display())]
    KeyExposed {
        /// Which file.
        path: PathBuf,
    },
    /// The private key is of another kind.
    #[error("{path} holds no usable P-256 key", path = path.display())]
    KeyInvalid {
        /// Which file.
        path: PathBuf,
    },
    /// The certificate cannot be read.
    #[error("{path} holds no certificate in PEM", path = path.display())]
    CertificateInvalid {
        /// Which file.
        path: PathBuf,
    },
    /// A file that the profile names.
    #[error("{0}")]
    File(FileError),
}

impl Coded for ProfileError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::new("PROFILE_MISSING"),
            Self::NoHome => Code::new("PROFILE_NO_HOME"),
            Self::Invalid { .. } => Code::new("PROFILE_INVALID"),
            Self::KeyExposed { .. } => Code::new("PROFILE_KEY_EXPOSED"),
            Self::KeyInvalid { .. } => Code::new("PROFILE_KEY_INVALID"),
            Self::CertificateInvalid { .. } => Code::new("PROFILE_CERTIFICATE_INVALID"),
            Self::File(error) => error.code(),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// `profile.toml` as it is written; paths are relative to the file itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    /// Host and port of the node's operator listener, `127.0.0.1:7443`.
    endpoint: String,
    /// The name that the node's certificate must carry; the host of `endpoint` where it is left out.
    server_name: Option<String>,
    /// The operator CA's certificate, PEM.
    ca: PathBuf,
    /// The officer's certificate, PEM.
    certificate: PathBuf,
    /// The officer's private key, P-256, PKCS#8 PEM, readable by its owner only.
    key: PathBuf,
}

/// A profile with everything that it names, read and checked.
pub(crate) struct Profile {
    /// Host and port.
    pub(crate) endpoint: String,
    /// The name that the node's certificate must carry.
    pub(crate) server_name: String,
    /// PEM.
    pub(crate) ca: Vec<u8>,
    /// PEM.
    pub(crate) certificate: Vec<u8>,
    /// Where it is from.
    pub(crate) certificate_path: PathBuf,
    /// The first certificate of the file, DER.
    pub(crate) certificate_der: Vec<u8>,
    /// PEM.
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// For approvals.
    pub(crate) signing_key: SigningKey,
}

impl Profile {
    /// The profile at `path`, or at the default place.
    ///
    /// # Errors
    /// [`ProfileError`] that says what to mend.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ProfileError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path().ok_or(ProfileError::NoHome)?,
        };
        let text = match files::read_text(&path) {
            Err(FileError::Unreadable { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Err(ProfileError::Missing { path });
            }
            read => read.map_err(ProfileError::File)?,
        };
        let invalid = |text: String| ProfileError::Invalid { path: path.clone(), text };
        let file: ProfileFile = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let host = host_of(&file.endpoint)
            .ok_or_else(|| invalid(format!("endpoint \"{}\" is not host:port", file.endpoint)))?;
        let server_name = file.server_name.clone().unwrap_or_else(|| host.to_owned());

        let place = |relative: &Path| path.parent().unwrap_or(Path::new("")).join(relative);
        let (ca, certificate, key) = (place(&file.ca), place(&file.certificate), place(&file.key));
        let (key_pem, signing_key) = read_key(&key)?;
        let certificate_pem = files::read(&certificate).map_err(ProfileError::File)?;
        let certificate_der = first_certificate(&certificate_pem)
            .ok_or_else(|| ProfileError::CertificateInvalid { path: certificate.clone() })?;
        let ca_pem = files::read(&ca).map_err(ProfileError::File)?;
        if first_certificate(&ca_pem).is_none() {
            return Err(ProfileError::CertificateInvalid { path: ca });
        }
        Ok(Self {
            endpoint: file.endpoint,
            server_name,
            ca: ca_pem,
            certificate: certificate_pem,
            certificate_path: certificate,
            certificate_der,
            key: key_pem,
            signing_key,
        })
    }
}

/// An officer's private key file, which nobody else may be able to read: its bytes and the key.
///
/// # Errors
/// [`ProfileError`] that says what to mend.
pub(crate) fn read_key(path: &Path) -> Result<(Zeroizing<Vec<u8>>, SigningKey), ProfileError> {
    refuse_exposed(path)?;
    let pem = Zeroizing::new(files::read(path).map_err(ProfileError::File)?);
    let key = std::str::from_utf8(&pem).ok().and_then(|pem| p256::SecretKey::from_pem(pem).ok());
    let key = key.map(SigningKey::from).ok_or_else(|| ProfileError::KeyInvalid { path: path.to_owned() })?;
    Ok((pem, key))
}

/// `$XDG_CONFIG_HOME/eads/profile.toml`, or the same under `~/.config`.
fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("eads").join("profile.toml"))
}

/// The host of `host:port` or `[v6]:port`.
pub(crate) fn host_of(endpoint: &str) -> Option<&str> {
    let (host, port) = endpoint.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port != 0)?;
    let bare = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || ".-:_".contains(c);
    let bracketed = host.starts_with('[');
    (!bare.is_empty() && bare.chars().all(legal) && (bracketed || !bare.contains(':'))).then_some(bare)
}

/// The first certificate of a PEM file, DER.
fn first_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    pem::parse_many(pem)
        .ok()?
        .into_iter()
        .find(|block| block.tag() == "CERTIFICATE")
        .map(|block| block.contents().to_vec())
}

/// Refuses a key that group or others may read: whoever copies it can approve notices in the officer's name.
#[cfg(unix)]
fn refuse_exposed(key: &Path) -> Result<(), ProfileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let unreadable = |cause| ProfileError::File(FileError::Unreadable { path: key.to_owned(), cause });
    let mode = std::fs::metadata(key).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(ProfileError::KeyExposed { path: key.to_owned() }) }
}

/// Other systems have no such bits to look at.
#[cfg(not(unix))]
fn refuse_exposed(_key: &Path) -> Result<(), ProfileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (endpoint, host) in [
            ("127.0.0.1:7443", Some("127.0.0.1")),
            ("node.example:1", Some("node.example")),
            ("[::1]:7443", Some("::1")),
            ("::1:7443", None),
            ("node.example", None),
            ("node.example:0", None),
            (":7443", None),
            ("https://node.example:7443", None),
        ] {
            assert_eq!(host_of(endpoint), host, "{endpoint}");
        }
    }
}
