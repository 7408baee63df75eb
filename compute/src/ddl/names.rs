//! Names of new objects: what is taken, and what is made up.

use crate::catalog::stored::{RelationNameRow, Stored, TypeNameRow};
use crate::catalog::{DatabaseCatalog, MAX_NAME_LEN, access, index_columns_part, made_up_name, system};
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState};

/// 42P07 when a relation has the name.
pub(super) async fn relation_is_free(txn: &mut Txn, database: Oid, schema: Oid, name: &str) -> SqlResult<()> {
    let key = [database.to_datum(), schema.to_datum(), name.to_owned().to_datum()];
    if access::get::<RelationNameRow>(txn, &key).await?.is_some()
        || system::relation_by_name(schema, name).is_some()
    {
        return Err(SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
    }
    Ok(())
}

/// 42710 when a type has the name.
pub(super) async fn type_is_free(txn: &mut Txn, database: Oid, schema: Oid, name: &str) -> SqlResult<()> {
    let key = [database.to_datum(), schema.to_datum(), name.to_owned().to_datum()];
    if access::get::<TypeNameRow>(txn, &key).await?.is_some() {
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
            .hint("A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type."));
    }
    Ok(())
}

/// The name of the type of arrays of a type: an underscore before it, and more while that is taken.
pub(super) async fn array_type_name(
    txn: &mut Txn,
    database: Oid,
    schema: Oid,
    name: &str,
) -> SqlResult<String> {
    let mut underscores = 1;
    loop {
        let candidate = cut(&format!("{}{name}", "_".repeat(underscores)), MAX_NAME_LEN).to_owned();
        let key = [database.to_datum(), schema.to_datum(), candidate.to_datum()];
        if access::get::<TypeNameRow>(txn, &key).await?.is_none() {
            return Ok(candidate);
        }
        underscores += 1;
    }
}

/// A name for an index behind a constraint. A name that was made up (`t_pkey`) and is taken gets a
/// number; one that was given is 42P07.
pub(super) async fn index_name(
    txn: &mut Txn,
    database: Oid,
    schema: Oid,
    wanted: &str,
    made_up: bool,
) -> SqlResult<String> {
    let mut name = wanted.to_owned();
    let mut number = 0;
    loop {
        match relation_is_free(txn, database, schema, &name).await {
            Ok(()) => return Ok(name),
            Err(error) if error.sqlstate() == SqlState::DUPLICATE_TABLE && made_up => {
                number += 1;
                let suffix = number.to_string();
                name = format!("{}{suffix}", cut(wanted, MAX_NAME_LEN - suffix.len()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A name for an index that was given none: `table_columns_label`, numbered while a relation has it, or
/// `taken` holds.
pub(super) async fn made_up_index_name(
    txn: &mut Txn,
    database: Oid,
    (schema, table): (Oid, &str),
    (columns, label): (&[&str], &str),
    taken: impl Fn(&str) -> bool,
) -> SqlResult<String> {
    let columns = index_columns_part(columns);
    let mut number = 0;
    loop {
        let name = made_up_name(table, &columns, label, number);
        if !taken(&name) {
            match relation_is_free(txn, database, schema, &name).await {
                Ok(()) => return Ok(name),
                Err(error) if error.sqlstate() == SqlState::DUPLICATE_TABLE => {}
                Err(error) => return Err(error),
            }
        }
        number += 1;
    }
}

/// Whether PostgreSQL would have made up this name for a constraint's index.
pub(super) fn is_made_up(name: &str, table: &str, columns: &[&str], label: &str) -> bool {
    let with_columns = format!("{table}_{}_{label}", columns.join("_"));
    name == format!("{table}_{label}") || name == with_columns
}

/// 42710 when the table, or the list of its new ones, has a constraint of the name.
pub(super) fn constraint_is_free(
    catalog: &DatabaseCatalog,
    table: Oid,
    of: &str,
    name: &str,
) -> SqlResult<()> {
    if catalog.constraints_of(table).any(|constraint| constraint.name == name) {
        return Err(duplicate_constraint(of, name));
    }
    Ok(())
}

pub(super) fn duplicate_constraint(table: &str, name: &str) -> SqlError {
    let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
    SqlError::new(SqlState::DUPLICATE_OBJECT, message)
}

/// 42701.
pub(super) fn duplicate_column(table: &str, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{table}\" already exists");
    SqlError::new(SqlState::DUPLICATE_COLUMN, message)
}

/// The first bytes of a string, as many as fit without cutting a character.
fn cut(text: &str, len: usize) -> &str {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
