//! A session's transaction: implicit or a block, its savepoints, and its end.

use super::Session;
use super::execute::conflict_error;
use super::settings::{SettingsMark, checked, level_of};
use crate::catalog::DatabaseCatalog;
use crate::sql::bound::{IsolationLevel as SqlLevel, TransactionModes, TransactionStatement};
use crate::txn::{IdleTxn, IsolationLevel, Savepoint, Txn, TxnOptions};
use crate::{SqlError, SqlResult};
use shardforge_common::Lsn;
use shardforge_types::SqlState;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The transaction's data. Empty once it has ended.
pub(super) type SharedTxn = Arc<Mutex<Option<Txn>>>;

/// A transaction that ended without a trace, and the place that its data was in: the next one begins in both.
pub(super) struct Idle {
    txn: IdleTxn,
    place: SharedTxn,
}

/// An open transaction.
pub(super) struct Transaction {
    /// Its data.
    pub(super) txn: SharedTxn,
    /// Whether BEGIN has opened it; else it ends with the query or at Sync.
    pub(super) block: bool,
    /// Whether a statement has failed in it.
    pub(super) failed: bool,
    /// `now()`: microseconds since 2000-01-01 UTC.
    pub(super) started: i64,
    /// Whether a statement has run in it, after which its modes are fixed.
    pub(super) used: bool,
    /// Whether it has changed the schema: then the catalog is read through its own writes.
    pub(super) changed_schema: bool,
    /// Whether it refuses writes.
    pub(super) read_only: bool,
    /// Its isolation level, as it was asked for.
    pub(super) level: SqlLevel,
    /// Whether it was begun DEFERRABLE. No snapshot here can turn out unsafe for a read-only transaction,
    /// so it never has to wait for one.
    deferrable: bool,
    /// The point of history that it reads, and whether one statement alone asked for it.
    pub(super) as_of: Option<(Lsn, bool)>,
    /// The LSN that the last statement read at.
    pub(super) snapshot: Option<Lsn>,
    /// The catalog of the last statement.
    pub(super) catalog: Option<Arc<DatabaseCatalog>>,
    savepoints: Vec<Saved>,
    /// Counts the savepoints made: what is younger than one goes with it.
    moments: u64,
}

/// What ROLLBACK TO goes back to.
struct Saved {
    name: String,
    point: Savepoint,
    /// Portals that were made at this moment or later are closed.
    moment: u64,
    read_only: bool,
    settings: SettingsMark,
}

impl Transaction {
    /// The data, for as long as the guard is held.
    pub(super) async fn lock(&self) -> OwnedMutexGuard<Option<Txn>> {
        self.txn.clone().lock_owned().await
    }

    /// The data, for good.
    async fn take_data(&mut self) -> Option<Txn> {
        match Arc::get_mut(&mut self.txn) {
            Some(data) => data.get_mut().take(),
            None => self.lock().await.take(),
        }
    }

    /// How many savepoints were made in it.
    pub(super) fn moment(&self) -> u64 {
        self.moments
    }

    /// A statement has failed. What the innermost savepoint, or the whole block, wrote and locked is
    /// given up now and not when the client asks for it: others may wait.
    async fn fail(&mut self) {
        self.failed = true;
        let mut guard = self.lock().await;
        match self.savepoints.last() {
            Some(saved) => {
                if let Some(txn) = guard.as_mut() {
                    txn.rollback_to(saved.point);
                }
            }
            None => drop(guard.take()),
        }
    }

    /// Ends it without effect.
    pub(super) async fn rollback(self) {
        if let Some(txn) = self.txn.lock().await.take() {
            txn.rollback();
        }
    }
}

impl From<SqlLevel> for IsolationLevel {
    fn from(level: SqlLevel) -> Self {
        match level {
            SqlLevel::ReadUncommitted | SqlLevel::ReadCommitted => IsolationLevel::ReadCommitted,
            SqlLevel::RepeatableRead => IsolationLevel::RepeatableRead,
            SqlLevel::Serializable => IsolationLevel::Serializable,
        }
    }
}

