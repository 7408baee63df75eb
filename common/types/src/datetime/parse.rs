//! Text to dates, times and timestamps.
//!
//! `tokens` cuts the text into fields; `Reader` gives each its meaning by its form and
//! by what was seen before it. Whatever PostgreSQL reads is read: ISO 8601, figures in the order of
//! `DateStyle`, names of months, Julian days, `now` and its like, zones by offset, name and abbreviation.

use super::calendar::{Civil, days_in_month, split};
use super::tokens::{self, Field};
use super::zone::Abbreviation;
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY, END_DATE, HOUR, MIN_DATE, MINUTE, SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY, UNIX_EPOCH_DAYS, is_valid_timestamp, zone,
};
use crate::settings::{DateOrder, Settings};
use crate::sqlstate::SqlState;
use crate::{ValueError, text::is_space};
use jiff::tz::TimeZone;

/// Why a text is no date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It does not have the form of one.
    Format,
    /// A field is outside its range.
    Field,
    /// The month or the day is, as when they were exchanged.
    MonthOrDay,
    /// The offset from UTC is outside its range.
    Zone,
}

impl Bad {
    pub(super) fn error(self, type_name: &str, text: &str) -> ValueError {
        match self {
            Bad::Format => ValueError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Bad::Field => ValueError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            ),
            Bad::MonthOrDay => Bad::Field
                .error(type_name, text)
                .with_hint("Perhaps you need a different \"datestyle\" setting."),
            Bad::Zone => ValueError::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{text}\""),
            ),
        }
    }
}

fn beyond(what: &str, text: &str) -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range: \"{text}\""))
}

/// A `date`.
pub fn date(text: &str, settings: &Settings) -> Result<i32, ValueError> {
    if let Some(days) = iso_date(text.as_bytes()) {
        return Ok(days as i32);
    }
    let read = Reader::read(text, settings).map_err(|bad| bad.error("date", text))?;
    let days = match read.day {
        Day::Infinity => return Ok(DATE_INFINITY),
        Day::NegativeInfinity => return Ok(DATE_NEG_INFINITY),
        Day::Of(days) => days,
        Day::Now => split(zone::to_local(settings.now, &settings.time_zone)).0,
        Day::Epoch => -UNIX_EPOCH_DAYS,
        Day::None => return Err(Bad::Format.error("date", text)),
    };
    let valid = (i64::from(MIN_DATE)..i64::from(END_DATE)).contains(&days);
    if valid { Ok(days as i32) } else { Err(beyond("date", text)) }
}

/// A `time`. A date beside it and a zone are read and forgotten.
pub fn time(text: &str, settings: &Settings) -> Result<i64, ValueError> {
    if let Some(micros) = iso_time(text.as_bytes()) {
        return Ok(micros);
    }
    let read = Reader::read_time(text, settings).map_err(|bad| bad.error("time", text))?;
    if read.day == Day::None && matches!(read.zone, Some(Zone::Named(_) | Zone::Abbreviation(_))) {
        // Without a date, nobody knows its offset.
        return Err(Bad::Format.error("time", text));
    }
    match (read.day, read.time) {
        (Day::Now, _) => Ok(split(zone::to_local(settings.now, &settings.time_zone)).1),
        (_, Some(micros)) => Ok(micros),
        _ => Err(Bad::Format.error("time", text)),
    }
}

/// A `timestamp`. A zone is read and forgotten.
pub fn timestamp(text: &str, settings: &Settings) -> Result<i64, ValueError> {
    if let Some(micros) = iso_timestamp(text.as_bytes()) {
        return Ok(micros);
    }
    let read = Reader::read(text, settings).map_err(|bad| bad.error("timestamp", text))?;
    let micros = match read.day {
        Day::Infinity => return Ok(TIMESTAMP_INFINITY),
        Day::NegativeInfinity => return Ok(TIMESTAMP_NEG_INFINITY),
        Day::Now => return Ok(zone::to_local(settings.now, &settings.time_zone)),
        Day::Epoch => return Ok(-UNIX_EPOCH_DAYS * DAY),
        Day::Of(days) => days.checked_mul(DAY).and_then(|micros| micros.checked_add(read.time.unwrap_or(0))),
        Day::None => return Err(Bad::Format.error("timestamp", text)),
    };
    micros.filter(|micros| is_valid_timestamp(*micros)).ok_or_else(|| beyond("timestamp", text))
}

