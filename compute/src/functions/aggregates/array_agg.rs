//! `array_agg` of values, nulls included, and of arrays, which become a dimension.

use super::{Accumulator, AggregateCallInfo, AggregateFunction, aggregate};
use crate::{SqlError, SqlResult};
use shardforge_types::{ArrayDim, ArrayValue, Datum, Oid, PgType, SqlState};
use std::sync::Arc;

struct Values {
    element: Oid,
    values: Vec<Datum>,
}

impl Accumulator for Values {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        self.values.extend(args.first().cloned());
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::array(self.element, std::mem::take(&mut self.values)))
    }

    fn size_bytes(&self) -> usize {
        64 + self.values.capacity() * size_of::<Datum>()
    }
}

struct Arrays {
    element: Oid,
    shape: Option<Arc<ArrayValue>>,
    count: usize,
    values: Vec<Datum>,
}

impl Accumulator for Arrays {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let refuse = |state, message: &str| Err(SqlError::new(state, message));
        let [Datum::Array(array)] = args else {
            return refuse(SqlState::NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays");
        };
        if array.is_empty() {
            return refuse(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays");
        }
        let shape = self.shape.get_or_insert_with(|| array.clone());
        if shape.dims != array.dims {
            return refuse(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "cannot accumulate arrays of different dimensionality",
            );
        }
        self.count += 1;
        self.values.extend_from_slice(&array.values);
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        let Some(shape) = self.shape.take() else { return Ok(Datum::Null) };
        let mut dims = shape.dims.clone();
        dims.insert(0, ArrayDim { len: self.count as i32, lower: 1 });
        Ok(Datum::Array(Arc::new(ArrayValue {
            element: self.element,
            dims,
            values: std::mem::take(&mut self.values),
        })))
    }

    fn size_bytes(&self) -> usize {
        64 + self.values.capacity() * size_of::<Datum>()
    }
}

fn element(info: &AggregateCallInfo) -> Oid {
    let declared = info.result.oid.element_type();
    declared.unwrap_or_else(|| info.arg_types.first().copied().unwrap_or(PgType::TEXT).oid)
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2335, "array_agg", |info| Box::new(Values { element: element(info), values: Vec::new() })),
    aggregate(4053, "array_agg", |info| {
        Box::new(Arrays { element: element(info), shape: None, count: 0, values: Vec::new() })
    }),
];
