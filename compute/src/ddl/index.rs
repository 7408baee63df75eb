//! CREATE INDEX, DROP INDEX, ALTER INDEX RENAME, REINDEX.
//!
//! An index of an older table is built within the transaction that makes it (rule D1): its entries go into
//! the transaction's buffer, under a storage id of their own, and the whole table is checked at COMMIT. The
//! table's relation row is written, so whoever wrote rows under the definition without the index loses, and
//! nobody misses an entry.

use super::drop_table::{gone, remove_index, remove_storage};
use super::index_build::build;
use super::names;
use super::truncate::new_storage;
use super::{DdlContext, DdlOutcome, forbid_in_block};
use crate::catalog::stored::{ConstraintRow, IndexRow, RelationNameRow, RelationRow, Stored};
use crate::catalog::{DatabaseCatalog, IndexDef, IndexKey, TableDef, access};
use crate::sql::bound::CreateIndex;
use crate::txn::Txn;
use crate::{Notice, SqlError, SqlResult};
use shardforge_common::StorageId;
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// An index to be, with the constraint behind it if there is one.
pub(super) struct NewIndex {
    pub(super) table: Oid,
    pub(super) schema: Oid,
    pub(super) name: String,
    pub(super) unique: bool,
    pub(super) nulls_not_distinct: bool,
    /// `pg_constraint.contype`: `p`, `u`.
    pub(super) constraint: Option<u8>,
    /// Numbers of its columns.
    pub(super) columns: Vec<i16>,
    /// Of each column, the bits of [`IndexRow`].
    pub(super) options: Vec<i16>,
    /// Where its entries will be; a primary key's are the table's rows.
    pub(super) storage: StorageId,
}

impl NewIndex {
    /// A primary key's, which is the order of the table itself.
    pub(super) fn primary_key(table: Oid, schema: Oid, name: String, columns: Vec<i16>) -> Self {
        Self { constraint: Some(b'p'), ..Self::unique(table, schema, name, columns) }
    }

    /// That of a UNIQUE constraint, without storage.
    pub(super) fn unique(table: Oid, schema: Oid, name: String, columns: Vec<i16>) -> Self {
        Self {
            table,
            schema,
            name,
            unique: true,
            nulls_not_distinct: false,
            constraint: Some(b'u'),
            options: vec![0; columns.len()],
            columns,
            storage: StorageId::default(),
        }
    }

