//! Byte strings, their text encodings, and hashes.

use super::args::body;
use super::call::{ScalarFunction, stable, strict};
use crate::{SqlError, SqlResult};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use shardforge_types::SqlState;

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

fn unknown_encoding(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], format: &str) -> SqlResult<String> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes)),
        "base64" => {
            // Lines of 76 characters, as MIME has them.
            let all = STANDARD.encode(bytes);
            let lines: Vec<&str> =
                all.as_bytes().chunks(76).filter_map(|l| std::str::from_utf8(l).ok()).collect();
            Ok(lines.join("\n"))
        }
        "escape" => {
            let mut out = String::with_capacity(bytes.len());
            for byte in bytes {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
                    other => out.push(char::from(*other)),
                }
            }
            Ok(out)
        }
        _ => Err(unknown_encoding(format)),
    }
}

fn decode(text: &str, format: &str) -> SqlResult<Vec<u8>> {
    let bad = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let mut digits = Vec::with_capacity(text.len());
            for c in text.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')) {
                let digit =
                    c.to_digit(16).ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{c}\"")))?;
                digits.push(digit as u8);
            }
            if digits.len() % 2 == 1 {
                return Err(bad("invalid hexadecimal data: odd number of digits".to_owned()));
            }
            Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        "base64" => {
            let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).collect();
            STANDARD.decode(&compact).map_err(|error| match error {
                base64::DecodeError::InvalidByte(at, _) => {
                    let c = compact[at..].chars().next().unwrap_or(' ');
                    bad(format!("invalid symbol \"{c}\" found while decoding base64 sequence"))
                }
                _ => bad("invalid base64 end sequence".to_owned())
                    .hint("Input data is missing padding, is truncated, or is otherwise corrupted."),
            })
        }
        "escape" => {
            let wrong = || {
                SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
            };
            let bytes = text.as_bytes();
            let mut out = Vec::with_capacity(bytes.len());
            let mut at = 0;
            while at < bytes.len() {
                match bytes[at..] {
                    [b'\\', b'\\', ..] => {
                        out.push(b'\\');
                        at += 2;
                    }
                    [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                        out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                        at += 4;
                    }
                    [b'\\', ..] => return Err(wrong()),
                    [byte, ..] => {
                        out.push(byte);
                        at += 1;
                    }
                    [] => break,
                }
            }
            Ok(out)
        }
        _ => Err(unknown_encoding(format)),
    }
}

fn substring(bytes: &Bytes, start: i32, length: Option<i32>) -> SqlResult<Bytes> {
    let from = i64::from(start);
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => from + i64::from(length),
        None => i64::MAX,
    };
    let clamp = |at: i64| (at - 1).clamp(0, bytes.len() as i64) as usize;
    let (first, last) = (clamp(from), clamp(end));
    Ok(if first < last { bytes.slice(first..last) } else { Bytes::new() })
}

fn overlay(bytes: &Bytes, new: &Bytes, start: i32, length: i32) -> SqlResult<Vec<u8>> {
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let before = substring(bytes, 1, Some(start - 1))?;
    let after = substring(bytes, start.saturating_add(length), None)?;
    Ok([&before[..], &new[..], &after[..]].concat())
}

fn position(bytes: &[u8], part: &[u8]) -> i32 {
    if part.is_empty() {
        return 1;
    }
    bytes.windows(part.len()).position(|window| window == part).map_or(0, |at| at as i32 + 1)
}

fn trim(bytes: &Bytes, set: &Bytes, start: bool, end: bool) -> Bytes {
    let inside = |byte: &u8| set.contains(byte);
    let first = if start { bytes.iter().position(|b| !inside(b)).unwrap_or(bytes.len()) } else { 0 };
    let last =
        if end { bytes.iter().rposition(|b| !inside(b)).map_or(first, |at| at + 1) } else { bytes.len() };
    bytes.slice(first..last.max(first))
}

fn index(bytes: &[u8], at: i64, count: i64) -> SqlResult<usize> {
    usize::try_from(at).ok().filter(|at| (*at as i64) < count).ok_or_else(|| {
        let message = format!("index {at} out of valid range, 0..{}", count - 1);
        let _ = bytes;
        SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
    })
}

fn set_byte(bytes: &Bytes, at: i32, value: i32) -> SqlResult<Vec<u8>> {
    let at = index(bytes, at.into(), bytes.len() as i64)?;
    let mut out = bytes.to_vec();
    out[at] = value as u8;
    Ok(out)
}

