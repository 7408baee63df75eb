//! The commands, one a file. Each has `Args` and `run`, which answers with the exit status.

pub(crate) mod init;
pub(crate) mod sql;
pub(crate) mod start;
pub(crate) mod status;
