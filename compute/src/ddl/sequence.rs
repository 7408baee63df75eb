//! CREATE, ALTER and DROP SEQUENCE, and the sequences of serial and identity columns.
//!
//! A sequence is a relation, a row that says what it is like, and its position. The position of a new one
//! is written with it; later ones are written by reservations ([`crate::sequence`]), outside of
//! transactions. A schema change that sets a position raises its version; it is checked against
//! reservations made meanwhile, like any other row.

use super::create_table::insert_relation;
use super::drop_table::gone;
use super::names;
use super::{DdlContext, DdlOutcome};
use crate::catalog::stored::{
    ColumnRow, DescriptionRow, NamespaceRow, PositionRow, RelationNameRow, RelationRow, SequenceRow, Stored,
    key_of,
};
use crate::catalog::{DatabaseCatalog, SequenceDef, SequenceOwner, TableDef, access, deparse, made_up_name};
use crate::sequence::{Position, SequenceOptions, SequenceRules, altered_rules, new_rules};
use crate::sql::bound::{CreateSequence, NewSequence};
use crate::txn::Txn;
use crate::{Notice, SqlError, SqlResult};
use shardforge_common::StorageId;
use shardforge_types::{Oid, SqlState};

/// `pg_class`, as a class of commented objects.
const PG_CLASS: Oid = Oid(1259);

/// CREATE SEQUENCE.
pub(super) async fn create(
    new: &CreateSequence,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let (rules, position) = new_rules(&new.options, false)?;
    let owner = match new.options.owned_by.flatten() {
        Some((table, column)) => {
            let catalog = context.load(txn).await?;
            check_owner(&catalog, table, new.schema)?;
            Some(SequenceOwner { table, column, identity: false })
        }
        None => None,
    };
    let database = context.database();
    access::check::<NamespaceRow>(txn, &[database.to_datum(), new.schema.to_datum()]);
    names::relation_is_free(txn, database, new.schema, &new.name).await?;
    let named = Named { schema: new.schema, name: new.name.clone() };
    write(named, rules, position, owner, txn, context).await?;
    context.changed(txn).await?;
    Ok(DdlOutcome::tag("CREATE SEQUENCE"))
}

struct Named {
    schema: Oid,
    name: String,
}

