//! ALTER TABLE, one action after another, each on the catalog that the one before left.

use super::columns::evaluate_default;
use super::create_table::{MAX_COLUMNS, NewColumnOf, new_column};
use super::drop_table::{gone, remove_index, require_user_table};
use super::index::{NewIndex, rename_relation};
use super::index_build::build;
use super::names::{self, duplicate_column};
use super::rewrite;
use super::truncate::new_storage;
use super::{DdlContext, DdlOutcome, sequence};
use crate::catalog::stored::{
    ColumnRow, ConstraintRow, RelationNameRow, RelationRow, Stored, TypeNameRow, TypeRow,
};
use crate::catalog::{DatabaseCatalog, TableDef, access};
use crate::sequence::SequenceOptions;
use crate::sql::bound::{AlterTableAction, NewColumn, NewSequence, NewUnique};
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::row::body::encode_body;
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// ALTER TABLE.
pub(super) async fn alter(
    table: &TableDef,
    actions: &[AlterTableAction],
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    require_user_table(table)?;
    context.lock(table, txn).await?;
    let mut outcome = DdlOutcome::tag("ALTER TABLE");
    for action in actions {
        let mut altered = Altered::load(table, txn, context).await?;
        match action {
            AlterTableAction::Skipped(notice) => outcome.notices.push(notice.clone()),
            AlterTableAction::AddPrimaryKey { name, columns } => {
                altered.add_primary_key(name, columns, txn).await?
            }
            AlterTableAction::AddUnique(unique) => altered.add_unique(unique, txn).await?,
            AlterTableAction::DropConstraint { name, if_exists } => {
                altered.drop_constraint(name, *if_exists, &mut outcome, txn).await?
            }
            AlterTableAction::RenameConstraint { name, to } => {
                altered.rename_constraint(name, to, txn).await?
            }
            AlterTableAction::AddColumn(column) => altered.add_column(column, txn).await?,
            AlterTableAction::DropColumn { column } => altered.drop_column(*column, txn).await?,
            AlterTableAction::Rename { name } => altered.rename(name, txn).await?,
            AlterTableAction::RenameColumn { column, name } => {
                altered.rename_column(*column, name, txn).await?
            }
            AlterTableAction::SetNotNull { column, not_null: true } => {
                altered.set_not_null(*column, txn).await?
            }
            AlterTableAction::SetNotNull { column, not_null: false } => {
                altered.drop_not_null(*column, txn).await?
            }
            AlterTableAction::AddIdentity { column, sequence } => {
                altered.add_identity(*column, sequence, txn).await?;
            }
            AlterTableAction::SetIdentity { column, always, options } => {
                altered.set_identity(*column, *always, options, txn).await?;
            }
            AlterTableAction::DropIdentity { column } => altered.drop_identity(*column, txn).await?,
            AlterTableAction::SetDefault { column, default } => {
                altered.set_default(*column, default.as_ref(), txn).await?;
            }
        }
        altered.finish(txn).await?;
    }
    Ok(outcome)
}

/// A table while one action changes it.
struct Altered<'a> {
    context: DdlContext<'a>,
    catalog: Arc<DatabaseCatalog>,
    table: Arc<TableDef>,
    relation: RelationRow,
}

impl<'a> Altered<'a> {
    async fn load(table: &TableDef, txn: &mut Txn, context: DdlContext<'a>) -> SqlResult<Self> {
        let catalog = context.load(txn).await?;
        let current = catalog.table(table.oid).cloned().ok_or_else(|| gone(&table.name))?;
        let relation = catalog.relation(table.oid).cloned().ok_or_else(|| gone(&table.name))?;
        Ok(Self { context, catalog, table: current, relation })
    }

    /// Writes the relation row, which everyone who used the table checks, with its next version.
    async fn finish(mut self, txn: &mut Txn) -> SqlResult<()> {
        self.relation.schema_version += 1;
        access::update(txn, &self.relation).await?;
        self.context.changed(txn).await
    }

