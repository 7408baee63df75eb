use super::*;
use bytes::Bytes;
use shardforge_common::{ErrorKind, StorageId, TxnId};
use shardforge_types::Oid;

fn round_trip<R: StoredRow + PartialEq + std::fmt::Debug>(row: R) {
    let (key, value) = (row.key(), row.value().unwrap());
    assert_eq!(R::decode(&key, &value).unwrap(), row);
    for len in 0..value.len() {
        assert!(
            R::decode(&key, &value[..len]).is_err_and(|error| error.kind() == ErrorKind::Corrupt),
            "{len}"
        );
    }
    for len in 0..key.len() {
        assert!(R::decode(&key[..len], &value).is_err(), "{len}");
    }
}

#[test]
fn rows_come_back_as_they_were_written() {
    round_trip(VersionRow { database: Oid(5), txn: TxnId::from_bytes([7; 16]), nonce: -1 });
    round_trip(FormatRow { version: 1 });
    round_trip(NamespaceRow {
        database: Oid(5),
        oid: Oid(2200),
        name: "public".into(),
        owner: Oid(10),
        acl: Some(vec!["=U/a".into(), "b=UC/a".into()]),
    });
    round_trip(ColumnRow {
        database: Oid(5),
        relation: Oid(16384),
        number: 3,
        name: "größe".into(),
        type_oid: Oid(23),
        typmod: -1,
        not_null: true,
        default_oid: Oid(16390),
        default: Some("1 + 1".into()),
        missing: Some(Bytes::from_static(&[2, 0, 0, 0])),
        dropped: false,
        identity: None,
    });
    round_trip(IndexRow {
        database: Oid(5),
        oid: Oid(16400),
        table: Oid(16384),
        unique: true,
        primary: false,
        columns: vec![2, 1],
        nulls_not_distinct: None,
        options: vec![IndexRow::DESC | IndexRow::NULLS_FIRST, 0],
    });
}

#[test]
fn a_databases_rows_are_one_range_in_the_order_of_their_keys() {
    let entry = |database, name: &str| RelationNameRow {
        database: Oid(database),
        namespace: Oid(2200),
        name: name.into(),
        oid: Oid(1),
    };
    let (start, end) = prefix_range::<RelationNameRow>(&[Oid(5).to_datum()]);
    let inside = [entry(5, ""), entry(5, "a"), entry(5, "ab"), entry(5, "b")].map(|row| row.key());
    assert!(inside.is_sorted() && inside.iter().all(|key| start <= *key && *key < end));
    assert!(entry(4, "z").key() < start && end <= entry(6, "").key());
}

/// The formats of stored rows are for ever: these are the bytes of the first version.
#[test]
fn golden_bytes() {
    let row = RelationRow {
        database: Oid(5),
        oid: Oid(16384),
        name: "t".into(),
        namespace: Oid(2200),
        kind: b'r',
        owner: Oid(10),
        row_type: Oid(16386),
        storage: StorageId(4096),
        value_storage: StorageId(4097),
        schema_version: 1,
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&row.key()), "000000000000000a13000000051300004000");
    assert_eq!(
        hex(&row.value().unwrap()),
        "1008000098080000720a00000002400000001000000000000001100000000000000100000002000074"
    );
}

#[test]
fn a_definition_that_does_not_fit_a_page_is_refused() {
    let row = DescriptionRow {
        database: Oid(5),
        class: Oid(1259),
        object: Oid(16384),
        column: 0,
        text: "x".repeat(40_000),
    };
    assert_eq!(row.value().unwrap_err().sqlstate(), shardforge_types::SqlState::PROGRAM_LIMIT_EXCEEDED);
}
