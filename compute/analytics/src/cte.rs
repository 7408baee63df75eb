//! WITH queries that are read more than once, or by themselves: kept as batches, or computed step by step.

use crate::engine::QueryEnv;
use crate::error::to_datafusion;
use crate::kernel::order_key_array;
use crate::operator::Held;
use crate::scan::column_name;
use crate::source::{Source, SourceExec};
use crate::values::{data_type, needs_order_key};
use ahash::{AHashMap, AHashSet};
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, SortField};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use shardforge_compute::SqlResult;
use shardforge_compute::sql::bound::ColDef;
use shardforge_types::PgType;
use std::any::Any;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// How the rows are made. The plans are optimized.
#[derive(Debug)]
pub(crate) enum CteBody {
    Plan(LogicalPlan),
    /// First `base`, then `step` over what the step before made, until it makes nothing.
    Recursive {
        base: LogicalPlan,
        step: LogicalPlan,
        work: Arc<Work>,
        all: bool,
    },
}

/// What the last step of a recursive query made.
#[derive(Debug, Default)]
pub(crate) struct Work(Mutex<Arc<Vec<RecordBatch>>>);

/// One WITH query of a running statement.
#[derive(Debug)]
pub(crate) struct SharedCte {
    pub(crate) name: String,
    pub(crate) types: Vec<PgType>,
    pub(crate) body: CteBody,
    pub(crate) env: Arc<QueryEnv>,
    /// Whether the rows are kept for several readers.
    pub(crate) kept: bool,
    /// Whether the plans hold placeholders for values of an outer query: then the rows are those of one run.
    pub(crate) correlated: bool,
    pub(crate) rows: OnceCell<(Arc<Vec<RecordBatch>>, Held)>,
}

/// Whose rows a reference reads.
#[derive(Debug, Clone)]
pub(crate) enum CteRows {
    Shared(Arc<SharedCte>),
    /// The query's own, inside of its recursive part.
    Work(Arc<Work>),
    /// VALUES.
    Constant(ConstantRows),
}

/// Rows that are known.
#[derive(Debug, Clone)]
pub(crate) struct ConstantRows(Arc<Vec<RecordBatch>>);

impl ConstantRows {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        Self(Arc::new(vec![batch]))
    }
}

/// Puts the values of one run of a plan in place of its placeholders, in its WITH queries too: those that use them
/// begin anew, once for all their readers.
#[derive(Default)]
pub(crate) struct Values {
    ctes: AHashMap<*const SharedCte, Arc<SharedCte>>,
    works: AHashMap<*const Work, Arc<Work>>,
}

impl Values {
    pub(crate) fn put(&mut self, plan: LogicalPlan, params: &ParamValues) -> Result<LogicalPlan> {
        let plan = plan.replace_params_with_values(params)?;
        let done = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            let Ok(source) = source_as_provider(&scan.source) else { return Ok(Transformed::no(node)) };
            let Some(provider) = (&*source as &dyn Any).downcast_ref::<CteProvider>() else {
                return Ok(Transformed::no(node));
            };
            let rows = match &provider.rows {
                CteRows::Shared(cte) if cte.correlated => CteRows::Shared(self.cte(cte, params)?),
                CteRows::Work(work) => match self.works.get(&Arc::as_ptr(work)) {
                    Some(work) => CteRows::Work(work.clone()),
                    None => return Ok(Transformed::no(node)),
                },
                _ => return Ok(Transformed::no(node)),
            };
            let provider = CteProvider { rows, schema: provider.schema.clone() };
            let scan = TableScan { source: provider_as_source(Arc::new(provider)), ..scan.clone() };
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        })?;
        Ok(done.data)
    }

    fn cte(&mut self, cte: &Arc<SharedCte>, params: &ParamValues) -> Result<Arc<SharedCte>> {
        if let Some(known) = self.ctes.get(&Arc::as_ptr(cte)) {
            return Ok(known.clone());
        }
        let body = match &cte.body {
            CteBody::Plan(plan) => CteBody::Plan(self.put(plan.clone(), params)?),
            CteBody::Recursive { base, step, work, all } => {
                let own = Arc::new(Work::default());
                self.works.insert(Arc::as_ptr(work), own.clone());
                let base = self.put(base.clone(), params)?;
                CteBody::Recursive { base, step: self.put(step.clone(), params)?, work: own, all: *all }
            }
        };
        let made = Arc::new(SharedCte {
            name: cte.name.clone(),
            types: cte.types.clone(),
            body,
            env: cte.env.clone(),
            kept: cte.kept,
            correlated: true,
            rows: OnceCell::new(),
        });
        self.ctes.insert(Arc::as_ptr(cte), made.clone());
        Ok(made)
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

impl SharedCte {
    async fn start(&self, plan: &LogicalPlan) -> Result<SendableRecordBatchStream> {
        let state = &self.env.state;
        let physical = state.query_planner().create_physical_plan(plan, &**state).await?;
        execute_stream(physical, state.task_ctx())
    }

    /// The rows as they are computed.
    async fn compute(self: Arc<Self>) -> Result<Batches> {
        match &self.body {
            CteBody::Plan(plan) => Ok(self.start(plan).await?.boxed()),
            CteBody::Recursive { base, all, .. } => {
                let first = self.start(base).await?;
                let seen =
                    if *all { None } else { Some(Seen::new(&self.types, &self.env.state.task_ctx())?) };
                let recursion = Recursion {
                    held: Held::new("Recursive", &self.env.state.task_ctx()),
                    cte: self,
                    rows: first,
                    made: Vec::new(),
                    made_bytes: 0,
                    seen,
                };
                let stream = futures::stream::try_unfold(recursion, |mut recursion| async move {
                    Ok(recursion.next().await?.map(|batch| (batch, recursion)))
                });
                Ok(stream.boxed())
            }
        }
    }

    async fn read(self: Arc<Self>) -> Result<Batches> {
        if !self.kept {
            return self.compute().await;
        }
        let this = self.clone();
        let (rows, _) = self
            .rows
            .get_or_try_init(|| async move {
                let held = Held::new("With", &this.env.state.task_ctx());
                let mut batches = Vec::new();
                let mut stream = this.compute().await?;
                while let Some(batch) = stream.next().await.transpose()? {
                    held.grow(batch.get_array_memory_size())?;
                    batches.push(batch);
                }
                Ok::<_, datafusion::error::DataFusionError>((Arc::new(batches), held))
            })
            .await?;
        Ok(kept_batches(rows.clone()))
    }
}

fn kept_batches(rows: Arc<Vec<RecordBatch>>) -> Batches {
    let len = rows.len();
    futures::stream::iter((0..len).map(move |at| Ok(rows[at].clone()))).boxed()
}

/// A recursive query at work.
struct Recursion {
    cte: Arc<SharedCte>,
    rows: SendableRecordBatchStream,
    made: Vec<RecordBatch>,
    made_bytes: usize,
    seen: Option<Seen>,
    held: Held,
}

impl Recursion {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.next().await.transpose()? {
                let batch = match &mut self.seen {
                    Some(seen) => seen.new_rows(&batch)?,
                    None => batch,
                };
                if batch.num_rows() == 0 {
                    continue;
                }
                self.made_bytes += batch.get_array_memory_size();
                self.held.set(self.made_bytes)?;
                self.made.push(batch.clone());
                return Ok(Some(batch));
            }
            if self.made.is_empty() {
                return Ok(None);
            }
            let CteBody::Recursive { step, work, .. } = &self.cte.body else { return Ok(None) };
            *work.0.lock() = Arc::new(std::mem::take(&mut self.made));
            self.made_bytes = 0;
            self.rows = self.cte.start(step).await?;
        }
    }
}

