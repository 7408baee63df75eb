//! FROM: tables, functions, subqueries and joins become relations, and names.

use super::aggregate::Clause;
use super::calls::has_columns;
use super::scope::{Item, Scope, ScopeCol, ScopeTable};
use super::types::type_name;
use super::{Binder, walk};
use crate::catalog::TableDef;
use crate::catalog::builtin::domain_base;
use crate::sql::ast::{
    Alias, FuncCall, Ident, JoinCondition, JoinRef, Loc, ObjectName, OpName, TableRef, TypeName,
};
use crate::sql::bound::{ColDef, Expr, ExprKind, FunctionCall, FunctionScan, Join, JoinKind, Rel, TableScan};
use crate::sql::stack::Chain;
use crate::{SqlError, SqlResult};
use shardforge_types::{PgType, SqlState, oids};
use std::collections::HashSet;
use std::sync::Arc;

impl Binder<'_> {
    /// All of FROM. `base` is what is around the query.
    pub(super) fn from(&mut self, refs: &[TableRef], base: &Scope<'_>) -> SqlResult<(Rel, Vec<Item>)> {
        let mut out: Option<Rel> = None;
        let mut items = Vec::new();
        let mut chain = Chain::default();
        for table in refs {
            chain.link()?;
            let (rel, new) = self.table_ref(table, base, &items)?;
            check_aliases(&items, &new)?;
            out = Some(match out {
                None => rel,
                Some(left) => join_rels(JoinKind::Inner, left, rel, None),
            });
            items.extend(new);
        }
        Ok((out.unwrap_or(Rel::OneRow), items))
    }

    fn table_ref(
        &mut self,
        table: &TableRef,
        base: &Scope<'_>,
        left: &[Item],
    ) -> SqlResult<(Rel, Vec<Item>)> {
        self.stack.check()?;

        match table {
            TableRef::Table { sample: Some(loc), .. } => Err(self.unsupported("TABLESAMPLE", *loc)),
            TableRef::Table { name, alias, sample: None } => self.named_table(name, alias.as_ref(), base),
            TableRef::Function { call, ordinality, alias, columns, .. } => {
                let scope = Scope::with_tables(Some(base), left.to_vec());
                self.function_table(call, *ordinality, alias.as_ref(), columns, &scope)
            }
            TableRef::Value { expr, ordinality, alias } => {
                let scope = Scope::with_tables(Some(base), left.to_vec());
                let value = self.in_clause(Clause::From, |binder| binder.expr(expr, &scope))?;
                let value = self.settle_unknown(value)?;
                let name = super::select::column_name(expr);
                self.value_table(value, &name, *ordinality, alias.as_ref())
            }
            TableRef::Subquery { lateral, query, alias, loc } => {
                let Some(alias) = alias else {
                    let message = "subquery in FROM must have an alias";
                    return Err(self
                        .error(SqlState::SYNTAX_ERROR, message, *loc)
                        .hint("For example, FROM (SELECT ...) [AS] foo."));
                };
                let siblings = if *lateral { left.to_vec() } else { Vec::new() };
                let scope = Scope::with_tables(Some(base), siblings);
                let query = self.closed_query(query, &scope)?;
                let cols = query.output.iter().map(|column| ScopeCol {
                    name: column.name.clone(),
                    expr: Expr::col(column.id, column.ty),
                    origin: column.origin,
                });
                let cols = cols.collect();
                let item = self.item(alias, cols)?;
                Ok((query.rel, vec![item]))
            }
            TableRef::Join(join) => self.join(join, base, left),
            TableRef::Unsupported { what, loc } => Err(self.unsupported(what, *loc)),
        }
    }

    /// A relation under an alias, its columns renamed as far as the alias says.
    fn item(&self, alias: &Alias, mut cols: Vec<ScopeCol>) -> SqlResult<Item> {
        if alias.columns.len() > cols.len() {
            let message = format!(
                "table \"{}\" has {} columns available but {} columns specified",
                alias.name.name,
                cols.len(),
                alias.columns.len()
            );
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        for (col, name) in cols.iter_mut().zip(&alias.columns) {
            col.name = name.name.clone();
        }
        Ok(Item::new(ScopeTable { alias: alias.name.name.clone(), schema: None, cols, table: None }))
    }

    /// The table behind a name; 42P01 without one.
    pub(super) fn lookup_table(&self, name: &ObjectName) -> SqlResult<Arc<TableDef>> {
        if let Some(table) = self.lookup_table_if_exists(name)? {
            return Ok(table);
        }
        if self.is_index(name)? {
            let message = format!("\"{}\" is an index", name.name());
            return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, name.loc));
        }
        let message = format!("relation \"{}\" does not exist", name.display());
        Err(self.error(SqlState::UNDEFINED_TABLE, message, name.loc))
    }

    /// Whether a name that is no table's is an index's.
    pub(super) fn is_index(&self, name: &ObjectName) -> SqlResult<bool> {
        Ok(self.ctx.catalog.relation(name.schema(), name.name())?.is_some())
    }

    pub(super) fn lookup_table_if_exists(&self, name: &ObjectName) -> SqlResult<Option<Arc<TableDef>>> {
        self.check_database(name)?;
        self.ctx.catalog.table(name.schema(), name.name()).map_err(|error| error.at(self.position(name.loc)))
    }

    /// A name of three parts must begin with our own database.
    pub(super) fn check_database(&self, name: &ObjectName) -> SqlResult<()> {
        if name.parts.len() == 3 && name.parts[0] != self.ctx.catalog.database() {
            let message = format!("cross-database references are not implemented: \"{}\"", name.display());
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, name.loc));
        }
        Ok(())
    }

    /// All visible columns of a table under an alias, as names and as columns of a scan.
    pub(super) fn table_item(&mut self, table: &Arc<TableDef>, alias: &str) -> (Item, Vec<(ColDef, usize)>) {
        let mut cols = Vec::new();
        let mut names = Vec::new();
        for (position, column) in table.visible_columns() {
            let id = self.new_col();
            // Values of a domain are values of its base type: nobody above sees the domain.
            let ty = domain_base(column.ty);
            cols.push((ColDef { id, ty, name: column.name.clone() }, position));
            names.push(ScopeCol {
                name: column.name.clone(),
                expr: Expr::col(id, ty),
                origin: Some((table.oid, column.attnum)),
            });
        }
        let schema = (alias == table.name).then(|| table.schema_name.clone());
        let item = Item::new(ScopeTable {
            alias: alias.to_owned(),
            schema,
            cols: names,
            table: Some(table.clone()),
        });
        (item, cols)
    }

    fn named_table(
        &mut self,
        name: &ObjectName,
        alias: Option<&Alias>,
        base: &Scope<'_>,
    ) -> SqlResult<(Rel, Vec<Item>)> {
        if let (None, Some(cte)) = (name.schema(), base.cte(name.name())) {
            let cte = cte.clone();
            self.level_cte_used(cte.id);
            let mut cols = Vec::new();
            let mut names = Vec::new();
            for (name, ty) in &cte.cols {
                let id = self.new_col();
                cols.push(ColDef { id, ty: *ty, name: name.clone() });
                names.push(ScopeCol { name: name.clone(), expr: Expr::col(id, *ty), origin: None });
            }
            let default =
                Alias { name: Ident { name: cte.name.clone(), loc: name.loc }, columns: Vec::new() };
            let item = self.item(alias.unwrap_or(&default), names)?;
            return Ok((Rel::CteRef { cte: cte.id, cols }, vec![item]));
        }
        let table = self.lookup_table(name)?;
        let shown = alias.map_or(table.name.as_str(), |alias| alias.name.name.as_str()).to_owned();
        let (mut item, cols) = self.table_item(&table, &shown);
        if let Some(alias) = alias {
            let names = item.table.cols.clone();
            let renamed = self.item(alias, names)?;
            let renamed_cols = renamed.table.cols.clone();
            item = Item::new(ScopeTable {
                alias: shown.clone(),
                schema: None,
                cols: renamed_cols,
                table: Some(table.clone()),
            });
        }
        Ok((Rel::Table(TableScan { table, alias: shown, cols, as_of: None }), vec![item]))
    }

    fn function_table(
        &mut self,
        call: &FuncCall,
        ordinality: bool,
        alias: Option<&Alias>,
        typed: &[(Ident, TypeName)],
        scope: &Scope<'_>,
    ) -> SqlResult<(Rel, Vec<Item>)> {
        let loc = call.name.loc;
        if call.name.name() == "unnest" && call.args.len() > 1 {
            return self.unnest_several(call, ordinality, alias, scope);
        }
        let bound = self.in_clause(Clause::From, |binder| binder.call_in_from(call, scope))?;
        let bound = match bound {
            Ok(bound) => bound,
            Err(value) => return self.value_table(value, call.name.name(), ordinality, alias),
        };
        let function_name = call.name.name();
        let mut names: Vec<(String, PgType)> = Vec::new();
        if has_columns(bound.proc) {
            let all = bound.proc.all_args.as_deref().unwrap_or_default();
            let given = bound.proc.arg_names.as_deref().unwrap_or_default();
            for (index, (ty, mode)) in all.iter().enumerate() {
                if matches!(mode, b'o' | b'b' | b't') {
                    let name = given.get(index).filter(|name| !name.is_empty());
                    let name =
                        name.map_or_else(|| format!("column{}", names.len() + 1), |name| (*name).to_owned());
                    let ty = if super::polymorphic::is_polymorphic(*ty) {
                        self.polymorphic_output(&bound.args, *ty, loc)?
                    } else {
                        *ty
                    };
                    names.push((name, PgType::new(ty)));
                }
            }
        } else if bound.result == oids::RECORD && !typed.is_empty() {
            for (name, ty) in typed {
                names.push((name.name.clone(), self.resolve_value_type(ty, Some(&name.name))?));
            }
        } else if bound.result == oids::RECORD {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, loc));
        } else {
            // A scalar's one column is named by the output argument, the alias, or the function.
            let output = bound
                .proc
                .all_args
                .as_ref()
                .and_then(|all| all.iter().position(|(_, mode)| matches!(mode, b'o' | b't' | b'b')));
            let output = output
                .and_then(|index| bound.proc.arg_names.as_ref().and_then(|names| names.get(index).copied()));
            let name = alias.map_or(output.unwrap_or(function_name), |alias| &alias.name.name);
            names.push((name.to_owned(), PgType::new(bound.result)));
        }
        if !typed.is_empty() && bound.result != oids::RECORD {
            let message = "a column definition list is only allowed for functions returning \"record\"";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, typed[0].0.loc));
        }
        let new =
            |binder: &mut Self, name: &str, ty| ColDef { id: binder.new_col(), ty, name: name.to_owned() };
        let cols: Vec<ColDef> = names.iter().map(|(name, ty)| new(self, name, *ty)).collect();
        let ordinality = ordinality.then(|| new(self, "ordinality", PgType::INT8));
        let default = Alias { name: Ident { name: function_name.to_owned(), loc }, columns: Vec::new() };
        let item =
            self.item(alias.unwrap_or(&default), cols.iter().chain(&ordinality).map(scope_col).collect())?;
        let call = FunctionCall { func: bound.proc.oid, args: bound.args, cols };
        let scan = FunctionScan { calls: vec![call], ordinality };
        Ok((Rel::Function(scan), vec![item]))
    }

    /// `unnest` of several arrays: their elements side by side.
    fn unnest_several(
        &mut self,
        call: &FuncCall,
        ordinality: bool,
        alias: Option<&Alias>,
        scope: &Scope<'_>,
    ) -> SqlResult<(Rel, Vec<Item>)> {
        let mut calls = Vec::new();
        for arg in &call.args {
            let one = FuncCall { args: vec![arg.clone()], ..call.clone() };
            let bound = self.in_clause(Clause::From, |binder| binder.call_in_from(&one, scope))?;
            let Ok(bound) = bound else {
                return Err(self.unsupported("unnest() of several arguments of these types", call.name.loc));
            };
            let ty = PgType::new(bound.result);
            let col = ColDef { id: self.new_col(), ty, name: "unnest".to_owned() };
            calls.push(FunctionCall { func: bound.proc.oid, args: bound.args, cols: vec![col] });
        }
        let ordinality = ordinality.then(|| ColDef {
            id: self.new_col(),
            ty: PgType::INT8,
            name: "ordinality".to_owned(),
        });
        let scan = FunctionScan { calls, ordinality };
        let default = Alias { name: Ident { name: "unnest".to_owned(), loc: 0 }, columns: Vec::new() };
        let item = self.item(alias.unwrap_or(&default), scan.columns().map(scope_col).collect())?;
        Ok((Rel::Function(scan), vec![item]))
    }

    /// The type of a polymorphic output column.
    fn polymorphic_output(
        &self,
        args: &[Expr],
        declared: shardforge_types::Oid,
        loc: Loc,
    ) -> SqlResult<shardforge_types::Oid> {
        let array = args
            .iter()
            .find_map(|arg| super::types::element_type(arg.ty.oid).map(|element| (arg.ty.oid, element)));
        match (declared, array) {
            (oids::ANYARRAY, Some((array, _))) => Ok(array),
            (_, Some((_, element))) => Ok(element),
            _ => Err(self.unsupported(format!("an output column of type {}", type_name(declared)), loc)),
        }
    }

    /// A plain value in FROM: one row of one column.
    fn value_table(
        &mut self,
        value: Expr,
        name: &str,
        ordinality: bool,
        alias: Option<&Alias>,
    ) -> SqlResult<(Rel, Vec<Item>)> {
        let name = alias.map_or(name, |alias| &alias.name.name).to_owned();
        let col = ColDef { id: self.new_col(), ty: value.ty, name: name.clone() };
        let mut exprs = vec![(col, Expr { position: None, ..value })];
        if ordinality {
            let col = ColDef { id: self.new_col(), ty: PgType::INT8, name: "ordinality".to_owned() };
            exprs.push((col, Expr::constant(shardforge_types::Datum::Int8(1), PgType::INT8)));
        }
        let default = Alias { name: Ident { name, loc: 0 }, columns: Vec::new() };
        let item =
            self.item(alias.unwrap_or(&default), exprs.iter().map(|(col, _)| scope_col(col)).collect())?;
        Ok((Rel::Project { input: Box::new(Rel::OneRow), exprs }, vec![item]))
    }

    fn join(&mut self, join: &JoinRef, base: &Scope<'_>, outer_left: &[Item]) -> SqlResult<(Rel, Vec<Item>)> {
        let (left_rel, left) = self.table_ref(&join.left, base, outer_left)?;
        let mut visible = outer_left.to_vec();
        visible.extend(left.iter().cloned());
        let (right_rel, right) = self.table_ref(&join.right, base, &visible)?;
        check_aliases(&left, &right)?;
        if join.kind != JoinKind::Inner && join.kind != JoinKind::Left && refers_to(&right_rel, &left_rel) {
            let message = "invalid reference to FROM-clause entry: the combining JOIN type must be INNER or LEFT for a LATERAL reference";
            return Err(self.error(SqlState::INVALID_COLUMN_REFERENCE, message, join.loc));
        }
        let (on, items) = match &join.condition {
            JoinCondition::Cross => (None, left.into_iter().chain(right).collect()),
            JoinCondition::On(condition) => {
                let items: Vec<Item> = left.into_iter().chain(right).collect();
                let scope = Scope::with_tables(Some(base), items.clone());
                let on = self.in_clause(Clause::JoinOn, |binder| {
                    let on = binder.expr(condition, &scope)?;
                    binder.coerce_bool(on, "JOIN/ON")
                })?;
                (Some(on), items)
            }
            JoinCondition::Natural => {
                let names = visible_names(&left);
                let others = visible_names(&right);
                let common = names.into_iter().filter(|name| others.contains(name));
                let columns: Vec<Ident> = common.map(|name| Ident { name, loc: join.loc }).collect();
                self.merge_columns(join.kind, &columns, left, right, None)?
            }
            JoinCondition::Using(columns, alias) => {
                self.merge_columns(join.kind, columns, left, right, alias.as_ref())?
            }
        };
        let rel = join_rels(join.kind, left_rel, right_rel, on);
        let Some(alias) = &join.alias else {
            return Ok((rel, items));
        };
        // An alias of the join hides the names inside.
        let cols =
            items.iter().filter(|item| item.cols_visible).flat_map(|item| item.table.cols.clone()).collect();
        Ok((rel, vec![self.item(alias, cols)?]))
    }

    /// JOIN USING: the condition, and the merged columns before all others.
    fn merge_columns(
        &mut self,
        kind: JoinKind,
        columns: &[Ident],
        left: Vec<Item>,
        right: Vec<Item>,
        alias: Option<&Ident>,
    ) -> SqlResult<(Option<Expr>, Vec<Item>)> {
        let mut tests = Vec::new();
        let mut merged: Vec<ScopeCol> = Vec::new();
        for column in columns {
            if merged.iter().any(|col| col.name == column.name) {
                let message =
                    format!("column name \"{}\" appears more than once in USING clause", column.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            let a = common_column(&left, column, "left")?;
            let b = common_column(&right, column, "right")?;
            let exprs = [a.expr.clone(), b.expr.clone()];
            let ty = self.common_type(exprs.iter(), "JOIN/USING")?;
            let test = self.operate(&OpName::plain("="), Some(a.expr.clone()), b.expr.clone(), column.loc)?;
            tests.push(self.coerce_bool(test, "JOIN/USING")?);
            let [a_expr, b_expr] = exprs;
            let a_expr = self.coerce_common(a_expr, ty, "JOIN/USING")?;
            let b_expr = self.coerce_common(b_expr, ty, "JOIN/USING")?;
            let (expr, origin) = match kind {
                JoinKind::Inner | JoinKind::Left => (a_expr, a.origin),
                JoinKind::Right => (b_expr, b.origin),
                JoinKind::Full => (Expr::new(ExprKind::Coalesce(vec![a_expr, b_expr]), ty), None),
            };
            merged.push(ScopeCol { name: column.name.clone(), expr, origin });
        }
        let on = match tests.len() {
            0 => None,
            1 => tests.pop(),
            _ => Some(Expr::new(ExprKind::And(tests), PgType::BOOL)),
        };
        let using: Vec<ScopeCol> = merged.clone();
        let rest = |items: &[Item]| -> Vec<ScopeCol> {
            let cols = items.iter().filter(|item| item.cols_visible).flat_map(|item| item.table.cols.iter());
            cols.filter(|col| !columns.iter().any(|column| column.name == col.name)).cloned().collect()
        };
        let mut all = merged;
        all.extend(rest(&left));
        all.extend(rest(&right));
        let hidden = |item: Item| Item { cols_visible: false, ..item };
        let mut items: Vec<Item> = left.into_iter().chain(right).map(hidden).collect();
        let joined = ScopeTable { alias: String::new(), schema: None, cols: all, table: None };
        items.push(Item { named: false, ..Item::new(joined) });
        if let Some(alias) = alias {
            let table = ScopeTable { alias: alias.name.clone(), schema: None, cols: using, table: None };
            items.push(Item { cols_visible: false, ..Item::new(table) });
        }
        Ok((on, items))
    }
}

fn common_column(items: &[Item], column: &Ident, side: &str) -> SqlResult<ScopeCol> {
    let cols = items.iter().filter(|item| item.cols_visible).flat_map(|item| &item.table.cols);
    let mut found = cols.filter(|col| col.name == column.name);
    match (found.next(), found.next()) {
        (Some(col), None) => Ok(col.clone()),
        (Some(_), Some(_)) => {
            let message =
                format!("common column name \"{}\" appears more than once in {side} table", column.name);
            Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
        }
        _ => {
            let message = format!(
                "column \"{}\" specified in USING clause does not exist in {side} table",
                column.name
            );
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
    }
}

/// One name can stand once in a FROM.
fn check_aliases(left: &[Item], right: &[Item]) -> SqlResult<()> {
    for item in right.iter().filter(|item| item.named) {
        let clash = left.iter().any(|other| {
            other.named
                && other.table.alias == item.table.alias
                && (other.table.schema.is_none()
                    || item.table.schema.is_none()
                    || other.table.schema == item.table.schema)
        });
        if clash {
            let message = format!("table name \"{}\" specified more than once", item.table.alias);
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
    }
    Ok(())
}

fn scope_col(col: &ColDef) -> ScopeCol {
    ScopeCol { name: col.name.clone(), expr: Expr::col(col.id, col.ty), origin: None }
}

fn visible_names(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .filter(|item| item.cols_visible)
        .flat_map(|item| item.table.cols.iter().map(|col| col.name.clone()))
        .collect()
}

fn join_rels(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>) -> Rel {
    let lateral = refers_to(&right, &left);
    Rel::Join(Box::new(Join { kind, left, right, lateral, on }))
}

/// Whether a relation uses columns of another (LATERAL).
fn refers_to(rel: &Rel, other: &Rel) -> bool {
    if matches!(rel, Rel::Table(_) | Rel::CteRef { .. } | Rel::OneRow) {
        return false;
    }
    let made: HashSet<_> = other.columns().into_iter().map(|col| col.id).collect();
    let mut found = false;
    walk::rel_exprs(&mut rel.clone(), &mut |expr| {
        walk::deep(expr, &mut |expr| found |= matches!(expr.kind, ExprKind::Col(id) if made.contains(&id)));
    });
    found
}
