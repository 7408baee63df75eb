//! Subqueries that lock rows (`WHERE id = (SELECT ... FOR UPDATE SKIP LOCKED LIMIT 1)`), which run once, before
//! the statement that they stand in, as PostgreSQL's InitPlans do.
//!
//! 1. [`Extraction::of`] takes each such query out of the bound statement and puts a parameter in its place,
//!    numbered after the client's: the value of a scalar subquery, an array for `IN` and `ARRAY`, a boolean for
//!    EXISTS, an array for each column of a subquery in FROM or of a WITH query, read by `unnest`.
//! 2. Query and statement are planned apart ([`InitPlan`]); what is left reads by key what the parameters name.
//! 3. The session runs the queries, then the statement, at one snapshot. A restart begins with the first query
//!    again, so that what was chosen and what is read fit together; locks are kept.
//!
//! Where PostgreSQL would run the query more than once, not at all, or only in part, depending on other rows, the
//! statement is refused (0A000): rows would be locked that PostgreSQL leaves alone. So are queries that use the
//! rows around them.

use super::plan::needed_columns;
use super::statement::RowPlan;
use crate::sql::bound::{
    BoundStatement, ColDef, ColId, Cte, CteId, Expr, ExprKind, FunctionCall, FunctionScan, JoinKind,
    OutputColumn, Query, Rel, SubqueryKind,
};
use crate::{SqlError, SqlResult};
use ahash::{AHashMap, AHashSet};
use shardforge_types::{ArrayValue, Datum, Oid, PgType, SqlState};
use std::sync::Arc;

/// `unnest(anyarray)`.
const UNNEST: Oid = Oid(2331);

/// What becomes of the rows of a query.
#[derive(Debug, Clone)]
enum Gives {
    /// The value of its one row.
    Value,
    /// Whether there is a row.
    Exists,
    /// An array of each of these columns, with the type of the elements.
    Arrays(Vec<(usize, Oid)>),
}

/// A query that runs before its statement.
#[derive(Debug)]
pub struct InitPlan {
    /// The query.
    pub(crate) plan: Arc<RowPlan>,
    gives: Gives,
    /// Its first parameter.
    param: u16,
}

impl InitPlan {
    /// Puts what the rows come to among the parameters.
    pub(crate) fn give(&self, rows: Vec<Vec<Datum>>, params: &mut Vec<Datum>) -> SqlResult<()> {
        let mut rows = rows;
        let values = match &self.gives {
            Gives::Value if rows.len() > 1 => {
                let message = "more than one row returned by a subquery used as an expression";
                return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message));
            }
            Gives::Value => vec![rows.pop().and_then(|row| row.into_iter().next()).unwrap_or(Datum::Null)],
            Gives::Exists => vec![Datum::Bool(!rows.is_empty())],
            Gives::Arrays(columns) => {
                let array = |(column, element): &(usize, Oid)| {
                    let values = rows.iter().map(|row| row.get(*column).cloned().unwrap_or(Datum::Null));
                    Datum::Array(Arc::new(ArrayValue::from_values(*element, values.collect())))
                };
                columns.iter().map(array).collect()
            }
        };
        let first = usize::from(self.param);
        if params.len() < first + values.len() {
            params.resize(first + values.len(), Datum::Null);
        }
        params[first..first + values.len()].clone_from_slice(&values);
        Ok(())
    }

    /// The parameter that it gives first, as EXPLAIN names it.
    pub(super) fn number(&self) -> u32 {
        u32::from(self.param) + 1
    }
}

/// A query on its way to an [`InitPlan`].
pub(super) struct Extracted {
    pub(super) query: Query,
    gives: Gives,
    param: u16,
}

impl Extracted {
    pub(super) fn planned(&self, plan: RowPlan) -> InitPlan {
        InitPlan { plan: Arc::new(plan), gives: self.gives.clone(), param: self.param }
    }
}

/// A WITH query that was taken out.
struct Taken {
    param: u16,
    types: Vec<PgType>,
    bounded: bool,
}

/// Takes queries that lock rows out of a statement.
pub(super) struct Extraction<'n> {
    /// The next free parameter.
    next: &'n mut u16,
    out: Vec<Extracted>,
    taken: AHashMap<CteId, Taken>,
    /// Columns and WITH queries that something uses.
    used: AHashSet<ColId>,
    read: AHashSet<CteId>,
}

