//! Moments and local times under the session's zone.

use super::EvalContext;
use shardforge_types::datetime::zone;

/// The local time of a moment in the session's zone.
pub(crate) fn to_local(utc: i64, context: &EvalContext) -> i64 {
    zone::to_local(utc, &context.settings().time_zone)
}

/// The moment of a local time in the session's zone.
pub(crate) fn to_utc(local: i64, context: &EvalContext) -> i64 {
    zone::to_utc(local, &context.settings().time_zone)
}

/// Whether a timestamp is one of the infinities.
pub(crate) fn is_infinite(micros: i64) -> bool {
    micros == i64::MIN || micros == i64::MAX
}
