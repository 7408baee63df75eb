//! Memory within what is configured: a server with small limits writes and reads many times as much, in statements
//! that each touch all of it, and the most that it had resident is compared with the sum of its limits.

use crate::Case;
use crate::server::Server;
use crate::tools::Tool;
use std::io::Write;
use std::process::Stdio;

pub const CASES: &[Case] = &[Case {
    name: "memory_stays_within_its_limits_while_far_more_is_written_and_read",
    tools: &[Tool::Psql],
    run: limits_hold,
}];

const LIMITS: &[(&str, &str)] = &[
    ("SHARDFORGE_COMPUTE_CACHE_BYTES", "8MiB"),
    ("SHARDFORGE_COMPUTE_TRANSACTION_BYTES", "4MiB"),
    ("SHARDFORGE_COMPUTE_REPORT_BYTES", "24MiB"),
    ("SHARDFORGE_COMPUTE_REPORT_THREADS", "2"),
    ("SHARDFORGE_PAGESERVER_MEMTABLE_BYTES", "2MiB"),
    ("SHARDFORGE_PAGESERVER_PAGE_BYTES", "16KiB"),
    ("SHARDFORGE_PAGESERVER_BLOCK_CACHE_BYTES", "4MiB"),
    ("SHARDFORGE_SAFEKEEPER_SEGMENT_BYTES", "4MiB"),
    ("SHARDFORGE_SAFEKEEPER_LOG_CACHE_BYTES", "2MiB"),
    ("SHARDFORGE_SAFEKEEPER_CERTIFIER_BYTES", "2MiB"),
];
/// What they come to as docs/architecture.md adds them up: two of the transaction, three memtables.
const CONFIGURED_MIB: u64 = 8 + 2 * 4 + 24 + 3 * 2 + 4 + 2 + 2;
/// The margin that docs/architecture.md states, and what is added to it once reports have sorted.
const MARGIN_MIB: u64 = 160;
const SORTS_MIB: u64 = 128;
/// About 10 MiB of them, and each statement below writes or reads all.
const ROWS: u64 = 80_000;

fn limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("data"), LIMITS);
    // Both executors have run once: their code is in memory.
    server.sql("create table item (id bigint primary key, place int, note text)");
    server.sql("insert into item values (0, 0, 'first')");
    server.sql("select place, count(*) from item group by place order by place");
    let before = server.most_resident_kib() / 1024;
    let check = |after: &str, margin: u64| {
        let grown = server.most_resident_kib() / 1024 - before;
        assert!(
            grown <= CONFIGURED_MIB + margin,
            "after {after}: {grown} MiB more than the {before} MiB of the start, with {CONFIGURED_MIB} MiB configured"
        );
    };

    let mut copy =
        server.psql("postgres").args(["-qc", "copy item from stdin"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufWriter::new(copy.stdin.take().unwrap());
    let note = "what is said of it, at some length, ".repeat(3);
    for id in 1..ROWS {
        writeln!(lines, "{id}\t{}\t{note}{id}", id % 1000).unwrap();
    }
    drop(lines);
    assert!(copy.wait().unwrap().success());
    check("COPY", MARGIN_MIB);

    let all = format!("{ROWS}|{}", (0..ROWS).sum::<u64>());
    for executor in ["report", "row"] {
        let read = format!("set shardforge.executor = {executor}; select count(*), sum(id) from item");
        assert_eq!(server.sql(&read), all, "{executor}");
    }
    check("scans", MARGIN_MIB);
    server.sql("update item set place = place + 1");
    check("UPDATE", MARGIN_MIB);
    server.sql("create index on item (note)");
    check("CREATE INDEX", MARGIN_MIB);
    let last = format!("select id from (select id, note from item order by note) sorted offset {}", ROWS - 1);
    assert_eq!(server.sql(&last), "9999", "a sort of all, which leaves memory");
    let groups = "select count(*) from (select note, count(*) from item group by note) grouped";
    assert_eq!(server.sql(groups), ROWS.to_string());
    check("a sort and groups", MARGIN_MIB + SORTS_MIB);
    server.sql("delete from item where id % 3 = 0");
    let left = server.sql("select count(*), min(place) from item");
    assert_eq!(left, format!("{}|1", ROWS - ROWS.div_ceil(3)));
    check("DELETE", MARGIN_MIB + SORTS_MIB);
    server.sql(&format!("insert into item select id + {ROWS}, place, note from item where id % 3 = 1"));
    let more = server.sql("select count(*), min(place) from item");
    assert_eq!(more, format!("{}|1", ROWS - ROWS.div_ceil(3) + (ROWS - 1).div_ceil(3)));
    check("INSERT of what the table has", MARGIN_MIB + SORTS_MIB);
    server.stop();
}
