//! `to_char` of dates and times, and `to_date` and `to_timestamp` back, by format patterns.

use super::args::{Date, Timestamp, TimestampTz, body};
use super::call::{Call, ScalarFunction, stable};
use super::clock::{is_infinite, to_local, to_utc};
use crate::{SqlError, SqlResult};
use shardforge_types::datetime::calendar::{self, Civil};
use shardforge_types::datetime::zone;
use shardforge_types::interval::DAY_MICROS;
use shardforge_types::{Interval, SqlState};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// The Julian day of 2000-01-01.
const JULIAN_2000: i64 = 2_451_545;

/// The patterns, those that begin alike with the longest first.
const PATTERNS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US",
    "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y",
];

/// A piece of a format.
#[derive(Debug, PartialEq)]
enum Piece<'f> {
    Pattern {
        /// In upper case.
        name: &'static str,
        /// As it was written.
        text: &'f str,
        /// FM: no padding.
        fill: bool,
        /// `TH` or `th` after it.
        ordinal: Option<bool>,
    },
    /// A character as it is.
    Literal(char),
    /// A blank or another separator, out of quotes: in a text to be read, another may stand for it, or none.
    Separator(char),
}

fn pieces(format: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = format;
    let mut fill = false;
    while let Some(c) = rest.chars().next() {
        if rest
            .get(..2)
            .is_some_and(|head| head.eq_ignore_ascii_case("FM") || head.eq_ignore_ascii_case("FX"))
        {
            fill |= rest[..2].eq_ignore_ascii_case("FM");
            rest = &rest[2..];
            continue;
        }
        let found = PATTERNS
            .iter()
            .find(|name| rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)));
        if let Some(name) = found {
            let (text, after) = rest.split_at(name.len());
            let ordinal = match after.get(..2) {
                Some("TH") => Some(true),
                Some("th") => Some(false),
                _ => None,
            };
            rest = if ordinal.is_some() { &after[2..] } else { after };
            out.push(Piece::Pattern { name, text, fill, ordinal });
            fill = false;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c == '"' {
            while let Some(c) = rest.chars().next() {
                rest = &rest[c.len_utf8()..];
                match c {
                    '"' => break,
                    '\\' => {
                        if let Some(escaped) = rest.chars().next() {
                            rest = &rest[escaped.len_utf8()..];
                            out.push(Piece::Literal(escaped));
                        }
                    }
                    other => out.push(Piece::Literal(other)),
                }
            }
        } else if c == '\\' && rest.starts_with('"') {
            rest = &rest[1..];
            out.push(Piece::Literal('"'));
        } else {
            out.push(if is_separator(c) { Piece::Separator(c) } else { Piece::Literal(c) });
        }
    }
    out
}

fn is_separator(c: char) -> bool {
    c.is_ascii_whitespace() || c.is_ascii_punctuation()
}

/// What is formatted.
struct Moment {
    date: Civil,
    days: i64,
    /// Hours may pass 24 for an interval.
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Seconds east, and the zone's abbreviation.
    zone: Option<(i32, String)>,
    is_interval: bool,
}

impl Moment {
    fn of_timestamp(at: i64, zone: Option<(i32, String)>) -> Self {
        let (days, micros) = calendar::split(at);
        Self::new(Civil::from_days(days), days, micros, zone, false)
    }

    fn of_interval(span: Interval) -> Self {
        let months = i64::from(span.months);
        let date = Civil { year: months / 12, month: months % 12, day: span.days.into() };
        Self::new(date, 0, span.micros, None, true)
    }

    fn new(date: Civil, days: i64, micros: i64, zone: Option<(i32, String)>, is_interval: bool) -> Self {
        let seconds = micros / 1_000_000;
        Self {
            date,
            days,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: micros % 1_000_000,
            zone,
            is_interval,
        }
    }
}

/// A word in the case of its pattern: `MONTH`, `Month`, `month`.
fn cased(word: &str, pattern: &str) -> String {
    let mut letters = pattern.chars();
    match (letters.next().map(|c| c.is_uppercase()), letters.next().map(|c| c.is_uppercase())) {
        (Some(true), Some(true)) => word.to_uppercase(),
        (Some(true), _) => word.to_owned(),
        _ => word.to_lowercase(),
    }
}

