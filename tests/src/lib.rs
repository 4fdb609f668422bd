//! What the tests of the federation stand on: nodes with real directories, keys, TLS, gRPC and stores in this very
//! process, operators who call them, and a peer that owns a real identity and does with it what it likes.
//!
//! Everything here panics where it fails, with words that say what was expected: a failure of the harness is a
//! failure of the test.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up must fail")]

pub mod content;
pub mod disk;
pub mod hostile;
pub mod house;
pub mod inquiry;
pub mod lists;
pub mod member;
pub mod notices;
pub mod officers;
pub mod operator;
pub mod photos;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod questions;
pub mod strace;
pub mod traces;
pub mod wait;
