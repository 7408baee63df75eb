//! Settings that are a time: how they are written, and how they are shown.

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

/// Units of time by their names, in milliseconds, the largest first.
const UNITS: [(&str, f64); 6] =
    [("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1000.0), ("ms", 1.0), ("us", 0.001)];

/// A time such as `5s`, `1.5min` or a plain number of milliseconds; what is wrong with it as a hint.
pub(super) fn millis(text: &str) -> Result<i32, Option<&'static str>> {
    let text = text.trim();
    let digits = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+')).unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| None)?;
    let name = text[digits..].trim();
    let unit = UNITS.iter().find(|(unit, _)| *unit == name || (name.is_empty() && *unit == "ms"));
    let (_, unit) = unit.ok_or(Some(
        "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
    ))?;
    let value = (number * unit).round_ties_even();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        return Err(Some("Value exceeds integer range."));
    }
    Ok(value as i32)
}

/// A number of milliseconds in the largest unit that needs no fraction.
fn millis_text(value: i32) -> String {
    let whole = |unit: &f64| f64::from(value) % unit == 0.0;
    match UNITS.iter().find(|(_, unit)| whole(unit)) {
        Some((name, unit)) if value != 0 => format!("{}{name}", f64::from(value) / unit),
        _ => value.to_string(),
    }
}

/// Checks the value of a timeout, and puts it as it is shown.
pub(super) fn check(name: &str, value: &str) -> SqlResult<String> {
    let invalid = |message| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let number = millis(value).map_err(|hint| {
        let error = invalid(format!("invalid value for parameter \"{name}\": \"{value}\""));
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    if number < 0 {
        let range = format!("(0 .. {})", i32::MAX);
        return Err(invalid(format!(
            "{number} ms is outside the valid range for parameter \"{name}\" {range}"
        )));
    }
    Ok(millis_text(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_largest_unit() {
        let cases = [
            ("0", "0"),
            ("1500", "1500ms"),
            ("90s", "90s"),
            ("1h", "1h"),
            ("60min", "1h"),
            ("90 min", "90min"),
            ("2d", "2d"),
            (" 1.5s ", "1500ms"),
            ("0.5min", "30s"),
            ("1500us", "2ms"),
            ("2147483647", "2147483647ms"),
        ];
        for (text, shown) in cases {
            assert_eq!(check("lock_timeout", text).unwrap(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let says = |text| {
            let error = check("lock_timeout", text).unwrap_err();
            (error.fields().message.clone(), error.fields().hint.clone())
        };
        let invalid = |text: &str| format!("invalid value for parameter \"lock_timeout\": \"{text}\"");
        assert_eq!(says("soon"), (invalid("soon"), None));
        assert_eq!(says(""), (invalid(""), None));
        let (message, hint) = says("5 weeks");
        assert_eq!(message, invalid("5 weeks"));
        assert!(hint.unwrap().starts_with("Valid units"));
        assert_eq!(says("25d").1.as_deref(), Some("Value exceeds integer range."));
        let negative = "-1 ms is outside the valid range for parameter \"lock_timeout\" (0 .. 2147483647)";
        assert_eq!(says("-1"), (negative.to_string(), None));
    }
}
