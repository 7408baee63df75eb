//! `string_agg` of text and bytea.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use bytes::Bytes;
use shardforge_types::Datum;

#[derive(Default)]
struct Strings(Option<String>);

impl Accumulator for Strings {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let [Datum::Text(value), separator] = args else { return Ok(()) };
        match &mut self.0 {
            None => self.0 = Some(value.as_str().to_owned()),
            Some(text) => {
                text.push_str(separator.as_str().unwrap_or(""));
                text.push_str(value);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.0.take().map_or(Datum::Null, Datum::text))
    }

    fn size_bytes(&self) -> usize {
        64 + self.0.as_ref().map_or(0, String::capacity)
    }
}

#[derive(Default)]
struct ByteStrings(Option<Vec<u8>>);

impl Accumulator for ByteStrings {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let [Datum::Bytea(value), separator] = args else { return Ok(()) };
        match &mut self.0 {
            None => self.0 = Some(value.to_vec()),
            Some(bytes) => {
                if let Datum::Bytea(separator) = separator {
                    bytes.extend_from_slice(separator);
                }
                bytes.extend_from_slice(value);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.0.take().map_or(Datum::Null, |bytes| Datum::Bytea(Bytes::from(bytes))))
    }

    fn size_bytes(&self) -> usize {
        64 + self.0.as_ref().map_or(0, Vec::capacity)
    }
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(3538, "string_agg", |_| Box::new(Strings::default())),
    aggregate(3545, "string_agg", |_| Box::new(ByteStrings::default())),
];
