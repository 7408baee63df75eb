//! PostgreSQL's values in Arrow arrays, and back.
//!
//! | type | Arrow | order and equality are Arrow's |
//! |---|---|---|
//! | boolean, smallint, integer, bigint | Boolean, Int16, Int32, Int64 | yes |
//! | real, double precision | Float32, Float64 | no: NaN equals itself here and is greatest, -0 is 0 |
//! | text, varchar, name, unknown | Utf8 | yes: collation C |
//! | char(n) | Utf8 | no: trailing blanks do not count |
//! | "char" | UInt8 | yes |
//! | bytea | Binary | yes |
//! | date | Int32, days since 2000 | yes |
//! | time, timestamp, timestamptz | Int64, microseconds | yes |
//! | oid and the reg types | UInt32 | yes |
//! | uuid | FixedSizeBinary(16) | yes |
//! | numeric, interval, arrays, records | Binary: the wire's binary form | no |
//!
//! Where the order is not Arrow's, whoever compares uses the order key of `shardforge_types::key`
//! and carries the value beside it ([`needs_order_key`]). The wire's binary form loses nothing: a
//! numeric keeps its display scale.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, NullArray, StringBuilder, UInt8Builder,
    UInt32Builder,
};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt32Type,
};
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, RecordField, binary, oids};
use std::sync::Arc;

/// How the values of a type lie in Arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nulls only: `void`.
    Null,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Char,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Oid,
    Uuid,
    /// The wire's binary form.
    Wire,
}

/// The form of a type's values.
pub(crate) fn form(ty: PgType) -> Form {
    match ty.oid {
        oids::BOOL => Form::Bool,
        oids::INT2 => Form::Int2,
        oids::INT4 => Form::Int4,
        oids::INT8 => Form::Int8,
        oids::FLOAT4 => Form::Float4,
        oids::FLOAT8 => Form::Float8,
        oids::CHAR => Form::Char,
        oids::BYTEA => Form::Bytea,
        oids::DATE => Form::Date,
        oids::TIME => Form::Time,
        oids::TIMESTAMP => Form::Timestamp,
        oids::TIMESTAMPTZ => Form::TimestampTz,
        oids::UUID => Form::Uuid,
        oids::VOID => Form::Null,
        oids::NUMERIC | oids::INTERVAL | oids::RECORD | oids::INT2VECTOR | oids::OIDVECTOR => Form::Wire,
        oid if is_oid_like(oid) => Form::Oid,
        oid if oid.element_type().is_some() => Form::Wire,
        _ => Form::Text,
    }
}

fn is_oid_like(oid: Oid) -> bool {
    // regproc, oid, xid, cid; then regprocedure to regtype, regrole, regnamespace, regconfig, regdictionary, regcollation
    matches!(oid.0, 24 | 26 | 28 | 29 | 2202..=2206 | 4096 | 4089 | 3734 | 3769 | 4191)
}

/// The Arrow type of a type's values.
pub(crate) fn data_type(ty: PgType) -> DataType {
    match form(ty) {
        Form::Null => DataType::Null,
        Form::Bool => DataType::Boolean,
        Form::Int2 => DataType::Int16,
        Form::Int4 | Form::Date => DataType::Int32,
        Form::Int8 | Form::Time | Form::Timestamp | Form::TimestampTz => DataType::Int64,
        Form::Float4 => DataType::Float32,
        Form::Float8 => DataType::Float64,
        Form::Text => DataType::Utf8,
        Form::Char => DataType::UInt8,
        Form::Bytea | Form::Wire => DataType::Binary,
        Form::Oid => DataType::UInt32,
        Form::Uuid => DataType::FixedSizeBinary(16),
    }
}

/// Whether Arrow compares the type's values otherwise than PostgreSQL.
pub(crate) fn needs_order_key(ty: PgType) -> bool {
    matches!(form(ty), Form::Wire | Form::Float4 | Form::Float8) || ty.oid == oids::BPCHAR
}

fn mismatch(ty: PgType, value: &Datum) -> SqlError {
    SqlError::internal(format!("a value {value:?} in a column of type {}", ty.oid.0))
}