fn ordinal_suffix(n: i64, upper: bool) -> &'static str {
    let suffix = match (n.abs() % 100, n.abs() % 10) {
        (11..=13, _) => "TH",
        (_, 1) => "ST",
        (_, 2) => "ND",
        (_, 3) => "RD",
        _ => "TH",
    };
    match (upper, suffix) {
        (true, suffix) => suffix,
        (false, "ST") => "st",
        (false, "ND") => "nd",
        (false, "RD") => "rd",
        (false, _) => "th",
    }
}

fn not_for_intervals() -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value")
        .hint("Intervals are not tied to specific calendar dates.")
}

/// The text of a moment.
fn to_char(moment: &Moment, format: &str) -> SqlResult<Option<String>> {
    if format.is_empty() {
        return Ok(None);
    }
    let mut out = String::new();
    for piece in pieces(format) {
        let (name, text, fill, ordinal) = match piece {
            Piece::Literal(c) | Piece::Separator(c) => {
                out.push(c);
                continue;
            }
            Piece::Pattern { name, text, fill, ordinal } => (name, text, fill, ordinal),
        };
        let date = moment.date;
        let year = if moment.is_interval || date.year > 0 { date.year } else { 1 - date.year };
        let iso = || calendar::iso_week(moment.days);
        let number = |value: i64, width: usize| Some((value, if fill { 0 } else { width }));
        // Numbers are written below; words here.
        let number = match name {
            "HH24" => number(moment.hour, 2),
            "HH" | "HH12" => number(if moment.hour % 12 == 0 { 12 } else { moment.hour % 12 }, 2),
            "MI" => number(moment.minute, 2),
            "SS" => number(moment.second, 2),
            "MS" | "FF3" => number(moment.micros / 1000, 3),
            "US" | "FF6" => number(moment.micros, 6),
            "FF1" => number(moment.micros / 100_000, 1),
            "FF2" => number(moment.micros / 10_000, 2),
            "FF4" => number(moment.micros / 100, 4),
            "FF5" => number(moment.micros / 10, 5),
            "SSSS" | "SSSSS" => number((moment.hour * 60 + moment.minute) * 60 + moment.second, 0),
            "YYYY" => number(year, 4),
            "YYY" => number(year % 1000, 3),
            "YY" => number(year % 100, 2),
            "Y" => number(year % 10, 1),
            "MM" => number(date.month, 2),
            "DD" => number(date.day, 2),
            "Q" if moment.is_interval && date.month == 0 => None,
            "Q" => number((date.month - 1) / 3 + 1, 1),
            "CC" => number(if year > 0 { (year - 1) / 100 + 1 } else { year / 100 }, 2),
            _ if moment.is_interval && !matches!(name, "AM" | "PM" | "A.M." | "P.M." | "Y,YYY" | "RM") => {
                return Err(not_for_intervals());
            }
            "DDD" => number(calendar::day_of_year(moment.days), 3),
            "D" => number(calendar::day_of_week(moment.days) + 1, 1),
            "ID" => number((calendar::day_of_week(moment.days) + 6) % 7 + 1, 1),
            "IDDD" => {
                let weekday = (calendar::day_of_week(moment.days) + 6) % 7;
                number((iso().1 - 1) * 7 + weekday + 1, 3)
            }
            "IW" => number(iso().1, 2),
            "IYYY" => number(iso().0, 4),
            "IYY" => number(iso().0 % 1000, 3),
            "IY" => number(iso().0 % 100, 2),
            "I" => number(iso().0 % 10, 1),
            "W" => number((date.day - 1) / 7 + 1, 1),
            "WW" => number((calendar::day_of_year(moment.days) - 1) / 7 + 1, 2),
            "J" => number(moment.days + JULIAN_2000, 0),
            _ => None,
        };
        if let Some((value, width)) = number {
            let sign = if value < 0 { "-" } else { "" };
            out.push_str(&format!("{sign}{:0width$}", value.abs()));
            if let Some(upper) = ordinal {
                out.push_str(ordinal_suffix(value, upper));
            }
            continue;
        }
        let padded = |word: String, width: usize| if fill { word } else { format!("{word:<width$}") };
        match name {
            "AM" | "PM" | "A.M." | "P.M." => {
                let word = if moment.hour % 24 >= 12 { "PM" } else { "AM" };
                let word = if name.contains('.') {
                    format!("{}.{}.", &word[..1], &word[1..])
                } else {
                    word.to_owned()
                };
                out.push_str(&if text.starts_with(char::is_lowercase) { word.to_lowercase() } else { word });
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let word = if date.year > 0 { "AD" } else { "BC" };
                let word = if name.contains('.') {
                    format!("{}.{}.", &word[..1], &word[1..])
                } else {
                    word.to_owned()
                };
                out.push_str(&if text.starts_with(char::is_lowercase) { word.to_lowercase() } else { word });
            }
            "MONTH" => {
                out.push_str(&padded(cased(MONTHS[(date.month - 1).rem_euclid(12) as usize], text), 9))
            }
            "MON" => out.push_str(&cased(&MONTHS[(date.month - 1).rem_euclid(12) as usize][..3], text)),
            "DAY" => out.push_str(&padded(cased(DAYS[calendar::day_of_week(moment.days) as usize], text), 9)),
            "DY" => out.push_str(&cased(&DAYS[calendar::day_of_week(moment.days) as usize][..3], text)),
            "RM" => {
                // Months of an interval: below zero they count back from December; whole years are one too.
                let at = match (date.month, date.year) {
                    (1.., _) => date.month - 1,
                    (0, 0) => continue,
                    (0, year) => {
                        if year > 0 {
                            11
                        } else {
                            0
                        }
                    }
                    _ => date.month,
                };
                let word = ROMAN[at.rem_euclid(12) as usize];
                out.push_str(&padded(
                    if text.starts_with('r') { word.to_lowercase() } else { word.to_owned() },
                    4,
                ));
            }
            "Y,YYY" => out.push_str(&format!("{},{:03}", year / 1000, year % 1000)),
            "TZ" => {
                if let Some((_, name)) = &moment.zone {
                    out.push_str(&if text.starts_with('t') { name.to_lowercase() } else { name.clone() });
                }
            }
            "TZH" | "TZM" | "OF" => {
                let (offset, _) = moment.zone.clone().unwrap_or((0, String::new()));
                let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
                let sign = if offset < 0 { '-' } else { '+' };
                match name {
                    "TZH" => out.push_str(&format!("{sign}{hours:02}")),
                    "TZM" => out.push_str(&format!("{minutes:02}")),
                    _ if minutes == 0 => out.push_str(&format!("{sign}{hours:02}")),
                    _ => out.push_str(&format!("{sign}{hours:02}:{minutes:02}")),
                }
            }
            _ => {}
        }
    }
    Ok(Some(out))
}

