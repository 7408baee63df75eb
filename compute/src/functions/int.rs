//! Integer arithmetic: overflow is 22003, division by zero 22012, never a wrapped result.

use super::args::body;
use super::call::{ScalarFunction, strict};
use crate::{SqlError, SqlResult};
use shardforge_types::ValueError;

/// The three integer types, by what their errors call them.
pub(super) trait Int: Copy {
    const NAME: &'static str;
}
impl Int for i16 {
    const NAME: &'static str = "smallint";
}
impl Int for i32 {
    const NAME: &'static str = "integer";
}
impl Int for i64 {
    const NAME: &'static str = "bigint";
}

/// The value, or 22003 naming the type.
#[inline]
pub(super) fn in_range<T: Int>(value: Option<T>) -> SqlResult<T> {
    value.ok_or_else(out_of_range::<T>)
}

#[cold]
fn out_of_range<T: Int>() -> SqlError {
    ValueError::type_out_of_range(T::NAME).into()
}

#[cold]
fn division_by_zero() -> SqlError {
    ValueError::division_by_zero().into()
}

/// `a / b` or `a % b`: zero is refused first, then the one quotient that does not fit.
macro_rules! divide {
    ($ty:ty, $a:expr, $b:expr) => {
        if $b == 0 { Err(division_by_zero()) } else { in_range::<$ty>($a.checked_div($b)) }
    };
}

macro_rules! modulo {
    ($a:expr, $b:expr) => {
        // The least integer by -1 leaves nothing, though its quotient does not fit.
        if $b == 0 { Err(division_by_zero()) } else { Ok($a.wrapping_rem($b)) }
    };
}

macro_rules! arithmetic {
    ($name:literal, $a:ty, $b:ty => $to:ty; $pl:literal $mi:literal $mul:literal $div:literal) => {
        [
            strict(
                $pl,
                concat!($name, "pl"),
                body!(|a: $a, b: $b| in_range::<$to>(<$to>::from(a).checked_add(<$to>::from(b)))),
            ),
            strict(
                $mi,
                concat!($name, "mi"),
                body!(|a: $a, b: $b| in_range::<$to>(<$to>::from(a).checked_sub(<$to>::from(b)))),
            ),
            strict(
                $mul,
                concat!($name, "mul"),
                body!(|a: $a, b: $b| in_range::<$to>(<$to>::from(a).checked_mul(<$to>::from(b)))),
            ),
            strict(
                $div,
                concat!($name, "div"),
                body!(|a: $a, b: $b| divide!($to, <$to>::from(a), <$to>::from(b))),
            ),
        ]
    };
}

macro_rules! unary_and_bits {
    ($name:literal, $ty:ty, $shift:ty; $um:literal $up:literal $abs:literal $absf:literal $mod:literal $modf:literal
     $and:literal $or:literal $xor:literal $not:literal $shl:literal $shr:literal) => {
        [
            strict($um, concat!($name, "um"), body!(|a: $ty| in_range::<$ty>(a.checked_neg()))),
            strict($up, concat!($name, "up"), body!(|a: $ty| a)),
            strict($abs, concat!($name, "abs"), body!(|a: $ty| in_range::<$ty>(a.checked_abs()))),
            strict($absf, "abs", body!(|a: $ty| in_range::<$ty>(a.checked_abs()))),
            strict($mod, concat!($name, "mod"), body!(|a: $ty, b: $ty| modulo!(a, b))),
            strict($modf, "mod", body!(|a: $ty, b: $ty| modulo!(a, b))),
            strict($and, concat!($name, "and"), body!(|a: $ty, b: $ty| a & b)),
            strict($or, concat!($name, "or"), body!(|a: $ty, b: $ty| a | b)),
            strict($xor, concat!($name, "xor"), body!(|a: $ty, b: $ty| a ^ b)),
            strict($not, concat!($name, "not"), body!(|a: $ty| !a)),
            // An int2 is shifted as an int4, as C does.
            strict(
                $shl,
                concat!($name, "shl"),
                body!(|a: $ty, by: i32| <$shift>::from(a).wrapping_shl(by as u32) as $ty),
            ),
            strict(
                $shr,
                concat!($name, "shr"),
                body!(|a: $ty, by: i32| <$shift>::from(a).wrapping_shr(by as u32) as $ty),
            ),
        ]
    };
}

