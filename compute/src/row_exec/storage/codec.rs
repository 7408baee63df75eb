//! A table's rows as keys and values.

use super::index::IndexCodec;
use crate::catalog::TableDef;
use crate::row_exec::stop::Step;
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::{MAX_KEY_LEN, STORAGE_ID_LEN, column_len, storage_prefix};
use shardforge_types::key::{KeyOrder, decode_key_column, encode_key_column, key_recoverable};
use shardforge_types::row::{Cell, ColumnStorage, ExternalValue, RowLayout, RowView, SchemaVersion};
use shardforge_types::{Datum, PgType, SqlState};
use std::sync::Arc;

/// Fetches a value that lies outside its row: given the row's key, what the row holds of it, and its type.
pub type FetchExternal<'f> = dyn FnMut(&[u8], ExternalValue, PgType) -> Step<Datum> + 'f;

/// The position, in scans and derived queries, of the hidden row id of a table without a primary key:
/// a bigint that is no column.
pub const ROW_ID: usize = usize::MAX;

/// One column of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyColumn {
    /// Its position in the table; [`ROW_ID`] for the hidden row id.
    pub column: usize,
    /// Its type.
    pub ty: PgType,
    /// How it is ordered.
    pub order: KeyOrder,
}

/// What is fixed about the storage of a table's rows: made once for a plan.
#[derive(Debug)]
pub struct TableCodec {
    table: Arc<TableDef>,
    layout: RowLayout,
    key: Vec<KeyColumn>,
    indexes: Vec<IndexCodec>,
}

impl TableCodec {
    /// The codec of a table's rows.
    pub fn new(table: Arc<TableDef>) -> Self {
        let key: Vec<KeyColumn> = match &table.primary_key {
            Some(index) => super::index::key_columns(&table, index),
            None => vec![KeyColumn { column: ROW_ID, ty: PgType::INT8, order: KeyOrder::ASC }],
        };
        let storage = table.columns.iter().enumerate().map(|(position, column)| {
            let in_key = key.iter().any(|k| k.column == position);
            if in_key && key_recoverable(column.ty) {
                ColumnStorage::InKey
            } else {
                ColumnStorage::Stored(column.ty)
            }
        });
        let layout = RowLayout::new(storage);
        let indexes = table.indexes.iter().map(|index| IndexCodec::new(&table, index)).collect();
        Self { layout, key, indexes, table }
    }

    /// The table.
    pub fn table(&self) -> &Arc<TableDef> {
        &self.table
    }

    /// The columns of the rows' key, in order.
    pub fn key(&self) -> &[KeyColumn] {
        &self.key
    }

    /// Whether rows lie under a hidden row id.
    pub fn has_row_ids(&self) -> bool {
        self.table.primary_key.is_none()
    }

    /// The secondary indexes, in the order of [`TableDef::indexes`].
    pub fn indexes(&self) -> &[IndexCodec] {
        &self.indexes
    }

    /// How rows are laid out.
    pub fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// The version that new rows are written under.
    pub fn version(&self) -> SchemaVersion {
        SchemaVersion(self.table.schema_version)
    }

    /// Whether a column is part of the rows' key.
    pub fn is_key_column(&self, column: usize) -> bool {
        self.key.iter().any(|key| key.column == column)
    }

    /// The key of a row; `row_id` counts for a table without a primary key. The buffer is cleared first.
    pub fn encode_key(&self, row: &[Datum], row_id: i64, out: &mut Vec<u8>) -> SqlResult<()> {
        out.clear();
        out.extend_from_slice(&storage_prefix(self.table.storage));
        for key in &self.key {
            match row.get(key.column) {
                Some(datum) => encode_key_column(out, datum, key.ty, key.order)?,
                None => encode_key_column(out, &Datum::Int8(row_id), key.ty, key.order)?,
            }
        }
        let name = self.table.primary_key.as_ref().map_or(&self.table.name, |index| &index.name);
        check_key_len(out, name)
    }

    /// The key of the row that an index entry or a derived query names by its key columns, in order.
    pub fn encode_key_values(&self, values: &[Datum], out: &mut Vec<u8>) -> SqlResult<()> {
        out.clear();
        out.extend_from_slice(&storage_prefix(self.table.storage));
        for (key, datum) in self.key.iter().zip(values) {
            encode_key_column(out, datum, key.ty, key.order)?;
        }
        Ok(())
    }

