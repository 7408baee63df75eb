//! The operators, one to a file. Each has a plan, which is immutable and shared, and a state, which is one
//! execution's own and keeps its buffers from one execution to the next.
//!
//! On the inner side of a loop an operator reads *over* an outer row: its expressions may use that row's columns,
//! and the rows that it gives begin with them. Elsewhere the outer row is empty.
//!
//! Operators are pulled: `next` puts a row into the caller's buffer, or says that there is none left. It may
//! stop ([`super::Stop`]) at any place where it reads; called again, it goes on from there.

pub(super) mod aggregate;
pub(super) mod distinct_on;
pub(super) mod function;
pub(super) mod limit;
pub(super) mod lock;
pub(super) mod nested_loop;
pub(super) mod scan;
pub(super) mod sort;
