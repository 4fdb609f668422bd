//! eads-edge
