//! PostgreSQL's patterns, rewritten in the syntax of the crate `regex`.

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// The options of a pattern, from flags and from its own head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub(super) ignore_case: bool,
    /// `.` and bracket expressions do not match a line's end.
    pub(super) dot_stops: bool,
    /// `^` and `$` match at lines' ends.
    pub(super) lines: bool,
    pub(super) expanded: bool,
    pub(super) literal: bool,
    pub(super) global: bool,
}

#[cold]
pub(super) fn invalid(reason: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

pub(super) fn options(flags: &str, allow_global: bool) -> SqlResult<Options> {
    let mut out = Options::default();
    for flag in flags.chars() {
        match flag {
            'g' if allow_global => out.global = true,
            _ => option(&mut out, flag).ok_or_else(|| {
                let message = format!("invalid regular expression option: \"{flag}\"");
                SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
            })?,
        }
    }
    Ok(out)
}

fn option(out: &mut Options, flag: char) -> Option<()> {
    match flag {
        'i' => out.ignore_case = true,
        'c' => out.ignore_case = false,
        'n' | 'm' => (out.dot_stops, out.lines) = (true, true),
        's' => (out.dot_stops, out.lines) = (false, false),
        'p' => (out.dot_stops, out.lines) = (true, false),
        'w' => (out.dot_stops, out.lines) = (false, true),
        'x' => out.expanded = true,
        't' => out.expanded = false,
        'q' => out.literal = true,
        'e' | 'b' => out.literal = false,
        _ => return None,
    }
    Some(())
}

/// How far a match reaches, of those that begin where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// There is one way only, or the first that is tried is the one.
    First,
    /// To where the longest ends.
    Longest,
    /// To where the shortest ends.
    Shortest,
}

/// A pattern that the crate can compile.
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) options: Options,
    pub(super) reach: Reach,
}

/// A pattern with the options at its head taken off.
pub(super) fn translate(pattern: &str, mut options: Options) -> SqlResult<Translated> {
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix("***=") {
        (rest, options.literal) = (after, true);
    } else if let Some(after) = rest.strip_prefix("***:") {
        rest = after;
    }
    // Options at the head of the pattern: `(?i)`.
    if !options.literal
        && let Some(after) = rest.strip_prefix("(?")
        && let Some(end) = after.find(')')
        && !after[..end].is_empty()
        && after[..end].chars().all(|c| c.is_ascii_lowercase())
    {
        for flag in after[..end].chars() {
            option(&mut options, flag).ok_or_else(|| invalid("invalid embedded option"))?;
        }
        rest = &after[end + 1..];
    }
    if options.literal {
        return Ok(Translated { text: regex::escape(rest), options, reach: Reach::First });
    }
    let mut translator = Translator {
        chars: rest.chars().peekable(),
        out: String::with_capacity(rest.len() + 8),
        options,
        levels: vec![Level::default()],
        quantifiers: 0,
        choices: false,
    };
    translator.run()?;
    let reach = translator.reach(rest);
    Ok(Translated { text: translator.out, options, reach })
}

/// A group, or the whole pattern.
#[derive(Default)]
struct Level {
    /// Where its text begins in the output.
    start: usize,
    /// Whether it would rather match more (true) or less, as its first quantified part has it.
    preference: Option<bool>,
    /// Whether it has alternatives: such a one would rather match more.
    alternatives: bool,
}

impl Level {
    fn preference(&self) -> Option<bool> {
        if self.alternatives { Some(true) } else { self.preference }
    }
}

struct Translator<'p> {
    chars: Peekable<Chars<'p>>,
    out: String,
    options: Options,
    levels: Vec<Level>,
    quantifiers: usize,
    /// Whether there are alternatives, or quantifiers that would rather match less.
    choices: bool,
}

