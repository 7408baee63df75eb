//! Key columns back to values.

use super::{END_OF_ELEMENTS, KeyOrder, numeric_class, numeric_exponent};
use crate::array::{ArrayDim, MAX_DIMS};
use crate::{ArrayValue, Datum, Interval, Numeric, Oid, PgType, Text, oids};
use bytes::Bytes;
use shardforge_common::key::{column_len, marker};
use shardforge_common::{Error, Result};
use smallvec::SmallVec;
use std::sync::Arc;

/// Takes one key column off the front of `bytes`. What comes back is equal to what was encoded, and
/// identical to it where [`super::key_recoverable`] says so. Records do not come back: a key does not
/// name the types of their fields.
pub fn decode_key_column(bytes: &mut &[u8], ty: PgType, order: KeyOrder) -> Result<Datum> {
    let (column, rest) = bytes.split_at(column_len(bytes)?);
    *bytes = rest;
    let kind = column[0];
    if kind == marker::NULL_FIRST || kind == marker::NULL_LAST {
        return Ok(Datum::Null);
    }
    let invert = if order.desc { 0xff } else { 0x00 };
    let body = &column[1..];
    match kind {
        0x10..=0x18 if !order.desc => fixed(body, invert, ty),
        0x40..=0x48 if order.desc => fixed(body, invert, ty),
        marker::VARIABLE_ASC | marker::NESTED_ASC if !order.desc => variable(body, invert, ty),
        marker::VARIABLE_DESC | marker::NESTED_DESC if order.desc => variable(body, invert, ty),
        _ => Err(corrupt(ty, "its marker is of the other direction")),
    }
}

fn corrupt(ty: PgType, what: &str) -> Error {
    Error::corrupt(format!("key column of type {ty}: {what}"))
}

fn fixed(body: &[u8], invert: u8, ty: PgType) -> Result<Datum> {
    fn take<const N: usize>(body: &[u8], invert: u8, ty: PgType) -> Result<[u8; N]> {
        let bytes: [u8; N] = body.try_into().map_err(|_| corrupt(ty, "its length is of another type"))?;
        Ok(bytes.map(|byte| byte ^ invert))
    }
    let i32_of = || Ok::<_, Error>(i32::from_be_bytes(take(body, invert, ty)?) ^ i32::MIN);
    let i64_of = || Ok::<_, Error>(i64::from_be_bytes(take(body, invert, ty)?) ^ i64::MIN);
    Ok(match ty.oid {
        oids::BOOL => match take::<1>(body, invert, ty)? {
            [0] => Datum::Bool(false),
            [1] => Datum::Bool(true),
            _ => return Err(corrupt(ty, "neither true nor false")),
        },
        oids::CHAR => Datum::Char(take::<1>(body, invert, ty)?[0]),
        oids::INT2 => Datum::Int2(i16::from_be_bytes(take(body, invert, ty)?) ^ i16::MIN),
        oids::INT4 => Datum::Int4(i32_of()?),
        oids::DATE => Datum::Date(i32_of()?),
        oids::INT8 => Datum::Int8(i64_of()?),
        oids::TIME => Datum::Time(i64_of()?),
        oids::TIMESTAMP => Datum::Timestamp(i64_of()?),
        oids::TIMESTAMPTZ => Datum::TimestampTz(i64_of()?),
        oids::FLOAT4 => {
            let bits = u32::from_be_bytes(take(body, invert, ty)?);
            Datum::Float4(f32::from_bits(bits ^ if bits >> 31 == 1 { 1 << 31 } else { u32::MAX }))
        }
        oids::FLOAT8 => {
            let bits = u64::from_be_bytes(take(body, invert, ty)?);
            Datum::Float8(f64::from_bits(bits ^ if bits >> 63 == 1 { 1 << 63 } else { u64::MAX }))
        }
        oids::INTERVAL => {
            let value = i128::from_be_bytes(take(body, invert, ty)?) ^ i128::MIN;
            Datum::Interval(interval_of(value).ok_or_else(|| corrupt(ty, "no interval is that long"))?)
        }
        oids::UUID => Datum::Uuid(take(body, invert, ty)?),
        oid if oid.is_oid_like() => Datum::Oid(Oid(u32::from_be_bytes(take(body, invert, ty)?))),
        _ => return Err(corrupt(ty, "no fixed body belongs to it")),
    })
}

/// An interval that is equal to every one of this compare value.
fn interval_of(value: i128) -> Option<Interval> {
    use crate::interval::{DAY_MICROS, MONTH_DAYS};
    let (day, month) = (i128::from(DAY_MICROS), i128::from(MONTH_DAYS));
    // Whole days first; what days cannot hold goes to months, and the rest to microseconds.
    let months = i32::try_from((value / day) / month).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX });
    let left = value - i128::from(months) * month * day;
    let days = i32::try_from(left / day).unwrap_or(if left < 0 { i32::MIN } else { i32::MAX });
    let micros = i64::try_from(left - i128::from(days) * day).ok()?;
    Some(Interval::new(months, days, micros))
}

