//! Arrays: their shape, elements, search, and what makes one of two.

use super::args::{body, wrong_arguments};
use super::call::{Call, ScalarFunction, stable, strict};
use super::compare::order_arrays;
use super::text_io::output_text;
use crate::{SqlError, SqlResult};
use shardforge_types::array::MAX_DIMS;
use shardforge_types::{ArrayDim, ArrayValue, Datum, Oid, PgType, SqlState, compare, oids};
use smallvec::smallvec;
use std::cmp::Ordering;
use std::sync::Arc;

type Array = Arc<ArrayValue>;

#[cold]
fn refuse(state: SqlState, message: impl Into<String>) -> SqlError {
    SqlError::new(state, message)
}

fn dim(array: &ArrayValue, n: i32) -> Option<ArrayDim> {
    array.dims.get(usize::try_from(n).ok()?.checked_sub(1)?).copied()
}

fn dims_text(array: &ArrayValue) -> Option<String> {
    let text = array.dims.iter().map(|dim| format!("[{}:{}]", dim.lower, dim.lower + dim.len - 1));
    (!array.is_empty()).then(|| text.collect())
}

fn element_of(call: &Call<'_>) -> SqlResult<Oid> {
    call.result.oid.element_type().ok_or_else(|| SqlError::internal("an array function of no array type"))
}

fn as_array(datum: &Datum) -> SqlResult<Option<&Array>> {
    match datum {
        Datum::Array(array) => Ok(Some(array)),
        Datum::Null => Ok(None),
        other => Err(wrong_arguments(std::slice::from_ref(other))),
    }
}

fn one_dimensional(array: &ArrayValue, message: &'static str) -> SqlResult<()> {
    if array.dims.len() > 1 { Err(refuse(SqlState::DATA_EXCEPTION, message)) } else { Ok(()) }
}

/// `array_append`, and `array_prepend` when `front`: a null array is an empty one.
fn extend(array: &Datum, value: &Datum, front: bool, call: &Call<'_>) -> SqlResult<Datum> {
    let element = element_of(call)?;
    let Some(array) = as_array(array)?.filter(|array| !array.is_empty()) else {
        return Ok(Datum::array(element, vec![value.clone()]));
    };
    one_dimensional(array, "argument must be empty or one-dimensional array")?;
    let mut values = array.values.clone();
    let at = if front { 0 } else { values.len() };
    values.insert(at, value.clone());
    let lower = array.dims[0].lower;
    let dims = smallvec![ArrayDim { len: values.len() as i32, lower }];
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, values })))
}

fn cat(a: &Datum, b: &Datum, call: &Call<'_>) -> SqlResult<Datum> {
    let (Some(a), Some(b)) = (as_array(a)?, as_array(b)?) else {
        return Ok(if a.is_null() { b.clone() } else { a.clone() });
    };
    if a.is_empty() {
        return Ok(Datum::Array(b.clone()));
    }
    if b.is_empty() {
        return Ok(Datum::Array(a.clone()));
    }
    let incompatible = |detail: &str| {
        refuse(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays").detail(detail)
    };
    let lens = |dims: &[ArrayDim]| dims.iter().map(|dim| dim.len).collect::<Vec<_>>();
    let dims = match a.dims.len() as i32 - b.dims.len() as i32 {
        0 => {
            if lens(&a.dims[1..]) != lens(&b.dims[1..]) {
                let detail = "Arrays with differing element dimensions are not compatible for concatenation.";
                return Err(incompatible(detail));
            }
            let mut dims = a.dims.clone();
            dims[0].len += b.dims[0].len;
            dims
        }
        1 | -1 => {
            let (outer, inner) = if a.dims.len() > b.dims.len() { (a, b) } else { (b, a) };
            if lens(&outer.dims[1..]) != lens(&inner.dims) {
                return Err(incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                ));
            }
            let mut dims = outer.dims.clone();
            dims[0].len += 1;
            dims
        }
        _ => {
            let detail = format!(
                "Arrays of {} and {} dimensions are not compatible for concatenation.",
                a.dims.len(),
                b.dims.len()
            );
            return Err(incompatible(&detail));
        }
    };
    let values = a.values.iter().chain(&b.values).cloned().collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: element_of(call)?, dims, values })))
}

fn same(a: &Datum, b: &Datum, ty: PgType) -> bool {
    match (a.is_null(), b.is_null()) {
        (true, true) => true,
        (false, false) => compare::compare(a, b, ty) == Ordering::Equal,
        _ => false,
    }
}

/// Subscripts, from `start`, of the elements that are (not distinct from) a value.
fn positions<'a>(array: &'a Array, value: &'a Datum, start: i32) -> impl Iterator<Item = i32> + 'a {
    let ty = PgType::new(array.element);
    let lower = array.dims.first().map_or(1, |dim| dim.lower);
    let subscripts = array.values.iter().enumerate().map(move |(n, v)| (lower + n as i32, v));
    subscripts.filter(move |(n, v)| *n >= start && same(v, value, ty)).map(|(n, _)| n)
}

