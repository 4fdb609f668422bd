//! eads
