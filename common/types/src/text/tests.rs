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

#[test]
fn binary_forms_are_postgresqls() {
    // Made by the send functions of a PostgreSQL 15.
    let forms = [
        ("numeric", "0", "0000000000000000"),
        ("numeric", "0.00", "0000000000000002"),
        ("numeric", "1", "00010000000000000001"),
        ("numeric", "-1.5", "000200004000000100011388"),
        ("numeric", "12345678.9012", "000300010000000404d2162e2334"),
        ("numeric", "0.0001", "0001ffff000000040001"),
        ("numeric", "1e20", "00010005000000000001"),
        ("numeric", "1e-10", "0001fffd0000000a0064"),
        ("numeric", "NaN", "00000000c0000000"),
        ("numeric", "Infinity", "00000000d0000020"),
        ("numeric", "-Infinity", "00000000f0000020"),
        ("numeric", "10000", "00010001000000000001"),
        ("numeric", "99990000.5", "0003000100000001270f00001388"),
        (
            "numeric",
            "123456789012345678901234567890.123456789012345678901234567890",
            "001000070000001e000c0d801ed204d2162e23340d801ed204d2162e23340d801ed204d2162e2328",
        ),
        ("numeric", "0.00012300", "0002ffff00000008000108fc"),
        ("integer[]", "{}", "000000000000000000000017"),
        (
            "integer[]",
            "{1,NULL,3}",
            "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
        ),
        (
            "integer[]",
            "{{1,2},{3,4}}",
            "000000020000000000000017000000020000000100000002000000010000000400000001000000040000000200000004000000030000000400000004",
        ),
        (
            "integer[]",
            "[0:1]={5,6}",
            "000000010000000000000017000000020000000000000004000000050000000400000006",
        ),
        ("interval", "1_mon_2_days_03:04:05.6", "00000002925e7b000000000200000001"),
        ("date", "2024-01-31", "0000225c"),
        ("date", "infinity", "7fffffff"),
        ("timestamp", "2024-01-31T10:11:12.5", "0002b339de007120"),
        ("timestamp", "-infinity", "8000000000000000"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
        ("real", "1.5", "3fc00000"),
        ("real", "NaN", "7fc00000"),
        ("oidvector", "1_2", "00000001000000000000001a000000020000000000000004000000010000000400000002"),
        ("oidvector", "", "00000001000000000000001a0000000000000000"),
    ];
    for (type_name, value, expected) in forms {
        let ty = PgType::new(crate::oid::parse_type_name(type_name).unwrap());
        let value = input(&value.replace('_', " "), ty, &Settings::default()).unwrap();
        let mut bytes = Vec::new();
        binary::output(&value, ty, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "{type_name} {value:?}");
        assert!(same(&binary::input(&bytes, ty).unwrap(), &value));
    }
}
