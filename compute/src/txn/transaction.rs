//! One transaction: a snapshot, a buffer of writes, the checks it will ask for, its locks.
//!
//! Every method that is not `async` answers from memory, or stops with an [`Interrupt`] that says
//! what is missing: the caller waits with [`Txn::satisfy`] and calls again. Nothing is awaited on
//! a cache hit.

use super::buffer::{Order, Own, Prior, State, WriteBuffer};
use super::bulk::NewChunk;
use super::checks::{ExplicitChecks, ReadSet};
use super::commit::{CommitPlan, commit};
use super::locks::{LockGrant, LockMode, LockOwner, LockWait};
use super::need::{Interrupt, Need};
use super::reader::{RangeNext, RangeRead, Shared, TxnReader, Visibility};
use super::{Branch, PageRun, RowBatch, RowBytes, TxnError, TxnErrorKind};
use bytes::Bytes;
use parking_lot::RwLock;
use shardforge_cache::{Lookup, Pin, ReadView};
use shardforge_common::key::MAX_KEY_LEN;
use shardforge_common::mutation::{Aspects, Mutation};
use shardforge_common::page::MAX_PAGE_LEN;
use shardforge_common::{Error, Lsn, StorageId, TxnId, random};
use shardforge_proto::wal::Check;
use std::sync::Arc;

/// A key and its value together stay below this, so that a page can hold them. In bytes.
const MAX_ROW_LEN: usize = MAX_PAGE_LEN - 1024;

pub(super) fn row_fits(key: &[u8], value_len: usize) -> Result<(), TxnError> {
    let row_len = key.len() + value_len;
    if key.len() <= MAX_KEY_LEN && row_len <= MAX_ROW_LEN {
        return Ok(());
    }
    let message = format!("row of {row_len} bytes with a key of {} is too large", key.len());
    Err(TxnError::new(TxnErrorKind::TooLarge, message).with_key(Bytes::copy_from_slice(key)))
}

/// How much a transaction notices of others (section 5 of the design).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// A snapshot for each statement; written rows are checked.
    #[default]
    ReadCommitted,
    /// One snapshot; written rows are checked.
    RepeatableRead,
    /// One snapshot; everything read is checked, ranges included.
    Serializable,
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct TxnOptions {
    /// Its isolation level.
    pub isolation: IsolationLevel,
    /// Whether it refuses to write.
    pub read_only: bool,
    /// Reads the branch as it was at this LSN; implies `read_only`.
    pub as_of: Option<Lsn>,
}

/// How a table is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLock {
    /// Its rows are written.
    Write,
    /// Its definition is changed, or it is read whole for that.
    Change,
}

/// Whether a written row is checked against other writers at COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The row: nobody else may have written or locked it since it was read (C2).
    Yes,
    /// An entry of a non-unique index, whose row is checked (C3).
    No,
}

/// A point to which a transaction's writes can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Savepoint {
    order: Order,
    locks: usize,
}

/// A transaction that took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log; for a transaction that wrote nothing, its snapshot.
    pub lsn: Lsn,
    /// Its commit time in microseconds since 1970; `None` when it wrote nothing, or when only its
    /// place in the log is known any more.
    pub time_micros: Option<i64>,
}

/// A transaction that has ended and left nothing behind. The next one begins in its memory.
pub struct IdleTxn(Txn);

impl IdleTxn {
    /// Begins again, without an allocation. The id stays: nobody has heard of it.
    pub fn begin(self, options: TxnOptions) -> Txn {
        let mut txn = self.0;
        txn.options = options;
        if txn.shared.isolation != options.isolation {
            // Alone since it became idle.
            Arc::get_mut(&mut txn.shared).expect("an idle transaction has no readers").isolation =
                options.isolation;
        }
        txn
    }
}

/// A transaction. Dropping it rolls it back.
pub struct Txn {
    shared: Arc<Shared>,
    options: TxnOptions,
    /// Whether the view stands at a snapshot of this transaction.
    has_snapshot: bool,
    view: ReadView,
    explicit: ExplicitChecks,
    locks: Arc<LockOwner>,
    /// Keeps the floor below what will be checked, so that a refresh can be decided in memory.
    pin: Option<Pin>,
}

