//! Runs reports: lowers bound trees to DataFusion's logical plans and executes them, behind the seam in
//! [`shardforge_compute::report`].
//!
//! # What is guaranteed
//!
//! 1. A query means here what it means in the row executor: an expression that DataFusion would understand
//!    otherwise is evaluated by the row executor's own evaluator, row by row, within a function of ours.
//! 2. What is not built is refused with 0A000; no row is ever wrong instead.
//! 3. Reports have threads and a memory limit of their own. Beyond the limit a query ends with 53200.
//! 4. A table is read through the session's [`TableSource`](shardforge_compute::report::TableSource) only:
//!    one snapshot, the transaction's own writes included. Nothing is written.
//!
//! # Life of a report
//!
//! 1. [`DataFusionEngine`] starts a task on its own runtime.
//! 2. `lower` turns the bound tree into a logical plan. A column is called `c<id>`, whichever relation it
//!    comes from; every cast is in the tree already, so no rule of DataFusion's changes a type. Subqueries
//!    become joins, or an operator that runs a plan for each distinct set of outer values.
//! 3. DataFusion optimizes and plans; `session` says which of its rules run. `operator` holds what it
//!    lacks: groups of any aggregate, DISTINCT ON, subqueries, functions in FROM.
//! 4. `scan` pulls rows from the table source and makes Arrow arrays of them, as `values` says.
//! 5. `results` sends batches through a bounded channel; the session takes datums out.

mod cte;
mod engine;
mod error;
mod exact;
mod kernel;
mod lower;
mod operator;
mod physical;
mod results;
mod scan;
mod session;
mod source;
mod values;

pub use engine::{DataFusionEngine, EngineConfig};
