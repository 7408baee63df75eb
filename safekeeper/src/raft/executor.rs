//! The tasks of a group, in a queue that one thread at a time takes turns at.
//!
//! Usually that is the group's own thread ([`Executor::serve`]). A caller whose thread has nothing else to do
//! can take a [`Turn`] instead: it puts in what it wants done, runs the tasks that this wakes, the writing and
//! syncing of the log among them, and has its answer without a wake-up of another thread, there and back.
//! With one committer that is a third of the time that a commit takes beside its sync.
//!
//! Tasks never run side by side, so what runs in them may count on being alone as on a runtime of one thread.
//! Their timers and Tokio's context are those of the group's thread, whoever polls them.

use parking_lot::Mutex;
use shardforge_common::task;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// So many polls, and then the thread's other work (timers) has its turn.
const POLLS: usize = 64;

thread_local! {
    /// Whose task is being polled on this thread.
    static CURRENT: RefCell<Option<Executor>> = const { RefCell::new(None) };
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A queue of tasks; clones are the same one.
#[derive(Clone)]
pub struct Executor(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Every task that may still be there, for [`Executor::close`].
    tasks: Mutex<Tasks>,
    /// Rung when the group's thread has something to do.
    bell: Notify,
    runtime: Handle,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Arc<Task>>,
    /// Somebody has the turn, and sees what is put in.
    taken: bool,
    closed: bool,
}

#[derive(Default)]
struct Tasks {
    known: Vec<Weak<Task>>,
    /// When there are so many, those that have ended are forgotten.
    prune_at: usize,
}

struct Task {
    /// `None` once it has ended. The lock is never waited for: whoever polls has the turn.
    work: Mutex<Option<Work>>,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let shared = self.shared.clone();
            shared.push(self);
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        // Before the poll: a wake during it puts the task into the queue once more.
        self.queued.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut work = self.work.lock();
        if let Some(future) = work.as_mut()
            && future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            *work = None;
        }
    }
}

impl Shared {
    fn push(&self, task: Arc<Task>) {
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        queue.ready.push_back(task);
        if !queue.taken {
            drop(queue);
            self.bell.notify_one();
        }
    }
}

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It panicked.
    #[error("the task panicked")]
    Panicked,
    /// The executor was closed before it ended.
    #[error("the task was dropped")]
    Dropped,
}

/// Waits for a task. Dropping it lets the task run on.
#[derive(Debug)]
pub struct TaskHandle<T>(oneshot::Receiver<Result<T, TaskError>>);

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(TaskError::Dropped)))
    }
}

/// A task's work, and where its result is waited for.
fn with_handle<F>(name: &'static str, future: F) -> (impl Future<Output = ()> + Send, TaskHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (result, receiver) = oneshot::channel();
    let work = async move {
        let done = task::catching_panics(name, future).await;
        // Whoever started it may not wait for it.
        let _ = result.send(done.map_err(|_| TaskError::Panicked));
    };
    (work, TaskHandle(receiver))
}

/// Starts a task beside the one that calls: on its executor, or on the current Tokio runtime when it is none
/// of an executor's.
pub(super) fn spawn_beside<F>(name: &'static str, future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let current = CURRENT.with(|current| current.borrow().clone());
    if let Some(executor) = current {
        return executor.spawn(name, future);
    }
    let (work, handle) = with_handle(name, future);
    drop(task::spawn(name, work));
    handle
}

impl Executor {
    /// An executor without tasks, whose timers are those of a runtime.
    pub fn new(runtime: Handle) -> Self {
        let (queue, tasks, bell) = Default::default();
        Self(Arc::new(Shared { queue, tasks, bell, runtime }))
    }