fn variable(body: &[u8], invert: u8, ty: PgType) -> Result<Datum> {
    let plain = unescape(&body[..body.len() - 2], invert);
    if ty.oid.is_text_like() {
        let text = String::from_utf8(plain).map_err(|_| corrupt(ty, "not UTF-8"))?;
        return Ok(Datum::Text(match (ty.oid, ty.char_len()) {
            (oids::BPCHAR, Some(len)) => crate::typmod::pad(&text, len as usize),
            _ => Text::from(text),
        }));
    }
    match ty.oid {
        oids::BYTEA => Ok(Datum::Bytea(Bytes::from(plain))),
        oids::NUMERIC => Ok(Datum::Numeric(numeric(&plain).ok_or_else(|| corrupt(ty, "not a number"))?)),
        oids::INT2VECTOR => array(&plain, ty, PgType::INT2),
        oids::OIDVECTOR => {
            array(plain.get(4..).ok_or_else(|| corrupt(ty, "cut short"))?, ty, PgType::new(oids::OID))
        }
        _ => match ty.element() {
            Some(element) => array(&plain, ty, element),
            None => Err(corrupt(ty, "values of this type do not come back from a key")),
        },
    }
}

/// Takes escapes and inversion away; the escapes were checked when the column was measured.
fn unescape(body: &[u8], invert: u8) -> Vec<u8> {
    let mut plain = Vec::with_capacity(body.len());
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        let byte = byte ^ invert;
        plain.push(byte);
        if byte == 0 {
            bytes.next();
        }
    }
    plain
}

fn numeric(body: &[u8]) -> Option<Numeric> {
    let (class, rest) = body.split_first()?;
    let negative = match *class {
        numeric_class::NEGATIVE_INFINITY => return Some(Numeric::NEG_INFINITY),
        numeric_class::ZERO => return Some(Numeric::ZERO),
        numeric_class::INFINITY => return Some(Numeric::INFINITY),
        numeric_class::NAN => return Some(Numeric::NAN),
        numeric_class::NEGATIVE => true,
        numeric_class::POSITIVE => false,
        _ => return None,
    };
    let plain: Vec<u8> =
        if negative { rest.strip_suffix(&[0xff])?.iter().map(|byte| !byte).collect() } else { rest.to_vec() };
    let far = |bytes: &[u8]| Some(i32::from_be_bytes([0, *bytes.first()?, *bytes.get(1)?, *bytes.get(2)?]));
    let (lead, after) = plain.split_first()?;
    let (exponent, pairs) = match *lead {
        numeric_exponent::FAR_BELOW => (far(after)? - numeric_exponent::FAR_BIAS, after.get(3..)?),
        numeric_exponent::FAR_ABOVE => (far(after)?, after.get(3..)?),
        near => (i32::from(near) - numeric_exponent::NEAR_BIAS, after),
    };
    let mut text = String::with_capacity(pairs.len() * 2 + 16);
    if negative {
        text.push('-');
    }
    for pair in pairs {
        let value = pair.checked_sub(1).filter(|value| *value < 100)?;
        text.push(char::from(b'0' + value / 10));
        text.push(char::from(b'0' + value % 10));
    }
    // The digits have a point before them, the exponent is that of the first one.
    let exponent = i64::from(exponent) + 1 - 2 * pairs.len() as i64;
    text.push_str(&format!("e{exponent}"));
    text.parse::<Numeric>().ok().map(|value| value.trim_scale())
}

fn array(body: &[u8], ty: PgType, element: PgType) -> Result<Datum> {
    let short = || corrupt(ty, "cut short");
    let mut rest = body;
    let mut values = Vec::new();
    while *rest.first().ok_or_else(short)? != END_OF_ELEMENTS {
        values.push(decode_key_column(&mut rest, element, KeyOrder::ASC)?);
    }
    let dims = usize::from(*rest.get(1).ok_or_else(short)?);
    rest = &rest[2..];
    let numbers = if dims == 0 { 0 } else { dims * 2 - 1 };
    if dims > MAX_DIMS || rest.len() != numbers * 4 || (dims == 0) != values.is_empty() {
        return Err(corrupt(ty, "a shape that no array has"));
    }
    let number =
        |at: usize| i32::from_be_bytes(*rest[at * 4..].first_chunk().expect("the shape was measured"));
    let mut shape: SmallVec<[ArrayDim; 1]> = SmallVec::new();
    let mut left = values.len();
    for at in 0..dims {
        let len = if at + 1 < dims { number(at) } else { left as i32 };
        let whole = usize::try_from(len).ok().filter(|len| *len > 0 && left.is_multiple_of(*len));
        left /= whole.ok_or_else(|| corrupt(ty, "a shape that does not hold its elements"))?;
        shape.push(ArrayDim { len, lower: number(dims - 1 + at) ^ i32::MIN });
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element: element.oid, dims: shape, values })))
}