impl Txn {
    /// Begins. It has no snapshot before [`Txn::begin_statement`].
    pub fn begin(branch: &Arc<Branch>, options: TxnOptions) -> Txn {
        let mut view = branch.cache.view(Lsn::ZERO);
        view.unpin();
        let mut buffer = WriteBuffer::default();
        buffer.set_chunk_bytes(branch.config.fragment_bytes);
        Txn {
            shared: Arc::new(Shared {
                branch: branch.clone(),
                id: random::txn_id(),
                isolation: options.isolation,
                buffer: RwLock::new(buffer),
                reads: Default::default(),
            }),
            options,
            has_snapshot: false,
            view,
            explicit: ExplicitChecks::default(),
            locks: branch.locks.owner(),
            pin: None,
        }
    }

    /// Its id, in the log as well.
    pub fn id(&self) -> TxnId {
        self.shared.id
    }

    /// The branch it is on.
    pub fn branch(&self) -> &Arc<Branch> {
        &self.shared.branch
    }

    /// Its isolation level.
    pub fn isolation(&self) -> IsolationLevel {
        self.options.isolation
    }

    /// The LSN that the running statement reads at.
    pub fn snapshot(&self) -> Lsn {
        self.view.snapshot()
    }

    /// Whether it has anything to commit.
    pub fn has_writes(&self) -> bool {
        self.shared.buffer.read().has_data()
    }

    /// Whether it has written a key itself.
    pub(crate) fn has_written(&self, key: &[u8]) -> Result<bool, TxnError> {
        let buffer = self.shared.buffer.read();
        Ok(buffer.get(key, buffer.mark())? != Own::Silent)
    }

    /// Whether the running command has written a key, be it with the value that it had.
    pub(crate) fn has_written_in_command(&self, key: &[u8]) -> Result<bool, TxnError> {
        let buffer = self.shared.buffer.read();
        Ok(buffer.is_written_since(key, buffer.visible(Visibility::Statement))?)
    }

    /// Begins the next statement: it sees what earlier ones wrote and, under READ COMMITTED, takes
    /// a new snapshot.
    pub async fn begin_statement(&mut self) -> Result<(), TxnError> {
        self.locks.check_doomed()?;
        if !self.has_snapshot || self.options.isolation == IsolationLevel::ReadCommitted {
            self.take_snapshot().await?;
        }
        self.shared.buffer.write().begin_statement();
        Ok(())
    }

    async fn take_snapshot(&mut self) -> Result<(), TxnError> {
        if self.has_snapshot && self.options.as_of.is_some() {
            return Ok(());
        }
        let newest = self.shared.branch.snapshot().await?;
        let snapshot = match self.options.as_of {
            Some(as_of) if as_of > newest => {
                let message = format!("LSN {as_of} is in the future: the newest commit is {newest}");
                return Err(Error::invalid(message).into());
            }
            Some(as_of) => as_of,
            None => newest,
        };
        self.view.set_snapshot(snapshot);
        self.has_snapshot = true;
        Ok(())
    }

    /// After [`Interrupt::RestartStatement`]: undoes the running statement's writes, keeps its
    /// locks, and takes the newest snapshot (C7).
    pub async fn restart_statement(&mut self) -> Result<(), TxnError> {
        self.locks.check_doomed()?;
        let statement = {
            let mut buffer = self.shared.buffer.write();
            let statement = buffer.statement();
            buffer.undo_to(statement);
            statement
        };
        self.explicit.undo_to(statement);
        self.take_snapshot().await?;
        self.shared.buffer.write().begin_statement();
        Ok(())
    }

    /// Within a statement: what follows sees what was written so far. A restart of the statement
    /// still undoes all of it.
    pub fn next_command(&mut self) {
        self.shared.buffer.write().next_command();
    }

    /// The row under a key.
    pub fn get(&mut self, key: &[u8], visibility: Visibility) -> Result<Option<RowBytes>, Interrupt> {
        self.shared.get(&mut self.view, key, |buffer| buffer.visible(visibility))
    }

    /// The row under a key, without a check at COMMIT that it is still so, at any level.
    pub(crate) fn peek(&mut self, key: &[u8], visibility: Visibility) -> Result<Option<RowBytes>, Interrupt> {
        self.shared.look_up(&mut self.view, key, |buffer| buffer.visible(visibility), false)
    }

