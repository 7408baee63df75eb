//! Sequences as tables: `SELECT * FROM s`, and `pg_sequences`.

use super::{Position, SequenceBlocks};
use crate::catalog::stored::{PositionRow, RelationRow};
use crate::catalog::{ColumnDef, DatabaseCatalog, TableDef, TableKind, system};
use shardforge_common::StorageId;
use shardforge_types::{Datum, Oid, PgType};
use std::collections::HashMap;

/// The columns of every sequence.
const COLUMNS: [(&str, PgType); 3] =
    [("last_value", PgType::INT8), ("log_cnt", PgType::INT8), ("is_called", PgType::BOOL)];

/// A sequence's definition as a table.
pub fn as_table(relation: &RelationRow, schema_name: &str) -> TableDef {
    let column = |(place, (name, ty)): (usize, (&str, PgType))| ColumnDef {
        attnum: place as i16 + 1,
        name: name.to_owned(),
        ty,
        not_null: true,
        default: None,
        missing: Datum::Null,
        dropped: false,
        identity: None,
    };
    TableDef {
        oid: relation.oid,
        schema: relation.namespace,
        schema_name: schema_name.to_owned(),
        name: relation.name.clone(),
        kind: TableKind::Sequence,
        // Scans of a sequence read its position.
        storage: StorageId(0),
        schema_version: 0,
        columns: COLUMNS.into_iter().enumerate().map(column).collect(),
        primary_key: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        value_storage: StorageId(0),
    }
}

/// The one row of a sequence: the last number given out as far as this compute knows, and how many it can
/// give without the log.
pub(crate) fn sequence_row(row: &PositionRow, blocks: &SequenceBlocks) -> Vec<Datum> {
    let stored = Position::of(row);
    let (position, left) = blocks.peek(row.sequence, stored).unwrap_or((stored, 0));
    vec![
        Datum::Int8(position.last),
        Datum::Int8(i64::try_from(left).unwrap_or(i64::MAX)),
        Datum::Bool(position.called),
    ]
}

/// `pg_sequences`, whose `last_value` no catalog holds.
pub(crate) fn pg_sequences(
    catalog: &DatabaseCatalog,
    positions: &HashMap<Oid, Vec<Datum>>,
    columns: &[usize],
) -> Vec<Vec<Datum>> {
    let row = |sequence: &std::sync::Arc<crate::catalog::SequenceDef>| {
        let last = positions.get(&sequence.oid).and_then(|row| {
            // Nothing was given out yet: no last value.
            (row[2].as_bool() == Some(true)).then(|| row[0].clone())
        });
        let mut whole = system::pg_sequences_row(catalog, sequence);
        whole.push(last.unwrap_or(Datum::Null));
        columns.iter().map(|column| whole.get(*column).cloned().unwrap_or(Datum::Null)).collect()
    };
    catalog.sequences().map(row).collect()
}
