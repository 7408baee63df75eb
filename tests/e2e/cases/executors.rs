//! The same statements through the row executor and through the report engine: random schemas, data and
//! queries, the same rows or the same SQLSTATE. `EXECUTORS_SEED=n` repeats one round, `EXECUTORS_ROUNDS=n` asks
//! for more than the usual ones, `EXECUTORS_SHOW=1` shows each statement; what fails prints its seed and all that is needed to see it in psql.
//!
//! Left out, because SQL promises nothing about it: which rows a LIMIT without a whole order gives, which of
//! several equal values stands for them, in what order conditions are asked that may fail.

use crate::Case;
use crate::server::Server;
use crate::wire::{Say, Wire};

pub const CASES: &[Case] = &[
    Case { name: "both_executors_give_the_same_rows", tools: &[], run: same_rows },
    Case { name: "a_query_that_reads_too_much_is_run_again_as_a_report", tools: &[], run: too_large },
];

const ROUNDS: u64 = 12;
const STATEMENTS: usize = 60;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn percent(&mut self, n: u64) -> bool {
        self.next() % 100 < n
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A type with values of it: few, so that they meet, the extreme ones among them.
struct Type {
    name: &'static str,
    values: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Integer,
    Number,
    Text,
    Other,
    Array,
}

const TYPES: &[Type] = &[
    Type { name: "smallint", values: &["0", "1", "2", "-1", "32767", "-32768"], kind: Kind::Integer },
    Type {
        name: "integer",
        values: &["0", "1", "2", "3", "-7", "2147483647", "-2147483648"],
        kind: Kind::Integer,
    },
    Type {
        name: "bigint",
        values: &["0", "1", "2", "5", "9223372036854775807", "-9223372036854775808"],
        kind: Kind::Integer,
    },
    Type { name: "real", values: &["0", "0.5", "-2", "1024", "NaN", "Infinity"], kind: Kind::Number },
    Type {
        name: "double precision",
        values: &["0", "0.25", "-3", "4096", "NaN", "-Infinity"],
        kind: Kind::Number,
    },
    Type { name: "numeric(10,2)", values: &["0", "1.5", "-2.25", "99999999.99", "3"], kind: Kind::Number },
    Type {
        name: "numeric",
        values: &["0", "1", "-1.125", "12345678901234567890.5", "NaN"],
        kind: Kind::Number,
    },
    Type { name: "text", values: &["", "a", "ab", "b", "ä", "a b", "zz"], kind: Kind::Text },
    Type { name: "varchar(5)", values: &["", "a", "abc", "b", "xyz"], kind: Kind::Text },
    Type { name: "char(3)", values: &["", "a", "ab", "b", "zzz"], kind: Kind::Text },
    Type { name: "boolean", values: &["true", "false"], kind: Kind::Other },
    Type { name: "date", values: &["2000-01-01", "1999-12-31", "2024-02-29", "infinity"], kind: Kind::Other },
    Type {
        name: "timestamp",
        values: &["2000-01-01 00:00:00", "2024-02-29 12:30:00.5", "-infinity"],
        kind: Kind::Other,
    },
    Type {
        name: "timestamptz",
        values: &["2000-01-01 00:00:00+00", "2024-02-29 12:30:00+02"],
        kind: Kind::Other,
    },
    Type { name: "bytea", values: &["\\x", "\\x00", "\\x6162", "\\xff"], kind: Kind::Other },
    Type {
        name: "uuid",
        values: &["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000000"],
        kind: Kind::Other,
    },
    Type { name: "integer[]", values: &["{}", "{1,2}", "{1,NULL}", "{3}"], kind: Kind::Array },
];

const ID: usize = 1; // position of "integer" in TYPES

#[derive(Clone)]
struct Column {
    name: String,
    ty: usize,
}

struct Table {
    name: String,
    columns: Vec<Column>,
}

/// A round: its tables, and what was said to make them.
struct Round {
    random: Random,
    tables: Vec<Table>,
    script: Vec<String>,
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut round = Round { random: Random(seed), tables: Vec::new(), script: Vec::new() };
        for n in 0..3 {
            round.table(n);
        }
        round
    }

    fn literal(&mut self, ty: usize) -> String {
        let value = *self.random.pick(TYPES[ty].values);
        format!("'{value}'")
    }

    /// `id` is unique; `k` has few values, `r` refers to ids, the others are anything.
    fn table(&mut self, n: usize) {
        let name = format!("t{n}");
        let mut columns = vec![
            Column { name: "id".into(), ty: ID },
            Column { name: "k".into(), ty: ID },
            Column { name: "r".into(), ty: ID },
        ];
        for n in 0..2 + self.random.below(3) {
            columns.push(Column { name: format!("c{n}"), ty: self.random.below(TYPES.len()) });
        }
        let keyed: Vec<usize> =
            (3..columns.len()).filter(|n| TYPES[columns[*n].ty].kind != Kind::Array).collect();
        let mut not_null = vec![0];
        let key = match self.random.below(6) {
            0 => String::new(),
            1 => {
                not_null.push(1);
                ", primary key (k, id)".to_owned()
            }
            2 if !keyed.is_empty() => {
                let column = *self.random.pick(&keyed);
                not_null.push(column);
                format!(", primary key ({}, id)", columns[column].name)
            }
            _ => ", primary key (id)".to_owned(),
        };
        let definitions: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(n, c)| {
                format!(
                    "{} {}{}",
                    c.name,
                    TYPES[c.ty].name,
                    if not_null.contains(&n) { " not null" } else { "" }
                )
            })
            .collect();
        self.script.push(format!("create table {name} ({}{key})", definitions.join(", ")));
        for index in 0..self.random.below(4) {
            let mut parts = Vec::new();
            for _ in 0..1 + self.random.below(3) {
                let column = match self.random.below(3) {
                    0 => 1,
                    1 => 2,
                    _ if keyed.is_empty() => 0,
                    _ => *self.random.pick(&keyed),
                };
                if parts.iter().any(|(other, _)| *other == column) {
                    continue;
                }
                let order = ["", " desc", " nulls first", " desc nulls last"][self.random.below(4)];
                parts.push((column, order));
            }
            let unique = self.random.percent(20);
            if unique && !parts.iter().any(|(column, _)| *column == 0) {
                parts.push((0, ""));
            }
            let parts: Vec<String> =
                parts.iter().map(|(column, order)| format!("{}{order}", columns[*column].name)).collect();
            let unique = if unique { "unique " } else { "" };
            self.script.push(format!("create {unique}index {name}_{index} on {name} ({})", parts.join(", ")));
        }
        let ids = self.random.below(30);
        let mut rows = Vec::new();
        for id in 0..ids {
            let mut row = vec![id.to_string()];
            for (n, column) in columns.iter().enumerate().skip(1) {
                row.push(match n {
                    _ if !not_null.contains(&n) && self.random.percent(20) => "null".to_owned(),
                    1 => self.random.below(4).to_string(),
                    2 => self.random.below(30).to_string(),
                    _ => self.literal(column.ty),
                });
            }
            rows.push(format!("({})", row.join(", ")));
        }
        if !rows.is_empty() {
            self.script.push(format!("insert into {name} values {}", rows.join(", ")));
        }
        self.tables.push(Table { name, columns });
    }
}

