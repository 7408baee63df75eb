//! `=`, `<>`, `<`, `<=`, `>`, `>=` of every type and pair of types that PostgreSQL compares directly.

use super::args::{Char, Date, Time, Timestamp, TimestampTz, Uuid, body, wrong_arguments};
use super::call::{Call, ScalarFunction, Volatility, strict};
use super::datetime::{date_to_timestamp, local_to_utc};
use super::int::concat;
use crate::SqlResult;
use crate::report::BoundOp;
use ahash::AHashMap;
use bytes::Bytes;
use shardforge_types::{ArrayValue, Datum, Interval, Numeric, Oid, PgType, compare};
use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

/// Six functions over one comparison. `$order` is an [`Ordering`] of `a` and `b`.
macro_rules! six {
    ($name:literal $suffix:literal, $eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal,
     |$a:ident: $ta:ty, $b:ident: $tb:ty| $order:expr) => {
        six!($name $suffix, $eq $ne $lt $le $gt $ge, _call |$a: $ta, $b: $tb| $order)
    };
    ($name:literal $suffix:literal, $eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal,
     $call:ident |$a:ident: $ta:ty, $b:ident: $tb:ty| $order:expr) => {
        [
            strict($eq, concat!($name, "eq", $suffix), body!($call |$a: $ta, $b: $tb| $order == Ordering::Equal)),
            strict($ne, concat!($name, "ne", $suffix), body!($call |$a: $ta, $b: $tb| $order != Ordering::Equal)),
            strict($lt, concat!($name, "lt", $suffix), body!($call |$a: $ta, $b: $tb| $order == Ordering::Less)),
            strict($le, concat!($name, "le", $suffix), body!($call |$a: $ta, $b: $tb| $order != Ordering::Greater)),
            strict($gt, concat!($name, "gt", $suffix), body!($call |$a: $ta, $b: $tb| $order == Ordering::Greater)),
            strict($ge, concat!($name, "ge", $suffix), body!($call |$a: $ta, $b: $tb| $order != Ordering::Less)),
        ]
    };
}

/// Six functions that depend on the session's time zone.
const fn zoned(mut six: [ScalarFunction; 6]) -> [ScalarFunction; 6] {
    let mut i = 0;
    while i < 6 {
        six[i] = six[i].with(Volatility::Stable);
        i += 1;
    }
    six
}

