//! `LIKE` and `ILIKE`.

use super::args::body;
use super::call::{ScalarFunction, strict};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::SqlState;

#[cold]
fn ends_with_escape() -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// Whether bytes match a pattern in which `%` is any string, `_` one character (one byte when `text` is
/// false) and `\` takes the next one as it is.
///
/// Backtracks only to the last `%`: what matched before it cannot match better another way.
fn matches(subject: &[u8], pattern: &[u8], text: bool) -> SqlResult<bool> {
    let (mut s, mut p) = (0, 0);
    // Where the last `%` ended in the pattern, and where in the subject it was last tried.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None if s == subject.len() => return Ok(true),
            None => false,
            Some(b'%') => {
                p += 1;
                retry = Some((p, s));
                continue;
            }
            Some(b'_') if s < subject.len() => {
                s += if text { char_len(subject[s]) } else { 1 };
                p += 1;
                true
            }
            Some(b'_') => false,
            Some(b'\\') => match pattern.get(p + 1) {
                None => return Err(ends_with_escape()),
                Some(literal) if subject.get(s) == Some(literal) => {
                    s += 1;
                    p += 2;
                    true
                }
                Some(_) => false,
            },
            Some(literal) if subject.get(s) == Some(literal) => {
                s += 1;
                p += 1;
                true
            }
            Some(_) => false,
        };
        if step {
            continue;
        }
        match retry {
            Some((after, from)) if from < subject.len() => {
                let from = from + if text { char_len(subject[from]) } else { 1 };
                retry = Some((after, from));
                (p, s) = (after, from);
            }
            _ => return Ok(false),
        }
    }
}

/// The length of the UTF-8 character that starts with this byte.
fn char_len(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// `text LIKE pattern`.
pub(crate) fn like(subject: &str, pattern: &str) -> SqlResult<bool> {
    matches(subject.as_bytes(), pattern.as_bytes(), true)
}

fn ilike(subject: &str, pattern: &str) -> SqlResult<bool> {
    like(&super::text::lower(subject), &super::text::lower(pattern))
}

/// `pattern` with `escape` in the place of the backslash; an empty one means that there is none.
fn like_escape(pattern: &str, escape: &str) -> SqlResult<String> {
    let mut chars = escape.chars();
    let (escape, more) = (chars.next(), chars.next());
    if more.is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if Some(c) == escape && !escaped && c != '\\' => {
                out.push('\\');
                escaped = true;
                continue;
            }
            '\\' if escape == Some('\\') => out.push('\\'),
            '\\' if !escaped => out.push_str("\\\\"),
            _ => out.push(c),
        }
        escaped = false;
    }
    Ok(out)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(850, "textlike", body!(|a: &str, p: &str| like(a, p))),
    strict(1569, "like", body!(|a: &str, p: &str| like(a, p))),
    strict(858, "namelike", body!(|a: &str, p: &str| like(a, p))),
    strict(1571, "like", body!(|a: &str, p: &str| like(a, p))),
    strict(1631, "bpcharlike", body!(|a: &str, p: &str| like(a, p))),
    strict(851, "textnlike", body!(|a: &str, p: &str| !like(a, p)?)),
    strict(1570, "notlike", body!(|a: &str, p: &str| !like(a, p)?)),
    strict(859, "namenlike", body!(|a: &str, p: &str| !like(a, p)?)),
    strict(1572, "notlike", body!(|a: &str, p: &str| !like(a, p)?)),
    strict(1632, "bpcharnlike", body!(|a: &str, p: &str| !like(a, p)?)),
    strict(1633, "texticlike", body!(|a: &str, p: &str| ilike(a, p))),
    strict(1635, "nameiclike", body!(|a: &str, p: &str| ilike(a, p))),
    strict(1660, "bpchariclike", body!(|a: &str, p: &str| ilike(a, p))),
    strict(1634, "texticnlike", body!(|a: &str, p: &str| !ilike(a, p)?)),
    strict(1636, "nameicnlike", body!(|a: &str, p: &str| !ilike(a, p)?)),
    strict(1661, "bpcharicnlike", body!(|a: &str, p: &str| !ilike(a, p)?)),
    strict(2005, "bytealike", body!(|a: &Bytes, p: &Bytes| matches(a, p, false))),
    strict(2007, "like", body!(|a: &Bytes, p: &Bytes| matches(a, p, false))),
    strict(2006, "byteanlike", body!(|a: &Bytes, p: &Bytes| !matches(a, p, false)?)),
    strict(2008, "notlike", body!(|a: &Bytes, p: &Bytes| !matches(a, p, false)?)),
    strict(1637, "like_escape", body!(|p: &str, escape: &str| like_escape(p, escape))),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_postgresql_does() {
        for (subject, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "_b_", true),
            ("abc", "_c", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%X_", true),
            ("héllo", "h_llo", true),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("aaab", "%aab", true),
            ("a\\b", "a\\\\b", true),
        ] {
            assert_eq!(like(subject, pattern).unwrap(), expected, "{subject} LIKE {pattern}");
        }
        assert!(like("a", "a\\").is_err());
        assert!(like("a", "%\\").is_err());
    }

    #[test]
    fn escape_takes_another_character() {
        assert_eq!(like_escape("a#%b\\", "#").unwrap(), "a\\%b\\\\");
        assert_eq!(like_escape("##", "#").unwrap(), "\\#");
        assert_eq!(like_escape("a\\%", "").unwrap(), "a\\\\%");
    }
}
