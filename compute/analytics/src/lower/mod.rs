//! From a bound tree to DataFusion's logical plan.
//!
//! # Invariants
//!
//! 1. A column is called `c<id>`, without a qualifier, wherever it comes from; ids are unique in a statement.
//! 2. A column that no relation below makes belongs to an outer query. In the plan of a subquery it is the
//!    placeholder `$c<id>`; nothing else is ever a placeholder: parameters are constants by now.
//! 3. No subquery expression of DataFusion's is made: [`subquery`] turns each into an operator beside the
//!    rows it is computed for, or [`semi_join`] into a join.

mod aggregate;
mod compare;
mod expr;
mod fold;
mod guard;
mod join;
mod limit;
mod native;
mod native_aggregate;
mod physical;
mod scalar_join;
mod semi_join;
mod set_op;
mod subquery;
mod values;
mod walk;
mod window;
mod with;

use crate::cte::CteRows;
use crate::engine::QueryEnv;
use crate::error::from_datafusion;
use crate::exact::Attempt;
use crate::kernel::order_key;
use crate::operator::{DistinctOn, operator_plan};
use crate::physical::{Physical, to_default};
use crate::scan::{ScanProvider, column_name, scan_form};
use crate::values::{data_type, needs_order_key};
use ahash::AHashMap;
use arrow::datatypes::{Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, Sort, SortExpr};
use parking_lot::Mutex;
use shardforge_compute::sql::bound::{ColDef, ColId, CteId, Expr, Query, Rel, SortKey, TableScan};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::PgType;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a reference to a WITH query becomes.
#[derive(Clone)]
enum CteEntry {
    /// The query itself, there: it is read once.
    Inline(Arc<Query>),
    /// Rows that are made apart.
    Rows(CteRows),
}

/// Lowers one query, or one subquery of it.
pub(crate) struct Lowering {
    env: Arc<QueryEnv>,
    /// Columns of outer queries, in a subquery's plan.
    outer: AHashMap<ColId, PgType>,
    ctes: AHashMap<CteId, CteEntry>,
    /// Numbers for names and columns of our own, unique in the statement.
    numbers: Arc<AtomicU32>,
    /// The columns made so far that have a form of their own: what uses a column is lowered after what makes it.
    forms: Mutex<AHashMap<ColId, Physical>>,
    attempt: Arc<Attempt>,
    /// Whether it is a subquery, which may run many times.
    is_nested: bool,
}

/// The binder's columns are numbered from 0; ours from here.
const OWN_COLUMNS: u32 = 1 << 31;

/// A DataFusion result as ours.
fn ok<T>(result: Result<T, DataFusionError>) -> SqlResult<T> {
    result.map_err(from_datafusion)
}

fn builder(plan: LogicalPlan) -> LogicalPlanBuilder {
    LogicalPlanBuilder::from(plan)
}

/// A plan's rows in an order. DataFusion's builder would look for the keys among what is below.
fn sorted(plan: LogicalPlan, keys: Vec<SortExpr>) -> LogicalPlan {
    LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(plan), fetch: None })
}

/// A schema of columns without qualifiers.
fn schema_of(fields: impl IntoIterator<Item = FieldRef>) -> SqlResult<DFSchemaRef> {
    let fields: Vec<FieldRef> = fields.into_iter().collect();
    ok(DFSchema::from_unqualified_fields(fields.into(), HashMap::new()).map(Arc::new))
}

/// A plan's columns with more of them after.
fn appended(plan: &LogicalPlan, columns: &[ColDef]) -> SqlResult<DFSchemaRef> {
    let more = columns.iter().map(|column| Arc::new(crate::scan::field(column)));
    schema_of(plan.schema().fields().iter().cloned().chain(more))
}

impl Lowering {
    /// For a statement.
    pub(crate) fn new(env: Arc<QueryEnv>, attempt: Arc<Attempt>) -> Self {
        Self {
            env,
            outer: AHashMap::new(),
            ctes: AHashMap::new(),
            numbers: Arc::new(AtomicU32::new(0)),
            forms: Mutex::default(),
            attempt,
            is_nested: false,
        }
    }

