//! INSERT, UPDATE, DELETE and COPY FROM: rows made, checked, and turned into mutations with their index
//! entries and big values.
//!
//! # The life of a written row
//!
//! 1. It is made: from a source of rows ([`insert`]), or from a scan of the table ([`update`], [`delete`]).
//! 2. [`constraints`] refuses nulls and what CHECK refuses.
//! 3. Its key, and its entries in unique indexes, are locked and looked up at once ([`row_writer`]): another
//!    row under one of them is 23505, or what ON CONFLICT says ([`conflict`]).
//! 4. The mutations are put into the transaction's buffer; RETURNING is computed.
//!
//! Rows that the report engine finds (`UPDATE ... FROM`, subqueries) come in through [`derived`].
//!
//! # Invariants
//!
//! 1. A step that stops and is called again neither loses nor repeats a mutation: those of one row stand in
//!    a list, and the place in it is kept.
//! 2. Uniqueness is checked against what the statement itself has written so far, as PostgreSQL does.

pub(super) mod conflict;
pub(super) mod constraints;
pub(super) mod delete;
pub(super) mod derived;
pub(super) mod insert;
pub(super) mod returning;
pub(super) mod row_writer;
pub(super) mod update;
