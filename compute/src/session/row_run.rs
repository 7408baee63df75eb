//! Running a plan of the row executor: its rows straight onto the wire, or gathered.

use super::execute::{Statement, Tag, conflict_error, open};
use super::rows::{self, RowForms};
use super::run::{Run, cancellable};
use super::{Deadline, Session};
use crate::pgwire::connection::{Ended, Wire};
use crate::row_exec::{ExecEnv, Execution, RowPlan, Stop};
use crate::sequence::SequenceNeed;
use crate::sql::bound::BoundStatement;
use crate::txn::{LockWait, Need};
use crate::{SqlError, SqlResult};
use shardforge_types::Datum;
use std::sync::Arc;

/// After so many rows given, other connections have their turn.
const YIELD_ROWS: u64 = 1024;

/// What stopped an execution for the moment.
enum Pause {
    /// Something is missing.
    Need(Need),
    /// A sequence is to be moved.
    Sequence(SequenceNeed),
    /// It ran for a while: others have their turn.
    Yield,
    /// The statement begins again.
    Restart,
}

/// The word that begins the tag of a statement that the row executor runs whole; `None` for others.
pub(super) fn verb(statement: &BoundStatement) -> Option<&'static str> {
    match statement {
        BoundStatement::Query(_) => Some("SELECT"),
        BoundStatement::Insert(_) => Some("INSERT 0"),
        BoundStatement::Update(_) => Some("UPDATE"),
        BoundStatement::Delete(_) => Some("DELETE"),
        _ => None,
    }
}

/// How a statement that was run onto the wire has ended.
pub(super) enum Ran {
    /// All of its rows are written; its tag.
    Whole(Tag),
    /// Nothing is written: the report engine is to run it.
    TooLarge,
}

/// What a plan gave that was run to its end.
pub(super) struct Gathered {
    pub(super) rows: Vec<Vec<Datum>>,
    pub(super) affected: u64,
}

/// How one attempt to run a plan has ended.
enum Attempt {
    Whole(Gathered),
    /// A row was written after the snapshot: all that belongs to the statement is to be run again.
    Restart,
    /// The report engine is to run it.
    TooLarge,
}

impl Session {
    /// Runs a statement whose rows need nothing but its plan, and writes them as they come.
    pub(super) async fn run_to_wire(
        &mut self,
        row: &Arc<RowPlan>,
        verb: &'static str,
        run: &Run<'_>,
        statement: &Statement,
        deadline: &mut Deadline,
        wire: &mut Wire,
    ) -> Result<SqlResult<Ran>, Ended> {
        if let Err(error) = self.refuse_writes(&run.plan.bound.statement) {
            return Ok(Err(error));
        }
        let mark = wire.writer.pending().len();
        let (mut execution, mut buffer) = self.executions.take(row);
        let done = self.stream_rows(&mut execution, &mut buffer, statement, run, deadline, wire).await?;
        let affected = execution.affected();
        if done.is_err() && !row.only_reads() {
            // Of what was undone nobody hears.
            wire.writer.truncate(mark);
        }
        self.executions.give_back(execution, buffer);
        Ok(done.map(|whole| if whole { Ran::Whole(Tag::Rows(verb, affected)) } else { Ran::TooLarge }))
    }

    /// False when it was given up before its first row.
    async fn stream_rows(
        &mut self,
        execution: &mut Execution,
        buffer: &mut Vec<Datum>,
        statement: &Statement,
        run: &Run<'_>,
        deadline: &mut Deadline,
        wire: &mut Wire,
    ) -> Result<SqlResult<bool>, Ended> {
        let plan = run.plan;
        let row_ids = match execution.plan().needs_row_ids() {
            true => match cancellable(&self.cancel, deadline, self.branch.row_ids()).await {
                Ok(ids) => Some(ids),
                Err(error) => return Ok(Err(error)),
            },
            false => None,
        };
        let lock_wait = self.lock_wait();
        self.sequences.statement_begins();
        let forms = RowForms {
            settings: statement.context.settings(),
            objects: plan.shows_objects.then_some(&*statement.context),
        };
        // Rows of a statement that may have to begin again stay here until it has ended.
        let may_send = execution.plan().only_reads();
        let mark = wire.writer.pending().len();
        let mut describe = run.describe && plan.returns_rows();
        let Some(transaction) = &self.transaction else {
            return Ok(Err(SqlError::internal("no transaction")));
        };
        let mut guard = transaction.lock().await;
        let txn = match open(&mut guard) {
            Ok(txn) => txn,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let mut env = ExecEnv {
                txn,
                params: &statement.params,
                context: &statement.context,
                row_ids: row_ids.as_deref(),
                lock_wait,
            };
            let pause = match execution.next(&mut env, buffer) {
                Ok(more) => {
                    // Not before the first row is there: until then nothing but an error may come.
                    if std::mem::take(&mut describe) {
                        plan.description.write(run.formats, &mut wire.writer);
                    }
                    if !more {
                        return Ok(Ok(true));
                    }
                    let written =
                        rows::write_row(buffer, &plan.output, run.formats, &forms, &mut wire.writer);
                    if let Err(error) = written {
                        return Ok(Err(error));
                    }
                    if may_send {
                        wire.flush_if_large().await?;
                    }
                    if !execution.affected().is_multiple_of(YIELD_ROWS) {
                        continue;
                    }
                    Pause::Yield
                }
                Err(Stop::Need(need)) => Pause::Need(need),
                Err(Stop::Sequence(need)) => Pause::Sequence(need),
                Err(Stop::Yield) => Pause::Yield,
                Err(Stop::RestartStatement) => Pause::Restart,
                Err(Stop::TooLarge) => return Ok(Ok(false)),
                Err(Stop::Error(error)) => return Ok(Err(error)),
            };
            let resumed = async {
                let waited = match pause {
                    Pause::Need(need) => txn.satisfy(need).await,
                    Pause::Sequence(need) => return self.sequences.satisfy(need, txn).await,
                    Pause::Yield => {
                        tokio::task::yield_now().await;
                        Ok(())
                    }
                    Pause::Restart => {
                        wire.writer.truncate(mark);
                        describe = run.describe && plan.returns_rows();
                        let restarted = txn.restart_statement().await;
                        self.sequences.undone();
                        execution.restart();
                        restarted
                    }
                };
                waited.map_err(|error| conflict_error(error, Some(&statement.catalog)))
            };
            if let Err(error) = cancellable(&self.cancel, deadline, resumed).await {
                return Ok(Err(error));
            }
        }
    }

