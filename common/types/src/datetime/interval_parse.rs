//! Text to intervals: `1 year 2 mons -3 days 04:05:06`, `1-2`, `P1Y2M3DT4H5M6S`, `@ 5 hours ago`.

use super::parse::Bad;
use super::tokens::{self, Field};
use super::{DAY, HOUR, MINUTE, SECOND};
use crate::interval::MONTH_DAYS;
use crate::settings::IntervalStyle;
use crate::sqlstate::SqlState;
use crate::{Interval, ValueError, text::is_space};

/// A unit of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

fn unit(word: &str) -> Option<Unit> {
    let lower: String = word.chars().take(10).collect::<String>().to_ascii_lowercase();
    Some(match lower.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" | "msecond" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        _ => return None,
    })
}

/// An `interval`. The modifier decides what a number without a unit means; it is not applied otherwise.
pub fn interval(text: &str, typmod: i32, style: IntervalStyle) -> Result<Interval, ValueError> {
    let error = |bad| match bad {
        Bad::MonthOrDay => super::out_of_range("interval"),
        Bad::Field => ValueError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
        bad => bad.error("interval", text),
    };
    let trimmed = text.trim_matches(is_space);
    if let Some(iso) = trimmed.strip_prefix('P') {
        return iso_8601(iso).map_err(error);
    }
    fields(trimmed, typmod, style).map_err(error)
}

/// The sum of the fields that were read.
#[derive(Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    /// Units that were given, each of which may be given once.
    seen: u32,
    micros: i64,
}

impl Sum {
    /// Marks a unit as given.
    fn once(&mut self, units: u32) -> Result<(), Bad> {
        let again = self.seen & units != 0;
        self.seen |= units;
        if again { Err(Bad::Format) } else { Ok(()) }
    }

    /// Adds `value + fraction` units; a fraction of a greater unit goes to the smaller ones.
    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Result<(), Bad> {
        match unit {
            Unit::Microsecond => self.time(value, 1, fraction),
            Unit::Millisecond => self.time(value, 1000, fraction),
            Unit::Second => self.time(value, SECOND, fraction),
            Unit::Minute => self.time(value, MINUTE, fraction),
            Unit::Hour => self.time(value, HOUR, fraction),
            Unit::Day => {
                add_i32(&mut self.days, value, 1)?;
                self.time(0, DAY, fraction)
            }
            Unit::Week => {
                add_i32(&mut self.days, value, 7)?;
                self.fraction_of_days(fraction, 7.0)
            }
            Unit::Month => {
                add_i32(&mut self.months, value, 1)?;
                self.fraction_of_days(fraction, MONTH_DAYS as f64)
            }
            Unit::Year => self.years(value, fraction, 1),
            Unit::Decade => self.years(value, fraction, 10),
            Unit::Century => self.years(value, fraction, 100),
            Unit::Millennium => self.years(value, fraction, 1000),
        }
    }

    fn time(&mut self, value: i64, unit: i64, fraction: f64) -> Result<(), Bad> {
        add(&mut self.micros, value, unit)?;
        add(&mut self.micros, (fraction * unit as f64).round_ties_even() as i64, 1)
    }

    fn fraction_of_days(&mut self, fraction: f64, days: f64) -> Result<(), Bad> {
        let share = fraction * days;
        add_i32(&mut self.days, share.trunc() as i64, 1)?;
        self.time(0, DAY, share - share.trunc())
    }

    fn years(&mut self, value: i64, fraction: f64, years: i64) -> Result<(), Bad> {
        add_i32(&mut self.years, value, years)?;
        add_i32(&mut self.months, (fraction * (years * 12) as f64).round_ties_even() as i64, 1)
    }

    fn finish(&self, negate: bool) -> Result<Interval, Bad> {
        let sign = if negate { -1 } else { 1 };
        let part = |value: i64| i32::try_from(value * sign).map_err(|_| Bad::Field);
        let months = i32::try_from((self.years * 12 + self.months) * sign);
        Ok(Interval {
            // Each part fits, their sum does not: PostgreSQL has another error for that.
            months: months.map_err(|_| Bad::MonthOrDay)?,
            days: part(self.days)?,
            micros: self.micros.checked_mul(sign).ok_or(Bad::Field)?,
        })
    }
}

fn add(to: &mut i64, value: i64, times: i64) -> Result<(), Bad> {
    *to = value.checked_mul(times).and_then(|by| to.checked_add(by)).ok_or(Bad::Field)?;
    Ok(())
}

