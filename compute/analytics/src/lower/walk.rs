//! Walks over whole trees: which columns a query uses and does not make, how often a WITH query is read.

use super::CteEntry;
use ahash::{AHashMap, AHashSet};
use shardforge_compute::functions::is_volatile;
use shardforge_compute::sql::bound::{ColDef, ColId, CteId, Expr, ExprKind, Query, Rel};
use shardforge_types::PgType;
use std::collections::BTreeMap;

/// Sees every relation and expression of a tree, subqueries included.
pub(super) trait Visitor {
    /// A relation, before what is in it.
    fn rel(&mut self, _: &Rel) {}
    /// An expression, before what is in it.
    fn expr(&mut self, _: &Expr) {}
    /// A query: its relation comes after.
    fn query(&mut self, _: &Query) {}
}

pub(super) fn walk_query(query: &Query, visitor: &mut dyn Visitor) {
    visitor.query(query);
    walk_rel(&query.rel, visitor);
}

pub(super) fn walk_expr(expr: &Expr, visitor: &mut dyn Visitor) {
    visitor.expr(expr);
    if let ExprKind::Subquery { query, .. } = &expr.kind {
        walk_query(query, visitor);
    }
    expr.for_each_child(&mut |child| walk_expr(child, visitor));
}

pub(super) fn walk_rel(rel: &Rel, visitor: &mut dyn Visitor) {
    visitor.rel(rel);
    match rel {
        Rel::OneRow | Rel::Table(_) | Rel::CteRef { .. } => {}
        Rel::Values { rows, .. } => rows.iter().flatten().for_each(|expr| walk_expr(expr, visitor)),
        Rel::Function(scan) => scan.args().for_each(|expr| walk_expr(expr, visitor)),
        Rel::Filter { input, predicate } => {
            walk_rel(input, visitor);
            walk_expr(predicate, visitor);
        }
        Rel::Project { input, exprs } => {
            walk_rel(input, visitor);
            exprs.iter().for_each(|(_, expr)| walk_expr(expr, visitor));
        }
        Rel::Join(join) => {
            walk_rel(&join.left, visitor);
            walk_rel(&join.right, visitor);
            join.on.iter().for_each(|expr| walk_expr(expr, visitor));
        }
        Rel::Aggregate(aggregate) => {
            walk_rel(&aggregate.input, visitor);
            aggregate.groups.iter().for_each(|(_, expr)| walk_expr(expr, visitor));
            for (_, call) in &aggregate.calls {
                call.args.iter().for_each(|expr| walk_expr(expr, visitor));
                call.order_by.iter().for_each(|key| walk_expr(&key.expr, visitor));
                call.filter.iter().for_each(|expr| walk_expr(expr, visitor));
            }
        }
        Rel::Window(window) => {
            walk_rel(&window.input, visitor);
            window.partition_by.iter().for_each(|expr| walk_expr(expr, visitor));
            window.order_by.iter().for_each(|key| walk_expr(&key.expr, visitor));
            for (_, call) in &window.calls {
                call.args.iter().for_each(|expr| walk_expr(expr, visitor));
                call.filter.iter().for_each(|expr| walk_expr(expr, visitor));
            }
        }
        Rel::Distinct(input) | Rel::Lock { input, .. } => walk_rel(input, visitor),
        Rel::DistinctOn { input, keys } => {
            walk_rel(input, visitor);
            keys.iter().for_each(|expr| walk_expr(expr, visitor));
        }
        Rel::SetOp(op) => {
            walk_query(&op.left, visitor);
            walk_query(&op.right, visitor);
        }
        Rel::Sort { input, keys } => {
            walk_rel(input, visitor);
            keys.iter().for_each(|key| walk_expr(&key.expr, visitor));
        }
        Rel::Limit { input, limit, offset } => {
            walk_rel(input, visitor);
            limit.iter().chain(offset).for_each(|expr| walk_expr(expr, visitor));
        }
        Rel::With { ctes, body } => {
            for cte in ctes {
                walk_query(&cte.query, visitor);
                cte.recursive.iter().for_each(|(query, _)| walk_query(query, visitor));
            }
            walk_rel(body, visitor);
        }
    }
}

