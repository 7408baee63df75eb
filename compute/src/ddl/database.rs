//! CREATE DATABASE and DROP DATABASE.

use super::drop_table::remove_storage;
use super::{DdlContext, DdlOutcome, forbid_in_block, mark_shared_changed};
use crate::catalog::bootstrap::{TEMPLATE1, write_database};
use crate::catalog::stored::{
    ColumnRow, ConstraintRow, DatabaseNameRow, DatabaseRow, DescriptionRow, IndexRow, NamespaceNameRow,
    NamespaceRow, PositionRow, RelationNameRow, RelationRow, SequenceRow, Stored, TypeNameRow, TypeRow,
    VersionRow, prefix_range,
};
use crate::catalog::{access, roles};
use crate::txn::{Checked, Txn};
use crate::{SqlError, SqlResult};
use shardforge_common::mutation::Aspects;
use shardforge_types::{Oid, SqlState};

/// `pg_database`, as a class of commented objects.
const PG_DATABASE: Oid = Oid(1262);

/// CREATE DATABASE: a copy of `template1`, as far as it holds schemas.
pub(super) async fn create(name: &str, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<DdlOutcome> {
    forbid_in_block(context, "CREATE DATABASE")?;
    if roles::database(txn, name).await?.is_some() {
        return Err(SqlError::new(
            SqlState::DUPLICATE_DATABASE,
            format!("database \"{name}\" already exists"),
        ));
    }
    let template = [TEMPLATE1.to_datum()];
    let (start, end) = prefix_range::<RelationRow>(&template);
    txn.check_range(start, end, Aspects::EXISTENCE);
    if !access::scan::<RelationRow>(txn, &template).await?.is_empty() {
        return Err(SqlError::not_supported("CREATE DATABASE while template1 has tables"));
    }
    let oid = context.ids.oid().await?;
    let row = DatabaseRow {
        oid,
        name: name.to_owned(),
        owner: context.owner,
        is_template: false,
        allow_connections: true,
        connection_limit: -1,
        acl: None,
    };
    write_database(txn, &row).await?;
    for schema in access::scan::<NamespaceRow>(txn, &template).await? {
        access::insert(txn, &NamespaceNameRow { database: oid, name: schema.name.clone(), oid: schema.oid })
            .await?;
        access::insert(txn, &NamespaceRow { database: oid, ..schema }).await?;
    }
    for comment in access::scan::<DescriptionRow>(txn, &template).await? {
        access::insert(txn, &DescriptionRow { database: oid, ..comment }).await?;
    }
    let catalog = context.load(txn).await?;
    mark_shared_changed(txn, catalog.databases()).await?;
    Ok(DdlOutcome::tag("CREATE DATABASE"))
}

/// DROP DATABASE.
pub(super) async fn drop(
    name: &str,
    if_exists: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    forbid_in_block(context, "DROP DATABASE")?;
    let mut outcome = DdlOutcome::tag("DROP DATABASE");
    let Some(row) = roles::database(txn, name).await? else {
        if if_exists {
            outcome.notices.push(format!("database \"{name}\" does not exist, skipping").into());
            return Ok(outcome);
        }
        return Err(SqlError::new(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        ));
    };
    if row.is_template {
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot drop a template database"));
    }
    if row.oid == context.database() {
        return Err(SqlError::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
    }
    let catalog = context.load(txn).await?;
    mark_shared_changed(txn, catalog.databases()).await?;
    let database = [row.oid.to_datum()];
    for relation in access::scan::<RelationRow>(txn, &database).await? {
        remove_storage(relation.storage, txn).await?;
        remove_storage(relation.value_storage, txn).await?;
    }
    // With a check of each range: nobody makes anything in the database meanwhile, and whoever tries
    // later finds its schemas gone.
    access::delete_all::<NamespaceRow>(txn, &database).await?;
    access::delete_all::<NamespaceNameRow>(txn, &database).await?;
    access::delete_all::<RelationRow>(txn, &database).await?;
    access::delete_all::<RelationNameRow>(txn, &database).await?;
    access::delete_all::<ColumnRow>(txn, &database).await?;
    access::delete_all::<ConstraintRow>(txn, &database).await?;
    access::delete_all::<IndexRow>(txn, &database).await?;
    access::delete_all::<TypeRow>(txn, &database).await?;
    access::delete_all::<TypeNameRow>(txn, &database).await?;
    access::delete_all::<SequenceRow>(txn, &database).await?;
    // Whoever reserves numbers meanwhile reserves them in vain.
    let (start, end) = prefix_range::<PositionRow>(&database);
    access::complete(txn, |txn| txn.delete_range(start.clone(), end.clone(), Checked::No)).await?;
    access::delete_all::<DescriptionRow>(txn, &database).await?;
    access::delete_all::<DescriptionRow>(
        txn,
        &[Oid::INVALID.to_datum(), PG_DATABASE.to_datum(), row.oid.to_datum()],
    )
    .await?;
    access::delete::<DatabaseNameRow>(txn, &[row.name.to_datum()]).await?;
    access::delete::<DatabaseRow>(txn, &database).await?;
    access::delete::<VersionRow>(txn, &database).await?;
    Ok(outcome)
}
