//! Moves committed records to the object store when layers do not hold them in time, so that the log
//! can be trimmed all the same; and reads them back for who needs the past.
//!
//! # What is guaranteed
//!
//! 1. A log entry is dropped only when every record in it is in the archive, or in layers of published
//!    manifests for all 65,536 slots; when no open staged transaction has a fragment at or before it;
//!    and when a Raft snapshot covers it (I5, L1). A report that is missing means: keep.
//! 2. An archived segment is whole and immutable: records `first` to `last` of one branch, as the feed
//!    delivers them, fragments in the place of their commit. Two members may archive overlapping
//!    ranges; both are right.
//! 3. A segment is deleted only when every shard's manifest is past it.
//!
//! # How data flows
//!
//! Layers are the usual way: pageservers report what they hold ([`Reports`]), and the log is trimmed
//! behind them ([`Trim`]). Only when the log has grown beyond a limit does the [`Archiver`] copy its
//! oldest part, from the log and off the commit path: nothing is written twice while all goes well.
//! What is in the archive is known to the [`ArchiveIndex`], and read by the [`ArchiveReader`].
//!
//! # The contract with the object store
//!
//! A segment is put if absent; one that exists under its name holds the same records. The log is
//! trimmed only after the put was answered. A crash in between leaves a segment that the next listing
//! finds. Deleting needs no order: nothing refers to a segment but its name.

mod archiver;
mod index;
mod reader;
mod reports;
mod segment_format;
mod trim;

pub use archiver::Archiver;
pub use index::ArchiveIndex;
pub use reader::ArchiveReader;
pub use reports::Reports;
pub use segment_format::{Segment, decode_segment, encode_segment};
pub use trim::Trim;

#[cfg(test)]
mod tests;
