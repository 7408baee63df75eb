//! Sequences: numbers that no one gets twice, taken from memory.
//!
//! # What is guaranteed
//!
//! 1. A number is given out once, whatever happens to the transaction that asked: `nextval` is never
//!    rolled back. What a compute had reserved when it stopped is lost, so there may be gaps.
//! 2. `setval`, ALTER SEQUENCE ... RESTART and TRUNCATE ... RESTART IDENTITY hold for every statement that
//!    begins after them, on any compute.
//!
//! # How it works (rule D2)
//!
//! 1. A compute reserves a [`Block`] by a committed record of its own, which moves the sequence's
//!    [`Position`]; then `nextval` is a step in memory ([`SequenceBlocks::take`]). Blocks grow while they are
//!    used up quickly.
//! 2. A block names the position's version. Whoever sets a position raises the version, and the feed drops
//!    the blocks of every compute as it brings that commit, before a statement can begin that sees it. A new
//!    definition drops them as well.
//! 3. ALTER SEQUENCE and a commit give back what is left of a block, as far as no one reserved behind it.
//! 4. A sequence that the open transaction itself made or changed is moved within the transaction
//!    ([`SessionSequences`]): nobody else can see it yet.
//!
//! # Waiting
//!
//! A function cannot wait. When a block is used up, or a position is to be set, the function fails with an
//! error that carries a [`SequenceNeed`]; the row executor stops there, the session does what is needed
//! ([`SessionSequences::satisfy`]) and the step is repeated. The report engine, which cannot be stopped
//! and repeated, waits on its own thread ([`WaitingSequences`]).

mod blocks;
mod numbers;
mod rules;
mod session;
#[cfg(test)]
mod tests;
mod view;
mod waiting;

pub use blocks::SequenceBlocks;
pub use numbers::{Block, Position, SequenceRules};
pub use rules::{SequenceOptions, altered_rules, new_rules};
pub use session::{SequenceNeed, SessionSequences};
pub use view::as_table;
pub(crate) use view::{pg_sequences, sequence_row};
pub use waiting::WaitingSequences;
