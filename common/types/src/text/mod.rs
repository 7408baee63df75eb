//! Values as text: what a literal means, and what a client reads.
//!
//! [`input`] takes what PostgreSQL's input function of the type takes, and refuses in its words and
//! under its SQLSTATE; [`output`] writes what its output function writes. Names of objects (`regclass`
//! and its like) are numbers here: who holds a catalog puts names in their place.

mod array;
pub mod float;
mod record;
mod scalar;
#[cfg(test)]
mod tests;

use crate::datetime::{format, interval_parse, parse};
use crate::typmod::{self, Coercion};
use crate::{Datum, Oid, PgType, Settings, Text, ValueError, oids};
use bytes::BufMut;

pub use array::array_needs_quotes;
pub use scalar::{parse_bool, parse_char, parse_i16, parse_i32, parse_i64};

/// What C's `isspace` calls a space.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// The value that a text means as a value of `ty`, its modifier applied as an assignment would.
pub fn input(text: &str, ty: PgType, settings: &Settings) -> Result<Datum, ValueError> {
    let datum = match ty.oid {
        oids::INT4 => return parse_i32(text).map(Datum::Int4),
        oids::INT8 => return parse_i64(text).map(Datum::Int8),
        oids::INT2 => return parse_i16(text).map(Datum::Int2),
        oids::TEXT | oids::UNKNOWN | oids::CSTRING => return Ok(Datum::text(text)),
        oids::VARCHAR | oids::BPCHAR => Datum::text(text),
        oids::NAME => return Ok(Datum::Text(typmod::name(text))),
        oids::BOOL => {
            let parsed = parse_bool(text);
            return parsed.map(Datum::Bool).ok_or_else(|| ValueError::invalid_syntax("boolean", text));
        }
        oids::CHAR => return Ok(Datum::Char(scalar::parse_char(text))),
        oids::FLOAT4 => return float::parse_f32(text).map(Datum::Float4),
        oids::FLOAT8 => return float::parse_f64(text).map(Datum::Float8),
        oids::NUMERIC => Datum::Numeric(text.parse()?),
        oids::BYTEA => return scalar::parse_bytea(text).map(Datum::Bytea),
        oids::UUID => return scalar::parse_uuid(text).map(Datum::Uuid),
        oids::DATE => return parse::date(text, settings).map(Datum::Date),
        oids::TIME => Datum::Time(parse::time(text, settings)?),
        oids::TIMESTAMP => Datum::Timestamp(parse::timestamp(text, settings)?),
        oids::TIMESTAMPTZ => Datum::TimestampTz(parse::timestamptz(text, settings)?),
        oids::INTERVAL => {
            Datum::Interval(interval_parse::interval(text, ty.typmod, settings.interval_style)?)
        }
        oids::INT2VECTOR => return array::parse_vector(text, PgType::INT2, settings),
        oids::OIDVECTOR => return array::parse_vector(text, PgType::new(oids::OID), settings),
        oids::RECORD => {
            return Err(ValueError::not_supported("input of anonymous composite types is not implemented"));
        }
        oid if oid.is_oid_like() => return scalar::parse_oid(text, ty).map(Datum::Oid),
        _ => match ty.element() {
            Some(element) => return array::parse(text, element, settings),
            None => return Err(ValueError::not_supported(format!("type {ty} is not supported"))),
        },
    };
    if ty.typmod < 0 { Ok(datum) } else { typmod::coerce(datum, ty, Coercion::Assignment) }
}

/// Appends the text of a value of `ty`; nothing for null, which the caller marks in its own way.
pub fn output(datum: &Datum, ty: PgType, settings: &Settings, out: &mut impl BufMut) {
    let dated = |out: &mut dyn FnMut(&[u8]), write: &dyn Fn(&mut format::Out)| {
        let mut text = format::Out::new();
        write(&mut text);
        out(&text);
    };
    let mut put = |bytes: &[u8]| out.put_slice(bytes);
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => put(if *value { b"t" } else { b"f" }),
        Datum::Int2(value) => scalar::write_integer(i64::from(*value), put),
        Datum::Int4(value) => scalar::write_integer(i64::from(*value), put),
        Datum::Int8(value) => scalar::write_integer(*value, put),
        Datum::Oid(Oid(0))
            if matches!(
                ty.oid,
                oids::REGPROC | oids::REGCLASS | oids::REGTYPE | oids::REGROLE | oids::REGNAMESPACE
            ) =>
        {
            put(b"-");
        }
        Datum::Oid(Oid(value)) => scalar::write_integer(i64::from(*value), put),
        Datum::Float4(value) => put(float::format_f32(*value, settings.extra_float_digits).as_bytes()),
        Datum::Float8(value) => put(float::format_f64(*value, settings.extra_float_digits).as_bytes()),
        Datum::Numeric(value) => value.with_text(put),
        Datum::Text(value) => put(value.as_bytes()),
        Datum::Char(value) => scalar::write_char(*value, put),
        Datum::Bytea(value) => scalar::write_bytea(value, settings.bytea_output, put),
        Datum::Date(value) => dated(&mut put, &|text| format::date(text, *value, settings)),
        Datum::Time(value) => dated(&mut put, &|text| format::time(text, *value)),
        Datum::Timestamp(value) => dated(&mut put, &|text| format::timestamp(text, *value, settings)),
        Datum::TimestampTz(value) => dated(&mut put, &|text| format::timestamptz(text, *value, settings)),
        Datum::Interval(value) => {
            dated(&mut put, &|text| format::interval(text, *value, settings.interval_style));
        }
        Datum::Uuid(value) => scalar::write_uuid(value, put),
        Datum::Array(value) if matches!(ty.oid, oids::INT2VECTOR | oids::OIDVECTOR) => {
            put(array::vector_text(value, settings).as_bytes());
        }
        Datum::Array(value) => put(&array::text(value, settings)),
        Datum::Record(fields) => put(&record::text(fields, settings)),
    }
}

/// The text of a value as a string; `None` for null.
pub fn output_string(datum: &Datum, ty: PgType, settings: &Settings) -> Option<String> {
    if datum.is_null() {
        return None;
    }
    let mut out = Vec::new();
    output(datum, ty, settings, &mut out);
    Some(String::from_utf8(out).expect("every type writes UTF-8"))
}

/// The text of a value as a text value; `None` for null. Short texts need no allocation.
pub fn output_text(datum: &Datum, ty: PgType, settings: &Settings) -> Option<Text> {
    match datum {
        Datum::Text(text) => Some(text.clone()),
        other => output_string(other, ty, settings).map(Text::from),
    }
}
