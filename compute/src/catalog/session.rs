//! A database's catalog as one session's statement sees it: with a search path and a user.

use super::database::{DatabaseCatalog, PG_CATALOG};
use super::system;
use super::{SequenceDef, TableDef};
use crate::row_exec::UNKNOWN_ROWS;
use crate::sql::CatalogLookup;
use crate::statistics::{Activity, TableActivity, TableStatistics};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// The catalog of a statement.
#[derive(Clone)]
pub struct SessionCatalog {
    catalog: Arc<DatabaseCatalog>,
    /// The schemas in which names without one are looked up, in order; `pg_catalog` among them.
    path: Arc<[Oid]>,
    /// The first schema that the path names and that exists.
    creation: Option<(Oid, String)>,
    /// What happens to tables; `None` in tests.
    activity: Option<Arc<TableActivity>>,
}

impl SessionCatalog {
    /// With a `search_path` as the setting lists it; `"$user"` is the schema of the user's name, and
    /// names of schemas that do not exist are passed over.
    pub fn new<S: AsRef<str>>(catalog: Arc<DatabaseCatalog>, search_path: &[S], user: &str) -> Self {
        let mut path = Vec::new();
        let mut creation = None;
        for name in search_path {
            let name = if name.as_ref() == "$user" { user } else { name.as_ref() };
            if let Some(oid) = catalog.namespace_oid(name).filter(|oid| !path.contains(oid)) {
                path.push(oid);
                creation.get_or_insert_with(|| (oid, name.to_owned()));
            }
        }
        if !path.contains(&PG_CATALOG) {
            path.insert(0, PG_CATALOG);
        }
        Self { catalog, path: path.into(), creation, activity: None }
    }

    /// The same, which knows what happens to tables.
    #[must_use]
    pub fn with_activity(self, activity: Arc<TableActivity>) -> Self {
        Self { activity: Some(activity), ..self }
    }

    /// What is known of a table's contents, as far as it is known by now.
    pub fn statistics(&self, table: &TableDef) -> Option<Arc<TableStatistics>> {
        let known = self.catalog.statistics(table.oid);
        match &self.activity {
            Some(activity) => activity.statistics(table, known),
            None => known.cloned(),
        }
    }

    /// How large a table is by now, and how much of it has changed since it was last looked at.
    pub fn activity(&self, table: &TableDef) -> Option<Activity> {
        let known = self.catalog.statistics(table.oid).map(|known| &**known);
        self.activity.as_ref()?.of(table, known)
    }

    /// The database's catalog.
    pub fn database_catalog(&self) -> &Arc<DatabaseCatalog> {
        &self.catalog
    }

    /// The schemas in which names without one are looked up, in order.
    pub fn path(&self) -> &[Oid] {
        &self.path
    }

    /// A relation in one schema.
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        system::relation_by_name(schema, name).or_else(|| self.catalog.relation_oid(schema, name))
    }

    /// A relation in a schema, or the first of its name on the path.
    pub fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        match schema {
            Some(schema) => self.relation_in(self.catalog.namespace_oid(schema)?, name),
            None => self.path.iter().find_map(|schema| self.relation_in(*schema, name)),
        }
    }

    /// A table or catalog by its OID.
    pub fn table_by_oid(&self, oid: Oid) -> Option<Arc<TableDef>> {
        let own = || self.catalog.table(oid).or_else(|| self.catalog.sequence_table(oid));
        system::table(oid).or_else(own).cloned()
    }
}

impl CatalogLookup for SessionCatalog {
    fn table(&self, schema: Option<&str>, name: &str) -> SqlResult<Option<Arc<TableDef>>> {
        Ok(self.find_relation(schema, name).and_then(|oid| self.table_by_oid(oid)))
    }

    fn relation(&self, schema: Option<&str>, name: &str) -> SqlResult<Option<Oid>> {
        Ok(self.find_relation(schema, name))
    }

    fn schema(&self, name: &str) -> SqlResult<Option<Oid>> {
        Ok(self.catalog.namespace_oid(name))
    }

    fn role(&self, name: &str) -> SqlResult<Option<Oid>> {
        let stored = self.catalog.roles().iter().find(|row| row.name == name).map(|row| row.oid);
        Ok(stored.or_else(|| system::predefined_role_by_name(name)))
    }

    fn creation_schema(&self) -> SqlResult<(Oid, String)> {
        self.creation.clone().ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
        })
    }

    fn sequence(&self, oid: Oid) -> Option<Arc<SequenceDef>> {
        self.catalog.sequence(oid).cloned()
    }

    fn sequences_of(&self, table: Oid) -> Vec<Arc<SequenceDef>> {
        self.catalog.sequences_of(table).cloned().collect()
    }

    fn database(&self) -> &str {
        self.catalog.name()
    }

    fn table_rows(&self, table: Oid) -> Option<f64> {
        let known = self.catalog.statistics(table);
        match self.catalog.table(table).and_then(|table| self.activity(table)) {
            // It may be about to be filled, and plans are kept.
            Some(now) if known.is_none() => Some(now.rows).filter(|rows| *rows > UNKNOWN_ROWS),
            Some(now) => Some(now.rows),
            None => known.map(|known| known.rows),
        }
    }
}
