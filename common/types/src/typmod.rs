//! Type modifiers: what `numeric(10,2)`, `varchar(5)`, `char(5)` and `timestamp(3)` do to a value.

use crate::{Datum, PgType, Text, ValueError};

/// Why a value meets a modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coercion {
    /// It is stored into a column: text that is too long is refused.
    Assignment,
    /// A cast was written: text that is too long is cut.
    Explicit,
}

/// The value as the modifier of `ty` wants it. The value already has the type.
pub fn coerce(datum: Datum, ty: PgType, how: Coercion) -> Result<Datum, ValueError> {
    let _ = how;
    if ty.typmod < 0 { Ok(datum) } else { Err(ValueError::not_supported(format!("modifier of {ty}"))) }
}

/// The text filled with blanks to `len` characters; longer text is left as it is.
pub(crate) fn pad(text: &str, len: usize) -> Text {
    let missing = len.saturating_sub(text.chars().count());
    if missing == 0 {
        return Text::new(text);
    }
    let mut padded = String::with_capacity(text.len() + missing);
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(' ', missing));
    Text::from(padded)
}
