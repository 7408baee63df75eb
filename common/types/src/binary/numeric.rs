//! Numerics on the wire: digits in base 10000, each 2 bytes.
//!
//! ```text
//! number of digits (2)  weight: the power of 10000 of the first (2)  sign (2)  display scale (2)  digits
//! sign = 0000 above zero, 4000 below, c000 NaN, d000 Infinity, f000 -Infinity
//! ```

use crate::{Numeric, ValueError};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;
/// The scale that PostgreSQL sends with an infinity, where it means nothing.
const INFINITY_SCALE: u16 = 0x20;
const BASE: u16 = 10_000;
/// Decimal digits in one of the wire's.
const GROUP: i32 = 4;
const HEADER_LEN: usize = 8;

pub(super) fn input(bytes: &[u8]) -> Result<Numeric, ValueError> {
    let bad = |what: &str| ValueError::bad_binary(format!("invalid {what} in external \"numeric\" value"));
    let (head, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or_else(ValueError::insufficient_data)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, weight, sign, scale) = (usize::from(word(0)), i32::from(word(2) as i16), word(4), word(6));
    let (groups, after) = rest.as_chunks::<2>();
    if groups.len() < count {
        return Err(ValueError::insufficient_data());
    }
    if groups.len() > count || !after.is_empty() {
        return Err(ValueError::bad_binary("incorrect binary data format"));
    }
    match sign {
        0 | NEGATIVE => {}
        NAN => return Ok(Numeric::NAN),
        INFINITY => return Ok(Numeric::INFINITY),
        NEGATIVE_INFINITY => return Ok(Numeric::NEG_INFINITY),
        _ => return Err(bad("sign")),
    }
    if scale > crate::numeric::MAX_SCALE {
        return Err(bad("scale"));
    }
    let mut text = String::with_capacity(count * GROUP as usize + 16);
    if sign == NEGATIVE {
        text.push('-');
    }
    text.push('0');
    for group in groups {
        let digit = u16::from_be_bytes(*group);
        if digit >= BASE {
            return Err(bad("digit"));
        }
        text.push_str(&format!("{digit:04}"));
    }
    // The digits read as a whole number, which the weight of the last one moves into place; digits
    // beyond the display scale are cut.
    let exponent = (weight + 1 - count as i32) * GROUP;
    let hidden = (-exponent - i32::from(scale)).max(0) as usize;
    let whole = text.len().saturating_sub(hidden);
    if hidden > 0 {
        let least = usize::from(sign == NEGATIVE) + 1;
        text.truncate(whole.max(least));
        if whole < least {
            return Numeric::ZERO.round(i32::from(scale));
        }
    }
    text.push_str(&format!("e{}", exponent + hidden as i32));
    text.parse::<Numeric>()?.with_scale(scale)
}

pub(super) fn output(value: &Numeric) -> Vec<u8> {
    let header = |count: u16, weight: i16, sign: u16, scale: u16| {
        let words = [count, weight as u16, sign, scale];
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
    };
    if !value.is_finite() {
        let sign = if value.is_nan() {
            NAN
        } else if value.signum() > 0 {
            INFINITY
        } else {
            NEGATIVE_INFINITY
        };
        let scale = if value.is_nan() { 0 } else { INFINITY_SCALE };
        return header(0, 0, sign, scale);
    }
    let mut digits = Vec::with_capacity(48);
    let Some((negative, exponent)) = value.significant_digits(&mut digits) else {
        return header(0, 0, 0, value.scale());
    };
    let weight = exponent.div_euclid(GROUP);
    // Zeros before the first digit fill its group, zeros after the last one its own.
    let before = (GROUP - 1 - exponent.rem_euclid(GROUP)) as usize;
    let mut padded = vec![0u8; before];
    padded.extend_from_slice(&digits);
    padded.resize(padded.len().next_multiple_of(GROUP as usize), 0);
    let groups = padded.chunks(GROUP as usize);
    let sign = if negative { NEGATIVE } else { 0 };
    let mut out = header(groups.len() as u16, weight as i16, sign, value.scale());
    for group in groups {
        let digit = group.iter().fold(0u16, |digit, decimal| digit * 10 + u16::from(*decimal));
        out.extend_from_slice(&digit.to_be_bytes());
    }
    out
}