    /// Runs a plan to its end and gathers its rows: for a portal that is read bit by bit, for a plan that other
    /// queries come before, and for statements within statements. `None`: it was given up, for the report
    /// engine to run.
    pub(super) async fn gather(
        &mut self,
        row: &Arc<RowPlan>,
        statement: &Statement,
    ) -> SqlResult<Option<Gathered>> {
        self.sequences.statement_begins();
        loop {
            match self.attempt(row, statement).await? {
                Attempt::Whole(gathered) => return Ok(Some(gathered)),
                Attempt::TooLarge => return Ok(None),
                Attempt::Restart => {}
            }
            let transaction =
                self.transaction.as_ref().ok_or_else(|| SqlError::internal("no transaction"))?;
            let mut guard = transaction.lock().await;
            open(&mut guard)?.restart_statement().await?;
            self.sequences.undone();
        }
    }

    /// Runs a plan once, with what comes before it, all at the snapshot that is there.
    async fn attempt(&mut self, row: &Arc<RowPlan>, statement: &Statement) -> SqlResult<Attempt> {
        let mut with_init = None;
        for init in row.init() {
            let rows = match Box::pin(self.attempt(&init.plan, statement)).await? {
                Attempt::Whole(gathered) => gathered.rows,
                Attempt::Restart => return Ok(Attempt::Restart),
                Attempt::TooLarge => return Err(SqlError::internal("a query that locks was given up")),
            };
            let params = with_init.get_or_insert_with(|| statement.params.to_vec());
            init.give(rows, params)?;
        }
        let with_init = with_init.map(|params| Statement {
            catalog: statement.catalog.clone(),
            context: statement.context.clone(),
            params: params.into(),
        });
        let statement = with_init.as_ref().unwrap_or(statement);
        let row_ids = match row.needs_row_ids() {
            true => Some(self.branch.row_ids().await?),
            false => None,
        };
        let lock_wait = self.lock_wait();
        let mut execution = Execution::new(row.clone());
        // Rows that others find are gathered first: a write must not change what it reads.
        if let Some(query) = row.feed() {
            let found = match row.feed_row() {
                Some(feed) => Box::pin(self.attempt(feed, statement)).await?,
                None => Attempt::TooLarge,
            };
            match found {
                Attempt::Whole(gathered) => execution.feed(gathered.rows),
                Attempt::Restart => return Ok(Attempt::Restart),
                Attempt::TooLarge => {
                    let mut stream = self.report(query.clone(), statement).await?;
                    loop {
                        let batch = stream.next().await?;
                        if batch.is_empty() {
                            break;
                        }
                        execution.feed(batch);
                    }
                }
            }
        }
        let transaction = self.transaction.as_ref().ok_or_else(|| SqlError::internal("no transaction"))?;
        let mut guard = transaction.lock().await;
        let txn = open(&mut guard)?;
        let mut rows = Vec::new();
        let mut out = Vec::new();
        loop {
            let mut env = ExecEnv {
                txn,
                params: &statement.params,
                context: &statement.context,
                row_ids: row_ids.as_deref(),
                lock_wait,
            };
            match execution.next(&mut env, &mut out) {
                Ok(true) => rows.push(std::mem::take(&mut out)),
                Ok(false) => return Ok(Attempt::Whole(Gathered { rows, affected: execution.affected() })),
                Err(Stop::Need(need)) => {
                    let waited = txn.satisfy(need).await;
                    waited.map_err(|error| conflict_error(error, Some(&statement.catalog)))?;
                }
                Err(Stop::Sequence(need)) => self.sequences.satisfy(need, txn).await?,
                Err(Stop::Yield) => tokio::task::yield_now().await,
                Err(Stop::RestartStatement) => return Ok(Attempt::Restart),
                Err(Stop::TooLarge) => return Ok(Attempt::TooLarge),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }

    /// How long a row lock is waited for.
    pub(super) fn lock_wait(&self) -> LockWait {
        self.settings.lock().limits().lock.map_or(LockWait::Forever, LockWait::Timeout)
    }
}
