//! Running statements: the simple query, Execute, and what both have in common.

use super::execute::{Outcome, RowPlan, Tag, open};
use super::prepared::{Plan, Portal, PortalState};
use super::row_run::{Ran, verb};
use super::rows::RowForms;
use super::{Deadline, Session, rows};
use crate::catalog::DatabaseCatalog;
use crate::functions::EvalContext;
use crate::pgwire::cancel::Cancel;
use crate::pgwire::connection::{Ended, Wire};
use crate::pgwire::writer::Severity;
use crate::sql::bound::{BoundStatement, PreparedStatement, SettingStatement, TransactionStatement};
use crate::sql::{self, ParsedStatement};
use crate::{SqlError, SqlResult};
use shardforge_common::task;
use shardforge_types::{Datum, SqlState};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

/// How often a statement outside a block is run again after a conflict, before the client is told.
const CONFLICT_RETRIES: u32 = 20;

/// What the runner needs beside the plan.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) params: &'a Arc<[Datum]>,
    pub(super) formats: &'a [u8],
    /// Whether RowDescription is written (the simple protocol).
    pub(super) describe: bool,
    /// Whether the transaction, if it is implicit, ends with this statement.
    last: bool,
    /// Whether nothing ran before it in its implicit transaction: then it may be run again.
    first: bool,
}

impl Session {
    /// Runs all statements of a text and writes what they answer, errors included.
    pub async fn simple_query(&mut self, text: &str, wire: &mut Wire) -> Result<(), Ended> {
        self.cancel.reset();
        self.portals.close("");
        self.statements.remove("");
        if let Err(error) = self.statements_of(text, wire).await? {
            self.statement_failed().await;
            self.write_notices(&mut wire.writer);
            wire.writer.error(Severity::Error, &error);
        }
        self.write_notices(&mut wire.writer);
        Ok(())
    }