/// A statement, its parameters, and what of its answer is promised.
struct Statement {
    text: String,
    params: Vec<String>,
    /// Whether the rows are wanted in their order.
    ordered: bool,
}

/// A statement on its way.
struct Writer<'r> {
    round: &'r mut Round,
    /// Tables of FROM: their alias and number.
    from: Vec<(String, usize)>,
    params: Vec<String>,
    with_params: bool,
    /// One part of a statement may fail.
    failing: bool,
}

impl Writer<'_> {
    fn random(&mut self) -> &mut Random {
        &mut self.round.random
    }

    fn column(&mut self) -> (String, usize) {
        let at = self.round.random.below(self.from.len());
        let (alias, table) = self.from[at].clone();
        let columns = self.round.tables[table].columns.clone();
        let column = self.round.random.pick(&columns).clone();
        (format!("{alias}.{}", column.name), column.ty)
    }

    fn column_of(&mut self, kinds: &[Kind]) -> Option<(String, usize)> {
        for _ in 0..8 {
            let (name, ty) = self.column();
            if kinds.contains(&TYPES[ty].kind) {
                return Some((name, ty));
            }
        }
        None
    }

    /// A value for a comparison with a column.
    fn value(&mut self, column: &str, ty: usize) -> String {
        let text = if column.ends_with(".id") || column.ends_with(".r") {
            self.random().below(30).to_string()
        } else if column.ends_with(".k") {
            self.random().below(4).to_string()
        } else {
            (*self.round.random.pick(TYPES[ty].values)).to_owned()
        };
        if self.with_params && self.random().percent(70) {
            self.params.push(text);
            return format!("${}", self.params.len());
        }
        format!("'{text}'")
    }

    /// A condition that never fails.
    fn condition(&mut self, depth: usize) -> String {
        let (column, ty) = self.column();
        match self.random().below(12) {
            0..=2 => {
                let value = self.value(&column, ty);
                format!("{column} = {value}")
            }
            3 | 4 => {
                let op = *self.random().pick(&["<", "<=", ">", ">=", "<>"]);
                let value = self.value(&column, ty);
                format!("{column} {op} {value}")
            }
            5 => {
                let (low, high) = (self.value(&column, ty), self.value(&column, ty));
                format!("{column} between {low} and {high}")
            }
            6 => {
                let values: Vec<String> =
                    (0..1 + self.random().below(4)).map(|_| self.value(&column, ty)).collect();
                format!("{column} in ({})", values.join(", "))
            }
            7 => format!("{column} is {}null", if self.random().percent(50) { "not " } else { "" }),
            8 => {
                let (a, b) = (self.value(&column, ty), self.value(&column, ty));
                format!("({column} = {a} or {column} = {b})")
            }
            9 if depth > 0 => {
                let (a, b) = (self.condition(depth - 1), self.condition(depth - 1));
                format!("({a} or {b})")
            }
            10 if depth > 0 => format!("not ({})", self.condition(depth - 1)),
            _ => self.subquery(),
        }
    }

    /// A condition about rows of another table.
    fn subquery(&mut self) -> String {
        let table = self.random().below(3);
        let name = self.round.tables[table].name.clone();
        let at = self.round.random.below(self.from.len());
        let outer = self.from[at].0.clone();
        let (column, value) = (*self.random().pick(&["id", "r"]), self.random().below(4));
        match self.random().below(4) {
            0 => format!("exists (select 1 from {name} s where s.id = {outer}.{column})"),
            1 => format!("not exists (select from {name} s where s.id = {outer}.{column} and s.k > {value})"),
            2 => format!("{outer}.{column} in (select s.r from {name} s where s.k = {value})"),
            _ => format!("{outer}.{column} = (select min(s.id) from {name} s where s.k >= {value})"),
        }
    }

    /// A value of the select list. What may fail stands there once.
    fn expression(&mut self) -> String {
        let choice = self.random().below(12);
        if choice < 3
            && !self.failing
            && let Some((a, _)) = self.column_of(&[Kind::Integer])
            && let Some((b, _)) = self.column_of(&[Kind::Integer])
        {
            self.failing = true;
            return match choice {
                0 => format!("{a} * {b}"),
                1 => format!("{a} / {b}"),
                _ => format!("({a} + 1)::smallint"),
            };
        }
        match choice {
            3 => match self.column_of(&[Kind::Text]) {
                Some((a, _)) => format!("upper({a}) || '!'"),
                None => "1".to_owned(),
            },
            4 => {
                let (a, _) = self.column();
                format!("case when {a} is null then 'none' else 'some' end")
            }
            5 => {
                let (a, ty) = self.column();
                let value = self.round.literal(ty);
                format!("coalesce({a}, {value})")
            }
            6 => {
                let table = self.random().below(3);
                let name = self.round.tables[table].name.clone();
                let outer = self.from[0].0.clone();
                format!("(select count(*) from {name} s where s.id = {outer}.r)")
            }
            _ => self.column().0,
        }
    }

    fn aggregate(&mut self) -> String {
        match self.random().below(6) {
            0 => "count(*)".to_owned(),
            1 => format!("count({})", self.column().0),
            2 => format!("count(distinct {}.k)", self.from[0].0),
            3 => format!("sum({}.k)", self.from[0].0),
            4 => format!("avg({}.r)", self.from[0].0),
            _ => {
                let kinds = [Kind::Integer, Kind::Number, Kind::Text];
                let which = *self.random().pick(&["min", "max"]);
                match self.column_of(&kinds) {
                    Some((column, _)) => format!("{which}({column})"),
                    None => "count(*)".to_owned(),
                }
            }
        }
    }

    fn from(&mut self) -> String {
        let first = self.random().below(3);
        self.from.push(("a".to_owned(), first));
        let mut text = format!("{} a", self.round.tables[first].name);
        let more = match self.random().below(10) {
            0..=4 => 0,
            5..=8 => 1,
            _ => 2,
        };
        for n in 0..more {
            let table = self.random().below(3);
            let alias = ["b", "c"][n].to_owned();
            let at = self.round.random.below(self.from.len());
            let other = self.from[at].0.clone();
            let join = *self.random().pick(&["join", "join", "left join", "right join"]);
            let on = match self.random().below(4) {
                0 => format!("{other}.r = {alias}.id"),
                1 => format!("{other}.id = {alias}.r"),
                2 => format!("{other}.id = {alias}.id and {other}.k = {alias}.k"),
                _ => format!("{other}.k = {alias}.k and {alias}.id < 5"),
            };
            text.push_str(&format!(" {join} {} {alias} on {on}", self.round.tables[table].name));
            self.from.push((alias, table));
        }
        text
    }

    fn order(&mut self, whole: bool) -> String {
        let mut keys = Vec::new();
        for _ in 0..self.random().below(3) {
            if let Some((column, _)) = self.column_of(&[Kind::Integer, Kind::Number, Kind::Text, Kind::Other])
            {
                keys.push(
                    column + *self.random().pick(&["", "", " desc", " nulls first", " desc nulls last"]),
                );
            }
        }
        if whole {
            let turn = *self.random().pick(&["", " desc"]);
            keys.extend(self.from.iter().map(|(alias, _)| format!("{alias}.id{turn}")));
        }
        if keys.is_empty() { String::new() } else { format!(" order by {}", keys.join(", ")) }
    }

    fn select(mut self) -> Statement {
        let from = self.from();
        let conditions: Vec<String> = (0..self.random().below(4)).map(|_| self.condition(1)).collect();
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", conditions.join(" and "))
        };
        let shape = self.random().below(10);
        let (text, ordered) = match shape {
            0 | 1 => {
                let list: Vec<String> = (0..1 + self.random().below(3)).map(|_| self.aggregate()).collect();
                (format!("select {} from {from}{filter}", list.join(", ")), false)
            }
            2 => {
                let list: Vec<String> = (0..1 + self.random().below(2)).map(|_| self.aggregate()).collect();
                let alias = self.from[0].0.clone();
                let text = format!(
                    "select {alias}.k, {} from {from}{filter} group by {alias}.k order by 1",
                    list.join(", ")
                );
                (text, true)
            }
            3 => {
                let alias = self.from[0].0.clone();
                (format!("select distinct {alias}.k, {alias}.r from {from}{filter} order by 2 desc, 1"), true)
            }
            4..=6 => {
                // No row that is not given may fail.
                self.failing = true;
                let list: Vec<String> = (0..1 + self.random().below(3)).map(|_| self.expression()).collect();
                let order = self.order(true);
                let limit = self.random().below(8);
                let offset = if self.random().percent(30) { " offset 2" } else { "" };
                (format!("select {} from {from}{filter}{order} limit {limit}{offset}", list.join(", ")), true)
            }
            _ => {
                let list: Vec<String> = (0..1 + self.random().below(4)).map(|_| self.expression()).collect();
                let whole = self.random().percent(50);
                let order = self.order(whole);
                (format!("select {} from {from}{filter}{order}", list.join(", ")), whole)
            }
        };
        Statement { text, params: self.params, ordered }
    }
}

