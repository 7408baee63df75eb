//! Walks over bound trees: every expression of a statement, and the columns nobody reads.

use crate::sql::bound::{
    AggregateCall, BoundStatement, ColId, CopyWhat, Cte, Ddl, Delete, Expr, ExprKind, PreparedStatement,
    Query, Rel, Returning, Update,
};
use std::collections::HashSet;

/// Calls `f` with each direct operand, and with the expressions of queries inside.
pub(super) fn children(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    expr.for_each_child_mut(f);
    if let ExprKind::Subquery { query, .. } = &mut expr.kind {
        rel_exprs(&mut query.rel, f);
    }
}

/// Calls `f` with an expression and everything inside, queries included, outermost first.
pub(super) fn deep(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    f(expr);
    children(expr, &mut |child| deep(child, f));
}

fn call_exprs(call: &mut AggregateCall, f: &mut dyn FnMut(&mut Expr)) {
    call.args.iter_mut().for_each(&mut *f);
    call.order_by.iter_mut().for_each(|key| f(&mut key.expr));
    call.filter.iter_mut().for_each(f);
}

/// Calls `f` with each expression that stands in a relation, not with its operands.
pub(super) fn rel_exprs(rel: &mut Rel, f: &mut dyn FnMut(&mut Expr)) {
    match rel {
        Rel::OneRow | Rel::Table(_) | Rel::CteRef { .. } => {}
        Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(f),
        Rel::Function(scan) => scan.args_mut().for_each(f),
        Rel::Filter { input, predicate } => {
            rel_exprs(input, f);
            f(predicate);
        }
        Rel::Project { input, exprs } => {
            rel_exprs(input, f);
            exprs.iter_mut().for_each(|(_, expr)| f(expr));
        }
        Rel::Join(join) => {
            rel_exprs(&mut join.left, f);
            rel_exprs(&mut join.right, f);
            join.on.iter_mut().for_each(f);
        }
        Rel::Aggregate(aggregate) => {
            rel_exprs(&mut aggregate.input, f);
            aggregate.groups.iter_mut().for_each(|(_, expr)| f(expr));
            aggregate.calls.iter_mut().for_each(|(_, call)| call_exprs(call, f));
        }
        Rel::Window(window) => {
            rel_exprs(&mut window.input, f);
            window.partition_by.iter_mut().for_each(&mut *f);
            window.order_by.iter_mut().for_each(|key| f(&mut key.expr));
            for (_, call) in &mut window.calls {
                call.args.iter_mut().for_each(&mut *f);
                call.filter.iter_mut().for_each(&mut *f);
            }
        }
        Rel::Distinct(input) => rel_exprs(input, f),
        Rel::DistinctOn { input, keys } => {
            rel_exprs(input, f);
            keys.iter_mut().for_each(f);
        }
        Rel::SetOp(op) => {
            rel_exprs(&mut op.left.rel, f);
            rel_exprs(&mut op.right.rel, f);
        }
        Rel::Sort { input, keys } => {
            rel_exprs(input, f);
            keys.iter_mut().for_each(|key| f(&mut key.expr));
        }
        Rel::Limit { input, limit, offset } => {
            rel_exprs(input, f);
            limit.iter_mut().for_each(&mut *f);
            offset.iter_mut().for_each(f);
        }
        Rel::With { ctes, body } => {
            for cte in ctes {
                rel_exprs(&mut cte.query.rel, f);
                if let Some((query, _)) = &mut cte.recursive {
                    rel_exprs(&mut query.rel, f);
                }
            }
            rel_exprs(body, f);
        }
        Rel::Lock { input, .. } => rel_exprs(input, f),
    }
}