/// The same within the range of a part that is an `integer`.
fn add_i32(to: &mut i64, value: i64, times: i64) -> Result<(), Bad> {
    add(to, value, times)?;
    i32::try_from(*to).map(|_| ()).map_err(|_| Bad::Field)
}

/// A number with its fraction; both have its sign.
fn decimal(text: &str) -> Result<(i64, f64), Bad> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text[1..].trim_start()),
        Some(b'+') => (false, text[1..].trim_start()),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let figures = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !figures(whole) || !figures(fraction) {
        return Err(Bad::Format);
    }
    let value: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Bad::Field)? };
    let fraction: f64 =
        if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().map_err(|_| Bad::Format)? };
    Ok(if negative { (-value, -fraction) } else { (value, fraction) })
}

/// `hh:mm`, `hh:mm:ss.fff`, `mm:ss.fff`, with a sign; `mm:ss` when the modifier says so.
fn clock(text: &str, minutes_first: bool) -> Result<i64, Bad> {
    let (sign, text) = match text.as_bytes().first() {
        Some(b'-') => (-1, text[1..].trim_start()),
        Some(b'+') => (1, text[1..].trim_start()),
        _ => (1, text),
    };
    let (figures, fraction) =
        text.split_once('.').map_or((text, None), |(figures, part)| (figures, Some(part)));
    let mut numbers = figures.split(':').map(|number| {
        let all_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if all_digits { number.parse::<i64>().map_err(|_| Bad::Field) } else { Err(Bad::Format) }
    });
    let first = numbers.next().ok_or(Bad::Format)??;
    let second = numbers.next().ok_or(Bad::Format)??;
    let third = numbers.next().transpose()?;
    if numbers.next().is_some() {
        return Err(Bad::Format);
    }
    let (hour, minute, second) = match third {
        Some(third) => (first, second, third),
        None if fraction.is_some() || minutes_first => (0, first, second),
        None => (first, second, 0),
    };
    if minute > 59 || second > 60 {
        return Err(Bad::Field);
    }
    let micros = fraction.map_or(Ok(0), super::parse::fraction)?;
    let total = hour
        .checked_mul(HOUR)
        .and_then(|hours| hours.checked_add(minute * MINUTE + second * SECOND + micros));
    Ok(sign * total.ok_or(Bad::Field)?)
}

/// What a number at the end means, by the modifier's last field.
fn default_unit(typmod: i32) -> Unit {
    let range = if typmod < 0 { crate::oid::INTERVAL_FULL_RANGE } else { (typmod >> 16) & 0x7fff };
    if range == crate::oid::INTERVAL_FULL_RANGE || range & (1 << 12) != 0 {
        Unit::Second
    } else if range & (1 << 11) != 0 {
        Unit::Minute
    } else if range & (1 << 10) != 0 {
        Unit::Hour
    } else if range & (1 << 3) != 0 {
        Unit::Day
    } else if range & (1 << 1) != 0 {
        Unit::Month
    } else {
        Unit::Year
    }
}

/// Seconds and what is below them: a fraction of a second gives them all.
const SECOND_UNITS: u32 =
    1 << Unit::Microsecond as u32 | 1 << Unit::Millisecond as u32 | 1 << Unit::Second as u32;
/// The units that a time of day gives.
const TIME_UNITS: u32 = SECOND_UNITS | 1 << Unit::Minute as u32 | 1 << Unit::Hour as u32;

const MINUTE_TO_SECOND: i32 = (1 << 11) | (1 << 12);

