//! Dates, times, timestamps and intervals: their arithmetic, casts, fields, and the clock.

use super::args::{Date, Time, Timestamp, TimestampTz, body};
use super::call::{Call, ScalarFunction, stable, strict, volatile};
use super::clock::{is_infinite, to_local, to_utc};
use crate::{SqlError, SqlResult};
use jiff::tz::TimeZone;
use shardforge_types::datetime::{arithmetic as a, calendar, fields as f, is_valid_timestamp, zone};
use shardforge_types::typmod::{Coercion, coerce};
use shardforge_types::{Datum, Interval, Numeric, Oid, PgType, SqlState, ValueError, oids};

const SECOND: i64 = 1_000_000;

#[cold]
fn out_of_range(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// Midnight of a date.
pub(super) fn date_to_timestamp(date: Date) -> Result<i64, ValueError> {
    a::date_to_timestamp(date.0)
}

/// The moment of a local time in the session's zone.
pub(super) fn local_to_utc(local: i64, call: &Call<'_>) -> SqlResult<i64> {
    Ok(to_utc(local, call.context))
}

fn zone_of<'a>(call: &Call<'a>) -> &'a TimeZone {
    &call.context.settings().time_zone
}

/// The zone by whose calendar `date_trunc` counts.
fn calendar_zone(name: &str) -> Result<TimeZone, ValueError> {
    Ok(zone::parse_operand(name)?.calendar_zone().unwrap_or(TimeZone::UTC))
}

/// The zone that an interval is from UTC.
fn interval_zone(offset: Interval) -> SqlResult<TimeZone> {
    let bad = |what: &str| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what);
    if offset.months != 0 || offset.days != 0 {
        return Err(bad("interval time zone must not include months or days"));
    }
    let seconds = i32::try_from(offset.micros / SECOND).ok();
    seconds.and_then(zone::fixed).ok_or_else(|| bad("time zone displacement out of range"))
}

/// A field as `date_part` gives it.
fn as_float(value: Option<Numeric>) -> SqlResult<Option<f64>> {
    Ok(value.map(|value| value.to_f64()).transpose()?)
}

fn modifier(datum: &Datum, ty: Oid, typmod: i32) -> Result<Datum, ValueError> {
    coerce(datum.clone(), PgType::with_typmod(ty, typmod), Coercion::Explicit)
}

/// The time between two timestamps in years, months, days and the rest, by the calendar.
fn age(end: i64, start: i64) -> SqlResult<Interval> {
    if is_infinite(end) || is_infinite(start) {
        return Err(out_of_range("timestamp out of range"));
    }
    let parts = |at: i64| {
        let (days, micros) = calendar::split(at);
        (calendar::Civil::from_days(days), micros)
    };
    let ((e, end_micros), (s, start_micros)) = (parts(end), parts(start));
    let sign = if end < start { -1 } else { 1 };
    let mut micros = sign * (end_micros - start_micros);
    let mut days = sign * (e.day - s.day);
    let mut months = sign * (12 * (e.year - s.year) + e.month - s.month);
    if micros < 0 {
        micros += shardforge_types::interval::DAY_MICROS;
        days -= 1;
    }
    let borrow = if sign < 0 { e } else { s };
    while days < 0 {
        days += calendar::days_in_month(borrow.year, borrow.month);
        months -= 1;
    }
    let part = |n: i64| i32::try_from(sign * n).map_err(|_| out_of_range("interval out of range"));
    Ok(Interval { months: part(months)?, days: part(days)?, micros: sign * micros })
}

/// Midnight of today in the session's zone.
fn today(call: &Call<'_>) -> i64 {
    let now = to_local(call.context.transaction_time, call.context);
    now - now.rem_euclid(shardforge_types::interval::DAY_MICROS)
}

fn make_date(year: i32, month: i32, day: i32) -> SqlResult<i32> {
    let bad = || out_of_range(format!("date field value out of range: {year}-{month:02}-{day:02}"));
    // A negative year is before Christ; there is no year 0.
    let astronomical = if year < 0 { i64::from(year) + 1 } else { i64::from(year) };
    if year == 0 || !(1..=12).contains(&month) || day < 1 {
        return Err(bad());
    }
    if i64::from(day) > calendar::days_in_month(astronomical, month.into()) {
        return Err(bad());
    }
    let text = if year < 0 {
        format!("{:04}-{month:02}-{day:02} BC", -year)
    } else {
        format!("{year:04}-{month:02}-{day:02}")
    };
    let parsed = shardforge_types::datetime::parse::date(&text, &shardforge_types::Settings::default());
    parsed.map_err(|_| out_of_range(format!("date out of range: {year}-{month:02}-{day:02}")))
}

