//! `eads demo`: a real federation on this machine, doing its work before the eyes of whoever typed the command.
//!
//! One process for each member state, each with its own directory, store, keys and authorities, connected by mutual
//! TLS over the loopback interface. Every act of an officer is a run of this same command with that officer's
//! profile. Nothing is said that was not found out; what does not hold makes the demonstration fail, with the step,
//! the expectation and the end of the log of the node that it concerns.
//!
//! It leaves nothing behind: processes end and the directory is removed, also after a failure, Ctrl-C or SIGTERM,
//! unless `--keep` is given.

pub mod federation;
mod narrate;
mod people;
mod steps;
mod workplace;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use eads_domain::code::Coded as _;
use eads_domain::id::MemberId;

use self::federation::{Federation, FederationError, Participant, Programs};
use self::narrate::Narrator;
use self::people::{MEMBERS, Wanted};
use self::steps::Story;
use self::workplace::Workplace;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Output};

/// The first argument with which this program is a node: what follows is the command line of `eads-node`.
pub const NODE_ARGUMENT: &str = "node";

/// How much of a node's log a failure shows, lines.
const LOG_LINES: usize = 12;

/// `eads demo`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many member states take part, 3 to 11.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=11))]
    members: u8,
    /// Leave the federation running when the last step is done, until Ctrl-C, and print commands to try.
    #[arg(long)]
    keep: bool,
    /// Where the nodes lie, a directory that is not there yet or empty [default: a new one for temporary files].
    ///
    /// It is removed at the end; with --keep a directory that was named here stays.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the node's own program if `arguments` (with the program's name first) ask for it.
pub(crate) fn as_node(arguments: &[OsString]) -> Option<ExitCode> {
    let rest =
        arguments.get(1..).filter(|rest| rest.first().is_some_and(|first| first == OsStr::new(NODE_ARGUMENT)))?;
    Some(match eads_node::command::Command::try_parse_from(rest) {
        Ok(command) => eads_node::command::execute(command),
        Err(refusal) => {
            let exit = if refusal.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nothing is left to do when not even the usage can be shown.
            let _ = refusal.print();
            exit.into()
        }
    })
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let participants = participants(self.members)?;
        let workplace = Workplace::claim(self.dir.as_deref(), self.keep)?;
        let mut narrator = Narrator::new(&context.out);
        narrator.preface(&[
            format!("A federation of {} member states on this machine, in {}.", self.members, workplace.shown()),
            "Each is a process of its own with its own store, keys and authorities. The people are invented, and the"
                .to_owned(),
            "keys sealed at next to no cost: never use this directory for anything real.".to_owned(),
        ])?;
        let mut federation = None;
        tokio::select! {
            outcome = Box::pin(perform(&participants, &workplace, &mut narrator, &mut federation)) => {
                self.conclude(outcome, federation, &workplace, &narrator, context).await
            }
            () = terminated() => Err(CliError::interrupted()),
        }
    }

    /// Says how it ended, and keeps the federation for as long as was asked for.
    async fn conclude(
        &self,
        outcome: Result<(), Trouble>,
        federation: Option<Federation>,
        workplace: &Workplace,
        narrator: &Narrator<'_>,
        context: &Context,
    ) -> Result<Exit, CliError> {
        let outcome = outcome.map_err(|trouble| trouble.explained(&narrator.place(), federation.as_ref()));
        let names: Vec<String> = federation.iter().flat_map(Federation::members).map(|id| id.to_string()).collect();
        let profiles = federation.iter().flat_map(profiles).collect::<Vec<_>>();
        let kept = if self.keep { profiles.as_slice() } else { &[] };
        narrator.finish(outcome.is_ok(), &names, &workplace.shown(), kept)?;
        let Some(mut federation) = federation else { return outcome.map(|()| Exit::Done) };
        if self.keep {
            if let Err(error) = &outcome {
                context.out.error(error);
            }
            invite(&federation, &context.out)?;
            // From here on nothing waits: Ctrl-C must find everything done at once.
            let _ = tokio::signal::ctrl_c().await;
            drop(federation);
        } else {
            federation.stop().await?;
        }
        outcome.map(|()| Exit::Done)
    }
}

