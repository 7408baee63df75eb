//! The task seam: the one place where tasks and threads begin, each with a name, none of whose panics is
//! lost; and the one place to sleep.

#![allow(clippy::disallowed_methods, reason = "this is the helper that every other place uses")]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

pub use tokio::task::{JoinError, JoinHandle};

/// Runs a future as a task of the current Tokio runtime. A panic in it is logged, and given to
/// whoever awaits the handle. Dropping the handle lets the task run on.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(logging_panics(name, future))
}

/// The same, on the runtime of the handle: background work runs on a second runtime.
pub fn spawn_on<F>(runtime: &tokio::runtime::Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.spawn(logging_panics(name, future))
}

/// Runs blocking work (files, compression) on Tokio's pool for it.
pub fn spawn_blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || log_panic(name, work))
}

/// Runs work on a thread of its own, of this name (of which Linux shows 15 bytes).
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    let own = name.to_string();
    std::thread::Builder::new().name(name.to_string()).spawn(move || log_panic(&own, work))
}

/// Makes way for others: the calling thread gets the processor when threads of ordinary priority leave it.
/// For threads whose work nobody waits for. Without effect where it is not allowed.
pub fn lower_priority() {
    // On Linux this is of the thread; elsewhere it would be of the whole process.
    #[cfg(target_os = "linux")]
    {
        const NICE: i32 = 10;
        #[allow(
            unsafe_code,
            reason = "a system call on three numbers; the safe wrapper is not in our build of rustix"
        )]
        let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0;
        if failed {
            tracing::debug!("a background thread keeps its priority: {}", std::io::Error::last_os_error());
        }
    }
}

/// Waits. Under Tokio's paused time it takes no time at all.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for a future, but no longer than this; `None` when the time ran out.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(duration, future).await.ok()
}

/// Runs a future; when it panics, that is logged, and the panic is given back instead of going on.
pub async fn catching_panics<F: Future>(
    name: &'static str,
    future: F,
) -> Result<F::Output, Box<dyn std::any::Any + Send>> {
    let mut future = pin!(logging_panics(name, future));
    poll_fn(move |context| {
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        poll.map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
    })
    .await
}

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread's event loop has nobody else to serve, as far as it knows, so that a call may hold
/// it for as long as a disk takes to sync, where the way to another thread and back would cost as much.
pub fn is_alone() -> bool {
    ALONE.get()
}

/// Says so of the calling thread, until it is said again.
pub fn set_alone(alone: bool) {
    ALONE.set(alone);
}

async fn logging_panics<F: Future>(name: &'static str, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(move |context| log_panic(name, || future.as_mut().poll(context))).await
}

fn log_panic<T>(name: &str, work: impl FnOnce() -> T) -> T {
    // The panic goes on its way, so no state that it left half changed is seen by anyone.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(task = name, "panicked: {text}");
        resume_unwind(panic)
    })
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_panic_reaches_whoever_awaits() {
        let task = super::spawn("doomed", async { panic!("on purpose") });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(super::spawn("fine", async { 3 }).await.unwrap(), 3);
    }
}
