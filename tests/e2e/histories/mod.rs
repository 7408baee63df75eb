//! Many clients at once, a server that may be killed under them, and a record of what they were told.
//!
//! Each workload runs transactions made from a seed, at all isolation levels mixed, and hands what its
//! clients recorded to the checks of `shardforge-history`. The seed is printed; `HISTORY_SEED` runs it again
//! (the clients then do the same; how the server interleaves them is its own). `HISTORY_TRANSACTIONS` is
//! the number of transactions of each workload: a longer run finds more.

pub mod bank;
mod client;
pub mod indexed;
pub mod list_append;
pub mod registers;
pub mod unique;

pub use client::{Client, Ended};

use crate::server::Server;
use shardforge_history::{Random, Recorder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Clients of a workload.
pub const CLIENTS: u64 = 6;
/// Transactions of a workload, unless `HISTORY_TRANSACTIONS` says otherwise.
const TRANSACTIONS: u64 = 1500;

/// What all clients of a run share.
pub struct Shared {
    pub recorder: Recorder,
    pub seed: u64,
    port: AtomicU16,
    /// Transactions still to be begun.
    left: AtomicU64,
    ended: AtomicUsize,
}

impl Shared {
    /// Whether there is another transaction to run; takes it.
    pub fn take_one(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

/// Runs a workload: `setup` statements, then `work` in a thread for each client, while the server is killed
/// and started again so many times; then `check`, on a server that has just started once more.
pub fn run(
    name: &str,
    kills: u64,
    setup: &[&str],
    work: impl Fn(&mut Client, u64) + Send + Sync + 'static,
    check: impl FnOnce(&Shared, &mut Client),
) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("HISTORY_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Random::new(now.as_nanos() as u64).below(1_000_000)
    });
    let total = number("HISTORY_TRANSACTIONS").unwrap_or(TRANSACTIONS);
    println!("{name}: HISTORY_SEED={seed} HISTORY_TRANSACTIONS={total}");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data);
    let shared = Arc::new(Shared {
        recorder: Recorder::default(),
        seed,
        port: AtomicU16::new(server.sql_port),
        left: AtomicU64::new(total),
        ended: AtomicUsize::new(0),
    });
    let mut first = Client::new(shared.clone(), 0);
    setup.iter().for_each(|sql| drop(first.must(sql)));
    drop(first);
    let work = Arc::new(work);
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|client| {
            let (shared, work) = (shared.clone(), work.clone());
            std::thread::spawn(move || {
                let ended = Ending(shared.clone());
                work(&mut Client::new(shared, client), client);
                drop(ended);
            })
        })
        .collect();
    for kill in 1..=kills {
        let until = total * (kills - kill + 1) / (kills + 1);
        while shared.left.load(Ordering::SeqCst) > until
            && shared.ended.load(Ordering::SeqCst) < CLIENTS as usize
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        server.signal_kill();
        server.kill();
        server = Server::start(&data);
        shared.port.store(server.sql_port, Ordering::SeqCst);
    }
    let failed = clients.into_iter().filter_map(|client| client.join().err()).count();
    assert_eq!(failed, 0, "clients failed; {name}: HISTORY_SEED={seed}");
    if kills > 0 {
        server.kill();
        server = Server::start(&data);
        shared.port.store(server.sql_port, Ordering::SeqCst);
    }
    let mut last = Client::new(shared.clone(), CLIENTS + 1);
    check(&shared, &mut last);
    drop(last);
    server.stop();
}

/// Counts a client that has ended, by a panic too: nobody waits for its transactions.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// The rows of an answer, columns apart.
pub fn rows(answer: &[String]) -> Vec<Vec<String>> {
    let rows = answer.iter().filter_map(|line| line.strip_prefix("D:"));
    rows.map(|row| row.split('|').map(str::to_string).collect()).collect()
}

/// The number of rows that the command was done to.
pub fn affected(answer: &[String]) -> u64 {
    let tag = answer.iter().find_map(|line| line.strip_prefix("C:")).unwrap_or_default();
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
