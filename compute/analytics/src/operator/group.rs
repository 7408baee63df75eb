//! Groups with any aggregate: what DataFusion's own aggregation is not given.
//!
//! Rows of one group come together in one part, so an aggregate sees all of them and has no partial state
//! that could be merged wrongly. Groups are found by Arrow's row form of their keys.

use super::memory::row_bytes;
use super::{Held, Needs, Operator, Run, evaluate_all};
use crate::error::to_datafusion;
use crate::values::{column_to_datums, to_array};
use ahash::{AHashMap, AHashSet};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use shardforge_compute::SqlResult;
use shardforge_compute::functions::{Accumulator, AggregateCallInfo, AggregateFunction};
use shardforge_types::key::{KeyOrder, encode_key_column};
use shardforge_types::{Datum, PgType};
use std::ops::Range;
use std::sync::Arc;

/// One GROUP BY expression. The first row's value stands for the group.
#[derive(Debug, Clone)]
pub(crate) struct GroupKey {
    /// Which expression is its value.
    pub(crate) value: usize,
    pub(crate) ty: PgType,
}

/// One aggregate, by the places of its expressions among the operator's.
#[derive(Debug)]
pub(crate) struct GroupCall {
    pub(crate) function: &'static AggregateFunction,
    pub(crate) info: AggregateCallInfo,
    pub(crate) args: Range<usize>,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<usize>,
    /// ORDER BY: which expression, its type, how.
    pub(crate) order_by: Vec<(usize, PgType, KeyOrder)>,
}

/// The operator. The first of its expressions are the keys, in a form that Arrow compares rightly.
#[derive(Debug)]
pub(crate) struct Group {
    /// How many keys there are; none means one group, even without rows.
    pub(crate) keys: Vec<GroupKey>,
    pub(crate) calls: Vec<GroupCall>,
    /// Whether the order of the rows matters to a call.
    pub(crate) ordered: bool,
}

impl Operator for Group {
    fn name(&self) -> &'static str {
        "Group"
    }

    fn describe(&self) -> String {
        let calls: Vec<_> = self.calls.iter().map(|call| call.function.name).collect();
        format!("by {} keys: [{}]", self.keys.len(), calls.join(", "))
    }

    fn needs(&self) -> Needs {
        if self.keys.is_empty() || self.ordered { Needs::Single } else { Needs::Together(0..self.keys.len()) }
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let schema = run.inputs_schema();
        let mut fields = Vec::new();
        for key in &run.exprs[..self.keys.len()] {
            fields.push(SortField::new(key.data_type(&schema)?));
        }
        let converter = RowConverter::new(fields)?;
        let mut input = run.inputs.swap_remove(0);
        let held = Held::new("Group", &run.context);
        let (exprs, out) = (run.exprs, run.schema.clone());
        let stream = async move {
            let mut groups = Groups::new(&self, held);
            while let Some(batch) = input.next().await.transpose()? {
                groups.push(&evaluate_all(&exprs, &batch)?, &converter, batch.num_rows())?;
            }
            groups.finish(out)
        };
        let stream = futures::stream::once(stream).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(run.schema, stream)))
    }
}

/// What one call keeps for one group.
struct State {
    accumulator: Box<dyn Accumulator>,
    /// DISTINCT: arguments that were there.
    seen: Option<AHashSet<Vec<u8>>>,
    /// ORDER BY: rows that wait for the end, with what they are ordered by.
    waiting: Vec<(Vec<u8>, Vec<Datum>)>,
}

struct Groups<'a> {
    plan: &'a Group,
    by_key: AHashMap<Box<[u8]>, usize>,
    keys: Vec<Vec<Datum>>,
    /// Group by group, call by call.
    states: Vec<State>,
    held: Held,
    bytes: usize,
    /// What accumulators said they hold.
    accumulators: usize,
    /// Rows since the accumulators were last asked for their size.
    unmeasured: usize,
}

/// How many rows pass between two looks at what accumulators hold.
const MEASURE_EVERY: usize = 65_536;

/// Bytes that are equal exactly for equal values.
fn class_of<'a>(values: impl Iterator<Item = (&'a Datum, PgType)>) -> SqlResult<Vec<u8>> {
    let mut key = Vec::new();
    for (value, ty) in values {
        encode_key_column(&mut key, value, ty, KeyOrder::ASC)?;
    }
    Ok(key)
}

impl<'a> Groups<'a> {
    fn new(plan: &'a Group, held: Held) -> Self {
        Self {
            plan,
            by_key: AHashMap::new(),
            keys: Vec::new(),
            states: Vec::new(),
            held,
            bytes: 0,
            accumulators: 0,
            unmeasured: 0,
        }
    }

    fn open(&mut self, keys: Vec<Datum>) -> usize {
        self.bytes += row_bytes(&keys) + 48;
        for call in &self.plan.calls {
            self.bytes += size_of::<State>() + 64;
            self.states.push(State {
                accumulator: (call.function.make)(&call.info),
                seen: call.distinct.then(AHashSet::new),
                waiting: Vec::new(),
            });
        }
        self.keys.push(keys);
        self.keys.len() - 1
    }

