//! COPY between the client and a table or query.

use super::Session;
use super::copy_input::{Input, Rows, with_line};
use super::execute::{self, Statement};
use super::prepared::Plan;
use super::rows::names_objects;
use super::run::{cancellable, interrupted};
use crate::catalog::TableDef;
use crate::copy::binary;
use crate::copy::writer::write_row;
use crate::functions::text_io;
use crate::pgwire::connection::{Ended, Wire};
use crate::pgwire::message::Frontend;
use crate::row_exec::{ExecEnv, Execution, Stop};
use crate::sql::bound::{BoundStatement, CopyFormat, CopyHeader, CopyWhat, OutputColumn, Query};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, SqlState, text};
use std::sync::Arc;

/// Rows are written when so many have been read.
const BATCH_ROWS: usize = 512;
/// After so many batches, other connections have their turn.
const YIELD_BATCHES: u64 = 4;

impl Session {
    /// Runs a COPY, its conversation with the client included.
    pub(super) async fn run_copy(
        &mut self,
        plan: &Arc<Plan>,
        last: bool,
        wire: &mut Wire,
    ) -> Result<SqlResult<()>, Ended> {
        let BoundStatement::Copy(copy) = &plan.bound.statement else {
            return Ok(Err(SqlError::internal("not a COPY")));
        };
        if let Err(error) = self.refuse_writes(&plan.bound.statement) {
            return Ok(Err(error));
        }
        self.transaction().used = true;
        let Some(catalog) = plan.catalog().cloned() else {
            return Ok(Err(SqlError::internal("a COPY without a catalog")));
        };
        let context = self.eval_context(&catalog);
        let statement = Statement { catalog, context, params: Arc::new([]) };
        let done = match &copy.what {
            CopyWhat::To(query) => self.copy_to(query, &copy.format, &statement, wire).await?,
            CopyWhat::From { table, columns, .. } => {
                self.copy_from(plan, table, columns, &copy.format, &statement, wire).await?
            }
        };
        let rows = match done {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        if last && let Err(error) = self.sync().await {
            return Ok(Err(error));
        }
        self.write_notices(&mut wire.writer);
        wire.writer.command_complete_rows("COPY", rows);
        Ok(Ok(()))
    }

    async fn copy_to(
        &mut self,
        query: &Query,
        format: &CopyFormat,
        statement: &Statement,
        wire: &mut Wire,
    ) -> Result<SqlResult<u64>, Ended> {
        let cancel = self.cancel.clone();
        let mut deadline = self.deadline();
        let settings = self.settings.lock().forms().clone();
        let mut stream = match cancellable(
            &cancel,
            &mut deadline,
            self.report(Arc::new(query.clone()), statement),
        )
        .await
        {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        wire.writer.copy_response(false, format.binary, query.output.len());
        if format.header != CopyHeader::Absent {
            let names: Vec<Option<&[u8]>> =
                query.output.iter().map(|column| Some(column.name.as_bytes())).collect();
            // FORCE_QUOTE is about values.
            let format = CopyFormat { force_quote: Vec::new(), ..format.clone() };
            wire.writer.copy_data(|out| write_row(&names, &format, out));
        }
        let mut rows = 0;
        let mut texts: Vec<Vec<u8>> = vec![Vec::new(); query.output.len()];
        loop {
            let batch = match cancellable(&cancel, &mut deadline, stream.next()).await {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            if batch.is_empty() {
                break;
            }
            for row in batch {
                if format.binary {
                    wire.writer.copy_data(|out| {
                        // In one message with the first row: drivers look for it there.
                        if rows == 0 {
                            binary::write_head(out);
                        }
                        write_binary(&row, &query.output, out);
                    });
                    rows += 1;
                    wire.flush_if_large().await?;
                    continue;
                }
                for ((text, datum), column) in texts.iter_mut().zip(&row).zip(&query.output) {
                    text.clear();
                    if names_objects(column.ty) {
                        match text_io::to_text(datum, column.ty, &statement.context) {
                            Ok(name) => text.extend_from_slice(name.unwrap_or_default().as_bytes()),
                            Err(error) => return Ok(Err(error)),
                        }
                    } else {
                        text::output(datum, column.ty, &settings, text);
                    }
                }
                let fields: Vec<Option<&[u8]>> = texts
                    .iter()
                    .zip(&row)
                    .map(|(text, datum)| (!datum.is_null()).then_some(text.as_slice()))
                    .collect();
                wire.writer.copy_data(|out| write_row(&fields, format, out));
                rows += 1;
                wire.flush_if_large().await?;
            }
        }
        if format.binary {
            wire.writer.copy_data(|out| {
                if rows == 0 {
                    binary::write_head(out);
                }
                binary::write_end(out);
            });
        }
        wire.writer.copy_done();
        Ok(Ok(rows))
    }

    async fn copy_from(
        &mut self,
        plan: &Arc<Plan>,
        table: &Arc<TableDef>,
        columns: &[usize],
        format: &CopyFormat,
        statement: &Statement,
        wire: &mut Wire,
    ) -> Result<SqlResult<u64>, Ended> {
        let Some(row) = plan.row.clone() else {
            return Ok(Err(SqlError::internal("a COPY without a plan")));
        };
        wire.writer.copy_response(true, format.binary, columns.len());
        wire.flush().await?;
        let settings = self.settings.lock().forms().clone();
        let mut input = Input::new(format, table, columns, settings);
        self.sequences.statement_begins();
        let mut execution = Execution::new(row);
        wire.expect_stream();
        // The first error is kept while the rest of the data is read and dropped: the client sends on
        // until it hears of it.
        let mut result = Ok(());
        let (cancel, mut deadline) = (self.cancel.clone(), self.deadline());
        let mut ended = false;
        let mut batches = 0u64;
        let mut line = u64::from(format.header != CopyHeader::Absent);
        while !ended && result.is_ok() {
            // Interruptions first: a client that never pauses must not be deaf to them.
            tokio::select! {
                biased;
                error = interrupted(&cancel, &mut deadline) => return Ok(Err(error)),
                waited = wire.wait() => waited?,
            }
            while !ended && result.is_ok() && input.rows.len() < BATCH_ROWS && wire.has_message() {
                match wire.take() {
                    Ok((Frontend::CopyData(bytes), _)) => result = input.push(bytes),
                    Ok((Frontend::CopyDone, _)) => {
                        result = input.finish();
                        ended = true;
                    }
                    Ok((Frontend::CopyFail(reason), _)) => {
                        return Ok(Err(SqlError::new(
                            SqlState::QUERY_CANCELED,
                            format!("COPY from stdin failed: {reason}"),
                        )));
                    }
                    Ok((Frontend::Flush | Frontend::Sync, _)) => {}
                    Ok((Frontend::Terminate, _)) => return Err(Ended::ByClient),
                    Ok(_) => {
                        return Ok(Err(crate::pgwire::message::violation(
                            "unexpected message type during COPY from stdin",
                        )));
                    }
                    Err(error) => return Ok(Err(error)),
                }
            }
            // Rows before a line that cannot be read come first, and so do their errors.
            if !input.rows.is_empty() {
                let rows = &mut input.rows;
                let written = cancellable(
                    &cancel,
                    &mut deadline,
                    self.write_rows(&mut execution, rows, &mut line, statement),
                );
                let written = written.await.map_err(|error| match rows.is_empty() {
                    true => error,
                    false => with_line(error, table, line),
                });
                result = written.and(result);
                batches += 1;
                if batches.is_multiple_of(YIELD_BATCHES) {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(result.map(|()| execution.affected()))
    }

    /// Writes rows that were read, and forgets them. `line` is that of the row before; afterwards it is that of
    /// the last one, or of the one that could not be written.
    async fn write_rows(
        &mut self,
        execution: &mut Execution,
        rows: &mut Rows,
        line: &mut u64,
        statement: &Statement,
    ) -> SqlResult<()> {
        let row_ids = match execution.plan().needs_row_ids() {
            true => Some(self.branch.row_ids().await?),
            false => None,
        };
        let lock_wait = self.lock_wait();
        let sequences = self.sequences.clone();
        let transaction = self.transaction();
        let mut guard = transaction.lock().await;
        let txn = execute::open(&mut guard)?;
        for row in rows.filled() {
            *line += 1;
            // After a wait the same row goes on; only then comes the next one.
            loop {
                let mut env = ExecEnv {
                    txn,
                    params: &statement.params,
                    context: &statement.context,
                    row_ids: row_ids.as_deref(),
                    lock_wait,
                };
                match execution.push(&mut env, row) {
                    Ok(()) => break,
                    Err(Stop::Need(need)) => txn.satisfy(need).await?,
                    Err(Stop::Yield) => tokio::task::yield_now().await,
                    Err(Stop::Sequence(need)) => sequences.satisfy(need, txn).await?,
                    // What was read from the client is gone: the statement cannot be run again.
                    Err(Stop::RestartStatement) => {
                        return Err(SqlError::concurrent_update());
                    }
                    Err(Stop::TooLarge) => return Err(SqlError::internal("a write was given up")),
                    Err(Stop::Error(error)) => return Err(error),
                }
            }
        }
        rows.clear();
        Ok(())
    }
}

/// One row in the binary form.
fn write_binary(row: &[Datum], output: &[OutputColumn], out: &mut Vec<u8>) {
    binary::begin_row(output.len(), out);
    for (datum, column) in row.iter().zip(output) {
        binary::write_field(out, |out| {
            shardforge_types::binary::output(datum, column.ty, out);
            !datum.is_null()
        });
    }
}