const ARITHMETIC: [[ScalarFunction; 4]; 9] = [
    arithmetic!("int2", i16, i16 => i16; 176 180 152 153),
    arithmetic!("int4", i32, i32 => i32; 177 181 141 154),
    arithmetic!("int8", i64, i64 => i64; 463 464 465 466),
    arithmetic!("int24", i16, i32 => i32; 178 182 170 172),
    arithmetic!("int42", i32, i16 => i32; 179 183 171 173),
    arithmetic!("int84", i64, i32 => i64; 1274 1275 1276 1277),
    arithmetic!("int48", i32, i64 => i64; 1278 1279 1280 1281),
    arithmetic!("int82", i64, i16 => i64; 837 838 839 840),
    arithmetic!("int28", i16, i64 => i64; 841 942 943 948),
];

const UNARY_AND_BITS: [[ScalarFunction; 12]; 3] = [
    unary_and_bits!("int2", i16, i32; 213 1911 1253 1398 155 940 1892 1893 1894 1895 1896 1897),
    unary_and_bits!("int4", i32, i32; 212 1912 1251 1397 156 941 1898 1899 1900 1901 1902 1903),
    unary_and_bits!("int8", i64, i64; 462 1910 1230 1396 945 947 1904 1905 1906 1907 1908 1909),
];

const OTHER: [ScalarFunction; 4] = [
    strict(5044, "gcd", body!(|a: i32, b: i32| in_range(i32::try_from(gcd(a.into(), b.into())).ok()))),
    strict(5045, "gcd", body!(|a: i64, b: i64| in_range(i64::try_from(gcd(a, b)).ok()))),
    strict(
        5046,
        "lcm",
        body!(|a: i32, b: i32| in_range(lcm(a.into(), b.into()).and_then(|v| i32::try_from(v).ok()))),
    ),
    strict(5047, "lcm", body!(|a: i64, b: i64| in_range(lcm(a, b)))),
];

/// The greatest common divisor, which is unsigned: that of two least integers has no positive form.
fn gcd(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i64, b: i64) -> Option<i64> {
    if a == 0 || b == 0 {
        return Some(0);
    }
    let product = (a.unsigned_abs() / gcd(a, b)).checked_mul(b.unsigned_abs())?;
    i64::try_from(product).ok()
}

/// Joins arrays of functions in a constant.
pub(super) const fn concat<const N: usize>(parts: &[&[ScalarFunction]]) -> [ScalarFunction; N] {
    let mut out = [parts[0][0]; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            out[at] = parts[part][i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N, "the parts have as many functions as the whole");
    out
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] =
    &concat::<{ 9 * 4 + 3 * 12 + 4 }>(&[ARITHMETIC.as_flattened(), UNARY_AND_BITS.as_flattened(), &OTHER]);

#[cfg(test)]
mod tests {
    use crate::functions::{Call, EvalContext, scalar};
    use shardforge_types::{Datum, Oid, PgType};

    fn call(oid: u32, args: &[Datum]) -> String {
        let context = EvalContext::detached(0);
        let call = Call { context: &context, arg_types: &[], result: PgType::INT8 };
        match scalar(Oid(oid)).unwrap().call(args, &call) {
            Ok(value) => format!("{value:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn overflow_and_division_are_errors() {
        assert_eq!(call(177, &[Datum::Int4(i32::MAX), Datum::Int4(1)]), "22003: integer out of range");
        assert_eq!(call(178, &[Datum::Int2(2), Datum::Int4(3)]), "Int4(5)");
        assert_eq!(call(154, &[Datum::Int4(i32::MIN), Datum::Int4(-1)]), "22003: integer out of range");
        assert_eq!(call(153, &[Datum::Int2(1), Datum::Int2(0)]), "22012: division by zero");
        assert_eq!(call(945, &[Datum::Int8(i64::MIN), Datum::Int8(-1)]), "Int8(0)");
        assert_eq!(call(1253, &[Datum::Int2(i16::MIN)]), "22003: smallint out of range");
        assert_eq!(call(5045, &[Datum::Int8(i64::MIN), Datum::Int8(0)]), "22003: bigint out of range");
        assert_eq!(call(5046, &[Datum::Int4(6), Datum::Int4(-4)]), "Int4(12)");
    }

    #[test]
    fn shifts_count_modulo_the_width() {
        assert_eq!(call(1902, &[Datum::Int4(1), Datum::Int4(33)]), "Int4(2)");
        assert_eq!(call(462, &[Datum::Null]), "Null");
    }
}
