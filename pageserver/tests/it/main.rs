//! The pageserver from outside: a WAL in memory before it, a real folder (or one that loses power)
//! behind it.

mod fake_wal;
mod model;
mod page_server;
