//! `pg_proc` and `pg_aggregate`.

use super::rows;
use super::types::{number, oid, oids};
use shardforge_types::Oid;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A built-in function, aggregate, window function or procedure.
#[derive(Debug, Clone)]
pub struct ProcEntry {
    /// `oid`.
    pub oid: Oid,
    /// `proname`.
    pub name: &'static str,
    /// `pronamespace`.
    pub namespace: Oid,
    /// `prokind`: `f`unction, `a`ggregate, `w`indow function, `p`rocedure.
    pub kind: u8,
    /// `proisstrict`: null for a null argument.
    pub strict: bool,
    /// `proretset`.
    pub returns_set: bool,
    /// `provolatile`: `i`mmutable, `s`table, `v`olatile.
    pub volatility: u8,
    /// How many of the last arguments have defaults.
    pub default_count: usize,
    /// The defaults, as SQL, for the last arguments.
    pub defaults: Option<&'static str>,
    /// `prorettype`.
    pub result: Oid,
    /// `proargtypes`: the input arguments.
    pub args: Box<[Oid]>,
    /// `provariadic`: the type of each further argument, or zero.
    pub variadic: Oid,
    /// `proallargtypes` with `proargmodes`, when there are output arguments.
    pub all_args: Option<Box<[(Oid, u8)]>>,
    /// `proargnames`: for `all_args` where they are, else for `args`.
    pub arg_names: Option<Box<[&'static str]>>,
    /// `prosrc`: for built-in functions the name of the C function.
    pub source: &'static str,
}

/// The rest of an aggregate.
#[derive(Debug, Clone, Copy)]
pub struct AggregateEntry {
    /// `aggfnoid`.
    pub func: Oid,
    /// `aggkind`: `n`ormal, `o`rdered set, `h`ypothetical set.
    pub kind: u8,
    /// `aggnumdirectargs`.
    pub direct_args: usize,
    /// `aggtransfn`.
    pub transition: Oid,
    /// `aggfinalfn`, or zero.
    pub finish: Oid,
    /// `aggsortop`: for `min` and `max`, the operator that orders their argument.
    pub sort_operator: Oid,
    /// `aggtranstype`.
    pub state_type: Oid,
    /// `agginitval`.
    pub initial: Option<&'static str>,
}

struct Procs {
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<&'static str, Vec<&'static ProcEntry>>,
}

static ENTRIES: LazyLock<Vec<ProcEntry>> = LazyLock::new(read_procs);

static PROCS: LazyLock<Procs> = LazyLock::new(|| {
    let entries: &'static [ProcEntry] = &ENTRIES;
    let mut by_name: HashMap<&'static str, Vec<&'static ProcEntry>> = HashMap::new();
    for entry in entries {
        by_name.entry(entry.name).or_default().push(entry);
    }
    let by_oid = entries.iter().enumerate().map(|(place, entry)| (entry.oid, place)).collect();
    Procs { by_oid, by_name }
});

fn read_procs() -> Vec<ProcEntry> {
    let defaults: HashMap<Oid, &'static str> = include_str!("data/proc_defaults.tsv")
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(func, text)| (oid(func), text))
        .collect();
    let catalog = rows("pg_proc").expect("pg_proc is one of the files");
    let columns = [
        "oid",
        "proname",
        "pronamespace",
        "prokind",
        "proisstrict",
        "proretset",
        "provolatile",
        "pronargdefaults",
        "prorettype",
        "proargtypes",
        "provariadic",
        "proallargtypes",
        "proargmodes",
        "proargnames",
        "prosrc",
    ];
    let entry = |f: [&'static str; 15]| ProcEntry {
        oid: oid(f[0]),
        name: f[1],
        namespace: oid(f[2]),
        kind: f[3].as_bytes()[0],
        strict: f[4] == "t",
        returns_set: f[5] == "t",
        volatility: f[6].as_bytes()[0],
        default_count: number(f[7]),
        defaults: defaults.get(&oid(f[0])).copied(),
        result: oid(f[8]),
        args: oids(f[9]),
        variadic: oid(f[10]),
        all_args: (f[11] != "\\N").then(|| {
            let modes = f[12].bytes().filter(u8::is_ascii_alphabetic);
            oids(f[11]).iter().copied().zip(modes).collect()
        }),
        arg_names: (f[13] != "\\N")
            .then(|| f[13].trim_matches(['{', '}']).split(',').map(|name| name.trim_matches('"')).collect()),
        source: f[14],
    };
    catalog.raw(columns).map(entry).chain(own_procs()).collect()
}

