//! Arrays made, converted and cut by expressions.

use crate::{SqlError, SqlResult};
use shardforge_types::{ArrayDim, ArrayValue, Datum, Oid, PgType, SqlState};
use smallvec::SmallVec;
use std::sync::Arc;

fn element_of(ty: PgType) -> SqlResult<Oid> {
    ty.oid.element_type().ok_or_else(|| SqlError::internal(format!("{ty} is no array type")))
}

/// An array of the values; with `nested` they are arrays of one shape, which becomes the inner dimensions.
pub(super) fn build(values: Vec<Datum>, nested: bool, ty: PgType) -> SqlResult<Datum> {
    let element = element_of(ty)?;
    if !nested {
        return Ok(Datum::array(element, values));
    }
    let mismatch = || {
        let message = "multidimensional arrays must have array expressions with matching dimensions";
        SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
    };
    let mut shape: Option<SmallVec<[ArrayDim; 1]>> = None;
    let mut all = Vec::new();
    for value in &values {
        // A null or empty array inside counts as no elements, and then all of them have to.
        let (dims, inner) = match value {
            Datum::Array(array) => (array.dims.clone(), &array.values[..]),
            _ => (SmallVec::new(), &[][..]),
        };
        if *shape.get_or_insert_with(|| dims.clone()) != dims {
            return Err(mismatch());
        }
        all.extend_from_slice(inner);
    }
    if all.is_empty() {
        return Ok(Datum::Array(Arc::new(ArrayValue::empty(element))));
    }
    let mut dims = shape.unwrap_or_default();
    dims.insert(0, ArrayDim { len: values.len() as i32, lower: 1 });
    if dims.len() > shardforge_types::array::MAX_DIMS {
        let message = format!("number of array dimensions ({}) exceeds the maximum allowed (6)", dims.len());
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, values: all })))
}

/// The array with each element converted.
pub(super) fn convert(
    array: &Datum,
    to: PgType,
    mut element: impl FnMut(&Datum) -> SqlResult<Datum>,
) -> SqlResult<Datum> {
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    let values = array.values.iter().map(&mut element).collect::<SqlResult<Vec<_>>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue { element: element_of(to)?, dims: array.dims.clone(), values })))
}

/// The part of an array within bounds, its subscripts from 1. Dimensions without bounds are whole.
pub(super) fn slice(array: &ArrayValue, bounds: &[(Option<i32>, Option<i32>)]) -> Datum {
    let empty = || Datum::Array(Arc::new(ArrayValue::empty(array.element)));
    if bounds.len() > array.dims.len() || array.dims.is_empty() {
        return empty();
    }
    // Offsets kept of each dimension: from, and how many.
    let mut parts: SmallVec<[(usize, usize); 2]> = SmallVec::new();
    for (n, dim) in array.dims.iter().enumerate() {
        let (low, high) = bounds.get(n).copied().unwrap_or((None, None));
        let (first, last) = (i64::from(dim.lower), i64::from(dim.lower) + i64::from(dim.len) - 1);
        let low = low.map_or(first, |low| i64::from(low).max(first));
        let high = high.map_or(last, |high| i64::from(high).min(last));
        if low > high {
            return empty();
        }
        parts.push(((low - first) as usize, (high - low + 1) as usize));
    }
    let total = parts.iter().map(|(_, len)| len).product();
    let mut values = Vec::with_capacity(total);
    let mut at: SmallVec<[usize; 2]> = parts.iter().map(|_| 0).collect();
    while values.len() < total {
        let offset = array
            .dims
            .iter()
            .zip(&parts)
            .zip(&at)
            .fold(0, |offset, ((dim, (from, _)), at)| offset * dim.len as usize + from + at);
        values.push(array.values.get(offset).cloned().unwrap_or(Datum::Null));
        for n in (0..at.len()).rev() {
            at[n] += 1;
            if at[n] < parts[n].1 {
                break;
            }
            at[n] = 0;
        }
    }
    let dims = parts.iter().map(|(_, len)| ArrayDim { len: *len as i32, lower: 1 }).collect();
    Datum::Array(Arc::new(ArrayValue { element: array.element, dims, values }))
}
