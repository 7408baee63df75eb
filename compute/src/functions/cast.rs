//! Casts that are functions, and length coercions. Those of dates and times are with their types.

use super::args::{Char, body};
use super::call::{ScalarFunction, stable, strict};
use super::compare::unpadded;
use super::int::{Int, in_range};
use crate::{SqlError, SqlResult};
use shardforge_types::text::parse_char;
use shardforge_types::typmod::{Coercion, coerce};
use shardforge_types::{Datum, Numeric, Oid, PgType, SqlState, Text, ValueError, oids};

/// Bytes of a `name`, its terminating zero left out.
const NAME_LEN: usize = 63;

/// Rounded to even, when the integer type has it.
fn round_to<T: Int + TryFrom<i64>>(value: f64) -> SqlResult<T> {
    let rounded = value.round_ties_even();
    // 2^63 is not an i64, and the bound below it is exact as a float.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded);
    in_range(if fits { T::try_from(rounded as i64).ok() } else { None })
}

fn f64_to_f32(value: f64) -> SqlResult<f32> {
    let narrow = value as f32;
    super::float::checked(narrow, value.is_infinite(), value == 0.0)
}

/// A text as a `name`: cut at 63 bytes, between characters.
fn to_name(text: &str) -> Text {
    Text::new(&text[..text.floor_char_boundary(NAME_LEN)])
}

fn char_to_text(value: Char) -> String {
    if value.0 == 0 { String::new() } else { String::from_utf8_lossy(&[value.0]).into_owned() }
}

fn length(datum: &Datum, oid: Oid, typmod: i32, explicit: bool) -> Result<Datum, ValueError> {
    let how = if explicit { Coercion::Explicit } else { Coercion::Assignment };
    coerce(datum.clone(), PgType::with_typmod(oid, typmod), how)
}

fn to_oid(value: i64) -> SqlResult<Oid> {
    match u32::try_from(value) {
        Ok(oid) => Ok(Oid(oid)),
        Err(_) => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range")),
    }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(313, "int4", body!(|a: i16| i32::from(a))),
    strict(754, "int8", body!(|a: i16| i64::from(a))),
    strict(481, "int8", body!(|a: i32| i64::from(a))),
    strict(314, "int2", body!(|a: i32| in_range(i16::try_from(a).ok()))),
    strict(714, "int2", body!(|a: i64| in_range(i16::try_from(a).ok()))),
    strict(480, "int4", body!(|a: i64| in_range(i32::try_from(a).ok()))),
    strict(235, "float8", body!(|a: i16| f64::from(a))),
    strict(236, "float4", body!(|a: i16| f32::from(a))),
    strict(316, "float8", body!(|a: i32| f64::from(a))),
    strict(318, "float4", body!(|a: i32| a as f32)),
    strict(482, "float8", body!(|a: i64| a as f64)),
    strict(652, "float4", body!(|a: i64| a as f32)),
    strict(311, "float8", body!(|a: f32| f64::from(a))),
    strict(312, "float4", body!(|a: f64| f64_to_f32(a))),
    strict(237, "int2", body!(|a: f64| round_to::<i16>(a))),
    strict(317, "int4", body!(|a: f64| round_to::<i32>(a))),
    strict(483, "int8", body!(|a: f64| round_to::<i64>(a))),
    strict(238, "int2", body!(|a: f32| round_to::<i16>(a.into()))),
    strict(319, "int4", body!(|a: f32| round_to::<i32>(a.into()))),
    strict(653, "int8", body!(|a: f32| round_to::<i64>(a.into()))),
    strict(1782, "numeric", body!(|a: i16| Numeric::from(a))),
    strict(1740, "numeric", body!(|a: i32| Numeric::from(a))),
    strict(1781, "numeric", body!(|a: i64| Numeric::from(a))),
    strict(1742, "numeric", body!(|a: f32| Numeric::from_f32(a))),
    strict(1743, "numeric", body!(|a: f64| Numeric::from_f64(a))),
    strict(1783, "int2", body!(|a: &Numeric| a.to_i16())),
    strict(1744, "int4", body!(|a: &Numeric| a.to_i32())),
    strict(1779, "int8", body!(|a: &Numeric| a.to_i64())),
    strict(1745, "float4", body!(|a: &Numeric| a.to_f32())),
    strict(1746, "float8", body!(|a: &Numeric| a.to_f64())),
    strict(1703, "numeric", body!(|a: &Datum, typmod: i32| length(a, oids::NUMERIC, typmod, true))),
    strict(
        668,
        "bpchar",
        body!(|a: &Datum, typmod: i32, explicit: bool| length(a, oids::BPCHAR, typmod, explicit)),
    ),
    strict(
        669,
        "varchar",
        body!(|a: &Datum, typmod: i32, explicit: bool| length(a, oids::VARCHAR, typmod, explicit)),
    ),
    strict(401, "text", body!(|a: &str| unpadded(a))),
    strict(406, "text", body!(|a: &Text| a.clone())),
    strict(407, "name", body!(|a: &str| to_name(a))),
    strict(1400, "name", body!(|a: &str| to_name(a))),
    strict(409, "name", body!(|a: &str| to_name(unpadded(a)))),
    strict(408, "bpchar", body!(|a: &Text| a.clone())),
    strict(1401, "varchar", body!(|a: &Text| a.clone())),
    strict(860, "bpchar", body!(|a: Char| char_to_text(a))),
    strict(946, "text", body!(|a: Char| char_to_text(a))),
    strict(944, "char", body!(|a: &str| Char(parse_char(a)))),
    strict(77, "int4", body!(|a: Char| i32::from(a.0 as i8))),
    strict(
        78,
        "char",
        body!(|a: i32| match i8::try_from(a) {
            Ok(byte) => Ok(Char(byte as u8)),
            Err(_) => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range")),
        }),
    ),
    strict(2557, "bool", body!(|a: i32| a != 0)),
    strict(2558, "int4", body!(|a: bool| i32::from(a))),
    strict(2971, "text", body!(|a: bool| if a { "true" } else { "false" })),
    strict(1287, "oid", body!(|a: i64| to_oid(a))),
    strict(1288, "int8", body!(|a: Oid| i64::from(a.0))),
    stable(
        1079,
        "regclass",
        body!(call |a: &str| super::text_io::find_object(a, oids::REGCLASS, call.context, true)?),
    ),
];

/// The same value under a binary-compatible type: integers and object numbers have forms of their own.
pub(crate) fn relabel(datum: Datum, to: PgType) -> Datum {
    match datum {
        Datum::Int4(value) if to.oid.is_oid_like() => Datum::Oid(Oid(value as u32)),
        Datum::Oid(Oid(value)) if to.oid == oids::INT4 => Datum::Int4(value as i32),
        Datum::Array(mut array) => {
            if let Some(element) = to.oid.element_type()
                && element != array.element
            {
                std::sync::Arc::make_mut(&mut array).element = element;
            }
            Datum::Array(array)
        }
        other => other,
    }
}
