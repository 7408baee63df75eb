//! The operators, one to a file. Each has a plan, which is immutable and shared, and a state, which is one
//! execution's own and keeps its buffers from one execution to the next.
//!
//! Operators are pulled: `next` puts a row into the caller's buffer, or says that there is none left. It may
//! stop ([`super::Stop`]) at any place where it reads; called again, it goes on from there.

pub(super) mod aggregate;
pub(super) mod function;
pub(super) mod limit;
pub(super) mod scan;
pub(super) mod sort;
