//! Statements as text through parser, binder and report engine, over tables in memory.
//!
//! `cases/*.sql` hold queries with the rows that PostgreSQL 15 gives for them; `expect.py PORT` writes those
//! rows, from a server with the tables of `data/tables.sql`.

#![allow(clippy::unwrap_used)]

mod cases;
mod engine;
mod world;
