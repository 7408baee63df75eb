//! Aggregates, and what GROUP BY leaves to be named above it.
//!
//! While the expressions of a query level are bound, each aggregate call is put aside into the
//! [`Level`] and its place taken by a column. When all are bound, [`Grouping`] replaces what equals a
//! grouping expression by that group's column, and refuses columns that are neither.

use super::scope::{Item, Scope};
use super::window::WindowItem;
use super::{Binder, walk};
use crate::sql::bound::{Aggregate, AggregateCall, ColDef, ColId, Expr, ExprKind, FunctionScan, Rel};
use crate::{SqlError, SqlResult};
use shardforge_types::{PgType, SqlState};
use std::collections::{HashMap, HashSet};

/// The clause at hand: what it forbids, and its name in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Clause {
    #[default]
    Select,
    Having,
    OrderBy,
    Where,
    JoinOn,
    From,
    GroupBy,
    Limit,
    Offset,
    Values,
    ValuesRow,
    Returning,
    Update,
    Filter,
    Default,
    Check,
    CopyWhere,
    Execute,
    Window,
}

impl Clause {
    fn name(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::Where => "WHERE",
            Clause::JoinOn => "JOIN conditions",
            Clause::From => "functions in FROM",
            Clause::GroupBy => "GROUP BY",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values | Clause::ValuesRow => "VALUES",
            Clause::Returning => "RETURNING",
            Clause::Update => "UPDATE",
            Clause::Filter => "FILTER",
            Clause::Default => "DEFAULT expressions",
            Clause::Check => "check constraints",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
            Clause::Execute => "EXECUTE parameters",
            Clause::Window => "window definitions",
        }
    }

    fn allows_aggregates(self) -> bool {
        matches!(self, Clause::Select | Clause::Having | Clause::OrderBy | Clause::Window)
    }

    fn allows_windows(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy)
    }

    /// Set-returning functions.
    fn allows_sets(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::GroupBy | Clause::ValuesRow)
    }

    /// Why a column cannot be named here at all.
    pub(super) fn forbids_columns(self) -> Option<&'static str> {
        (self == Clause::Default).then_some("cannot use column reference in DEFAULT expression")
    }

    /// Why a query cannot stand here.
    pub(super) fn forbids_queries(self) -> Option<&'static str> {
        match self {
            Clause::Default => Some("cannot use subquery in DEFAULT expression"),
            Clause::Check => Some("cannot use subquery in check constraint"),
            Clause::CopyWhere => Some("cannot use subquery in COPY FROM WHERE condition"),
            Clause::Execute => Some("cannot use subquery in EXECUTE parameter"),
            _ => None,
        }
    }
}

/// What binding the expressions of one query level has put aside.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub clause: Clause,
    pub aggregates: Vec<(ColDef, AggregateCall)>,
    pub windows: Vec<WindowItem>,
    /// Functions in the select list that make several rows.
    pub sets: Vec<FunctionScan>,
    pub in_aggregate: bool,
    pub in_window: bool,
    /// WITH queries that were read, at this level or inside.
    pub ctes_used: HashSet<crate::sql::bound::CteId>,
    /// WINDOW: names and what they stand for.
    pub named_windows: Vec<(String, crate::sql::ast::WindowSpec)>,
}

