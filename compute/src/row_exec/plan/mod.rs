//! Which queries the row executor runs, and how.
//!
//! A plan is made from the bound tree, relation by relation: [`scan`] picks the key or index by which a table is
//! read, [`join`] puts the tables of one FROM in an order in which each is found by a key of those before it,
//! and [`aggregate`] groups. What an operator does not exist for is declined (`None`), and is the report
//! engine's.
//!
//! # The choice
//!
//! Each plan knows how many rows it expects to read. [`plan_query`] takes it when they are few, so that a join is
//! never a loop over whole tables unless they are known to be tiny. Where nothing is known the expectation may
//! be wrong: a plan that meets far more rows stops ([`super::Stop::TooLarge`]), and the report engine
//! runs the query from its start.

mod aggregate;
mod block;
mod join;
mod lock;
mod needed;
mod relation;
mod scan;
mod subquery;

use super::expr::{Evaluator, Scope, compile};
use super::ops::lock::RowLock;
use super::query::Node;
use super::storage::TableCodec;
use crate::catalog::TableDef;
use crate::sql::bound::{ColDef, ColId, Expr, ExprKind, Query, Rel};
use crate::{SqlError, SqlResult};
use needed::Needed;
pub(super) use needed::add_columns as needed_columns;
pub(super) use scan::{ScanChoice, choose_scan, filter_of};
use shardforge_types::Oid;
use std::sync::Arc;

/// Rows that a plan may be expected to read.
const MAX_ROWS: f64 = 2_000.0;
/// Rows that a scan may read before its query is the report engine's.
const BUDGET: u64 = 20_000;

/// Who runs queries (`shardforge.executor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Executor {
    /// The row executor those that read few rows, the report engine the others.
    #[default]
    Auto,
    /// The row executor; what it cannot run is an error.
    Row,
    /// The report engine.
    Report,
}

/// How many rows a table has, where that is known.
pub(super) type TableRows<'a> = dyn Fn(&TableDef) -> Option<f64> + 'a;

/// Plans a query; `None` when the report engine is to run it.
pub(super) fn plan_query(query: &Query, rows: &TableRows<'_>, executor: Executor) -> SqlResult<Option<Node>> {
    if executor == Executor::Report || stops_for_sequences(query) {
        return Ok(None);
    }
    let mut planner = Planner::new(rows);
    if executor == Executor::Auto && !is_volatile(query) {
        planner.budget = BUDGET;
    }
    let planned = match planner.output(query) {
        // What cannot be planned here may be well as a report; only locks are taken nowhere else.
        Err(_) if executor == Executor::Auto && !locks(&query.rel) => None,
        planned => planned?,
    };
    if executor == Executor::Row {
        let declined = || SqlError::not_supported("this query on the row executor");
        return planned.map(|planned| Some(planned.node)).ok_or_else(declined);
    }
    Ok(planned
        .filter(|planned| planned.cost <= MAX_ROWS || planned.locks_a_table())
        .map(|planned| planned.node))
}

/// Plans a query whose every row is written: as [`plan_query`], but from one table however many there are.
pub(super) fn plan_source(query: &Query, rows: &TableRows<'_>) -> SqlResult<Option<Node>> {
    if stops_for_sequences(query) {
        return Ok(None);
    }
    let planned = Planner::new(rows).output(query)?;
    Ok(planned.filter(|planned| planned.cost <= MAX_ROWS || !planned.node.has_loop()).map(|p| p.node))
}

fn locks(rel: &Rel) -> bool {
    match rel {
        Rel::Lock { .. } => true,
        Rel::Limit { input, .. } => locks(input),
        _ => false,
    }
}

/// Whether running a query twice would do something twice.
fn is_volatile(query: &Query) -> bool {
    calls(query, crate::functions::is_volatile)
}

/// Whether an evaluation may stop for a sequence where an operator does not keep its row for the repetition.
fn stops_for_sequences(query: &Query) -> bool {
    fn keeps_rows(rel: &Rel) -> bool {
        match rel {
            Rel::OneRow | Rel::Values { .. } | Rel::Table(_) | Rel::Function(_) => true,
            Rel::Filter { input, .. } | Rel::Project { input, .. } => keeps_rows(input),
            _ => false,
        }
    }
    !keeps_rows(&query.rel) && calls(query, crate::functions::moves_sequence)
}

