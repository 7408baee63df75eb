//! Reading a table in a physical plan: in several parts, deciding by the filters' columns first which rows'
//! other columns are decoded at all.

use super::decode::{Column, Refused, Wanted};
use super::estimate::{Known, selectivity, table_statistics};
use crate::engine::QueryEnv;
use crate::error::to_datafusion;
use crate::kernel::may_fail;
use crate::physical::to_physical_array;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{BatchCoalescer, and, filter, prep_null_mask_filter};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::TryStreamExt;
use shardforge_compute::report::{BlockReader, BlockSource, RowBlock, RowStream, Rows, ScanSpec};
use shardforge_compute::row_exec::TableCodec;
use shardforge_compute::{SqlError, SqlResult};
use std::fmt;
use std::sync::Arc;

/// Rows of a block, about.
const BLOCK_ROWS: usize = 8192;
/// A table of fewer rows is read in one part.
const ROWS_IN_PARTS: f64 = 20_000.0;

/// A scan of one table.
#[derive(Clone)]
pub(super) struct ScanExec {
    pub(super) spec: ScanSpec,
    pub(super) columns: Vec<Wanted>,
    pub(super) schema: SchemaRef,
    pub(super) env: Arc<QueryEnv>,
    /// Over the scan's columns; none of them can fail.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    fetch: Option<usize>,
    blocks: Option<Arc<dyn BlockSource>>,
    known: Arc<Known>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(super) fn new(
        spec: ScanSpec,
        columns: Vec<Wanted>,
        schema: SchemaRef,
        env: Arc<QueryEnv>,
        fetch: Option<usize>,
    ) -> SqlResult<Self> {
        let tables = &env.report.tables;
        let known = Known::new(tables.statistics(&spec.table), &columns);
        let parts = match known.rows {
            Some(rows) if rows < ROWS_IN_PARTS => 1,
            _ if fetch.is_some_and(|fetch| fetch < BLOCK_ROWS) => 1,
            _ => env.state.config().target_partitions(),
        };
        let blocks = tables.blocks(&spec, parts)?;
        let parts = if blocks.is_some() { parts } else { 1 };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            spec,
            columns,
            schema,
            env,
            filters: Vec::new(),
            fetch,
            blocks,
            known: Arc::new(known),
            properties: Arc::new(properties),
        })
    }

    /// What a part does with blocks of rows.
    fn reading(&self) -> Result<Reading> {
        let mut first: Vec<usize> =
            self.filters.iter().flat_map(collect_columns).map(|column| column.index()).collect();
        first.sort_unstable();
        first.dedup();
        let fields: Vec<Field> = first.iter().map(|at| self.schema.field(*at).clone()).collect();
        let first_schema = Arc::new(Schema::new(fields));
        let filters = self
            .filters
            .iter()
            .map(|filter| reassign_expr_columns(filter.clone(), &first_schema))
            .collect::<Result<Vec<_>>>()?;
        Ok(Reading {
            columns: self.columns.clone(),
            schema: self.schema.clone(),
            first,
            first_schema,
            filters,
            left: self.fetch,
        })
    }
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl fmt::Display for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", super::describe(&self.spec, &self.env))?;
        if !self.filters.is_empty() {
            let filters: Vec<String> = self.filters.iter().map(ToString::to_string).collect();
            write!(f, ", filter {}", filters.join(" AND "))?;
        }
        if let Some(fetch) = self.fetch {
            write!(f, ", limit {fetch}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "TableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.filters {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &datafusion::physical_plan::statistics::StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut part: f64 = self.filters.iter().map(|filter| selectivity(filter, &self.known)).product();
        if args.partition().is_some() {
            part /= self.properties.partitioning.partition_count() as f64;
        }
        Ok(Arc::new(table_statistics(&self.known, &self.schema, part, self.fetch)))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        // In several parts each gives so many; who asked cuts again.
        let one = self.properties.partitioning.partition_count() == 1;
        one.then(|| Arc::new(Self { fetch, ..self.clone() }) as Arc<dyn ExecutionPlan>)
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        child: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut scan = self.clone();
        let mut taken = Vec::with_capacity(child.parent_filters.len());
        for parent in child.parent_filters {
            // A limit counts rows after the filters that are here already, and before all others.
            if may_fail(&parent.filter) || self.fetch.is_some() {
                taken.push(PushedDown::No);
            } else {
                scan.filters.push(parent.filter);
                taken.push(PushedDown::Yes);
            }
        }
        let pushed = scan.filters.len() > self.filters.len();
        let result = FilterPushdownPropagation::with_parent_pushdown_result(taken);
        Ok(if pushed { result.with_updated_node(Arc::new(scan)) } else { result })
    }

    fn execute(&self, part: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = self.reading()?;
        let input: Box<dyn Input> = match &self.blocks {
            Some(blocks) => Box::new(Blocks {
                codec: blocks.codec().clone(),
                reader: blocks.reader(part),
                block: RowBlock::new(),
            }),
            None => Box::new(Values { spec: self.spec.clone(), env: self.env.clone(), rows: None }),
        };
        let coalescer = BatchCoalescer::new(self.schema.clone(), BLOCK_ROWS);
        let state = (reading, input, coalescer, false);
        let stream = futures::stream::try_unfold(
            state,
            |(mut reading, mut input, mut coalescer, mut done)| async move {
                loop {
                    if let Some(batch) = coalescer.next_completed_batch() {
                        return Ok(Some((batch, (reading, input, coalescer, done))));
                    }
                    if done {
                        return Ok(None);
                    }
                    let batch = if reading.left == Some(0) { None } else { input.next(&mut reading).await? };
                    match batch {
                        Some(batch) if batch.num_rows() == 0 => {}
                        Some(batch) if reading.filters.is_empty() => {
                            return Ok(Some((batch, (reading, input, coalescer, done))));
                        }
                        Some(batch) => coalescer.push_batch(batch)?,
                        None => {
                            coalescer.finish_buffered_batch()?;
                            done = true;
                        }
                    }
                    // Filters may refuse everything for a long time: others want the thread too, and whoever
                    // cancels is heard here.
                    tokio::task::consume_budget().await;
                }
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream.into_stream())))
    }
}

