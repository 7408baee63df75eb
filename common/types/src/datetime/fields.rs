//! `extract`, `date_part` and `date_trunc`.

use super::calendar::{Civil, Clock, day_of_week, day_of_year, iso_week, split};
use super::{
    DAY, HOUR, MINUTE, SECOND, UNIX_EPOCH_DAYS, is_finite, is_finite_date, is_valid_timestamp, out_of_range,
    zone,
};
use crate::sqlstate::SqlState;
use crate::{Interval, Numeric, ValueError};
use jiff::tz::TimeZone;

type Result<T> = std::result::Result<T, ValueError>;

/// A part of a date or time that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
    TimeZone,
    TimeZoneHour,
    TimeZoneMinute,
}

fn part(name: &str) -> Option<Part> {
    let lower: String = name.chars().take(10).collect::<String>().to_ascii_lowercase();
    Some(match lower.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Part::Microseconds,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => Part::Milliseconds,
        "s" | "sec" | "secs" | "second" | "seconds" => Part::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Part::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Part::Hour,
        "d" | "day" | "days" => Part::Day,
        "w" | "week" | "weeks" => Part::Week,
        "mon" | "mons" | "month" | "months" => Part::Month,
        "qtr" | "quarter" => Part::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Part::Year,
        "dec" | "decs" | "decade" | "decades" => Part::Decade,
        "c" | "cent" | "century" | "centuries" => Part::Century,
        "mil" | "mils" | "millennium" | "millennia" => Part::Millennium,
        "j" | "jd" | "julian" => Part::Julian,
        "isoyear" => Part::IsoYear,
        "dow" => Part::DayOfWeek,
        "isodow" => Part::IsoDayOfWeek,
        "doy" => Part::DayOfYear,
        "epoch" => Part::Epoch,
        "timezone" => Part::TimeZone,
        "timezone_h" => Part::TimeZoneHour,
        "timezone_m" => Part::TimeZoneMinute,
        _ => return None,
    })
}

fn not_recognized(name: &str, type_name: &str) -> ValueError {
    let name = name.to_ascii_lowercase();
    ValueError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{name}\" not recognized for type {type_name}"),
    )
}

fn not_supported(name: &str, type_name: &str) -> ValueError {
    ValueError::not_supported(format!(
        "unit \"{}\" not supported for type {type_name}",
        name.to_ascii_lowercase()
    ))
}

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";
const TIME: &str = "time without time zone";

fn whole(value: i64) -> Option<Numeric> {
    Some(Numeric::from(value))
}

/// The part of a time of day.
fn time_part(part: Part, time: i64) -> Option<Numeric> {
    let clock = Clock::from_micros(time);
    match part {
        Part::Microseconds => whole(clock.second * SECOND + clock.micros),
        Part::Milliseconds => {
            Some(Numeric::from_unscaled(i128::from(clock.second * SECOND + clock.micros), 3))
        }
        Part::Second => Some(Numeric::from_unscaled(i128::from(clock.second * SECOND + clock.micros), 6)),
        Part::Minute => whole(clock.minute),
        Part::Hour => whole(clock.hour),
        _ => None,
    }
}

/// Years of a span of them: negative ones count from 1 BC.
fn years_in(year: i64, span: i64) -> i64 {
    if year > 0 { (year + span - 1) / span } else { -((span - 1 - (year - 1)) / span) }
}

/// The part of a date.
fn date_field(part: Part, days: i64) -> Option<Numeric> {
    let civil = Civil::from_days(days);
    whole(match part {
        Part::Day => civil.day,
        Part::Week => iso_week(days).1,
        Part::Month => civil.month,
        Part::Quarter => (civil.month - 1) / 3 + 1,
        Part::Year => without_zero(civil.year),
        Part::Decade => {
            if civil.year >= 0 {
                civil.year / 10
            } else {
                -((8 - (civil.year - 1)) / 10)
            }
        }
        Part::Century => years_in(civil.year, 100),
        Part::Millennium => years_in(civil.year, 1000),
        Part::Julian => days + 2_451_545,
        Part::IsoYear => without_zero(iso_week(days).0),
        Part::DayOfWeek => day_of_week(days),
        Part::IsoDayOfWeek => (day_of_week(days) + 6) % 7 + 1,
        Part::DayOfYear => day_of_year(days),
        _ => return None,
    })
}

