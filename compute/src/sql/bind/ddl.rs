//! Schema changes: names looked up as far as they must exist, types and defaults checked.

use super::Binder;
use super::scope::{Item, Scope, ScopeCol, ScopeTable};
use super::types::type_name;
use crate::catalog::builtin;
use crate::catalog::{TableDef, TableKind};
use crate::sql::ast::{
    self, AlterAction, ColumnDef, ConstraintKind, CreateTableAs, Ident, Loc, ObjectName, Span, Statement,
    StorageOption, TableConstraint,
};
use crate::sql::bound::{AlterTableAction, CreateTable, Ddl, Expr, NewColumn};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};
use std::sync::Arc;

/// The most columns a table can have.
const MAX_COLUMNS: usize = 1600;

/// Parameters of WITH (...) that PostgreSQL knows and that have no meaning here.
const STORAGE_PARAMETERS: &[&str] = &[
    "fillfactor",
    "toast_tuple_target",
    "parallel_workers",
    "vacuum_truncate",
    "vacuum_index_cleanup",
    "user_catalog_table",
];

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
                        let notice = format!("schema \"{name}\" already exists, skipping");
                        return Ok(Ddl::Nothing { tag: "CREATE SCHEMA", notice });
                    }
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_SCHEMA,
                        format!("schema \"{name}\" already exists"),
                    ));
                }
                Ok(Ddl::CreateSchema { name, if_not_exists: *if_not_exists })
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
                            return Ok(Ddl::Nothing { tag: "DROP SCHEMA", notice });
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
                    let table = self.own_table(name, self.lookup_table(name).map_err(unplaced)?)?;
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
    fn own_table(&self, name: &ObjectName, table: Arc<TableDef>) -> SqlResult<Arc<TableDef>> {
        match table.kind {
            TableKind::Table => Ok(table),
            TableKind::Catalog => {
                let message = format!("permission denied: \"{}\" is a system catalog", table.name);
                Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
            }
            TableKind::Virtual => {
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", name.name())))
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

    /// Where a new table goes, and whether its name is taken there.
    fn new_relation(&self, name: &ObjectName) -> SqlResult<(Oid, bool)> {
        self.check_database(name)?;
        let (schema, schema_name) = match name.schema() {
            Some(schema) => {
                let found = self.ctx.catalog.schema(schema)?.ok_or_else(|| {
                    let message = format!("schema \"{schema}\" does not exist");
                    self.error(SqlState::INVALID_SCHEMA_NAME, message, name.loc)
                })?;
                (found, schema.to_owned())
            }
            None => self.ctx.catalog.creation_schema().map_err(|error| error.at(self.position(name.loc)))?,
        };
        if matches!(schema_name.as_str(), "pg_catalog" | "information_schema") {
            let message = format!("permission denied to create \"{schema_name}.{}\"", name.name());
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("System catalog modifications are currently disallowed."));
        }
        let taken = self.ctx.catalog.relation(Some(&schema_name), name.name())?.is_some();
        Ok((schema, taken))
    }

    fn create_table(&mut self, create: &ast::CreateTable) -> SqlResult<Ddl> {
        if let Some(what) = &create.unsupported {
            return Err(SqlError::not_supported(what));
        }
        let (schema, taken) = self.new_relation(&create.name)?;
        let name = create.name.name();
        if taken {
            return taken_name("CREATE TABLE", name, create.if_not_exists);
        }
        if create.columns.len() > MAX_COLUMNS {
            let message = format!("tables can have at most {MAX_COLUMNS} columns");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let mut table = CreateTable {
            schema,
            name: name.to_owned(),
            columns: Vec::new(),
            primary_key: None,
            unique: Vec::new(),
            checks: Vec::new(),
            notices: self.storage_notices(&create.options)?,
        };
        for column in &create.columns {
            if create.columns.iter().filter(|other| other.name.name == column.name.name).count() > 1 {
                let message = format!("column \"{}\" specified more than once", column.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            table.columns.push(self.new_column(column)?);
        }
        for (index, column) in create.columns.iter().enumerate() {
            for constraint in &column.constraints {
                self.add_constraint(
                    &mut table,
                    constraint.name.as_deref(),
                    &constraint.kind,
                    vec![index],
                    constraint.loc,
                )?;
            }
        }
        for constraint in &create.constraints {
            let columns = self.key_columns(&table, constraint)?;
            self.add_constraint(
                &mut table,
                constraint.name.as_deref(),
                &constraint.kind,
                columns,
                constraint.loc,
            )?;
        }
        let in_columns = create
            .columns
            .iter()
            .flat_map(|column| column.constraints.iter().map(|constraint| &constraint.kind));
        let all = in_columns.chain(create.constraints.iter().map(|constraint| &constraint.kind));
        let checks: Vec<&ast::Expr> = all
            .filter_map(|kind| match kind {
                ConstraintKind::Check { expr, .. } => Some(expr),
                _ => None,
            })
            .collect();
        self.check_new_checks(&table, &checks)?;
        Ok(Ddl::CreateTable(table))
    }

    fn key_columns(&self, table: &CreateTable, constraint: &TableConstraint) -> SqlResult<Vec<usize>> {
        let mut out: Vec<usize> = Vec::new();
        for name in &constraint.columns {
            let index =
                table.columns.iter().position(|column| column.name == name.name).ok_or_else(|| {
                    let message = format!("column \"{}\" named in key does not exist", name.name);
                    self.error(SqlState::UNDEFINED_COLUMN, message, constraint.loc)
                })?;
            if out.contains(&index) {
                let kind =
                    if constraint.kind == ConstraintKind::PrimaryKey { "primary key" } else { "unique" };
                let message = format!("column \"{}\" appears twice in {kind} constraint", name.name);
                return Err(self.error(SqlState::DUPLICATE_COLUMN, message, constraint.loc));
            }
            out.push(index);
        }
        Ok(out)
    }

    fn add_constraint(
        &mut self,
        table: &mut CreateTable,
        name: Option<&str>,
        kind: &ConstraintKind,
        columns: Vec<usize>,
        loc: Loc,
    ) -> SqlResult<()> {
        match kind {
            ConstraintKind::Null | ConstraintKind::NotNull | ConstraintKind::Default { .. } => Ok(()),
            ConstraintKind::Unsupported(what) => Err(self.unsupported(what, loc)),
            ConstraintKind::PrimaryKey => {
                if table.primary_key.is_some() {
                    let message =
                        format!("multiple primary keys for table \"{}\" are not allowed", table.name);
                    return Err(self.error(SqlState::INVALID_TABLE_DEFINITION, message, loc));
                }
                for index in &columns {
                    self.need_key_type(table.columns[*index].ty)?;
                    table.columns[*index].not_null = true;
                }
                let name = name
                    .map_or_else(|| object_name(&table.name, "", "pkey", &taken_names(table)), str::to_owned);
                table.primary_key = Some((name, columns));
                Ok(())
            }
            ConstraintKind::Unique { nulls_not_distinct } => {
                if *nulls_not_distinct {
                    return Err(self.unsupported("UNIQUE NULLS NOT DISTINCT", loc));
                }
                for index in &columns {
                    self.need_key_type(table.columns[*index].ty)?;
                }
                let names: Vec<&str> =
                    columns.iter().map(|index| table.columns[*index].name.as_str()).collect();
                let made = || object_name(&table.name, &names.join("_"), "key", &taken_names(table));
                let name = name.map_or_else(made, str::to_owned);
                table.unique.push((name, columns));
                Ok(())
            }
            ConstraintKind::Check { expr, span } => {
                let column = match columns.as_slice() {
                    [index] => Some(table.columns[*index].name.clone()),
                    _ => only_column(expr),
                };
                let made = || {
                    object_name(&table.name, column.as_deref().unwrap_or(""), "check", &taken_names(table))
                };
                let name = name.map_or_else(made, str::to_owned);
                table.checks.push((name, self.span_text(span)));
                Ok(())
            }
        }
    }

    fn span_text(&self, span: &Span) -> String {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default().to_owned()
    }

    /// CHECK constraints must bind over the table to be.
    fn check_new_checks(&mut self, table: &CreateTable, checks: &[&ast::Expr]) -> SqlResult<()> {
        let cols = table.columns.iter().map(|column| {
            let expr = Expr::col(self.new_col(), column.ty);
            ScopeCol { name: column.name.clone(), expr, origin: None }
        });
        let cols = cols.collect();
        let item = Item::new(ScopeTable { alias: table.name.clone(), schema: None, cols, table: None });
        let scope = Scope::with_tables(None, vec![item]);
        checks.iter().try_for_each(|check| self.check_condition(check, &scope).map(drop))
    }

    fn new_column(&mut self, column: &ColumnDef) -> SqlResult<NewColumn> {
        if let Some(collation) = &column.collation {
            self.check_collation(collation, collation.loc)?;
        }
        if let [name] = column.ty.names.as_slice() {
            if matches!(
                name.as_str(),
                "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2"
            ) {
                return Err(self.unsupported(format!("type {name} (sequences)"), column.ty.loc));
            }
        }
        let ty = self.resolve_value_type(&column.ty, Some(&column.name.name))?;
        if !storable(ty.oid) {
            return Err(self.unsupported(format!("a column of type {}", type_name(ty.oid)), column.ty.loc));
        }
        let name = column.name.name.clone();
        if matches!(name.as_str(), "tableoid" | "ctid" | "xmin" | "xmax" | "cmin" | "cmax") {
            let message = format!("column name \"{name}\" conflicts with a system column name");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let mut out = NewColumn { name, ty, not_null: false, default: None };
        let mut nullable = false;
        for constraint in &column.constraints {
            match &constraint.kind {
                ConstraintKind::NotNull => out.not_null = true,
                ConstraintKind::Null => nullable = true,
                ConstraintKind::Default { expr, span } => {
                    if out.default.is_some() {
                        let message =
                            format!("multiple default values specified for column \"{}\"", out.name);
                        return Err(self.error(SqlState::SYNTAX_ERROR, message, constraint.loc));
                    }
                    self.default_value(expr, ty, &out.name)?;
                    let text = self.span_text(span);
                    out.default = (!text.eq_ignore_ascii_case("null")).then_some(text);
                }
                _ => {}
            }
        }
        if nullable && out.not_null {
            let message = format!("conflicting NULL/NOT NULL declarations for column \"{}\"", out.name);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        Ok(out)
    }

    fn need_key_type(&self, ty: PgType) -> SqlResult<()> {
        if builtin::ordering(ty.oid).is_some_and(|ordering| ordering.lt != Oid::INVALID) {
            return Ok(());
        }
        let message = format!(
            "data type {} has no default operator class for access method \"btree\"",
            type_name(ty.oid)
        );
        Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            .hint("You must specify an operator class for the index or define a default operator class for the data type."))
    }

    fn storage_notices(&self, options: &[StorageOption]) -> SqlResult<Vec<String>> {
        let mut out = Vec::new();
        for option in options {
            let known = STORAGE_PARAMETERS.contains(&option.name.as_str())
                || option.name.starts_with("autovacuum_")
                || option.name.starts_with("log_autovacuum")
                || option.name.starts_with("toast.");
            if !known {
                let message = format!("unrecognized parameter \"{}\"", option.name);
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            out.push(format!("storage parameter \"{}\" has no meaning here", option.name));
        }
        Ok(out)
    }

    fn create_table_as(&mut self, create: &CreateTableAs) -> SqlResult<Ddl> {
        if let Some(what) = &create.unsupported {
            return Err(SqlError::not_supported(what));
        }
        let query = self.top_query(&create.query, &Scope::empty())?;
        let (schema, taken) = self.new_relation(&create.name)?;
        let name = create.name.name();
        if taken {
            return taken_name("CREATE TABLE AS", name, create.if_not_exists);
        }
        if create.columns.len() > query.output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
        }
        let mut columns: Vec<NewColumn> = Vec::new();
        for (index, output) in query.output.iter().enumerate() {
            let name =
                create.columns.get(index).map_or_else(|| output.name.clone(), |given| given.name.clone());
            if columns.iter().any(|column| column.name == name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            let ty = PgType::with_typmod(builtin::base_type(output.ty.oid), output.ty.typmod);
            if !storable(ty.oid) {
                return Err(SqlError::not_supported(format!("a column of type {}", type_name(ty.oid))));
            }
            columns.push(NewColumn { name, ty, not_null: false, default: None });
        }
        let table = CreateTable {
            schema,
            name: name.to_owned(),
            columns,
            primary_key: None,
            unique: Vec::new(),
            checks: Vec::new(),
            notices: self.storage_notices(&create.options)?,
        };
        Ok(Ddl::CreateTableAs { table, query, no_data: create.no_data })
    }

    fn drop_table(&self, names: &[ObjectName], if_exists: bool, cascade: bool) -> SqlResult<Ddl> {
        let mut tables: Vec<Arc<TableDef>> = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            match self.lookup_table_if_exists(name)? {
                Some(table) => {
                    let table = self.own_table(name, table)?;
                    if !tables.iter().any(|known| known.oid == table.oid) {
                        tables.push(table);
                    }
                }
                None if if_exists => missing.push(name.name().to_owned()),
                None => {
                    if let Some(schema) = name.schema() {
                        if self.ctx.catalog.schema(schema)?.is_none() {
                            let message = format!("schema \"{schema}\" does not exist");
                            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
                        }
                    }
                    let message = format!("table \"{}\" does not exist", name.name());
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
            }
        }
        Ok(Ddl::DropTable { tables, missing, cascade })
    }

    fn alter_table(&mut self, name: &ObjectName, if_exists: bool, actions: &[AlterAction]) -> SqlResult<Ddl> {
        let table = match self.lookup_table_if_exists(name)? {
            Some(table) => self.own_table(name, table)?,
            None if if_exists => {
                let notice = format!("relation \"{}\" does not exist, skipping", name.name());
                return Ok(Ddl::Nothing { tag: "ALTER TABLE", notice });
            }
            None => self.lookup_table(name)?,
        };
        let mut out = Vec::new();
        let mut notices = Vec::new();
        for action in actions {
            self.alter_action(&table, action, &mut out, &mut notices)?;
        }
        if out.is_empty() {
            return Ok(Ddl::Nothing { tag: "ALTER TABLE", notice: notices.join("; ") });
        }
        Ok(Ddl::AlterTable { table, actions: out })
    }

    fn alter_action(
        &mut self,
        table: &Arc<TableDef>,
        action: &AlterAction,
        out: &mut Vec<AlterTableAction>,
        notices: &mut Vec<String>,
    ) -> SqlResult<()> {
        let position = |binder: &Self, name: &Ident| {
            table.column(&name.name).ok_or_else(|| {
                let mut error = binder.no_column(table, name);
                error.fields_mut().position = None;
                error
            })
        };
        out.push(match action {
            AlterAction::Unsupported(what) => return Err(SqlError::not_supported(what)),
            AlterAction::SetOptions(options) => {
                notices.extend(self.storage_notices(options)?);
                return Ok(());
            }
            AlterAction::AddConstraint(constraint) => return self.add_to_table(table, constraint, out),
            AlterAction::AddColumn { column, if_not_exists } => {
                if table.column(&column.name.name).is_some() {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" already exists",
                        column.name.name, table.name
                    );
                    if *if_not_exists {
                        notices.push(format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
                }
                for constraint in &column.constraints {
                    let what = match &constraint.kind {
                        ConstraintKind::PrimaryKey => "PRIMARY KEY",
                        ConstraintKind::Unique { .. } => "UNIQUE",
                        ConstraintKind::Check { .. } => "CHECK",
                        ConstraintKind::Unsupported(what) => what,
                        _ => continue,
                    };
                    return Err(
                        self.unsupported(format!("ALTER TABLE ADD COLUMN with {what}"), constraint.loc)
                    );
                }
                AlterTableAction::AddColumn(self.new_column(column)?)
            }
            AlterAction::DropColumn { name, if_exists, cascade: _ } => {
                if *if_exists && table.column(&name.name).is_none() {
                    notices.push(format!(
                        "column \"{}\" of relation \"{}\" does not exist, skipping",
                        name.name, table.name
                    ));
                    return Ok(());
                }
                AlterTableAction::DropColumn { column: position(self, name)? }
            }
            AlterAction::Rename(name) => {
                if self.ctx.catalog.relation(Some(&table.schema_name), &name.name)?.is_some() {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_TABLE,
                        format!("relation \"{}\" already exists", name.name),
                    ));
                }
                AlterTableAction::Rename { name: name.name.clone() }
            }
            AlterAction::RenameColumn { from, to } => {
                let column = table.column(&from.name).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{}\" does not exist", from.name),
                    )
                })?;
                if table.column(&to.name).is_some() {
                    let message =
                        format!("column \"{}\" of relation \"{}\" already exists", to.name, table.name);
                    return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
                }
                AlterTableAction::RenameColumn { column, name: to.name.clone() }
            }
            AlterAction::SetNotNull { column, not_null } => {
                let column = position(self, column)?;
                let in_key = table
                    .primary_key
                    .as_ref()
                    .is_some_and(|key| key.keys.iter().any(|key| key.column == column));
                if !not_null && in_key {
                    let message = format!("column \"{}\" is in a primary key", table.columns[column].name);
                    return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
                }
                AlterTableAction::SetNotNull { column, not_null: *not_null }
            }
            AlterAction::SetDefault { column, default } => {
                let column = position(self, column)?;
                let def = &table.columns[column];
                let default = match default {
                    None => None,
                    Some((expr, span)) => {
                        self.default_value(expr, def.ty, &def.name)?;
                        Some(self.span_text(span)).filter(|text| !text.eq_ignore_ascii_case("null"))
                    }
                };
                AlterTableAction::SetDefault { column, default }
            }
        });
        Ok(())
    }

    fn add_to_table(
        &self,
        table: &TableDef,
        constraint: &TableConstraint,
        out: &mut Vec<AlterTableAction>,
    ) -> SqlResult<()> {
        let what = match &constraint.kind {
            ConstraintKind::PrimaryKey => {
                let again = out.iter().any(|action| matches!(action, AlterTableAction::AddPrimaryKey { .. }));
                if table.primary_key.is_some() || again {
                    let message =
                        format!("multiple primary keys for table \"{}\" are not allowed", table.name);
                    return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
                }
                let mut columns: Vec<usize> = Vec::new();
                for name in &constraint.columns {
                    let position = table.column(&name.name).ok_or_else(|| {
                        let message =
                            format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name);
                        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
                    })?;
                    if columns.contains(&position) {
                        let message =
                            format!("column \"{}\" appears twice in primary key constraint", name.name);
                        return Err(self.error(SqlState::DUPLICATE_COLUMN, message, constraint.loc));
                    }
                    self.need_key_type(table.columns[position].ty)?;
                    columns.push(position);
                }
                let taken: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
                let name = constraint.name.clone();
                let name = name.unwrap_or_else(|| object_name(&table.name, "", "pkey", &taken));
                out.push(AlterTableAction::AddPrimaryKey { name, columns });
                return Ok(());
            }
            ConstraintKind::Unique { .. } => "UNIQUE",
            ConstraintKind::Check { .. } => "CHECK",
            ConstraintKind::Unsupported(what) => what,
            _ => "a constraint",
        };
        Err(self.unsupported(format!("ALTER TABLE ADD {what}"), constraint.loc))
    }
}

