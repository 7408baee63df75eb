//! Bound relations: where rows come from and what becomes of them.

use super::{ColId, Expr};
use crate::catalog::TableDef;
use shardforge_common::Lsn;
use shardforge_types::{Oid, PgType};
use std::sync::Arc;

/// A column that a relation makes.
#[derive(Debug, Clone, PartialEq)]
pub struct ColDef {
    /// Its name in the tree.
    pub id: ColId,
    /// Its type.
    pub ty: PgType,
    /// Its name for a person (EXPLAIN).
    pub name: String,
}

/// A query with the columns it gives to its caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Where the rows come from.
    pub rel: Rel,
    /// What is returned, in order. `rel` may make more (hidden sort columns); they are dropped.
    pub output: Vec<OutputColumn>,
}

/// A column as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumn {
    /// The column of the query's relation.
    pub id: ColId,
    /// `?column?` when nothing names it.
    pub name: String,
    /// Its type.
    pub ty: PgType,
    /// The table's OID and the column's number, when it is a plain column.
    pub origin: Option<(Oid, i16)>,
}

/// A relation.
#[derive(Debug, Clone, PartialEq)]
pub enum Rel {
    /// One row without columns: a SELECT without FROM.
    OneRow,
    /// Rows of expressions.
    Values {
        /// The columns.
        cols: Vec<ColDef>,
        /// As many expressions as columns in each.
        rows: Vec<Vec<Expr>>,
    },
    /// A table or a catalog.
    Table(TableScan),
    /// A function in FROM.
    Function(FunctionScan),
    /// The rows for which the predicate is true.
    Filter {
        /// Of these.
        input: Box<Rel>,
        /// A boolean.
        predicate: Expr,
    },
    /// Exactly these columns, each computed from the input's.
    Project {
        /// Of these.
        input: Box<Rel>,
        /// The columns with their values.
        exprs: Vec<(ColDef, Expr)>,
    },
    /// A join; its columns are the left's, then the right's.
    Join(Box<Join>),
    /// Groups.
    Aggregate(Box<Aggregate>),
    /// Window functions: the input's columns, then one for each call.
    Window(Box<Window>),
    /// Each distinct row once.
    Distinct(Box<Rel>),
    /// The first row of each group, in the input's order (which the binder has sorted by them first).
    DistinctOn {
        /// Of these.
        input: Box<Rel>,
        /// What makes a group.
        keys: Vec<Expr>,
    },
    /// UNION, INTERSECT, EXCEPT.
    SetOp(Box<SetOp>),
    /// In order.
    Sort {
        /// Of these.
        input: Box<Rel>,
        /// By these, the first first.
        keys: Vec<SortKey>,
    },
    /// LIMIT and OFFSET: int8 expressions without columns; null means none.
    Limit {
        /// Of these.
        input: Box<Rel>,
        /// How many at most.
        limit: Option<Expr>,
        /// How many are skipped.
        offset: Option<Expr>,
    },
    /// `WITH`: the named queries can be read in `body` and in those after them.
    With {
        /// In order.
        ctes: Vec<Cte>,
        /// The query over them.
        body: Box<Rel>,
    },
    /// A `WITH` query's rows, under new column ids.
    CteRef {
        /// Which.
        cte: CteId,
        /// One for each output column of the query.
        cols: Vec<ColDef>,
    },
    /// FOR UPDATE and its kin: rows of the named tables below are locked as they pass.
    Lock {
        /// Of these.
        input: Box<Rel>,
        /// What is locked how.
        clauses: Vec<LockClause>,
    },
}

/// A table read whole, as far as the tree says; executors turn predicates above it into key ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct TableScan {
    /// The table.
    pub table: Arc<TableDef>,
    /// The alias, or the table's name.
    pub alias: String,
    /// The columns used, with the position of each in [`TableDef::columns`].
    pub cols: Vec<(ColDef, usize)>,
    /// Read as of this LSN instead of the transaction's snapshot.
    pub as_of: Option<Lsn>,
}

/// Functions in FROM, or in a select list, side by side: each row has the next of each. Those that have ended give
/// nulls until all have; a scalar one gives one row.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionScan {
    /// At least one.
    pub calls: Vec<FunctionCall>,
    /// WITH ORDINALITY: int8 from 1.
    pub ordinality: Option<ColDef>,
}

/// One function of a [`FunctionScan`].
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCall {
    /// `pg_proc.oid`.
    pub func: Oid,
    /// Of the declared types; may use columns to the left (LATERAL).
    pub args: Vec<Expr>,
    /// What it makes.
    pub cols: Vec<ColDef>,
}

