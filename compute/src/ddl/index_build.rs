//! The entries of new indexes over the rows that a table has.
//!
//! Rows stream from the table; of each, only the indexed columns are decoded. The storage that the entries
//! go into was made by this transaction, so they need neither checks nor pages, and what does not fit in
//! memory spills. The whole table is a check of the commit: who writes a row meanwhile stops the build, or
//! is stopped by it.

use super::DdlContext;
use super::rewrite::whole;
use crate::catalog::{IndexDef, TableDef, access};
use crate::functions::text_io;
use crate::row_exec::storage::{IndexCodec, TableCodec, fetch_external};
use crate::row_exec::{Step, Stop};
use crate::txn::{Checked, RangeNext, RowBatch, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

/// Makes the entries of `indexes`, which the definition of the table does not have yet, or has elsewhere.
pub(super) async fn build(
    table: &Arc<TableDef>,
    indexes: Vec<IndexDef>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let mut columns: Vec<usize> =
        indexes.iter().flat_map(|index| &index.keys).map(|key| key.column).collect();
    columns.sort_unstable();
    columns.dedup();
    let codec = TableCodec::new(Arc::new(TableDef { indexes, ..TableDef::clone(table) }));
    let mut read = whole(table, txn);
    let mut batch = RowBatch::new();
    let mut row = Vec::new();
    loop {
        let next = access::complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        for (key, found) in batch.iter() {
            decode(&codec, key, &found.value, &columns, txn, &mut row).await?;
            for index in codec.indexes() {
                let entry = index.entry(&row, key)?;
                // Above all others: it has no duplicate, and comes in the order of the index.
                if txn.is_unwritten(&entry.key)
                    && access::complete(txn, |txn| txn.append(&entry.key, &entry.value, false)).await?
                {
                    continue;
                }
                if entry.unique
                    && access::complete(txn, |txn| txn.get(&entry.key, Visibility::Now)).await?.is_some()
                {
                    return Err(duplicate(codec.table(), index, &row, context));
                }
                access::complete(txn, |txn| txn.insert(entry.key.clone(), entry.value.clone(), Checked::No))
                    .await?;
            }
        }
        if next == RangeNext::Done {
            return Ok(());
        }
    }
}

/// Reads columns of a row into their own places, big values included.
async fn decode(
    codec: &TableCodec,
    key: &[u8],
    value: &Bytes,
    columns: &[usize],
    txn: &mut Txn,
    row: &mut Vec<Datum>,
) -> SqlResult<()> {
    loop {
        let step: Step<()> = {
            let mut external =
                |key: &[u8], place, ty| fetch_external(txn, codec, key, place, ty, Visibility::Now);
            codec.decode_in_place(key, value, columns, row, &mut external)
        };
        match step {
            Ok(()) => return Ok(()),
            Err(Stop::Need(need)) => txn.satisfy(need).await?,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Sequence(need)) => return Err(SqlError::needs_sequence(need)),
            Err(Stop::RestartStatement | Stop::TooLarge) => {
                return Err(SqlError::internal("a row was read as a statement's"));
            }
        }
    }
}

/// 23505, as CREATE INDEX says it.
pub(super) fn duplicate(
    table: &TableDef,
    index: &IndexCodec,
    row: &[Datum],
    context: DdlContext<'_>,
) -> SqlError {
    let names: Vec<&str> =
        index.columns().iter().map(|key| table.columns[key.column].name.as_str()).collect();
    let text = |key: &crate::row_exec::storage::KeyColumn| {
        let text = text_io::to_text(&row[key.column], key.ty, context.eval).ok().flatten();
        text.unwrap_or_else(|| "null".to_owned())
    };
    let values: Vec<String> = index.columns().iter().map(text).collect();
    could_not_create(table, index.name(), &names, &values)
}

/// 23505 for a key that two rows have already.
pub(super) fn could_not_create(table: &TableDef, index: &str, names: &[&str], values: &[String]) -> SqlError {
    let message = format!("could not create unique index \"{index}\"");
    let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message).detail(format!(
        "Key ({})=({}) is duplicated.",
        names.join(", "),
        values.join(", ")
    ));
    let fields = error.fields_mut();
    fields.schema = Some(table.schema_name.clone());
    fields.table = Some(table.name.clone());
    fields.constraint = Some(index.to_owned());
    error
}