    /// For a subquery that uses these columns of outer queries.
    fn nested(&self, outer: &[(ColId, PgType)]) -> Self {
        Self {
            env: self.env.clone(),
            outer: outer.iter().copied().collect(),
            ctes: self.ctes.clone(),
            numbers: self.numbers.clone(),
            // What it makes comes out in the forms of the types.
            forms: Mutex::default(),
            attempt: self.attempt.clone(),
            is_nested: true,
        }
    }

    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A column of our own.
    fn own_column(&self, ty: PgType, name: &str) -> ColDef {
        ColDef { id: ColId(OWN_COLUMNS + self.number()), ty, name: name.to_owned() }
    }

    /// A column's value, in the form of its type.
    fn column(&self, id: ColId, ty: PgType) -> DfExpr {
        let name = column_name(id);
        if self.outer.contains_key(&id) {
            let field = Arc::new(Field::new("", data_type(ty), true));
            return DfExpr::Placeholder(datafusion::logical_expr::expr::Placeholder::new_with_field(
                format!("${name}"),
                Some(field),
            ));
        }
        let column = DfExpr::Column(Column::new_unqualified(name));
        match self.form_of(id) {
            Some(form) => to_default(ty, form, column),
            None => column,
        }
    }

    /// The form that a column has instead of its type's. Columns of outer queries come in that of their type.
    fn form_of(&self, id: ColId) -> Option<Physical> {
        if self.outer.contains_key(&id) { None } else { self.forms.lock().get(&id).copied() }
    }

    /// Notes the form of a column that is made.
    fn set_form(&self, id: ColId, form: Physical) {
        self.forms.lock().insert(id, form);
    }