/// Functions that PostgreSQL does not have; `pg_proc` does not show them.
fn own_procs() -> impl Iterator<Item = ProcEntry> {
    const OWN: [(u32, &str, u8, u32); 3] = [
        (9000, "shardforge_current_lsn", b's', 20),
        (9001, "shardforge_last_commit_lsn", b'v', 20),
        (9002, "shardforge_last_commit_time", b'v', 1184),
    ];
    OWN.into_iter().map(|(number, name, volatility, result)| ProcEntry {
        oid: Oid(number),
        name,
        namespace: Oid(11),
        kind: b'f',
        strict: true,
        returns_set: false,
        volatility,
        default_count: 0,
        defaults: None,
        result: Oid(result),
        args: Box::default(),
        variadic: Oid::INVALID,
        all_args: None,
        arg_names: None,
        source: name,
    })
}

/// A function by its OID.
pub fn proc(oid: Oid) -> Option<&'static ProcEntry> {
    PROCS.by_oid.get(&oid).map(|place| &ENTRIES[*place])
}

/// All functions of a name, by OID.
pub fn procs_by_name(name: &str) -> &'static [&'static ProcEntry] {
    PROCS.by_name.get(name).map_or(&[], Vec::as_slice)
}

static AGGREGATES: LazyLock<HashMap<Oid, AggregateEntry>> = LazyLock::new(|| {
    let catalog = rows("pg_aggregate").expect("pg_aggregate is one of the files");
    let columns = [
        "aggfnoid",
        "aggkind",
        "aggnumdirectargs",
        "aggtransfn",
        "aggfinalfn",
        "aggsortop",
        "aggtranstype",
        "agginitval",
    ];
    let entry = |f: [&'static str; 8]| AggregateEntry {
        func: oid(f[0]),
        kind: f[1].as_bytes()[0],
        direct_args: number(f[2]),
        transition: oid(f[3]),
        finish: oid(f[4]),
        sort_operator: oid(f[5]),
        state_type: oid(f[6]),
        initial: (f[7] != "\\N").then_some(f[7]),
    };
    catalog.raw(columns).map(entry).map(|entry| (entry.func, entry)).collect()
});

/// The rest of an aggregate, by the OID of its function.
pub fn aggregate(func: Oid) -> Option<&'static AggregateEntry> {
    AGGREGATES.get(&func)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_by_number_and_name() {
        let series = procs_by_name("generate_series");
        assert!(series.iter().any(|f| *f.args == [Oid(23), Oid(23)] && f.returns_set));
        let concat = procs_by_name("concat")[0];
        assert_eq!((concat.variadic, concat.strict), (Oid(2276), false));
        let interval = procs_by_name("make_interval")[0];
        assert_eq!((interval.default_count, interval.defaults), (7, Some("0, 0, 0, 0, 0, 0, 0.0")));
        assert_eq!(interval.arg_names.as_ref().unwrap()[2], "weeks");
        let sum = procs_by_name("sum").iter().find(|f| *f.args == [Oid(23)]).unwrap();
        assert_eq!((sum.kind, sum.result), (b'a', Oid(20)));
        assert_eq!(aggregate(sum.oid).unwrap().state_type, Oid(20));
        assert_eq!(proc(sum.oid).unwrap().name, "sum");
    }
}
