//! DROP TABLE.

use super::{DdlContext, DdlOutcome, sequence};
use crate::catalog::stored::{
    ColumnRow, ConstraintRow, DescriptionRow, IndexRow, RelationNameRow, RelationRow, Stored, TypeNameRow,
    TypeRow,
};
use crate::catalog::{DatabaseCatalog, TableDef, TableKind, access};
use crate::txn::{Checked, Txn};
use crate::{Notice, SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::StorageId;
use shardforge_common::key::storage_range;
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// `pg_class`, as a class of commented objects.
const PG_CLASS: Oid = Oid(1259);

/// DROP TABLE.
pub(super) async fn drop(
    tables: &[Arc<TableDef>],
    missing: &[String],
    cascade: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut notices: Vec<Notice> =
        missing.iter().map(|name| format!("table \"{name}\" does not exist, skipping").into()).collect();
    for table in tables {
        require_user_table(table)?;
        context.lock(table, txn).await?;
    }
    let catalog = context.load(txn).await?;
    for table in tables {
        require_unused(table, tables, cascade, &catalog)?;
        for owned in catalog.sequences_of(table.oid) {
            let others = sequence::dependents(&catalog, owned.oid, Some(table.oid));
            let others: Vec<_> =
                others.into_iter().filter(|(of, _)| tables.iter().all(|table| table.oid != of.oid)).collect();
            let what = format!("table {}", table.name);
            let named = format!("sequence {}", owned.name);
            sequence::release((&what, &named), &others, cascade, &mut notices, txn, context).await?;
        }
    }
    for table in tables {
        remove_table(table, txn, context).await?;
    }
    context.changed(txn).await?;
    Ok(DdlOutcome { tag: "DROP TABLE", notices, insert: None })
}

/// 42501 for what belongs to the system.
pub(super) fn require_user_table(table: &TableDef) -> SqlResult<()> {
    match table.kind {
        TableKind::Table => Ok(()),
        TableKind::Catalog => {
            let message = format!("permission denied: \"{}\" is a system catalog", table.name);
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        TableKind::Virtual | TableKind::Sequence => {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", table.name)))
        }
    }
}

/// 2BP01 when a column of another table is of the table's row type.
fn require_unused(
    table: &TableDef,
    dropped: &[Arc<TableDef>],
    cascade: bool,
    catalog: &DatabaseCatalog,
) -> SqlResult<()> {
    let Some(relation) = catalog.relation(table.oid) else { return Ok(()) };
    let array = catalog.type_row(relation.row_type).map(|row| row.array);
    let of_type = |oid: Oid| oid == relation.row_type || Some(oid) == array;
    for other in catalog.tables().filter(|other| dropped.iter().all(|dropped| dropped.oid != other.oid)) {
        let Some((_, column)) = other.visible_columns().find(|(_, column)| of_type(column.ty.oid)) else {
            continue;
        };
        if cascade {
            return Err(SqlError::not_supported(format!("dropping column {} with its type", column.name)));
        }
        let message = format!("cannot drop table {} because other objects depend on it", table.name);
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(format!("column {} of table {} depends on type {}", column.name, other.name, table.name))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    Ok(())
}

/// Removes a table with all that belongs to it, its rows included. Nobody who writes into it meanwhile
/// is checked for: they check the relation row, and lose if they come later.
pub(super) async fn remove_table(table: &TableDef, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<()> {
    let catalog = context.load(txn).await?;
    let database = context.database().to_datum();
    let relation = catalog.relation(table.oid).ok_or_else(|| gone(&table.name))?;
    let of_table = [database.clone(), table.oid.to_datum()];
    for owned in catalog.sequences_of(table.oid) {
        sequence::remove(owned, txn, context).await?;
    }
    for index in catalog.indexes_of(table.oid) {
        remove_index(index, &catalog, txn).await?;
    }
    for constraint in catalog.constraints_of(table.oid) {
        access::delete::<ConstraintRow>(txn, &[database.clone(), constraint.oid.to_datum()]).await?;
    }
    for column in catalog.columns(table.oid) {
        access::delete::<ColumnRow>(txn, &[database.clone(), table.oid.to_datum(), column.number.to_datum()])
            .await?;
    }
    let array = catalog.type_row(relation.row_type).map(|row| row.array);
    for ty in [Some(relation.row_type), array].into_iter().flatten().filter_map(|oid| catalog.type_row(oid)) {
        access::delete::<TypeRow>(txn, &[database.clone(), ty.oid.to_datum()]).await?;
        access::delete::<TypeNameRow>(txn, &[database.clone(), ty.namespace.to_datum(), ty.name.to_datum()])
            .await?;
    }
    let comments = [database.clone(), PG_CLASS.to_datum(), table.oid.to_datum()];
    access::delete_all::<DescriptionRow>(txn, &comments).await?;
    let name = [database.clone(), relation.namespace.to_datum(), relation.name.to_datum()];
    access::delete::<RelationNameRow>(txn, &name).await?;
    access::delete::<RelationRow>(txn, &of_table).await?;
    super::analyze::forget(context.database(), table.oid, txn).await?;
    remove_storage(relation.storage, txn).await?;
    remove_storage(relation.value_storage, txn).await?;
    Ok(())
}

/// Removes an index, its entries included.
pub(super) async fn remove_index(
    index: &IndexRow,
    catalog: &DatabaseCatalog,
    txn: &mut Txn,
) -> SqlResult<()> {
    let database = index.database.to_datum();
    if let Some(relation) = catalog.relation(index.oid) {
        let name = [database.clone(), relation.namespace.to_datum(), relation.name.to_datum()];
        access::delete::<RelationNameRow>(txn, &name).await?;
        access::delete::<RelationRow>(txn, &[database.clone(), index.oid.to_datum()]).await?;
        if !index.primary {
            remove_storage(relation.storage, txn).await?;
        }
    }
    access::delete::<IndexRow>(txn, &[database, index.oid.to_datum()]).await
}

/// Removes every key of a storage id that the catalog gives up.
pub(super) async fn remove_storage(storage: StorageId, txn: &mut Txn) -> SqlResult<()> {
    if storage == StorageId::default() {
        return Ok(());
    }
    let (start, end) = storage_range(storage);
    let (start, end) = (Bytes::from(start), Bytes::from(end));
    access::complete(txn, |txn| txn.delete_range(start.clone(), end.clone(), Checked::No)).await
}

/// The table was dropped since the statement was bound.
pub(super) fn gone(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}