/// A `timestamp with time zone`, in UTC; in the session's zone when the text names none.
pub fn timestamptz(text: &str, settings: &Settings) -> Result<i64, ValueError> {
    if let Some(micros) = iso_timestamp(text.as_bytes()) {
        return Ok(zone::to_utc(micros, &settings.time_zone));
    }
    let type_name = "timestamp with time zone";
    let read = Reader::read(text, settings).map_err(|bad| bad.error(type_name, text))?;
    let local = match read.day {
        Day::Infinity => return Ok(TIMESTAMP_INFINITY),
        Day::NegativeInfinity => return Ok(TIMESTAMP_NEG_INFINITY),
        Day::Now => return Ok(settings.now),
        Day::Epoch => return Ok(-UNIX_EPOCH_DAYS * DAY),
        Day::Of(days) => days.checked_mul(DAY).and_then(|micros| micros.checked_add(read.time.unwrap_or(0))),
        Day::None => return Err(Bad::Format.error(type_name, text)),
    };
    let utc = local.and_then(|local| match &read.zone {
        Some(Zone::Offset(seconds)) => local.checked_sub(i64::from(*seconds) * SECOND),
        Some(Zone::Named(zone)) => Some(zone::to_utc(local, zone)),
        Some(Zone::Abbreviation(name)) => local.checked_sub(i64::from(name.offset_of_local(local)) * SECOND),
        None => Some(zone::to_utc(local, &settings.time_zone)),
    });
    utc.filter(|micros| is_valid_timestamp(*micros)).ok_or_else(|| beyond("timestamp", text))
}

/// Exactly `yyyy-mm-dd`, in days: the form in which most dates come.
fn iso_date(bytes: &[u8]) -> Option<i64> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = bytes else { return None };
    let year = number(&[a, b, c, d])?;
    let civil = Civil { year, month: number(&[e, f])?, day: number(&[g, h])? };
    let valid = year > 0
        && (1..=12).contains(&civil.month)
        && (1..=days_in_month(year, civil.month)).contains(&civil.day);
    valid.then(|| civil.to_days())
}

/// Exactly `hh:mm:ss`, perhaps with a fraction of up to six digits.
fn iso_time(bytes: &[u8]) -> Option<i64> {
    let (&[a, b, b':', c, d, b':', e, f], fraction) = bytes.split_first_chunk::<8>()? else { return None };
    let (hour, minute, second) = (number(&[a, b])?, number(&[c, d])?, number(&[e, f])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            number(digits)? * 10i64.pow(6 - digits.len() as u32)
        }
        _ => return None,
    };
    Some(hour * HOUR + minute * MINUTE + second * SECOND + micros)
}

/// Exactly a date, a blank and a time of those forms.
fn iso_timestamp(bytes: &[u8]) -> Option<i64> {
    let (date, rest) = bytes.split_first_chunk::<10>()?;
    let time = rest.strip_prefix(b" ")?;
    Some(iso_date(date)? * DAY + iso_time(time)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Digits as a number. More than a date can have is out of its range.
fn whole(digits: &str) -> Result<i64, Bad> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::Format);
    }
    digits.parse::<i32>().map(i64::from).map_err(|_| Bad::Field)
}

/// `.123456789` as microseconds, rounded; with or without the point.
pub(super) fn fraction(text: &str) -> Result<i64, Bad> {
    let digits = text.strip_prefix('.').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::Format);
    }
    if digits.is_empty() {
        return Ok(0);
    }
    let value: f64 = format!("0.{digits}").parse().map_err(|_| Bad::Format)?;
    Ok((value * SECOND as f64).round_ties_even() as i64)
}

/// The day that a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    None,
    Of(i64),
    Now,
    Epoch,
    Infinity,
    NegativeInfinity,
}

#[derive(Debug)]
enum Zone {
    /// Seconds east.
    Offset(i32),
    Named(TimeZone),
    /// One whose offset depends on the time.
    Abbreviation(Abbreviation),
}

#[derive(Debug)]
struct Read {
    day: Day,
    time: Option<i64>,
    zone: Option<Zone>,
}

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Now,
    Relative(i64),
    Epoch,
    Infinity,
    NegativeInfinity,
    AllBalls,
    Month(i64),
    DayOfWeek,
    Afternoon(bool),
    BeforeChrist(bool),
    Julian,
    IsoTime,
    DaylightSaving,
    Ignored,
}