/// What is done while the statement runs has no place in its text.
pub(super) fn unplaced(mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error
}

fn taken_name(tag: &'static str, name: &str, if_not_exists: bool) -> SqlResult<Ddl> {
    let message = format!("relation \"{name}\" already exists");
    if if_not_exists {
        return Ok(Ddl::Nothing { tag, notice: format!("{message}, skipping") });
    }
    Err(SqlError::new(SqlState::DUPLICATE_TABLE, message))
}

/// Names of constraints that a table already has.
fn taken_names(table: &CreateTable) -> Vec<&str> {
    let key = table.primary_key.iter().map(|(name, _)| name.as_str());
    let unique = table.unique.iter().map(|(name, _)| name.as_str());
    key.chain(unique).chain(table.checks.iter().map(|(name, _)| name.as_str())).collect()
}

/// `table_column_label`, cut to the length of a name, numbered when it is taken.
fn object_name(table: &str, column: &str, label: &str, taken: &[&str]) -> String {
    for number in 0.. {
        let label = if number == 0 { label.to_owned() } else { format!("{label}{number}") };
        let room = 63 - label.len() - 1 - usize::from(!column.is_empty());
        let (mut table, mut column) = (table, column);
        // The longer part gives way.
        while table.len() + column.len() > room {
            let longer = if table.len() > column.len() { &mut table } else { &mut column };
            let end = longer.char_indices().next_back().map_or(0, |(at, _)| at);
            *longer = &longer[..end];
        }
        let name =
            if column.is_empty() { format!("{table}_{label}") } else { format!("{table}_{column}_{label}") };
        if !taken.contains(&name.as_str()) {
            return name;
        }
    }
    unreachable!("some number is free")
}

