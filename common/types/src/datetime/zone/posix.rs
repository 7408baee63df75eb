//! Zones that a POSIX string describes: `PST8PDT,M3.2.0,M11.1.0`, `<+05>-5`, `GMT+2`. Offsets count west.

use super::fixed;
use jiff::tz::TimeZone;

/// The rule of a string that names daylight saving time and gives none.
const DEFAULT_RULE: &str = ",M3.2.0,M11.1.0";

/// The zone that a POSIX string describes. The standard time's name may be short, or missing altogether.
pub(super) fn posix(text: &str) -> Option<TimeZone> {
    let text = text.to_ascii_uppercase();
    let after_name = skip_name(&text)?;
    let (seconds_west, daylight) = offset(after_name)?;
    if daylight.is_empty() {
        return TimeZone::posix(&text).ok().or_else(|| fixed(-seconds_west));
    }
    let rest = skip_name(daylight)?;
    let rest = if rest.is_empty() || rest.starts_with([',', ';']) { rest } else { offset(rest)?.1 };
    let text = if rest.is_empty() { text + DEFAULT_RULE } else { text };
    TimeZone::posix(&text.replace(';', ",")).ok()
}

/// What follows the name of a time: letters, or anything between angle brackets.
fn skip_name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => {
            Some(text.trim_start_matches(|c: char| {
                !c.is_ascii_digit() && !matches!(c, ',' | '+' | '-') && c != ';'
            }))
        }
    }
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows it.
fn offset(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut seconds = 0;
    for (unit, limit) in [(3600, 24 * 7), (60, 60), (1, 61)] {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let value: i32 = rest[..end].parse().ok().filter(|value| *value < limit)?;
        seconds += value * unit;
        rest = &rest[end..];
        match rest.strip_prefix(':') {
            Some(more) if unit > 1 => rest = more,
            _ => break,
        }
    }
    Some((sign * seconds, rest))
}
