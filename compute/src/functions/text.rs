//! Strings: lengths, parts, padding, case, search. Positions and lengths count characters, from 1.

use super::args::{body, wrong_arguments};
use super::call::{Call, ScalarFunction, Volatility, stable, strict};
use super::compare::unpadded;
use super::text_io::output_text;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, SqlState, Text, oids};

/// Text longer than this is 54000, as in PostgreSQL.
const MAX_TEXT_BYTES: usize = 0x3fff_ffff;

#[cold]
fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cold]
fn too_long() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// The byte offset of character `n`, counted from 0; the length when there are fewer.
pub(super) fn char_offset(text: &str, n: usize) -> usize {
    if text.is_ascii() {
        return n.min(text.len());
    }
    text.char_indices().nth(n).map_or(text.len(), |(offset, _)| offset)
}

/// `substring(text from start for length)`, where a start before 1 eats from the length.
fn substring(text: &str, start: i32, length: Option<i32>) -> SqlResult<&str> {
    let from = i64::from(start);
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => Some(from + i64::from(length)),
        None => None,
    };
    let first = char_offset(text, usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX));
    let last = match end {
        Some(end) if end <= from.max(1) => first,
        Some(end) => char_offset(text, usize::try_from(end - 1).unwrap_or(usize::MAX)),
        None => text.len(),
    };
    Ok(&text[first..last])
}

fn overlay(text: &str, new: &str, start: i32, length: i32) -> SqlResult<String> {
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start
        .checked_add(length)
        .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    let mut out = substring(text, 1, Some(start - 1))?.to_owned();
    out.push_str(new);
    out.push_str(substring(text, after, None)?);
    Ok(out)
}

fn char_count(text: &str) -> i32 {
    text.chars().count() as i32
}

fn position(text: &str, part: &str) -> i32 {
    text.find(part).map_or(0, |offset| char_count(&text[..offset]) + 1)
}

fn pad(text: &str, length: i32, fill: &str, left: bool) -> SqlResult<String> {
    let wanted = length.max(0) as usize;
    if wanted > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    let count = text.chars().count();
    if count >= wanted || fill.is_empty() {
        return Ok(text[..char_offset(text, wanted)].to_owned());
    }
    let filler: String = fill.chars().cycle().take(wanted - count).collect();
    Ok(if left { filler + text } else { text.to_owned() + &filler })
}

fn trim<'a>(text: &'a str, set: &str, start: bool, end: bool) -> &'a str {
    let inside = |c: char| set.contains(c);
    let text = if start { text.trim_start_matches(inside) } else { text };
    if end { text.trim_end_matches(inside) } else { text }
}

fn initcap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        out.push(if inside { one(c, c.to_lowercase()) } else { one(c, c.to_uppercase()) });
        inside = c.is_alphanumeric();
    }
    out
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    text.chars()
        .filter_map(|c| match from.iter().position(|f| *f == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        })
        .collect()
}

fn repeat(text: &str, times: i32) -> SqlResult<String> {
    let times = times.max(0) as usize;
    if text.len().saturating_mul(times) > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    Ok(text.repeat(times))
}

fn chr(code: i32) -> SqlResult<String> {
    match u32::try_from(code) {
        Err(_) => Err(invalid("character number must be positive")),
        Ok(0) => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "null character not permitted")),
        Ok(code) => match char::from_u32(code) {
            Some(c) => Ok(c.to_string()),
            None if code > 0x0010_ffff => {
                let message = format!("requested character too large for encoding: {code}");
                Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
            }
            None => {
                let message = format!("requested character not valid for encoding: {code}");
                Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
            }
        },
    }
}

/// The first `n` characters, or without the last `-n`.
fn left(text: &str, n: i32) -> &str {
    let wanted = if n >= 0 { i64::from(n) } else { i64::from(char_count(text)) + i64::from(n) };
    &text[..char_offset(text, wanted.max(0) as usize)]
}

/// The last `n` characters, or without the first `-n`.
fn right(text: &str, n: i32) -> &str {
    let skip = if n >= 0 { i64::from(char_count(text)) - i64::from(n) } else { -i64::from(n) };
    &text[char_offset(text, skip.max(0) as usize)..]
}

