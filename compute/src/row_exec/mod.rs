//! The row executor: writes, points and short ranges, run inline where the session stands.
//!
//! It is synchronous: nothing is awaited, and on a hit in the cache nothing is allocated beyond the values
//! themselves. When something is missing (a page, a row lock) a step ends with [`Stop::Need`]; the session
//! waits for it and calls again, and the execution goes on where it was.
//!
//! # The life of a statement here
//!
//! 1. [`plan_row`] turns a bound statement into a [`RowPlan`], or declines: the report engine's. Which keys a
//!    predicate needs is decided there (a WHERE on the key never reads a whole table).
//! 2. An [`Execution`] is made of the plan, and kept for the next time.
//! 3. [`Execution::next`] is called until it says that there are no more rows. For a write whose rows only
//!    the report engine can find, [`RowPlan::feed`] is the query to run, [`Execution::feed`] takes its rows.
//! 4. After [`Stop::RestartStatement`] (READ COMMITTED: a row was written after the snapshot) the session
//!    takes a new snapshot and runs the whole statement again; locks are kept.
//!
//! # Invariants
//!
//! 1. A plan is immutable: any number of executions share it.
//! 2. A stop loses nothing and repeats nothing.
//! 3. What a statement reads, it reads as of its start; what it checks for uniqueness, as of now.
//!
//! Subqueries that lock rows are taken out of their statement and run before it (`init_plan`).
//!
//! [`expr`] evaluates expressions, [`storage`] knows bytes, `ops` are the operators, `write` the writes.

mod access;
mod execution;
mod explain;
pub mod expr;
mod init_plan;
mod ops;
mod plan;
mod query;
mod shape;
mod statement;
mod stop;
pub mod storage;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use access::UNKNOWN_ROWS;
pub use execution::{ExecEnv, Execution};
pub use init_plan::InitPlan;
pub(crate) use init_plan::statement_locks;
pub use plan::Executor;
pub use statement::{RowPlan, plan_row};
pub use stop::{Step, Stop};
pub use storage::{ROW_ID, RowIds, TableCodec};
pub use write::constraints::violation_of_key;
