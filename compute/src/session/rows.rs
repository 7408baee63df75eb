//! Rows on the wire.

use crate::SqlResult;
use crate::catalog::builtin;
use crate::pgwire::message::format_at;
use crate::pgwire::writer::{Field, Writer};
use crate::sql::bound::OutputColumn;
use shardforge_types::{Datum, Oid, Settings, binary, oids, text};

/// RowDescription, or NoData for a statement that returns no rows.
pub(super) fn write_description(output: &[OutputColumn], formats: &[u8], writer: &mut Writer) {
    if output.is_empty() {
        return writer.no_data();
    }
    writer.row_description(output.iter().enumerate().map(|(index, column)| {
        let (table, attnum) = column.origin.unwrap_or((Oid(0), 0));
        Field {
            name: &column.name,
            table,
            attnum,
            ty: wire_type(column.ty.oid),
            type_len: builtin::type_by_oid(column.ty.oid).map_or(-1, |entry| entry.len),
            typmod: column.ty.typmod,
            format: format_at(formats, index),
        }
    }));
}

/// `unknown` never reaches a client: it is text.
fn wire_type(oid: Oid) -> Oid {
    if oid == oids::UNKNOWN { oids::TEXT } else { oid }
}

/// One DataRow.
pub(super) fn write_row(
    row: &[Datum],
    output: &[OutputColumn],
    formats: &[u8],
    settings: &Settings,
    writer: &mut Writer,
) -> SqlResult<()> {
    writer.data_row(output.len(), |column, out| {
        let datum = &row[column];
        if datum.is_null() {
            return Ok(false);
        }
        match format_at(formats, column) {
            1 => binary::output(datum, output[column].ty, out),
            _ => text::output(datum, output[column].ty, settings, out),
        }
        Ok(true)
    })
}
