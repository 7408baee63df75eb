//! CREATE TABLE and CREATE TABLE AS: columns, constraints, and the names that constraints get.

use super::Binder;
use super::scope::{Item, Scope, ScopeCol, ScopeTable};
use super::types::type_name;
use crate::catalog::{builtin, made_up_name};
use crate::sequence::{SequenceOptions, new_rules};
use crate::sql::ast::{
    self, ColumnDef, ConstraintKind, CreateTableAs, Loc, ObjectName, Span, StorageOption, TableConstraint,
};
use crate::sql::bound::{CreateTable, Ddl, Expr, NewColumn, NewSequence, NewUnique};
use crate::{Notice, SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};

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
    /// Where a new table goes, and whether its name is taken there.
    pub(super) fn new_relation(&self, name: &ObjectName) -> SqlResult<(Oid, bool)> {
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

    pub(super) fn create_table(&mut self, create: &ast::CreateTable) -> SqlResult<Ddl> {
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
            table.columns.push(self.new_column(column, name)?);
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
        merge_unique(&mut table);
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
            ConstraintKind::Null
            | ConstraintKind::NotNull
            | ConstraintKind::Default { .. }
            | ConstraintKind::Identity { .. } => Ok(()),
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
                for index in &columns {
                    self.need_key_type(table.columns[*index].ty)?;
                }
                table.unique.push(NewUnique {
                    name: name.map(str::to_owned),
                    columns,
                    nulls_not_distinct: *nulls_not_distinct,
                });
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

    pub(super) fn span_text(&self, span: &Span) -> String {
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

    pub(super) fn new_column(&mut self, column: &ColumnDef, table: &str) -> SqlResult<NewColumn> {
        if let Some(collation) = &column.collation {
            self.check_collation(collation, collation.loc)?;
        }
        let serial = serial_type(&column.ty);
        let ty = match serial {
            Some(_) if column.ty.array => {
                return Err(self.error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "array of serial is not implemented",
                    column.ty.loc,
                ));
            }
            Some(ty) => ty,
            None => self.resolve_value_type(&column.ty, Some(&column.name.name))?,
        };
        if !storable(ty.oid) {
            return Err(self.unsupported(format!("a column of type {}", type_name(ty.oid)), column.ty.loc));
        }
        let name = column.name.name.clone();
        if matches!(name.as_str(), "tableoid" | "ctid" | "xmin" | "xmax" | "cmin" | "cmax") {
            let message = format!("column name \"{name}\" conflicts with a system column name");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let mut out = NewColumn { name, ty, not_null: false, default: None, sequence: None };
        if serial.is_some() {
            out.not_null = true;
            let options = SequenceOptions { ty: Some(ty.oid), ..SequenceOptions::default() };
            out.sequence = Some(NewSequence { identity: None, name: None, options });
        }
        let mut nullable = false;
        for constraint in &column.constraints {
            match &constraint.kind {
                ConstraintKind::NotNull => out.not_null = true,
                ConstraintKind::Null => nullable = true,
                ConstraintKind::Default { expr, span } => {
                    if out.sequence.as_ref().is_some_and(|sequence| sequence.identity.is_some()) {
                        return Err(self.default_and_identity(&out.name, table, constraint.loc));
                    }
                    if out.default.is_some() || out.sequence.is_some() {
                        let message = format!(
                            "multiple default values specified for column \"{}\" of table \"{table}\"",
                            out.name
                        );
                        return Err(match out.sequence {
                            // The default of a serial column stands nowhere.
                            Some(_) => SqlError::new(SqlState::SYNTAX_ERROR, message),
                            None => self.error(SqlState::SYNTAX_ERROR, message, constraint.loc),
                        });
                    }
                    self.default_value(expr, ty, &out.name)?;
                    out.default = self.default_text(span);
                }
                ConstraintKind::Identity { always, options } => {
                    if out.default.is_some() || serial.is_some() {
                        return Err(self.default_and_identity(&out.name, table, constraint.loc));
                    }
                    if out.sequence.is_some() {
                        let message = format!(
                            "multiple identity specifications for column \"{}\" of table \"{table}\"",
                            out.name
                        );
                        return Err(self.error(SqlState::SYNTAX_ERROR, message, constraint.loc));
                    }
                    out.sequence = Some(self.identity_sequence(ty, *always, options)?);
                    out.not_null = true;
                }
                _ => {}
            }
        }
        if nullable && out.not_null {
            let message = format!(
                "conflicting NULL/NOT NULL declarations for column \"{}\" of table \"{table}\"",
                out.name
            );
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        Ok(out)
    }

    fn default_and_identity(&self, column: &str, table: &str, loc: Loc) -> SqlError {
        let message =
            format!("both default and identity specified for column \"{column}\" of table \"{table}\"");
        self.error(SqlState::SYNTAX_ERROR, message, loc)
    }

    /// The sequence behind GENERATED AS IDENTITY.
    pub(super) fn identity_sequence(
        &mut self,
        ty: PgType,
        always: bool,
        options: &[ast::SequenceOption],
    ) -> SqlResult<NewSequence> {
        let (options, name) = self.sequence_options(options, true)?;
        let options = SequenceOptions { ty: Some(ty.oid), ..options };
        // Its mistakes are the statement's, whoever creates it.
        new_rules(&options, true)?;
        Ok(NewSequence { identity: Some(always), name, options })
    }

    pub(super) fn need_key_type(&self, ty: PgType) -> SqlResult<()> {
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

    pub(super) fn storage_notices(&self, options: &[StorageOption]) -> SqlResult<Vec<Notice>> {
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
            out.push(format!("storage parameter \"{}\" has no meaning here", option.name).into());
        }
        Ok(out)
    }

    pub(super) fn create_table_as(&mut self, create: &CreateTableAs) -> SqlResult<Ddl> {
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
            columns.push(NewColumn { name, ty, not_null: false, default: None, sequence: None });
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
}

fn taken_name(tag: &'static str, name: &str, if_not_exists: bool) -> SqlResult<Ddl> {
    let message = format!("relation \"{name}\" already exists");
    if if_not_exists {
        let notice = Notice::new(SqlState::DUPLICATE_TABLE, format!("{message}, skipping"));
        return Ok(Ddl::Nothing { tag, notices: vec![notice] });
    }
    Err(SqlError::new(SqlState::DUPLICATE_TABLE, message))
}

/// Names of constraints that a table already has.
fn taken_names(table: &CreateTable) -> Vec<&str> {
    let key = table.primary_key.iter().map(|(name, _)| name.as_str());
    let unique = table.unique.iter().filter_map(|unique| unique.name.as_deref());
    key.chain(unique).chain(table.checks.iter().map(|(name, _)| name.as_str())).collect()
}

/// Constraints that ask for the same index share it, as in PostgreSQL: the first has it, with the name of
/// whichever has one.
fn merge_unique(table: &mut CreateTable) {
    let mut kept: Vec<NewUnique> = Vec::new();
    for unique in std::mem::take(&mut table.unique) {
        let in_key = table.primary_key.as_ref().is_some_and(|(_, columns)| *columns == unique.columns);
        if in_key && !unique.nulls_not_distinct && unique.name.is_none() {
            continue;
        }
        let same = |other: &&mut NewUnique| {
            other.columns == unique.columns && other.nulls_not_distinct == unique.nulls_not_distinct
        };
        match kept.iter_mut().find(same) {
            Some(other) if other.name.is_none() || unique.name.is_none() => {
                other.name = other.name.take().or(unique.name);
            }
            _ => kept.push(unique),
        }
    }
    table.unique = kept;
}

/// `table_column_label`, numbered when it is taken.
pub(super) fn object_name(table: &str, column: &str, label: &str, taken: &[&str]) -> String {
    let mut number = 0;
    loop {
        let name = made_up_name(table, column, label, number);
        if !taken.contains(&name.as_str()) {
            return name;
        }
        number += 1;
    }
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

/// The integer type that a serial type stands for.
fn serial_type(ty: &ast::TypeName) -> Option<PgType> {
    let [name] = ty.names.as_slice() else { return None };
    match name.as_str() {
        "serial" | "serial4" => Some(PgType::INT4),
        "bigserial" | "serial8" => Some(PgType::INT8),
        "smallserial" | "serial2" => Some(PgType::INT2),
        _ => None,
    }
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
