//! Arrays on the wire:
//!
//! ```text
//! number of dimensions (4)  whether there are nulls (4)  element type (4)
//! length and lower bound of each dimension (4, 4)
//! each element: its length, -1 for null (4), and its bytes
//! ```

use crate::array::{ArrayDim, MAX_DIMS, MAX_ELEMENTS};
use crate::sqlstate::SqlState;
use crate::{ArrayValue, Datum, Oid, PgType, ValueError, oids};
use smallvec::SmallVec;
use std::sync::Arc;

/// The type of the elements of an array or of a vector of the catalogs.
fn element_of(ty: PgType) -> Option<PgType> {
    match ty.oid {
        oids::INT2VECTOR => Some(PgType::INT2),
        oids::OIDVECTOR => Some(PgType::new(oids::OID)),
        _ => ty.element(),
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], ValueError> {
    let (head, rest) = bytes.split_at_checked(len).ok_or_else(ValueError::insufficient_data)?;
    *bytes = rest;
    Ok(head)
}

fn take_i32(bytes: &mut &[u8]) -> Result<i32, ValueError> {
    Ok(i32::from_be_bytes(*take(bytes, 4)?.first_chunk().expect("four bytes were taken")))
}

pub(super) fn input(mut bytes: &[u8], ty: PgType) -> Result<Datum, ValueError> {
    let wanted = element_of(ty).ok_or_else(|| ValueError::internal("not an array type"))?;
    let bytes = &mut bytes;
    let count = take_i32(bytes)?;
    let dimensions = usize::try_from(count)
        .map_err(|_| ValueError::bad_binary(format!("invalid number of dimensions: {count}")))?;
    if dimensions > MAX_DIMS {
        return Err(ValueError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMS})"),
        ));
    }
    let flags = take_i32(bytes)?;
    if flags != 0 && flags != 1 {
        return Err(ValueError::bad_binary("invalid array flags"));
    }
    let element = Oid(take_i32(bytes)? as u32);
    if element != wanted.oid {
        return Err(ValueError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {element} ({}) instead of expected {} ({wanted})",
                crate::oid::type_name(element),
                wanted.oid
            ),
        ));
    }
    let mut dims: SmallVec<[ArrayDim; 1]> = SmallVec::new();
    let mut elements = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let (len, lower) = (take_i32(bytes)?, take_i32(bytes)?);
        let whole = usize::try_from(len).ok();
        elements = whole
            .and_then(|len| elements.checked_mul(len))
            .filter(|all| *all <= MAX_ELEMENTS)
            .ok_or_else(|| {
                ValueError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "array size exceeds the maximum allowed (134217727)",
                )
            })?;
        if lower.checked_add(len).is_none() {
            return Err(ValueError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("array lower bound is too large: {lower}"),
            ));
        }
        dims.push(ArrayDim { len, lower });
    }
    if elements == 0 {
        return Ok(Datum::Array(Arc::new(ArrayValue::empty(element))));
    }
    // Each element has at least its length, so this bounds what a damaged message can ask for.
    let mut values = Vec::with_capacity(elements.min(bytes.len() / 4));
    for _ in 0..elements {
        values.push(match take_i32(bytes)? {
            -1 => Datum::Null,
            len => {
                let len = usize::try_from(len).map_err(|_| ValueError::insufficient_data())?;
                super::input(take(bytes, len)?, wanted)?
            }
        });
    }
    if !bytes.is_empty() {
        return Err(ValueError::bad_binary("improper binary format in array"));
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, values })))
}

pub(super) fn output(array: &ArrayValue, ty: PgType) -> Vec<u8> {
    let element = element_of(ty).unwrap_or(PgType::new(array.element));
    let mut out = Vec::with_capacity(20 + array.len() * 8);
    // Vectors of the catalogs have their one dimension even without elements.
    let is_vector = matches!(ty.oid, oids::INT2VECTOR | oids::OIDVECTOR);
    let empty_vector = [ArrayDim { len: 0, lower: 0 }];
    let dims = if is_vector && array.dims.is_empty() { &empty_vector[..] } else { &array.dims[..] };
    out.extend_from_slice(&(dims.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(array.values.iter().any(Datum::is_null)).to_be_bytes());
    out.extend_from_slice(&array.element.0.to_be_bytes());
    for dim in dims {
        out.extend_from_slice(&dim.len.to_be_bytes());
        out.extend_from_slice(&dim.lower.to_be_bytes());
    }
    for value in &array.values {
        let at = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if !value.is_null() {
            super::output(value, element, &mut out);
            let len = (out.len() - at - 4) as i32;
            out[at..at + 4].copy_from_slice(&len.to_be_bytes());
        }
    }
    out
}
