//! `eads register`: the registers, own and held.

mod status;

pub(super) use self::status::show_sequencing;

use clap::Subcommand;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone};

/// `eads register`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Verifies the own register and every register held: leaves, roots, signatures, statements.
    Verify(VerifyOptions),
    /// Shows the own register: who has cosigned it, whether it is written, and what of it was lost.
    Status(status::StatusOptions),
    /// Lets the node sign and answer without waiting for any peer.
    Continue(status::ContinueOptions),
}

/// `eads register verify`
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {}

/// One register in JSON.
#[derive(Debug, Serialize)]
struct RegisterView {
    member: String,
    size: u64,
    statements: u64,
    sound: bool,
    finding: String,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Verify(options) => options.run(context).await,
            Self::Status(options) => options.run(context).await,
            Self::Continue(options) => options.run(context).await,
        }
    }
}

impl VerifyOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(proto::VerifyRegistersRequest {});
        let response = node::answer(node.status().verify_registers(request)).await?;
        let registers: Vec<RegisterView> = response.registers.into_iter().map(RegisterView::from).collect();
        context.out.emit_list(&registers, |page| show(&registers, page))?;
        // Not even the own register among them means that nothing was verified.
        let sound = !registers.is_empty() && registers.iter().all(|register| register.sound);
        Ok(if sound { Exit::Done } else { Exit::Integrity })
    }
}

fn show(registers: &[RegisterView], page: &mut Page) {
    if registers.is_empty() {
        page.toned("no register was verified", Tone::Bad);
        return;
    }
    let mut grid = Grid::new(&["MEMBER", "ENTRIES", "STATEMENTS", "VERDICT"]);
    for register in registers {
        let verdict = if register.sound {
            ("sound".to_owned(), Tone::Good)
        } else {
            (format!("NOT SOUND: {}", register.finding), Tone::Bad)
        };
        grid.row([
            (register.member.clone(), Tone::Plain),
            (register.size.to_string(), Tone::Plain),
            (register.statements.to_string(), Tone::Plain),
            verdict,
        ]);
    }
    page.grid(&grid);
}

impl From<proto::RegisterVerification> for RegisterView {
    fn from(found: proto::RegisterVerification) -> Self {
        Self {
            member: found.member,
            size: found.size,
            statements: found.statements,
            sound: found.sound,
            finding: found.finding,
        }
    }
}
