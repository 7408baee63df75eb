//! openraft's state machine: hands committed entries to our [`Machine`], and keeps its snapshots.
//!
//! For openraft a snapshot that cannot be written ends the member. So one is written first, and offered to it
//! only when it is durable ([`Snapshots`]); and one that comes from a leader waits for room.

use super::log_store::LogStore;
use super::member::Machine;
use super::snapshot_file::SnapshotFile;
use super::type_config::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use shardforge_common::random::Random;
use shardforge_common::{Error, ErrorKind, Result, task};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts to write a snapshot that came from the leader.
const WRITE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The snapshots of a member: the file, and the one that was written and that Raft has not heard of.
#[derive(Clone)]
pub(super) struct Snapshots {
    file: SnapshotFile,
    written: Arc<Mutex<Option<Written>>>,
}

impl Snapshots {
    pub(super) fn new(file: SnapshotFile) -> Self {
        Self { file, written: Arc::default() }
    }

    /// The length of the current one.
    pub(super) fn len_bytes(&self) -> Option<u64> {
        self.file.len_bytes()
    }

    /// Makes a state durable; from then on it is what [`StateMachine`] offers as its snapshot.
    pub(super) async fn write(&self, view: View) -> Result<()> {
        let own = self.clone();
        let work = move || {
            own.file.write(&view.meta, &view.state, view.salt)?;
            *own.written.lock() = Some(Written { meta: view.meta, state: view.state });
            Ok(())
        };
        let written = task::spawn_blocking("raft-snapshot", work).await;
        written.map_err(|e| Error::internal("writing a snapshot panicked").with_source(e))?
    }
}

/// The state as of an entry.
pub(super) struct View {
    meta: SnapshotMeta,
    state: Bytes,
    salt: [u8; 16],
}

impl View {
    /// The last entry in it.
    pub(super) fn index(&self) -> u64 {
        self.meta.last_log_id.as_ref().map_or(0, |id| id.index)
    }
}

/// The shell around the machine: it remembers how far it is in the log, and under which membership.
pub struct StateMachine {
    machine: Arc<dyn Machine>,
    log: LogStore,
    snapshots: Snapshots,
    random: Random,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    pub(super) fn new(
        machine: Arc<dyn Machine>,
        log: LogStore,
        snapshots: Snapshots,
        random: Random,
    ) -> Self {
        let (applied, membership) = (None, StoredMembership::default());
        Self { machine, log, snapshots, random, applied, membership }
    }

    /// What a snapshot of now has to hold.
    pub(super) fn view(&mut self) -> View {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        View { meta, state: self.machine.snapshot(), salt: self.random.bytes16() }
    }
}

fn io_error(error: Error) -> io::Error {
    io::Error::other(error)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Written;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let (index, term) = (entry.log_id.index, entry.log_id.leader_id.term);
            match entry.payload {
                EntryPayload::Normal(batch) => self.machine.apply(index, term, &batch),
                EntryPayload::Blank => self.machine.pass(index, term),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    self.machine.pass(index, term);
                }
            }
            self.applied = Some(entry.log_id);
            self.log.applied(index);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    /// Raft is only told of one that is durable. When it asks of itself there is none, and it asks again later.
    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Written> {
        self.snapshots.written.lock().take()
    }

    async fn get_snapshot_builder(&mut self) -> Written {
        let view = self.view();
        Written { meta: view.meta, state: view.state }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> Result<(), io::Error> {
        self.machine.restore(&snapshot).map_err(io_error)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        // This member lacks entries that are gone everywhere: there is nothing that it could do meanwhile.
        loop {
            let (file, meta, salt) = (self.snapshots.file.clone(), meta.clone(), self.random.bytes16());
            let state = snapshot.clone();
            let write = task::spawn_blocking("raft-snapshot", move || file.write(&meta, &state, salt)).await;
            match write.map_err(io::Error::other)? {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::warn!(%error, "a snapshot of the leader waits for room");
                    task::sleep(WRITE_AGAIN_AFTER).await;
                }
                other => return other.map_err(io_error),
            }
        }
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let current = self.snapshots.file.read().map_err(io_error)?;
        Ok(current.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// A snapshot that is durable.
pub struct Written {
    meta: SnapshotMeta,
    state: Bytes,
}

impl RaftSnapshotBuilder<TypeConfig> for Written {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Ok(Snapshot { meta: self.meta.clone(), snapshot: self.state.clone() })
    }
}
