//! From a plan to rows: the row executor where it can, the report engine for the rest, and what a
//! statement answers.

use super::Session;
use super::prepared::Plan;
use super::source::StatementTables;
use crate::catalog::DatabaseCatalog;
use crate::ddl::{self, DdlContext};
use crate::functions::EvalContext;
use crate::report::{ReportContext, RowStream};
use crate::row_exec;
use crate::sequence::WaitingSequences;
use crate::sql::BindContext;
use crate::sql::CatalogLookup;
use crate::sql::bound::{Bound, BoundStatement, Ddl, Query};
use crate::txn::{Txn, TxnError, TxnErrorKind};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Settings, SqlState};
use std::sync::Arc;

pub(super) use crate::row_exec::RowPlan;

/// How a statement ends.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    /// As it stands.
    Plain(&'static str),
    /// With a number: `SELECT 3`, `INSERT 0 3`.
    Rows(&'static str, u64),
}

/// What a statement answers: rows as they come, then a tag.
pub(super) struct Outcome {
    rows: std::vec::IntoIter<Vec<Datum>>,
    stream: Option<Box<dyn RowStream>>,
    tag: Tag,
    /// Whether the tag counts the rows sent.
    counts_sent: bool,
}

impl Outcome {
    /// No rows.
    pub(super) fn done(tag: &'static str) -> Self {
        Self::rows(Vec::new(), Tag::Plain(tag))
    }

    /// Rows that are there, and a tag that is known.
    pub(super) fn rows(rows: Vec<Vec<Datum>>, tag: Tag) -> Self {
        Self { rows: rows.into_iter(), stream: None, tag, counts_sent: false }
    }

    /// The rows of a SELECT.
    pub(super) fn selected(rows: Vec<Vec<Datum>>, stream: Option<Box<dyn RowStream>>) -> Self {
        Self { rows: rows.into_iter(), stream, tag: Tag::Rows("SELECT", 0), counts_sent: true }
    }

    /// The next row that is there without waiting.
    pub(super) fn buffered_row(&mut self) -> Option<Vec<Datum>> {
        self.rows.next()
    }

    /// The next row; `None` at the end.
    pub(super) async fn next_row(&mut self) -> SqlResult<Option<Vec<Datum>>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Ok(Some(row));
            }
            let Some(stream) = &mut self.stream else { return Ok(None) };
            let batch = stream.next().await?;
            if batch.is_empty() {
                self.stream = None;
            }
            self.rows = batch.into_iter();
        }
    }

    /// The tag after so many rows were sent.
    pub(super) fn tag(&self, sent: u64) -> Tag {
        match &self.tag {
            Tag::Rows(verb, _) if self.counts_sent => Tag::Rows(verb, sent),
            tag => tag.clone(),
        }
    }

    /// The tag's own row count, for EXPLAIN ANALYZE.
    pub(super) fn affected(&self) -> u64 {
        match self.tag {
            Tag::Rows(_, rows) => rows,
            Tag::Plain(_) => 0,
        }
    }
}

/// What running a statement needs beside its plan.
pub(super) struct Statement {
    pub(super) catalog: Arc<DatabaseCatalog>,
    pub(super) context: Arc<EvalContext>,
    pub(super) params: Arc<[Datum]>,
}

impl Session {
    /// Whether and how the row executor runs a statement.
    pub(super) fn plan_row(
        &self,
        bound: &Bound,
        catalog: &dyn CatalogLookup,
        settings: &Settings,
    ) -> SqlResult<Option<Arc<RowPlan>>> {
        let ctx = BindContext { catalog, settings, param_types: &[] };
        let executor = self.settings.lock().executor();
        Ok(row_exec::plan_row(&bound.statement, &ctx, executor)?.map(Arc::new))
    }

    /// Runs a statement that reads or changes data or schema.
    pub(super) async fn start_data(&mut self, plan: &Arc<Plan>, params: &Arc<[Datum]>) -> SqlResult<Outcome> {
        let statement = self.statement(plan, params)?;
        self.start_bound(&plan.bound.statement, plan.row.as_ref(), &statement).await
    }

    /// What running a plan needs beside it.
    pub(super) fn statement(&mut self, plan: &Plan, params: &Arc<[Datum]>) -> SqlResult<Statement> {
        let catalog =
            plan.catalog().cloned().ok_or_else(|| SqlError::internal("a plan without a catalog"))?;
        let context = self.eval_context(&catalog);
        Ok(Statement { catalog, context, params: params.clone() })
    }

