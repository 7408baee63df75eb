//! Stored rows into Arrow columns, without a value in between for the types that matter.

use crate::physical::{NAN, Physical, column_type, decimal_of, to_physical_array};
use crate::values::{Form, form};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, StringArray,
};
use arrow::datatypes::DataType;
use shardforge_common::key::{STORAGE_ID_LEN, column_len};
use shardforge_common::{Error, Result};
use shardforge_compute::SqlResult;
use shardforge_compute::row_exec::TableCodec;
use shardforge_types::key::decode_key_column;
use shardforge_types::row::body::{decode_body, unscaled_of};
use shardforge_types::row::{Cell, RowView, StoredBytes};
use shardforge_types::{Datum, PgType};
use std::sync::Arc;

/// A column to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its position in the table.
    pub(crate) position: usize,
    pub(crate) ty: PgType,
    pub(crate) physical: Option<Physical>,
}

impl Wanted {
    pub(crate) fn data_type(&self) -> DataType {
        column_type(self.ty, self.physical)
    }
}

/// Why a row was not taken.
pub(crate) enum Refused {
    /// It has a value that lies outside of it.
    Outside,
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    /// Bytes that are checked to be UTF-8 all at once, at the end.
    Text(BinaryBuilder),
    Trimmed(BinaryBuilder),
    Decimal(Decimal128Builder, u8),
    /// Every other type, value by value.
    Values(Vec<Datum>),
}

/// One column while it is filled.
pub(crate) struct Column {
    wanted: Wanted,
    builder: Builder,
}

fn corrupt(ty: PgType) -> Error {
    Error::corrupt(format!("a value of type {ty} in a row has the length of another type"))
}

impl Column {
    pub(crate) fn new(wanted: Wanted, rows: usize) -> Self {
        let builder = match (wanted.physical, form(wanted.ty)) {
            (Some(Physical::Decimal { scale, .. }), _) => {
                Builder::Decimal(Decimal128Builder::with_capacity(rows), scale)
            }
            (Some(Physical::Trimmed { .. }), _) => {
                Builder::Trimmed(BinaryBuilder::with_capacity(rows, 16 * rows))
            }
            (None, Form::Bool) => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            (None, Form::Int2) => Builder::Int2(Int16Builder::with_capacity(rows)),
            (None, Form::Int4 | Form::Date) => Builder::Int4(Int32Builder::with_capacity(rows)),
            (None, Form::Int8 | Form::Time | Form::Timestamp | Form::TimestampTz) => {
                Builder::Int8(Int64Builder::with_capacity(rows))
            }
            (None, Form::Float4) => Builder::Float4(Float32Builder::with_capacity(rows)),
            (None, Form::Float8) => Builder::Float8(Float64Builder::with_capacity(rows)),
            (None, Form::Text) => Builder::Text(BinaryBuilder::with_capacity(rows, 16 * rows)),
            _ => Builder::Values(Vec::with_capacity(rows)),
        };
        Self { wanted, builder }
    }

