//! Functions that make rows.

use super::args::wrong_arguments;
use super::array::split;
use super::call::{Call, SetBody, SetFunction, SetRows, Volatility};
use crate::{SqlError, SqlResult};
use shardforge_types::datetime::arithmetic::{timestamp_add_interval, timestamptz_add_interval};
use shardforge_types::datetime::zone;
use shardforge_types::interval::DAY_MICROS;
use shardforge_types::{Datum, Interval, Numeric, Oid, SqlState};

const fn set(oid: u32, name: &'static str, body: SetBody) -> SetFunction {
    SetFunction { oid: Oid(oid), name, strict: true, volatility: Volatility::Immutable, body }
}

#[cold]
fn step_is_zero() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

/// Values from a first to a last one; `next` gives none when it would overflow.
fn series<T: Copy + PartialOrd + Send + 'static>(
    first: T,
    last: T,
    down: bool,
    next: impl Fn(T) -> Option<T> + Send + 'static,
    datum: fn(T) -> Datum,
) -> SetRows {
    let inside = move |value: &T| if down { *value >= last } else { *value <= last };
    let values = std::iter::successors(Some(first), move |value| next(*value)).take_while(inside);
    Box::new(values.map(move |value| Ok(vec![datum(value)])))
}

fn int4_series(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (first, last, step) = match args {
        [Datum::Int4(first), Datum::Int4(last)] => (*first, *last, 1),
        [Datum::Int4(first), Datum::Int4(last), Datum::Int4(step)] => (*first, *last, *step),
        _ => return Err(wrong_arguments(args)),
    };
    if step == 0 {
        return Err(step_is_zero());
    }
    Ok(series(first, last, step < 0, move |n| n.checked_add(step), Datum::Int4))
}

fn int8_series(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (first, last, step) = match args {
        [Datum::Int8(first), Datum::Int8(last)] => (*first, *last, 1),
        [Datum::Int8(first), Datum::Int8(last), Datum::Int8(step)] => (*first, *last, *step),
        _ => return Err(wrong_arguments(args)),
    };
    if step == 0 {
        return Err(step_is_zero());
    }
    Ok(series(first, last, step < 0, move |n| n.checked_add(step), Datum::Int8))
}

fn numeric_series(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (first, last, step) = match args {
        [Datum::Numeric(first), Datum::Numeric(last)] => (first, last, Numeric::from(1i64)),
        [Datum::Numeric(first), Datum::Numeric(last), Datum::Numeric(step)] => (first, last, step.clone()),
        _ => return Err(wrong_arguments(args)),
    };
    for (value, name) in [(first, "start value"), (last, "stop value"), (&step, "step size")] {
        if !value.is_finite() {
            let what = if value.is_nan() { "NaN" } else { "infinity" };
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("{name} cannot be {what}")));
        }
    }
    if step.is_zero() {
        return Err(step_is_zero());
    }
    let (down, last) = (step.signum() < 0, last.clone());
    let values = std::iter::successors(Some(first.clone()), move |value| value.add(&step).ok());
    let values = values.take_while(move |value| if down { *value >= last } else { *value <= last });
    Ok(Box::new(values.map(|value| Ok(vec![Datum::Numeric(value)]))))
}

/// Whether a step goes down; one that goes nowhere is refused.
fn interval_goes_down(step: Interval) -> SqlResult<bool> {
    match step.compare_value() {
        0 => Err(step_is_zero()),
        value => Ok(value < 0),
    }
}

fn timestamp_series(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let [Datum::Timestamp(first), Datum::Timestamp(last), Datum::Interval(step)] = args else {
        return Err(wrong_arguments(args));
    };
    let step = *step;
    let down = interval_goes_down(step)?;
    let next = move |at| timestamp_add_interval(at, step).ok();
    Ok(series(*first, *last, down, next, Datum::Timestamp))
}

fn timestamptz_series(args: &[Datum], call: &Call<'_>) -> SqlResult<SetRows> {
    let [Datum::TimestampTz(first), Datum::TimestampTz(last), Datum::Interval(step)] = args else {
        return Err(wrong_arguments(args));
    };
    let (step, zone) = (*step, call.context.settings().time_zone.clone());
    let down = interval_goes_down(step)?;
    let next = move |at| timestamptz_add_interval(at, step, &zone).ok();
    Ok(series(*first, *last, down, next, Datum::TimestampTz))
}

fn unnest(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let [Datum::Array(array)] = args else { return Err(wrong_arguments(args)) };
    let array = array.clone();
    let mut at = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        let value = array.values.get(at)?.clone();
        at += 1;
        Some(Ok(vec![value]))
    })))
}

