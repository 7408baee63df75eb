//! What a function is, what it is told of its call, and what it may ask of its session.

use super::CatalogAccess;
use crate::SqlResult;
use shardforge_common::Lsn;
use shardforge_common::clock::Clock;
use shardforge_common::random::Random;
use shardforge_types::{Datum, Oid, PgType, Settings};
use std::fmt;
use std::sync::Arc;

/// What a function may ask of its session, fixed when a statement starts.
#[derive(Clone)]
pub struct EvalContext {
    /// Start of the transaction: `now()`. Microseconds since 2000-01-01 UTC.
    pub transaction_time: i64,
    /// Start of the statement.
    pub statement_time: i64,
    /// What changes only with SET and with the connection: shared by its statements.
    pub session: Arc<SessionInfo>,
    /// The catalog as of the statement's snapshot, for functions over object OIDs.
    pub catalog: Option<Arc<dyn CatalogAccess>>,
    /// The session itself, for `current_setting` and `set_config`.
    pub access: Option<Arc<dyn SessionAccess>>,
    /// The session's sequences.
    pub sequences: Option<Arc<dyn SequenceAccess>>,
    /// The LSN that the statement reads at.
    pub snapshot: Option<Lsn>,
    /// The session's last commit that wrote something, before the statement: its LSN, and its time in
    /// microseconds since 2000-01-01 UTC.
    pub last_commit: Option<(Lsn, i64)>,
}

/// What a session is to the functions of its statements.
#[derive(Clone)]
pub struct SessionInfo {
    /// Settings that the forms of values depend on; `now` in it is the transaction's start.
    pub settings: Settings,
    /// `current_user`.
    pub user: String,
    /// `session_user`.
    pub session_user: String,
    /// `current_database()`.
    pub database: String,
    /// Its OID.
    pub database_oid: Oid,
    /// `search_path`, resolved to schemas that exist, `pg_catalog` left out unless it was named.
    pub search_path: Vec<String>,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
    /// `clock_timestamp()`.
    pub clock: Arc<dyn Clock>,
    /// `random()`, `gen_random_uuid()`.
    pub random: Random,
}

/// The part of a session that functions reach.
pub trait SessionAccess: Send + Sync {
    /// The value of a setting as SHOW gives it; `None` when there is no such setting.
    fn setting(&self, name: &str) -> Option<String>;
    /// SET, or SET LOCAL; gives the value as SHOW then gives it.
    fn set_setting(&self, name: &str, value: Option<&str>, local: bool) -> SqlResult<String>;
}

/// The sequences of a session's database. A call may fail because something must be done first; it is then
/// repeated (see [`crate::sequence`]).
pub trait SequenceAccess: Send + Sync {
    /// An evaluation begins, or is repeated: calls that it made before it stopped are not made again.
    fn begin_evaluation(&self);
    /// `nextval`.
    fn next_value(&self, sequence: Oid) -> SqlResult<i64>;
    /// `currval`; `None` before the session's first `nextval` of the sequence.
    fn current_value(&self, sequence: Oid) -> Option<i64>;
    /// `lastval`, with its sequence; `None` before the session's first `nextval`.
    fn last_value(&self) -> Option<(Oid, i64)>;
    /// `setval`.
    fn set_value(&self, sequence: Oid, value: i64, called: bool) -> SqlResult<()>;
}

impl EvalContext {
    /// A context with defaults (UTC, user and database `postgres`, no catalog), at a moment: for tests, and
    /// for work that belongs to no session.
    pub fn detached(now: i64) -> Self {
        Self {
            transaction_time: now,
            statement_time: now,
            session: Arc::new(SessionInfo {
                settings: Settings { now, ..Settings::default() },
                user: "postgres".to_owned(),
                session_user: "postgres".to_owned(),
                database: "postgres".to_owned(),
                database_oid: Oid(5),
                search_path: vec!["public".to_owned()],
                backend_pid: 0,
                clock: Arc::new(shardforge_common::clock::SystemClock),
                random: Random::from_os(),
            }),
            catalog: None,
            access: None,
            sequences: None,
            snapshot: None,
            last_commit: None,
        }
    }

