//! The control plane: which tenants, branches, nodes and shards there are, and who does what.
//!
//! Its state is small. It lives in the object store as a journal of numbered entries, each the whole
//! state as JSON that a person can read, each published with put-if-absent: so it needs no database
//! of its own, and of two control planes that act at once one is superseded and decides anew.
//!
//! # Invariants
//!
//! 1. Desired state is in the journal before anything is done to make it true.
//! 2. Generations and ids only grow, and none is given twice, whoever asks.
//! 3. The shards of a branch cover all slots, and no slot twice.
//!
//! # The life of a process start
//!
//! 1. [`ControlPlane::open`] reads the latest journal entry.
//! 2. Each part registers ([`ControlService::register`]) and gets its node id.
//! 3. [`ControlPlane::ensure_branch`] places the default branch, once in its life.
//! 4. [`ControlService::attach_all`] gives a pageserver its shards, each with a new generation.
//! 5. [`reconcile::diff`] says what the parts lack of that; the shell carries it out.
//!
//! What it never sees: a row, a page, a WAL record.

pub mod api;
mod placement;
mod plane;
pub mod reconcile;
mod state;

pub use plane::{ControlPlane, DEFAULT_BRANCH, DEFAULT_TENANT};
pub use shardforge_proto::control::ControlService;
pub use state::{Branch, Group, Node, Shard, State, Tenant};
