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
        (shortest(&value, digits), digits)
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

/// The fewest digits that lie nearer to the value than to its neighbours, as PostgreSQL has it: a
/// decimal halfway between two floats is never taken, though it would read back by the rule of even ones.
fn shortest<F: LowerExp>(value: &F, digits: i32) -> String {
    let text = format!("{value:e}");
    let mantissa_bits = if digits == F64_DIGITS { 53 } else { 24 };
    if !is_halfway(&text, mantissa_bits) {
        return text;
    }
    let first = text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let longer = (first..=17).map(|after_first| format!("{value:.after_first$e}"));
    let reads_back = |text: &String| match digits {
        F64_DIGITS => text.parse::<f64>().is_ok_and(|read| format!("{read:e}") == format!("{value:e}")),
        _ => text.parse::<f32>().is_ok_and(|read| format!("{read:e}") == format!("{value:e}")),
    };
    longer.into_iter().find(|text| !is_halfway(text, mantissa_bits) && reads_back(text)).unwrap_or(text)
}

/// Whether a decimal is exactly halfway between two floats: an odd number of one bit more than a
/// mantissa has, times a power of two.
fn is_halfway(text: &str, mantissa_bits: u32) -> bool {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
    let figures = mantissa.bytes().filter(u8::is_ascii_digit);
    let figures = figures.fold(0u128, |value, digit| value * 10 + u128::from(digit - b'0'));
    let power = exponent.parse::<i32>().unwrap_or(0) - fraction;
    let fives = 5u128.checked_pow(power.unsigned_abs());
    let whole = match fives {
        Some(fives) if power >= 0 => figures.checked_mul(fives),
        Some(fives) => figures.is_multiple_of(fives).then(|| figures / fives),
        None => None,
    };
    whole.is_some_and(|whole| {
        whole != 0 && 128 - (whole >> whole.trailing_zeros()).leading_zeros() == mantissa_bits + 1
    })
}
