//! LATERAL: each row of the left side with the rows that a plan gives for its values.

use super::{Needs, Operator, Run, Subplan, evaluate_all};
use crate::error::to_datafusion;
use crate::values::{column_to_datums, to_array};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use shardforge_compute::SqlResult;
use shardforge_compute::row_exec::expr::{Env, Evaluator};
use shardforge_types::{Datum, PgType};
use std::sync::Arc;

/// The join. Its expressions are the plan's outer values, then those that `on` uses.
#[derive(Debug)]
pub(crate) struct ApplyJoin {
    pub(crate) subplan: Arc<Subplan>,
    /// Whether a row of the left side without a partner stays.
    pub(crate) left: bool,
    /// Over the right side's columns, then the expressions for it.
    pub(crate) on: Option<Evaluator>,
    pub(crate) arg_types: Vec<PgType>,
}

impl Operator for ApplyJoin {
    fn name(&self) -> &'static str {
        "LateralJoin"
    }

    fn describe(&self) -> String {
        if self.left { "left".to_owned() } else { "inner".to_owned() }
    }

    fn needs(&self) -> Needs {
        Needs::Any
    }

    fn lets_filters_through(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let input = run.inputs.swap_remove(0);
        let (join, schema, exprs) = (self, run.schema.clone(), run.exprs);
        let stream = futures::stream::try_unfold(input, move |mut input| {
            let (join, schema, exprs) = (join.clone(), schema.clone(), exprs.clone());
            async move {
                let Some(batch) = input.next().await.transpose()? else { return Ok(None) };
                let args = evaluate_all(&exprs, &batch)?;
                let (taken, rows) = join.partners(&args, batch.num_rows()).await.map_err(to_datafusion)?;
                let taken = UInt32Array::from(taken);
                let mut columns = batch
                    .columns()
                    .iter()
                    .map(|column| Ok(take(column, &taken, None)?))
                    .collect::<Result<Vec<_>>>()?;
                for (at, ty) in join.subplan.types.iter().enumerate() {
                    columns.push(to_array(*ty, rows.iter().map(|row| &row[at])).map_err(to_datafusion)?);
                }
                let options =
                    arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(taken.len()));
                let out = RecordBatch::try_new_with_options(schema, columns, &options)?;
                Ok(Some((out, input)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream)))
    }
}

impl ApplyJoin {
    /// For each row of the result, which row of the left side it has, and the right side's values.
    async fn partners(&self, args: &[ArrayRef], len: usize) -> SqlResult<(Vec<u32>, Vec<Vec<Datum>>)> {
        let columns = args
            .iter()
            .zip(&self.arg_types)
            .map(|(array, ty)| column_to_datums(*ty, array))
            .collect::<SqlResult<Vec<_>>>()?;
        let report = &self.subplan.env.report;
        let (mut taken, mut out) = (Vec::new(), Vec::new());
        for at in 0..len {
            let row: Vec<Datum> = columns.iter().map(|column| column[at].clone()).collect();
            let (outer, tested) = row.split_at(self.subplan.outer.len());
            let before = taken.len();
            for mut right in self.subplan.rows(outer, usize::MAX).await? {
                if let Some(on) = &self.on {
                    let width = right.len();
                    right.extend_from_slice(tested);
                    if !on.is_true(&Env::new(&right, &report.params, &report.session))? {
                        continue;
                    }
                    right.truncate(width);
                }
                taken.push(at as u32);
                out.push(right);
            }
            if self.left && taken.len() == before {
                taken.push(at as u32);
                out.push(vec![Datum::Null; self.subplan.types.len()]);
            }
        }
        Ok((taken, out))
    }
}
