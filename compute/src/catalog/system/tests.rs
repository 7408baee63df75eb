use super::builtin_rows::builtin_rows;
use super::{scan, system_tables, table};
use crate::SqlError;
use crate::catalog::bootstrap::{POSTGRES, SUPERUSER};
use crate::catalog::builtin;
use crate::catalog::stored::{
    ColumnRow, ConstraintRow, DatabaseRow, DescriptionRow, IndexRow, NamespaceRow, RelationRow, RoleRow,
    TypeRow, VersionRow,
};
use crate::catalog::{DatabaseCatalog, PG_CATALOG, PUBLIC, Rows, TableDef, TableKind, deparse};
use crate::functions::EvalContext;
use shardforge_common::{StorageId, TxnId};
use shardforge_types::{Datum, Oid, Settings, SqlState, oids, text};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A database with the table `t (a integer primary key, b varchar(10) not null default 'x', c numeric(10,2)
/// check (c > 0), d text unique)`.
pub(crate) fn sample() -> DatabaseCatalog {
    let database = POSTGRES;
    let relation = |oid, name: &str, kind, row_type, storage| RelationRow {
        database,
        oid: Oid(oid),
        name: name.to_owned(),
        namespace: PUBLIC,
        kind,
        owner: SUPERUSER,
        row_type: Oid(row_type),
        storage: StorageId(storage),
        value_storage: StorageId(storage + 1),
        schema_version: 1,
    };
    let column = |number, name: &str, type_oid, typmod, not_null, default: Option<&str>| ColumnRow {
        database,
        relation: Oid(20000),
        number,
        name: name.to_owned(),
        type_oid,
        typmod,
        not_null,
        default_oid: if default.is_some() { Oid(20010) } else { Oid::INVALID },
        default: default.map(str::to_owned),
        missing: None,
        dropped: false,
        identity: None,
    };
    let index = |oid, primary, number| IndexRow {
        database,
        oid: Oid(oid),
        table: Oid(20000),
        unique: true,
        primary,
        columns: vec![number],
        nulls_not_distinct: None,
        options: vec![0],
    };
    let constraint = |oid, name: &str, kind, index, number, expression: Option<&str>| ConstraintRow {
        database,
        oid: Oid(oid),
        name: name.to_owned(),
        namespace: PUBLIC,
        kind,
        relation: Oid(20000),
        index: Oid(index),
        columns: Some(vec![number]),
        expression: expression.map(str::to_owned),
    };
    let ty = |oid, name: &str, kind, relation, element, array| TypeRow {
        database,
        oid: Oid(oid),
        name: name.to_owned(),
        namespace: PUBLIC,
        owner: SUPERUSER,
        kind,
        relation: Oid(relation),
        element: Oid(element),
        array: Oid(array),
    };
    let rows = Rows {
        sequences: Vec::new(),
        databases: vec![DatabaseRow {
            oid: POSTGRES,
            name: "postgres".to_owned(),
            owner: SUPERUSER,
            is_template: false,
            allow_connections: true,
            connection_limit: -1,
            acl: None,
        }],
        roles: vec![RoleRow {
            oid: SUPERUSER,
            name: "postgres".to_owned(),
            superuser: true,
            inherit: true,
            create_role: true,
            create_db: true,
            can_login: true,
            replication: true,
            bypass_rls: true,
            connection_limit: -1,
            password: None,
            valid_until: None,
        }],
        namespaces: vec![NamespaceRow {
            database,
            oid: PUBLIC,
            name: "public".to_owned(),
            owner: Oid(6171),
            acl: None,
        }],
        relations: vec![
            relation(20000, "t", b'r', 20002, 5000),
            relation(20003, "t_pkey", b'i', 0, 0),
            relation(20005, "t_d_key", b'i', 0, 5002),
        ],
        columns: vec![
            column(1, "a", oids::INT4, -1, true, None),
            column(2, "b", oids::VARCHAR, 14, true, Some("'x'")),
            column(3, "c", oids::NUMERIC, 655366, false, None),
            column(4, "d", oids::TEXT, -1, false, None),
        ],
        constraints: vec![
            constraint(20004, "t_pkey", b'p', 20003, 1, None),
            constraint(20006, "t_d_key", b'u', 20005, 4, None),
            constraint(20007, "t_c_check", b'c', 0, 3, Some("c > 0")),
        ],
        indexes: vec![index(20003, true, 1), index(20005, false, 4)],
        types: vec![ty(20001, "_t", b'b', 0, 20002, 0), ty(20002, "t", b'c', 20000, 0, 20001)],
        descriptions: Vec::new(),
        table_statistics: Vec::new(),
        column_statistics: Vec::new(),
        shared_descriptions: vec![DescriptionRow {
            database: Oid::INVALID,
            class: Oid(1262),
            object: POSTGRES,
            column: 0,
            text: "default administrative connection database".to_owned(),
        }],
    };
    let version = VersionRow { database, txn: TxnId::from_bytes([1; 16]), nonce: 1 };
    DatabaseCatalog::assemble(version, rows).unwrap()
}

