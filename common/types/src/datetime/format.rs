//! Dates, times, timestamps and intervals as text.

use super::calendar::{Civil, Clock, day_of_week, split};
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY, zone,
};
use crate::Interval;
use crate::settings::{DateOrder, DateStyle, IntervalStyle, Settings};

/// Short names of the days of the week, from Sunday.
pub const DAY_NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// Short names of the months.
pub const MONTH_NAMES: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Text while it is made: long enough for every date and time.
pub(crate) type Out = smallvec::SmallVec<[u8; 64]>;

/// At least `width` digits.
fn digits(out: &mut Out, value: i64, width: usize) {
    let mut buffer = [b'0'; 20];
    let (mut at, mut left) = (buffer.len(), value.unsigned_abs());
    while left > 0 {
        at -= 1;
        buffer[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&buffer[at.min(buffer.len() - width)..]);
}

fn text(out: &mut Out, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A number as it is, with its sign.
fn number(out: &mut Out, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    digits(out, value, 1);
}

/// `.5`, `.000001`: a fraction of a second without zeros at its end; nothing for none.
fn fraction(out: &mut Out, micros: i64) {
    if micros != 0 {
        out.push(b'.');
        let start = out.len();
        digits(out, micros, 6);
        while out.len() > start && out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn clock(out: &mut Out, micros: i64) {
    let clock = Clock::from_micros(micros);
    digits(out, clock.hour, 2);
    out.push(b':');
    digits(out, clock.minute, 2);
    out.push(b':');
    digits(out, clock.second, 2);
    fraction(out, clock.micros);
}

/// The year as it is written, which has no zero.
fn year(out: &mut Out, civil: Civil) {
    digits(out, if civil.year > 0 { civil.year } else { 1 - civil.year }, 4);
}

fn day_and_month(out: &mut Out, civil: Civil, order: DateOrder, between: u8) {
    let (first, second) =
        if order == DateOrder::Dmy { (civil.day, civil.month) } else { (civil.month, civil.day) };
    digits(out, first, 2);
    out.push(between);
    digits(out, second, 2);
}

fn civil_date(out: &mut Out, civil: Civil, settings: &Settings) {
    match settings.date_style {
        DateStyle::Iso => {
            year(out, civil);
            out.push(b'-');
            digits(out, civil.month, 2);
            out.push(b'-');
            digits(out, civil.day, 2);
        }
        DateStyle::Sql => {
            day_and_month(out, civil, settings.date_order, b'/');
            out.push(b'/');
            year(out, civil);
        }
        DateStyle::German => {
            day_and_month(out, civil, DateOrder::Dmy, b'.');
            out.push(b'.');
            year(out, civil);
        }
        DateStyle::Postgres => {
            day_and_month(out, civil, settings.date_order, b'-');
            out.push(b'-');
            year(out, civil);
        }
    }
}

fn era(out: &mut Out, civil: Civil) {
    if civil.year <= 0 {
        text(out, " BC");
    }
}

pub(crate) fn date(out: &mut Out, days: i32, settings: &Settings) {
    match days {
        DATE_INFINITY => text(out, "infinity"),
        DATE_NEG_INFINITY => text(out, "-infinity"),
        days => {
            let civil = Civil::from_days(i64::from(days));
            civil_date(out, civil, settings);
            era(out, civil);
        }
    }
}

pub(crate) fn time(out: &mut Out, micros: i64) {
    clock(out, micros);
}

pub(crate) fn timestamp(out: &mut Out, micros: i64, settings: &Settings) {
    moment(out, micros, settings, None);
}

pub(crate) fn timestamptz(out: &mut Out, micros: i64, settings: &Settings) {
    match micros {
        TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY => moment(out, micros, settings, None),
        micros => {
            let (offset, abbreviation) = zone::offset_at(micros, &settings.time_zone);
            moment(out, micros + i64::from(offset) * SECOND, settings, Some((offset, &abbreviation)));
        }
    }
}

fn moment(out: &mut Out, micros: i64, settings: &Settings, zone: Option<(i32, &str)>) {
    match micros {
        TIMESTAMP_INFINITY => return text(out, "infinity"),
        TIMESTAMP_NEG_INFINITY => return text(out, "-infinity"),
        _ => {}
    }
    let (days, time) = split(micros);
    let civil = Civil::from_days(days);
    match settings.date_style {
        DateStyle::Iso => {
            civil_date(out, civil, settings);
            out.push(b' ');
            clock(out, time);
            if let Some((offset, _)) = zone {
                zone_offset(out, offset);
            }
        }
        DateStyle::Sql | DateStyle::German => {
            civil_date(out, civil, settings);
            out.push(b' ');
            clock(out, time);
            if let Some((_, name)) = zone {
                out.push(b' ');
                text(out, name);
            }
        }
        DateStyle::Postgres => {
            text(out, DAY_NAMES[day_of_week(days) as usize]);
            out.push(b' ');
            let month = MONTH_NAMES[civil.month as usize - 1];
            if settings.date_order == DateOrder::Dmy {
                digits(out, civil.day, 2);
                out.push(b' ');
                text(out, month);
            } else {
                text(out, month);
                out.push(b' ');
                digits(out, civil.day, 2);
            }
            out.push(b' ');
            clock(out, time);
            out.push(b' ');
            year(out, civil);
            if let Some((_, name)) = zone {
                out.push(b' ');
                text(out, name);
            }
        }
    }
    era(out, civil);
}

/// `+02`, `-03:30`, `+00:19:32`.
fn zone_offset(out: &mut Out, seconds: i32) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let seconds = i64::from(seconds).abs();
    digits(out, seconds / 3600, 2);
    if seconds % 3600 != 0 {
        out.push(b':');
        digits(out, seconds / 60 % 60, 2);
        if seconds % 60 != 0 {
            out.push(b':');
            digits(out, seconds % 60, 2);
        }
    }
}

/// The parts in which an interval is written.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

pub(crate) fn interval(out: &mut Out, value: Interval, style: IntervalStyle) {
    let parts = Parts {
        years: i64::from(value.months) / 12,
        months: i64::from(value.months) % 12,
        days: i64::from(value.days),
        hours: value.micros / HOUR,
        minutes: value.micros / MINUTE % 60,
        seconds: value.micros / SECOND % 60,
        micros: value.micros % SECOND,
    };
    match style {
        IntervalStyle::Postgres => postgres_style(out, &parts),
        IntervalStyle::PostgresVerbose => verbose_style(out, &parts),
        IntervalStyle::SqlStandard => sql_style(out, &parts),
        IntervalStyle::Iso8601 => iso_style(out, &parts),
    }
}

fn postgres_style(out: &mut Out, parts: &Parts) {
    let mut before_negative = false;
    let mut written = false;
    for (value, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if value == 0 {
            continue;
        }
        if written {
            out.push(b' ');
        }
        if before_negative && value > 0 {
            out.push(b'+');
        }
        number(out, value);
        out.push(b' ');
        text(out, unit);
        if value != 1 {
            out.push(b's');
        }
        before_negative = value < 0;
        written = true;
    }
    let has_time = parts.hours != 0 || parts.minutes != 0 || parts.seconds != 0 || parts.micros != 0;
    if !written || has_time {
        let negative = parts.hours < 0 || parts.minutes < 0 || parts.seconds < 0 || parts.micros < 0;
        if written {
            out.push(b' ');
        }
        if negative {
            out.push(b'-');
        } else if before_negative {
            out.push(b'+');
        }
        hours_minutes_seconds(out, parts, 2);
    }
}

fn hours_minutes_seconds(out: &mut Out, parts: &Parts, hour_width: usize) {
    digits(out, parts.hours, hour_width);
    out.push(b':');
    digits(out, parts.minutes, 2);
    out.push(b':');
    digits(out, parts.seconds, 2);
    fraction(out, parts.micros.abs());
}

fn verbose_style(out: &mut Out, parts: &Parts) {
    text(out, "@");
    // The first unit decides whether the whole is "ago"; each later one is written relative to that.
    let (mut written, mut ago) = (false, false);
    let units = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (value, unit) in units {
        if value == 0 {
            continue;
        }
        if !written {
            ago = value < 0;
        }
        let shown = if ago { -value } else { value };
        out.push(b' ');
        number(out, shown);
        out.push(b' ');
        text(out, unit);
        if shown != 1 {
            out.push(b's');
        }
        written = true;
    }
    if parts.seconds != 0 || parts.micros != 0 {
        let negative = parts.seconds < 0 || parts.micros < 0;
        if !written {
            ago = negative;
        }
        out.push(b' ');
        if negative != ago {
            out.push(b'-');
        }
        digits(out, parts.seconds, 1);
        fraction(out, parts.micros.abs());
        text(out, " sec");
        if parts.seconds.abs() != 1 || parts.micros != 0 {
            out.push(b's');
        }
        written = true;
    }
    if !written {
        text(out, " 0");
    }
    if ago {
        text(out, " ago");
    }
}

fn sql_style(out: &mut Out, parts: &Parts) {
    let all =
        [parts.years, parts.months, parts.days, parts.hours, parts.minutes, parts.seconds, parts.micros];
    let (negative, positive) = (all.iter().any(|v| *v < 0), all.iter().any(|v| *v > 0));
    let has_months = parts.years != 0 || parts.months != 0;
    let has_time = parts.hours != 0 || parts.minutes != 0 || parts.seconds != 0 || parts.micros != 0;
    let has_days = parts.days != 0;
    if !negative && !positive {
        return text(out, "0");
    }
    let mixed = (negative && positive) || (has_months && (has_days || has_time));
    let sign = |out: &mut Out, negative: bool| out.push(if negative { b'-' } else { b'+' });
    if mixed {
        // No single sign fits, so that each part gets its own.
        sign(out, parts.years < 0 || parts.months < 0);
        digits(out, parts.years, 1);
        out.push(b'-');
        digits(out, parts.months, 1);
        out.push(b' ');
        sign(out, parts.days < 0);
        digits(out, parts.days, 1);
        out.push(b' ');
        sign(out, parts.hours < 0 || parts.minutes < 0 || parts.seconds < 0 || parts.micros < 0);
        return hours_minutes_seconds(out, parts, 1);
    }
    if negative {
        out.push(b'-');
    }
    if has_months {
        digits(out, parts.years, 1);
        out.push(b'-');
        return digits(out, parts.months, 1);
    }
    if has_days {
        digits(out, parts.days, 1);
        out.push(b' ');
    }
    hours_minutes_seconds(out, parts, 1);
}

fn iso_style(out: &mut Out, parts: &Parts) {
    text(out, "P");
    let start = out.len();
    for (value, unit) in [(parts.years, b'Y'), (parts.months, b'M'), (parts.days, b'D')] {
        if value != 0 {
            number(out, value);
            out.push(unit);
        }
    }
    if parts.hours != 0 || parts.minutes != 0 || parts.seconds != 0 || parts.micros != 0 {
        out.push(b'T');
        for (value, unit) in [(parts.hours, b'H'), (parts.minutes, b'M')] {
            if value != 0 {
                number(out, value);
                out.push(unit);
            }
        }
        if parts.seconds != 0 || parts.micros != 0 {
            if parts.seconds < 0 || parts.micros < 0 {
                out.push(b'-');
            }
            digits(out, parts.seconds, 1);
            fraction(out, parts.micros.abs());
            out.push(b'S');
        }
    }
    if out.len() == start {
        text(out, "T0S");
    }
}