    async fn statements_of(&mut self, text: &str, wire: &mut Wire) -> Result<SqlResult<()>, Ended> {
        if let Some((prepared, params)) = self.cached_plan(text).await {
            let run = Run {
                plan: &prepared.plan(),
                params: &params,
                formats: &[],
                describe: true,
                last: true,
                first: true,
            };
            if let Err(error) = self.run(run, prepared.statement.as_ref(), wire).await? {
                return Ok(Err(error));
            }
            return Ok(self.sync().await);
        }
        let statements = match sql::parse(text) {
            Ok(statements) => statements,
            Err(error) => return Ok(Err(error)),
        };
        if statements.is_empty() {
            wire.writer.empty_query();
            return Ok(Ok(()));
        }
        let count = statements.len();
        for (index, statement) in statements.iter().enumerate() {
            let plan = match self.plan(statement, &[]).await {
                Ok(plan) => plan,
                Err(error) => return Ok(Err(error)),
            };
            if let Some(param) = plan.bound.params.first() {
                let _ = param;
                return Ok(Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1")));
            }
            let run = Run {
                plan: &plan,
                params: &no_params(),
                formats: &[],
                describe: true,
                last: index + 1 == count,
                first: index == 0,
            };
            if let Err(error) = self.run(run, Some(statement), wire).await? {
                return Ok(Err(error));
            }
            self.write_notices(&mut wire.writer);
        }
        Ok(self.sync().await)
    }

    /// Execute: runs a portal for up to `max_rows` rows, 0 for all.
    pub async fn execute(
        &mut self,
        name: &str,
        max_rows: u32,
        wire: &mut Wire,
    ) -> Result<SqlResult<()>, Ended> {
        self.cancel.reset();
        let mut portal = match self.portals.take(name) {
            Ok(portal) => portal,
            Err(error) => return Ok(Err(error)),
        };
        let transactions = self.transactions_ended;
        let result = self.execute_portal(&mut portal, max_rows, wire).await?;
        // A portal ends with its transaction, which may just have ended.
        if result.is_ok() && transactions == self.transactions_ended {
            self.portals.put(name, portal);
        } else {
            self.portals.retire(portal);
        }
        Ok(result)
    }

    async fn execute_portal(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        wire: &mut Wire,
    ) -> Result<SqlResult<()>, Ended> {
        let prepared = portal.prepared.clone();
        let Some(statement) = &prepared.statement else {
            wire.writer.empty_query();
            return Ok(Ok(()));
        };
        if let Err(error) = self.refuse_when_aborted(statement) {
            return Ok(Err(error));
        }
        let (cancel, mut deadline) = (self.cancel.clone(), self.deadline());
        if matches!(portal.state, PortalState::Fresh) {
            portal.plan = match self.valid_plan(&prepared).await {
                Ok(plan) => plan,
                Err(error) => return Ok(Err(error)),
            };
            if max_rows > 0
                && let BoundStatement::Prepared(PreparedStatement::Execute { name, args }) =
                    &portal.plan.bound.statement
            {
                let (name, args) = (name.clone(), args.clone());
                let inner = async {
                    let (prepared, params) = self.execute_arguments(&name, &args).await?;
                    Ok::<_, SqlError>((self.valid_plan(&prepared).await?, params))
                };
                (portal.plan, portal.params) = match inner.await {
                    Ok(inner) => inner,
                    Err(error) => return Ok(Err(error)),
                };
            }
            if max_rows == 0 || portal.plan.output.is_empty() {
                let first = self.transaction.as_ref().is_none_or(|transaction| !transaction.used);
                // When Sync follows at once, the commit belongs to this statement, and a conflict
                // can still be answered by running it again.
                let last = wire.next_is_sync();
                portal.state = PortalState::Done;
                let run = Run {
                    plan: &portal.plan,
                    params: &portal.params,
                    formats: &portal.formats,
                    describe: false,
                    last,
                    first,
                };
                return self.run(run, Some(statement), wire).await;
            }
            let started = self.start(&portal.plan, &portal.params, &mut deadline).await;
            portal.state = match started {
                Ok(outcome) => PortalState::Suspended(outcome, 0),
                Err(error) => return Ok(Err(error)),
            };
        }
        let PortalState::Suspended(outcome, sent) = &mut portal.state else {
            if portal.plan.output.is_empty() {
                return Ok(Err(SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "portal cannot be run: it has run already",
                )));
            }
            // Run to its end before: no more rows.
            wire.writer.command_complete_rows("SELECT", 0);
            return Ok(Ok(()));
        };
        let before = *sent;
        let objects = self.object_names(&portal.plan);
        while max_rows == 0 || *sent - before < u64::from(max_rows) {
            let next = match cancellable(&cancel, &mut deadline, outcome.next_row()).await {
                Ok(next) => next,
                Err(error) => return Ok(Err(error)),
            };
            let Some(row) = next else {
                // Counted anew by each Execute, for the rows of RETURNING as well.
                let tag = match outcome.tag(*sent - before) {
                    Tag::Rows(verb, _) => Tag::Rows(verb, *sent - before),
                    tag => tag,
                };
                portal.state = PortalState::Done;
                write_tag(&tag, wire);
                return Ok(Ok(()));
            };
            let written = {
                let settings = self.settings.lock();
                let forms = RowForms { settings: settings.forms(), objects: objects.as_deref() };
                rows::write_row(&row, &portal.plan.output, &portal.formats, &forms, &mut wire.writer)
            };
            if let Err(error) = written {
                return Ok(Err(error));
            }
            *sent += 1;
            wire.flush_if_large().await?;
        }
        wire.writer.portal_suspended();
        Ok(Ok(()))
    }

