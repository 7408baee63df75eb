//! Time zones: by name, by abbreviation, by offset, by POSIX's rules; local time to UTC and back.

mod abbreviation;
mod posix;

pub use abbreviation::{Abbreviation, abbreviation};

use super::calendar::{Civil, Clock, split};
use super::{DAY, SECOND, UNIX_EPOCH_DAYS};
use crate::ValueError;
use crate::sqlstate::SqlState;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use std::sync::LazyLock;

/// Years after which zones are looked up 400 years earlier, where their rules are the same: the zone
/// database's calendar ends at 9999.
const LAST_YEAR: i64 = 9000;
const MICROS_PER_400_YEARS: i64 = 146_097 * DAY;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the database by its name, whatever its case, and the name as the database spells it.
pub fn named(name: &str) -> Option<(TimeZone, String)> {
    let zone = DATABASE.get(name).ok()?;
    let spelled = zone.iana_name().unwrap_or(name).to_owned();
    Some((zone, spelled))
}

/// A zone of a fixed offset, in seconds east.
pub fn fixed(seconds_east: i32) -> Option<TimeZone> {
    Some(TimeZone::fixed(Offset::from_seconds(seconds_east).ok()?))
}

/// Every zone of the database by name: for `pg_timezone_names`.
pub fn names() -> Vec<String> {
    DATABASE.available().map(|name| name.to_string()).collect()
}

/// A zone by its name or by a POSIX string, and the name that `SHOW` gives it.
pub fn named_or_posix(name: &str) -> Option<(TimeZone, String)> {
    named(name).or_else(|| posix::posix(name).map(|zone| (zone, name.to_ascii_uppercase())))
}

/// What `SET TimeZone` takes: hours east, a name, or a POSIX string. Gives the zone and the name that
/// `SHOW` gives back.
pub fn parse_setting(value: &str) -> Result<(TimeZone, String), ValueError> {
    let refuse = || {
        ValueError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"TimeZone\": \"{value}\""),
        )
    };
    if let Ok(hours) = value.parse::<f64>() {
        let seconds = (hours * 3600.0) as i32;
        let zone = fixed(seconds).ok_or_else(refuse)?;
        let sign = if seconds < 0 { '-' } else { '+' };
        let turned = if seconds < 0 { '+' } else { '-' };
        let whole = seconds.unsigned_abs();
        let offset = match (whole / 3600, whole / 60 % 60) {
            (hours, 0) => format!("{hours:02}"),
            (hours, minutes) => format!("{hours:02}:{minutes:02}"),
        };
        return Ok((zone, format!("<{sign}{offset}>{turned}{offset}")));
    }
    named_or_posix(value).ok_or_else(refuse)
}

/// A zone as an operand: `AT TIME ZONE 'x'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A zone.
    Zone(TimeZone),
    /// What an abbreviation means at the time in question.
    Abbreviation(Abbreviation),
}

impl Operand {
    /// Local time of a moment.
    pub fn to_local(&self, micros_utc: i64) -> i64 {
        match self {
            Operand::Zone(zone) => to_local(micros_utc, zone),
            Operand::Abbreviation(name) => {
                micros_utc.saturating_add(i64::from(name.offset_at(micros_utc)) * SECOND)
            }
        }
    }

    /// The moment of a local time.
    pub fn to_utc(&self, micros_local: i64) -> i64 {
        match self {
            Operand::Zone(zone) => to_utc(micros_local, zone),
            Operand::Abbreviation(name) => {
                micros_local.saturating_sub(i64::from(name.offset_of_local(micros_local)) * SECOND)
            }
        }
    }

    /// The zone in which whole days and the like are counted.
    pub fn calendar_zone(self) -> Option<TimeZone> {
        match self {
            Operand::Zone(zone) | Operand::Abbreviation(Abbreviation::InZone(zone, _)) => Some(zone),
            Operand::Abbreviation(Abbreviation::Fixed(seconds)) => fixed(seconds),
        }
    }
}