impl Binder<'_> {
    /// Binds something under the rules of a clause.
    pub(super) fn in_clause<T>(
        &mut self,
        clause: Clause,
        f: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let before = std::mem::replace(&mut self.level.clause, clause);
        let out = f(self);
        self.level.clause = before;
        out
    }

    /// Whether an aggregate may stand here.
    pub(super) fn check_aggregate(&self, position: Option<u32>) -> SqlResult<()> {
        let message = if self.level.in_aggregate {
            "aggregate function calls cannot be nested".to_owned()
        } else if !self.level.clause.allows_aggregates() {
            format!("aggregate functions are not allowed in {}", self.level.clause.name())
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position))
    }

    pub(super) fn check_window(&self, position: Option<u32>) -> SqlResult<()> {
        let (state, message) = if self.level.in_aggregate {
            (
                SqlState::GROUPING_ERROR,
                "aggregate function calls cannot contain window function calls".to_owned(),
            )
        } else if self.level.in_window {
            (SqlState::WINDOWING_ERROR, "window function calls cannot be nested".to_owned())
        } else if !self.level.clause.allows_windows() {
            let message = format!("window functions are not allowed in {}", self.level.clause.name());
            (SqlState::WINDOWING_ERROR, message)
        } else {
            return Ok(());
        };
        Err(SqlError::new(state, message).at(position))
    }

    pub(super) fn check_set(&self, position: Option<u32>) -> SqlResult<()> {
        if self.level.in_aggregate {
            let message = "aggregate function calls cannot contain set-returning function calls";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        if !self.level.clause.allows_sets() {
            let message = format!("set-returning functions are not allowed in {}", self.level.clause.name());
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        Ok(())
    }

    /// Puts an aggregate call aside; its value is a column.
    pub(super) fn set_aside(
        &mut self,
        call: AggregateCall,
        ty: PgType,
        name: &str,
        position: Option<u32>,
    ) -> Expr {
        let same = self
            .level
            .aggregates
            .iter()
            .find(|(_, other)| !call.args.iter().any(is_volatile) && same_calls(other, &call));
        let id = match same {
            Some((col, _)) => col.id,
            None => {
                let id = self.new_col();
                self.level.aggregates.push((ColDef { id, ty, name: name.to_owned() }, call));
                id
            }
        };
        Expr { kind: ExprKind::Col(id), ty, position }
    }
}

fn same_calls(a: &AggregateCall, b: &AggregateCall) -> bool {
    a.func == b.func
        && a.distinct == b.distinct
        && a.args.len() == b.args.len()
        && a.args.iter().zip(&b.args).all(|(a, b)| same(a, b))
        && a.order_by.is_empty()
        && b.order_by.is_empty()
        && a.filter.is_none()
        && b.filter.is_none()
}

/// Whether an expression may give another value each time; of a query inside it nothing is known.
fn is_volatile(expr: &Expr) -> bool {
    is_call_volatile(expr) || expr.any(&mut |expr| matches!(expr.kind, ExprKind::Subquery { .. }))
}

/// Whether an expression calls a volatile function, apart from queries inside it.
pub(super) fn is_call_volatile(expr: &Expr) -> bool {
    expr.any(&mut |expr| match &expr.kind {
        ExprKind::Call { func, .. } => {
            crate::catalog::builtin::proc(*func).is_none_or(|proc| proc.volatility == b'v')
        }
        _ => false,
    })
}

/// An expression without its places in the text, for comparing.
fn bare(expr: &Expr) -> Expr {
    let mut out = expr.clone();
    walk::deep(&mut out, &mut |expr| expr.position = None);
    out
}

/// Whether two expressions are the same but for where they stand.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    a.ty == b.ty && std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind) && bare(a) == bare(b)
}

/// What can be named above an aggregation.
pub(super) struct Grouping<'s> {
    groups: Vec<(ColDef, Expr)>,
    /// Columns made by aggregates (and windows) of this level.
    made: HashSet<ColId>,
    /// This level's own columns, for the message.
    own: HashMap<ColId, String>,
    scope: &'s Scope<'s>,
    /// Relations whose primary key is grouped by: their other columns are determined by it.
    determined: HashSet<ColId>,
}