/// Calls `visit` with a relation and all those inside, queries in expressions included.
fn walk<'r>(rel: &'r Rel, visit: &mut dyn FnMut(&'r Rel)) {
    fn down<'r>(rel: &'r Rel, visit: &mut dyn FnMut(&'r Rel)) {
        visit(rel);
        match rel {
            Rel::OneRow | Rel::Values { .. } | Rel::Table(_) | Rel::Function(_) | Rel::CteRef { .. } => {}
            Rel::Filter { input, .. }
            | Rel::Project { input, .. }
            | Rel::Distinct(input)
            | Rel::DistinctOn { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Lock { input, .. } => down(input, visit),
            Rel::Join(join) => {
                down(&join.left, visit);
                down(&join.right, visit);
            }
            Rel::Aggregate(aggregate) => down(&aggregate.input, visit),
            Rel::Window(window) => down(&window.input, visit),
            Rel::SetOp(op) => {
                down(&op.left.rel, visit);
                down(&op.right.rel, visit);
            }
            Rel::With { ctes, body } => {
                for cte in ctes {
                    down(&cte.query.rel, visit);
                    cte.recursive.iter().for_each(|(query, _)| down(&query.rel, visit));
                }
                down(body, visit);
            }
        }
    }
    down(rel, visit);
    rel.for_each_expr(&mut |expr| walk_expr(expr, visit));
}

fn walk_expr<'r>(expr: &'r Expr, visit: &mut dyn FnMut(&'r Rel)) {
    if let ExprKind::Subquery { query, .. } = &expr.kind {
        walk(&query.rel, visit);
    }
    expr.for_each_child(&mut |child| walk_expr(child, visit));
}

/// Whether reading a relation locks rows, in whatever part of it.
pub(super) fn locks(rel: &Rel) -> bool {
    let mut found = false;
    walk(rel, &mut |rel| found |= matches!(rel, Rel::Lock { .. }));
    found
}

fn expr_locks(expr: &Expr) -> bool {
    let mut found = false;
    walk_expr(expr, &mut |rel| found |= matches!(rel, Rel::Lock { .. }));
    found
}

/// Whether the only locks are those of a query whose rows pass one by one to the top: operators lock them as they
/// are asked for, so that a LIMIT above locks no more than it takes.
fn is_direct(rel: &Rel) -> bool {
    match rel {
        Rel::Lock { input, .. } => !locks(input),
        Rel::Project { input, exprs } => !exprs.iter().any(|(_, expr)| expr_locks(expr)) && is_direct(input),
        Rel::Filter { input, predicate } => !super::expr::has_subquery(predicate) && is_direct(input),
        Rel::Limit { input, .. } => is_direct(input),
        _ => false,
    }
}

fn refused(what: &str) -> SqlError {
    SqlError::not_supported(format!("FOR UPDATE or FOR SHARE in {what}"))
}

/// The relations and expressions of which a statement is made.
fn roots(statement: &BoundStatement) -> (Vec<&Rel>, Vec<&Expr>) {
    fn with<'s>(ctes: &'s [Cte], rels: &mut Vec<&'s Rel>) {
        for cte in ctes {
            rels.push(&cte.query.rel);
            rels.extend(cte.recursive.iter().map(|(query, _)| &query.rel));
        }
    }
    let (mut rels, mut exprs) = (Vec::new(), Vec::new());
    let returning = match statement {
        BoundStatement::Query(query) => {
            rels.push(&query.rel);
            &None
        }
        BoundStatement::Insert(insert) => {
            rels.push(&insert.source.rel);
            let update = insert.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
            if let Some(update) = update {
                exprs.extend(update.assignments.iter().map(|(_, expr)| expr).chain(&update.predicate));
            }
            &insert.returning
        }
        BoundStatement::Update(update) => {
            with(&update.ctes, &mut rels);
            rels.extend(&update.from);
            exprs.extend(update.assignments.iter().map(|(_, expr)| expr).chain(&update.predicate));
            &update.returning
        }
        BoundStatement::Delete(delete) => {
            with(&delete.ctes, &mut rels);
            rels.extend(&delete.using);
            exprs.extend(&delete.predicate);
            &delete.returning
        }
        _ => &None,
    };
    exprs.extend(returning.iter().flat_map(|returning| returning.exprs.iter().map(|(_, expr)| expr)));
    (rels, exprs)
}

/// Whether a statement locks rows anywhere in a query within it.
pub(crate) fn statement_locks(statement: &BoundStatement) -> bool {
    let (rels, exprs) = roots(statement);
    rels.into_iter().any(locks) || exprs.into_iter().any(expr_locks)
}