impl FunctionScan {
    /// The arguments of all calls.
    pub fn args(&self) -> impl Iterator<Item = &Expr> {
        self.calls.iter().flat_map(|call| &call.args)
    }

    /// The same, to be changed.
    pub fn args_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.calls.iter_mut().flat_map(|call| &mut call.args)
    }

    /// What the calls make, and the ordinality.
    pub fn columns(&self) -> impl Iterator<Item = &ColDef> {
        self.calls.iter().flat_map(|call| &call.cols).chain(&self.ordinality)
    }
}

/// Which rows without a partner stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// A join.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows without a partner stay.
    pub kind: JoinKind,
    /// Read first.
    pub left: Rel,
    /// Read second.
    pub right: Rel,
    /// Whether the right side uses columns of the left (LATERAL).
    pub lateral: bool,
    /// A boolean over both sides; `None` is true.
    pub on: Option<Expr>,
}

/// Groups and their aggregates; the columns are `groups`, then `calls`.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Of these.
    pub input: Rel,
    /// Empty: one group, even without rows.
    pub groups: Vec<(ColDef, Expr)>,
    /// The aggregates.
    pub calls: Vec<(ColDef, AggregateCall)>,
}

/// One aggregate call.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCall {
    /// `pg_proc.oid` of the aggregate.
    pub func: Oid,
    /// Of the declared types; none for `count(*)`.
    pub args: Vec<Expr>,
    /// Each distinct argument once.
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order_by: Vec<SortKey>,
    /// FILTER (WHERE ...).
    pub filter: Option<Expr>,
}

/// Window functions over one partitioning and order.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Of these.
    pub input: Rel,
    /// PARTITION BY.
    pub partition_by: Vec<Expr>,
    /// ORDER BY.
    pub order_by: Vec<SortKey>,
    /// The calls.
    pub calls: Vec<(ColDef, WindowCall)>,
}

/// One window function call, over the default frame.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowCall {
    /// `pg_proc.oid` of the window function or aggregate.
    pub func: Oid,
    /// Of the declared types.
    pub args: Vec<Expr>,
    /// FILTER (WHERE ...), aggregates only.
    pub filter: Option<Expr>,
}

/// One sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// By this, in the default order of its type.
    pub expr: Expr,
    /// Backwards.
    pub desc: bool,
    /// Nulls before the others.
    pub nulls_first: bool,
}

/// Which set operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

/// A set operation; both sides already have the result's types, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOp {
    /// Which.
    pub kind: SetOpKind,
    /// ALL.
    pub all: bool,
    /// The left side.
    pub left: Query,
    /// The right side.
    pub right: Query,
    /// The result's columns.
    pub cols: Vec<ColDef>,
}

/// A `WITH` query of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CteId(pub u32);

/// One `WITH` query.
#[derive(Debug, Clone, PartialEq)]
pub struct Cte {
    /// Its number in the statement.
    pub id: CteId,
    /// Its name.
    pub name: String,
    /// The query. For a recursive one, the part before UNION.
    pub query: Query,
    /// The part after UNION, which reads this same query; and whether it was UNION ALL.
    pub recursive: Option<(Query, bool)>,
    /// MATERIALIZED, or NOT.
    pub materialized: Option<bool>,
}

/// How strongly rows are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// What to do when a row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum LockWait {
    Wait,
    NoWait,
    SkipLocked,
}

/// One FOR UPDATE clause, for one table scan.
#[derive(Debug, Clone, PartialEq)]
pub struct LockClause {
    /// The alias of the scan.
    pub alias: String,
    /// How strongly.
    pub strength: LockStrength,
    /// What to do when it is locked.
    pub wait: LockWait,
}

impl LockStrength {
    /// The command that locks so, as messages name it.
    pub fn command(self) -> &'static str {
        match self {
            LockStrength::KeyShare => "SELECT FOR KEY SHARE",
            LockStrength::Share => "SELECT FOR SHARE",
            LockStrength::NoKeyUpdate => "SELECT FOR NO KEY UPDATE",
            LockStrength::Update => "SELECT FOR UPDATE",
        }
    }
}

