//! From a predicate to the keys that can satisfy it.
//!
//! [`mod@terms`] says what the conjuncts say of single columns, [`candidates`] in which ways the table can be read
//! by them: its own key or an index, which of whose columns are given, and in what range. Deciding is done once
//! for a plan; the keys themselves ([`Access::ranges`]) are computed for each execution from its parameters,
//! and on the inner side of a loop for each row of the outer side.

mod candidate;
mod describe;
mod terms;

use super::expr::{Env, Evaluator};
use super::storage::{KeyColumn, TableCodec};
use crate::SqlResult;
pub(crate) use candidate::UNKNOWN_ROWS;
pub(super) use candidate::{Candidate, OrderColumn, candidates};
use shardforge_common::key::{prefix_end, storage_prefix, storage_range};
use shardforge_types::key::encode_key_column;
use shardforge_types::{Datum, PgType, oids};
pub(super) use terms::{Columns, conjuncts, terms};

/// The most keys that lists of several columns are multiplied to.
const MAX_PREFIXES: usize = 4096;

/// How the rows that a statement wants are found.
#[derive(Debug)]
pub(super) struct Access {
    /// Position in [`TableCodec::indexes`]; `None` is the table's own key.
    pub(super) index: Option<usize>,
    /// The leading columns of the key that are given.
    given: Vec<Given>,
    /// Bounds of the column after them.
    range: Option<Bounds>,
    /// Whether the whole key of a unique index is given, without a list: at most one row.
    pub(super) point: bool,
    /// Whether it is given as a list: each key that is computed has at most one row.
    pub(super) points: bool,
}

/// A key column with the values it may have.
#[derive(Debug)]
struct Given {
    column: KeyColumn,
    values: Values,
}

#[derive(Debug)]
enum Values {
    One(Evaluator),
    /// The elements of an array.
    Elements(Evaluator),
    Each(Vec<Evaluator>),
    Null,
}

#[derive(Debug)]
struct Bounds {
    column: KeyColumn,
    low: Option<(Evaluator, bool)>,
    high: Option<(Evaluator, bool)>,
}

/// Keys to read: `[start, end)` each, in key order and disjoint.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
}

/// Where a value stands among those of a column's type.
enum Placed {
    /// It is one of them.
    Value(Datum),
    /// Below all of them.
    Below,
    /// Above all of them.
    Above,
    /// Null: nothing compares with it.
    Unknown,
}

fn place(datum: Datum, column: PgType) -> Placed {
    if datum.is_null() {
        return Placed::Unknown;
    }
    let Some(value) = datum.as_i64() else { return Placed::Value(datum) };
    let narrow = match column.oid {
        oids::INT2 => i16::try_from(value).ok().map(Datum::Int2),
        oids::INT4 => i32::try_from(value).ok().map(Datum::Int4),
        oids::INT8 => Some(Datum::Int8(value)),
        _ => return Placed::Value(datum),
    };
    match narrow {
        Some(datum) => Placed::Value(datum),
        None if value < 0 => Placed::Below,
        None => Placed::Above,
    }
}

