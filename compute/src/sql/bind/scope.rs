//! Which names mean what at a place in a query.

use super::Binder;
use crate::catalog::TableDef;
use crate::sql::ast::Loc;
use crate::sql::bound::{CteId, Expr};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState};
use std::rc::Rc;
use std::sync::Arc;

/// A column that can be named.
#[derive(Debug, Clone)]
pub(super) struct ScopeCol {
    pub name: String,
    /// Its value: a column, or for one merged by FULL JOIN USING a COALESCE.
    pub expr: Expr,
    pub origin: Option<(Oid, i16)>,
}

/// A relation that can be named.
#[derive(Debug)]
pub(super) struct ScopeTable {
    pub alias: String,
    /// The schema of a table without an alias.
    pub schema: Option<String>,
    pub cols: Vec<ScopeCol>,
    pub table: Option<Arc<TableDef>>,
}

/// A relation in FROM, and what of it can be named.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub table: Rc<ScopeTable>,
    /// By `table.column`.
    pub named: bool,
    /// By `column`, and by `*`.
    pub cols_visible: bool,
}

/// A WITH query that can be named.
#[derive(Debug, Clone)]
pub(super) struct CteEntry {
    pub name: String,
    pub id: CteId,
    pub cols: Vec<(String, PgType)>,
}

/// What can be named at one level, and around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'p> {
    parent: Option<&'p Scope<'p>>,
    pub tables: Vec<Item>,
    pub ctes: Vec<CteEntry>,
}

impl Item {
    pub(super) fn new(table: ScopeTable) -> Self {
        Self { table: Rc::new(table), named: true, cols_visible: true }
    }
}

impl<'p> Scope<'p> {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn with_tables(parent: Option<&'p Scope<'p>>, tables: Vec<Item>) -> Self {
        Self { parent, tables, ctes: Vec::new() }
    }

    pub(super) fn with_ctes(parent: Option<&'p Scope<'p>>, ctes: Vec<CteEntry>) -> Self {
        Self { parent, tables: Vec::new(), ctes }
    }

    pub(super) fn cte(&self, name: &str) -> Option<&CteEntry> {
        let here = self.ctes.iter().rev().find(|cte| cte.name == name);
        here.or_else(|| self.parent.and_then(|parent| parent.cte(name)))
    }

    /// All columns that `*` means.
    pub(super) fn star(&self) -> impl Iterator<Item = &ScopeCol> {
        self.tables.iter().filter(|item| item.cols_visible).flat_map(|item| &item.table.cols)
    }

    /// Whether a column belongs to a level around this one.
    pub(super) fn is_outer(&self, id: crate::sql::bound::ColId) -> bool {
        self.parent.is_some_and(|parent| parent.owns(id) || parent.is_outer(id))
    }

    /// Whether a column belongs to this level, not to one around it.
    pub(super) fn owns(&self, id: crate::sql::bound::ColId) -> bool {
        self.tables.iter().any(|item| {
            item.table.cols.iter().any(|col| {
                let is_it =
                    |expr: &Expr| matches!(expr.kind, crate::sql::bound::ExprKind::Col(found) if found == id);
                col.expr.any(&mut |expr| is_it(expr))
            })
        })
    }
}

/// What looking for a name at one level gives.
enum Found<'s> {
    Nothing,
    One(&'s ScopeCol),
    Several,
}

fn at_level<'s>(scope: &'s Scope<'_>, name: &str) -> Found<'s> {
    let mut found = Found::Nothing;
    for item in scope.tables.iter().filter(|item| item.cols_visible) {
        for col in item.table.cols.iter().filter(|col| col.name == name) {
            if matches!(found, Found::One(_)) {
                return Found::Several;
            }
            found = Found::One(col);
        }
    }
    found
}

