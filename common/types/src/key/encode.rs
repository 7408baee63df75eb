//! Values to key columns.

use super::{END_OF_ELEMENTS, KeyOrder, numeric_class, numeric_exponent};
use crate::compare::without_blanks;
use crate::{ArrayValue, Datum, Numeric, Oid, PgType, ValueError, oids};
use shardforge_common::key::marker;

/// Appends one key column: marker and body. Fails with 0A000 for a type that has no order, and then
/// leaves `out` as it was.
pub fn encode_key_column(
    out: &mut Vec<u8>,
    datum: &Datum,
    ty: PgType,
    order: KeyOrder,
) -> Result<(), ValueError> {
    match datum {
        Datum::Null => out.push(if order.nulls_first { marker::NULL_FIRST } else { marker::NULL_LAST }),
        Datum::Bool(value) => fixed(out, order, [u8::from(*value)]),
        Datum::Char(value) => fixed(out, order, [*value]),
        Datum::Int2(value) => fixed(out, order, (*value ^ i16::MIN).to_be_bytes()),
        Datum::Int4(value) | Datum::Date(value) => fixed(out, order, (*value ^ i32::MIN).to_be_bytes()),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => {
            fixed(out, order, (*value ^ i64::MIN).to_be_bytes());
        }
        Datum::Oid(Oid(value)) => fixed(out, order, value.to_be_bytes()),
        Datum::Float4(value) => fixed(out, order, float4_bits(*value).to_be_bytes()),
        Datum::Float8(value) => fixed(out, order, float8_bits(*value).to_be_bytes()),
        Datum::Interval(value) => fixed(out, order, (value.compare_value() ^ i128::MIN).to_be_bytes()),
        Datum::Uuid(value) => fixed(out, order, *value),
        Datum::Text(_) if ty.oid == oids::JSON => return Err(no_order(ty)),
        Datum::Text(value) if ty.oid == oids::BPCHAR => {
            variable(out, order, marker::VARIABLE_ASC, |body| body.push(without_blanks(value).as_bytes()));
        }
        Datum::Text(value) => variable(out, order, marker::VARIABLE_ASC, |body| body.push(value.as_bytes())),
        Datum::Bytea(value) => variable(out, order, marker::VARIABLE_ASC, |body| body.push(value)),
        Datum::Numeric(value) => variable(out, order, marker::VARIABLE_ASC, |body| numeric(body, value)),
        Datum::Array(array) => {
            let mut elements = Vec::new();
            encode_array(&mut elements, array, ty)?;
            variable(out, order, marker::NESTED_ASC, |body| body.push(&elements));
        }
        Datum::Record(fields) => {
            let mut nested = Vec::new();
            for field in fields.iter() {
                encode_key_column(&mut nested, &field.value, field.ty, KeyOrder::ASC)?;
            }
            nested.push(END_OF_ELEMENTS);
            variable(out, order, marker::NESTED_ASC, |body| body.push(&nested));
        }
    }
    Ok(())
}

fn no_order(ty: PgType) -> ValueError {
    ValueError::not_supported(format!(
        "type {} cannot be part of a key: it has no order",
        crate::oid::type_name(ty.oid)
    ))
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, order: KeyOrder, body: [u8; N]) {
    const { assert!(N.is_power_of_two() && N <= 16, "the marker holds a power of two") };
    let class = N.trailing_zeros() as u8 + 1;
    if order.desc {
        out.push(marker::FIXED_DESC + class);
        out.extend_from_slice(&body.map(|byte| !byte));
    } else {
        out.push(marker::FIXED_ASC + class);
        out.extend_from_slice(&body);
    }
}

/// The body of a terminated column while it is written: escapes, and inverts when descending.
struct Body<'a> {
    out: &'a mut Vec<u8>,
    invert: u8,
}

