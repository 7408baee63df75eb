//! What text means, against what a PostgreSQL 15 made of it: `golden/text_v15.tsv`.

#![allow(clippy::unwrap_used, reason = "a test may; clippy does not see that these helpers belong to one")]

use shardforge_types::oid::parse_type_name;
use shardforge_types::{PgType, Settings, oids, text};

/// The type that a column definition of the golden file names.
fn column_type(definition: &str) -> PgType {
    let (definition, is_array) = match definition.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (definition, false),
    };
    let (name, modifiers) = match definition.split_once('(') {
        Some((name, rest)) => {
            let numbers = rest.trim_end_matches(')').split(',').map(|number| number.parse().unwrap());
            (name, numbers.collect::<Vec<i32>>())
        }
        None => (definition, Vec::new()),
    };
    let field = |name: &str| match name {
        "year" => 1 << 2,
        "month" => 1 << 1,
        "day" => 1 << 3,
        "hour" => 1 << 10,
        "minute" => 1 << 11,
        "second" => 1 << 12,
        other => panic!("{other}"),
    };
    let all = [1 << 2, 1 << 1, 1 << 3, 1 << 10, 1 << 11, 1 << 12];
    let mut ty = match (name, &modifiers[..]) {
        ("\"char\"", []) => PgType::new(oids::CHAR),
        ("numeric", [precision, scale]) => PgType::numeric(*precision, *scale),
        ("interval", [precision]) => PgType::with_typmod(oids::INTERVAL, 0x7fff << 16 | precision),
        (name, []) if name.starts_with("interval ") => {
            let words: Vec<&str> = name.split(' ').skip(1).collect();
            let (first, last) = (field(words[0]), field(words[words.len() - 1]));
            let from = all.iter().position(|bit| *bit == first).unwrap();
            let to = all.iter().position(|bit| *bit == last).unwrap();
            let range: i32 = all[from..=to].iter().sum();
            PgType::with_typmod(oids::INTERVAL, range << 16 | 0xffff)
        }
        ("character", [n]) => PgType::bpchar(*n),
        ("character varying", [n]) => PgType::varchar(*n),
        (name, []) => PgType::new(parse_type_name(name).unwrap_or_else(|| panic!("{name}"))),
        (name, [n]) => PgType::with_typmod(parse_type_name(name).unwrap(), *n),
        other => panic!("{other:?}"),
    };
    if is_array {
        ty.oid = ty.oid.array_type().unwrap();
    }
    ty
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                _ => '\\',
            }),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn text_means_what_it_means_to_postgresql() {
    let golden = include_str!("../golden/text_v15.tsv");
    let (time_zone, time_zone_name) =
        shardforge_types::datetime::zone::parse_setting("America/New_York").unwrap();
    let settings = Settings { time_zone, time_zone_name, ..Settings::default() };
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<String> = line.split('\t').map(unescape).collect();
        let ty = column_type(&fields[0]);
        let ours = match text::input(&fields[1], ty, &settings) {
            Ok(value) => {
                vec!["ok".to_owned(), text::output_string(&value, ty, &settings).unwrap_or_default()]
            }
            Err(error) => vec![
                error.sqlstate.to_string(),
                error.message.into_owned(),
                error.detail.unwrap_or_default().into(),
                error.hint.unwrap_or_default().into(),
            ],
        };
        count += 1;
        if ours != fields[2..] {
            wrong.push(format!("{line}\n    {}", ours.join("\t")));
        }
    }
    assert!(count > 500);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
