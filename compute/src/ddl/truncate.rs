//! TRUNCATE: each table gets new storage, and the old is removed.

use super::drop_table::{gone, remove_storage, require_user_table};
use super::{DdlContext, DdlOutcome, sequence};
use crate::SqlResult;
use crate::catalog::stored::RelationRow;
use crate::catalog::{DatabaseCatalog, TableDef, access};
use crate::txn::Txn;
use shardforge_common::StorageId;
use std::sync::Arc;

/// TRUNCATE. A row that another transaction wrote meanwhile is removed as well, as if it had been there
/// before; who comes later finds the relation row changed, and loses.
pub(super) async fn truncate(
    tables: &[Arc<TableDef>],
    restart_identity: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    for table in tables {
        require_user_table(table)?;
        context.lock(table, txn).await?;
    }
    let catalog = context.load(txn).await?;
    for table in tables {
        let relation = catalog.relation(table.oid).ok_or_else(|| gone(&table.name))?;
        remove_storage(relation.storage, txn).await?;
        remove_storage(relation.value_storage, txn).await?;
        let replaced = RelationRow {
            storage: new_storage(txn, context).await?,
            value_storage: new_storage(txn, context).await?,
            schema_version: relation.schema_version + 1,
            ..relation.clone()
        };
        access::update(txn, &replaced).await?;
        if restart_identity {
            sequence::restart_of_table(&catalog, table.oid, txn, context).await?;
        }
        super::analyze::forget(context.database(), table.oid, txn).await?;
        for (index, _) in own_indexes(&catalog, table) {
            remove_storage(index.storage, txn).await?;
            let replaced = RelationRow { storage: new_storage(txn, context).await?, ..index.clone() };
            access::update(txn, &replaced).await?;
        }
    }
    context.changed(txn).await?;
    Ok(DdlOutcome::tag("TRUNCATE TABLE"))
}

/// The indexes of a table that have storage of their own, each with its place in [`TableDef::indexes`].
pub(super) fn own_indexes<'a>(
    catalog: &'a DatabaseCatalog,
    table: &'a TableDef,
) -> impl Iterator<Item = (&'a RelationRow, usize)> {
    let indexes = table.indexes.iter().enumerate();
    indexes.filter_map(|(place, index)| catalog.relation(index.oid).map(|relation| (relation, place)))
}

/// A storage id that this transaction is the first to use.
pub(super) async fn new_storage(txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<StorageId> {
    let storage = context.ids.storage().await?;
    txn.mark_storage_created(storage);
    Ok(storage)
}