fn split_part(text: &str, separator: &str, field: i32) -> SqlResult<String> {
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    if separator.is_empty() {
        return Ok(if field == 1 || field == -1 { text.to_owned() } else { String::new() });
    }
    let at = field.unsigned_abs() as usize - 1;
    let part = if field > 0 { text.split(separator).nth(at) } else { text.rsplit(separator).nth(at) };
    Ok(part.unwrap_or("").to_owned())
}

fn replace(text: &str, from: &str, to: &str) -> String {
    if from.is_empty() { text.to_owned() } else { text.replace(from, to) }
}

/// Text and a value of any type, side by side: `||`. The value is cast to text, which is not always what it
/// is shown as.
fn concat_any(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let mut out = String::new();
    for (arg, ty) in args.iter().zip(call.arg_types) {
        match arg {
            Datum::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Datum::Text(text) if ty.oid == oids::BPCHAR => out.push_str(unpadded(text)),
            other => output_text(other, *ty, call.context, &mut out)?,
        }
    }
    Ok(Datum::text(out))
}

/// The values of a variadic `"any"` call with their types: they come one by one or, for `VARIADIC array`, in
/// one array. Nothing when that array is null.
pub(super) fn variadic_any<'a>(args: &'a [Datum], types: &[PgType]) -> Option<Vec<(&'a Datum, PgType)>> {
    if let ([value], [ty]) = (args, types)
        && let Some(element) = ty.oid.element_type()
    {
        let Datum::Array(array) = value else { return None };
        let element = PgType::new(element);
        return Some(array.values.iter().map(|value| (value, element)).collect());
    }
    Some(args.iter().zip(types.iter().copied()).collect())
}

fn concat_all(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let mut out = String::new();
    let Some(values) = variadic_any(args, call.arg_types) else { return Ok(Datum::Null) };
    for (value, ty) in values {
        output_text(value, ty, call.context, &mut out)?;
    }
    Ok(Datum::text(out))
}

fn concat_ws(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let (Some(separator), Some(types)) = (args.first(), call.arg_types.get(1..)) else {
        return Err(wrong_arguments(args));
    };
    let Some(separator) = separator.as_str() else { return Ok(Datum::Null) };
    let mut out = String::new();
    let mut first = true;
    let Some(values) = variadic_any(&args[1..], types) else { return Ok(Datum::Null) };
    for (value, ty) in values {
        if value.is_null() {
            continue;
        }
        if !first {
            out.push_str(separator);
        }
        first = false;
        output_text(value, ty, call.context, &mut out)?;
    }
    Ok(Datum::text(out))
}

/// Text of a code in `E''` style: `\0041`, `\+000041`, `\u0041`, `\U00000041`.
fn unistr(text: &str) -> SqlResult<String> {
    let bad = || {
        SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        if high.is_some() && at > 0 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let code = rest.get(skip..skip + digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = u32::from_str_radix(code.ok_or_else(bad)?, 16).map_err(|_| bad())?;
        rest = &rest[skip + digits..];
        match (high.take(), code) {
            (None, 0xd800..0xdc00) => high = Some(code),
            (Some(high), 0xdc00..0xe000) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);
                out.push(char::from_u32(code).ok_or_else(bad)?);
            }
            (None, _) => out.push(
                char::from_u32(code)
                    .ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value"))?,
            ),
            (Some(_), _) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
            }
        }
    }
    if high.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    Ok(out)
}

/// A character in the other case, when that is one character: PostgreSQL never changes a text's length.
fn one(c: char, mut cased: impl ExactSizeIterator<Item = char>) -> char {
    if cased.len() == 1 { cased.next().unwrap_or(c) } else { c }
}

pub(super) fn upper(text: &str) -> String {
    text.chars().map(|c| one(c, c.to_uppercase())).collect()
}

