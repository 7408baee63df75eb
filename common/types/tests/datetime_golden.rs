//! What dates and times answer, against what a PostgreSQL 15 answered: `golden/datetime_v15.tsv`.

#![allow(clippy::unwrap_used, reason = "a test may; clippy does not see that these helpers belong to one")]

use shardforge_types::datetime::{arithmetic as a, fields, zone};
use shardforge_types::{Datum, Interval, Numeric, PgType, Settings, ValueError, oids, text};

struct Operands<'a> {
    settings: &'a Settings,
}

impl Operands<'_> {
    fn value(&self, ty: shardforge_types::Oid, text: &str) -> Result<Datum, ValueError> {
        text::input(text, PgType::new(ty), self.settings)
    }
    fn date(&self, text: &str) -> Result<i32, ValueError> {
        match self.value(oids::DATE, text)? {
            Datum::Date(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }
    fn micros(&self, ty: shardforge_types::Oid, text: &str) -> Result<i64, ValueError> {
        match self.value(ty, text)? {
            Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }
    fn interval(&self, text: &str) -> Result<Interval, ValueError> {
        match self.value(oids::INTERVAL, text)? {
            Datum::Interval(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }
}

fn answer(operation: &str, x: &str, y: &str, settings: &Settings) -> Result<Datum, ValueError> {
    let of = Operands { settings };
    let zone = &settings.time_zone;
    let ts = |text: &str| of.micros(oids::TIMESTAMP, text);
    let tz = |text: &str| of.micros(oids::TIMESTAMPTZ, text);
    let time = |text: &str| of.micros(oids::TIME, text);
    let number = |value: Option<Numeric>| value.map_or(Datum::Null, Datum::Numeric);
    let factor = |text: &str| text.parse::<f64>().unwrap();
    Ok(match operation {
        "extract_timestamp" => number(fields::extract_timestamp(x, ts(y)?)?),
        "extract_timestamptz" => number(fields::extract_timestamptz(x, tz(y)?, zone)?),
        "extract_date" => number(fields::extract_date(x, of.date(y)?)?),
        "extract_interval" => number(fields::extract_interval(x, of.interval(y)?)?),
        "extract_time" => number(fields::extract_time(x, time(y)?)?),
        "trunc_timestamp" => Datum::Timestamp(fields::truncate_timestamp(x, ts(y)?)?),
        "trunc_timestamptz" => Datum::TimestampTz(fields::truncate_timestamptz(x, tz(y)?, zone)?),
        "trunc_interval" => Datum::Interval(fields::truncate_interval(x, of.interval(y)?)?),
        "timestamp+interval" => Datum::Timestamp(a::timestamp_add_interval(ts(x)?, of.interval(y)?)?),
        "timestamp-interval" => Datum::Timestamp(a::timestamp_sub_interval(ts(x)?, of.interval(y)?)?),
        "timestamptz+interval" => {
            Datum::TimestampTz(a::timestamptz_add_interval(tz(x)?, of.interval(y)?, zone)?)
        }
        "timestamp-timestamp" => Datum::Interval(a::timestamp_sub(ts(x)?, ts(y)?)?),
        "timestamp::date" => Datum::Date(a::timestamp_to_date(ts(x)?)),
        "timestamptz::date" => Datum::Date(a::timestamptz_to_date(tz(x)?, zone)),
        "timestamp::timestamptz" => Datum::TimestampTz(a::timestamp_to_timestamptz(ts(x)?, zone)?),
        "timestamptz::timestamp" => Datum::Timestamp(a::timestamptz_to_timestamp(tz(x)?, zone)),
        "date::timestamp" => Datum::Timestamp(a::date_to_timestamp(of.date(x)?)?),
        "date::timestamptz" => Datum::TimestampTz(a::date_to_timestamptz(of.date(x)?, zone)?),
        "date+int" => Datum::Date(a::date_add_days(of.date(x)?, y.parse().unwrap())?),
        "date-date" => Datum::Int4(a::date_sub(of.date(x)?, of.date(y)?)?),
        "date+time" => Datum::Timestamp(a::date_add_time(of.date(x)?, time(y)?)?),
        "time+interval" => Datum::Time(a::time_add_interval(time(x)?, of.interval(y)?)),
        "time-time" => Datum::Interval(a::time_sub(time(x)?, time(y)?)),
        "interval*" => Datum::Interval(a::interval_mul(of.interval(x)?, factor(y))?),
        "interval/" => Datum::Interval(a::interval_div(of.interval(x)?, factor(y))?),
        "interval+" => Datum::Interval(a::interval_add(of.interval(x)?, of.interval(y)?)?),
        "interval-" => Datum::Interval(a::interval_sub(of.interval(x)?, of.interval(y)?)?),
        "justify_hours" => Datum::Interval(a::justify_hours(of.interval(x)?)?),
        "justify_days" => Datum::Interval(a::justify_days(of.interval(x)?)?),
        "justify_interval" => Datum::Interval(a::justify_interval(of.interval(x)?)?),
        "interval::time" => Datum::Time(a::interval_to_time(of.interval(x)?)),
        other => panic!("{other}"),
    })
}

#[test]
fn dates_and_times_answer_as_postgresql_does() {
    let golden = include_str!("../golden/datetime_v15.tsv");
    let (time_zone, time_zone_name) = zone::parse_setting("America/New_York").unwrap();
    let settings = Settings { time_zone, time_zone_name, ..Settings::default() };
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operation, x, y, state, result] = fields[..] else { panic!("{line}") };
        let ours = match answer(operation, x, y, &settings) {
            Ok(value) => {
                let ty = value.natural_type();
                ("ok".to_owned(), text::output_string(&value, ty, &settings).unwrap_or("NULL".to_owned()))
            }
            Err(error) => (error.sqlstate.to_string(), error.message.into_owned()),
        };
        count += 1;
        // PostgreSQL 15 lets a difference above 2^63 wrap around; later versions refuse it, as we do.
        let wrapped = operation == "timestamp-timestamp" && ours.1 == "interval out of range";
        if !wrapped && ours != (state.to_owned(), result.to_owned()) {
            wrong.push(format!("{line}\n    {}\t{}", ours.0, ours.1));
        }
    }
    assert!(count > 1000, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