/// Everything from the first key to the last proof.
async fn perform(
    participants: &[Participant],
    workplace: &Workplace,
    narrator: &mut Narrator<'_>,
    place: &mut Option<Federation>,
) -> Result<(), Trouble> {
    narrator.begin("Every member makes its node and starts it")?;
    let started = tokio::time::Instant::now();
    let made = Federation::create(&Programs::current()?, workplace.dir(), participants).await?;
    let federation = place.insert(made);
    narrator.measured("made", "keys, authorities, cards and stores made", started.elapsed())?;
    steps::perform(&mut Story::new(federation, narrator)?).await
}

fn participants(count: u8) -> Result<Vec<Participant>, CliError> {
    let chosen = MEMBERS.iter().take(usize::from(count));
    let participant =
        |(id, name): &(&str, &str)| Ok(Participant { member: id.parse::<MemberId>()?, name: (*name).to_owned() });
    chosen.map(participant).collect::<Result<_, eads_domain::id::InvalidId>>().map_err(CliError::from)
}

/// SIGTERM; Ctrl-C is heard by whoever runs the commands.
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

fn profiles(federation: &Federation) -> Vec<String> {
    let nodes = federation.nodes().iter();
    let of_node = |node: &federation::MemberNode| {
        eads_node::init::PROFILES.map(|(name, _)| node.operator(name).profile().display().to_string())
    };
    nodes.flat_map(of_node).collect()
}

/// Commands to try while the federation runs.
fn invite(federation: &Federation, out: &Output) -> Result<(), CliError> {
    if out.format() != Format::Table {
        return Ok(());
    }
    let program = std::env::current_exe().map_or_else(|_| "eads".to_owned(), |path| path.display().to_string());
    let thailand = federation.nodes().iter().find(|node| node.member().to_string() == "TH");
    let Some(node) = thailand.or(federation.nodes().first()) else { return Ok(()) };
    let as_operator = |name: &str| format!("{program} --profile {}", node.operator(name).profile().display());
    out.emit(&(), |page| {
        page.gap();
        page.heading("The federation goes on until Ctrl-C. To try, in another terminal:");
        page.line(&format!("  {} status", as_operator("officer")));
        page.line(&format!(
            "  {} search person --name {:?} --purpose criminal-investigation --legal-basis demonstration --explain",
            as_operator("officer"),
            Wanted::ASKED
        ));
        page.line(&format!("  {} notice list", as_operator("officer")));
        page.line(&format!("  {} peer list", as_operator("admin-1")));
        page.line(&format!("  {} audit search", as_operator("auditor")));
        page.line("");
        page.line(&format!("Profiles: {}/<MEMBER>/profiles/<operator>/profile.toml", federation.dir().display()));
        page.line(&format!("Logs:     {}/<MEMBER>.log", federation.dir().display()));
    })
}

/// What ended a demonstration early.
#[derive(Debug)]
enum Trouble {
    /// Something in the federation.
    Federation(FederationError),
    /// Something on this side.
    Own(CliError),
}

impl From<FederationError> for Trouble {
    fn from(error: FederationError) -> Self {
        Self::Federation(error)
    }
}

impl From<CliError> for Trouble {
    fn from(error: CliError) -> Self {
        Self::Own(error)
    }
}

impl Trouble {
    /// With the step, and the end of the log of the node that it concerns.
    fn explained(self, place: &str, federation: Option<&Federation>) -> CliError {
        let error = match self {
            Self::Federation(error) => error,
            Self::Own(error) => return error.about(place),
        };
        let concerned = error.member().and_then(|member| federation?.node(member).ok());
        let (code, mut text) = (error.code().as_str(), format!("{place}: {error}"));
        if let Some(node) = concerned {
            text.push_str(&format!("\nthe end of the log of {}:", node.member()));
            for line in node.log_tail(LOG_LINES) {
                text.push_str("\n  ");
                text.push_str(&line);
            }
        }
        CliError::new(code, CliError::from(error).exit(), text)
    }
}
