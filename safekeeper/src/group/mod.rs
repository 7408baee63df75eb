//! The replicated state of a WAL group: what every member derives from the log, alike.
//!
//! A group carries the logs of many branches. One Raft entry is a [`Batch`] of WAL records, of any of
//! them; applying it moves each branch on. Nothing here knows of Raft, disks or time: a log entry in,
//! effects out.
//!
//! # Invariants
//!
//! 1. A branch's commits are applied in LSN order, without gaps (I2). A batch that does not follow on,
//!    or was certified under another term than that of its entry, changes nothing (L2).
//! 2. A transaction id is committed at most once, and never after it was aborted (C1), as far back as
//!    the [`OutcomeTable`] reaches; it says itself how far that is.
//! 3. Fragments are numbered without gaps, and take effect at the LSN of their commit record, or
//!    never (C6).
//! 4. Every member has the same state after the same index: what decides is in the log, times
//!    included. Only [`GroupState::forget_below`] depends on what a member has purged.
//!
//! # Life of a batch
//!
//! 1. [`Batch::build`] encodes what the sequencer numbered; the log keeps those bytes.
//! 2. [`GroupState::apply`] checks that all of it follows on, and then takes it record by record.
//! 3. Its [`Effect`]s go to the feed and to those who wait.

mod batch;
mod branch;
mod lease;
mod outcomes;
mod snapshot_format;
mod state;
mod times;

pub use batch::{Batch, RecordAt};
pub use branch::{BranchState, OpenBody, StagedTransaction};
pub use lease::{LeaseBody, LeaseState, Process};
pub use outcomes::{Outcome, OutcomeTable};
pub use snapshot_format::{decode_state, encode_state};
pub use state::{Applied, Effect, GroupState};
pub use times::CommitTimes;

#[cfg(test)]
mod tests;
