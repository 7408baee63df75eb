//! Type modifiers: what `numeric(10,2)`, `varchar(5)`, `char(5)` and `timestamp(3)` do to a value.

use crate::datetime::is_finite;
use crate::interval::DAY_MICROS;
use crate::oid::{INTERVAL_FULL_PRECISION, INTERVAL_FULL_RANGE};
use crate::sqlstate::SqlState;
use crate::{ArrayValue, Datum, Interval, Numeric, PgType, Text, ValueError, oids};
use std::sync::Arc;

/// Why a value meets a modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coercion {
    /// It is stored into a column: text that is too long is refused.
    Assignment,
    /// A cast was written: text that is too long is cut.
    Explicit,
}

/// Longest `name`, in bytes.
const MAX_NAME_LEN: usize = 63;

/// The value as the modifier of `ty` wants it. The value already has the type; without a modifier it
/// is left alone.
pub fn coerce(datum: Datum, ty: PgType, how: Coercion) -> Result<Datum, ValueError> {
    if ty.typmod < 0 || datum.is_null() {
        return Ok(datum);
    }
    match (datum, ty.oid) {
        (Datum::Array(array), _) => {
            let Some(element) = ty.element() else { return Ok(Datum::Array(array)) };
            let values = array.values.iter().map(|value| coerce(value.clone(), element, how));
            let values = values.collect::<Result<_, _>>()?;
            Ok(Datum::Array(Arc::new(ArrayValue {
                element: array.element,
                dims: array.dims.clone(),
                values,
            })))
        }
        (Datum::Text(text), oids::VARCHAR) => fit(text, ty, how, "character varying").map(Datum::Text),
        (Datum::Text(text), oids::BPCHAR) => {
            let text = fit(text, ty, how, "character")?;
            Ok(Datum::Text(fill(text, ty.char_len().unwrap_or(0) as usize)))
        }
        (Datum::Numeric(value), oids::NUMERIC) => numeric(&value, ty).map(Datum::Numeric),
        (Datum::Time(value), oids::TIME) => Ok(Datum::Time(round_micros(value, ty.typmod))),
        (Datum::Timestamp(value), oids::TIMESTAMP) => Ok(Datum::Timestamp(round_timestamp(value, ty.typmod))),
        (Datum::TimestampTz(value), oids::TIMESTAMPTZ) => {
            Ok(Datum::TimestampTz(round_timestamp(value, ty.typmod)))
        }
        (Datum::Interval(value), oids::INTERVAL) => Ok(Datum::Interval(interval(value, ty.typmod))),
        (datum, _) => Ok(datum),
    }
}

/// Text of at most the length of `ty`. Blanks beyond it are cut silently; other characters only by an
/// explicit cast.
fn fit(text: Text, ty: PgType, how: Coercion, type_name: &str) -> Result<Text, ValueError> {
    let max = ty.char_len().map_or(usize::MAX, |len| len as usize);
    if text.len() <= max {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(max) else { return Ok(text) };
    let (kept, beyond) = text.split_at(end);
    if how == Coercion::Assignment && beyond.bytes().any(|byte| byte != b' ') {
        return Err(ValueError::new(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!("value too long for type {type_name}({max})"),
        ));
    }
    Ok(Text::new(kept))
}

fn fill(text: Text, len: usize) -> Text {
    if text.len() == len && text.is_ascii() { text } else { pad(&text, len) }
}

/// The text filled with blanks to `len` characters; longer text is left as it is.
pub(crate) fn pad(text: &str, len: usize) -> Text {
    let missing = len.saturating_sub(text.chars().count());
    if missing == 0 {
        return Text::new(text);
    }
    let mut padded = String::with_capacity(text.len() + missing);
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(' ', missing));
    Text::from(padded)
}

/// A `name`: cut to 63 bytes, at the border of a character.
pub fn name(text: &str) -> Text {
    let mut end = text.len().min(MAX_NAME_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Text::new(&text[..end])
}

/// Rounds to the scale of `ty`, and refuses what its precision does not hold.
fn numeric(value: &Numeric, ty: PgType) -> Result<Numeric, ValueError> {
    let Some((precision, scale)) = ty.numeric_precision_scale() else { return Ok(value.clone()) };
    let overflow = |detail: String| {
        Err(ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
            .with_detail(format!("A field with precision {precision}, scale {scale} {detail}.")))
    };
    if value.is_nan() {
        return Ok(value.clone());
    }
    if !value.is_finite() {
        return overflow("cannot hold an infinite value".to_owned());
    }
    let rounded = value.round(scale)?;
    let whole_digits = precision - scale;
    if rounded.is_zero() || rounded.exponent() < i64::from(whole_digits) {
        return Ok(rounded);
    }
    let bound = if whole_digits == 0 { "1".to_owned() } else { format!("10^{whole_digits}") };
    overflow(format!("must round to an absolute value less than {bound}"))
}

/// Rounded half away from zero to `digits` digits of a second.
fn round_micros(micros: i64, digits: i32) -> i64 {
    let Ok(digits @ 0..6) = u32::try_from(digits) else { return micros };
    let unit = 10i64.pow(6 - digits);
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        -(micros.saturating_neg().saturating_add(half) / unit * unit)
    }
}

fn round_timestamp(micros: i64, digits: i32) -> i64 {
    if is_finite(micros) { round_micros(micros, digits) } else { micros }
}

/// Fields of an interval's modifier, as bits.
const YEAR: i32 = 1 << 2;
const MONTH: i32 = 1 << 1;
const DAY: i32 = 1 << 3;
const HOUR: i32 = 1 << 10;
const MINUTE: i32 = 1 << 11;
const SECOND: i32 = 1 << 12;

/// Keeps the fields that the modifier names and those above them, and rounds the seconds.
fn interval(value: Interval, typmod: i32) -> Interval {
    let range = (typmod >> 16) & INTERVAL_FULL_RANGE;
    let precision = typmod & 0xffff;
    let Interval { months, days, micros } = value;
    let whole = |unit: i64| micros / unit * unit;
    let value = if range == INTERVAL_FULL_RANGE || range & SECOND != 0 {
        value
    } else if range & MINUTE != 0 {
        Interval { micros: whole(DAY_MICROS / 1440), ..value }
    } else if range & HOUR != 0 {
        Interval { micros: whole(DAY_MICROS / 24), ..value }
    } else if range & DAY != 0 {
        Interval { micros: 0, ..value }
    } else if range & MONTH != 0 {
        Interval { months, days: 0, micros: 0 }
    } else if range & YEAR != 0 {
        Interval { months: months / 12 * 12, days: 0, micros: 0 }
    } else {
        Interval { months, days, micros }
    };
    if precision == INTERVAL_FULL_PRECISION {
        return value;
    }
    Interval { micros: round_micros(value.micros, precision), ..value }
}
