//! COPY's binary form: a head, rows of values in the wire protocol's binary form, an end mark.
//!
//! All integers are big endian (PostgreSQL 15's manual, page "COPY", section "Binary Format"):
//!
//! ```text
//! file   = "PGCOPY\n" 0xFF "\r\n" 0x00   flags: i32   extension length: i32   extension   row*   -1: i16
//! row    = fields: i16   field*
//! field  = length: i32, -1 for null   bytes
//! ```

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Of the flags, those that a reader must know.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// The critical flag of PostgreSQL's past: rows with OIDs.
const HAS_OIDS: u32 = 1 << 16;
/// The largest value: PostgreSQL's own limit, in bytes.
const MAX_FIELD_LEN: usize = 0x3fff_ffff;

/// Appends what comes before the rows.
pub fn write_head(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// Appends the number of fields that begins a row.
pub fn begin_row(fields: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(fields as i16).to_be_bytes());
}

/// Appends a field that `value` writes; it says whether there is a value at all.
pub fn write_field(out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>) -> bool) {
    let at = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    if value(out) {
        let len = (out.len() - at - 4) as i32;
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

/// Appends what comes after the rows.
pub fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Rows,
    AfterEnd,
}

/// Cuts input into rows.
#[derive(Debug)]
pub struct BinaryReader {
    place: Place,
    columns: usize,
    /// Bytes that are not yet a whole row.
    rest: Vec<u8>,
    rows: u64,
}

/// The fields of one row: spans of its bytes, `None` for null.
pub type Spans = [Option<(usize, usize)>];

fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// Takes an integer off the front; `None` when there are too few bytes.
fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let out = *bytes.get(*at..)?.first_chunk::<N>()?;
    *at += N;
    Some(out)
}

impl BinaryReader {
    /// For rows of so many columns.
    pub fn new(columns: usize) -> Self {
        Self { place: Place::Head, columns, rest: Vec::new(), rows: 0 }
    }

    /// The number of the row that was read last, from 1.
    pub fn row_number(&self) -> u64 {
        self.rows
    }

