//! Officers as they are shown.

use std::path::PathBuf;

use eads_domain::clock::Timestamp;
use eads_domain::operator::{Operator, OperatorName};
use eads_proto::v1 as proto;
use serde::Serialize;

use super::certificate::armor;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Grid, Page, Tone, age, dated, json_time};
use crate::profile::Profile;

/// `eads officer list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {}

/// `eads officer show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The officer.
    name: OperatorName,
    /// Write the current certificate, followed by that of the authority, to this file.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct OfficersView {
    officers: Vec<OfficerView>,
    awaiting_second_administrator: Vec<AwaitedView>,
}

#[derive(Debug, Serialize)]
struct OfficerView {
    name: String,
    state: String,
    since: Option<String>,
    #[serde(skip)]
    since_unix: i64,
    by: String,
    reason: String,
    last_seen: Option<String>,
    #[serde(skip)]
    last_seen_unix: i64,
    certificates: Vec<CertificateView>,
}

#[derive(Debug, Serialize)]
struct CertificateView {
    serial: String,
    roles: String,
    state: String,
    not_before: Option<String>,
    not_after: Option<String>,
    #[serde(skip)]
    not_after_unix: i64,
    enrolled: Option<String>,
    by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct AwaitedView {
    name: String,
    roles: String,
    administrator: String,
    at: Option<String>,
    #[serde(skip)]
    at_unix: i64,
}

/// The caller's own certificate, as `eads status` shows it.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct OwnCertificate {
    name: String,
    roles: String,
    not_after: Option<String>,
    #[serde(skip)]
    not_after_unix: i64,
}

impl ListOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let listed = node::answer(node.officers().list_officers(node.request(proto::ListOfficersRequest {}))).await?;
        let view = OfficersView {
            officers: listed.officers.into_iter().map(OfficerView::from).collect(),
            awaiting_second_administrator: listed.awaited.into_iter().map(AwaitedView::from).collect(),
        };
        let now = context.now();
        context.out.emit(&view, |page| view.show(page, now))?;
        Ok(Exit::Done)
    }
}

impl ShowOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let message = node.request(proto::GetOfficerRequest { name: self.name.to_string() });
        let answer = node::answer(node.officers().get_officer(message)).await?;
        let officer = answer.officer.unwrap_or_default();
        if let Some(file) = &self.certificate {
            let current = officer.certificates.iter().rfind(|one| one.state == "current").ok_or_else(|| {
                CliError::new(
                    "OFFICER_UNCERTIFIED",
                    Exit::NotFound,
                    format!("{} has no current certificate", self.name),
                )
            })?;
            files::write(file, armor(&[&current.certificate, &answer.authority]).as_bytes())?;
        }
        let view = OfficerView::from(officer);
        let now = context.now();
        context.out.emit(&view, |page| view.show(page, now))?;
        Ok(Exit::Done)
    }
}

impl OfficersView {
    fn show(&self, page: &mut Page, now: Timestamp) {
        let mut grid = Grid::new(&["NAME", "ROLES", "STATE", "VALID UNTIL", "SERIAL", "LAST SEEN"]);
        for officer in &self.officers {
            let certificate = officer.certificate();
            grid.row([
                (officer.name.clone(), Tone::Plain),
                (certificate.map(|one| one.roles.clone()).unwrap_or_default(), Tone::Plain),
                (officer.state.clone(), state_tone(&officer.state)),
                (certificate.map_or_else(String::new, |one| dated(now, one.not_after_unix)), Tone::Plain),
                (certificate.map(|one| one.serial.clone()).unwrap_or_default(), Tone::Plain),
                (age(now, officer.last_seen_unix), Tone::Plain),
            ]);
        }
        page.grid(&grid);
        if !self.awaiting_second_administrator.is_empty() {
            page.heading("Waiting for a second administrator");
            let mut grid = Grid::new(&["NAME", "ROLES", "FIRST", "SINCE"]);
            for one in &self.awaiting_second_administrator {
                grid.row([
                    (one.name.clone(), Tone::Plain),
                    (one.roles.clone(), Tone::Plain),
                    (one.administrator.clone(), Tone::Plain),
                    (age(now, one.at_unix), Tone::Plain),
                ]);
            }
            page.grid(&grid);
        }
    }
}

impl OfficerView {
    /// The newest current one, or the newest.
    fn certificate(&self) -> Option<&CertificateView> {
        self.certificates.iter().rfind(|one| one.state == "current").or(self.certificates.last())
    }

    fn show(&self, page: &mut Page, now: Timestamp) {
        page.field("name", &self.name);
        page.toned_field("state", &self.state, state_tone(&self.state));
        page.field("since", &dated(now, self.since_unix));
        page.field("by", &self.by);
        if !self.reason.is_empty() {
            page.field("reason", &self.reason);
        }
        page.field("last seen", &age(now, self.last_seen_unix));
        page.heading("Certificates");
        let mut grid = Grid::new(&["SERIAL", "ROLES", "STATE", "VALID UNTIL", "BY"]);
        for one in &self.certificates {
            grid.row([
                (one.serial.clone(), Tone::Plain),
                (one.roles.clone(), Tone::Plain),
                (one.state.clone(), Tone::Plain),
                (dated(now, one.not_after_unix), Tone::Plain),
                (one.by.join(", "), Tone::Plain),
            ]);
        }
        page.grid(&grid);
    }
}

fn state_tone(state: &str) -> Tone {
    match state {
        "active" => Tone::Good,
        "revoked" => Tone::Bad,
        _ => Tone::Caution,
    }
}

impl OwnCertificate {
    /// What the profile's certificate says; none where it is no officer's.
    pub(in crate::commands) fn of(profile: &Profile) -> Option<Self> {
        let operator = Operator::from_certificate(&profile.certificate_der).ok()?;
        Some(Self {
            name: operator.name.to_string(),
            roles: operator.roles.to_string(),
            not_after: json_time(operator.not_after.as_unix()),
            not_after_unix: operator.not_after.as_unix(),
        })
    }

    /// One line.
    pub(in crate::commands) fn words(&self, now: Timestamp) -> String {
        format!("{} ({}), valid until {}", self.name, self.roles, dated(now, self.not_after_unix))
    }
}

impl From<proto::Officer> for OfficerView {
    fn from(officer: proto::Officer) -> Self {
        Self {
            name: officer.name,
            state: officer.state,
            since: json_time(officer.since),
            since_unix: officer.since,
            by: officer.by,
            reason: officer.reason,
            last_seen: json_time(officer.last_seen),
            last_seen_unix: officer.last_seen,
            certificates: officer.certificates.into_iter().map(CertificateView::from).collect(),
        }
    }
}

impl From<proto::OfficerCertificate> for CertificateView {
    fn from(one: proto::OfficerCertificate) -> Self {
        Self {
            serial: one.serial,
            roles: one.roles.join(","),
            state: one.state,
            not_before: json_time(one.not_before),
            not_after: json_time(one.not_after),
            not_after_unix: one.not_after,
            enrolled: json_time(one.enrolled),
            by: one.by,
        }
    }
}

impl From<proto::AwaitedOfficer> for AwaitedView {
    fn from(one: proto::AwaitedOfficer) -> Self {
        Self {
            name: one.name,
            roles: one.roles.join(","),
            administrator: one.administrator,
            at: json_time(one.at),
            at_unix: one.at,
        }
    }
}
