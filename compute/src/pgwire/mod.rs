//! PostgreSQL's wire protocol, version 3.0, as a server.
//!
//! One task serves one connection, from bytes read to bytes buffered: no message is handed to
//! another task, and the buffer is flushed once, at Sync or Flush (or when it has grown large while
//! rows stream). We wrote the protocol ourselves, where a crate exists, because the crate's handlers
//! box a future and allocate their messages for each call; a prepared point read here does neither.
//!
//! The protocol is that of the chapter "Frontend/Backend Protocol" of PostgreSQL 15's manual.
//!
//! # The life of a connection
//!
//! 1. `server` accepts it, gives it to one of the [`threads`], and registers a cancel key.
//! 2. [`startup`] negotiates encryption, reads user and database, and authenticates.
//! 3. `connection` reads [`message::Frontend`] messages, drives the session, and writes answers
//!    with [`writer::Writer`]. After an error in the extended protocol it skips to Sync.
//!
//! # What it does not do
//!
//! It knows nothing of SQL's meaning: that is the session's. It never interprets a value, except
//! for the lengths and format codes around it.

pub mod cancel;
pub mod connection;
pub mod message;
pub mod scram;
pub mod server;
pub mod startup;
pub mod threads;
pub mod writer;
