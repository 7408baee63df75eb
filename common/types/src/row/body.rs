//! The bytes of one value, under a type that the reader knows.
//!
//! ```text
//! fixed types          as in the row
//! text and its like    UTF-8                    bytea    the bytes
//! numeric              kind + 8 * min(scale, 31) (1 byte)  scale (varint), if it is 31 or more
//!                      kind 0, 1: above and below zero: the whole number, little endian, without zero bytes at the end
//!                      kind 2, 3: the same in base 10^9, 4 bytes a limb, for numbers above 127 bits
//!                      kind 4 NaN, 5 Infinity, 6 -Infinity
//! array                element type (4)  dimensions (1)  length and lower bound of each (4, 4)
//!                      each element: 0 for null, or its length + 1 (varint) and its body
//! record               number of fields (varint)
//!                      each field: type (4)  modifier (4)  value as an element's
//! ```

use super::layout::fixed_width;
use super::view::ValueRef;
use crate::array::{ArrayDim, MAX_DIMS};
use crate::{ArrayValue, Datum, Interval, Numeric, Oid, PgType, RecordField, oids};
use shardforge_common::mutation::{put_varint, take, take_varint};
use shardforge_common::{Error, Result};
use smallvec::SmallVec;
use std::sync::Arc;

const POSITIVE: u8 = 0;
const NEGATIVE: u8 = 1;
const BIG_POSITIVE: u8 = 2;
const BIG_NEGATIVE: u8 = 3;
const NAN: u8 = 4;
const INFINITY: u8 = 5;
const NEGATIVE_INFINITY: u8 = 6;
const KIND_BITS: u32 = 3;
const LONG_SCALE: u16 = 31;

/// Nested values go at most this deep: deeper bytes are damaged, or an attack on the stack.
const MAX_DEPTH: usize = 32;

/// Appends the body of a value. Null has none.
pub fn encode_body(out: &mut Vec<u8>, datum: &Datum) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Char(value) => out.push(*value),
        Datum::Int2(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Int4(value) | Datum::Date(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => {
            out.extend_from_slice(&value.to_le_bytes());
        }
        Datum::Float4(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Oid(Oid(value)) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Interval(value) => {
            out.extend_from_slice(&value.micros.to_le_bytes());
            out.extend_from_slice(&value.days.to_le_bytes());
            out.extend_from_slice(&value.months.to_le_bytes());
        }
        Datum::Uuid(value) => out.extend_from_slice(value),
        Datum::Text(value) => out.extend_from_slice(value.as_bytes()),
        Datum::Bytea(value) => out.extend_from_slice(value),
        Datum::Numeric(value) => encode_numeric(out, value),
        Datum::Array(array) => {
            out.extend_from_slice(&array.element.0.to_le_bytes());
            out.push(array.dims.len() as u8);
            for dim in &array.dims {
                out.extend_from_slice(&dim.len.to_le_bytes());
                out.extend_from_slice(&dim.lower.to_le_bytes());
            }
            array.values.iter().for_each(|value| encode_element(out, value));
        }
        Datum::Record(fields) => {
            put_varint(out, fields.len() as u64);
            for field in fields.iter() {
                out.extend_from_slice(&field.ty.oid.0.to_le_bytes());
                out.extend_from_slice(&field.ty.typmod.to_le_bytes());
                encode_element(out, &field.value);
            }
        }
    }
}

fn encode_element(out: &mut Vec<u8>, value: &Datum) {
    if value.is_null() {
        return out.push(0);
    }
    let mut body = Vec::new();
    encode_body(&mut body, value);
    put_varint(out, body.len() as u64 + 1);
    out.extend_from_slice(&body);
}

fn encode_numeric(out: &mut Vec<u8>, value: &Numeric) {
    let head = |out: &mut Vec<u8>, kind: u8, scale: u16| {
        out.push(kind | (scale.min(LONG_SCALE) as u8) << KIND_BITS);
        if scale >= LONG_SCALE {
            put_varint(out, u64::from(scale));
        }
    };
    if let Some((unscaled, scale)) = value.as_unscaled() {
        head(out, if unscaled < 0 { NEGATIVE } else { POSITIVE }, scale);
        let magnitude = unscaled.unsigned_abs();
        let len = 16 - magnitude.leading_zeros() as usize / 8;
        out.extend_from_slice(&magnitude.to_le_bytes()[..len]);
    } else if let Some((negative, limbs, scale)) = value.as_big() {
        head(out, if negative { BIG_NEGATIVE } else { BIG_POSITIVE }, scale);
        limbs.iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
    } else if value.is_nan() {
        out.push(NAN);
    } else {
        out.push(if value.signum() > 0 { INFINITY } else { NEGATIVE_INFINITY });
    }
}

fn corrupt(ty: PgType, what: &str) -> Error {
    Error::corrupt(format!("a value of type {ty} in a row: {what}"))
}

/// The value of a fixed type; the bytes must have its width.
pub(super) fn decode_fixed<'a>(bytes: &'a [u8], ty: PgType) -> Result<ValueRef<'a>> {
    fn array<const N: usize>(bytes: &[u8], ty: PgType) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| corrupt(ty, "its length is of another type"))
    }
    Ok(match ty.oid {
        oids::INT4 => ValueRef::Int4(i32::from_le_bytes(array(bytes, ty)?)),
        oids::INT8 => ValueRef::Int8(i64::from_le_bytes(array(bytes, ty)?)),
        oids::INT2 => ValueRef::Int2(i16::from_le_bytes(array(bytes, ty)?)),
        oids::BOOL => match array::<1>(bytes, ty)? {
            [0] => ValueRef::Bool(false),
            [1] => ValueRef::Bool(true),
            _ => return Err(corrupt(ty, "neither true nor false")),
        },
        oids::CHAR => ValueRef::Char(array::<1>(bytes, ty)?[0]),
        oids::FLOAT4 => ValueRef::Float4(f32::from_le_bytes(array(bytes, ty)?)),
        oids::FLOAT8 => ValueRef::Float8(f64::from_le_bytes(array(bytes, ty)?)),
        oids::DATE => ValueRef::Date(i32::from_le_bytes(array(bytes, ty)?)),
        oids::TIME => ValueRef::Time(i64::from_le_bytes(array(bytes, ty)?)),
        oids::TIMESTAMP => ValueRef::Timestamp(i64::from_le_bytes(array(bytes, ty)?)),
        oids::TIMESTAMPTZ => ValueRef::TimestampTz(i64::from_le_bytes(array(bytes, ty)?)),
        oids::INTERVAL => {
            let bytes: [u8; 16] = array(bytes, ty)?;
            let (micros, parts) = bytes.split_at(8);
            ValueRef::Interval(Interval {
                micros: i64::from_le_bytes(array(micros, ty)?),
                days: i32::from_le_bytes(array(&parts[..4], ty)?),
                months: i32::from_le_bytes(array(&parts[4..], ty)?),
            })
        }
        oids::UUID => ValueRef::Uuid(array(bytes, ty)?),
        oid if oid.is_oid_like() => ValueRef::Oid(Oid(u32::from_le_bytes(array(bytes, ty)?))),
        _ => return Err(corrupt(ty, "it has no fixed form")),
    })
}

