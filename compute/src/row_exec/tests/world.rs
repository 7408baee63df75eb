//! A compute whose log and pageserver are in memory, and sessions on it.

use crate::catalog::bootstrap::{self, POSTGRES, SUPERUSER};
use crate::catalog::stored::LAST_RESERVED;
use crate::catalog::{CatalogCache, IdAllocator, SessionCatalog};
use crate::ddl::{DdlContext, execute};
use crate::functions::{EvalContext, text_io};
use crate::row_exec::{ExecEnv, Execution, Executor, RowIds, RowPlan, Stop, plan_row};
use crate::sequence::{SequenceBlocks, SessionSequences};
use crate::sql::bound::{BoundStatement, IsolationLevel as Level, Query, TransactionStatement};
use crate::sql::{BindContext, bind, parse};
use crate::statistics::TableActivity;
use crate::txn::{Branch, BranchConfig, IsolationLevel, LockWait, Need, Txn};
use crate::{SqlError, SqlResult};
use shardforge_cache::testing::test_services;
use shardforge_common::clock::{ManualClock, SystemClock};
use shardforge_common::disk::RealDisk;
use shardforge_types::{Datum, PgType, Settings};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a statement gave.
pub(super) enum Outcome {
    Rows(Vec<String>, u64),
    /// It waits for a row lock.
    Waits,
}

/// One client.
#[derive(Default)]
pub(super) struct Session {
    txn: Option<Txn>,
    in_block: bool,
    waiting: Option<(Execution, Need, Vec<PgType>)>,
}

pub(super) struct World {
    branch: Arc<Branch>,
    cache: CatalogCache,
    ids: IdAllocator,
    activity: TableActivity,
    row_ids: Option<RowIds>,
    context: EvalContext,
    /// Of all sessions: what one has used, the others have.
    sequences: Arc<SessionSequences>,
    pub(super) sessions: BTreeMap<String, Session>,
    separator: &'static str,
    null: &'static str,
    executor: Executor,
    _spill: tempfile::TempDir,
}

fn output_types(statement: &BoundStatement) -> Vec<PgType> {
    let of = |output: &[crate::sql::bound::OutputColumn]| output.iter().map(|column| column.ty).collect();
    let returning = |returning: &Option<crate::sql::bound::Returning>| {
        returning.as_ref().map_or_else(Vec::new, |returning| of(&returning.output))
    };
    match statement {
        BoundStatement::Query(query) => of(&query.output),
        BoundStatement::Insert(insert) => returning(&insert.returning),
        BoundStatement::Update(update) => returning(&update.returning),
        BoundStatement::Delete(delete) => returning(&delete.returning),
        _ => Vec::new(),
    }
}

impl World {
    pub(super) async fn new() -> World {
        let (id, wal, pages) = test_services(7);
        let spill = tempfile::tempdir().unwrap();
        let config = BranchConfig {
            cache_bytes: 1 << 20,
            recent_bytes: 64 << 10,
            page_bytes: 1 << 10,
            spill_bytes: 64 << 10,
            spill_dir: spill.path().join("spill"),
            ..BranchConfig::default()
        };
        let branch =
            Branch::open(id, config, wal, pages, Arc::new(RealDisk), Arc::new(SystemClock)).await.unwrap();
        bootstrap::ensure(&branch).await.unwrap();
        let ids = IdAllocator::new(branch.clone());
        let activity = TableActivity::new(branch.cache().clone(), 0, LAST_RESERVED);
        let blocks = Arc::new(SequenceBlocks::new(branch.clone(), Arc::new(ManualClock::new(0))));
        let sequences = Arc::new(SessionSequences::new(blocks, POSTGRES));
        let context = EvalContext { sequences: Some(sequences.clone()), ..EvalContext::detached(0) };
        let cache = CatalogCache::new();
        World {
            ids,
            activity,
            branch,
            cache,
            row_ids: None,
            context,
            sequences,
            sessions: BTreeMap::new(),
            executor: Executor::Auto,
            separator: " | ",
            null: "null",
            _spill: spill,
        }
    }

