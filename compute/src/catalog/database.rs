//! One database's catalog at one snapshot: its stored rows, and the definitions made of them.
//!
//! # Invariants
//!
//! 1. It never changes. A schema change makes another one.
//! 2. What the rows name exists: a column's table, an index's relation, a constraint's index. Rows that
//!    break this are `Corrupt`, not a panic.

use super::stored::{
    ColumnRow, ColumnStatisticRow, ConstraintRow, DatabaseRow, DescriptionRow, IndexRow, NamespaceRow,
    RelationRow, RoleRow, SequenceRow, StoredRow, TableStatisticRow, TypeRow, VersionRow,
};
use super::{
    CheckDef, ColumnDef, IdentityDef, IndexDef, IndexKey, SequenceDef, SequenceOwner, TableDef, TableKind,
};
use crate::sequence::{self, SequenceRules};
use crate::statistics::{ColumnStatistics, Looks, TableStatistics};
use bytes::Bytes;
use shardforge_common::{Error, Result};
use shardforge_types::row::body::decode_body;
use shardforge_types::{Datum, Oid, PgType};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The OID of the schema `pg_catalog`.
pub const PG_CATALOG: Oid = Oid(11);
/// The OID of the schema `public` of a new database.
pub const PUBLIC: Oid = Oid(2200);
/// The OID of the schema `information_schema`.
pub const INFORMATION_SCHEMA: Oid = Oid(13207);

/// The stored rows of one database, and those that all databases share.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// All databases.
    pub databases: Vec<DatabaseRow>,
    /// All roles but the predefined ones.
    pub roles: Vec<RoleRow>,
    /// All schemas but `pg_catalog` and `information_schema`.
    pub namespaces: Vec<NamespaceRow>,
    /// Tables and indexes.
    pub relations: Vec<RelationRow>,
    /// Columns, by table and number.
    pub columns: Vec<ColumnRow>,
    /// Constraints.
    pub constraints: Vec<ConstraintRow>,
    /// Indexes.
    pub indexes: Vec<IndexRow>,
    /// Row types and their arrays.
    pub types: Vec<TypeRow>,
    /// What sequences are.
    pub sequences: Vec<SequenceRow>,
    /// Comments on the database's objects.
    pub descriptions: Vec<DescriptionRow>,
    /// Comments on databases and roles.
    pub shared_descriptions: Vec<DescriptionRow>,
    /// What ANALYZE found of tables.
    pub table_statistics: Vec<TableStatisticRow>,
    /// What ANALYZE found of columns.
    pub column_statistics: Vec<ColumnStatisticRow>,
}

/// One database's catalog at one snapshot.
#[derive(Debug)]
pub struct DatabaseCatalog {
    version: VersionRow,
    /// The version row's key and value, to be compared without decoding.
    version_bytes: (Bytes, Bytes),
    name: String,
    databases: Vec<DatabaseRow>,
    roles: Vec<RoleRow>,
    namespaces: BTreeMap<Oid, NamespaceRow>,
    relations: BTreeMap<Oid, RelationRow>,
    relation_names: HashMap<(Oid, String), Oid>,
    columns: BTreeMap<Oid, Vec<ColumnRow>>,
    constraints: BTreeMap<Oid, ConstraintRow>,
    indexes: BTreeMap<Oid, IndexRow>,
    types: BTreeMap<Oid, TypeRow>,
    descriptions: BTreeMap<(Oid, Oid, i32), String>,
    shared_descriptions: BTreeMap<(Oid, Oid, i32), String>,
    tables: BTreeMap<Oid, Arc<TableDef>>,
    sequences: BTreeMap<Oid, Arc<SequenceDef>>,
    /// Sequences as FROM reads them.
    sequence_tables: BTreeMap<Oid, Arc<TableDef>>,
    statistics: BTreeMap<Oid, Arc<TableStatistics>>,
}