/// What one part does with its rows.
struct Reading {
    columns: Vec<Wanted>,
    schema: SchemaRef,
    /// The columns that filters use.
    first: Vec<usize>,
    first_schema: SchemaRef,
    /// Over those.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows that are still wanted.
    left: Option<usize>,
}

impl Reading {
    fn about(&self) -> usize {
        self.left.unwrap_or(BLOCK_ROWS).clamp(1, BLOCK_ROWS)
    }

    /// Which rows pass; `None` is all of them.
    fn passes(&self, columns: &[ArrayRef], rows: usize) -> Result<Option<BooleanArray>> {
        let mut all: Option<BooleanArray> = None;
        if self.filters.is_empty() {
            return Ok(None);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.first_schema.clone(), columns.to_vec(), &options)?;
        for filter in &self.filters {
            let pass = filter.evaluate(&batch)?.into_array(rows)?;
            let pass = pass.as_boolean();
            let pass = if pass.null_count() > 0 { prep_null_mask_filter(pass) } else { pass.clone() };
            let pass = match all {
                Some(before) => and(&before, &pass)?,
                None => pass,
            };
            if pass.true_count() == 0 {
                return Ok(Some(pass));
            }
            all = Some(pass);
        }
        Ok(all.filter(|all| all.true_count() < rows))
    }

    /// A batch of columns that all have the same length; a limit cuts it.
    fn batch(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let Some(left) = &mut self.left else { return Ok(batch) };
        let rows = rows.min(*left);
        *left -= rows;
        Ok(batch.slice(0, rows))
    }

    /// A batch from rows of values.
    fn batch_of_values(&mut self, rows: &Rows) -> Result<RecordBatch> {
        let columns = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                to_physical_array(column.ty, column.physical, rows.iter().map(|row| &row[at]))
            })
            .collect::<SqlResult<Vec<_>>>()
            .map_err(to_datafusion)?;
        let first: Vec<ArrayRef> = self.first.iter().map(|at| columns[*at].clone()).collect();
        match self.passes(&first, rows.len())? {
            None => self.batch(columns, rows.len()),
            Some(pass) => {
                let columns = columns
                    .iter()
                    .map(|column| filter(column, &pass))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                self.batch(columns, pass.true_count())
            }
        }
    }
}

/// Where a part's rows come from.
#[async_trait]
trait Input: Send {
    /// The next rows that pass the filters; `None` is the end.
    async fn next(&mut self, reading: &mut Reading) -> Result<Option<RecordBatch>>;
}

/// Rows as the table source makes values of them.
struct Values {
    spec: ScanSpec,
    env: Arc<QueryEnv>,
    rows: Option<Box<dyn RowStream>>,
}

#[async_trait]
impl Input for Values {
    async fn next(&mut self, reading: &mut Reading) -> Result<Option<RecordBatch>> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => {
                let spec = ScanSpec {
                    limit: reading.left.filter(|_| reading.filters.is_empty()),
                    ..self.spec.clone()
                };
                self.rows.insert(self.env.report.tables.scan(spec).await.map_err(to_datafusion)?)
            }
        };
        let rows = rows.next().await.map_err(to_datafusion)?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(reading.batch_of_values(&rows)?))
    }
}

