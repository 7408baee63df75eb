//! `to_char` of numbers, and `to_number` back, by templates of `9`, `0`, `.`, `,` and signs.

use super::args::body;
use super::call::{ScalarFunction, stable};
use crate::{SqlError, SqlResult};
use shardforge_types::{Numeric, SqlState};

/// How the sign is shown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Sign {
    /// A minus, or a blank, before the first digit.
    #[default]
    Default,
    /// `S`: right before the number, or after it.
    Anchored { after: bool },
    /// Only where `MI`, `PL` or `SG` stand.
    Placed,
    /// `PR`: angle brackets.
    Brackets,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// `9`, or `0` when the flag is set.
    Digit(bool),
    Point,
    Group,
    Minus,
    Plus,
    PlusMinus,
    Currency,
    Ordinal(bool),
    Literal(char),
}

#[derive(Debug, Default)]
struct Template {
    parts: Vec<Part>,
    fill: bool,
    sign: Sign,
    /// Digits before the point, and after it.
    before: usize,
    after: usize,
    point: bool,
}

fn parse(format: &str) -> SqlResult<Template> {
    let wrong = |message: &str| SqlError::new(SqlState::SYNTAX_ERROR, message);
    let mut out = Template::default();
    let mut rest = format;
    let mut digits = false;
    while let Some(c) = rest.chars().next() {
        let head = rest.get(..2).unwrap_or("").to_ascii_uppercase();
        let two = match head.as_str() {
            "FM" => {
                out.fill = true;
                true
            }
            "MI" => {
                out.sign = Sign::Placed;
                out.parts.push(Part::Minus);
                true
            }
            "PL" => {
                out.sign = Sign::Placed;
                out.parts.push(Part::Plus);
                true
            }
            "SG" => {
                out.sign = Sign::Placed;
                out.parts.push(Part::PlusMinus);
                true
            }
            "PR" => {
                out.sign = Sign::Brackets;
                true
            }
            "TH" => {
                out.parts.push(Part::Ordinal(rest.starts_with('T')));
                true
            }
            "RN" | "EE" => return Err(SqlError::not_supported(format!("{head} in to_char"))),
            _ => false,
        };
        if two {
            rest = &rest[2..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '9' | '0' => {
                digits = true;
                if out.point {
                    out.after += 1
                } else {
                    out.before += 1
                }
                out.parts.push(Part::Digit(c == '0'));
            }
            '.' | 'D' | 'd' => {
                if out.point {
                    return Err(wrong("multiple decimal points"));
                }
                out.point = true;
                out.parts.push(Part::Point);
            }
            ',' | 'G' | 'g' => out.parts.push(Part::Group),
            'S' | 's' => {
                if out.sign != Sign::Default {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                out.sign = Sign::Anchored { after: digits };
            }
            'L' | 'l' => out.parts.push(Part::Currency),
            'V' | 'v' | 'B' | 'b' => return Err(SqlError::not_supported(format!("{c} in to_char"))),
            '"' => {
                while let Some(c) = rest.chars().next() {
                    rest = &rest[c.len_utf8()..];
                    match c {
                        '"' => break,
                        '\\' => {
                            let Some(c) = rest.chars().next() else { break };
                            rest = &rest[c.len_utf8()..];
                            out.parts.push(Part::Literal(c));
                        }
                        c => out.parts.push(Part::Literal(c)),
                    }
                }
            }
            // Outside of quotes a backslash means something only before one.
            '\\' if rest.starts_with('"') => {
                rest = &rest[1..];
                out.parts.push(Part::Literal('"'));
            }
            other => out.parts.push(Part::Literal(other)),
        }
    }
    Ok(out)
}

fn to_char(value: &Numeric, format: &str) -> SqlResult<String> {
    let template = parse(format)?;
    let rounded = value.round(template.after as i32)?;
    let negative = rounded.signum() < 0;
    let text = rounded.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = if whole == "0" { "" } else { whole };
    // A number that does not fit is shown as hashes.
    let overflow = !value.is_finite() || whole.len() > template.before;
    let first_digit = template.before.saturating_sub(whole.len());
    let first_zero = {
        let digits = template.parts.iter().filter(|part| matches!(part, Part::Digit(_)));
        digits.take(template.before).position(|part| *part == Part::Digit(true)).unwrap_or(usize::MAX)
    };
    // Without digits after the point a zero shows its last digit.
    let last = template.before.saturating_sub(1);
    let start = first_digit.min(first_zero);
    let start = if start >= template.before && !template.point && template.before > 0 { last } else { start };
    // FM drops zeros at the end that only nines asked for.
    let kept = {
        let zeros = template.parts.iter().filter_map(|part| match part {
            Part::Digit(zero) => Some(*zero),
            _ => None,
        });
        let forced =
            zeros.skip(template.before).enumerate().filter(|(_, zero)| *zero).map(|(n, _)| n + 1).last();
        fraction.trim_end_matches('0').len().max(forced.unwrap_or(0))
    };
    // With FM, a zero that shows nothing after its point shows itself before it.
    let start = if template.fill && template.point && whole.is_empty() && kept == 0 && template.before > 0 {
        start.min(last)
    } else {
        start
    };
    let mut out = String::new();
    let mut sign_at = None;
    let (mut before, mut after) = (0, 0);
    let mut in_fraction = false;
    let shown = |at: usize| if at >= start { None } else { Some(' ') };
    for part in &template.parts {
        match part {
            Part::Digit(_) if !in_fraction => {
                match shown(before) {
                    Some(blank) => {
                        if !template.fill {
                            out.push(blank);
                        }
                    }
                    None => {
                        sign_at.get_or_insert(out.len());
                        let digit = before.checked_sub(first_digit).and_then(|n| whole.as_bytes().get(n));
                        out.push(if overflow { '#' } else { digit.map_or('0', |digit| char::from(*digit)) });
                    }
                }
                before += 1;
            }
            Part::Digit(_) => {
                if !template.fill || after < kept {
                    let digit = fraction.as_bytes().get(after).copied().unwrap_or(b'0');
                    out.push(if overflow { '#' } else { char::from(digit) });
                }
                after += 1;
            }
            Part::Point => {
                sign_at.get_or_insert(out.len());
                in_fraction = true;
                // A point that no digit can follow is not shown.
                if template.after > 0 {
                    out.push('.');
                }
            }
            Part::Group => {
                if in_fraction || before > start {
                    out.push(',');
                } else if !template.fill {
                    out.push(' ');
                }
            }
            Part::Minus => {
                if negative {
                    out.push('-');
                } else if !template.fill {
                    out.push(' ');
                }
            }
            Part::Plus => {
                if !negative {
                    out.push('+');
                } else if !template.fill {
                    out.push(' ');
                }
            }
            Part::PlusMinus => out.push(if negative { '-' } else { '+' }),
            Part::Currency => {
                if !template.fill {
                    out.push(' ');
                }
            }
            Part::Ordinal(upper) => {
                if !negative && !overflow && !template.point {
                    out.push_str(ordinal(whole, *upper));
                }
            }
            Part::Literal(c) => out.push(*c),
        }
    }
    let at = sign_at.unwrap_or(out.len());
    if template.before + template.after == 0 {
        return Ok(out);
    }
    match template.sign {
        Sign::Default => match (negative, template.fill) {
            (true, _) => out.insert(at, '-'),
            (false, false) => out.insert(at, ' '),
            (false, true) => {}
        },
        Sign::Anchored { after: false } => out.insert(at, if negative { '-' } else { '+' }),
        Sign::Anchored { after: true } => out.push(if negative { '-' } else { '+' }),
        Sign::Brackets => match (negative, template.fill) {
            (true, _) => {
                out.insert(at, '<');
                out.push('>');
            }
            (false, false) => {
                out.insert(at, ' ');
                out.push(' ');
            }
            (false, true) => {}
        },
        Sign::Placed => {}
    }
    // Blanks stand before the sign, never between it and the number.
    Ok(out)
}

fn ordinal(whole: &str, upper: bool) -> &'static str {
    let number: u32 =
        whole.get(whole.len().saturating_sub(2)..).and_then(|tail| tail.parse().ok()).unwrap_or(0);
    match (number, number % 10, upper) {
        (11..=13, _, true) => "TH",
        (11..=13, _, false) => "th",
        (_, 1, true) => "ST",
        (_, 1, false) => "st",
        (_, 2, true) => "ND",
        (_, 2, false) => "nd",
        (_, 3, true) => "RD",
        (_, 3, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

/// Reads a number by a template: each part of the template takes what stands at its place.
struct NumberReader<'t> {
    template: &'t Template,
    rest: &'t str,
    sign: Option<char>,
    digits: String,
    /// Digits read before the point, and after it.
    before: usize,
    after: usize,
    point: bool,
}

impl NumberReader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        self.rest = &self.rest[self.peek().map_or(0, char::len_utf8)..];
    }

    /// Steps past characters that cannot be a part of a number.
    fn skip_other(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek().is_none_or(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-')) {
                return;
            }
            self.skip();
        }
    }

    fn take_sign(&mut self, allowed: &[char]) -> bool {
        match self.peek() {
            Some(c) if allowed.contains(&c) => {
                self.sign = Some(if c == '+' { '+' } else { '-' });
                self.skip();
                true
            }
            _ => false,
        }
    }

    /// A digit's place, or the point's.
    fn number_part(&mut self, is_digit: bool) {
        if self.peek() == Some(' ') {
            self.skip();
        }
        let brackets = self.template.sign == Sign::Brackets;
        if self.sign.is_none() && is_digit && self.before + self.after == 0 {
            self.take_sign(if brackets { &['-', '<', '+'] } else { &['-', '+'] });
        }
        let mut read = false;
        match self.peek() {
            Some(c) if c.is_ascii_digit() => {
                if self.point && self.after == self.template.after {
                    return self.skip();
                }
                self.digits.push(c);
                *(if self.point { &mut self.after } else { &mut self.before }) += 1;
                self.skip();
                read = true;
            }
            Some('.') if self.template.point && !self.point => {
                self.digits.push('.');
                self.point = true;
                self.skip();
                read = true;
            }
            _ => {}
        }
        // A sign after the last digit, wherever the template has it.
        if self.sign.is_none() && self.before + self.after > 0 {
            let anchored = matches!(self.template.sign, Sign::Anchored { .. });
            if anchored && read || !read && self.template.sign == Sign::Placed {
                read |= self.take_sign(&['-', '+']);
            }
        }
        if !read {
            self.skip();
        }
    }

    fn part(&mut self, part: Part) {
        match part {
            Part::Digit(_) => self.number_part(true),
            Part::Point => self.number_part(false),
            Part::Group => {
                if self.peek() == Some(',') && !self.template.fill {
                    self.skip();
                }
            }
            Part::Minus if self.take_sign(&['-']) => {}
            Part::Plus if self.take_sign(&['+']) => {}
            Part::PlusMinus if self.take_sign(&['-', '+']) => {}
            Part::Minus | Part::Plus | Part::PlusMinus | Part::Currency => self.skip_other(1),
            Part::Ordinal(_) => self.skip_other(2),
            Part::Literal(_) => self.skip(),
        }
    }
}

