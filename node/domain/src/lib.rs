//! The rules of the federation as pure code: identifiers, notices, registers, cards, receipts, agreements.
//!
//! Nothing here does input or output, and nothing here reads a clock or a random generator that was not
//! handed to it. A client can use this crate to verify everything that a node claims, without the node.

pub mod agreement;
pub mod approval;
pub mod audience;
pub mod audit;
pub mod card;
pub mod chain;
pub mod challenge;
pub mod clock;
pub mod code;
pub mod court_pack;
pub mod disclosure;
pub mod encode;
pub mod entropy;
pub mod id;
pub mod life;
pub mod operator;
pub mod query;
pub mod receipt;
pub mod record;
pub mod reference;
pub mod register;
pub mod screening;
pub mod slot;
pub mod statement;
pub mod subject;
pub mod sync_file;
pub mod value;
pub mod wire;
