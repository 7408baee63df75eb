//! Bulk rows among other writes, against a model that keeps every state.

use super::key_in;
use crate::txn::Visibility;
use crate::txn::buffer::{Own, Prior, State, WriteBuffer};
use crate::txn::bulk::NewChunk;
use bytes::Bytes;
use proptest::prelude::*;
use shardforge_common::StorageId;
use shardforge_common::disk::{Disk, RealDisk};
use shardforge_common::mutation::{Mutation, MutationListBuilder};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

type Rows = BTreeMap<Bytes, Bytes>;

#[derive(Debug, Clone)]
enum Op {
    /// New rows in order, from the first number that is free there.
    Append {
        from: u16,
        count: u8,
        storage: u8,
    },
    /// Rows put in order aside, of storage 9.
    AppendChunk {
        from: u16,
        count: u8,
    },
    Put {
        n: u16,
        storage: u8,
    },
    Delete {
        n: u16,
        storage: u8,
    },
    DeleteRange {
        from: u16,
        to: u16,
        storage: u8,
    },
    Statement,
    Savepoint,
    Undo,
    Spill,
}

/// Storage 9 was made by the transaction; in 7 it is given fresh keys.
fn storage() -> impl Strategy<Value = u8> {
    prop_oneof![Just(7u8), Just(9)]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..300u16, 1..40u8, storage()).prop_map(|(from, count, storage)| Op::Append { from, count, storage }),
        2 => (0..300u16, 1..40u8).prop_map(|(from, count)| Op::AppendChunk { from, count }),
        3 => (0..300u16, storage()).prop_map(|(n, storage)| Op::Put { n, storage }),
        3 => (0..300u16, storage()).prop_map(|(n, storage)| Op::Delete { n, storage }),
        1 => (0..300u16, 1..80u16, storage())
            .prop_map(|(from, len, storage)| Op::DeleteRange { from, to: from + len, storage }),
        2 => Just(Op::Statement),
        1 => Just(Op::Savepoint),
        1 => Just(Op::Undo),
        1 => Just(Op::Spill),
    ];
    prop::collection::vec(op, 1..40)
}

fn key(storage: u8, n: u16) -> Bytes {
    key_in(storage.into(), &format!("{n:05}"))
}

struct Harness {
    buffer: WriteBuffer,
    now: Rows,
    /// As the running statement sees it.
    before: Rows,
    savepoints: Vec<(u64, Rows)>,
    /// Keys of storage 7 that were ever given out.
    given: u16,
    writes: u32,
    dir: tempfile::TempDir,
    files: Cell<u32>,
}

impl Harness {
    fn new() -> Self {
        let mut buffer = WriteBuffer::default();
        buffer.set_chunk_bytes(256);
        buffer.begin_statement();
        buffer.mark_created(StorageId(9));
        Self {
            buffer,
            now: Rows::new(),
            before: Rows::new(),
            savepoints: Vec::new(),
            given: 0,
            writes: 0,
            dir: tempfile::tempdir().unwrap(),
            files: Cell::new(0),
        }
    }

    fn value(&mut self) -> Bytes {
        self.writes += 1;
        Bytes::from(format!("value {}", self.writes))
    }

