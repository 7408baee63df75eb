//! Takes the literals out of a statement's value positions, so that statements which differ in nothing else
//! share a plan.
//!
//! The text is looked at once, byte by byte, before it is parsed: what comes out is the same statement with
//! `$1`, `$2` in the literals' places, and each literal with its class. A literal is lifted only where a parameter
//! of its class means exactly the same: after an operator, in a list of IN, in a row of VALUES, in the regions
//! of WHERE, SET and VALUES. GROUP BY, ORDER BY, LIMIT, select lists, arguments, types and their modifiers keep theirs.
//! Whatever is unusual (comments, quoted names, strings of other spellings, several statements) is declined whole.

use std::borrow::Cow;

/// Longer texts are declined: they are rarely sent twice.
const MAX_TEXT: usize = 4096;
/// More literals than this are declined: a bulk load, say.
const MAX_LITERALS: usize = 64;

/// What type a literal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Digits that fit `integer`.
    Int4,
    /// Digits that fit `bigint`.
    Int8,
    /// Any other number.
    Numeric,
    /// A string: what it means is decided by its surroundings.
    Unknown,
}

/// A literal that was lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal<'t> {
    /// Its class.
    pub class: Class,
    /// Its text; of a string, what is between the quotes.
    pub text: Cow<'t, str>,
}

/// What came before a token, as far as it decides whether a literal may be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A value begins here: after an operator, AND, BETWEEN.
    Value,
    /// `(` or `,` directly within a list of values.
    List,
    /// IN or VALUES: a parenthesis that follows holds values.
    Opens,
    Other,
}

struct Lifter<'t, 'o> {
    text: &'t str,
    at: usize,
    /// Up to where the text is in `key`.
    copied: usize,
    key: &'o mut String,
    literals: &'o mut Vec<Literal<'t>>,
    before: Before,
    /// Whether the region is one of WHERE, SET or VALUES.
    region: bool,
    /// For each open parenthesis, whether it holds values.
    parens: u64,
    depth: u32,
}

/// Writes the statement without its literals into `key`, which also tells their classes, and the literals into
/// `literals`. False when the text is declined; then what they hold means nothing.
pub fn lift<'t>(text: &'t str, key: &mut String, literals: &mut Vec<Literal<'t>>) -> bool {
    key.clear();
    literals.clear();
    if text.len() > MAX_TEXT {
        return false;
    }
    let lifter = Lifter {
        text,
        at: 0,
        copied: 0,
        key,
        literals,
        before: Before::Other,
        region: false,
        parens: 0,
        depth: 0,
    };
    lifter.run().is_some()
}

/// The part of a key that is SQL.
pub fn statement_of(key: &str) -> &str {
    key.split_once('\0').map_or(key, |(sql, _)| sql)
}