fn to_utf8(bytes: &Bytes, encoding: &str) -> SqlResult<String> {
    match encoding.replace(['-', '_'], "").to_ascii_uppercase().as_str() {
        "UTF8" | "UNICODE" => String::from_utf8(bytes.to_vec()).map_err(|error| {
            let byte = bytes.get(error.utf8_error().valid_up_to()).copied().unwrap_or(0);
            let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}");
            SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
        }),
        "LATIN1" | "ISO88591" => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => Err(SqlError::not_supported(format!("encoding {encoding}"))),
    }
}

fn from_utf8(text: &str, encoding: &str) -> SqlResult<Vec<u8>> {
    match encoding.replace(['-', '_'], "").to_ascii_uppercase().as_str() {
        "UTF8" | "UNICODE" => Ok(text.as_bytes().to_vec()),
        "LATIN1" | "ISO88591" => text
            .chars()
            .map(|c| {
                u8::try_from(u32::from(c)).map_err(|_| {
                    let message = format!(
                        "character \"{c}\" in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""
                    );
                    SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, message)
                })
            })
            .collect(),
        _ => Err(SqlError::not_supported(format!("encoding {encoding}"))),
    }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(720, "octet_length", body!(|a: &Bytes| a.len() as i32)),
    strict(2010, "length", body!(|a: &Bytes| a.len() as i32)),
    strict(1810, "bit_length", body!(|a: &Bytes| a.len() as i32 * 8)),
    strict(2011, "byteacat", body!(|a: &Bytes, b: &Bytes| [&a[..], &b[..]].concat())),
    strict(2012, "substring", body!(|a: &Bytes, from: i32, n: i32| substring(a, from, Some(n)))),
    strict(2085, "substr", body!(|a: &Bytes, from: i32, n: i32| substring(a, from, Some(n)))),
    strict(2013, "substring", body!(|a: &Bytes, from: i32| substring(a, from, None))),
    strict(2086, "substr", body!(|a: &Bytes, from: i32| substring(a, from, None))),
    strict(749, "overlay", body!(|a: &Bytes, b: &Bytes, from: i32, n: i32| overlay(a, b, from, n))),
    strict(752, "overlay", body!(|a: &Bytes, b: &Bytes, from: i32| overlay(a, b, from, b.len() as i32))),
    strict(2014, "position", body!(|a: &Bytes, part: &Bytes| position(a, part))),
    strict(2015, "btrim", body!(|a: &Bytes, set: &Bytes| trim(a, set, true, true))),
    strict(6195, "ltrim", body!(|a: &Bytes, set: &Bytes| trim(a, set, true, false))),
    strict(6196, "rtrim", body!(|a: &Bytes, set: &Bytes| trim(a, set, false, true))),
    strict(721, "get_byte", body!(|a: &Bytes, at: i32| i32::from(a[index(a, at.into(), a.len() as i64)?]))),
    strict(722, "set_byte", body!(|a: &Bytes, at: i32, value: i32| set_byte(a, at, value))),
    strict(
        723,
        "get_bit",
        body!(|a: &Bytes, at: i64| {
            let at = index(a, at, a.len() as i64 * 8)?;
            i32::from(a[at / 8] >> (at % 8) & 1)
        }),
    ),
    strict(
        6163,
        "bit_count",
        body!(|a: &Bytes| a.iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>()),
    ),
    strict(1946, "encode", body!(|a: &Bytes, format: &str| encode(a, format))),
    strict(1947, "decode", body!(|a: &str, format: &str| decode(a, format))),
    strict(2311, "md5", body!(|a: &str| hex(&Md5::digest(a.as_bytes())))),
    strict(2321, "md5", body!(|a: &Bytes| hex(&Md5::digest(a)))),
    strict(3419, "sha224", body!(|a: &Bytes| Sha224::digest(a).to_vec())),
    strict(3420, "sha256", body!(|a: &Bytes| Sha256::digest(a).to_vec())),
    strict(3421, "sha384", body!(|a: &Bytes| Sha384::digest(a).to_vec())),
    strict(3422, "sha512", body!(|a: &Bytes| Sha512::digest(a).to_vec())),
    stable(1714, "convert_from", body!(|a: &Bytes, encoding: &str| to_utf8(a, encoding))),
    stable(1717, "convert_to", body!(|a: &str, encoding: &str| from_utf8(a, encoding))),
];
