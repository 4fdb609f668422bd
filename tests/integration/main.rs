//! The federation as a whole: several nodes with real directories, TLS, gRPC and stores, and everything that can be
//! done to them from outside. What a single part promises is tested beside it; here is what they promise together.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up must fail")]

mod audit;
mod audit_proof;
mod backup;
mod certificates;
mod challenges;
mod check;
mod command;
mod compaction;
mod court;
mod desk;
mod erasure;
mod forged;
mod four_eyes;
mod freeze;
mod hostile;
mod identity;
mod import_million;
mod imports;
mod life;
mod notice_life;
mod officers;
mod outbound;
mod photos;
mod programs;
mod record_access;
mod records;
mod recovery;
mod roles;
mod rotation;
mod search;
mod store;
mod subject_requests;
mod sync_file;
mod thin;
mod un_list;
