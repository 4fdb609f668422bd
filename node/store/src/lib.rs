//! eads-store
