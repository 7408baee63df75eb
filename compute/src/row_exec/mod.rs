//! The row executor: writes, points and short ranges, run where they stand.

pub mod expr;
