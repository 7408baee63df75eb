//! The moments of a history as points, and what must come before what.
//!
//! A transaction's points are in the order of its own time: for READ COMMITTED one for each statement and
//! one for the commit; for REPEATABLE READ one for the snapshot and one for the commit; for SERIALIZABLE
//! one for everything. Between transactions:
//!
//! | edge | from | to | because |
//! |---|---|---|---|
//! | ww | the writer's commit | the next writer's snapshot (of its statement) | who overwrites a row has seen it |
//! | wr | the writer's commit | the reader's snapshot | it saw the write |
//! | rw | the reader's snapshot | the writer's commit | it did not see the write |
//! | rt | the commit | the first snapshot of who was asked later | answers are final |

use crate::versions::Versions;
use crate::{History, Level, Op, Outcome, Txn, TxnId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why one point comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Two points of one transaction.
    Program,
    /// A write overwrote a write.
    WriteWrite {
        /// The list.
        key: u64,
        /// The value that stood there.
        before: u64,
        /// The value put behind it.
        after: u64,
    },
    /// A read saw a write.
    WriteRead {
        /// The list.
        key: u64,
        /// The last value seen.
        value: u64,
    },
    /// A read did not see a write.
    ReadWrite {
        /// The list.
        key: u64,
        /// The first value not seen.
        missed: u64,
    },
    /// One was answered before the other was asked.
    RealTime,
}

/// A directed graph; node numbers are dense.
#[derive(Debug, Default)]
pub struct Graph {
    /// For each node, where its edges lead.
    pub edges: Vec<Vec<(usize, Why)>>,
}

impl Graph {
    fn add(&mut self, from: usize, to: usize, why: Why) {
        if from != to {
            self.edges[from].push((to, why));
        }
    }
}

/// The points of all transactions that took effect.
#[derive(Debug, Default)]
pub struct Points {
    /// What comes before what.
    pub graph: Graph,
    /// Whose each point is.
    pub owner: Vec<TxnId>,
    of: HashMap<TxnId, Own>,
}

/// The points of one transaction: one for each operation, and the commit's.
#[derive(Debug)]
struct Own {
    ops: Vec<usize>,
    commit: usize,
}

impl Own {
    fn first(&self) -> usize {
        self.ops.first().copied().unwrap_or(self.commit)
    }
}

impl Points {
    fn new_point(&mut self, owner: TxnId) -> usize {
        self.graph.edges.push(Vec::new());
        self.owner.push(owner);
        self.owner.len() - 1
    }

    fn add_txn(&mut self, id: TxnId, txn: &Txn) {
        let mut ops: Vec<usize> = Vec::new();
        for op in &txn.ops {
            let shares = match (txn.level, op) {
                (Level::ReadCommitted, Op::Read { same_statement, .. }) => *same_statement,
                (Level::ReadCommitted, _) => false,
                _ => true,
            };
            let point = match ops.last() {
                Some(last) if shares => *last,
                _ => self.new_point(id),
            };
            if let Some(last) = ops.last() {
                self.graph.add(*last, point, Why::Program);
            }
            ops.push(point);
        }
        let commit = match (txn.level, ops.last()) {
            (Level::Serializable, Some(last)) => *last,
            _ => self.new_point(id),
        };
        if let Some(last) = ops.last() {
            self.graph.add(*last, commit, Why::Program);
        }
        self.of.insert(id, Own { ops, commit });
    }
}

/// Makes the points and their order.
pub fn build(history: &History, versions: &Versions) -> Points {
    let mut points = Points::default();
    for (id, txn) in versions.effective(history) {
        points.add_txn(id, txn);
    }
    let place: HashMap<(u64, u64), usize> = versions
        .order
        .iter()
        .flat_map(|(key, list)| list.iter().enumerate().map(move |(at, value)| ((*key, *value), at)))
        .collect();
    write_write(versions, &mut points);
    for (id, txn) in versions.effective(history) {
        for (at, op) in txn.ops.iter().enumerate() {
            if let Op::Read { key, list, .. } = op {
                read_edges(versions, &place, &mut points, (id, at), (*key, list));
            }
        }
    }
    real_time(history, versions, &mut points);
    points
}

fn write_write(versions: &Versions, points: &mut Points) {
    for (key, list) in &versions.order {
        for pair in list.windows(2) {
            let (one, _) = versions.writer[&(*key, pair[0])];
            let (two, at) = versions.writer[&(*key, pair[1])];
            if one != two {
                let why = Why::WriteWrite { key: *key, before: pair[0], after: pair[1] };
                let (from, to) = (points.of[&one].commit, points.of[&two].ops[at]);
                points.graph.add(from, to, why);
            }
        }
    }
}

fn read_edges(
    versions: &Versions,
    place: &HashMap<(u64, u64), usize>,
    points: &mut Points,
    (reader, at): (TxnId, usize),
    (key, list): (u64, &[u64]),
) {
    let here = points.of[&reader].ops[at];
    // Its own writes at the end say nothing of others.
    let writer = |value: u64| versions.writer[&(key, value)].0;
    let own = list.iter().rev().take_while(|value| writer(**value) == reader).count();
    let seen = &list[..list.len() - own];
    if let Some(last) = seen.last() {
        let from = points.of[&writer(*last)].commit;
        points.graph.add(from, here, Why::WriteRead { key, value: *last });
    }
    let order = versions.order.get(&key).map(Vec::as_slice).unwrap_or_default();
    let next = list.last().map_or(0, |last| place[&(key, *last)] + 1);
    match order.get(next) {
        Some(missed) => {
            let to = writer(*missed);
            if to != reader {
                points.graph.add(here, points.of[&to].commit, Why::ReadWrite { key, missed: *missed });
            }
        }
        // All that is known was seen: values that nobody has read come later still.
        None => {
            for missed in versions.unread.get(&key).into_iter().flatten() {
                let to = writer(*missed);
                if to != reader {
                    points.graph.add(here, points.of[&to].commit, Why::ReadWrite { key, missed: *missed });
                }
            }
        }
    }
}

/// Edges from each answered transaction to those asked afterwards, without what follows from others.
fn real_time(history: &History, versions: &Versions, points: &mut Points) {
    let mut events: BTreeMap<(u64, bool, TxnId), ()> = BTreeMap::new();
    for (id, txn) in versions.effective(history) {
        events.insert((txn.invoked, true, id), ());
        if txn.outcome == Outcome::Committed {
            events.insert((txn.completed, false, id), ());
        }
    }
    let mut frontier: HashSet<TxnId> = HashSet::new();
    let mut before: HashMap<TxnId, Vec<TxnId>> = HashMap::new();
    for (_, begins, id) in events.into_keys() {
        if begins {
            let mut earlier: Vec<_> = frontier.iter().copied().collect();
            earlier.sort_unstable();
            for other in &earlier {
                let (from, to) = (points.of[other].commit, points.of[&id].first());
                points.graph.add(from, to, Why::RealTime);
            }
            before.insert(id, earlier);
        } else {
            for other in before.remove(&id).unwrap_or_default() {
                frontier.remove(&other);
            }
            frontier.insert(id);
        }
    }
}
