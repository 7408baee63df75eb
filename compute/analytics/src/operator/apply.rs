//! The value of a subquery, as a column beside the rows it is computed for.
//!
//! The subquery runs once for each distinct set of the outer values that it uses; one that uses none runs
//! once.

use super::memory::row_bytes;
use super::{Held, Needs, Once, Operator, Run, Subplan, evaluate_all};
use crate::error::to_datafusion;
use crate::values::{column_to_datums, to_array};
use ahash::AHashMap;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use shardforge_compute::report::Rows;
use shardforge_compute::row_exec::expr::{Env, Evaluator};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{ArrayValue, Datum, Oid, PgType, SqlState};
use std::sync::Arc;

/// How the rows of a subquery become a value.
#[derive(Debug)]
pub(crate) enum ApplyKind {
    /// Whether there is one.
    Exists,
    /// The one value of the one row.
    Scalar,
    /// The array of the values.
    Array(Oid),
    /// Whether a test holds for any, or all, of them. The test sees the subquery's columns, then the values
    /// of the operator's expressions after those that the subquery itself uses.
    Quantified { all: bool, test: Evaluator },
}

/// One subquery.
#[derive(Debug)]
pub(crate) struct Apply {
    pub(crate) kind: ApplyKind,
    pub(crate) subplan: Arc<Subplan>,
    /// The types of the operator's expressions: first the subquery's outer values, then the test's. One more
    /// expression, if there is one, says for which rows the value is wanted.
    pub(crate) arg_types: Vec<PgType>,
    /// The type of the value.
    pub(crate) ty: PgType,
    /// Whether two runs with the same values may differ.
    pub(crate) volatile: bool,
}

impl Operator for Apply {
    fn name(&self) -> &'static str {
        "Subquery"
    }

    fn describe(&self) -> String {
        let kind = match &self.kind {
            ApplyKind::Exists => "exists",
            ApplyKind::Scalar => "scalar",
            ApplyKind::Array(_) => "array",
            ApplyKind::Quantified { all: false, .. } => "any",
            ApplyKind::Quantified { all: true, .. } => "all",
        };
        format!("{kind}, once for each of its {} outer values", self.subplan.outer.len())
    }

    fn needs(&self) -> Needs {
        if self.volatile && self.subplan.outer.is_empty() { Needs::Single } else { Needs::Any }
    }

    fn appends(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let converter = keys_of(&run, self.arg_types.len())?;
        let input = run.inputs.swap_remove(0);
        let schema = run.schema.clone();
        let state = ApplyState {
            once: run.once.clone(),
            subplan: self.subplan.clone(),
            held: Held::new("Subquery", &run.context),
            values: AHashMap::new(),
            rows: AHashMap::new(),
            bytes: 0,
        };
        let this = self;
        let exprs = run.exprs;
        let stream = futures::stream::try_unfold(
            (input, state, converter, exprs),
            move |(mut input, mut state, converter, exprs)| {
                let (this, schema) = (this.clone(), schema.clone());
                async move {
                    let Some(batch) = input.next().await.transpose()? else { return Ok(None) };
                    let args = evaluate_all(&exprs, &batch)?;
                    let values = this.column(&mut state, &converter, &args, batch.num_rows()).await?;
                    let mut columns = batch.columns().to_vec();
                    columns.push(to_array(this.ty, values.iter()).map_err(to_datafusion)?);
                    let out = RecordBatch::try_new(schema, columns)?;
                    Ok(Some((out, (input, state, converter, exprs))))
                }
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream.into_stream())))
    }
}

