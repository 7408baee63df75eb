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

/// Values to test with.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::array::ArrayDim;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Whether two values are the same in everything, which is more than being equal.
    pub(crate) fn identical(a: &Datum, b: &Datum) -> bool {
        match (a, b) {
            (Datum::Float4(a), Datum::Float4(b)) => a.to_bits() == b.to_bits(),
            (Datum::Float8(a), Datum::Float8(b)) => a.to_bits() == b.to_bits(),
            (Datum::Interval(a), Datum::Interval(b)) => a.identical(b),
            (Datum::Numeric(a), Datum::Numeric(b)) => a.to_string() == b.to_string(),
            (Datum::Array(a), Datum::Array(b)) => {
                a.element == b.element
                    && a.dims == b.dims
                    && a.len() == b.len()
                    && a.values.iter().zip(&b.values).all(|(a, b)| identical(a, b))
            }
            (Datum::Record(a), Datum::Record(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b.iter()).all(|(a, b)| a.ty == b.ty && identical(&a.value, &b.value))
            }
            _ => format!("{a:?}") == format!("{b:?}"),
        }
    }

    pub(crate) fn numeric() -> impl Strategy<Value = Numeric> {
        let digits = prop_oneof![4 => 0usize..8, 2 => 30usize..45, 1 => 60usize..90];
        let finite = (digits, any::<u64>(), 0u16..20, any::<bool>(), -80i32..80).prop_map(
            |(count, seed, scale, negative, shift)| {
                let mut state = seed;
                let digits: String = (0..count.max(1))
                    .map(|_| {
                        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        char::from(b'0' + ((state >> 33) % 10) as u8)
                    })
                    .collect();
                let (sign, shift) = (if negative { "-" } else { "" }, if seed % 3 == 0 { shift } else { 0 });
                let text = format!("{sign}{digits}e{}", shift - i32::from(scale));
                text.parse().unwrap()
            },
        );
        prop_oneof![
            12 => finite,
            1 => Just(Numeric::NAN),
            1 => Just(Numeric::INFINITY),
            1 => Just(Numeric::NEG_INFINITY),
        ]
    }

    fn float() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            Just(0.0),
            Just(-0.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            -4.0..4.0
        ]
    }

    fn interval() -> impl Strategy<Value = Interval> {
        let part = |range: std::ops::Range<i64>| prop_oneof![2 => -2i64..3, 1 => range];
        (part(-1000..1000), part(-40_000..40_000), any::<bool>(), any::<i64>()).prop_map(
            |(months, days, small, micros)| {
                let micros = if small { micros % 3 * crate::interval::DAY_MICROS } else { micros };
                Interval::new(months as i32, days as i32, micros)
            },
        )
    }

    fn text(ty: PgType) -> BoxedStrategy<Datum> {
        let text = prop_oneof!["[ab ]{0,4}", "\\PC{0,60}"];
        text.prop_map(move |text| match (ty.oid, ty.char_len()) {
            (oids::BPCHAR, Some(len)) => {
                let cut: String = text.chars().take(len as usize).collect();
                Datum::Text(crate::typmod::pad(&cut, len as usize))
            }
            (oids::NAME, _) => Datum::Text(crate::typmod::name(&text)),
            _ => Datum::text(text),
        })
        .boxed()
    }

    fn scalar(ty: PgType) -> BoxedStrategy<Datum> {
        let small = || prop_oneof![-3i64..4, any::<i64>()];
        match ty.oid {
            oids::BOOL => any::<bool>().prop_map(Datum::Bool).boxed(),
            oids::INT2 => small().prop_map(|v| Datum::Int2(v as i16)).boxed(),
            oids::INT4 => small().prop_map(|v| Datum::Int4(v as i32)).boxed(),
            oids::INT8 => small().prop_map(Datum::Int8).boxed(),
            oids::FLOAT4 => float().prop_map(|v| Datum::Float4(v as f32)).boxed(),
            oids::FLOAT8 => float().prop_map(Datum::Float8).boxed(),
            oids::NUMERIC => numeric().prop_map(Datum::Numeric).boxed(),
            oids::CHAR => any::<u8>().prop_map(Datum::Char).boxed(),
            oids::BYTEA => vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..60)
                .prop_map(|v| Datum::Bytea(v.into()))
                .boxed(),
            oids::DATE => small().prop_map(|v| Datum::Date(v as i32)).boxed(),
            oids::TIME => (0..=86_400_000_000i64).prop_map(Datum::Time).boxed(),
            oids::TIMESTAMP => small().prop_map(Datum::Timestamp).boxed(),
            oids::TIMESTAMPTZ => small().prop_map(Datum::TimestampTz).boxed(),
            oids::INTERVAL => interval().prop_map(Datum::Interval).boxed(),
            oids::UUID => any::<[u8; 16]>().prop_map(Datum::Uuid).boxed(),
            oids::OID => any::<u32>().prop_map(|v| Datum::Oid(Oid(v))).boxed(),
            _ => text(ty),
        }
    }

    /// A value of a type, sometimes null.
    pub(crate) fn value(ty: PgType) -> BoxedStrategy<Datum> {
        let present = if let Some(element) = ty.element() {
            let element_oid = element.oid;
            (vec(value(element), 0..4), any::<bool>(), -2i32..3)
                .prop_map(move |(mut values, two_dimensional, lower)| {
                    if values.is_empty() {
                        return Datum::array(element_oid, values);
                    }
                    let len = values.len() as i32;
                    let mut dims = smallvec::smallvec![ArrayDim { len, lower }];
                    if two_dimensional {
                        values.extend(values.clone());
                        dims.insert(0, ArrayDim { len: 2, lower: 1 });
                    }
                    Datum::Array(Arc::new(ArrayValue { element: element_oid, dims, values }))
                })
                .boxed()
        } else if ty.oid == oids::RECORD {
            (value(PgType::TEXT), value(PgType::NUMERIC))
                .prop_map(|(a, b)| {
                    Datum::Record(Arc::new([
                        RecordField { ty: PgType::TEXT, value: a },
                        RecordField { ty: PgType::NUMERIC, value: b },
                    ]))
                })
                .boxed()
        } else {
            scalar(ty)
        };
        prop_oneof![1 => Just(Datum::Null), 9 => present].boxed()
    }

    /// Any type that can be a key.
    pub(crate) fn any_type() -> impl Strategy<Value = PgType> {
        let plain = [
            oids::BOOL,
            oids::INT2,
            oids::INT4,
            oids::INT8,
            oids::FLOAT4,
            oids::FLOAT8,
            oids::NUMERIC,
            oids::CHAR,
            oids::BYTEA,
            oids::DATE,
            oids::TIME,
            oids::TIMESTAMP,
            oids::TIMESTAMPTZ,
            oids::INTERVAL,
            oids::UUID,
            oids::OID,
            oids::TEXT,
            oids::VARCHAR,
            oids::NAME,
            oids::NUMERIC_ARRAY,
            oids::TEXT_ARRAY,
            oids::INT4_ARRAY,
            oids::FLOAT8_ARRAY,
            oids::INTERVAL_ARRAY,
            oids::RECORD,
        ];
        let mut types: Vec<PgType> = plain.map(PgType::new).to_vec();
        types.push(PgType::bpchar(4));
        proptest::sample::select(types)
    }

    /// A type and two values of it, often near each other.
    pub(crate) fn pair() -> impl Strategy<Value = (PgType, Datum, Datum)> {
        any_type().prop_flat_map(|ty| (Just(ty), value(ty), value(ty)))
    }
}