impl Binder<'_> {
    /// `name`, in this scope or the nearest around it that has it.
    pub(super) fn find_column<'s>(
        &self,
        scope: &'s Scope<'_>,
        name: &str,
        loc: Loc,
    ) -> SqlResult<Option<&'s ScopeCol>> {
        let mut level = Some(scope);
        while let Some(scope) = level {
            match at_level(scope, name) {
                Found::One(col) => return Ok(Some(col)),
                Found::Several => return Err(self.ambiguous_column(name, loc)),
                Found::Nothing => level = scope.parent,
            }
        }
        Ok(None)
    }

    fn ambiguous_column(&self, name: &str, loc: Loc) -> SqlError {
        self.error(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"), loc)
    }

    /// A relation by its alias, or by schema and name.
    pub(super) fn find_table<'s>(
        &self,
        scope: &'s Scope<'_>,
        schema: Option<&str>,
        name: &str,
        loc: Loc,
    ) -> SqlResult<Option<&'s Rc<ScopeTable>>> {
        let mut level = Some(scope);
        while let Some(scope) = level {
            let fits = |item: &&Item| {
                item.named
                    && item.table.alias == name
                    && (schema.is_none() || item.table.schema.as_deref() == schema)
            };
            let mut matches = scope.tables.iter().filter(fits);
            if let Some(item) = matches.next() {
                if matches.next().is_some() {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(self.error(SqlState::AMBIGUOUS_ALIAS, message, loc));
                }
                return Ok(Some(&item.table));
            }
            level = scope.parent;
        }
        Ok(None)
    }

    /// The column that a name with one to four parts means.
    pub(super) fn column_reference(&self, parts: &[String], scope: &Scope<'_>, loc: Loc) -> SqlResult<Expr> {
        let (schema, table, column) = match parts {
            [column] => {
                if let Some(col) = self.find_column(scope, column, loc)? {
                    return Ok(self.placed(col, loc));
                }
                if self.find_table(scope, None, column, loc)?.is_some() {
                    return Err(self.unsupported("a row as a value (whole-row reference)", loc));
                }
                let message = format!("column \"{column}\" does not exist");
                return Err(self.error(SqlState::UNDEFINED_COLUMN, message, loc));
            }
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            [database, schema, table, column] => {
                if database != self.ctx.catalog.database() {
                    let message =
                        format!("cross-database references are not implemented: {}", parts.join("."));
                    return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
                }
                (Some(schema.as_str()), table, column)
            }
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
                return Err(self.error(SqlState::SYNTAX_ERROR, message, loc));
            }
        };
        let Some(found) = self.find_table(scope, schema, table, loc)? else {
            return Err(self.missing_table(scope, table, loc));
        };
        let mut matches = found.cols.iter().filter(|col| col.name == *column);
        let Some(col) = matches.next() else {
            let message = format!("column {table}.{column} does not exist");
            return Err(self.error(SqlState::UNDEFINED_COLUMN, message, loc));
        };
        if matches.next().is_some() {
            return Err(self.ambiguous_column(column, loc));
        }
        Ok(self.placed(col, loc))
    }

    /// 42P01 for a table that FROM does not have, or not under this name.
    pub(super) fn missing_table(&self, scope: &Scope<'_>, name: &str, loc: Loc) -> SqlError {
        let mut level = Some(scope);
        while let Some(scope) = level {
            let behind = scope.tables.iter().find(|item| {
                item.named
                    && item.table.alias != name
                    && item.table.table.as_ref().is_some_and(|table| table.name == name)
            });
            if let Some(item) = behind {
                let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                return self.error(SqlState::UNDEFINED_TABLE, message, loc).hint(format!(
                    "Perhaps you meant to reference the table alias \"{}\".",
                    item.table.alias
                ));
            }
            level = scope.parent;
        }
        self.error(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\""), loc)
    }

    fn placed(&self, col: &ScopeCol, loc: Loc) -> Expr {
        let mut expr = col.expr.clone();
        expr.position = self.position(loc);
        expr
    }
}
