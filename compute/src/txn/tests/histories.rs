//! Random histories of lists on two computes over one log, at all levels mixed: each keeps its promise.

use super::cases::drive;
use super::{World, key_in};
use crate::txn::*;
use bytes::Bytes;
use shardforge_common::task;
use shardforge_history::generate::{ListAppend, Step};
use shardforge_history::{Level, Op, Outcome, Random, Recorder, assert_kept};
use std::sync::Arc;

const CLIENTS: u64 = 6;

fn level_of(level: Level) -> IsolationLevel {
    match level {
        Level::ReadCommitted => IsolationLevel::ReadCommitted,
        Level::RepeatableRead => IsolationLevel::RepeatableRead,
        Level::Serializable => IsolationLevel::Serializable,
    }
}

fn row(key: u64) -> Bytes {
    key_in(5, &format!("{key:06}"))
}

fn list(value: Option<RowBytes>) -> Vec<u64> {
    let Some(value) = value else { return Vec::new() };
    let text = std::str::from_utf8(&value.value).unwrap();
    text.split(' ').map(|value| value.parse().unwrap()).collect()
}

async fn append(txn: &mut Txn, key: u64, value: u64) -> Result<(), TxnError> {
    let key = row(key);
    drive(txn, |txn| {
        txn.lock_row(&key, LockMode::Update, LockWait::Forever)?;
        match txn.get(&key, Visibility::Statement)? {
            Some(old) => {
                let text = format!("{} {value}", std::str::from_utf8(&old.value).unwrap());
                txn.update(key.clone(), text.into(), Checked::Yes)
            }
            None => txn.insert(key.clone(), value.to_string().into(), Checked::Yes),
        }
    })
    .await
}

async fn read_range(txn: &mut Txn, from: u64, to: u64, ops: &mut Vec<Op>) -> Result<(), TxnError> {
    let visibility = Visibility::Statement;
    let mut read = RangeRead {
        start: row(from),
        end: row(to + 1),
        reverse: from.is_multiple_of(2),
        limit: 0,
        visibility,
    };
    let (mut found, mut batch) = (Vec::new(), RowBatch::new());
    loop {
        let next = drive(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        found.extend(batch.iter().map(|(key, row)| (key.to_vec(), row.clone())));
        if next == RangeNext::Done {
            break;
        }
    }
    for key in from..=to {
        let value = found.iter().find(|(found, _)| *found == row(key)).map(|(_, row)| row.clone());
        ops.push(Op::Read { key, list: list(value), same_statement: key > from });
    }
    Ok(())
}

async fn step(txn: &mut Txn, step: Step, ops: &mut Vec<Op>) -> Result<(), TxnError> {
    txn.begin_statement().await?;
    match step {
        Step::Append { key, value } => {
            ops.push(Op::Append { key, value });
            append(txn, key, value).await
        }
        Step::Read { key } => {
            let found = drive(txn, |txn| txn.get(&row(key), Visibility::Statement)).await?;
            ops.push(Op::Read { key, list: list(found), same_statement: false });
            Ok(())
        }
        Step::ReadRange { from, to } => read_range(txn, from, to, ops).await,
    }
}

async fn client(world: Arc<World>, recorder: Arc<Recorder>, seed: u64, number: u64, transactions: u64) {
    let mut plans = ListAppend::new(seed, number, &Level::ALL, 4, 10);
    let branch = if number.is_multiple_of(2) { world.a.clone() } else { world.b.clone() };
    for _ in 0..transactions {
        let plan = plans.plan();
        let mut ops = Vec::new();
        let invoked = recorder.now();
        let mut txn = branch.begin(level_of(plan.level));
        let mut went = Ok(());
        for next in &plan.steps {
            went = step(&mut txn, *next, &mut ops).await;
            if went.is_err() {
                break;
            }
            // Others go on in between.
            tokio::task::yield_now().await;
        }
        let outcome = match went {
            Ok(()) if plan.rolls_back => Outcome::Aborted,
            Ok(()) => match txn.commit().await {
                Ok(_) => Outcome::Committed,
                Err(error) if error.is_conflict() => Outcome::Aborted,
                Err(error) => panic!("{error}"),
            },
            Err(error) if error.is_conflict() => Outcome::Aborted,
            Err(error) => panic!("{error}"),
        };
        let (process, level, completed) = (number as u32, plan.level, recorder.now());
        recorder.record(shardforge_history::Txn { process, level, ops, outcome, invoked, completed });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn histories_on_two_computes_keep_what_each_level_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("HISTORY_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Random::new(now.as_nanos() as u64).below(1_000_000)
    });
    let total = number("HISTORY_TRANSACTIONS").unwrap_or(900);
    println!("HISTORY_SEED={seed} HISTORY_TRANSACTIONS={total}");
    let world = Arc::new(World::new().await);
    let recorder = Arc::new(Recorder::default());
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|number| {
            let run = client(world.clone(), recorder.clone(), seed, number, total / CLIENTS);
            task::spawn("a client of a history", run)
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let history = recorder.history();
    println!("{}", history.summary());
    assert_kept(&history);
}