/// Rows as they lie.
struct Blocks {
    codec: Arc<TableCodec>,
    reader: Box<dyn BlockReader>,
    block: RowBlock,
}

#[async_trait]
impl Input for Blocks {
    async fn next(&mut self, reading: &mut Reading) -> Result<Option<RecordBatch>> {
        self.reader.next(reading.about(), &mut self.block).await.map_err(to_datafusion)?;
        if self.block.is_empty() {
            return Ok(None);
        }
        match self.decode(reading) {
            Ok(batch) => Ok(Some(batch?)),
            Err(Outside) => {
                let positions: Vec<usize> = reading.columns.iter().map(|column| column.position).collect();
                let mut rows = Rows::with_capacity(self.block.len());
                for (key, value) in self.block.to_shared() {
                    rows.push(self.reader.decode(&key, &value, &positions).await.map_err(to_datafusion)?);
                }
                Ok(Some(reading.batch_of_values(&rows)?))
            }
        }
    }
}

/// A value lies outside of its row.
struct Outside;

impl Blocks {
    fn decode(&self, reading: &mut Reading) -> std::result::Result<Result<RecordBatch>, Outside> {
        let rows = self.block.len();
        let decoded = |result: std::result::Result<Vec<ArrayRef>, Refused>| match result {
            Ok(columns) => Ok(Ok(columns)),
            Err(Refused::Outside) => Err(Outside),
            Err(Refused::Failed(error)) => Ok(Err(to_datafusion(SqlError::from(error)))),
        };
        let first: Vec<Wanted> = reading.first.iter().map(|at| reading.columns[*at]).collect();
        let first = match decoded(self.columns(&first, None))? {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        let pass = match reading.passes(&first, rows) {
            Ok(pass) => pass,
            Err(error) => return Ok(Err(error)),
        };
        let passed = pass.as_ref().map_or(rows, BooleanArray::true_count);
        if passed == 0 {
            return Ok(Ok(RecordBatch::new_empty(reading.schema.clone())));
        }
        let rest: Vec<usize> =
            (0..reading.columns.len()).filter(|at| reading.first.binary_search(at).is_err()).collect();
        let wanted: Vec<Wanted> = rest.iter().map(|at| reading.columns[*at]).collect();
        let others = match decoded(self.columns(&wanted, pass.as_ref()))? {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        let (mut first, mut others) = (first.into_iter(), others.into_iter());
        let mut columns = Vec::with_capacity(reading.columns.len());
        for at in 0..reading.columns.len() {
            let is_first = reading.first.binary_search(&at).is_ok();
            let column = if is_first { first.next() } else { others.next() };
            let column = column.expect("each column is in one of the two parts");
            columns.push(match &pass {
                Some(pass) if is_first => match filter(&column, pass) {
                    Ok(column) => column,
                    Err(error) => return Ok(Err(error.into())),
                },
                _ => column,
            });
        }
        Ok(reading.batch(columns, passed))
    }

    /// Some columns of the rows that pass.
    fn columns(
        &self,
        wanted: &[Wanted],
        pass: Option<&BooleanArray>,
    ) -> std::result::Result<Vec<ArrayRef>, Refused> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let rows = pass.map_or(self.block.len(), BooleanArray::true_count);
        let mut columns: Vec<Column> = wanted.iter().map(|wanted| Column::new(*wanted, rows)).collect();
        let (codec, layout) = (&*self.codec, self.codec.layout());
        let mut scratch = Vec::new();
        let mut failed = None;
        let wanted = |number: usize| pass.is_none_or(|pass| pass.value(number));
        self.block.for_each(wanted, |prefix, suffix, value| {
            if failed.is_some() {
                return;
            }
            let row = match shardforge_types::row::RowView::new(value, layout) {
                Ok(row) => row,
                Err(error) => {
                    failed = Some(Refused::Failed(error));
                    return;
                }
            };
            for column in &mut columns {
                if let Err(refused) = column.push(codec, (prefix, suffix), &row, &mut scratch) {
                    failed = Some(refused);
                    return;
                }
            }
        });
        match failed {
            Some(refused) => Err(refused),
            None => columns
                .into_iter()
                .map(|column| column.finish().map_err(|error| Refused::Failed(common_error(error))))
                .collect(),
        }
    }
}

fn common_error(error: SqlError) -> shardforge_common::Error {
    shardforge_common::Error::corrupt(error.to_string())
}