/// Makes keys of a row's outer values.
fn keys_of(run: &Run, args: usize) -> Result<RowConverter> {
    let schema = run.inputs_schema();
    let fields = run.exprs[..args]
        .iter()
        .map(|expr| Ok(SortField::new(expr.data_type(&schema)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(RowConverter::new(fields)?)
}

/// What was computed so far.
struct ApplyState {
    /// The value, if it depends on nothing.
    once: Once,
    subplan: Arc<Subplan>,
    held: Held,
    values: AHashMap<OwnedRow, Datum>,
    /// Of a quantified subquery: its rows, for the outer values that it uses itself.
    rows: AHashMap<Vec<u8>, Arc<Rows>>,
    bytes: usize,
}

impl ApplyState {
    fn hold(&mut self, bytes: usize) -> SqlResult<()> {
        self.bytes += bytes;
        self.held.set(self.bytes).map_err(crate::error::from_datafusion)
    }
}

impl Apply {
    async fn column(
        &self,
        state: &mut ApplyState,
        converter: &RowConverter,
        args: &[ArrayRef],
        len: usize,
    ) -> Result<Vec<Datum>> {
        let mut out = Vec::with_capacity(len);
        let (args, guard) = args.split_at(self.arg_types.len());
        let wanted = guard.first().map(|guard| guard.as_boolean());
        let is_wanted = |row: usize| wanted.is_none_or(|guard| guard.is_valid(row) && guard.value(row));
        if args.is_empty() {
            if !(0..len).any(is_wanted) {
                out.resize(len, Datum::Null);
                return Ok(out);
            }
            let once = state.once.clone();
            let value = once.get_or_try_init(|| self.value(state, &[])).await.map_err(to_datafusion)?.clone();
            out.resize(len, value);
            return Ok(out);
        }
        let keys = converter.convert_columns(args)?;
        let columns = args
            .iter()
            .zip(&self.arg_types)
            .map(|(array, ty)| column_to_datums(*ty, array))
            .collect::<SqlResult<Vec<_>>>()
            .map_err(to_datafusion)?;
        for at in 0..len {
            if !is_wanted(at) {
                out.push(Datum::Null);
                continue;
            }
            let key = keys.row(at).owned();
            if let Some(value) = state.values.get(&key) {
                out.push(value.clone());
                continue;
            }
            let row: Vec<Datum> = columns.iter().map(|column| column[at].clone()).collect();
            let value = self.value(state, &row).await.map_err(to_datafusion)?;
            if !self.volatile {
                let bytes = key.as_ref().len() + row_bytes(std::slice::from_ref(&value)) + 64;
                state.hold(bytes).map_err(to_datafusion)?;
                state.values.insert(key, value.clone());
            }
            out.push(value);
        }
        Ok(out)
    }

    async fn value(&self, state: &mut ApplyState, args: &[Datum]) -> SqlResult<Datum> {
        let (outer, tested) = args.split_at(self.subplan.outer.len());
        Ok(match &self.kind {
            ApplyKind::Exists => Datum::Bool(!self.subplan.rows(outer, 1).await?.is_empty()),
            ApplyKind::Scalar => {
                let mut rows = self.subplan.rows(outer, 2).await?;
                if rows.len() > 1 {
                    return Err(more_than_one_row());
                }
                rows.pop().and_then(|mut row| row.pop()).unwrap_or(Datum::Null)
            }
            ApplyKind::Array(element) => {
                let rows = self.subplan.rows(outer, usize::MAX).await?;
                let values: Vec<Datum> = rows.into_iter().filter_map(|mut row| row.pop()).collect();
                if values.is_empty() {
                    Datum::Array(Arc::new(ArrayValue::empty(*element)))
                } else {
                    Datum::array(*element, values)
                }
            }
            ApplyKind::Quantified { all, test } => {
                let mut key = Vec::new();
                for (value, ty) in outer.iter().zip(&self.arg_types) {
                    key.push(u8::from(value.is_null()));
                    let at = key.len();
                    key.extend([0; 4]);
                    if !value.is_null() {
                        shardforge_types::binary::output(value, *ty, &mut key);
                    }
                    let len = (key.len() - at) as u32;
                    key[at..at + 4].copy_from_slice(&len.to_be_bytes());
                }
                let rows = match state.rows.get(&key) {
                    Some(rows) if !self.volatile || outer.is_empty() => rows.clone(),
                    _ => {
                        let rows = Arc::new(self.subplan.rows(outer, usize::MAX).await?);
                        state.hold(rows.iter().map(|row| row_bytes(row)).sum())?;
                        state.rows.insert(key, rows.clone());
                        rows
                    }
                };
                quantify(&rows, tested, *all, test, &state.subplan)?
            }
        })
    }
}

/// 21000.
pub(crate) fn more_than_one_row() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "more than one row returned by a subquery used as an expression",
    )
}

/// `ANY` and `ALL` over rows that are there.
fn quantify(
    rows: &Rows,
    tested: &[Datum],
    all: bool,
    test: &Evaluator,
    subplan: &Subplan,
) -> SqlResult<Datum> {
    let report = &subplan.env.report;
    let mut unknown = false;
    let mut row = Vec::new();
    for inner in rows {
        row.clear();
        row.extend_from_slice(inner);
        row.extend_from_slice(tested);
        match test.eval(&Env::new(&row, &report.params, &report.session))? {
            Datum::Bool(result) if result != all => return Ok(Datum::Bool(result)),
            Datum::Null => unknown = true,
            _ => {}
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(all) })
}

impl Run {
    /// What the first input's batches look like.
    pub(crate) fn inputs_schema(&self) -> arrow::datatypes::SchemaRef {
        self.inputs.first().map_or_else(
            || Arc::new(arrow::datatypes::Schema::new(Vec::<Field>::new())),
            |input| input.schema(),
        )
    }
}
