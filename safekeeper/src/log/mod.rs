//! The log on disk: one sequence of segment files for a safekeeper, shared by all its groups.
//!
//! It holds the groups' entries, votes and committed marks, in one file and one queue, so that
//! hundreds of groups share each sync and no vote changes places with an append.
//!
//! # What is guaranteed
//!
//! 1. **Durable**: what a completion reported as done is found by every later start (I1).
//! 2. **In order**: what a start finds is a prefix of what was asked for, never less than what was
//!    done. One exception: while a disk is full, an operation may overtake appends of *other* groups
//!    (`pump`).
//! 3. **Never wrong**: every entry that is read has passed a checksum seeded with its place (I11). A
//!    damaged log does not open (`Corrupt`, naming file and offset), except as said below.
//! 4. **Full disks** refuse appends, with an error that says so; votes, reads and starts go on.
//! 5. **A failed sync** stops the log; it is never tried again (L3).
//!
//! # How data flows
//!
//! 1. [`Log::append`] puts entries into the index and cache (`visible`), where readers see them at
//!    once, and an operation into the queue (`shared`).
//! 2. [`LogPump::step`], called by a thread or a task (`drive`), takes all that waits, writes it as one
//!    frame (`format`), syncs, and calls the completions.
//! 3. When a batch does not fit, the next segment begins (`files`), with a checkpoint of every
//!    group's small state (`state`).
//! 4. [`Log::purge_to`] moves a group past entries; in the batch that records it, segments that no group
//!    needs are marked freed, and afterwards become spares or go (I5 is the caller's to decide).
//! 5. [`Log::open`] reads every segment back (`recovery`) and cuts the torn tail (`open`).
//!
//! `format`, `state`, `recovery` and `visible` are pure: no I/O, no clock, no threads.
//!
//! # What a single copy cannot tell apart
//!
//! A crash while a batch is being written leaves a bad batch at the end of the log; it was never
//! acknowledged, and is cut. Damage to the last batch, after it was acknowledged, looks just the
//! same, and nothing after it proves otherwise. This is kept small: any later batch is proof, and a log that
//! rests for [`LogConfig::idle_mark_after`], or stops, writes an end mark, which is one. So damage
//! passes for a torn tail only in the last batch before a crash under load. The other copies of the group have
//! that batch; a group of one has not.
//!
//! A log whose files are all gone looks like a new one. Whoever opens it knows whether there was one.
//!
//! # What it does not do
//!
//! It does not know Raft, nor what entries mean, nor when they may be purged. It does not repair
//! damage. It does not keep a second process out: the lock of the data folder does.

mod drive;
mod files;
mod format;
mod handle;
mod open;
mod pump;
mod read;
mod recovery;
mod shared;
mod state;
mod visible;

pub use handle::{Done, Log, LogConfig, LogEntry, LogStats};
pub use pump::LogPump;

#[cfg(test)]
mod tests;