pub(super) fn lower(text: &str) -> String {
    text.chars().map(|c| one(c, c.to_lowercase())).collect()
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(1257, "textlen", body!(|a: &str| char_count(a))),
    strict(1317, "length", body!(|a: &str| char_count(a))),
    strict(1381, "char_length", body!(|a: &str| char_count(a))),
    strict(1369, "character_length", body!(|a: &str| char_count(a))),
    strict(1318, "length", body!(|a: &str| char_count(unpadded(a)))),
    strict(1372, "char_length", body!(|a: &str| char_count(unpadded(a)))),
    strict(1367, "character_length", body!(|a: &str| char_count(unpadded(a)))),
    strict(1374, "octet_length", body!(|a: &str| a.len() as i32)),
    strict(1375, "octet_length", body!(|a: &str| a.len() as i32)),
    strict(1811, "bit_length", body!(|a: &str| a.len() as i32 * 8)),
    strict(1258, "textcat", body!(|a: &str, b: &str| [a, b].concat())),
    strict(2003, "textanycat", concat_any).with(Volatility::Stable),
    strict(2004, "anytextcat", concat_any).with(Volatility::Stable),
    stable(3058, "concat", concat_all).non_strict(),
    stable(3059, "concat_ws", concat_ws).non_strict(),
    strict(870, "lower", body!(|a: &str| lower(a))),
    strict(871, "upper", body!(|a: &str| upper(a))),
    strict(872, "initcap", body!(|a: &str| initcap(a))),
    strict(873, "lpad", body!(|a: &str, n: i32, fill: &str| pad(a, n, fill, true))),
    strict(879, "lpad", body!(|a: &str, n: i32| pad(a, n, " ", true))),
    strict(874, "rpad", body!(|a: &str, n: i32, fill: &str| pad(a, n, fill, false))),
    strict(880, "rpad", body!(|a: &str, n: i32| pad(a, n, " ", false))),
    strict(875, "ltrim", body!(|a: &str, set: &str| trim(a, set, true, false))),
    strict(881, "ltrim", body!(|a: &str| trim(a, " ", true, false))),
    strict(876, "rtrim", body!(|a: &str, set: &str| trim(a, set, false, true))),
    strict(882, "rtrim", body!(|a: &str| trim(a, " ", false, true))),
    strict(884, "btrim", body!(|a: &str, set: &str| trim(a, set, true, true))),
    strict(885, "btrim", body!(|a: &str| trim(a, " ", true, true))),
    strict(877, "substr", body!(|a: &str, from: i32, n: i32| substring(a, from, Some(n))?)),
    strict(936, "substring", body!(|a: &str, from: i32, n: i32| substring(a, from, Some(n))?)),
    strict(883, "substr", body!(|a: &str, from: i32| substring(a, from, None)?)),
    strict(937, "substring", body!(|a: &str, from: i32| substring(a, from, None)?)),
    strict(1404, "overlay", body!(|a: &str, b: &str, from: i32, n: i32| overlay(a, b, from, n))),
    strict(1405, "overlay", body!(|a: &str, b: &str, from: i32| overlay(a, b, from, char_count(b)))),
    strict(868, "strpos", body!(|a: &str, part: &str| position(a, part))),
    strict(849, "position", body!(|a: &str, part: &str| position(a, part))),
    strict(878, "translate", body!(|a: &str, from: &str, to: &str| translate(a, from, to))),
    strict(1622, "repeat", body!(|a: &str, n: i32| repeat(a, n))),
    strict(1620, "ascii", body!(|a: &str| a.chars().next().map_or(0, |c| c as i32))),
    strict(1621, "chr", body!(|code: i32| chr(code))),
    strict(3060, "left", body!(|a: &str, n: i32| left(a, n))),
    strict(3061, "right", body!(|a: &str, n: i32| right(a, n))),
    strict(3062, "reverse", body!(|a: &str| a.chars().rev().collect::<String>())),
    strict(2087, "replace", body!(|a: &str, from: &str, to: &str| replace(a, from, to))),
    strict(2088, "split_part", body!(|a: &str, separator: &str, n: i32| split_part(a, separator, n))),
    strict(3696, "starts_with", body!(|a: &str, start: &str| a.starts_with(start))),
    strict(2089, "to_hex", body!(|a: i32| format!("{a:x}"))),
    strict(2090, "to_hex", body!(|a: i64| format!("{a:x}"))),
    strict(6198, "unistr", body!(|a: &str| unistr(a))),
    strict(266, "nameconcatoid", body!(|a: &str, b: shardforge_types::Oid| format!("{a}_{b}"))),
    // Larger and smaller, which min() and max() are made of.
    strict(458, "text_larger", body!(|a: &Text, b: &Text| if a >= b { a.clone() } else { b.clone() })),
    strict(459, "text_smaller", body!(|a: &Text, b: &Text| if a <= b { a.clone() } else { b.clone() })),
];
