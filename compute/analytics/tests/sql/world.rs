//! A database in memory: its catalog from CREATE TABLE, its rows from INSERT.

use async_trait::async_trait;
use shardforge_analytics::{DataFusionEngine, EngineConfig};
use shardforge_common::{StorageId, TxnId};
use shardforge_compute::catalog::bootstrap::{POSTGRES, SUPERUSER};
use shardforge_compute::catalog::stored::{
    ColumnRow, ConstraintRow, DatabaseRow, IndexRow, NamespaceRow, RelationRow, RoleRow, TypeRow, VersionRow,
};
use shardforge_compute::catalog::system::{self, SystemRows};
use shardforge_compute::catalog::{DatabaseCatalog, PUBLIC, Rows as CatalogRows, SessionCatalog, TableKind};
use shardforge_compute::functions::EvalContext;
use shardforge_compute::report::{
    BoundOp, ReportContext, ReportEngine, RowStream, Rows, ScanSpec, TableSource,
};
use shardforge_compute::sql::bound::{Bound, BoundStatement, CreateTable, Ddl, Query};
use shardforge_compute::sql::{self, BindContext};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, compare, text};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Tables with their rows, and an engine.
pub(crate) struct World {
    pub(crate) engine: DataFusionEngine,
    catalog: Arc<DatabaseCatalog>,
    rows: Arc<BTreeMap<Oid, Rows>>,
    /// The scans that were asked for, as text.
    pub(crate) scans: Arc<Mutex<Vec<String>>>,
}

/// 2026-11-20 12:00 UTC.
const NOW: i64 = 848_491_200_000_000;

fn first_catalog_rows() -> CatalogRows {
    CatalogRows {
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
            database: POSTGRES,
            oid: PUBLIC,
            name: "public".to_owned(),
            owner: Oid(6171),
            acl: None,
        }],
        relations: Vec::new(),
        columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        types: Vec::new(),
        descriptions: Vec::new(),
        sequences: Vec::new(),
        table_statistics: Vec::new(),
        column_statistics: Vec::new(),
        shared_descriptions: Vec::new(),
    }
}

fn assemble(rows: CatalogRows) -> Arc<DatabaseCatalog> {
    let version = VersionRow { database: POSTGRES, txn: TxnId::from_bytes([1; 16]), nonce: 1 };
    Arc::new(DatabaseCatalog::assemble(version, rows).unwrap())
}

/// The rows of a table's definition, from an OID on.
fn define(rows: &mut CatalogRows, table: &CreateTable, first: u32) {
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
    rows.relations.push(relation(first, &table.name, b'r', first + 2, u64::from(first)));
    for (at, column) in table.columns.iter().enumerate() {
        rows.columns.push(ColumnRow {
            database,
            relation: Oid(first),
            number: at as i16 + 1,
            name: column.name.clone(),
            type_oid: column.ty.oid,
            typmod: column.ty.typmod,
            not_null: column.not_null,
            default_oid: if column.default.is_some() { Oid(first + 10 + at as u32) } else { Oid::INVALID },
            default: column.default.clone(),
            missing: None,
            identity: None,
            dropped: false,
        });
    }
    if let Some((name, columns)) = &table.primary_key {
        let columns: Vec<i16> = columns.iter().map(|column| *column as i16 + 1).collect();
        rows.relations.push(relation(first + 3, name, b'i', 0, 0));
        rows.indexes.push(IndexRow {
            database,
            oid: Oid(first + 3),
            table: Oid(first),
            unique: true,
            primary: true,
            options: vec![0; columns.len()],
            nulls_not_distinct: None,
            columns: columns.clone(),
        });
        rows.constraints.push(ConstraintRow {
            database,
            oid: Oid(first + 4),
            name: name.clone(),
            namespace: PUBLIC,
            kind: b'p',
            relation: Oid(first),
            index: Oid(first + 3),
            columns: Some(columns),
            expression: None,
        });
    }
    let ty = |oid, name: String, kind, relation, element, array| TypeRow {
        database,
        oid: Oid(oid),
        name,
        namespace: PUBLIC,
        owner: SUPERUSER,
        kind,
        relation: Oid(relation),
        element: Oid(element),
        array: Oid(array),
    };
    rows.types.push(ty(first + 1, format!("_{}", table.name), b'b', 0, first + 2, 0));
    rows.types.push(ty(first + 2, table.name.clone(), b'c', first, 0, first + 1));
}

impl World {
    /// With the tables and rows that statements make.
    pub(crate) fn new(config: EngineConfig, script: &str) -> Self {
        let mut world = World {
            engine: DataFusionEngine::start(config).unwrap(),
            catalog: assemble(first_catalog_rows()),
            rows: Arc::default(),
            scans: Arc::default(),
        };
        let mut definitions = Vec::new();
        let mut inserts = Vec::new();
        for statement in sql::parse(script).unwrap() {
            let text = statement.text().trim().to_owned();
            if text.to_lowercase().starts_with("create") {
                definitions.push(text)
            } else {
                inserts.push(text)
            }
        }
        let mut catalog_rows = first_catalog_rows();
        for (at, text) in definitions.iter().enumerate() {
            let BoundStatement::Ddl(Ddl::CreateTable(table)) = world.bind(text).unwrap().statement else {
                panic!("no table: {text}");
            };
            define(&mut catalog_rows, &table, 20_000 + 100 * at as u32);
        }
        world.catalog = assemble(catalog_rows);
        let mut rows: BTreeMap<Oid, Rows> = BTreeMap::new();
        for text in inserts {
            let BoundStatement::Insert(insert) = world.bind(&text).unwrap().statement else {
                panic!("no insert: {text}");
            };
            let inserted = world.run_query(insert.source, &[]).unwrap();
            rows.entry(insert.table.oid).or_default().extend(inserted);
        }
        world.rows = Arc::new(rows);
        world
    }

