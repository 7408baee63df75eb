//! Characters by their numbers: `\u0061` in `E'...'`, and `U&'\0061'` with an escape character of one's choice.
//!
//! A character beyond the first 65,536 may be written as a surrogate pair: two escapes, right after one another.

use super::{Lexer, TokenKind, truncate};
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

const BAD_PAIR: &str = "invalid Unicode surrogate pair";
const BAD_VALUE: &str = "invalid Unicode escape value";

/// What an escape's number is.
enum Unit {
    Char(char),
    First(u32),
    Second(u32),
    Invalid,
}

fn unit(code: u32) -> Unit {
    match code {
        0xd800..0xdc00 => Unit::First(code),
        0xdc00..0xe000 => Unit::Second(code),
        _ => char::from_u32(code).filter(|c| *c != '\0').map_or(Unit::Invalid, Unit::Char),
    }
}

/// The character of a surrogate pair.
fn pair(first: u32, second: u32) -> Option<char> {
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

impl Lexer<'_> {
    /// The character of `\uXXXX` or `\UXXXXXXXX`, which begins at `from` and whose digits are next; a second
    /// escape is read with the first of a pair.
    pub(super) fn unicode_escape(&mut self, from: usize, len: usize) -> SqlResult<char> {
        let first = match unit(self.hex(len)) {
            Unit::Char(c) => return Ok(c),
            Unit::Invalid => return Err(self.error(BAD_VALUE, from)),
            Unit::Second(_) => return Err(self.error(BAD_PAIR, from)),
            Unit::First(first) => first,
        };
        let from = self.at;
        let len = match (self.peek(0), self.peek(1)) {
            (b'\\', b'u') => 4,
            (b'\\', b'U') => 8,
            _ => {
                self.at += self.text[from..].chars().next().map_or(0, char::len_utf8);
                return Err(self.error(BAD_PAIR, from));
            }
        };
        let digits = (2..2 + len).take_while(|at| self.peek(*at).is_ascii_hexdigit()).count();
        self.at += 2;
        let second = self.hex(digits);
        match unit(second) {
            Unit::Second(second) if digits == len => {
                pair(first, second).ok_or_else(|| self.error(BAD_PAIR, from))
            }
            _ => Err(self.error(BAD_PAIR, from)),
        }
    }

    /// `U&'...'` and `U&"..."`, and `UESCAPE 'c'` after it.
    pub(super) fn unicode(&mut self, start: usize) -> SqlResult<()> {
        self.at += 2;
        let quote = self.peek(0);
        let body = if quote == b'\'' {
            self.string_body(start)?
        } else {
            self.at += 1;
            self.quoted_identifier(start)?.into()
        };
        let end = self.at;
        let escape = self.uescape()?;
        let value = self.unescaped(&body, escape, start + 3)?;
        let kind =
            if quote == b'\'' { TokenKind::Str(value.into()) } else { TokenKind::Quoted(truncate(value)) };
        let after = std::mem::replace(&mut self.at, end);
        self.push(kind, start);
        self.at = after;
        Ok(())
    }

    /// The character of `UESCAPE 'c'`, when that is what comes next.
    fn uescape(&mut self) -> SqlResult<char> {
        let before = (self.at, self.tokens.len());
        self.skip_blanks()?;
        let word =
            self.text[self.at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$').next();
        if !word.is_some_and(|word| word.eq_ignore_ascii_case("uescape")) {
            self.at = before.0;
            return Ok('\\');
        }
        self.token()?;
        self.skip_blanks()?;
        let start = self.at;
        self.token()?;
        let next = self.tokens.pop().map(|token| token.kind);
        self.tokens.truncate(before.1);
        let Some(TokenKind::Str(text)) = next else {
            return Err(self.error("UESCAPE must be followed by a simple string literal", start));
        };
        let mut chars = text.chars();
        let forbidden = |c: char| {
            c.is_ascii_hexdigit() || matches!(c, '+' | '\'' | '"' | ' ' | '\t'..='\r') || !c.is_ascii()
        };
        match (chars.next(), chars.next()) {
            (Some(c), None) if !forbidden(c) => Ok(c),
            _ => Err(self.error("invalid Unicode escape character", start)),
        }
    }

    /// A body with its escapes resolved; it begins at byte `at` of the text.
    fn unescaped(&self, body: &str, escape: char, at: usize) -> SqlResult<String> {
        let first = self.text[..at].chars().count();
        let refuse = |message: &'static str, offset: usize| {
            let position = first + body[..offset].chars().count() + 1;
            SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(position as u32))
        };
        let mut value = String::with_capacity(body.len());
        let mut waiting: Option<u32> = None;
        let mut offset = 0;
        while let Some(c) = body[offset..].chars().next() {
            let from = offset;
            offset += c.len_utf8();
            let after = &body[offset..];
            if c != escape || after.starts_with(escape) {
                if waiting.is_some() {
                    return Err(refuse(BAD_PAIR, from));
                }
                if c == escape {
                    offset += escape.len_utf8();
                }
                value.push(c);
                continue;
            }
            let (skip, len) = if after.starts_with('+') { (1, 6) } else { (0, 4) };
            let digits =
                after.get(skip..skip + len).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
                let hint = "Unicode escapes must be \\XXXX or \\+XXXXXX.";
                return Err(refuse("invalid Unicode escape", from).hint(hint));
            };
            match (waiting.take(), unit(code)) {
                (None, Unit::Char(c)) => value.push(c),
                (None, Unit::First(first)) => waiting = Some(first),
                (Some(first), Unit::Second(second)) => value.extend(pair(first, second)),
                (None, Unit::Invalid) => return Err(refuse(BAD_VALUE, from)),
                _ => return Err(refuse(BAD_PAIR, from)),
            }
            offset += skip + len;
        }
        if waiting.is_some() {
            return Err(refuse(BAD_PAIR, body.len()));
        }
        Ok(value)
    }
}
