//! Stored rows as keys and values, by the ordinary codecs.

use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::{prefix_end, storage_prefix};
use shardforge_common::{Error, Result, StorageId, TxnId};
use shardforge_types::key::{KeyOrder, decode_key_column, encode_key_column};
use shardforge_types::row::{Cell, MAX_ROW_LEN, RowLayout, RowView, RowWriter};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};

/// A field of a stored row: a Rust type with the column type it is stored as.
pub trait Stored: Sized {
    /// The column's type.
    const TYPE: PgType;
    /// As a value.
    fn to_datum(&self) -> Datum;
    /// From a value; `None` when it is of another form.
    fn from_datum(datum: &Datum) -> Option<Self>;
}

/// A row of one of the catalog's stored tables.
pub trait StoredRow: Sized {
    /// Where its table is.
    const STORAGE: StorageId;
    /// Types of the key's columns.
    const KEY: &'static [PgType];
    /// Types of the value's columns.
    const VALUE: &'static [PgType];

    /// The key's columns.
    fn key_columns(&self) -> Vec<Datum>;
    /// The value's columns.
    fn value_columns(&self) -> Vec<Datum>;
    /// The row of these columns; `None` when one is of another form.
    fn from_columns(key: &[Datum], value: &[Datum]) -> Option<Self>;

    /// Its key.
    fn key(&self) -> Bytes {
        key_of::<Self>(&self.key_columns())
    }

    /// Its value; 54000 when it does not fit a page.
    fn value(&self) -> SqlResult<Bytes> {
        let layout = RowLayout::of_types(Self::VALUE.iter().copied());
        let mut writer = RowWriter::new();
        let row = writer.write_unlimited(&layout, &self.value_columns())?;
        if row.len() > MAX_ROW_LEN {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a definition of {} bytes is too long, {MAX_ROW_LEN} are possible", row.len()),
            ));
        }
        Ok(Bytes::copy_from_slice(row))
    }

    /// The columns of a key.
    fn decode_key(key: &[u8]) -> Result<Vec<Datum>> {
        let mut rest =
            key.get(storage_prefix(Self::STORAGE).len()..).ok_or_else(|| decode_error::<Self>())?;
        let mut columns = Vec::with_capacity(Self::KEY.len());
        for ty in Self::KEY {
            columns.push(decode_key_column(&mut rest, *ty, KeyOrder::ASC)?);
        }
        Ok(columns)
    }

    /// The row under a key.
    fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let columns = Self::decode_key(key)?;
        let layout = RowLayout::of_types(Self::VALUE.iter().copied());
        let view = RowView::new(value, &layout)?;
        let mut values = Vec::with_capacity(layout.len());
        for column in 0..layout.len() {
            values.push(match view.datum(column)? {
                Ok(datum) => datum,
                // Written before the catalog had this field.
                Err(Cell::Missing) => Datum::Null,
                Err(_) => return Err(decode_error::<Self>()),
            });
        }
        Self::from_columns(&columns, &values).ok_or_else(|| decode_error::<Self>())
    }
}

/// The key of the row with these leading key columns: a whole key, or the start of several.
pub(crate) fn key_of<R: StoredRow>(columns: &[Datum]) -> Bytes {
    row_key(R::STORAGE, R::KEY, columns)
}

/// The key of columns of these types in a storage.
fn row_key(storage: StorageId, types: &[PgType], columns: &[Datum]) -> Bytes {
    let mut out = storage_prefix(storage).to_vec();
    for (datum, ty) in columns.iter().zip(types) {
        encode_key_column(&mut out, datum, *ty, KeyOrder::ASC)
            .expect("the catalog's key columns have an order");
    }
    out.into()
}

/// The range of all keys that start with these columns.
pub(crate) fn prefix_range<R: StoredRow>(columns: &[Datum]) -> (Bytes, Bytes) {
    let start = key_of::<R>(columns);
    let end = prefix_end(&start).expect("a reserved storage id does not consist of 0xff alone");
    (start, end.into())
}

/// A stored row that is not what its table holds.
fn decode_error<R: StoredRow>() -> Error {
    Error::corrupt(format!("a catalog row of storage {} is not of its form", R::STORAGE))
}

macro_rules! stored {
    ($($ty:ty: $column:expr, $value:ident => $to:expr, $pattern:pat => $from:expr;)*) => {$(
        impl Stored for $ty {
            const TYPE: PgType = PgType::new($column);
            fn to_datum(&self) -> Datum {
                let $value = self;
                $to
            }
            fn from_datum(datum: &Datum) -> Option<Self> {
                match datum {
                    $pattern => $from,
                    _ => None,
                }
            }
        }
    )*};
}

stored! {
    Oid: oids::OID, v => Datum::Oid(*v), Datum::Oid(v) => Some(*v);
    bool: oids::BOOL, v => Datum::Bool(*v), Datum::Bool(v) => Some(*v);
    i16: oids::INT2, v => Datum::Int2(*v), Datum::Int2(v) => Some(*v);
    i32: oids::INT4, v => Datum::Int4(*v), Datum::Int4(v) => Some(*v);
    i64: oids::INT8, v => Datum::Int8(*v), Datum::Int8(v) => Some(*v);
    u8: oids::CHAR, v => Datum::Char(*v), Datum::Char(v) => Some(*v);
    String: oids::TEXT, v => Datum::text(v.as_str()), Datum::Text(v) => Some(v.as_str().to_owned());
    Bytes: oids::BYTEA, v => Datum::Bytea(v.clone()), Datum::Bytea(v) => Some(v.clone());
    StorageId: oids::INT8, v => Datum::Int8(v.0 as i64), Datum::Int8(v) => Some(StorageId(*v as u64));
    TxnId: oids::UUID, v => Datum::Uuid(*v.as_bytes()), Datum::Uuid(v) => Some(TxnId::from_bytes(*v));
    Vec<i16>: oids::INT2_ARRAY, v => Datum::array(oids::INT2, v.iter().map(Stored::to_datum).collect()),
        Datum::Array(v) => v.values.iter().map(Stored::from_datum).collect();
    Vec<String>: oids::TEXT_ARRAY, v => Datum::array(oids::TEXT, v.iter().map(Stored::to_datum).collect()),
        Datum::Array(v) => v.values.iter().map(Stored::from_datum).collect();
}

impl<T: Stored> Stored for Option<T> {
    const TYPE: PgType = T::TYPE;
    fn to_datum(&self) -> Datum {
        self.as_ref().map_or(Datum::Null, Stored::to_datum)
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        if datum.is_null() { Some(None) } else { T::from_datum(datum).map(Some) }
    }
}
