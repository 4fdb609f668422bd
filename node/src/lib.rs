//! eads-node