    /// Starts a task. A panic in it is logged.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (work, handle) = with_handle(name, future);
        // Tokio's budget of polls is that of whoever has the turn, and is not for tasks that are none of its own.
        let work: Work = Box::pin(tokio::task::unconstrained(work));
        let task =
            Task { work: Mutex::new(Some(work)), queued: AtomicBool::new(true), shared: self.0.clone() };
        let task = Arc::new(task);
        let mut tasks = self.0.tasks.lock();
        if tasks.known.len() >= tasks.prune_at {
            tasks.known.retain(|task| task.strong_count() > 0);
            tasks.prune_at = (2 * tasks.known.len()).max(64);
        }
        tasks.known.push(Arc::downgrade(&task));
        drop(tasks);
        self.0.push(task);
        handle
    }

    /// Takes the turn, if nobody has it. Whatever becomes ready until it is given back is for its holder to run.
    pub fn try_turn(&self) -> Option<Turn<'_>> {
        let mut queue = self.0.queue.lock();
        if queue.taken || queue.closed {
            return None;
        }
        queue.taken = true;
        Some(Turn(self))
    }

    /// Runs what is ready, but not for long. For a thread that has found more to do after its turn was given
    /// back with [`Turn::leave`].
    pub fn run_rest(&self) {
        if let Some(turn) = self.try_turn() {
            turn.run(POLLS, || false);
        }
    }

    /// Runs tasks for as long as it is polled, when nobody else does.
    pub async fn serve(&self) {
        loop {
            let more = self.try_turn().is_some_and(|turn| turn.run(POLLS, || false));
            if more {
                tokio::task::yield_now().await;
            } else {
                self.0.bell.notified().await;
            }
        }
    }

    /// Drops all tasks, when whoever has the turn has given it back.
    pub async fn close(&self) {
        let turn = loop {
            match self.try_turn() {
                Some(turn) => break turn,
                None if self.0.queue.lock().closed => return,
                // A turn takes no longer than a batch to the disk.
                None => task::sleep(std::time::Duration::from_millis(1)).await,
            }
        };
        {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            let ready = std::mem::take(&mut queue.ready);
            drop(queue);
            drop(ready);
        }
        // Dropping one may drop or wake others.
        let known = std::mem::take(&mut self.0.tasks.lock().known);
        for task in known.iter().filter_map(Weak::upgrade) {
            let work = task.work.lock().take();
            drop(work);
        }
        drop(turn);
    }
}

/// The right to run an executor's tasks, until it is dropped.
pub struct Turn<'a>(&'a Executor);