fn word(text: &str) -> Option<Word> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    // PostgreSQL looks at the first ten letters alone.
    let lower: String = text.chars().take(10).collect::<String>().to_ascii_lowercase();
    let meaning = match lower.as_str() {
        "now" => Word::Now,
        "today" => Word::Relative(0),
        "tomorrow" => Word::Relative(1),
        "yesterday" => Word::Relative(-1),
        "epoch" => Word::Epoch,
        "infinity" => Word::Infinity,
        "-infinity" => Word::NegativeInfinity,
        "allballs" => Word::AllBalls,
        "sept" => Word::Month(9),
        "tues" | "wednes" | "weds" | "thur" | "thurs" => Word::DayOfWeek,
        "am" => Word::Afternoon(false),
        "pm" => Word::Afternoon(true),
        "ad" => Word::BeforeChrist(false),
        "bc" => Word::BeforeChrist(true),
        "j" | "jd" | "julian" => Word::Julian,
        "t" => Word::IsoTime,
        "dst" => Word::DaylightSaving,
        "at" | "on" => Word::Ignored,
        other => {
            let is = |name: &&str| *name == other || (other.len() == 3 && name.starts_with(other));
            if let Some(month) = MONTHS.iter().position(is) {
                return Some(Word::Month(month as i64 + 1));
            }
            return DAYS.iter().any(is).then_some(Word::DayOfWeek);
        }
    };
    Some(meaning)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Anything,
    JulianDay,
    Time,
}

struct Reader<'s> {
    settings: &'s Settings,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    month_is_text: bool,
    two_digit_year: bool,
    before_christ: bool,
    special: Day,
    /// Microseconds, before AM or PM is applied.
    time: Option<i64>,
    afternoon: Option<bool>,
    zone: Option<Zone>,
    /// A day of the week was named; PostgreSQL then takes no date in figures.
    day_of_week: bool,
    expect: Expect,
}

impl<'s> Reader<'s> {
    fn new(settings: &'s Settings) -> Self {
        Self {
            settings,
            year: None,
            month: None,
            day: None,
            day_of_year: None,
            month_is_text: false,
            two_digit_year: false,
            before_christ: false,
            special: Day::None,
            time: None,
            afternoon: None,
            zone: None,
            day_of_week: false,
            expect: Expect::Anything,
        }
    }

    fn read(text: &str, settings: &'s Settings) -> Result<Read, Bad> {
        Self::read_fields(text, settings, false)
    }

    /// The same, but a lone number is a time.
    fn read_time(text: &str, settings: &'s Settings) -> Result<Read, Bad> {
        Self::read_fields(text, settings, true)
    }

    fn read_fields(text: &str, settings: &'s Settings, time_only: bool) -> Result<Read, Bad> {
        let trimmed = text.trim_matches(is_space);
        let fields = tokens::split(trimmed, |text| word(text).is_some()).ok_or(Bad::Format)?;
        if fields.is_empty() {
            return Err(Bad::Format);
        }
        let mut reader = Reader::new(settings);
        for field in &fields {
            reader.field(*field, time_only)?;
        }
        if reader.expect != Expect::Anything {
            return Err(Bad::Format);
        }
        reader.finish()
    }

    fn has_date(&self) -> bool {
        self.special != Day::None
            || self.day_of_year.is_some()
            || (self.month.is_some() && self.day.is_some())
    }

    fn field(&mut self, field: Field<'_>, time_only: bool) -> Result<(), Bad> {
        match field {
            Field::Date(text) => self.date_field(text),
            Field::Time(text) => {
                self.expect = Expect::Anything;
                let (time, _) = clock(text)?;
                self.set_time(time)
            }
            Field::Signed(text) => {
                let seconds = offset(text)?;
                self.set_zone(Zone::Offset(seconds))
            }
            Field::SignedWord(text) => {
                let sign = &text[..1];
                match word(&format!("{sign}{}", text[1..].trim_start())) {
                    Some(Word::NegativeInfinity) => self.set_special(Day::NegativeInfinity),
                    _ if sign == "+" && word(text[1..].trim_start()) == Some(Word::Infinity) => {
                        self.set_special(Day::Infinity)
                    }
                    _ => Err(Bad::Format),
                }
            }
            Field::Number(text) => self.number_field(text, time_only),
            Field::Word(text) => self.word_field(text),
        }
    }

    fn set_time(&mut self, time: i64) -> Result<(), Bad> {
        if self.time.replace(time).is_some() { Err(Bad::Format) } else { Ok(()) }
    }