impl DatabaseCatalog {
    /// Makes the definitions out of the rows.
    pub fn assemble(version: VersionRow, rows: Rows) -> Result<Self> {
        let database = version.database;
        let name = rows.databases.iter().find(|row| row.oid == database).map(|row| row.name.clone());
        let name = name.ok_or_else(|| Error::not_found(format!("database {database} does not exist")))?;
        let encoded = version.value().map_err(|error| Error::internal(error.to_string()))?;
        let mut columns: BTreeMap<Oid, Vec<ColumnRow>> = BTreeMap::new();
        for column in rows.columns {
            columns.entry(column.relation).or_default().push(column);
        }
        let comments = |rows: Vec<DescriptionRow>| {
            rows.into_iter().map(|row| ((row.class, row.object, row.column), row.text)).collect()
        };
        let mut catalog = Self {
            version_bytes: (version.key(), encoded),
            version,
            name,
            databases: rows.databases,
            roles: rows.roles,
            relation_names: rows
                .relations
                .iter()
                .map(|row| ((row.namespace, row.name.clone()), row.oid))
                .collect(),
            namespaces: rows.namespaces.into_iter().map(|row| (row.oid, row)).collect(),
            relations: rows.relations.into_iter().map(|row| (row.oid, row)).collect(),
            columns,
            constraints: rows.constraints.into_iter().map(|row| (row.oid, row)).collect(),
            indexes: rows.indexes.into_iter().map(|row| (row.oid, row)).collect(),
            types: rows.types.into_iter().map(|row| (row.oid, row)).collect(),
            descriptions: comments(rows.descriptions),
            shared_descriptions: comments(rows.shared_descriptions),
            tables: BTreeMap::new(),
            sequences: BTreeMap::new(),
            sequence_tables: BTreeMap::new(),
            statistics: BTreeMap::new(),
        };
        catalog.define_sequences(rows.sequences)?;
        catalog.tables = catalog.define_tables()?;
        catalog.statistics = catalog.define_statistics(rows.table_statistics, &rows.column_statistics);
        Ok(catalog)
    }

    /// What is known of the tables' contents. A value that no longer is of its column's type is not known.
    fn define_statistics(
        &self,
        tables: Vec<TableStatisticRow>,
        columns: &[ColumnStatisticRow],
    ) -> BTreeMap<Oid, Arc<TableStatistics>> {
        let mut out = BTreeMap::new();
        for row in tables {
            let Some(table) = self.tables.get(&row.relation) else { continue };
            let mut known = vec![None; table.columns.len()];
            for column in columns.iter().filter(|column| column.relation == row.relation) {
                let position = usize::try_from(column.number - 1).unwrap_or(usize::MAX);
                let (Some(slot), Some(def)) = (known.get_mut(position), table.columns.get(position)) else {
                    continue;
                };
                let end = |body: &Option<Bytes>| {
                    body.as_ref().and_then(|body| decode_body(body, def.ty).ok()).unwrap_or(Datum::Null)
                };
                *slot = Some(ColumnStatistics {
                    null_fraction: f64::from(column.null_millionths) / 1e6,
                    width: u32::try_from(column.width).unwrap_or(0),
                    distinct: column.distinct as f64,
                    min: end(&column.least),
                    max: end(&column.greatest),
                });
            }
            let looks = |last, times: Option<i64>| Looks { last, times: times.unwrap_or(0) };
            let statistics = TableStatistics {
                rows: row.rows as f64,
                pages: u64::try_from(row.pages).unwrap_or(0),
                columns: known,
                by_hand: looks(row.analyzed_at, row.analyzed),
                automatic: looks(row.autoanalyzed_at, row.autoanalyzed),
            };
            out.insert(row.relation, Arc::new(statistics));
        }
        out
    }

    /// What is known of a table's contents: how many rows there are, about, and what they hold. Nothing
    /// before the first ANALYZE.
    pub fn statistics(&self, table: Oid) -> Option<&Arc<TableStatistics>> {
        self.statistics.get(&table)
    }