/// The one column that an expression names, for the name of a constraint.
fn only_column(expr: &ast::Expr) -> Option<String> {
    fn visit<'e>(expr: &'e ast::Expr, names: &mut Vec<&'e str>) {
        use ast::ExprKind as K;
        match &expr.kind {
            K::Column(parts) => names.extend(parts.last().map(String::as_str)),
            K::Op { left, right, .. } => {
                left.iter().for_each(|left| visit(left, names));
                visit(right, names);
            }
            K::And(args) | K::Or(args) | K::Coalesce(args) | K::Array(args) => {
                args.iter().for_each(|arg| visit(arg, names))
            }
            K::Not(arg) | K::IsNull { arg, .. } | K::Cast { arg, .. } | K::BoolTest { arg, .. } => {
                visit(arg, names)
            }
            K::In { left, list, .. } => {
                visit(left, names);
                list.iter().for_each(|item| visit(item, names));
            }
            K::Between { arg, low, high, .. } => {
                [arg, low, high].into_iter().for_each(|arg| visit(arg, names))
            }
            K::Like { left, pattern, .. } => [left, pattern].into_iter().for_each(|arg| visit(arg, names)),
            K::Func(call) => call.args.iter().for_each(|arg| visit(&arg.value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    visit(expr, &mut names);
    let first = *names.first()?;
    names.iter().all(|name| *name == first).then(|| first.to_owned())
}

/// Types whose values rows can hold.
fn storable(ty: Oid) -> bool {
    let element = super::types::element_type(ty).unwrap_or(ty);
    let plain = matches!(
        element,
        oids::BOOL
            | oids::INT2
            | oids::INT4
            | oids::INT8
            | oids::FLOAT4
            | oids::FLOAT8
            | oids::NUMERIC
            | oids::TEXT
            | oids::VARCHAR
            | oids::BPCHAR
            | oids::NAME
            | oids::CHAR
            | oids::BYTEA
            | oids::DATE
            | oids::TIME
            | oids::TIMESTAMP
            | oids::TIMESTAMPTZ
            | oids::INTERVAL
            | oids::UUID
            | oids::JSON
    );
    plain || element.is_oid_like()
}
