//! The thread on which a group agrees: openraft's tasks, its timers, and the applying of entries; in a
//! group of one, also the writing and syncing of its log.

use crate::log::LogPump;
use parking_lot::Mutex;
use shardforge_common::{Error, Result, task};
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// What stops the thread, and the thread.
type Running = (oneshot::Sender<()>, std::thread::JoinHandle<()>);

/// A Tokio runtime of one thread. Clones are the same one.
#[derive(Clone)]
pub struct RaftThread {
    handle: Handle,
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
        let (stop, stopped) = oneshot::channel();
        let thread = task::spawn_thread("wal-group", move || {
            let log =
                pump.map(|pump| (pump.stopper(), task::spawn_on(runtime.handle(), "log", pump.drive())));
            runtime.block_on(async {
                // An answer or a sender that is gone: either means stop.
                let _ = stopped.await;
                if let Some((stop_log, log)) = log {
                    stop_log();
                    // If it panicked, that was logged.
                    let _ = log.await;
                }
            });
        });
        Ok(Self { handle, running: Arc::new(Mutex::new(Some((stop, thread.map_err(failed)?)))) })
    }

    /// The runtime, to start tasks on.
    pub fn handle(&self) -> &Handle {
        &self.handle
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