    /// A query with exactly its output columns.
    pub(crate) fn output(&mut self, query: &Query) -> SqlResult<LogicalPlan> {
        let plan = self.rel(&query.rel)?;
        let exprs = query
            .output
            .iter()
            .enumerate()
            .map(|(at, column)| self.column(column.id, column.ty).alias(format!("o{at}")));
        let exprs: Vec<DfExpr> = exprs.collect();
        ok(builder(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }

    /// A query with its output columns under other ids.
    fn output_as(&mut self, query: &Query, columns: &[ColDef]) -> SqlResult<LogicalPlan> {
        let plan = self.rel(&query.rel)?;
        let exprs: Vec<DfExpr> = query
            .output
            .iter()
            .zip(columns)
            .map(|(from, to)| self.column(from.id, from.ty).alias(column_name(to.id)))
            .collect();
        ok(builder(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }

    fn rel(&mut self, rel: &Rel) -> SqlResult<LogicalPlan> {
        match rel {
            Rel::OneRow => ok(LogicalPlanBuilder::empty(true).build()),
            Rel::Values { cols, rows } => self.values(cols, rows),
            Rel::Table(scan) => self.table(scan),
            Rel::Function(scan) => {
                let one = ok(LogicalPlanBuilder::empty(true).build())?;
                self.function(one, scan, false)
            }
            Rel::Filter { input, predicate } => {
                let plan = self.rel(input)?;
                self.filter(plan, input, predicate)
            }
            Rel::Project { input, exprs } => {
                let plan = self.rel(input)?;
                self.project(plan, exprs)
            }
            Rel::Join(join) => self.join(join),
            Rel::Aggregate(aggregate) => self.aggregate(aggregate),
            Rel::Window(window) => self.window(window),
            Rel::Distinct(input) => {
                let plan = self.rel(input)?;
                self.distinct(plan, &input.columns())
            }
            Rel::DistinctOn { input, keys } => {
                let mut plan = self.rel(input)?;
                let mut exprs = Vec::new();
                for key in keys {
                    let (key, below) = self.hoist(key, plan)?;
                    plan = below;
                    exprs.push(self.comparable(&key)?);
                }
                let schema = plan.schema().clone();
                Ok(operator_plan(Arc::new(DistinctOn), exprs, vec![plan], schema))
            }
            Rel::SetOp(op) => self.set_op(op),
            Rel::Sort { input, keys } => {
                let plan = self.rel(input)?;
                self.sort(plan, keys)
            }
            Rel::Limit { input, limit, offset } => {
                let plan = self.rel(input)?;
                self.limit(plan, limit.as_ref(), offset.as_ref())
            }
            Rel::With { ctes, body } => self.with(ctes, body),
            Rel::CteRef { cte, cols } => self.cte_ref(*cte, cols),
            Rel::Lock { .. } => Err(SqlError::not_supported(
                "FOR UPDATE or FOR SHARE over more than single tables read by key",
            )),
        }
    }

    /// A table's columns under the names that they have in plans.
    fn scan_provider(&self, provider: Arc<dyn TableProvider>) -> SqlResult<LogicalPlan> {
        let name = format!("t{}", self.number());
        let names: Vec<String> =
            provider.schema().fields().iter().map(|field| field.name().clone()).collect();
        let scan = ok(LogicalPlanBuilder::scan(name.as_str(), provider_as_source(provider), None))?;
        if names.is_empty() {
            return ok(scan.build());
        }
        let columns = names
            .into_iter()
            .map(|column| DfExpr::Column(Column::new(Some(name.clone()), column.clone())).alias(column));
        ok(scan.project(columns.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build))
    }

    fn table(&self, scan: &TableScan) -> SqlResult<LogicalPlan> {
        for (column, position) in &scan.cols {
            if let Some(form) = scan_form(scan, *position) {
                self.set_form(column.id, form);
            }
        }
        self.scan_provider(Arc::new(ScanProvider::new(scan, self.env.clone())))
    }

    /// Columns computed from a plan's, and no others.
    fn project(&mut self, mut plan: LogicalPlan, exprs: &[(ColDef, Expr)]) -> SqlResult<LogicalPlan> {
        let mut out = Vec::with_capacity(exprs.len());
        for (column, expr) in exprs {
            let (expr, below) = self.hoist(expr, plan)?;
            plan = below;
            out.push(self.named(column, &expr)?);
        }
        ok(builder(plan).project(out).and_then(LogicalPlanBuilder::build))
    }

    fn sort(&mut self, mut plan: LogicalPlan, keys: &[SortKey]) -> SqlResult<LogicalPlan> {
        let mut out = Vec::with_capacity(keys.len());
        for key in keys {
            let (expr, below) = self.hoist(&key.expr, plan)?;
            plan = below;
            out.push(SortExpr::new(self.comparable(&expr)?, !key.desc, key.nulls_first));
        }
        Ok(sorted(plan, out))
    }

    fn distinct(&mut self, plan: LogicalPlan, columns: &[ColDef]) -> SqlResult<LogicalPlan> {
        let keyed = |column: &ColDef| needs_order_key(column.ty) && self.form_of(column.id).is_none();
        if !columns.iter().any(keyed) {
            return ok(builder(plan).distinct().and_then(LogicalPlanBuilder::build));
        }
        let keys = columns
            .iter()
            .map(|column| self.comparable(&Expr::col(column.id, column.ty)))
            .collect::<SqlResult<Vec<_>>>()?;
        let schema = plan.schema().clone();
        Ok(operator_plan(Arc::new(DistinctOn), keys, vec![plan], schema))
    }

    /// An expression's value in a form that Arrow compares as PostgreSQL does.
    fn comparable(&self, expr: &Expr) -> SqlResult<DfExpr> {
        if let Some((value, _)) = self.physical(expr)? {
            return Ok(value);
        }
        let value = self.expr(expr)?;
        Ok(if needs_order_key(expr.ty) { order_key(expr.ty, value) } else { value })
    }
}
