//! In the making.

use super::args::Date;
use super::call::{Call, ScalarFunction};
use crate::{SqlError, SqlResult};
use shardforge_types::{SqlState, interval::DAY_MICROS};

/// Midnight of a date.
pub(super) fn date_to_timestamp(date: Date) -> SqlResult<i64> {
    match date.0 {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        days => i64::from(days).checked_mul(DAY_MICROS).ok_or_else(|| {
            SqlError::new(SqlState::DATETIME_VALUE_OUT_OF_RANGE, "date out of range for timestamp")
        }),
    }
}

/// The moment of a local time in the session's zone.
pub(super) fn local_to_utc(local: i64, call: &Call<'_>) -> SqlResult<i64> {
    let _ = call;
    Ok(local)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[];
