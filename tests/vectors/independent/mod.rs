//! Our cryptography against code that others wrote: `signed_note`, `tlog_tiles`, Wycheproof.
//!
//! Bytes are exchanged, never types: `signed_note` brings its own, older version of the curve.

mod notes;
mod signatures;
mod trees;
