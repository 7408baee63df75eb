//! ALTER TABLE.

use super::Binder;
use super::create_table::object_name;
use crate::catalog::TableDef;
use crate::sql::ast::{AlterAction, ConstraintKind, Ident, ObjectName, TableConstraint};
use crate::sql::bound::{AlterTableAction, Ddl, NewUnique};
use crate::{Notice, SqlError, SqlResult};
use shardforge_types::SqlState;
use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn alter_table(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        actions: &[AlterAction],
    ) -> SqlResult<Ddl> {
        let table = match self.lookup_table_if_exists(name)? {
            Some(table) => self.own_table(name, table)?,
            None if if_exists => {
                let notice = format!("relation \"{}\" does not exist, skipping", name.name());
                return Ok(Ddl::Nothing { tag: "ALTER TABLE", notices: vec![notice.into()] });
            }
            None => self.lookup_table(name)?,
        };
        let mut out = Vec::new();
        for action in actions {
            self.alter_action(&table, action, &mut out)?;
        }
        let skipped = |action: &AlterTableAction| match action {
            AlterTableAction::Skipped(notice) => Some(notice.clone()),
            _ => None,
        };
        if let Some(notices) = out.iter().map(skipped).collect() {
            return Ok(Ddl::Nothing { tag: "ALTER TABLE", notices });
        }
        Ok(Ddl::AlterTable { table, actions: out })
    }

    fn alter_action(
        &mut self,
        table: &Arc<TableDef>,
        action: &AlterAction,
        out: &mut Vec<AlterTableAction>,
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
                out.extend(self.storage_notices(options)?.into_iter().map(AlterTableAction::Skipped));
                return Ok(());
            }
            AlterAction::AddConstraint(constraint) => return self.add_to_table(table, constraint, out),
            AlterAction::DropConstraint { name, if_exists, cascade: _ } => {
                AlterTableAction::DropConstraint { name: name.name.clone(), if_exists: *if_exists }
            }
            AlterAction::RenameConstraint { from, to } => {
                AlterTableAction::RenameConstraint { name: from.name.clone(), to: to.name.clone() }
            }
            AlterAction::AddColumn { column, if_not_exists } => {
                if table.column(&column.name.name).is_some() {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" already exists",
                        column.name.name, table.name
                    );
                    if *if_not_exists {
                        let notice = Notice::new(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping"));
                        out.push(AlterTableAction::Skipped(notice));
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
                AlterTableAction::AddColumn(self.new_column(column, &table.name)?)
            }
            AlterAction::DropColumn { name, if_exists, cascade: _ } => {
                if *if_exists && table.column(&name.name).is_none() {
                    out.push(AlterTableAction::Skipped(
                        format!(
                            "column \"{}\" of relation \"{}\" does not exist, skipping",
                            name.name, table.name
                        )
                        .into(),
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
                if !not_null && table.columns[column].identity.is_some() {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" is an identity column",
                        table.columns[column].name, table.name
                    );
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
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
            AlterAction::AddIdentity { column, always, options } => {
                let column = position(self, column)?;
                let def = &table.columns[column];
                let sequence = self.identity_sequence(def.ty, *always, options)?;
                let what =
                    |text: &str| format!("column \"{}\" of relation \"{}\" {text}", def.name, table.name);
                if !def.not_null {
                    let message = what("must be declared NOT NULL before identity can be added");
                    return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
                }
                if def.identity.is_some() || def.default.is_some() {
                    let has =
                        if def.default.is_some() { "has a default value" } else { "is an identity column" };
                    let message = what(&format!("already {has}"));
                    return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
                }
                AlterTableAction::AddIdentity { column, sequence }
            }
            AlterAction::SetIdentity { column, always, options } => {
                let column = position(self, column)?;
                self.need_identity(table, column)?;
                let (options, _) = self.sequence_options(options, true)?;
                AlterTableAction::SetIdentity { column, always: *always, options }
            }
            AlterAction::DropIdentity { column, if_exists } => {
                let column = position(self, column)?;
                match self.need_identity(table, column) {
                    Ok(()) => AlterTableAction::DropIdentity { column },
                    Err(error) if *if_exists => {
                        out.push(AlterTableAction::Skipped(
                            format!("{}, skipping", error.fields().message).into(),
                        ));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
            AlterAction::SetDefault { column, default } => {
                let column = position(self, column)?;
                let def = &table.columns[column];
                let default = match default {
                    None => None,
                    Some((expr, span)) => {
                        self.default_value(expr, def.ty, &def.name)?;
                        self.default_text(span)
                    }
                };
                if table.columns[column].identity.is_some() {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" is an identity column",
                        table.columns[column].name, table.name
                    );
                    let error = SqlError::new(SqlState::SYNTAX_ERROR, message);
                    return Err(match default {
                        Some(_) => error,
                        None => error.hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."),
                    });
                }
                AlterTableAction::SetDefault { column, default }
            }
        });
        Ok(())
    }

    fn need_identity(&self, table: &TableDef, column: usize) -> SqlResult<()> {
        let def = &table.columns[column];
        if def.identity.is_some() {
            return Ok(());
        }
        let message =
            format!("column \"{}\" of relation \"{}\" is not an identity column", def.name, table.name);
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
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
                let columns = self.constraint_columns(table, constraint, "primary key")?;
                let taken: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
                let name = constraint.name.clone();
                let name = name.unwrap_or_else(|| object_name(&table.name, "", "pkey", &taken));
                out.push(AlterTableAction::AddPrimaryKey { name, columns });
                return Ok(());
            }
            ConstraintKind::Unique { nulls_not_distinct } => {
                out.push(AlterTableAction::AddUnique(NewUnique {
                    name: constraint.name.clone(),
                    columns: self.constraint_columns(table, constraint, "unique")?,
                    nulls_not_distinct: *nulls_not_distinct,
                }));
                return Ok(());
            }
            ConstraintKind::Check { .. } => "CHECK",
            ConstraintKind::Unsupported(what) => what,
            _ => "a constraint",
        };
        Err(self.unsupported(format!("ALTER TABLE ADD {what}"), constraint.loc))
    }

    /// Positions of the columns that a key is over.
    fn constraint_columns(
        &self,
        table: &TableDef,
        constraint: &TableConstraint,
        kind: &str,
    ) -> SqlResult<Vec<usize>> {
        let mut columns: Vec<usize> = Vec::new();
        for name in &constraint.columns {
            let position = table.column(&name.name).ok_or_else(|| {
                // A primary key's columns are first made NOT NULL, which has words of its own.
                let message = match constraint.kind {
                    ConstraintKind::PrimaryKey => {
                        format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name)
                    }
                    _ => format!("column \"{}\" named in key does not exist", name.name),
                };
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })?;
            if columns.contains(&position) {
                let message = format!("column \"{}\" appears twice in {kind} constraint", name.name);
                return Err(self.error(SqlState::DUPLICATE_COLUMN, message, constraint.loc));
            }
            self.need_key_type(table.columns[position].ty)?;
            columns.push(position);
        }
        Ok(columns)
    }
}
