//! Safekeepers: Raft groups that make each commit durable, and feed it to everyone.
//!
//! A [`Safekeeper`] is one member of one WAL group. It implements
//! [`WalService`](shardforge_proto::wal::WalService): whoever leads the group certifies, numbers and
//! appends commits; every member feeds them to computes and pageservers, in one order.
//!
//! # The life of a COMMIT
//!
//! 1. [`Safekeeper::submit`](shardforge_proto::wal::WalService::submit) puts the request into the
//!    inbox of the [`sequencer`], and runs it if nobody else does.
//! 2. The sequencer looks the transaction id up, asks the branch's [`certifier`], gives the next LSN,
//!    and builds one [`group::Batch`] of all that waited.
//! 3. [`raft::Member::propose`] takes the batch to openraft, under the term in which it was certified;
//!    [`raft::LogStore`] puts it on the [`log`], which writes and syncs it, here and on the
//!    other members.
//! 4. When a majority has it, [`group::GroupState::apply`] checks once more that it follows on, and the
//!    branch moves to its LSNs.
//! 5. The same thread delivers it to live subscribers of the [`feed`], answers all who waited, and runs
//!    the sequencer for those who came meanwhile.
//! 6. When layers hold it, or the [`archive`] does, it is trimmed from the log.
//!
//! # Threads
//!
//! | thread | does |
//! |---|---|
//! | the caller's | certifies and numbers, for everyone who waits; a lone one does the rest as well ([`lone`]) |
//! | `wal-group` | openraft, applying, live feeds, answers; in a group of one, writing and syncing |
//! | `log` | writes and syncs, in a group with other members |
//! | `feed-catch-up` | reads the log and the archive for those who are behind |
//! | the runtime it was started on | housekeeping: archive, trim, leases of staged transactions |
//!
//! # What it does not do
//!
//! It does not know SQL, pages or layers; it reads keys and tags of mutations, never values. Moving a
//! branch between groups (seal), pins and horizon, and NOTIFY have their record
//! kinds in the format, and are refused until they are built.

pub mod archive;
pub mod certifier;
mod config;
pub mod feed;
pub mod group;
mod history;
mod housekeeping;
pub mod lease;
pub mod log;
mod lone;
mod machine;
pub mod raft;
mod read_index;
mod safekeeper;
pub mod sequencer;
mod service;
mod supervisor;

pub use config::SafekeeperConfig;
pub use housekeeping::Chore;
pub use safekeeper::Safekeeper;
pub use sequencer::CoreConfig;