async fn write(
    named: Named,
    rules: SequenceRules,
    position: Position,
    owner: Option<SequenceOwner>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<Oid> {
    let (database, oid) = (context.database(), context.ids.oid().await?);
    let relation = RelationRow {
        database,
        oid,
        name: named.name,
        namespace: named.schema,
        kind: b'S',
        owner: context.owner,
        row_type: Oid::INVALID,
        storage: StorageId::default(),
        value_storage: StorageId::default(),
        schema_version: 1,
    };
    insert_relation(txn, &relation).await?;
    access::insert(txn, &stored(database, oid, &rules, owner)).await?;
    access::insert(txn, &position.row(database, oid)).await?;
    Ok(oid)
}

fn stored(database: Oid, oid: Oid, rules: &SequenceRules, owner: Option<SequenceOwner>) -> SequenceRow {
    SequenceRow {
        database,
        oid,
        type_oid: rules.ty,
        start: rules.start,
        increment: rules.increment,
        min: rules.min,
        max: rules.max,
        cache: rules.cache,
        cycle: rules.cycle,
        owner_table: owner.map_or(Oid::INVALID, |owner| owner.table),
        owner_column: owner.map_or(0, |owner| owner.column),
        owner_kind: if owner.is_some_and(|owner| owner.identity) { b'i' } else { b'a' },
    }
}

/// The sequence of a serial or identity column. Gives the DEFAULT of a serial one.
pub(super) async fn create_for_column(
    new: &NewSequence,
    (table, schema, column): (&str, Oid, &str),
    (relation, number): (Oid, i16),
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<Option<String>> {
    let (rules, position) = new_rules(&new.options, new.identity.is_some())?;
    let database = context.database();
    let named = match &new.name {
        Some((schema, name)) => {
            names::relation_is_free(txn, database, *schema, name).await?;
            Named { schema: *schema, name: name.clone() }
        }
        None => {
            let wanted = made_up_name(table, column, "seq", 0);
            let name = names::index_name(txn, database, schema, &wanted, true).await?;
            Named { schema, name }
        }
    };
    let owner = SequenceOwner { table: relation, column: number, identity: new.identity.is_some() };
    let oid = write(named, rules, position, Some(owner), txn, context).await?;
    Ok(new.identity.is_none().then(|| deparse::sequence_default(oid)))
}

fn check_owner(catalog: &DatabaseCatalog, table: Oid, schema: Oid) -> SqlResult<()> {
    let relation = catalog.relation(table).ok_or_else(|| gone("the owner"))?;
    if relation.namespace != schema {
        let message = "sequence must be in same schema as table it is linked to";
        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    Ok(())
}

/// ALTER SEQUENCE.
pub(super) async fn alter(
    sequence: &SequenceDef,
    options: &SequenceOptions,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    change(sequence.oid, options, None, txn, context).await?;
    context.changed(txn).await?;
    Ok(DdlOutcome::tag("ALTER SEQUENCE"))
}

/// Changes what a sequence is like, and its owner when it gets another one.
pub(super) async fn change(
    oid: Oid,
    options: &SequenceOptions,
    owner: Option<SequenceOwner>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let catalog = context.load(txn).await?;
    let sequence = catalog.sequence(oid).ok_or_else(|| gone("the sequence"))?;
    let database = context.database();
    let key = [database.to_datum(), oid.to_datum()];
    let row: Option<PositionRow> = access::get(txn, &key).await?;
    let seen = Position::of(&row.ok_or_else(|| gone(&sequence.name))?);
    let own = txn.has_written(&key_of::<PositionRow>(&key))?;
    // What this compute has not given out goes back, so that the sequence goes on where it was; a new
    // position makes that needless.
    let position = match own || options.restart.is_some() {
        true => seen,
        false => context.sequences.give_back(database, oid).await?,
    };
    let identity = sequence.owner.is_some_and(|owner| owner.identity);
    let (rules, moved) = altered_rules(options, &sequence.rules, position, identity)?;
    let owner = match options.owned_by {
        None => owner.or(sequence.owner),
        Some(_) if identity => {
            let table = sequence.owner.and_then(|owner| catalog.relation(owner.table));
            let table = table.map_or("", |table| table.name.as_str());
            let message = "cannot change ownership of identity sequence";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .detail(format!("Sequence \"{}\" is linked to table \"{table}\".", sequence.name)));
        }
        Some(None) => None,
        Some(Some((table, column))) => {
            check_owner(&catalog, table, sequence.schema)?;
            Some(SequenceOwner { table, column, identity: false })
        }
    };
    access::update(txn, &stored(database, oid, &rules, owner)).await?;
    if let Some(moved) = moved {
        access::update(txn, &moved.row(database, oid)).await?;
    }
    Ok(())
}

/// ALTER SEQUENCE RENAME TO.
pub(super) async fn rename(
    sequence: &SequenceDef,
    name: &str,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let catalog = context.load(txn).await?;
    let relation = catalog.relation(sequence.oid).ok_or_else(|| gone(&sequence.name))?;
    let database = context.database();
    names::relation_is_free(txn, database, relation.namespace, name).await?;
    let old = [database.to_datum(), relation.namespace.to_datum(), relation.name.to_datum()];
    access::delete::<RelationNameRow>(txn, &old).await?;
    let entry =
        RelationNameRow { database, namespace: relation.namespace, name: name.to_owned(), oid: relation.oid };
    access::insert(txn, &entry).await?;
    access::update(txn, &RelationRow { name: name.to_owned(), ..relation.clone() }).await?;
    context.changed(txn).await?;
    Ok(DdlOutcome::tag("ALTER SEQUENCE"))
}

/// DROP SEQUENCE.
pub(super) async fn drop(
    sequences: &[std::sync::Arc<SequenceDef>],
    missing: &[String],
    cascade: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut notices: Vec<Notice> =
        missing.iter().map(|name| format!("sequence \"{name}\" does not exist, skipping").into()).collect();
    let catalog = context.load(txn).await?;
    for sequence in sequences {
        if let Some(owner) = sequence.owner.filter(|owner| owner.identity) {
            let (table, column) = column_of(&catalog, owner);
            let what = format!("column {column} of table {table}");
            let message = format!("cannot drop sequence {} because {what} requires it", sequence.name);
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .hint(format!("You can drop {what} instead.")));
        }
        let what = format!("sequence {}", sequence.name);
        let dependents = dependents(&catalog, sequence.oid, None);
        release((&what, &what), &dependents, cascade, &mut notices, txn, context).await?;
    }
    for sequence in sequences {
        remove(sequence, txn, context).await?;
    }
    context.changed(txn).await?;
    Ok(DdlOutcome { tag: "DROP SEQUENCE", notices, insert: None })
}

fn column_of(catalog: &DatabaseCatalog, owner: SequenceOwner) -> (&str, &str) {
    let table = catalog.relation(owner.table).map_or("", |table| table.name.as_str());
    let column = catalog.columns(owner.table).iter().find(|column| column.number == owner.column);
    (table, column.map_or("", |column| column.name.as_str()))
}

/// A column whose DEFAULT uses a sequence, with its table.
pub(super) type Dependent = (std::sync::Arc<TableDef>, ColumnRow);

/// The columns whose DEFAULT uses a sequence, those of one table left out.
pub(super) fn dependents(catalog: &DatabaseCatalog, sequence: Oid, except: Option<Oid>) -> Vec<Dependent> {
    let uses = |column: &ColumnRow| {
        let default = column.default.as_deref().filter(|_| !column.dropped);
        deparse::default_sequences(default.unwrap_or_default()).contains(&sequence)
    };
    let tables = catalog.tables().filter(|table| Some(table.oid) != except);
    let of_table = |table: &std::sync::Arc<TableDef>| {
        let columns = catalog.columns(table.oid).iter().filter(|column| uses(column)).cloned();
        columns.map(|column| (table.clone(), column)).collect::<Vec<_>>()
    };
    tables.flat_map(of_table).collect()
}

/// 2BP01 when columns depend on a sequence that goes with what is dropped; with CASCADE they lose their
/// DEFAULT.
pub(super) async fn release(
    (what, sequence): (&str, &str),
    dependents: &[Dependent],
    cascade: bool,
    notices: &mut Vec<Notice>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let shown = |(table, column): &Dependent| {
        format!("default value for column {} of table {}", column.name, table.name)
    };
    if !dependents.is_empty() && !cascade {
        let message = format!("cannot drop {what} because other objects depend on it");
        let lines: Vec<String> =
            dependents.iter().map(|one| format!("{} depends on {sequence}", shown(one))).collect();
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    match dependents {
        [] => {}
        [one] => notices.push(format!("drop cascades to {}", shown(one)).into()),
        more => notices.push(format!("drop cascades to {} other objects", more.len()).into()),
    }
    for (table, column) in dependents {
        let plain = ColumnRow { default: None, default_oid: Oid::INVALID, ..column.clone() };
        access::update(txn, &plain).await?;
        let key = [context.database().to_datum(), table.oid.to_datum()];
        // Whoever used the table's definition must hear of it.
        if let Some(relation) = access::get::<RelationRow>(txn, &key).await? {
            let schema_version = relation.schema_version + 1;
            access::update(txn, &RelationRow { schema_version, ..relation }).await?;
        }
    }
    Ok(())
}

/// Removes a sequence.
pub(super) async fn remove(sequence: &SequenceDef, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<()> {
    let database = context.database().to_datum();
    let key = [database.clone(), sequence.oid.to_datum()];
    access::delete::<SequenceRow>(txn, &key).await?;
    // Whoever has reserved meanwhile has reserved in vain.
    let position = key_of::<PositionRow>(&key);
    access::complete(txn, |txn| txn.delete(position.clone(), crate::txn::Checked::No)).await?;
    access::delete_all::<DescriptionRow>(
        txn,
        &[database.clone(), PG_CLASS.to_datum(), sequence.oid.to_datum()],
    )
    .await?;
    let name = [database, sequence.schema.to_datum(), sequence.name.to_datum()];
    access::delete::<RelationNameRow>(txn, &name).await?;
    access::delete::<RelationRow>(txn, &key).await
}

/// TRUNCATE ... RESTART IDENTITY: back to START.
pub(super) async fn restart_of_table(
    catalog: &DatabaseCatalog,
    table: Oid,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    for sequence in catalog.sequences_of(table) {
        let key = [context.database().to_datum(), sequence.oid.to_datum()];
        let row: Option<PositionRow> = access::get(txn, &key).await?;
        let position = Position::of(&row.ok_or_else(|| gone(&sequence.name))?);
        let start = position.set(sequence.rules.start, false);
        access::update(txn, &start.row(context.database(), sequence.oid)).await?;
    }
    Ok(())
}