    /// Runs one statement and writes all that it answers.
    async fn run(
        &mut self,
        run: Run<'_>,
        statement: Option<&ParsedStatement>,
        wire: &mut Wire,
    ) -> Result<SqlResult<()>, Ended> {
        if let BoundStatement::Prepared(PreparedStatement::Execute { name, args }) = &run.plan.bound.statement
        {
            let (prepared, params) = match self.execute_arguments(name, args).await {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            let plan = match self.valid_plan(&prepared).await {
                Ok(plan) => plan,
                Err(error) => return Ok(Err(error)),
            };
            let inner = Run { plan: &plan, params: &params, ..run };
            return Box::pin(self.run(inner, prepared.statement.as_ref(), wire)).await;
        }
        if matches!(run.plan.bound.statement, BoundStatement::Copy(_)) {
            return self.run_copy(run.plan, run.last, wire).await;
        }
        let single =
            run.first && run.last && self.transaction.as_ref().is_none_or(|transaction| !transaction.block);
        // The plan of a later attempt, which may see another schema.
        let mut again: Option<Arc<Plan>> = None;
        let mut attempt = 0;
        loop {
            let (mark, sent) = (wire.writer.pending().len(), wire.sent_bytes());
            let result = match &again {
                Some(plan) => self.run_once(&Run { plan, ..run }, wire).await?,
                None => self.run_once(&run, wire).await?,
            };
            let Err(error) = result else { return Ok(Ok(())) };
            let untold = wire.sent_bytes() == sent;
            if !(single && untold && is_conflict(&error) && attempt < CONFLICT_RETRIES) {
                return Ok(Err(error));
            }
            attempt += 1;
            metrics::counter!("shardforge_statement_retries_total").increment(1);
            wire.writer.truncate(mark);
            // Whatever is left of the failed transaction goes; the next attempt begins afresh.
            drop(self.end(false).await);
            if attempt > 2 {
                task::sleep(Duration::from_millis(u64::from(attempt))).await;
            }
            if let Some(statement) = statement {
                let types: Vec<_> = run.plan.bound.params.iter().copied().map(Some).collect();
                again = match self.plan(statement, &types).await {
                    Ok(plan) => Some(plan),
                    Err(error) => return Ok(Err(error)),
                };
            }
        }
    }

    async fn run_once(&mut self, run: &Run<'_>, wire: &mut Wire) -> Result<SqlResult<()>, Ended> {
        let (plan, mut deadline) = (run.plan, self.deadline());
        let whole = plan.row.as_ref().filter(|row| row.is_whole()).zip(verb(&plan.bound.statement));
        let done = match whole {
            Some((row, verb)) => self.run_row(row, verb, run, &mut deadline, wire).await?,
            None => match self.start(plan, run.params, &mut deadline).await {
                Ok(outcome) => self.write_outcome(outcome, run, &mut deadline, wire).await?,
                Err(error) => Err(error),
            },
        };
        let tag = match done {
            Ok(tag) => tag,
            Err(error) => return Ok(Err(error)),
        };
        if run.last
            && let Err(error) = self.sync().await
        {
            return Ok(Err(error));
        }
        self.write_notices(&mut wire.writer);
        write_tag(&tag, wire);
        Ok(Ok(()))
    }

    /// Runs what the row executor has planned; what is too large for it goes to the report engine.
    async fn run_row(
        &mut self,
        row: &Arc<RowPlan>,
        verb: &'static str,
        run: &Run<'_>,
        deadline: &mut Deadline,
        wire: &mut Wire,
    ) -> Result<SqlResult<Tag>, Ended> {
        self.transaction().used = true;
        let statement = match self.statement(run.plan, run.params) {
            Ok(statement) => statement,
            Err(error) => return Ok(Err(error)),
        };
        match self.run_to_wire(row, verb, run, &statement, deadline, wire).await? {
            Ok(Ran::Whole(tag)) => return Ok(Ok(tag)),
            Ok(Ran::TooLarge) => {}
            Err(error) => return Ok(Err(error)),
        }
        let BoundStatement::Query(query) = &run.plan.bound.statement else {
            return Ok(Err(SqlError::internal("a write was given up")));
        };
        let cancel = self.cancel.clone();
        match cancellable(&cancel, deadline, self.report_outcome(query, &statement)).await {
            Ok(outcome) => self.write_outcome(outcome, run, deadline, wire).await,
            Err(error) => Ok(Err(error)),
        }
    }

    /// Writes what a statement answers.
    async fn write_outcome(
        &mut self,
        mut outcome: Outcome,
        run: &Run<'_>,
        deadline: &mut Deadline,
        wire: &mut Wire,
    ) -> Result<SqlResult<Tag>, Ended> {
        let (plan, cancel) = (run.plan, self.cancel.clone());
        if run.describe && plan.returns_rows() {
            rows::write_description(plan, run.formats, &mut wire.writer);
        }
        let mut sent = 0;
        let objects = self.object_names(plan);
        loop {
            let row = match outcome.buffered_row() {
                Some(row) => row,
                None => match cancellable(&cancel, deadline, outcome.next_row()).await {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(error) => return Ok(Err(error)),
                },
            };
            let written = {
                let settings = self.settings.lock();
                let forms = RowForms { settings: settings.forms(), objects: objects.as_deref() };
                rows::write_row(&row, &plan.output, run.formats, &forms, &mut wire.writer)
            };
            if let Err(error) = written {
                return Ok(Err(error));
            }
            sent += 1;
            wire.flush_if_large().await?;
        }
        Ok(Ok(outcome.tag(sent)))
    }

    /// What shows objects by their names, when the statement's rows or parameters have such values.
    pub(super) fn object_names(&mut self, plan: &Plan) -> Option<Arc<EvalContext>> {
        if !plan.shows_objects {
            return None;
        }
        let catalog = plan.catalog()?.clone();
        Some(self.eval_context(&catalog))
    }

    /// Starts a statement that is neither COPY nor EXECUTE. Everything but the rows has happened
    /// when this returns.
    async fn start(
        &mut self,
        plan: &Arc<Plan>,
        params: &Arc<[Datum]>,
        deadline: &mut Deadline,
    ) -> SqlResult<Outcome> {
        match &plan.bound.statement {
            BoundStatement::Transaction(statement) => {
                if let Some(transaction) = &self.transaction
                    && transaction.failed
                    && !matches!(
                        statement,
                        TransactionStatement::Commit { .. }
                            | TransactionStatement::Rollback { .. }
                            | TransactionStatement::RollbackTo(_)
                    )
                {
                    return Err(super::transaction::aborted());
                }
                let tag = self.run_transaction_statement(statement).await?;
                Ok(Outcome::done(tag))
            }
            BoundStatement::Setting(statement) => self.run_setting(statement),
            BoundStatement::Notice { tag, message } => {
                self.notice(message.clone());
                Ok(Outcome::done(tag))
            }
            BoundStatement::Discard(what) => self.run_discard(what),
            BoundStatement::Prepared(PreparedStatement::Prepare { name, params, text }) => {
                if self.statements.contains_key(name) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_PSTATEMENT,
                        format!("prepared statement \"{name}\" already exists"),
                    ));
                }
                let given = params.iter().copied().map(Some).collect();
                let prepared = Box::pin(self.prepare(text, given)).await?;
                self.statements.insert(name.clone(), Arc::new(prepared));
                Ok(Outcome::done("PREPARE"))
            }
            BoundStatement::Prepared(PreparedStatement::Deallocate(name)) => match name {
                Some(name) => {
                    self.prepared(name)?;
                    self.statements.remove(name);
                    Ok(Outcome::done("DEALLOCATE"))
                }
                None => {
                    self.statements.clear();
                    Ok(Outcome::done("DEALLOCATE ALL"))
                }
            },
            _ => {
                self.transaction().used = true;
                let cancel = self.cancel.clone();
                cancellable(&cancel, deadline, self.start_data(plan, params)).await
            }
        }
    }

    fn run_setting(&mut self, statement: &SettingStatement) -> SqlResult<Outcome> {
        let mut settings = self.settings.lock();
        match statement {
            SettingStatement::Set { name, value, local } => {
                // Undone when the transaction rolls back, an implicit one too.
                drop(settings);
                self.transaction();
                if let Some(value) = value
                    && let Some(modes) = super::transaction::modes_of_setting(name, value)?
                {
                    self.set_modes(modes)?;
                    return Ok(Outcome::done("SET"));
                }
                let mut settings = self.settings.lock();
                let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.block);
                if *local && !in_block {
                    drop(settings);
                    self.warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET LOCAL can only be used in transaction blocks",
                    );
                    return Ok(Outcome::done("SET"));
                }
                let notice = settings.set(name, value.as_deref(), *local)?;
                drop(settings);
                notice.into_iter().for_each(|text| self.notice(text));
                Ok(Outcome::done("SET"))
            }
            SettingStatement::Reset { name } => {
                settings.reset(name.as_deref())?;
                Ok(Outcome::done("RESET"))
            }
            SettingStatement::Show { name } if name == "all" => {
                let row = |(name, value): (&str, &str)| {
                    vec![Datum::text(name), Datum::text(value), Datum::text("")]
                };
                Ok(Outcome::rows(settings.all().into_iter().map(row).collect(), Tag::Plain("SHOW")))
            }
            SettingStatement::Show { name } => {
                if name.starts_with("transaction_") {
                    // Of a transaction of its own, outside of a block.
                    drop(settings);
                    self.transaction();
                    settings = self.settings.lock();
                }
                let value = settings.show(name)?.to_string();
                Ok(Outcome::rows(vec![vec![Datum::text(value)]], Tag::Plain("SHOW")))
            }
        }
    }

    fn run_discard(&mut self, what: &'static str) -> SqlResult<Outcome> {
        if what == "DISCARD ALL" {
            if self.transaction.as_ref().is_some_and(|transaction| transaction.block) {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "DISCARD ALL cannot run inside a transaction block",
                ));
            }
            self.statements.clear();
            self.portals.clear();
            self.executions.clear();
            self.plan_cache.clear();
            self.sequences.discard();
            self.settings.lock().reset(None)?;
            return Ok(Outcome::done(what));
        }
        if what == "DISCARD SEQUENCES" {
            self.sequences.discard();
        }
        // Plans are bound again when they must be; there are no temporary tables.
        self.executions.clear();
        self.plan_cache.clear();
        Ok(Outcome::done(what))
    }

    /// The catalog as the next statement sees it: the statement begins here.
    pub(super) async fn statement_catalog(&mut self) -> SqlResult<Arc<DatabaseCatalog>> {
        self.begin_statement().await?;
        self.load_catalog().await
    }

    /// The next statement of the transaction begins; its snapshot is taken.
    pub(super) async fn begin_statement(&mut self) -> SqlResult<()> {
        let transaction = self.transaction();
        let mut guard = transaction.lock().await;
        let txn = open(&mut guard)?;
        txn.begin_statement().await?;
        let snapshot = txn.snapshot();
        drop(guard);
        transaction.snapshot = Some(snapshot);
        Ok(())
    }

    /// The catalog as the running statement sees it.
    pub(super) async fn load_catalog(&mut self) -> SqlResult<Arc<DatabaseCatalog>> {
        let (branch, database) = (self.branch.clone(), self.database);
        let transaction = self.transaction();
        let mut guard = transaction.lock().await;
        let catalog = branch.catalogs.load(open(&mut guard)?, database).await?;
        drop(guard);
        transaction.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    /// 25P02 for everything but the end of an aborted transaction.
    pub(super) fn refuse_when_aborted(&self, statement: &ParsedStatement) -> SqlResult<()> {
        let failed = self.transaction.as_ref().is_some_and(|transaction| transaction.failed);
        if failed && !statement.ends_aborted_transaction() {
            Err(super::transaction::aborted())
        } else {
            Ok(())
        }
    }

    /// When a statement that starts now has run for too long.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.settings.lock().limits().statement)
    }
}