fn params_of(expr: &Expr, next: &mut u16) {
    match &expr.kind {
        ExprKind::Param(n) => *next = (*next).max(n.saturating_add(1)),
        ExprKind::Subquery { query, .. } => query.rel.for_each_expr(&mut |expr| params_of(expr, next)),
        _ => {}
    }
    expr.for_each_child(&mut |child| params_of(child, next));
}

/// The first parameter that a statement does not use.
fn free_param(statement: &BoundStatement) -> u16 {
    let mut next = 0;
    let (rels, exprs) = roots(statement);
    rels.into_iter().for_each(|rel| rel.for_each_expr(&mut |expr| params_of(expr, &mut next)));
    exprs.into_iter().for_each(|expr| params_of(expr, &mut next));
    next
}

impl<'n> Extraction<'n> {
    /// The statement without the queries that are to run before it, and those; `None` when there are none.
    /// `next` counts parameters over a statement and the queries taken out of it.
    pub(super) fn of(
        statement: &BoundStatement,
        next: &'n mut Option<u16>,
    ) -> SqlResult<Option<(BoundStatement, Vec<Extracted>)>> {
        let simple = match statement {
            BoundStatement::Query(query) => !locks(&query.rel) || is_direct(&query.rel),
            BoundStatement::Insert(insert) if is_direct(&insert.source.rel) => true,
            statement => !statement_locks(statement),
        };
        if simple {
            return Ok(None);
        }
        let (mut used, mut read) = (AHashSet::new(), AHashSet::new());
        let (rels, exprs) = roots(statement);
        exprs.iter().for_each(|expr| needed_columns(expr, &mut used));
        let mut visit = |rel: &Rel| match rel {
            Rel::CteRef { cte, .. } => {
                read.insert(*cte);
            }
            Rel::SetOp(op) => {
                used.extend(op.left.output.iter().chain(&op.right.output).map(|column| column.id));
            }
            Rel::Distinct(input) => used.extend(input.columns().iter().map(|column| column.id)),
            rel => rel.for_each_expr(&mut |expr| needed_columns(expr, &mut used)),
        };
        rels.iter().for_each(|rel| walk(rel, &mut visit));
        exprs.iter().for_each(|expr| walk_expr(expr, &mut visit));
        let next = next.get_or_insert_with(|| free_param(statement));
        let mut this = Extraction { next, out: Vec::new(), taken: AHashMap::new(), used, read };
        let mut statement = statement.clone();
        this.statement(&mut statement)?;
        Ok(Some((statement, this.out)))
    }

    fn statement(&mut self, statement: &mut BoundStatement) -> SqlResult<()> {
        let returning = match statement {
            BoundStatement::Query(query) => {
                self.used.extend(query.output.iter().map(|column| column.id));
                return self.top(&mut query.rel, false);
            }
            BoundStatement::Insert(insert) => {
                self.used.extend(insert.source.output.iter().map(|column| column.id));
                self.top(&mut insert.source.rel, false)?;
                let update = insert.on_conflict.as_mut().and_then(|conflict| conflict.update.as_mut());
                if let Some(update) = update {
                    for expr in update.assignments.iter_mut().map(|(_, e)| e).chain(&mut update.predicate) {
                        self.sometimes(expr, "ON CONFLICT DO UPDATE")?;
                    }
                }
                &mut insert.returning
            }
            BoundStatement::Update(update) => {
                self.with(&mut update.ctes)?;
                update.from.iter_mut().try_for_each(|from| self.rel(from, false))?;
                update.predicate.iter_mut().try_for_each(|expr| self.condition(expr))?;
                for (_, expr) in &mut update.assignments {
                    self.sometimes(expr, "a subquery in SET")?;
                }
                &mut update.returning
            }
            BoundStatement::Delete(delete) => {
                self.with(&mut delete.ctes)?;
                delete.using.iter_mut().try_for_each(|using| self.rel(using, false))?;
                delete.predicate.iter_mut().try_for_each(|expr| self.condition(expr))?;
                &mut delete.returning
            }
            _ => return Err(SqlError::internal("a statement without rows locks some")),
        };
        for (_, expr) in returning.iter_mut().flat_map(|returning| &mut returning.exprs) {
            self.sometimes(expr, "a subquery in RETURNING")?;
        }
        Ok(())
    }

