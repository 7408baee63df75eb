//! Schema changes: names looked up as far as they must exist, types and defaults checked.

use super::Binder;
use crate::catalog::{TableDef, TableKind};
use crate::sql::ast::{Ident, ObjectName, Statement};
use crate::sql::bound::Ddl;
use crate::{Notice, SqlError, SqlResult};
use shardforge_types::SqlState;
use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn ddl(&mut self, statement: &Statement) -> SqlResult<Ddl> {
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateTableAs(create) => self.create_table_as(create),
            Statement::CreateSchema { name, if_not_exists } => {
                let name = name.name().to_owned();
                if name.starts_with("pg_") {
                    let message = format!("unacceptable schema name \"{name}\"");
                    return Err(SqlError::new(SqlState::RESERVED_NAME, message)
                        .detail("The prefix \"pg_\" is reserved for system schemas."));
                }
                if self.ctx.catalog.schema(&name)?.is_some() {
                    if *if_not_exists {
                        let message = format!("schema \"{name}\" already exists, skipping");
                        let notices = vec![Notice::new(SqlState::DUPLICATE_SCHEMA, message)];
                        return Ok(Ddl::Nothing { tag: "CREATE SCHEMA", notices });
                    }
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_SCHEMA,
                        format!("schema \"{name}\" already exists"),
                    ));
                }
                Ok(Ddl::CreateSchema { name, if_not_exists: *if_not_exists })
            }
            Statement::CreateIndex(create) => self.create_index(create).map_err(unplaced),
            Statement::DropIndex { names, if_exists, cascade: _, concurrently } => {
                self.drop_index(names, *if_exists, *concurrently)
            }
            Statement::RenameIndex { name, if_exists, to } => Ok(Ddl::RenameIndex {
                name: self.index_name(name)?,
                if_exists: *if_exists,
                to: to.name.clone(),
            }),
            Statement::Reindex { name, table, concurrently } => {
                let name = self.index_name(name)?;
                Ok(Ddl::Reindex { name, table: *table, concurrently: *concurrently })
            }
            Statement::CreateSequence { name, if_not_exists, options } => {
                self.create_sequence(name, *if_not_exists, options)
            }
            Statement::AlterSequence { name, if_exists, action } => {
                self.alter_sequence(name, *if_exists, action)
            }
            Statement::DropSequence { names, if_exists, cascade } => {
                self.drop_sequence(names, *if_exists, *cascade)
            }
            Statement::CreateRole { name, options } => Ok(Ddl::CreateRole(self.role_options(name, options)?)),
            Statement::AlterRole { name, options } => Ok(Ddl::AlterRole(self.role_options(name, options)?)),
            Statement::DropRole { names, if_exists } => {
                let names = names.iter().map(|name| name.name.clone()).collect();
                Ok(Ddl::DropRole { names, if_exists: *if_exists })
            }
            Statement::CreateDatabase { name, options } => {
                self.database_options(options)?;
                Ok(Ddl::CreateDatabase { name: name.name.clone() })
            }
            Statement::DropDatabase { name, if_exists, force } => {
                if *force {
                    return Err(SqlError::not_supported("DROP DATABASE WITH (FORCE)"));
                }
                Ok(Ddl::DropDatabase { name: name.name.clone(), if_exists: *if_exists })
            }
            Statement::DropSchema { names, if_exists, cascade } => {
                let mut found = Vec::new();
                for name in names {
                    let name = name.name().to_owned();
                    if self.ctx.catalog.schema(&name)?.is_none() {
                        if *if_exists && names.len() == 1 {
                            let notice = format!("schema \"{name}\" does not exist, skipping");
                            return Ok(Ddl::Nothing { tag: "DROP SCHEMA", notices: vec![notice.into()] });
                        }
                        if *if_exists {
                            continue;
                        }
                        let message = format!("schema \"{name}\" does not exist");
                        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
                    }
                    found.push(name);
                }
                Ok(Ddl::DropSchema { names: found, if_exists: *if_exists, cascade: *cascade })
            }
            Statement::DropTable { names, if_exists, cascade } => {
                self.drop_table(names, *if_exists, *cascade)
            }
            Statement::Truncate { names, restart_identity, cascade } => {
                let mut tables: Vec<Arc<TableDef>> = Vec::new();
                for name in names {
                    let found = self.lookup_table(name).map_err(|error| match error.sqlstate() {
                        SqlState::WRONG_OBJECT_TYPE => {
                            let message = format!("\"{}\" is not a table", name.name());
                            SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                        }
                        _ => unplaced(error),
                    });
                    let table = self.own_table(name, found?)?;
                    if !tables.iter().any(|known| known.oid == table.oid) {
                        tables.push(table);
                    }
                }
                Ok(Ddl::Truncate { tables, restart_identity: *restart_identity, cascade: *cascade })
            }
            Statement::AlterTable { name, if_exists, actions } => {
                self.alter_table(name, *if_exists, actions).map_err(unplaced)
            }
            _ => Err(SqlError::internal("not a schema change")),
        }
    }

    /// A table that users may change.
    pub(super) fn own_table(&self, name: &ObjectName, table: Arc<TableDef>) -> SqlResult<Arc<TableDef>> {
        match table.kind {
            TableKind::Table => Ok(table),
            TableKind::Catalog => {
                let message = format!("permission denied: \"{}\" is a system catalog", table.name);
                Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
            }
            TableKind::Virtual => {
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", name.name())))
            }
            TableKind::Sequence => {
                let message = format!("\"{}\" is not a table", name.name());
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    fn database_options(&self, options: &[(Ident, Option<String>)]) -> SqlResult<()> {
        for (name, value) in options {
            let value = value.as_deref().unwrap_or_default();
            let plain = value.to_ascii_lowercase();
            let fits = value.is_empty()
                || match name.name.as_str() {
                    "encoding" => matches!(plain.as_str(), "utf8" | "utf-8" | "unicode" | "6"),
                    "template" => matches!(plain.as_str(), "template0" | "template1"),
                    "locale" | "lc_collate" | "lc_ctype" => {
                        matches!(plain.as_str(), "c" | "posix" | "c.utf-8" | "c.utf8")
                    }
                    "locale_provider" => plain == "libc",
                    "tablespace" => plain == "pg_default",
                    "connection limit" => plain == "-1",
                    "allow_connections" => matches!(plain.as_str(), "true" | "on" | "1"),
                    "is_template" => matches!(plain.as_str(), "false" | "off" | "0"),
                    "owner" | "strategy" | "collation_version" | "icu_locale" | "oid" => false,
                    _ => {
                        let message = format!("option \"{}\" not recognized", name.name);
                        return Err(self.error(SqlState::SYNTAX_ERROR, message, name.loc));
                    }
                };
            if !fits {
                let what = format!("CREATE DATABASE with {} {value}", name.name.to_uppercase());
                return Err(self.unsupported(what.trim_end(), name.loc));
            }
        }
        Ok(())
    }

    fn drop_table(&self, names: &[ObjectName], if_exists: bool, cascade: bool) -> SqlResult<Ddl> {
        let mut tables: Vec<Arc<TableDef>> = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            match self.lookup_table_if_exists(name)? {
                Some(table) => {
                    let is_sequence = table.kind == TableKind::Sequence;
                    let table = self.own_table(name, table).map_err(|error| match is_sequence {
                        true => error.hint("Use DROP SEQUENCE to remove a sequence."),
                        false => error,
                    })?;
                    if !tables.iter().any(|known| known.oid == table.oid) {
                        tables.push(table);
                    }
                }
                None if self.is_index(name)? => {
                    let message = format!("\"{}\" is not a table", name.name());
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                        .hint("Use DROP INDEX to remove an index."));
                }
                None if if_exists => missing.push(name.name().to_owned()),
                None => {
                    if let Some(schema) = name.schema()
                        && self.ctx.catalog.schema(schema)?.is_none()
                    {
                        let message = format!("schema \"{schema}\" does not exist");
                        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
                    }
                    let message = format!("table \"{}\" does not exist", name.name());
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
            }
        }
        Ok(Ddl::DropTable { tables, missing, cascade })
    }
}

/// What is done while the statement runs has no place in its text.
pub(super) fn unplaced(mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error
}
