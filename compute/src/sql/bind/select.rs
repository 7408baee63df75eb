//! SELECT proper: the select list and what the other clauses make of it.

use super::Binder;
use super::aggregate::{Clause, Grouping, is_call_volatile, same};
use super::scope::{Scope, ScopeCol};
use crate::sql::ast::{self, Distinct, ExprKind as Ast, Indirection, Locking, Select};
use crate::sql::bound::{
    ColDef, ColId, Expr, ExprKind, FunctionScan, Join, JoinKind, LockClause, LockStrength, OutputColumn,
    Query, Rel, SortKey,
};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState, oids};

/// An item of the select list; hidden ones serve ORDER BY and DISTINCT ON.
struct TargetItem {
    expr: Expr,
    name: String,
    origin: Option<(Oid, i16)>,
    hidden: bool,
}

/// A sort item over the select list.
struct SortItem {
    target: usize,
    desc: bool,
    nulls_first: bool,
}

/// Whether the select list is computed from sorted rows, not before the sort: as in PostgreSQL, `nextval` counts in
/// the order of the rows and only as far as LIMIT lets them through, and what a set-returning function makes of a row
/// stays together. It is so when the order depends on no such item.
fn comes_after_order(targets: &[TargetItem], sort: &[SortItem], sets: &[FunctionScan]) -> bool {
    let is_late = |target: &TargetItem| {
        let of_set = |id: ColId| sets.iter().flat_map(FunctionScan::columns).any(|col| col.id == id);
        is_call_volatile(&target.expr)
            || target.expr.any(&mut |expr| matches!(expr.kind, ExprKind::Col(id) if of_set(id)))
    };
    !sort.is_empty() && targets.iter().any(is_late) && !sort.iter().any(|item| is_late(&targets[item.target]))
}

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        query: &ast::Query,
        base: &Scope<'_>,
    ) -> SqlResult<Query> {
        if let Some(loc) = select.into {
            return Err(self.unsupported("SELECT INTO", loc));
        }
        let (mut rel, items) = self.from(&select.from, base)?;
        let own = rel.columns();
        let scope = Scope::with_tables(Some(base), items);
        self.level.named_windows =
            select.windows.iter().map(|(name, spec)| (name.name.clone(), spec.clone())).collect();

        let mut targets = self.targets(&select.targets, &scope)?;
        let filter = select
            .filter
            .as_ref()
            .map(|filter| self.condition(filter, Clause::Where, "WHERE", &scope))
            .transpose()?;
        let having = select
            .having
            .as_ref()
            .map(|having| self.condition(having, Clause::Having, "HAVING", &scope))
            .transpose()?;
        let mut sort = Vec::new();
        for item in &query.order_by {
            let target = self.in_clause(Clause::OrderBy, |binder| {
                binder.sort_target(&item.expr, &mut targets, &scope, "ORDER BY")
            })?;
            self.settle_target(&mut targets[target])?;
            let key = self.sort_key(item, targets[target].expr.clone())?;
            sort.push(SortItem { target, desc: key.desc, nulls_first: key.nulls_first });
        }
        let groups = self.group_by(&select.group_by, &mut targets, &scope)?;
        let keys = self.distinct(&select.distinct, &mut targets, &mut sort, &scope, query)?;

        if let Some(predicate) = filter {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        let grouped = !select.group_by.is_empty() || having.is_some() || !self.level.aggregates.is_empty();
        if grouped {
            self.refuse_locking(query, "GROUP BY clause")?;
            rel = self.group(rel, groups, having, &own, &scope, &mut targets)?;
        }
        if !self.level.windows.is_empty() {
            self.refuse_locking(query, "window functions")?;
            rel = self.apply_windows(rel);
        }
        let sets = std::mem::take(&mut self.level.sets);
        if select.distinct == Distinct::No && comes_after_order(&targets, &sort, &sets) {
            let key = |item: SortItem| SortKey {
                expr: targets[item.target].expr.clone(),
                desc: item.desc,
                nulls_first: item.nulls_first,
            };
            rel = Rel::Sort { input: Box::new(rel), keys: sort.drain(..).map(key).collect() };
        }
        for scan in sets {
            rel = Rel::Join(Box::new(Join {
                kind: JoinKind::Inner,
                left: rel,
                right: Rel::Function(scan),
                lateral: true,
                on: None,
            }));
        }
        let mut bound = self.project(rel, targets, &select.distinct, sort, keys)?;
        self.lock(&mut bound.rel, &query.locking, &scope)?;
        self.limit(&mut bound.rel, query, &scope)?;
        Ok(bound)
    }

    /// A condition in a clause.
    pub(super) fn condition(
        &mut self,
        ast: &ast::Expr,
        clause: Clause,
        name: &str,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        self.in_clause(clause, |binder| {
            let expr = binder.expr(ast, scope)?;
            binder.coerce_bool(expr, name)
        })
    }

    fn targets(&mut self, list: &[ast::Target], scope: &Scope<'_>) -> SqlResult<Vec<TargetItem>> {
        let mut out = Vec::with_capacity(list.len());
        for target in list {
            if let Some(cols) = self.star(&target.expr, scope)? {
                let position = self.position(target.expr.start);
                out.extend(cols.into_iter().map(|col| TargetItem {
                    expr: Expr { position, ..col.expr },
                    name: col.name,
                    origin: col.origin,
                    hidden: false,
                }));
                continue;
            }
            let expr = self.expr(&target.expr, scope)?;
            let origin = self.origin(&expr, scope);
            let name = target.alias.clone().unwrap_or_else(|| column_name(&target.expr));
            out.push(TargetItem { expr, name, origin, hidden: false });
        }
        Ok(out)
    }

    /// RETURNING's list.
    pub(super) fn returning_list(
        &mut self,
        list: &[ast::Target],
        scope: &Scope<'_>,
    ) -> SqlResult<Vec<(Expr, OutputColumn)>> {
        self.fresh_level(Clause::Returning);
        let targets = self.targets(list, scope)?;
        let mut out = Vec::new();
        for mut target in targets {
            self.settle_target(&mut target)?;
            let id = self.new_col();
            let column = OutputColumn { id, name: target.name, ty: target.expr.ty, origin: target.origin };
            out.push((target.expr, column));
        }
        Ok(out)
    }

    /// The columns that `*` or `t.*` means; `None` for any other expression.
    fn star(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Option<Vec<ScopeCol>>> {
        match &expr.kind {
            Ast::Star(parts) if parts.is_empty() => {
                if scope.tables.is_empty() {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, expr.start));
                }
                Ok(Some(scope.star().cloned().collect()))
            }
            Ast::Star(parts) => {
                let (schema, table) = match parts.as_slice() {
                    [table] => (None, table),
                    [.., schema, table] => (Some(schema.as_str()), table),
                    [] => return Ok(None),
                };
                let found = self.find_table(scope, schema, table, expr.start)?;
                let found = found.ok_or_else(|| self.missing_table(scope, table, expr.start))?;
                Ok(Some(found.cols.clone()))
            }
            Ast::Indirection { items, .. } if matches!(items.last(), Some(Indirection::Star)) => {
                Err(self.unsupported("expansion of a composite value", expr.start))
            }
            _ => Ok(None),
        }
    }

    /// The table column that an expression is, when it is one plainly.
    fn origin(&self, expr: &Expr, scope: &Scope<'_>) -> Option<(Oid, i16)> {
        let ExprKind::Col(id) = expr.kind else { return None };
        let cols = scope.tables.iter().flat_map(|item| &item.table.cols);
        cols.filter(|col| matches!(col.expr.kind, ExprKind::Col(found) if found == id))
            .find_map(|col| col.origin)
    }

    fn settle_target(&mut self, target: &mut TargetItem) -> SqlResult<()> {
        if target.expr.ty.oid == oids::UNKNOWN {
            target.expr = self.settle_unknown(target.expr.clone())?;
        }
        Ok(())
    }

    /// The target that an item of ORDER BY, GROUP BY or DISTINCT ON means: a number, an output name,
    /// or an expression, which is added when no target equals it.
    fn sort_target(
        &mut self,
        item: &ast::Expr,
        targets: &mut Vec<TargetItem>,
        scope: &Scope<'_>,
        clause: &str,
    ) -> SqlResult<usize> {
        match &item.kind {
            Ast::Column(parts) if parts.len() == 1 => {
                // GROUP BY prefers a column of FROM to an output name.
                let taken = clause == "GROUP BY" && self.find_own_column(scope, &parts[0], item.start)?;
                if !taken {
                    let mut found: Option<usize> = None;
                    for (index, target) in targets.iter().enumerate() {
                        if target.hidden || target.name != parts[0] {
                            continue;
                        }
                        if found.is_some_and(|found| !same(&targets[found].expr, &target.expr)) {
                            let message = format!("{clause} \"{}\" is ambiguous", parts[0]);
                            return Err(self.error(SqlState::AMBIGUOUS_COLUMN, message, item.start));
                        }
                        found = found.or(Some(index));
                    }
                    if let Some(index) = found {
                        return Ok(index);
                    }
                }
            }
            Ast::Int(number) => {
                let visible = targets.iter().filter(|target| !target.hidden).count();
                let index = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                return index.filter(|index| *index < visible).ok_or_else(|| {
                    let message = format!("{clause} position {number} is not in select list");
                    self.error(SqlState::INVALID_COLUMN_REFERENCE, message, item.start)
                });
            }
            Ast::Number(_) | Ast::Str(_) => {
                let message = format!("non-integer constant in {clause}");
                return Err(self.error(SqlState::SYNTAX_ERROR, message, item.start));
            }
            _ => {}
        }
        let expr = self.expr(item, scope)?;
        if let Some(index) = targets.iter().position(|target| same(&target.expr, &expr)) {
            return Ok(index);
        }
        targets.push(TargetItem { expr, name: String::new(), origin: None, hidden: true });
        Ok(targets.len() - 1)
    }

    fn find_own_column(&self, scope: &Scope<'_>, name: &str, loc: ast::Loc) -> SqlResult<bool> {
        let own = Scope::with_tables(None, scope.tables.clone());
        Ok(self.find_column(&own, name, loc)?.is_some())
    }

    fn group_by(
        &mut self,
        items: &[ast::Expr],
        targets: &mut Vec<TargetItem>,
        scope: &Scope<'_>,
    ) -> SqlResult<Vec<Expr>> {
        let mut groups = Vec::new();
        for item in items {
            let fields: &[ast::Expr] = match &item.kind {
                Ast::Row { fields, explicit: false } => fields,
                Ast::Unsupported(what) => return Err(self.unsupported(what, item.loc)),
                _ => std::slice::from_ref(item),
            };
            for field in fields {
                let before = targets.len();
                let index = self.in_clause(Clause::GroupBy, |binder| {
                    binder.sort_target(field, targets, scope, "GROUP BY")
                })?;
                self.settle_target(&mut targets[index])?;
                let expr = targets[index].expr.clone();
                targets.truncate(before);
                self.refuse_made(&expr)?;
                self.need_equality(expr.ty.oid, expr.position)?;
                groups.push(expr);
            }
        }
        Ok(groups)
    }

    /// An output name in GROUP BY may not stand for an aggregate or window function.
    fn refuse_made(&self, expr: &Expr) -> SqlResult<()> {
        let aggregates: Vec<_> = self.level.aggregates.iter().map(|(col, _)| col.id).collect();
        let windows: Vec<_> = self.level.windows.iter().map(|item| item.col.id).collect();
        let mut found = None;
        expr.any(&mut |expr| {
            if let ExprKind::Col(id) = expr.kind {
                let (grouping, windowing) = (SqlState::GROUPING_ERROR, SqlState::WINDOWING_ERROR);
                let aggregate = aggregates.contains(&id).then_some((grouping, "aggregate"));
                let made = aggregate.or(windows.contains(&id).then_some((windowing, "window")));
                found = made.map(|(state, what)| (state, what, expr.position));
            }
            found.is_some()
        });
        match found {
            Some((state, what, position)) => {
                let message = format!("{what} functions are not allowed in GROUP BY");
                Err(SqlError::new(state, message).at(position))
            }
            None => Ok(()),
        }
    }

    fn group(
        &mut self,
        rel: Rel,
        groups: Vec<Expr>,
        having: Option<Expr>,
        own: &[ColDef],
        scope: &Scope<'_>,
        targets: &mut [TargetItem],
    ) -> SqlResult<Rel> {
        let mut grouping = Grouping::new(self, groups, own, scope);
        for target in targets.iter_mut() {
            grouping.rewrite(self, &mut target.expr)?;
        }
        let mut having = having;
        if let Some(having) = &mut having {
            grouping.rewrite(self, having)?;
        }
        self.group_windows(&mut grouping)?;
        let mut sets = std::mem::take(&mut self.level.sets);
        for arg in sets.iter_mut().flat_map(FunctionScan::args_mut) {
            grouping.rewrite(self, arg)?;
        }
        self.level.sets = sets;
        let mut rel = grouping.finish(self, rel);
        if let Some(predicate) = having {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        Ok(rel)
    }

    /// DISTINCT: gives the targets that DISTINCT ON names, and makes the order begin with them.
    fn distinct(
        &mut self,
        distinct: &Distinct,
        targets: &mut Vec<TargetItem>,
        sort: &mut Vec<SortItem>,
        scope: &Scope<'_>,
        query: &ast::Query,
    ) -> SqlResult<Vec<usize>> {
        match distinct {
            Distinct::No => Ok(Vec::new()),
            Distinct::Yes => {
                self.refuse_locking(query, "DISTINCT clause")?;
                for item in sort.iter() {
                    if targets[item.target].hidden {
                        let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                            .at(targets[item.target].expr.position));
                    }
                }
                for target in targets.iter_mut() {
                    self.settle_target(target)?;
                    self.need_equality(target.expr.ty.oid, target.expr.position)?;
                }
                Ok(Vec::new())
            }
            Distinct::On(exprs) => {
                self.refuse_locking(query, "DISTINCT clause")?;
                let (mut keys, mut places) = (Vec::new(), Vec::new());
                for expr in exprs {
                    let index = self.sort_target(expr, targets, scope, "DISTINCT ON")?;
                    self.settle_target(&mut targets[index])?;
                    self.need_order(targets[index].expr.ty.oid, targets[index].expr.position)?;
                    if !keys.contains(&index) {
                        keys.push(index);
                        places.push(self.position(expr.start));
                    }
                }
                // No item of the order may stand before one that DISTINCT ON names.
                let leading = sort.iter().take_while(|item| keys.contains(&item.target)).count();
                let behind =
                    keys.iter().position(|key| !sort[..leading].iter().any(|item| item.target == *key));
                if let (true, Some(index)) = (leading < sort.len(), behind) {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(places[index]));
                }
                let missing: Vec<usize> =
                    keys.iter().copied().filter(|key| !sort.iter().any(|item| item.target == *key)).collect();
                sort.extend(missing.into_iter().map(|target| SortItem {
                    target,
                    desc: false,
                    nulls_first: false,
                }));
                Ok(keys)
            }
        }
    }

    fn project(
        &mut self,
        rel: Rel,
        targets: Vec<TargetItem>,
        distinct: &Distinct,
        sort: Vec<SortItem>,
        keys: Vec<usize>,
    ) -> SqlResult<Query> {
        let mut exprs = Vec::with_capacity(targets.len());
        let mut output = Vec::with_capacity(targets.len());
        let mut cols = Vec::with_capacity(targets.len());
        for target in targets {
            let id = self.new_col();
            let ty = target.expr.ty;
            cols.push(Expr { position: target.expr.position, ..Expr::col(id, ty) });
            if !target.hidden {
                output.push(OutputColumn { id, name: target.name.clone(), ty, origin: target.origin });
            }
            exprs.push((ColDef { id, ty, name: target.name }, target.expr));
        }
        let mut rel = Rel::Project { input: Box::new(rel), exprs };
        if *distinct == Distinct::Yes {
            rel = Rel::Distinct(Box::new(rel));
        }
        if !sort.is_empty() {
            let key = |item: &SortItem| SortKey {
                expr: cols[item.target].clone(),
                desc: item.desc,
                nulls_first: item.nulls_first,
            };
            rel = Rel::Sort { input: Box::new(rel), keys: sort.iter().map(key).collect() };
        }
        if let Distinct::On(_) = distinct {
            rel = Rel::DistinctOn {
                input: Box::new(rel),
                keys: keys.iter().map(|key| cols[*key].clone()).collect(),
            };
        }
        Ok(Query { rel, output })
    }

    fn refuse_locking(&self, query: &ast::Query, what: &str) -> SqlResult<()> {
        match query.locking.first() {
            Some(lock) => {
                let message = format!("{} is not allowed with {what}", lock_name(lock.strength));
                Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, lock.loc))
            }
            None => Ok(()),
        }
    }

    /// FOR UPDATE and its kin: a clause without OF is about every table of FROM.
    fn lock(&mut self, rel: &mut Rel, locking: &[Locking], scope: &Scope<'_>) -> SqlResult<()> {
        if locking.is_empty() {
            return Ok(());
        }
        let tables = || scope.tables.iter().filter(|item| item.named);
        let mut clauses = Vec::new();
        for lock in locking {
            let mut add = |alias: &str| {
                let clause = LockClause { alias: alias.to_owned(), strength: lock.strength, wait: lock.wait };
                clauses.push(clause);
            };
            if lock.of.is_empty() {
                tables().filter(|item| item.table.table.is_some()).for_each(|item| add(&item.table.alias));
                continue;
            }
            for name in &lock.of {
                let found = tables().find(|item| item.table.alias == name.name());
                let Some(item) = found else {
                    let message = format!(
                        "relation \"{}\" in {} clause not found in FROM clause",
                        name.name(),
                        lock_name(lock.strength)
                    );
                    return Err(self.error(SqlState::UNDEFINED_TABLE, message, name.loc));
                };
                if item.table.table.is_none() {
                    return Err(self.unsupported(
                        format!("{} of a subquery or function", lock_name(lock.strength)),
                        name.loc,
                    ));
                }
                add(name.name());
            }
        }
        let input = Box::new(std::mem::replace(rel, Rel::OneRow));
        *rel = Rel::Lock { input, clauses };
        Ok(())
    }
}

