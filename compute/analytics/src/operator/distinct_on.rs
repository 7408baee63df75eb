//! The first row for each set of keys, in the input's order.

use super::{Held, Needs, Operator, Run, evaluate_all};
use ahash::AHashSet;
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::row::{RowConverter, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use std::sync::Arc;

/// The operator; its expressions are the keys, in a form that Arrow compares rightly.
#[derive(Debug)]
pub(crate) struct DistinctOn;

impl Operator for DistinctOn {
    fn name(&self) -> &'static str {
        "DistinctOn"
    }

    fn needs(&self) -> Needs {
        Needs::Single
    }

    fn appends(&self) -> bool {
        true
    }

    fn lets_filters_through(&self) -> bool {
        // Another row of a group would become its first.
        false
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let schema = run.inputs_schema();
        let fields = run.exprs.iter().map(|key| Ok(SortField::new(key.data_type(&schema)?)));
        let converter = RowConverter::new(fields.collect::<Result<Vec<_>>>()?)?;
        let input = run.inputs.swap_remove(0);
        let held = Held::new("DistinctOn", &run.context);
        let exprs = run.exprs;
        let mut seen: AHashSet<Box<[u8]>> = AHashSet::new();
        let stream = input.map(move |batch| {
            let batch = batch?;
            let keep: BooleanArray = if exprs.is_empty() {
                (0..batch.num_rows()).map(|_| Some(seen.insert(Box::default()))).collect()
            } else {
                let keys = converter.convert_columns(&evaluate_all(&exprs, &batch)?)?;
                let mut bytes = 0;
                let keep = keys
                    .iter()
                    .map(|key| {
                        let new = !seen.contains(key.as_ref());
                        if new {
                            bytes += key.as_ref().len() + 32;
                            seen.insert(key.as_ref().into());
                        }
                        Some(new)
                    })
                    .collect();
                held.grow(bytes)?;
                keep
            };
            Ok(filter_record_batch(&batch, &keep)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream)))
    }
}
