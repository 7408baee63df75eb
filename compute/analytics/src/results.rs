//! From the engine's threads to the session: a bounded channel of batches, and datums out of them.

use crate::error::from_datafusion;
use crate::exact::is_too_large;
use crate::values::column_to_datums;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use shardforge_compute::report::{RowStream, Rows};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::PgType;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// What goes through the channel; the channel's end without [`Item::End`] is a task that died.
pub(crate) enum Item {
    Batch(RecordBatch),
    Failed(SqlError),
    End,
}

/// How a plan's rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Sent, or nobody listens.
    Done,
    /// A kernel gave up before a row was sent: the query can start over.
    GaveUp,
}

/// Bytes of rows that are kept while a query could give up. One that gives more has gone far enough to be
/// sent on; should it give up after all, it fails.
const KEPT_BYTES: usize = 64 << 20;

/// Sends what a plan gives, until its end, an error, or nobody listens. With `keep`, nothing is sent before
/// the end is seen.
pub(crate) async fn pump(
    mut stream: SendableRecordBatchStream,
    batches: &mpsc::Sender<Item>,
    mut keep: bool,
) -> Pumped {
    let mut kept = Vec::new();
    let mut bytes = 0;
    loop {
        let item = match stream.next().await {
            None => Item::End,
            Some(Ok(batch)) if batch.num_rows() == 0 => continue,
            Some(Ok(batch)) => Item::Batch(batch),
            Some(Err(error)) if keep && is_too_large(&error) => return Pumped::GaveUp,
            Some(Err(error)) => Item::Failed(from_datafusion(error)),
        };
        let last = !matches!(item, Item::Batch(_));
        if let (true, Item::Batch(batch)) = (keep, &item) {
            bytes += batch.get_array_memory_size();
            keep = bytes < KEPT_BYTES;
        }
        kept.push(item);
        if keep && !last {
            continue;
        }
        for item in kept.drain(..) {
            if batches.send(item).await.is_err() {
                return Pumped::Done;
            }
        }
        if last {
            return Pumped::Done;
        }
    }
}

/// The rows of a report. Dropping it ends the report.
pub(crate) struct Results {
    types: Vec<PgType>,
    queue: mpsc::Receiver<Item>,
    task: AbortHandle,
    /// Tells what computes without waiting.
    stop: Arc<AtomicBool>,
    ended: bool,
}

impl Results {
    pub(crate) fn new(
        types: Vec<PgType>,
        queue: mpsc::Receiver<Item>,
        task: AbortHandle,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { types, queue, task, stop, ended: false }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

/// A batch as rows of values.
pub(crate) fn batch_to_rows(batch: &RecordBatch, types: &[PgType]) -> SqlResult<Rows> {
    let mut rows: Rows = (0..batch.num_rows()).map(|_| Vec::with_capacity(types.len())).collect();
    for (array, ty) in batch.columns().iter().zip(types) {
        for (row, value) in rows.iter_mut().zip(column_to_datums(*ty, array)?) {
            row.push(value);
        }
    }
    Ok(rows)
}

#[async_trait]
impl RowStream for Results {
    async fn next(&mut self) -> SqlResult<Rows> {
        if self.ended {
            return Ok(Rows::new());
        }
        match self.queue.recv().await {
            Some(Item::Batch(batch)) => batch_to_rows(&batch, &self.types),
            Some(Item::Failed(error)) => {
                self.ended = true;
                Err(error)
            }
            Some(Item::End) => {
                self.ended = true;
                Ok(Rows::new())
            }
            None => Err(SqlError::internal("a report ended without saying so")),
        }
    }
}