/// Rows, or an SQLSTATE.
#[derive(Debug, PartialEq)]
enum Answer {
    Rows(Vec<String>),
    Error(String),
}

fn ask(wire: &mut Wire, statement: &Statement) -> Answer {
    if std::env::var_os("EXECUTORS_SHOW").is_some() {
        println!("{} -- {:?}", statement.text, statement.params);
    }
    let params: Vec<&str> = statement.params.iter().map(String::as_str).collect();
    let answers = match params.is_empty() {
        true => wire.query(&statement.text),
        false => wire.ask(Say::default().run(&statement.text, &params).sync()),
    };
    let error = answers.iter().find_map(|answer| answer.strip_prefix("E:"));
    if let Some(error) = error {
        return Answer::Error(error.to_owned());
    }
    let mut rows: Vec<String> =
        answers.iter().filter_map(|answer| answer.strip_prefix("D:")).map(str::to_owned).collect();
    if !statement.ordered {
        rows.sort();
    }
    Answer::Rows(rows)
}

fn say(wire: &mut Wire, text: &str) -> Vec<String> {
    if std::env::var_os("EXECUTORS_SHOW").is_some() {
        println!("{text};");
    }
    let answers = wire.query(text);
    assert!(!answers.iter().any(|answer| answer.starts_with("E:")), "{text}: {answers:?}");
    answers
}

