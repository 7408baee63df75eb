//! Reading one column of a row.

use super::big::{ExternalValue, decompress};
use super::layout::{Place, RowLayout};
use super::{
    FLAG_NULLS, FLAG_WIDE, FORMAT, FORMAT_MASK, NARROW_HEADER_LEN, SchemaVersion, TAG_COMPRESSED,
    TAG_EXTERNAL, TAG_PLAIN, WIDE_HEADER_LEN, body,
};
use crate::{Datum, Interval, Numeric, Oid, PgType, Text};
use bytes::Bytes;
use shardforge_common::{Error, Result};

/// A row's bytes under their layout. Making one checks the header; columns are decoded when asked for.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    bytes: &'a [u8],
    layout: &'a RowLayout,
    columns: usize,
    schema_version: SchemaVersion,
    wide: bool,
    /// Where the null bitmap starts, if there is one.
    nulls_at: Option<usize>,
    fixed_at: usize,
    offsets_at: usize,
    variable_at: usize,
}

/// What a row holds of a column.
#[derive(Debug, Clone)]
pub enum Cell<'a> {
    /// The column was added after the row was written: its default counts.
    Missing,
    /// The value is in the key.
    InKey,
    /// A value, or null.
    Value(ValueRef<'a>),
    /// A compressed value: its type, the length of its body, and the LZ4 block.
    Compressed(PgType, usize, &'a [u8]),
    /// A value stored elsewhere, and its type.
    External(PgType, ExternalValue),
}

/// A value that borrows from its row; fixed types and short numerics need no allocation.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the variants are those of `Datum`
pub enum ValueRef<'a> {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    Text(&'a str),
    Char(u8),
    Bytea(&'a [u8]),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    Oid(Oid),
    /// The body of an array, undecoded.
    Array(&'a [u8]),
    /// The body of a record, undecoded.
    Record(&'a [u8]),
}

/// What a row holds of a column, undecoded: for readers that decode many values of one type in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredBytes<'a> {
    /// The column was added after the row was written.
    Missing,
    /// The value is in the key.
    InKey,
    /// Null.
    Null,
    /// The bytes of a fixed type, or the plain body of another.
    Plain(&'a [u8]),
    /// Compressed, or stored elsewhere: [`RowView::cell`] says which.
    Other,
}

/// The stored bytes of a column, which can be put into a new row of the same layout as they are: a
/// value that an update leaves alone is neither decoded nor written elsewhere again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawCell<'a>(pub(super) RawForm<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawForm<'a> {
    Null,
    Fixed(&'a [u8]),
    /// Tag and body.
    Variable(&'a [u8]),
}

impl<'a> RowView<'a> {
    /// Takes bytes from outside and checks their header against the layout.
    pub fn new(bytes: &'a [u8], layout: &'a RowLayout) -> Result<Self> {
        let short = || Error::corrupt(format!("a row of {} bytes is cut short", bytes.len()));
        let head = bytes.first_chunk::<NARROW_HEADER_LEN>().ok_or_else(short)?;
        let flags = head[0] & !FORMAT_MASK;
        if head[0] & FORMAT_MASK != FORMAT || flags & !(FLAG_NULLS | FLAG_WIDE) != 0 {
            return Err(Error::corrupt(format!("row format {:#04x} (this program reads 0x10)", head[0])));
        }
        let wide = flags & FLAG_WIDE != 0;
        let (columns, schema_version, header_len) = if wide {
            let head = bytes.first_chunk::<WIDE_HEADER_LEN>().ok_or_else(short)?;
            let columns = usize::from(u16::from_le_bytes([head[2], head[3]]));
            (columns, u32::from_le_bytes([head[4], head[5], head[6], head[7]]), WIDE_HEADER_LEN)
        } else {
            (usize::from(head[1]), u32::from(u16::from_le_bytes([head[2], head[3]])), NARROW_HEADER_LEN)
        };
        if columns > layout.len() {
            let known = layout.len();
            return Err(Error::corrupt(format!("a row of {columns} columns in a table of {known}")));
        }
        let nulls_at = (flags & FLAG_NULLS != 0).then_some(header_len);
        let fixed_at = header_len + if nulls_at.is_some() { columns.div_ceil(8) } else { 0 };
        let offsets_at = fixed_at + layout.fixed_len(columns);
        let variable_at = offsets_at + layout.variable_count(columns) * if wide { 4 } else { 2 };
        if variable_at > bytes.len() {
            return Err(short());
        }
        let schema_version = SchemaVersion(schema_version);
        Ok(Self { bytes, layout, columns, schema_version, wide, nulls_at, fixed_at, offsets_at, variable_at })
    }

    /// The version of the table's columns that the row was written under.
    pub fn schema_version(&self) -> SchemaVersion {
        self.schema_version
    }

    /// Number of columns that the row has, dropped ones included.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The bytes of the row.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the row says that the column is null. False for a column it does not have.
    #[inline]
    pub fn is_null(&self, column: usize) -> bool {
        match self.nulls_at {
            Some(at) if column < self.columns => self.bytes[at + column / 8] & (1 << (column % 8)) != 0,
            _ => false,
        }
    }

    /// The stored bytes of a column; `None` when the row has no such column.
    pub fn raw(&self, column: usize) -> Result<Option<RawCell<'a>>> {
        if column >= self.columns {
            return Ok(None);
        }
        if self.is_null(column) {
            return Ok(Some(RawCell(RawForm::Null)));
        }
        Ok(match self.layout.place(column) {
            None | Some(Place::InKey) => None,
            Some(Place::Fixed { at, width, .. }) => {
                let at = self.fixed_at + at;
                Some(RawCell(RawForm::Fixed(&self.bytes[at..at + width])))
            }
            Some(Place::Variable { index, .. }) => Some(RawCell(RawForm::Variable(self.variable(index)?))),
        })
    }

    /// What the row holds of a column, undecoded.
    #[inline]
    pub fn stored(&self, column: usize) -> Result<StoredBytes<'a>> {
        if column >= self.columns {
            return Ok(StoredBytes::Missing);
        }
        if self.is_null(column) {
            return Ok(StoredBytes::Null);
        }
        match self.layout.place(column).expect("the row has no more columns than its layout") {
            Place::InKey => Ok(StoredBytes::InKey),
            Place::Fixed { at, width, .. } => {
                let at = self.fixed_at + at;
                Ok(StoredBytes::Plain(&self.bytes[at..at + width]))
            }
            Place::Variable { index, .. } => match self.variable(index)? {
                [TAG_PLAIN, plain @ ..] => Ok(StoredBytes::Plain(plain)),
                _ => Ok(StoredBytes::Other),
            },
        }
    }

    /// What the row holds of a column.
    #[inline]
    pub fn cell(&self, column: usize) -> Result<Cell<'a>> {
        if column >= self.columns {
            return Ok(Cell::Missing);
        }
        if self.is_null(column) {
            return Ok(Cell::Value(ValueRef::Null));
        }
        match self.layout.place(column).expect("the row has no more columns than its layout") {
            Place::InKey => Ok(Cell::InKey),
            Place::Fixed { at, width, ty } => {
                let at = self.fixed_at + at;
                body::decode_fixed(&self.bytes[at..at + width], ty).map(Cell::Value)
            }
            Place::Variable { index, ty } => match self.variable(index)? {
                [TAG_PLAIN, plain @ ..] => body::decode_ref(plain, ty).map(Cell::Value),
                [TAG_COMPRESSED, packed @ ..] => match packed.split_first_chunk::<4>() {
                    Some((len, packed)) => {
                        Ok(Cell::Compressed(ty, u32::from_le_bytes(*len) as usize, packed))
                    }
                    None => Err(Error::corrupt("a compressed value is cut short")),
                },
                [TAG_EXTERNAL, place @ ..] => Ok(Cell::External(ty, ExternalValue::decode(place)?)),
                [tag, ..] => Err(Error::corrupt(format!("unknown tag {tag:#04x} of a value in a row"))),
                [] => Err(Error::corrupt("a value without a tag in a row")),
            },
        }
    }

    /// The value of a column as one that owns itself. [`Cell::Missing`], [`Cell::InKey`] and
    /// [`Cell::External`] are given back for the caller to resolve.
    pub fn datum(&self, column: usize) -> Result<std::result::Result<Datum, Cell<'a>>> {
        self.cell(column)?.datum(None)
    }

    /// The same, but long text and `bytea` share the memory of `owner`, of which the row is a slice.
    pub fn datum_shared(&self, column: usize, owner: &Bytes) -> Result<std::result::Result<Datum, Cell<'a>>> {
        self.cell(column)?.datum(Some(owner))
    }

    fn variable(&self, index: usize) -> Result<&'a [u8]> {
        let start = if index == 0 { 0 } else { self.end_of(index - 1) };
        let values = &self.bytes[self.variable_at..];
        values.get(start..self.end_of(index)).ok_or_else(|| Error::corrupt("a value lies outside its row"))
    }

    fn end_of(&self, index: usize) -> usize {
        const MEASURED: &str = "the offsets were measured with the header";
        if self.wide {
            let at = self.offsets_at + 4 * index;
            u32::from_le_bytes(*self.bytes[at..].first_chunk().expect(MEASURED)) as usize
        } else {
            let at = self.offsets_at + 2 * index;
            usize::from(u16::from_le_bytes(*self.bytes[at..].first_chunk().expect(MEASURED)))
        }
    }
}

