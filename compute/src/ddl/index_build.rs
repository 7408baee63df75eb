//! The entries of new indexes over the rows that a table has.
//!
//! 1. Rows stream from the table; of each, only the indexed columns are decoded ([`scan`]).
//! 2. Entries are sorted, on another thread and through disk when there are many ([`Sorter`]).
//! 3. In key order they are written into storage that this transaction made: without checks, locks or
//!    pages. Two equal keys of a unique index are neighbours there.
//!
//! The whole table is a check of the commit: who writes a row meanwhile stops the build, or is stopped by
//! it.

use super::DdlContext;
use super::rewrite::whole;
use crate::catalog::{IndexDef, TableDef, access};
use crate::functions::text_io;
use crate::row_exec::storage::{IndexCodec, KeyColumn, TableCodec, fetch_external};
use crate::row_exec::{Step, Stop};
use crate::txn::{Checked, RangeNext, RowBatch, Sorter, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

/// After so many rows other tasks of the thread have a turn, and a cancel request is heard.
const ROWS_IN_A_TURN: usize = 2048;

/// Makes the entries of `indexes`, which the definition of the table does not have yet, or has elsewhere.
pub(super) async fn build(
    table: &Arc<TableDef>,
    indexes: Vec<IndexDef>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let codec = TableCodec::new(Arc::new(TableDef { indexes, ..TableDef::clone(table) }));
    let sorters = scan(&codec, txn).await?;
    for (index, sorter) in codec.indexes().iter().zip(sorters) {
        let sorted = match sorter.finish().await? {
            Ok(sorted) => sorted,
            Err(twice) => return Err(duplicate(&codec, index, &twice, txn, context).await?),
        };
        let mut last = Bytes::new();
        for (n, row) in sorted.rows().enumerate() {
            let (key, value) = row?;
            if key == last {
                return Err(duplicate(&codec, index, &(key, value), txn, context).await?);
            }
            last = key.clone();
            let in_order = txn.is_unwritten(&key)
                && access::complete(txn, |txn| txn.append(&key, &value, false)).await?;
            if !in_order {
                access::complete(txn, |txn| txn.insert(key.clone(), value.clone(), Checked::No)).await?;
            }
            if n % ROWS_IN_A_TURN == ROWS_IN_A_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

/// Reads the table whole, and gives the entries of each index to be sorted.
async fn scan(codec: &TableCodec, txn: &mut Txn) -> SqlResult<Vec<Sorter>> {
    let keys = codec.indexes().iter().flat_map(IndexCodec::columns);
    let mut columns: Vec<usize> = keys.map(|key| key.column).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut sorters: Vec<Sorter> =
        codec.indexes().iter().map(|_| Sorter::new(txn.branch().clone())).collect();
    let mut read = whole(codec.table(), txn);
    let mut batch = RowBatch::new();
    let (mut row, mut entry) = (Vec::new(), Vec::new());
    loop {
        let next = access::complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        for (key, found) in batch.iter() {
            decode(codec, key, &found.value, &columns, txn, &mut row).await?;
            for (index, sorter) in codec.indexes().iter().zip(&mut sorters) {
                let unique = index.encode_entry(&row, key, &mut entry)?;
                if sorter.push(&entry, IndexCodec::entry_value(key, unique)) {
                    sorter.spill().await?;
                }
            }
        }
        if next == RangeNext::Done {
            return Ok(sorters);
        }
        tokio::task::yield_now().await;
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
            Err(Stop::Yield) => {}
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Sequence(need)) => return Err(SqlError::needs_sequence(need)),
            Err(Stop::RestartStatement | Stop::TooLarge) => {
                return Err(SqlError::internal("a row was read as a statement's"));
            }
        }
    }
}

/// 23505, as CREATE INDEX says it, for an entry whose key another row has.
async fn duplicate(
    codec: &TableCodec,
    index: &IndexCodec,
    (key, value): &(Bytes, Bytes),
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<SqlError> {
    let table = codec.table();
    let mut row_key = Vec::new();
    index.row_key(table.storage, key, value, &mut row_key)?;
    let found = access::complete(txn, |txn| txn.get(&row_key, Visibility::Now)).await?;
    let found = found.ok_or_else(|| SqlError::internal("an entry was made of a row that is not there"))?;
    let columns: Vec<usize> = index.columns().iter().map(|key| key.column).collect();
    let mut row = Vec::new();
    decode(codec, &row_key, &found.value, &columns, txn, &mut row).await?;
    let text = |key: &KeyColumn| {
        let text = text_io::to_text(&row[key.column], key.ty, context.eval).ok().flatten();
        text.unwrap_or_else(|| "null".to_owned())
    };
    let names: Vec<&str> = columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let values: Vec<String> = index.columns().iter().map(text).collect();
    Ok(could_not_create(table, index.name(), &names, &values))
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