fn choose(wire: &mut Wire, executor: &str) {
    say(wire, &format!("set shardforge.executor = {executor}"));
}

/// Gives how many statements ran, and how many the row executor does not run.
fn one_round(wire: &mut Wire, seed: u64) -> (usize, usize) {
    let mut round = Round::new(seed);
    for n in 0..3 {
        say(wire, &format!("drop table if exists t{n}"));
    }
    for text in round.script.clone() {
        say(wire, &text);
    }
    let (mut ran, mut skipped) = (0, 0);
    let mut changes = Vec::new();
    for n in 0..STATEMENTS {
        // The last third sees writes of its own transaction.
        if n == STATEMENTS * 2 / 3 {
            say(wire, "begin");
            for table in &round.tables {
                changes.push(format!("update {} set k = 1, r = id where id % 3 = 0", table.name));
                changes.push(format!("delete from {} where id % 5 = 1", table.name));
            }
            for text in &changes {
                say(wire, text);
            }
        }
        let with_params = round.random.percent(30);
        let writer =
            Writer { round: &mut round, from: Vec::new(), params: Vec::new(), with_params, failing: false };
        let statement = writer.select();
        let answer_of = |wire: &mut Wire, executor: &str| {
            choose(wire, executor);
            ask(wire, &statement)
        };
        let in_block = n >= STATEMENTS * 2 / 3;
        let mut guarded = |executor: &str| {
            if in_block {
                say(wire, "savepoint s");
            }
            let answer = answer_of(wire, executor);
            if in_block {
                say(wire, "rollback to s");
            }
            answer
        };
        let by_row = guarded("row");
        if by_row == Answer::Error("0A000".to_owned()) {
            skipped += 1;
            continue;
        }
        let by_report = guarded("report");
        let by_choice = guarded("auto");
        ran += 1;
        let shown = || {
            let mut script = round.script.clone();
            script.extend(changes.clone());
            format!(
                "EXECUTORS_SEED={seed} statement {n}\n{};\n{};\n-- with {:?}",
                script.join(";\n"),
                statement.text,
                statement.params
            )
        };
        assert_eq!(by_row, by_report, "row executor, report engine\n{}", shown());
        assert_eq!(by_choice, by_report, "chosen executor, report engine\n{}", shown());
    }
    say(wire, "rollback");
    choose(wire, "auto");
    (ran, skipped)
}

