//! Text to tokens, as PostgreSQL's scanner cuts it: identifiers in lower case, strings of every
//! spelling unescaped, operators by its rules about trailing signs and comments.

mod unicode;

use super::parse::syntax_error_at;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The longest name, in bytes; longer ones are cut.
const MAX_NAME_BYTES: usize = 63;

/// What a keyword may be used as without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeywordClass {
    /// Anything.
    Unreserved,
    /// A column or table, not a function or type.
    ColumnName,
    /// A function or type, not a column or table.
    TypeOrFunction,
    /// Nothing but a label after AS.
    Reserved,
}

/// A keyword's class, and whether it can be a column's label without AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keyword {
    /// Its class.
    pub class: KeywordClass,
    /// `SELECT 1 keyword` is allowed.
    pub bare_label: bool,
}

static KEYWORDS: LazyLock<HashMap<&'static str, Keyword>> = LazyLock::new(|| {
    let lines = include_str!("keywords.tsv").lines();
    let keyword = |line: &'static str| {
        let mut fields = line.split('\t');
        let word = fields.next()?;
        let class = match fields.next()? {
            "U" => KeywordClass::Unreserved,
            "C" => KeywordClass::ColumnName,
            "T" => KeywordClass::TypeOrFunction,
            _ => KeywordClass::Reserved,
        };
        Some((word, Keyword { class, bare_label: fields.next()? == "t" }))
    };
    lines.filter_map(keyword).collect()
});

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte in the text.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// An identifier or keyword, in lower case.
    Word(Box<str>, Option<Keyword>),
    /// `"Name"`.
    Quoted(Box<str>),
    /// A string, unescaped.
    Str(Box<str>),
    /// `B'01'` or `X'1f'`: the letter and the digits.
    Bits(u8, Box<str>),
    /// An integer that fits int4.
    Int(i32),
    /// Any other number.
    Number(Box<str>),
    /// `$1`.
    Param(u32),
    /// An operator other than those of the next two.
    Op(Box<str>),
    /// A character that stands for itself: `( ) [ ] , ; : . + - * / % ^ < > =`.
    Char(u8),
    /// `::`, `..`, `:=`, `=>`, `<=`, `>=`, `<>`.
    Pair(&'static str),
    /// The end of the text.
    End,
}