impl<'s> Grouping<'s> {
    pub(super) fn new(
        binder: &mut Binder<'_>,
        groups: Vec<Expr>,
        own: &[ColDef],
        scope: &'s Scope<'s>,
    ) -> Self {
        let made = binder.level.aggregates.iter().map(|(col, _)| col.id).collect();
        let mut out = Self {
            groups: Vec::new(),
            made,
            own: own.iter().map(|col| (col.id, col.name.clone())).collect(),
            scope,
            determined: HashSet::new(),
        };
        for expr in groups {
            out.add(binder, expr);
        }
        for item in &scope.tables {
            out.determine(item);
        }
        out
    }

    fn add(&mut self, binder: &mut Binder<'_>, expr: Expr) -> ColDef {
        if let Some((col, _)) = self.groups.iter().find(|(_, group)| same(group, &expr)) {
            return col.clone();
        }
        let name = match expr.kind {
            ExprKind::Col(id) => self.own.get(&id).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let col = ColDef { id: binder.new_col(), ty: expr.ty, name };
        self.groups.push((col.clone(), expr));
        col
    }

    /// Notes the columns that a primary key among the groups determines.
    fn determine(&mut self, item: &Item) {
        let Some(key) =
            item.table.table.as_ref().and_then(|table| table.primary_key.as_ref().map(|key| (table, key)))
        else {
            return;
        };
        let (table, key) = key;
        let grouped = |attnum: i16| {
            let col =
                item.table.cols.iter().find(|col| col.origin.is_some_and(|(_, number)| number == attnum));
            col.is_some_and(|col| self.groups.iter().any(|(_, group)| same(group, &col.expr)))
        };
        if key.keys.iter().all(|key| grouped(table.columns[key.column].attnum)) {
            let columns = item.table.cols.iter().filter_map(|col| match col.expr.kind {
                ExprKind::Col(id) => Some(id),
                _ => None,
            });
            self.determined.extend(columns);
        }
    }

    /// Rewrites an expression over the groups and aggregates.
    pub(super) fn rewrite(&mut self, binder: &mut Binder<'_>, expr: &mut Expr) -> SqlResult<()> {
        self.rewrite_at(binder, expr, false)
    }

    fn rewrite_at(&mut self, binder: &mut Binder<'_>, expr: &mut Expr, inside_query: bool) -> SqlResult<()> {
        let constant = matches!(expr.kind, ExprKind::Const(_) | ExprKind::Param(_));
        if let Some((col, _)) = self.groups.iter().find(|(_, group)| !constant && same(group, expr)) {
            expr.kind = ExprKind::Col(col.id);
            return Ok(());
        }
        if let ExprKind::Col(id) = expr.kind {
            if self.made.contains(&id) || !self.own.contains_key(&id) {
                return Ok(());
            }
            if self.determined.contains(&id) {
                let col = self.add(binder, Expr { position: None, ..expr.clone() });
                expr.kind = ExprKind::Col(col.id);
                return Ok(());
            }
            let name = self.display(id);
            let message = if inside_query {
                format!("subquery uses ungrouped column \"{name}\" from outer query")
            } else {
                format!(
                    "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                )
            };
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(expr.position));
        }
        let mut result = Ok(());
        let inside_query = inside_query || matches!(expr.kind, ExprKind::Subquery { .. });
        walk::children(expr, &mut |child| {
            if result.is_ok() {
                result = self.rewrite_at(binder, child, inside_query);
            }
        });
        result
    }

    /// `table.column` of an own column.
    fn display(&self, id: ColId) -> String {
        for item in &self.scope.tables {
            for col in &item.table.cols {
                if matches!(col.expr.kind, ExprKind::Col(found) if found == id)
                    && !item.table.alias.is_empty()
                {
                    return format!("{}.{}", item.table.alias, col.name);
                }
            }
        }
        self.own.get(&id).cloned().unwrap_or_default()
    }

    /// The aggregation itself.
    pub(super) fn finish(self, binder: &mut Binder<'_>, input: Rel) -> Rel {
        let calls = std::mem::take(&mut binder.level.aggregates);
        Rel::Aggregate(Box::new(Aggregate { input, groups: self.groups, calls }))
    }
}
