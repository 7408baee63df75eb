//! A function in FROM: each input row with the rows that the function gives for its arguments.

use super::{Needs, Operator, Run, evaluate_all};
use crate::engine::QueryEnv;
use crate::error::to_datafusion;
use crate::values::{column_to_datums, to_array};
use arrow::array::UInt32Array;
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use shardforge_compute::SqlResult;
use shardforge_compute::functions::{Call, ScalarFunction, SetFunction, SetRows, side_by_side};
use shardforge_types::{Datum, PgType};
use std::sync::Arc;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Called {
    /// Gives rows.
    Set(&'static SetFunction),
    /// Gives one.
    Scalar(&'static ScalarFunction),
}

/// One call.
#[derive(Debug)]
pub(crate) struct FunctionRowsCall {
    pub(crate) called: Called,
    pub(crate) arg_types: Vec<PgType>,
    /// The types of the function's columns.
    pub(crate) types: Vec<PgType>,
}

/// Calls side by side; the operator's expressions are their arguments, one call's after the other's.
#[derive(Debug)]
pub(crate) struct FunctionRows {
    pub(crate) calls: Vec<FunctionRowsCall>,
    /// Whether a column that counts follows.
    pub(crate) ordinality: bool,
    /// Whether an input row for which there are no rows stays.
    pub(crate) left: bool,
    pub(crate) env: Arc<QueryEnv>,
}

/// Rows in a batch.
const BATCH_ROWS: usize = 8192;

impl Operator for FunctionRows {
    fn name(&self) -> &'static str {
        "FunctionScan"
    }

    fn describe(&self) -> String {
        let name = |call: &FunctionRowsCall| match call.called {
            Called::Set(function) => function.name,
            Called::Scalar(function) => function.name,
        };
        self.calls.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn needs(&self) -> Needs {
        Needs::Any
    }

    fn lets_filters_through(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let state = State {
            input: run.inputs.swap_remove(0),
            exprs: run.exprs,
            schema: run.schema.clone(),
            function: self,
            at: None,
        };
        let stream = futures::stream::try_unfold(state, |mut state| async move {
            Ok(state.next().await?.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream)))
    }
}

/// An input batch, and how far it has come.
struct At {
    batch: RecordBatch,
    args: Vec<Vec<Datum>>,
    row: usize,
    /// The rows of the call for `row`, and how many there were.
    rows: Option<(SetRows, i64)>,
}

struct State {
    input: SendableRecordBatchStream,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    function: Arc<FunctionRows>,
    at: Option<At>,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let mut at = match self.at.take() {
                Some(at) => at,
                None => {
                    let Some(batch) = self.input.next().await.transpose()? else { return Ok(None) };
                    let args = evaluate_all(&self.exprs, &batch)?
                        .iter()
                        .zip(self.function.calls.iter().flat_map(|call| &call.arg_types))
                        .map(|(array, ty)| column_to_datums(*ty, array))
                        .collect::<SqlResult<Vec<_>>>()
                        .map_err(to_datafusion)?;
                    At { batch, args, row: 0, rows: None }
                }
            };
            let (taken, rows) = self.function.fill(&mut at).map_err(to_datafusion)?;
            let batch = self.batch(&at.batch, taken, &rows)?;
            if at.row < at.batch.num_rows() {
                self.at = Some(at);
            }
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    fn batch(&self, input: &RecordBatch, taken: Vec<u32>, rows: &[Vec<Datum>]) -> Result<RecordBatch> {
        let taken = UInt32Array::from(taken);
        let mut columns = input
            .columns()
            .iter()
            .map(|column| Ok(take(column, &taken, None)?))
            .collect::<Result<Vec<_>>>()?;
        let ordinality = self.function.ordinality.then_some(PgType::INT8);
        for (at, ty) in self.function.types().chain(ordinality).enumerate() {
            columns.push(to_array(ty, rows.iter().map(|row| &row[at])).map_err(to_datafusion)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(taken.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

impl FunctionRowsCall {
    fn rows(&self, args: &[Datum], env: &QueryEnv) -> SqlResult<SetRows> {
        let call = Call {
            context: &env.report.session,
            arg_types: &self.arg_types,
            result: self.types.first().copied().unwrap_or(PgType::new(shardforge_types::oids::VOID)),
        };
        match self.called {
            Called::Set(function) => function.call(args, &call),
            Called::Scalar(function) => {
                let row = match function.call(args, &call)? {
                    // A composite value in FROM is its fields.
                    Datum::Record(fields) if self.types.len() > 1 => {
                        fields.iter().map(|field| field.value.clone()).collect()
                    }
                    value => vec![value],
                };
                Ok(Box::new(std::iter::once(Ok(row))))
            }
        }
    }
}

impl FunctionRows {
    /// The types of all calls' columns.
    fn types(&self) -> impl Iterator<Item = PgType> {
        self.calls.iter().flat_map(|call| call.types.iter().copied())
    }

    fn width(&self) -> usize {
        self.types().count() + usize::from(self.ordinality)
    }

    fn call(&self, mut args: &[Datum]) -> SqlResult<SetRows> {
        let mut sets = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let (own, others) = args.split_at(call.arg_types.len());
            sets.push((call.rows(own, &self.env)?, call.types.len()));
            args = others;
        }
        Ok(side_by_side(sets))
    }

    /// Rows for a batch: which input row each has, and the function's values.
    fn fill(&self, at: &mut At) -> SqlResult<(Vec<u32>, Vec<Vec<Datum>>)> {
        let (mut taken, mut out) = (Vec::new(), Vec::new());
        let width = self.types().count();
        while at.row < at.batch.num_rows() && out.len() < BATCH_ROWS {
            let (mut rows, mut count) = match at.rows.take() {
                Some(rows) => rows,
                None => {
                    let args: Vec<Datum> = at.args.iter().map(|column| column[at.row].clone()).collect();
                    (self.call(&args)?, 0)
                }
            };
            let mut ended = false;
            while out.len() < BATCH_ROWS {
                let Some(row) = rows.next() else {
                    ended = true;
                    break;
                };
                let mut row = row?;
                row.resize(width, Datum::Null);
                count += 1;
                if self.ordinality {
                    row.push(Datum::Int8(count));
                }
                taken.push(at.row as u32);
                out.push(row);
            }
            if !ended {
                at.rows = Some((rows, count));
                break;
            }
            if self.left && count == 0 {
                taken.push(at.row as u32);
                out.push(vec![Datum::Null; self.width()]);
            }
            at.row += 1;
        }
        Ok((taken, out))
    }
}
