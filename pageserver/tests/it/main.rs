//! The pageserver from outside: a WAL in memory before it, a real folder (or one that loses power)
//! behind it.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::disallowed_methods, reason = "tests damage files behind the pageserver's back")]

mod fake_wal;
mod model;
mod page_server;
mod power_loss;