impl<'a> Cell<'a> {
    /// The value, decompressed where it must be; the cell itself when the row does not hold it.
    pub fn datum(self, owner: Option<&Bytes>) -> Result<std::result::Result<Datum, Cell<'a>>> {
        match self {
            Cell::Value(value) => value.to_datum(owner).map(Ok),
            Cell::Compressed(ty, len, packed) => body::decode_body(&decompress(packed, len)?, ty).map(Ok),
            other => Ok(Err(other)),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, ValueRef::Null)
    }

    /// The value as one that owns itself. Long text and `bytea` share the memory of `owner`, when
    /// there is one; they must be slices of it.
    pub fn to_datum(&self, owner: Option<&Bytes>) -> Result<Datum> {
        match (self, owner) {
            (ValueRef::Text(text), Some(owner)) if text.len() > crate::text_value::INLINE_LEN => {
                Ok(Datum::Text(Text::from_shared(owner, text)))
            }
            (ValueRef::Bytea(bytes), Some(owner)) => Ok(Datum::Bytea(owner.slice_ref(bytes))),
            (ValueRef::Array(bytes), _) => body::decode_body(bytes, PgType::new(crate::oids::ANYARRAY)),
            (ValueRef::Record(bytes), _) => body::decode_body(bytes, PgType::new(crate::oids::RECORD)),
            (scalar, _) => Ok(scalar.to_scalar().expect("arrays and records were handled")),
        }
    }

    /// The value, unless it is an array or a record.
    pub(super) fn to_scalar(&self) -> Option<Datum> {
        Some(match self {
            ValueRef::Null => Datum::Null,
            ValueRef::Bool(value) => Datum::Bool(*value),
            ValueRef::Int2(value) => Datum::Int2(*value),
            ValueRef::Int4(value) => Datum::Int4(*value),
            ValueRef::Int8(value) => Datum::Int8(*value),
            ValueRef::Float4(value) => Datum::Float4(*value),
            ValueRef::Float8(value) => Datum::Float8(*value),
            ValueRef::Numeric(value) => Datum::Numeric(value.clone()),
            ValueRef::Text(value) => Datum::text(*value),
            ValueRef::Char(value) => Datum::Char(*value),
            ValueRef::Bytea(value) => Datum::Bytea(Bytes::copy_from_slice(value)),
            ValueRef::Date(value) => Datum::Date(*value),
            ValueRef::Time(value) => Datum::Time(*value),
            ValueRef::Timestamp(value) => Datum::Timestamp(*value),
            ValueRef::TimestampTz(value) => Datum::TimestampTz(*value),
            ValueRef::Interval(value) => Datum::Interval(*value),
            ValueRef::Uuid(value) => Datum::Uuid(*value),
            ValueRef::Oid(value) => Datum::Oid(*value),
            ValueRef::Array(_) | ValueRef::Record(_) => return None,
        })
    }
}
