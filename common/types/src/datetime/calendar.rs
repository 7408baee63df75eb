//! Day numbers and civil dates, in the Gregorian calendar continued backwards for ever.

use super::{DAY, HOUR, MINUTE, SECOND};

/// A civil date. Years are astronomical: 0 is 1 BC, -1 is 2 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH_SHIFT: i64 = 730_425;
const DAYS_PER_400_YEARS: i64 = 146_097;

impl Civil {
    /// The date of a count of days since 2000-01-01.
    pub fn from_days(days: i64) -> Self {
        // Years that begin in March put the leap day at their end, so that month lengths repeat.
        let shifted = days + EPOCH_SHIFT;
        let era = shifted.div_euclid(DAYS_PER_400_YEARS);
        let day_of_era = shifted.rem_euclid(DAYS_PER_400_YEARS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days since 2000-01-01. The day may lie outside its month.
    pub fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_400_YEARS + day_of_era - EPOCH_SHIFT
    }
}

/// Whether the year has a 29th of February.
pub fn is_leap_year(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Number of days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap_year(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week of a count of days since 2000-01-01; Sunday is 0.
pub fn day_of_week(days: i64) -> i64 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7)
}

/// Day of the year, from 1.
pub fn day_of_year(days: i64) -> i64 {
    let civil = Civil::from_days(days);
    days - Civil { month: 1, day: 1, ..civil }.to_days() + 1
}

/// Year and week by ISO 8601: weeks begin on Monday, and week 1 has the year's first Thursday.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The week's Thursday lies in the week's year.
    let thursday = days - (day_of_week(days) + 6) % 7 + 3;
    (Civil::from_days(thursday).year, (day_of_year(thursday) - 1) / 7 + 1)
}

/// Days and microseconds of the day of a timestamp.
pub fn split(timestamp: i64) -> (i64, i64) {
    (timestamp.div_euclid(DAY), timestamp.rem_euclid(DAY))
}

/// A time of day in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// 0 to 24.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999999.
    pub micros: i64,
}

impl Clock {
    /// The parts of microseconds since midnight.
    pub fn from_micros(micros: i64) -> Self {
        Self {
            hour: micros / HOUR,
            minute: micros / MINUTE % 60,
            second: micros / SECOND % 60,
            micros: micros % SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_numbers_are_those_of_the_calendar() {
        let civil = |year, month, day| Civil { year, month, day };
        assert_eq!(civil(2000, 1, 1).to_days(), 0);
        assert_eq!(civil(1970, 1, 1).to_days(), -super::super::UNIX_EPOCH_DAYS);
        assert_eq!(civil(-4713, 11, 24).to_days(), i64::from(super::super::MIN_DATE));
        assert_eq!(civil(5_874_898, 1, 1).to_days(), i64::from(super::super::END_DATE));
        assert_eq!(iso_week(civil(2021, 1, 3).to_days()), (2020, 53));
        assert_eq!(iso_week(civil(2024, 12, 30).to_days()), (2025, 1));
    }

    #[test]
    fn dates_come_back_and_follow_one_another() {
        let mut last = Civil::from_days(-800_001);
        for days in -800_000..800_000 {
            let civil = Civil::from_days(days);
            assert_eq!(civil.to_days(), days);
            assert!(civil > last && civil.day <= days_in_month(civil.year, civil.month));
            last = civil;
        }
    }
}
