//! eads-tests