    /// The schema's version: equal versions are equal catalogs.
    pub fn version(&self) -> &VersionRow {
        &self.version
    }

    /// Key and value of the version row that this catalog was made at.
    pub(super) fn version_bytes(&self) -> (&Bytes, &Bytes) {
        (&self.version_bytes.0, &self.version_bytes.1)
    }

    /// The database's OID.
    pub fn database(&self) -> Oid {
        self.version.database
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All databases of the branch, by OID.
    pub fn databases(&self) -> &[DatabaseRow] {
        &self.databases
    }

    /// All roles but the predefined ones, by OID.
    pub fn roles(&self) -> &[RoleRow] {
        &self.roles
    }

    /// The stored schemas, by OID.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceRow> {
        self.namespaces.values()
    }

    /// A schema's OID, built-in ones included.
    pub fn namespace_oid(&self, name: &str) -> Option<Oid> {
        match name {
            "pg_catalog" => Some(PG_CATALOG),
            "information_schema" => Some(INFORMATION_SCHEMA),
            _ => self.namespaces.values().find(|row| row.name == name).map(|row| row.oid),
        }
    }

    /// A schema's name, built-in ones included.
    pub fn namespace_name(&self, oid: Oid) -> Option<&str> {
        match oid {
            PG_CATALOG => Some("pg_catalog"),
            INFORMATION_SCHEMA => Some("information_schema"),
            _ => self.namespaces.get(&oid).map(|row| row.name.as_str()),
        }
    }

    /// The stored schema of an OID.
    pub fn namespace(&self, oid: Oid) -> Option<&NamespaceRow> {
        self.namespaces.get(&oid)
    }

    /// Users' tables and indexes, by OID.
    pub fn relations(&self) -> impl Iterator<Item = &RelationRow> {
        self.relations.values()
    }

    /// A user's table or index.
    pub fn relation(&self, oid: Oid) -> Option<&RelationRow> {
        self.relations.get(&oid)
    }

    /// A user's table or index by schema and name.
    pub fn relation_oid(&self, namespace: Oid, name: &str) -> Option<Oid> {
        self.relation_names.get(&(namespace, name.to_owned())).copied()
    }

    /// The columns of a user's table, by number, dropped ones included.
    pub fn columns(&self, table: Oid) -> &[ColumnRow] {
        self.columns.get(&table).map_or(&[], Vec::as_slice)
    }

    /// All constraints, by OID.
    pub fn constraints(&self) -> impl Iterator<Item = &ConstraintRow> {
        self.constraints.values()
    }

    /// A constraint.
    pub fn constraint(&self, oid: Oid) -> Option<&ConstraintRow> {
        self.constraints.get(&oid)
    }

    /// The constraints of a table, by OID.
    pub fn constraints_of(&self, table: Oid) -> impl Iterator<Item = &ConstraintRow> {
        self.constraints.values().filter(move |row| row.relation == table)
    }

    /// All indexes, by OID.
    pub fn indexes(&self) -> impl Iterator<Item = &IndexRow> {
        self.indexes.values()
    }

    /// What an index is.
    pub fn index(&self, oid: Oid) -> Option<&IndexRow> {
        self.indexes.get(&oid)
    }

    /// The indexes of a table, by OID.
    pub fn indexes_of(&self, table: Oid) -> impl Iterator<Item = &IndexRow> {
        self.indexes.values().filter(move |row| row.table == table)
    }

    /// Row types and their arrays, by OID.
    pub fn types(&self) -> impl Iterator<Item = &TypeRow> {
        self.types.values()
    }

    /// A type that is not built in.
    pub fn type_row(&self, oid: Oid) -> Option<&TypeRow> {
        self.types.get(&oid)
    }

    /// A type that is not built in, by schema and name.
    pub fn type_oid(&self, namespace: Oid, name: &str) -> Option<Oid> {
        self.types.values().find(|row| row.namespace == namespace && row.name == name).map(|row| row.oid)
    }

