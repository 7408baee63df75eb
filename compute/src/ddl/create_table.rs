//! CREATE TABLE and CREATE TABLE AS.

use super::columns::check_columns;
use super::index::NewIndex;
use super::names::{self, duplicate_constraint};
use super::truncate::new_storage;
use super::{DdlContext, DdlOutcome, sequence};
use crate::catalog::stored::{
    ColumnRow, ConstraintRow, NamespaceRow, RelationNameRow, RelationRow, Stored, TypeNameRow, TypeRow,
};
use crate::catalog::{INFORMATION_SCHEMA, PG_CATALOG, TableDef, access};
use crate::sql::bound::{CreateTable, Insert, NewColumn, Query};
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState};
use std::collections::HashSet;
use std::sync::Arc;

/// Columns that a table may have at most.
pub(super) const MAX_COLUMNS: usize = 1600;

/// CREATE TABLE.
pub(super) async fn create(
    table: &CreateTable,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    create_table(table, txn, context).await?;
    Ok(DdlOutcome { tag: "CREATE TABLE", notices: table.notices.clone(), insert: None })
}

/// CREATE TABLE AS: the rows are inserted by the executor, as by INSERT.
pub(super) async fn create_as(
    table: &CreateTable,
    query: &Query,
    no_data: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let definition = create_table(table, txn, context).await?;
    let insert = Insert {
        columns: (0..definition.columns.len()).collect(),
        table: definition,
        source: query.clone(),
        on_conflict: None,
        returning: None,
    };
    Ok(DdlOutcome {
        tag: "CREATE TABLE AS",
        notices: table.notices.clone(),
        insert: (!no_data).then(|| Box::new(insert)),
    })
}