    /// Writes the index and the constraint.
    pub(super) async fn write(&self, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<()> {
        let (database, oid) = (context.database(), context.ids.oid().await?);
        let relation = RelationRow {
            database,
            oid,
            name: self.name.clone(),
            namespace: self.schema,
            kind: b'i',
            owner: context.owner,
            row_type: Oid::INVALID,
            storage: self.storage,
            value_storage: StorageId::default(),
            schema_version: 1,
        };
        super::create_table::insert_relation(txn, &relation).await?;
        let row = IndexRow {
            database,
            oid,
            table: self.table,
            unique: self.unique,
            primary: self.constraint == Some(b'p'),
            columns: self.columns.clone(),
            options: self.options.clone(),
            nulls_not_distinct: self.nulls_not_distinct.then_some(true),
        };
        access::insert(txn, &row).await?;
        let Some(kind) = self.constraint else { return Ok(()) };
        let row = ConstraintRow {
            database,
            oid: context.ids.oid().await?,
            name: self.name.clone(),
            namespace: self.schema,
            kind,
            relation: self.table,
            index: oid,
            columns: Some(self.columns.clone()),
            expression: None,
        };
        access::insert(txn, &row).await
    }

    /// The definition, as executors have it.
    pub(super) fn definition(&self) -> IndexDef {
        let key = |(number, option): (&i16, &i16)| IndexKey {
            column: (*number - 1) as usize,
            desc: option & IndexRow::DESC != 0,
            nulls_first: option & IndexRow::NULLS_FIRST != 0,
        };
        IndexDef {
            oid: Oid::INVALID,
            name: self.name.clone(),
            storage: self.storage,
            unique: self.unique,
            nulls_not_distinct: self.nulls_not_distinct,
            keys: self.columns.iter().zip(&self.options).map(key).collect(),
            constraint: None,
        }
    }
}

/// CREATE INDEX.
pub(super) async fn create(
    create: &CreateIndex,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    if create.concurrently {
        forbid_in_block(context, "CREATE INDEX CONCURRENTLY")?;
    }
    let mut outcome = DdlOutcome { notices: create.notices.clone(), ..DdlOutcome::tag("CREATE INDEX") };
    context.lock(&create.table, txn).await?;
    let catalog = context.load(txn).await?;
    let table = catalog.table(create.table.oid).cloned().ok_or_else(|| gone(&create.table.name))?;
    let (database, schema) = (context.database(), table.schema);
    let name = match &create.name {
        Some(name) => match names::relation_is_free(txn, database, schema, name).await {
            Ok(()) => name.clone(),
            Err(error) if error.sqlstate() == SqlState::DUPLICATE_TABLE && create.if_not_exists => {
                let message = format!("relation \"{name}\" already exists, skipping");
                outcome.notices.push(Notice::new(SqlState::DUPLICATE_TABLE, message));
                return Ok(outcome);
            }
            Err(error) => return Err(error),
        },
        None => {
            let columns: Vec<&str> =
                create.keys.iter().map(|key| table.columns[key.column].name.as_str()).collect();
            names::made_up_index_name(txn, database, (schema, &table.name), (&columns, "idx"), |_| false)
                .await?
        }
    };
    let option = |key: &IndexKey| {
        i16::from(key.desc) * IndexRow::DESC + i16::from(key.nulls_first) * IndexRow::NULLS_FIRST
    };
    let index = NewIndex {
        table: table.oid,
        schema,
        name,
        unique: create.unique,
        nulls_not_distinct: create.nulls_not_distinct,
        constraint: None,
        columns: create.keys.iter().map(|key| table.columns[key.column].attnum).collect(),
        options: create.keys.iter().map(option).collect(),
        storage: new_storage(txn, context).await?,
    };
    index.write(txn, context).await?;
    table_changed(table.oid, &catalog, txn, context).await?;
    build(&table, vec![index.definition()], txn, context).await?;
    Ok(outcome)
}

/// Raises the version of a table whose indexes are others now.
async fn table_changed(
    table: Oid,
    catalog: &DatabaseCatalog,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let relation = catalog.relation(table).ok_or_else(|| gone("of an index"))?;
    let schema_version = relation.schema_version + 1;
    access::update(txn, &RelationRow { schema_version, ..relation.clone() }).await?;
    context.changed(txn).await
}

/// What a name that should be an index's stands for.
enum Found {
    Index(IndexRow, RelationRow),
    Missing,
}

/// Looks an index up by its name as it stands.
fn find(
    (schema, name): &(Option<String>, String),
    catalog: &DatabaseCatalog,
    context: DdlContext<'_>,
) -> SqlResult<Found> {
    if let Some(schema) = schema
        && catalog.namespace_oid(schema).is_none()
    {
        let message = format!("schema \"{schema}\" does not exist");
        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
    }
    let Some(oid) = context.catalog.find_relation(schema.as_deref(), name) else { return Ok(Found::Missing) };
    match (catalog.index(oid), catalog.relation(oid)) {
        (Some(index), Some(relation)) => Ok(Found::Index(index.clone(), relation.clone())),
        // The statement before it in the same transaction block may have dropped it.
        (None, None) if crate::catalog::system::relation_name(oid).is_none() => Ok(Found::Missing),
        (None, None) if crate::catalog::system::table(oid).is_none() => {
            let message = format!("permission denied: \"{name}\" is a system catalog");
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        _ => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not an index"))),
    }
}

fn no_index(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("index \"{name}\" does not exist"))
}

/// DROP INDEX.
pub(super) async fn drop(
    names: &[(Option<String>, String)],
    if_exists: bool,
    concurrently: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("DROP INDEX");
    if concurrently {
        forbid_in_block(context, "DROP INDEX CONCURRENTLY")?;
        if names.len() > 1 {
            let what = "DROP INDEX CONCURRENTLY does not support dropping multiple objects";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what));
        }
    }
    let catalog = context.load(txn).await?;
    let mut found: Vec<IndexRow> = Vec::new();
    for name in names {
        match find(name, &catalog, context) {
            Ok(Found::Index(index, relation)) => {
                require_no_constraint(&index, &relation, &catalog)?;
                if !found.iter().any(|other| other.oid == index.oid) {
                    found.push(index);
                }
            }
            Ok(Found::Missing) if if_exists => {
                outcome.notices.push(format!("index \"{}\" does not exist, skipping", name.1).into());
            }
            Err(error) if error.sqlstate() == SqlState::INVALID_SCHEMA_NAME && if_exists => {
                outcome.notices.push(format!("{}, skipping", error.fields().message).into());
            }
            Ok(Found::Missing) => return Err(no_index(&name.1)),
            Err(error) if error.sqlstate() == SqlState::WRONG_OBJECT_TYPE => {
                let oid = context.catalog.find_relation(name.0.as_deref(), &name.1);
                return Err(match oid.is_some_and(|oid| catalog.sequence(oid).is_some()) {
                    true => error.hint("Use DROP SEQUENCE to remove a sequence."),
                    false => error.hint("Use DROP TABLE to remove a table."),
                });
            }
            Err(error) => return Err(error),
        }
    }
    for index in &found {
        let table = catalog.table(index.table).ok_or_else(|| gone("of an index"))?;
        if found.iter().find(|other| other.table == index.table).is_some_and(|first| first.oid == index.oid) {
            context.lock(table, txn).await?;
        }
    }
    for index in found {
        // The relation row of a table comes with each of its indexes' own next version.
        let catalog = context.load(txn).await?;
        remove_index(&index, &catalog, txn).await?;
        table_changed(index.table, &catalog, txn, context).await?;
    }
    Ok(outcome)
}

