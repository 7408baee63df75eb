//! Lists in rows: appended to in several ways, read one by one and several at once, on both executors.

use super::{Client, Ended, affected, rows, run};
use shardforge_history::generate::{ListAppend, Plan, Step};
use shardforge_history::{History, Level, Op, assert_kept, check};

/// Runs the workload at some levels, and checks its history.
pub fn list_append(name: &'static str, levels: &'static [Level], kills: u64) {
    let history = record(name, levels, kills, false);
    assert_kept(&history);
}

/// Runs it at READ COMMITTED, and says that it was SERIALIZABLE: that must be found out.
pub fn broken_promise(name: &'static str) {
    let history = record(name, &[Level::Serializable], 0, true);
    let found = check(&history);
    let first =
        found.first().expect("at READ COMMITTED, clients who write what they made of reads lose updates");
    println!("{name}: {first}");
    assert!(first.txns.len() < 8, "a report is short: {first}");
}

fn record(name: &'static str, levels: &'static [Level], kills: u64, cheats: bool) -> History {
    let setup = ["create table lists (k int primary key, v text not null)"];
    let work = move |client: &mut Client, number: u64| {
        client.cheats = cheats;
        let mut plans = ListAppend::new(client.shared.seed, number, levels, 6, 12);
        while client.shared.take_one() {
            transaction(client, &plans.plan());
        }
    };
    let mut history = History::default();
    run(name, kills, &setup, work, |shared, last| {
        // A last look at everything: whatever was acknowledged is there.
        last.begin(Level::Serializable).unwrap();
        let all = rows(&last.must("select k, v from lists order by k"));
        let read = |row: &Vec<String>| Op::Read {
            key: row[0].parse().unwrap(),
            list: list(&row[1]),
            same_statement: true,
        };
        last.ops = all.iter().map(read).collect();
        let outcome = last.end(Ok(()), false);
        last.record(outcome);
        history = shared.recorder.history();
        println!("{name}: {}", history.summary());
    });
    history
}

fn transaction(client: &mut Client, plan: &Plan) {
    if let (Level::ReadCommitted, [step], false) = (plan.level, &plan.steps[..], plan.rolls_back) {
        // One statement without a block.
        client.start(plan.level);
        let went = match *step {
            Step::Append { key, value } => {
                client.ops.push(Op::Append { key, value });
                client.ask(&upsert(key, value)).map(|_| ())
            }
            Step::Read { key } => read(client, key, "").map(|_| ()),
            Step::ReadRange { from, to } => read_range(client, from, to),
        };
        let outcome = client.end_single(went);
        return client.record(outcome);
    }
    let went =
        client.begin(plan.level).and_then(|()| plan.steps.iter().try_for_each(|s| run_step(client, *s)));
    let outcome = client.end(went, plan.rolls_back);
    client.record(outcome);
}

fn run_step(client: &mut Client, step: Step) -> Result<(), Ended> {
    match step {
        Step::Append { key, value } => append(client, key, value),
        Step::Read { key } => read(client, key, "").map(|_| ()),
        Step::ReadRange { from, to } => read_range(client, from, to),
    }
}

fn upsert(key: u64, value: u64) -> String {
    format!(
        "insert into lists values ({key}, '{value}') on conflict (k) do update set v = lists.v || ' ' || excluded.v"
    )
}

fn append(client: &mut Client, key: u64, value: u64) -> Result<(), Ended> {
    let way = client.random.below(4);
    let mut found = false;
    if way == 1 {
        client.ops.push(Op::Append { key, value });
        let sql = format!("update lists set v = v || ' {value}' where k = {key}");
        if affected(&client.ask(&sql)?) == 1 {
            return Ok(());
        }
        client.ops.pop();
    } else if way > 1 {
        // Read, and written as the client makes it of what it read: under READ COMMITTED the lock
        // keeps others out, above it the certifier does.
        let lock = match way {
            2 => " for update",
            _ if client.random.one_in(2) => " for no key update",
            _ => "",
        };
        let level_protects = client.isolation() != Level::ReadCommitted;
        if !lock.is_empty() || level_protects {
            let list = read(client, key, lock)?;
            found = !list.is_empty();
            if found {
                client.ops.push(Op::Append { key, value });
                let text: Vec<_> = list.iter().map(u64::to_string).collect();
                let sql = format!("update lists set v = '{} {value}' where k = {key}", text.join(" "));
                assert_eq!(affected(&client.ask(&sql)?), 1, "{sql}: the row was there");
            }
        }
    }
    if !found {
        client.ops.push(Op::Append { key, value });
        client.ask(&upsert(key, value))?;
    }
    Ok(())
}

fn list(text: &str) -> Vec<u64> {
    text.split(' ').map(|value| value.parse().unwrap()).collect()
}

fn read(client: &mut Client, key: u64, lock: &str) -> Result<Vec<u64>, Ended> {
    let answer = client.ask(&format!("select v from lists where k = {key}{lock}"))?;
    let list = rows(&answer).first().map(|row| list(&row[0])).unwrap_or_default();
    client.ops.push(Op::Read { key, list: list.clone(), same_statement: false });
    Ok(list)
}

fn read_range(client: &mut Client, from: u64, to: u64) -> Result<(), Ended> {
    let sql = match client.random.below(4) {
        0 => format!("select k, v from lists where k between {from} and {to} order by k desc"),
        1 => {
            let keys: Vec<_> = (from..=to).map(|key| key.to_string()).collect();
            format!("select k, v from lists where k in ({})", keys.join(", "))
        }
        // Groups and joins are the report engine's.
        2 => format!("select k, max(v) from lists where k between {from} and {to} group by k"),
        _ => format!(
            "select a.k, b.v from lists a join lists b on a.k = b.k where a.k between {from} and {to}"
        ),
    };
    let found = rows(&client.ask(&sql)?);
    for key in from..=to {
        let row = found.iter().find(|row| row[0] == key.to_string());
        let list = row.map(|row| list(&row[1])).unwrap_or_default();
        client.ops.push(Op::Read { key, list, same_statement: key > from });
    }
    Ok(())
}
