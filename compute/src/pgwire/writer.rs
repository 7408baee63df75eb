//! Messages to the client, written into one buffer that is reused for the connection's life.

use crate::error::SqlError;
use shardforge_types::Oid;

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the protocol's
pub enum Severity {
    Error,
    Fatal,
    Notice,
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
        }
    }
}

/// Whether the connection is in a transaction, as ReadyForQuery tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// None is open.
    Idle,
    /// One is open.
    Open,
    /// One is open and has failed: only its end is accepted.
    Failed,
}

/// One column of a RowDescription.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The column's name.
    pub name: &'a str,
    /// The table's OID, 0 when it is not a plain column.
    pub table: Oid,
    /// The column's number in it, likewise.
    pub attnum: i16,
    /// The type.
    pub ty: Oid,
    /// Size of the type in bytes, negative when it varies.
    pub type_len: i16,
    /// The typmod.
    pub typmod: i32,
    /// 0 for text, 1 for binary.
    pub format: i16,
}

/// The output buffer with a method for each message.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    /// Where the open message's length stands.
    open: usize,
}

impl Writer {
    /// What waits to be sent.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what was sent; keeps the memory unless it is much.
    pub fn clear(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > 1 << 20 {
            self.buffer.shrink_to(64 << 10);
        }
    }

    /// Drops what was written after a mark taken with `pending().len()`.
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    fn begin(&mut self, tag: u8) {
        self.buffer.push(tag);
        self.open = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
    }

    fn end(&mut self) {
        let len = (self.buffer.len() - self.open) as u32;
        self.buffer[self.open..self.open + 4].copy_from_slice(&len.to_be_bytes());
    }

    fn empty(&mut self, tag: u8) {
        self.begin(tag);
        self.end();
    }

    fn i16(&mut self, value: i16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, text: &str) {
        self.buffer.extend(text.bytes().filter(|byte| *byte != 0));
        self.buffer.push(0);
    }

    /// AuthenticationOk, AuthenticationSASL and so on: the code, then its data.
    pub fn authentication(&mut self, code: i32, data: &[u8]) {
        self.begin(b'R');
        self.i32(code);
        self.buffer.extend_from_slice(data);
        self.end();
    }