fn same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let mut wire = Wire::connect(server.sql_port);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("EXECUTORS_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("EXECUTORS_ROUNDS").unwrap_or(ROUNDS)).collect(),
    };
    let (mut ran, mut skipped) = (0, 0);
    for seed in seeds {
        println!("EXECUTORS_SEED={seed}");
        let round = one_round(&mut wire, seed);
        ran += round.0;
        skipped += round.1;
    }
    println!("{ran} statements ran in both, {skipped} only as reports");
    assert!(skipped * 5 <= ran, "{skipped} statements were skipped, {ran} ran");
    server.stop();
}

/// A plan that was expected to read little, and meets a large table, gives the report's answer.
fn too_large() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let mut wire = Wire::connect(server.sql_port);
    say(&mut wire, "create table t (a int, b int, primary key (a, b))");
    say(&mut wire, "insert into t select 1, g from generate_series(1, 25000) g");
    let plan = say(&mut wire, "explain select count(*), sum(b) from t where a = 1");
    assert!(plan.iter().any(|line| line.contains("Index Scan using t_pkey on t")), "{plan:?}");
    let answer = say(&mut wire, "select count(*), sum(b) from t where a = 1");
    assert!(answer.contains(&"D:25000|312512500".to_owned()), "{answer:?}");
    let rows = say(&mut wire, "select b from t where a = 1");
    assert_eq!(rows.iter().filter(|row| row.starts_with("D:")).count(), 25_000);
    let answer = say(&mut wire, "select b from t where a = 1 order by -b limit 1");
    assert!(answer.contains(&"D:25000".to_owned()), "{answer:?}");
    server.stop();
}
