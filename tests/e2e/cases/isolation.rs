//! What each isolation level permits: the scripts of `tests/isolation`, on our server and on PostgreSQL.

use crate::Case;
use crate::isolation::{Ours, Peer, Target, check_ours, check_peer, scripts};
use crate::server::Server;
use crate::tools::Tool;
use crate::wire::Say;

pub const CASES: &[Case] = &[
    Case { name: "hermitage_anomalies_are_prevented_as_in_postgresql_15", tools: &[], run: hermitage },
    Case { name: "locks_timeouts_and_modes_answer_as_in_postgresql_15", tools: &[], run: features },
    Case { name: "rollback_to_closes_only_portals_made_since", tools: &[], run: portals },
    Case { name: "postgresql_15_gives_these_isolation_transcripts", tools: &[Tool::Postgres], run: peer },
];

fn hermitage() {
    ours("hermitage");
}

fn features() {
    ours("features");
}

/// Portals go with the savepoint after which they were made, and no others do.
fn portals_and_savepoints(target: &dyn Target) {
    let mut wire = target.connect();
    let open = |say: Say, name: &str| say.bind(name, "three", &[]).execute(name, 1).sync();
    let say = Say::default().parse("three", "select n from generate_series(1, 3) n", &[]).sync();
    assert_eq!(wire.ask(say), ["1", "Z:I"]);
    wire.query("begin");
    assert_eq!(wire.ask(open(Say::default(), "before")), ["2", "D:1", "s", "Z:T"]);
    wire.query("savepoint a");
    assert_eq!(wire.ask(open(Say::default(), "within")), ["2", "D:1", "s", "Z:T"]);
    wire.query("savepoint b");
    wire.query("release b");
    assert_eq!(wire.ask(open(Say::default(), "later")), ["2", "D:1", "s", "Z:T"]);
    assert_eq!(wire.query("rollback to a"), ["C:ROLLBACK", "Z:T"]);
    let go_on = |name: &str| Say::default().execute(name, 1).sync();
    assert_eq!(wire.ask(go_on("before")), ["D:2", "s", "Z:T"]);
    assert_eq!(wire.ask(go_on("within")), ["E:34000", "Z:E"]);
    wire.query("rollback to a");
    assert_eq!(wire.ask(go_on("later")), ["E:34000", "Z:E"]);
    wire.query("rollback to a");
    assert_eq!(wire.ask(go_on("before")), ["D:3", "s", "Z:T"]);
    wire.query("commit");
    assert_eq!(wire.ask(go_on("before")), ["E:34000", "Z:I"]);
}

fn portals() {
    let dir = tempfile::tempdir().unwrap();
    let server = Ours(Server::start(&dir.path().join("data")));
    portals_and_savepoints(&server);
    server.0.stop();
}

fn ours(folder: &str) {
    let dir = tempfile::tempdir().unwrap();
    let server = Ours(Server::start(&dir.path().join("data")));
    let wrong: Vec<_> = scripts(folder).iter().filter_map(|path| check_ours(&server, path).err()).collect();
    server.0.stop();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn peer() {
    let peer = Peer::start();
    portals_and_savepoints(&peer);
    let paths = scripts("hermitage").into_iter().chain(scripts("features"));
    let wrong: Vec<_> = paths.filter_map(|path| check_peer(&peer, &path).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