    /// ParameterStatus.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.begin(b'S');
        self.string(name);
        self.string(value);
        self.end();
    }

    /// BackendKeyData.
    pub fn backend_key(&mut self, pid: i32, secret: i32) {
        self.begin(b'K');
        self.i32(pid);
        self.i32(secret);
        self.end();
    }

    /// NegotiateProtocolVersion: the newest minor version we speak, and options we do not know.
    pub fn negotiate_version(&mut self, minor: i32, unknown: &[&str]) {
        self.begin(b'v');
        self.i32(minor);
        self.i32(unknown.len() as i32);
        unknown.iter().for_each(|name| self.string(name));
        self.end();
    }

    /// ReadyForQuery.
    pub fn ready(&mut self, status: TransactionStatus) {
        self.begin(b'Z');
        self.buffer.push(match status {
            TransactionStatus::Idle => b'I',
            TransactionStatus::Open => b'T',
            TransactionStatus::Failed => b'E',
        });
        self.end();
    }

    /// ParseComplete.
    pub fn parse_complete(&mut self) {
        self.empty(b'1');
    }

    /// BindComplete.
    pub fn bind_complete(&mut self) {
        self.empty(b'2');
    }

    /// CloseComplete.
    pub fn close_complete(&mut self) {
        self.empty(b'3');
    }

    /// NoData.
    pub fn no_data(&mut self) {
        self.empty(b'n');
    }

    /// PortalSuspended.
    pub fn portal_suspended(&mut self) {
        self.empty(b's');
    }

    /// EmptyQueryResponse.
    pub fn empty_query(&mut self) {
        self.empty(b'I');
    }

    /// CommandComplete.
    pub fn command_complete(&mut self, tag: &str) {
        self.begin(b'C');
        self.string(tag);
        self.end();
    }

    /// CommandComplete with a row count: `UPDATE 3`, `SELECT 1`, `INSERT 0 5`. Writes the number
    /// without a detour through a string.
    pub fn command_complete_rows(&mut self, tag: &str, rows: u64) {
        use std::io::Write;
        self.begin(b'C');
        write!(self.buffer, "{tag} {rows}").expect("writing to memory cannot fail");
        self.buffer.push(0);
        self.end();
    }

    /// ParameterDescription.
    pub fn parameter_description(&mut self, types: impl ExactSizeIterator<Item = Oid>) {
        self.begin(b't');
        self.i16(types.len() as i16);
        types.for_each(|ty| self.i32(ty.0 as i32));
        self.end();
    }

    /// A message that was made before; its copy here may still be changed.
    pub fn raw(&mut self, message: &[u8]) -> &mut [u8] {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(message);
        &mut self.buffer[at..]
    }

    /// RowDescription.
    pub fn row_description<'a>(&mut self, fields: impl ExactSizeIterator<Item = Field<'a>>) {
        self.begin(b'T');
        self.i16(fields.len() as i16);
        for field in fields {
            self.string(field.name);
            self.i32(field.table.0 as i32);
            self.i16(field.attnum);
            self.i32(field.ty.0 as i32);
            self.i16(field.type_len);
            self.i32(field.typmod);
            self.i16(field.format);
        }
        self.end();
    }

    /// DataRow of so many columns: `value` writes the bytes of each, and answers whether it was not
    /// null. On an error nothing of the row stays in the buffer.
    pub fn data_row(
        &mut self,
        columns: usize,
        mut value: impl FnMut(usize, &mut Vec<u8>) -> Result<bool, SqlError>,
    ) -> Result<(), SqlError> {
        let mark = self.buffer.len();
        self.begin(b'D');
        self.i16(columns as i16);
        for column in 0..columns {
            let at = self.buffer.len();
            self.i32(-1);
            match value(column, &mut self.buffer) {
                Ok(true) => {
                    let len = (self.buffer.len() - at - 4) as i32;
                    self.buffer[at..at + 4].copy_from_slice(&len.to_be_bytes());
                }
                Ok(false) => self.buffer.truncate(at + 4),
                Err(error) => {
                    self.buffer.truncate(mark);
                    return Err(error);
                }
            }
        }
        self.end();
        Ok(())
    }

    /// CopyInResponse or CopyOutResponse, textual or binary, for so many columns.
    pub fn copy_response(&mut self, incoming: bool, binary: bool, columns: usize) {
        self.begin(if incoming { b'G' } else { b'H' });
        self.buffer.push(u8::from(binary));
        self.i16(columns as i16);
        (0..columns).for_each(|_| self.i16(i16::from(binary)));
        self.end();
    }

    /// CopyData; `line` writes the bytes.
    pub fn copy_data(&mut self, line: impl FnOnce(&mut Vec<u8>)) {
        self.begin(b'd');
        line(&mut self.buffer);
        self.end();
    }

    /// CopyDone.
    pub fn copy_done(&mut self) {
        self.empty(b'c');
    }

    /// ErrorResponse or NoticeResponse.
    pub fn error(&mut self, severity: Severity, error: &SqlError) {
        let notice = matches!(severity, Severity::Notice | Severity::Warning);
        self.begin(if notice { b'N' } else { b'E' });
        let fields = error.fields();
        let position = fields.position.map(|position| position.to_string());
        let optional = |code: u8, text: &'_ Option<String>| text.clone().map(|text| (code, text));
        let parts = [
            Some((b'S', severity.name().to_string())),
            Some((b'V', severity.name().to_string())),
            Some((b'C', fields.sqlstate.to_string())),
            Some((b'M', fields.message.clone())),
            optional(b'D', &fields.detail),
            optional(b'H', &fields.hint),
            optional(b'P', &position),
            optional(b'W', &fields.context),
            optional(b's', &fields.schema),
            optional(b't', &fields.table),
            optional(b'c', &fields.column),
            optional(b'n', &fields.constraint),
        ];
        for (code, text) in parts.into_iter().flatten() {
            self.buffer.push(code);
            self.string(&text);
        }
        self.buffer.push(0);
        self.end();
    }
}