fn timestamp_to_char(at: i64, format: &str) -> SqlResult<Option<String>> {
    if is_infinite(at) { Ok(None) } else { to_char(&Moment::of_timestamp(at, None), format) }
}

fn timestamptz_to_char(at: i64, format: &str, call: &Call<'_>) -> SqlResult<Option<String>> {
    if is_infinite(at) {
        return Ok(None);
    }
    let zone = zone::offset_at(at, &call.context.settings().time_zone);
    to_char(&Moment::of_timestamp(to_local(at, call.context), Some(zone)), format)
}

/// What a text says, by a format.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    bc: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    offset: Option<i64>,
    offset_minutes: i64,
}

fn invalid_value(value: &str, pattern: &str, detail: &str) -> SqlError {
    let message = format!("invalid value \"{value}\" for \"{pattern}\"");
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message).detail(detail)
}

/// The name that a text begins with, by its full or its short form.
fn take_name(rest: &mut &str, names: &[&str], len: Option<usize>) -> Option<i64> {
    for (n, name) in names.iter().enumerate() {
        let name = len.map_or(*name, |len| &name[..len]);
        if rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            *rest = &rest[name.len()..];
            return Some(n as i64);
        }
    }
    None
}

fn skip_blanks(rest: &mut &str, skipped: &mut i32) {
    let after = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    *skipped += (rest.len() - after.len()) as i32;
    *rest = after;
}

