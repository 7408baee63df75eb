//! Regular expressions: PostgreSQL's advanced ones, translated for the crate `regex`.
//!
//! That crate never backtracks, so time is linear in the text. What it cannot do, and so is 0A000: back
//! references and lookaround. It prefers the first alternative that matches where PostgreSQL prefers the
//! longest match; whether there is a match is the same.

use super::args::{body, wrong_arguments};
use super::call::{Call, ScalarFunction, strict};
use crate::{SqlError, SqlResult};
use regex::{Captures, Regex, RegexBuilder};
use shardforge_types::{Datum, SqlState, oids};
use std::cell::RefCell;
use std::fmt::Write;

/// Compiled patterns that a thread keeps.
const KEPT: usize = 32;

/// The options of a pattern, from flags and from its own head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Options {
    ignore_case: bool,
    /// `.` and bracket expressions do not match a line's end.
    dot_stops: bool,
    /// `^` and `$` match at lines' ends.
    lines: bool,
    expanded: bool,
    literal: bool,
    global: bool,
}

thread_local! {
    static CACHE: RefCell<Vec<(String, Options, Regex)>> = const { RefCell::new(Vec::new()) };
}

#[cold]
fn invalid(reason: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

fn options(flags: &str, allow_global: bool) -> SqlResult<Options> {
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

/// Runs with the compiled pattern.
fn with_regex<T>(pattern: &str, mut options: Options, run: impl FnOnce(&Regex) -> T) -> SqlResult<T> {
    options.global = false;
    CACHE.with_borrow_mut(|cache| {
        let at = match cache.iter().position(|(text, o, _)| text == pattern && *o == options) {
            Some(at) => at,
            None => {
                if cache.len() == KEPT {
                    cache.remove(0);
                }
                cache.push((pattern.to_owned(), options, compile(pattern, options)?));
                cache.len() - 1
            }
        };
        Ok(run(&cache[at].2))
    })
}

fn compile(pattern: &str, mut options: Options) -> SqlResult<Regex> {
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
    let text = if options.literal { regex::escape(rest) } else { translate(rest, options)? };
    RegexBuilder::new(&text)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.dot_stops)
        .multi_line(options.lines)
        .ignore_whitespace(options.expanded)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
            other => invalid(&reason(&other.to_string())),
        })
}

/// The reason in a message of several lines.
fn reason(message: &str) -> String {
    message.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("syntax error").to_owned()
}

/// A PostgreSQL pattern in the syntax of the crate.
fn translate(pattern: &str, options: Options) -> SqlResult<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
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
                Some(other) => push_literal(&mut out, other),
            },
            '[' => bracket(&mut chars, &mut out, options)?,
            '(' if chars.peek() == Some(&'?') => {
                chars.next();
                match chars.peek() {
                    Some(':') => out.push_str("(?"),
                    Some('=' | '!' | '<') => {
                        return Err(SqlError::not_supported("lookaround in a regular expression"));
                    }
                    Some('#') => {
                        // A comment.
                        for c in chars.by_ref() {
                            if c == ')' {
                                break;
                            }
                        }
                    }
                    _ => return Err(invalid("quantifier operand invalid")),
                }
            }
            // Not the start of a bound: a brace like any other character.
            '{' if !chars.peek().is_some_and(char::is_ascii_digit) => out.push_str("\\{"),
            '}' if !out_in_bound(&out) => out.push_str("\\}"),
            '^' if !options.lines => out.push_str("\\A"),
            '$' if !options.lines => out.push_str("\\z"),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Whether a closing brace would end a bound.
fn out_in_bound(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| {
        !out[..at].ends_with('\\') && out[at + 1..].chars().all(|c| c.is_ascii_digit() || c == ',')
    })
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

/// A bracket expression; `[` was read.
fn bracket(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
    options: Options,
) -> SqlResult<()> {
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

fn is_match(text: &str, pattern: &str, ignore_case: bool) -> SqlResult<bool> {
    with_regex(pattern, Options { ignore_case, ..Options::default() }, |regex| regex.is_match(text))
}

/// The groups of a match, or the whole when there are none.
fn groups(found: &Captures<'_>) -> Datum {
    let group = |n: usize| found.get(n).map_or(Datum::Null, |m| Datum::text(m.as_str()));
    let values = if found.len() > 1 { (1..found.len()).map(group).collect() } else { vec![group(0)] };
    Datum::array(oids::TEXT, values)
}

/// `regexp_matches`: the groups of the first match, or of all with `g`.
pub(super) fn matches(text: &str, pattern: &str, flags: &str) -> SqlResult<Vec<Datum>> {
    let options = options(flags, true)?;
    with_regex(pattern, options, |regex| {
        let limit = if options.global { usize::MAX } else { 1 };
        regex.captures_iter(text).take(limit).map(|found| groups(&found)).collect()
    })
}

fn first_match(text: &str, pattern: &str, flags: &str) -> SqlResult<Datum> {
    if flags.contains('g') {
        let message = "regexp_match() does not support the \"global\" option";
        let hint = "Use the regexp_matches function instead.";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).hint(hint));
    }
    Ok(matches(text, pattern, flags)?.into_iter().next().unwrap_or(Datum::Null))
}

