//! Sums and differences of dates, times, timestamps and intervals, and casts between them.

use super::calendar::{Civil, days_in_month, split};
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY, END_DATE, MIN_DATE, SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY, is_finite, is_finite_date, is_valid_timestamp, out_of_range, zone,
};
use crate::interval::MONTH_DAYS;
use crate::sqlstate::SqlState;
use crate::{Interval, ValueError};
use jiff::tz::TimeZone;

type Result<T> = std::result::Result<T, ValueError>;

fn checked_timestamp(micros: Option<i64>) -> Result<i64> {
    micros.filter(|micros| is_valid_timestamp(*micros)).ok_or_else(|| out_of_range("timestamp"))
}

fn overflow(message: &'static str) -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// `date + integer`.
pub fn date_add_days(date: i32, days: i32) -> Result<i32> {
    if !is_finite_date(date) {
        return Ok(date);
    }
    let sum = date.checked_add(days).filter(|sum| (MIN_DATE..END_DATE).contains(sum));
    sum.ok_or_else(|| out_of_range("date"))
}

/// `date - integer`.
pub fn date_sub_days(date: i32, days: i32) -> Result<i32> {
    if !is_finite_date(date) {
        return Ok(date);
    }
    let difference = date.checked_sub(days).filter(|sum| (MIN_DATE..END_DATE).contains(sum));
    difference.ok_or_else(|| out_of_range("date"))
}

/// `date - date`, in days.
pub fn date_sub(a: i32, b: i32) -> Result<i32> {
    if !is_finite_date(a) || !is_finite_date(b) {
        return Err(overflow("cannot subtract infinite dates"));
    }
    Ok(a - b)
}

/// The first moment of a date.
pub fn date_to_timestamp(date: i32) -> Result<i64> {
    match date {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEG_INFINITY => Ok(TIMESTAMP_NEG_INFINITY),
        date => {
            let micros = i64::from(date).checked_mul(DAY).filter(|micros| is_valid_timestamp(*micros));
            micros.ok_or_else(|| overflow("date out of range for timestamp"))
        }
    }
}

/// The first moment of a date in a zone.
pub fn date_to_timestamptz(date: i32, zone: &TimeZone) -> Result<i64> {
    let local = date_to_timestamp(date)?;
    if !is_finite(local) {
        return Ok(local);
    }
    Some(zone::to_utc(local, zone))
        .filter(|micros| is_valid_timestamp(*micros))
        .ok_or_else(|| overflow("date out of range for timestamp"))
}

/// The day of a timestamp.
pub fn timestamp_to_date(timestamp: i64) -> i32 {
    match timestamp {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEG_INFINITY => DATE_NEG_INFINITY,
        timestamp => split(timestamp).0 as i32,
    }
}

/// The day of a moment in a zone.
pub fn timestamptz_to_date(moment: i64, zone: &TimeZone) -> i32 {
    timestamp_to_date(timestamptz_to_timestamp(moment, zone))
}

/// The time of day of a timestamp; nothing for an infinity.
pub fn timestamp_to_time(timestamp: i64) -> Option<i64> {
    is_finite(timestamp).then(|| split(timestamp).1)
}

/// The moment of a local time: the cast, and `timestamp AT TIME ZONE`.
pub fn timestamp_to_timestamptz(local: i64, zone: &TimeZone) -> Result<i64> {
    if is_finite(local) { checked_timestamp(Some(zone::to_utc(local, zone))) } else { Ok(local) }
}

/// The local time of a moment: the cast, and `timestamptz AT TIME ZONE`.
pub fn timestamptz_to_timestamp(moment: i64, zone: &TimeZone) -> i64 {
    if is_finite(moment) { zone::to_local(moment, zone) } else { moment }
}

/// `date + time`.
pub fn date_add_time(date: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_finite(midnight) { checked_timestamp(midnight.checked_add(time)) } else { Ok(midnight) }
}

/// `timestamp + interval`: months first, to the last day of a shorter month; then days; then time.
pub fn timestamp_add_interval(timestamp: i64, span: Interval) -> Result<i64> {
    if !is_finite(timestamp) {
        return Ok(timestamp);
    }
    let local = add_months_and_days(timestamp, span)?;
    checked_timestamp(local.checked_add(span.micros))
}

/// `timestamp - interval`.
pub fn timestamp_sub_interval(timestamp: i64, span: Interval) -> Result<i64> {
    timestamp_add_interval(timestamp, interval_neg(span)?)
}

/// `timestamptz + interval`: months and days by the zone's clocks, the rest by time that passes.
pub fn timestamptz_add_interval(moment: i64, span: Interval, zone: &TimeZone) -> Result<i64> {
    if !is_finite(moment) {
        return Ok(moment);
    }
    let moment = if span.months == 0 && span.days == 0 {
        moment
    } else {
        // Months and days are two steps, each from local time and back: a skipped hour between them counts.
        let step = |moment: i64, part: Interval| {
            let local = add_months_and_days(zone::to_local(moment, zone), part)?;
            checked_timestamp(Some(zone::to_utc(local, zone)))
        };
        let moment = if span.months == 0 { moment } else { step(moment, Interval::new(span.months, 0, 0))? };
        if span.days == 0 { moment } else { step(moment, Interval::new(0, span.days, 0))? }
    };
    checked_timestamp(moment.checked_add(span.micros))
}

/// `timestamptz - interval`.
pub fn timestamptz_sub_interval(moment: i64, span: Interval, zone: &TimeZone) -> Result<i64> {
    timestamptz_add_interval(moment, interval_neg(span)?, zone)
}

fn add_months_and_days(local: i64, span: Interval) -> Result<i64> {
    let (mut days, time) = split(local);
    if span.months != 0 {
        let civil = Civil::from_days(days);
        let months = civil.year * 12 + civil.month - 1 + i64::from(span.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        days = Civil { year, month, day: civil.day.min(days_in_month(year, month)) }.to_days();
        checked_timestamp(days.checked_mul(DAY).and_then(|micros| micros.checked_add(time)))?;
    }
    days += i64::from(span.days);
    checked_timestamp(days.checked_mul(DAY).and_then(|micros| micros.checked_add(time)))
}

/// `timestamp - timestamp`: whole days and what is left.
pub fn timestamp_sub(a: i64, b: i64) -> Result<Interval> {
    if !is_finite(a) || !is_finite(b) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| out_of_range("interval"))?;
    justify_hours(Interval::new(0, 0, micros))
}

/// `time + interval`, around midnight.
pub fn time_add_interval(time: i64, span: Interval) -> i64 {
    (time + span.micros % DAY).rem_euclid(DAY)
}

/// `time - interval`, around midnight.
pub fn time_sub_interval(time: i64, span: Interval) -> i64 {
    (time - span.micros % DAY).rem_euclid(DAY)
}

/// `time - time`.
pub fn time_sub(a: i64, b: i64) -> Interval {
    Interval::new(0, 0, a - b)
}

/// The time of day of an interval.
pub fn interval_to_time(span: Interval) -> i64 {
    span.micros.rem_euclid(DAY)
}

/// `interval + interval`.
pub fn interval_add(a: Interval, b: Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    sum().ok_or_else(|| out_of_range("interval"))
}

/// `interval - interval`.
pub fn interval_sub(a: Interval, b: Interval) -> Result<Interval> {
    let difference = || {
        Some(Interval {
            months: a.months.checked_sub(b.months)?,
            days: a.days.checked_sub(b.days)?,
            micros: a.micros.checked_sub(b.micros)?,
        })
    };
    difference().ok_or_else(|| out_of_range("interval"))
}

/// `- interval`.
pub fn interval_neg(span: Interval) -> Result<Interval> {
    interval_sub(Interval::default(), span)
}

/// `interval * double precision`. Fractions of months go to days, those of days to the rest.
pub fn interval_mul(span: Interval, factor: f64) -> Result<Interval> {
    scale(span, factor, |value| value * factor)
}

/// `interval / double precision`.
pub fn interval_div(span: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(ValueError::division_by_zero());
    }
    scale(span, divisor, |value| value / divisor)
}