    /// The leading column of a row's key, marker and body: what decides its slot.
    pub fn leading_column<'k>(&self, key: &'k [u8]) -> SqlResult<&'k [u8]> {
        let columns = key.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        Ok(&columns[..column_len(columns)?])
    }

    /// A row's value, opened.
    pub fn view<'a>(&'a self, value: &'a [u8]) -> SqlResult<RowView<'a>> {
        Ok(RowView::new(value, &self.layout)?)
    }

    /// Decodes columns of a row into a row as wide as `columns` is long: `out[i]` is `columns[i]`. Values
    /// that are stored elsewhere are fetched by `external`.
    pub fn decode(
        &self,
        key: &[u8],
        value: &Bytes,
        columns: &[usize],
        out: &mut Vec<Datum>,
        external: &mut FetchExternal<'_>,
    ) -> Step<()> {
        let view = self.view(value)?;
        out.clear();
        for column in columns {
            out.push(self.decode_column(key, Some(value), &view, *column, external)?);
        }
        Ok(())
    }

    /// Decodes columns of a row into their own places in a row as wide as the table.
    pub fn decode_in_place(
        &self,
        key: &[u8],
        value: &Bytes,
        columns: &[usize],
        out: &mut Vec<Datum>,
        external: &mut FetchExternal<'_>,
    ) -> Step<()> {
        let view = self.view(value)?;
        out.clear();
        out.resize(self.table.columns.len(), Datum::Null);
        for column in columns {
            out[*column] = self.decode_column(key, Some(value), &view, *column, external)?;
        }
        Ok(())
    }

    /// Decodes some columns of a row to their places in `out`, which must be there: pairs of place and column.
    /// What is long shares the memory of `owner`, of which `value` is a part, or is copied.
    pub fn decode_to(
        &self,
        key: &[u8],
        value: &[u8],
        owner: Option<&Bytes>,
        places: &[(usize, usize)],
        out: &mut [Datum],
        external: &mut FetchExternal<'_>,
    ) -> Step<()> {
        let view = self.view(value)?;
        for (place, column) in places {
            out[*place] = self.decode_column(key, owner, &view, *column, external)?;
        }
        Ok(())
    }

    fn decode_column(
        &self,
        key: &[u8],
        owner: Option<&Bytes>,
        view: &RowView<'_>,
        column: usize,
        external: &mut FetchExternal<'_>,
    ) -> Step<Datum> {
        if column == ROW_ID {
            return Ok(self.key_value(key, column)?);
        }
        Ok(match view.cell(column)?.datum(owner)? {
            Ok(datum) => datum,
            Err(Cell::Missing) => self.table.columns[column].missing.clone(),
            Err(Cell::InKey) => self.key_value(key, column)?,
            Err(Cell::External(ty, place)) => external(key, place, ty)?,
            Err(_) => return Err(SqlError::internal("a row's cell gave no value").into()),
        })
    }

    /// The value of a key column.
    fn key_value(&self, key: &[u8], column: usize) -> SqlResult<Datum> {
        let mut rest = key.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        for part in &self.key {
            if part.column == column {
                return Ok(decode_key_column(&mut rest, part.ty, part.order)?);
            }
            rest = &rest[column_len(rest)?..];
        }
        Err(SqlError::internal(format!("column {column} is not in the key of \"{}\"", self.table.name)))
    }

    /// The number of the row id in a row's key.
    pub fn row_id(&self, key: &[u8]) -> SqlResult<i64> {
        match self.key_value(key, ROW_ID)? {
            Datum::Int8(id) => Ok(id),
            _ => Err(SqlError::internal("a row id is no bigint")),
        }
    }
}

/// 54000 for a key that is too long.
pub(super) fn check_key_len(key: &[u8], index: &str) -> SqlResult<()> {
    if key.len() <= MAX_KEY_LEN {
        return Ok(());
    }
    let message = format!("index row size {} exceeds maximum {MAX_KEY_LEN} for index \"{index}\"", key.len());
    Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
}
