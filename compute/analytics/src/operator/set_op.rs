//! INTERSECT and EXCEPT: the rows of the left side, by how often their like is on the right.

use super::{Held, Needs, Operator, Run};
use ahash::AHashMap;
use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// The operation. Both inputs have the same columns: the values, then what they are compared by where
/// Arrow compares the values otherwise.
#[derive(Debug)]
pub(crate) struct SetOperation {
    /// EXCEPT; else INTERSECT.
    pub(crate) except: bool,
    pub(crate) all: bool,
    /// Where the inputs' columns to compare by are.
    pub(crate) keys: Vec<usize>,
}

impl Operator for SetOperation {
    fn name(&self) -> &'static str {
        match (self.except, self.all) {
            (true, false) => "Except",
            (true, true) => "ExceptAll",
            (false, false) => "Intersect",
            (false, true) => "IntersectAll",
        }
    }

    fn needs(&self) -> Needs {
        Needs::Single
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let right = run.inputs.swap_remove(1);
        let left = run.inputs.swap_remove(0);
        let schema = run.schema.clone();
        let fields = self.keys.iter().map(|at| SortField::new(left.schema().field(*at).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let held = Held::new("SetOperation", &run.context);
        let this = self;
        let stream = async move {
            let counts = this.count(right, &converter, &held).await?;
            let mut counts = (counts, held);
            let kept = left.map(move |batch| this.keep(&batch?, &schema, &converter, &mut counts));
            Ok::<_, datafusion::error::DataFusionError>(kept)
        };
        let stream = futures::stream::once(stream).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream)))
    }
}

type Counts = AHashMap<Box<[u8]>, u64>;

impl SetOperation {
    fn key_columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|at| batch.column(*at).clone()).collect()
    }

    /// How often each row is on the right.
    async fn count(
        &self,
        mut right: SendableRecordBatchStream,
        converter: &RowConverter,
        held: &Held,
    ) -> Result<Counts> {
        let mut counts = Counts::new();
        while let Some(batch) = right.next().await.transpose()? {
            let mut bytes = 0;
            for key in &converter.convert_columns(&self.key_columns(&batch))? {
                match counts.get_mut(key.as_ref()) {
                    Some(count) => *count += 1,
                    None => {
                        bytes += key.as_ref().len() + 40;
                        counts.insert(key.as_ref().into(), 1);
                    }
                }
            }
            held.grow(bytes)?;
        }
        Ok(counts)
    }

    fn keep(
        &self,
        batch: &RecordBatch,
        schema: &arrow::datatypes::SchemaRef,
        converter: &RowConverter,
        (counts, held): &mut (Counts, Held),
    ) -> Result<RecordBatch> {
        let mut bytes = 0;
        let keys = converter.convert_columns(&self.key_columns(batch))?;
        let keep: BooleanArray = keys
            .iter()
            .map(|key| {
                let count = counts.get_mut(key.as_ref());
                Some(match (self.except, self.all, count) {
                    // Each partner on the right takes one row away.
                    (true, true, Some(count)) if *count > 0 => {
                        *count -= 1;
                        false
                    }
                    (true, true, _) => true,
                    (true, false, Some(_)) => false,
                    (true, false, None) => {
                        bytes += key.as_ref().len() + 40;
                        counts.insert(key.as_ref().into(), 1);
                        true
                    }
                    // Each partner on the right lets one row through; without ALL one in all.
                    (false, all, Some(count)) if *count > 0 => {
                        *count = if all { *count - 1 } else { 0 };
                        true
                    }
                    (false, _, _) => false,
                })
            })
            .collect();
        held.grow(bytes)?;
        let kept = filter_record_batch(batch, &keep)?;
        let columns = kept.columns()[..schema.fields().len()].to_vec();
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}
