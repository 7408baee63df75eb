//! From bytes to rows of fields.

use crate::sql::bound::CopyFormat;
use crate::{SqlError, SqlResult};
use memchr::{memchr, memchr2, memchr3};
use shardforge_types::SqlState;

/// The largest row: PostgreSQL's own limit, in bytes.
const MAX_LINE_LEN: usize = 0x3fff_ffff;

/// How lines of this input end; decided by the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Lf,
    CrLf,
    Cr,
}

/// Splits input into rows.
#[derive(Debug)]
pub struct Reader {
    format: CopyFormat,
    /// Bytes that are not yet a whole line.
    rest: Vec<u8>,
    /// Where in `rest` to look for the end of the line, and whether that place is inside quotes.
    scanned: usize,
    in_quotes: bool,
    line_end: LineEnd,
    line_number: u64,
    /// `\.` was seen: what follows is ignored.
    finished: bool,
}

/// The fields of one row: spans in a buffer, `None` for null. Reused from row to row.
#[derive(Debug, Default)]
pub struct Fields {
    buffer: Vec<u8>,
    /// What was in the buffer, once it was found to be UTF-8 without zero bytes as a whole.
    text: String,
    spans: Vec<Option<(usize, usize)>>,
    /// Whether a CSV field was quoted: then it is never null, and FORCE_NULL looks at it.
    quoted: Vec<bool>,
}

impl Fields {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// A field as text; `None` is null. Fails when it is not UTF-8.
    pub fn get(&self, index: usize) -> SqlResult<Option<&str>> {
        let Some((start, end)) = self.spans[index] else { return Ok(None) };
        if let Some(text) = self.text.get(start..end) {
            return Ok(Some(text));
        }
        let bytes = if self.text.is_empty() { &self.buffer[..] } else { self.text.as_bytes() };
        match std::str::from_utf8(&bytes[start..end]) {
            Ok(text) if memchr(0, text.as_bytes()).is_none() => Ok(Some(text)),
            Ok(_) => Err(SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            )),
            Err(error) => Err(SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!(
                    "invalid byte sequence for encoding \"UTF8\": {:#04x}",
                    bytes[start + error.valid_up_to()]
                ),
            )),
        }
    }

    /// The row is complete: its text is looked at once, and not field by field.
    fn verify(&mut self) {
        if memchr(0, &self.buffer).is_some() {
            return;
        }
        match String::from_utf8(std::mem::take(&mut self.buffer)) {
            Ok(text) => self.text = text,
            Err(error) => self.buffer = error.into_bytes(),
        }
    }

    fn clear(&mut self) {
        if !self.text.is_empty() {
            self.buffer = std::mem::take(&mut self.text).into_bytes();
        }
        self.buffer.clear();
        self.spans.clear();
        self.quoted.clear();
    }
}

impl Reader {
    /// A reader for one COPY.
    pub fn new(format: CopyFormat) -> Self {
        Self {
            format,
            rest: Vec::new(),
            scanned: 0,
            in_quotes: false,
            line_end: LineEnd::Unknown,
            line_number: 0,
            finished: false,
        }
    }

