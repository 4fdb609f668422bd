//! `eads officer profile`: certificate and key become a profile, and the officer can work.

use std::path::{Path, PathBuf};

use eads_domain::operator::Operator;
use serde::Serialize;

use super::certificate::{armor, check, read_bundle};
use super::request::KEY;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::output::{json_time, moment};
use crate::profile::{self, ProfileError, read_key};

const FILE: &str = "profile.toml";
const CERTIFICATE: &str = "operator.crt";
const AUTHORITY: &str = "ca.crt";

/// `eads officer profile`
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    /// The directory with the key, as `eads officer request` made it.
    dir: PathBuf,
    /// The certificate as the administrator sent it, followed by that of the authority.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Where the node listens for its operators.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: String,
    /// The name that the node's certificate carries [default: the host of the endpoint].
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

#[derive(Debug, Serialize)]
struct ProfileView {
    name: String,
    roles: String,
    profile: String,
    not_after: Option<String>,
}

impl ProfileOptions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (certificate, authority) = read_bundle(&self.certificate)?;
        let operator = check(&certificate, &authority, &public_key(&self.dir.join(KEY))?, None)?;
        let host = profile::host_of(&self.endpoint).ok_or_else(|| {
            let text = format!("\"{}\" is not host:port", self.endpoint);
            CliError::new("PROFILE_INVALID", Exit::BadInput, text)
        })?;
        let name = self.server_name.as_deref().unwrap_or(host);
        let path = write(&self.dir, &operator, &certificate, &authority, (&self.endpoint, name))?;
        let view = ProfileView {
            name: operator.name.to_string(),
            roles: operator.roles.to_string(),
            profile: path.display().to_string(),
            not_after: json_time(operator.not_after.as_unix()),
        };
        context.out.emit(&view, |page| {
            page.line(&format!("The profile of {} ({}) is {}", view.name, view.roles, view.profile));
            page.field("valid until", &moment(operator.not_after.as_unix()));
            page.line(&format!("Try it: eads --profile {} status", view.profile));
        })?;
        Ok(Exit::Done)
    }
}

/// The public half of a key file: subjectPublicKeyInfo, DER.
pub(super) fn public_key(path: &Path) -> Result<Vec<u8>, CliError> {
    use p256::pkcs8::EncodePublicKey as _;
    let (_, key) = read_key(path)?;
    let spki = key.verifying_key().to_public_key_der();
    Ok(spki.map_err(|_| ProfileError::KeyInvalid { path: path.to_owned() })?.into_vec())
}

/// Writes what a profile consists of beside its key.
pub(super) fn write(
    dir: &Path,
    operator: &Operator,
    certificate: &[u8],
    authority: &[u8],
    (endpoint, server_name): (&str, &str),
) -> Result<PathBuf, CliError> {
    let text = format!(
        "# Profile of the operator {} ({}). Paths are relative to this file.\n\
         endpoint = {endpoint:?}\nserver_name = {server_name:?}\nca = \"{AUTHORITY}\"\n\
         certificate = \"{CERTIFICATE}\"\nkey = \"{KEY}\"\n",
        operator.name, operator.roles
    );
    files::write(&dir.join(CERTIFICATE), armor(&[certificate]).as_bytes())?;
    files::write(&dir.join(AUTHORITY), armor(&[authority]).as_bytes())?;
    let path = dir.join(FILE);
    files::write(&path, text.as_bytes())?;
    Ok(path)
}