    /// The relation of a query whose own locks stay: its rows are those of the statement.
    fn top(&mut self, rel: &mut Rel, lazy: bool) -> SqlResult<()> {
        match rel {
            Rel::Limit { input, .. } => self.top(input, true),
            Rel::Lock { input, .. } => self.rel(input, lazy),
            Rel::With { ctes, body } => {
                self.with(ctes)?;
                self.top(body, lazy)?;
                if ctes.is_empty() {
                    *rel = std::mem::replace(body, Rel::OneRow);
                }
                Ok(())
            }
            rel => self.rel(rel, lazy),
        }
    }

    fn with(&mut self, ctes: &mut Vec<Cte>) -> SqlResult<()> {
        for mut cte in std::mem::take(ctes) {
            let locked = locks(&cte.query.rel);
            let recursion_locks = cte.recursive.as_ref().is_some_and(|(query, _)| locks(&query.rel));
            if recursion_locks || locked && cte.recursive.is_some() {
                return Err(refused("WITH RECURSIVE"));
            }
            if !locked {
                self.rel(&mut cte.query.rel, false)?;
                if let Some((query, _)) = &mut cte.recursive {
                    self.rel(&mut query.rel, false)?;
                }
                ctes.push(cte);
                continue;
            }
            // What nobody reads is not run.
            if !self.read.contains(&cte.id) {
                continue;
            }
            self.references(&cte.query.rel)?;
            let types: Vec<PgType> = cte.query.output.iter().map(|column| column.ty).collect();
            let bounded = matches!(cte.query.rel, Rel::Limit { .. });
            let columns = types.iter().enumerate().map(|(n, ty)| (n, *ty)).collect();
            let (param, _) = self.arrays(cte.query, columns)?;
            self.taken.insert(cte.id, Taken { param, types, bounded });
        }
        Ok(())
    }

    /// Refuses a query that reads WITH queries of those around it: it is planned without them.
    fn references(&self, rel: &Rel) -> SqlResult<()> {
        let (mut made, mut read) = (AHashSet::new(), AHashSet::new());
        walk(rel, &mut |rel| match rel {
            Rel::With { ctes, .. } => made.extend(ctes.iter().map(|cte| cte.id)),
            Rel::CteRef { cte, .. } => {
                read.insert(*cte);
            }
            _ => {}
        });
        match read.difference(&made).next() {
            Some(_) => Err(refused("a subquery that reads a WITH query outside it")),
            None => Ok(()),
        }
    }

    fn rel(&mut self, rel: &mut Rel, lazy: bool) -> SqlResult<()> {
        let is_query = match rel {
            Rel::Lock { .. } => true,
            Rel::Limit { input, .. } => matches!(**input, Rel::Lock { .. }),
            _ => false,
        };
        if is_query {
            return self.in_from(rel, lazy);
        }
        match rel {
            Rel::OneRow | Rel::Table(_) | Rel::Lock { .. } => Ok(()),
            Rel::Values { rows, .. } => rows.iter_mut().flatten().try_for_each(|expr| self.value(expr)),
            Rel::Function(scan) => {
                scan.args_mut().try_for_each(|expr| self.sometimes(expr, "an argument of a function in FROM"))
            }
            Rel::Filter { input, predicate } => {
                self.rel(input, lazy)?;
                self.condition(predicate)
            }
            Rel::Project { input, exprs } => {
                self.rel(input, lazy)?;
                let once = matches!(**input, Rel::OneRow);
                exprs.iter_mut().try_for_each(|(_, expr)| match once {
                    true => self.value(expr),
                    false => self.sometimes(expr, "a subquery in the select list"),
                })
            }
            Rel::Join(join) => {
                self.rel(&mut join.left, lazy)?;
                self.rel(&mut join.right, lazy)?;
                let inner = join.kind == JoinKind::Inner;
                join.on.iter_mut().try_for_each(|on| match inner {
                    true => self.condition(on),
                    false => self.sometimes(on, "the condition of an outer join"),
                })
            }
            Rel::Aggregate(_) | Rel::Window(_) | Rel::DistinctOn { .. } | Rel::Sort { .. } => {
                let input = match rel {
                    Rel::Aggregate(aggregate) => &mut aggregate.input,
                    Rel::Window(window) => &mut window.input,
                    Rel::DistinctOn { input, .. } | Rel::Sort { input, .. } => &mut **input,
                    _ => return Ok(()),
                };
                let mut below = std::mem::replace(input, Rel::OneRow);
                let done = self.rel(&mut below, false);
                // What is left are its own expressions.
                if done.is_ok() && (locks(rel) || !self.taken.is_empty() && has_subquery(rel)) {
                    return Err(refused("a subquery beside GROUP BY, ORDER BY, DISTINCT ON or a window"));
                }
                if let Rel::Aggregate(aggregate) = rel {
                    aggregate.input = below;
                } else if let Rel::Window(window) = rel {
                    window.input = below;
                } else if let Rel::DistinctOn { input, .. } | Rel::Sort { input, .. } = rel {
                    **input = below;
                }
                done
            }
            Rel::Distinct(input) => self.rel(input, lazy),
            Rel::SetOp(op) => {
                self.rel(&mut op.left.rel, lazy)?;
                self.rel(&mut op.right.rel, lazy)
            }
            Rel::Limit { input, limit, offset } => {
                self.rel(input, true)?;
                limit.iter_mut().chain(offset).try_for_each(|expr| self.value(expr))
            }
            Rel::With { ctes, body } => {
                self.with(ctes)?;
                self.rel(body, lazy)?;
                if ctes.is_empty() {
                    *rel = std::mem::replace(body, Rel::OneRow);
                }
                Ok(())
            }
            Rel::CteRef { cte, cols } => {
                let Some(taken) = self.taken.get(cte) else { return Ok(()) };
                if lazy && !taken.bounded {
                    return Err(refused("a WITH query of which a LIMIT outside it takes a part"));
                }
                let columns = cols.iter().cloned().zip(taken.types.iter().copied());
                *rel = unnest(taken.param, columns.collect())?;
                Ok(())
            }
        }
    }

