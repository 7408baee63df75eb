//! The log on disk: one sequence of segment files for a safekeeper, shared by all its groups.

mod handle;

pub use handle::{Done, Log, LogConfig, LogEntry, LogPump, LogStats};
