//! Regular expressions: PostgreSQL's advanced ones, translated for the crate `regex`.
//!
//! That crate never backtracks, so time is linear in the text. What it cannot do, and so is 0A000: back
//! references and lookaround.
//!
//! 1. `pattern` rewrites a pattern, and finds out whether the whole prefers the longest match or the shortest.
//! 2. `matcher` finds matches by it: where PostgreSQL begins them, as far as PostgreSQL takes them. What its
//!    groups span is what the crate's order of trying gives for that match.
//! 3. `similar` makes a pattern of `SIMILAR TO`'s.

mod matcher;
mod pattern;
mod similar;

use super::args::{body, wrong_arguments};
use super::call::{Call, ScalarFunction, strict};
use crate::{SqlError, SqlResult};
use matcher::{Matcher, Span};
use pattern::{Options, options};
use shardforge_types::{Datum, SqlState, oids};
use similar::similar;
use std::cell::RefCell;

/// Compiled patterns that a thread keeps.
const KEPT: usize = 32;

thread_local! {
    static CACHE: RefCell<Vec<(String, Options, Matcher)>> = const { RefCell::new(Vec::new()) };
}

/// Runs with the compiled pattern.
fn with_matcher<T>(pattern: &str, mut options: Options, run: impl FnOnce(&mut Matcher) -> T) -> SqlResult<T> {
    options.global = false;
    CACHE.with_borrow_mut(|cache| {
        let at = match cache.iter().position(|(text, o, _)| text == pattern && *o == options) {
            Some(at) => at,
            None => {
                if cache.len() == KEPT {
                    cache.remove(0);
                }
                cache.push((pattern.to_owned(), options, Matcher::new(pattern, options)?));
                cache.len() - 1
            }
        };
        Ok(run(&mut cache[at].2))
    })
}

fn is_match(text: &str, pattern: &str, ignore_case: bool) -> SqlResult<bool> {
    with_matcher(pattern, Options { ignore_case, ..Options::default() }, |matcher| matcher.is_match(text))
}

/// The groups of a match, or the whole when there are none.
fn groups(text: &str, found: &[Option<Span>]) -> Datum {
    let found = if found.len() > 1 { &found[1..] } else { found };
    let group = |span: &Option<Span>| span.map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end]));
    Datum::array(oids::TEXT, found.iter().map(group).collect())
}

/// `regexp_matches`: the groups of the first match, or of all with `g`.
pub(super) fn matches(text: &str, pattern: &str, flags: &str) -> SqlResult<Vec<Datum>> {
    let options = options(flags, true)?;
    with_matcher(pattern, options, |matcher| {
        let mut out = Vec::new();
        matcher.each(text, 0, |_, found| {
            out.push(groups(text, found));
            options.global
        });
        out
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
    with_matcher(pattern, options(flags, false)?, |matcher| {
        let mut parts = Vec::new();
        let (mut from, mut last_end) = (0, 0);
        matcher.each(text, 0, |(start, end), _| {
            if start < text.len() && end > last_end {
                parts.push(Datum::text(&text[from..start]));
                from = end;
            }
            last_end = end;
            true
        });
        parts.push(Datum::text(&text[from..]));
        parts
    })
}

/// The first group of the first match, or the whole of it: `substring(text from pattern)`.
fn substring(text: &str, pattern: &str) -> SqlResult<Option<String>> {
    with_matcher(pattern, Options::default(), |matcher| {
        let found = matcher.find_at(text, 0)?;
        let (start, end) = found[usize::from(found.len() > 1)]?;
        Some(text[start..end].to_owned())
    })
}

/// A replacement, in which `\1` is a group, `\&` the match and `\\` a backslash.
fn expand(replacement: &str, text: &str, found: &[Option<Span>], out: &mut String) {
    let mut chars = replacement.chars();
    let group = |n: usize| found.get(n).copied().flatten().map_or("", |(start, end)| &text[start..end]);
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(group(0)),
            Some(digit @ '1'..='9') => out.push_str(group(digit as usize - '0' as usize)),
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
    with_matcher(pattern, options, |matcher| {
        let mut out = String::with_capacity(text.len());
        let (mut at, mut n) = (0, 0);
        matcher.each(text, from, |(start, end), found| {
            n += 1;
            if nth > 0 && n != nth {
                return true;
            }
            out.push_str(&text[at..start]);
            expand(replacement, text, found, &mut out);
            at = end;
            nth == 0
        });
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

/// The byte that a character's number means; one past the end for any number beyond it, where no match begins.
fn start_offset(text: &str, start: i32) -> SqlResult<usize> {
    let skip = usize::try_from(start).ok().and_then(|start| start.checked_sub(1));
    let skip = skip.ok_or_else(|| bad_parameter("start", start))?;
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    Ok(starts.nth(skip).unwrap_or(text.len() + 1))
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
    with_matcher(pattern, options(flags, false)?, |matcher| {
        let mut count = 0;
        matcher.each(text, from, |_, _| {
            count += 1;
            true
        });
        count
    })
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
    if nth < 1 {
        return Err(bad_parameter("n", nth));
    }
    let group = usize::try_from(group).map_err(|_| bad_parameter("subexpr", group))?;
    with_matcher(pattern, options(flags, false)?, |matcher| {
        let (mut n, mut out) = (0, None);
        matcher.each(text, from, |_, found| {
            n += 1;
            if n == nth {
                out = found.get(group).copied().flatten();
            }
            n < nth
        });
        out
    })
}

/// The first two arguments.
fn text_and_pattern(args: &[Datum]) -> SqlResult<(&str, &str)> {
    match (args.first().and_then(Datum::as_str), args.get(1).and_then(Datum::as_str)) {
        (Some(text), Some(pattern)) => Ok((text, pattern)),
        _ => Err(wrong_arguments(args)),
    }
}

/// An integer argument that may be left out.
fn int_or(args: &[Datum], n: usize, default: i32) -> i32 {
    match args.get(n) {
        Some(Datum::Int4(value)) => *value,
        _ => default,
    }
}

fn substr(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let (text, pattern) = text_and_pattern(args)?;
    let int = |n, default| int_or(args, n, default);
    let flags = args.get(4).and_then(Datum::as_str).unwrap_or("");
    let found = nth_match(text, pattern, int(2, 1), int(3, 1), flags, int(5, 0))?;
    Ok(found.map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end])))
}

fn instr(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let (text, pattern) = text_and_pattern(args)?;
    let int = |n, default| int_or(args, n, default);
    let flags = args.get(5).and_then(Datum::as_str).unwrap_or("");
    let end_option = int(4, 0);
    if !(0..=1).contains(&end_option) {
        return Err(bad_parameter("endoption", end_option));
    }
    let found = nth_match(text, pattern, int(2, 1), int(3, 1), flags, int(6, 0))?;
    let offset = found.map(|(start, end)| if end_option == 1 { end } else { start });
    Ok(Datum::Int4(offset.map_or(0, |offset| text[..offset].chars().count() as i32 + 1)))
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
    strict(2074, "substring", body!(|a: &str, p: &str, e: &str| substring(a, &similar(p, Some(e))?)?)),
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
            with_matcher(p, options(flags, false)?, |matcher| matcher.is_match(a))
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
