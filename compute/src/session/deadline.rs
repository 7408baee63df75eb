//! The end of a statement's time, or of a client's silence.

use shardforge_common::task;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// When something has taken too long, if there is a limit. The time runs from the first wait: what never
/// waits takes no time that counts, and needs no timer.
pub struct Deadline {
    limit: Option<Duration>,
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Deadline {
    /// So long after the first wait; `None` is never.
    pub(super) fn after(limit: Option<Duration>) -> Self {
        Self { limit, timer: None }
    }

    /// Ready when the time is over; else the task is woken when it is.
    pub fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.limit {
            None => Poll::Pending,
            Some(limit) => {
                self.timer.get_or_insert_with(|| Box::pin(task::sleep(limit))).as_mut().poll(context)
            }
        }
    }
}
