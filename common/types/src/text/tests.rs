//! Text and binary forms: what is written reads back as the same value.

use super::*;
use crate::binary;
use crate::datetime::{END_DATE, MIN_DATE, is_finite, is_finite_date, is_valid_timestamp};
use crate::datum::testing::{self, identical};
use proptest::prelude::*;

/// Whether a random value is one that the type can hold.
fn valid(datum: &Datum) -> bool {
    match datum {
        Datum::Date(days) => !is_finite_date(*days) || (MIN_DATE..END_DATE).contains(days),
        Datum::Timestamp(micros) | Datum::TimestampTz(micros) => {
            !is_finite(*micros) || is_valid_timestamp(*micros)
        }
        // A byte beyond ASCII is written as an escape that does not read back.
        Datum::Char(byte) => *byte < 0x80,
        Datum::Text(text) => !text.contains('\0'),
        Datum::Interval(interval) => {
            interval.months != i32::MIN && interval.days != i32::MIN && interval.micros != i64::MIN
        }
        Datum::Array(array) => array.values.iter().all(valid),
        _ => true,
    }
}

fn same(a: &Datum, b: &Datum) -> bool {
    // Payloads of NaN do not survive text.
    identical(a, b)
        || matches!((a, b), (Datum::Float8(a), Datum::Float8(b)) if a.is_nan() && b.is_nan())
        || matches!((a, b), (Datum::Float4(a), Datum::Float4(b)) if a.is_nan() && b.is_nan())
        || matches!((a, b), (Datum::Array(a), Datum::Array(b)) if a.dims == b.dims
            && a.values.iter().zip(&b.values).all(|(a, b)| same(a, b)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn text_reads_back((ty, value, _) in testing::pair()) {
        prop_assume!(valid(&value) && !value.is_null() && ty.oid != oids::RECORD);
        let settings = Settings::default();
        let text = output_string(&value, ty, &settings).unwrap();
        let back = input(&text, ty, &settings);
        prop_assert!(same(back.as_ref().unwrap(), &value), "{text:?} {back:?} {value:?}");
    }

    #[test]
    fn binary_reads_back((ty, value, _) in testing::pair()) {
        prop_assume!(valid(&value) && !value.is_null() && ty.oid != oids::RECORD);
        let mut bytes = Vec::new();
        binary::output(&value, ty, &mut bytes);
        let back = binary::input(&bytes, ty);
        prop_assert!(same(back.as_ref().unwrap(), &value), "{bytes:?} {back:?} {value:?}");
    }

    #[test]
    fn any_text_and_bytes_are_refused_or_read(
        ty in testing::any_type(),
        text in prop_oneof!["\\PC{0,30}", "[-+0-9:. TZa-z{},\"/\\\\]{0,30}"],
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = input(&text, ty, &Settings::default());
        let _ = binary::input(&bytes, ty);
    }
}
