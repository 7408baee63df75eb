//! `real` and `double precision`: in the fewest digits that give the value back, or as many as asked.

use super::is_space;
use crate::ValueError;
use crate::sqlstate::SqlState;
use std::fmt::LowerExp;

/// Digits that any `double precision` keeps through text and back.
const F64_DIGITS: i32 = 15;
/// Digits that any `real` keeps through text and back.
const F32_DIGITS: i32 = 6;

/// A `double precision`.
pub fn parse_f64(text: &str) -> Result<f64, ValueError> {
    let (value, number) = parse::<f64>(text, "double precision")?;
    let finite = value.is_finite() && (value != 0.0 || is_zero(number));
    if finite || is_word(number) { Ok(value) } else { Err(range(number, "double precision")) }
}

/// A `real`.
pub fn parse_f32(text: &str) -> Result<f32, ValueError> {
    let (value, number) = parse::<f32>(text, "real")?;
    let finite = value.is_finite() && (value != 0.0 || is_zero(number));
    if finite || is_word(number) { Ok(value) } else { Err(range(number, "real")) }
}

fn parse<'a, F: std::str::FromStr>(text: &'a str, type_name: &str) -> Result<(F, &'a str), ValueError> {
    let number = text.trim_matches(is_space);
    let parsed = number.parse().map_err(|_| ValueError::invalid_syntax(type_name, text))?;
    Ok((parsed, number))
}

/// Whether every digit before the exponent is zero.
fn is_zero(number: &str) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// Whether it is `NaN` or `Infinity`, which contain no digit.
fn is_word(number: &str) -> bool {
    !number.bytes().any(|byte| byte.is_ascii_digit())
}

fn range(number: &str, type_name: &str) -> ValueError {
    ValueError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{number}\" is out of range for type {type_name}"),
    )
}

/// The text of a `double precision` under `extra_float_digits`.
pub fn format_f64(value: f64, extra_digits: i32) -> String {
    format(value, value.is_nan(), value.is_infinite(), value > 0.0, extra_digits, F64_DIGITS)
}

/// The text of a `real` under `extra_float_digits`.
pub fn format_f32(value: f32, extra_digits: i32) -> String {
    format(value, value.is_nan(), value.is_infinite(), value > 0.0, extra_digits, F32_DIGITS)
}

fn format<F: LowerExp>(value: F, nan: bool, infinite: bool, above: bool, extra: i32, digits: i32) -> String {
    if nan {
        return "NaN".to_owned();
    }
    if infinite {
        return if above { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (scientific, fixed_below) = if extra > 0 {
        (format!("{value:e}"), digits)
    } else {
        let precision = (digits + extra).max(1);
        (format!("{value:.*e}", precision as usize - 1), precision)
    };
    let (mantissa, exponent) = scientific.split_once('e').expect("the format writes an exponent");
    let exponent: i32 = exponent.parse().expect("the format writes a whole exponent");
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let mut figures = mantissa.replace('.', "");
    figures.truncate(figures.trim_end_matches('0').len().max(1));
    let mut out = String::with_capacity(28);
    out.push_str(sign);
    if exponent < -4 || exponent >= fixed_below {
        out.push_str(&figures[..1]);
        if figures.len() > 1 {
            out.push('.');
            out.push_str(&figures[1..]);
        }
        let (sign, exponent) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
        out.push_str(&format!("e{sign}{exponent:02}"));
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&figures);
    } else {
        let whole = exponent as usize + 1;
        out.push_str(&figures[..whole.min(figures.len())]);
        out.extend(std::iter::repeat_n('0', whole.saturating_sub(figures.len())));
        if figures.len() > whole {
            out.push('.');
            out.push_str(&figures[whole..]);
        }
    }
    out
}
