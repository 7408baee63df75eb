//! The store's promises against an S3 server in the next process: moto, when it is installed.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::disallowed_methods, reason = "a test waits for a server")]
#![allow(clippy::print_stderr, reason = "a test that did not run says so")]

use bytes::Bytes;
use shardforge_common::ErrorKind;
use shardforge_common::disk::RealDisk;
use shardforge_common::random::Random;
use shardforge_store::journal::{FIRST, Journal, Published};
use shardforge_store::{ObjectPath, PutOutcome};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts moto with a bucket `test`; `None` when it is not installed.
fn server() -> Option<Server> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut server = Server { child: child.ok()?, port };
    for _ in 0..150 {
        std::thread::sleep(Duration::from_millis(100));
        if server.child.try_wait().unwrap().is_some() {
            return None;
        }
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        write!(
            stream,
            "PUT /test HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        if answer.contains(" 200 ") {
            return Some(server);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_the_promises_too() {
    let Some(server) = server() else {
        let how = "python3 -m pip install 'moto[server,s3]'";
        eprintln!("NOT RUN: s3_keeps_the_promises_too needs moto_server: {how}");
        assert!(std::env::var_os("REQUIRE_TOOLS").is_none_or(|v| v != "1"), "moto_server is missing: {how}");
        return;
    };
    // Keys that moto does not check; in this process no other test reads them.
    #[allow(unsafe_code, reason = "set before any thread of this test reads the environment")]
    unsafe {
        std::env::set_var("AWS_ACCESS_KEY_ID", "test");
        std::env::set_var("AWS_SECRET_ACCESS_KEY", "test");
    }
    let url = format!("s3://test/some/prefix?endpoint=http://127.0.0.1:{}&region=us-east-1", server.port);
    let store = shardforge_store::open(&url, Arc::new(RealDisk)).unwrap();
    let path = |text: &str| ObjectPath::new(text).unwrap();

    assert_eq!(store.put_if_absent(&path("x/y/1"), Bytes::from("one")).await.unwrap(), PutOutcome::Created);
    assert_eq!(store.put_if_absent(&path("x/y/1"), Bytes::from("uno")).await.unwrap(), PutOutcome::Exists);
    store.put(&path("x/2"), Bytes::from("two")).await.unwrap();
    store.put(&path("x/2"), Bytes::from("deux")).await.unwrap();
    store.put(&path("xy/3"), Bytes::from("3")).await.unwrap();
    assert_eq!(store.get(&path("x/y/1")).await.unwrap(), "one");
    assert_eq!(store.get_range(&path("x/2"), 1..3).await.unwrap(), "eu");
    assert_eq!(store.get_range(&path("x/2"), 1..9).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.get(&path("x/none")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.head(&path("x/2")).await.unwrap().unwrap().size_bytes, 4);
    assert_eq!(store.head(&path("x/none")).await.unwrap(), None);
    let names: Vec<_> = store
        .list(&path("x"))
        .await
        .unwrap()
        .into_iter()
        .map(|m| (m.path.to_string(), m.size_bytes))
        .collect();
    assert_eq!(names, [("x/2".to_string(), 4), ("x/y/1".to_string(), 3)]);
    store.delete(&path("x/2")).await.unwrap();
    store.delete(&path("x/2")).await.unwrap();
    assert_eq!(store.list(&path("x")).await.unwrap().len(), 1);

    for round in 0..5u64 {
        let journals: Vec<_> = (0..6u64)
            .map(|id| Journal::new(Arc::clone(&store), path("journal"), Random::from_seed(round * 10 + id)))
            .collect();
        // All have read the same latest entry when the first publishes: else one that reads the new one already
        // may go beyond it, before its publisher has looked whether it counts.
        for journal in &journals {
            let latest = journal.latest().await.unwrap();
            assert_eq!(latest.map_or(FIRST, |entry| entry.next_number()), round + 1);
        }
        let published = journals.iter().map(|journal| journal.publish(round + 1, b"state"));
        let outcomes = futures::future::join_all(published).await;
        let counted = outcomes.into_iter().filter(|o| *o.as_ref().unwrap() == Published::Counted).count();
        assert_eq!(counted, 1);
    }
}
