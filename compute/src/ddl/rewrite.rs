//! Tables read whole, and written anew under another key.
//!
//! Whoever reads a table whole demands at COMMIT that nobody wrote it since: the range of its storage is
//! a check. Rows stream from the old storage into the new one; what does not fit in memory spills, as all
//! rows of one's own transaction do.

use super::DdlContext;
use super::alter_table::contains_nulls;
use super::drop_table::remove_storage;
use super::index_build::could_not_create;
use super::truncate::{new_storage, own_indexes};
use crate::catalog::stored::RelationRow;
use crate::catalog::{DatabaseCatalog, IndexDef, TableDef, access};
use crate::functions::text_io;
use crate::row_exec::storage::{KeyColumn, RowIds, TableCodec, fetch_external, new_chunks};
use crate::row_exec::{Step, Stop};
use crate::txn::{Checked, RangeNext, RangeRead, RowBatch, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::storage_range;
use shardforge_common::mutation::Aspects;
use shardforge_types::row::{BigValue, Cell, RowWriter};
use shardforge_types::{Datum, ValueError};
use std::sync::Arc;

/// The whole of a table's rows, as a range to read; nobody may write it until the commit.
pub(super) fn whole(table: &TableDef, txn: &mut Txn) -> RangeRead {
    let (start, end) = storage_range(table.storage);
    let (start, end) = (Bytes::from(start), Bytes::from(end));
    txn.check_range(start.clone(), end.clone(), Aspects::READ);
    RangeRead { start, end, reverse: false, limit: 0, visibility: Visibility::Now }
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
        None => Some(RowIds::new(context.ids.row_ids().await?)),
    };
    let mut mover = Mover::new(table.clone(), Arc::new(keyed), row_ids, context);
    mover.move_rows(read, txn).await?;
    remove_storage(table.storage, txn).await?;
    remove_storage(table.value_storage, txn).await
}

/// Carries rows from one storage of a table to another.
struct Mover<'a> {
    old: TableCodec,
    new: TableCodec,
    /// New ids for rows that have no key.
    row_ids: Option<RowIds>,
    context: DdlContext<'a>,
    writer: RowWriter,
    /// Positions of the columns that are not dropped.
    columns: Vec<usize>,
    row: Vec<Datum>,
    key: Vec<u8>,
}

impl<'a> Mover<'a> {
    fn new(old: Arc<TableDef>, new: Arc<TableDef>, row_ids: Option<RowIds>, context: DdlContext<'a>) -> Self {
        let columns = new.visible_columns().map(|(position, _)| position).collect();
        let (old, new) = (TableCodec::new(old), TableCodec::new(new));
        let writer = RowWriter::new();
        let (row, key) = Default::default();
        Self { old, new, row_ids, context, writer, columns, row, key }
    }

    async fn move_rows(&mut self, mut read: RangeRead, txn: &mut Txn) -> SqlResult<()> {
        let mut batch = RowBatch::new();
        loop {
            let next = access::complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
            for (key, row) in batch.iter() {
                self.decode(key, &row.value, txn).await?;
                self.write(txn).await?;
            }
            if next == RangeNext::Done {
                return Ok(());
            }
        }
    }

    /// Reads the row, its big values included.
    async fn decode(&mut self, key: &[u8], value: &Bytes, txn: &mut Txn) -> SqlResult<()> {
        loop {
            match self.try_decode(key, value, txn) {
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

    fn try_decode(&mut self, key: &[u8], value: &Bytes, txn: &mut Txn) -> Step<()> {
        let old = &self.old;
        let mut external = |key: &[u8], place, ty| fetch_external(txn, old, key, place, ty, Visibility::Now);
        old.decode_in_place(key, value, &self.columns, &mut self.row, &mut external)
    }

    async fn write(&mut self, txn: &mut Txn) -> SqlResult<()> {
        let table = self.new.table().clone();
        let is_null = |key: &&KeyColumn| self.row.get(key.column).is_some_and(Datum::is_null);
        if let Some(null) = self.new.key().iter().find(is_null) {
            return Err(contains_nulls(&table, &table.columns[null.column].name));
        }
        let row_id = match &self.row_ids {
            Some(ids) => ids.take(1)?.start,
            None => 0,
        };
        self.new.encode_key(&self.row, row_id, &mut self.key)?;
        // A key above all others has no duplicate.
        let in_order = txn.is_unwritten(&self.key);
        if !in_order && access::complete(txn, |txn| txn.get(&self.key, Visibility::Now)).await?.is_some() {
            return Err(self.duplicate());
        }
        let mut chunks = Vec::new();
        let random = &self.context.eval.session.random;
        let (codec, row_key) = (&self.new, &self.key);
        let mut store = |big: BigValue<'_>| {
            new_chunks(codec, row_key, big, random, &mut chunks)
                .map_err(|error| ValueError::new(error.sqlstate(), error.fields().message.clone()))
        };
        let value = self.writer.write_datums(codec.layout(), codec.version(), &self.row, &mut store)?;
        let appended = in_order && access::complete(txn, |txn| txn.append(&self.key, value, false)).await?;
        if !appended {
            insert(txn, Bytes::copy_from_slice(&self.key), Bytes::copy_from_slice(value)).await?;
        }
        for (key, chunk) in chunks {
            insert(txn, key, chunk).await?;
        }
        for index in self.new.indexes() {
            let entry = index.entry(&self.row, &self.key)?;
            insert(txn, entry.key, entry.value).await?;
        }
        Ok(())
    }

    /// 23505, as CREATE INDEX says it.
    fn duplicate(&self) -> SqlError {
        let table = self.new.table();
        let keys = self.new.key();
        let text = |key: &KeyColumn| {
            let text = text_io::to_text(&self.row[key.column], key.ty, self.context.eval).ok().flatten();
            text.unwrap_or_else(|| "null".to_owned())
        };
        let names: Vec<&str> = keys.iter().map(|key| table.columns[key.column].name.as_str()).collect();
        let values: Vec<String> = keys.iter().map(text).collect();
        let index = table.primary_key.as_ref().map_or("", |index| &index.name);
        could_not_create(table, index, &names, &values)
    }
}

/// Writes into storage of this transaction's own making: there is nobody to check against.
async fn insert(txn: &mut Txn, key: Bytes, value: Bytes) -> SqlResult<()> {
    access::complete(txn, |txn| txn.insert(key.clone(), value.clone(), Checked::No)).await
}