    /// The same for any bound statement.
    pub(super) async fn start_bound(
        &mut self,
        bound: &BoundStatement,
        row: Option<&Arc<RowPlan>>,
        statement: &Statement,
    ) -> SqlResult<Outcome> {
        self.refuse_writes(bound)?;
        match bound {
            BoundStatement::Query(query) => {
                if let Some(row) = row
                    && let Some(gathered) = self.gather(row, statement).await?
                {
                    return Ok(Outcome::selected(gathered.rows, None));
                }
                self.report_outcome(query, statement).await
            }
            BoundStatement::Insert(_) => self.write("INSERT 0", row, statement).await,
            BoundStatement::Update(_) => self.write("UPDATE", row, statement).await,
            BoundStatement::Delete(_) => self.write("DELETE", row, statement).await,
            BoundStatement::Ddl(change) => self.change_schema(change, statement).await,
            BoundStatement::Explain(explain) => Box::pin(self.explain(explain, statement)).await,
            BoundStatement::LockTable { .. } => Err(SqlError::not_supported("LOCK TABLE")),
            _ => Err(SqlError::internal("a statement reached the wrong executor")),
        }
    }

    /// 25006 in a read-only transaction.
    pub(super) fn refuse_writes(&self, bound: &BoundStatement) -> SqlResult<()> {
        if !self.transaction.as_ref().is_some_and(|transaction| transaction.read_only) {
            return Ok(());
        }
        let verb = match bound {
            BoundStatement::Query(query) => match query.rel.row_lock() {
                Some(strength) => strength.command(),
                None if row_exec::statement_locks(bound) => "SELECT FOR UPDATE",
                None => return Ok(()),
            },
            BoundStatement::Insert(_) => "INSERT",
            BoundStatement::Update(_) => "UPDATE",
            BoundStatement::Delete(_) => "DELETE",
            BoundStatement::Copy(copy) if matches!(copy.what, crate::sql::bound::CopyWhat::From { .. }) => {
                "COPY FROM"
            }
            BoundStatement::Ddl(Ddl::Nothing { .. } | Ddl::Analyze { .. }) => return Ok(()),
            BoundStatement::Ddl(change) => ddl_name(change),
            _ => return Ok(()),
        };
        Err(SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {verb} in a read-only transaction"),
        ))
    }

    /// INSERT, UPDATE or DELETE.
    async fn write(
        &mut self,
        verb: &'static str,
        row: Option<&Arc<RowPlan>>,
        statement: &Statement,
    ) -> SqlResult<Outcome> {
        let row = row.ok_or_else(|| SqlError::internal("a write without a plan"))?;
        let gathered = self.gather(row, statement).await?;
        let gathered = gathered.ok_or_else(|| SqlError::internal("a write was given up"))?;
        Ok(Outcome::rows(gathered.rows, Tag::Rows(verb, gathered.affected)))
    }

    /// The answer to a query that the report engine runs.
    pub(super) async fn report_outcome(
        &mut self,
        query: &Query,
        statement: &Statement,
    ) -> SqlResult<Outcome> {
        let stream = self.report(Arc::new(query.clone()), statement).await?;
        Ok(Outcome::selected(Vec::new(), Some(stream)))
    }

    /// Starts a query on the report engine.
    pub(super) async fn report(
        &mut self,
        query: Arc<Query>,
        statement: &Statement,
    ) -> SqlResult<Box<dyn RowStream>> {
        let context = self.report_context(statement).await?;
        self.compute.parts().reports.run(query, context).await
    }

    /// What a report reads through.
    pub(super) async fn report_context(&mut self, statement: &Statement) -> SqlResult<ReportContext> {
        let transaction = self.transaction.as_ref().ok_or_else(|| SqlError::internal("no transaction"))?;
        let mut guard = transaction.lock().await;
        let reader = open(&mut guard)?.reader();
        drop(guard);
        let tables = StatementTables {
            reader,
            catalog: statement.catalog.clone(),
            context: statement.context.clone(),
            sequences: self.sequences.blocks().clone(),
            activity: self.branch.activity.clone(),
        };
        let waiting = WaitingSequences::new(self.sequences.clone(), transaction.txn.clone());
        let session = EvalContext { sequences: Some(Arc::new(waiting)), ..(*statement.context).clone() };
        Ok(ReportContext {
            params: statement.params.clone(),
            tables: Arc::new(tables),
            session: Arc::new(session),
        })
    }

    async fn change_schema(&mut self, change: &Ddl, statement: &Statement) -> SqlResult<Outcome> {
        let catalog = self.lookup(&statement.catalog);
        let branch = self.branch.clone();
        let owner = self.role;
        let sequences = self.sequences.clone();
        if let Some(transaction) = self.transaction.as_ref().filter(|transaction| transaction.changed_schema)
        {
            let mut guard = transaction.lock().await;
            sequences.settle(open(&mut guard)?).await?;
        }
        sequences.schema_changes();
        let lock_wait = self.lock_wait();
        let transaction = self.transaction();
        transaction.changed_schema = true;
        let context = DdlContext {
            cache: &branch.catalogs,
            activity: &branch.activity,
            ids: &branch.ids,
            catalog: &catalog,
            eval: &statement.context,
            sequences: sequences.blocks(),
            owner,
            lock_wait,
            in_transaction_block: transaction.block,
        };
        let outcome = {
            let mut guard = transaction.lock().await;
            let txn = open(&mut guard)?;
            ddl::execute(change, txn, context).await?
        };
        outcome.notices.iter().for_each(|notice| self.notice_with(notice));
        let Some(insert) = outcome.insert else { return Ok(Outcome::done(outcome.tag)) };
        // CREATE TABLE AS: the table is there, in this transaction; now its rows.
        let catalog = self.reload_catalog().await?;
        let lookup = self.lookup(&catalog);
        let context = self.eval_context(&catalog);
        let bound = Bound { statement: BoundStatement::Insert(*insert), params: Vec::new() };
        let row = self.plan_row(&bound, &*lookup, context.settings())?;
        let inner = Statement { catalog, context, params: statement.params.clone() };
        let done = Box::pin(self.start_bound(&bound.statement, row.as_ref(), &inner)).await?;
        Ok(Outcome::rows(Vec::new(), Tag::Rows("SELECT", done.affected())))
    }

    /// The catalog with the running statement's own changes.
    async fn reload_catalog(&mut self) -> SqlResult<Arc<DatabaseCatalog>> {
        let (branch, database) = (self.branch.clone(), self.database);
        let transaction = self.transaction();
        let mut guard = transaction.lock().await;
        let txn = open(&mut guard)?;
        txn.next_command();
        let catalog = branch.catalogs.load(txn, database).await?;
        drop(guard);
        transaction.catalog = Some(catalog.clone());
        Ok(catalog)
    }
}