/// An array of a type's values.
pub(crate) fn to_array<'a>(
    ty: PgType,
    values: impl ExactSizeIterator<Item = &'a Datum>,
) -> SqlResult<ArrayRef> {
    let len = values.len();
    macro_rules! build {
        ($builder:expr, $pattern:pat => $value:expr) => {{
            let mut builder = $builder;
            for value in values {
                match value {
                    Datum::Null => builder.append_null(),
                    $pattern => builder.append_value($value),
                    other => return Err(mismatch(ty, other)),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match form(ty) {
        Form::Null => Arc::new(NullArray::new(len)),
        Form::Bool => build!(BooleanBuilder::with_capacity(len), Datum::Bool(v) => *v),
        Form::Int2 => build!(Int16Builder::with_capacity(len), Datum::Int2(v) => *v),
        Form::Int4 => build!(Int32Builder::with_capacity(len), Datum::Int4(v) => *v),
        Form::Int8 => build!(Int64Builder::with_capacity(len), Datum::Int8(v) => *v),
        Form::Float4 => build!(Float32Builder::with_capacity(len), Datum::Float4(v) => *v),
        Form::Float8 => build!(Float64Builder::with_capacity(len), Datum::Float8(v) => *v),
        Form::Text => build!(StringBuilder::with_capacity(len, 16 * len), Datum::Text(v) => v.as_str()),
        Form::Char => build!(UInt8Builder::with_capacity(len), Datum::Char(v) => *v),
        Form::Bytea => build!(BinaryBuilder::with_capacity(len, 16 * len), Datum::Bytea(v) => v),
        Form::Date => build!(Int32Builder::with_capacity(len), Datum::Date(v) => *v),
        Form::Time => build!(Int64Builder::with_capacity(len), Datum::Time(v) => *v),
        Form::Timestamp => build!(Int64Builder::with_capacity(len), Datum::Timestamp(v) => *v),
        Form::TimestampTz => build!(Int64Builder::with_capacity(len), Datum::TimestampTz(v) => *v),
        Form::Oid => build!(UInt32Builder::with_capacity(len), Datum::Oid(v) => v.0),
        Form::Uuid => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(len, 16);
            for value in values {
                match value {
                    Datum::Null => builder.append_null(),
                    Datum::Uuid(bytes) => builder.append_value(bytes).expect("16 bytes fit a width of 16"),
                    other => return Err(mismatch(ty, other)),
                }
            }
            Arc::new(builder.finish())
        }
        Form::Wire => {
            let mut builder = BinaryBuilder::with_capacity(len, 16 * len);
            let mut scratch = Vec::new();
            for value in values {
                if value.is_null() {
                    builder.append_null();
                } else {
                    scratch.clear();
                    binary::output(value, ty, &mut scratch);
                    builder.append_value(&scratch);
                }
            }
            Arc::new(builder.finish())
        }
    })
}

/// The value at a place of an array of the type's form.
pub(crate) fn from_array(ty: PgType, array: &dyn Array, row: usize) -> SqlResult<Datum> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Ok(Datum::Null);
    }
    if *array.data_type() != data_type(ty) {
        return Err(SqlError::internal(format!("an array of {} for type {}", array.data_type(), ty.oid.0)));
    }
    Ok(match form(ty) {
        Form::Null => Datum::Null,
        Form::Bool => Datum::Bool(array.as_boolean().value(row)),
        Form::Int2 => Datum::Int2(array.as_primitive::<Int16Type>().value(row)),
        Form::Int4 => Datum::Int4(array.as_primitive::<Int32Type>().value(row)),
        Form::Int8 => Datum::Int8(array.as_primitive::<Int64Type>().value(row)),
        Form::Float4 => Datum::Float4(array.as_primitive::<Float32Type>().value(row)),
        Form::Float8 => Datum::Float8(array.as_primitive::<Float64Type>().value(row)),
        Form::Text => Datum::text(array.as_string::<i32>().value(row)),
        Form::Char => Datum::Char(array.as_primitive::<UInt8Type>().value(row)),
        Form::Bytea => Datum::Bytea(Bytes::copy_from_slice(array.as_binary::<i32>().value(row))),
        Form::Date => Datum::Date(array.as_primitive::<Int32Type>().value(row)),
        Form::Time => Datum::Time(array.as_primitive::<Int64Type>().value(row)),
        Form::Timestamp => Datum::Timestamp(array.as_primitive::<Int64Type>().value(row)),
        Form::TimestampTz => Datum::TimestampTz(array.as_primitive::<Int64Type>().value(row)),
        Form::Oid => Datum::Oid(Oid(array.as_primitive::<UInt32Type>().value(row))),
        Form::Uuid => {
            let bytes = array.as_fixed_size_binary().value(row);
            Datum::Uuid(bytes.try_into().map_err(|_| SqlError::internal("a uuid that is not 16 bytes"))?)
        }
        Form::Wire => from_wire(array.as_binary::<i32>().value(row), ty)?,
    })
}

/// All values of an array of the type's form.
pub(crate) fn column_to_datums(ty: PgType, array: &dyn Array) -> SqlResult<Vec<Datum>> {
    (0..array.len()).map(|row| from_array(ty, array, row)).collect()
}

/// One value as a scalar of DataFusion's.
pub(crate) fn to_scalar(ty: PgType, value: &Datum) -> SqlResult<ScalarValue> {
    let array = to_array(ty, std::iter::once(value))?;
    ScalarValue::try_from_array(&array, 0).map_err(crate::error::from_datafusion)
}

/// A value from the wire's binary form. That of a record is not one that clients may send, but it is whole:
/// number of fields (4 bytes); for each its type's OID, its length, or -1 for null, and its bytes.
fn from_wire(bytes: &[u8], ty: PgType) -> SqlResult<Datum> {
    if ty.oid != oids::RECORD {
        return Ok(binary::input(bytes, ty)?);
    }
    let torn = || SqlError::internal("a record that is cut off");
    let mut rest = bytes;
    let mut take = |len: usize| {
        let (head, tail) = rest.split_at_checked(len).ok_or_else(torn)?;
        rest = tail;
        Ok::<_, SqlError>(head)
    };
    let int = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().expect("four bytes were taken"));
    let count = int(take(4)?);
    let mut fields = Vec::new();
    for _ in 0..count {
        let ty = PgType::new(Oid(int(take(4)?) as u32));
        let value = match usize::try_from(int(take(4)?)) {
            Ok(len) => from_wire(take(len)?, ty)?,
            Err(_) => Datum::Null,
        };
        fields.push(RecordField { ty, value });
    }
    Ok(Datum::Record(fields.into()))
}
