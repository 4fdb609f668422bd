//! `eads officer export`: certificate and key for a program that takes PKCS#12 only, made where the key is.

use std::path::PathBuf;

use eads_domain::operator::Operator;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::output::Tone;

/// PBKDF2 rounds for encryption and for the check value; what browsers still open at once.
const ROUNDS: u32 = 100_000;
const SHORTEST_PASSWORD: usize = 12;

/// `eads officer export`
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pkcs12: PathBuf,
    /// File whose first line is the password of the new file, at least 12 characters; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

#[derive(Debug, Serialize)]
struct ExportedView {
    name: String,
    file: String,
}

impl ExportOptions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let profile = context.profile()?;
        let operator = Operator::from_certificate(&profile.certificate_der)?;
        let text = Zeroizing::new(files::read_text(&self.password_file)?);
        let password = text.lines().next().unwrap_or_default();
        if password.chars().count() < SHORTEST_PASSWORD {
            let text = format!("the password must have at least {SHORTEST_PASSWORD} characters");
            return Err(CliError::new("PASSWORD_TOO_SHORT", Exit::BadInput, text));
        }
        let unmade =
            |cause: p12_keystore::error::Error| CliError::new("PKCS12_UNMADE", Exit::BadInput, cause.to_string());
        let key = pem::parse(&*profile.key).map(|block| Zeroizing::new(block.into_contents())).map_err(|_| {
            CliError::new("PROFILE_KEY_INVALID", Exit::BadInput, "the key of the profile is not in PEM")
        })?;
        let authority = pem::parse(&profile.ca).map(pem::Pem::into_contents).unwrap_or_default();
        let chain = [profile.certificate_der.as_slice(), authority.as_slice()]
            .into_iter()
            .map(Certificate::from_der)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unmade)?;
        let key = PrivateKey::from_der(&key).map_err(unmade)?;
        let mut store = KeyStore::new();
        let entry = PrivateKeyChain::new(operator.serial.as_bytes(), key, chain);
        store.add_entry(operator.name.as_str(), KeyStoreEntry::PrivateKeyChain(entry));
        let bytes = store.writer(password).encryption_iterations(ROUNDS).mac_iterations(ROUNDS).write();
        files::write_private(&self.pkcs12, &bytes.map_err(unmade)?)?;
        let view = ExportedView { name: operator.name.to_string(), file: self.pkcs12.display().to_string() };
        context.out.emit(&view, |page| {
            page.line(&format!("Certificate and key of {} are in {}", view.name, view.file));
            page.toned(
                "Whoever has the file and its password can act in this name: import it, then delete it.",
                Tone::Caution,
            );
        })?;
        Ok(Exit::Done)
    }
}
