//! CREATE, ALTER and DROP SEQUENCE; sequences of columns.

use super::Binder;
use crate::catalog::{SequenceDef, TableKind, deparse};
use crate::sequence::SequenceOptions;
use crate::sql::ast::{AlterSequence, ObjectName, SequenceOption, SequenceOptionKind as Kind, Span};
use crate::sql::bound::{CreateSequence, Ddl, Expr, ExprKind};
use crate::{Notice, SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};
use std::sync::Arc;

/// `pg_proc.oid` of `nextval`.
const NEXTVAL: Oid = Oid(1574);

/// `nextval` of a sequence.
pub(super) fn next_value(sequence: Oid) -> Expr {
    let sequence = Expr::constant(Datum::Oid(sequence), PgType::new(oids::REGCLASS));
    Expr::new(ExprKind::Call { func: NEXTVAL, args: vec![sequence] }, PgType::INT8)
}

impl Binder<'_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &ObjectName,
        if_not_exists: bool,
        options: &[SequenceOption],
    ) -> SqlResult<Ddl> {
        let (schema, taken) = self.new_relation(name)?;
        if taken {
            let message = format!("relation \"{}\" already exists", name.name());
            if if_not_exists {
                let notice = Notice::new(SqlState::DUPLICATE_TABLE, format!("{message}, skipping"));
                return Ok(Ddl::Nothing { tag: "CREATE SEQUENCE", notices: vec![notice] });
            }
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        let (options, _) = self.sequence_options(options, false)?;
        Ok(Ddl::CreateSequence(CreateSequence { schema, name: name.name().to_owned(), options }))
    }

    pub(super) fn alter_sequence(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        action: &AlterSequence,
    ) -> SqlResult<Ddl> {
        let Some(sequence) = self.lookup_sequence(name)? else {
            let message = format!("relation \"{}\" does not exist", name.display());
            if if_exists {
                let notices = vec![format!("{message}, skipping").into()];
                return Ok(Ddl::Nothing { tag: "ALTER SEQUENCE", notices });
            }
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
        };
        match action {
            AlterSequence::Unsupported(what) => Err(SqlError::not_supported(what)),
            AlterSequence::Rename(name) => Ok(Ddl::RenameSequence { sequence, name: name.name.clone() }),
            AlterSequence::Options(options) => {
                let (options, _) = self.sequence_options(options, false)?;
                Ok(Ddl::AlterSequence { sequence, options })
            }
        }
    }

    pub(super) fn drop_sequence(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<Ddl> {
        let mut sequences: Vec<Arc<SequenceDef>> = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            let is_table = self.lookup_table_if_exists(name)?.is_some();
            let found = self.lookup_sequence(name).map_err(|error| match (error.sqlstate(), is_table) {
                (SqlState::WRONG_OBJECT_TYPE, true) => error.hint("Use DROP TABLE to remove a table."),
                (SqlState::WRONG_OBJECT_TYPE, false) => error.hint("Use DROP INDEX to remove an index."),
                _ => error,
            });
            match found? {
                Some(sequence) => {
                    if !sequences.iter().any(|known| known.oid == sequence.oid) {
                        sequences.push(sequence);
                    }
                }
                None if if_exists => missing.push(name.name().to_owned()),
                None => {
                    let message = format!("sequence \"{}\" does not exist", name.display());
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
            }
        }
        Ok(Ddl::DropSequence { sequences, missing, cascade })
    }

    /// The sequence of a name; 42809 for another kind of relation.
    fn lookup_sequence(&self, name: &ObjectName) -> SqlResult<Option<Arc<SequenceDef>>> {
        self.check_database(name)?;
        let Some(oid) = self.ctx.catalog.relation(name.schema(), name.name())? else { return Ok(None) };
        match self.ctx.catalog.sequence(oid) {
            Some(sequence) => Ok(Some(sequence)),
            None => {
                let message = format!("\"{}\" is not a sequence", name.name());
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// The options, each at most once, and the name that an identity column's sequence is to have.
    pub(super) fn sequence_options(
        &mut self,
        list: &[SequenceOption],
        identity: bool,
    ) -> SqlResult<(SequenceOptions, Option<(Oid, String)>)> {
        let mut out = SequenceOptions::default();
        let mut given_name = None;
        for SequenceOption { kind, loc } in list {
            let twice = match kind {
                Kind::As(ty) if !identity => {
                    let ty = self.resolve_type(ty)?;
                    out.ty.replace(ty.oid).is_some()
                }
                // The column's type is the sequence's.
                Kind::As(_) => true,
                Kind::Increment(by) => out.increment.replace(*by).is_some(),
                Kind::Min(min) => out.min.replace(*min).is_some(),
                Kind::Max(max) => out.max.replace(*max).is_some(),
                Kind::Start(at) => out.start.replace(*at).is_some(),
                Kind::Restart(at) => out.restart.replace(*at).is_some(),
                Kind::Cache(cache) => out.cache.replace(*cache).is_some(),
                Kind::Cycle(cycle) => out.cycle.replace(*cycle).is_some(),
                Kind::OwnedBy(owner) => {
                    let owner = self.sequence_owner(owner)?;
                    out.owned_by.replace(owner).is_some()
                }
                Kind::Name(name) if identity => {
                    let (schema, taken) = self.new_relation(name)?;
                    if taken {
                        let message = format!("relation \"{}\" already exists", name.name());
                        return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
                    }
                    given_name.replace((schema, name.name().to_owned())).is_some()
                }
                Kind::Name(_) => {
                    let message = "invalid sequence option SEQUENCE NAME";
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, *loc));
                }
            };
            if twice {
                return Err(self.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options", *loc));
            }
        }
        Ok((out, given_name))
    }

    /// OWNED BY: a table and the number of its column.
    fn sequence_owner(&self, name: &ObjectName) -> SqlResult<Option<(Oid, i16)>> {
        let (column, table) = match name.parts.split_last() {
            Some((none, [])) if none == "none" => return Ok(None),
            None | Some((_, [])) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                    .hint("Specify OWNED BY table.column or OWNED BY NONE."));
            }
            Some((column, table)) => (column, ObjectName { parts: table.to_vec(), loc: name.loc }),
        };
        let table = self.lookup_table(&table).map_err(super::ddl::unplaced)?;
        if table.kind != TableKind::Table {
            let message = format!("sequence cannot be owned by relation \"{}\"", table.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let position = table.column(column).ok_or_else(|| {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })?;
        Ok(Some((table.oid, table.columns[position].attnum)))
    }

    /// A DEFAULT as it is kept: the sequences in it are named by their OIDs, as in PostgreSQL, so that a new
    /// name or another search path leads to them still.
    pub(super) fn default_text(&self, span: &Span) -> Option<String> {
        let text = self.span_text(span);
        if text.eq_ignore_ascii_case("null") {
            return None;
        }
        Some(deparse::replace_nextval(&text, |name| {
            let known = self.reg_literal(name, oids::REGCLASS).ok().flatten();
            known.and_then(
                |oid| if let Datum::Oid(oid) = oid { Some(format!("'{oid}'::regclass")) } else { None },
            )
        }))
    }
}
