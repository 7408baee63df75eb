//! The order and the equality of values: PostgreSQL's default B-tree and hash operators.
//!
//! Text compares by its bytes (collation C). `NaN` equals itself and is the greatest number; -0 equals
//! 0; `char(n)` ignores trailing blanks; intervals compare by length; arrays by elements, then by
//! length, then by bounds; records by fields. Null is equal to null and above every value, as inside
//! arrays and in sorts; what SQL's operators make of null is the caller's business.

use crate::{Datum, PgType, oids};
use std::cmp::Ordering;
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// Compares two values of `ty`.
///
/// Values of different forms have no order of their own; they are ordered by form, so that a sort of
/// what should never have been mixed still ends.
pub fn compare(a: &Datum, b: &Datum, ty: PgType) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Int4(a), Datum::Int4(b)) | (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b))
        | (Datum::Time(a), Datum::Time(b))
        | (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) if ty.oid == oids::BPCHAR => {
            without_blanks(a).cmp(without_blanks(b))
        }
        (Datum::Text(a), Datum::Text(b)) => a.cmp(b),
        (Datum::Numeric(a), Datum::Numeric(b)) => a.cmp(b),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Int2(a), Datum::Int2(b)) => a.cmp(b),
        (Datum::Float4(a), Datum::Float4(b)) => compare_floats(f64::from(*a), f64::from(*b)),
        (Datum::Float8(a), Datum::Float8(b)) => compare_floats(*a, *b),
        (Datum::Char(a), Datum::Char(b)) => a.cmp(b),
        (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
        (Datum::Interval(a), Datum::Interval(b)) => a.cmp(b),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
        (Datum::Array(a), Datum::Array(b)) if ty.oid == oids::OIDVECTOR => {
            // Shorter vectors come first, whatever they hold.
            let element = PgType::new(a.element);
            a.len().cmp(&b.len()).then_with(|| compare_lists(&a.values, &b.values, element))
        }
        (Datum::Array(a), Datum::Array(b)) => compare_lists(&a.values, &b.values, PgType::new(a.element))
            .then(a.dims.len().cmp(&b.dims.len()))
            .then_with(|| a.dims.iter().map(|dim| dim.len).cmp(b.dims.iter().map(|dim| dim.len)))
            .then_with(|| a.dims.iter().map(|dim| dim.lower).cmp(b.dims.iter().map(|dim| dim.lower))),
        (Datum::Record(a), Datum::Record(b)) => {
            let fields = a.iter().zip(b.iter()).map(|(a, b)| compare(&a.value, &b.value, a.ty));
            fields.into_iter().find(|order| order.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        }
        _ => {
            debug_assert!(false, "compared {a:?} with {b:?}");
            form(a).cmp(&form(b))
        }
    }
}

/// Whether two values of `ty` are equal; null is equal to null.
pub fn equal(a: &Datum, b: &Datum, ty: PgType) -> bool {
    compare(a, b, ty).is_eq()
}

/// Two floats, `NaN` equal to itself and above everything, -0 equal to 0.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The text of a `char(n)` without the blanks that fill it.
pub fn without_blanks(text: &str) -> &str {
    text.trim_end_matches(' ')
}

fn compare_lists(a: &[Datum], b: &[Datum], element: PgType) -> Ordering {
    let pairs = a.iter().zip(b).map(|(a, b)| compare(a, b, element));
    pairs.into_iter().find(|order| order.is_ne()).unwrap_or(a.len().cmp(&b.len()))
}

fn form(datum: &Datum) -> u32 {
    datum.natural_type().oid.0
}

/// A hash under which equal values of `ty` agree.
pub fn hash(datum: &Datum, ty: PgType) -> u64 {
    let mut state = Xxh3::new();
    hash_into(datum, ty, &mut state);
    state.digest()
}