impl Body<'_> {
    fn push(&mut self, bytes: &[u8]) {
        if self.invert == 0 && !bytes.contains(&0) {
            self.out.extend_from_slice(bytes);
            return;
        }
        for byte in bytes {
            self.out.push(byte ^ self.invert);
            if *byte == 0 {
                self.out.push(0xff ^ self.invert);
            }
        }
    }
}

fn variable(out: &mut Vec<u8>, order: KeyOrder, kind: u8, write: impl FnOnce(&mut Body<'_>)) {
    let (kind, invert) = match (order.desc, kind) {
        (false, kind) => (kind, 0),
        (true, marker::NESTED_ASC) => (marker::NESTED_DESC, 0xff),
        (true, _) => (marker::VARIABLE_DESC, 0xff),
    };
    out.push(kind);
    write(&mut Body { out, invert });
    out.extend_from_slice(&[invert, 0x01 ^ invert]);
}

/// Bits of a float whose order as an unsigned number is the order of values.
fn float8_bits(value: f64) -> u64 {
    let canonical = if value.is_nan() { f64::NAN.abs() } else { value + 0.0 };
    let bits = canonical.to_bits();
    bits ^ if bits >> 63 == 0 { 1 << 63 } else { u64::MAX }
}

fn float4_bits(value: f32) -> u32 {
    let canonical = if value.is_nan() { f32::NAN.abs() } else { value + 0.0 };
    let bits = canonical.to_bits();
    bits ^ if bits >> 31 == 0 { 1 << 31 } else { u32::MAX }
}

fn numeric(body: &mut Body<'_>, value: &Numeric) {
    if value.is_nan() {
        return body.push(&[numeric_class::NAN]);
    }
    if !value.is_finite() {
        let above = value.signum() > 0;
        return body.push(&[if above { numeric_class::INFINITY } else { numeric_class::NEGATIVE_INFINITY }]);
    }
    let mut digits = Vec::with_capacity(40);
    let Some((negative, exponent)) = value.significant_digits(&mut digits) else {
        return body.push(&[numeric_class::ZERO]);
    };
    let mut bytes = Vec::with_capacity(digits.len() / 2 + 6);
    let far = |bytes: &mut Vec<u8>, lead: u8, value: i32| {
        bytes.push(lead);
        bytes.extend_from_slice(&value.to_be_bytes()[1..]);
    };
    if numeric_exponent::NEAR.contains(&exponent) {
        bytes.push((exponent + numeric_exponent::NEAR_BIAS) as u8);
    } else if exponent < 0 {
        far(&mut bytes, numeric_exponent::FAR_BELOW, exponent + numeric_exponent::FAR_BIAS);
    } else {
        far(&mut bytes, numeric_exponent::FAR_ABOVE, exponent);
    }
    bytes.extend(digits.chunks(2).map(|pair| 1 + pair[0] * 10 + pair.get(1).copied().unwrap_or(0)));
    if negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        bytes.push(0xff);
    }
    body.push(&[if negative { numeric_class::NEGATIVE } else { numeric_class::POSITIVE }]);
    body.push(&bytes);
}

fn encode_array(out: &mut Vec<u8>, array: &ArrayValue, ty: PgType) -> Result<(), ValueError> {
    if ty.oid == oids::OIDVECTOR {
        out.extend_from_slice(&(array.len() as u32).to_be_bytes());
    }
    let element = PgType::with_typmod(array.element, ty.typmod);
    for value in &array.values {
        encode_key_column(out, value, element, KeyOrder::ASC)?;
    }
    out.push(END_OF_ELEMENTS);
    out.push(array.dims.len() as u8);
    if let Some((_, outer)) = array.dims.split_last() {
        outer.iter().for_each(|dim| out.extend_from_slice(&dim.len.to_be_bytes()));
    }
    array.dims.iter().for_each(|dim| out.extend_from_slice(&(dim.lower ^ i32::MIN).to_be_bytes()));
    Ok(())
}
