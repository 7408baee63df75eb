//! openraft's state machine: hands committed entries to our [`Machine`], and keeps its snapshots.

use super::log_store::LogStore;
use super::member::Machine;
use super::snapshot_file::SnapshotFile;
use super::type_config::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use shardforge_common::Error;
use shardforge_common::random::Random;
use std::io;
use std::sync::Arc;

/// The shell around the machine: it remembers how far it is in the log, and under which membership.
pub struct StateMachine {
    machine: Arc<dyn Machine>,
    log: LogStore,
    file: SnapshotFile,
    random: Random,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    pub(super) fn new(machine: Arc<dyn Machine>, log: LogStore, file: SnapshotFile, random: Random) -> Self {
        Self { machine, log, file, random, applied: None, membership: StoredMembership::default() }
    }
}

fn io_error(error: Error) -> io::Error {
    io::Error::other(error)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

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

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        Builder { meta, state: self.machine.snapshot(), file: self.file.clone(), salt: self.random.bytes16() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> Result<(), io::Error> {
        self.machine.restore(&snapshot).map_err(io_error)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.file.write(meta, &snapshot, self.random.bytes16()).map_err(io_error)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let current = self.file.read().map_err(io_error)?;
        Ok(current.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Writes a snapshot of the state as it was when the builder was made.
pub struct Builder {
    meta: SnapshotMeta,
    state: Bytes,
    file: SnapshotFile,
    salt: [u8; 16],
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let (file, meta, state, salt) = (self.file.clone(), self.meta.clone(), self.state.clone(), self.salt);
        let written =
            shardforge_common::task::spawn_blocking("raft-snapshot", move || file.write(&meta, &state, salt));
        written.await.map_err(io::Error::other)?.map_err(io_error)?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: self.state.clone() })
    }
}
