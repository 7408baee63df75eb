//! CREATE SCHEMA and DROP SCHEMA.

use super::drop_table::remove_table;
use super::{DdlContext, DdlOutcome, sequence};
use crate::catalog::stored::{
    DescriptionRow, NamespaceNameRow, NamespaceRow, RelationNameRow, Stored, TypeNameRow, prefix_range,
};
use crate::catalog::{INFORMATION_SCHEMA, PG_CATALOG, SequenceDef, access};
use crate::txn::Txn;
use crate::{Notice, SqlError, SqlResult};
use shardforge_common::mutation::Aspects;
use shardforge_types::{Oid, SqlState};

/// `pg_namespace`, as a class of commented objects.
const PG_NAMESPACE: Oid = Oid(2615);

/// CREATE SCHEMA.
pub(super) async fn create(
    name: &str,
    if_not_exists: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("CREATE SCHEMA");
    if name.starts_with("pg_") {
        return Err(SqlError::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
            .detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    let catalog = context.load(txn).await?;
    if catalog.namespace_oid(name).is_some() {
        if if_not_exists {
            let message = format!("schema \"{name}\" already exists, skipping");
            outcome.notices.push(Notice::new(SqlState::DUPLICATE_SCHEMA, message));
            return Ok(outcome);
        }
        return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists")));
    }
    let (database, oid) = (context.database(), context.ids.oid().await?);
    let row = NamespaceRow { database, oid, name: name.to_owned(), owner: context.owner, acl: None };
    access::insert(txn, &row).await?;
    access::insert(txn, &NamespaceNameRow { database, name: row.name, oid }).await?;
    context.changed(txn).await?;
    Ok(outcome)
}

/// DROP SCHEMA.
pub(super) async fn drop(
    names: &[String],
    if_exists: bool,
    cascade: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("DROP SCHEMA");
    for name in names {
        let catalog = context.load(txn).await?;
        match catalog.namespace_oid(name) {
            Some(PG_CATALOG | INFORMATION_SCHEMA) => {
                let message =
                    format!("cannot drop schema {name} because it is required by the database system");
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
            }
            Some(oid) => drop_one(oid, name, cascade, &mut outcome, txn, context).await?,
            None if if_exists => {
                outcome.notices.push(format!("schema \"{name}\" does not exist, skipping").into())
            }
            None => {
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{name}\" does not exist"),
                ));
            }
        }
    }
    Ok(outcome)
}

async fn drop_one(
    oid: Oid,
    name: &str,
    cascade: bool,
    outcome: &mut DdlOutcome,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let database = context.database();
    let catalog = context.load(txn).await?;
    let tables: Vec<_> = catalog.tables().filter(|table| table.schema == oid).cloned().collect();
    // Sequences of the schema's own tables go with them.
    let goes_along = |sequence: &SequenceDef| {
        sequence.owner.is_some_and(|owner| tables.iter().any(|table| table.oid == owner.table))
    };
    let in_schema = catalog.sequences().filter(|sequence| sequence.schema == oid);
    let sequences: Vec<_> = in_schema.filter(|sequence| !goes_along(sequence)).cloned().collect();
    let of_tables = tables.iter().map(|table| (table.oid, format!("table {}", shown(name, &table.name))));
    let mut objects: Vec<(Oid, String)> = of_tables
        .chain(sequences.iter().map(|one| (one.oid, format!("sequence {}", shown(name, &one.name)))))
        .collect();
    objects.sort_unstable();
    if !objects.is_empty() && !cascade {
        let lines: Vec<_> =
            objects.iter().map(|(_, object)| format!("{object} depends on schema {name}")).collect();
        let message = format!("cannot drop schema {name} because other objects depend on it");
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    match &objects[..] {
        [] => {}
        [(_, one)] => outcome.notices.push(format!("drop cascades to {one}").into()),
        more => outcome.notices.push(format!("drop cascades to {} other objects", more.len()).into()),
    }
    // Whoever makes something in the schema checks its row, which goes; whoever made something before
    // this commit is found here.
    let within = [database.to_datum(), oid.to_datum()];
    for (start, end) in [prefix_range::<RelationNameRow>(&within), prefix_range::<TypeNameRow>(&within)] {
        txn.check_range(start, end, Aspects::EXISTENCE);
    }
    for one in &sequences {
        let of_others = sequence::dependents(&catalog, one.oid, None);
        let of_others: Vec<_> = of_others.into_iter().filter(|(table, _)| table.schema != oid).collect();
        sequence::release(("", ""), &of_others, true, &mut outcome.notices, txn, context).await?;
        sequence::remove(one, txn, context).await?;
    }
    for table in &tables {
        remove_table(table, txn, context).await?;
    }
    access::delete::<NamespaceRow>(txn, &within).await?;
    access::delete::<NamespaceNameRow>(txn, &[database.to_datum(), name.to_owned().to_datum()]).await?;
    let comments = [database.to_datum(), PG_NAMESPACE.to_datum(), oid.to_datum()];
    access::delete_all::<DescriptionRow>(txn, &comments).await?;
    context.changed(txn).await
}

fn shown(schema: &str, table: &str) -> String {
    use crate::functions::text_io::quote_ident;
    format!("{}.{}", quote_ident(schema), quote_ident(table))
}
