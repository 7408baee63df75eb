//! NOT NULL and CHECK, and the errors of all constraints in PostgreSQL's words.

use crate::catalog::TableDef;
use crate::functions::{EvalContext, text_io};
use crate::row_exec::expr::{Env, Evaluator, Scope, compile};
use crate::row_exec::storage::{KeyColumn, TableCodec};
use crate::sql::{BindContext, bind_check};
use crate::{SqlError, SqlResult};
use shardforge_common::key::{STORAGE_ID_LEN, column_len, storage_id_of};
use shardforge_types::key::decode_key_column;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

/// Bytes of a value that an error shows of a row.
const SHOWN_BYTES: usize = 64;

/// What a table demands of its rows.
#[derive(Debug)]
pub(in crate::row_exec) struct Constraints {
    not_null: Vec<usize>,
    checks: Vec<(String, Evaluator)>,
}

impl Constraints {
    /// The constraints that a change of these columns can break; `None` is all of them.
    pub(in crate::row_exec) fn new(
        table: &Arc<TableDef>,
        changed: Option<&[usize]>,
        bind: &BindContext<'_>,
    ) -> SqlResult<Self> {
        let concerns = |column: usize| changed.is_none_or(|changed| changed.contains(&column));
        let not_null =
            table.visible_columns().filter(|(n, c)| c.not_null && concerns(*n)).map(|(n, _)| n).collect();
        let mut checks = Vec::new();
        for check in &table.checks {
            let (expr, columns) = bind_check(&check.expression, table, bind)?;
            let uses_changed = columns.iter().any(|(column, position)| {
                concerns(*position)
                    && expr.any(
                        &mut |e| matches!(e.kind, crate::sql::bound::ExprKind::Col(id) if id == column.id),
                    )
            });
            if changed.is_some() && !uses_changed {
                continue;
            }
            let mut scope = Scope::new();
            scope.add_table(&columns, 0);
            checks.push((check.name.clone(), compile(&expr, &scope)?));
        }
        // PostgreSQL tries them in the order of their names.
        checks.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { not_null, checks })
    }

    /// Whether CHECK looks at the row.
    pub(in crate::row_exec) fn has_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Refuses a row, as wide as the table, that breaks a constraint.
    pub(in crate::row_exec) fn check(&self, table: &TableDef, env: &Env<'_>) -> SqlResult<()> {
        for column in &self.not_null {
            if env.row[*column].is_null() {
                return Err(null_value(table, *column, env));
            }
        }
        for (name, check) in &self.checks {
            if check.is_false(env)? {
                return Err(check_violated(table, name, env));
            }
        }
        Ok(())
    }
}

fn of_table(mut error: SqlError, table: &TableDef) -> SqlError {
    let fields = error.fields_mut();
    fields.schema = Some(table.schema_name.clone());
    fields.table = Some(table.name.clone());
    error
}

#[cold]
fn null_value(table: &TableDef, column: usize, env: &Env<'_>) -> SqlError {
    let name = &table.columns[column].name;
    let message = format!(
        "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
        table.name
    );
    let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message).detail(failing_row(table, env));
    error.fields_mut().column = Some(name.clone());
    of_table(error, table)
}

#[cold]
fn check_violated(table: &TableDef, constraint: &str, env: &Env<'_>) -> SqlError {
    let message =
        format!("new row for relation \"{}\" violates check constraint \"{constraint}\"", table.name);
    let mut error = SqlError::new(SqlState::CHECK_VIOLATION, message).detail(failing_row(table, env));
    error.fields_mut().constraint = Some(constraint.to_owned());
    of_table(error, table)
}

fn failing_row(table: &TableDef, env: &Env<'_>) -> String {
    let values: Vec<String> = table
        .visible_columns()
        .map(|(position, column)| {
            let text = text_io::to_text(&env.row[position], column.ty, env.context).ok().flatten();
            match text {
                None => "null".to_owned(),
                Some(text) if text.len() > SHOWN_BYTES => {
                    format!("{}...", &text[..text.floor_char_boundary(SHOWN_BYTES)])
                }
                Some(text) => text,
            }
        })
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}

/// The name of a unique constraint: `None` is the primary key, else the position in the table's indexes.
fn constraint_name(table: &TableDef, index: Option<usize>) -> &str {
    match index {
        None => table.primary_key.as_ref().map_or("", |index| &index.name),
        Some(index) => &table.indexes[index].name,
    }
}

/// 23505: another row has the key of this one.
#[cold]
pub(in crate::row_exec) fn duplicate_key(
    codec: &TableCodec,
    index: Option<usize>,
    row: &[Datum],
    context: &EvalContext,
) -> SqlError {
    let columns = index.map_or(codec.key(), |index| codec.indexes()[index].columns());
    let values: Vec<Datum> =
        columns.iter().map(|key| row.get(key.column).cloned().unwrap_or(Datum::Null)).collect();
    unique_violation(codec.table(), index, columns, &values, context)
}

fn unique_violation(
    table: &TableDef,
    index: Option<usize>,
    columns: &[KeyColumn],
    values: &[Datum],
    context: &EvalContext,
) -> SqlError {
    let name = constraint_name(table, index);
    let names: Vec<&str> =
        columns.iter().map(|key| table.columns.get(key.column).map_or("", |c| c.name.as_str())).collect();
    let texts = columns.iter().zip(values).map(|(key, value)| {
        text_io::to_text(value, key.ty, context).ok().flatten().unwrap_or_else(|| "null".to_owned())
    });
    let detail =
        format!("Key ({})=({}) already exists.", names.join(", "), texts.collect::<Vec<_>>().join(", "));
    let message = format!("duplicate key value violates unique constraint \"{name}\"");
    let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message).detail(detail);
    error.fields_mut().constraint = Some(name.to_owned());
    of_table(error, table)
}

/// What a key means when another transaction turns out to have taken it: the 23505 that says so. `None` when
/// the key is neither a row of the table under its primary key nor an entry of one of its unique indexes.
pub fn violation_of_key(table: &Arc<TableDef>, key: &[u8], context: &EvalContext) -> Option<SqlError> {
    let storage = storage_id_of(key).ok()?;
    let codec = TableCodec::new(table.clone());
    let (index, columns) = if storage == table.storage && table.primary_key.is_some() {
        (None, codec.key())
    } else {
        let at = codec.indexes().iter().position(|index| index.unique() && index.storage() == storage)?;
        (Some(at), codec.indexes()[at].columns())
    };
    let mut rest = &key[STORAGE_ID_LEN..];
    let mut values = Vec::new();
    for column in columns {
        let len = column_len(rest).ok()?;
        let mut part = &rest[..len];
        values.push(decode_key_column(&mut part, column.ty, column.order).ok()?);
        rest = &rest[len..];
    }
    Some(unique_violation(table, index, columns, &values, context))
}