/// NaN equals itself and is above everything else; -0 equals 0.
pub(super) fn order_f64(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// `char(n)`: blanks at the end do not count.
pub(super) fn unpadded(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Arrays compare element by element, then by their shape.
pub(super) fn order_arrays(a: &Arc<ArrayValue>, b: &Arc<ArrayValue>) -> Ordering {
    let ty = PgType::new(a.element.array_type().unwrap_or(Oid::INVALID));
    compare::compare(&Datum::Array(a.clone()), &Datum::Array(b.clone()), ty)
}

/// A date beside a timestamp: dates beyond a timestamp's range are beyond all of its values.
fn order_date_timestamp(date: Date, timestamp: Timestamp) -> Ordering {
    match date_to_timestamp(date) {
        Ok(at) => at.cmp(&timestamp.0),
        Err(_) => Ordering::Greater,
    }
}

fn order_date_timestamptz(call: &Call<'_>, date: Date, timestamp: TimestampTz) -> SqlResult<Ordering> {
    match date_to_timestamp(date) {
        Ok(at) => Ok(local_to_utc(at, call)?.cmp(&timestamp.0)),
        Err(_) => Ok(Ordering::Greater),
    }
}

fn order_timestamp_timestamptz(call: &Call<'_>, a: Timestamp, b: TimestampTz) -> SqlResult<Ordering> {
    Ok(local_to_utc(a.0, call)?.cmp(&b.0))
}

const SIXES: &[[ScalarFunction; 6]; 37] = &[
    six!("int2" "", 63 145 64 148 146 151, |a: i16, b: i16| a.cmp(&b)),
    six!("int4" "", 65 144 66 149 147 150, |a: i32, b: i32| a.cmp(&b)),
    six!("int8" "", 467 468 469 471 470 472, |a: i64, b: i64| a.cmp(&b)),
    six!("int24" "", 158 164 160 166 162 168, |a: i16, b: i32| i32::from(a).cmp(&b)),
    six!("int42" "", 159 165 161 167 163 169, |a: i32, b: i16| a.cmp(&i32::from(b))),
    six!("int84" "", 474 475 476 478 477 479, |a: i64, b: i32| a.cmp(&i64::from(b))),
    six!("int48" "", 852 853 854 856 855 857, |a: i32, b: i64| i64::from(a).cmp(&b)),
    six!("int28" "", 1850 1851 1852 1854 1853 1855, |a: i16, b: i64| i64::from(a).cmp(&b)),
    six!("int82" "", 1856 1857 1858 1860 1859 1861, |a: i64, b: i16| a.cmp(&i64::from(b))),
    six!("float4" "", 287 288 289 290 291 292, |a: f32, b: f32| order_f64(a.into(), b.into())),
    six!("float8" "", 293 294 295 296 297 298, |a: f64, b: f64| order_f64(a, b)),
    six!("float48" "", 299 300 301 302 303 304, |a: f32, b: f64| order_f64(a.into(), b)),
    six!("float84" "", 305 306 307 308 309 310, |a: f64, b: f32| order_f64(a, b.into())),
    six!("numeric_" "", 1718 1719 1722 1723 1720 1721, |a: &Numeric, b: &Numeric| a.cmp(b)),
    six!("bool" "", 60 84 56 1691 57 1692, |a: bool, b: bool| a.cmp(&b)),
    six!("char" "", 61 70 1246 72 73 74, |a: Char, b: Char| a.cmp(&b)),
    six!("name" "", 62 659 655 656 657 658, |a: &str, b: &str| a.cmp(b)),
    six!("text" "", 67 157 740 741 742 743, |a: &str, b: &str| a.cmp(b)),
    six!("name" "text", 240 245 241 242 244 243, |a: &str, b: &str| a.cmp(b)),
    six!("text" "name", 247 252 248 249 251 250, |a: &str, b: &str| a.cmp(b)),
    six!("bpchar" "", 1048 1053 1049 1050 1051 1052, |a: &str, b: &str| unpadded(a).cmp(unpadded(b))),
    six!("bytea" "", 1948 1953 1949 1950 1951 1952, |a: &Bytes, b: &Bytes| a.cmp(b)),
    six!("oid" "", 184 185 716 717 1638 1639, |a: Oid, b: Oid| a.cmp(&b)),
    six!("uuid_" "", 2956 2959 2954 2955 2958 2957, |a: Uuid, b: Uuid| a.cmp(&b)),
    six!("date_" "", 1086 1091 1087 1088 1089 1090, |a: Date, b: Date| a.cmp(&b)),
    six!("time_" "", 1145 1106 1102 1103 1104 1105, |a: Time, b: Time| a.cmp(&b)),
    six!("timestamp_" "", 2052 2053 2054 2055 2057 2056, |a: Timestamp, b: Timestamp| a.cmp(&b)),
    six!("timestamptz_" "", 1152 1153 1154 1155 1157 1156, |a: TimestampTz, b: TimestampTz| a.cmp(&b)),
    six!("interval_" "", 1162 1163 1164 1165 1167 1166, |a: Interval, b: Interval| a.cmp(&b)),
    six!("date_" "_timestamp", 2340 2343 2338 2339 2341 2342, |a: Date, b: Timestamp| order_date_timestamp(a, b)),
    six!("timestamp_" "_date", 2366 2369 2364 2365 2367 2368,
        |a: Timestamp, b: Date| order_date_timestamp(b, a).reverse()),
    zoned(six!("date_" "_timestamptz", 2353 2356 2351 2352 2354 2355,
        call |a: Date, b: TimestampTz| order_date_timestamptz(call, a, b)?)),
    zoned(six!("timestamptz_" "_date", 2379 2382 2377 2378 2380 2381,
        call |a: TimestampTz, b: Date| order_date_timestamptz(call, b, a)?.reverse())),
    zoned(six!("timestamp_" "_timestamptz", 2522 2525 2520 2521 2523 2524,
        call |a: Timestamp, b: TimestampTz| order_timestamp_timestamptz(call, a, b)?)),
    zoned(six!("timestamptz_" "_timestamp", 2529 2532 2527 2528 2530 2531,
        call |a: TimestampTz, b: Timestamp| order_timestamp_timestamptz(call, b, a)?.reverse())),
    six!("array_" "", 744 390 391 393 392 396, |a: &Arc<ArrayValue>, b: &Arc<ArrayValue>| order_arrays(a, b)),
    six!("oidvector" "", 679 619 677 678 681 680, |a: &Arc<ArrayValue>, b: &Arc<ArrayValue>| order_arrays(a, b)),
];

/// Compares two row values field by field, as in a B-tree: null equals null and is above everything else.
fn order_records(a: &Datum, b: &Datum) -> SqlResult<Ordering> {
    let (Datum::Record(a), Datum::Record(b)) = (a, b) else {
        return Err(wrong_arguments(&[a.clone(), b.clone()]));
    };
    for (x, y) in a.iter().zip(b.iter()) {
        match compare::compare(&x.value, &y.value, x.ty) {
            Ordering::Equal => {}
            other => return Ok(other),
        }
    }
    Ok(a.len().cmp(&b.len()))
}

const OTHER: [ScalarFunction; 15] = [
    strict(68, "xideq", body!(|a: Oid, b: Oid| a == b)),
    strict(3308, "xidneq", body!(|a: Oid, b: Oid| a != b)),
    strict(69, "cideq", body!(|a: Oid, b: Oid| a == b)),
    strict(1319, "xideqint4", body!(|a: Oid, b: i32| a.0 == b as u32)),
    strict(3309, "xidneqint4", body!(|a: Oid, b: i32| a.0 != b as u32)),
    strict(2160, "text_pattern_lt", body!(|a: &str, b: &str| a < b)),
    strict(2161, "text_pattern_le", body!(|a: &str, b: &str| a <= b)),
    strict(2163, "text_pattern_ge", body!(|a: &str, b: &str| a >= b)),
    strict(2164, "text_pattern_gt", body!(|a: &str, b: &str| a > b)),
    strict(2981, "record_eq", body!(|a: &Datum, b: &Datum| order_records(a, b)? == Ordering::Equal)),
    strict(2982, "record_ne", body!(|a: &Datum, b: &Datum| order_records(a, b)? != Ordering::Equal)),
    strict(2983, "record_lt", body!(|a: &Datum, b: &Datum| order_records(a, b)? == Ordering::Less)),
    strict(2984, "record_gt", body!(|a: &Datum, b: &Datum| order_records(a, b)? == Ordering::Greater)),
    strict(2985, "record_le", body!(|a: &Datum, b: &Datum| order_records(a, b)? != Ordering::Greater)),
    strict(2986, "record_ge", body!(|a: &Datum, b: &Datum| order_records(a, b)? != Ordering::Less)),
];

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &concat::<{ 37 * 6 + 15 }>(&[SIXES.as_flattened(), &OTHER]);

/// How a comparison function of two operands of like form compares them; `None` for `<>`, for functions
/// whose result depends on the session, and for all others.
pub(crate) fn comparison(oid: Oid) -> Option<BoundOp> {
    static OPS: LazyLock<AHashMap<Oid, BoundOp>> = LazyLock::new(|| {
        let ops = [
            Some(BoundOp::Eq),
            None,
            Some(BoundOp::Lt),
            Some(BoundOp::Le),
            Some(BoundOp::Gt),
            Some(BoundOp::Ge),
        ];
        let six = |six: &[ScalarFunction; 6]| six.map(|function| (function.oid, function.volatility));
        SIXES
            .iter()
            .flat_map(|functions| six(functions).into_iter().zip(ops))
            .filter(|((_, volatility), _)| *volatility == Volatility::Immutable)
            .filter_map(|((oid, _), op)| op.map(|op| (oid, op)))
            .collect()
    });
    OPS.get(&oid).copied()
}