impl<'t> Lifter<'t, '_> {
    fn run(mut self) -> Option<()> {
        self.skip_space();
        let first = self.word();
        let plain = ["begin", "commit", "end", "rollback"];
        if !["select", "insert", "update", "delete"]
            .iter()
            .chain(&plain)
            .any(|w| first.eq_ignore_ascii_case(w))
        {
            return None;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'0'..=b'9' => self.number()?,
                b'.' if self.peek_at(1).is_some_and(|b| b.is_ascii_digit()) => self.number()?,
                b'\'' => self.string()?,
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.keyword()?,
                b'(' => self.open()?,
                b')' => {
                    self.depth = self.depth.checked_sub(1)?;
                    self.step(1, Before::Other);
                }
                b',' => {
                    let list = self.in_list() || self.depth == 0;
                    self.step(1, if list && self.region { Before::List } else { Before::Other });
                }
                b';' => {
                    self.at += 1;
                    self.skip_space();
                    if self.peek().is_some() {
                        return None;
                    }
                }
                b'-' if self.peek_at(1) == Some(b'-') => return None,
                b'/' if self.peek_at(1) == Some(b'*') => return None,
                b'=' | b'<' | b'>' | b'!' | b'+' | b'-' | b'*' | b'/' | b'%' => self.step(1, Before::Value),
                b'|' if self.peek_at(1) == Some(b'|') => self.step(2, Before::Value),
                b':' if self.peek_at(1) == Some(b':') => self.step(2, Before::Other),
                b'.' => self.step(1, Before::Other),
                // Parameters, quoted names, subscripts, other operators, letters beyond ASCII.
                _ => return None,
            }
        }
        self.copy_to(self.text.len());
        self.key.push('\0');
        for literal in self.literals.iter() {
            self.key.push(match literal.class {
                Class::Int4 => 'i',
                Class::Int8 => 'l',
                Class::Numeric => 'n',
                Class::Unknown => 'u',
            });
        }
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn step(&mut self, len: usize, before: Before) {
        self.at += len;
        self.before = before;
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes letters and digits.
    fn word(&mut self) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn in_list(&self) -> bool {
        self.depth > 0 && self.parens >> (self.depth - 1) & 1 == 1
    }

    fn open(&mut self) -> Option<()> {
        // After a name it is a call or a type's modifier, and holds nothing that may be lifted.
        let values = self.region && self.before != Before::Other;
        if self.depth == 64 {
            return None;
        }
        self.parens = self.parens & !(1 << self.depth) | u64::from(values) << self.depth;
        self.depth += 1;
        self.step(1, if values { Before::List } else { Before::Other });
        Some(())
    }

    fn keyword(&mut self) -> Option<()> {
        let word = self.word();
        match self.peek() {
            // E'..', B'..', N'..' and their like; a name with a dollar sign, or beyond ASCII.
            Some(b'\'' | b'$' | b'&') => return None,
            Some(byte) if !byte.is_ascii() => return None,
            _ => {}
        }
        let is = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
        self.before = Before::Other;
        if is(&["where", "set"]) {
            self.region = true;
            self.before = Before::Value;
        } else if is(&["values"]) {
            self.region = true;
            self.before = Before::Opens;
        } else if is(&["in"]) {
            self.before = Before::Opens;
        } else if is(&["and", "or", "not", "between"]) {
            self.before = Before::Value;
        } else if is(&[
            "select",
            "from",
            "group",
            "order",
            "having",
            "limit",
            "offset",
            "fetch",
            "returning",
            "on",
            "union",
            "intersect",
            "except",
            "with",
            "over",
            "window",
            "as",
            "using",
            "for",
            "join",
        ]) {
            self.region = false;
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let mut whole = true;
        while let Some(byte) = self.peek() {
            match byte {
                b'0'..=b'9' => {}
                b'.' => whole = false,
                b'e' | b'E' => {
                    whole = false;
                    if matches!(self.peek_at(1), Some(b'+' | b'-')) {
                        self.at += 1;
                    }
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => return None,
                _ => break,
            }
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let class = match whole {
            true if text.parse::<i32>().is_ok() => Class::Int4,
            true if text.parse::<i64>().is_ok() => Class::Int8,
            _ => Class::Numeric,
        };
        self.literal(start, class, Cow::Borrowed(text))
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at;
        self.at += 1;
        let mut doubled = false;
        loop {
            match self.peek()? {
                b'\'' if self.peek_at(1) == Some(b'\'') => {
                    doubled = true;
                    self.at += 2;
                }
                b'\'' => break,
                // Ends the text on the wire; never part of a value.
                0 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let inner = &self.text[start + 1..self.at - 1];
        let value = if doubled { Cow::Owned(inner.replace("''", "'")) } else { Cow::Borrowed(inner) };
        self.literal(start, Class::Unknown, value)
    }

    /// Lifts what was just read, if it may be.
    fn literal(&mut self, start: usize, class: Class, value: Cow<'t, str>) -> Option<()> {
        let position = match self.before {
            Before::Value => self.depth == 0 || self.in_list(),
            Before::List => self.in_list(),
            Before::Opens | Before::Other => false,
        };
        self.before = Before::Other;
        if self.region && position && self.ends_here() {
            if self.literals.len() == MAX_LITERALS {
                return None;
            }
            self.copy_to(start);
            self.literals.push(Literal { class, text: value });
            // A space, so that no sign or name before it can become part of it.
            self.key.push_str(" $");
            self.key.push_str(itoa(self.literals.len(), &mut [0; 4]));
            self.copied = self.at;
            return Some(());
        }
        // What stays is bound once: words that mean the time of binding must not.
        let clock = ["now", "today", "tomorrow", "yesterday"];
        let lower = value.to_ascii_lowercase();
        if class == Class::Unknown && clock.iter().any(|word| lower.contains(word)) { None } else { Some(()) }
    }

    /// Whether what follows leaves the literal what it is: no cast, no COLLATE, no unit.
    fn ends_here(&self) -> bool {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        match rest.as_bytes().first() {
            None => true,
            Some(
                b')' | b',' | b';' | b'=' | b'<' | b'>' | b'!' | b'+' | b'-' | b'*' | b'/' | b'%' | b'|',
            ) => true,
            Some(byte) if byte.is_ascii_alphabetic() => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                ["and", "or", "where", "from", "returning", "order", "group", "limit", "for", "on"]
                    .iter()
                    .any(|word| rest[..end].eq_ignore_ascii_case(word))
            }
            Some(_) => false,
        }
    }

    fn copy_to(&mut self, end: usize) {
        self.key.push_str(&self.text[self.copied..end]);
        self.copied = end;
    }
}

/// A small number's digits.
fn itoa(mut number: usize, digits: &mut [u8; 4]) -> &str {
    let mut at = digits.len();
    while number > 0 && at > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    std::str::from_utf8(&digits[at..]).expect("digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifted(text: &str) -> String {
        let (mut key, mut literals) = (String::new(), Vec::new());
        if !lift(text, &mut key, &mut literals) {
            return "declined".to_owned();
        }
        let values: Vec<_> = literals.iter().map(|l| l.text.as_ref()).collect();
        format!("{} [{}]", key.replace('\0', " / "), values.join("|"))
    }

    #[test]
    fn literals_are_lifted_from_value_positions_alone() {
        let cases = [
            ("select a from t where k = 5;", "select a from t where k =  $1; / i [5]"),
            ("select a from t where k = 10000000000", "select a from t where k =  $1 / l [10000000000]"),
            (
                "select a from t where k = 1.0 and s='it''s'",
                "select a from t where k =  $1 and s= $2 / nu [1.0|it's]",
            ),
            (
                "update t set a = a + -3, b = 'x' where k=1",
                "update t set a = a + - $1, b =  $2 where k= $3 / iui [3|x|1]",
            ),
            (
                "insert into t (a, b) values (1, -2), (3, now())",
                "insert into t (a, b) values ( $1, - $2), ( $3, now()) / iii [1|2|3]",
            ),
            (
                "delete from t where k in (1, 2) or k between 3 and 4",
                "delete from t where k in ( $1,  $2) or k between  $3 and  $4 / iiii [1|2|3|4]",
            ),
            // What decides names, types, orders and shapes stays.
            (
                "select 1, 'a' from t where k = 2 order by 1 limit 5",
                "select 1, 'a' from t where k =  $1 order by 1 limit 5 / i [2]",
            ),
            (
                "select a from t where a::numeric(10,2) = 3 group by 1",
                "select a from t where a::numeric(10,2) =  $1 group by 1 / i [3]",
            ),
            (
                "select a from t where d = date '2020-01-01'",
                "select a from t where d = date '2020-01-01' /  []",
            ),
            (
                "select a from t where d = '2020-01-01'::date",
                "select a from t where d = '2020-01-01'::date /  []",
            ),
            ("select a from t where f(1, 2) = 3", "select a from t where f(1, 2) =  $1 / i [3]"),
            ("select a from t where s = 'a' collate \"C\"", "declined"),
            ("select a from t where k = (select 1)", "select a from t where k = (select 1) /  []"),
            ("begin", "begin /  []"),
        ];
        for (text, expected) in cases {
            assert_eq!(lifted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_declined() {
        let cases = [
            "create table t (a int)",
            "select a from t where k = 5 -- comment",
            "select a from t where k = /* five */ 5",
            "select a from \"T\" where k = 5",
            "select a from t where s = e'a\\n'",
            "select a from t where k = $1",
            "select 1; select 2",
            "select a from t where k = 0x1f",
            "select 'now'::timestamp",
            "select a from t where x[1] = 2",
            "select a from t where s = 'open",
            "select a) from t where k = 1",
        ];
        for text in cases {
            assert_eq!(lifted(text), "declined", "{text}");
        }
    }
}
