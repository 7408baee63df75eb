//! Intervals: months, days and microseconds, kept apart because a month has no fixed number of days.

use std::cmp::Ordering;

/// Microseconds in a day of an interval that is compared: 24 hours.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Days in a month of an interval that is compared.
pub const MONTH_DAYS: i64 = 30;

/// A span of time in three parts that do not convert into one another.
///
/// Equality and order are PostgreSQL's: a month counts 30 days, a day 24 hours. So `1 mon` equals
/// `30 days`, though the two add differently.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// The rest, in microseconds.
    pub micros: i64,
}

impl Interval {
    /// An interval of the three parts.
    pub fn new(months: i32, days: i32, micros: i64) -> Self {
        Self { months, days, micros }
    }

    /// The value by which intervals compare: microseconds, with months of 30 days of 24 hours.
    pub fn compare_value(&self) -> i128 {
        let days = i128::from(self.months) * i128::from(MONTH_DAYS) + i128::from(self.days);
        days * i128::from(DAY_MICROS) + i128::from(self.micros)
    }

    /// Whether the three parts are the same, which is more than being equal.
    pub fn identical(&self, other: &Interval) -> bool {
        (self.months, self.days, self.micros) == (other.months, other.days, other.micros)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.compare_value() == other.compare_value()
    }
}

impl Eq for Interval {}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare_value().cmp(&other.compare_value())
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.compare_value().hash(state);
    }
}
