//! Row locks of SELECT ... FOR UPDATE and its kin, and of writes.
//!
//! A scan locks rows as they pass, when every row that it gives is a row of the result. Where rows are still
//! joined, or sorted before a LIMIT, their keys travel along as a column, and an operator above locks those that
//! are left.

use crate::SqlError;
use crate::row_exec::ExecEnv;
use crate::row_exec::stop::Step;
use crate::row_exec::storage::TableCodec;
use crate::txn::{Interrupt, LockGrant, LockMode, LockWait, TxnErrorKind};
use bytes::Bytes;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

/// A lock taken on each row that passes.
#[derive(Debug, Clone, Copy)]
pub(in crate::row_exec) struct RowLock {
    pub(in crate::row_exec) mode: LockMode,
    pub(in crate::row_exec) wait: LockWait,
    /// Whether the lock itself is what the statement does (SELECT ... FOR UPDATE), so that the certifier must
    /// hear of it; a row that is written afterwards is checked anyway.
    pub(in crate::row_exec) explicit: bool,
}

/// Locks a row; false when it is to be skipped.
pub(in crate::row_exec) fn lock_row(
    lock: RowLock,
    codec: &TableCodec,
    key: &[u8],
    env: &mut ExecEnv<'_>,
) -> Step<bool> {
    let wait = if lock.wait == LockWait::Forever { env.lock_wait } else { lock.wait };
    match env.txn.lock_row(key, lock.mode, wait) {
        Ok(LockGrant::Skipped) => return Ok(false),
        Ok(LockGrant::Granted | LockGrant::Held) => {}
        Err(Interrupt::Error(error)) if error.kind() == TxnErrorKind::LockNotAvailable => {
            let message = format!("could not obtain lock on row in relation \"{}\"", codec.table().name);
            return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message).into());
        }
        Err(other) => return Err(other.into()),
    }
    if !lock.explicit {
        return Ok(true);
    }
    let key = Bytes::copy_from_slice(key);
    match lock.mode {
        LockMode::Update | LockMode::NoKeyUpdate => env.txn.touch(key)?,
        LockMode::Share => env.txn.check_key(key, shardforge_common::mutation::Aspects::ALL),
        LockMode::KeyShare => env.txn.check_key(key, shardforge_common::mutation::Aspects::EXISTENCE),
    }
    Ok(true)
}

/// Locks by a column of keys.
#[derive(Debug)]
pub(in crate::row_exec) struct KeyLock {
    /// Where the key lies in the row; null when an outer join found no row.
    pub(in crate::row_exec) slot: usize,
    pub(in crate::row_exec) lock: RowLock,
    pub(in crate::row_exec) codec: Arc<TableCodec>,
}

/// Where the locking of a row stands.
#[derive(Debug, Default)]
pub(in crate::row_exec) struct KeyLockState {
    /// How many of its locks the row at hand has; `None` without a row.
    taken: Option<usize>,
}

impl KeyLockState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.taken = None;
    }

    /// Whether a row waits for its locks.
    pub(in crate::row_exec) fn has_row(&self) -> bool {
        self.taken.is_some()
    }

    /// A row came.
    pub(in crate::row_exec) fn begin(&mut self) {
        self.taken = Some(0);
    }

    /// Takes the locks of the row at hand; false when it is to be skipped.
    pub(in crate::row_exec) fn lock(
        &mut self,
        locks: &[KeyLock],
        env: &mut ExecEnv<'_>,
        row: &[Datum],
    ) -> Step<bool> {
        while let Some(lock) = locks.get(self.taken.unwrap_or(0)) {
            if let Some(Datum::Bytea(key)) = row.get(lock.slot)
                && !lock_row(lock.lock, &lock.codec, key, env)?
            {
                self.taken = None;
                return Ok(false);
            }
            self.taken = Some(self.taken.unwrap_or(0) + 1);
        }
        self.taken = None;
        Ok(true)
    }
}
