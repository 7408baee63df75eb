//! INSERT, UPDATE, DELETE.

use super::Binder;
use super::aggregate::Clause;
use super::scope::{Item, Scope};
use super::types::type_name;
use crate::catalog::builtin::CastContext;
use crate::catalog::{TableDef, TableKind};
use crate::sql::ast::{self, ConflictTarget, ExprKind as Ast, Ident, InsertColumn, ObjectName, QueryBody};
use crate::sql::bound::{
    ColDef, Cte, Delete, Expr, Insert, OnConflict, OnConflictUpdate, OutputColumn, Query, Rel, Returning,
    Update,
};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};
use std::sync::Arc;

impl Binder<'_> {
    /// A table whose rows can be written by a user.
    fn writable_table(&self, name: &ObjectName) -> SqlResult<Arc<TableDef>> {
        let table = self.lookup_table(name)?;
        match table.kind {
            TableKind::Table => Ok(table),
            TableKind::Catalog => {
                let message = format!("permission denied: \"{}\" is a system catalog", table.name);
                Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
            }
            TableKind::Sequence => {
                let message = format!("cannot change sequence \"{}\"", table.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            TableKind::Virtual => {
                let message = format!("cannot change relation \"{}\": it is a view", table.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// The default of a column that is not given: its DEFAULT, or null.
    pub(super) fn column_default(&mut self, table: &TableDef, position: usize) -> SqlResult<Expr> {
        let column = &table.columns[position];
        if let Some(identity) = column.identity {
            let next = super::sequence::next_value(identity.sequence);
            return self.assign(next, table, position);
        }
        match &column.default {
            Some(text) => super::bind_default(text, column.ty, &column.name, self.ctx).map(|mut expr| {
                super::walk::deep(&mut expr, &mut |expr| expr.position = None);
                expr
            }),
            None => Ok(Expr::constant(Datum::Null, column.ty)),
        }
    }

    /// A value as it is stored into a column.
    fn assign(&mut self, expr: Expr, table: &TableDef, position: usize) -> SqlResult<Expr> {
        let column = &table.columns[position];
        self.assign_to(expr, column.ty, &column.name)
    }

    fn assign_to(&mut self, expr: Expr, ty: PgType, column: &str) -> SqlResult<Expr> {
        let (source, at) = (expr.ty.oid, expr.position);
        self.coerce(expr, ty, CastContext::Assignment)?.ok_or_else(|| {
            let message = format!(
                "column \"{column}\" is of type {} but expression is of type {}",
                type_name(ty.oid),
                type_name(source)
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(at)
        })
    }

    /// The expression of a DEFAULT clause.
    pub(super) fn default_value(&mut self, ast: &ast::Expr, ty: PgType, column: &str) -> SqlResult<Expr> {
        self.fresh_level(Clause::Default);
        let expr = self.expr(ast, &Scope::empty())?;
        let source = expr.ty.oid;
        self.coerce(expr, ty, CastContext::Assignment)?.ok_or_else(|| {
            let message = format!(
                "column \"{column}\" is of type {} but default expression is of type {}",
                type_name(ty.oid),
                type_name(source)
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
        })
    }

    /// The expression of a CHECK constraint.
    pub(super) fn check_condition(&mut self, ast: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Expr> {
        self.fresh_level(Clause::Check);
        let expr = self.expr(ast, scope)?;
        self.coerce_bool(expr, "CHECK")
    }

    /// The position of a column to be written.
    fn target_column(&self, table: &TableDef, column: &InsertColumn) -> SqlResult<usize> {
        if column.indirection {
            return Err(self.unsupported("assignment to an element or a field", column.name.loc));
        }
        table.column(&column.name.name).ok_or_else(|| self.no_column(table, &column.name))
    }

    pub(super) fn no_column(&self, table: &TableDef, name: &Ident) -> SqlError {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name);
        self.error(SqlState::UNDEFINED_COLUMN, message, name.loc)
    }

    /// WITH before a statement that writes.
    fn statement_with(&mut self, with: Option<&ast::With>) -> SqlResult<(Scope<'static>, Vec<Cte>)> {
        let mut scope = Scope::empty();
        let mut ctes = Vec::new();
        if let Some(with) = with {
            self.with(with, &mut scope, &mut ctes)?;
        }
        Ok((scope, ctes))
    }

    pub(super) fn insert(&mut self, insert: &ast::Insert) -> SqlResult<Insert> {
        let (scope, ctes) = self.statement_with(insert.with.as_ref())?;
        let table = self.writable_table(&insert.table)?;
        let targets = self.insert_targets(&table, &insert.columns)?;
        let given = !insert.columns.is_empty();
        let mut source = match insert.source.as_deref() {
            None => self.rows_source(&table, &[], &[], insert, false)?,
            Some(query) => match &query.body {
                QueryBody::Values(_) if is_plain(query) && !ctes.is_empty() => {
                    let loc = insert.with.as_ref().and_then(|with| with.ctes.first());
                    return Err(
                        self.unsupported("WITH before INSERT ... VALUES", loc.map_or(0, |cte| cte.name.loc))
                    );
                }
                QueryBody::Values(rows) if is_plain(query) => {
                    self.rows_source(&table, rows, &targets, insert, given)?
                }
                _ => {
                    let source = self.query(query, &scope)?;
                    self.query_source(&table, source, &targets, insert, given)?
                }
            },
        };
        if !ctes.is_empty() {
            source.rel = Rel::With { ctes, body: Box::new(source.rel) };
        }
        let columns: Vec<usize> = table.visible_columns().map(|(position, _)| position).collect();
        let alias = insert.alias.as_ref().map_or(table.name.as_str(), |alias| alias.name.as_str());
        let on_conflict = insert
            .on_conflict
            .as_ref()
            .map(|conflict| self.on_conflict(conflict, &table, alias))
            .transpose()?;
        let returning = self.returning(&insert.returning, &table, alias, &[])?;
        Ok(Insert { table, source, columns, on_conflict, returning })
    }

    /// The columns that values are given for, in the order in which they are given.
    fn insert_targets(&self, table: &TableDef, columns: &[InsertColumn]) -> SqlResult<Vec<usize>> {
        if columns.is_empty() {
            return Ok(table.visible_columns().map(|(position, _)| position).collect());
        }
        let mut out: Vec<usize> = Vec::new();
        for column in columns {
            let position = self.target_column(table, column)?;
            if out.contains(&position) {
                let message = format!("column \"{}\" specified more than once", column.name.name);
                return Err(self.error(SqlState::DUPLICATE_COLUMN, message, column.name.loc));
            }
            out.push(position);
        }
        Ok(out)
    }

    fn check_width(
        &self,
        count: usize,
        targets: &[usize],
        given: bool,
        insert: &ast::Insert,
        at: Option<u32>,
    ) -> SqlResult<()> {
        if count > targets.len() {
            let message = "INSERT has more expressions than target columns";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
        }
        if count < targets.len() && given {
            let message = "INSERT has more target columns than expressions";
            let place = insert.columns.get(count).map_or(0, |column| column.name.loc);
            return Err(self.error(SqlState::SYNTAX_ERROR, message, place));
        }
        Ok(())
    }

    /// Rows of VALUES as rows of the table; no rows given is one of defaults.
    fn rows_source(
        &mut self,
        table: &TableDef,
        rows: &[Vec<ast::Expr>],
        targets: &[usize],
        insert: &ast::Insert,
        given: bool,
    ) -> SqlResult<Query> {
        let positions: Vec<usize> = table.visible_columns().map(|(position, _)| position).collect();
        let width = rows.first().map_or(0, Vec::len);
        let mut out = Vec::with_capacity(rows.len().max(1));
        let mut defaults: Vec<Option<Expr>> = vec![None; table.columns.len()];
        let none: Vec<ast::Expr> = Vec::new();
        let rows: Vec<&Vec<ast::Expr>> = if rows.is_empty() { vec![&none] } else { rows.iter().collect() };
        for row in rows {
            if row.len() != width {
                let message = "VALUES lists must all be the same length";
                return Err(self.error(
                    SqlState::SYNTAX_ERROR,
                    message,
                    row.first().map_or(0, |expr| expr.start),
                ));
            }
            if !targets.is_empty() {
                let extra = row.get(targets.len()).and_then(|expr| self.position(expr.start));
                self.check_width(row.len(), targets, given, insert, extra)?;
            }
            let mut values: Vec<Option<Expr>> = vec![None; table.columns.len()];
            for (ast, position) in row.iter().zip(targets) {
                if ast.kind == Ast::Default || is_replaced(table, *position, insert)? {
                    continue;
                }
                let clause = Clause::Values;
                let expr = self.in_clause(clause, |binder| binder.expr(ast, &Scope::empty()))?;
                values[*position] = Some(self.assign(expr, table, *position)?);
            }
            let mut full = Vec::with_capacity(positions.len());
            for position in &positions {
                full.push(match values[*position].take() {
                    Some(value) => value,
                    None => match &defaults[*position] {
                        Some(default) => default.clone(),
                        None => {
                            let default = self.column_default(table, *position)?;
                            defaults[*position].insert(default).clone()
                        }
                    },
                });
            }
            out.push(full);
        }
        let cols = self.table_cols(table, &positions);
        Ok(Query { output: outputs(&cols), rel: Rel::Values { cols, rows: out } })
    }

    fn table_cols(&mut self, table: &TableDef, positions: &[usize]) -> Vec<ColDef> {
        let col = |position: &usize| {
            let column = &table.columns[*position];
            ColDef { id: self.new_col(), ty: column.ty, name: column.name.clone() }
        };
        positions.iter().map(col).collect()
    }

    /// The rows of a query as rows of the table.
    fn query_source(
        &mut self,
        table: &TableDef,
        mut source: Query,
        targets: &[usize],
        insert: &ast::Insert,
        given: bool,
    ) -> SqlResult<Query> {
        let extra = source.output.get(targets.len()).map(|column| column.id);
        let extra = extra.and_then(|id| super::setop::output_position(&source.rel, id));
        self.check_width(source.output.len(), targets, given, insert, extra)?;
        for (index, position) in targets.iter().enumerate().take(source.output.len()) {
            if source.output[index].ty.oid == oids::UNKNOWN {
                self.retype_output(&mut source, index, table.columns[*position].ty)?;
            }
        }
        let positions: Vec<usize> = table.visible_columns().map(|(position, _)| position).collect();
        let cols = self.table_cols(table, &positions);
        let mut exprs = Vec::with_capacity(cols.len());
        for (col, position) in cols.iter().zip(&positions) {
            let index = targets.iter().position(|target| target == position);
            let given = index.is_some_and(|index| index < source.output.len());
            let index = if given && is_replaced(table, *position, insert)? { None } else { index };
            let expr = match index.and_then(|index| source.output.get(index)) {
                Some(column) => {
                    let at = super::setop::output_position(&source.rel, column.id);
                    let expr = Expr { position: at, ..Expr::col(column.id, column.ty) };
                    self.assign(expr, table, *position)?
                }
                None => self.column_default(table, *position)?,
            };
            exprs.push((col.clone(), expr));
        }
        Ok(Query { output: outputs(&cols), rel: Rel::Project { input: Box::new(source.rel), exprs } })
    }

    fn on_conflict(
        &mut self,
        conflict: &ast::OnConflict,
        table: &Arc<TableDef>,
        alias: &str,
    ) -> SqlResult<OnConflict> {
        let index = match &conflict.target {
            None => {
                if conflict.update.is_some() {
                    let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                    return Err(self
                        .error(SqlState::SYNTAX_ERROR, message, conflict.loc)
                        .hint("For example, ON CONFLICT (column_name)."));
                }
                None
            }
            Some(target) => Some(self.conflict_index(target, table)?),
        };
        let Some((assignments, filter)) = &conflict.update else {
            return Ok(OnConflict { index, update: None });
        };
        let (item, existing) = self.table_item(table, alias);
        let (excluded_item, excluded) = self.table_item(table, "excluded");
        let scope = Scope::with_tables(None, vec![item, excluded_item]);
        let assignments = self.assignments(assignments, table, &scope)?;
        let predicate = filter
            .as_ref()
            .map(|filter| self.condition(filter, Clause::Where, "WHERE", &scope))
            .transpose()?;
        Ok(OnConflict {
            index,
            update: Some(OnConflictUpdate { existing, excluded, assignments, predicate }),
        })
    }

    /// The unique index that ON CONFLICT means.
    fn conflict_index(&self, target: &ConflictTarget, table: &TableDef) -> SqlResult<Oid> {
        let unique = || table.primary_key.iter().chain(&table.indexes).filter(|index| index.unique);
        match target {
            ConflictTarget::Constraint(name) => {
                let found = unique().find(|index| index.name == name.name && index.constraint.is_some());
                found.map(|index| index.oid).ok_or_else(|| {
                    let message =
                        format!("constraint \"{}\" for table \"{}\" does not exist", name.name, table.name);
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                })
            }
            ConflictTarget::Columns { exprs, filter } => {
                if let Some(filter) = filter {
                    return Err(self.unsupported("ON CONFLICT with a partial index", filter.start));
                }
                let mut columns = Vec::new();
                for expr in exprs {
                    let Ast::Column(parts) = &expr.kind else {
                        return Err(self.unsupported("ON CONFLICT with an expression", expr.start));
                    };
                    let name = Ident { name: parts[parts.len() - 1].clone(), loc: expr.start };
                    let position = table.column(&name.name).ok_or_else(|| {
                        let message = format!("column \"{}\" does not exist", name.name);
                        self.error(SqlState::UNDEFINED_COLUMN, message, name.loc)
                    })?;
                    columns.push(position);
                }
                let fits = |index: &&crate::catalog::IndexDef| {
                    index.keys.iter().all(|key| columns.contains(&key.column))
                        && columns.iter().all(|column| index.keys.iter().any(|key| key.column == *column))
                };
                unique().find(fits).map(|index| index.oid).ok_or_else(|| {
                    let message =
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                })
            }
        }
    }

    /// SET: the new value of each column.
    fn assignments(
        &mut self,
        list: &[ast::Assignment],
        table: &TableDef,
        scope: &Scope<'_>,
    ) -> SqlResult<Vec<(usize, Expr)>> {
        self.fresh_level(Clause::Update);
        let mut out: Vec<(usize, Expr)> = Vec::new();
        for assignment in list {
            let values: Vec<&ast::Expr> = if assignment.multi {
                let fields: Vec<&ast::Expr> = match &assignment.value.kind {
                    Ast::Row { fields, .. } => fields.iter().collect(),
                    Ast::Subquery(_) => {
                        return Err(self.unsupported(
                            "a subquery as the source of several columns",
                            assignment.value.start,
                        ));
                    }
                    _ if assignment.columns.len() == 1 => vec![&assignment.value],
                    _ => {
                        let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                        return Err(self.error(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            message,
                            assignment.value.start,
                        ));
                    }
                };
                if fields.len() != assignment.columns.len() {
                    let message = "number of columns does not match number of values";
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, assignment.value.start));
                }
                fields
            } else {
                vec![&assignment.value]
            };
            for (column, value) in assignment.columns.iter().zip(values) {
                let position = self.target_column(table, column)?;
                let expr = if value.kind == Ast::Default {
                    self.column_default(table, position)?
                } else if table.columns[position].identity.is_some_and(|identity| identity.always) {
                    let name = &table.columns[position].name;
                    let message = format!("column \"{name}\" can only be updated to DEFAULT");
                    return Err(generated_always(message, name));
                } else {
                    let expr = self.expr(value, scope)?;
                    self.assign(expr, table, position)?
                };
                if out.iter().any(|(other, _)| *other == position) {
                    let message = format!("multiple assignments to same column \"{}\"", column.name.name);
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                out.push((position, expr));
            }
        }
        Ok(out)
    }

    /// RETURNING over the written row and what else FROM had.
    fn returning(
        &mut self,
        list: &[ast::Target],
        table: &Arc<TableDef>,
        alias: &str,
        others: &[Item],
    ) -> SqlResult<Option<Returning>> {
        if list.is_empty() {
            return Ok(None);
        }
        let (item, cols) = self.table_item(table, alias);
        let scope = Scope::with_tables(None, std::iter::once(item).chain(others.iter().cloned()).collect());
        let list = self.returning_list(list, &scope)?;
        let (exprs, output): (Vec<_>, Vec<_>) =
            list.into_iter().map(|(expr, column)| ((column.id, expr), column)).unzip();
        Ok(Some(Returning { cols, exprs, output }))
    }

    pub(super) fn update(&mut self, update: &ast::Update) -> SqlResult<Update> {
        let (base, ctes) = self.statement_with(update.with.as_ref())?;
        let table = self.writable_table(&update.table)?;
        let alias =
            update.alias.as_ref().map_or(table.name.as_str(), |alias| alias.name.name.as_str()).to_owned();
        let (item, cols) = self.table_item(&table, &alias);
        let (from, others) = self.other_tables(&update.from, &item, &base)?;
        let items: Vec<Item> = std::iter::once(item).chain(others.iter().cloned()).collect();
        let scope = Scope::with_tables(Some(&base), items);
        let assignments = self.assignments(&update.assignments, &table, &scope)?;
        let predicate = self.where_predicate(update.filter.as_ref(), &scope)?;
        let returning = self.returning(&update.returning, &table, &alias, &others)?;
        Ok(Update { table, alias, ctes, cols, from, predicate, assignments, returning })
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete) -> SqlResult<Delete> {
        let (base, ctes) = self.statement_with(delete.with.as_ref())?;
        let table = self.writable_table(&delete.table)?;
        let alias =
            delete.alias.as_ref().map_or(table.name.as_str(), |alias| alias.name.name.as_str()).to_owned();
        let (item, cols) = self.table_item(&table, &alias);
        let (using, others) = self.other_tables(&delete.using, &item, &base)?;
        let items: Vec<Item> = std::iter::once(item).chain(others.iter().cloned()).collect();
        let scope = Scope::with_tables(Some(&base), items);
        let predicate = self.where_predicate(delete.filter.as_ref(), &scope)?;
        let returning = self.returning(&delete.returning, &table, &alias, &others)?;
        Ok(Delete { table, alias, ctes, cols, using, predicate, returning })
    }

    fn where_predicate(&mut self, filter: Option<&ast::Expr>, scope: &Scope<'_>) -> SqlResult<Option<Expr>> {
        self.fresh_level(Clause::Where);
        filter.map(|filter| self.condition(filter, Clause::Where, "WHERE", scope)).transpose()
    }

    /// FROM of UPDATE and USING of DELETE.
    fn other_tables(
        &mut self,
        refs: &[ast::TableRef],
        own: &Item,
        base: &Scope<'_>,
    ) -> SqlResult<(Option<Rel>, Vec<Item>)> {
        if refs.is_empty() {
            return Ok((None, Vec::new()));
        }
        let (rel, items) = self.from(refs, base)?;
        if let Some(clash) = items.iter().find(|item| item.named && item.table.alias == own.table.alias) {
            let message = format!("table name \"{}\" specified more than once", clash.table.alias);
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
        Ok((Some(rel), items))
    }
}

/// Whether a value that is given for a column gives way to the column's own, by OVERRIDING; 428C9 when it may
/// not be given at all.
fn is_replaced(table: &TableDef, position: usize, insert: &ast::Insert) -> SqlResult<bool> {
    let column = &table.columns[position];
    match (column.identity, insert.overriding) {
        (None, _) | (_, Some(ast::Overriding::System)) => Ok(false),
        (Some(_), Some(ast::Overriding::User)) => Ok(true),
        (Some(identity), None) if !identity.always => Ok(false),
        (Some(_), None) => {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            Err(generated_always(message, &column.name).hint("Use OVERRIDING SYSTEM VALUE to override."))
        }
    }
}

fn generated_always(message: String, column: &str) -> SqlError {
    SqlError::new(SqlState::GENERATED_ALWAYS, message)
        .detail(format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS."))
}

fn outputs(cols: &[ColDef]) -> Vec<OutputColumn> {
    cols.iter()
        .map(|col| OutputColumn { id: col.id, name: col.name.clone(), ty: col.ty, origin: None })
        .collect()
}

/// VALUES with nothing around it.
fn is_plain(query: &ast::Query) -> bool {
    query.with.is_none()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locking.is_empty()
}