    /// The next rows of a range, likewise.
    pub(crate) fn peek_range(
        &mut self,
        read: &mut RangeRead,
        out: &mut RowBatch,
    ) -> Result<RangeNext, Interrupt> {
        let visibility = read.visibility;
        self.shared.walk(&mut self.view, read, |buffer| buffer.visible(visibility), out, false)
    }

    /// A SERIALIZABLE transaction that commits something asks that a key has not come or gone since it read it:
    /// new values under it are nothing to it.
    pub(crate) fn relies_on_existence(&mut self, key: &[u8]) {
        if self.options.isolation == IsolationLevel::Serializable {
            self.shared.reads.lock().existence(key);
        }
    }

    /// The next rows of a range, about a page of them; `out` is cleared first. A step may have no
    /// rows and still say [`RangeNext::More`].
    pub fn range(&mut self, read: &mut RangeRead, out: &mut RowBatch) -> Result<RangeNext, Interrupt> {
        let visibility = read.visibility;
        self.shared.range(&mut self.view, read, |buffer| buffer.visible(visibility), out)
    }

    /// The next rows of a range, read forward: either those of one page, in `run`, or others, in `out`.
    pub fn scan(
        &mut self,
        read: &mut RangeRead,
        out: &mut RowBatch,
        run: &mut Option<PageRun>,
    ) -> Result<RangeNext, Interrupt> {
        let before = self.shared.buffer.read().visible(read.visibility);
        self.shared.scan(&mut self.view, read, before, out, run)
    }

    /// A reader that sees what the running statement sees, now and when the transaction has moved on.
    pub fn reader(&self) -> TxnReader {
        self.reader_at(self.snapshot())
    }

    /// A reader that sees all that the transaction has written so far.
    pub(crate) fn reader_now(&self) -> TxnReader {
        let before = self.shared.buffer.read().visible(Visibility::Now);
        TxnReader::new(self.shared.clone(), self.snapshot(), before)
    }

    /// The same at another LSN (`AS OF` one table). The LSN must have been applied.
    pub fn reader_at(&self, snapshot: Lsn) -> TxnReader {
        let before = self.shared.buffer.read().visible(Visibility::Statement);
        TxnReader::new(self.shared.clone(), snapshot, before)
    }

    /// A row under a key that the transaction has seen to be absent.
    pub fn insert(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        self.write(key, Prior::Absent, State::Value(value), checked)
    }

    /// A new row that nobody else can know of: `fresh` says that nobody was ever given the key, else it
    /// lies in storage of the transaction's own making and [`Txn::is_unwritten`]. It needs no check, and in
    /// key order next to no time. False, and nothing is written, when it does not come in key order:
    /// [`Txn::insert`] takes it then.
    pub fn append(&mut self, key: &[u8], value: &[u8], fresh: bool) -> Result<bool, Interrupt> {
        self.may_write()?;
        row_fits(key, value.len())?;
        let mut buffer = self.shared.buffer.write();
        let appended = buffer.append(key, value, fresh);
        if buffer.bytes() > self.shared.branch.config.spill_bytes {
            buffer.spill(&self.shared.branch.disk, || self.shared.branch.new_spill())?;
        }
        Ok(appended)
    }

    /// New rows of a storage of the transaction's own making that were put in order aside.
    pub(crate) fn append_sorted(&mut self, chunk: NewChunk) -> Result<(), Interrupt> {
        self.may_write()?;
        let refused = {
            let mut buffer = self.shared.buffer.write();
            let refused = buffer.append_chunk(chunk).err();
            if buffer.bytes() > self.shared.branch.config.spill_bytes {
                buffer.spill(&self.shared.branch.disk, || self.shared.branch.new_spill())?;
            }
            refused
        };
        let Some(chunk) = refused else { return Ok(()) };
        // Something lies above them, or the storage was there before: a row at a time, then.
        let list = chunk.into_list();
        for mutation in list.iter() {
            let Mutation::Insert { key, value } = mutation? else { continue };
            self.insert(list.share(key), list.share(value), Checked::No)?;
        }
        Ok(())
    }

