//! The contracts between the parts: Rust traits over the types of `shardforge-common`.
//!
//! A safekeeper, a pageserver and a compute never depend on one another: they meet only here. Each
//! trait is implemented by the service itself (a direct call in one process), by a gRPC client, and
//! by a simulation that delays, drops and partitions.
//!
//! # The life of a COMMIT
//!
//! 1. The compute calls [`wal::WalService::submit`] with checks and an encoded mutation list.
//! 2. The group's leader certifies, numbers and appends it, and answers once a quorum has it.
//! 3. [`wal::FeedSink::deliver`] carries the record to every subscriber, the sender included.
//!
//! # The life of a page read
//!
//! 1. The compute calls [`page::PageService::get_page`] with a key and the LSNs `[floor, s]` it may
//!    be answered at (R1).
//! 2. The pageserver answers with a [`shardforge_common::page::Page`] that covers the key.

pub mod control;
pub mod page;
pub mod wal;