    /// Takes a batch in, as the arrays of the operator's expressions.
    fn push(&mut self, arrays: &[ArrayRef], converter: &RowConverter, len: usize) -> Result<()> {
        let groups = self.groups_of(arrays, converter, len)?;
        for (at, call) in self.plan.calls.iter().enumerate() {
            self.accumulate(at, call, arrays, &groups).map_err(to_datafusion)?;
        }
        self.unmeasured += len;
        if self.unmeasured >= MEASURE_EVERY {
            self.unmeasured = 0;
            self.accumulators =
                self.states.iter().map(|state| state.accumulator.size_bytes().saturating_sub(64)).sum();
        }
        self.held.set(self.bytes + self.accumulators)
    }

    /// The group of each row.
    fn groups_of(&mut self, arrays: &[ArrayRef], converter: &RowConverter, len: usize) -> Result<Vec<usize>> {
        let plan = self.plan;
        if plan.keys.is_empty() {
            if self.keys.is_empty() && len > 0 {
                self.open(Vec::new());
            }
            return Ok(vec![0; len]);
        }
        let keys = converter.convert_columns(&arrays[..plan.keys.len()])?;
        let mut out = Vec::with_capacity(len);
        for (row, key) in keys.iter().enumerate() {
            let group = match self.by_key.get(key.as_ref()) {
                Some(group) => *group,
                None => {
                    let values = plan
                        .keys
                        .iter()
                        .map(|key| crate::values::from_array(key.ty, &arrays[key.value], row))
                        .collect::<SqlResult<Vec<_>>>()
                        .map_err(to_datafusion)?;
                    self.bytes += key.as_ref().len();
                    let group = self.open(values);
                    self.by_key.insert(key.as_ref().into(), group);
                    group
                }
            };
            out.push(group);
        }
        Ok(out)
    }

    fn accumulate(
        &mut self,
        at: usize,
        call: &GroupCall,
        arrays: &[ArrayRef],
        groups: &[usize],
    ) -> SqlResult<()> {
        let columns = call
            .args
            .clone()
            .zip(&call.info.arg_types)
            .map(|(arg, ty)| column_to_datums(*ty, &arrays[arg]))
            .collect::<SqlResult<Vec<_>>>()?;
        let order = call
            .order_by
            .iter()
            .map(|(key, ty, order)| Ok((column_to_datums(*ty, &arrays[*key])?, *ty, *order)))
            .collect::<SqlResult<Vec<_>>>()?;
        let filter = call.filter.map(|filter| arrays[filter].as_boolean());
        let calls = self.plan.calls.len();
        let mut args = Vec::with_capacity(columns.len());
        for (row, group) in groups.iter().enumerate() {
            if filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row)) {
                continue;
            }
            args.clear();
            args.extend(columns.iter().map(|column| column[row].clone()));
            let state = &mut self.states[group * calls + at];
            if let Some(seen) = &mut state.seen {
                let class = class_of(args.iter().zip(call.info.arg_types.iter().copied()))?;
                let bytes = class.len() + 32;
                if !seen.insert(class) {
                    continue;
                }
                self.bytes += bytes;
            }
            if order.is_empty() {
                state.accumulator.add(&args)?;
            } else {
                let mut key = Vec::new();
                for (values, ty, order) in &order {
                    encode_key_column(&mut key, &values[row], *ty, *order)?;
                }
                self.bytes += key.len() + row_bytes(&args) + 24;
                state.waiting.push((key, std::mem::take(&mut args)));
            }
        }
        Ok(())
    }

    /// The groups, in batches.
    fn finish(
        mut self,
        schema: SchemaRef,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
        if self.plan.keys.is_empty() && self.keys.is_empty() {
            self.open(Vec::new());
        }
        let types: Vec<PgType> = self
            .plan
            .keys
            .iter()
            .map(|key| key.ty)
            .chain(self.plan.calls.iter().map(|call| call.info.result))
            .collect();
        let calls = self.plan.calls.len();
        let mut states = self.states.into_iter();
        let mut keys = self.keys.into_iter();
        let held = self.held;
        Ok(futures::stream::iter(std::iter::from_fn(move || {
            let _ = &held;
            let mut rows = Vec::new();
            for mut row in keys.by_ref().take(BATCH_ROWS) {
                for state in states.by_ref().take(calls) {
                    match state.finish() {
                        Ok(value) => row.push(value),
                        Err(error) => return Some(Err(to_datafusion(error))),
                    }
                }
                rows.push(row);
            }
            if rows.is_empty() {
                return None;
            }
            Some(rows_to_batch(&schema, &types, &rows))
        })))
    }
}

/// Rows in a batch of groups.
const BATCH_ROWS: usize = 8192;

/// A batch of rows of values.
pub(crate) fn rows_to_batch(
    schema: &SchemaRef,
    types: &[PgType],
    rows: &[Vec<Datum>],
) -> Result<RecordBatch> {
    let columns = types
        .iter()
        .enumerate()
        .map(|(at, ty)| to_array(*ty, rows.iter().map(|row| &row[at])))
        .collect::<SqlResult<Vec<_>>>()
        .map_err(to_datafusion)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

impl State {
    fn finish(mut self) -> SqlResult<Datum> {
        self.waiting.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, args) in &self.waiting {
            self.accumulator.add(args)?;
        }
        self.accumulator.finish()
    }
}