/// Names the table that a conflict is about; a key that exists now under a unique constraint is 23505.
pub(super) fn conflict_error(error: TxnError, catalog: Option<&DatabaseCatalog>) -> SqlError {
    let key = error.key().cloned();
    let kind = error.kind();
    let mut out = SqlError::from(error);
    if kind != TxnErrorKind::Serialization {
        return out;
    }
    let storage = key.as_ref().and_then(|key| shardforge_common::key::storage_id_of(key).ok());
    let table = storage.and_then(|storage| {
        catalog?.tables().find(|table| {
            table.storage == storage || table.indexes.iter().any(|index| index.storage == storage)
        })
    });
    if let Some(table) = table {
        let fields = out.fields_mut();
        fields.schema = Some(table.schema_name.clone());
        fields.table = Some(table.name.clone());
        let which = format!("Another transaction changed a row of table \"{}\".", table.name);
        fields.detail.get_or_insert(which);
    }
    out.hint("The transaction might succeed if retried.")
}

fn ddl_name(change: &Ddl) -> &'static str {
    match change {
        Ddl::CreateDatabase { .. } => "CREATE DATABASE",
        Ddl::DropDatabase { .. } => "DROP DATABASE",
        Ddl::CreateSchema { .. } => "CREATE SCHEMA",
        Ddl::DropSchema { .. } => "DROP SCHEMA",
        Ddl::CreateTable(_) => "CREATE TABLE",
        Ddl::CreateTableAs { .. } => "CREATE TABLE AS",
        Ddl::DropTable { .. } => "DROP TABLE",
        Ddl::Truncate { .. } => "TRUNCATE TABLE",
        Ddl::AlterTable { .. } => "ALTER TABLE",
        Ddl::CreateIndex(_) => "CREATE INDEX",
        Ddl::DropIndex { .. } => "DROP INDEX",
        Ddl::RenameIndex { .. } => "ALTER INDEX",
        Ddl::Reindex { .. } => "REINDEX",
        Ddl::CreateSequence(_) => "CREATE SEQUENCE",
        Ddl::AlterSequence { .. } | Ddl::RenameSequence { .. } => "ALTER SEQUENCE",
        Ddl::DropSequence { .. } => "DROP SEQUENCE",
        Ddl::CreateRole(_) => "CREATE ROLE",
        Ddl::AlterRole(_) => "ALTER ROLE",
        Ddl::DropRole { .. } => "DROP ROLE",
        Ddl::Analyze { tag, .. } | Ddl::Nothing { tag, .. } => tag,
    }
}

/// The transaction's data behind a lock guard.
pub(super) fn open(guard: &mut Option<Txn>) -> SqlResult<&mut Txn> {
    guard.as_mut().ok_or_else(|| SqlError::internal("the transaction has ended"))
}
