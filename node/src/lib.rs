//! The node of one member: configuration, identity and wiring, and nothing else. Rules live in the crates below.

pub mod backup;
pub mod check;
pub mod command;
pub mod config;
pub mod control;
pub mod identity;
pub mod init;
mod keys;
pub mod lifecycle;
mod maintain;
mod officer;
mod succession;
mod upkeep;

/// A quarter of what a receiving node does is allocating; this halves it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