    /// Takes the next bytes, and gives `row` each row that is whole now: its bytes and where its fields lie.
    pub fn push(
        &mut self,
        bytes: &[u8],
        row: &mut dyn FnMut(&[u8], &Spans) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let mut held = std::mem::take(&mut self.rest);
        let input = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            &held
        };
        let mut at = 0;
        let mut spans = Vec::with_capacity(self.columns);
        loop {
            let is_row = self.place == Place::Rows;
            let Some(len) = self.step(&input[at..], &mut spans)? else { break };
            if is_row && self.place == Place::Rows {
                self.rows += 1;
                row(&input[at..at + len], &spans)?;
            }
            at += len;
        }
        if held.is_empty() {
            held.extend_from_slice(&bytes[at..]);
        } else {
            held.drain(..at);
        }
        self.rest = held;
        Ok(())
    }

    /// The input has ended. An end between two rows is one, with or without the mark.
    pub fn finish(&mut self) -> SqlResult<()> {
        match self.place {
            Place::Head => Err(bad("COPY file signature not recognized")),
            Place::Rows if !self.rest.is_empty() => {
                self.rows += 1;
                Err(bad("unexpected EOF in COPY data"))
            }
            Place::Rows | Place::AfterEnd => Ok(()),
        }
    }

    /// Reads the head, a row or the end mark at the front; its length, or `None` when more bytes are needed.
    fn step(&mut self, input: &[u8], spans: &mut Vec<Option<(usize, usize)>>) -> SqlResult<Option<usize>> {
        spans.clear();
        let mut at = 0;
        match self.place {
            Place::Head => self.head(input),
            Place::AfterEnd if input.is_empty() => Ok(None),
            Place::AfterEnd => Err(bad("received copy data after EOF marker")),
            Place::Rows => {
                let Some(fields) = take(input, &mut at).map(i16::from_be_bytes) else { return Ok(None) };
                if fields == -1 {
                    self.place = Place::AfterEnd;
                    return Ok(Some(at));
                }
                if usize::try_from(fields) != Ok(self.columns) {
                    self.rows += 1;
                    let expected = self.columns;
                    return Err(bad(format!("row field count is {fields}, expected {expected}")));
                }
                for _ in 0..fields {
                    let Some(len) = take(input, &mut at).map(i32::from_be_bytes) else { return Ok(None) };
                    if len == -1 {
                        spans.push(None);
                        continue;
                    }
                    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_FIELD_LEN);
                    let Some(len) = len else {
                        self.rows += 1;
                        return Err(bad("invalid field size"));
                    };
                    if input.len() < at + len {
                        return Ok(None);
                    }
                    spans.push(Some((at, at + len)));
                    at += len;
                }
                Ok(Some(at))
            }
        }
    }

    fn head(&mut self, input: &[u8]) -> SqlResult<Option<usize>> {
        let known = input.len().min(SIGNATURE.len());
        if input[..known] != SIGNATURE[..known] {
            return Err(bad("COPY file signature not recognized"));
        }
        let mut at = SIGNATURE.len();
        let Some(flags) = take(input, &mut at).map(u32::from_be_bytes) else { return Ok(None) };
        if flags & HAS_OIDS != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags & CRITICAL_FLAGS != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let Some(extension) = take(input, &mut at).map(i32::from_be_bytes) else { return Ok(None) };
        let Ok(extension) = usize::try_from(extension) else {
            return Err(bad("invalid COPY file header (wrong length)"));
        };
        if input.len() < at + extension {
            return Ok(None);
        }
        self.place = Place::Rows;
        Ok(Some(at + extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
        let mut out = Vec::new();
        write_head(&mut out);
        for row in rows {
            begin_row(row.len(), &mut out);
            for field in *row {
                write_field(&mut out, |out| {
                    out.extend_from_slice(field.unwrap_or_default());
                    field.is_some()
                });
            }
        }
        write_end(&mut out);
        out
    }

    /// Feeds bytes in pieces of a size.
    fn read(bytes: &[u8], columns: usize, piece: usize) -> Result<Vec<Vec<Option<Vec<u8>>>>, String> {
        let mut rows = Vec::new();
        let mut reader = BinaryReader::new(columns);
        let mut take = |bytes: &[u8], spans: &Spans| {
            rows.push(spans.iter().map(|span| span.map(|(a, b)| bytes[a..b].to_vec())).collect());
            Ok(())
        };
        let mut run = || {
            for piece in bytes.chunks(piece) {
                reader.push(piece, &mut take)?;
            }
            reader.finish()
        };
        let result = run().map_err(|error| error.to_string());
        result.map(|()| rows)
    }

    #[test]
    fn rows_come_back_whatever_the_pieces() {
        let long = vec![7u8; 300];
        let bytes = file(&[&[Some(b"a"), None], &[Some(b""), Some(&long)], &[None, None]]);
        let wanted = vec![
            vec![Some(b"a".to_vec()), None],
            vec![Some(Vec::new()), Some(long.clone())],
            vec![None, None],
        ];
        for piece in [1, 2, 3, 7, 64, 4096] {
            assert_eq!(read(&bytes, 2, piece).as_ref(), Ok(&wanted), "pieces of {piece}");
        }
        let unmarked = &bytes[..bytes.len() - 2];
        assert_eq!(read(unmarked, 2, 5), Ok(wanted), "an end between rows needs no mark");
    }

    #[test]
    fn rows_without_columns_are_rows() {
        assert_eq!(read(&file(&[&[], &[]]), 0, 3).map(|rows| rows.len()), Ok(2));
    }

    #[test]
    fn damaged_input_is_refused() {
        let good = file(&[&[Some(b"abc")]]);
        let with = |at: usize, bytes: &[u8]| {
            let mut out = good.clone();
            out[at..at + bytes.len()].copy_from_slice(bytes);
            out
        };
        let more = [&good[..], b"x"].concat();
        for (bytes, wanted) in [
            (with(0, b"X"), "signature not recognized"),
            (good[..5].to_vec(), "signature not recognized"),
            (with(11, &[0, 1, 0, 0]), "WITH OIDS"),
            (with(11, &[0, 2, 0, 0]), "critical flags"),
            (with(15, &[0xff; 4]), "wrong length"),
            (with(19, &[0, 2]), "row field count is 2, expected 1"),
            (with(21, &[0xff, 0xff, 0xff, 0xfe]), "invalid field size"),
            (with(21, &[0, 0, 0, 9]), "unexpected EOF"),
            (more, "after EOF marker"),
        ] {
            for piece in [1, 4096] {
                let error = read(&bytes, 1, piece).unwrap_err();
                assert!(error.contains(wanted), "{error} instead of {wanted}");
            }
        }
    }
}