/// `regexp_split_to_...`: an empty match at the start, the end, or right after a match splits nothing.
pub(super) fn split(text: &str, pattern: &str, flags: &str) -> SqlResult<Vec<Datum>> {
    with_regex(pattern, options(flags, false)?, |regex| {
        let mut parts = Vec::new();
        let mut start = 0;
        for found in regex.find_iter(text) {
            if found.is_empty() && (found.start() == start || found.start() == text.len()) {
                continue;
            }
            parts.push(Datum::text(&text[start..found.start()]));
            start = found.end();
        }
        parts.push(Datum::text(&text[start..]));
        parts
    })
}

/// The first group of the first match, or the whole of it: `substring(text from pattern)`.
fn substring(text: &str, pattern: &str) -> SqlResult<Option<String>> {
    with_regex(pattern, Options::default(), |regex| {
        let found = regex.captures(text)?;
        let group = if found.len() > 1 { found.get(1) } else { found.get(0) };
        group.map(|m| m.as_str().to_owned())
    })
}

/// A replacement, in which `\1` is a group, `\&` the match and `\\` a backslash.
fn expand(replacement: &str, found: &Captures<'_>, out: &mut String) {
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(&found[0]),
            Some(digit @ '1'..='9') => {
                let n = digit as usize - '0' as usize;
                out.push_str(found.get(n).map_or("", |m| m.as_str()));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// Replaces match `nth` (0 is all) from a character on.
fn replace_from(
    text: &str,
    pattern: &str,
    replacement: &str,
    options: Options,
    start: i32,
    nth: i32,
) -> SqlResult<String> {
    let from = start_offset(text, start)?;
    if nth < 0 {
        return Err(bad_parameter("n", nth));
    }
    with_regex(pattern, options, |regex| {
        let mut out = text[..from].to_owned();
        let mut at = from;
        for (n, found) in regex.captures_iter(&text[from..]).enumerate() {
            if nth > 0 && n + 1 != nth as usize {
                continue;
            }
            let whole = found.get(0).expect("a match has a whole");
            out.push_str(&text[at..from + whole.start()]);
            expand(replacement, &found, &mut out);
            at = from + whole.end();
            if nth > 0 {
                break;
            }
        }
        out.push_str(&text[at..]);
        out
    })
}

#[cold]
fn bad_parameter(name: &str, value: i32) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": {value}"),
    )
}

fn start_offset(text: &str, start: i32) -> SqlResult<usize> {
    match usize::try_from(start) {
        Ok(start) if start > 0 => Ok(super::text::char_offset(text, start - 1)),
        _ => Err(bad_parameter("start", start)),
    }
}

fn replace(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let [Datum::Text(text), Datum::Text(pattern), Datum::Text(new), rest @ ..] = args else {
        return Err(wrong_arguments(args));
    };
    let out = match rest {
        [] => replace_from(text, pattern, new, Options::default(), 1, 1)?,
        [Datum::Text(flags)] => {
            // A number here is what callers of the form with a start meant.
            let options = options(flags, true)?;
            replace_from(text, pattern, new, options, 1, if options.global { 0 } else { 1 })?
        }
        [Datum::Int4(start)] => replace_from(text, pattern, new, Options::default(), *start, 1)?,
        [Datum::Int4(start), Datum::Int4(n)] => {
            replace_from(text, pattern, new, Options::default(), *start, *n)?
        }
        [Datum::Int4(start), Datum::Int4(n), Datum::Text(flags)] => {
            replace_from(text, pattern, new, options(flags, true)?, *start, *n)?
        }
        _ => return Err(wrong_arguments(args)),
    };
    Ok(Datum::text(out))
}

fn count(text: &str, pattern: &str, start: i32, flags: &str) -> SqlResult<i32> {
    let from = start_offset(text, start)?;
    with_regex(pattern, options(flags, false)?, |regex| regex.find_iter(&text[from..]).count() as i32)
}

