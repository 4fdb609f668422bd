//! The two programs as this crate builds them.

use eads_cli::demo::federation::Programs;

/// `eads`.
pub(crate) const EADS: &str = env!("CARGO_BIN_EXE_eads-under-test");
/// `eads-node`.
pub(crate) const EADS_NODE: &str = env!("CARGO_BIN_EXE_eads-node-under-test");

/// For a federation of processes.
pub(crate) fn programs() -> Programs {
    Programs::new(EADS, EADS_NODE)
}
