//! The types with which openraft is used.

use crate::group::Batch;
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::responder::Responder;
use openraft::vote::RaftLeaderId;
use openraft::{BasicNode, EntryPayload, OptionalSend, RaftTypeConfig};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One leader to a term, as in the paper: a log id is a term and an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

/// The leader id that stands in a log id: the term.
pub(super) type Committed = <LeaderId<u64, u64> as RaftLeaderId>::Committed;
pub(super) type LogId = openraft::LogId<Committed>;
pub(super) type Vote = openraft::Vote<LeaderId<u64, u64>>;
pub(super) type Payload = EntryPayload<Batch, u64, BasicNode>;
pub(super) type Entry = openraft::Entry<Committed, Payload>;
pub(super) type Membership = openraft::Membership<u64, BasicNode>;
pub(super) type StoredMembership = openraft::StoredMembership<Committed, u64, BasicNode>;
pub(super) type Snapshot = openraft::Snapshot<Committed, u64, BasicNode, bytes::Bytes>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<Committed, u64, BasicNode>;

impl RaftTypeConfig for TypeConfig {
    type D = Batch;
    type R = ();
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = super::runtime::GroupRuntime;
    type Responder<T>
        = Callback<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// Takes openraft's answer to a proposal, or `None` when openraft stopped without one.
pub struct Callback<T>(Option<Box<dyn FnOnce(Option<T>) + Send>>);

impl<T> Callback<T> {
    pub(super) fn new(call: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(call)))
    }
}

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for Callback<T> {
    fn on_complete(mut self, result: T) {
        if let Some(call) = self.0.take() {
            call(Some(result));
        }
    }
}

impl<T> Drop for Callback<T> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call(None);
        }
    }
}

// openraft wants its data to be serializable, for transports that send its messages by serde.
impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.term, &self.bytes[..]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (term, bytes) = <(u64, Vec<u8>)>::deserialize(deserializer)?;
        Batch::decode(term, bytes.into()).map_err(D::Error::custom)
    }
}