/// Adds a value of `ty` to a hash that is being made, as [`hash`] does for one alone.
pub fn hash_into<H: Hasher>(datum: &Datum, ty: PgType, state: &mut H) {
    use std::hash::Hash;
    match datum {
        Datum::Null => state.write_u8(0xfe),
        Datum::Bool(value) => state.write_u8(u8::from(*value)),
        Datum::Int2(value) => state.write_i64(i64::from(*value)),
        Datum::Int4(value) => state.write_i64(i64::from(*value)),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => {
            state.write_i64(*value);
        }
        Datum::Float4(value) => hash_float(f64::from(*value), state),
        Datum::Float8(value) => hash_float(*value, state),
        Datum::Numeric(value) => value.hash(state),
        Datum::Text(value) if ty.oid == oids::BPCHAR => without_blanks(value).hash(state),
        Datum::Text(value) => value.as_str().hash(state),
        Datum::Char(value) => state.write_u8(*value),
        Datum::Bytea(value) => value.hash(state),
        Datum::Date(value) => state.write_i64(i64::from(*value)),
        Datum::Interval(value) => value.hash(state),
        Datum::Uuid(value) => state.write(value),
        Datum::Oid(value) => state.write_u32(value.0),
        Datum::Array(array) => {
            array.dims.hash(state);
            array.values.iter().for_each(|value| hash_into(value, PgType::new(array.element), state));
        }
        Datum::Record(fields) => fields.iter().for_each(|field| hash_into(&field.value, field.ty, state)),
    }
}

fn hash_float<H: Hasher>(value: f64, state: &mut H) {
    let canonical = if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    state.write_u64(canonical.to_bits());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArrayValue, Interval};

    fn order(a: Datum, b: Datum) -> Ordering {
        let ty = a.natural_type();
        let order = compare(&a, &b, ty);
        assert_eq!(order.reverse(), compare(&b, &a, ty));
        if order.is_eq() {
            assert_eq!(hash(&a, ty), hash(&b, ty), "{a:?} {b:?}");
        }
        order
    }

    #[test]
    fn floats_have_a_total_order() {
        assert_eq!(order(Datum::Float8(-0.0), Datum::Float8(0.0)), Ordering::Equal);
        assert_eq!(order(Datum::Float8(f64::NAN), Datum::Float8(-f64::NAN)), Ordering::Equal);
        assert_eq!(order(Datum::Float8(f64::NAN), Datum::Float8(f64::INFINITY)), Ordering::Greater);
    }

    #[test]
    fn intervals_compare_by_length() {
        let month = Datum::Interval(Interval::new(1, 0, 0));
        assert_eq!(order(month.clone(), Datum::Interval(Interval::new(0, 30, 0))), Ordering::Equal);
        assert_eq!(order(month, Datum::Interval(Interval::new(0, 0, 31 * 86_400_000_000))), Ordering::Less);
    }

    #[test]
    fn blanks_matter_in_text_and_not_in_char() {
        let (a, b) = (Datum::text("a"), Datum::text("a  "));
        assert_eq!(compare(&a, &b, PgType::TEXT), Ordering::Less);
        assert_eq!(compare(&a, &b, PgType::bpchar(3)), Ordering::Equal);
        assert_eq!(hash(&a, PgType::bpchar(3)), hash(&b, PgType::bpchar(3)));
    }

    #[test]
    fn arrays_compare_by_elements_then_length_then_shape() {
        let array =
            |values: &[i32]| Datum::array(oids::INT4, values.iter().map(|v| Datum::Int4(*v)).collect());
        assert_eq!(order(array(&[1, 2]), array(&[1, 3])), Ordering::Less);
        assert_eq!(order(array(&[1, 2]), array(&[1])), Ordering::Greater);
        assert_eq!(order(array(&[]), array(&[0])), Ordering::Less);
        let mut shifted = ArrayValue::from_values(oids::INT4, vec![Datum::Int4(1)]);
        shifted.dims[0].lower = 0;
        assert_eq!(order(Datum::Array(shifted.into()), array(&[1])), Ordering::Less);
        let with_null = Datum::array(oids::INT4, vec![Datum::Null]);
        assert_eq!(order(with_null, array(&[9])), Ordering::Greater);
    }
}
