//! The thread on which a group agrees, when no caller lends it one: openraft's tasks, its timers, and the
//! applying of entries; in a group of one, also the writing and syncing of its log.

use super::executor::Executor;
use crate::log::LogPump;
use parking_lot::Mutex;
use shardforge_common::{Error, Result, task};
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// What stops the thread, and the thread.
type Running = (oneshot::Sender<()>, std::thread::JoinHandle<()>);

/// A Tokio runtime of one thread, and the executor that it serves. Clones are the same one.
#[derive(Clone)]
pub struct RaftThread {
    handle: Handle,
    executor: Executor,
    running: Arc<Mutex<Option<Running>>>,
}

impl RaftThread {
    /// Starts the thread, which drives the log as well if it is given its pump. It then has no sockets:
    /// a thread that waits for nothing but other threads and time is cheaper to wake.
    pub fn start(pump: Option<LogPump>) -> Result<Self> {
        let failed = |e| Error::unavailable("cannot start the thread of a WAL group").with_source(e);
        let mut builder = Builder::new_current_thread();
        let runtime = match pump {
            Some(_) => builder.enable_time().build(),
            None => builder.enable_all().build(),
        };
        let runtime = runtime.map_err(failed)?;
        let handle = runtime.handle().clone();
        let executor = Executor::new(handle.clone());
        let own = executor.clone();
        let (stop, stopped) = oneshot::channel();
        let thread = task::spawn_thread("wal-group", move || {
            let log = pump.map(|pump| (pump.stopper(), own.spawn("log", pump.drive())));
            runtime.block_on(async {
                let end = async {
                    // An answer or a sender that is gone: either means stop.
                    let _ = stopped.await;
                    if let Some((stop_log, log)) = log {
                        stop_log();
                        // If it panicked, that was logged.
                        let _ = log.await;
                    }
                };
                tokio::select! {
                    biased;
                    () = end => {}
                    () = own.serve() => {}
                }
                own.close().await;
            });
        });
        let running = Arc::new(Mutex::new(Some((stop, thread.map_err(failed)?))));
        Ok(Self { handle, executor, running })
    }

    /// The runtime, to start tasks on that have no part in a commit.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The tasks that do.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Stops the thread; tasks on it are dropped. Must not be called from the thread itself.
    pub fn stop(&self) {
        if let Some((stop, thread)) = self.running.lock().take() {
            let _ = stop.send(());
            // A panic there was logged where it happened.
            let _ = thread.join();
        }
    }
}
