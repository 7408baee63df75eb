//! Keys against the comparison of values.

use super::*;
use crate::compare::compare;
use crate::datum::testing::{self, identical};
use crate::{Datum, PgType};
use proptest::prelude::*;
use shardforge_common::key::column_len;

fn encode(datum: &Datum, ty: PgType, order: KeyOrder) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key_column(&mut out, datum, ty, order).unwrap();
    out
}

fn orders() -> impl Strategy<Value = KeyOrder> {
    (any::<bool>(), any::<bool>()).prop_map(|(desc, nulls_first)| KeyOrder { desc, nulls_first })
}

/// What the order of a column makes of two values.
fn expected(a: &Datum, b: &Datum, ty: PgType, order: KeyOrder) -> std::cmp::Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) if order.desc => compare(b, a, ty),
        (false, false) => compare(a, b, ty),
        _ if order.nulls_first => b.is_null().cmp(&a.is_null()),
        _ => a.is_null().cmp(&b.is_null()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn bytes_order_as_values_do((ty, a, b) in testing::pair(), order in orders()) {
        let (x, y) = (encode(&a, ty, order), encode(&b, ty, order));
        prop_assert_eq!(x.cmp(&y), expected(&a, &b, ty, order), "{:?} {:?} {:?}", x, y, ty);
    }

    #[test]
    fn columns_delimit_themselves_and_come_back((ty, a, b) in testing::pair(), order in orders()) {
        let mut bytes = encode(&a, ty, order);
        let len = bytes.len();
        bytes.extend(encode(&b, ty, order));
        prop_assert_eq!(column_len(&bytes).unwrap(), len);
        if ty.oid == oids::RECORD {
            return Ok(());
        }
        let mut rest = &bytes[..];
        let back = decode_key_column(&mut rest, ty, order).unwrap();
        prop_assert_eq!(rest.len(), bytes.len() - len);
        prop_assert!(compare(&back, &a, ty).is_eq(), "{:?} {:?}", back, a);
        if key_recoverable(ty) {
            prop_assert!(identical(&back, &a), "{:?} {:?}", back, a);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        (ty, value, _) in testing::pair(),
        order in orders(),
        flip in any::<(usize, u8)>(),
    ) {
        let _ = decode_key_column(&mut &bytes[..], ty, order);
        let mut damaged = encode(&value, ty, order);
        let at = flip.0 % damaged.len();
        damaged[at] ^= flip.1;
        let _ = decode_key_column(&mut &damaged[..], ty, order);
    }
}

#[test]
fn the_format_is_what_is_drawn() {
    let hex = |datum: Datum, ty: PgType, order: KeyOrder| {
        encode(&datum, ty, order).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let numeric = |text: &str| Datum::Numeric(text.parse().unwrap());
    assert_eq!(hex(Datum::Int4(1), PgType::INT4, KeyOrder::ASC), "1380000001");
    assert_eq!(hex(Datum::Int4(1), PgType::INT4, KeyOrder::DESC), "437ffffffe");
    assert_eq!(hex(Datum::text("a\0b"), PgType::TEXT, KeyOrder::ASC), "206100ff620001");
    assert_eq!(hex(Datum::text("ab"), PgType::TEXT, KeyOrder::DESC), "509e9dfffe");
    assert_eq!(hex(Datum::text("ab  "), PgType::bpchar(4), KeyOrder::ASC), "2061620001");
    assert_eq!(hex(numeric("12.30"), PgType::NUMERIC, KeyOrder::ASC), "2040810d1f0001");
    assert_eq!(hex(numeric("-12.3"), PgType::NUMERIC, KeyOrder::ASC), "20207ef2e0ff0001");
    assert_eq!(hex(numeric("0.00"), PgType::NUMERIC, KeyOrder::ASC), "20300001");
    assert_eq!(hex(Datum::Null, PgType::INT4, KeyOrder::ASC), "fe");
    assert_eq!(hex(Datum::Null, PgType::INT4, KeyOrder::DESC), "01");
    let array = Datum::array(oids::INT2, vec![Datum::Int2(1), Datum::Null]);
    let int2_array = PgType::new(oids::INT2_ARRAY);
    assert_eq!(hex(array, int2_array, KeyOrder::ASC), "21128001fe00ff018000ff00ff010001");
}