/// Cuts a text into tokens; the last is [`TokenKind::End`].
pub(crate) fn tokenize(text: &str) -> SqlResult<Vec<Token>> {
    let mut lexer =
        Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::with_capacity(text.len() / 5 + 4) };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn is_ident_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_ident(b: u8) -> bool {
    is_ident_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_op(b: u8) -> bool {
    matches!(
        b,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
    }

    /// `message at or near "text"`, from `start` to here.
    fn error(&self, message: &str, start: usize) -> SqlError {
        let position = self.text[..start].chars().count() as u32 + 1;
        SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("{message} at or near \"{}\"", &self.text[start..self.at.max(start)]),
        )
        .at(Some(position))
    }

    fn run(&mut self) -> SqlResult<()> {
        while !matches!(self.tokens.last(), Some(Token { kind: TokenKind::End, .. })) {
            self.token()?;
        }
        Ok(())
    }

    /// One token more.
    fn token(&mut self) -> SqlResult<()> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(&b) = self.bytes.get(start) else {
            self.push(TokenKind::End, start);
            return Ok(());
        };
        match b {
            b'\'' => self.quoted_string(start)?,
            b'"' => {
                self.at += 1;
                let name = self.quoted_identifier(start)?;
                self.push(TokenKind::Quoted(name), start);
            }
            b'e' | b'E' if self.peek(1) == b'\'' => self.escape_string(start)?,
            b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.quoted_string(start)?;
            }
            b'b' | b'B' | b'x' | b'X' if self.peek(1) == b'\'' => {
                self.at += 1;
                let digits = self.string_body(start)?;
                self.push(TokenKind::Bits(b.to_ascii_lowercase(), digits.into()), start);
            }
            b'u' | b'U' if self.peek(1) == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                self.unicode(start)?
            }
            b'$' => self.dollar(start)?,
            b'0'..=b'9' => self.number(start)?,
            b'.' if self.peek(1).is_ascii_digit() => self.number(start)?,
            b'.' if self.peek(1) == b'.' => self.pair("..", start),
            b':' if self.peek(1) == b':' => self.pair("::", start),
            b':' if self.peek(1) == b'=' => self.pair(":=", start),
            b'(' | b')' | b'[' | b']' | b',' | b';' | b':' | b'.' => {
                self.at += 1;
                self.push(TokenKind::Char(b), start);
            }
            _ if is_op(b) => self.operator(start),
            _ if is_ident_start(b) => self.word(start),
            _ => {
                self.at += 1;
                return Err(syntax_error_at(self.text, start, self.at));
            }
        }
        Ok(())
    }

    fn pair(&mut self, pair: &'static str, start: usize) {
        self.at += 2;
        self.push(TokenKind::Pair(pair), start);
    }

    fn skip_blanks(&mut self) -> SqlResult<()> {
        loop {
            let b = self.peek(0);
            if is_space(b) {
                self.at += 1;
            } else if b == b'-' && self.peek(1) == b'-' {
                while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
                    self.at += 1;
                }
            } else if b == b'/' && self.peek(1) == b'*' {
                let start = self.at;
                let mut depth = 0;
                loop {
                    if self.at >= self.bytes.len() {
                        return Err(self.error("unterminated /* comment", start));
                    } else if self.peek(0) == b'/' && self.peek(1) == b'*' {
                        depth += 1;
                        self.at += 2;
                    } else if self.peek(0) == b'*' && self.peek(1) == b'/' {
                        depth -= 1;
                        self.at += 2;
                        if depth == 0 {
                            break;
                        }
                    } else {
                        self.at += 1;
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self, start: usize) {
        while is_ident(self.peek(0)) {
            self.at += 1;
        }
        let text = self.text[start..self.at].to_ascii_lowercase();
        let keyword = KEYWORDS.get(text.as_str()).copied();
        self.push(TokenKind::Word(truncate(text), keyword), start);
    }

    fn quoted_identifier(&mut self, start: usize) -> SqlResult<Box<str>> {
        let mut name = String::new();
        loop {
            let from = self.at;
            while self.at < self.bytes.len() && self.peek(0) != b'"' {
                self.at += 1;
            }
            name.push_str(&self.text[from..self.at]);
            if self.at >= self.bytes.len() {
                return Err(self.error("unterminated quoted identifier", start));
            }
            self.at += 1;
            if self.peek(0) != b'"' {
                break;
            }
            name.push('"');
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.error("zero-length delimited identifier", start));
        }
        Ok(truncate(name))
    }

    fn quoted_string(&mut self, start: usize) -> SqlResult<()> {
        let value = self.string_body(start)?;
        self.push(TokenKind::Str(value.into()), start);
        Ok(())
    }

    /// From the opening quote to past the closing one; parts on several lines are joined.
    fn string_body(&mut self, start: usize) -> SqlResult<String> {
        let mut value = String::new();
        self.at += 1;
        loop {
            let from = self.at;
            while self.at < self.bytes.len() && self.peek(0) != b'\'' {
                self.at += 1;
            }
            value.push_str(&self.text[from..self.at]);
            if self.at >= self.bytes.len() {
                return Err(self.error("unterminated quoted string", start));
            }
            self.at += 1;
            if self.peek(0) == b'\'' {
                value.push('\'');
                self.at += 1;
            } else if !self.continues() {
                return Ok(value);
            }
        }
    }

    /// Whether a closed string goes on behind a line break; steps past the next opening quote if so.
    fn continues(&mut self) -> bool {
        let mut at = self.at;
        let mut newline = false;
        loop {
            match self.bytes.get(at) {
                Some(b) if is_space(*b) => {
                    newline |= matches!(b, b'\n' | b'\r');
                    at += 1;
                }
                Some(b'-') if self.bytes.get(at + 1) == Some(&b'-') => {
                    while at < self.bytes.len() && !matches!(self.bytes[at], b'\n' | b'\r') {
                        at += 1;
                    }
                }
                Some(b'\'') if newline => {
                    self.at = at + 1;
                    return true;
                }
                _ => return false,
            }
        }
    }

    fn escape_string(&mut self, start: usize) -> SqlResult<()> {
        let mut value: Vec<u8> = Vec::new();
        self.at += 2;
        loop {
            let Some(&b) = self.bytes.get(self.at) else {
                return Err(self.error("unterminated quoted string", start));
            };
            self.at += 1;
            match b {
                b'\'' if self.peek(0) == b'\'' => {
                    value.push(b'\'');
                    self.at += 1;
                }
                b'\'' if self.continues() => {}
                b'\'' => break,
                b'\\' => self.escape(&mut value, start)?,
                _ => value.push(b),
            }
        }
        let value = String::from_utf8(value).map_err(|_| {
            SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\"",
            )
        })?;
        if value.contains('\0') {
            return Err(SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ));
        }
        self.push(TokenKind::Str(value.into()), start);
        Ok(())
    }

    fn escape(&mut self, value: &mut Vec<u8>, start: usize) -> SqlResult<()> {
        let Some(&b) = self.bytes.get(self.at) else {
            return Err(self.error("unterminated quoted string", start));
        };
        self.at += 1;
        match b {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let mut code = u32::from(b - b'0');
                for _ in 0..2 {
                    if let d @ b'0'..=b'7' = self.peek(0) {
                        code = code * 8 + u32::from(d - b'0');
                        self.at += 1;
                    }
                }
                value.push(code as u8);
            }
            b'x' if self.peek(0).is_ascii_hexdigit() => {
                let len = if self.peek(1).is_ascii_hexdigit() { 2 } else { 1 };
                value.push(self.hex(len) as u8);
            }
            b'u' | b'U' => {
                let len = if b == b'u' { 4 } else { 8 };
                let from = self.at - 2;
                if (0..len).any(|i| !self.peek(i).is_ascii_hexdigit()) {
                    return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
                        .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                        .at(Some(self.text[..from].chars().count() as u32 + 1)));
                }
                let c = self.unicode_escape(from, len)?;
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => value.push(b),
        }
        Ok(())
    }

    fn hex(&mut self, len: usize) -> u32 {
        let mut code: u32 = 0;
        for _ in 0..len {
            let digit = (self.peek(0) as char).to_digit(16).unwrap_or(0);
            code = code.wrapping_mul(16).wrapping_add(digit);
            self.at += 1;
        }
        code
    }

    fn dollar(&mut self, start: usize) -> SqlResult<()> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            if is_ident_start(self.peek(0)) {
                self.at += 1;
                return Err(self.error("trailing junk after parameter", start));
            }
            let number = self.text[start + 1..self.at].parse().unwrap_or(u32::MAX);
            self.push(TokenKind::Param(number), start);
            return Ok(());
        }
        let mut tag_end = start + 1;
        while self.bytes.get(tag_end).is_some_and(|b| is_ident(*b) && *b != b'$') {
            tag_end += 1;
        }
        if self.bytes.get(tag_end) != Some(&b'$') {
            self.at += 1;
            return Err(syntax_error_at(self.text, start, self.at));
        }
        let tag = &self.text[start..=tag_end];
        let body = tag_end + 1;
        let Some(len) = self.text[body..].find(tag) else {
            self.at = self.bytes.len();
            return Err(self.error("unterminated dollar-quoted string", start));
        };
        self.at = body + len + tag.len();
        self.push(TokenKind::Str(self.text[body..body + len].into()), start);
        Ok(())
    }

    fn number(&mut self, start: usize) -> SqlResult<()> {
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_ascii_digit() {
                lexer.at += 1;
            }
        };
        digits(self);
        let mut integer = true;
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            integer = false;
            self.at += 1;
            digits(self);
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                integer = false;
                self.at += 1 + sign;
                digits(self);
            } else {
                self.at += 1 + sign;
                return Err(self.error("trailing junk after numeric literal", start));
            }
        }
        if is_ident_start(self.peek(0)) {
            self.at += 1;
            while !self.text.is_char_boundary(self.at) {
                self.at += 1;
            }
            return Err(self.error("trailing junk after numeric literal", start));
        }
        let text = &self.text[start..self.at];
        let kind = match text.parse::<i32>() {
            Ok(value) if integer => TokenKind::Int(value),
            _ => TokenKind::Number(text.into()),
        };
        self.push(kind, start);
        Ok(())
    }

    fn operator(&mut self, start: usize) {
        let mut end = start;
        while self.bytes.get(end).is_some_and(|b| is_op(*b)) {
            let next = self.bytes.get(end + 1).copied().unwrap_or(0);
            if end > start && matches!((self.bytes[end], next), (b'-', b'-') | (b'/', b'*')) {
                break;
            }
            end += 1;
        }
        let any = |bytes: &[u8]| {
            bytes
                .iter()
                .any(|b| matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'))
        };
        while end > start + 1
            && matches!(self.bytes[end - 1], b'+' | b'-')
            && !any(&self.bytes[start..end - 1])
        {
            end -= 1;
        }
        self.at = end;
        let op = &self.text[start..end];
        let kind = match op {
            "=>" => TokenKind::Pair("=>"),
            "<=" => TokenKind::Pair("<="),
            ">=" => TokenKind::Pair(">="),
            "<>" | "!=" => TokenKind::Pair("<>"),
            "+" | "-" | "*" | "/" | "%" | "^" | "<" | ">" | "=" => TokenKind::Char(op.as_bytes()[0]),
            _ => TokenKind::Op(op.into()),
        };
        self.push(kind, start);
    }
}

fn truncate(mut name: String) -> Box<str> {
    if name.len() > MAX_NAME_BYTES {
        let mut end = MAX_NAME_BYTES;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name.into()
}