impl Translator<'_> {
    fn run(&mut self) -> SqlResult<()> {
        while let Some(c) = self.chars.next() {
            let start = self.out.len();
            match c {
                '\\' => self.escape()?,
                '[' => bracket(&mut self.chars, &mut self.out, self.options)?,
                '(' => {
                    self.open()?;
                    continue;
                }
                ')' => {
                    self.out.push(')');
                    if self.levels.len() > 1 {
                        let group = self.levels.pop().expect("there are two");
                        self.quantified(group.start, group.preference());
                    }
                    continue;
                }
                '|' => {
                    self.out.push('|');
                    self.choices = true;
                    self.level().alternatives = true;
                    continue;
                }
                // Not the start of a bound: a brace like any other character.
                '{' if !self.chars.peek().is_some_and(char::is_ascii_digit) => self.out.push_str("\\{"),
                '}' => self.out.push_str("\\}"),
                '^' if !self.options.lines => self.out.push_str("\\A"),
                '$' if !self.options.lines => self.out.push_str("\\z"),
                other => self.out.push(other),
            }
            self.quantified(start, None);
        }
        Ok(())
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the whole pattern is one")
    }

    fn escape(&mut self) -> SqlResult<()> {
        let out = &mut self.out;
        match self.chars.next() {
            None => return Err(invalid("invalid escape \\ sequence")),
            Some('y') => out.push_str("\\b"),
            Some('Y') => out.push_str("\\B"),
            Some('m') => out.push_str("\\b{start}"),
            Some('M') => out.push_str("\\b{end}"),
            Some('Z') => out.push_str("\\z"),
            Some('e') => out.push_str("\\x1B"),
            Some('B') => out.push_str("\\\\"),
            Some('0') => out.push_str("\\x00"),
            Some('1'..='9') => {
                return Err(SqlError::not_supported("a back reference in a regular expression"));
            }
            Some(other) if other.is_ascii_alphabetic() => {
                let _ = write!(out, "\\{other}");
            }
            Some(other) => push_literal(out, other),
        }
        Ok(())
    }

    /// A group; its parenthesis was read.
    fn open(&mut self) -> SqlResult<()> {
        let start = self.out.len();
        if self.chars.next_if_eq(&'?').is_none() {
            self.out.push('(');
        } else {
            match self.chars.peek() {
                Some(':') => self.out.push_str("(?"),
                Some('=' | '!' | '<') => {
                    return Err(SqlError::not_supported("lookaround in a regular expression"));
                }
                Some('#') => {
                    // A comment.
                    self.chars.by_ref().find(|c| *c == ')');
                    return Ok(());
                }
                _ => return Err(invalid("quantifier operand invalid")),
            }
            self.chars.next();
            self.out.push(':');
        }
        self.levels.push(Level { start, ..Level::default() });
        Ok(())
    }

    /// What may follow the part that begins at `start` in the output and has a preference of its own: a
    /// quantifier.
    fn quantified(&mut self, start: usize, own: Option<bool>) {
        let from = self.out.len();
        match self.chars.peek().copied() {
            Some(c @ ('*' | '+' | '?')) => {
                self.chars.next();
                self.out.push(c);
            }
            Some('{') if self.chars.clone().nth(1).is_some_and(|c| c.is_ascii_digit()) => {
                for c in self.chars.by_ref() {
                    self.out.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            _ => return self.prefer(own),
        }
        self.quantifiers += 1;
        // A fixed count leaves the choice to the part itself.
        let fixed = self.out[from..].starts_with('{') && !self.out[from..].contains(',');
        let lazy = self.chars.next_if_eq(&'?').is_some();
        if lazy {
            self.choices = true;
            if &self.out[from..] == "{1,1}" {
                // The one way to say of a part as a whole that it matches as little as it can.
                self.out.truncate(from);
                self.out.insert_str(start, "(?U:");
                self.out.push(')');
            } else {
                self.out.push('?');
            }
        }
        self.prefer(if fixed { own } else { Some(!lazy) });
    }

    fn prefer(&mut self, preference: Option<bool>) {
        let level = self.level();
        level.preference = level.preference.or(preference);
    }

    fn reach(&self, pattern: &str) -> Reach {
        let whole = &self.levels[0];
        // From the text's start to its end there is one way to reach.
        let anchored = !self.options.lines
            && !whole.alternatives
            && pattern.starts_with('^')
            && self.out.ends_with("\\z");
        if anchored || (!self.choices && self.quantifiers <= 1) {
            return Reach::First;
        }
        if whole.preference() == Some(false) { Reach::Shortest } else { Reach::Longest }
    }
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

/// A bracket expression; `[` was read.
fn bracket(chars: &mut Peekable<Chars<'_>>, out: &mut String, options: Options) -> SqlResult<()> {
    let unbalanced = || invalid("brackets [] not balanced");
    let rest: String = chars.clone().collect();
    for (word, becomes) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
        if rest.starts_with(word) {
            out.push_str(becomes);
            chars.nth(word.len() - 1);
            return Ok(());
        }
    }
    out.push('[');
    let negated = chars.next_if_eq(&'^').is_some();
    if negated {
        out.push('^');
        if options.dot_stops {
            out.push_str("\\n");
        }
    }
    let mut first = true;
    loop {
        match chars.next().ok_or_else(unbalanced)? {
            ']' if !first => break,
            '[' => match chars.peek() {
                Some(':') => {
                    let mut name = String::new();
                    loop {
                        let c = chars.next().ok_or_else(unbalanced)?;
                        name.push(c);
                        if name.len() > 1 && name.ends_with(':') && chars.next_if_eq(&']').is_some() {
                            break;
                        }
                    }
                    let _ = write!(out, "[{name}]");
                }
                Some('.' | '=') => {
                    // One character, written as a collating element or an equivalence class.
                    let mark = chars.next().ok_or_else(unbalanced)?;
                    let c = chars.next().ok_or_else(unbalanced)?;
                    if chars.next() != Some(mark) || chars.next() != Some(']') {
                        return Err(invalid("invalid collating element"));
                    }
                    push_literal(out, c);
                }
                _ => out.push_str("\\["),
            },
            '\\' => match chars.next().ok_or_else(unbalanced)? {
                c if c.is_ascii_alphabetic() => {
                    let _ = write!(out, "\\{c}");
                }
                c => push_literal(out, c),
            },
            '-' => out.push('-'),
            c @ (']' | '&' | '~' | '^') => {
                let _ = write!(out, "\\{c}");
            }
            c => out.push(c),
        }
        first = false;
    }
    out.push(']');
    Ok(())
}
