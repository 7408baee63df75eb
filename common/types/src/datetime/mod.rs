//! Dates, times, timestamps and intervals: calendar, zones, text and arithmetic.
//!
//! A date is a count of days, a timestamp a count of microseconds, both from 2000-01-01 in the
//! proleptic Gregorian calendar; the extremes of their integers are the infinities. A `timestamptz`
//! is in UTC, and the session's zone matters only where it is read, written or taken apart.
//!
//! - `calendar`: day numbers and civil dates.
//! - `zone`: zones by name and abbreviation, from the database that is compiled in.
//! - `tokens`, `parse`, `interval_parse`: text to values, as forgiving as PostgreSQL.
//! - `format`: values to text.
//! - `arithmetic`, `fields`: sums, differences, `extract`, `date_trunc`, casts between the types.

pub mod arithmetic;
pub mod calendar;
pub mod fields;
pub mod format;
pub mod interval_parse;
pub mod parse;
mod tokens;
pub mod zone;

use crate::ValueError;
use crate::sqlstate::SqlState;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// The date after every other.
pub const DATE_INFINITY: i32 = i32::MAX;
/// The date before every other.
pub const DATE_NEG_INFINITY: i32 = i32::MIN;
/// The timestamp after every other.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// The timestamp before every other.
pub const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;

/// The first date: 4714-11-24 BC.
pub const MIN_DATE: i32 = -2_451_545;
/// The first day that is no date any more: 5874898-01-01.
pub const END_DATE: i32 = 2_147_483_494 - 2_451_545;
/// The first timestamp: 4714-11-24 00:00:00 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The first moment that is no timestamp any more: 294277-01-01 00:00:00.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10_957;

/// Whether a timestamp is neither an infinity nor outside the range of the type.
pub fn is_valid_timestamp(micros: i64) -> bool {
    (MIN_TIMESTAMP..END_TIMESTAMP).contains(&micros)
}

/// Whether a timestamp is no infinity.
pub fn is_finite(micros: i64) -> bool {
    micros != TIMESTAMP_INFINITY && micros != TIMESTAMP_NEG_INFINITY
}

/// Whether a date is no infinity.
pub fn is_finite_date(days: i32) -> bool {
    days != DATE_INFINITY && days != DATE_NEG_INFINITY
}

/// 22008: `timestamp out of range`, `interval out of range`, and so on.
pub(crate) fn out_of_range(what: &str) -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}
