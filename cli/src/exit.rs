//! How the command ends: one table, shown in the help and never renumbered.

use std::fmt::Write as _;
use std::process::ExitCode;

/// The outcome of a run, as the exit status tells it to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a search: everybody asked has answered.
    Done,
    /// This machine's fault: a file could not be written.
    Local,
    /// The command line makes no sense.
    Usage,
    /// Refused by a rule, a role or the state of things.
    Refused,
    /// There is no such thing.
    NotFound,
    /// The input is not acceptable.
    BadInput,
    /// The node did not answer.
    Unreachable,
    /// Somebody asked has not answered.
    Incomplete,
    /// Something signed or chained does not verify.
    Integrity,
    /// The node failed.
    NodeFault,
    /// The officer stopped it.
    Interrupted,
}

/// Exit, its status, and what the help says about it.
const TABLE: [(Exit, u8, &str); 11] = [
    (Exit::Done, 0, "done; a search was answered by everybody asked, hit or no hit"),
    (Exit::Local, 1, "this machine could not do its part (a file could not be written)"),
    (Exit::Usage, 2, "the command line is wrong"),
    (Exit::Refused, 3, "refused: role, policy, agreement, or the state the thing is in"),
    (Exit::NotFound, 4, "no such notice, draft, record or peer"),
    (Exit::BadInput, 5, "bad input: a file, a value or the profile"),
    (Exit::Unreachable, 6, "the node did not answer"),
    (Exit::Incomplete, 7, "the answer is incomplete: somebody asked did not answer"),
    (Exit::Integrity, 8, "a signature, commitment, register or audit chain does not verify"),
    (Exit::NodeFault, 9, "the node failed"),
    (Exit::Interrupted, 130, "interrupted"),
];

impl Exit {
    /// The exit status, 0 to 255.
    pub(crate) fn status(self) -> u8 {
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, status, _)| *status)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// The table as the end of the help page shows it.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit status:\n");
    for (_, status, meaning) in TABLE {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {status:>3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_status_of_its_own() {
        let mut seen: Vec<u8> = TABLE.iter().map(|(exit, ..)| exit.status()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), TABLE.len());
    }
}