fn read(text: &str, format: &str) -> SqlResult<Read> {
    if format.as_bytes().windows(2).any(|two| two.eq_ignore_ascii_case(b"FX")) {
        return Err(SqlError::not_supported("FX in to_date and to_timestamp"));
    }
    let mut out = Read::default();
    let mut rest = text;
    let pieces = pieces(format);
    // Blanks passed over beyond those that the format has.
    let mut skipped = 0;
    for (at, piece) in pieces.iter().enumerate() {
        let (name, written, fill, ordinal) = match piece {
            Piece::Separator(_) => {
                if at == 0 {
                    skip_blanks(&mut rest, &mut skipped);
                }
                match rest.strip_prefix(is_separator) {
                    Some(after) => rest = after,
                    None => skipped -= 1,
                }
                continue;
            }
            Piece::Literal(_) => {
                if at == 0 {
                    skip_blanks(&mut rest, &mut skipped);
                }
                // A blank that was skipped may have been what is meant.
                if skipped > 0 {
                    skipped -= 1;
                } else {
                    let mut chars = rest.chars();
                    chars.next();
                    rest = chars.as_str();
                }
                continue;
            }
            Piece::Pattern { name, text, fill, ordinal } => (*name, *text, *fill, ordinal),
        };
        skip_blanks(&mut rest, &mut skipped);
        if rest.is_empty() {
            break;
        }
        let word = |rest: &str| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_owned();
        let number_of = |rest: &mut &str, width: usize| -> SqlResult<i64> {
            // As many digits as there are, unless another number follows at once: then exactly its width.
            let next_is_number = match pieces.get(at + 1) {
                Some(Piece::Pattern { name, .. }) => !matches!(
                    *name,
                    "AM" | "PM"
                        | "A.M."
                        | "P.M."
                        | "AD"
                        | "BC"
                        | "A.D."
                        | "B.C."
                        | "MONTH"
                        | "MON"
                        | "DAY"
                        | "DY"
                        | "RM"
                        | "TZ"
                ),
                Some(Piece::Literal(c)) => c.is_ascii_digit(),
                Some(Piece::Separator(_)) | None => false,
            };
            let exact = next_is_number && !fill && ordinal.is_none();
            let shown: String = rest.chars().take(width).collect();
            let (negative, digits) = match rest.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, rest.strip_prefix('+').unwrap_or(rest)),
            };
            let sign = rest.len() - digits.len();
            let limit = if exact { width.saturating_sub(sign) } else { usize::MAX };
            let len = digits.bytes().take(limit).take_while(u8::is_ascii_digit).count();
            let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
            if exact && shown.chars().count() < width {
                let message = format!("source string too short for \"{written}\" formatting field");
                let remain = shown.chars().count();
                let detail = format!("Field requires {width} characters, but only {remain} remain.");
                return Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
                    .detail(detail)
                    .hint(hint));
            }
            if exact && len > 0 && sign + len < width {
                let parsed = sign + len;
                let detail = format!("Field requires {width} characters, but only {parsed} could be parsed.");
                return Err(invalid_value(&shown, written, &detail).hint(hint));
            }
            if len == 0 {
                return Err(invalid_value(&shown, written, "Value must be an integer."));
            }
            let value = digits[..len].parse::<i32>().map(i64::from).map_err(|_| {
                let message = format!("value for \"{written}\" in source string is out of range");
                let detail = "Value must be in the range -2147483648 to 2147483647.";
                SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message).detail(detail)
            })?;
            *rest = &digits[len..];
            Ok(if negative { -value } else { value })
        };
        let in_range = |value: i64, low: i64, high: i64| {
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                let message = format!("date/time field value out of range: \"{text}\"");
                Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message))
            }
        };
        match name {
            "YYYY" | "IYYY" => out.year = Some(number_of(&mut rest, 4)?),
            "Y,YYY" => {
                let thousands = number_of(&mut rest, 3)?;
                rest = rest.strip_prefix(',').unwrap_or(rest);
                out.year = Some(thousands * 1000 + number_of(&mut rest, 3)?);
            }
            "YYY" | "YY" | "Y" => {
                let before = rest.len();
                let value = number_of(&mut rest, name.len())?;
                // Short years are those nearest to 2020.
                out.year = Some(match before - rest.len() {
                    1 | 2 if value < 70 => value + 2000,
                    1 | 2 => value + 1900,
                    3 if value < 520 => value + 2000,
                    3 => value + 1000,
                    _ => value,
                });
            }
            "MM" => out.month = Some(in_range(number_of(&mut rest, 2)?, 1, 12)?),
            "MONTH" | "MON" => {
                let shown = word(rest);
                let found = match name {
                    "MON" => take_name(&mut rest, &MONTHS, Some(3)),
                    _ => {
                        take_name(&mut rest, &MONTHS, None).or_else(|| take_name(&mut rest, &MONTHS, Some(3)))
                    }
                };
                let detail = "The given value did not match any of the allowed values for this field.";
                out.month = Some(found.ok_or_else(|| invalid_value(&shown, written, detail))? + 1);
            }
            "RM" => {
                let found = (0..12).rev().find(|n| {
                    let name = ROMAN[*n as usize];
                    rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
                });
                let longest = (0..12_i64)
                    .filter(|n| {
                        let name = ROMAN[*n as usize];
                        rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
                    })
                    .max_by_key(|n| ROMAN[*n as usize].len());
                let month = longest
                    .or(found)
                    .ok_or_else(|| invalid_value(&word(rest), written, "Value must be a month."))?;
                rest = &rest[ROMAN[month as usize].len()..];
                out.month = Some(month + 1);
            }
            "DD" => out.day = Some(in_range(number_of(&mut rest, 2)?, 1, 31)?),
            "DDD" => {
                out.day_of_year = Some(in_range(number_of(&mut rest, 3)?, 0, 366)?).filter(|day| *day > 0)
            }
            "J" => out.julian = Some(number_of(&mut rest, 9)?),
            // The day's name says nothing that the date does not.
            "DAY" | "DY" => {
                let found =
                    take_name(&mut rest, &DAYS, None).or_else(|| take_name(&mut rest, &DAYS, Some(3)));
                let detail = "The given value did not match any of the allowed values for this field.";
                found.ok_or_else(|| invalid_value(&word(rest), written, detail))?;
            }
            "HH24" => out.hour = in_range(number_of(&mut rest, 2)?, 0, 24)?,
            "HH" | "HH12" => {
                out.hour = number_of(&mut rest, 2)?;
                if !(1..=12).contains(&out.hour) {
                    let message = format!("hour \"{}\" is invalid for the 12-hour clock", out.hour);
                    return Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
                        .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
                }
                out.afternoon = out.afternoon.or(Some(false));
            }
            "MI" => out.minute = in_range(number_of(&mut rest, 2)?, 0, 59)?,
            "SS" => out.second = in_range(number_of(&mut rest, 2)?, 0, 59)?,
            "SSSS" | "SSSSS" => out.second = in_range(number_of(&mut rest, 5)?, 0, 86_399)?,
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match name {
                    "MS" => 3,
                    "US" => 6,
                    other => other[2..].parse().unwrap_or(6),
                };
                let before = rest.len();
                let value = number_of(&mut rest, width)?;
                let digits = (before - rest.len()) as u32;
                // Of a second: more than six digits are more than one.
                let micros = in_range(value * 10_i64.pow(6_u32.saturating_sub(digits)), 0, 999_999)?;
                // Other than milliseconds, digits beyond those asked for are rounded away.
                let unit = if name.starts_with("FF") { 10_i64.pow(6 - width as u32) } else { 1 };
                out.micros = (micros + unit / 2) / unit * unit;
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let plain: String = rest.chars().take(4).filter(|c| *c != '.').collect();
                let head = plain.get(..2).unwrap_or("").to_ascii_uppercase();
                out.afternoon = Some(match head.as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => {
                        let detail =
                            "The given value did not match any of the allowed values for this field.";
                        return Err(invalid_value(&word(rest), written, detail));
                    }
                });
                let dotted = rest.chars().nth(1) == Some('.');
                rest = rest.get(if dotted { 4 } else { 2 }..).unwrap_or("");
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let plain: String = rest.chars().take(4).filter(|c| *c != '.').collect();
                out.bc = plain.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("BC"));
                let dotted = rest.chars().nth(1) == Some('.');
                rest = rest.get(if dotted { 4 } else { 2 }..).unwrap_or("");
            }
            "TZH" => {
                // A minus may have passed for the separator before it.
                let swallowed = skipped > 0 && text[..text.len() - rest.len()].ends_with('-');
                let signed = rest.starts_with(['-', '+']);
                let hours = number_of(&mut rest, 2)?;
                out.offset = Some(if swallowed && !signed { -hours } else { hours });
            }
            "TZM" => out.offset_minutes = number_of(&mut rest, 2)?,
            // Weeks of a year, and of a month, begin with it.
            "WW" => out.day_of_year = Some((in_range(number_of(&mut rest, 2)?, 1, 53)? - 1) * 7 + 1),
            "W" => out.day = Some((in_range(number_of(&mut rest, 1)?, 1, 5)? - 1) * 7 + 1),
            "CC" => return Err(SqlError::not_supported("format \"CC\" in to_date and to_timestamp")),
            "Q" | "D" | "ID" => {
                // Known, and of no use for a date.
                number_of(&mut rest, 1)?;
            }
            other => {
                return Err(SqlError::not_supported(format!(
                    "format \"{other}\" in to_date and to_timestamp"
                )));
            }
        }
        if ordinal.is_some() {
            rest = rest.get(2..).unwrap_or("");
        }
        skipped = 0;
        skip_blanks(&mut rest, &mut skipped);
    }
    Ok(out)
}