/// 2BP01 for the index behind a constraint.
fn require_no_constraint(
    index: &IndexRow,
    relation: &RelationRow,
    catalog: &DatabaseCatalog,
) -> SqlResult<()> {
    let Some(constraint) = catalog.constraints_of(index.table).find(|row| row.index == index.oid) else {
        return Ok(());
    };
    let table = catalog.relation(index.table).map_or("", |table| &table.name);
    let message = format!(
        "cannot drop index {} because constraint {} on table {table} requires it",
        relation.name, constraint.name
    );
    Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .hint(format!("You can drop constraint {} on table {table} instead.", constraint.name)))
}

/// ALTER INDEX RENAME.
pub(super) async fn rename(
    name: &(Option<String>, String),
    if_exists: bool,
    to: &str,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("ALTER INDEX");
    let catalog = context.load(txn).await?;
    let (index, relation) = match find(name, &catalog, context)? {
        Found::Index(index, relation) => (index, relation),
        Found::Missing if if_exists => {
            outcome.notices.push(format!("relation \"{}\" does not exist, skipping", name.1).into());
            return Ok(outcome);
        }
        Found::Missing => return Err(gone(&name.1)),
    };
    let table = catalog.table(index.table).ok_or_else(|| gone(&name.1))?;
    context.lock(table, txn).await?;
    let catalog = context.load(txn).await?;
    if let Some(constraint) = catalog.constraints_of(index.table).find(|row| row.index == index.oid) {
        let table = catalog.relation(index.table).map_or("", |table| &table.name);
        names::constraint_is_free(&catalog, index.table, table, to)?;
        access::update(txn, &ConstraintRow { name: to.to_owned(), ..constraint.clone() }).await?;
    }
    rename_relation(&relation, to, txn).await?;
    table_changed(index.table, &catalog, txn, context).await?;
    Ok(outcome)
}

/// Gives an index's relation another name.
pub(super) async fn rename_relation(relation: &RelationRow, to: &str, txn: &mut Txn) -> SqlResult<()> {
    let (database, namespace) = (relation.database, relation.namespace);
    names::relation_is_free(txn, database, namespace, to).await?;
    let old = [database.to_datum(), namespace.to_datum(), relation.name.to_datum()];
    access::delete::<RelationNameRow>(txn, &old).await?;
    let entry = RelationNameRow { database, namespace, name: to.to_owned(), oid: relation.oid };
    access::insert(txn, &entry).await?;
    access::update(txn, &RelationRow { name: to.to_owned(), ..relation.clone() }).await
}

/// REINDEX: new entries in new storage; a primary key's are the table's rows, which stay.
pub(super) async fn reindex(
    name: &(Option<String>, String),
    of_table: bool,
    concurrently: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("REINDEX");
    if concurrently {
        forbid_in_block(context, "REINDEX CONCURRENTLY")?;
    }
    let catalog = context.load(txn).await?;
    let (table, places) = if of_table {
        let oid = context.catalog.find_relation(name.0.as_deref(), &name.1).ok_or_else(|| gone(&name.1))?;
        let table = catalog.table(oid).cloned().ok_or_else(|| {
            let message = format!("\"{}\" is not a table", name.1);
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
        })?;
        if table.indexes.is_empty() && table.primary_key.is_none() {
            outcome.notices.push(format!("table \"{}\" has no indexes to reindex", table.name).into());
        }
        let places = (0..table.indexes.len()).collect();
        (table, places)
    } else {
        let Found::Index(index, _) = find(name, &catalog, context)? else { return Err(gone(&name.1)) };
        let table = catalog.table(index.table).cloned().ok_or_else(|| gone(&name.1))?;
        let places: Vec<usize> =
            table.indexes.iter().position(|def| def.oid == index.oid).into_iter().collect();
        (table, places)
    };
    if !places.is_empty() {
        context.lock(&table, txn).await?;
        let catalog = context.load(txn).await?;
        rebuild(&table, &places, &catalog, txn, context).await?;
        table_changed(table.oid, &catalog, txn, context).await?;
    }
    Ok(outcome)
}

async fn rebuild(
    table: &Arc<TableDef>,
    places: &[usize],
    catalog: &DatabaseCatalog,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let mut rebuilt = Vec::new();
    for place in places {
        let index = &table.indexes[*place];
        let relation = catalog.relation(index.oid).ok_or_else(|| gone(&index.name))?;
        let storage = new_storage(txn, context).await?;
        access::update(txn, &RelationRow { storage, ..relation.clone() }).await?;
        remove_storage(relation.storage, txn).await?;
        rebuilt.push(IndexDef { storage, ..index.clone() });
    }
    build(table, rebuilt, txn, context).await
}
