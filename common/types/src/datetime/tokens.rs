//! Cuts the text of a date, time or interval into fields, as PostgreSQL does: by what a field begins
//! with, and by the first punctuation inside it.

/// One field of a date, time or interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// Digits with `-`, `/` or `.` between them, or a word with punctuation: a date, or a zone's name.
    Date(&'a str),
    /// Digits with `:` between them.
    Time(&'a str),
    /// Digits, perhaps with one point.
    Number(&'a str),
    /// A sign and digits: an offset from UTC, or a signed number of an interval.
    Signed(&'a str),
    /// Letters.
    Word(&'a str),
    /// A sign and letters: `-infinity`.
    SignedWord(&'a str),
}

/// Fields that a text may have at most.
const MAX_FIELDS: usize = 25;

/// The text in fields, or nothing when it has none or has a character that belongs to no field.
/// `is_keyword` tells a word after which digits begin a field of their own, as in `T0405`.
pub(super) fn split<'a>(text: &'a str, is_keyword: impl Fn(&str) -> bool) -> Option<Vec<Field<'a>>> {
    let bytes = text.as_bytes();
    let mut fields = Vec::with_capacity(4);
    let mut at = 0;
    let run =
        |from: usize, of: &dyn Fn(u8) -> bool| from + bytes[from..].iter().take_while(|b| of(**b)).count();
    let digit = |b: u8| b.is_ascii_digit();
    while at < bytes.len() {
        let first = bytes[at];
        let start = at;
        let field = match first {
            b if b.is_ascii_whitespace() || b == 0x0b => {
                at += 1;
                continue;
            }
            b'0'..=b'9' => {
                at = run(at, &digit);
                match bytes.get(at) {
                    Some(b':') => {
                        at = run(at, &|b| digit(b) || matches!(b, b':' | b'.'));
                        Field::Time(&text[start..at])
                    }
                    Some(delimiter @ (b'-' | b'/' | b'.')) => {
                        let next_is_digit = bytes.get(at + 1).copied().is_some_and(digit);
                        if next_is_digit {
                            at = run(at + 1, &digit);
                            if bytes.get(at) == Some(delimiter) {
                                at = run(at, &|b| digit(b) || b == *delimiter);
                                Field::Date(&text[start..at])
                            } else if *delimiter == b'.' {
                                Field::Number(&text[start..at])
                            } else {
                                Field::Date(&text[start..at])
                            }
                        } else if *delimiter == b'.'
                            && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
                        {
                            at += 1;
                            Field::Number(&text[start..at])
                        } else {
                            at = run(at, &|b| b.is_ascii_alphanumeric() || b == *delimiter);
                            Field::Date(&text[start..at])
                        }
                    }
                    _ => Field::Number(&text[start..at]),
                }
            }
            b'.' => {
                at = run(at + 1, &digit);
                Field::Number(&text[start..at])
            }
            b if b.is_ascii_alphabetic() => {
                at = run(at, &|b| b.is_ascii_alphabetic());
                let joined = match bytes.get(at) {
                    Some(b'-' | b'/' | b'.') => true,
                    Some(b'+' | b'0'..=b'9') => !is_keyword(&text[start..at]),
                    _ => false,
                };
                if joined {
                    at = run(at, &|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
                    });
                    Field::Date(&text[start..at])
                } else {
                    Field::Word(&text[start..at])
                }
            }
            b'+' | b'-' => {
                let after = run(at + 1, &|b| b.is_ascii_whitespace());
                match bytes.get(after) {
                    Some(b) if b.is_ascii_digit() || *b == b'.' => {
                        at = run(after, &|b| digit(b) || matches!(b, b':' | b'.' | b'-'));
                        Field::Signed(&text[start..at])
                    }
                    Some(b) if b.is_ascii_alphabetic() => {
                        at = run(after, &|b| b.is_ascii_alphabetic());
                        Field::SignedWord(&text[start..at])
                    }
                    _ => return None,
                }
            }
            b if b.is_ascii_punctuation() => {
                at += 1;
                continue;
            }
            _ => return None,
        };
        if fields.len() == MAX_FIELDS {
            return None;
        }
        fields.push(field);
    }
    Some(fields)
}
