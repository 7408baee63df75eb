//! What reaches a connection's task from outside: a cancel request for its statement, and the server's
//! shutdown. Both are flags; whoever raises one wakes the task, which looks when it next would wait. Nothing
//! is registered, and no lock taken, for a statement that never waits.

use futures::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// The flags of one connection. Only the connection's own task waits for them.
#[derive(Debug, Default)]
pub struct Cancel {
    requested: AtomicBool,
    ending: AtomicBool,
    waker: AtomicWaker,
}

impl Cancel {
    /// Asks the running statement to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Forgets earlier requests: they were for a statement that has ended.
    pub fn reset(&self) {
        if self.is_requested() {
            self.requested.store(false, Ordering::Release);
        }
    }

    /// Whether a request stands.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Asks the connection to end when it is idle.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready when a request stands; else the task is woken by the next one.
    pub fn poll_requested(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(&self.requested, context)
    }

    /// Ready when the connection is to end; else the task is woken when it is.
    pub fn poll_ending(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(&self.ending, context)
    }

    /// Waits for a request.
    pub async fn requested(&self) {
        poll_fn(|context| self.poll_requested(context)).await;
    }

    fn poll(&self, flag: &AtomicBool, context: &mut Context<'_>) -> Poll<()> {
        if flag.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // Raised between the first look and the registration, nobody would wake us.
        if flag.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::noop_waker;

    #[test]
    fn a_request_is_seen_by_whoever_waits_and_forgotten_by_a_reset() {
        let cancel = Cancel::default();
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        assert!(cancel.poll_requested(&mut context).is_pending());
        cancel.request();
        assert!(cancel.poll_requested(&mut context).is_ready());
        assert!(cancel.poll_ending(&mut context).is_pending(), "a cancel request ends no connection");
        cancel.reset();
        assert!(cancel.poll_requested(&mut context).is_pending());
        cancel.end();
        assert!(cancel.poll_ending(&mut context).is_ready());
    }
}
