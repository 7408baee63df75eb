//! Unique inserts: values of each client's own, and values that all of them want.

use super::{Client, Ended, rows, run};
use shardforge_history::sets::{self, Insert, SetRead};
use shardforge_history::{Level, Outcome};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Values of one client are apart from another's.
const APART: u64 = 100_000;

#[derive(Default)]
struct Recorded {
    inserts: Vec<Insert>,
    reads: Vec<SetRead>,
    /// Who was told to have got a value that all wanted.
    claimed: BTreeMap<u64, Vec<u64>>,
    unknown: Vec<(u64, u64)>,
}

pub fn unique(name: &'static str, kills: u64) {
    let setup =
        ["create table s (v int primary key)", "create table claims (k int primary key, who int not null)"];
    let recorded: Arc<Mutex<Recorded>> = Arc::default();
    let all = recorded.clone();
    let work = move |client: &mut Client, number: u64| {
        let (mut next, mut wanted) = (number * APART, 0);
        while client.shared.take_one() {
            match client.random.below(8) {
                0 => {
                    let read = read(client);
                    recorded.lock().unwrap().reads.extend(read);
                }
                1..4 => {
                    wanted += 1;
                    claim(client, number, wanted, &recorded);
                }
                _ => {
                    let count = 1 + client.random.below(3);
                    let values: Vec<u64> = (next..next + count).collect();
                    next += count;
                    let outcome = insert(client, &values);
                    let completed = client.shared.recorder.now();
                    let inserts = values.iter().map(|value| Insert { value: *value, outcome, completed });
                    recorded.lock().unwrap().inserts.extend(inserts);
                }
            }
        }
    };
    run(name, kills, &setup, work, move |shared, last| {
        let mut all = all.lock().unwrap();
        all.reads.extend(read(last));
        let mut wrong = sets::check(&all.inserts, &all.reads);
        let held: BTreeMap<u64, u64> = rows(&last.must("select k, who from claims"))
            .iter()
            .map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap()))
            .collect();
        for (wanted, told) in &all.claimed {
            if told.len() > 1 || held.get(wanted) != told.first() {
                wrong.push(format!("{wanted} was given to {told:?}, and {:?} has it", held.get(wanted)));
            }
        }
        for (wanted, who) in &held {
            let told = all.claimed.get(wanted).is_some_and(|told| told.contains(who));
            if !told && !all.unknown.contains(&(*wanted, *who)) {
                wrong.push(format!("{who} has {wanted}, and was refused"));
            }
        }
        println!("{name}: {} inserts, {} reads, {} claims", all.inserts.len(), all.reads.len(), held.len());
        assert!(wrong.is_empty(), "HISTORY_SEED={}\n{}", shared.seed, wrong.join("\n"));
    });
}

fn insert(client: &mut Client, values: &[u64]) -> Outcome {
    let level = client.random.pick(&Level::ALL);
    let rolls_back = client.random.one_in(8);
    let text: Vec<_> = values.iter().map(|value| format!("({value})")).collect();
    let sql = format!("insert into s values {}", text.join(", "));
    if !rolls_back && client.random.one_in(2) {
        client.start(Level::ReadCommitted);
        let went = client.ask(&sql).map(|_| ());
        return client.end_single(went);
    }
    let went = client.begin(level).and_then(|()| client.ask(&sql)).map(|_| ());
    client.end(went, rolls_back)
}

fn read(client: &mut Client) -> Option<SetRead> {
    client.start(Level::ReadCommitted);
    let invoked = client.shared.recorder.now();
    let answer = client.ask("select v from s").ok()?;
    let values = rows(&answer).iter().map(|row| row[0].parse().unwrap()).collect();
    Some(SetRead { invoked, completed: client.shared.recorder.now(), values })
}

fn claim(client: &mut Client, who: u64, wanted: u64, recorded: &Mutex<Recorded>) {
    client.start(Level::ReadCommitted);
    let went = client.ask(&format!("insert into claims values ({wanted}, {who})"));
    let mut recorded = recorded.lock().unwrap();
    match went {
        Ok(_) => recorded.claimed.entry(wanted).or_default().push(who),
        Err(Ended::Lost) => recorded.unknown.push((wanted, who)),
        Err(Ended::Refused | Ended::Duplicate) => {}
    }
}