    /// Appends a row's value.
    #[inline]
    pub(crate) fn push(
        &mut self,
        codec: &TableCodec,
        key: (&[u8], &[u8]),
        row: &RowView<'_>,
        scratch: &mut Vec<u8>,
    ) -> std::result::Result<(), Refused> {
        match row.stored(self.wanted.position)? {
            StoredBytes::Plain(bytes) => Ok(self.push_bytes(bytes)?),
            StoredBytes::Null => Ok(self.push_datum(&Datum::Null)?),
            StoredBytes::InKey => Ok(self.push_key(codec, key, scratch)?),
            StoredBytes::Missing => {
                let missing = &codec.table().columns[self.wanted.position].missing;
                Ok(self.push_datum(missing)?)
            }
            StoredBytes::Other => match row.cell(self.wanted.position)? {
                Cell::External(..) => Err(Refused::Outside),
                cell => match cell.datum(None)? {
                    Ok(datum) => Ok(self.push_datum(&datum)?),
                    Err(_) => Err(Error::internal("a row's cell gave no value").into()),
                },
            },
        }
    }

    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        macro_rules! fixed {
            ($builder:expr, $ty:ty) => {
                $builder.append_value(<$ty>::from_le_bytes(
                    bytes.try_into().map_err(|_| corrupt(self.wanted.ty))?,
                ))
            };
        }
        match &mut self.builder {
            Builder::Bool(builder) => match bytes {
                [value @ (0 | 1)] => builder.append_value(*value == 1),
                _ => return Err(corrupt(self.wanted.ty)),
            },
            Builder::Int2(builder) => fixed!(builder, i16),
            Builder::Int4(builder) => fixed!(builder, i32),
            Builder::Int8(builder) => fixed!(builder, i64),
            Builder::Float4(builder) => fixed!(builder, f32),
            Builder::Float8(builder) => fixed!(builder, f64),
            Builder::Text(builder) => builder.append_value(bytes),
            Builder::Trimmed(builder) => {
                let len = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
                builder.append_value(&bytes[..len]);
            }
            Builder::Decimal(builder, scale) => match unscaled_of(bytes) {
                Some((unscaled, of)) if of == *scale && unscaled < NAN => builder.append_value(unscaled),
                _ => return self.push_datum(&decode_body(bytes, self.wanted.ty)?),
            },
            Builder::Values(values) => values.push(decode_body(bytes, self.wanted.ty)?),
        }
        Ok(())
    }

    /// A value of the row's key.
    fn push_key(&mut self, codec: &TableCodec, key: (&[u8], &[u8]), scratch: &mut Vec<u8>) -> Result<()> {
        scratch.clear();
        scratch.extend_from_slice(key.0);
        scratch.extend_from_slice(key.1);
        let mut rest = scratch.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        for part in codec.key() {
            if part.column == self.wanted.position {
                let datum = decode_key_column(&mut rest, part.ty, part.order)?;
                return self.push_datum(&datum);
            }
            rest = &rest[column_len(rest)?..];
        }
        Err(Error::internal("a column that is in no key"))
    }

    pub(crate) fn push_datum(&mut self, datum: &Datum) -> Result<()> {
        match (&mut self.builder, datum) {
            (Builder::Values(values), datum) => values.push(datum.clone()),
            (Builder::Bool(builder), Datum::Null) => builder.append_null(),
            (Builder::Int2(builder), Datum::Null) => builder.append_null(),
            (Builder::Int4(builder), Datum::Null) => builder.append_null(),
            (Builder::Int8(builder), Datum::Null) => builder.append_null(),
            (Builder::Float4(builder), Datum::Null) => builder.append_null(),
            (Builder::Float8(builder), Datum::Null) => builder.append_null(),
            (Builder::Text(builder) | Builder::Trimmed(builder), Datum::Null) => builder.append_null(),
            (Builder::Decimal(builder, _), Datum::Null) => builder.append_null(),
            (Builder::Bool(builder), Datum::Bool(value)) => builder.append_value(*value),
            (Builder::Int2(builder), Datum::Int2(value)) => builder.append_value(*value),
            (Builder::Int4(builder), Datum::Int4(value) | Datum::Date(value)) => builder.append_value(*value),
            (
                Builder::Int8(builder),
                Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value),
            ) => builder.append_value(*value),
            (Builder::Float4(builder), Datum::Float4(value)) => builder.append_value(*value),
            (Builder::Float8(builder), Datum::Float8(value)) => builder.append_value(*value),
            (Builder::Text(builder), Datum::Text(text)) => builder.append_value(text.as_str()),
            (Builder::Trimmed(builder), Datum::Text(text)) => {
                builder.append_value(text.as_str().trim_end_matches(' '));
            }
            (Builder::Decimal(builder, scale), Datum::Numeric(value)) => {
                let unscaled = decimal_of(value, *scale).ok_or_else(|| {
                    Error::corrupt(format!("a number with another scale than its column {}", self.wanted.ty))
                })?;
                builder.append_value(unscaled);
            }
            _ => {
                let ty = self.wanted.ty;
                return Err(Error::internal(format!("a value {datum:?} in a column of type {ty}")));
            }
        }
        Ok(())
    }

    /// The column.
    pub(crate) fn finish(self) -> SqlResult<ArrayRef> {
        let text = |mut builder: BinaryBuilder| {
            StringArray::try_from_binary(builder.finish())
                .map(|array| Arc::new(array) as ArrayRef)
                .map_err(|_| Error::corrupt("text in a row is not UTF-8"))
        };
        Ok(match self.builder {
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Int2(mut builder) => Arc::new(builder.finish()),
            Builder::Int4(mut builder) => Arc::new(builder.finish()),
            Builder::Int8(mut builder) => Arc::new(builder.finish()),
            Builder::Float4(mut builder) => Arc::new(builder.finish()),
            Builder::Float8(mut builder) => Arc::new(builder.finish()),
            Builder::Text(builder) | Builder::Trimmed(builder) => text(builder)?,
            Builder::Decimal(mut builder, _) => {
                Arc::new(builder.finish().with_data_type(self.wanted.data_type()))
            }
            Builder::Values(values) => {
                to_physical_array(self.wanted.ty, self.wanted.physical, values.iter())?
            }
        })
    }
}
