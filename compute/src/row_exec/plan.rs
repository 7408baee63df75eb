//! Which queries the row executor runs, and how.

use super::access::choose;
use super::expr::{Evaluator, Scope, compile, has_subquery};
use super::ops::aggregate::{AggregateColumn, AggregatePlan};
use super::ops::function::{Called, FunctionPlan};
use super::ops::limit::LimitPlan;
use super::ops::scan::{RowLock, ScanPlan};
use super::ops::sort::SortColumn;
use super::query::Node;
use super::storage::TableCodec;
use crate::SqlResult;
use crate::catalog::TableKind;
use crate::functions::{self, AggregateCallInfo};
use crate::sql::bound::{
    Aggregate, ColId, Expr, ExprKind, FunctionScan, LockStrength, LockWait, Query, Rel, SortKey, TableScan,
};
use crate::txn;
use ahash::AHashSet;
use shardforge_types::key::is_key_type;
use std::sync::Arc;

/// Plans a query; `None` when the report engine is to run it.
pub(super) fn plan_query(query: &Query) -> SqlResult<Option<Node>> {
    let Some(node) = plan_output(query)? else { return Ok(None) };
    Ok(is_small(&node, false).then_some(node))
}

/// Plans a query whose every row is written: as [`plan_query`], but however many there are.
pub(super) fn plan_source(query: &Query) -> SqlResult<Option<Node>> {
    let Some(node) = plan_output(query)? else { return Ok(None) };
    Ok(reads_only_tables(&node).then_some(node))
}

fn plan_output(query: &Query) -> SqlResult<Option<Node>> {
    let needed: AHashSet<ColId> = query.output.iter().map(|column| column.id).collect();
    let Some((node, scope)) = plan_rel(&query.rel, &Needed(Some(needed)), None)? else { return Ok(None) };
    let exprs = query.output.iter().map(|column| compile(&Expr::col(column.id, column.ty), &scope));
    let exprs = exprs.collect::<SqlResult<Vec<_>>>()?;
    let width = width(&node);
    Ok(Some(project(node, exprs, width)))
}

/// A projection, unless it would give the row as it is.
fn project(input: Node, exprs: Vec<Evaluator>, width: Option<usize>) -> Node {
    let same =
        width == Some(exprs.len()) && exprs.iter().enumerate().all(|(n, expr)| expr.as_slot() == Some(n));
    if same { input } else { Node::Project(Box::new(input), exprs) }
}

/// How many columns a node's rows have.
fn width(node: &Node) -> Option<usize> {
    match node {
        Node::OneRow => Some(0),
        Node::Values(rows) => rows.first().map(Vec::len),
        Node::Fed | Node::Function(_) => None,
        Node::Scan(plan) => (!plan.in_place).then_some(plan.columns.len()),
        Node::Filter(input, _) | Node::Sort(input, _) | Node::Limit(input, _) => width(input),
        Node::Project(_, exprs) => Some(exprs.len()),
        Node::Aggregate(_, plan) => Some(plan.groups.len() + plan.calls.len()),
    }
}

/// Whether a plan reads few rows, as far as one can know. `limited`: not all rows of it are pulled.
fn is_small(node: &Node, limited: bool) -> bool {
    match node {
        Node::OneRow | Node::Values(_) | Node::Fed | Node::Function(_) => true,
        Node::Scan(plan) => {
            // Catalogs and views are the report engine's, which knows where they come from.
            plan.codec.table().kind == TableKind::Table
                && (plan.lock.is_some() || plan.access.is_short() || limited && plan.filter.is_none())
        }
        Node::Filter(input, _) => is_small(input, false),
        Node::Project(input, _) => is_small(input, limited),
        Node::Sort(input, _) | Node::Aggregate(input, _) => is_small(input, false),
        Node::Limit(input, plan) => is_small(input, limited || plan.limit.is_some()),
    }
}

fn reads_only_tables(node: &Node) -> bool {
    match node {
        Node::OneRow | Node::Values(_) | Node::Fed | Node::Function(_) => true,
        Node::Scan(plan) => plan.codec.table().kind == TableKind::Table,
        Node::Filter(input, _)
        | Node::Project(input, _)
        | Node::Sort(input, _)
        | Node::Aggregate(input, _)
        | Node::Limit(input, _) => reads_only_tables(input),
    }
}

/// The columns that those above use; `None` is all.
struct Needed(Option<AHashSet<ColId>>);