    /// All comments: catalog, object, column.
    pub fn descriptions(&self) -> impl Iterator<Item = (Oid, Oid, i32, &str)> {
        self.descriptions
            .iter()
            .map(|((class, object, column), text)| (*class, *object, *column, text.as_str()))
    }

    /// Comments on databases and roles, likewise.
    pub fn shared_descriptions(&self) -> impl Iterator<Item = (Oid, Oid, i32, &str)> {
        self.shared_descriptions
            .iter()
            .map(|((class, object, column), text)| (*class, *object, *column, text.as_str()))
    }

    /// A comment.
    pub fn description(&self, class: Oid, object: Oid, column: i32) -> Option<&str> {
        let key = (class, object, column);
        self.descriptions.get(&key).or_else(|| self.shared_descriptions.get(&key)).map(String::as_str)
    }

    /// Users' tables, by OID.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDef>> {
        self.tables.values()
    }

    /// A user's table.
    pub fn table(&self, oid: Oid) -> Option<&Arc<TableDef>> {
        self.tables.get(&oid)
    }

    /// A user's table by schema and name.
    pub fn table_by_name(&self, namespace: Oid, name: &str) -> Option<&Arc<TableDef>> {
        self.relation_oid(namespace, name).and_then(|oid| self.tables.get(&oid))
    }

    /// Sequences, by OID.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceDef>> {
        self.sequences.values()
    }

    /// A sequence.
    pub fn sequence(&self, oid: Oid) -> Option<&Arc<SequenceDef>> {
        self.sequences.get(&oid)
    }

    /// The sequences that go with a table's columns, by OID.
    pub fn sequences_of(&self, table: Oid) -> impl Iterator<Item = &Arc<SequenceDef>> {
        self.sequences.values().filter(move |row| row.owner.is_some_and(|owner| owner.table == table))
    }

    /// A sequence as a table of one row.
    pub fn sequence_table(&self, oid: Oid) -> Option<&Arc<TableDef>> {
        self.sequence_tables.get(&oid)
    }

    fn define_sequences(&mut self, rows: Vec<SequenceRow>) -> Result<()> {
        for row in rows {
            let relation =
                self.relations.get(&row.oid).ok_or_else(|| corrupt("sequence", row.oid, "no relation"))?;
            let schema_name = self
                .namespace_name(relation.namespace)
                .ok_or_else(|| corrupt("sequence", row.oid, "no schema"))?;
            let table = sequence::as_table(relation, schema_name);
            let sequence = SequenceDef {
                oid: row.oid,
                schema: relation.namespace,
                name: relation.name.clone(),
                rules: SequenceRules::of(&row),
                owner: (row.owner_table != Oid::INVALID).then_some(SequenceOwner {
                    table: row.owner_table,
                    column: row.owner_column,
                    identity: row.owner_kind == b'i',
                }),
            };
            self.sequences.insert(row.oid, Arc::new(sequence));
            self.sequence_tables.insert(row.oid, Arc::new(table));
        }
        Ok(())
    }

    fn identity_of(&self, column: &ColumnRow) -> Result<Option<IdentityDef>> {
        let Some(kind) = column.identity.filter(|_| !column.dropped) else { return Ok(None) };
        let owns = |owner: SequenceOwner| owner.identity && owner.column == column.number;
        let sequence = self.sequences_of(column.relation).find(|sequence| sequence.owner.is_some_and(owns));
        let sequence = sequence
            .ok_or_else(|| corrupt("table", column.relation, "an identity column without a sequence"))?;
        Ok(Some(IdentityDef { always: kind == b'a', sequence: sequence.oid }))
    }

    fn define_tables(&self) -> Result<BTreeMap<Oid, Arc<TableDef>>> {
        let mut indexes: HashMap<Oid, Vec<&IndexRow>> = HashMap::new();
        for row in self.indexes.values() {
            indexes.entry(row.table).or_default().push(row);
        }
        let mut constraints: HashMap<Oid, Vec<&ConstraintRow>> = HashMap::new();
        for row in self.constraints.values() {
            constraints.entry(row.relation).or_default().push(row);
        }
        let none = |of: Oid| corrupt("table", of, "a part that does not exist");
        let mut tables = BTreeMap::new();
        for row in self.relations.values().filter(|row| row.kind == b'r') {
            let constraints = constraints.get(&row.oid).map_or(&[][..], Vec::as_slice);
            let mut table = TableDef {
                oid: row.oid,
                schema: row.namespace,
                schema_name: self.namespace_name(row.namespace).ok_or_else(|| none(row.oid))?.to_owned(),
                name: row.name.clone(),
                kind: TableKind::Table,
                storage: row.storage,
                schema_version: row.schema_version as u32,
                columns: self.define_columns(row.oid)?,
                primary_key: None,
                indexes: Vec::new(),
                checks: constraints
                    .iter()
                    .filter(|row| row.kind == b'c')
                    .map(|row| CheckDef {
                        oid: row.oid,
                        name: row.name.clone(),
                        expression: row.expression.clone().unwrap_or_default(),
                    })
                    .collect(),
                value_storage: row.value_storage,
            };
            for index in indexes.get(&row.oid).map_or(&[][..], Vec::as_slice) {
                let constraint = constraints.iter().find(|row| row.index == index.oid).map(|row| row.oid);
                let definition = self.define_index(index, &table, constraint)?;
                if index.primary {
                    table.primary_key = Some(definition);
                } else {
                    table.indexes.push(definition);
                }
            }
            tables.insert(row.oid, Arc::new(table));
        }
        Ok(tables)
    }

    fn define_columns(&self, table: Oid) -> Result<Vec<ColumnDef>> {
        let mut columns = Vec::new();
        for (place, row) in self.columns(table).iter().enumerate() {
            if usize::try_from(row.number).ok() != Some(place + 1) {
                return Err(corrupt("table", table, "a gap in its columns' numbers"));
            }
            let ty = PgType::with_typmod(row.type_oid, row.typmod);
            let missing = match &row.missing {
                Some(body) => decode_body(body, ty)?,
                None => Datum::Null,
            };
            columns.push(ColumnDef {
                attnum: row.number,
                name: row.name.clone(),
                ty,
                not_null: row.not_null,
                default: row.default.clone(),
                missing,
                dropped: row.dropped,
                identity: self.identity_of(row)?,
            });
        }
        Ok(columns)
    }

    fn define_index(&self, row: &IndexRow, table: &TableDef, constraint: Option<Oid>) -> Result<IndexDef> {
        let relation =
            self.relations.get(&row.oid).ok_or_else(|| corrupt("index", row.oid, "no relation"))?;
        let key = |(number, option): (&i16, &i16)| {
            let column = usize::try_from(*number - 1).ok().filter(|column| *column < table.columns.len());
            Ok(IndexKey {
                column: column
                    .ok_or_else(|| corrupt("index", row.oid, "a column that its table does not have"))?,
                desc: option & IndexRow::DESC != 0,
                nulls_first: option & IndexRow::NULLS_FIRST != 0,
            })
        };
        if row.columns.len() != row.options.len() {
            return Err(corrupt("index", row.oid, "not as many options as columns"));
        }
        Ok(IndexDef {
            oid: row.oid,
            name: relation.name.clone(),
            storage: if row.primary { table.storage } else { relation.storage },
            unique: row.unique,
            nulls_not_distinct: row.nulls_not_distinct.unwrap_or(false),
            keys: row.columns.iter().zip(&row.options).map(key).collect::<Result<_>>()?,
            constraint,
        })
    }
}

fn corrupt(what: &str, oid: Oid, has: &str) -> Error {
    Error::corrupt(format!("the catalog's rows give {what} {oid} {has}"))
}
