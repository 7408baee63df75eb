//! One branch in its group.

use super::{CommitTimes, LeaseState, OutcomeTable, RecordAt};
use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::{Error, Lsn, Result, TenantId, TxnId};
use std::collections::{BTreeMap, VecDeque};

/// The body of an open record: the state with which a branch comes to a group (L5).
///
/// ```text
/// offset  size  field                     all integers little endian
///      0     1  format version, 1
///      1     7  0
///      8    16  tenant
///     24     8  the last LSN of its history so far
///     32     8  commit time of that, microseconds since 1970
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBody {
    /// The owner.
    pub tenant: TenantId,
    /// The branch's first commit in this group comes after this.
    pub lsn: Lsn,
    /// The commit time of `lsn`.
    pub time_micros: i64,
}

impl OpenBody {
    const LEN: usize = 40;

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(Self::LEN);
        out.put_u64_le(1);
        out.put_slice(self.tenant.as_bytes());
        out.put_u64_le(self.lsn.0);
        out.put_i64_le(self.time_micros);
        out.freeze()
    }

    /// Reads it back.
    pub fn decode(body: &[u8]) -> Result<Self> {
        let body: &[u8; Self::LEN] = body
            .try_into()
            .map_err(|_| Error::corrupt(format!("an open record with a body of {} bytes", body.len())))?;
        let u64_at = |at: usize| u64::from_le_bytes(*body[at..].first_chunk().expect("the body is 40 bytes"));
        if u64_at(0) != 1 {
            return Err(Error::corrupt("an open record of an unknown version"));
        }
        let tenant = *body[8..].first_chunk().expect("the body is 40 bytes");
        Ok(Self {
            tenant: TenantId::from_bytes(tenant),
            lsn: Lsn(u64_at(24)),
            time_micros: u64_at(32) as i64,
        })
    }
}

/// A transaction that staged fragments and has neither committed nor aborted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagedTransaction {
    /// Where its fragments are, in order.
    pub fragments: Vec<RecordAt>,
}

/// What the log says of one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchState {
    /// The owner.
    pub tenant: TenantId,
    /// The last commit applied.
    pub committed: Lsn,
    /// Its time; the next one's is not below it (H2).
    pub time_micros: i64,
    /// When its commits were.
    pub times: CommitTimes,
    /// How recent transactions ended.
    pub outcomes: OutcomeTable,
    /// Open staged transactions.
    pub staged: BTreeMap<TxnId, StagedTransaction>,
    /// Where the fragments of large commits are, while any of them may be in the log.
    pub large: BTreeMap<Lsn, Vec<RecordAt>>,
    /// `(lsn, index)`, ascending: the commit `lsn` is the first of this branch in entry `index`. One for
    /// every entry that has commits of the branch and may be in the log: were some left out, a purge
    /// could take the entry remembered and leave those that it stood for.
    pub positions: VecDeque<(Lsn, u64)>,
    /// The sole-writer lease, while it was granted and not given back (S2).
    pub lease: Option<LeaseState>,
}

impl BranchState {
    /// A branch that comes to the group with this history.
    pub fn new(open: &OpenBody) -> Self {
        let mut times = CommitTimes::default();
        times.note(open.lsn, open.time_micros);
        Self {
            tenant: open.tenant,
            committed: open.lsn,
            time_micros: open.time_micros,
            times,
            outcomes: OutcomeTable::new(open.lsn),
            staged: BTreeMap::new(),
            large: BTreeMap::new(),
            positions: VecDeque::new(),
            lease: None,
        }
    }

    /// Remembers where a commit is.
    pub(super) fn note_position(&mut self, lsn: Lsn, index: u64) {
        if self.positions.back().is_none_or(|&(_, last)| last != index) {
            self.positions.push_back((lsn, index));
        }
    }

    /// The log index of the entry that holds the commit `lsn`, or `None` when that entry is no longer in
    /// the log. For an LSN not yet committed: one before where it will be.
    pub fn index_at_or_before(&self, lsn: Lsn) -> Option<u64> {
        let after = self.positions.partition_point(|&(first, _)| first <= lsn);
        after.checked_sub(1).map(|at| self.positions[at].1)
    }

    /// The lowest LSN that the log can still deliver.
    pub fn first_available(&self) -> Lsn {
        self.positions.front().map_or(self.committed.next(), |&(lsn, _)| lsn)
    }

    /// The first log index that is still needed when all commits up to `safe` are elsewhere, or `None`
    /// when this branch needs nothing of the log (L1).
    pub fn first_needed_index(&self, safe: Lsn) -> Option<u64> {
        // An uncovered commit of which nothing is remembered means: keep everything.
        let commits = (self.committed > safe).then(|| self.index_at_or_before(safe.next()).unwrap_or(0));
        let staged = self.staged.values().flat_map(|txn| txn.fragments.first()).map(|at| at.index).min();
        let large = self.large.range(safe.next()..).flat_map(|(_, at)| at.first()).map(|at| at.index).min();
        [commits, staged, large].into_iter().flatten().min()
    }

    /// Forgets where things were in log entries up to `index`, which are gone.
    pub fn forget_below(&mut self, index: u64) {
        while self.positions.front().is_some_and(|&(_, at)| at <= index) {
            self.positions.pop_front();
        }
        self.large.retain(|_, fragments| fragments.first().is_some_and(|at| at.index > index));
    }
}
