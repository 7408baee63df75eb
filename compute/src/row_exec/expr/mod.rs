//! Expressions over a row: a bound tree compiled once, evaluated for each row.
//!
//! Compiling resolves every column to a place in the row ([`Scope`]) and every function to its body, and
//! computes what is constant. An [`Evaluator`] is immutable and shared by all executions of a plan; what
//! differs between them is in [`Env`].
//!
//! # Invariants
//!
//! 1. Evaluation is by PostgreSQL's rules: unknown in three-valued logic, arguments from left to right,
//!    CASE, COALESCE, AND and OR stop as soon as they know.
//! 2. A constant that cannot be computed (`1/0`) is an error only for a row that reaches it.
//! 3. Subqueries are not compiled here: [`has_subquery`] says where one is, and such statements go to the
//!    report engine.

mod arrays;
mod compile;
mod describe;
mod eval;
mod session_value;

pub use compile::{Scope, compile, has_subquery, is_constant};
pub use eval::{Env, Evaluator};