impl Needed {
    fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut needed = AHashSet::new();
        exprs.into_iter().for_each(|expr| add_columns(expr, &mut needed));
        Needed(Some(needed))
    }

    fn with<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut needed = self.0.clone();
        if let Some(needed) = &mut needed {
            exprs.into_iter().for_each(|expr| add_columns(expr, needed));
        }
        Needed(needed)
    }

    fn has(&self, column: ColId) -> bool {
        self.0.as_ref().is_none_or(|needed| needed.contains(&column))
    }
}

fn add_columns(expr: &Expr, out: &mut AHashSet<ColId>) {
    expr.any(&mut |e| {
        if let ExprKind::Col(id) = e.kind {
            out.insert(id);
        }
        false
    });
}

/// Whether the row executor has all functions of an expression, and it has no subquery.
pub(super) fn can_evaluate(expr: &Expr) -> bool {
    let mut missing = false;
    expr.any(&mut |e| {
        let function = match &e.kind {
            ExprKind::Call { func, .. } => Some(*func),
            ExprKind::Distinct { eq, .. } | ExprKind::NullIf { eq, .. } => Some(*eq),
            ExprKind::ScalarArray { func, .. } => Some(*func),
            _ => None,
        };
        // pg_typeof is no function at run time.
        missing |= function.is_some_and(|oid| functions::scalar(oid).is_none() && oid.0 != 1619);
        missing
    });
    !missing && !has_subquery(expr)
}

type Planned = SqlResult<Option<(Node, Scope)>>;

fn plan_rel(rel: &Rel, needed: &Needed, lock: Option<RowLock>) -> Planned {
    Ok(Some(match rel {
        Rel::OneRow => (Node::OneRow, Scope::new()),
        Rel::Values { cols, rows } => {
            if !rows.iter().flatten().all(|e| !has_subquery(e)) {
                return Ok(None);
            }
            let scope = Scope::new();
            let rows = rows.iter().map(|row| row.iter().map(|value| compile(value, &scope)).collect());
            (Node::Values(rows.collect::<SqlResult<Vec<_>>>()?), Scope::of(cols))
        }
        Rel::Table(scan) => return plan_scan(scan, None, needed, lock),
        Rel::Filter { input, predicate } => {
            if has_subquery(predicate) {
                return Ok(None);
            }
            if let Rel::Table(scan) = &**input {
                return plan_scan(scan, Some(predicate), needed, lock);
            }
            let Some((node, scope)) = plan_rel(input, &needed.with([predicate]), lock)? else {
                return Ok(None);
            };
            let predicate = compile(predicate, &scope)?;
            (Node::Filter(Box::new(node), predicate), scope)
        }
        Rel::Project { input, exprs } => {
            if exprs.iter().any(|(_, expr)| has_subquery(expr) || has_set_function(expr)) {
                return Ok(None);
            }
            let below = Needed::of(exprs.iter().map(|(_, expr)| expr));
            let Some((node, scope)) = plan_rel(input, &below, lock)? else { return Ok(None) };
            let columns = Scope::of(exprs.iter().map(|(column, _)| column));
            let exprs = exprs.iter().map(|(_, expr)| compile(expr, &scope)).collect::<SqlResult<Vec<_>>>()?;
            let width = width(&node);
            (project(node, exprs, width), columns)
        }
        Rel::Sort { input, keys } => {
            if keys.iter().any(|key| has_subquery(&key.expr)) {
                return Ok(None);
            }
            let below = needed.with(keys.iter().map(|key| &key.expr));
            let Some((mut node, scope)) = plan_rel(input, &below, lock)? else { return Ok(None) };
            if in_key_order(&mut node, keys, &scope) {
                return Ok(Some((node, scope)));
            }
            let keys = keys.iter().map(|key| {
                Ok(SortColumn {
                    value: compile(&key.expr, &scope)?,
                    desc: key.desc,
                    nulls_first: key.nulls_first,
                })
            });
            (Node::Sort(Box::new(node), keys.collect::<SqlResult<_>>()?), scope)
        }
        Rel::Limit { input, limit, offset } => {
            let bounds = limit.iter().chain(offset);
            if bounds.into_iter().any(has_subquery) {
                return Ok(None);
            }
            let Some((mut node, scope)) = plan_rel(input, needed, lock)? else { return Ok(None) };
            // Rows must be locked as they pass the limit, not as they are sorted before it.
            if has_lock(&node) && has_sort(&node) {
                return Err(crate::SqlError::not_supported(
                    "FOR UPDATE with LIMIT and an ORDER BY that no key provides",
                ));
            }
            let none = Scope::new();
            let limit = limit.as_ref().map(|limit| compile(limit, &none)).transpose()?;
            let offset = offset.as_ref().map(|offset| compile(offset, &none)).transpose()?;
            step_of(&mut node, limit.as_ref(), offset.as_ref());
            (Node::Limit(Box::new(node), LimitPlan { limit, offset }), scope)
        }
        Rel::Aggregate(aggregate) => return plan_aggregate(aggregate, lock),
        Rel::Function(scan) => return plan_function(scan),
        Rel::Lock { input, clauses } => {
            let [clause] = &clauses[..] else { return Ok(None) };
            let mode = match clause.strength {
                LockStrength::KeyShare => txn::LockMode::KeyShare,
                LockStrength::Share => txn::LockMode::Share,
                LockStrength::NoKeyUpdate => txn::LockMode::NoKeyUpdate,
                LockStrength::Update => txn::LockMode::Update,
            };
            let wait = match clause.wait {
                LockWait::Wait => txn::LockWait::Forever,
                LockWait::NoWait => txn::LockWait::NoWait,
                LockWait::SkipLocked => txn::LockWait::Skip,
            };
            return plan_rel(input, needed, Some(RowLock { mode, wait, explicit: true }));
        }
        Rel::Join(_)
        | Rel::Window(_)
        | Rel::Distinct(_)
        | Rel::DistinctOn { .. }
        | Rel::SetOp(_)
        | Rel::With { .. }
        | Rel::CteRef { .. } => return Ok(None),
    }))
}

