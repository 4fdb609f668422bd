//! The wire contract: protobuf messages and, with the feature `services`, gRPC stubs. Nothing else.
//!
//! What the bytes inside the messages mean is described in `proto/README.md`.

/// Package `eads.v1`, generated from `proto/eads/v1/*.proto`; a test regenerates and compares it.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, clippy::large_futures)]
pub mod v1 {
    include!("gen/eads.v1.rs");
}

/// The compiled descriptors of every `.proto` file, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.bin");
