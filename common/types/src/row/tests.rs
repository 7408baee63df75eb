//! Rows: what is written comes back, and damaged bytes are refused.

use super::*;
use crate::datum::testing::{self, identical};
use crate::{Datum, PgType, ValueError, oids};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use shardforge_common::ErrorKind;

fn no_big(_: BigValue<'_>) -> Result<u128, ValueError> {
    panic!("nothing here is big")
}

fn columns() -> impl Strategy<Value = Vec<(PgType, Datum)>> {
    vec(testing::pair().prop_map(|(ty, value, _)| (ty, value)), 0..12)
}

fn write(columns: &[(PgType, Datum)]) -> (RowLayout, Vec<u8>) {
    let layout = RowLayout::of_types(columns.iter().map(|(ty, _)| *ty));
    let values: Vec<_> = columns.iter().map(|(_, value)| value.clone()).collect();
    let row =
        RowWriter::new().write_datums(&layout, SchemaVersion(7), &values, &mut no_big).unwrap().to_vec();
    (layout, row)
}

proptest! {
    #[test]
    fn values_come_back_exactly(columns in columns(), more in vec(testing::any_type(), 0..3)) {
        let (_, row) = write(&columns);
        // Read under a layout that has since grown.
        let layout = RowLayout::of_types(columns.iter().map(|(ty, _)| *ty).chain(more.iter().copied()));
        let view = RowView::new(&row, &layout).unwrap();
        prop_assert_eq!(view.schema_version(), SchemaVersion(7));
        let shared = Bytes::from(row.clone());
        let shared_view = RowView::new(&shared, &layout).unwrap();
        for (column, (_, value)) in columns.iter().enumerate() {
            prop_assert!(identical(&view.datum(column).unwrap().unwrap(), value));
            prop_assert!(identical(&shared_view.datum_shared(column, &shared).unwrap().unwrap(), value));
        }
        for column in columns.len()..layout.len() {
            prop_assert!(matches!(view.cell(column).unwrap(), Cell::Missing));
        }
    }

    #[test]
    fn raw_cells_make_the_same_row(columns in columns()) {
        let (layout, row) = write(&columns);
        let view = RowView::new(&row, &layout).unwrap();
        let cells: Vec<_> = (0..columns.len()).map(|column| view.raw(column).unwrap().unwrap()).collect();
        let mut writer = RowWriter::new();
        let again = writer.write(&layout, SchemaVersion(7), cells.into_iter().map(RowInput::Raw), &mut no_big);
        prop_assert_eq!(again.unwrap(), &row[..]);
    }

    #[test]
    fn damaged_rows_are_values_or_corrupt(
        columns in columns(),
        flips in vec(any::<(usize, u8)>(), 0..4),
        cut in any::<usize>(),
        noise in vec(any::<u8>(), 0..64),
    ) {
        let (layout, mut row) = write(&columns);
        for (at, bits) in flips {
            let at = at % row.len();
            row[at] ^= bits;
        }
        if cut % 3 == 0 {
            row.truncate(cut % (row.len() + 1));
        }
        for bytes in [row, noise] {
            let read = RowView::new(&bytes, &layout).map(|view| {
                (0..layout.len()).map(|column| view.datum(column).map(|_| ())).collect::<Vec<_>>()
            });
            match read {
                Ok(cells) => {
                    for cell in cells {
                        prop_assert!(cell.is_ok() || cell.unwrap_err().kind() == ErrorKind::Corrupt);
                    }
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_row_with_room_for_references_is_too_long(
        lens in vec(prop_oneof![0usize..400, 1000usize..40_000], 1..40),
        packed in any::<bool>(),
    ) {
        let layout = RowLayout::of_types(lens.iter().map(|_| PgType::new(oids::BYTEA)));
        let mut state = 1u64;
        let mut body = |len: usize| -> Vec<u8> {
            (0..len).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                if packed { 7 } else { (state >> 56) as u8 }
            }).collect()
        };
        let values: Vec<_> = lens.iter().map(|len| Datum::Bytea(body(*len).into())).collect();
        let mut stored = Vec::new();
        let mut writer = RowWriter::new();
        let row = writer.write_datums(&layout, SchemaVersion(1), &values, &mut |big| {
            let chunks: Vec<u8> = big.chunks().collect::<Vec<_>>().concat();
            prop_assert_eq_plain(&chunks, big.stored);
            stored.push(chunks);
            Ok(stored.len() as u128 - 1)
        }).unwrap().to_vec();
        prop_assert!(row.len() <= MAX_ROW_LEN);
        let view = RowView::new(&row, &layout).unwrap();
        for (column, value) in values.iter().enumerate() {
            let back = match view.datum(column).unwrap() {
                Ok(datum) => datum,
                Err(Cell::External(ty, external)) => {
                    let mut damaged = stored[external.id as usize].clone();
                    damaged[0] ^= 1;
                    prop_assert_eq!(external.body(damaged).unwrap_err().kind(), ErrorKind::Corrupt);
                    external.datum(stored[external.id as usize].clone(), ty).unwrap()
                }
                Err(other) => panic!("{other:?}"),
            };
            prop_assert!(identical(&back, value));
        }
        // A copy of the row stores nothing again.
        let cells: Vec<_> = (0..lens.len()).map(|column| view.raw(column).unwrap().unwrap()).collect();
        let mut again = RowWriter::new();
        let again = again.write(&layout, SchemaVersion(1), cells.into_iter().map(RowInput::Raw), &mut no_big);
        prop_assert_eq!(again.unwrap(), &row[..]);
    }
}

fn prop_assert_eq_plain(a: &[u8], b: &[u8]) {
    assert_eq!(a, b);
}

#[test]
fn columns_in_the_key_take_no_room() {
    let layout = RowLayout::new([ColumnStorage::InKey, ColumnStorage::Stored(PgType::INT4)]);
    let mut writer = RowWriter::new();
    let values = [Datum::Int4(5), Datum::Int4(6)];
    let row = writer.write_datums(&layout, SchemaVersion(1), &values, &mut no_big).unwrap();
    assert_eq!(row, [0x10, 2, 1, 0, 6, 0, 0, 0]);
    let view = RowView::new(row, &layout).unwrap();
    assert!(matches!(view.cell(0).unwrap(), Cell::InKey));
}

#[test]
fn a_value_of_another_type_is_refused() {
    let layout = RowLayout::of_types([PgType::INT4]);
    let mut writer = RowWriter::new();
    assert!(writer.write_datums(&layout, SchemaVersion(1), &[Datum::Int8(1)], &mut no_big).is_err());
    assert!(writer.write_datums(&layout, SchemaVersion(1), &[], &mut no_big).is_err());
}

/// A name, the columns, the schema version.
type GoldenRow = (&'static str, Vec<(PgType, Datum)>, SchemaVersion);

/// The rows of this file's golden sibling: one of every form.
fn golden_rows() -> Vec<GoldenRow> {
    let numeric = |text: &str| (PgType::NUMERIC, Datum::Numeric(text.parse().unwrap()));
    let text = |text: &str| (PgType::TEXT, Datum::text(text));
    let wide =
        (0..300).map(|i| (PgType::new(oids::INT2), if i % 2 == 0 { Datum::Null } else { Datum::Int2(i) }));
    vec![
        ("empty", vec![], SchemaVersion(1)),
        (
            "account",
            vec![(PgType::INT4, Datum::Int4(1)), (PgType::INT4, Datum::Int4(-2)), text("x   ")],
            SchemaVersion(3),
        ),
        (
            "fixed",
            vec![
                (PgType::BOOL, Datum::Bool(true)),
                (PgType::new(oids::CHAR), Datum::Char(b'r')),
                (PgType::INT2, Datum::Int2(-1)),
                (PgType::INT8, Datum::Int8(1 << 40)),
                (PgType::new(oids::FLOAT4), Datum::Float4(1.5)),
                (PgType::FLOAT8, Datum::Float8(-0.0)),
                (PgType::new(oids::DATE), Datum::Date(1)),
                (PgType::new(oids::TIME), Datum::Time(2)),
                (PgType::new(oids::TIMESTAMP), Datum::Timestamp(3)),
                (PgType::new(oids::TIMESTAMPTZ), Datum::TimestampTz(4)),
                (PgType::new(oids::INTERVAL), Datum::Interval(crate::Interval::new(1, 2, 3))),
                (PgType::new(oids::UUID), Datum::Uuid(*b"0123456789abcdef")),
                (PgType::new(oids::REGCLASS), Datum::Oid(crate::Oid(1259))),
            ],
            SchemaVersion(1),
        ),
        (
            "numerics",
            vec![
                numeric("0.00"),
                numeric("-12.50"),
                numeric("1e-40"),
                numeric("-123456789012345678901234567890123456789012345.6"),
                numeric("NaN"),
                numeric("-Infinity"),
            ],
            SchemaVersion(1),
        ),
        (
            "nested",
            vec![
                (
                    PgType::new(oids::TEXT_ARRAY),
                    Datum::array(oids::TEXT, vec![Datum::text("a"), Datum::Null]),
                ),
                (PgType::new(oids::INT4_ARRAY), Datum::array(oids::INT4, vec![])),
                (PgType::new(oids::BYTEA), Datum::Bytea(Bytes::from_static(b"\0\xff"))),
                (
                    PgType::new(oids::RECORD),
                    Datum::Record(
                        vec![crate::RecordField { ty: PgType::varchar(3), value: Datum::text("f") }].into(),
                    ),
                ),
            ],
            SchemaVersion(1),
        ),
        (
            "nulls",
            vec![text("a"), (PgType::TEXT, Datum::Null), (PgType::INT4, Datum::Null), text("")],
            SchemaVersion(1),
        ),
        ("compressed", vec![text(&"ab".repeat(2000))], SchemaVersion(1)),
        ("wide version", vec![(PgType::INT4, Datum::Int4(1)), text("a")], SchemaVersion(70_000)),
        ("wide count", wide.collect(), SchemaVersion(1)),
    ]
}

/// The format never changes under the same version: these bytes were written by its first day.
#[test]
fn golden_rows_are_written_and_read() {
    let golden = include_str!("../../golden/row_v1.txt");
    let mut text = String::new();
    let mut all = Vec::new();
    for (name, columns, version) in golden_rows() {
        let layout = RowLayout::of_types(columns.iter().map(|(ty, _)| *ty));
        let values: Vec<_> = columns.iter().map(|(_, value)| value.clone()).collect();
        let mut writer = RowWriter::new();
        let row = writer.write_datums(&layout, version, &values, &mut no_big).unwrap();
        let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("{name}: {hex}\n"));
        all.push((layout, values));
    }
    assert_eq!(golden, text);
    for (line, (layout, values)) in golden.lines().zip(&all) {
        let hex = line.rsplit(' ').next().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let mut row: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let view = RowView::new(&row, layout).unwrap();
        for (column, value) in values.iter().enumerate() {
            assert!(identical(&view.datum(column).unwrap().unwrap(), value), "{line}");
        }
        // A flipped byte is another value or an error, never a panic.
        for at in 0..row.len() {
            row[at] ^= 0xff;
            if let Ok(view) = RowView::new(&row, layout) {
                (0..layout.len()).for_each(|column| drop(view.datum(column)));
            }
            row[at] ^= 0xff;
        }
    }
}