/// A catalog of `pg_catalog` by name.
pub(crate) fn catalog_table(name: &str) -> &'static Arc<TableDef> {
    super::relation_by_name(PG_CATALOG, name).and_then(table).unwrap()
}

/// All rows of a catalog, each by column name and as text.
fn rows_of(name: &str, catalog: &DatabaseCatalog) -> Vec<BTreeMap<String, String>> {
    shown_rows(catalog_table(name), catalog)
}

fn shown_rows(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<BTreeMap<String, String>> {
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let rows = scan(table, catalog, &EvalContext::detached(0), &columns).unwrap();
    let shown = |(column, value): (&crate::catalog::ColumnDef, &Datum)| {
        let text = text::output_string(value, column.ty, &Settings::default());
        (column.name.clone(), text.unwrap_or_else(|| "NULL".to_owned()))
    };
    rows.iter().map(|row| table.columns.iter().zip(row).map(shown).collect()).collect()
}

fn find(name: &str, column: &str, value: &str) -> BTreeMap<String, String> {
    let rows = rows_of(name, &sample());
    rows.into_iter()
        .find(|row| row[column] == value)
        .unwrap_or_else(|| panic!("{name}: no {column} = {value}"))
}

/// The shapes of all system tables and views are those of a real PostgreSQL 15, which wrote the file.
#[test]
fn shapes_are_those_of_postgresql_15() {
    let mut shapes: Vec<String> = system_tables()
        .map(|table| {
            let columns = table.columns.iter().map(|column| {
                let modifier =
                    if column.ty.typmod >= 0 { format!("/{}", column.ty.typmod) } else { String::new() };
                format!("{}:{}{modifier}", column.name, builtin::type_by_oid(column.ty.oid).unwrap().name)
            });
            format!("{}.{} {}", table.schema_name, table.name, columns.collect::<Vec<_>>().join(", "))
        })
        .collect();
    shapes.sort();
    let golden: Vec<&str> = include_str!("testdata/shapes.txt").lines().collect();
    for (ours, theirs) in shapes.iter().zip(&golden) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(shapes.len(), golden.len());
}

#[test]
fn built_in_rows_have_a_value_for_each_column() {
    for name in builtin::catalogs() {
        let rows = builtin_rows(name);
        assert_eq!(rows.len(), builtin::rows(name).unwrap().len(), "{name}");
        assert!(rows.iter().all(|row| row.len() == catalog_table(name).columns.len()), "{name}");
    }
}

/// Every system table answers, with rows of its shape, or says that it is not built.
#[test]
fn every_system_table_answers_or_is_refused() {
    let catalog = sample();
    let mut refused = Vec::new();
    for table in system_tables() {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        match scan(table, &catalog, &EvalContext::detached(0), &columns) {
            Ok(rows) => {
                assert!(rows.iter().all(|row| row.len() == columns.len()), "{}", table.name);
                for (row, column) in rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
                    assert_form(row, column, table);
                }
            }
            Err(error) => {
                assert_eq!(SqlError::sqlstate(&error), SqlState::FEATURE_NOT_SUPPORTED);
                refused.push(table.name.as_str());
            }
        }
    }
    for built in ["pg_class", "pg_attribute", "pg_roles", "columns", "pg_publication_rel", "pg_statistic_ext"]
    {
        assert!(!refused.contains(&built), "{built}");
    }
}

