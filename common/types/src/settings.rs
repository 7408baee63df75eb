//! The settings of a session that change how values are read and written.

use jiff::tz::TimeZone;

/// How dates are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateStyle {
    /// `2024-01-31 12:00:00+00`.
    #[default]
    Iso,
    /// `01/31/2024 12:00:00 UTC`.
    Sql,
    /// `Wed Jan 31 12:00:00 2024 UTC`.
    Postgres,
    /// `31.01.2024 12:00:00 UTC`.
    German,
}

/// How a date in figures, such as `01/02/03`, is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// How `bytea` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteaOutput {
    /// `\x0aff`.
    #[default]
    Hex,
    /// Printable bytes as they are, others as `\012`.
    Escape,
}

/// How intervals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`.
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`.
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`.
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`.
    Iso8601,
}

/// What of a session's settings the forms of values depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DateStyle`, its first part.
    pub date_style: DateStyle,
    /// `DateStyle`, its second part.
    pub date_order: DateOrder,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `TimeZone`.
    pub time_zone: TimeZone,
    /// The name that `SHOW TimeZone` gives.
    pub time_zone_name: String,
    /// `extra_float_digits`: above 0, floats are written in the fewest digits that give the same value back.
    pub extra_float_digits: i32,
    /// `bytea_output`.
    pub bytea_output: ByteaOutput,
    /// What `now`, `today` and their like mean in date input: microseconds since 2000-01-01 UTC, the start
    /// of the transaction.
    pub now: i64,
}

impl Default for Settings {
    /// PostgreSQL's defaults, in UTC.
    fn default() -> Self {
        Self {
            date_style: DateStyle::default(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            time_zone: TimeZone::UTC,
            time_zone_name: "UTC".to_owned(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::default(),
            now: 0,
        }
    }
}