fn make_time(hour: i32, minute: i32, second: f64) -> SqlResult<i64> {
    let micros = (second * SECOND as f64).round_ties_even() as i64;
    let inside = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60 * SECOND).contains(&micros);
    let total = (i64::from(hour) * 60 + i64::from(minute)) * 60 * SECOND + micros;
    if !inside || second.is_nan() || total > shardforge_types::interval::DAY_MICROS {
        return Err(out_of_range(format!("time field value out of range: {hour}:{minute:02}:{second:02}")));
    }
    Ok(total)
}

fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> SqlResult<i64> {
    let date = make_date(year, month, day)?;
    Ok(a::date_to_timestamp(date)? + make_time(hour, minute, second)?)
}

#[allow(clippy::too_many_arguments)] // as SQL's function has
fn make_interval(
    years: i32,
    months: i32,
    weeks: i32,
    days: i32,
    hours: i32,
    minutes: i32,
    seconds: f64,
) -> SqlResult<Interval> {
    let bad = || SqlError::new(SqlState::DATETIME_VALUE_OUT_OF_RANGE, "interval out of range");
    if !seconds.is_finite() {
        return Err(bad());
    }
    let months = years.checked_mul(12).and_then(|n| n.checked_add(months)).ok_or_else(bad)?;
    let days = weeks.checked_mul(7).and_then(|n| n.checked_add(days)).ok_or_else(bad)?;
    let whole = (i64::from(hours) * 60 + i64::from(minutes)) * 60 * SECOND;
    let micros = whole.checked_add((seconds * SECOND as f64).round_ties_even() as i64).ok_or_else(bad)?;
    Ok(Interval { months, days, micros })
}

/// Seconds since 1970 as a moment.
fn from_epoch(seconds: f64) -> SqlResult<i64> {
    const EPOCH: f64 = 946_684_800.0;
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
    }
    let micros = ((seconds - EPOCH) * SECOND as f64).round_ties_even();
    if seconds.is_nan() {
        return Err(out_of_range("timestamp cannot be NaN"));
    }
    if !is_valid_timestamp(micros as i64) {
        return Err(out_of_range(format!("timestamp out of range: \"{seconds}\"")));
    }
    Ok(micros as i64)
}

fn wall_clock(call: &Call<'_>) -> i64 {
    call.context.session.clock.wall_micros() - 946_684_800 * SECOND
}

/// The start of the interval-wide bin, counted from `origin`, that a timestamp is in.
fn bin(width: Interval, at: i64, origin: i64) -> SqlResult<i64> {
    if is_infinite(at) {
        return Ok(at);
    }
    if is_infinite(origin) {
        return Err(out_of_range("origin out of range"));
    }
    if width.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let too_long = || out_of_range("interval out of range");
    let days = i64::from(width.days).checked_mul(shardforge_types::interval::DAY_MICROS);
    let step = days.and_then(|days| days.checked_add(width.micros)).ok_or_else(too_long)?;
    if step <= 0 {
        return Err(out_of_range("stride must be greater than zero"));
    }
    let distance = at.checked_sub(origin).ok_or_else(too_long)?;
    // Only when rounding down leads past both may the start be outside what a timestamp can be.
    let start = at.checked_sub(distance.rem_euclid(step));
    start.filter(|start| is_valid_timestamp(*start)).ok_or_else(|| out_of_range("timestamp out of range"))
}

