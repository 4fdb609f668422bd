//! `eads officer renew`: a new certificate in time, by the officer alone.

use std::path::{Path, PathBuf};

use eads_domain::operator::Operator;
use eads_proto::v1 as proto;
use rcgen::KeyPair;
use serde::Serialize;

use super::certificate::{armor, check, request};
use super::{profile, request as requests};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Tone, json_time, moment};
use crate::profile::Profile;

/// `eads officer renew`
#[derive(Debug, clap::Args)]
pub(crate) struct RenewOptions {
    /// How long the certificate is valid [default: 90, or less if the node is so configured].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// Make a new key, and a profile with it in this directory; the old certificate ends at the new one's first use.
    #[arg(long, value_name = "DIR")]
    new_key: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct RenewedView {
    name: String,
    roles: String,
    serial: String,
    not_after: Option<String>,
    profile: Option<String>,
}

impl RenewOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let own = context.profile()?;
        let operator = Operator::from_certificate(&own.certificate_der)?;
        let node = context.node_of(&own).await?;
        let key = match &self.new_key {
            Some(dir) => requests::new_key(dir)?,
            None => own_key(&own)?,
        };
        let (made, pem) = request(&key, &operator.name, operator.roles)?;
        let der = pem::parse(pem).map(pem::Pem::into_contents).unwrap_or_default();
        let message = node.request(proto::RenewOfficerRequest { request: der, days: self.days.unwrap_or_default() });
        let answer = node::answer(node.officers().renew_officer(message)).await?;
        let wanted = Some((&operator.name, operator.roles));
        let renewed = check(&answer.certificate, &answer.authority, &made.public_key, wanted)?;
        let profile = match &self.new_key {
            Some(dir) => {
                let at = (own.endpoint.as_str(), own.server_name.as_str());
                Some(profile::write(dir, &renewed, &answer.certificate, &answer.authority, at)?)
            }
            None => {
                files::write(&own.certificate_path, armor(&[&answer.certificate]).as_bytes())?;
                None
            }
        };
        let view = RenewedView {
            name: renewed.name.to_string(),
            roles: renewed.roles.to_string(),
            serial: renewed.serial.to_string(),
            not_after: json_time(renewed.not_after.as_unix()),
            profile: profile.as_deref().map(Path::display).map(|path| path.to_string()),
        };
        context.out.emit(&view, |page| {
            page.toned(&format!("{} ({}) is renewed.", view.name, view.roles), Tone::Good);
            page.field("valid until", &moment(renewed.not_after.as_unix()));
            if let Some(profile) = &view.profile {
                page.field("profile", profile);
                page.line("The old certificate ends when the new one is first used.");
            }
        })?;
        Ok(Exit::Done)
    }
}

fn own_key(own: &Profile) -> Result<KeyPair, CliError> {
    let key = std::str::from_utf8(&own.key).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
    key.ok_or_else(|| {
        CliError::new("PROFILE_KEY_INVALID", Exit::BadInput, "the key of the profile is no P-256 key in PKCS#8")
    })
}
