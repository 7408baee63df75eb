//! `format`, `quote_...`, and counting nulls.

use super::args::{body, wrong_arguments};
use super::call::{Call, ScalarFunction, stable, strict};
use super::text::variadic_any;
use super::text_io::{quote_ident, to_text};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, SqlState};

/// A string literal.
fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

fn quote_any(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let ty = call.arg_types.first().copied().unwrap_or(PgType::TEXT);
    let text = to_text(args.first().unwrap_or(&Datum::Null), ty, call.context)?;
    Ok(text.map_or(Datum::Null, |text| Datum::text(quote_literal(&text))))
}

fn quote_nullable(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let quoted = quote_any(args, call)?;
    Ok(if quoted.is_null() { Datum::text("NULL") } else { quoted })
}

fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Digits at the start of a format, as a number.
fn number(rest: &mut &str) -> SqlResult<Option<usize>> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return Ok(None);
    }
    let value = rest[..end]
        .parse::<i32>()
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
    *rest = &rest[end..];
    Ok(Some(value as usize))
}

/// `format(text, ...)`: `%[position$][-][width]type`, where type is s, I or L, and a width may be `*`.
fn format(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let Some(template) = args.first() else { return Err(wrong_arguments(args)) };
    let Some(template) = template.as_str() else { return Ok(Datum::Null) };
    let values = variadic_any(&args[1..], call.arg_types.get(1..).unwrap_or(&[])).unwrap_or_default();
    let mut next = 0;
    let take = |next: &mut usize, position: Option<usize>| {
        let at = match position {
            Some(0) => return Err(bad("format specifies argument 0, but arguments are numbered from 1")),
            Some(position) => position - 1,
            None => *next,
        };
        *next = at + 1;
        values.get(at).copied().ok_or_else(|| bad("too few arguments for format()"))
    };
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let unterminated =
            || bad("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".");
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut position = None;
        let mut width: Option<i64> = None;
        let mut left = false;
        let leading = number(&mut rest)?;
        if let (Some(n), Some(after)) = (leading, rest.strip_prefix('$')) {
            (position, rest) = (Some(n), after);
        } else if let Some(n) = leading {
            width = Some(n as i64);
        }
        if width.is_none() {
            while let Some(after) = rest.strip_prefix('-') {
                (left, rest) = (true, after);
            }
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                let mut from = None;
                if let Some(n) = number(&mut rest)? {
                    rest = rest
                        .strip_prefix('$')
                        .ok_or_else(|| bad("width argument position must be ended by \"$\""))?;
                    from = Some(n);
                }
                let (value, _) = take(&mut next, from)?;
                width = value.as_i64();
            } else {
                width = number(&mut rest)?.map(|n| n as i64);
            }
        }
        let kind = rest.chars().next().ok_or_else(unterminated)?;
        rest = &rest[kind.len_utf8()..];
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(bad(message).hint("For a single \"%\" use \"%%\"."));
        }
        let (value, ty) = take(&mut next, position)?;
        let text = match (kind, to_text(value, ty, call.context)?) {
            ('s', text) => text.unwrap_or_default(),
            ('I', Some(text)) => quote_ident(&text),
            ('I', None) => {
                let message = "null values cannot be formatted as an SQL identifier";
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
            }
            (_, text) => text.map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text)),
        };
        let width = width.unwrap_or(0);
        let (left, width) = (left || width < 0, width.unsigned_abs() as usize);
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        if left {
            out.push_str(&text);
            out.push_str(&padding);
        } else {
            out.push_str(&padding);
            out.push_str(&text);
        }
    }
    out.push_str(rest);
    Ok(Datum::text(out))
}

fn count_nulls(args: &[Datum], call: &Call<'_>, null: bool) -> Datum {
    let Some(values) = variadic_any(args, call.arg_types) else { return Datum::Null };
    Datum::Int4(values.iter().filter(|(value, _)| value.is_null() == null).count() as i32)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(1282, "quote_ident", body!(|a: &str| quote_ident(a))),
    strict(1283, "quote_literal", body!(|a: &str| quote_literal(a))),
    stable(1285, "quote_literal", quote_any),
    strict(1289, "quote_nullable", quote_nullable).non_strict(),
    stable(1290, "quote_nullable", quote_nullable).non_strict(),
    stable(3539, "format", format).non_strict(),
    stable(3540, "format", format).non_strict(),
    strict(438, "num_nulls", |args, call| Ok(count_nulls(args, call, true))).non_strict(),
    strict(440, "num_nonnulls", |args, call| Ok(count_nulls(args, call, false))).non_strict(),
];
