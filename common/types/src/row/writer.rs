//! Writing a row.

use super::big::{self, BigValue, EXTERNAL_LEN, choose_external};
use super::layout::{Place, RowLayout};
use super::view::{RawCell, RawForm};
use super::{
    COMPRESS_ABOVE, FLAG_NULLS, FLAG_WIDE, FORMAT, MAX_ROW_LEN, MAX_VALUE_LEN, NARROW_HEADER_LEN,
    SchemaVersion, TAG_COMPRESSED, TAG_EXTERNAL, TAG_PLAIN, WIDE_HEADER_LEN, body,
};
use crate::{Datum, SqlState, ValueError};

/// What to write of a column.
#[derive(Debug, Clone, Copy)]
pub enum RowInput<'a> {
    /// A value.
    Datum(&'a Datum),
    /// What an older row under the same layout held.
    Raw(RawCell<'a>),
}

/// Writes rows one after another, into buffers that it keeps.
#[derive(Debug, Default)]
pub struct RowWriter {
    row: Vec<u8>,
    fixed: Vec<u8>,
    nulls: Vec<u8>,
    /// Tag and body of each variable value, in order.
    variable: Vec<u8>,
    ends: Vec<usize>,
}

impl RowWriter {
    /// A writer without buffers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row of a table. Each value that is too big for it is handed to `store_big`, which
    /// stores its chunks and returns the id that their keys are made from. Values come in the order of
    /// column numbers, one for each column of the layout; what they are for a column in the key is
    /// ignored.
    pub fn write<'v>(
        &mut self,
        layout: &RowLayout,
        version: SchemaVersion,
        values: impl IntoIterator<Item = RowInput<'v>>,
        store_big: &mut dyn FnMut(BigValue<'_>) -> Result<u128, ValueError>,
    ) -> Result<&[u8], ValueError> {
        self.collect(layout, values)?;
        // Every row of short values takes this way out.
        let plain_len = WIDE_HEADER_LEN + self.nulls.len() + self.fixed.len() + 4 * self.ends.len();
        if self.variable.len() > COMPRESS_ABOVE {
            self.shrink(layout, plain_len, store_big)?;
        }
        let len = plain_len + self.variable.len();
        if len > MAX_ROW_LEN {
            return Err(ValueError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("row is too big: size {len}, maximum size {MAX_ROW_LEN}"),
            ));
        }
        Ok(self.assemble(layout, version))
    }

    /// The same for a table's values that are all given.
    pub fn write_datums(
        &mut self,
        layout: &RowLayout,
        version: SchemaVersion,
        values: &[Datum],
        store_big: &mut dyn FnMut(BigValue<'_>) -> Result<u128, ValueError>,
    ) -> Result<&[u8], ValueError> {
        self.write(layout, version, values.iter().map(RowInput::Datum), store_big)
    }

    /// Writes a row that never reaches a page (a sort, a spill): of any length, nothing compressed,
    /// nothing outside it.
    pub fn write_unlimited(&mut self, layout: &RowLayout, values: &[Datum]) -> Result<&[u8], ValueError> {
        self.collect(layout, values.iter().map(RowInput::Datum))?;
        Ok(self.assemble(layout, SchemaVersion(0)))
    }

    /// Gathers the parts of the row, every value plain.
    fn collect<'v>(
        &mut self,
        layout: &RowLayout,
        values: impl IntoIterator<Item = RowInput<'v>>,
    ) -> Result<(), ValueError> {
        self.fixed.clear();
        self.nulls.clear();
        self.nulls.resize(layout.len().div_ceil(8), 0);
        self.variable.clear();
        self.ends.clear();
        let mut count = 0;
        for (column, value) in values.into_iter().enumerate() {
            count += 1;
            let Some(place) = layout.place(column) else { break };
            let is_null =
                matches!(value, RowInput::Datum(Datum::Null) | RowInput::Raw(RawCell(RawForm::Null)));
            match place {
                Place::InKey => continue,
                Place::Fixed { width, ty, .. } => {
                    let start = self.fixed.len();
                    match value {
                        RowInput::Datum(datum) if !is_null => body::encode_body(&mut self.fixed, datum),
                        RowInput::Raw(RawCell(RawForm::Fixed(bytes))) => self.fixed.extend_from_slice(bytes),
                        _ => self.fixed.resize(start + width, 0),
                    }
                    if self.fixed.len() != start + width {
                        return Err(ValueError::internal(format!("column {column}: no value of type {ty}")));
                    }
                }
                Place::Variable { .. } => {
                    match value {
                        RowInput::Datum(datum) if !is_null => {
                            self.variable.push(TAG_PLAIN);
                            let start = self.variable.len();
                            body::encode_body(&mut self.variable, datum);
                            if self.variable.len() - start > MAX_VALUE_LEN {
                                return Err(ValueError::new(
                                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                                    format!("a value exceeds the limit of {MAX_VALUE_LEN} bytes"),
                                ));
                            }
                        }
                        RowInput::Raw(RawCell(RawForm::Variable(bytes))) => {
                            self.variable.extend_from_slice(bytes)
                        }
                        _ => {}
                    }
                    self.ends.push(self.variable.len());
                }
            }
            if is_null {
                self.nulls[column / 8] |= 1 << (column % 8);
            }
        }
        if count != layout.len() {
            let known = layout.len();
            return Err(ValueError::internal(format!("{count} values for a row of {known} columns")));
        }
        Ok(())
    }

    /// Compresses long values and moves out those that are still too big.
    fn shrink(
        &mut self,
        layout: &RowLayout,
        rest_len: usize,
        store_big: &mut dyn FnMut(BigValue<'_>) -> Result<u128, ValueError>,
    ) -> Result<(), ValueError> {
        struct Stored<'a> {
            tag: u8,
            body_len: usize,
            bytes: std::borrow::Cow<'a, [u8]>,
        }
        let mut start = 0;
        let mut values = Vec::with_capacity(self.ends.len());
        for end in &self.ends {
            let value = &self.variable[start..*end];
            start = *end;
            values.push(value.split_first().map(|(tag, bytes)| {
                let packed = (*tag == TAG_PLAIN && bytes.len() > COMPRESS_ABOVE)
                    .then(|| big::compress(bytes))
                    .flatten();
                match packed {
                    Some(packed) => {
                        Stored { tag: TAG_COMPRESSED, body_len: bytes.len(), bytes: packed.into() }
                    }
                    // Compressed by an older row: its body's length stands before the block.
                    None if *tag == TAG_COMPRESSED && bytes.len() > 4 => {
                        let (len, packed) = bytes.split_first_chunk::<4>().expect("there are more than four");
                        let body_len = u32::from_le_bytes(*len) as usize;
                        Stored { tag: TAG_COMPRESSED, body_len, bytes: packed.into() }
                    }
                    None => Stored { tag: *tag, body_len: bytes.len(), bytes: bytes.into() },
                }
            }));
        }
        let movable = |value: &Option<Stored<'_>>| {
            value.as_ref().filter(|v| v.tag != TAG_EXTERNAL).map(|v| v.bytes.len())
        };
        let fixed_in_place: usize =
            values.iter().flatten().map(|v| 1 + if v.tag == TAG_EXTERNAL { EXTERNAL_LEN } else { 4 }).sum();
        let lens: Vec<_> = values.iter().map(movable).collect();
        let chosen = choose_external(&lens, rest_len + fixed_in_place, MAX_ROW_LEN);
        let columns: Vec<usize> = (0..layout.len())
            .filter(|column| matches!(layout.place(*column), Some(Place::Variable { .. })))
            .collect();
        let mut packed = Vec::with_capacity(self.variable.len().min(MAX_ROW_LEN));
        let mut ends = Vec::with_capacity(self.ends.len());
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                if chosen.binary_search(&index).is_ok() {
                    let big = BigValue {
                        column: columns[index],
                        compressed: value.tag == TAG_COMPRESSED,
                        body_len: value.body_len,
                        stored: &value.bytes,
                    };
                    let external = big.external(store_big(big)?);
                    packed.push(TAG_EXTERNAL);
                    external.encode(&mut packed);
                } else {
                    packed.push(value.tag);
                    if value.tag == TAG_COMPRESSED {
                        packed.extend_from_slice(&(value.body_len as u32).to_le_bytes());
                    }
                    packed.extend_from_slice(&value.bytes);
                }
            }
            ends.push(packed.len());
        }
        drop(values);
        self.variable = packed;
        self.ends = ends;
        Ok(())
    }

    fn assemble(&mut self, layout: &RowLayout, version: SchemaVersion) -> &[u8] {
        let columns = layout.len();
        let has_nulls = self.nulls.iter().any(|byte| *byte != 0);
        let narrow = u8::try_from(columns).ok().zip(u16::try_from(version.0).ok());
        let narrow = narrow.filter(|_| self.variable.len() <= usize::from(u16::MAX));
        let nulls_flag = if has_nulls { FLAG_NULLS } else { 0 };
        let row = &mut self.row;
        row.clear();
        row.reserve(
            WIDE_HEADER_LEN + self.nulls.len() + self.fixed.len() + 4 * self.ends.len() + self.variable.len(),
        );
        match narrow {
            Some((columns, version)) => {
                row.extend_from_slice(&[FORMAT | nulls_flag, columns]);
                row.extend_from_slice(&version.to_le_bytes());
                debug_assert_eq!(row.len(), NARROW_HEADER_LEN);
            }
            None => {
                row.extend_from_slice(&[FORMAT | FLAG_WIDE | nulls_flag, 0]);
                row.extend_from_slice(&(columns as u16).to_le_bytes());
                row.extend_from_slice(&version.0.to_le_bytes());
            }
        }
        if has_nulls {
            row.extend_from_slice(&self.nulls);
        }
        row.extend_from_slice(&self.fixed);
        for end in &self.ends {
            match narrow {
                Some(_) => row.extend_from_slice(&(*end as u16).to_le_bytes()),
                None => row.extend_from_slice(&(*end as u32).to_le_bytes()),
            }
        }
        row.extend_from_slice(&self.variable);
        row
    }
}