    fn insert(&mut self, key: Bytes, fresh: bool) {
        let value = self.value();
        let unwritten = self.buffer.is_unwritten(&key);
        assert!(!unwritten || !self.now.contains_key(&key), "a key that was written counts as unwritten");
        let appended = (fresh || unwritten) && self.buffer.append(&key, &value, fresh);
        assert!(appended || !unwritten, "what lies above everything is in order");
        if !appended {
            self.buffer.write(key.clone(), Prior::Absent, State::Value(value.clone()), None);
        }
        self.now.insert(key, value);
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::AppendChunk { from, count } => {
                let mut chunk = NewChunk::default();
                let mut rows = Rows::new();
                for n in from..from + u16::from(count) {
                    let (key, value) = (key(9, n), self.value());
                    let mut row = MutationListBuilder::new();
                    row.push(Mutation::Insert { key: &key, value: &value });
                    chunk.push(&key, row.finish().as_bytes());
                    rows.insert(key, value);
                }
                let unwritten = self.buffer.is_unwritten(&key(9, from));
                match self.buffer.append_chunk(chunk) {
                    Ok(()) => {
                        assert!(unwritten, "a chunk was taken that does not lie above everything");
                        self.now.extend(rows);
                    }
                    Err(refused) => {
                        assert!(!unwritten);
                        assert_eq!(refused.into_list().iter().count(), rows.len());
                    }
                }
            }
            Op::Append { from, count, storage } => {
                for n in from..from + u16::from(count) {
                    let key = key(storage, n);
                    if storage == 7 {
                        // A fresh key is never given twice.
                        if n >= self.given {
                            self.given = n + 1;
                            self.insert(key, true);
                        }
                    } else if !self.now.contains_key(&key) {
                        self.insert(key, false);
                    }
                }
            }
            Op::Put { n, storage } => {
                let (key, value) = (key(storage, n), self.value());
                if storage == 7 && n >= self.given {
                    return;
                }
                self.buffer.write(key.clone(), Prior::Unknown, State::Value(value.clone()), None);
                self.now.insert(key, value);
            }
            Op::Delete { n, storage } => {
                let key = key(storage, n);
                if storage == 7 && n >= self.given {
                    return;
                }
                self.buffer.write(key.clone(), Prior::Unknown, State::Gone, None);
                self.now.remove(&key);
            }
            Op::DeleteRange { from, to, storage } => {
                let (from, to) = (key(storage, from), key(storage, to));
                self.buffer.delete_range(from.clone(), to.clone(), None);
                self.now.retain(|key, _| *key < from || *key >= to);
            }
            Op::Statement => {
                self.buffer.begin_statement();
                self.before = self.now.clone();
            }
            Op::Savepoint => {
                let mark = self.buffer.savepoint();
                self.savepoints.push((mark, self.now.clone()));
            }
            Op::Undo => {
                if let Some((mark, rows)) = self.savepoints.pop() {
                    self.buffer.undo_to(mark);
                    self.now = rows;
                    // A session undoes between statements.
                    self.run(&Op::Statement);
                }
            }
            Op::Spill => {
                let disk: Arc<dyn Disk> = Arc::new(RealDisk);
                let path = || {
                    self.files.set(self.files.get() + 1);
                    Ok(self.dir.path().join(self.files.get().to_string()))
                };
                self.buffer.spill(&disk, path).unwrap();
            }
        }
    }

    fn check(&self) {
        for (visibility, rows) in [(Visibility::Now, &self.now), (Visibility::Statement, &self.before)] {
            let before = self.buffer.visible(visibility);
            for storage in [7, 9] {
                for n in (0..340).step_by(3) {
                    let key = key(storage, n);
                    let own = match self.buffer.get(&key, before).unwrap() {
                        Own::Value(value) => Some(value),
                        Own::Gone | Own::Silent => None,
                    };
                    assert_eq!(own.as_ref(), rows.get(&key), "{visibility:?}: {storage}/{n}");
                }
            }
            for reverse in [false, true] {
                let (start, end) = (key(7, 20), key(9, 310));
                let (own, _) = self.buffer.range((&start, &end), reverse, before, usize::MAX).unwrap();
                let mut seen: Vec<_> = own
                    .into_iter()
                    .filter_map(
                        |(key, own)| if let Own::Value(value) = own { Some((key, value)) } else { None },
                    )
                    .collect();
                if reverse {
                    seen.reverse();
                }
                let wanted: Vec<_> =
                    rows.range(start..end).map(|(key, value)| (key.clone(), value.clone())).collect();
                assert_eq!(seen, wanted, "{visibility:?}, reverse {reverse}");
            }
        }
    }

    /// What everyone sees after the commit.
    fn committed(&self) -> Rows {
        let mut rows = Rows::new();
        let (whole, mixed) = self.buffer.bulk_chunks().unwrap();
        for row in self.buffer.finals(mixed) {
            let row = row.unwrap();
            match row.mutation() {
                Some(Mutation::Delete { .. }) | None => {}
                Some(
                    Mutation::Insert { value, .. }
                    | Mutation::Put { value, .. }
                    | Mutation::Update { value, .. },
                ) => {
                    assert!(rows.insert(row.key.clone(), Bytes::copy_from_slice(value)).is_none());
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        for chunk in whole {
            let list = chunk.list().unwrap();
            let keys: Vec<_> = list.iter().map(|m| m.unwrap().key().to_vec()).collect();
            assert!(keys.is_sorted_by(|a, b| a < b));
            assert_eq!((&keys[0][..], &keys[keys.len() - 1][..]), (&chunk.first[..], &chunk.last[..]));
            for mutation in list.iter() {
                let Mutation::Insert { key, value } = mutation.unwrap() else { panic!("not a new row") };
                let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                assert!(rows.insert(key, value).is_none(), "a key comes once");
            }
        }
        rows
    }
}

proptest! {
    #[test]
    fn bulk_rows_are_read_and_committed_as_others_are(ops in ops()) {
        let mut harness = Harness::new();
        for op in &ops {
            harness.run(op);
            harness.check();
        }
        prop_assert_eq!(harness.committed(), harness.now.clone());
    }
}
