//! Sequences for expressions that run on the report engine's threads: there an evaluation cannot be stopped
//! and repeated, so it waits where it is.

use super::{SequenceNeed, SessionSequences};
use crate::functions::SequenceAccess;
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use shardforge_common::task;
use shardforge_types::Oid;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};

/// A session's sequences, with what it takes to wait for them on another thread.
pub struct WaitingSequences {
    session: Arc<SessionSequences>,
    txn: Arc<Mutex<Option<Txn>>>,
    /// The session's own runtime, whose threads never wait here.
    runtime: Handle,
}

impl WaitingSequences {
    /// Of a session that runs on this runtime, and its transaction.
    pub(crate) fn new(session: Arc<SessionSequences>, txn: Arc<Mutex<Option<Txn>>>) -> Self {
        Self { session, txn, runtime: Handle::current() }
    }

    /// Has a need satisfied on the session's runtime, and waits.
    fn wait(&self, need: SequenceNeed) -> SqlResult<()> {
        let (session, txn) = (self.session.clone(), self.txn.clone());
        let (done, answer) = oneshot::channel();
        task::spawn_on(&self.runtime, "sequence", async move {
            let mut guard = txn.lock().await;
            let result = match guard.as_mut() {
                Some(txn) => session.provide(need, txn).await,
                None => Err(SqlError::internal("the transaction has ended")),
            };
            drop(done.send(result));
        });
        let stopped = || SqlError::internal("the session has stopped");
        // Others' work on this thread is handed to another one meanwhile.
        let blocking = || answer.blocking_recv();
        tokio::task::block_in_place(blocking).unwrap_or_else(|_| Err(stopped()))
    }
}

impl SequenceAccess for WaitingSequences {
    // Nothing is repeated here.
    fn begin_evaluation(&self) {}

    fn next_value(&self, sequence: Oid) -> SqlResult<i64> {
        loop {
            if let Some(number) = self.session.try_next(sequence)? {
                return Ok(number);
            }
            self.wait(SequenceNeed::Block(sequence))?;
        }
    }

    fn current_value(&self, sequence: Oid) -> Option<i64> {
        self.session.current_value(sequence)
    }

    fn last_value(&self) -> Option<(Oid, i64)> {
        self.session.last_value()
    }

    fn set_value(&self, sequence: Oid, value: i64, called: bool) -> SqlResult<()> {
        self.session.may_set()?;
        self.wait(SequenceNeed::Set { sequence, value, called })?;
        self.session.note_set(sequence, value, called);
        Ok(())
    }
}
