//! One value of any type we have, or null.

use crate::{ArrayValue, Interval, Numeric, Oid, PgType, Text, oids};
use bytes::Bytes;
use std::sync::Arc;

/// A value, or null. It carries the form of its type, not the type: `text` and `varchar` are both
/// [`Datum::Text`], and whoever needs the difference holds a [`PgType`] beside it.
#[derive(Debug, Clone)]
pub enum Datum {
    /// No value.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`.
    Int2(i16),
    /// `integer`.
    Int4(i32),
    /// `bigint`.
    Int8(i64),
    /// `real`.
    Float4(f32),
    /// `double precision`.
    Float8(f64),
    /// `numeric`.
    Numeric(Numeric),
    /// `text`, `varchar`, `char(n)` (padded), `name`, `unknown`, `cstring`, `json`, `pg_node_tree`.
    Text(Text),
    /// `"char"`: one byte.
    Char(u8),
    /// `bytea`.
    Bytea(Bytes),
    /// `date`: days since 2000-01-01; the extremes of the integer are the infinities.
    Date(i32),
    /// `time`: microseconds since midnight, 24:00:00 included.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01; the extremes of the integer are the infinities.
    Timestamp(i64),
    /// `timestamp with time zone`: the same, in UTC.
    TimestampTz(i64),
    /// `interval`.
    Interval(Interval),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `oid`, the `reg` types, `xid`, `cid`.
    Oid(Oid),
    /// An array; `int2vector` and `oidvector` too, with subscripts from 0.
    Array(Arc<ArrayValue>),
    /// A composite value.
    Record(Arc<[RecordField]>),
}

/// One field of a composite value.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordField {
    /// The field's type.
    pub ty: PgType,
    /// Its value.
    pub value: Datum,
}

impl Datum {
    /// A text value.
    pub fn text(text: impl Into<Text>) -> Self {
        Datum::Text(text.into())
    }

    /// A one-dimensional array.
    pub fn array(element: Oid, values: Vec<Datum>) -> Self {
        Datum::Array(Arc::new(ArrayValue::from_values(element, values)))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// The string of a text value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The truth value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Datum::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of any integer type.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Datum::Int2(value) => Some(i64::from(*value)),
            Datum::Int4(value) => Some(i64::from(*value)),
            Datum::Int8(value) => Some(*value),
            _ => None,
        }
    }

    /// The type that a value of this form has when nothing else is known; `unknown` for null.
    pub fn natural_type(&self) -> PgType {
        PgType::new(match self {
            Datum::Null => oids::UNKNOWN,
            Datum::Bool(_) => oids::BOOL,
            Datum::Int2(_) => oids::INT2,
            Datum::Int4(_) => oids::INT4,
            Datum::Int8(_) => oids::INT8,
            Datum::Float4(_) => oids::FLOAT4,
            Datum::Float8(_) => oids::FLOAT8,
            Datum::Numeric(_) => oids::NUMERIC,
            Datum::Text(_) => oids::TEXT,
            Datum::Char(_) => oids::CHAR,
            Datum::Bytea(_) => oids::BYTEA,
            Datum::Date(_) => oids::DATE,
            Datum::Time(_) => oids::TIME,
            Datum::Timestamp(_) => oids::TIMESTAMP,
            Datum::TimestampTz(_) => oids::TIMESTAMPTZ,
            Datum::Interval(_) => oids::INTERVAL,
            Datum::Uuid(_) => oids::UUID,
            Datum::Oid(_) => oids::OID,
            Datum::Array(array) => array.element.array_type().unwrap_or(oids::ANYARRAY),
            Datum::Record(_) => oids::RECORD,
        })
    }
}

/// Whether two values are the same *representation*, as comparing two expression trees needs it.
/// This is not SQL's equality: nulls are equal here, 1.0 and 1.00 are not. For that see
/// [`crate::compare`].
impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Datum::Null, Datum::Null) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::Int2(a), Datum::Int2(b)) => a == b,
            (Datum::Int4(a), Datum::Int4(b)) => a == b,
            (Datum::Int8(a), Datum::Int8(b)) => a == b,
            (Datum::Float4(a), Datum::Float4(b)) => a.to_bits() == b.to_bits(),
            (Datum::Float8(a), Datum::Float8(b)) => a.to_bits() == b.to_bits(),
            (Datum::Text(a), Datum::Text(b)) => a.as_str() == b.as_str(),
            (Datum::Char(a), Datum::Char(b)) => a == b,
            (Datum::Bytea(a), Datum::Bytea(b)) => a == b,
            (Datum::Date(a), Datum::Date(b)) => a == b,
            (Datum::Time(a), Datum::Time(b))
            | (Datum::Timestamp(a), Datum::Timestamp(b))
            | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a == b,
            (Datum::Interval(a), Datum::Interval(b)) => {
                (a.months, a.days, a.micros) == (b.months, b.days, b.micros)
            }
            (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
            (Datum::Oid(a), Datum::Oid(b)) => a == b,
            (Datum::Array(a), Datum::Array(b)) => {
                (a.element, &a.dims) == (b.element, &b.dims) && a.values == b.values
            }
            (Datum::Record(a), Datum::Record(b)) => a == b,
            // The text form shows a numeric's every digit, its scale included.
            (Datum::Numeric(_), Datum::Numeric(_)) => {
                let text = |datum| {
                    crate::text::output_string(datum, PgType::new(oids::NUMERIC), &crate::Settings::default())
                };
                text(self) == text(other)
            }
            _ => false,
        }
    }
}