    async fn catalog(&self, txn: &mut Txn) -> SessionCatalog {
        let catalog = self.cache.load(txn, POSTGRES).await.unwrap();
        SessionCatalog::new(catalog, &["$user", "public"], "postgres")
    }

    /// Binds and plans a statement.
    pub(super) async fn plan(
        &self,
        txn: &mut Txn,
        sql: &str,
    ) -> SqlResult<(BoundStatement, Option<RowPlan>)> {
        let catalog = self.catalog(txn).await;
        let settings = Settings::default();
        let ctx = BindContext { catalog: &catalog, settings: &settings, param_types: &[] };
        let parsed = parse(sql)?;
        let bound = bind(&parsed[0], &ctx)?;
        let plan = plan_row(&bound.statement, &ctx, self.executor)?;
        Ok((bound.statement, plan))
    }

    /// With the form of values that the list was made with.
    pub(super) async fn for_conformance() -> World {
        let mut world = World::new().await;
        world.separator = "|";
        world.null = "\\N";
        world.executor = Executor::Row;
        world
    }

    /// Runs a query or a write outside a block, whole tables too; `None` when only the report engine can.
    /// Nothing it writes stays.
    pub(super) async fn evaluate(&mut self, sql: &str) -> SqlResult<Option<Outcome>> {
        let mut session = Session::default();
        let mut txn = self.open(&mut session).await;
        let (statement, plan) = match self.plan(&mut txn, sql).await {
            Err(error) if error.fields().message == "this query on the row executor is not supported" => {
                return Ok(None);
            }
            planned => planned?,
        };
        let Some(plan) = plan.filter(|plan| plan.is_whole()) else { return Ok(None) };
        if plan.needs_row_ids() && self.row_ids.is_none() {
            self.row_ids = Some(RowIds::new(self.ids.row_ids().await?));
        }
        self.context.catalog = Some(Arc::new(self.catalog(&mut txn).await));
        let execution = Execution::new(Arc::new(plan));
        let outcome = self.drive(&mut session, &mut txn, execution, &output_types(&statement)).await;
        txn.rollback();
        outcome.map(Some)
    }

    fn take(&mut self, name: &str) -> Session {
        self.sessions.remove(name).unwrap_or_default()
    }

    async fn open(&self, session: &mut Session) -> Txn {
        let mut txn = session.txn.take().unwrap_or_else(|| self.branch.begin(IsolationLevel::ReadCommitted));
        txn.begin_statement().await.unwrap();
        txn
    }

    /// Explains a statement.
    pub(super) async fn explain(&mut self, sql: &str) -> SqlResult<Vec<String>> {
        let mut session = Session::default();
        let mut txn = self.open(&mut session).await;
        let (_, plan) = self.plan(&mut txn, sql).await?;
        txn.rollback();
        Ok(match plan {
            Some(plan) => plan.explain(),
            None => vec!["report".to_owned()],
        })
    }

    /// Runs a statement, with rows for [`RowPlan::feed`].
    pub(super) async fn run(
        &mut self,
        name: &str,
        sql: &str,
        feed: &mut dyn FnMut(&Query) -> Vec<Vec<Datum>>,
    ) -> SqlResult<Outcome> {
        let mut session = self.take(name);
        let mut txn = self.open(&mut session).await;
        let result = self.statement(&mut session, &mut txn, sql, feed).await;
        let result = self.end(&mut session, txn, result).await;
        self.sessions.insert(name.to_owned(), session);
        result
    }

    /// Goes on with a statement that waited.
    pub(super) async fn resume(&mut self, name: &str) -> SqlResult<Outcome> {
        let mut session = self.take(name);
        let mut txn = session.txn.take().expect("a waiting session has a transaction");
        let (execution, need, types) = session.waiting.take().expect("it waits");
        let result = match txn.satisfy(need).await {
            Ok(()) => self.drive(&mut session, &mut txn, execution, &types).await,
            Err(error) => Err(error.into()),
        };
        let result = self.end(&mut session, txn, result).await;
        self.sessions.insert(name.to_owned(), session);
        result
    }

