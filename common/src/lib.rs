//! The words every part of ShardForge shares: ids, positions, keys, mutations, and the byte formats
//! that cross from one part to another.
//!
//! This crate knows no SQL types, no Arrow and no network. What it holds is either a pure function,
//! a plain value, or a *seam*: a handle through which the rest of the system reaches the clock, the
//! disk, randomness and tasks, so that a simulation can put others in their place.
//!
//! # The life of a commit's bytes
//!
//! 1. A compute encodes its mutations once, as a [`mutation::MutationList`].
//! 2. A group's leader numbers it and puts a [`wal::RecordHeader`] before those same bytes.
//! 3. The log, the feed, recent writes and the pageserver's memtable carry them unchanged.
//! 4. A pageserver folds them into [`page::Page`]s, which computes read and cache.

pub mod clock;
pub mod config;
pub mod disk;
pub mod error;
pub mod file_header;
pub mod ids;
pub mod key;
pub mod mutation;
pub mod page;
pub mod random;
pub mod task;
pub mod wal;

pub use error::{Error, ErrorKind, Result, is_disk_full};
pub use ids::{
    BranchId, BranchRef, ComputeId, Generation, GroupId, Lsn, NodeId, SlotRange, StorageId, TenantId, TxnId,
};