impl Access {
    /// Computes the one key of a point into `out`; false when no row can have it.
    pub(super) fn point_key(&self, codec: &TableCodec, env: &Env<'_>, out: &mut Vec<u8>) -> SqlResult<bool> {
        out.clear();
        out.extend_from_slice(&storage_prefix(self.storage(codec)));
        for given in &self.given {
            // A point has neither lists nor nulls.
            let Values::One(value) = &given.values else { return Ok(false) };
            match place(value.eval(env)?, given.column.ty) {
                Placed::Value(datum) => encode_key_column(out, &datum, given.column.ty, given.column.order)?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn storage(&self, codec: &TableCodec) -> shardforge_common::StorageId {
        match self.index {
            None => codec.table().storage,
            Some(index) => codec.indexes()[index].storage(),
        }
    }

    /// The ranges to read, in key order.
    pub(super) fn ranges(&self, codec: &TableCodec, env: &Env<'_>) -> SqlResult<Vec<KeyRange>> {
        let storage = self.storage(codec);
        let mut prefixes = vec![storage_prefix(storage).to_vec()];
        let whole = |start: Vec<u8>| {
            let end = prefix_end(&start).unwrap_or_else(|| storage_range(storage).1);
            KeyRange { start, end }
        };
        for given in &self.given {
            let encoded = given.encode(env)?;
            if prefixes.len() > 1 && prefixes.len() * encoded.len() > MAX_PREFIXES {
                // What the columns from here on say is in the filter too.
                return Ok(prefixes.into_iter().map(whole).collect());
            }
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| encoded.iter().map(move |part| [&prefix[..], part].concat()))
                .collect();
        }
        let Some(range) = &self.range else {
            return Ok(prefixes.into_iter().map(whole).collect());
        };
        let bound = |bound: &Option<(Evaluator, bool)>| -> SqlResult<Option<(Placed, bool)>> {
            bound
                .as_ref()
                .map(|(value, inclusive)| Ok((place(value.eval(env)?, range.column.ty), *inclusive)))
                .transpose()
        };
        let (low, high) = match (bound(&range.low)?, bound(&range.high)?) {
            (Some((Placed::Unknown | Placed::Above, _)), _)
            | (_, Some((Placed::Unknown | Placed::Below, _))) => {
                return Ok(Vec::new());
            }
            (low, high) => (low, high),
        };
        let value = |bound: Option<(Placed, bool)>| match bound {
            Some((Placed::Value(datum), inclusive)) => Some((datum, inclusive)),
            _ => None,
        };
        let (low, high) = (value(low), value(high));
        let (first, last) = if range.column.order.desc { (high, low) } else { (low, high) };
        let mut out = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let edge = |value: &Option<(Datum, bool)>, after: bool| -> SqlResult<Vec<u8>> {
                let mut key = prefix.clone();
                let order = range.column.order;
                let beyond = match value {
                    Some((datum, inclusive)) => {
                        encode_key_column(&mut key, datum, range.column.ty, order)?;
                        *inclusive == after
                    }
                    // Nulls lie at one end of the column's values, and compare with nothing.
                    None if order.nulls_first != after => {
                        encode_key_column(&mut key, &Datum::Null, range.column.ty, order)?;
                        !after
                    }
                    None => after,
                };
                Ok(if beyond { prefix_end(&key).unwrap_or_else(|| storage_range(storage).1) } else { key })
            };
            let (start, end) = (edge(&first, false)?, edge(&last, true)?);
            if start < end {
                out.push(KeyRange { start, end });
            }
        }
        Ok(out)
    }
}

impl Given {
    /// The values as they stand in keys, in order, each once.
    fn encode(&self, env: &Env<'_>) -> SqlResult<Vec<Vec<u8>>> {
        let values = match &self.values {
            Values::One(value) => vec![value.eval(env)?],
            Values::Each(values) => values.iter().map(|value| value.eval(env)).collect::<SqlResult<_>>()?,
            Values::Elements(array) => match array.eval(env)? {
                Datum::Array(array) => array.values.clone(),
                _ => Vec::new(),
            },
            Values::Null => {
                let mut null = Vec::new();
                encode_key_column(&mut null, &Datum::Null, self.column.ty, self.column.order)?;
                return Ok(vec![null]);
            }
        };
        let mut encoded = Vec::with_capacity(values.len());
        for value in values {
            if let Placed::Value(datum) = place(value, self.column.ty) {
                let mut part = Vec::with_capacity(10);
                encode_key_column(&mut part, &datum, self.column.ty, self.column.order)?;
                encoded.push(part);
            }
        }
        encoded.sort_unstable();
        encoded.dedup();
        Ok(encoded)
    }
}
