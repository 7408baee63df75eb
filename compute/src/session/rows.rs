//! Rows on the wire.

use super::prepared::Plan;
use crate::SqlResult;
use crate::catalog::builtin;
use crate::functions::{EvalContext, text_io};
use crate::pgwire::message::format_at;
use crate::pgwire::writer::{Field, Writer};
use crate::sql::bound::OutputColumn;
use shardforge_types::{Datum, Oid, PgType, Settings, binary, oids, text};

/// A RowDescription as the wire has it, made once for a plan.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// With all columns as text.
    message: Vec<u8>,
    /// Where the format code of each column is in it.
    formats: Vec<usize>,
}

impl Description {
    /// Of a statement's columns.
    pub(super) fn new(output: &[OutputColumn]) -> Self {
        let mut writer = Writer::default();
        writer.row_description(output.iter().map(|column| {
            let (table, attnum) = column.origin.unwrap_or((Oid(0), 0));
            Field {
                name: &column.name,
                table,
                attnum,
                ty: wire_type(column.ty.oid),
                type_len: builtin::type_by_oid(column.ty.oid).map_or(-1, |entry| entry.len),
                typmod: column.ty.typmod,
                format: 0,
            }
        }));
        let message = writer.pending().to_vec();
        // Tag, length and count; then a name, its end, and 18 bytes, of which the format is the last two.
        let mut at = 7;
        let formats = output.iter().map(|_| {
            at += message[at..].iter().position(|byte| *byte == 0).expect("a name has an end") + 19;
            at - 2
        });
        Self { formats: formats.collect(), message }
    }

    /// Writes it for results in these formats.
    pub(super) fn write(&self, formats: &[u8], writer: &mut Writer) {
        let message = writer.raw(&self.message);
        if !formats.is_empty() {
            for (index, at) in self.formats.iter().enumerate() {
                message[*at..at + 2].copy_from_slice(&format_at(formats, index).to_be_bytes());
            }
        }
    }
}

/// RowDescription, or NoData for a statement that returns no rows.
pub(super) fn write_description(plan: &Plan, formats: &[u8], writer: &mut Writer) {
    if plan.returns_rows() {
        plan.description.write(formats, writer);
    } else {
        writer.no_data();
    }
}

/// `unknown` never reaches a client: it is text.
fn wire_type(oid: Oid) -> Oid {
    if oid == oids::UNKNOWN { oids::TEXT } else { oid }
}

/// How the values of a statement's rows are written.
pub(super) struct RowForms<'a> {
    /// The settings that forms depend on.
    pub(super) settings: &'a Settings,
    /// For values that are shown by an object's name (`regclass`): see [`names_objects`].
    pub(super) objects: Option<&'a EvalContext>,
}

/// Whether values of the type are shown by the name of the object whose OID they are.
pub(super) fn names_objects(ty: PgType) -> bool {
    // regproc; regprocedure to regtype; regcollation, regnamespace, regrole; regconfig, regdictionary
    let oid = ty.oid.element_type().unwrap_or(ty.oid);
    matches!(oid.0, 24 | 2202..=2206 | 4191 | 4089 | 4096 | 3734 | 3769)
}

/// One DataRow.
pub(super) fn write_row(
    row: &[Datum],
    output: &[OutputColumn],
    formats: &[u8],
    forms: &RowForms<'_>,
    writer: &mut Writer,
) -> SqlResult<()> {
    writer.data_row(output.len(), |column, out| {
        let (datum, ty) = (&row[column], output[column].ty);
        if datum.is_null() {
            return Ok(false);
        }
        match (format_at(formats, column), forms.objects) {
            (1, _) => binary::output(datum, ty, out),
            (_, Some(context)) if names_objects(ty) => {
                out.extend_from_slice(text_io::to_text(datum, ty, context)?.unwrap_or_default().as_bytes());
            }
            _ => text::output(datum, ty, forms.settings, out),
        }
        Ok(true)
    })
}
