//! From the engine's threads to the session: a bounded channel of batches, and datums out of them.

use crate::error::from_datafusion;
use crate::values::column_to_datums;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use shardforge_compute::report::{RowStream, Rows};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::PgType;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// What goes through the channel; the channel's end without [`Item::End`] is a task that died.
pub(crate) enum Item {
    Batch(RecordBatch),
    Failed(SqlError),
    End,
}

/// Sends what a plan gives, until its end, an error, or nobody listens.
pub(crate) async fn pump(mut stream: SendableRecordBatchStream, batches: mpsc::Sender<Item>) {
    while let Some(batch) = stream.next().await {
        let (item, last) = match batch {
            Ok(batch) if batch.num_rows() == 0 => continue,
            Ok(batch) => (Item::Batch(batch), false),
            Err(error) => (Item::Failed(from_datafusion(error)), true),
        };
        if batches.send(item).await.is_err() || last {
            return;
        }
    }
    // Nobody listens any more: nothing to tell.
    drop(batches.send(Item::End).await);
}

/// The rows of a report. Dropping it ends the report.
pub(crate) struct Results {
    types: Vec<PgType>,
    queue: mpsc::Receiver<Item>,
    task: AbortHandle,
    ended: bool,
}

impl Results {
    pub(crate) fn new(types: Vec<PgType>, queue: mpsc::Receiver<Item>, task: AbortHandle) -> Self {
        Self { types, queue, task, ended: false }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
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