    /// The keys that [`Txn::append`] is given next are no neighbours of those before: what lies between
    /// may be someone else's.
    pub fn end_appending(&mut self, storage: StorageId) {
        self.shared.buffer.write().break_chunk(storage);
    }

    /// Whether a key is known to exist nowhere, without a look at it: the transaction made its storage, and
    /// has written nothing at or above it.
    pub fn is_unwritten(&self, key: &[u8]) -> bool {
        self.shared.buffer.read().is_unwritten(key)
    }

    /// A new value under a key that the transaction has seen.
    pub fn update(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        self.write(key, Prior::Present, State::Value(value), checked)
    }

    /// A value under a key that may or may not exist.
    pub fn put(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        self.write(key, Prior::Unknown, State::Value(value), checked)
    }

    /// Removes a key, whether or not it exists.
    pub fn delete(&mut self, key: Bytes, checked: Checked) -> Result<(), Interrupt> {
        self.write(key, Prior::Unknown, State::Gone, checked)
    }

    /// Removes every key in `[start, end)`.
    pub fn delete_range(&mut self, start: Bytes, end: Bytes, checked: Checked) -> Result<(), Interrupt> {
        self.may_write()?;
        let shared = self.shared.clone();
        let mut buffer = shared.buffer.write();
        let check =
            (checked == Checked::Yes && !buffer.is_created_range(&start, &end)).then(|| self.snapshot());
        self.keep_floor(check);
        buffer.delete_range(start, end, check);
        Ok(())
    }

    /// A row lock for the certifier: FOR UPDATE and FOR NO KEY UPDATE (C2). Data stays as it is.
    pub fn touch(&mut self, key: Bytes) -> Result<(), Interrupt> {
        self.write(key, Prior::Unknown, State::Touched, Checked::Yes)
    }

    fn may_write(&self) -> Result<(), Interrupt> {
        if self.options.read_only || self.options.as_of.is_some() {
            return Err(Interrupt::error(TxnErrorKind::ReadOnly, "cannot write in a read-only transaction"));
        }
        Ok(())
    }

    fn write(&mut self, key: Bytes, prior: Prior, state: State, checked: Checked) -> Result<(), Interrupt> {
        self.may_write()?;
        row_fits(&key, if let State::Value(value) = &state { value.len() } else { 0 })?;
        let shared = self.shared.clone();
        let mut buffer = shared.buffer.write();
        let check = (checked == Checked::Yes && !buffer.is_created(&key)).then(|| self.read_at(&key));
        self.keep_floor(check);
        buffer.write(key, prior, state, check);
        if buffer.bytes() > shared.branch.config.spill_bytes {
            buffer.spill(&shared.branch.disk, || shared.branch.new_spill())?;
        }
        Ok(())
    }

    /// The LSN as of which a written row is checked: the newest at which it is known to be as the
    /// snapshot shows it, so that locks which others took and gave back before are no conflict.
    /// SERIALIZABLE takes the snapshot itself: others' locks are part of what it must not miss.
    fn read_at(&self, key: &[u8]) -> Lsn {
        let snapshot = self.snapshot();
        if self.options.isolation == IsolationLevel::Serializable {
            return snapshot;
        }
        let cache = &self.shared.branch.cache;
        let applied = cache.applied();
        let unchanged = cache.written(key, snapshot, applied, Aspects::READ).is_none();
        if unchanged && cache.floor_of(key) <= snapshot { applied } else { snapshot }
    }

    fn keep_floor(&mut self, check: Option<Lsn>) {
        if self.pin.is_none()
            && let Some(lsn) = check
        {
            self.pin = Some(self.shared.branch.cache.pin(lsn));
        }
    }

    /// Locks a key, absent or not, against other transactions of this compute, until the commit is
    /// applied here. Call it before reading the row that is to be written; it says when that row was
    /// written after the snapshot: [`Interrupt::RestartStatement`] under READ COMMITTED, else 40001.
    pub fn lock_row(&mut self, key: &[u8], mode: LockMode, wait: LockWait) -> Result<LockGrant, Interrupt> {
        self.lock(key, mode, wait, |locks| locks.lock(key, mode, wait))
    }

    /// The same for a key that is to get a row. Of very many, most are not entered, so that memory does not grow
    /// with them: who adds the same row meanwhile hears of it at COMMIT.
    pub fn lock_new(&mut self, key: &[u8], wait: LockWait) -> Result<LockGrant, Interrupt> {
        self.lock(key, LockMode::Update, wait, |locks| locks.lock_new(key, wait))
    }

