//! `eads status`: one look at the node.

use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::officer::OwnCertificate;
use super::peer::PeerView;
use super::register::show_sequencing;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Page, Tone, json_time, moment, plural};

/// A difference between this machine's clock and the node's that is worth a remark, seconds.
const SKEW_REMARK: u64 = 60;

/// `eads status`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// The JSON of `eads status`.
#[derive(Debug, Serialize)]
struct StatusView {
    member: String,
    version: String,
    register: String,
    register_size: u64,
    checkpoint: String,
    sequencing: String,
    unrecovered: u64,
    notices_in_force: u64,
    held_notices: u64,
    records: u64,
    clock: Option<String>,
    peers: Vec<PeerView>,
    alarms: Vec<String>,
    /// The caller's own.
    certificate: Option<OwnCertificate>,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let profile = context.profile()?;
        let own = OwnCertificate::of(&profile);
        let node = context.node_of(&profile).await?;
        let status = node::answer(node.status().get_status(node.request(proto::GetStatusRequest {}))).await?;
        let node_clock = status.clock;
        let view = StatusView { certificate: own, ..StatusView::from(status) };
        let now = context.now();
        context.out.emit(&view, |page| view.show(page, now, node_clock))?;
        Ok(Exit::Done)
    }
}

impl StatusView {
    fn show(&self, page: &mut Page, now: Timestamp, node_clock: i64) {
        page.field("member", &self.member);
        page.field("version", &self.version);
        page.field("register", &format!("{} ({})", self.register, plural(self.register_size, "entry", "entries")));
        show_sequencing(&self.sequencing, page);
        if self.unrecovered > 0 {
            let lost = plural(self.unrecovered, "entry", "entries");
            page.toned_field("lost", &format!("the content of {lost}: `eads register status`"), Tone::Bad);
        }
        page.field("notices in force", &self.notices_in_force.to_string());
        page.field("notices held", &self.held_notices.to_string());
        page.field("records", &self.records.to_string());
        let skew = now.seconds_since(Timestamp::from_unix(node_clock));
        if skew.unsigned_abs() > SKEW_REMARK {
            let text = format!("{} (differs from this machine's by {skew} s)", moment(node_clock));
            page.toned_field("clock", &text, Tone::Caution);
        } else {
            page.field("clock", &moment(node_clock));
        }
        if let Some(certificate) = &self.certificate {
            page.field("you", &certificate.words(now));
        }
        page.heading("Peers");
        PeerView::show_all(&self.peers, page, now);
        if !self.alarms.is_empty() {
            page.heading("Alarms");
            for alarm in &self.alarms {
                page.toned(&format!("! {alarm}"), Tone::Bad);
            }
        }
    }
}

impl From<proto::GetStatusResponse> for StatusView {
    fn from(status: proto::GetStatusResponse) -> Self {
        Self {
            member: status.member,
            version: status.version,
            register: hex::encode(&status.register),
            register_size: status.register_size,
            checkpoint: String::from_utf8_lossy(&status.checkpoint).into_owned(),
            sequencing: status.sequencing,
            unrecovered: status.unrecovered,
            notices_in_force: status.notices_in_force,
            held_notices: status.held_notices,
            records: status.records,
            clock: json_time(status.clock),
            peers: status.peers.into_iter().map(PeerView::from).collect(),
            alarms: status.alarms,
            certificate: None,
        }
    }
}
