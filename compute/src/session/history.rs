//! Reading the past: AS OF, for a transaction or for one query.
//!
//! The point is an LSN, or a moment, for which the log's leader knows the last commit. Everything is as it was
//! then: the catalog that names are resolved in, and rows. Nothing can be written.

use super::Session;
use crate::row_exec::expr::{Env, Scope, compile};
use crate::sql::bound::{AsOf, IsolationLevel as SqlLevel};
use crate::sql::{BindContext, ParsedStatement, bind_default};
use crate::txn::{Committed, IsolationLevel, Txn, TxnOptions};
use crate::{SqlError, SqlResult};
use shardforge_common::{ErrorKind, Lsn};
use shardforge_types::{Datum, PgType, SqlState, oids};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The last commit of a session that wrote something.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LastCommit(Option<(Lsn, i64)>);

impl LastCommit {
    /// Takes note of one.
    pub(super) fn note(&mut self, committed: &Committed) {
        if let Some(time_micros) = committed.time_micros {
            self.0 = Some((committed.lsn, time_micros));
        }
    }

    /// Its LSN, and its time in microseconds since 2000-01-01 UTC.
    pub(super) fn get(&self) -> Option<(Lsn, i64)> {
        self.0.map(|(lsn, micros)| (lsn, micros - super::POSTGRES_EPOCH_MICROS))
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

impl Session {
    /// The LSN of a point of history; 22023 for one in the future or before the branch's history.
    pub(super) async fn resolve_as_of(&mut self, point: &AsOf) -> SqlResult<Lsn> {
        let branch = self.branch.branch.clone();
        let text = match point {
            AsOf::Lsn(lsn) => {
                let newest = branch.snapshot().await?;
                if Lsn(*lsn) > newest {
                    return Err(invalid(format!("LSN {lsn} is in the future"))
                        .detail(format!("The newest commit is at LSN {newest}.")));
                }
                return Ok(Lsn(*lsn));
            }
            AsOf::Time(text) => text,
        };
        let micros = self.moment(text).await?;
        let found = branch.lsn_at(micros.saturating_add(super::POSTGRES_EPOCH_MICROS)).await;
        found.map_err(|error| match error.kind() {
            ErrorKind::Invalid => invalid("the moment of AS OF is in the future"),
            ErrorKind::NotFound => invalid("the moment of AS OF is before the history of the branch"),
            _ => error.into(),
        })
    }

    /// The value of an expression that names a moment, with the catalog of now.
    async fn moment(&mut self, text: &str) -> SqlResult<i64> {
        let options = TxnOptions { read_only: true, ..TxnOptions::default() };
        let mut txn = Txn::begin(&self.branch.branch, options);
        txn.begin_statement().await?;
        let catalog = self.branch.catalogs.load(&mut txn, self.database).await?;
        txn.rollback();
        let context = self.eval_context(&catalog);
        let lookup = self.lookup(&catalog);
        let ctx = BindContext { catalog: &*lookup, settings: context.settings(), param_types: &[] };
        let expr =
            bind_default(text, PgType::new(oids::TIMESTAMPTZ), "timestamp", &ctx).map_err(|mut error| {
                // Positions count in the expression's own text.
                error.fields_mut().position = None;
                error
            })?;
        match compile(&expr, &Scope::new())?.eval(&Env::new(&[], &[], &context))? {
            Datum::TimestampTz(micros) => Ok(micros),
            _ => Err(invalid("the moment of AS OF must not be null")),
        }
    }

    /// From here on the open transaction reads the past; 25001 when it has read already.
    pub(super) fn read_as_of(&mut self, lsn: Lsn, one_statement: bool) -> SqlResult<()> {
        let branch = self.branch.branch.clone();
        let transaction = self.transaction();
        if transaction.used {
            let message = "SET TRANSACTION AS OF must be called before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let isolation = IsolationLevel::RepeatableRead;
        let options = TxnOptions { isolation, read_only: true, as_of: Some(lsn) };
        transaction.txn = Arc::new(Mutex::new(Some(Txn::begin(&branch, options))));
        transaction.read_only = true;
        transaction.level = SqlLevel::RepeatableRead;
        transaction.as_of = Some((lsn, one_statement));
        transaction.catalog = None;
        self.sequences.set_read_only(true);
        let mut settings = self.settings.lock();
        settings.fix("transaction_isolation", "repeatable read");
        settings.fix("transaction_read_only", "on");
        Ok(())
    }

    /// Before a statement is bound: one that says AS OF gets a transaction of its own that reads there, and
    /// no other statement joins it.
    pub(super) async fn enter_as_of(&mut self, statement: &ParsedStatement) -> SqlResult<()> {
        let open = self.transaction.as_ref();
        let one_statement = open.and_then(|open| open.as_of).is_some_and(|(_, one)| one);
        let Some(point) = statement.as_of() else {
            if one_statement && !statement.needs_no_snapshot() {
                return Err(SqlError::not_supported("another statement beside one with AS OF")
                    .hint("Begin a transaction with BEGIN AS OF."));
            }
            return Ok(());
        };
        if open.is_some_and(|open| open.block || open.used) {
            return Err(SqlError::not_supported("a query with AS OF inside a transaction")
                .hint("Begin a transaction with BEGIN AS OF."));
        }
        let point = point.clone();
        let lsn = self.resolve_as_of(&point).await?;
        self.read_as_of(lsn, true)
    }
}