    fn lock(
        &mut self,
        key: &[u8],
        mode: LockMode,
        wait: LockWait,
        ask: impl FnOnce(&Arc<LockOwner>) -> Result<Option<LockGrant>, TxnError>,
    ) -> Result<LockGrant, Interrupt> {
        self.may_write()?;
        if self.shared.buffer.read().is_created(key) {
            return Ok(LockGrant::Held);
        }
        let Some(grant) = ask(&self.locks)? else {
            let need = super::LockNeed { key: Bytes::copy_from_slice(key), mode, wait };
            return Err(Need::Lock(need).into());
        };
        if grant == LockGrant::Skipped {
            return Ok(grant);
        }
        self.locks.check_doomed()?;
        let cache = &self.shared.branch.cache;
        let aspects = if mode == LockMode::KeyShare { Aspects::EXISTENCE } else { Aspects::READ };
        let snapshot = self.snapshot();
        let written = cache.written(key, snapshot, cache.applied(), aspects);
        let restart = self.options.isolation == IsolationLevel::ReadCommitted;
        match written {
            Some(_) if restart => Err(Interrupt::RestartStatement),
            Some(lsn) => Err(TxnError::conflict(Bytes::copy_from_slice(key), Some(lsn)).into()),
            // The floor has passed the snapshot: what happened between is not known here.
            None if cache.floor_of(key) > snapshot && restart => Err(Interrupt::RestartStatement),
            None => Ok(grant),
        }
    }

    /// Whether another transaction has put a row under a key since the snapshot, and it is still there:
    /// then who wants to insert it hears of a duplicate, not of a conflict (C7). A SERIALIZABLE
    /// transaction that has read the key's absence does not: what it saw was no longer so.
    pub fn was_inserted_meanwhile(&self, key: &[u8]) -> bool {
        let read =
            self.options.isolation == IsolationLevel::Serializable && self.shared.reads.lock().has(key);
        let cache = &self.shared.branch.cache;
        let applied = cache.applied();
        let written = cache.written(key, self.snapshot(), applied, Aspects::EXISTENCE).is_some();
        !read && written && matches!(cache.view(applied).get(key), Lookup::Found(_))
    }

    /// Locks a table by its relation's key for as long as the transaction lasts. Writers share it, a change
    /// of the schema has it alone and so waits for them, as they for it. Whoever finds the table changed
    /// since the snapshot has been planned in vain: 40001, at every level.
    pub fn lock_table(&mut self, key: &[u8], mode: TableLock, wait: LockWait) -> Result<(), Interrupt> {
        let row_mode = match mode {
            TableLock::Write => LockMode::KeyShare,
            TableLock::Change => LockMode::Update,
        };
        let grant = self.locks.lock_table(key, row_mode, wait).map_err(|error| match error.kind() {
            TxnErrorKind::LockNotAvailable => {
                TxnError::new(TxnErrorKind::LockNotAvailable, "could not obtain lock on a table")
            }
            _ => error,
        })?;
        let Some(grant) = grant else {
            let need = super::LockNeed { key: Bytes::copy_from_slice(key), mode: row_mode, wait };
            return Err(Need::Lock(need).into());
        };
        debug_assert!(grant != LockGrant::Skipped, "nobody skips a locked table");
        self.locks.check_doomed()?;
        let cache = &self.shared.branch.cache;
        match cache.written(key, self.snapshot(), cache.applied(), Aspects::READ) {
            Some(lsn) => Err(TxnError::conflict(Bytes::copy_from_slice(key), Some(lsn)).into()),
            // The floor has passed the snapshot: whether it was changed in between is not known here. The check
            // at COMMIT would not do: a restart of the statement asks from a newer snapshot on, with the plan
            // of the older one.
            None if cache.floor_of(key) > self.snapshot() && !self.explicit.has_key(key) => {
                Err(TxnError::conflict(Bytes::copy_from_slice(key), None).into())
            }
            None => Ok(()),
        }
    }

