//! SQL's patterns: `SIMILAR TO`, and `SUBSTRING ... SIMILAR`.

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

/// A SIMILAR TO pattern as a regular expression that matches the whole text. Two escaped double quotes cut it
/// in three: the middle is then a group, and what is before it takes as little as it can.
pub(super) fn similar(pattern: &str, escape: Option<&str>) -> SqlResult<String> {
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
    let mut separators = 0;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            _ if Some(c) == escape => match chars.next() {
                Some('"') if !in_brackets => {
                    separators += 1;
                    match separators {
                        1 => out.push_str("){1,1}?("),
                        2 => out.push_str("){1,1}(?:"),
                        _ => {
                            let message = "SQL regular expression may not contain more than two \
                                           escape-double-quote separators";
                            return Err(SqlError::new(SqlState::INVALID_USE_OF_ESCAPE_CHARACTER, message));
                        }
                    }
                }
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => {}
            },
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