fn subscripts(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (array, n, reverse) = match args {
        [Datum::Array(array), Datum::Int4(n)] => (array, *n, false),
        [Datum::Array(array), Datum::Int4(n), Datum::Bool(reverse)] => (array, *n, *reverse),
        _ => return Err(wrong_arguments(args)),
    };
    let dim = usize::try_from(n).ok().and_then(|n| array.dims.get(n.checked_sub(1)?)).copied();
    let Some(dim) = dim else { return Ok(Box::new(std::iter::empty())) };
    let all = dim.lower..dim.lower + dim.len;
    let row = |n: i32| Ok(vec![Datum::Int4(n)]);
    Ok(if reverse { Box::new(all.rev().map(row)) } else { Box::new(all.map(row)) })
}

/// `information_schema`'s helper: the elements of a vector with their numbers from 1.
fn expand_array(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let [Datum::Array(array)] = args else { return Err(wrong_arguments(args)) };
    let rows: Vec<_> = array.values.iter().cloned().enumerate().collect();
    Ok(Box::new(rows.into_iter().map(|(n, value)| Ok(vec![value, Datum::Int4(n as i32 + 1)]))))
}

fn text_rows(values: Vec<Datum>) -> SetRows {
    Box::new(values.into_iter().map(|value| Ok(vec![value])))
}

fn string_to_table(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let Some(text) = args.first().and_then(Datum::as_str) else { return Ok(Box::new(std::iter::empty())) };
    Ok(text_rows(split(text, args.get(1).and_then(Datum::as_str), args.get(2).and_then(Datum::as_str))))
}

fn split_to_table(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (Some(text), Some(pattern)) =
        (args.first().and_then(Datum::as_str), args.get(1).and_then(Datum::as_str))
    else {
        return Err(wrong_arguments(args));
    };
    let flags = args.get(2).and_then(Datum::as_str).unwrap_or("");
    Ok(text_rows(super::regex::split(text, pattern, flags)?))
}

fn matches(args: &[Datum], _call: &Call<'_>) -> SqlResult<SetRows> {
    let (Some(text), Some(pattern)) =
        (args.first().and_then(Datum::as_str), args.get(1).and_then(Datum::as_str))
    else {
        return Err(wrong_arguments(args));
    };
    let flags = args.get(2).and_then(Datum::as_str).unwrap_or("");
    Ok(text_rows(super::regex::matches(text, pattern, flags)?))
}

/// Each name in a zone's list, for `pg_timezone_names`: name, abbreviation, offset, whether it is summer.
fn timezone_names(_args: &[Datum], call: &Call<'_>) -> SqlResult<SetRows> {
    let now = call.context.transaction_time;
    Ok(Box::new(zone::names().into_iter().filter_map(move |name| {
        let (zone, name) = zone::named(&name)?;
        let (offset, abbreviation) = zone::offset_at(now, &zone);
        let standard = (0..12).map(|month| zone::offset_at(now - month * 30 * DAY_MICROS, &zone).0).min();
        Some(Ok(vec![
            Datum::text(name),
            Datum::text(abbreviation),
            Datum::Interval(Interval::new(0, 0, i64::from(offset) * 1_000_000)),
            // Summer time is what is ahead of the least offset of a year.
            Datum::Bool(standard.is_some_and(|standard| standard < offset)),
        ]))
    })))
}

const fn stable(mut function: SetFunction) -> SetFunction {
    function.volatility = Volatility::Stable;
    function
}

const fn non_strict(mut function: SetFunction) -> SetFunction {
    function.strict = false;
    function
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[SetFunction] = &[
    set(1066, "generate_series", int4_series),
    set(1067, "generate_series", int4_series),
    set(1068, "generate_series", int8_series),
    set(1069, "generate_series", int8_series),
    set(3259, "generate_series", numeric_series),
    set(3260, "generate_series", numeric_series),
    set(938, "generate_series", timestamp_series),
    stable(set(939, "generate_series", timestamptz_series)),
    set(2331, "unnest", unnest),
    set(1191, "generate_subscripts", subscripts),
    set(1192, "generate_subscripts", subscripts),
    non_strict(set(6160, "string_to_table", string_to_table)),
    non_strict(set(6161, "string_to_table", string_to_table)),
    set(2765, "regexp_split_to_table", split_to_table),
    set(2766, "regexp_split_to_table", split_to_table),
    set(2763, "regexp_matches", matches),
    set(2764, "regexp_matches", matches),
    stable(set(2856, "pg_timezone_names", timezone_names)),
    set(13208, "_pg_expandarray", expand_array),
];