/// The value of any type, borrowing where it can; arrays and records are left undecoded.
pub(super) fn decode_ref<'a>(bytes: &'a [u8], ty: PgType) -> Result<ValueRef<'a>> {
    if ty.oid.is_text_like() {
        return std::str::from_utf8(bytes).map(ValueRef::Text).map_err(|_| corrupt(ty, "not UTF-8"));
    }
    match ty.oid {
        oids::NUMERIC => {
            decode_numeric(bytes).map(ValueRef::Numeric).ok_or_else(|| corrupt(ty, "not a number"))
        }
        oids::BYTEA => Ok(ValueRef::Bytea(bytes)),
        oids::RECORD => Ok(ValueRef::Record(bytes)),
        _ if fixed_width(ty).is_some() => decode_fixed(bytes, ty),
        _ => Ok(ValueRef::Array(bytes)),
    }
}

/// The value of a body. Arrays name the type of their elements, so `ty` need only say that it is one.
pub fn decode_body(bytes: &[u8], ty: PgType) -> Result<Datum> {
    decode_nested(bytes, ty, 0)
}

fn decode_nested(bytes: &[u8], ty: PgType, depth: usize) -> Result<Datum> {
    if depth > MAX_DEPTH {
        return Err(corrupt(ty, "nested too deep"));
    }
    match decode_ref(bytes, ty)? {
        ValueRef::Array(bytes) => decode_array(bytes, ty, depth),
        ValueRef::Record(bytes) => decode_record(bytes, depth),
        scalar => Ok(scalar.to_scalar().expect("only arrays and records are no scalars")),
    }
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32> {
    let head = take(bytes, 4)?;
    Ok(u32::from_le_bytes(*head.first_chunk().expect("four bytes were taken")))
}

fn decode_array(mut bytes: &[u8], ty: PgType, depth: usize) -> Result<Datum> {
    let element = Oid(take_u32(&mut bytes)?);
    let count = usize::from(take(&mut bytes, 1)?[0]);
    if count > MAX_DIMS {
        return Err(corrupt(ty, "too many dimensions"));
    }
    let mut dims: SmallVec<[ArrayDim; 1]> = SmallVec::new();
    let mut elements = usize::from(count > 0);
    for _ in 0..count {
        let (len, lower) = (take_u32(&mut bytes)? as i32, take_u32(&mut bytes)? as i32);
        let whole = usize::try_from(len).ok().filter(|len| *len > 0);
        elements =
            whole.and_then(|len| elements.checked_mul(len)).ok_or_else(|| corrupt(ty, "a bad dimension"))?;
        dims.push(ArrayDim { len, lower });
    }
    // Each element has at least a byte, so this bounds what a damaged count can ask for.
    if elements > bytes.len() {
        return Err(corrupt(ty, "fewer elements than its dimensions say"));
    }
    let mut values = Vec::with_capacity(elements);
    for _ in 0..elements {
        values.push(decode_element(&mut bytes, PgType::new(element), depth)?);
    }
    if !bytes.is_empty() {
        return Err(corrupt(ty, "bytes after its last element"));
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, values })))
}

