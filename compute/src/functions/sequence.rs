//! `nextval`, `currval`, `lastval`, `setval`.

use super::args::body;
use super::call::{Call, EvalContext, ScalarFunction, SequenceAccess, volatile};
use super::catalog_access::{ObjectClass, RelationKind};
use super::text_io::{self, find_object};
use crate::catalog::deparse;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};

fn access<'a>(call: &'a Call<'_>) -> SqlResult<&'a dyn SequenceAccess> {
    let access = call.context.sequences.as_deref();
    access.ok_or_else(|| SqlError::not_supported("a function over sequences outside a session"))
}

/// The sequence's name; 42809 for another kind of relation.
fn require_sequence(oid: Oid, call: &Call<'_>) -> SqlResult<String> {
    let relation = call.context.catalog.as_ref().and_then(|catalog| catalog.relation(oid));
    let relation = relation.ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {oid}"))
    })?;
    if relation.kind != RelationKind::Sequence {
        let message = format!("\"{}\" is not a sequence", relation.name);
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    Ok(relation.name)
}

fn nextval(sequence: Oid, call: &Call<'_>) -> SqlResult<i64> {
    require_sequence(sequence, call)?;
    access(call)?.next_value(sequence)
}

fn currval(sequence: Oid, call: &Call<'_>) -> SqlResult<i64> {
    let name = require_sequence(sequence, call)?;
    access(call)?.current_value(sequence).ok_or_else(|| {
        let message = format!("currval of sequence \"{name}\" is not yet defined in this session");
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    })
}

fn lastval(call: &Call<'_>) -> SqlResult<i64> {
    let exists = |oid| call.context.catalog.as_ref().is_some_and(|catalog| catalog.relation(oid).is_some());
    let last = access(call)?.last_value().filter(|(sequence, _)| exists(*sequence));
    last.map(|(_, number)| number).ok_or_else(|| {
        let message = "lastval is not yet defined in this session";
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    })
}

fn setval(sequence: Oid, value: i64, called: bool, call: &Call<'_>) -> SqlResult<i64> {
    require_sequence(sequence, call)?;
    access(call)?.set_value(sequence, value, called)?;
    Ok(value)
}

/// A column's DEFAULT as people read it: sequences by their names, as the search path demands.
pub fn shown_default(default: &str, context: &EvalContext) -> String {
    deparse::replace_nextval(default, |number| {
        let sequence = Datum::Oid(Oid(number.parse().ok()?));
        let name = text_io::to_text(&sequence, PgType::new(oids::REGCLASS), context).ok()??;
        Some(format!("{}::regclass", quote_literal(&name)))
    })
}

fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `pg_get_serial_sequence`: the sequence that a column owns, as `nextval` takes it.
fn serial_sequence(table: &str, column: &str, call: &Call<'_>) -> SqlResult<Option<String>> {
    let oid = find_object(table, oids::REGCLASS, call.context, true)?;
    let Some(catalog) = &call.context.catalog else { return Ok(None) };
    let Some(table) = oid.and_then(|oid| catalog.table(oid)) else { return Ok(None) };
    let Some(position) = table.column(column) else {
        let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
    };
    let Some(sequence) = catalog.owned_sequence(table.oid, table.columns[position].attnum) else {
        return Ok(None);
    };
    let relation = catalog.relation(sequence);
    Ok(relation.and_then(|relation| {
        let schema = catalog.object_name(ObjectClass::Schema, relation.schema)?.1;
        Some(format!("{}.{}", text_io::quote_ident(&schema), text_io::quote_ident(&relation.name)))
    }))
}

/// Whether a function moves a sequence, and so may have to wait.
pub fn moves_sequence(function: Oid) -> bool {
    matches!(function.0, 1574 | 1576 | 1765)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    volatile(1574, "nextval", body!(call |sequence: Oid| nextval(sequence, call))),
    volatile(1575, "currval", body!(call |sequence: Oid| currval(sequence, call))),
    volatile(2559, "lastval", body!(call || lastval(call))),
    super::call::stable(
        1665,
        "pg_get_serial_sequence",
        body!(call |table: &str, column: &str| serial_sequence(table, column, call)),
    ),
    volatile(1576, "setval", body!(call |sequence: Oid, value: i64| setval(sequence, value, true, call))),
    volatile(
        1765,
        "setval",
        body!(call |sequence: Oid, value: i64, called: bool| setval(sequence, value, called, call)),
    ),
];