/// Whether two periods share a moment. A period's ends may come in either order, and a null end leaves it open.
fn overlaps<T: Ord + Copy>(a: (Option<T>, Option<T>), b: (Option<T>, Option<T>)) -> Option<bool> {
    let order = |(start, end): (Option<T>, Option<T>)| match (start, end) {
        (None, None) => None,
        (Some(start), None) => Some((start, None)),
        (None, Some(end)) => Some((end, None)),
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
    };
    let (a, b) = (order(a)?, order(b)?);
    let ((first, first_end), (second, _)) = if a.0 <= b.0 { (a, b) } else { (b, a) };
    if first == second {
        return Some(true);
    }
    match first_end {
        Some(end) if second < end => Some(true),
        Some(_) => Some(false),
        None => None,
    }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    // Dates.
    strict(1140, "date_mi", body!(|x: Date, y: Date| a::date_sub(x.0, y.0))),
    strict(1141, "date_pli", body!(|x: Date, n: i32| Date(a::date_add_days(x.0, n)?))),
    strict(1142, "date_mii", body!(|x: Date, n: i32| Date(a::date_sub_days(x.0, n)?))),
    strict(2550, "integer_pl_date", body!(|n: i32, x: Date| Date(a::date_add_days(x.0, n)?))),
    strict(
        2071,
        "date_pl_interval",
        body!(|x: Date, i: Interval| {
            Timestamp(a::timestamp_add_interval(a::date_to_timestamp(x.0)?, i)?)
        }),
    ),
    strict(
        2072,
        "date_mi_interval",
        body!(|x: Date, i: Interval| {
            Timestamp(a::timestamp_sub_interval(a::date_to_timestamp(x.0)?, i)?)
        }),
    ),
    strict(
        2546,
        "interval_pl_date",
        body!(|i: Interval, x: Date| {
            Timestamp(a::timestamp_add_interval(a::date_to_timestamp(x.0)?, i)?)
        }),
    ),
    strict(1272, "datetime_pl", body!(|x: Date, t: Time| Timestamp(a::date_add_time(x.0, t.0)?))),
    strict(1296, "timedate_pl", body!(|t: Time, x: Date| Timestamp(a::date_add_time(x.0, t.0)?))),
    strict(2025, "timestamp", body!(|x: Date, t: Time| Timestamp(a::date_add_time(x.0, t.0)?))),
    stable(
        1176,
        "timestamptz",
        body!(call |x: Date, t: Time| {
            TimestampTz(to_utc(a::date_add_time(x.0, t.0)?, call.context))
        }),
    ),
    // Casts.
    strict(2024, "timestamp", body!(|x: Date| Timestamp(a::date_to_timestamp(x.0)?))),
    stable(
        1174,
        "timestamptz",
        body!(call |x: Date| TimestampTz(a::date_to_timestamptz(x.0, zone_of(call))?)),
    ),
    strict(2029, "date", body!(|x: Timestamp| Date(a::timestamp_to_date(x.0)))),
    stable(1178, "date", body!(call |x: TimestampTz| Date(a::timestamptz_to_date(x.0, zone_of(call))))),
    stable(2027, "timestamp", body!(call |x: TimestampTz| Timestamp(to_local(x.0, call.context)))),
    stable(
        2028,
        "timestamptz",
        body!(call |x: Timestamp| TimestampTz(a::timestamp_to_timestamptz(x.0, zone_of(call))?)),
    ),
    strict(1316, "time", body!(|x: Timestamp| a::timestamp_to_time(x.0).map(Time))),
    stable(
        2019,
        "time",
        body!(call |x: TimestampTz| a::timestamp_to_time(to_local(x.0, call.context)).map(Time)),
    ),
    strict(1370, "interval", body!(|t: Time| Interval::new(0, 0, t.0))),
    strict(1419, "time", body!(|i: Interval| Time(a::interval_to_time(i)))),
    strict(1961, "timestamp", body!(|x: &Datum, n: i32| modifier(x, oids::TIMESTAMP, n))),
    strict(1967, "timestamptz", body!(|x: &Datum, n: i32| modifier(x, oids::TIMESTAMPTZ, n))),
    strict(1968, "time", body!(|x: &Datum, n: i32| modifier(x, oids::TIME, n))),
    strict(1200, "interval", body!(|x: &Datum, n: i32| modifier(x, oids::INTERVAL, n))),
    // Timestamps.
    strict(2031, "timestamp_mi", body!(|x: Timestamp, y: Timestamp| a::timestamp_sub(x.0, y.0))),
    strict(1188, "timestamptz_mi", body!(|x: TimestampTz, y: TimestampTz| a::timestamp_sub(x.0, y.0))),
    strict(
        2032,
        "timestamp_pl_interval",
        body!(|x: Timestamp, i: Interval| Timestamp(a::timestamp_add_interval(x.0, i)?)),
    ),
    strict(
        2033,
        "timestamp_mi_interval",
        body!(|x: Timestamp, i: Interval| Timestamp(a::timestamp_sub_interval(x.0, i)?)),
    ),
    strict(
        2548,
        "interval_pl_timestamp",
        body!(|i: Interval, x: Timestamp| Timestamp(a::timestamp_add_interval(x.0, i)?)),
    ),
    stable(
        1189,
        "timestamptz_pl_interval",
        body!(call |x: TimestampTz, i: Interval| {
            TimestampTz(a::timestamptz_add_interval(x.0, i, zone_of(call))?)
        }),
    ),
    stable(
        1190,
        "timestamptz_mi_interval",
        body!(call |x: TimestampTz, i: Interval| {
            TimestampTz(a::timestamptz_sub_interval(x.0, i, zone_of(call))?)
        }),
    ),
    stable(
        2549,
        "interval_pl_timestamptz",
        body!(call |i: Interval, x: TimestampTz| {
            TimestampTz(a::timestamptz_add_interval(x.0, i, zone_of(call))?)
        }),
    ),
    // Times.
    strict(1690, "time_mi_time", body!(|x: Time, y: Time| a::time_sub(x.0, y.0))),
    strict(1747, "time_pl_interval", body!(|x: Time, i: Interval| Time(a::time_add_interval(x.0, i)))),
    strict(1748, "time_mi_interval", body!(|x: Time, i: Interval| Time(a::time_sub_interval(x.0, i)))),
    strict(1848, "interval_pl_time", body!(|i: Interval, x: Time| Time(a::time_add_interval(x.0, i)))),
    // Intervals.
    strict(1168, "interval_um", body!(|i: Interval| a::interval_neg(i))),
    strict(1169, "interval_pl", body!(|i: Interval, j: Interval| a::interval_add(i, j))),
    strict(1170, "interval_mi", body!(|i: Interval, j: Interval| a::interval_sub(i, j))),
    strict(1618, "interval_mul", body!(|i: Interval, n: f64| a::interval_mul(i, n))),
    strict(1624, "mul_d_interval", body!(|n: f64, i: Interval| a::interval_mul(i, n))),
    strict(1326, "interval_div", body!(|i: Interval, n: f64| a::interval_div(i, n))),
    strict(1175, "justify_hours", body!(|i: Interval| a::justify_hours(i))),
    strict(1295, "justify_days", body!(|i: Interval| a::justify_days(i))),
    strict(2711, "justify_interval", body!(|i: Interval| a::justify_interval(i))),
    strict(2058, "age", body!(|x: Timestamp, y: Timestamp| age(x.0, y.0))),
    stable(2059, "age", body!(call |x: Timestamp| age(today(call), x.0))),
    strict(
        1199,
        "age",
        body!(call |x: TimestampTz, y: TimestampTz| {
            age(to_local(x.0, call.context), to_local(y.0, call.context))
        }),
    ),
    stable(1386, "age", body!(call |x: TimestampTz| age(today(call), to_local(x.0, call.context)))),
    // Fields.
    strict(6199, "extract", body!(|name: &str, x: Date| f::extract_date(name, x.0)?)),
    strict(6200, "extract", body!(|name: &str, x: Time| f::extract_time(name, x.0)?)),
    strict(6202, "extract", body!(|name: &str, x: Timestamp| f::extract_timestamp(name, x.0)?)),
    stable(
        6203,
        "extract",
        body!(call |name: &str, x: TimestampTz| f::extract_timestamptz(name, x.0, zone_of(call))?),
    ),
    strict(6204, "extract", body!(|name: &str, x: Interval| f::extract_interval(name, x)?)),
    strict(
        1384,
        "date_part",
        body!(|name: &str, x: Date| as_float(f::extract_timestamp(name, a::date_to_timestamp(x.0)?)?)?),
    ),
    strict(1385, "date_part", body!(|name: &str, x: Time| as_float(f::extract_time(name, x.0)?)?)),
    strict(2021, "date_part", body!(|name: &str, x: Timestamp| as_float(f::extract_timestamp(name, x.0)?)?)),
    stable(
        1171,
        "date_part",
        body!(call |name: &str, x: TimestampTz| {
            as_float(f::extract_timestamptz(name, x.0, zone_of(call))?)?
        }),
    ),
    strict(1172, "date_part", body!(|name: &str, x: Interval| as_float(f::extract_interval(name, x)?)?)),
    strict(
        2020,
        "date_trunc",
        body!(|name: &str, x: Timestamp| Timestamp(f::truncate_timestamp(name, x.0)?)),
    ),
    stable(
        1217,
        "date_trunc",
        body!(call |name: &str, x: TimestampTz| {
            TimestampTz(f::truncate_timestamptz(name, x.0, zone_of(call))?)
        }),
    ),
    stable(
        1284,
        "date_trunc",
        body!(|name: &str, x: TimestampTz, zone: &str| {
            TimestampTz(f::truncate_timestamptz(name, x.0, &calendar_zone(zone)?)?)
        }),
    ),
    strict(1218, "date_trunc", body!(|name: &str, x: Interval| f::truncate_interval(name, x))),
    strict(
        6177,
        "date_bin",
        body!(|width: Interval, x: Timestamp, origin: Timestamp| Timestamp(bin(width, x.0, origin.0)?)),
    ),
    strict(
        6178,
        "date_bin",
        body!(|width: Interval, x: TimestampTz, origin: TimestampTz| TimestampTz(bin(width, x.0, origin.0)?)),
    ),
    strict(1373, "isfinite", body!(|x: Date| x.0 != i32::MIN && x.0 != i32::MAX)),
    strict(2048, "isfinite", body!(|x: Timestamp| !is_infinite(x.0))),
    strict(1389, "isfinite", body!(|x: TimestampTz| !is_infinite(x.0))),
    strict(1390, "isfinite", body!(|_x: Interval| true)),
    // Zones.
    strict(
        1159,
        "timezone",
        body!(|name: &str, x: TimestampTz| Timestamp(zone::parse_operand(name)?.to_local(x.0))),
    ),
    strict(
        2069,
        "timezone",
        body!(|name: &str, x: Timestamp| TimestampTz(zone::parse_operand(name)?.to_utc(x.0))),
    ),
    strict(
        1026,
        "timezone",
        body!(|by: Interval, x: TimestampTz| Timestamp(zone::to_local(x.0, &interval_zone(by)?))),
    ),
    strict(
        2070,
        "timezone",
        body!(|by: Interval, x: Timestamp| TimestampTz(zone::to_utc(x.0, &interval_zone(by)?))),
    ),
    // The clock.
    stable(1299, "now", body!(call || TimestampTz(call.context.transaction_time))),
    stable(2647, "transaction_timestamp", body!(call || TimestampTz(call.context.transaction_time))),
    stable(2648, "statement_timestamp", body!(call || TimestampTz(call.context.statement_time))),
    volatile(2649, "clock_timestamp", body!(call || TimestampTz(wall_clock(call)))),
    strict(1158, "to_timestamp", body!(|seconds: f64| TimestampTz(from_epoch(seconds)?))),
    // Made of parts.
    strict(3846, "make_date", body!(|y: i32, m: i32, d: i32| Date(make_date(y, m, d)?))),
    strict(3847, "make_time", body!(|h: i32, m: i32, s: f64| Time(make_time(h, m, s)?))),
    strict(
        3461,
        "make_timestamp",
        body!(|y: i32, mo: i32, d: i32, h: i32, m: i32, s: f64| {
            Timestamp(make_timestamp(y, mo, d, h, m, s)?)
        }),
    ),
    stable(
        3462,
        "make_timestamptz",
        body!(call |y: i32, mo: i32, d: i32, h: i32, m: i32, s: f64| {
            TimestampTz(to_utc(make_timestamp(y, mo, d, h, m, s)?, call.context))
        }),
    ),
    stable(
        3463,
        "make_timestamptz",
        body!(|y: i32, mo: i32, d: i32, h: i32, m: i32, s: f64, zone: &str| {
            TimestampTz(zone::parse_iso_operand(zone)?.to_utc(make_timestamp(y, mo, d, h, m, s)?))
        }),
    ),
    strict(
        3464,
        "make_interval",
        body!(|y: i32, mo: i32, w: i32, d: i32, h: i32, m: i32, s: f64| {
            make_interval(y, mo, w, d, h, m, s)
        }),
    ),
    // Periods.
    strict(
        1308,
        "overlaps",
        body!(|w: Option<Time>, x: Option<Time>, y: Option<Time>, z: Option<Time>| {
            overlaps((w, x), (y, z))
        }),
    )
    .non_strict(),
    strict(
        2041,
        "overlaps",
        body!(|w: Option<Timestamp>, x: Option<Timestamp>, y: Option<Timestamp>, z: Option<Timestamp>| {
            overlaps((w, x), (y, z))
        }),
    )
    .non_strict(),
    strict(
        1304,
        "overlaps",
        body!(|w: Option<TimestampTz>,
               x: Option<TimestampTz>,
               y: Option<TimestampTz>,
               z: Option<TimestampTz>| { overlaps((w, x), (y, z)) }),
    )
    .non_strict(),
];
