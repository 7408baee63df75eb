//! Who calls the pump: a thread of the log's own, or a task beside those who append.
//!
//! On a **thread** ([`LogPump::run`]) syncs overlap with everything else: a leader's sync with the way to
//! its followers. Each append then costs two wake-ups, of the log's thread and back.
//!
//! As a **task** ([`LogPump::drive`]) the pump shares the thread of those who append and wait, and syncs
//! while it holds it: no wake-up lies between an append, its sync and what follows from it. That suits a
//! group of one, where nothing could go on meanwhile but what the next batch waits for anyway.

use super::files::Folder;
use super::pump::{LogPump, prepare_spare};
use super::shared::{Inner, Shared};
use parking_lot::Condvar;
use shardforge_common::task;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Between two attempts to make a spare on a full disk.
const SPARE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Wakes the pump, whichever way it waits.
#[derive(Default)]
pub(crate) struct Bell {
    thread: Condvar,
    task: Notify,
}

impl Bell {
    /// Something waits for the pump.
    pub(crate) fn ring(&self) {
        self.thread.notify_all();
        // Kept until the pump looks, when it is not waiting now.
        self.task.notify_one();
    }
}

/// What the pump does when a step found nothing to do.
enum Rest {
    /// Work came meanwhile.
    Not,
    /// The end is not marked yet, or an append waits for space: look again after a while.
    Shortly,
    /// Nothing is left to do.
    Long,
    /// The log was asked to stop.
    Finish,
    /// The log has stopped.
    Over,
}

impl LogPump {
    fn rest(&self, inner: &mut Inner) -> Rest {
        if inner.stopped.is_some() {
            return Rest::Over;
        }
        if inner.stopping {
            return Rest::Finish;
        }
        if !inner.queue.is_empty() && !inner.stalled {
            return Rest::Not;
        }
        inner.deep_sleep = self.at_rest && inner.committed.is_empty() && !inner.stalled;
        if inner.deep_sleep { Rest::Long } else { Rest::Shortly }
    }

    /// The log's thread.
    pub(crate) fn run(mut self) {
        let _died = StopOnPanic(self.shared.clone());
        loop {
            if self.step() {
                continue;
            }
            let shared = self.shared.clone();
            let mut inner = shared.inner.lock();
            match self.rest(&mut inner) {
                Rest::Not => {}
                Rest::Shortly => {
                    let wait = self.config.idle_mark_after;
                    let timeout = shared.bell.thread.wait_for(&mut inner, wait).timed_out();
                    drop(inner);
                    if timeout {
                        self.mark_end();
                    }
                }
                Rest::Long => {
                    shared.bell.thread.wait(&mut inner);
                    inner.deep_sleep = false;
                }
                Rest::Finish => {
                    drop(inner);
                    return self.finish();
                }
                Rest::Over => return,
            }
        }
    }

    /// Tells the pump to write what waits, mark the end, and stop.
    pub(crate) fn stopper(&self) -> impl FnOnce() + Send + use<> {
        let shared = self.shared.clone();
        move || {
            shared.inner.lock().stopping = true;
            shared.bell.ring();
            shared.spare.notify_all();
        }
    }

    /// The same as a task, which holds its thread while it writes and syncs.
    pub(crate) async fn drive(mut self) {
        let shared = self.shared.clone();
        let _died = StopOnPanic(shared.clone());
        // One timer for many batches: the end is marked after one or two of these without work.
        let mut quiet = pin!(task::sleep(self.config.idle_mark_after));
        let mut worked = false;
        loop {
            if self.step() {
                worked = true;
                continue;
            }
            let rest = self.rest(&mut shared.inner.lock());
            match rest {
                Rest::Not => {}
                Rest::Shortly => tokio::select! {
                    biased;
                    () = shared.bell.task.notified() => {}
                    () = &mut quiet => {
                        if !std::mem::take(&mut worked) {
                            self.mark_end();
                        }
                        quiet.set(task::sleep(self.config.idle_mark_after));
                    }
                },
                Rest::Long => {
                    shared.bell.task.notified().await;
                    shared.inner.lock().deep_sleep = false;
                    quiet.set(task::sleep(self.config.idle_mark_after));
                }
                Rest::Finish => return self.finish(),
                Rest::Over => return,
            }
        }
    }
}

/// Tells the callers that wait when whoever drives the log dies.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("its thread panicked");
        }
    }
}

/// The thread that keeps a spare ready.
pub(crate) fn keep_spare(shared: &Shared, folder: &Folder, len: u64) {
    loop {
        let mut inner = shared.inner.lock();
        while !inner.want_spare || inner.preparing {
            if inner.stopping || inner.stopped.is_some() {
                return;
            }
            shared.spare.wait(&mut inner);
        }
        if inner.stopping || inner.stopped.is_some() {
            return;
        }
        prepare_spare(shared, inner, folder, len);
        let mut inner = shared.inner.lock();
        if inner.full.is_some() {
            // Each attempt takes what room there is for a moment, and others need it.
            inner.spare_rests = true;
            shared.spare.wait_for(&mut inner, SPARE_AGAIN_AFTER);
            inner.spare_rests = false;
        }
    }
}
