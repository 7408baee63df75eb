//! The thread on which a group agrees: openraft's tasks, its timers, and the applying of entries.

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
    /// Starts the thread.
    pub fn start() -> Result<Self> {
        let failed = |e| Error::unavailable("cannot start the thread of a WAL group").with_source(e);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = task::spawn_thread("wal-group", move || {
            // An answer or a sender that is gone: either means stop.
            let _ = runtime.block_on(stopped);
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
