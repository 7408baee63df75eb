//! The definitions of the system's tables and views, made of the built-in `pg_class` and `pg_attribute`.

use crate::catalog::builtin::{self, base_type, type_by_oid};
use crate::catalog::database::{INFORMATION_SCHEMA, PG_CATALOG};
use crate::catalog::{ColumnDef, TableDef, TableKind};
use shardforge_common::StorageId;
use shardforge_types::{Datum, Oid, PgType};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// A relation of the system, indexes included.
struct Relation {
    namespace: Oid,
    name: String,
}

struct Definitions {
    relations: HashMap<Oid, Relation>,
    by_name: HashMap<(Oid, String), Oid>,
    tables: HashMap<Oid, Arc<TableDef>>,
}

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(define);

/// A system table or view by its OID.
pub fn table(oid: Oid) -> Option<&'static Arc<TableDef>> {
    DEFINITIONS.tables.get(&oid)
}

/// All system tables and views.
pub fn system_tables() -> impl Iterator<Item = &'static Arc<TableDef>> {
    DEFINITIONS.tables.values()
}

/// The OID of a system relation, indexes included.
pub fn relation_by_name(namespace: Oid, name: &str) -> Option<Oid> {
    // Most names are users': their schemas hold nothing of the system's.
    if namespace != PG_CATALOG && namespace != INFORMATION_SCHEMA {
        return None;
    }
    DEFINITIONS.by_name.get(&(namespace, name.to_owned())).copied()
}

/// The schema and name of a system relation, indexes included.
pub fn relation_name(oid: Oid) -> Option<(Oid, &'static str)> {
    DEFINITIONS.relations.get(&oid).map(|relation| (relation.namespace, relation.name.as_str()))
}

fn define() -> Definitions {
    let mut columns = columns_by_relation();
    let catalog = builtin::rows("pg_class").expect("pg_class is one of the files");
    let place = |name| catalog.column(name).expect("the files have the columns of PostgreSQL 15");
    let (oid_at, name_at, namespace_at, kind_at) =
        (place("oid"), place("relname"), place("relnamespace"), place("relkind"));
    let mut out = Definitions { relations: HashMap::new(), by_name: HashMap::new(), tables: HashMap::new() };
    for row in catalog.iter() {
        let oid = oid(row[oid_at].as_deref());
        let namespace = self::oid(row[namespace_at].as_deref());
        let name = row[name_at].as_deref().unwrap_or_default().to_owned();
        let kind = match row[kind_at].as_deref() {
            Some("r") => Some(TableKind::Catalog),
            Some("v") => Some(TableKind::Virtual),
            _ => None,
        };
        if let Some(kind) = kind {
            let definition = TableDef {
                oid,
                schema: namespace,
                schema_name: if namespace == PG_CATALOG { "pg_catalog" } else { "information_schema" }
                    .to_owned(),
                name: name.clone(),
                kind,
                // Scans of the system's tables never reach storage.
                storage: StorageId(0),
                schema_version: 0,
                columns: columns.remove(&oid).unwrap_or_default(),
                primary_key: None,
                indexes: Vec::new(),
                checks: Vec::new(),
                value_storage: StorageId(0),
            };
            out.tables.insert(oid, Arc::new(definition));
        }
        out.by_name.insert((namespace, name.clone()), oid);
        out.relations.insert(oid, Relation { namespace, name });
    }
    out
}

fn columns_by_relation() -> HashMap<Oid, Vec<ColumnDef>> {
    let catalog = builtin::rows("pg_attribute").expect("pg_attribute is one of the files");
    let place = |name| catalog.column(name).expect("the files have the columns of PostgreSQL 15");
    let (relation_at, name_at, type_at, number_at, typmod_at, not_null_at) = (
        place("attrelid"),
        place("attname"),
        place("atttypid"),
        place("attnum"),
        place("atttypmod"),
        place("attnotnull"),
    );
    let mut columns: HashMap<Oid, Vec<ColumnDef>> = HashMap::new();
    for row in catalog.iter() {
        let number = |at: usize| row[at].as_deref().and_then(|text| text.parse::<i32>().ok()).unwrap_or(-1);
        let declared = oid(row[type_at].as_deref());
        // A domain's values are those of its base type, under the domain's own modifier.
        let typmod = type_by_oid(declared).filter(|entry| entry.kind == b'd').map(|entry| entry.typmod);
        let column = ColumnDef {
            attnum: number(number_at) as i16,
            name: row[name_at].as_deref().unwrap_or_default().to_owned(),
            ty: PgType::with_typmod(base_type(declared), typmod.unwrap_or(number(typmod_at))),
            not_null: row[not_null_at].as_deref() == Some("t"),
            default: None,
            missing: Datum::Null,
            dropped: false,
            identity: None,
        };
        columns.entry(oid(row[relation_at].as_deref())).or_default().push(column);
    }
    for columns in columns.values_mut() {
        columns.sort_by_key(|column| column.attnum);
    }
    columns
}

fn oid(field: Option<&str>) -> Oid {
    Oid(field.and_then(|text| text.parse().ok()).unwrap_or_default())
}