/// Fields with units, from the last to the first, because a unit stands after its number.
fn fields(text: &str, typmod: i32, style: IntervalStyle) -> Result<Interval, Bad> {
    let fields = tokens::split(text, |word| unit(word).is_some()).ok_or(Bad::Format)?;
    if fields.is_empty() {
        return Err(Bad::Format);
    }
    let mut sum = Sum::default();
    let mut pending: Option<Unit> = None;
    let mut ago = false;
    let mut any = false;
    let minutes_first = typmod >= 0 && (typmod >> 16) & 0x7fff == MINUTE_TO_SECOND;
    // In the SQL standard's style, one sign at the front is that of every field without its own.
    let leading_minus = text.starts_with('-');
    let signs = text.matches(['-', '+']).count();
    let spread = style == IntervalStyle::SqlStandard && leading_minus && signs == 1;
    for (index, field) in fields.iter().enumerate().rev() {
        let flip = spread && index > 0;
        match field {
            Field::Word(word) => {
                if word.eq_ignore_ascii_case("ago") {
                    ago = true;
                    continue;
                }
                match unit(word) {
                    Some(unit) => pending = Some(unit),
                    None => return Err(Bad::Format),
                }
                continue;
            }
            Field::Time(text) => {
                let micros = clock(text, minutes_first)?;
                sum.once(TIME_UNITS)?;
                add(&mut sum.micros, if flip { -micros } else { micros }, 1)?;
                // A number before a time is a count of days.
                pending = Some(Unit::Day);
            }
            Field::Signed(text) if text.contains(':') => {
                sum.once(TIME_UNITS)?;
                add(&mut sum.micros, clock(text, minutes_first)?, 1)?;
                pending = Some(Unit::Day);
            }
            Field::Date(text) | Field::Signed(text) if text[1..].contains('-') => {
                let (negative, figures) = match text.as_bytes()[0] {
                    b'-' => (true, text[1..].trim_start()),
                    b'+' => (false, text[1..].trim_start()),
                    _ => (flip, *text),
                };
                let (years, months) = figures.split_once('-').ok_or(Bad::Format)?;
                let figure = |text: &str| decimal(text).map(|(value, _)| value);
                let (years, months) = (figure(years)?, figure(months)?);
                if !(0..12).contains(&months) {
                    return Err(Bad::Field);
                }
                let total =
                    years.checked_mul(12).and_then(|all| all.checked_add(months)).ok_or(Bad::Field)?;
                sum.once(1 << Unit::Year as u32 | 1 << Unit::Month as u32)?;
                add_i32(&mut sum.months, if negative { -total } else { total }, 1)?;
                pending = None;
            }
            Field::Number(text) | Field::Signed(text) => {
                let unit = pending.take().unwrap_or_else(|| default_unit(typmod));
                let (value, fraction) = decimal(text)?;
                let (value, fraction) = if flip { (-value, -fraction) } else { (value, fraction) };
                let with_fraction = unit == Unit::Second && fraction != 0.0;
                sum.once(if with_fraction { SECOND_UNITS } else { 1 << unit as u32 })?;
                sum.add(unit, value, fraction)?;
            }
            Field::Date(_) | Field::SignedWord(_) => return Err(Bad::Format),
        }
        any = true;
    }
    if any { sum.finish(ago) } else { Err(Bad::Format) }
}

/// After the `P`: `1Y2M3W4DT5H6M7.8S`, or `0001-02-03T04:05:06`.
fn iso_8601(text: &str) -> Result<Interval, Bad> {
    let mut sum = Sum::default();
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    if date.is_empty() && time.is_none() {
        return Err(Bad::Format);
    }
    let date_unit = |letter: char| match letter {
        'Y' => Some(Unit::Year),
        'M' => Some(Unit::Month),
        'W' => Some(Unit::Week),
        'D' => Some(Unit::Day),
        _ => None,
    };
    let time_unit = |letter: char| match letter {
        'H' => Some(Unit::Hour),
        'M' => Some(Unit::Minute),
        'S' => Some(Unit::Second),
        _ => None,
    };
    if date.contains(|c: char| c.is_ascii_alphabetic()) || date.is_empty() {
        with_letters(date, date_unit, &mut sum)?;
    } else {
        let mut parts = date.splitn(3, '-');
        for unit in [Unit::Year, Unit::Month, Unit::Day] {
            if let Some(part) = parts.next() {
                let (value, fraction) = decimal(part)?;
                sum.add(unit, value, fraction)?;
            }
        }
    }
    match time {
        Some(time) if time.contains(':') => add(&mut sum.micros, clock(time, false)?, 1)?,
        Some(time) => with_letters(time, time_unit, &mut sum)?,
        None => {}
    }
    sum.finish(false)
}

fn with_letters(text: &str, unit: impl Fn(char) -> Option<Unit>, sum: &mut Sum) -> Result<(), Bad> {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Bad::Format)?;
        let letter = rest[end..].chars().next().ok_or(Bad::Format)?;
        let (value, fraction) = decimal(&rest[..end])?;
        sum.add(unit(letter).ok_or(Bad::Format)?, value, fraction)?;
        rest = &rest[end + letter.len_utf8()..];
    }
    Ok(())
}