    fn set_zone(&mut self, zone: Zone) -> Result<(), Bad> {
        if self.zone.replace(zone).is_some() { Err(Bad::Format) } else { Ok(()) }
    }

    fn set_special(&mut self, day: Day) -> Result<(), Bad> {
        if self.special != Day::None || self.year.is_some() || self.month.is_some() || self.day.is_some() {
            return Err(Bad::Format);
        }
        self.special = day;
        Ok(())
    }

    fn date_field(&mut self, text: &str) -> Result<(), Bad> {
        let starts_with_digit = text.as_bytes()[0].is_ascii_digit();
        if self.expect == Expect::JulianDay {
            return Err(Bad::Format);
        }
        if self.has_date() || self.expect == Expect::Time {
            // A zone by name, or a time and an offset that were written together: 040506-08.
            if !starts_with_digit {
                return self.zone_name(text);
            }
            let at = text.find('-').ok_or(Bad::Format)?;
            self.set_zone(Zone::Offset(offset(&text[at..])?))?;
            self.expect = Expect::Anything;
            return self.run_together(&text[..at]);
        }
        if !starts_with_digit
            && word(text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or(text)).is_none()
        {
            return self.zone_name(text);
        }
        if self.time.is_some() || self.day_of_week {
            return Err(Bad::Format);
        }
        // Runs of digits and of letters; whatever else there is stands between them.
        let mut parts = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            let kind: fn(&u8) -> bool =
                if bytes[at].is_ascii_digit() { u8::is_ascii_digit } else { u8::is_ascii_alphabetic };
            while at < bytes.len() && kind(&bytes[at]) {
                at += 1;
            }
            if at == start {
                at += 1;
            } else {
                parts.push(&text[start..at]);
            }
        }
        for part in parts.iter().filter(|part| part.as_bytes()[0].is_ascii_alphabetic()) {
            match word(part) {
                Some(Word::Month(month)) if self.month.is_none() => {
                    self.month = Some(month);
                    self.month_is_text = true;
                }
                _ => return Err(Bad::Format),
            }
        }
        for part in parts.iter().filter(|part| part.as_bytes()[0].is_ascii_digit()) {
            self.date_number(part)?;
        }
        let complete = self.year.is_some()
            && (self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some()));
        if complete { Ok(()) } else { Err(Bad::Format) }
    }

    fn number_field(&mut self, text: &str, time_only: bool) -> Result<(), Bad> {
        match std::mem::replace(&mut self.expect, Expect::Anything) {
            Expect::JulianDay => {
                let (whole_part, fraction_part) = text.split_once('.').unwrap_or((text, ""));
                self.set_special(Day::Of(whole(whole_part)? - 2_451_545))?;
                if !fraction_part.is_empty() {
                    let share: f64 = format!("0.{fraction_part}").parse().map_err(|_| Bad::Format)?;
                    self.set_time((share * DAY as f64) as i64)?;
                }
                return Ok(());
            }
            Expect::Time => return self.run_together_time(text),
            Expect::Anything => {}
        }
        let dot = text.find('.');
        match dot {
            Some(dot) if !self.has_date() && !time_only => {
                let _ = dot;
                // Two figures with a point, and no third: no date.
                let mut split = text.splitn(2, '.');
                let (first, second) = (split.next().unwrap_or(""), split.next().unwrap_or(""));
                if first.len() > 2 && self.time.is_none() && first.len() >= 4 && second.len() == 3 {
                    self.date_number(first)?;
                    return self.date_number(second);
                }
                Err(Bad::Format)
            }
            _ if time_only && self.time.is_none() && text.len() > 4 => self.run_together_time(text),
            Some(dot) if dot > 2 => self.run_together(text),
            _ if text.len() >= 6 && (!self.has_date() || self.time.is_none()) => self.run_together(text),
            _ if time_only && self.time.is_none() && text.len() == 4 => self.run_together(text),
            Some(_) => Err(Bad::Format),
            None => self.date_number(text),
        }
    }

    /// Figures without anything between them: `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`, `hhmmss.fff`.
    fn run_together(&mut self, text: &str) -> Result<(), Bad> {
        let (digits, part) = match text.split_once('.') {
            Some((digits, part)) => (digits, Some(part)),
            None => (text, None),
        };
        if part.is_none() && !self.has_date() && self.year.is_none() && digits.len() >= 6 {
            let (year, rest) = digits.split_at(digits.len() - 4);
            self.year = Some(whole(year)?);
            self.month = Some(whole(&rest[..2])?);
            self.day = Some(whole(&rest[2..])?);
            self.two_digit_year = year.len() == 2;
            return Ok(());
        }
        self.run_together_time(text)
    }

    fn run_together_time(&mut self, text: &str) -> Result<(), Bad> {
        let (digits, part) = match text.split_once('.') {
            Some((digits, part)) => (digits, Some(part)),
            None => (text, None),
        };
        if self.time.is_some() {
            return Err(Bad::Format);
        }
        let (hour, minute, second) = match digits.len() {
            6 => (whole(&digits[..2])?, whole(&digits[2..4])?, whole(&digits[4..])?),
            4 if part.is_none() => (whole(&digits[..2])?, whole(&digits[2..])?, 0),
            _ => return Err(Bad::Format),
        };
        let time = time_of(hour, minute, second, part.map_or(Ok(0), fraction)?)?;
        self.set_time(time)
    }

    /// One figure of a date: which one follows from those that were seen and from the order of figures.
    fn date_number(&mut self, text: &str) -> Result<(), Bad> {
        let value = whole(text)?;
        let order = self.settings.date_order;
        let long = text.len() >= 3;
        let year = |reader: &mut Self| {
            reader.year = Some(value);
            reader.two_digit_year = text.len() <= 2;
        };
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (false, false, false) if long || order == DateOrder::Ymd => year(self),
            (false, false, false) if order == DateOrder::Dmy => self.day = Some(value),
            (false, false, false) => self.month = Some(value),
            (true, false, false) if text.len() == 3 && (1..=366).contains(&value) => {
                self.day_of_year = Some(value)
            }
            (true, false, false) => self.month = Some(value),
            (false, true, false) if self.month_is_text && (long || order == DateOrder::Ymd) => year(self),
            (false, true, false) => self.day = Some(value),
            (true, true, false) if self.month_is_text && long && self.two_digit_year => {
                // The first figure was the day after all: 05-Jan-2024 in the order year, month, day.
                self.day = self.year;
                year(self);
            }
            (true, true, false) => self.day = Some(value),
            (false, false, true) => self.month = Some(value),
            (false, true, true) => year(self),
            (true, false, true) => self.month = Some(value),
            (true, true, true) => return self.run_together(text),
        }
        Ok(())
    }

    fn word_field(&mut self, text: &str) -> Result<(), Bad> {
        let Some(meaning) = word(text) else { return self.zone_name(text) };
        match meaning {
            Word::Now => self.set_special(Day::Now),
            Word::Relative(by) => {
                let today = split(zone::to_local(self.settings.now, &self.settings.time_zone)).0;
                self.set_special(Day::Of(today + by))
            }
            Word::Epoch => self.set_special(Day::Epoch),
            Word::Infinity => self.set_special(Day::Infinity),
            Word::NegativeInfinity => self.set_special(Day::NegativeInfinity),
            Word::AllBalls => {
                self.set_time(0)?;
                self.set_zone(Zone::Offset(0))
            }
            Word::Month(month) => {
                // A figure that was taken for the month was the day.
                if self.month.is_some() && !self.month_is_text && self.day.is_none() {
                    self.day = self.month.take();
                }
                if self.month.replace(month).is_some() {
                    return Err(Bad::Format);
                }
                self.month_is_text = true;
                Ok(())
            }
            Word::Afternoon(afternoon) => {
                if self.afternoon.replace(afternoon).is_some() {
                    Err(Bad::Format)
                } else {
                    Ok(())
                }
            }
            Word::BeforeChrist(before) => {
                self.before_christ = before;
                Ok(())
            }
            Word::Julian => {
                self.expect = Expect::JulianDay;
                Ok(())
            }
            Word::IsoTime => {
                // Only between a date and a time, or before a time.
                self.expect = Expect::Time;
                Ok(())
            }
            Word::DaylightSaving => match &mut self.zone {
                Some(Zone::Offset(seconds)) => {
                    *seconds += 3600;
                    Ok(())
                }
                _ => Err(Bad::Format),
            },
            Word::DayOfWeek => {
                self.day_of_week = true;
                Ok(())
            }
            Word::Ignored => Ok(()),
        }
    }

    fn zone_name(&mut self, text: &str) -> Result<(), Bad> {
        match zone::abbreviation(text) {
            Some(Abbreviation::Fixed(seconds)) => return self.set_zone(Zone::Offset(seconds)),
            Some(abbreviation) => return self.set_zone(Zone::Abbreviation(abbreviation)),
            None => {}
        }
        match zone::named_or_posix(text) {
            Some((zone, _)) => self.set_zone(Zone::Named(zone)),
            None => Err(Bad::Format),
        }
    }

    fn finish(self) -> Result<Read, Bad> {
        let any =
            self.year.is_some() || self.month.is_some() || self.day.is_some() || self.day_of_year.is_some();
        let day = if self.special != Day::None {
            if any && !matches!(self.special, Day::Infinity | Day::NegativeInfinity) {
                return Err(Bad::Format);
            }
            self.special
        } else if any {
            Day::Of(self.civil()?)
        } else {
            Day::None
        };
        let time = match (self.time, self.afternoon) {
            (time, None) => time,
            (None, Some(_)) => return Err(Bad::Format),
            (Some(time), Some(afternoon)) => {
                let hour = time / HOUR;
                if hour > 12 {
                    return Err(Bad::Field);
                }
                Some(match (hour, afternoon) {
                    (12, false) => time - 12 * HOUR,
                    (0..12, true) => time + 12 * HOUR,
                    _ => time,
                })
            }
        };
        Ok(Read { day, time, zone: self.zone })
    }

    fn civil(&self) -> Result<i64, Bad> {
        let year = self.year.ok_or(Bad::Format)?;
        let year = if self.before_christ {
            if year <= 0 {
                return Err(Bad::Field);
            }
            1 - year
        } else if self.two_digit_year {
            year + if year < 70 { 2000 } else { 1900 }
        } else if year <= 0 {
            return Err(Bad::Field);
        } else {
            year
        };
        if let Some(day_of_year) = self.day_of_year {
            return Ok(Civil { year, month: 1, day: 1 }.to_days() + day_of_year - 1);
        }
        let (month, day) = (self.month.ok_or(Bad::Format)?, self.day.ok_or(Bad::Format)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Bad::MonthOrDay);
        }
        if day > days_in_month(year, month) {
            return Err(Bad::Field);
        }
        Ok(Civil { year, month, day }.to_days())
    }
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.fff`, or `mm:ss.fff`: microseconds, and whether there were seconds.
fn clock(text: &str) -> Result<(i64, bool), Bad> {
    let (figures, part) = match text.split_once('.') {
        Some((figures, part)) => (figures, Some(part)),
        None => (text, None),
    };
    let mut numbers = figures.split(':');
    let first = whole(numbers.next().unwrap_or(""))?;
    let second = whole(numbers.next().unwrap_or(""))?;
    let third = match numbers.next() {
        Some("") => return Err(Bad::Format),
        Some(text) => Some(whole(text)?),
        None => None,
    };
    if numbers.next().is_some() {
        return Err(Bad::Format);
    }
    let micros = part.map_or(Ok(0), fraction)?;
    let (hour, minute, seconds) = match (third, part) {
        (Some(third), _) => (first, second, third),
        (None, Some(_)) => (0, first, second),
        (None, None) => (first, second, 0),
    };
    Ok((time_of(hour, minute, seconds, micros)?, third.is_some()))
}

/// Microseconds of a time of day; 24:00:00 is the last one, and a 60th second that of the next minute.
fn time_of(hour: i64, minute: i64, second: i64, micros: i64) -> Result<i64, Bad> {
    let valid = (0..=24).contains(&hour) && (0..=59).contains(&minute) && (0..=60).contains(&second);
    let total = hour * HOUR + minute * MINUTE + second * SECOND + micros;
    if valid && total <= DAY { Ok(total) } else { Err(Bad::Field) }
}

/// An offset from UTC, in seconds east: `+2`, `-03:30`, `+0530`, `+01:02:03`.
pub(super) fn offset(text: &str) -> Result<i32, Bad> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(Bad::Format),
    };
    let rest = rest.trim_start();
    let (hours, minutes, seconds) = if rest.contains(':') {
        let mut parts = rest.split(':');
        let mut next = || parts.next().map_or(Ok(0), whole);
        let parsed = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(Bad::Format);
        }
        parsed
    } else {
        let value = whole(rest)?;
        if rest.len() > 4 {
            (value / 10_000, value / 100 % 100, value % 100)
        } else if rest.len() > 2 {
            (value / 100, value % 100, 0)
        } else {
            (value, 0, 0)
        }
    };
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(Bad::Zone);
    }
    Ok(sign * (hours * 3600 + minutes * 60 + seconds) as i32)
}