    fn column(&self, place: usize) -> SqlResult<&ColumnRow> {
        let column = self.catalog.columns(self.table.oid).get(place).filter(|column| !column.dropped);
        column.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, "the column does not exist"))
    }

    fn in_primary_key(&self, place: usize) -> bool {
        self.table.primary_key.as_ref().is_some_and(|index| index.keys.iter().any(|key| key.column == place))
    }

    async fn add_primary_key(&mut self, name: &str, columns: &[usize], txn: &mut Txn) -> SqlResult<()> {
        let table = self.table.clone();
        if table.primary_key.is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let schema = table.schema;
        let made_up = names::is_made_up(name, &table.name, &[], "pkey");
        names::constraint_is_free(&self.catalog, table.oid, &table.name, name)?;
        let name = names::index_name(txn, self.context.database(), schema, name, made_up).await?;
        let mut numbers = Vec::with_capacity(columns.len());
        for place in columns {
            let column = self.column(*place)?.clone();
            numbers.push(column.number);
            if !column.not_null {
                access::update(txn, &ColumnRow { not_null: true, ..column }).await?;
            }
        }
        let key = NewIndex::primary_key(table.oid, schema, name, numbers);
        let definition = Some(key.definition());
        rewrite::rekey(&table, &mut self.relation, &self.catalog, definition, txn, self.context).await?;
        key.write(txn, self.context).await
    }

    async fn add_unique(&mut self, new: &NewUnique, txn: &mut Txn) -> SqlResult<()> {
        let table = self.table.clone();
        let (database, schema) = (self.context.database(), table.schema);
        let mut columns = Vec::with_capacity(new.columns.len());
        for place in &new.columns {
            columns.push(self.column(*place)?);
        }
        let numbers = columns.iter().map(|column| column.number).collect();
        let is_taken = |name: &str| names::constraint_is_free(&self.catalog, table.oid, "", name).is_err();
        let name = match &new.name {
            Some(name) => {
                names::relation_is_free(txn, database, schema, name).await?;
                names::constraint_is_free(&self.catalog, table.oid, &table.name, name)?;
                name.clone()
            }
            None => {
                let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let of = (schema, table.name.as_str());
                names::made_up_index_name(txn, database, of, (&columns, "key"), is_taken).await?
            }
        };
        let index = NewIndex {
            nulls_not_distinct: new.nulls_not_distinct,
            storage: new_storage(txn, self.context).await?,
            ..NewIndex::unique(table.oid, schema, name, numbers)
        };
        index.write(txn, self.context).await?;
        build(&table, vec![index.definition()], txn, self.context).await
    }

    async fn drop_constraint(
        &mut self,
        name: &str,
        if_exists: bool,
        outcome: &mut DdlOutcome,
        txn: &mut Txn,
    ) -> SqlResult<()> {
        let catalog = self.catalog.clone();
        let Some(constraint) = catalog.constraints_of(self.table.oid).find(|row| row.name == name) else {
            let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", self.table.name);
            if if_exists {
                outcome.notices.push(format!("{message}, skipping").into());
                return Ok(());
            }
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        };
        if constraint.kind == b'p' {
            return self.drop_primary_key(txn).await;
        }
        if let Some(index) = catalog.index(constraint.index) {
            remove_index(index, &catalog, txn).await?;
        }
        let key = [self.context.database().to_datum(), constraint.oid.to_datum()];
        access::delete::<ConstraintRow>(txn, &key).await
    }

    /// The rows move under row ids; what was NOT NULL for the key's sake stays so.
    async fn drop_primary_key(&mut self, txn: &mut Txn) -> SqlResult<()> {
        let (table, catalog) = (self.table.clone(), self.catalog.clone());
        rewrite::rekey(&table, &mut self.relation, &catalog, None, txn, self.context).await?;
        let database = self.context.database().to_datum();
        for index in catalog.indexes_of(table.oid).filter(|index| index.primary) {
            remove_index(index, &catalog, txn).await?;
        }
        for constraint in catalog.constraints_of(table.oid).filter(|row| row.kind == b'p') {
            access::delete::<ConstraintRow>(txn, &[database.clone(), constraint.oid.to_datum()]).await?;
        }
        Ok(())
    }

    async fn rename_constraint(&mut self, name: &str, to: &str, txn: &mut Txn) -> SqlResult<()> {
        let catalog = self.catalog.clone();
        let constraint = catalog.constraints_of(self.table.oid).find(|row| row.name == name);
        let constraint = constraint.ok_or_else(|| {
            let message = format!("constraint \"{name}\" for table \"{}\" does not exist", self.table.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, message)
        })?;
        if let Some(relation) = catalog.relation(constraint.index) {
            rename_relation(relation, to, txn).await?;
        }
        names::constraint_is_free(&catalog, self.table.oid, &self.table.name, to)?;
        access::update(txn, &ConstraintRow { name: to.to_owned(), ..constraint.clone() }).await
    }

    async fn add_column(&mut self, new: &NewColumn, txn: &mut Txn) -> SqlResult<()> {
        let table = &self.table;
        if table.column(&new.name).is_some() {
            return Err(duplicate_column(&table.name, &new.name));
        }
        if table.columns.len() >= MAX_COLUMNS {
            let message = format!("tables can have at most {MAX_COLUMNS} columns");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let of = NewColumnOf { table: &table.name, schema: table.schema, relation: table.oid };
        let number = table.columns.len() as i16 + 1;
        let mut row = new_column(new, of, number, txn, self.context).await?;
        if new.sequence.is_some() {
            // Each row that is there would need a number of its own.
            if rewrite::has_rows(table, txn).await? {
                return Err(SqlError::not_supported("ADD COLUMN with a sequence to a table that has rows"));
            }
        } else if let Some(default) = &new.default {
            let value = evaluate_default(default, new.ty, &new.name, self.context)?;
            if !value.is_null() {
                let mut body = Vec::new();
                encode_body(&mut body, &value);
                row.missing = Some(Bytes::from(body));
            }
        }
        if row.not_null
            && row.missing.is_none()
            && new.sequence.is_none()
            && rewrite::has_rows(table, txn).await?
        {
            return Err(contains_nulls(table, &new.name));
        }
        access::insert(txn, &row).await
    }

    async fn drop_column(&mut self, place: usize, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        if self.in_primary_key(place) {
            self.drop_primary_key(txn).await?;
        }
        let database = self.context.database().to_datum();
        // Indexes and constraints over the column go with it, as in PostgreSQL.
        for constraint in self.catalog.constraints_of(self.table.oid) {
            if constraint.kind != b'p' && constraint.columns.iter().flatten().any(|n| *n == column.number) {
                access::delete::<ConstraintRow>(txn, &[database.clone(), constraint.oid.to_datum()]).await?;
            }
        }
        for index in self.catalog.indexes_of(self.table.oid) {
            if !index.primary && index.columns.contains(&column.number) {
                remove_index(index, &self.catalog, txn).await?;
            }
        }
        for owned in self.catalog.sequences_of(self.table.oid) {
            if owned.owner.is_some_and(|owner| owner.column == column.number) {
                let others = sequence::dependents(&self.catalog, owned.oid, Some(self.table.oid));
                let what = format!("column {} of table {}", column.name, self.table.name);
                let named = format!("sequence {}", owned.name);
                sequence::release((&what, &named), &others, false, &mut Vec::new(), txn, self.context)
                    .await?;
                sequence::remove(owned, txn, self.context).await?;
            }
        }
        let dropped = ColumnRow {
            identity: None,
            dropped: true,
            not_null: false,
            default: None,
            default_oid: Oid::INVALID,
            missing: None,
            ..column
        };
        access::update(txn, &dropped).await
    }

    async fn rename(&mut self, name: &str, txn: &mut Txn) -> SqlResult<()> {
        let (database, schema) = (self.context.database(), self.table.schema);
        names::relation_is_free(txn, database, schema, name).await?;
        names::type_is_free(txn, database, schema, name).await?;
        let within = [database.to_datum(), schema.to_datum()];
        let key = [&within[..], &[self.relation.name.to_datum()]].concat();
        access::delete::<RelationNameRow>(txn, &key).await?;
        let entry =
            RelationNameRow { database, namespace: schema, name: name.to_owned(), oid: self.table.oid };
        access::insert(txn, &entry).await?;
        self.relation.name = name.to_owned();
        let Some(row_type) = self.catalog.type_row(self.relation.row_type) else { return Ok(()) };
        rename_type(row_type, name.to_owned(), txn).await?;
        let Some(array) = self.catalog.type_row(row_type.array) else { return Ok(()) };
        let name = names::array_type_name(txn, database, schema, name).await?;
        rename_type(array, name, txn).await
    }

    async fn rename_column(&mut self, place: usize, name: &str, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        if self.table.column(name).is_some() {
            return Err(duplicate_column(&self.table.name, name));
        }
        let is_used = |row: &&ConstraintRow| {
            row.kind == b'c' && row.columns.iter().flatten().any(|number| *number == column.number)
        };
        // Expressions are kept as text, in which the name would have to change.
        if let Some(check) = self.catalog.constraints_of(self.table.oid).find(is_used) {
            let what = format!("renaming a column that constraint \"{}\" uses", check.name);
            return Err(SqlError::not_supported(what));
        }
        access::update(txn, &ColumnRow { name: name.to_owned(), ..column }).await
    }

    async fn set_not_null(&mut self, place: usize, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        if column.not_null {
            return Ok(());
        }
        if rewrite::has_nulls(&self.table, place, txn).await? {
            return Err(contains_nulls(&self.table, &column.name));
        }
        access::update(txn, &ColumnRow { not_null: true, ..column }).await
    }

    async fn drop_not_null(&mut self, place: usize, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        if column.identity.is_some() {
            let (column, table) = (&column.name, &self.table.name);
            let message = format!("column \"{column}\" of relation \"{table}\" is an identity column");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        if self.in_primary_key(place) {
            let message = format!("column \"{}\" is in a primary key", column.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        access::update(txn, &ColumnRow { not_null: false, ..column }).await
    }

    async fn add_identity(&mut self, place: usize, new: &NewSequence, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        let of = (self.table.name.as_str(), self.table.schema, column.name.as_str());
        let number = (self.table.oid, column.number);
        sequence::create_for_column(new, of, number, txn, self.context).await?;
        let identity = new.identity.map(identity_kind);
        access::update(txn, &ColumnRow { identity, ..column }).await
    }

    async fn set_identity(
        &mut self,
        place: usize,
        always: Option<bool>,
        options: &SequenceOptions,
        txn: &mut Txn,
    ) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        if *options != SequenceOptions::default()
            && let Some(identity) = self.table.columns[place].identity
        {
            sequence::change(identity.sequence, options, None, txn, self.context).await?;
        }
        let identity = always.map(identity_kind).or(column.identity);
        access::update(txn, &ColumnRow { identity, ..column }).await
    }

    async fn drop_identity(&mut self, place: usize, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        let identity = self.table.columns[place].identity;
        if let Some(owned) = identity.and_then(|identity| self.catalog.sequence(identity.sequence)) {
            sequence::remove(owned, txn, self.context).await?;
        }
        access::update(txn, &ColumnRow { identity: None, ..column }).await
    }

    async fn set_default(&mut self, place: usize, default: Option<&String>, txn: &mut Txn) -> SqlResult<()> {
        let column = self.column(place)?.clone();
        let default_oid = if default.is_some() { self.context.ids.oid().await? } else { Oid::INVALID };
        access::update(txn, &ColumnRow { default: default.cloned(), default_oid, ..column }).await
    }
}

fn identity_kind(always: bool) -> u8 {
    if always { b'a' } else { b'd' }
}

async fn rename_type(row: &TypeRow, name: String, txn: &mut Txn) -> SqlResult<()> {
    let key = [row.database.to_datum(), row.namespace.to_datum(), row.name.to_datum()];
    access::delete::<TypeNameRow>(txn, &key).await?;
    let entry =
        TypeNameRow { database: row.database, namespace: row.namespace, name: name.clone(), oid: row.oid };
    access::insert(txn, &entry).await?;
    access::update(txn, &TypeRow { name, ..row.clone() }).await
}

/// 23502, as ALTER TABLE says it.
pub(super) fn contains_nulls(table: &TableDef, column: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{}\" contains null values", table.name);
    let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
    error.fields_mut().schema = Some(table.schema_name.clone());
    error.fields_mut().table = Some(table.name.clone());
    error.fields_mut().column = Some(column.to_owned());
    error
}
