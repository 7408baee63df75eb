//! Safekeepers: Raft groups that make each commit durable, and feed it to everyone.

pub mod log;
