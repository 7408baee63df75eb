//! COPY's data from the client, made into rows of a table.

use crate::catalog::TableDef;
use crate::copy::binary::{self, BinaryReader};
use crate::copy::reader::{Fields, Reader};
use crate::sql::bound::{CopyFormat, CopyHeader};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Settings, SqlState, text};
use std::sync::Arc;

/// So many rows keep their buffers from batch to batch.
const KEPT_ROWS: usize = 1024;

/// Rows that were read and not yet written. Their buffers are used again.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Vec<Datum>>,
    len: usize,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An empty row at the end.
    fn next(&mut self) -> &mut Vec<Datum> {
        if self.len == self.rows.len() {
            self.rows.push(Vec::new());
        }
        let row = &mut self.rows[self.len];
        self.len += 1;
        row.clear();
        row
    }

    pub(super) fn filled(&mut self) -> &mut [Vec<Datum>] {
        &mut self.rows[..self.len]
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        // One message may have had very many rows.
        self.rows.truncate(KEPT_ROWS);
    }
}

/// What the client's data looks like.
enum Form {
    Lines { reader: Box<Reader>, fields: Fields, header: CopyHeader },
    Binary(BinaryReader),
}

/// The client's data on its way to rows.
pub(super) struct Input {
    form: Form,
    table: Arc<TableDef>,
    /// Positions of the columns that the data has.
    columns: Vec<usize>,
    settings: Settings,
    pub(super) rows: Rows,
}

impl Input {
    /// For data of these columns of a table, by their positions.
    pub(super) fn new(
        format: &CopyFormat,
        table: &Arc<TableDef>,
        columns: &[usize],
        settings: Settings,
    ) -> Self {
        let form = if format.binary {
            Form::Binary(BinaryReader::new(columns.len()))
        } else {
            let reader = Box::new(Reader::new(format.clone()));
            Form::Lines { reader, fields: Fields::default(), header: format.header }
        };
        Self { form, table: table.clone(), columns: columns.to_vec(), settings, rows: Rows::default() }
    }

    /// Takes the next bytes; rows that are whole come to `rows`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> SqlResult<()> {
        let Input { form, table, columns, settings, rows } = self;
        match form {
            Form::Lines { reader, fields, header } => {
                let mut sink = RowSink { header, table, columns, settings, rows };
                let line_before = reader.line_number();
                let result = reader.push(bytes, fields, &mut |fields| sink.row(fields));
                result.map_err(|error| with_line(error, table, reader.line_number().max(line_before)))
            }
            Form::Binary(reader) => {
                let result = reader.push(bytes, &mut |bytes, spans| {
                    let read = read_binary(rows.next(), bytes, spans, table, columns);
                    if read.is_err() {
                        rows.len -= 1;
                    }
                    read
                });
                result.map_err(|error| with_line(error, table, reader.row_number()))
            }
        }
    }

    /// The data has ended.
    pub(super) fn finish(&mut self) -> SqlResult<()> {
        let Input { form, table, columns, settings, rows } = self;
        match form {
            Form::Lines { reader, fields, header } => {
                let mut sink = RowSink { header, table, columns, settings, rows };
                let result = reader.finish(fields, &mut |fields| sink.row(fields));
                result.map_err(|error| with_line(error, table, reader.line_number()))
            }
            Form::Binary(reader) => {
                reader.finish().map_err(|error| with_line(error, table, reader.row_number()))
            }
        }
    }
}

/// Reads the fields of a binary row.
fn read_binary(
    row: &mut Vec<Datum>,
    bytes: &[u8],
    spans: &binary::Spans,
    table: &TableDef,
    columns: &[usize],
) -> SqlResult<()> {
    for (span, position) in spans.iter().zip(columns) {
        let column = &table.columns[*position];
        row.push(match span {
            Some((start, end)) => {
                shardforge_types::binary::input(&bytes[*start..*end], column.ty).map_err(|error| {
                    let mut error = SqlError::from(error);
                    error.fields_mut().context = Some(format!(", column {}", column.name));
                    error
                })?
            }
            None => Datum::Null,
        });
    }
    Ok(())
}

/// Says where in the data an error is.
pub(super) fn with_line(mut error: SqlError, table: &TableDef, line: u64) -> SqlError {
    let fields = error.fields_mut();
    let column = fields.context.take().unwrap_or_default();
    fields.context = Some(format!("COPY {}, line {line}{column}", table.name));
    error
}

struct RowSink<'a> {
    header: &'a mut CopyHeader,
    table: &'a TableDef,
    columns: &'a [usize],
    settings: &'a Settings,
    rows: &'a mut Rows,
}

impl RowSink<'_> {
    fn row(&mut self, fields: &Fields) -> SqlResult<()> {
        match std::mem::replace(self.header, CopyHeader::Absent) {
            CopyHeader::Absent => {}
            CopyHeader::Present => return Ok(()),
            CopyHeader::Match => return self.check_header(fields),
        }
        if fields.len() > self.columns.len() {
            return Err(SqlError::new(
                SqlState::BAD_COPY_FILE_FORMAT,
                "extra data after last expected column",
            ));
        }
        let row = self.rows.next();
        let read = read_row(row, fields, self.table, self.columns, self.settings);
        if read.is_err() {
            self.rows.len -= 1;
        }
        read
    }

    fn check_header(&self, fields: &Fields) -> SqlResult<()> {
        for (index, position) in self.columns.iter().enumerate() {
            let wanted = &self.table.columns[*position].name;
            let found = if index < fields.len() { fields.get(index)? } else { None };
            if found != Some(wanted.as_str()) {
                return Err(SqlError::new(
                    SqlState::BAD_COPY_FILE_FORMAT,
                    format!(
                        "column name mismatch in header line field {}: got \"{}\", expected \"{wanted}\"",
                        index + 1,
                        found.unwrap_or_default()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Reads the fields of a line into a row.
fn read_row(
    row: &mut Vec<Datum>,
    fields: &Fields,
    table: &TableDef,
    columns: &[usize],
    settings: &Settings,
) -> SqlResult<()> {
    for (index, position) in columns.iter().enumerate() {
        let column = &table.columns[*position];
        // In order of columns, as PostgreSQL does: a value that cannot be read comes before one
        // that is missing. An empty line is one empty field.
        if index >= fields.len() {
            return Err(SqlError::new(
                SqlState::BAD_COPY_FILE_FORMAT,
                format!("missing data for column \"{}\"", column.name),
            ));
        }
        row.push(match fields.get(index)? {
            Some(field) => text::input(field, column.ty, settings).map_err(|error| {
                let mut error = SqlError::from(error);
                error.fields_mut().context = Some(format!(", column {}: \"{field}\"", column.name));
                error
            })?,
            None => Datum::Null,
        });
    }
    Ok(())
}
