//! Runs the scripts: each prefix is a session, on compute `a` unless it says otherwise.

use super::{World, key_of, name_of};
use crate::txn::*;
use goldenscript::{Command, Context, Runner};
use shardforge_common::mutation::{Aspects, Mutation, MutationListBuilder};
use std::collections::BTreeMap;
use std::error::Error;

struct Session {
    txn: Txn,
    savepoints: BTreeMap<String, Savepoint>,
    /// A statement that waits for a lock.
    waiting: Option<Command>,
}

struct Script {
    runtime: tokio::runtime::Runtime,
    world: World,
    sessions: BTreeMap<String, Session>,
}

impl Script {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let world = runtime.block_on(World::new());
        Self { runtime, world, sessions: BTreeMap::new() }
    }

    /// Runs a statement until it ends or waits for a lock.
    fn statement(&mut self, name: &str, command: &Command) -> Result<String, Box<dyn Error>> {
        let session = self.sessions.get_mut(name).ok_or("no transaction")?;
        let resumed = session.waiting.take().is_some();
        let mut out = String::new();
        let begun = if resumed { Ok(()) } else { self.runtime.block_on(session.txn.begin_statement()) };
        let mut step = begun.map_err(Interrupt::from).and_then(|()| execute(&mut session.txn, command));
        loop {
            let again = match step {
                Ok(text) => return Ok(out + &text),
                Err(Interrupt::Need(Need::Lock(need))) => {
                    session.waiting = Some(command.clone());
                    return Ok(out + &format!("waits for {}", name_of(&need.key)));
                }
                Err(Interrupt::Need(need)) => self.runtime.block_on(session.txn.satisfy(need)),
                Err(Interrupt::RestartStatement) => {
                    out += "restarts; ";
                    self.runtime.block_on(session.txn.restart_statement())
                }
                Err(Interrupt::Error(error)) => Err(*error),
            };
            step = match again {
                Ok(()) => execute(&mut session.txn, command),
                Err(error) => {
                    self.sessions.remove(name);
                    return Ok(out + &describe(&error));
                }
            };
        }
    }

    fn end(&mut self, name: &str, commit: bool) -> Result<String, Box<dyn Error>> {
        let session = self.sessions.remove(name).ok_or("no transaction")?;
        if !commit {
            session.txn.rollback();
            return Ok("rolled back".into());
        }
        let wrote = session.txn.has_writes();
        Ok(match self.runtime.block_on(session.txn.commit()) {
            Ok(committed) if wrote => format!("committed at {}", committed.lsn),
            Ok(committed) => format!("ended at {}", committed.lsn),
            Err(error) => describe(&error),
        })
    }
}

fn argument(command: &Command, index: usize) -> &str {
    match command.args.get(index) {
        Some(goldenscript::Argument::Positional(value)) => value,
        _ => "",
    }
}

fn describe(error: &TxnError) -> String {
    let key = error.key().map(|key| format!(" on {}", name_of(key))).unwrap_or_default();
    let at = error.written_at().map(|lsn| format!(" written at {lsn}")).unwrap_or_default();
    format!("{:?}{key}{at}", error.kind())
}

fn text(row: &RowBytes) -> String {
    String::from_utf8_lossy(&row.value).into_owned()
}

