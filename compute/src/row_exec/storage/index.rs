//! Entries of secondary indexes.

use super::codec::{KeyColumn, check_key_len};
use crate::catalog::{IndexDef, TableDef};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::StorageId;
use shardforge_common::key::{STORAGE_ID_LEN, column_len, storage_prefix};
use shardforge_types::Datum;
use shardforge_types::key::{KeyOrder, encode_key_column};

/// What is fixed about the entries of an index.
#[derive(Debug)]
pub struct IndexCodec {
    storage: StorageId,
    name: String,
    unique: bool,
    nulls_not_distinct: bool,
    columns: Vec<KeyColumn>,
}

/// An entry's key, and what is under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryParts {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Whether no other row may have the key: a unique index, and no column null unless nulls are equal.
    pub unique: bool,
}

/// The columns of an index with their types and orders.
pub(super) fn key_columns(table: &TableDef, index: &IndexDef) -> Vec<KeyColumn> {
    let columns = index.keys.iter().map(|key| KeyColumn {
        column: key.column,
        ty: table.columns[key.column].ty,
        order: KeyOrder { desc: key.desc, nulls_first: key.nulls_first },
    });
    columns.collect()
}

impl IndexCodec {
    pub(super) fn new(table: &TableDef, index: &IndexDef) -> Self {
        Self {
            storage: index.storage,
            name: index.name.clone(),
            unique: index.unique,
            nulls_not_distinct: index.nulls_not_distinct,
            columns: key_columns(table, index),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the entries are.
    pub fn storage(&self) -> StorageId {
        self.storage
    }

    /// Whether two rows may not have the same key.
    pub fn unique(&self) -> bool {
        self.unique
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[KeyColumn] {
        &self.columns
    }

    /// Whether a column is part of the index.
    pub fn has_column(&self, column: usize) -> bool {
        self.columns.iter().any(|key| key.column == column)
    }

    /// The entry of a row, given as wide as its table, under a key.
    pub fn entry(&self, row: &[Datum], row_key: &[u8]) -> SqlResult<EntryParts> {
        let mut key = Vec::with_capacity(32 + row_key.len());
        let unique = self.encode_entry(row, row_key, &mut key)?;
        let value = Bytes::copy_from_slice(Self::entry_value(row_key, unique));
        Ok(EntryParts { key: Bytes::from(key), value, unique })
    }

    /// The key of the entry, in a buffer that is cleared first; and whether no other row may have it.
    pub fn encode_entry(&self, row: &[Datum], row_key: &[u8], out: &mut Vec<u8>) -> SqlResult<bool> {
        out.clear();
        out.extend_from_slice(&storage_prefix(self.storage));
        let mut null = false;
        for part in &self.columns {
            let datum = &row[part.column];
            null |= datum.is_null();
            encode_key_column(out, datum, part.ty, part.order)?;
        }
        check_key_len(out, &self.name)?;
        let unique = self.unique && (!null || self.nulls_not_distinct);
        if !unique {
            out.extend_from_slice(row_key.get(STORAGE_ID_LEN..).unwrap_or(&[]));
            check_key_len(out, &self.name)?;
        }
        Ok(unique)
    }

    /// What is under an entry's key: the row's key, where the entry's own does not end with it.
    pub fn entry_value(row_key: &[u8], unique: bool) -> &[u8] {
        if unique { row_key.get(STORAGE_ID_LEN..).unwrap_or(&[]) } else { &[] }
    }

    /// The key of the row that an entry stands for.
    pub fn row_key(
        &self,
        table: StorageId,
        entry_key: &[u8],
        entry_value: &[u8],
        out: &mut Vec<u8>,
    ) -> SqlResult<()> {
        let mut rest = entry_key.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        for _ in &self.columns {
            rest = &rest[column_len(rest)?..];
        }
        let row_key = if rest.is_empty() { entry_value } else { rest };
        if row_key.is_empty() {
            let message = format!("an entry of index \"{}\" names no row", self.name);
            return Err(SqlError::from(shardforge_common::Error::corrupt(message)));
        }
        out.clear();
        out.extend_from_slice(&storage_prefix(table));
        out.extend_from_slice(row_key);
        Ok(())
    }
}
