//! Transports, and nothing but transports: TLS and gRPC. Rules, authorisation and audit live in `service`.

pub mod error;
pub mod grpc;
pub mod link;
pub mod metrics;
mod progress;
pub mod server;
pub mod tls;