/// A year as it is spoken: the one before 1 is -1.
fn without_zero(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// What an infinity answers: parts that always grow are infinite, the others null.
fn infinite_part(part: Part, positive: bool) -> Option<Numeric> {
    let grows = matches!(
        part,
        Part::Year
            | Part::Decade
            | Part::Century
            | Part::Millennium
            | Part::Julian
            | Part::IsoYear
            | Part::Epoch
    );
    grows.then_some(if positive { Numeric::INFINITY } else { Numeric::NEG_INFINITY })
}

/// `extract(name from date)`; nothing stands for null.
pub fn extract_date(name: &str, date: i32) -> Result<Option<Numeric>> {
    let part = part(name).ok_or_else(|| not_recognized(name, "date"))?;
    let days = i64::from(date);
    let value = match part {
        Part::Epoch => whole((days + UNIX_EPOCH_DAYS) * (DAY / SECOND)),
        part => date_field(part, days.clamp(-2_451_545, i64::from(super::END_DATE))),
    };
    let value = value.ok_or_else(|| not_supported(name, "date"))?;
    Ok(if is_finite_date(date) { Some(value) } else { infinite_part(part, date > 0) })
}

/// `extract(name from timestamp)`; nothing stands for null.
pub fn extract_timestamp(name: &str, timestamp: i64) -> Result<Option<Numeric>> {
    let part = part(name).ok_or_else(|| not_recognized(name, TIMESTAMP))?;
    timestamp_part(part, timestamp, timestamp)?.ok_or_else(|| not_supported(name, TIMESTAMP))
}

/// `extract(name from timestamptz)` in a zone; nothing stands for null.
pub fn extract_timestamptz(name: &str, moment: i64, zone: &TimeZone) -> Result<Option<Numeric>> {
    let part = part(name).ok_or_else(|| not_recognized(name, TIMESTAMPTZ))?;
    if !is_finite(moment) {
        return Ok(infinite_part(part, moment > 0));
    }
    let local = zone::to_local(moment, zone);
    let offset = (local - moment) / SECOND;
    match part {
        Part::TimeZone => Ok(whole(offset)),
        Part::TimeZoneHour => Ok(whole(offset / 3600)),
        Part::TimeZoneMinute => Ok(whole(offset / 60 % 60)),
        part => timestamp_part(part, local, moment)?.ok_or_else(|| not_supported(name, TIMESTAMPTZ)),
    }
}

/// The part of a local time whose moment is `epoch`; nothing when timestamps have no such part.
fn timestamp_part(part: Part, local: i64, epoch: i64) -> Result<Option<Option<Numeric>>> {
    if !is_finite(local) {
        let known = !matches!(part, Part::TimeZone | Part::TimeZoneHour | Part::TimeZoneMinute);
        return Ok(known.then(|| infinite_part(part, local > 0)));
    }
    let (days, time) = split(local);
    if part == Part::Epoch {
        let micros = i128::from(epoch) + i128::from(UNIX_EPOCH_DAYS * DAY);
        return Ok(Some(Some(Numeric::from_unscaled(micros, 6))));
    }
    let value = time_part(part, time).or_else(|| date_field(part, days));
    if part == Part::Julian {
        let share = Numeric::from(time).div(&Numeric::from(DAY))?;
        return Ok(Some(Some(value.unwrap_or(Numeric::ZERO).add(&share)?)));
    }
    Ok(value.map(Some))
}

/// `extract(name from time)`.
pub fn extract_time(name: &str, time: i64) -> Result<Option<Numeric>> {
    let part = part(name).ok_or_else(|| not_recognized(name, TIME))?;
    match part {
        Part::Epoch => Ok(Some(Numeric::from_unscaled(i128::from(time), 6))),
        part => time_part(part, time).map(Some).ok_or_else(|| not_supported(name, TIME)),
    }
}

/// `extract(name from interval)`.
pub fn extract_interval(name: &str, span: Interval) -> Result<Option<Numeric>> {
    let part = part(name).ok_or_else(|| not_recognized(name, "interval"))?;
    let (years, months) = (i64::from(span.months) / 12, i64::from(span.months) % 12);
    let seconds = span.micros % MINUTE;
    Ok(match part {
        Part::Microseconds => whole(seconds),
        Part::Milliseconds => Some(Numeric::from_unscaled(i128::from(seconds), 3)),
        Part::Second => Some(Numeric::from_unscaled(i128::from(seconds), 6)),
        Part::Minute => whole(span.micros / MINUTE % 60),
        Part::Hour => whole(span.micros / HOUR),
        Part::Day => whole(i64::from(span.days)),
        Part::Month => whole(months),
        Part::Quarter => whole(months / 3 + 1),
        Part::Year => whole(years),
        Part::Decade => whole(years / 10),
        Part::Century => whole(years / 100),
        Part::Millennium => whole(years / 1000),
        Part::Epoch => {
            // A year counts 365.25 days here: in quarters of days, all is whole.
            let quarters = i128::from(years) * 1461 + i128::from(months) * 120 + i128::from(span.days) * 4;
            let micros = quarters * i128::from(DAY / 4) + i128::from(span.micros);
            Some(Numeric::from_unscaled(micros, 6))
        }
        _ => return Err(not_supported(name, "interval")),
    })
}

/// What only `extract` knows is no unit that a value could be cut to.
fn truncation_part(name: &str, type_name: &str) -> Result<Part> {
    let known = part(name).filter(|part| {
        !matches!(
            part,
            Part::Julian
                | Part::IsoYear
                | Part::DayOfWeek
                | Part::IsoDayOfWeek
                | Part::DayOfYear
                | Part::Epoch
        )
    });
    known.ok_or_else(|| not_recognized(name, type_name))
}

/// A local time cut to a unit; nothing when the type has no such unit.
fn truncate(part: Part, local: i64) -> Option<i64> {
    let (days, time) = split(local);
    let unit = match part {
        Part::Microseconds => 1,
        Part::Milliseconds => 1000,
        Part::Second => SECOND,
        Part::Minute => MINUTE,
        Part::Hour => HOUR,
        Part::Day => DAY,
        _ => 0,
    };
    if unit != 0 {
        return Some(days * DAY + time / unit * unit);
    }
    let civil = Civil::from_days(days);
    let start = |year: i64, month: i64| Civil { year, month, day: 1 }.to_days() * DAY;
    let first_of_span = |span: i64| {
        if civil.year > 0 {
            (civil.year + span - 1) / span * span - (span - 1)
        } else {
            -((span - 1 - (civil.year - 1)) / span) * span + 1
        }
    };
    Some(match part {
        Part::Week => (days - (day_of_week(days) + 6) % 7) * DAY,
        Part::Month => start(civil.year, civil.month),
        Part::Quarter => start(civil.year, (civil.month - 1) / 3 * 3 + 1),
        Part::Year => start(civil.year, 1),
        Part::Decade if civil.year > 0 => start(civil.year / 10 * 10, 1),
        Part::Decade => start(-((8 - (civil.year - 1)) / 10) * 10, 1),
        Part::Century => start(first_of_span(100), 1),
        Part::Millennium => start(first_of_span(1000), 1),
        _ => return None,
    })
}

/// `date_trunc(name, timestamp)`.
pub fn truncate_timestamp(name: &str, timestamp: i64) -> Result<i64> {
    if !is_finite(timestamp) {
        return Ok(timestamp);
    }
    let part = truncation_part(name, TIMESTAMP)?;
    let cut = truncate(part, timestamp).ok_or_else(|| not_supported(name, TIMESTAMP))?;
    if is_valid_timestamp(cut) { Ok(cut) } else { Err(out_of_range("timestamp")) }
}

/// `date_trunc(name, timestamptz)` in a zone.
pub fn truncate_timestamptz(name: &str, moment: i64, zone: &TimeZone) -> Result<i64> {
    if !is_finite(moment) {
        return Ok(moment);
    }
    let part = truncation_part(name, TIMESTAMPTZ)?;
    let local = zone::to_local(moment, zone);
    let cut = truncate(part, local).ok_or_else(|| not_supported(name, TIMESTAMPTZ))?;
    let within_day =
        matches!(part, Part::Microseconds | Part::Milliseconds | Part::Second | Part::Minute | Part::Hour);
    // Within a day the offset stays what it was; else it is that of the start of the unit.
    let cut = if within_day { cut - (local - moment) } else { zone::to_utc(cut, zone) };
    if is_valid_timestamp(cut) { Ok(cut) } else { Err(out_of_range("timestamp")) }
}

/// `date_trunc(name, interval)`.
pub fn truncate_interval(name: &str, span: Interval) -> Result<Interval> {
    let part = truncation_part(name, "interval")?;
    let time = |unit: i64| Interval { micros: span.micros / unit * unit, ..span };
    let months = |unit: i32| Interval { months: span.months / unit * unit, days: 0, micros: 0 };
    Ok(match part {
        Part::Microseconds => span,
        Part::Milliseconds => time(1000),
        Part::Second => time(SECOND),
        Part::Minute => time(MINUTE),
        Part::Hour => time(HOUR),
        Part::Day => Interval { micros: 0, ..span },
        Part::Month => months(1),
        Part::Quarter => months(3),
        Part::Year => months(12),
        Part::Decade => months(120),
        Part::Century => months(1200),
        Part::Millennium => months(12_000),
        Part::Week => {
            return Err(not_supported(name, "interval").with_detail("Months usually have fractional weeks."));
        }
        _ => return Err(not_supported(name, "interval")),
    })
}
