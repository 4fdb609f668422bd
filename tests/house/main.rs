//! Checks on the house itself: its walls, its generated code, its documents.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod architecture;
mod bindings;
