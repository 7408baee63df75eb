//! Every type over the wire: parameters and results, text and binary. The binary forms are
//! PostgreSQL's, written out here.

use super::protocol::with_port;
use crate::Case;
use crate::server::{Server, expect_success};
use crate::tools::Tool;
use crate::wire::{Say, Wire, hex};

pub const CASES: &[Case] = &[
    Case { name: "every_type_goes_in_and_out_in_text_and_binary", tools: &[], run: every_type },
    Case { name: "copy_binary_has_the_form_of_the_manual_both_ways", tools: &[Tool::Psql], run: copy_binary },
];

/// Type as SQL names it, its OID, a value's text, its binary form in hexadecimal.
const VALUES: &[(&str, u32, &str, &str)] = &[
    ("int2", 21, "-2", "fffe"),
    ("int4", 23, "2147483647", "7fffffff"),
    ("int8", 20, "-9223372036854775808", "8000000000000000"),
    ("float4", 700, "1.5", "3fc00000"),
    ("float4", 700, "NaN", "7fc00000"),
    ("float8", 701, "-0.1", "bfb999999999999a"),
    ("float8", 701, "Infinity", "7ff0000000000000"),
    ("numeric", 1700, "12345.678", "000300010000000300010929 1a7c"),
    ("numeric", 1700, "0", "0000000000000000"),
    ("numeric", 1700, "-0.00012", "0002ffff40000005000107d0"),
    ("numeric", 1700, "NaN", "00000000c0000000"),
    ("numeric(8,2)", 1700, "1.50", "000200000000000200011388"),
    ("text", 25, "h\u{e9}llo", "68c3a96c6c6f"),
    ("text", 25, "", ""),
    ("varchar(5)", 1043, "abc", "616263"),
    ("char(4)", 1042, "ab  ", "61622020"),
    ("bool", 16, "t", "01"),
    ("bool", 16, "f", "00"),
    ("date", 1082, "2000-01-02", "00000001"),
    ("date", 1082, "1999-12-31", "ffffffff"),
    ("date", 1082, "infinity", "7fffffff"),
    ("timestamp", 1114, "2000-01-01 00:00:01.5", "000000000016e360"),
    ("timestamptz", 1184, "1999-12-31 23:59:59+00", "fffffffffff0bdc0"),
    ("timestamptz", 1184, "-infinity", "8000000000000000"),
    ("bytea", 17, "\\x00ff10", "00ff10"),
    ("uuid", 2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    (
        "int4[]",
        1007,
        "{1,NULL,3}",
        "0000000100000001000000170000000300000001 0000000400000001ffffffff0000000400000003",
    ),
    ("int4[]", 1007, "{}", "000000000000000000000017"),
    (
        "text[]",
        1009,
        "{a,\"b c\",\"\"}",
        "000000010000000000000019000000030000000100000001 61000000036220630 0000000",
    ),
    (
        "int8[]",
        1016,
        "{{1,2},{3,4}}",
        "0000000200000000000000140000000200000001000000020000000100000008000000000000000100000008000000000000000200000008000000000000000300000008 0000000000000004",
    ),
    ("bool[]", 1000, "{t,f}", "000000010000000000000010000000020000000100000001010000000100"),
    (
        "uuid[]",
        2951,
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "000000010000000000000b86000000010000000100000010a0eebc999c0b4ef8bb6d6bb9bd380a11",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn every_type() {
    with_port(|port| {
        let mut wire = Wire::connect(port);
        wire.query("set timezone to 'UTC'");
        let mut wrong = Vec::new();
        for (number, (ty, oid, text, binary)) in VALUES.iter().enumerate() {
            let what = format!("{ty} {text}");
            let mut check = |step: &str, found: &[String], wanted: &[String]| {
                if found != wanted {
                    wrong.push(format!("{what}, {step}: {found:?}, wanted {wanted:?}"));
                }
            };
            let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
            let binary = bytes(binary);
            let shown = match std::str::from_utf8(&binary) {
                Ok(text) if !text.chars().any(char::is_control) => text.to_string(),
                _ => format!("\\x{}", hex(&binary)),
            };
            wire.query("drop table if exists val");
            let made = wire.query(&format!("create table val (k int primary key, x {ty})"));
            check("create", &made, &lines(&["C:CREATE TABLE", "Z:I"]));
            let insert = "insert into val values ($1, $2)";
            let described = wire.ask(Say::default().parse("", insert, &[]).describe('S', "").sync());
            check("describe", &described, &lines(&["1", &format!("t:23,{oid}"), "n", "Z:I"]));
            let done = lines(&["2", "C:INSERT 0 1", "Z:I"]);
            let put = Say::default().bind_with("", "", &[], &[Some(b"1"), Some(text.as_bytes())], &[]);
            check("text in", &wire.ask(put.execute("", 0).sync()), &done);
            let put = Say::default().bind_with("", "", &[0, 1], &[Some(b"2"), Some(&binary)], &[]);
            check("binary in", &wire.ask(put.execute("", 0).sync()), &done);
            let put = Say::default().bind_with("", "", &[0, 1], &[Some(b"3"), None], &[]);
            check("null in", &wire.ask(put.execute("", 0).sync()), &done);
            for (key, stored) in [("1", true), ("2", true), ("3", false)] {
                for format in [0u16, 1] {
                    let get = Say::default().parse("", "select x from val where k = $1", &[]);
                    let get = get.bind_with("", "", &[], &[Some(key.as_bytes())], &[format]);
                    let found = wire.ask(get.describe('P', "").execute("", 0).sync());
                    let value = match (stored, format) {
                        (false, _) => "~",
                        (true, 0) => text,
                        (true, _) => &shown,
                    };
                    let column = format!("T:x/{oid}{}", if format == 1 { "b" } else { "" });
                    let wanted = lines(&["1", "2", &column, &format!("D:{value}"), "C:SELECT 1", "Z:I"]);
                    check(&format!("row {key} out in format {format}"), &found, &wanted);
                }
            }
            // Cut short, too long, and all ones: an error or a value, never the connection's end.
            for broken in
                [&binary[..binary.len().saturating_sub(1)], &[&binary[..], b"\0"].concat(), &[0xff; 24]]
            {
                let key = (10 + number).to_string();
                let put = Say::default().parse("", insert, &[]);
                let put = put.bind_with("", "", &[0, 1], &[Some(key.as_bytes()), Some(broken)], &[]);
                let said = wire.ask(put.execute("", 0).sync());
                if said.last().unwrap() != "Z:I" {
                    wrong.push(format!("{what}, broken as {}: {said:?}", hex(broken)));
                    return;
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// A binary COPY file of one column.
fn binary_file(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for value in values {
        out.extend_from_slice(&1i16.to_be_bytes());
        out.extend_from_slice(&value.as_ref().map_or(-1, |value| value.len() as i32).to_be_bytes());
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    out.extend_from_slice(&(-1i16).to_be_bytes());
    out
}

fn copy_binary() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let file = dir.path().join("values.bin");
    let mut wrong = Vec::new();
    for (ty, _, text, binary) in VALUES {
        let made = format!(
            "drop table if exists bin; create table bin (x {ty}); insert into bin values ('{text}'), (null)"
        );
        server.sql(&made);
        let copy = |direction: &str| {
            let command = format!("\\copy bin {direction} '{}' (format binary)", file.display());
            let done =
                server.psql("postgres").args(["-q", "-c", "set timezone to 'UTC'", "-c", &command]).output();
            expect_success(&command, done.unwrap());
        };
        copy("to");
        if std::fs::read(&file).unwrap() != binary_file(&[Some(bytes(binary)), None]) {
            wrong.push(format!("{ty} {text}: written otherwise"));
        }
        copy("from");
        let counts = server.sql("select count(*), count(x), count(distinct x::text) from bin");
        if counts.trim() != "4|2|1" {
            wrong.push(format!("{ty} {text}: read as {counts}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing of a file that ends too early is kept, and the error says where.
    server.sql("drop table bin; create table bin (x int)");
    let whole = binary_file(&[Some(vec![0, 0, 0, 1]), Some(vec![0, 0, 0, 2])]);
    std::fs::write(&file, &whole[..whole.len() - 4]).unwrap();
    let command = format!("\\copy bin from '{}' (format binary)", file.display());
    let cut = server.psql("postgres").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert!(said.contains("unexpected EOF in COPY data") && said.contains("COPY bin, line 2"), "{said}");
    assert_eq!(server.sql("select count(*) from bin").trim(), "0");
}