    /// A subquery in FROM.
    fn in_from(&mut self, rel: &mut Rel, lazy: bool) -> SqlResult<()> {
        if lazy && !matches!(rel, Rel::Limit { .. }) {
            return Err(refused("a joined subquery of which a LIMIT outside it takes a part"));
        }
        let mut cols: Vec<ColDef> = rel.columns();
        let first = cols.first().cloned();
        cols.retain(|column| self.used.contains(&column.id));
        if cols.is_empty() {
            cols.extend(first);
        }
        let output = cols.iter().map(|column| OutputColumn {
            id: column.id,
            name: column.name.clone(),
            ty: column.ty,
            origin: None,
        });
        let output = output.collect();
        let query = Query { rel: std::mem::replace(rel, Rel::OneRow), output };
        let columns = cols.iter().enumerate().map(|(n, column)| (n, column.ty)).collect();
        let (param, types) = self.arrays(query, columns)?;
        *rel = unnest(param, cols.into_iter().zip(types).collect())?;
        Ok(())
    }

    /// Takes a query out that gives an array for each of some of its columns.
    fn arrays(&mut self, query: Query, columns: Vec<(usize, PgType)>) -> SqlResult<(u16, Vec<PgType>)> {
        if columns.is_empty() {
            return Err(refused("a subquery without columns"));
        }
        if columns.iter().any(|(_, ty)| ty.oid.array_type().is_none()) {
            return Err(refused("a subquery with a column of an array or another type without arrays"));
        }
        let gives = Gives::Arrays(columns.iter().map(|(n, ty)| (*n, ty.oid)).collect());
        let param = self.take(query, gives, columns.len())?;
        Ok((param, columns.into_iter().map(|(_, ty)| ty).collect()))
    }

    /// Takes a query out; gives its first parameter.
    fn take(&mut self, query: Query, gives: Gives, params: usize) -> SqlResult<u16> {
        let (mut used, mut made) = (AHashSet::new(), AHashSet::new());
        query.rel.for_each_expr(&mut |expr| needed_columns(expr, &mut used));
        walk(&query.rel, &mut |rel| made.extend(rel.columns().iter().map(|column| column.id)));
        if !used.is_subset(&made) {
            return Err(refused("a subquery that uses the rows around it"));
        }
        let param = *self.next;
        let after = u16::try_from(params).ok().and_then(|params| param.checked_add(params));
        *self.next = after.ok_or_else(|| {
            SqlError::new(SqlState::TOO_MANY_ARGUMENTS, "a statement has too many parameters")
        })?;
        self.out.push(Extracted { query, gives, param });
        Ok(param)
    }

    /// A condition: each of its conjuncts is asked.
    fn condition(&mut self, expr: &mut Expr) -> SqlResult<()> {
        match &mut expr.kind {
            ExprKind::And(parts) => parts.iter_mut().try_for_each(|part| self.condition(part)),
            _ => self.value(expr),
        }
    }