fn to_number(text: &str, format: &str) -> SqlResult<Numeric> {
    let template = parse(format)?;
    let mut reader = NumberReader {
        template: &template,
        rest: text,
        sign: None,
        digits: String::new(),
        before: 0,
        after: 0,
        point: false,
    };
    for part in &template.parts {
        if reader.rest.is_empty() {
            break;
        }
        reader.part(*part);
    }
    let sign = if reader.sign == Some('-') { "-" } else { "" };
    let digits = format!("{sign}{}", reader.digits.strip_suffix('.').unwrap_or(&reader.digits));
    let number: Numeric = digits.parse().map_err(|_| {
        let message = format!("invalid input syntax for type numeric: \"{digits}\"");
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })?;
    Ok(number.round(reader.after as i32)?)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(1772, "to_char", body!(|a: &Numeric, format: &str| to_char(a, format))),
    stable(1773, "to_char", body!(|a: i32, format: &str| to_char(&Numeric::from(a), format))),
    stable(1774, "to_char", body!(|a: i64, format: &str| to_char(&Numeric::from(a), format))),
    stable(1775, "to_char", body!(|a: f32, format: &str| to_char(&Numeric::from_f32(a), format))),
    stable(1776, "to_char", body!(|a: f64, format: &str| to_char(&Numeric::from_f64(a), format))),
    stable(1777, "to_number", body!(|text: &str, format: &str| to_number(text, format))),
];
