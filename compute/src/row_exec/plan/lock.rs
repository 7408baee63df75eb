//! FOR UPDATE and its kin.

use super::needed::Needed;
use super::{Hint, KeyColumnOf, Over, Plan, Planned, Planner};
use crate::SqlError;
use crate::row_exec::ops::lock::{KeyLock, RowLock};
use crate::row_exec::query::Node;
use crate::sql::bound::{ColId, LockClause, LockStrength, LockWait, Rel};
use crate::txn;
use shardforge_types::SqlState;

/// Ids of key columns: from here on, which no binder reaches.
const FIRST_KEY: u32 = u32::MAX - 0xffff;

fn row_lock(clause: &LockClause) -> RowLock {
    let mode = match clause.strength {
        LockStrength::KeyShare => txn::LockMode::KeyShare,
        LockStrength::Share => txn::LockMode::Share,
        LockStrength::NoKeyUpdate => txn::LockMode::NoKeyUpdate,
        LockStrength::Update => txn::LockMode::Update,
    };
    let wait = match clause.wait {
        LockWait::Wait => txn::LockWait::Forever,
        LockWait::NoWait => txn::LockWait::NoWait,
        LockWait::SkipLocked => txn::LockWait::Skip,
    };
    RowLock { mode, wait, explicit: true }
}

/// Whether each row of a scan is a row of the result, in the order in which it is read.
fn is_plain(node: &Node) -> bool {
    match node {
        Node::Scan(_) => true,
        Node::Project(input, _) => is_plain(input),
        _ => false,
    }
}

impl Planner<'_> {
    pub(super) fn lock(
        &mut self,
        input: &Rel,
        clauses: &[LockClause],
        needed: &Needed,
        over: Over<'_>,
        hint: &Hint,
    ) -> Plan {
        if over.width > 0 || self.scan_lock.is_some() || !self.keys.is_empty() {
            return Ok(None);
        }
        // A plan that locks gives its answer here, however much it reads.
        let budget = std::mem::replace(&mut self.budget, u64::MAX);
        if let [clause] = clauses {
            self.scan_lock = Some((clause.alias.clone(), row_lock(clause)));
            let planned = self.relation(input, needed, over, hint);
            self.scan_lock = None;
            let Some(planned) = planned? else {
                self.budget = budget;
                return Ok(None);
            };
            if is_plain(&planned.node) {
                return Ok(Some(planned));
            }
        }
        for (n, clause) in clauses.iter().enumerate() {
            let column = ColId(FIRST_KEY + n as u32);
            let key =
                KeyColumnOf { alias: clause.alias.clone(), column, lock: row_lock(clause), codec: None };
            self.keys.push(key);
        }
        let planned = self.relation(input, needed, over, hint);
        let keys = std::mem::take(&mut self.keys);
        let Some(planned) = planned? else {
            self.budget = budget;
            return Ok(None);
        };
        let mut locks = Vec::with_capacity(keys.len());
        for key in keys {
            match (planned.scope.slot(key.column), key.codec) {
                (Some(slot), Some(codec)) => locks.push(KeyLock { slot, lock: key.lock, codec }),
                _ => return Err(cannot_lock(clauses)),
            }
        }
        Ok(Some(Planned { ..planned.map(|input| Node::Lock(input, locks)) }))
    }
}

fn cannot_lock(clauses: &[LockClause]) -> SqlError {
    let strength = match clauses.first().map(|clause| clause.strength) {
        Some(LockStrength::KeyShare) => "FOR KEY SHARE",
        Some(LockStrength::Share) => "FOR SHARE",
        Some(LockStrength::NoKeyUpdate) => "FOR NO KEY UPDATE",
        _ => "FOR UPDATE",
    };
    let message = format!("{strength} cannot be applied to the nullable side of an outer join");
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}
