//! PostgreSQL's functions and operators over values, a family to a file, found by `pg_proc` OID.

use shardforge_types::Oid;

/// What a function may ask of its session, fixed when a statement starts.
#[derive(Debug, Clone)]
pub struct EvalContext {
    /// Start of the transaction: `now()`. Microseconds since 2000-01-01 UTC.
    pub transaction_time: i64,
    /// Start of the statement.
    pub statement_time: i64,
    /// The session's time zone, by its IANA name.
    pub time_zone: String,
    /// `current_user`.
    pub user: String,
    /// `current_database()`.
    pub database: String,
    /// Its OID.
    pub database_oid: Oid,
    /// `search_path`, resolved to schemas that exist.
    pub search_path: Vec<String>,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
}
