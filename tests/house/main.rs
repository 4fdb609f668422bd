//! Checks on the house itself: its walls, its generated code, its documents.

mod architecture;
mod bindings;
