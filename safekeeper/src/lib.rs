//! Safekeepers: Raft groups that make each commit durable, and feed it to everyone.

pub mod archive;
pub mod certifier;
mod config;
pub mod feed;
pub mod group;
mod history;
mod housekeeping;
pub mod log;
mod machine;
pub mod raft;
mod read_index;
mod safekeeper;
pub mod sequencer;
mod service;
mod supervisor;

pub use config::SafekeeperConfig;
pub use housekeeping::Chore;
pub use safekeeper::Safekeeper;
pub use sequencer::CoreConfig;