    /// The number of the last row's line, from 1, for an error's context.
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// Takes the next bytes, and gives `row` each row that is now whole.
    pub fn push(
        &mut self,
        bytes: &[u8],
        fields: &mut Fields,
        row: &mut dyn FnMut(&Fields) -> SqlResult<()>,
    ) -> SqlResult<()> {
        if self.rest.is_empty() {
            let used = self.lines(bytes, false, fields, row)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let used = self.lines(&rest, false, fields, row);
        rest.drain(..*used.as_ref().unwrap_or(&0));
        self.rest = rest;
        if self.rest.len() > MAX_LINE_LEN {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a row of COPY data exceeds 1 GB"));
        }
        used.map(|_| ())
    }

    /// The input has ended: a last line without an end is a row too.
    pub fn finish(
        &mut self,
        fields: &mut Fields,
        row: &mut dyn FnMut(&Fields) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let rest = std::mem::take(&mut self.rest);
        self.lines(&rest, true, fields, row)?;
        if self.in_quotes && !self.finished {
            return Err(bad_format("unterminated CSV quoted field"));
        }
        Ok(())
    }

    /// Handles the whole lines at the head of `bytes`; answers how many bytes they were.
    fn lines(
        &mut self,
        bytes: &[u8],
        last: bool,
        fields: &mut Fields,
        row: &mut dyn FnMut(&Fields) -> SqlResult<()>,
    ) -> SqlResult<usize> {
        let mut start = 0;
        loop {
            if self.finished {
                return Ok(bytes.len());
            }
            let found = self.find_line(&bytes[start..], last)?;
            let Some((len, next)) = found else {
                if last && start < bytes.len() {
                    self.line(&bytes[start..], fields, row)?;
                    return Ok(bytes.len());
                }
                return Ok(start);
            };
            let line = &bytes[start..start + len];
            start += next;
            self.scanned = 0;
            self.in_quotes = false;
            self.line(line, fields, row)?;
        }
    }

    /// The length of the first line, and where the next one starts. `None` when there is no end yet.
    fn find_line(&mut self, bytes: &[u8], last: bool) -> SqlResult<Option<(usize, usize)>> {
        let mut at = self.scanned;
        let (quote, escape) = (self.format.quote, self.format.escape);
        while at < bytes.len() {
            // What means nothing here is passed over at once.
            let rest = &bytes[at..];
            let special = match (self.format.csv, self.in_quotes) {
                (false, _) => memchr3(b'\n', b'\r', b'\\', rest),
                (true, false) => memchr3(b'\n', b'\r', quote, rest),
                (true, true) => memchr2(quote, escape, rest),
            };
            let Some(special) = special else {
                at = bytes.len();
                break;
            };
            at += special;
            let byte = bytes[at];
            if self.format.csv {
                if byte == quote || (self.in_quotes && byte == escape) {
                    if self.in_quotes && byte == escape && escape != quote {
                        // The escape protects the next byte, when it is one that can be protected.
                        match bytes.get(at + 1) {
                            Some(next) if *next == quote || *next == escape => at += 1,
                            Some(_) => {}
                            None if last => {}
                            None => break,
                        }
                    } else {
                        self.in_quotes = !self.in_quotes;
                    }
                    at += 1;
                    continue;
                }
            } else if byte == b'\\' {
                // A backslash protects the next byte, a line end included.
                if at + 1 >= bytes.len() && !last {
                    break;
                }
                at += 2;
                continue;
            }
            match byte {
                b'\n' => {
                    match self.line_end {
                        LineEnd::Unknown => self.line_end = LineEnd::Lf,
                        LineEnd::Lf => {}
                        LineEnd::CrLf | LineEnd::Cr if self.format.csv => {}
                        LineEnd::CrLf | LineEnd::Cr => return Err(literal("newline", "\\n")),
                    }
                    return Ok(Some((at, at + 1)));
                }
                b'\r' if self.line_end != LineEnd::Lf || self.format.csv => match bytes.get(at + 1) {
                    Some(b'\n') => {
                        self.line_end = LineEnd::CrLf;
                        return Ok(Some((at, at + 2)));
                    }
                    None if !last => break,
                    _ => {
                        self.line_end = LineEnd::Cr;
                        return Ok(Some((at, at + 1)));
                    }
                },
                b'\r' => return Err(literal("carriage return", "\\r")),
                _ => at += 1,
            }
        }
        self.scanned = at.min(bytes.len());
        Ok(None)
    }

    fn line(
        &mut self,
        line: &[u8],
        fields: &mut Fields,
        row: &mut dyn FnMut(&Fields) -> SqlResult<()>,
    ) -> SqlResult<()> {
        self.line_number += 1;
        if line == b"\\." {
            self.finished = true;
            return Ok(());
        }
        fields.clear();
        if self.format.csv {
            self.csv_fields(line, fields)?
        } else {
            self.text_fields(line, fields)
        }
        fields.verify();
        row(fields)
    }

    fn text_fields(&self, line: &[u8], fields: &mut Fields) {
        let (delimiter, null) = (self.format.delimiter, self.format.null.as_bytes());
        let mut at = 0;
        loop {
            // A field without a backslash is copied at once.
            let plain = memchr2(delimiter, b'\\', &line[at..]);
            let start = fields.buffer.len();
            let raw_start = at;
            let mut end = at + plain.unwrap_or(line.len() - at);
            fields.buffer.extend_from_slice(&line[at..end]);
            while end < line.len() && line[end] == b'\\' {
                end += 1;
                let (byte, used) = unescape(&line[end..]);
                fields.buffer.extend(byte);
                end += used;
                let more = memchr2(delimiter, b'\\', &line[end..]);
                let next = end + more.unwrap_or(line.len() - end);
                fields.buffer.extend_from_slice(&line[end..next]);
                end = next;
            }
            // Null is recognised before escapes are resolved: \N, not what it would stand for.
            let is_null = line[raw_start..end] == *null;
            fields.spans.push((!is_null).then_some((start, fields.buffer.len())));
            fields.quoted.push(false);
            if end >= line.len() {
                return;
            }
            at = end + 1;
        }
    }

    fn csv_fields(&self, line: &[u8], fields: &mut Fields) -> SqlResult<()> {
        let CopyFormat { delimiter, quote, escape, .. } = self.format;
        let null = self.format.null.as_bytes();
        let mut at = 0;
        loop {
            let index = fields.spans.len();
            let start = fields.buffer.len();
            let mut quoted = false;
            let mut inside = false;
            while at < line.len() {
                let byte = line[at];
                if inside {
                    let next = line.get(at + 1).copied();
                    if byte == escape && next.is_some_and(|next| next == quote || next == escape) {
                        fields.buffer.extend(next);
                        at += 2;
                        continue;
                    }
                    at += 1;
                    if byte == quote {
                        inside = false;
                    } else {
                        fields.buffer.push(byte);
                    }
                } else if byte == quote {
                    (inside, quoted) = (true, true);
                    at += 1;
                } else if byte == delimiter {
                    break;
                } else {
                    fields.buffer.push(byte);
                    at += 1;
                }
            }
            if inside {
                return Err(bad_format("unterminated CSV quoted field"));
            }
            let matches_null = fields.buffer[start..] == *null;
            let is_null = if quoted {
                matches_null && self.format.force_null.contains(&index)
            } else {
                matches_null && !self.format.force_not_null.contains(&index)
            };
            fields.spans.push((!is_null).then_some((start, fields.buffer.len())));
            fields.quoted.push(quoted);
            if at >= line.len() {
                return Ok(());
            }
            at += 1;
        }
    }
}

/// The byte after a backslash, and how many bytes of input it took.
fn unescape(rest: &[u8]) -> (Option<u8>, usize) {
    let Some(byte) = rest.first() else { return (Some(b'\\'), 0) };
    let plain = match byte {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'0'..=b'7' => {
            let digits = rest.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let value = rest[..digits].iter().fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            return (Some(value as u8), digits);
        }
        b'x' => {
            let digits = rest[1..].iter().take(2).take_while(|b| b.is_ascii_hexdigit()).count();
            if digits == 0 {
                return (Some(b'x'), 1);
            }
            let hex = |digit: &u8| (*digit as char).to_digit(16).expect("checked to be a hexadecimal digit");
            let value = rest[1..=digits].iter().fold(0, |value, digit| value * 16 + hex(digit));
            return (Some(value as u8), 1 + digits);
        }
        other => *other,
    };
    (Some(plain), 1)
}

fn bad_format(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

fn literal(what: &str, escape: &str) -> SqlError {
    bad_format(format!("literal {what} found in data")).hint(format!("Use \"{escape}\" to represent {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bound::CopyHeader;
    use proptest::prelude::*;

    fn format(csv: bool) -> CopyFormat {
        CopyFormat {
            binary: false,
            csv,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".to_string() },
            header: CopyHeader::Absent,
            quote: b'"',
            escape: b'"',
            force_quote: vec![],
            force_not_null: vec![],
            force_null: vec![],
        }
    }

    /// All rows of an input given in pieces of `step` bytes.
    fn rows(input: &[u8], format: CopyFormat, step: usize) -> SqlResult<Vec<Vec<Option<String>>>> {
        let mut reader = Reader::new(format);
        let (mut fields, mut out) = (Fields::default(), vec![]);
        let mut keep = |fields: &Fields| {
            let row = (0..fields.len())
                .map(|i| Ok(fields.get(i)?.map(str::to_string)))
                .collect::<SqlResult<_>>()?;
            out.push(row);
            Ok(())
        };
        for piece in input.chunks(step) {
            reader.push(piece, &mut fields, &mut keep)?;
        }
        reader.finish(&mut fields, &mut keep)?;
        Ok(out)
    }

    fn row(fields: &[Option<&str>]) -> Vec<Option<String>> {
        fields.iter().map(|field| field.map(str::to_string)).collect()
    }

    #[test]
    fn text_has_escapes_nulls_and_an_end_mark() {
        let input = b"1\ta\\tb\\\\\t\\N\n2\t\\\\N\t\\x41\\102\n\\.\nignored\tx\ty\n";
        for step in 1..input.len() {
            let rows = rows(input, format(false), step).unwrap();
            assert_eq!(
                rows,
                vec![row(&[Some("1"), Some("a\tb\\"), None]), row(&[Some("2"), Some("\\N"), Some("AB")]),]
            );
        }
    }

    #[test]
    fn csv_has_quotes_over_lines_and_empty_is_null_unless_quoted() {
        let input = b"1,\"a\n\"\"b\"\"\",\r\n2,\"\",x y";
        for step in 1..input.len() {
            let rows = rows(input, format(true), step).unwrap();
            assert_eq!(
                rows,
                vec![row(&[Some("1"), Some("a\n\"b\""), None]), row(&[Some("2"), Some(""), Some("x y")]),]
            );
        }
    }

    #[test]
    fn broken_input_is_refused() {
        assert!(rows(b"1,\"a", format(true), 9).is_err());
        assert!(rows(b"a\r\nb\nc\n", format(false), 9).is_err(), "line ends that change");
        assert!(rows(b"\xff\n", format(false), 9).is_err(), "not UTF-8");
        assert!(rows(b"a\0b\n", format(false), 9).is_err());
    }

    proptest! {
        #[test]
        fn what_the_writer_writes_is_read_back(
            csv: bool,
            table in prop::collection::vec(prop::collection::vec(prop::option::of("[a-c\\\\\"',\t\n\r.N ]{0,6}"), 1..4), 0..5),
            step in 1usize..20,
        ) {
            let format = format(csv);
            let mut out = Vec::new();
            for row in &table {
                let fields: Vec<Option<&[u8]>> = row.iter().map(|f| f.as_ref().map(|f| f.as_bytes())).collect();
                super::super::writer::write_row(&fields, &format, &mut out);
            }
            let read = rows(&out, format, step).unwrap();
            prop_assert_eq!(read, table);
        }
    }
}
