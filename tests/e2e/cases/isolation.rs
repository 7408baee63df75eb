//! What each isolation level permits: the scripts of `tests/isolation`, on our server and on PostgreSQL.

use crate::Case;
use crate::isolation::{Ours, Peer, Target, check_ours, check_peer, scripts};
use crate::server::Server;
use crate::tools::Tool;
use crate::wire::Say;

pub const CASES: &[Case] = &[
    Case { name: "hermitage_anomalies_are_prevented_as_in_postgresql_15", tools: &[], run: hermitage },
    Case { name: "locks_timeouts_and_modes_answer_as_in_postgresql_15", tools: &[], run: features },
    Case { name: "a_queue_gives_each_job_to_one_of_its_workers", tools: &[], run: queue },
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

/// The ways in which workers take jobs; each gives the ids that it took.
const TAKES: [&str; 4] = [
    "update jobs set state = 'done', worker = $W where id = (select id from jobs where state = 'new' \
     order by id for update skip locked limit 1) returning id",
    "with next as (select id from jobs where state = 'new' order by id limit 2 for update skip locked) \
     update jobs set state = 'done', worker = $W from next where jobs.id = next.id returning jobs.id",
    "delete from jobs where id in (select id from jobs where state = 'new' order by id \
     for update skip locked limit 3) returning id",
    "update jobs set state = 'done', worker = $W where id = any (array(select id from jobs \
     where state = 'new' order by id for update skip locked limit 2)) returning id",
];

/// Takes jobs until there are none; gives what it took.
fn work(port: u16, worker: usize) -> Vec<String> {
    let mut wire = crate::wire::Wire::connect(port);
    let take = TAKES[worker % TAKES.len()].replace("$W", &worker.to_string());
    let mut mine = Vec::new();
    loop {
        let in_block = worker.is_multiple_of(3);
        if in_block {
            wire.query("begin");
        }
        let answer = wire.query(&take);
        assert!(!answer.iter().any(|part| part.starts_with('E')), "{take}: {answer:?}");
        let taken: Vec<_> =
            answer.iter().filter_map(|part| part.strip_prefix("D:")).map(str::to_owned).collect();
        // Now and then a worker fails: its jobs are others' again.
        if in_block && mine.len() % 4 == 3 && !taken.is_empty() {
            wire.query("rollback");
            mine.push(String::new());
            continue;
        }
        if in_block {
            assert_eq!(wire.query("commit"), ["C:COMMIT", "Z:I"]);
        }
        if taken.is_empty() {
            // What others hold may come back; who waits for it sees that.
            let left = wire.query("select id from jobs where state = 'new' for update");
            assert!(!left.iter().any(|part| part.starts_with('E')), "{left:?}");
            if !left.iter().any(|part| part.starts_with("D:")) {
                mine.retain(|id| !id.is_empty());
                return mine;
            }
        }
        mine.extend(taken);
    }
}

fn queue() {
    const JOBS: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    server.sql("create table jobs (id int primary key, state text not null, worker int)");
    server.sql("create index on jobs (state, id)");
    server.sql(&format!("insert into jobs select n, 'new' from generate_series(1, {JOBS}) n"));
    let port = server.sql_port;
    let workers: Vec<_> = (0..16).map(|worker| std::thread::spawn(move || work(port, worker))).collect();
    let mut taken: Vec<usize> = Vec::new();
    for worker in workers {
        taken.extend(worker.join().unwrap().iter().map(|id| id.parse::<usize>().unwrap()));
    }
    taken.sort_unstable();
    assert!(taken.iter().copied().eq(1..=JOBS), "no job twice, none lost: {taken:?}");
    server.stop();
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