/// Whether a set-returning function stands in an expression.
fn has_set_function(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(&e.kind, ExprKind::Call { func, .. } if functions::set(*func).is_some()))
}

fn has_lock(node: &Node) -> bool {
    match node {
        Node::Scan(plan) => plan.lock.is_some(),
        Node::Filter(input, _) | Node::Project(input, _) | Node::Sort(input, _) | Node::Limit(input, _) => {
            has_lock(input)
        }
        _ => false,
    }
}

fn has_sort(node: &Node) -> bool {
    match node {
        Node::Sort(..) => true,
        Node::Filter(input, _) | Node::Project(input, _) | Node::Limit(input, _) => has_sort(input),
        _ => false,
    }
}

/// A scan of which a constant number of rows is wanted need not read a page of them.
fn step_of(node: &mut Node, limit: Option<&Evaluator>, offset: Option<&Evaluator>) {
    let constant =
        |expr: &Evaluator| expr.as_const().and_then(|n| n.as_i64()).and_then(|n| usize::try_from(n).ok());
    let (Some(limit), Some(offset)) = (limit.and_then(constant), offset.map_or(Some(0), constant)) else {
        return;
    };
    let mut node = node;
    loop {
        match node {
            Node::Project(input, _) => node = input,
            Node::Scan(plan) if plan.filter.is_none() => {
                plan.step = limit.saturating_add(offset).max(1);
                return;
            }
            _ => return,
        }
    }
}

fn plan_scan(scan: &TableScan, predicate: Option<&Expr>, needed: &Needed, lock: Option<RowLock>) -> Planned {
    if scan.as_of.is_some() || scan.table.kind != TableKind::Table {
        return Ok(None);
    }
    let codec = Arc::new(TableCodec::new(scan.table.clone()));
    let position =
        |id: ColId| scan.cols.iter().find(|(column, _)| column.id == id).map(|(_, position)| *position);
    let (access, rest) = choose(&codec, predicate, &position)?;
    let needed = needed.with(rest.iter().copied());
    let used: Vec<_> = scan.cols.iter().filter(|(column, _)| needed.has(column.id)).collect();
    let scope = Scope::of(used.iter().map(|(column, _)| column));
    let filter = filter_of(&rest, &scope)?;
    let columns = used.iter().map(|(_, position)| *position).collect();
    let plan = ScanPlan { codec, access, columns, in_place: false, filter, lock, reverse: false, step: 0 };
    Ok(Some((Node::Scan(Box::new(plan)), scope)))
}

/// One filter of the conjuncts that keys do not decide.
pub(super) fn filter_of(rest: &[&Expr], scope: &Scope) -> SqlResult<Option<Evaluator>> {
    match rest {
        [] => Ok(None),
        [one] => compile(one, scope).map(Some),
        all => {
            let all = all.iter().map(|expr| (*expr).clone()).collect();
            compile(&Expr::new(ExprKind::And(all), shardforge_types::PgType::BOOL), scope).map(Some)
        }
    }
}