    /// Takes the newest snapshot, where the level allows another one within the transaction: what was waited
    /// for is seen.
    pub async fn refresh_snapshot(&mut self) -> Result<(), TxnError> {
        match self.options.isolation {
            IsolationLevel::ReadCommitted => self.take_snapshot().await,
            _ => Ok(()),
        }
    }

    /// Asks, at every level, that no such aspect of the key is written between the snapshot and the
    /// commit: uniqueness (`EXISTENCE`), foreign keys (`EXISTENCE`), FOR SHARE (`ALL`), a table's
    /// schema version (`CONTENT`).
    pub fn check_key(&mut self, key: Bytes, aspects: Aspects) {
        let read_at = self.snapshot();
        let order = {
            let buffer = self.shared.buffer.read();
            if buffer.is_created(&key) {
                return;
            }
            buffer.mark()
        };
        self.keep_floor(Some(read_at));
        self.explicit.push(order, Check::Key { key, aspects, read_at });
    }

    /// The same for every key in `[start, end)`, absent ones included.
    pub fn check_range(&mut self, start: Bytes, end: Bytes, aspects: Aspects) {
        let read_at = self.snapshot();
        let order = {
            let buffer = self.shared.buffer.read();
            if buffer.is_created_range(&start, &end) {
                return;
            }
            buffer.mark()
        };
        self.keep_floor(Some(read_at));
        self.explicit.push(order, Check::Range { start, end, aspects, read_at });
    }

    /// This transaction made the storage: nobody else can see it, so writes into it need neither
    /// checks nor locks, reads of it see own writes alone, and once committed it is an empty page
    /// under them (R5).
    pub fn mark_storage_created(&mut self, storage: StorageId) {
        self.shared.buffer.write().mark_created(storage);
    }

    /// A point to return to.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint { order: self.shared.buffer.write().savepoint(), locks: self.locks.mark() }
    }

    /// Undoes writes and locks since the savepoint; the savepoint stays.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        self.shared.buffer.write().undo_to(savepoint.order);
        self.explicit.undo_to(savepoint.order);
        self.locks.release_from(savepoint.locks);
    }

    /// Waits for what an operation lacked. Dropping the future is a clean cancellation.
    pub async fn satisfy(&mut self, need: Need) -> Result<(), TxnError> {
        match need {
            Need::Page(need) => self.view.fetch(&need).await?,
            Need::Lock(need) => self.locks.wait(&need).await?,
            Need::Applied(lsn) => self.shared.branch.wait_applied(lsn).await?,
        }
        Ok(())
    }

    /// Commits. Without writes this asks nobody.
    pub async fn commit(self) -> Result<Committed, TxnError> {
        let snapshot = self.snapshot();
        let nothing = Committed { lsn: snapshot, time_micros: None };
        let buffer: WriteBuffer = std::mem::take(&mut *self.shared.buffer.write());
        if !buffer.has_data() {
            return Ok(nothing);
        }
        self.locks.check_doomed()?;
        let reads: ReadSet = std::mem::take(&mut *self.shared.reads.lock());
        let mut checks: Vec<Check> = self.explicit.iter().cloned().collect();
        checks.extend(reads.checks(snapshot));
        let plan = CommitPlan {
            branch: &self.shared.branch,
            txn: self.shared.id,
            locks: self.locks.clone(),
            buffer: &buffer,
            checks,
        };
        Ok(commit(plan).await?.unwrap_or(nothing))
    }

    /// Ends it when there is nothing to commit and nothing of it goes on: no write, no lock, no reader.
    /// Else it is given back.
    #[allow(clippy::result_large_err, reason = "it is given back to be committed, and not reported")]
    pub fn into_idle(mut self) -> Result<IdleTxn, Txn> {
        let unused = Arc::get_mut(&mut self.locks).is_some_and(|locks| locks.is_unused());
        let alone = Arc::get_mut(&mut self.shared).filter(|_| unused && self.options.as_of.is_none());
        let Some(shared) = alone else { return Err(self) };
        if !shared.buffer.get_mut().forget_reads() {
            return Err(self);
        }
        shared.reads.get_mut().clear();
        self.explicit.undo_to(0);
        self.pin = None;
        self.has_snapshot = false;
        self.view.unpin();
        Ok(IdleTxn(self))
    }

    /// Ends it without effect.
    pub fn rollback(self) {}
}
