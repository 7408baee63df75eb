//! The entries of new indexes over the rows that a table has ([`super::fill`]).
//!
//! The whole table is a check of the commit: who writes a row meanwhile stops the build, or is stopped by
//! it.

use super::DdlContext;
use super::fill::{Fill, MakeRows, sort_rows, write_sorted};
use super::rewrite::whole;
use crate::catalog::{IndexDef, TableDef, access};
use crate::functions::text_io;
use crate::row_exec::storage::{IndexCodec, KeyColumn, TableCodec, fetch_external};
use crate::row_exec::{Step, Stop};
use crate::txn::{Sorter, Txn, Visibility};
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
    let codec = Arc::new(TableCodec::new(Arc::new(TableDef { indexes, ..TableDef::clone(table) })));
    let mut columns: Vec<usize> =
        codec.indexes().iter().flat_map(IndexCodec::columns).map(|key| key.column).collect();
    columns.sort_unstable();
    columns.dedup();
    let read = whole(table, txn);
    let fill = Fill { codec: codec.clone(), read, columns, storages: codec.indexes().len() };
    let sorted = sort_rows(fill, || Entries { codec: codec.clone(), entry: Vec::new() }, txn).await?;
    for (index, sorted) in codec.indexes().iter().zip(sorted) {
        if let Err(twice) = write_sorted(sorted, txn).await? {
            return Err(duplicate(&codec, index, &twice, txn, context).await?);
        }
    }
    Ok(())
}

/// Makes a row's entries.
struct Entries {
    codec: Arc<TableCodec>,
    entry: Vec<u8>,
}

impl MakeRows for Entries {
    fn make(&mut self, row: &[Datum], key: &[u8], out: &mut [Sorter]) -> SqlResult<()> {
        make_entries(&self.codec, row, key, &mut self.entry, out)
    }
}

/// The entries of a row under its key, one for each index of the table.
pub(super) fn make_entries(
    codec: &TableCodec,
    row: &[Datum],
    key: &[u8],
    entry: &mut Vec<u8>,
    out: &mut [Sorter],
) -> SqlResult<()> {
    for (index, sorter) in codec.indexes().iter().zip(out) {
        let unique = index.encode_entry(row, key, entry)?;
        sorter.push(entry, IndexCodec::entry_value(key, unique))?;
    }
    Ok(())
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
    Ok(could_not_create(table, index.name(), index.columns(), &row, context))
}

/// 23505 for a key that two rows have already, as CREATE INDEX says it.
pub(super) fn could_not_create(
    table: &TableDef,
    index: &str,
    keys: &[KeyColumn],
    row: &[Datum],
    context: DdlContext<'_>,
) -> SqlError {
    let text = |key: &KeyColumn| {
        let text = text_io::to_text(&row[key.column], key.ty, context.eval).ok().flatten();
        text.unwrap_or_else(|| "null".to_owned())
    };
    let names: Vec<&str> = keys.iter().map(|key| table.columns[key.column].name.as_str()).collect();
    let values: Vec<String> = keys.iter().map(text).collect();
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
