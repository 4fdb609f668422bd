//! `eads officer enrol`: an administrator certifies a request.

use std::path::PathBuf;

use eads_domain::operator::{OperatorName, Role, Roles};
use eads_proto::v1 as proto;
use serde::Serialize;

use super::certificate::{armor, check, key_digits, read_request};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Tone, json_time, moment};

/// `eads officer enrol`
#[derive(Debug, clap::Args)]
pub(crate) struct EnrolOptions {
    /// The request, PEM or DER; `-` is standard input.
    request: PathBuf,
    /// Who the officer is; must be what the request says.
    #[arg(long)]
    name: OperatorName,
    /// What the officer may do, with commas between the roles; must be what the request says.
    #[arg(long)]
    roles: Roles,
    /// How long the certificate is valid [default: 90, or less if the node is so configured].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// Where to write the certificate, followed by that of the authority.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct EnrolledView {
    name: OperatorName,
    roles: String,
    key_digits: String,
    enrolled: bool,
    serial: Option<String>,
    not_after: Option<String>,
    certificate: Option<String>,
}

impl EnrolOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (request, der) = read_request(&self.request)?;
        if (&request.name, request.roles) != (&self.name, self.roles) {
            let text = format!("the request is for {} ({})", request.name, request.roles);
            return Err(CliError::new("OFFICER_REQUEST_DIFFERS", Exit::BadInput, text));
        }
        let profile = context.profile()?;
        let node = context.node_of(&profile).await?;
        let message = node.request(proto::EnrolOfficerRequest {
            request: der,
            name: self.name.to_string(),
            roles: self.roles.iter().map(|role| role.to_string()).collect(),
            days: self.days.unwrap_or_default(),
        });
        let answer = node::answer(node.officers().enrol_officer(message)).await?;
        let mut view = EnrolledView {
            name: self.name,
            roles: self.roles.to_string(),
            key_digits: key_digits(&request.public_key),
            enrolled: !answer.certificate.is_empty(),
            serial: None,
            not_after: None,
            certificate: None,
        };
        let mut until = 0;
        if view.enrolled {
            let wanted = Some((&view.name, self.roles));
            let operator = check(&answer.certificate, &answer.authority, &request.public_key, wanted)?;
            files::write(&self.out, armor(&[&answer.certificate, &answer.authority]).as_bytes())?;
            until = operator.not_after.as_unix();
            view.serial = Some(operator.serial.to_string());
            view.not_after = json_time(until);
            view.certificate = Some(self.out.display().to_string());
        }
        let again = [Role::Administrator, Role::Approver].into_iter().any(|role| self.roles.contains(role));
        context.out.emit(&view, |page| {
            page.field("key", &view.key_digits);
            if view.enrolled {
                page.toned(&format!("{} ({}) is enrolled.", view.name, view.roles), Tone::Good);
                page.field("certificate", &self.out.display().to_string());
                page.field("valid until", &moment(until));
                page.gap();
                page.line("Send the certificate back; beside the private key the officer runs");
                page.line(&format!(
                    "  eads officer profile DIR --certificate {} --endpoint {}",
                    self.out.display(),
                    profile.endpoint
                ));
            } else {
                let why = if again { view.roles.as_str() } else { "a name that was revoked" };
                page.line(&format!("Noted. For {why} a second administrator has to say the same; it is not done yet:"));
                page.line(&format!(
                    "  eads officer enrol {} --name {} --roles {} --out {}",
                    self.request.display(),
                    view.name,
                    view.roles,
                    self.out.display()
                ));
            }
        })?;
        Ok(Exit::Done)
    }
}