/// Rows that a UNION has let through.
struct Seen {
    types: Vec<PgType>,
    converter: RowConverter,
    keys: AHashSet<Box<[u8]>>,
    held: Held,
}

impl Seen {
    fn new(types: &[PgType], context: &TaskContext) -> Result<Self> {
        let form = |ty: &PgType| {
            SortField::new(if needs_order_key(*ty) {
                arrow::datatypes::DataType::Binary
            } else {
                data_type(*ty)
            })
        };
        Ok(Self {
            types: types.to_vec(),
            converter: RowConverter::new(types.iter().map(form).collect())?,
            keys: AHashSet::new(),
            held: Held::new("Recursive", context),
        })
    }

    fn new_rows(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch
            .columns()
            .iter()
            .zip(&self.types)
            .map(
                |(array, ty)| {
                    if needs_order_key(*ty) { order_key_array(*ty, array) } else { Ok(array.clone()) }
                },
            )
            .collect::<SqlResult<Vec<_>>>()
            .map_err(to_datafusion)?;
        let mut bytes = 0;
        let mut keep = Vec::with_capacity(batch.num_rows());
        for key in &self.converter.convert_columns(&columns)? {
            let new = !self.keys.contains(key.as_ref());
            if new {
                bytes += key.as_ref().len() + 32;
                self.keys.insert(key.as_ref().into());
            }
            keep.push(new);
        }
        self.held.grow(bytes)?;
        Ok(filter_record_batch(batch, &BooleanArray::from(keep))?)
    }
}

/// One reference to a WITH query.
#[derive(Debug)]
pub(crate) struct CteProvider {
    rows: CteRows,
    schema: SchemaRef,
}

impl CteProvider {
    pub(crate) fn new(rows: CteRows, columns: &[ColDef]) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(column_name(column.id), data_type(column.ty), true))
            .collect();
        Self { rows, schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait]
impl TableProvider for CteProvider {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let places = projection.unwrap_or(&all).clone();
        let schema = Arc::new(self.schema.project(&places)?);
        let read = CteRead { rows: self.rows.clone(), places, schema: schema.clone() };
        Ok(Arc::new(SourceExec::new(Arc::new(read), schema)))
    }
}

#[derive(Debug)]
struct CteRead {
    rows: CteRows,
    places: Vec<usize>,
    schema: SchemaRef,
}

impl Source for CteRead {
    fn describe(&self) -> String {
        match &self.rows {
            CteRows::Shared(cte) => format!("CteScan: {}", cte.name),
            CteRows::Work(_) => "WorkTableScan".to_owned(),
            CteRows::Constant(rows) => {
                format!("Values: {} rows", rows.0.iter().map(RecordBatch::num_rows).sum::<usize>())
            }
        }
    }

    fn open(&self, _: &TaskContext) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.clone();
        let start = async move {
            match rows {
                CteRows::Shared(cte) => cte.read().await,
                CteRows::Work(work) => Ok(kept_batches(work.0.lock().clone())),
                CteRows::Constant(rows) => Ok(kept_batches(rows.0)),
            }
        };
        let (places, schema) = (self.places.clone(), self.schema.clone());
        let stream = futures::stream::once(start).try_flatten().map(move |batch| {
            let batch = batch?;
            let columns = places.iter().map(|at| batch.column(*at).clone()).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream)))
    }
}