/// Calls `f` with each relation inside, innermost first, queries in expressions included.
fn rels(rel: &mut Rel, f: &mut dyn FnMut(&mut Rel)) {
    match rel {
        Rel::OneRow | Rel::Table(_) | Rel::CteRef { .. } | Rel::Values { .. } | Rel::Function(_) => {}
        Rel::Filter { input, .. }
        | Rel::Project { input, .. }
        | Rel::Distinct(input)
        | Rel::DistinctOn { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Lock { input, .. } => rels(input, f),
        Rel::Join(join) => {
            rels(&mut join.left, f);
            rels(&mut join.right, f);
        }
        Rel::Aggregate(aggregate) => rels(&mut aggregate.input, f),
        Rel::Window(window) => rels(&mut window.input, f),
        Rel::SetOp(op) => {
            rels(&mut op.left.rel, f);
            rels(&mut op.right.rel, f);
        }
        Rel::With { ctes, body } => {
            for cte in ctes {
                rels(&mut cte.query.rel, f);
                if let Some((query, _)) = &mut cte.recursive {
                    rels(&mut query.rel, f);
                }
            }
            rels(body, f);
        }
    }
    f(rel);
}

fn returning_exprs(returning: &mut Option<Returning>, f: &mut dyn FnMut(&mut Expr)) {
    if let Some(returning) = returning {
        returning.exprs.iter_mut().for_each(|(_, expr)| f(expr));
    }
}

/// Calls `f` with the relations of WITH queries before a statement that writes.
fn cte_rels(ctes: &mut [Cte], f: &mut dyn FnMut(&mut Rel)) {
    for cte in ctes {
        f(&mut cte.query.rel);
        if let Some((query, _)) = &mut cte.recursive {
            f(&mut query.rel);
        }
    }
}

/// Calls `f` with every expression of a statement, operands and queries inside included.
pub(super) fn statement_exprs(statement: &mut BoundStatement, f: &mut dyn FnMut(&mut Expr)) {
    let all = &mut |expr: &mut Expr| deep(expr, f);
    match statement {
        BoundStatement::Query(query) => rel_exprs(&mut query.rel, all),
        BoundStatement::Insert(insert) => {
            rel_exprs(&mut insert.source.rel, all);
            if let Some(update) = insert.on_conflict.as_mut().and_then(|conflict| conflict.update.as_mut()) {
                update.assignments.iter_mut().for_each(|(_, expr)| all(expr));
                update.predicate.iter_mut().for_each(&mut *all);
            }
            returning_exprs(&mut insert.returning, all);
        }
        BoundStatement::Update(update) => {
            cte_rels(&mut update.ctes, &mut |rel| rel_exprs(rel, all));
            update.from.iter_mut().for_each(|rel| rel_exprs(rel, all));
            update.predicate.iter_mut().for_each(&mut *all);
            update.assignments.iter_mut().for_each(|(_, expr)| all(expr));
            returning_exprs(&mut update.returning, all);
        }
        BoundStatement::Delete(delete) => {
            cte_rels(&mut delete.ctes, &mut |rel| rel_exprs(rel, all));
            delete.using.iter_mut().for_each(|rel| rel_exprs(rel, all));
            delete.predicate.iter_mut().for_each(&mut *all);
            returning_exprs(&mut delete.returning, all);
        }
        BoundStatement::Copy(copy) => match &mut copy.what {
            CopyWhat::From { defaults, predicate, .. } => {
                defaults.iter_mut().for_each(|(_, expr)| all(expr));
                predicate.iter_mut().for_each(all);
            }
            CopyWhat::To(query) => rel_exprs(&mut query.rel, all),
        },
        BoundStatement::Ddl(Ddl::CreateTableAs { query, .. }) => rel_exprs(&mut query.rel, all),
        BoundStatement::Explain(explain) => statement_exprs(&mut explain.statement, f),
        BoundStatement::Prepared(PreparedStatement::Execute { args, .. }) => args.iter_mut().for_each(all),
        _ => {}
    }
}

fn statement_rels(statement: &mut BoundStatement, f: &mut dyn FnMut(&mut Rel)) {
    match statement {
        BoundStatement::Query(query) => rels(&mut query.rel, f),
        BoundStatement::Insert(insert) => rels(&mut insert.source.rel, f),
        BoundStatement::Update(update) => {
            cte_rels(&mut update.ctes, &mut |rel| rels(rel, f));
            update.from.iter_mut().for_each(|rel| rels(rel, f));
        }
        BoundStatement::Delete(delete) => {
            cte_rels(&mut delete.ctes, &mut |rel| rels(rel, f));
            delete.using.iter_mut().for_each(|rel| rels(rel, f));
        }
        BoundStatement::Copy(copy) => {
            if let CopyWhat::To(query) = &mut copy.what {
                rels(&mut query.rel, f);
            }
        }
        BoundStatement::Ddl(Ddl::CreateTableAs { query, .. }) => rels(&mut query.rel, f),
        BoundStatement::Explain(explain) => statement_rels(&mut explain.statement, f),
        _ => {}
    }
}

fn add_output(query: &Query, used: &mut HashSet<ColId>) {
    used.extend(query.output.iter().map(|column| column.id));
}

/// Takes from each table scan the columns that nothing reads.
pub(super) fn prune_scans(statement: &mut BoundStatement) {
    let mut used = HashSet::new();
    match statement {
        BoundStatement::Query(query) => add_output(query, &mut used),
        BoundStatement::Insert(insert) => add_output(&insert.source, &mut used),
        BoundStatement::Copy(copy) => {
            if let CopyWhat::To(query) = &copy.what {
                add_output(query, &mut used);
            }
        }
        BoundStatement::Ddl(Ddl::CreateTableAs { query, .. }) => add_output(query, &mut used),
        BoundStatement::Update(Update { ctes, .. }) | BoundStatement::Delete(Delete { ctes, .. }) => {
            for cte in ctes {
                add_output(&cte.query, &mut used);
                cte.recursive.iter().for_each(|(query, _)| add_output(query, &mut used));
            }
        }
        BoundStatement::Explain(explain) => return prune_scans(&mut explain.statement),
        _ => {}
    }
    statement_exprs(statement, &mut |expr| match &expr.kind {
        ExprKind::Col(id) => {
            used.insert(*id);
        }
        ExprKind::Subquery { query, .. } => add_output(query, &mut used),
        _ => {}
    });
    let collect = &mut |rel: &mut Rel| match rel {
        Rel::SetOp(op) => {
            add_output(&op.left, &mut used);
            add_output(&op.right, &mut used);
        }
        Rel::With { ctes, .. } => {
            for cte in ctes {
                add_output(&cte.query, &mut used);
                if let Some((query, _)) = &cte.recursive {
                    add_output(query, &mut used);
                }
            }
        }
        // What passes through these comes out as it is: all of it counts.
        Rel::Distinct(input) => used.extend(input.columns().iter().map(|col| col.id)),
        _ => {}
    };
    statement_rels(statement, collect);
    subquery_rels(statement, collect);
    let prune = &mut |rel: &mut Rel| {
        if let Rel::Table(scan) = rel {
            scan.cols.retain(|(col, _)| used.contains(&col.id));
        }
    };
    statement_rels(statement, prune);
    subquery_rels(statement, prune);
}

/// Calls `f` with each relation of the queries inside expressions.
fn subquery_rels(statement: &mut BoundStatement, f: &mut dyn FnMut(&mut Rel)) {
    statement_exprs(statement, &mut |expr| {
        if let ExprKind::Subquery { query, .. } = &mut expr.kind {
            rels(&mut query.rel, f);
        }
    });
}
