//! The use cases of a node, free of any transport. Authorisation and audit happen here and nowhere else.

pub mod alarm;
pub mod area;
pub mod audit;
pub mod authorise;
pub mod backup;
pub mod blobs;
pub mod challenges;
pub mod check;
pub mod collisions;
pub mod context;
pub mod court;
pub mod desk;
pub mod error;
pub mod import;
pub mod limits;
mod marks;
pub mod node;
pub mod notices;
pub mod officers;
mod pages;
pub mod peers;
pub mod records;
pub mod register;
pub mod rows;
pub mod search;
pub mod status;
pub mod stored;
pub mod subjects;
pub mod succession;
pub mod sync;
pub mod trust;

pub use context::Call;
pub use error::{Class, ServiceError};
pub use node::{Node, NodeIdentity, Parts};
