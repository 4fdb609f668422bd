//! `eads-node officer`: an officer certified on the node's own machine, for when administrators cannot.
//!
//! Whoever holds the passphrase of the node's keys can do this; it is the way back when no two administrators can
//! work. The node enrols the certificate at its next start or SIGHUP, and its audit log says so.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::entropy::{Entropy, SystemEntropy};
use eads_domain::operator::{OfficerRequest, OperatorName, Roles};

use crate::command::{Failure, PassphraseArguments, tell};
use crate::config::{Config, FILE_NAME};
use crate::identity::{Authority, AuthorityKind, certify_here, write_public};

/// Short: an emergency is no way to live.
const DEFAULT_DAYS: u32 = 30;

/// Arguments of `officer`.
#[derive(Debug, Args)]
pub(crate) struct OfficerArguments {
    /// The directory of the node
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The certificate request, PEM, as `eads officer request` makes it
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Who it is; must be what the request says
    #[arg(long, value_name = "NAME")]
    name: OperatorName,
    /// What the officer may do, with commas between the roles; must be what the request says
    #[arg(long, value_name = "ROLES")]
    roles: Roles,
    /// How long the certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Where to write the certificate, followed by that of the authority
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(crate) fn officer(arguments: &OfficerArguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.dir.join(FILE_NAME)).map_err(|error| Failure::of(&error, None))?;
    let bytes = std::fs::read(&arguments.request)
        .map_err(|error| Failure::invalid("FILE_UNREADABLE", format!("{}: {error}", arguments.request.display())))?;
    let der = pem::parse(&bytes).map(pem::Pem::into_contents).unwrap_or(bytes);
    let request = OfficerRequest::parse_and_verify(&der).map_err(|error| Failure::of(&error, None))?;
    if (&request.name, request.roles) != (&arguments.name, arguments.roles) {
        let text = format!("the request is for {} ({})", request.name, request.roles);
        return Err(Failure::invalid("OFFICER_REQUEST_DIFFERS", text));
    }
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let passphrase = arguments.passphrase.obtain()?;
    let made =
        Authority::open(&config.dir, AuthorityKind::Operators, config.member, &passphrase).and_then(|authority| {
            let certificate =
                certify_here(&config.dir, &authority, &request, arguments.days, SystemClock.now(), &*entropy)?;
            write_public(&arguments.out, [&certificate, authority.anchor_pem()].concat().as_bytes())
        });
    made.map_err(|error| Failure::of(&error, None))?;
    tell(&format!("{} ({}) is certified: {}", request.name, request.roles, arguments.out.display()));
    tell("The node enrols it at its next start, or at once when it gets the signal HUP.");
    Ok(())
}