    async fn end(&self, session: &mut Session, txn: Txn, result: SqlResult<Outcome>) -> SqlResult<Outcome> {
        match &result {
            Ok(Outcome::Waits) => session.txn = Some(txn),
            Ok(Outcome::Rows(..)) if session.in_block => session.txn = Some(txn),
            Ok(Outcome::Rows(..)) => {
                let mut txn = txn;
                self.sequences.settle(&mut txn).await?;
                self.sequences.transaction_ends();
                txn.commit().await?;
            }
            Err(_) => {
                session.in_block = false;
                self.sequences.transaction_ends();
                txn.rollback();
            }
        }
        result
    }

    async fn statement(
        &mut self,
        session: &mut Session,
        txn: &mut Txn,
        sql: &str,
        feed: &mut dyn FnMut(&Query) -> Vec<Vec<Datum>>,
    ) -> SqlResult<Outcome> {
        let (statement, plan) = self.plan(txn, sql).await?;
        let done = || Ok(Outcome::Rows(Vec::new(), 0));
        match &statement {
            BoundStatement::Transaction(TransactionStatement::Begin { modes, .. }) => {
                session.in_block = true;
                if modes.isolation == Some(Level::Serializable) {
                    *txn = self.branch.begin(IsolationLevel::Serializable);
                }
                return done();
            }
            BoundStatement::Transaction(TransactionStatement::Commit { .. }) => {
                session.in_block = false;
                return done();
            }
            BoundStatement::Transaction(TransactionStatement::Rollback { .. }) => {
                session.in_block = false;
                return Err(SqlError::internal("rolled back"));
            }
            BoundStatement::Ddl(ddl) => {
                self.sequences.settle(txn).await?;
                self.sequences.schema_changes();
                let catalog = self.catalog(txn).await;
                let context = DdlContext {
                    cache: &self.cache,
                    ids: &self.ids,
                    activity: &self.activity,
                    catalog: &catalog,
                    eval: &self.context,
                    sequences: self.sequences.blocks(),
                    owner: SUPERUSER,
                    // A script cannot go on with a schema change that waits.
                    lock_wait: LockWait::NoWait,
                    in_transaction_block: session.in_block,
                };
                execute(ddl, txn, context).await?;
                return done();
            }
            _ => {}
        }
        let Some(plan) = plan else { return Err(SqlError::internal("the report engine's")) };
        if plan.needs_row_ids() && self.row_ids.is_none() {
            self.row_ids = Some(RowIds::new(self.ids.row_ids().await?));
        }
        let rows = plan.feed().map(|query| feed(query));
        let mut execution = Execution::new(Arc::new(plan));
        if let Some(rows) = rows {
            execution.feed(rows);
        }
        self.drive(session, txn, execution, &output_types(&statement)).await
    }

    async fn drive(
        &self,
        session: &mut Session,
        txn: &mut Txn,
        mut execution: Execution,
        types: &[PgType],
    ) -> SqlResult<Outcome> {
        let mut lines = Vec::new();
        let mut row = Vec::new();
        loop {
            let mut env = ExecEnv {
                txn,
                params: &[],
                context: &self.context,
                row_ids: self.row_ids.as_ref(),
                lock_wait: LockWait::Forever,
            };
            match execution.next(&mut env, &mut row) {
                Ok(true) => {
                    let texts = row.iter().zip(types).map(|(value, ty)| {
                        text_io::to_text(value, *ty, &self.context)
                            .map(|text| text.unwrap_or(self.null.to_owned()))
                    });
                    lines.push(texts.collect::<SqlResult<Vec<_>>>()?.join(self.separator));
                }
                Ok(false) => return Ok(Outcome::Rows(lines, execution.affected())),
                Err(Stop::Need(need @ Need::Lock(_))) => {
                    session.waiting = Some((execution, need, types.to_vec()));
                    return Ok(Outcome::Waits);
                }
                Err(Stop::Need(need)) => txn.satisfy(need).await?,
                Err(Stop::Sequence(need)) => self.sequences.satisfy(need, txn).await?,
                Err(Stop::Yield) => {}
                Err(Stop::RestartStatement) => {
                    txn.restart_statement().await?;
                    execution.restart();
                    lines.clear();
                }
                Err(Stop::TooLarge) => return Err(SqlError::internal("too large")),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }
}
