//! Registers, read and replaced by values of the client's own.

use super::{Client, Ended, rows, run};
use shardforge_history::registers::{RegisterOp, RegisterTxn, to_lists};
use shardforge_history::{Anomaly, Level, assert_kept};
use std::sync::{Arc, Mutex};

const KEYS: u64 = 4;
/// Values of one client are apart from another's.
const APART: u64 = 100_000;

pub fn registers(name: &'static str, kills: u64) {
    let fill = format!("insert into registers select n, 0 from generate_series(1, {KEYS}) n");
    let setup = ["create table registers (k int primary key, v int not null)", &fill];
    let recorded: Arc<Mutex<Vec<RegisterTxn>>> = Arc::default();
    let all = recorded.clone();
    let work = move |client: &mut Client, number: u64| {
        let mut next = number * APART;
        while client.shared.take_one() {
            let level = client.random.pick(&Level::ALL);
            let mut ops = Vec::new();
            let steps = 1 + client.random.below(3);
            let went = client
                .begin(level)
                .and_then(|()| (0..steps).try_for_each(|_| step(client, level, &mut next, &mut ops)));
            let outcome = client.end(went, false);
            let txn = client.taken(outcome);
            recorded.lock().unwrap().push(RegisterTxn { txn, ops });
        }
    };
    run(name, kills, &setup, work, move |shared, last| {
        last.begin(Level::Serializable).unwrap();
        let found = rows(&last.must("select k, v from registers"));
        let read = |row: &Vec<String>| RegisterOp::Read {
            key: row[0].parse().unwrap(),
            value: row[1].parse().unwrap(),
        };
        let ops = found.iter().map(read).collect();
        let outcome = last.end(Ok(()), false);
        let txn = last.taken(outcome);
        all.lock().unwrap().push(RegisterTxn { txn, ops });
        let lists = to_lists(&all.lock().unwrap()).unwrap_or_else(|found| {
            let report: Vec<_> = found.iter().take(3).map(Anomaly::to_string).collect();
            panic!("HISTORY_SEED={}\n{}", shared.seed, report.join("\n\n"))
        });
        println!("{name}: {}", lists.summary());
        assert_kept(&lists);
    });
}

/// A read, or a read and a write of what was read.
fn step(client: &mut Client, level: Level, next: &mut u64, ops: &mut Vec<RegisterOp>) -> Result<(), Ended> {
    let key = 1 + client.random.below(KEYS);
    let writes = client.random.one_in(2);
    // Under READ COMMITTED only the lock keeps others from writing in between.
    let lock = if writes && level == Level::ReadCommitted { " for update" } else { "" };
    let answer = client.ask(&format!("select v from registers where k = {key}{lock}"))?;
    let value = rows(&answer)[0][0].parse().unwrap();
    ops.push(RegisterOp::Read { key, value });
    if writes {
        *next += 1;
        ops.push(RegisterOp::Write { key, value: *next });
        client.ask(&format!("update registers set v = {next} where k = {key}"))?;
    }
    Ok(())
}