    /// The settings that the forms of values depend on.
    pub fn settings(&self) -> &Settings {
        &self.session.settings
    }
}

impl fmt::Debug for EvalContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvalContext")
            .field("transaction_time", &self.transaction_time)
            .field("statement_time", &self.statement_time)
            .field("user", &self.session.user)
            .field("database", &self.session.database)
            .finish_non_exhaustive()
    }
}

/// What a body is told of the call it runs in.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The session.
    pub context: &'a EvalContext,
    /// The static types of the arguments.
    pub arg_types: &'a [PgType],
    /// The static type of the result.
    pub result: PgType,
}

/// How much a function's result may change between calls with the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// Never: calls with constant arguments are computed once.
    Immutable,
    /// Not within a statement.
    Stable,
    /// At any time.
    Volatile,
}

/// The body of a scalar function.
pub type ScalarBody = fn(&[Datum], &Call<'_>) -> SqlResult<Datum>;

/// A function or operator that makes one value.
#[derive(Debug, Clone, Copy)]
pub struct ScalarFunction {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// `pg_proc.proname`.
    pub name: &'static str,
    /// Whether a null argument makes the result null without a call.
    pub strict: bool,
    /// How much the result may change.
    pub volatility: Volatility,
    /// What it does.
    pub body: ScalarBody,
}

impl ScalarFunction {
    /// The function's value.
    #[inline]
    pub fn call(&self, args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        (self.body)(args, call)
    }

    /// The same function, called for null arguments too.
    pub(super) const fn non_strict(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The same function, of another volatility.
    pub(super) const fn with(mut self, volatility: Volatility) -> Self {
        self.volatility = volatility;
        self
    }
}

/// A strict, immutable function: what most are.
pub(super) const fn strict(oid: u32, name: &'static str, body: ScalarBody) -> ScalarFunction {
    ScalarFunction { oid: Oid(oid), name, strict: true, volatility: Volatility::Immutable, body }
}

/// A strict, stable function.
pub(super) const fn stable(oid: u32, name: &'static str, body: ScalarBody) -> ScalarFunction {
    strict(oid, name, body).with(Volatility::Stable)
}

/// A strict, volatile function.
pub(super) const fn volatile(oid: u32, name: &'static str, body: ScalarBody) -> ScalarFunction {
    strict(oid, name, body).with(Volatility::Volatile)
}

/// The rows of a set-returning function: one value for each of its columns.
pub type SetRows = Box<dyn Iterator<Item = SqlResult<Vec<Datum>>> + Send>;

/// The rows of several functions, each with how many columns it has, as one: as many as the longest has, with nulls
/// for those that have ended.
pub fn side_by_side(mut sets: Vec<(SetRows, usize)>) -> SetRows {
    if sets.len() == 1
        && let Some((rows, _)) = sets.pop()
    {
        return rows;
    }
    let mut sets: Vec<(Option<SetRows>, usize)> =
        sets.into_iter().map(|(rows, width)| (Some(rows), width)).collect();
    Box::new(std::iter::from_fn(move || {
        let mut out = Vec::new();
        let mut any = false;
        for (rows, width) in &mut sets {
            let end = out.len() + *width;
            match rows.as_mut().and_then(Iterator::next) {
                Some(Ok(mut row)) => {
                    any = true;
                    out.append(&mut row);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => *rows = None,
            }
            out.resize(end, Datum::Null);
        }
        any.then_some(Ok(out))
    }))
}

/// The body of a set-returning function.
pub type SetBody = fn(&[Datum], &Call<'_>) -> SqlResult<SetRows>;

/// A function that makes rows.
#[derive(Debug, Clone, Copy)]
pub struct SetFunction {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// `pg_proc.proname`.
    pub name: &'static str,
    /// Whether a null argument makes the set empty without a call.
    pub strict: bool,
    /// How much the result may change.
    pub volatility: Volatility,
    /// What it does.
    pub body: SetBody,
}

impl SetFunction {
    /// The function's rows.
    pub fn call(&self, args: &[Datum], call: &Call<'_>) -> SqlResult<SetRows> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(Box::new(std::iter::empty()));
        }
        (self.body)(args, call)
    }
}