/// Local microseconds of what was read.
fn assemble(read: &Read, text: &str) -> SqlResult<i64> {
    let out_of_range = || {
        let message = format!("date/time field value out of range: \"{text}\"");
        SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
    };
    let hour = match (read.afternoon, read.hour) {
        (Some(true), 12) => 12,
        (Some(true), hour) => hour + 12,
        (Some(false), 12) => 0,
        (_, hour) => hour,
    };
    let days = match (read.julian, read.day_of_year) {
        (Some(julian), _) => julian - JULIAN_2000,
        (None, Some(day)) => {
            let year = read.year.unwrap_or(0);
            let first = Civil { year, month: 1, day: 1 }.to_days();
            if first + day > (Civil { year: year + 1, month: 1, day: 1 }).to_days() {
                return Err(out_of_range());
            }
            first + day - 1
        }
        (None, None) => {
            let year = read.year.unwrap_or(0);
            // Nothing said is the year 1 before Christ.
            let year = if read.bc { 1 - year } else { year };
            let (month, day) = (read.month.unwrap_or(1), read.day.unwrap_or(1));
            if day > calendar::days_in_month(year, month) {
                return Err(out_of_range());
            }
            Civil { year, month, day }.to_days()
        }
    };
    let seconds = (hour * 60 + read.minute) * 60 + read.second;
    let micros =
        days.checked_mul(DAY_MICROS).and_then(|days| days.checked_add(seconds * 1_000_000 + read.micros));
    micros.ok_or_else(out_of_range)
}

