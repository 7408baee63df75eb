//! The compute: PostgreSQL's wire, names and meanings over the log and its pages. Stateless.
//!
//! A compute never sees a layer file, a manifest or a Raft entry: it commits through
//! `shardforge_proto::wal::WalService` and reads through `shardforge_proto::page::PageService`.
//! It does not know DataFusion either; reports run behind [`report::ReportEngine`].
//!
//! # The life of a statement
//!
//! 1. [`sql`] parses the text and binds it to a [`sql::bound::BoundStatement`], typed by OID.
//! 2. Writes, points and short ranges run on the row executor, other queries on the report engine.
//! 3. Both read through the session's transaction: its own writes, then recent writes over pages.
//! 4. COMMIT sends checks and mutations to the log's leader.

pub mod catalog;
pub mod copy;
pub mod ddl;
pub mod error;
pub mod functions;
pub mod node;
mod notice;
pub mod pgwire;
pub mod report;
pub mod row_exec;
pub mod sequence;
pub mod session;
pub mod sql;
pub mod statistics;
pub mod txn;

pub use error::{SqlError, SqlResult};
pub use notice::Notice;