impl Turn<'_> {
    /// Runs tasks that are ready, in order, until none is, or `enough` says so, or so many polls were
    /// made. True when more are ready.
    pub fn run(&self, polls: usize, enough: impl Fn() -> bool) -> bool {
        let shared = &self.0.0;
        let _context = shared.runtime.enter();
        let outer = CURRENT.with(|current| current.replace(Some(self.0.clone())));
        let mut left = polls;
        let more = loop {
            if left == 0 || enough() {
                break !shared.queue.lock().ready.is_empty();
            }
            let next = shared.queue.lock().ready.pop_front();
            let Some(task) = next else { break false };
            task.poll();
            left -= 1;
        };
        CURRENT.with(|current| current.replace(outer));
        more
    }

    /// Gives the turn back without waking the group's thread for what is ready: the caller will see to it with
    /// [`Executor::run_rest`], very soon, unless somebody else does first. True when there is anything.
    pub fn leave(self) -> bool {
        let mut queue = self.0.0.queue.lock();
        queue.taken = false;
        let more = !queue.ready.is_empty();
        drop(queue);
        std::mem::forget(self);
        more
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.0.queue.lock();
        queue.taken = false;
        if !queue.ready.is_empty() && !queue.closed {
            drop(queue);
            self.0.0.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_turn_runs_what_its_work_wakes_on_the_callers_thread() {
        let runtime = runtime();
        let executor = Executor::new(runtime.handle().clone());
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<oneshot::Sender<_>>();
        drop(executor.spawn("answers", async move {
            while let Some(to) = asked.recv().await {
                // Two tasks take part, the second begun by the first.
                let where_from = spawn_beside("second", async { std::thread::current().id() });
                to.send(where_from.await.unwrap()).unwrap();
            }
        }));
        let turn = executor.try_turn().unwrap();
        assert!(executor.try_turn().is_none(), "one at a time");
        let (to, mut answer) = oneshot::channel();
        ask.send(to).unwrap();
        assert!(!turn.run(POLLS, || false));
        assert_eq!(answer.try_recv().unwrap(), std::thread::current().id());
        drop(turn);
        assert!(executor.try_turn().is_some());
    }

    #[test]
    fn what_a_turn_leaves_is_run_by_the_server() {
        let runtime = runtime();
        let executor = Executor::new(runtime.handle().clone());
        for left_quietly in [false, true] {
            let done = Arc::new(AtomicUsize::new(0));
            let turn = executor.try_turn().unwrap();
            let handles: Vec<_> = (0..3)
                .map(|_| {
                    let done = done.clone();
                    executor.spawn("count", async move { done.fetch_add(1, Ordering::Relaxed) })
                })
                .collect();
            assert!(turn.run(1, || false));
            assert_eq!(done.load(Ordering::Relaxed), 1);
            if left_quietly {
                assert!(turn.leave());
                executor.run_rest();
                assert_eq!(done.load(Ordering::Relaxed), 3);
            } else {
                drop(turn);
            }
            runtime.block_on(async {
                let all = futures::future::join_all(handles);
                tokio::select! { _ = all => {}, () = executor.serve() => {} }
            });
            assert_eq!(done.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn many_callers_and_a_server_lose_no_wake_up() {
        let executor = Executor::new(runtime().handle().clone());
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<oneshot::Sender<u64>>();
        let answers = executor.spawn("answers", async move {
            let mut number = 0;
            while let Some(to) = asked.recv().await {
                number += 1;
                to.send(number).unwrap();
            }
            number
        });
        let asking = |lends: bool, ask: &tokio::sync::mpsc::UnboundedSender<_>| {
            let (executor, ask) = (executor.clone(), ask.clone());
            move || {
                for _ in 0..2000 {
                    let turn = if lends { executor.try_turn() } else { None };
                    let (to, answer) = oneshot::channel();
                    ask.send(to).unwrap();
                    if let Some(turn) = turn {
                        turn.run(POLLS, || false);
                    }
                    answer.blocking_recv().unwrap();
                }
            }
        };
        std::thread::scope(|scope| {
            let (stop, stopped) = oneshot::channel::<()>();
            let own = executor.clone();
            let server = scope.spawn(move || {
                runtime().block_on(async {
                    tokio::select! { _ = stopped => {}, () = own.serve() => {} }
                })
            });
            let callers: Vec<_> = [true, true, false].map(|lends| scope.spawn(asking(lends, &ask))).into();
            for caller in callers {
                caller.join().unwrap();
            }
            drop(ask);
            assert_eq!(answers.0.blocking_recv().unwrap().unwrap(), 6000);
            drop(stop);
            server.join().unwrap();
        });
    }

    #[test]
    fn closing_drops_every_task_and_takes_no_more() {
        let runtime = runtime();
        let executor = Executor::new(runtime.handle().clone());
        let held = Arc::new(());
        let (sleeping, also) = (held.clone(), held.clone());
        let asleep = executor.spawn("asleep", async move {
            task::sleep(std::time::Duration::from_secs(3600)).await;
            drop(sleeping);
        });
        executor.run_rest();
        let waiting = executor.spawn("never begun", async move { drop(also) });
        runtime.block_on(executor.close());
        assert_eq!(Arc::strong_count(&held), 1);
        for handle in [asleep, waiting] {
            assert!(matches!(runtime.block_on(handle), Err(TaskError::Dropped)));
        }
        let late = executor.spawn("late", async {});
        assert!(matches!(runtime.block_on(late), Err(TaskError::Dropped)));
        assert!(executor.try_turn().is_none());
    }

    #[test]
    fn a_panic_ends_its_task_only() {
        let runtime = runtime();
        let executor = Executor::new(runtime.handle().clone());
        let doomed = executor.spawn("doomed", async { panic!("on purpose") });
        let fine = executor.spawn("fine", async { 3 });
        executor.run_rest();
        assert!(matches!(runtime.block_on(doomed), Err(TaskError::Panicked)));
        assert_eq!(runtime.block_on(fine).unwrap(), 3);
    }
}