impl Rel {
    /// Calls `visit` with each expression that stands in the relation or in those below it, not with its operands
    /// and not inside its subqueries.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Rel::OneRow | Rel::Table(_) | Rel::CteRef { .. } => {}
            Rel::Values { rows, .. } => rows.iter().flatten().for_each(visit),
            Rel::Function(scan) => scan.args().for_each(visit),
            Rel::Filter { input, predicate } => {
                input.for_each_expr(visit);
                visit(predicate);
            }
            Rel::Project { input, exprs } => {
                input.for_each_expr(visit);
                exprs.iter().for_each(|(_, expr)| visit(expr));
            }
            Rel::Join(join) => {
                join.left.for_each_expr(visit);
                join.right.for_each_expr(visit);
                join.on.iter().for_each(visit);
            }
            Rel::Aggregate(aggregate) => {
                aggregate.input.for_each_expr(visit);
                aggregate.groups.iter().for_each(|(_, expr)| visit(expr));
                for (_, call) in &aggregate.calls {
                    call.args.iter().for_each(&mut *visit);
                    call.order_by.iter().for_each(|key| visit(&key.expr));
                    call.filter.iter().for_each(&mut *visit);
                }
            }
            Rel::Window(window) => {
                window.input.for_each_expr(visit);
                window.partition_by.iter().for_each(&mut *visit);
                window.order_by.iter().for_each(|key| visit(&key.expr));
                for (_, call) in &window.calls {
                    call.args.iter().chain(&call.filter).for_each(&mut *visit);
                }
            }
            Rel::Distinct(input) | Rel::Lock { input, .. } => input.for_each_expr(visit),
            Rel::DistinctOn { input, keys } => {
                input.for_each_expr(visit);
                keys.iter().for_each(visit);
            }
            Rel::SetOp(op) => {
                op.left.rel.for_each_expr(visit);
                op.right.rel.for_each_expr(visit);
            }
            Rel::Sort { input, keys } => {
                input.for_each_expr(visit);
                keys.iter().for_each(|key| visit(&key.expr));
            }
            Rel::Limit { input, limit, offset } => {
                input.for_each_expr(visit);
                limit.iter().chain(offset).for_each(visit);
            }
            Rel::With { ctes, body } => {
                for cte in ctes {
                    cte.query.rel.for_each_expr(visit);
                    cte.recursive.iter().for_each(|(query, _)| query.rel.for_each_expr(visit));
                }
                body.for_each_expr(visit);
            }
        }
    }

    /// The strength of the first row lock that reading this takes, if it takes any.
    pub fn row_lock(&self) -> Option<LockStrength> {
        match self {
            Rel::Lock { clauses, .. } => clauses.first().map(|clause| clause.strength),
            Rel::Filter { input, .. }
            | Rel::Distinct(input)
            | Rel::DistinctOn { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Project { input, .. } => input.row_lock(),
            Rel::With { body, .. } => body.row_lock(),
            Rel::Join(join) => join.left.row_lock().or_else(|| join.right.row_lock()),
            Rel::Aggregate(aggregate) => aggregate.input.row_lock(),
            Rel::Window(window) => window.input.row_lock(),
            Rel::OneRow
            | Rel::Values { .. }
            | Rel::Table(_)
            | Rel::Function(_)
            | Rel::CteRef { .. }
            | Rel::SetOp(_) => None,
        }
    }

    /// The columns that this relation makes, in order.
    pub fn columns(&self) -> Vec<ColDef> {
        match self {
            Rel::OneRow => Vec::new(),
            Rel::Values { cols, .. } | Rel::CteRef { cols, .. } => cols.clone(),
            Rel::Table(scan) => scan.cols.iter().map(|(col, _)| col.clone()).collect(),
            Rel::Function(scan) => scan.columns().cloned().collect(),
            Rel::Filter { input, .. }
            | Rel::Distinct(input)
            | Rel::DistinctOn { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Lock { input, .. } => input.columns(),
            Rel::With { body, .. } => body.columns(),
            Rel::Project { exprs, .. } => exprs.iter().map(|(col, _)| col.clone()).collect(),
            Rel::Join(join) => {
                let mut cols = join.left.columns();
                cols.extend(join.right.columns());
                cols
            }
            Rel::Aggregate(aggregate) => {
                let groups = aggregate.groups.iter().map(|(col, _)| col);
                groups.chain(aggregate.calls.iter().map(|(col, _)| col)).cloned().collect()
            }
            Rel::Window(window) => {
                let mut cols = window.input.columns();
                cols.extend(window.calls.iter().map(|(col, _)| col.clone()));
                cols
            }
            Rel::SetOp(op) => op.cols.clone(),
        }
    }
}