fn execute(txn: &mut Txn, command: &Command) -> Result<String, Interrupt> {
    let arg = |index: usize| argument(command, index);
    let key = key_of(arg(0));
    match command.name.as_str() {
        "get" => Ok(match txn.get(&key, Visibility::Statement)? {
            Some(row) => format!("{}={}", arg(0), text(&row)),
            None => format!("no {}", arg(0)),
        }),
        "scan" => {
            let mut read = RangeRead {
                start: key,
                end: key_of(arg(1)),
                reverse: arg(2) == "reverse",
                limit: 0,
                visibility: Visibility::Statement,
            };
            let (mut rows, mut out) = (Vec::new(), RowBatch::new());
            loop {
                let next = txn.range(&mut read, &mut out)?;
                rows.extend(out.iter().map(|(key, row)| format!("{}={}", name_of(key), text(row))));
                if next == RangeNext::Done {
                    return Ok(if rows.is_empty() { "no rows".into() } else { rows.join(" ") });
                }
            }
        }
        "set" | "add" | "delete" | "insert" => {
            let weak = matches!(command.name.as_str(), "set" | "add");
            let mode = if weak { LockMode::NoKeyUpdate } else { LockMode::Update };
            txn.lock_row(&key, mode, LockWait::Forever)?;
            let old = txn.get(&key, Visibility::Now)?;
            let value = match (command.name.as_str(), &old) {
                ("insert", Some(_)) => return Ok(format!("{} is there already", arg(0))),
                ("insert", None) => {
                    txn.insert(key, arg(1).to_string().into(), Checked::Yes)?;
                    return Ok(format!("{}={}", arg(0), arg(1)));
                }
                (_, None) => return Ok(format!("no {}", arg(0))),
                ("delete", Some(_)) => {
                    txn.delete(key, Checked::Yes)?;
                    return Ok(format!("deleted {}", arg(0)));
                }
                ("add", Some(old)) => {
                    let number = |text: &str| text.parse::<i64>().expect("a number");
                    (number(&text(old)) + number(arg(1))).to_string()
                }
                _ => arg(1).to_string(),
            };
            txn.update(key, value.clone().into(), Checked::Yes)?;
            Ok(format!("{}={value}", arg(0)))
        }
        "lock" => {
            let wait = match arg(2) {
                "nowait" => LockWait::NoWait,
                "skip" => LockWait::Skip,
                _ => LockWait::Forever,
            };
            let mode = match arg(1) {
                "key-share" => LockMode::KeyShare,
                "share" => LockMode::Share,
                "no-key-update" => LockMode::NoKeyUpdate,
                _ => LockMode::Update,
            };
            if txn.lock_row(&key, mode, wait)? == LockGrant::Skipped {
                return Ok(format!("skipped {}", arg(0)));
            }
            match mode {
                LockMode::KeyShare => txn.check_key(key, Aspects::EXISTENCE),
                LockMode::Share => txn.check_key(key, Aspects::ALL),
                _ => txn.touch(key)?,
            }
            Ok(format!("locked {}", arg(0)))
        }
        "wipe" => {
            txn.delete_range(key, key_of(arg(1)), Checked::Yes)?;
            Ok(format!("wiped {} to {}", arg(0), arg(1)))
        }
        other => panic!("unknown statement {other}"),
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let arg = |index: usize| argument(command, index);
        let Some(name) = context.prefix.as_deref() else {
            match command.name.as_str() {
                "put" => {
                    let mut list = MutationListBuilder::new();
                    list.push(Mutation::Put { key: &key_of(arg(0)), value: arg(1).as_bytes() });
                    return Ok(format!("at {}", self.world.wal.write(list.finish())));
                }
                "fold" => {
                    for branch in [&self.world.a, &self.world.b] {
                        branch.cache().fold(branch.applied());
                    }
                    return Ok(format!("floor is {}", self.world.a.cache().floor()));
                }
                "certifier-floor" => {
                    self.world.wal.set_floor(self.world.wal.committed());
                    return Ok(format!("floor is {}", self.world.wal.committed()));
                }
                other => return Err(format!("unknown command {other}").into()),
            }
        };
        match command.name.as_str() {
            "begin" => {
                let isolation = match arg(0) {
                    "read-committed" => IsolationLevel::ReadCommitted,
                    "repeatable-read" => IsolationLevel::RepeatableRead,
                    "serializable" => IsolationLevel::Serializable,
                    other => return Err(format!("unknown level {other}").into()),
                };
                let branch = if arg(1) == "b" { &self.world.b } else { &self.world.a };
                let txn = branch.begin(isolation);
                let session = Session { txn, savepoints: BTreeMap::new(), waiting: None };
                self.sessions.insert(name.to_string(), session);
                Ok(String::new())
            }
            "commit" => self.end(name, true),
            "rollback" => self.end(name, false),
            "savepoint" => {
                let session = self.sessions.get_mut(name).ok_or("no transaction")?;
                let savepoint = session.txn.savepoint();
                session.savepoints.insert(arg(0).to_string(), savepoint);
                Ok(String::new())
            }
            "rollback-to" => {
                let session = self.sessions.get_mut(name).ok_or("no transaction")?;
                let savepoint = *session.savepoints.get(arg(0)).ok_or("no savepoint")?;
                session.txn.rollback_to(savepoint);
                Ok(String::new())
            }
            "resume" => {
                let waiting = self.sessions.get(name).and_then(|session| session.waiting.clone());
                self.statement(name, &waiting.ok_or("it does not wait")?)
            }
            _ => self.statement(name, command),
        }
    }
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/txn/tests/scripts/", stringify!($name));
            goldenscript::run(&mut Script::new(), path).unwrap();
        })*
    };
}

scripts! {
    anomaly_lost_update_is_prevented_within_a_compute,
    anomaly_lost_update_is_prevented_across_computes,
    anomaly_nonrepeatable_read_is_allowed_under_read_committed,
    anomaly_read_skew_is_prevented_under_repeatable_read,
    anomaly_write_skew_is_allowed_under_repeatable_read,
    anomaly_write_skew_is_prevented_under_serializable,
    anomaly_phantom_is_prevented_under_serializable,
    locks_queue_fairly,
    locks_deadlock_has_one_victim,
    locks_nowait_and_skip_locked,
    locks_for_update_holds_off_foreign_children,
    foreign_key_check_does_not_conflict_with_other_columns,
    statement_restarts_after_a_wait,
    statement_does_not_see_itself,
    savepoint_undoes_writes_and_locks,
    insert_of_a_key_that_appears_meanwhile,
    range_delete_and_insert_in_one_transaction,
    too_old_is_refreshed,
    foreign_commit_dooms_at_once,
}