/// The columns that a relation itself adds to those of its inputs.
fn made(rel: &Rel, visit: &mut dyn FnMut(&ColDef)) {
    match rel {
        Rel::Values { cols, .. } | Rel::CteRef { cols, .. } => cols.iter().for_each(visit),
        Rel::Table(scan) => scan.cols.iter().for_each(|(column, _)| visit(column)),
        Rel::Function(scan) => scan.columns().for_each(visit),
        Rel::Project { exprs, .. } => exprs.iter().for_each(|(column, _)| visit(column)),
        Rel::Aggregate(aggregate) => {
            aggregate.groups.iter().for_each(|(column, _)| visit(column));
            aggregate.calls.iter().for_each(|(column, _)| visit(column));
        }
        Rel::Window(window) => window.calls.iter().for_each(|(column, _)| visit(column)),
        Rel::SetOp(op) => op.cols.iter().for_each(visit),
        _ => {}
    }
}

/// Used and made columns.
#[derive(Default)]
struct Columns<'a> {
    used: BTreeMap<ColId, PgType>,
    made: AHashSet<ColId>,
    ctes: Option<&'a AHashMap<CteId, CteEntry>>,
}

impl Visitor for Columns<'_> {
    fn rel(&mut self, rel: &Rel) {
        made(rel, &mut |column| {
            self.made.insert(column.id);
        });
        // A WITH query that is put in place of its reference brings its outer columns along.
        if let Rel::CteRef { cte, .. } = rel
            && let Some(ctes) = self.ctes
            && let Some(CteEntry::Inline(query)) = ctes.get(cte)
        {
            walk_query(&query.clone(), self);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Col(id) = expr.kind {
            self.used.insert(id, expr.ty);
        }
    }

    fn query(&mut self, query: &Query) {
        self.used.extend(query.output.iter().map(|column| (column.id, column.ty)));
    }
}

impl Columns<'_> {
    fn free(self) -> Vec<(ColId, PgType)> {
        let made = self.made;
        self.used.into_iter().filter(|(id, _)| !made.contains(id)).collect()
    }
}

/// The columns of outer queries that a query uses.
pub(super) fn free_columns(query: &Query, ctes: &AHashMap<CteId, CteEntry>) -> Vec<(ColId, PgType)> {
    let mut columns = Columns { ctes: Some(ctes), ..Columns::default() };
    walk_query(query, &mut columns);
    columns.free()
}

/// The columns that a relation uses and does not make.
pub(super) fn free_columns_of_rel(rel: &Rel, ctes: &AHashMap<CteId, CteEntry>) -> Vec<(ColId, PgType)> {
    let mut columns = Columns { ctes: Some(ctes), ..Columns::default() };
    walk_rel(rel, &mut columns);
    columns.free()
}

/// The columns that an expression uses, without those that subqueries in it make.
pub(super) fn columns_of_expr(expr: &Expr) -> Vec<(ColId, PgType)> {
    let mut columns = Columns::default();
    walk_expr(expr, &mut columns);
    columns.free()
}

struct Facts {
    cte: Option<CteId>,
    references: usize,
    volatile: bool,
}

impl Visitor for Facts {
    fn rel(&mut self, rel: &Rel) {
        match rel {
            Rel::CteRef { cte, .. } if Some(*cte) == self.cte => self.references += 1,
            Rel::Function(scan) => self.volatile |= scan.calls.iter().any(|call| is_volatile(call.func)),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Call { func, .. } = expr.kind {
            self.volatile |= is_volatile(func);
        }
    }
}

/// How often a WITH query is read in a relation and in queries.
pub(super) fn references<'a>(cte: CteId, rel: &Rel, queries: impl Iterator<Item = &'a Query>) -> usize {
    let mut facts = Facts { cte: Some(cte), references: 0, volatile: false };
    walk_rel(rel, &mut facts);
    queries.for_each(|query| walk_query(query, &mut facts));
    facts.references
}

/// Whether two runs of a query over the same rows may differ.
pub(super) fn is_query_volatile(query: &Query) -> bool {
    let mut facts = Facts { cte: None, references: 0, volatile: false };
    walk_query(query, &mut facts);
    facts.volatile
}