    /// An expression that is not evaluated exactly once, or not at all for want of a row.
    fn sometimes(&mut self, expr: &mut Expr, what: &str) -> SqlResult<()> {
        if expr_locks(expr) {
            return Err(refused(what));
        }
        self.value(expr)
    }

    fn value(&mut self, expr: &mut Expr) -> SqlResult<()> {
        let conditional = matches!(
            expr.kind,
            ExprKind::Case { .. } | ExprKind::Coalesce(_) | ExprKind::Or(_) | ExprKind::And(_)
        );
        if conditional && expr_locks(expr) {
            return Err(refused("a part of an expression that is not always evaluated"));
        }
        if let ExprKind::Subquery { query, .. } = &mut expr.kind {
            if locks(&query.rel) {
                return self.subquery(expr);
            }
            self.rel(&mut query.rel, false)?;
        }
        let mut done = Ok(());
        expr.for_each_child_mut(&mut |child| {
            if done.is_ok() {
                done = self.value(child);
            }
        });
        done
    }

    /// A subquery in an expression, which locks rows.
    fn subquery(&mut self, expr: &mut Expr) -> SqlResult<()> {
        let ty = expr.ty;
        let ExprKind::Subquery { kind, query } = &mut expr.kind else { return Ok(()) };
        if let SubqueryKind::Any { test } | SubqueryKind::All { test } = &*kind
            && expr_locks(test)
        {
            return Err(refused("a subquery beside another"));
        }
        self.references(&query.rel)?;
        let only = (query.output.len() == 1).then(|| (query.output[0].id, query.output[0].ty));
        let any = matches!(kind, SubqueryKind::Any { .. });
        match kind {
            SubqueryKind::Scalar => {
                let param = self.take((**query).clone(), Gives::Value, 1)?;
                expr.kind = ExprKind::Param(param);
            }
            SubqueryKind::Exists => {
                let one = Expr::constant(Datum::Int8(1), PgType::INT8);
                let input = Box::new(std::mem::replace(&mut query.rel, Rel::OneRow));
                query.rel = Rel::Limit { input, limit: Some(one), offset: None };
                let param = self.take((**query).clone(), Gives::Exists, 1)?;
                expr.kind = ExprKind::Param(param);
            }
            SubqueryKind::Array => {
                let Some((_, element)) = only else { return Err(refused("ARRAY")) };
                let (param, _) = self.arrays((**query).clone(), vec![(0, element)])?;
                expr.kind = ExprKind::Param(param);
            }
            SubqueryKind::Any { test } | SubqueryKind::All { test } => {
                let columns = query.output.iter().enumerate().map(|(n, column)| (n, column.ty)).collect();
                let all = (**query).clone();
                let (param, types) = self.arrays(all, columns)?;
                if let Some((id, element)) = only.filter(|_| any)
                    && let ExprKind::Call { func, args } = &test.kind
                    && let [left, right] = &args[..]
                    && matches!(right.kind, ExprKind::Col(column) if column == id)
                    && let Some(array) = element.oid.array_type()
                {
                    let (func, left) = (*func, left.clone());
                    let array = Expr::new(ExprKind::Param(param), PgType::new(array));
                    let args = Box::new([left, array]);
                    *expr = Expr {
                        position: expr.position,
                        ..Expr::new(ExprKind::ScalarArray { func, all: false, args }, ty)
                    };
                    return self.value(expr);
                }
                let cols = query.output.iter().map(|column| ColDef {
                    id: column.id,
                    ty: column.ty,
                    name: column.name.clone(),
                });
                query.rel = unnest(param, cols.zip(types).collect())?;
                return self.value(test);
            }
        }
        Ok(())
    }
}

fn has_subquery(rel: &Rel) -> bool {
    let mut found = false;
    rel.for_each_expr(&mut |expr| found = found || super::expr::has_subquery(expr));
    found
}

/// The rows of arrays, side by side.
fn unnest(param: u16, cols: Vec<(ColDef, PgType)>) -> SqlResult<Rel> {
    let calls = cols.into_iter().enumerate().map(|(n, (column, ty))| {
        let array = ty.oid.array_type().ok_or_else(|| SqlError::internal("a type without arrays"))?;
        let arg = Expr::new(ExprKind::Param(param + n as u16), PgType::new(array));
        Ok(FunctionCall { func: UNNEST, args: vec![arg], cols: vec![column] })
    });
    Ok(Rel::Function(FunctionScan { calls: calls.collect::<SqlResult<_>>()?, ordinality: None }))
}
