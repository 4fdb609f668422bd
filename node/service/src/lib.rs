//! eads-service
