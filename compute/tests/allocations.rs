//! A prepared point read allocates nothing once it has run a few times: from the bytes of Bind to those of
//! DataRow, over a real connection.

#![allow(clippy::unwrap_used)] // a test fails by it
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature")]

#[path = "sessions/server.rs"]
mod server;

use server::{Client, TestServer, execute, parse};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts every allocation of the process.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const READS: usize = 500;

/// Repeats one request, whose answer is as long each time. Allocates nothing itself.
fn repeat(client: &mut Client, request: &[u8], answer: &mut [u8]) {
    for _ in 0..READS {
        client.stream.write_all(request).unwrap();
        client.stream.read_exact(answer).unwrap();
    }
}

/// Allocations of the whole process for one request in its steady state. The runtime of this thread does not
/// run meanwhile, so nothing but the connection's own thread allocates; whatever else a system library does
/// once is left out by taking the least of some rounds.
fn steady(client: &mut Client, request: &[u8]) -> u64 {
    let answer_len: usize = client.ask(request).iter().map(|(_, body)| body.len() + 5).sum();
    let mut answer = vec![0; answer_len];
    repeat(client, request, &mut answer);
    let round = |answer: &mut [u8], client: &mut Client| {
        let before = COUNT.load(Ordering::SeqCst);
        repeat(client, request, answer);
        COUNT.load(Ordering::SeqCst) - before
    };
    let least = (0..5).map(|_| round(&mut answer, client)).min().unwrap();
    assert_eq!(least % READS as u64, 0, "{least} allocations in {READS} equal requests");
    least / READS as u64
}

/// What a snapshot allocates by itself: it is the log's business, and nothing once a lease is held.
async fn per_snapshot(server: &TestServer) -> u64 {
    let branch = &server.branch.branch;
    branch.snapshot().await.unwrap();
    let before = COUNT.load(Ordering::SeqCst);
    branch.snapshot().await.unwrap();
    COUNT.load(Ordering::SeqCst) - before
}

#[tokio::test]
async fn a_prepared_point_read_allocates_nothing() {
    let server = TestServer::start(1).await;
    let mut client = server.connect().await;
    let snapshot = per_snapshot(&server).await;
    // The server's thread answers while this one waits.
    client.query("create table p (k int primary key, v int, t text, d date, n numeric(8,2))");
    client.query("insert into p values (7, 70, 'seven', '2020-02-29', 12.50), (8, 80, 'eight', null, null)");
    let prepared = [
        ("int", "select v from p where k = $1", &["7"][..], 1),
        ("all", "select k, v, t, d from p where k = $1", &["7"], 1),
        ("none", "select v from p where k = $1", &["9"], 1),
        ("reordered", "select t, v from p where k = $1", &["8"], 1),
    ];
    for (name, sql, params, snapshots) in prepared {
        client.ask(&[parse(name, sql), server::message(b'S', b"")].concat());
        let allocations = steady(&mut client, &execute(name, params));
        assert_eq!(allocations, snapshots * snapshot, "{name}: {sql}");
    }
    client.query("begin");
    let in_block = steady(&mut client, &execute("int", &["7"]));
    assert_eq!(in_block, snapshot, "in a block");
    client.query("rollback");
    server.stop().await;
}