fn position(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let (array, value, start) = match args {
        [array, value] => (array, value, i32::MIN),
        [array, value, Datum::Int4(start)] => (array, value, *start),
        [_, _, Datum::Null] => {
            return Err(refuse(SqlState::NULL_VALUE_NOT_ALLOWED, "initial position must not be null"));
        }
        _ => return Err(wrong_arguments(args)),
    };
    let Some(array) = as_array(array)? else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        let message = "searching for elements in multidimensional arrays is not supported";
        return Err(refuse(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(positions(array, value, start).next().map_or(Datum::Null, Datum::Int4))
}

fn all_positions(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let [array, value] = args else { return Err(wrong_arguments(args)) };
    let Some(array) = as_array(array)? else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        let message = "searching for elements in multidimensional arrays is not supported";
        return Err(refuse(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(Datum::array(oids::INT4, positions(array, value, i32::MIN).map(Datum::Int4).collect()))
}

fn remove(array: &Datum, value: &Datum) -> SqlResult<Datum> {
    let Some(array) = as_array(array)? else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        let message = "removing elements from multidimensional arrays is not supported";
        return Err(refuse(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let ty = PgType::new(array.element);
    let values: Vec<Datum> = array.values.iter().filter(|v| !same(v, value, ty)).cloned().collect();
    if values.is_empty() {
        return Ok(Datum::Array(Arc::new(ArrayValue::empty(array.element))));
    }
    let dims = smallvec![ArrayDim { len: values.len() as i32, lower: array.dims[0].lower }];
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dims, values })))
}

fn replace(array: &Datum, from: &Datum, to: &Datum) -> SqlResult<Datum> {
    let Some(array) = as_array(array)? else { return Ok(Datum::Null) };
    let ty = PgType::new(array.element);
    let values =
        array.values.iter().map(|v| if same(v, from, ty) { to.clone() } else { v.clone() }).collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dims: array.dims.clone(), values })))
}

fn contains(a: &Array, b: &Array) -> bool {
    let ty = PgType::new(a.element);
    b.values.iter().all(|v| !v.is_null() && a.values.iter().any(|w| !w.is_null() && same(w, v, ty)))
}

fn overlaps(a: &Array, b: &Array) -> bool {
    let ty = PgType::new(a.element);
    b.values.iter().any(|v| !v.is_null() && a.values.iter().any(|w| !w.is_null() && same(w, v, ty)))
}

fn to_string(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let (array, separator, null) = match args {
        [array, separator] => (array, separator, None),
        [array, separator, null] => (array, separator, null.as_str()),
        _ => return Err(wrong_arguments(args)),
    };
    let (Some(array), Some(separator)) = (as_array(array)?, separator.as_str()) else {
        return Ok(Datum::Null);
    };
    let ty = PgType::new(array.element);
    let mut out = String::new();
    let mut first = true;
    for value in &array.values {
        if value.is_null() && null.is_none() {
            continue;
        }
        if !first {
            out.push_str(separator);
        }
        first = false;
        match null {
            Some(null) if value.is_null() => out.push_str(null),
            _ => output_text(value, ty, call.context, &mut out)?,
        }
    }
    Ok(Datum::text(out))
}

