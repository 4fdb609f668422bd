//! The rules of the federation as pure code: identifiers, notices, registers, cards, receipts, agreements.
//!
//! Nothing here does input or output, and nothing here reads a clock or a random generator that was not
//! handed to it. A client can use this crate to verify everything that a node claims, without the node.

pub mod clock;
pub mod code;
pub mod encode;
pub mod entropy;
pub mod id;
