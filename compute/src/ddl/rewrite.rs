//! Tables read whole, and written anew under another key.
//!
//! Whoever reads a table whole demands at COMMIT that nobody wrote it since: the range of its storage is
//! a check. Rows stream from the old storage into the new one; what does not fit in memory spills, as all
//! rows of one's own transaction do.

use super::DdlContext;
use super::alter_table::contains_nulls;
use super::drop_table::remove_storage;
use super::fill::{Fill, MakeRows, decode_here, sort_rows, visible, write_sorted};
use super::index_build::{could_not_create, make_entries};
use super::truncate::{new_storage, own_indexes};
use crate::catalog::stored::RelationRow;
use crate::catalog::{DatabaseCatalog, IndexDef, TableDef, access};
use crate::row_exec::storage::{KeyColumn, RowIds, TableCodec, new_chunks};
use crate::txn::{RangeNext, RangeRead, RowBatch, Sorter, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::storage_range;
use shardforge_common::mutation::Aspects;
use shardforge_common::random::Random;
use shardforge_types::row::{BigValue, Cell, RowWriter};
use shardforge_types::{Datum, ValueError};
use std::sync::Arc;

/// The whole of a table's rows, as a range to read; nobody may write it until the commit.
pub(super) fn whole(table: &TableDef, txn: &mut Txn) -> RangeRead {
    let (start, end) = storage_range(table.storage);
    let (start, end) = (Bytes::from(start), Bytes::from(end));
    txn.check_range(start.clone(), end.clone(), Aspects::READ);
    RangeRead::forward(start, end, Visibility::Now)
}

/// Whether a table has any row.
pub(super) async fn has_rows(table: &TableDef, txn: &mut Txn) -> SqlResult<bool> {
    let mut read = whole(table, txn);
    let mut batch = RowBatch::new();
    loop {
        let next = access::complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        if !batch.is_empty() {
            return Ok(true);
        }
        if next == RangeNext::Done {
            return Ok(false);
        }
    }
}

/// Whether a column that is in no key is null in any row.
pub(super) async fn has_nulls(table: &Arc<TableDef>, column: usize, txn: &mut Txn) -> SqlResult<bool> {
    let codec = TableCodec::new(table.clone());
    let mut read = whole(table, txn);
    let mut batch = RowBatch::new();
    loop {
        let next = access::complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        for (_, row) in batch.iter() {
            let is_null = match codec.view(&row.value)?.cell(column)? {
                Cell::Missing => table.columns[column].missing.is_null(),
                Cell::Value(value) => matches!(value, shardforge_types::row::ValueRef::Null),
                Cell::InKey | Cell::Compressed(..) | Cell::External(..) => false,
            };
            if is_null {
                return Ok(true);
            }
        }
        if next == RangeNext::Done {
            return Ok(false);
        }
    }
}

/// Moves a table's rows under a primary key, or from one to row ids, into new storage; its indexes, whose
/// entries name rows by their keys, are made anew as well. The definitions' rows are left to the caller, but
/// for those of the indexes.
pub(super) async fn rekey(
    table: &Arc<TableDef>,
    relation: &mut RelationRow,
    catalog: &DatabaseCatalog,
    key: Option<IndexDef>,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<()> {
    let mut keyed = TableDef::clone(table);
    keyed.storage = new_storage(txn, context).await?;
    keyed.value_storage = new_storage(txn, context).await?;
    keyed.schema_version += 1;
    for key in key.iter().flat_map(|index| &index.keys) {
        keyed.columns[key.column].not_null = true;
    }
    keyed.primary_key = key.map(|index| IndexDef { storage: keyed.storage, ..index });
    for (index, place) in own_indexes(catalog, table) {
        let storage = new_storage(txn, context).await?;
        access::update(txn, &RelationRow { storage, ..index.clone() }).await?;
        keyed.indexes[place].storage = storage;
        remove_storage(index.storage, txn).await?;
    }
    relation.storage = keyed.storage;
    relation.value_storage = keyed.value_storage;

    let read = whole(table, txn);
    let row_ids = match keyed.primary_key {
        Some(_) => None,
        None => Some(Arc::new(RowIds::new(context.ids.row_ids().await?))),
    };
    let new = Arc::new(TableCodec::new(Arc::new(keyed)));
    let mover = || Mover {
        new: new.clone(),
        row_ids: row_ids.clone(),
        random: context.eval.session.random.clone(),
        writer: RowWriter::new(),
        chunks: Vec::new(),
        key: Vec::new(),
        entry: Vec::new(),
    };
    // The rows, the chunks of their big values, and the entries of each index.
    let storages = 2 + new.indexes().len();
    let old = Arc::new(TableCodec::new(table.clone()));
    let fill = Fill { codec: old, read, columns: visible(table), storages };
    let sorted = sort_rows(fill, mover, txn).await?;
    for (place, sorted) in sorted.into_iter().enumerate() {
        if let Err((key, value)) = write_sorted(sorted, txn).await? {
            return Err(match place {
                0 => duplicate(&new, &key, &value, context)?,
                _ => SqlError::internal("two rows have one key in a storage of a table that is moved"),
            });
        }
    }
    remove_storage(table.storage, txn).await?;
    remove_storage(table.value_storage, txn).await
}

/// Makes the rows of a table under another key.
struct Mover {
    new: Arc<TableCodec>,
    /// New ids for rows that have no key.
    row_ids: Option<Arc<RowIds>>,
    random: Random,
    writer: RowWriter,
    chunks: Vec<(Bytes, Bytes)>,
    key: Vec<u8>,
    entry: Vec<u8>,
}

impl MakeRows for Mover {
    fn make(&mut self, row: &[Datum], _: &[u8], out: &mut [Sorter]) -> SqlResult<()> {
        let table = self.new.table();
        let is_null = |key: &&KeyColumn| row.get(key.column).is_some_and(Datum::is_null);
        if let Some(null) = self.new.key().iter().find(is_null) {
            return Err(contains_nulls(table, &table.columns[null.column].name));
        }
        let row_id = match &self.row_ids {
            Some(ids) => ids.take(1)?.start,
            None => 0,
        };
        self.new.encode_key(row, row_id, &mut self.key)?;
        let (codec, key, random, chunks) = (&self.new, &self.key, &self.random, &mut self.chunks);
        let mut store = |big: BigValue<'_>| {
            new_chunks(codec, key, big, random, chunks)
                .map_err(|error| ValueError::new(error.sqlstate(), error.fields().message.clone()))
        };
        let value = self.writer.write_datums(codec.layout(), codec.version(), row, &mut store)?;
        let [rows, values, entries @ ..] = out else {
            return Err(SqlError::internal("a table is moved into two storages at least"));
        };
        rows.push(key, value)?;
        for (key, chunk) in self.chunks.drain(..) {
            values.push(&key, &chunk)?;
        }
        make_entries(&self.new, row, &self.key, &mut self.entry, entries)
    }
}

/// 23505, for a row whose key another has.
fn duplicate(codec: &TableCodec, key: &[u8], value: &[u8], context: DdlContext<'_>) -> SqlResult<SqlError> {
    let table = codec.table();
    let places: Vec<(usize, usize)> = codec.key().iter().map(|key| (key.column, key.column)).collect();
    let mut row = vec![Datum::Null; table.columns.len()];
    // What a key holds is never so long that it would lie outside of its row.
    decode_here(codec, key, value, &places, &mut row)?;
    let index = table.primary_key.as_ref().map_or("", |index| &index.name);
    Ok(could_not_create(table, index, codec.key(), &row, context))
}