/// The clause as it is written.
pub(super) fn lock_name(strength: LockStrength) -> &'static str {
    match strength {
        LockStrength::Update => "FOR UPDATE",
        LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        LockStrength::Share => "FOR SHARE",
        LockStrength::KeyShare => "FOR KEY SHARE",
    }
}

/// The name of a column that has no alias.
pub(super) fn column_name(expr: &ast::Expr) -> String {
    figure_name(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name that an expression suggests, and whether it is a strong suggestion.
fn figure_name(expr: &ast::Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match &expr.kind {
        Ast::Column(parts) => parts.last().map(|name| (name.clone(), true)),
        Ast::Indirection { arg, items } => {
            let field = items.iter().rev().find_map(|item| match item {
                Indirection::Field(name) => Some(name.name.clone()),
                _ => None,
            });
            field.map_or_else(|| figure_name(arg), |name| Some((name, true)))
        }
        Ast::Func(call) => strong(call.name.name()),
        Ast::NullIf(..) => strong("nullif"),
        Ast::Coalesce(_) => strong("coalesce"),
        Ast::MinMax { greatest, .. } => strong(if *greatest { "greatest" } else { "least" }),
        Ast::Cast { arg, ty } => match figure_name(arg) {
            Some((name, true)) => Some((name, true)),
            _ => ty.names.last().map(|name| (name.clone(), false)),
        },
        Ast::Collate { arg, .. } => figure_name(arg),
        Ast::Case { otherwise, .. } => match otherwise.as_deref().and_then(figure_name) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Ast::Array(_) | Ast::ArrayQuery(_) => strong("array"),
        Ast::Row { .. } => strong("row"),
        Ast::Exists(_) => strong("exists"),
        Ast::Subquery(query) => subquery_name(query),
        Ast::SessionValue { name, .. } => strong(name),
        _ => None,
    }
}

/// A scalar subquery is named by its only column.
fn subquery_name(query: &ast::Query) -> Option<(String, bool)> {
    match &query.body {
        ast::QueryBody::Select(select) => {
            let target = select.targets.first()?;
            target.alias.clone().map(|alias| (alias, true)).or_else(|| figure_name(&target.expr))
        }
        ast::QueryBody::SetOp { left, .. } => subquery_name(left),
        ast::QueryBody::Values(_) => Some(("column1".to_owned(), true)),
    }
}