fn scale(span: Interval, factor: f64, apply: impl Fn(f64) -> f64) -> Result<Interval> {
    let refuse = || out_of_range("interval");
    let part = |value: f64| {
        let within = !value.is_nan() && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
        if within { Ok(value as i32) } else { Err(refuse()) }
    };
    if factor.is_nan() {
        return Err(refuse());
    }
    let round_micros = |seconds: f64| (seconds * SECOND as f64).round_ties_even() / SECOND as f64;
    const DAY_SECONDS: f64 = (DAY / SECOND) as f64;
    let (months, days) = (apply(f64::from(span.months)), apply(f64::from(span.days)));
    let (whole_months, mut whole_days) = (part(months)?, part(days)?);
    let month_days = round_micros((months - f64::from(whole_months)) * MONTH_DAYS as f64);
    let mut seconds =
        round_micros((days - f64::from(whole_days) + month_days - month_days.trunc()) * DAY_SECONDS);
    if seconds.abs() >= DAY_SECONDS {
        let carried = (seconds / DAY_SECONDS).trunc();
        whole_days = whole_days.checked_add(carried as i32).ok_or_else(refuse)?;
        seconds -= carried * DAY_SECONDS;
    }
    whole_days = whole_days.checked_add(month_days as i32).ok_or_else(refuse)?;
    let micros = (apply(span.micros as f64) + seconds * SECOND as f64).round_ties_even();
    // The greatest float below 2^63 is the last that fits.
    if micros.is_nan() || micros < i64::MIN as f64 || micros >= i64::MAX as f64 {
        return Err(refuse());
    }
    Ok(Interval { months: whole_months, days: whole_days, micros: micros as i64 })
}

