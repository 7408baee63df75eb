//! Carries committed records to everyone who wants them, in LSN order and without gaps (I2).
//!
//! # What is guaranteed
//!
//! 1. A subscriber gets every LSN from the one it asked for, in order, once, and only committed ones.
//! 2. A batch's mark says "all up to here delivered"; it never splits an LSN (L4): the fragments of a
//!    large transaction come first, in order, under marks of the LSN before, and the mark moves with
//!    the commit record itself.
//! 3. Nothing is delivered beyond the credit granted, but for the last batch, which may overdraw it.
//! 4. The thread that applies the log is never held up: it delivers to subscribers that are *live*,
//!    and leaves the others behind.
//!
//! # How data flows
//!
//! ```text
//!             publish: the applying thread calls the sink directly
//!   live  ----------------------------------------------------------> live
//!    |  no credit, or a large transaction                               ^
//!    v                                                                  |
//!  behind  -- catch_up: one thread reads the log, then the archive --> go_live
//! ```
//!
//! A subscriber that is behind is worked on a chunk at a time, all of them in turn. It becomes live
//! under its branch's lock, when there is nothing between it and what was published last.
//!
//! A filtered feed (a pageserver's) leaves out mutations of other slots; ranges go to every slot. Who
//! filters alike shares the batch.

mod catch_up;
mod filter;
mod hub;
mod subscriber;

pub use catch_up::{CatchUp, Chunk, ReadFrom, Source, placed_fragment};
pub use filter::filter_record;
pub use hub::{Hub, Publication};
pub use subscriber::Subscription;

#[cfg(test)]
mod tests;
