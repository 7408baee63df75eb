//! Agreement: one log for all members of a group, kept by openraft behind a narrow surface of ours.
//!
//! The rest of the crate knows a [`Member`] (propose, confirm leadership, snapshot, purge), the
//! [`Machine`] that entries are applied to, and the [`Transport`] between members; openraft's types stay
//! in this folder.
//!
//! # What is guaranteed
//!
//! 1. An entry is applied only when a majority has it on stable storage (I1), on every member in the
//!    same order (I2).
//! 2. A batch enters the log only under the term it was certified in (L2): `with_leader`.
//! 3. After a restart the machine has at least what it had before: the last snapshot, and then the log
//!    up to what was known to be committed.
//! 4. Snapshots and purges come from us alone, up to the trim point (L1).
//!
//! # How data flows
//!
//! Proposals go down a channel to openraft's core task; it appends to [`LogStore`], which puts them on
//! the safekeeper's log and calls back when they are durable; committed entries go to
//! [`StateMachine`], which calls the machine. Core, machine and timers share one thread of their own, in a
//! group of one with the log, so that from the disk's answer to the committer's there is one wake-up.
//!
//! # A leader does not come back as one
//!
//! openraft can restore a restarted leader in the same term without an election. We switch that off: a
//! leader that lost its unsynced tail would write other entries under the same term and index as those
//! a follower may still hold.

mod entry_format;
mod executor;
mod log_store;
mod member;
mod network;
mod runtime;
mod snapshot_file;
mod state_machine;
mod thread;
mod type_config;

pub use entry_format::{EntryBody, decode_entry};
pub use executor::{Executor, TaskError, TaskHandle, Turn};
pub use log_store::LogStore;
pub use member::{Machine, Member, MemberConfig, RoleChange};
pub use network::{NoPeers, PeerRequest, PeerResponse, Transport};
pub use state_machine::StateMachine;
pub use thread::RaftThread;
pub use type_config::TypeConfig;
