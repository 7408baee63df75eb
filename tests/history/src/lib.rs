//! Was a history of concurrent transactions what their isolation levels promise?
//!
//! Clients record what they asked, what they were answered, and when. Each key holds a list, writes
//! append values that nobody else appends, and reads give whole lists: so a list that was read says in which
//! order its values were written, and what each reader had not seen yet. From that the dependencies
//! between transactions follow, and a promise that was broken is a circle of them.
//!
//! # The promise
//!
//! Every transaction has a moment at which it commits, and moments at which it reads: SERIALIZABLE one
//! moment for both, REPEATABLE READ one for all its reads, READ COMMITTED one for each statement. A
//! moment sees exactly the commits before it, an answer that came before a question was asked came
//! from an earlier moment, and two writers of a key are one before the other's reads. A history keeps
//! its promises if such moments can be found. [`moments`] makes a point of each, the dependencies order
//! the points, and a cycle of points means that there are none. So levels may mix, and each is held to
//! its own promise: SERIALIZABLE to strict serializability, REPEATABLE READ to snapshot isolation in
//! real time, READ COMMITTED to statements that see one state each.
//!
//! # How a check goes
//!
//! 1. [`History`]: transactions with their operations, outcomes and times. A commit whose answer was
//!    lost counts when somebody saw its writes.
//! 2. [`versions`]: the order of each key's values; what is wrong without any cycle is found here: reads
//!    of aborted (G1a) and intermediate (G1b) values, orders that contradict each other, lost values.
//! 3. [`moments`]: points and edges.
//! 4. [`cycle`]: the shortest cycle, if any; [`anomaly`] names it (G0, G1c, G-single, G2) and shows it
//!    with its transactions.
//!
//! Histories of other shapes have checks of their own: [`sets`] (unique inserts), [`registers`].
//! [`generate`] makes transactions from a seed.

pub mod anomaly;
pub mod cycle;
pub mod generate;
mod history;
pub mod moments;
mod random;
pub mod registers;
pub mod sets;
pub mod versions;

pub use anomaly::{Anomaly, Kind};
pub use history::{History, Level, Op, Outcome, Recorder, Txn, TxnId};
pub use random::Random;

/// Everything that is wrong with a history; empty when it keeps its promises.
pub fn check(history: &History) -> Vec<Anomaly> {
    let (versions, mut found) = versions::read(history);
    if found.is_empty() {
        let points = moments::build(history, &versions);
        found.extend(cycle::shortest(&points.graph).map(|cycle| anomaly::of_cycle(history, &points, &cycle)));
    }
    found
}

/// Panics with a readable report when anything is wrong.
pub fn assert_kept(history: &History) {
    let found = check(history);
    let report: Vec<_> = found.iter().take(3).map(Anomaly::to_string).collect();
    assert!(found.is_empty(), "{} anomalies in {}\n{}", found.len(), history.summary(), report.join("\n\n"));
}
