//! Composite values: `(1,"a b",)`.

use super::is_space;
use crate::{RecordField, Settings};

pub(super) fn text(fields: &[RecordField], settings: &Settings) -> Vec<u8> {
    let mut out = vec![b'('];
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let Some(text) = super::output_string(&field.value, field.ty, settings) else { continue };
        let quoted = text.is_empty()
            || text.contains(|c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_space(c));
        if !quoted {
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(byte);
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b')');
    out
}