fn to_date(text: &str, format: &str) -> SqlResult<i32> {
    let at = assemble(&read(text, format)?, text)?;
    Ok(shardforge_types::datetime::arithmetic::timestamp_to_date(at))
}

fn to_timestamp(text: &str, format: &str, call: &Call<'_>) -> SqlResult<i64> {
    let read = read(text, format)?;
    let local = assemble(&read, text)?;
    Ok(match read.offset {
        Some(hours) => {
            let minutes = hours * 60 + if hours < 0 { -read.offset_minutes } else { read.offset_minutes };
            local - minutes * 60 * 1_000_000
        }
        None => to_utc(local, call.context),
    })
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(2049, "to_char", body!(|at: Timestamp, format: &str| timestamp_to_char(at.0, format)?)),
    stable(
        1770,
        "to_char",
        body!(call |at: TimestampTz, format: &str| timestamptz_to_char(at.0, format, call)?),
    ),
    stable(
        1768,
        "to_char",
        body!(|span: Interval, format: &str| to_char(&Moment::of_interval(span), format)?),
    ),
    stable(1780, "to_date", body!(|text: &str, format: &str| Date(to_date(text, format)?))),
    stable(
        1778,
        "to_timestamp",
        body!(call |text: &str, format: &str| TimestampTz(to_timestamp(text, format, call)?)),
    ),
];
