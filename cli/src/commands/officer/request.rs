//! `eads officer request`: the officer's key is made here, and stays here.

use std::path::{Path, PathBuf};

use eads_domain::operator::{OperatorName, Roles};
use rcgen::KeyPair;
use serde::Serialize;
use zeroize::Zeroizing;

use super::certificate::{key_digits, request};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::profile::{ProfileError, read_key};

/// The officer's private key in a directory.
pub(super) const KEY: &str = "operator.key";
const REQUEST: &str = "request.csr";

/// `eads officer request`
#[derive(Debug, clap::Args)]
pub(crate) struct RequestOptions {
    /// The officer's service name: a-z, 0-9, dot and hyphen. Not a person's name.
    #[arg(long)]
    name: OperatorName,
    /// Roles with commas between them: officer, issuer, approver, auditor, administrator.
    #[arg(long)]
    roles: Roles,
    /// Directory for key and request; made if it is not there, for its owner alone.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Ask for this key instead of making one, to have other roles with it; it is not copied.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct RequestView {
    name: String,
    roles: String,
    key: String,
    request: String,
    key_digits: String,
}

impl RequestOptions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (key, place) = match self.key {
            None => (new_key(&self.out)?, self.out.join(KEY)),
            Some(place) => {
                let (pem, _) = read_key(&place)?;
                let key = std::str::from_utf8(&pem).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
                files::make_private_dir(&self.out)?;
                (key.ok_or_else(|| ProfileError::KeyInvalid { path: place.clone() })?, place)
            }
        };
        let (made, pem) = request(&key, &self.name, self.roles)?;
        let file = self.out.join(REQUEST);
        files::write(&file, pem.as_bytes())?;
        let view = RequestView {
            name: self.name.to_string(),
            roles: self.roles.to_string(),
            key: place.display().to_string(),
            request: file.display().to_string(),
            key_digits: key_digits(&made.public_key),
        };
        context.out.emit(&view, |page| {
            page.line(&format!("The request of {} ({}) is in {}", view.name, view.roles, view.request));
            page.field("key", &view.key_digits);
            page.gap();
            page.line("Send the request to an administrator, read the key's digits to each other, and keep the");
            page.line(&format!("private key in {} where it is. The administrator runs", view.key));
            page.line(&format!(
                "  eads officer enrol {REQUEST} --name {} --roles {} --out {}.pem",
                view.name, view.roles, view.name
            ));
        })?;
        Ok(Exit::Done)
    }
}

/// A new key in a directory that has none.
pub(super) fn new_key(dir: &Path) -> Result<KeyPair, CliError> {
    let key =
        KeyPair::generate().map_err(|cause| CliError::new("OFFICER_KEY_UNMADE", Exit::Local, cause.to_string()))?;
    files::make_private_dir(dir)?;
    files::write_private(&dir.join(KEY), Zeroizing::new(key.serialize_pem()).as_bytes())?;
    Ok(key)
}
