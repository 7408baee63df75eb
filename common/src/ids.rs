//! Ids and positions. Each is a type of its own, so that none is taken for another.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The number of a commit in its branch; `Lsn(n)` also names the state after commit n.
///
/// LSNs are dense: a branch's first commit is 1 (a child goes on from its branch point), and
/// `Lsn(0)` is the empty state before it. No clock decides what is visible, only this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The empty state before the first commit.
    pub const ZERO: Lsn = Lsn(0);
    /// Above every LSN that will ever be given.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// The LSN of the commit after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }

    /// The LSN of the commit before this one; `Lsn(0)` stays.
    #[must_use]
    pub fn prev(self) -> Lsn {
        Lsn(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// The id's 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_simple())
            }
        }

        impl FromStr for $name {
            type Err = crate::Error;
            fn from_str(text: &str) -> crate::Result<Self> {
                uuid::Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|e| crate::Error::invalid(format!("\"{text}\" is not an id")).with_source(e))
            }
        }
    };
}

uuid_id! {
    /// A customer: an isolated set of branches, with its own keys and quotas.
    TenantId
}
uuid_id! {
    /// A line of history of one tenant's data. Never used again, not even after recovery (L5).
    BranchId
}
uuid_id! {
    /// Names one transaction over all its commit requests, so that none takes effect twice (I4).
    TxnId
}

uuid_id! {
    /// One compute's hold on one branch, from opening it to closing it: never used again, so that what
    /// was promised to a process that died is never taken for its successor's (S2).
    ComputeId
}

/// A branch, with the tenant that owns it. Every request names both (I10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BranchRef {
    /// The owner.
    pub tenant: TenantId,
    /// The branch.
    pub branch: BranchId,
}

impl fmt::Display for BranchRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.branch)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id! {
    /// Names one table's or index's keys in a branch. Never used again; not a PostgreSQL OID.
    StorageId(u64)
}
number_id! {
    /// Given by the control plane at each attach of a shard; the highest one owns it (I7).
    Generation(u64)
}
number_id! {
    /// A safekeeper, pageserver or compute. Never used again, not even after a wipe.
    NodeId(u64)
}
number_id! {
    /// One Raft group of safekeepers.
    GroupId(u64)
}

/// A contiguous, inclusive range of slots: the extent of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotRange {
    /// The first slot.
    pub first: u16,
    /// The last slot, included.
    pub last: u16,
}

impl SlotRange {
    /// All 65,536 slots.
    pub const ALL: SlotRange = SlotRange { first: 0, last: u16::MAX };

    /// Whether the range holds this slot.
    pub fn contains(&self, slot: u16) -> bool {
        self.first <= slot && slot <= self.last
    }
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}-{:04x}", self.first, self.last)
    }
}
