//! Safekeepers: Raft groups that make each commit durable, and feed it to everyone.

pub mod certifier;
pub mod group;
pub mod log;
pub mod sequencer;
