//! Time zones: by name, by abbreviation, by offset; local time to UTC and back.

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

/// Abbreviations that stand for an offset, in hundredths of an hour east.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("zulu", 0),
    ("uct", 0),
    ("ut", 0),
    ("wet", 0),
    ("west", 100),
    ("bst", 100),
    ("cet", 100),
    ("met", 100),
    ("mez", 100),
    ("cest", 200),
    ("mest", 200),
    ("eet", 200),
    ("eest", 300),
    ("msk", 300),
    ("msd", 400),
    ("ist", 200),
    ("jst", 900),
    ("kst", 900),
    ("nst", -350),
    ("ndt", -250),
    ("ast", -400),
    ("adt", -300),
    ("est", -500),
    ("edt", -400),
    ("cst", -600),
    ("cdt", -500),
    ("mst", -700),
    ("mdt", -600),
    ("pst", -800),
    ("pdt", -700),
    ("akst", -900),
    ("akdt", -800),
    ("hst", -1000),
    ("sast", 200),
    ("aest", 1000),
    ("aedt", 1100),
    ("acst", 950),
    ("acdt", 1050),
    ("awst", 800),
    ("nzst", 1200),
    ("nzdt", 1300),
    ("hkt", 800),
    ("sgt", 800),
    ("pkt", 500),
    ("brt", -300),
    ("art", -300),
    ("clt", -400),
];

/// Seconds east of an abbreviation that stands for an offset.
pub fn abbreviation_offset(name: &str) -> Option<i32> {
    let found = ABBREVIATIONS.iter().find(|(abbreviation, _)| abbreviation.eq_ignore_ascii_case(name));
    found.map(|(_, hundredths)| hundredths * 36)
}

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

/// What `SET TimeZone` takes: a name, an abbreviation, or hours east. Gives the zone and the name that
/// `SHOW` gives back.
pub fn parse_setting(value: &str) -> Result<(TimeZone, String), ValueError> {
    let refuse = || {
        ValueError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"TimeZone\": \"{value}\""),
        )
    };
    let trimmed = value.trim();
    if let Ok(hours) = trimmed.parse::<f64>() {
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
    if let Some(found) = named(trimmed) {
        return Ok(found);
    }
    if let Some(seconds) = abbreviation_offset(trimmed) {
        let zone = fixed(seconds).ok_or_else(refuse)?;
        return Ok((zone, trimmed.to_ascii_uppercase()));
    }
    let posix = TimeZone::posix(trimmed).map_err(|_| refuse())?;
    Ok((posix, trimmed.to_owned()))
}

/// The zone that `AT TIME ZONE 'x'` or a literal names: an abbreviation first, then the database.
pub fn parse_operand(name: &str) -> Result<TimeZone, ValueError> {
    let known =
        abbreviation_offset(name.trim()).and_then(fixed).or_else(|| named(name.trim()).map(|(zone, _)| zone));
    known.or_else(|| super::parse::offset_text(name.trim()).and_then(fixed)).ok_or_else(|| {
        ValueError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
    })
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