/// The parts of a text between separators: each character with a null one, the whole with an empty one.
pub(super) fn split(text: &str, separator: Option<&str>, null: Option<&str>) -> Vec<Datum> {
    let part = |part: &str| if Some(part) == null { Datum::Null } else { Datum::text(part) };
    if text.is_empty() {
        return Vec::new();
    }
    match separator {
        None => text.chars().map(|c| part(c.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => vec![part(text)],
        Some(separator) => text.split(separator).map(part).collect(),
    }
}

fn from_string(args: &[Datum], _call: &Call<'_>) -> SqlResult<Datum> {
    let Some(text) = args.first().and_then(Datum::as_str) else { return Ok(Datum::Null) };
    let separator = args.get(1).and_then(Datum::as_str);
    let null = args.get(2).and_then(Datum::as_str);
    Ok(Datum::array(oids::TEXT, split(text, separator, null)))
}

fn fill(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let (value, lens, lowers) = match args {
        [value, lens] => (value, lens, None),
        [value, lens, lowers] => (value, lens, Some(lowers)),
        _ => return Err(wrong_arguments(args)),
    };
    let no_null =
        || refuse(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension array or low bound array cannot be null");
    let ints = |datum: &Datum| -> SqlResult<Vec<i32>> {
        let array = as_array(datum)?.ok_or_else(no_null)?;
        if array.dims.len() > 1 {
            return Err(refuse(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
        }
        let int = |v: &Datum| match v {
            Datum::Int4(n) => Ok(*n),
            _ => Err(refuse(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null")),
        };
        array.values.iter().map(int).collect()
    };
    let lens = ints(lens)?;
    let lowers = match lowers {
        Some(lowers) => ints(lowers)?,
        None => vec![1; lens.len()],
    };
    if lowers.len() != lens.len() {
        return Err(refuse(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    if lens.len() > MAX_DIMS {
        let message = format!("number of array dimensions ({}) exceeds the maximum allowed (6)", lens.len());
        return Err(refuse(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let element = element_of(call)?;
    let mut total = usize::from(!lens.is_empty());
    for len in &lens {
        let len = usize::try_from(*len).ok();
        total = len
            .and_then(|len| total.checked_mul(len))
            .filter(|n| *n <= shardforge_types::array::MAX_ELEMENTS)
            .ok_or_else(|| {
                refuse(SqlState::PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (134217727)")
            })?;
    }
    if total == 0 {
        return Ok(Datum::Array(Arc::new(ArrayValue::empty(element))));
    }
    let dims = lens.iter().zip(&lowers).map(|(len, lower)| ArrayDim { len: *len, lower: *lower }).collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, values: vec![value.clone(); total] })))
}

fn trim(array: &Array, count: i32) -> SqlResult<Datum> {
    let len = array.dims.first().map_or(0, |dim| dim.len);
    if count < 0 || count > len {
        let message = format!("number of elements to trim must be between 0 and {len}");
        return Err(refuse(SqlState::ARRAY_ELEMENT_ERROR, message));
    }
    if count == len {
        return Ok(Datum::Array(Arc::new(ArrayValue::empty(array.element))));
    }
    let mut out = (**array).clone();
    let inner = array.values.len() / len as usize;
    out.values.truncate((len - count) as usize * inner);
    out.dims[0].len = len - count;
    // As of any slice, subscripts begin at 1.
    out.dims.iter_mut().for_each(|dim| dim.lower = 1);
    Ok(Datum::Array(Arc::new(out)))
}

fn larger(a: &Array, b: &Array) -> Array {
    if order_arrays(a, b) == Ordering::Less { b.clone() } else { a.clone() }
}

fn smaller(a: &Array, b: &Array) -> Array {
    if order_arrays(a, b) == Ordering::Greater { b.clone() } else { a.clone() }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(748, "array_ndims", body!(|a: &Array| (!a.is_empty()).then_some(a.dims.len() as i32))),
    strict(747, "array_dims", body!(|a: &Array| dims_text(a))),
    strict(2091, "array_lower", body!(|a: &Array, n: i32| dim(a, n).map(|dim| dim.lower))),
    strict(2092, "array_upper", body!(|a: &Array, n: i32| dim(a, n).map(|dim| dim.lower + dim.len - 1))),
    strict(2176, "array_length", body!(|a: &Array, n: i32| dim(a, n).map(|dim| dim.len))),
    strict(3179, "cardinality", body!(|a: &Array| a.len() as i32)),
    strict(378, "array_append", body!(call |a: &Datum, v: &Datum| extend(a, v, false, call))).non_strict(),
    strict(379, "array_prepend", body!(call |v: &Datum, a: &Datum| extend(a, v, true, call))).non_strict(),
    strict(383, "array_cat", body!(call |a: &Datum, b: &Datum| cat(a, b, call))).non_strict(),
    strict(3277, "array_position", position).non_strict(),
    strict(3278, "array_position", position).non_strict(),
    strict(3279, "array_positions", all_positions).non_strict(),
    strict(3167, "array_remove", body!(|a: &Datum, v: &Datum| remove(a, v))).non_strict(),
    strict(3168, "array_replace", body!(|a: &Datum, from: &Datum, to: &Datum| replace(a, from, to)))
        .non_strict(),
    strict(2747, "arrayoverlap", body!(|a: &Array, b: &Array| overlaps(a, b))),
    strict(2748, "arraycontains", body!(|a: &Array, b: &Array| contains(a, b))),
    strict(2749, "arraycontained", body!(|a: &Array, b: &Array| contains(b, a))),
    stable(395, "array_to_string", to_string),
    stable(384, "array_to_string", to_string).non_strict(),
    strict(394, "string_to_array", from_string).non_strict(),
    strict(376, "string_to_array", from_string).non_strict(),
    strict(1193, "array_fill", fill).non_strict(),
    strict(1286, "array_fill", fill).non_strict(),
    strict(6172, "trim_array", body!(|a: &Array, n: i32| trim(a, n))),
    strict(515, "array_larger", body!(|a: &Array, b: &Array| larger(a, b))),
    strict(516, "array_smaller", body!(|a: &Array, b: &Array| smaller(a, b))),
];
