//! Values as text: what a literal means, and what a client reads.

use crate::{Datum, PgType, Settings, ValueError};
use bytes::BufMut;

/// The value that a text means as a value of `ty`, its modifier applied as an assignment would.
pub fn input(text: &str, ty: PgType, settings: &Settings) -> Result<Datum, ValueError> {
    let _ = (text, settings);
    Err(ValueError::not_supported(format!("text input of type {ty}")))
}

/// Appends the text of a value of `ty`; nothing for null, which the caller marks in its own way.
pub fn output(datum: &Datum, ty: PgType, settings: &Settings, out: &mut impl BufMut) {
    let _ = (datum, ty, settings, out);
}

/// The text of a value as a string; `None` for null.
pub fn output_string(datum: &Datum, ty: PgType, settings: &Settings) -> Option<String> {
    if datum.is_null() {
        return None;
    }
    let mut out = Vec::new();
    output(datum, ty, settings, &mut out);
    Some(String::from_utf8(out).expect("every type writes UTF-8"))
}
