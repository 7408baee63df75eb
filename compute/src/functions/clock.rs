//! Moments and local times: what the session's time zone makes of microseconds since 2000-01-01.

use super::EvalContext;
use jiff::Timestamp as Instant;
use jiff::civil;
use jiff::tz::TimeZone;
use shardforge_types::interval::DAY_MICROS;

/// Seconds from 1970-01-01 to 2000-01-01.
const EPOCH_SECONDS: i64 = 946_684_800;

/// Whether a timestamp is one of the infinities.
pub(crate) fn is_infinite(micros: i64) -> bool {
    micros == i64::MIN || micros == i64::MAX
}

/// The zone's offset from UTC at a moment, in seconds. Beyond the years that zones are known for, its
/// offset at the nearest such moment.
pub(crate) fn offset_at(utc: i64, zone: &TimeZone) -> i64 {
    let seconds = utc.div_euclid(1_000_000).saturating_add(EPOCH_SECONDS);
    let clamped = seconds.clamp(Instant::MIN.as_second(), Instant::MAX.as_second());
    match Instant::from_second(clamped) {
        Ok(instant) => i64::from(zone.to_offset(instant).seconds()),
        Err(_) => 0,
    }
}

/// The local time of a moment in a zone.
pub(crate) fn to_local_in(utc: i64, zone: &TimeZone) -> i64 {
    if is_infinite(utc) { utc } else { utc.saturating_add(offset_at(utc, zone) * 1_000_000) }
}

/// The moment of a local time in a zone. A time that a change of the clocks skips is read by the offset
/// before it; of two, the one by the offset before it too, as PostgreSQL does.
pub(crate) fn to_utc_in(local: i64, zone: &TimeZone) -> i64 {
    if is_infinite(local) {
        return local;
    }
    let seconds = local.div_euclid(1_000_000);
    let days = seconds.div_euclid(86_400);
    let within = seconds.rem_euclid(86_400);
    let epoch = civil::date(2000, 1, 1);
    let span = jiff::Span::new().try_days(days).ok();
    let date = span.and_then(|span| epoch.checked_add(span).ok());
    let offset = match date {
        Some(date) => {
            let (h, m, s) = (within / 3600, within % 3600 / 60, within % 60);
            let time = civil::DateTime::from_parts(date, civil::time(h as i8, m as i8, s as i8, 0));
            match zone.to_ambiguous_timestamp(time).offset() {
                jiff::tz::AmbiguousOffset::Unambiguous { offset } => i64::from(offset.seconds()),
                jiff::tz::AmbiguousOffset::Gap { before, .. } => i64::from(before.seconds()),
                // PostgreSQL prefers standard time: the later of the two moments.
                jiff::tz::AmbiguousOffset::Fold { after, .. } => i64::from(after.seconds()),
            }
        }
        None => offset_at(local, zone),
    };
    local.saturating_sub(offset * 1_000_000)
}

/// The local time of a moment in the session's zone.
pub(crate) fn to_local(utc: i64, context: &EvalContext) -> i64 {
    to_local_in(utc, &context.settings().time_zone)
}

/// The moment of a local time in the session's zone.
pub(crate) fn to_utc(local: i64, context: &EvalContext) -> i64 {
    to_utc_in(local, &context.settings().time_zone)
}

/// The date of a local time: days since 2000-01-01.
pub(crate) fn date_of(local: i64) -> i32 {
    match local {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        finite => finite.div_euclid(DAY_MICROS) as i32,
    }
}

/// The time of day of a local time.
pub(crate) fn time_of(local: i64) -> i64 {
    local.rem_euclid(DAY_MICROS)
}
