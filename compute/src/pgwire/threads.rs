//! The threads that serve connections, each with an event loop of its own.
//!
//! A connection stays on the thread it was given, so an event wakes the thread that handles it and no other:
//! work stealing would pass sockets from core to core, and wake a second thread for each event. A busy
//! thread handles many events for one wait, which is where the time of small statements goes.
//!
//! The price is that whatever runs long on such a thread holds up its other connections. Row executions give
//! way after a while (`Stop::Yield`), reports have threads of their own, and COPY gives way between batches.
//!
//! When one connection has sent all that a thread read for a while, calls on its behalf may hold the thread
//! ([`heard_from`]).

use parking_lot::Mutex;
use shardforge_common::{Error, Result, task};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Names of which Linux shows all.
const NAME: &str = "sql";

/// A thread that heard so often from one connection only serves nobody else.
const ALONE_AFTER: u32 = 8;

thread_local! {
    /// The connection that was heard from last, and how often in a row.
    static LAST: Cell<(i32, u32)> = const { Cell::new((0, 0)) };
}

/// Notes that this thread is about to handle what a connection has sent, and tells whoever asks
/// ([`task::is_alone`]) whether it has been the only one.
pub fn heard_from(connection: i32) {
    let (last, times) = LAST.get();
    let times = if last == connection { times.saturating_add(1) } else { 0 };
    LAST.set((connection, times));
    task::set_alone(times >= ALONE_AFTER);
}

struct Thread {
    handle: Handle,
    /// How many tasks it has.
    load: Arc<AtomicUsize>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

/// A fixed number of threads.
pub struct Threads(Vec<Thread>);

impl Threads {
    /// Starts so many.
    pub fn start(count: usize) -> Result<Threads> {
        let failed = |e| Error::unavailable("cannot start a thread for connections").with_source(e);
        let start = |number: usize| {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let handle = runtime.handle().clone();
            let (stop, stopped) = oneshot::channel::<()>();
            task::spawn_thread(&format!("{NAME}-{number}"), move || {
                // A word to stop, or nobody left to say it.
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
            Ok(Thread { handle, load: Arc::default(), stop: Mutex::new(Some(stop)) })
        };
        (0..count.max(1)).map(start).collect::<Result<_>>().map(Threads)
    }

    /// Runs a task on the thread that has fewest; the future is made there.
    pub fn spawn<F>(&self, name: &'static str, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(thread) = self.0.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed)) else {
            return;
        };
        let load = Load::new(&thread.load);
        drop(task::spawn_on(&thread.handle, name, async move {
            let _load = load;
            make().await;
        }));
    }

    /// Stops all threads; what still runs on them is dropped.
    pub fn stop(&self) {
        for thread in &self.0 {
            if let Some(stop) = thread.stop.lock().take() {
                // A thread that has ended already needs no telling.
                let _ = stop.send(());
            }
        }
    }
}

/// Counts a task while it lives.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn a_thread_is_alone_with_a_connection_until_it_hears_from_another() {
        let alone_after = |times, connection| {
            (0..times).for_each(|_| heard_from(connection));
            task::is_alone()
        };
        assert!(!alone_after(ALONE_AFTER, 1));
        assert!(alone_after(1, 1));
        assert!(!alone_after(1, 2));
        assert!(!alone_after(ALONE_AFTER - 1, 1));
    }

    #[tokio::test]
    async fn tasks_go_to_the_thread_that_has_fewest() {
        let threads = Threads::start(2).unwrap();
        let (told, mut names) = mpsc::unbounded_channel();
        let (hold, _) = tokio::sync::broadcast::channel::<()>(1);
        for _ in 0..4 {
            let (told, mut held) = (told.clone(), hold.subscribe());
            threads.spawn("test", move || async move {
                told.send(std::thread::current().name().unwrap_or_default().to_string()).unwrap();
                let _ = held.recv().await;
            });
        }
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(names.recv().await.unwrap());
        }
        seen.sort();
        assert_eq!(seen, ["sql-0", "sql-0", "sql-1", "sql-1"]);
        drop(hold);
        threads.stop();
    }
}
