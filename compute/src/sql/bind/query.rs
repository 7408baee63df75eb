//! Queries as wholes: WITH, the body, ORDER BY, LIMIT.

use super::aggregate::{Clause, Level};
use super::scope::{CteEntry, Scope};
use super::{Binder, walk};
use crate::catalog::builtin::CastContext;
use crate::sql::ast::{self, CommonTable, Loc, QueryBody, With};
use crate::sql::bound::{ColDef, Cte, CteId, Expr, ExprKind, OutputColumn, Query, Rel, SetOpKind, SortKey};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, SqlState, oids};

impl Binder<'_> {
    /// A query whose columns all have types: nobody around it decides them.
    pub(super) fn top_query(&mut self, query: &ast::Query, scope: &Scope<'_>) -> SqlResult<Query> {
        self.closed_query(query, scope)
    }

    pub(super) fn closed_query(&mut self, query: &ast::Query, scope: &Scope<'_>) -> SqlResult<Query> {
        let mut bound = self.query(query, scope)?;
        self.settle_output(&mut bound)?;
        Ok(bound)
    }

    /// A query whose columns may still be `unknown` literals.
    pub(super) fn query(&mut self, query: &ast::Query, scope: &Scope<'_>) -> SqlResult<Query> {
        self.stack.check()?;
        let around = std::mem::take(&mut self.level);
        let out = self.query_inner(query, scope);
        let inner = std::mem::replace(&mut self.level, around);
        self.level.ctes_used.extend(inner.ctes_used);
        out
    }

    fn query_inner(&mut self, query: &ast::Query, outer: &Scope<'_>) -> SqlResult<Query> {
        let mut scope = Scope::with_ctes(Some(outer), Vec::new());
        let mut ctes = Vec::new();
        if let Some(with) = &query.with {
            self.with(with, &mut scope, &mut ctes)?;
        }
        let mut bound = match &query.body {
            QueryBody::Select(select) => self.select(select, query, &scope)?,
            QueryBody::Values(rows) => {
                let values = self.values(rows, &scope)?;
                self.output_tail(values, query, &scope)?
            }
            QueryBody::SetOp { kind, all, left, right, .. } => {
                let left = self.query(left, &scope)?;
                let right = self.query(right, &scope)?;
                let joined = self.set_operation(*kind, *all, left, right)?;
                self.output_tail(joined, query, &scope)?
            }
        };
        if !ctes.is_empty() {
            bound.rel = Rel::With { ctes, body: Box::new(bound.rel) };
        }
        Ok(bound)
    }

    /// ORDER BY and LIMIT over output columns alone: of VALUES and set operations.
    fn output_tail(&mut self, mut bound: Query, query: &ast::Query, scope: &Scope<'_>) -> SqlResult<Query> {
        if let Some(lock) = query.locking.first() {
            let what =
                if matches!(query.body, QueryBody::Values(_)) { "VALUES" } else { "UNION/INTERSECT/EXCEPT" };
            let message = format!("{} is not allowed with {what}", super::select::lock_name(lock.strength));
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, lock.loc));
        }
        if !query.order_by.is_empty() {
            self.settle_output(&mut bound)?;
            let mut keys = Vec::new();
            for item in &query.order_by {
                let column = self.output_column(&bound.output, &item.expr)?;
                let expr =
                    Expr { position: self.position(item.expr.start), ..Expr::col(column.id, column.ty) };
                keys.push(self.sort_key(item, expr)?);
            }
            bound.rel = Rel::Sort { input: Box::new(bound.rel), keys };
        }
        self.limit(&mut bound.rel, query, scope)?;
        Ok(bound)
    }

    /// The output column that an ORDER BY item of a set operation names.
    fn output_column(&self, output: &[OutputColumn], item: &ast::Expr) -> SqlResult<OutputColumn> {
        match &item.kind {
            ast::ExprKind::Int(number) => {
                let index = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                index.and_then(|index| output.get(index)).cloned().ok_or_else(|| {
                    let message = format!("ORDER BY position {number} is not in select list");
                    self.error(SqlState::INVALID_COLUMN_REFERENCE, message, item.start)
                })
            }
            ast::ExprKind::Column(parts) if parts.len() == 1 => {
                let mut found = output.iter().filter(|column| column.name == parts[0]);
                match (found.next(), found.next()) {
                    (Some(column), None) => Ok(column.clone()),
                    (Some(_), Some(_)) => {
                        let message = format!("ORDER BY \"{}\" is ambiguous", parts[0]);
                        Err(self.error(SqlState::AMBIGUOUS_COLUMN, message, item.start))
                    }
                    _ => {
                        let message = format!("column \"{}\" does not exist", parts[0]);
                        Err(self.error(SqlState::UNDEFINED_COLUMN, message, item.start))
                    }
                }
            }
            _ => {
                let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                Err(self
                    .error(SqlState::FEATURE_NOT_SUPPORTED, message, item.start)
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint(
                        "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
                    ))
            }
        }
    }

    /// LIMIT and OFFSET.
    pub(super) fn limit(&mut self, rel: &mut Rel, query: &ast::Query, scope: &Scope<'_>) -> SqlResult<()> {
        if let Some(loc) = query.with_ties {
            return Err(self.unsupported("FETCH ... WITH TIES", loc));
        }
        if query.limit.is_none() && query.offset.is_none() {
            return Ok(());
        }
        let mut bind = |expr: &Option<ast::Expr>, clause, name: &str| -> SqlResult<Option<Expr>> {
            let Some(ast) = expr else { return Ok(None) };
            let expr = self.in_clause(clause, |binder| {
                let expr = binder.expr(ast, scope)?;
                binder.coerce_specific(expr, PgType::INT8, name)
            })?;
            let mut column = None;
            expr.any(&mut |expr| {
                if matches!(expr.kind, ExprKind::Col(_)) && column.is_none() {
                    column = Some(expr.position);
                }
                false
            });
            if let Some(position) = column {
                let message = format!("argument of {name} must not contain variables");
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
            }
            Ok(Some(expr))
        };
        let offset = bind(&query.offset, Clause::Offset, "OFFSET")?;
        let limit = bind(&query.limit, Clause::Limit, "LIMIT")?;
        let input = Box::new(std::mem::replace(rel, Rel::OneRow));
        *rel = Rel::Limit { input, limit, offset };
        Ok(())
    }

    /// VALUES: the columns take the common types of the rows.
    fn values(&mut self, rows: &[Vec<ast::Expr>], scope: &Scope<'_>) -> SqlResult<Query> {
        let width = rows[0].len();
        let mut columns: Vec<Vec<Expr>> = vec![Vec::with_capacity(rows.len()); width];
        for row in rows {
            if row.len() != width {
                let message = "VALUES lists must all be the same length";
                let at = row.first().map_or(0, |expr| expr.start);
                return Err(self.error(SqlState::SYNTAX_ERROR, message, at));
            }
            let clause = if rows.len() == 1 { Clause::ValuesRow } else { Clause::Values };
            let exprs = self.in_clause(clause, |binder| binder.exprs(row, scope))?;
            for (column, expr) in columns.iter_mut().zip(exprs) {
                column.push(expr);
            }
        }
        let mut cols = Vec::new();
        for (index, column) in columns.iter_mut().enumerate() {
            let exprs = std::mem::take(column);
            let (exprs, ty) = self.coerce_all(exprs, "VALUES")?;
            *column = exprs;
            cols.push(ColDef { id: self.new_col(), ty, name: format!("column{}", index + 1) });
        }
        let mut out: Vec<Vec<Expr>> = (0..rows.len()).map(|_| Vec::with_capacity(width)).collect();
        for column in columns {
            for (row, expr) in out.iter_mut().zip(column) {
                row.push(expr);
            }
        }
        let output = cols.iter().map(|col| OutputColumn {
            id: col.id,
            name: col.name.clone(),
            ty: col.ty,
            origin: None,
        });
        Ok(Query { output: output.collect(), rel: Rel::Values { cols, rows: out } })
    }

    /// Gives text to the columns that nobody typed.
    pub(super) fn settle_output(&mut self, query: &mut Query) -> SqlResult<()> {
        for index in 0..query.output.len() {
            if query.output[index].ty.oid == oids::UNKNOWN {
                self.retype_output(query, index, PgType::TEXT)?;
            }
        }
        Ok(())
    }

    /// Gives a type to an output column that is an open literal or parameter, where it is made.
    pub(super) fn retype_output(&mut self, query: &mut Query, index: usize, ty: PgType) -> SqlResult<()> {
        let id = query.output[index].id;
        let mut work: Result<(), SqlError> = Ok(());
        retype(&mut query.rel, id, ty, &mut |expr| {
            let taken = std::mem::replace(expr, Expr::constant(Datum::Null, PgType::UNKNOWN));
            match self.coerce_type(taken, ty, CastContext::Implicit) {
                Ok(done) => *expr = done,
                Err(error) => work = Err(error),
            }
        });
        work?;
        query.output[index].ty = PgType::new(ty.oid);
        Ok(())
    }

    pub(super) fn level_cte_used(&mut self, id: CteId) {
        self.level.ctes_used.insert(id);
    }

    pub(super) fn with(&mut self, with: &With, scope: &mut Scope<'_>, ctes: &mut Vec<Cte>) -> SqlResult<()> {
        for (index, cte) in with.ctes.iter().enumerate() {
            if with.ctes[..index].iter().any(|other| other.name.name == cte.name.name) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.name.name);
                return Err(self.error(SqlState::DUPLICATE_ALIAS, message, cte.name.loc));
            }
        }
        for cte in &with.ctes {
            let query = match &cte.query {
                Ok(query) => query,
                Err(what) => return Err(self.unsupported(format!("{what} in WITH"), cte.name.loc)),
            };
            let id = self.new_cte();
            let (query, recursive) = if with.recursive {
                self.recursive_cte(cte, query, id, scope)?
            } else {
                (self.closed_query(query, scope)?, None)
            };
            let cols = self.cte_columns(cte, &query)?;
            scope.ctes.push(CteEntry { name: cte.name.name.clone(), id, cols });
            let name = cte.name.name.clone();
            ctes.push(Cte { id, name, query, recursive, materialized: cte.materialized });
        }
        Ok(())
    }

    fn cte_columns(&self, cte: &CommonTable, query: &Query) -> SqlResult<Vec<(String, PgType)>> {
        if cte.columns.len() > query.output.len() {
            let message = format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.name.name,
                query.output.len(),
                cte.columns.len()
            );
            return Err(self.error(SqlState::INVALID_COLUMN_REFERENCE, message, cte.name.loc));
        }
        let name = |(index, column): (usize, &OutputColumn)| {
            let given = cte.columns.get(index).map(|given| given.name.clone());
            (given.unwrap_or_else(|| column.name.clone()), column.ty)
        };
        Ok(query.output.iter().enumerate().map(name).collect())
    }

    /// A query of WITH RECURSIVE: recursive when the part after UNION reads the query itself.
    fn recursive_cte(
        &mut self,
        cte: &CommonTable,
        query: &ast::Query,
        id: CteId,
        scope: &Scope<'_>,
    ) -> SqlResult<(Query, Option<(Query, bool)>)> {
        let QueryBody::SetOp { kind: SetOpKind::Union, all, left, right, loc } = &query.body else {
            return Ok((self.closed_query(query, scope)?, None));
        };
        if query.with.is_some() {
            return Ok((self.closed_query(query, scope)?, None));
        }
        let around = std::mem::take(&mut self.level);
        let out = self.recursive_parts(cte, id, scope, left, right, *all, *loc);
        let inner = std::mem::replace(&mut self.level, around);
        self.level.ctes_used.extend(inner.ctes_used.iter().filter(|used| **used != id));
        let (first, rest) = out?;
        if !inner.ctes_used.contains(&id) {
            return Ok((self.closed_query(query, scope)?, None));
        }
        if !query.order_by.is_empty() || query.limit.is_some() || query.offset.is_some() {
            return Err(self.unsupported("ORDER BY, LIMIT or OFFSET in a recursive query", *loc));
        }
        Ok((first, Some((rest, *all))))
    }

    #[allow(clippy::too_many_arguments)] // the parts of one recursive query
    fn recursive_parts(
        &mut self,
        cte: &CommonTable,
        id: CteId,
        scope: &Scope<'_>,
        left: &ast::Query,
        right: &ast::Query,
        all: bool,
        loc: Loc,
    ) -> SqlResult<(Query, Query)> {
        let first = self.closed_query(left, scope)?;
        let cols = self.cte_columns(cte, &first)?;
        let entry = CteEntry { name: cte.name.name.clone(), id, cols };
        let inner = Scope::with_ctes(Some(scope), vec![entry]);
        let mut rest = self.query(right, &inner)?;
        if rest.output.len() != first.output.len() {
            let message = "each UNION query must have the same number of columns";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, right.loc));
        }
        if !all {
            for column in &first.output {
                self.need_equality(column.ty.oid, self.position(loc))?;
            }
        }
        for index in 0..rest.output.len() {
            let (want, have) = (first.output[index].ty, rest.output[index].ty);
            if have.oid == oids::UNKNOWN {
                self.retype_output(&mut rest, index, want)?;
            } else if want.oid != have.oid {
                let overall = self.common_output_type(&first.output[index], &rest.output[index])?;
                if overall != want.oid {
                    let message = format!(
                        "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                        cte.name.name,
                        index + 1,
                        super::types::type_name(want.oid),
                        super::types::type_name(overall)
                    );
                    let position = super::setop::output_position(&first.rel, first.output[index].id);
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                        .hint("Cast the output of the non-recursive term to the correct type.")
                        .at(position));
                }
            }
        }
        let types: Vec<PgType> = first.output.iter().map(|column| column.ty).collect();
        let rest = self.project_as(rest, &types, "UNION")?;
        Ok((first, rest))
    }

    /// Sort keys over expressions as they stand: inside aggregates and window definitions.
    pub(super) fn sort_keys_plain(
        &mut self,
        items: &[ast::SortBy],
        scope: &Scope<'_>,
    ) -> SqlResult<Vec<SortKey>> {
        let bind = |item: &ast::SortBy| {
            let expr = self.expr(&item.expr, scope)?;
            let expr = self.settle_unknown(expr)?;
            self.sort_key(item, expr)
        };
        items.iter().map(bind).collect()
    }

    /// A level for statements that have expressions but no query.
    pub(super) fn fresh_level(&mut self, clause: Clause) {
        self.level = Level { clause, ..Level::default() };
    }
}

/// Finds where a column is made, gives the making expression to `f` and the column its type.
fn retype(rel: &mut Rel, id: crate::sql::bound::ColId, ty: PgType, f: &mut dyn FnMut(&mut Expr)) {
    match rel {
        Rel::Project { exprs, .. } => {
            for (col, expr) in exprs.iter_mut().filter(|(col, _)| col.id == id) {
                f(expr);
                col.ty = PgType::new(ty.oid);
            }
        }
        Rel::Values { cols, rows } => {
            if let Some(index) = cols.iter().position(|col| col.id == id) {
                cols[index].ty = PgType::new(ty.oid);
                rows.iter_mut().for_each(|row| f(&mut row[index]));
            }
        }
        Rel::Filter { input, .. }
        | Rel::Distinct(input)
        | Rel::DistinctOn { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Lock { input, .. } => {
            retype(input, id, ty, f);
        }
        Rel::With { body, .. } => retype(body, id, ty, f),
        _ => {}
    }
    // What stands above and names the column sees its new type.
    walk::rel_exprs(rel, &mut |expr| {
        walk::deep(expr, &mut |expr| {
            if matches!(expr.kind, ExprKind::Col(found) if found == id) {
                expr.ty = PgType::new(ty.oid);
            }
        });
    });
}