/// A value has the form of its column's type.
fn assert_form(value: &Datum, column: &crate::catalog::ColumnDef, table: &TableDef) {
    let natural = value.natural_type().oid;
    let ty = column.ty.oid;
    let fits = value.is_null()
        || natural == ty
        || (natural == oids::TEXT && ty.is_text_like())
        || (natural == oids::OID && ty.is_oid_like())
        || matches!(value, Datum::Array(array) if ty.element_type() == Some(array.element)
            || (ty == oids::INT2VECTOR && array.element == oids::INT2)
            || (ty == oids::OIDVECTOR && array.element == oids::OID));
    assert!(fits, "{}.{}: {value:?} is no {}", table.name, column.name, column.ty);
}

#[test]
fn a_users_table_is_shown_as_postgresql_shows_it() {
    let t = find("pg_class", "relname", "t");
    let of = |row: &BTreeMap<String, String>, columns: &[&str]| {
        columns.iter().map(|column| row[*column].clone()).collect::<Vec<_>>().join(" ")
    };
    let columns = [
        "relkind",
        "relnamespace",
        "relam",
        "relnatts",
        "relchecks",
        "relhasindex",
        "reltype",
        "relreplident",
    ];
    assert_eq!(of(&t, &columns), "r 2200 2 4 1 t 20002 d");
    assert_eq!(of(&find("pg_class", "relname", "t_pkey"), &columns), "i 2200 403 1 0 f 0 n");
    let b = rows_of("pg_attribute", &sample())
        .into_iter()
        .find(|row| row["attrelid"] == "20000" && row["attname"] == "b");
    let columns = [
        "atttypid",
        "attlen",
        "attnum",
        "atttypmod",
        "attbyval",
        "attalign",
        "attstorage",
        "attnotnull",
        "atthasdef",
        "attcollation",
    ];
    assert_eq!(of(&b.unwrap(), &columns), "1043 -1 2 14 f i x t t 100");
    let columns =
        ["indrelid", "indisunique", "indisprimary", "indkey", "indcollation", "indclass", "indoption"];
    assert_eq!(of(&find("pg_index", "indexrelid", "20003"), &columns), "20000 t t 1 0 1978 0");
    assert_eq!(of(&find("pg_index", "indexrelid", "20005"), &columns), "20000 t f 4 100 3126 0");
    let columns = ["contype", "conrelid", "conindid", "conkey", "connoinherit"];
    assert_eq!(of(&find("pg_constraint", "conname", "t_pkey"), &columns), "p 20000 20003 {1} t");
    assert_eq!(of(&find("pg_constraint", "conname", "t_c_check"), &columns), "c 20000 0 {3} f");
    let columns = ["typtype", "typcategory", "typrelid", "typelem", "typarray"];
    assert_eq!(of(&find("pg_type", "oid", "20002"), &columns), "c C 20000 0 20001");
    assert_eq!(of(&find("pg_type", "oid", "20001"), &columns), "b A 0 20002 0");
    assert_eq!(find("pg_attrdef", "adrelid", "20000")["adbin"], "'x'");
}

#[test]
fn definitions_are_written_back_as_sql() {
    let catalog = sample();
    assert_eq!(
        deparse::index_definition(&catalog, Oid(20003)).unwrap(),
        "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (a)"
    );
    let constraint = |oid| deparse::constraint_definition(&catalog, catalog.constraint(Oid(oid)).unwrap());
    assert_eq!(constraint(20004), "PRIMARY KEY (a)");
    assert_eq!(constraint(20006), "UNIQUE (d)");
    assert_eq!(constraint(20007), "CHECK ((c > 0))");
    assert_eq!(
        super::system_views::system_index_definition(Oid(2662)).unwrap(),
        "CREATE UNIQUE INDEX pg_class_oid_index ON pg_catalog.pg_class USING btree (oid)"
    );
}

#[test]
fn the_table_definition_is_made_of_its_rows() {
    let catalog = sample();
    let table = catalog.table_by_name(PUBLIC, "t").unwrap();
    assert_eq!((table.kind, table.storage, table.columns.len()), (TableKind::Table, StorageId(5000), 4));
    let key = table.primary_key.as_ref().unwrap();
    assert_eq!((key.name.as_str(), key.storage, key.keys[0].column), ("t_pkey", StorageId(5000), 0));
    assert_eq!((table.indexes[0].storage, table.indexes[0].constraint), (StorageId(5002), Some(Oid(20006))));
    assert_eq!(table.checks[0].expression, "c > 0");
}