/// Match `nth` from a character on, or a group of it, with the offset of its start.
fn nth_match(
    text: &str,
    pattern: &str,
    start: i32,
    nth: i32,
    flags: &str,
    group: i32,
) -> SqlResult<Option<(usize, usize)>> {
    let from = start_offset(text, start)?;
    let at =
        usize::try_from(nth).ok().and_then(|n| n.checked_sub(1)).ok_or_else(|| bad_parameter("n", nth))?;
    let group = usize::try_from(group).map_err(|_| bad_parameter("subexpr", group))?;
    with_regex(pattern, options(flags, false)?, |regex| {
        let found = regex.captures_iter(&text[from..]).nth(at)?;
        found.get(group).map(|m| (from + m.start(), from + m.end()))
    })
}

fn substr(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let (Some(text), Some(pattern)) =
        (args.first().and_then(Datum::as_str), args.get(1).and_then(Datum::as_str))
    else {
        return Err(wrong_arguments(args));
    };
    let int = |n: usize, default: i32| match args.get(n) {
        Some(Datum::Int4(value)) => *value,
        _ => default,
    };
    let flags = args.get(4).and_then(Datum::as_str).unwrap_or("");
    let found = nth_match(text, pattern, int(2, 1), int(3, 1), flags, int(5, 0))?;
    Ok(found.map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end])))
}

fn instr(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let (Some(text), Some(pattern)) =
        (args.first().and_then(Datum::as_str), args.get(1).and_then(Datum::as_str))
    else {
        return Err(wrong_arguments(args));
    };
    let int = |n: usize, default: i32| match args.get(n) {
        Some(Datum::Int4(value)) => *value,
        _ => default,
    };
    let flags = args.get(5).and_then(Datum::as_str).unwrap_or("");
    let end_option = int(4, 0);
    if !(0..=1).contains(&end_option) {
        return Err(bad_parameter("endoption", end_option));
    }
    let found = nth_match(text, pattern, int(2, 1), int(3, 1), flags, int(6, 0))?;
    let offset = found.map(|(start, end)| if end_option == 1 { end } else { start });
    Ok(Datum::Int4(offset.map_or(0, |offset| text[..offset].chars().count() as i32 + 1)))
}