/// Runs something that a cancel request or the statement's deadline may end. What does not wait costs
/// no more than a look at a flag.
pub(super) async fn cancellable<T>(
    cancel: &Cancel,
    deadline: &mut Deadline,
    future: impl Future<Output = SqlResult<T>>,
) -> SqlResult<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if cancel.is_requested() {
            return Poll::Ready(Err(canceled()));
        }
        // Before the future: one that never waits must not outrun its time.
        if deadline.poll_passed(context).is_ready() {
            return Poll::Ready(Err(timed_out()));
        }
        match future.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => cancel.poll_requested(context).map(|()| Err(canceled())),
        }
    })
    .await
}

/// Waits for a cancel request or the statement's deadline: 57014.
pub(super) async fn interrupted(cancel: &Cancel, deadline: &mut Deadline) -> SqlError {
    poll_fn(|context| {
        if cancel.poll_requested(context).is_ready() {
            return Poll::Ready(canceled());
        }
        deadline.poll_passed(context).map(|()| timed_out())
    })
    .await
}

fn canceled() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

fn timed_out() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
}

/// What a statement without parameters is given.
fn no_params() -> Arc<[Datum]> {
    static NONE: LazyLock<Arc<[Datum]>> = LazyLock::new(|| Arc::new([]));
    NONE.clone()
}

/// A conflict with another transaction, after which the same statement may succeed.
fn is_conflict(error: &SqlError) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(&error.sqlstate())
}

fn write_tag(tag: &Tag, wire: &mut Wire) {
    match tag {
        Tag::Plain("") => {}
        Tag::Plain(tag) => wire.writer.command_complete(tag),
        Tag::Rows(verb, rows) => wire.writer.command_complete_rows(verb, *rows),
    }
}