#[cold]
fn not_recognized(name: &str) -> ValueError {
    ValueError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
}

/// The zone that `AT TIME ZONE 'x'` names: an abbreviation first, then a zone. Figures are POSIX's there:
/// above zero is west.
pub fn parse_operand(name: &str) -> Result<Operand, ValueError> {
    let known = abbreviation(name).map(Operand::Abbreviation);
    known
        .or_else(|| named_or_posix(name).map(|(zone, _)| Operand::Zone(zone)))
        .ok_or_else(|| not_recognized(name))
}

/// The zone that `make_timestamptz` is given. Figures are ISO 8601's there: above zero is east.
pub fn parse_iso_operand(name: &str) -> Result<Operand, ValueError> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("invalid input syntax for type numeric time zone: \"{name}\"");
        let hint = "Numeric time zones must have \"-\" or \"+\" as first character.";
        return Err(ValueError::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(hint));
    }
    match super::parse::offset(name) {
        Ok(seconds) => Ok(Operand::Abbreviation(Abbreviation::Fixed(seconds))),
        Err(super::parse::Bad::Zone) => {
            let message = format!("numeric time zone \"{name}\" out of range");
            Err(ValueError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
        Err(super::parse::Bad::Field | super::parse::Bad::MonthOrDay) => Err(not_recognized(name)),
        Err(super::parse::Bad::Format) => parse_operand(name),
    }
}

/// A time within the zone database's calendar at which the zone's rules are those of `micros`, and how
/// much was taken away.
fn within_calendar(micros: i64) -> i64 {
    let (days, _) = split(micros);
    let year = Civil::from_days(days).year;
    if year <= LAST_YEAR { micros } else { micros - ((year - LAST_YEAR) / 400 + 1) * MICROS_PER_400_YEARS }
}

/// Seconds east of UTC that the zone has at a moment, and the abbreviation it goes by.
pub fn offset_at(micros_utc: i64, zone: &TimeZone) -> (i32, String) {
    let moment = unix_timestamp(within_calendar(micros_utc));
    let info = zone.to_offset_info(moment);
    (info.offset().seconds(), info.abbreviation().to_owned())
}

fn unix_timestamp(micros: i64) -> jiff::Timestamp {
    let unix = micros.saturating_add(UNIX_EPOCH_DAYS * DAY);
    jiff::Timestamp::from_microsecond(unix).unwrap_or(jiff::Timestamp::MIN)
}

/// Local time of a moment: microseconds since 2000-01-01 00:00 on the zone's clocks.
pub fn to_local(micros_utc: i64, zone: &TimeZone) -> i64 {
    if is_utc(zone) {
        return micros_utc;
    }
    let moment = unix_timestamp(within_calendar(micros_utc));
    micros_utc + i64::from(zone.to_offset(moment).seconds()) * SECOND
}

/// The moment of a local time. Of two moments the later is meant; a time that the clocks skip is read
/// by the offset before.
pub fn to_utc(micros_local: i64, zone: &TimeZone) -> i64 {
    if is_utc(zone) {
        return micros_local;
    }
    micros_local.saturating_sub(i64::from(offset_of_local(micros_local, zone)) * SECOND)
}

/// Seconds east of UTC that the zone has at a local time.
pub fn offset_of_local(micros_local: i64, zone: &TimeZone) -> i32 {
    let (days, time) = split(within_calendar(micros_local));
    let (civil, clock) = (Civil::from_days(days), Clock::from_micros(time));
    let local = jiff::civil::DateTime::new(
        civil.year as i16,
        civil.month as i8,
        civil.day as i8,
        clock.hour as i8,
        clock.minute as i8,
        clock.second as i8,
        0,
    );
    let Ok(local) = local else { return 0 };
    let offset = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    offset.seconds()
}

fn is_utc(zone: &TimeZone) -> bool {
    *zone == TimeZone::UTC
}
