//! From fields to a line.

use crate::sql::bound::CopyFormat;

/// Appends one row with its line end; `None` is null.
pub fn write_row(fields: &[Option<&[u8]>], format: &CopyFormat, out: &mut Vec<u8>) {
    let alone = fields.len() == 1;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(format.delimiter);
        }
        match field {
            None => out.extend_from_slice(format.null.as_bytes()),
            Some(field) if format.csv => {
                csv_field(field, format.force_quote.contains(&index), alone, format, out)
            }
            Some(field) => text_field(field, format.delimiter, out),
        }
    }
    out.push(b'\n');
}

fn text_field(field: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for byte in field {
        let escaped = match byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            b'\\' => b'\\',
            byte if *byte == delimiter => *byte,
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.push(b'\\');
        out.push(escaped);
    }
}

/// Quoted when it would be read differently otherwise. `\.` alone on a line is the end mark.
fn csv_field(field: &[u8], force: bool, alone: bool, format: &CopyFormat, out: &mut Vec<u8>) {
    let special =
        |byte: &u8| *byte == format.delimiter || *byte == format.quote || *byte == b'\n' || *byte == b'\r';
    let quote =
        force || field == format.null.as_bytes() || (alone && field == b"\\.") || field.iter().any(special);
    if !quote {
        out.extend_from_slice(field);
        return;
    }
    out.push(format.quote);
    for byte in field {
        if *byte == format.quote || *byte == format.escape {
            out.push(format.escape);
        }
        out.push(*byte);
    }
    out.push(format.quote);
}