/// Whether a query calls such a function anywhere.
fn calls(query: &Query, test: fn(Oid) -> bool) -> bool {
    let expr_does = |expr: &Expr| {
        expr.any(&mut |e| match &e.kind {
            ExprKind::Call { func, .. } => test(*func),
            ExprKind::Subquery { query, .. } => calls(query, test),
            _ => false,
        })
    };
    let mut found = false;
    query.rel.for_each_expr(&mut |expr| found = found || expr_does(expr));
    found
}

/// The row that a relation is read over: the outer side's of a loop. Its columns come first in the relation's rows.
#[derive(Clone, Copy)]
struct Over<'o> {
    scope: &'o Scope,
    width: usize,
}

impl Over<'_> {
    /// Where columns lie that come after the row's.
    fn with<'c>(&self, columns: impl IntoIterator<Item = &'c ColDef>) -> Scope {
        if self.width == 0 {
            return Scope::of(columns);
        }
        let mut scope = self.scope.clone();
        columns.into_iter().enumerate().for_each(|(n, column)| scope.add(column.id, self.width + n));
        scope
    }

    /// Evaluators of the row's own columns.
    fn slots(&self) -> impl Iterator<Item = Evaluator> {
        (0..self.width).map(Evaluator::slot)
    }
}

/// A column of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OrderBy {
    column: ColId,
    desc: bool,
    nulls_first: bool,
}

/// What those above would like: rows in this order, and no more than so many.
#[derive(Debug, Clone, Default)]
struct Hint {
    order: Vec<OrderBy>,
    limit: Option<f64>,
}

/// A plan of a relation.
struct Planned {
    node: Node,
    scope: Scope,
    /// How many columns a row has, those of the outer row included.
    width: usize,
    /// How many rows it is expected to give for each outer row.
    rows: f64,
    /// How many it is expected to read for them.
    cost: f64,
    /// Whether it gives one row at most, for certain.
    single: bool,
    /// Whether rows come in the order of the hint.
    ordered: bool,
    /// Whether fewer rows are read when fewer are taken.
    streams: bool,
}

impl Planned {
    fn over(over: Over<'_>, node: Node) -> Planned {
        Planned {
            node,
            scope: over.scope.clone(),
            width: over.width,
            rows: 1.0,
            cost: 0.0,
            single: true,
            ordered: true,
            streams: true,
        }
    }

    /// With an operator on top that gives rows of the same columns.
    fn map(self, node: impl FnOnce(Box<Node>) -> Node) -> Planned {
        Planned { node: node(Box::new(self.node)), ..self }
    }

    fn filter(self, predicate: Option<Evaluator>) -> Planned {
        match predicate {
            Some(predicate) => {
                let rows = self.rows * scan::SELECTIVITY;
                Planned { rows, ..self.map(|input| Node::Filter(input, predicate)) }
            }
            None => self,
        }
    }

    /// Whether it locks rows of one table, which no other executor can.
    fn locks_a_table(&self) -> bool {
        self.node.locks() && !self.node.has_loop()
    }
}

type Plan = SqlResult<Option<Planned>>;

/// A scan whose rows carry their keys, for the locks above it.
struct KeyColumnOf {
    alias: String,
    column: ColId,
    lock: RowLock,
    codec: Option<Arc<TableCodec>>,
}

/// Plans relations.
struct Planner<'p> {
    table_rows: &'p TableRows<'p>,
    budget: u64,
    /// The scan of this alias locks its rows.
    scan_lock: Option<(String, RowLock)>,
    keys: Vec<KeyColumnOf>,
}

impl<'p> Planner<'p> {
    fn new(table_rows: &'p TableRows<'p>) -> Self {
        Self { table_rows, budget: u64::MAX, scan_lock: None, keys: Vec::new() }
    }

    fn output(&mut self, query: &Query) -> Plan {
        let scope = Scope::new();
        let over = Over { scope: &scope, width: 0 };
        let needed = Needed::these(query.output.iter().map(|column| column.id));
        let Some(planned) = self.relation(&query.rel, &needed, over, &Hint::default())? else {
            return Ok(None);
        };
        let exprs =
            query.output.iter().map(|column| compile(&Expr::col(column.id, column.ty), &planned.scope));
        let exprs = exprs.collect::<SqlResult<Vec<_>>>()?;
        let width = planned.width;
        Ok(Some(planned.map(|input| project(input, exprs, width))))
    }
}

/// A projection, unless it would give the row as it is.
fn project(input: Box<Node>, exprs: Vec<Evaluator>, width: usize) -> Node {
    let same = width == exprs.len() && exprs.iter().enumerate().all(|(n, expr)| expr.as_slot() == Some(n));
    if same { *input } else { Node::Project(input, exprs) }
}