async fn create_table(
    table: &CreateTable,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<Arc<TableDef>> {
    let database = context.database();
    if table.schema == PG_CATALOG || table.schema == INFORMATION_SCHEMA {
        let message = format!("permission denied to create \"{}\"", table.name);
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail("System catalog modifications are currently disallowed."));
    }
    if table.columns.len() > MAX_COLUMNS {
        let message = format!("tables can have at most {MAX_COLUMNS} columns");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = table.columns.iter().find(|column| !seen.insert(&column.name)) {
        let message = format!("column \"{}\" specified more than once", twice.name);
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    // Whoever drops the schema writes this row.
    access::check::<NamespaceRow>(txn, &[database.to_datum(), table.schema.to_datum()]);
    names::relation_is_free(txn, database, table.schema, &table.name).await?;
    names::type_is_free(txn, database, table.schema, &table.name).await?;

    let oid = write_relation(table, txn, context).await?;
    write_columns(table, oid, txn, context).await?;
    write_constraints(table, oid, txn, context).await?;
    context.changed(txn).await?;
    let catalog = context.load(txn).await?;
    let definition = catalog.table(oid).cloned();
    definition.ok_or_else(|| SqlError::internal("a table that was just created is not in the catalog"))
}

/// The table's relation row and its row type.
async fn write_relation(table: &CreateTable, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<Oid> {
    let database = context.database();
    let (array, row_type, oid) =
        (context.ids.oid().await?, context.ids.oid().await?, context.ids.oid().await?);
    let (storage, value_storage) = (context.ids.storage().await?, context.ids.storage().await?);
    txn.mark_storage_created(storage);
    txn.mark_storage_created(value_storage);
    let relation = RelationRow {
        database,
        oid,
        name: table.name.clone(),
        namespace: table.schema,
        kind: b'r',
        owner: context.owner,
        row_type,
        storage,
        value_storage,
        schema_version: 1,
    };
    insert_relation(txn, &relation).await?;
    let composite = TypeRow {
        database,
        oid: row_type,
        name: table.name.clone(),
        namespace: table.schema,
        owner: context.owner,
        kind: b'c',
        relation: oid,
        element: Oid::INVALID,
        array,
    };
    insert_type(txn, &composite).await?;
    let name = names::array_type_name(txn, database, table.schema, &table.name).await?;
    let array_of = TypeRow {
        oid: array,
        name,
        kind: b'b',
        relation: Oid::INVALID,
        element: row_type,
        array: Oid::INVALID,
        ..composite
    };
    insert_type(txn, &array_of).await?;
    Ok(oid)
}

pub(super) async fn insert_relation(txn: &mut Txn, relation: &RelationRow) -> SqlResult<()> {
    access::insert(txn, relation).await?;
    let (database, namespace, name) = (relation.database, relation.namespace, relation.name.clone());
    access::insert(txn, &RelationNameRow { database, namespace, name, oid: relation.oid }).await
}

async fn insert_type(txn: &mut Txn, ty: &TypeRow) -> SqlResult<()> {
    access::insert(txn, ty).await?;
    let (database, namespace, name) = (ty.database, ty.namespace, ty.name.clone());
    access::insert(txn, &TypeNameRow { database, namespace, name, oid: ty.oid }).await
}

async fn write_columns(
    table: &CreateTable,
    oid: Oid,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let in_key =
        |place: usize| table.primary_key.as_ref().is_some_and(|(_, columns)| columns.contains(&place));
    for (place, column) in table.columns.iter().enumerate() {
        let of = NewColumnOf { table: &table.name, schema: table.schema, relation: oid };
        let mut row = new_column(column, of, place as i16 + 1, txn, context).await?;
        row.not_null |= in_key(place);
        access::insert(txn, &row).await?;
    }
    Ok(())
}

/// The table that a new column is of.
pub(super) struct NewColumnOf<'a> {
    pub(super) table: &'a str,
    pub(super) schema: Oid,
    pub(super) relation: Oid,
}

/// The row of a new column; a default gets its OID, and a sequence is made.
pub(super) async fn new_column(
    column: &NewColumn,
    of: NewColumnOf<'_>,
    number: i16,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<ColumnRow> {
    let mut default = column.default.clone();
    if let Some(new) = &column.sequence {
        let place = (of.table, of.schema, column.name.as_str());
        let made = sequence::create_for_column(new, place, (of.relation, number), txn, context).await?;
        default = default.or(made);
    }
    let identity = column.sequence.as_ref().and_then(|sequence| sequence.identity);
    Ok(ColumnRow {
        database: context.database(),
        relation: of.relation,
        number,
        name: column.name.clone(),
        type_oid: column.ty.oid,
        typmod: column.ty.typmod,
        not_null: column.not_null,
        default_oid: if default.is_some() { context.ids.oid().await? } else { Oid::INVALID },
        default,
        missing: None,
        dropped: false,
        identity: identity.map(|always| if always { b'a' } else { b'd' }),
    })
}

async fn write_constraints(
    table: &CreateTable,
    oid: Oid,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let mut taken: HashSet<String> = HashSet::new();
    let database = context.database();
    let names = |columns: &[usize]| -> Vec<&str> {
        columns.iter().map(|column| table.columns[*column].name.as_str()).collect()
    };
    let numbers = |columns: &[usize]| columns.iter().map(|column| *column as i16 + 1).collect();
    if let Some((name, columns)) = &table.primary_key {
        let made_up = names::is_made_up(name, &table.name, &names(columns), "pkey");
        let name = names::index_name(txn, database, table.schema, name, made_up).await?;
        taken.insert(name.clone());
        let index = NewIndex::primary_key(oid, table.schema, name, numbers(columns));
        index.write(txn, context).await?;
    }
    // A name that was given comes before one that is made up, wherever they stand.
    let given = table.unique.iter().filter_map(|unique| unique.name.as_ref());
    let given: HashSet<&String> = given.chain(table.checks.iter().map(|(name, _)| name)).collect();
    for unique in &table.unique {
        let name = match &unique.name {
            Some(name) => {
                names::relation_is_free(txn, database, table.schema, name).await?;
                name.clone()
            }
            None => {
                let of = (table.schema, table.name.as_str());
                let columns = names(&unique.columns);
                let is_taken = |name: &str| taken.contains(name) || given.iter().any(|given| *given == name);
                names::made_up_index_name(txn, database, of, (&columns, "key"), is_taken).await?
            }
        };
        if !taken.insert(name.clone()) {
            return Err(duplicate_constraint(&table.name, &name));
        }
        let index = NewIndex {
            nulls_not_distinct: unique.nulls_not_distinct,
            storage: new_storage(txn, context).await?,
            ..NewIndex::unique(oid, table.schema, name, numbers(&unique.columns))
        };
        index.write(txn, context).await?;
    }
    if table.checks.is_empty() {
        return Ok(());
    }
    // The expressions are bound over the columns that were just written.
    context.changed(txn).await?;
    let catalog = context.load(txn).await?;
    let definition =
        catalog.table(oid).cloned().ok_or_else(|| SqlError::internal("a new table is not in the catalog"))?;
    for (name, expression) in &table.checks {
        if !taken.insert(name.clone()) {
            return Err(duplicate_constraint(&table.name, name));
        }
        let columns = check_columns(expression, &definition, context)?;
        let constraint = ConstraintRow {
            database: context.database(),
            oid: context.ids.oid().await?,
            name: name.clone(),
            namespace: table.schema,
            kind: b'c',
            relation: oid,
            index: Oid::INVALID,
            columns: (!columns.is_empty()).then_some(columns),
            expression: Some(expression.clone()),
        };
        access::insert(txn, &constraint).await?;
    }
    Ok(())
}
