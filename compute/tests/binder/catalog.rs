//! A catalog for the binder's tests: the system catalogs, and tables made by CREATE TABLE.

use shardforge_common::StorageId;
use shardforge_compute::catalog::{ColumnDef, IndexDef, IndexKey, TableDef, TableKind, builtin};
use shardforge_compute::sql::bound::{BoundStatement, CreateTable, Ddl};
use shardforge_compute::sql::{BindContext, CatalogLookup, bind, parse};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, Settings};
use std::collections::HashMap;
use std::sync::Arc;

const PUBLIC: Oid = Oid(2200);

pub(crate) struct TestCatalog {
    tables: HashMap<(String, String), Arc<TableDef>>,
    next: u32,
}

impl TestCatalog {
    pub(crate) fn new() -> Self {
        let mut out = Self { tables: HashMap::new(), next: 16384 };
        out.add_system_tables();
        out
    }

    /// Without the system catalogs, which take long to make, and with tables `t` and `u`.
    pub(crate) fn with_user_tables() -> Self {
        let mut out = Self { tables: HashMap::new(), next: 16384 };
        out.run("create table t (a int primary key, b text); create table u (a int, x text)").unwrap();
        out
    }

    fn add_system_tables(&mut self) {
        let namespaces: HashMap<String, String> =
            rows("pg_namespace", ["oid", "nspname"]).map(|[oid, name]| (oid, name)).collect();
        let mut columns: HashMap<String, Vec<ColumnDef>> = HashMap::new();
        for [relation, number, name, ty, typmod, not_null] in
            rows("pg_attribute", ["attrelid", "attnum", "attname", "atttypid", "atttypmod", "attnotnull"])
        {
            let column = ColumnDef {
                attnum: number.parse().unwrap(),
                name,
                ty: PgType::with_typmod(Oid(ty.parse().unwrap()), typmod.parse().unwrap()),
                not_null: not_null == "t",
                default: None,
                missing: Datum::Null,
                dropped: false,
                identity: None,
            };
            columns.entry(relation).or_default().push(column);
        }
        for [oid, name, namespace, kind] in rows("pg_class", ["oid", "relname", "relnamespace", "relkind"]) {
            if kind == "i" {
                continue;
            }
            let schema_name = namespaces[&namespace].clone();
            let kind = if kind == "r" { TableKind::Catalog } else { TableKind::Virtual };
            let columns = columns.remove(&oid).unwrap_or_default();
            let oid = Oid(oid.parse().unwrap());
            let table = def(oid, Oid(namespace.parse().unwrap()), &schema_name, &name, kind, columns);
            self.tables.insert((schema_name, name), Arc::new(table));
        }
    }

    /// Runs statements that make tables; others are only bound.
    pub(crate) fn run(&mut self, text: &str) -> SqlResult<()> {
        for statement in parse(text)? {
            let settings = Settings::default();
            let ctx = BindContext { catalog: self, settings: &settings, param_types: &[] };
            if let BoundStatement::Ddl(Ddl::CreateTable(create)) = bind(&statement, &ctx)?.statement {
                self.create(create);
            }
        }
        Ok(())
    }

    fn create(&mut self, create: CreateTable) {
        let columns = create.columns.into_iter().enumerate().map(|(index, column)| ColumnDef {
            attnum: index as i16 + 1,
            name: column.name,
            ty: column.ty,
            not_null: column.not_null,
            default: column.default,
            missing: Datum::Null,
            dropped: false,
            identity: None,
        });
        let oid = Oid(self.next);
        let mut table = def(oid, PUBLIC, "public", &create.name, TableKind::Table, columns.collect());
        self.next += 1;
        let mut index = |(name, columns): (String, Vec<usize>)| {
            self.next += 1;
            let keys = columns.into_iter().map(|column| IndexKey { column, desc: false, nulls_first: false });
            let oid = Oid(self.next);
            IndexDef {
                oid,
                name,
                storage: StorageId(1),
                unique: true,
                nulls_not_distinct: false,
                keys: keys.collect(),
                constraint: Some(oid),
            }
        };
        table.primary_key = create.primary_key.map(&mut index);
        table.indexes = create
            .unique
            .into_iter()
            .map(|unique| {
                let names: Vec<&str> =
                    unique.columns.iter().map(|at| table.columns[*at].name.as_str()).collect();
                let made_up = format!("{}_{}_key", create.name, names.join("_"));
                index((unique.name.unwrap_or(made_up), unique.columns))
            })
            .collect();
        self.tables.insert(("public".to_owned(), create.name), Arc::new(table));
    }
}

fn def(
    oid: Oid,
    schema: Oid,
    schema_name: &str,
    name: &str,
    kind: TableKind,
    columns: Vec<ColumnDef>,
) -> TableDef {
    TableDef {
        oid,
        schema,
        schema_name: schema_name.to_owned(),
        name: name.to_owned(),
        kind,
        storage: StorageId(1),
        schema_version: 1,
        columns,
        primary_key: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        value_storage: StorageId(1),
    }
}

fn rows<const N: usize>(catalog: &str, columns: [&str; N]) -> impl Iterator<Item = [String; N]> {
    let catalog = builtin::rows(catalog).unwrap();
    let places = columns.map(|column| catalog.column(column).unwrap());
    catalog.iter().map(move |row| places.map(|place| row[place].as_deref().unwrap_or_default().to_owned()))
}

impl CatalogLookup for TestCatalog {
    fn table(&self, schema: Option<&str>, name: &str) -> SqlResult<Option<Arc<TableDef>>> {
        let find = |schema: &str| self.tables.get(&(schema.to_owned(), name.to_owned())).cloned();
        Ok(match schema {
            Some(schema) => find(schema),
            None => find("pg_catalog").or_else(|| find("public")),
        })
    }

    fn schema(&self, name: &str) -> SqlResult<Option<Oid>> {
        let found = rows("pg_namespace", ["nspname", "oid"]).find(|[known, _]| known == name);
        Ok(found.map(|[_, oid]| Oid(oid.parse().unwrap())))
    }

    fn role(&self, name: &str) -> SqlResult<Option<Oid>> {
        Ok((name == "postgres").then_some(Oid(10)))
    }

    fn creation_schema(&self) -> SqlResult<(Oid, String)> {
        Ok((PUBLIC, "public".to_owned()))
    }

    fn database(&self) -> &str {
        "postgres"
    }
}

/// An error as the scripts show it.
pub(crate) fn shown(error: &SqlError) -> String {
    let fields = error.fields();
    let position = fields.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
    format!("{} {position}: {}", fields.sqlstate, fields.message)
}
