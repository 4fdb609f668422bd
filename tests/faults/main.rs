//! The node under faults: killed, without power, on a full, failing or read-only disk, without file handles, with a
//! clock that jumps.
//!
//! Two members, each a process with a directory of its own. What was acknowledged to anybody is written down outside
//! of them and held against what is there afterwards. Random moments come from fixed seeds, which a failure names.
//! Tests that need root (they mount file systems and trace processes) are ignored unless asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod clock;
mod erased;
mod errors;
mod full;
mod handles;
mod kill;
mod load;
mod pair;
mod power;
mod readonly;
