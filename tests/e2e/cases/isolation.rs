//! What each isolation level permits: the scripts of `tests/isolation`, on our server and on PostgreSQL.

use crate::Case;
use crate::isolation::{Ours, Peer, check_ours, check_peer, scripts};
use crate::server::Server;
use crate::tools::Tool;

pub const CASES: &[Case] = &[
    Case { name: "hermitage_anomalies_are_prevented_as_in_postgresql_15", tools: &[], run: hermitage },
    Case { name: "locks_timeouts_and_modes_answer_as_in_postgresql_15", tools: &[], run: features },
    Case { name: "postgresql_15_gives_these_isolation_transcripts", tools: &[Tool::Postgres], run: peer },
];

fn hermitage() {
    ours("hermitage");
}

fn features() {
    ours("features");
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
    let paths = scripts("hermitage").into_iter().chain(scripts("features"));
    let wrong: Vec<_> = paths.filter_map(|path| check_peer(&peer, &path).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