fn level_name(level: SqlLevel) -> &'static str {
    match level {
        SqlLevel::ReadUncommitted => "read uncommitted",
        SqlLevel::ReadCommitted => "read committed",
        SqlLevel::RepeatableRead => "repeatable read",
        SqlLevel::Serializable => "serializable",
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What setting one of the `transaction_...` parameters means; `None` for others.
pub(super) fn modes_of_setting(name: &str, value: &str) -> SqlResult<Option<TransactionModes>> {
    let mut modes = TransactionModes::default();
    match name {
        "transaction_isolation" => modes.isolation = Some(level_of(Some(&checked(name, value)?))),
        "transaction_read_only" => modes.read_only = Some(checked(name, value)? == "on"),
        "transaction_deferrable" => modes.deferrable = Some(checked(name, value)? == "on"),
        _ => return Ok(None),
    }
    Ok(Some(modes))
}

/// 25P02.
pub(super) fn aborted() -> SqlError {
    SqlError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

impl Session {
    /// The open transaction, begun when there is none.
    pub(super) fn transaction(&mut self) -> &mut Transaction {
        if self.transaction.is_none() {
            self.begin(TransactionModes::default());
        }
        self.transaction.as_mut().expect("begun above")
    }

    fn begin(&mut self, modes: TransactionModes) {
        let started = self.now();
        let mut settings = self.settings.lock();
        let limits = settings.limits();
        let level = modes.isolation.unwrap_or(limits.level);
        let read_only = modes.read_only.unwrap_or(limits.read_only);
        let deferrable = modes.deferrable.unwrap_or(limits.deferrable);
        settings.transaction_begins();
        settings.fix("transaction_isolation", level_name(level));
        settings.fix("transaction_read_only", on_off(read_only));
        settings.fix("transaction_deferrable", on_off(deferrable));
        drop(settings);
        self.sequences.set_read_only(read_only);
        let options = TxnOptions { isolation: level.into(), read_only: false, as_of: None };
        let txn = match self.idle.take() {
            Some(Idle { txn, mut place }) => {
                let data = Arc::get_mut(&mut place).expect("whoever shared it is gone since it became idle");
                *data.get_mut() = Some(txn.begin(options));
                place
            }
            None => Arc::new(Mutex::new(Some(Txn::begin(&self.branch.branch, options)))),
        };
        self.transaction = Some(Transaction {
            txn,
            block: false,
            failed: false,
            started,
            used: false,
            changed_schema: false,
            read_only,
            level,
            deferrable,
            as_of: None,
            snapshot: None,
            catalog: None,
            savepoints: Vec::new(),
            moments: 0,
        });
    }

    /// Runs BEGIN, COMMIT and their kin; answers with the command tag.
    pub(super) async fn run_transaction_statement(
        &mut self,
        statement: &TransactionStatement,
    ) -> SqlResult<&'static str> {
        let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.block);
        let no_block = |session: &mut Self| {
            session.warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
        };
        if let TransactionStatement::Commit { chain: true } | TransactionStatement::Rollback { chain: true } =
            statement
            && !in_block
        {
            let verb =
                if matches!(statement, TransactionStatement::Commit { .. }) { "COMMIT" } else { "ROLLBACK" };
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{verb} AND CHAIN can only be used in transaction blocks"),
            ));
        }
        match statement {
            TransactionStatement::Begin { modes, start } => {
                let tag = if *start { "START TRANSACTION" } else { "BEGIN" };
                if in_block {
                    self.warning(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "there is already a transaction in progress",
                    );
                    return Ok(tag);
                }
                // Statements before BEGIN in the same query become part of the block.
                self.transaction().block = true;
                self.set_modes(*modes)?;
                Ok(tag)
            }
            TransactionStatement::BeginAsOf(modes, point) => {
                if in_block {
                    let message = "there is already a transaction in progress";
                    return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
                }
                let lsn = self.resolve_as_of(point).await?;
                self.transaction().block = true;
                self.set_modes(*modes)?;
                self.read_as_of(lsn, false)?;
                Ok("BEGIN")
            }
            TransactionStatement::SetAsOf(point) => {
                if !in_block {
                    self.warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    );
                    return Ok("SET");
                }
                let lsn = self.resolve_as_of(point).await?;
                self.read_as_of(lsn, false)?;
                Ok("SET")
            }
            TransactionStatement::Commit { chain } => {
                let modes = self.current_modes();
                if !in_block {
                    no_block(self);
                }
                let failed = self.transaction.as_ref().is_some_and(|transaction| transaction.failed);
                let tag = if failed { "ROLLBACK" } else { "COMMIT" };
                self.end(!failed).await?;
                self.chain(*chain && in_block, modes);
                Ok(tag)
            }
            TransactionStatement::Rollback { chain } => {
                let modes = self.current_modes();
                if !in_block {
                    no_block(self);
                }
                self.end(false).await?;
                self.chain(*chain && in_block, modes);
                Ok("ROLLBACK")
            }
            TransactionStatement::Savepoint(name) => {
                let settings = self.settings.lock().mark();
                let transaction = self.block("SAVEPOINT")?;
                let point = with_txn(transaction, Txn::savepoint).await?;
                transaction.moments += 1;
                let (moment, read_only) = (transaction.moments, transaction.read_only);
                transaction.savepoints.push(Saved { name: name.clone(), point, moment, read_only, settings });
                Ok("SAVEPOINT")
            }
            TransactionStatement::Release(name) => {
                let transaction = self.block("RELEASE SAVEPOINT")?;
                let at = find_savepoint(transaction, name)?;
                transaction.savepoints.truncate(at);
                Ok("RELEASE")
            }
            TransactionStatement::RollbackTo(name) => {
                self.sequences.undone();
                let transaction = self.block("ROLLBACK TO SAVEPOINT")?;
                let at = find_savepoint(transaction, name)?;
                let saved = &transaction.savepoints[at];
                let (point, moment) = (saved.point, saved.moment);
                with_txn(transaction, |txn| txn.rollback_to(point)).await?;
                transaction.savepoints.truncate(at + 1);
                transaction.failed = false;
                transaction.catalog = None;
                let read_only = transaction.savepoints[at].read_only;
                transaction.read_only = read_only;
                let settings = transaction.savepoints[at].settings.clone();
                self.settings.lock().restore_mark(&settings);
                self.sequences.set_read_only(read_only);
                self.portals.close_from(moment);
                Ok("ROLLBACK")
            }
            TransactionStatement::SetTransaction(modes) => {
                if !in_block {
                    self.warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    );
                    return Ok("SET");
                }
                self.set_modes(*modes)?;
                Ok("SET")
            }
            TransactionStatement::SetSession(modes) => {
                let mut settings = self.settings.lock();
                if let Some(level) = modes.isolation {
                    settings.set("default_transaction_isolation", Some(level_name(level)), false)?;
                }
                let named = [
                    ("default_transaction_read_only", modes.read_only),
                    ("default_transaction_deferrable", modes.deferrable),
                ];
                for (name, value) in named {
                    if let Some(value) = value {
                        settings.set(name, Some(on_off(value)), false)?;
                    }
                }
                Ok("SET")
            }
        }
    }

    fn current_modes(&self) -> TransactionModes {
        let Some(transaction) = &self.transaction else { return TransactionModes::default() };
        TransactionModes {
            isolation: Some(transaction.level),
            read_only: Some(transaction.read_only),
            deferrable: Some(transaction.deferrable),
        }
    }

    fn chain(&mut self, chain: bool, modes: TransactionModes) {
        if chain {
            self.begin(modes);
            self.transaction().block = true;
        }
    }

    fn block(&mut self, what: &str) -> SqlResult<&mut Transaction> {
        self.transaction.as_mut().filter(|transaction| transaction.block).ok_or_else(|| {
            SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{what} can only be used in transaction blocks"),
            )
        })
    }

    /// Gives the transaction modes, where that is still possible.
    pub(super) fn set_modes(&mut self, modes: TransactionModes) -> SqlResult<()> {
        let too_late = |what: &str| Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, what));
        let branch = self.branch.branch.clone();
        let transaction = self.transaction();
        if transaction.as_of.is_some() && modes.read_only == Some(false) {
            let message = "a transaction that reads the past is read-only";
            return Err(SqlError::new(SqlState::INVALID_TRANSACTION_STATE, message));
        }
        if transaction.as_of.is_some() {
            // One snapshot, whatever the level.
            return Ok(());
        }
        let nested = !transaction.savepoints.is_empty();
        if let Some(level) = modes.isolation.filter(|level| *level != transaction.level) {
            if transaction.used {
                return too_late("SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
            if nested {
                return too_late("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
            }
            let options = TxnOptions { isolation: level.into(), read_only: false, as_of: None };
            transaction.txn = Arc::new(Mutex::new(Some(Txn::begin(&branch, options))));
            transaction.level = level;
        }
        if let Some(read_only) = modes.read_only {
            if transaction.read_only && !read_only {
                if transaction.savepoints.last().is_some_and(|saved| saved.read_only) {
                    return too_late("cannot set transaction read-write mode inside a read-only transaction");
                }
                if transaction.used {
                    return too_late("transaction read-write mode must be set before any query");
                }
            }
            transaction.read_only = read_only;
        }
        if let Some(deferrable) = modes.deferrable {
            if nested {
                return too_late("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
            }
            if transaction.used {
                return too_late("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
            }
            transaction.deferrable = deferrable;
        }
        let (level, read_only, deferrable) =
            (transaction.level, transaction.read_only, transaction.deferrable);
        self.sequences.set_read_only(read_only);
        let mut settings = self.settings.lock();
        settings.fix("transaction_isolation", level_name(level));
        settings.fix("transaction_read_only", on_off(read_only));
        settings.fix("transaction_deferrable", on_off(deferrable));
        Ok(())
    }

    /// Ends the transaction, if one is open. An error means that it was rolled back.
    pub(super) async fn end(&mut self, commit: bool) -> SqlResult<()> {
        self.portals.clear();
        let Some(mut transaction) = self.transaction.take() else { return Ok(()) };
        self.transactions_ended += 1;
        let result = match transaction.take_data().await {
            Some(txn) => match txn.into_idle() {
                Ok(txn) => {
                    if Arc::get_mut(&mut transaction.txn).is_some() {
                        self.idle = Some(Idle { txn, place: transaction.txn });
                    }
                    Ok(())
                }
                Err(txn) if commit => self.commit(txn, &transaction).await,
                Err(txn) => {
                    txn.rollback();
                    Ok(())
                }
            },
            None => Ok(()),
        };
        self.sequences.transaction_ends();
        self.settings.lock().transaction_ends(commit && result.is_ok());
        result
    }

    async fn commit(&mut self, mut txn: Txn, transaction: &Transaction) -> SqlResult<()> {
        if transaction.changed_schema {
            // What is left of blocks that it reserved in sequences of its own goes back.
            self.sequences.settle(&mut txn).await?;
        }
        let committed = txn.commit().await;
        let committed = committed.map_err(|error| conflict_error(error, transaction.catalog.as_deref()))?;
        self.last_commit.note(&committed);
        Ok(())
    }

    /// A statement has failed: a block waits for its end, anything else is rolled back.
    pub async fn statement_failed(&mut self) {
        match &mut self.transaction {
            Some(transaction) if transaction.block => transaction.fail().await,
            Some(_) => drop(self.end(false).await),
            None => {}
        }
    }

    /// Sync: the implicit transaction ends.
    pub async fn sync(&mut self) -> SqlResult<()> {
        match &self.transaction {
            Some(transaction) if transaction.block => Ok(()),
            _ => self.end(true).await,
        }
    }
}

/// Runs something on the transaction's data.
async fn with_txn<T>(transaction: &Transaction, run: impl FnOnce(&mut Txn) -> T) -> SqlResult<T> {
    let mut guard = transaction.lock().await;
    let txn = guard.as_mut().ok_or_else(|| SqlError::internal("the transaction has ended"))?;
    Ok(run(txn))
}

fn find_savepoint(transaction: &Transaction, name: &str) -> SqlResult<usize> {
    transaction.savepoints.iter().rposition(|saved| saved.name == name).ok_or_else(|| {
        SqlError::new(SqlState::S_E_INVALID_SPECIFICATION, format!("savepoint \"{name}\" does not exist"))
    })
}