/// A SIMILAR TO pattern as a regular expression that matches the whole text.
fn similar(pattern: &str, escape: Option<&str>) -> SqlResult<String> {
    let escape = match escape.map(|escape| (escape.chars().next(), escape.chars().count())) {
        None => Some('\\'),
        Some((first, 0 | 1)) => first,
        Some(_) => {
            return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .hint("Escape string must be empty or one character."));
        }
    };
    let mut out = String::from("^(?:");
    let mut in_brackets = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            _ if Some(c) == escape => {
                if let Some(next) = chars.next() {
                    out.push('\\');
                    out.push(next);
                }
            }
            _ if in_brackets => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
                in_brackets = c != ']';
            }
            '[' => {
                out.push('[');
                in_brackets = true;
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(1254, "textregexeq", body!(|a: &str, p: &str| is_match(a, p, false))),
    strict(79, "nameregexeq", body!(|a: &str, p: &str| is_match(a, p, false))),
    strict(1658, "bpcharregexeq", body!(|a: &str, p: &str| is_match(a, p, false))),
    strict(1256, "textregexne", body!(|a: &str, p: &str| !is_match(a, p, false)?)),
    strict(1252, "nameregexne", body!(|a: &str, p: &str| !is_match(a, p, false)?)),
    strict(1659, "bpcharregexne", body!(|a: &str, p: &str| !is_match(a, p, false)?)),
    strict(1238, "texticregexeq", body!(|a: &str, p: &str| is_match(a, p, true))),
    strict(1240, "nameicregexeq", body!(|a: &str, p: &str| is_match(a, p, true))),
    strict(1656, "bpcharicregexeq", body!(|a: &str, p: &str| is_match(a, p, true))),
    strict(1239, "texticregexne", body!(|a: &str, p: &str| !is_match(a, p, true)?)),
    strict(1241, "nameicregexne", body!(|a: &str, p: &str| !is_match(a, p, true)?)),
    strict(1657, "bpcharicregexne", body!(|a: &str, p: &str| !is_match(a, p, true)?)),
    strict(2073, "substring", body!(|a: &str, p: &str| substring(a, p)?)),
    strict(
        1623,
        "similar_escape",
        body!(|p: Option<&str>, e: Option<&str>| p.map(|p| similar(p, e)).transpose()?),
    )
    .non_strict(),
    strict(1986, "similar_to_escape", body!(|p: &str, e: &str| similar(p, Some(e)))),
    strict(1987, "similar_to_escape", body!(|p: &str| similar(p, None))),
    strict(2284, "regexp_replace", replace),
    strict(2285, "regexp_replace", replace),
    strict(6251, "regexp_replace", replace),
    strict(6252, "regexp_replace", replace),
    strict(6253, "regexp_replace", replace),
    strict(3396, "regexp_match", body!(|a: &str, p: &str| first_match(a, p, ""))),
    strict(3397, "regexp_match", body!(|a: &str, p: &str, flags: &str| first_match(a, p, flags))),
    strict(
        2767,
        "regexp_split_to_array",
        body!(|a: &str, p: &str| Datum::array(oids::TEXT, split(a, p, "")?)),
    ),
    strict(
        2768,
        "regexp_split_to_array",
        body!(|a: &str, p: &str, f: &str| Datum::array(oids::TEXT, split(a, p, f)?)),
    ),
    strict(6254, "regexp_count", body!(|a: &str, p: &str| count(a, p, 1, ""))),
    strict(6255, "regexp_count", body!(|a: &str, p: &str, start: i32| count(a, p, start, ""))),
    strict(
        6256,
        "regexp_count",
        body!(|a: &str, p: &str, start: i32, flags: &str| count(a, p, start, flags)),
    ),
    strict(6257, "regexp_instr", instr),
    strict(6258, "regexp_instr", instr),
    strict(6259, "regexp_instr", instr),
    strict(6260, "regexp_instr", instr),
    strict(6261, "regexp_instr", instr),
    strict(6262, "regexp_instr", instr),
    strict(6263, "regexp_like", body!(|a: &str, p: &str| is_match(a, p, false))),
    strict(
        6264,
        "regexp_like",
        body!(|a: &str, p: &str, flags: &str| {
            with_regex(p, options(flags, false)?, |regex| regex.is_match(a))
        }),
    ),
    strict(6265, "regexp_substr", substr),
    strict(6266, "regexp_substr", substr),
    strict(6267, "regexp_substr", substr),
    strict(6268, "regexp_substr", substr),
    strict(6269, "regexp_substr", substr),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_postgresql() {
        for (text, pattern, expected) in [
            ("foobar", "^foo", true),
            ("a\nb", "a.b", true),
            ("a\nb", "^b", false),
            ("one two", "\\mtwo\\M", true),
            ("a{b", "a{b", true),
            ("aaa", "^a{2,3}$", true),
            ("x]y", "[]x]", true),
            ("a&&b", "[&]", true),
            ("ABC", "(?i)abc", true),
            ("a.c", "***=a.c", true),
            ("abc", "***=a.c", false),
            ("pg_class", "^(pg_class)$", true),
            ("tab\tx", "[[:space:]]x", true),
            ("5", "\\d", true),
        ] {
            assert_eq!(is_match(text, pattern, false).unwrap(), expected, "{text:?} ~ {pattern:?}");
        }
        assert!(is_match("a", "(", false).is_err());
        assert!(is_match("aa", "(a)\\1", false).is_err());
    }

    #[test]
    fn replace_split_and_similar() {
        let text = |s: &str| Datum::text(s);
        let context = crate::functions::EvalContext::detached(0);
        let call = Call { context: &context, arg_types: &[], result: shardforge_types::PgType::TEXT };
        let run = |args: &[Datum]| replace(args, &call).unwrap().as_str().unwrap().to_owned();
        assert_eq!(run(&[text("foobarbaz"), text("b.."), text("X")]), "fooXbaz");
        assert_eq!(run(&[text("foobarbaz"), text("b.."), text("X"), text("g")]), "fooXX");
        assert_eq!(run(&[text("foobarbaz"), text("b(..)"), text("X\\1Y"), text("g")]), "fooXarYXazY");
        let parts = split("the quick  fox", "\\s+", "").unwrap();
        assert_eq!(parts.iter().filter_map(Datum::as_str).collect::<Vec<_>>(), ["the", "quick", "fox"]);
        assert_eq!(split("abc", "\\s*", "").unwrap().len(), 3);
        assert!(is_match("abc", &similar("a%", None).unwrap(), false).unwrap());
        assert!(!is_match("abc", &similar("(b|c)%", None).unwrap(), false).unwrap());
    }
}