    fn session(&self) -> SessionCatalog {
        SessionCatalog::new(self.catalog.clone(), &["public"], "postgres")
    }

    /// Parses and binds one statement.
    pub(crate) fn bind(&self, text: &str) -> SqlResult<Bound> {
        let statements = sql::parse(text)?;
        let session = self.session();
        let context = self.context(&[]);
        let settings = context.session.settings();
        sql::bind(&statements[0], &BindContext { catalog: &session, settings, param_types: &[] })
    }

    pub(crate) fn context(&self, params: &[Datum]) -> ReportContext {
        let mut session = EvalContext::detached(NOW);
        session.catalog = Some(Arc::new(self.session()));
        let session = Arc::new(session);
        ReportContext {
            params: params.into(),
            tables: Arc::new(Tables {
                catalog: self.catalog.clone(),
                rows: self.rows.clone(),
                session: session.clone(),
                scans: self.scans.clone(),
            }),
            session,
        }
    }

    fn run_query(&self, query: Query, params: &[Datum]) -> SqlResult<Rows> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = self.engine.run(Arc::new(query), self.context(params)).await?;
            let mut rows = Rows::new();
            loop {
                let batch = stream.next().await?;
                if batch.is_empty() {
                    return Ok(rows);
                }
                rows.extend(batch);
            }
        })
    }

    /// A query's bound form.
    pub(crate) fn query(&self, text: &str) -> SqlResult<Query> {
        match self.bind(text)?.statement {
            BoundStatement::Query(query) => Ok(query),
            other => Err(SqlError::internal(format!("no query: {other:?}"))),
        }
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, text: &str, params: &[Datum]) -> SqlResult<Rows> {
        self.run_query(self.query(text)?, params)
    }

    /// The rows of a query as text, a line each.
    pub(crate) fn lines(&self, text: &str) -> SqlResult<Vec<String>> {
        let query = self.query(text)?;
        let types: Vec<_> = query.output.iter().map(|column| column.ty).collect();
        let context = self.context(&[]);
        let rows = self.run_query(query, &[])?;
        let show = |row: Vec<Datum>| {
            let values = row.iter().zip(&types).map(|(value, ty)| {
                text::output_string(value, *ty, context.session.settings())
                    .unwrap_or_else(|| "NULL".to_owned())
            });
            values.collect::<Vec<_>>().join("|")
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// The plan of a query.
    pub(crate) fn explain(&self, text: &str) -> SqlResult<Vec<String>> {
        let query = self.query(text)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.engine.explain(Arc::new(query), self.context(&[])))
    }
}

struct Tables {
    catalog: Arc<DatabaseCatalog>,
    rows: Arc<BTreeMap<Oid, Rows>>,
    session: Arc<EvalContext>,
    scans: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl TableSource for Tables {
    async fn scan(&self, scan: ScanSpec) -> SqlResult<Box<dyn RowStream>> {
        let bounds: Vec<String> = scan
            .bounds
            .iter()
            .map(|bound| {
                format!("{} {:?} {:?}", scan.table.columns[bound.column].name, bound.op, bound.value)
            })
            .collect();
        self.scans.lock().unwrap().push(format!("{} [{}]", scan.table.name, bounds.join(", ")));
        if scan.table.kind != TableKind::Table {
            let rows = system::scan(&scan.table, &self.catalog, &self.session, &scan.columns)?;
            return Ok(Box::new(SystemRows::new(rows)));
        }
        let empty = Rows::new();
        let all = self.rows.get(&scan.table.oid).unwrap_or(&empty);
        // Bounds are taken at their word, so that a wrong one shows.
        let passes = |row: &&Vec<Datum>| {
            scan.bounds.iter().all(|bound| {
                let value = &row[bound.column];
                let order = compare::compare(value, &bound.value, scan.table.columns[bound.column].ty);
                !value.is_null()
                    && match bound.op {
                        BoundOp::Lt => order == Ordering::Less,
                        BoundOp::Le => order != Ordering::Greater,
                        BoundOp::Eq => order == Ordering::Equal,
                        BoundOp::Ge => order != Ordering::Less,
                        BoundOp::Gt => order == Ordering::Greater,
                    }
            })
        };
        let pick = |row: &Vec<Datum>| scan.columns.iter().map(|column| row[*column].clone()).collect();
        let rows: Rows = all.iter().filter(passes).map(pick).collect();
        Ok(Box::new(SystemRows::new(rows)))
    }
}