/// Whole days of the time go to the days, and the two get one sign.
pub fn justify_hours(span: Interval) -> Result<Interval> {
    let days = i64::from(span.days) + span.micros / DAY;
    let (days, micros) = one_sign(days, span.micros % DAY, DAY);
    let days = i32::try_from(days).map_err(|_| out_of_range("interval"))?;
    Ok(Interval { days, micros, ..span })
}

/// Whole months of the days go to the months, and the two get one sign.
pub fn justify_days(span: Interval) -> Result<Interval> {
    let months = i64::from(span.months) + i64::from(span.days) / MONTH_DAYS;
    let (months, days) = one_sign(months, i64::from(span.days) % MONTH_DAYS, MONTH_DAYS);
    let months = i32::try_from(months).map_err(|_| out_of_range("interval"))?;
    Ok(Interval { months, days: days as i32, micros: span.micros })
}

/// Both, and all three parts get one sign.
pub fn justify_interval(span: Interval) -> Result<Interval> {
    let days = i64::from(span.days) + span.micros / DAY;
    let months = i64::from(span.months) + days / MONTH_DAYS;
    let (mut months, mut days, mut micros) = (months, days % MONTH_DAYS, span.micros % DAY);
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += MONTH_DAYS;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= MONTH_DAYS;
        months += 1;
    }
    (days, micros) = one_sign(days, micros, DAY);
    let months = i32::try_from(months).map_err(|_| out_of_range("interval"))?;
    Ok(Interval { months, days: days as i32, micros })
}

/// A greater and a smaller part with the same sign, the smaller one below a whole of the greater.
fn one_sign(greater: i64, smaller: i64, whole: i64) -> (i64, i64) {
    if greater > 0 && smaller < 0 {
        (greater - 1, smaller + whole)
    } else if greater < 0 && smaller > 0 {
        (greater + 1, smaller - whole)
    } else {
        (greater, smaller)
    }
}