/// What tells the rows of a system table apart here, and the columns that are not compared: numbers of users'
/// objects, files and statistics; names of functions, which are numbers here until they are shown;
/// expressions, which we show as they were written; and that nobody can insert into our catalogs.
const COMPARED: &[(&str, &[&str], &[&str])] = &[
    ("information_schema.columns", &["table_schema", "table_name", "column_name"], &["column_default"]),
    ("information_schema.tables", &["table_schema", "table_name"], &["is_insertable_into"]),
    ("information_schema.table_constraints", &["constraint_name"], &[]),
    ("information_schema.key_column_usage", &["constraint_name"], &[]),
    ("information_schema.constraint_column_usage", &["constraint_name"], &[]),
    ("information_schema.check_constraints", &["constraint_name"], &["check_clause"]),
    ("information_schema.schemata", &["schema_name"], &[]),
    ("pg_catalog.pg_tables", &["schemaname", "tablename"], &[]),
    ("pg_catalog.pg_indexes", &["schemaname", "indexname"], &[]),
    (
        "pg_catalog.pg_class",
        &["relname"],
        &[
            "oid",
            "reltype",
            "relfilenode",
            "relpages",
            "reltuples",
            "reltoastrelid",
            "relfrozenxid",
            "relminmxid",
        ],
    ),
    ("pg_catalog.pg_attribute", &["attnum", "attname", "attnotnull"], &["attrelid", "attoptions"]),
    ("pg_catalog.pg_index", &["indclass", "indkey", "indisprimary"], &["indexrelid", "indrelid"]),
    ("pg_catalog.pg_constraint", &["conname"], &["oid", "conrelid", "conindid", "conbin"]),
    (
        "pg_catalog.pg_type",
        &["typname"],
        &[
            "oid",
            "typrelid",
            "typelem",
            "typarray",
            "typsubscript",
            "typinput",
            "typoutput",
            "typreceive",
            "typsend",
            "typanalyze",
        ],
    ),
    ("pg_catalog.pg_database", &["datname"], &["datfrozenxid", "datminmxid"]),
    ("pg_catalog.pg_roles", &["rolname"], &[]),
    ("pg_catalog.pg_user", &["usename"], &[]),
    ("pg_catalog.pg_group", &["groname"], &[]),
    ("pg_catalog.pg_auth_members", &["roleid"], &[]),
    ("pg_catalog.pg_namespace", &["nspname"], &["nspacl"]),
];

/// Rows that a real PostgreSQL 15 gave (`psql -x -At -P null=NULL`) for the same table and for its own.
#[test]
fn rows_are_those_of_postgresql_15() {
    let catalog = sample();
    let mut differences = Vec::new();
    for section in include_str!("testdata/rows.txt").split("== ").skip(1) {
        let (name, body) = section.split_once('\n').unwrap();
        let (_, key, ignored) = COMPARED.iter().find(|(table, ..)| *table == name).unwrap();
        let (schema, name) = name.split_once('.').unwrap();
        let schema_oid = catalog.namespace_oid(schema).unwrap();
        let table = super::relation_by_name(schema_oid, name).and_then(table).unwrap();
        let ours = shown_rows(table, &catalog);
        let width = table.columns.len();
        let lines: Vec<(&str, &str)> = body.lines().map(|line| line.split_once('|').unwrap()).collect();
        for theirs in lines.chunks(width) {
            let of = |column: &str| theirs.iter().find(|(name, _)| *name == column).unwrap().1;
            let what = key.iter().map(|column| of(column)).collect::<Vec<_>>().join(" ");
            // Their names have the table's number in them.
            if what.ends_with("_not_null") {
                continue;
            }
            let same = |row: &&BTreeMap<String, String>| key.iter().all(|column| row[*column] == of(column));
            let Some(row) = ours.iter().find(same) else {
                differences.push(format!("{schema}.{name}: {what} is missing"));
                continue;
            };
            for (column, value) in theirs.iter().filter(|(column, _)| !ignored.contains(column)) {
                if row[*column] != *value {
                    differences
                        .push(format!("{schema}.{name} {what}: {column} is {}, not {value}", row[*column]));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
