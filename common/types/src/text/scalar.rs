//! Truth values, integers, object numbers, bytes and UUIDs.

use super::is_space;
use crate::settings::ByteaOutput;
use crate::sqlstate::SqlState;
use crate::{Oid, PgType, ValueError, oids};
use bytes::Bytes;

/// A truth value: any unambiguous beginning of `true`, `false`, `yes`, `no`, `on`, `off`, or a digit.
pub fn parse_bool(text: &str) -> Option<bool> {
    let word = text.trim_matches(is_space).as_bytes();
    let begins = |whole: &[u8], least: usize| {
        word.len() >= least && word.len() <= whole.len() && word.eq_ignore_ascii_case(&whole[..word.len()])
    };
    if begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2) || word == b"1" {
        Some(true)
    } else if begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) || word == b"0" {
        Some(false)
    } else {
        None
    }
}

/// A `smallint`.
pub fn parse_i16(text: &str) -> Result<i16, ValueError> {
    parse_integer(text, "smallint", i64::from(i16::MIN), i64::from(i16::MAX)).map(|value| value as i16)
}

/// An `integer`.
pub fn parse_i32(text: &str) -> Result<i32, ValueError> {
    parse_integer(text, "integer", i64::from(i32::MIN), i64::from(i32::MAX)).map(|value| value as i32)
}

/// A `bigint`.
pub fn parse_i64(text: &str) -> Result<i64, ValueError> {
    parse_integer(text, "bigint", i64::MIN, i64::MAX)
}

fn parse_integer(text: &str, type_name: &str, min: i64, max: i64) -> Result<i64, ValueError> {
    let bytes = text.trim_matches(is_space).as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ValueError::invalid_syntax(type_name, text));
    }
    // Accumulated below zero, where there is room for one more value.
    let mut value = 0i64;
    for digit in digits {
        let next = value.checked_mul(10).and_then(|value| value.checked_sub(i64::from(digit - b'0')));
        value = next.ok_or_else(|| ValueError::out_of_range(type_name, text))?;
    }
    let value = if negative { Some(value) } else { value.checked_neg() };
    let within = value.filter(|value| (min..=max).contains(value));
    within.ok_or_else(|| ValueError::out_of_range(type_name, text))
}

/// The number of an object. A negative number counts back from 2^32.
pub(super) fn parse_oid(text: &str, ty: PgType) -> Result<Oid, ValueError> {
    let trimmed = text.trim_matches(is_space);
    let is_reg = !matches!(ty.oid, oids::OID | oids::XID | oids::CID);
    if is_reg && trimmed == "-" {
        return Ok(Oid::INVALID);
    }
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let type_name = crate::oid::type_name(ty.oid);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::invalid_syntax(&type_name, text));
    }
    let value: Option<i64> = trimmed.parse().ok();
    let value = value.filter(|value| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(value));
    value.map(|value| Oid(value as u32)).ok_or_else(|| ValueError::out_of_range(&type_name, text))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Bytes, in the hexadecimal form (`\x0aff`) or the escaped one (`a\\b\001`).
pub(super) fn parse_bytea(text: &str) -> Result<Bytes, ValueError> {
    let refuse = |message: String| ValueError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut out = Vec::with_capacity(hex.len() / 2);
        let mut rest = hex.chars();
        while let Some(first) = rest.next() {
            if matches!(first, ' ' | '\n' | '\t' | '\r') {
                continue;
            }
            let digit = |c: char| u8::try_from(c).ok().and_then(hex_digit);
            let bad = |c: char| refuse(format!("invalid hexadecimal digit: \"{c}\""));
            let high = digit(first).ok_or_else(|| bad(first))?;
            let second = rest
                .next()
                .ok_or_else(|| refuse("invalid hexadecimal data: odd number of digits".to_owned()))?;
            out.push(high << 4 | digit(second).ok_or_else(|| bad(second))?);
        }
        return Ok(out.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(out.into()),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => {
                return Err(ValueError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// A UUID: 32 hexadecimal digits, hyphens after any four of them, braces around.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16], ValueError> {
    let bad = || ValueError::invalid_syntax("uuid", text);
    let bytes = text.as_bytes();
    let mut rest = match bytes {
        [b'{', inner @ .., b'}'] => inner,
        [b'{', ..] => return Err(bad()),
        rest => rest,
    };
    let mut uuid = [0u8; 16];
    for (i, byte) in uuid.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return Err(bad()) };
        *byte = hex_digit(*high).ok_or_else(bad)? << 4 | hex_digit(*low).ok_or_else(bad)?;
        rest = after;
        if i % 2 == 1 && i < 15 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
    }
    if rest.is_empty() { Ok(uuid) } else { Err(bad()) }
}

pub(super) fn write_integer(value: i64, put: impl FnOnce(&[u8])) {
    let mut buffer = [0u8; 20];
    let (mut at, mut left) = (buffer.len(), value.unsigned_abs());
    loop {
        at -= 1;
        buffer[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    put(&buffer[at..]);
}

/// A byte as the character it is; those beyond ASCII as `\ooo`, so that what is written is UTF-8.
/// A `"char"`: the first byte of a text, or the byte that `\\377` writes in octal.
pub fn parse_char(text: &str) -> u8 {
    match *text.as_bytes() {
        [b'\\', a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            ((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0')
        }
        [first, ..] => first,
        [] => 0,
    }
}

pub(super) fn write_char(value: u8, put: impl FnOnce(&[u8])) {
    match value {
        0 => put(b""),
        1..=0x7f => put(&[value]),
        _ => put(&octal(value)),
    }
}

fn octal(byte: u8) -> [u8; 4] {
    [b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]
}

pub(super) fn write_bytea(bytes: &[u8], form: ByteaOutput, put: impl FnOnce(&[u8])) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = Vec::with_capacity(2 + bytes.len() * 2);
    match form {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        ByteaOutput::Escape => {
            for byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(*byte),
                    _ => out.extend_from_slice(&octal(*byte)),
                }
            }
        }
    }
    put(&out);
}

pub(super) fn write_uuid(uuid: &[u8; 16], put: impl FnOnce(&[u8])) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = [b'-'; 36];
    let mut at = 0;
    for (i, byte) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            at += 1;
        }
        out[at] = HEX[usize::from(byte >> 4)];
        out[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    put(&out);
}