fn decode_record(mut bytes: &[u8], depth: usize) -> Result<Datum> {
    let ty = PgType::new(oids::RECORD);
    let count = take_varint(&mut bytes)?;
    if count > bytes.len() as u64 {
        return Err(corrupt(ty, "fewer fields than it says"));
    }
    let mut fields = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let ty = PgType { oid: Oid(take_u32(&mut bytes)?), typmod: take_u32(&mut bytes)? as i32 };
        fields.push(RecordField { ty, value: decode_element(&mut bytes, ty, depth)? });
    }
    if !bytes.is_empty() {
        return Err(corrupt(ty, "bytes after its last field"));
    }
    Ok(Datum::Record(fields.into()))
}

fn decode_element(bytes: &mut &[u8], ty: PgType, depth: usize) -> Result<Datum> {
    match take_varint(bytes)? {
        0 => Ok(Datum::Null),
        len => {
            let len =
                usize::try_from(len - 1).map_err(|_| corrupt(ty, "a length above the address space"))?;
            decode_nested(take(bytes, len)?, ty, depth + 1)
        }
    }
}

/// The whole number and the display scale of a numeric's body, when it is finite, fits an `i128`, and its
/// scale is a short one. Others have to be decoded as values.
#[inline]
pub fn unscaled_of(body: &[u8]) -> Option<(i128, u8)> {
    let (head, digits) = body.split_first()?;
    let scale = head >> KIND_BITS;
    if u16::from(scale) == LONG_SCALE {
        return None;
    }
    let magnitude = match digits.len() {
        0..=8 => {
            let mut low = [0u8; 8];
            low[..digits.len()].copy_from_slice(digits);
            i128::from(u64::from_le_bytes(low))
        }
        9..=16 => {
            let mut bytes = [0u8; 16];
            bytes[..digits.len()].copy_from_slice(digits);
            i128::try_from(u128::from_le_bytes(bytes)).ok()?
        }
        _ => return None,
    };
    match head & ((1 << KIND_BITS) - 1) {
        POSITIVE => Some((magnitude, scale)),
        NEGATIVE => Some((-magnitude, scale)),
        _ => None,
    }
}

fn decode_numeric(mut bytes: &[u8]) -> Option<Numeric> {
    let head = take(&mut bytes, 1).ok()?[0];
    let kind = head & ((1 << KIND_BITS) - 1);
    let mut scale = u16::from(head >> KIND_BITS);
    if scale == LONG_SCALE {
        scale = u16::try_from(take_varint(&mut bytes).ok()?).ok()?;
    }
    if scale > crate::numeric::MAX_SCALE {
        return None;
    }
    match kind {
        POSITIVE | NEGATIVE => {
            let mut magnitude = [0u8; 16];
            magnitude.get_mut(..bytes.len())?.copy_from_slice(bytes);
            let unscaled = i128::try_from(u128::from_le_bytes(magnitude)).ok()?;
            Some(Numeric::from_unscaled(if kind == NEGATIVE { -unscaled } else { unscaled }, scale))
        }
        BIG_POSITIVE | BIG_NEGATIVE => {
            let (limbs, rest) = bytes.as_chunks::<4>();
            let limbs = limbs.iter().map(|limb| u32::from_le_bytes(*limb)).collect();
            if rest.is_empty() { Numeric::from_big(kind == BIG_NEGATIVE, limbs, scale) } else { None }
        }
        NAN => Some(Numeric::NAN),
        INFINITY => Some(Numeric::INFINITY),
        NEGATIVE_INFINITY => Some(Numeric::NEG_INFINITY),
        _ => None,
    }
}