/// Whether rows come in the order of the sort keys as they are read, forward or backward; turns the scan
/// around when it is backward.
fn in_key_order(node: &mut Node, keys: &[SortKey], scope: &Scope) -> bool {
    let slots: Option<Vec<usize>> = keys
        .iter()
        .map(|key| match &key.expr.kind {
            ExprKind::Col(id) => scope.slot(*id),
            _ => None,
        })
        .collect();
    let Some(mut slots) = slots else { return false };
    let mut node = node;
    let plan = loop {
        match node {
            Node::Filter(input, _) => node = input,
            Node::Project(input, exprs) => {
                let below: Option<Vec<usize>> =
                    slots.iter().map(|slot| exprs.get(*slot)?.as_slot()).collect();
                let Some(below) = below else { return false };
                slots = below;
                node = input;
            }
            Node::Scan(plan) => break plan,
            _ => return false,
        }
    };
    if plan.access.point {
        return true;
    }
    let (columns, unique) = match plan.access.index {
        None => (plan.codec.key(), true),
        Some(index) => (plan.codec.indexes()[index].columns(), false),
    };
    let fixed = plan.access.fixed_columns();
    let mut rest = columns[fixed..].iter();
    let mut backward = None;
    for (slot, key) in slots.iter().zip(keys) {
        let position = plan.columns[*slot];
        if columns[..fixed].iter().any(|column| column.column == position) {
            continue;
        }
        let Some(column) = rest.next() else {
            // The whole of a unique key decides: what is sorted by after it cannot matter.
            if unique {
                break;
            }
            return false;
        };
        let not_null = plan.codec.table().columns.get(position).is_none_or(|column| column.not_null);
        let turned = column.order.desc != key.desc;
        let nulls_fit = not_null || (column.order.nulls_first == key.nulls_first) != turned;
        if column.column != position || !nulls_fit || backward.is_some_and(|b| b != turned) {
            return false;
        }
        backward = Some(turned);
    }
    plan.reverse = backward.unwrap_or(false);
    true
}

fn plan_aggregate(aggregate: &Aggregate, lock: Option<RowLock>) -> Planned {
    let supported = |expr: &Expr| !has_subquery(expr);
    let groups_fit = aggregate.groups.iter().all(|(_, expr)| supported(expr) && is_key_type(expr.ty));
    let calls_fit = aggregate.calls.iter().all(|(_, call)| {
        functions::aggregate(call.func).is_some()
            && call.order_by.is_empty()
            && call.args.iter().chain(&call.filter).all(supported)
            && (!call.distinct || call.args.iter().all(|arg| is_key_type(arg.ty)))
    });
    if !groups_fit || !calls_fit {
        return Ok(None);
    }
    let groups = aggregate.groups.iter().map(|(_, expr)| expr);
    let calls = aggregate.calls.iter().flat_map(|(_, call)| call.args.iter().chain(&call.filter));
    let Some((node, scope)) = plan_rel(&aggregate.input, &Needed::of(groups.chain(calls)), lock)? else {
        return Ok(None);
    };
    let columns = aggregate.groups.iter().map(|(c, _)| c).chain(aggregate.calls.iter().map(|(c, _)| c));
    let out = Scope::of(columns);
    let groups =
        aggregate.groups.iter().map(|(_, expr)| compile(expr, &scope)).collect::<SqlResult<Vec<_>>>()?;
    let mut calls = Vec::new();
    for (column, call) in &aggregate.calls {
        let Some(function) = functions::aggregate(call.func) else { return Ok(None) };
        calls.push(AggregateColumn {
            function,
            info: AggregateCallInfo {
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                result: column.ty,
            },
            args: call.args.iter().map(|arg| compile(arg, &scope)).collect::<SqlResult<_>>()?,
            distinct: call.distinct,
            filter: call.filter.as_ref().map(|filter| compile(filter, &scope)).transpose()?,
        });
    }
    Ok(Some((Node::Aggregate(Box::new(node), AggregatePlan { groups, calls }), out)))
}

fn plan_function(scan: &FunctionScan) -> Planned {
    if scan.args.iter().any(|arg| !can_evaluate(arg) || arg.any(&mut |e| matches!(e.kind, ExprKind::Col(_))))
    {
        return Ok(None);
    }
    let called = match (functions::set(scan.func), functions::scalar(scan.func)) {
        (Some(function), _) => Called::Set(function),
        (None, Some(function)) => Called::Scalar(function),
        (None, None) => return Ok(None),
    };
    let none = Scope::new();
    let plan = FunctionPlan {
        called,
        args: scan.args.iter().map(|arg| compile(arg, &none)).collect::<SqlResult<_>>()?,
        arg_types: scan.args.iter().map(|arg| arg.ty).collect(),
        result: scan.cols.first().map_or(shardforge_types::PgType::UNKNOWN, |column| column.ty),
        ordinality: scan.ordinality.is_some(),
    };
    Ok(Some((Node::Function(Box::new(plan)), Scope::of(scan.cols.iter().chain(&scan.ordinality)))))
}
