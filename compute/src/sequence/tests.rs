//! Numbers are unique over computes, restarts and orders to begin anew.

use super::{Block, Position, SequenceBlocks, SequenceRules, SessionSequences};
use crate::SqlResult;
use crate::catalog::access;
use crate::catalog::bootstrap::{self, POSTGRES};
use crate::catalog::stored::{PositionRow, RelationRow, SequenceRow, Stored};
use crate::functions::SequenceAccess;
use crate::txn::{Branch, BranchConfig, IsolationLevel, Txn};
use shardforge_cache::testing::{MemoryWal, ModelPages, test_services};
use shardforge_common::clock::ManualClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::{BranchRef, StorageId, task};
use shardforge_types::{Oid, SqlState, oids};
use std::collections::BTreeSet;
use std::sync::Arc;

const SEQUENCE: Oid = Oid(20_000);

fn rules(increment: i64, min: i64, max: i64, cycle: bool) -> SequenceRules {
    let start = if increment > 0 { min } else { max };
    SequenceRules { ty: oids::INT8, start, increment, min, max, cache: 1, cycle }
}

/// The numbers of the next block, and whether that was all.
fn numbers(rules: &SequenceRules, position: &mut Position, want: u64) -> Option<Vec<i64>> {
    let (mut block, end) = Block::reserve(rules, *position, want).ok()?;
    *position = end;
    Some(std::iter::from_fn(|| block.take()).collect())
}

#[test]
fn blocks_follow_one_another() {
    let at = |last, called| Position { version: 1, last, called };
    let max = i64::MAX;
    let cases = [
        (rules(1, 1, max, false), at(1, false), vec![Some(vec![1, 2, 3]), Some(vec![4, 5, 6])]),
        (rules(5, 1, max, false), at(50, true), vec![Some(vec![55, 60, 65])]),
        (rules(-2, -9, -1, false), at(-1, false), vec![Some(vec![-1, -3, -5]), Some(vec![-7, -9]), None]),
        (rules(1, 1, 4, true), at(1, false), vec![Some(vec![1, 2, 3]), Some(vec![4]), Some(vec![1, 2, 3])]),
        (rules(-1, 1, 2, true), at(2, false), vec![Some(vec![2, 1]), Some(vec![2, 1])]),
        (rules(3, 1, 8, false), at(1, false), vec![Some(vec![1, 4, 7]), None]),
        (rules(1, 1, max, false), at(max - 1, true), vec![Some(vec![max]), None]),
        (
            rules(max, i64::MIN, max, false),
            at(i64::MIN, false),
            vec![Some(vec![i64::MIN, -1, max - 1]), None],
        ),
        (rules(i64::MIN, i64::MIN, max, false), at(max, false), vec![Some(vec![max, -1]), None]),
    ];
    for (rules, mut position, blocks) in cases {
        for expected in blocks {
            assert_eq!(numbers(&rules, &mut position, 3), expected, "{rules:?}");
        }
    }
}

#[test]
fn a_block_is_given_back_only_where_nothing_follows() {
    let start = Position { version: 1, last: 1, called: false };
    let (mut block, end) = Block::reserve(&rules(1, 1, 100, false), start, 10).unwrap();
    assert_eq!(block.without_rest(end), Some(start));
    assert_eq!((block.take(), block.take()), (Some(1), Some(2)));
    assert_eq!(block.without_rest(end), Some(Position { version: 1, last: 2, called: true }));
    assert_eq!(block.without_rest(Position { last: 20, ..end }), None);
    assert_eq!(block.without_rest(end.set(10, true)), None);
}

struct World {
    id: BranchRef,
    wal: Arc<MemoryWal>,
    pages: Arc<ModelPages>,
    spill: tempfile::TempDir,
}

struct Compute {
    branch: Arc<Branch>,
    blocks: Arc<SequenceBlocks>,
}

impl World {
    async fn with_sequence(rules: SequenceRules) -> (World, Compute) {
        let (id, wal, pages) = test_services(7);
        let world = World { id, wal, pages, spill: tempfile::tempdir().unwrap() };
        let a = world.compute("a").await;
        bootstrap::ensure(&a.branch).await.unwrap();
        let mut txn = a.begin().await;
        write(&mut txn, SEQUENCE, rules).await.unwrap();
        txn.commit().await.unwrap();
        (world, a)
    }

    async fn compute(&self, name: &str) -> Compute {
        let spill_dir = self.spill.path().join(name);
        let config = BranchConfig { recent_bytes: 64 << 10, spill_dir, ..BranchConfig::default() };
        let clock = Arc::new(ManualClock::new(0));
        let (wal, pages) = (self.wal.clone(), self.pages.clone());
        let branch = Branch::open(self.id, config, wal, pages, Arc::new(RealDisk), clock.clone());
        let branch = branch.await.unwrap();
        let blocks = Arc::new(SequenceBlocks::new(branch.clone(), clock));
        Compute { branch, blocks }
    }
}

impl Compute {
    async fn begin(&self) -> Txn {
        let mut txn = self.branch.begin(IsolationLevel::ReadCommitted);
        txn.begin_statement().await.unwrap();
        txn
    }

    /// `nextval` of a statement that begins now.
    async fn next(&self) -> SqlResult<i64> {
        self.branch.snapshot().await.unwrap();
        loop {
            if let Some(number) = self.blocks.take(SEQUENCE) {
                return Ok(number);
            }
            self.blocks.reserve(POSTGRES, SEQUENCE).await?;
        }
    }
}

async fn write(txn: &mut Txn, oid: Oid, rules: SequenceRules) -> SqlResult<()> {
    let relation = RelationRow {
        database: POSTGRES,
        oid,
        name: format!("s{oid}"),
        namespace: crate::catalog::PUBLIC,
        kind: b'S',
        owner: bootstrap::SUPERUSER,
        row_type: Oid::INVALID,
        storage: StorageId::default(),
        value_storage: StorageId::default(),
        schema_version: 1,
    };
    access::insert(txn, &relation).await?;
    access::insert(txn, &row(oid, rules)).await?;
    access::insert(txn, &Position { version: 1, last: rules.start, called: false }.row(POSTGRES, oid)).await
}

fn row(oid: Oid, rules: SequenceRules) -> SequenceRow {
    SequenceRow {
        database: POSTGRES,
        oid,
        type_oid: rules.ty,
        start: rules.start,
        increment: rules.increment,
        min: rules.min,
        max: rules.max,
        cache: rules.cache,
        cycle: rules.cycle,
        owner_table: Oid::INVALID,
        owner_column: 0,
        owner_kind: b'a',
    }
}

#[tokio::test]
async fn numbers_are_unique_over_computes_and_after_one_has_gone() {
    let (world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let b = world.compute("b").await;
    let (a, b) = (Arc::new(a), Arc::new(b));
    let take = |compute: &Arc<Compute>| {
        let compute = compute.clone();
        task::spawn("taker", async move {
            let mut out = Vec::new();
            for _ in 0..300 {
                out.push(compute.next().await.unwrap());
            }
            out
        })
    };
    let mut all = Vec::new();
    for taker in [take(&a), take(&b), take(&a), take(&b)] {
        all.extend(taker.await.unwrap());
    }
    // What it had reserved goes with it.
    drop(a);
    let again = Arc::new(world.compute("again").await);
    for taker in [take(&again), take(&b)] {
        all.extend(taker.await.unwrap());
    }
    let unique: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(unique.len(), all.len());
    assert!(all.iter().all(|number| (1..100_000).contains(number)), "gaps stay small");
}

#[tokio::test]
async fn a_position_that_is_set_holds_on_every_compute() {
    let (world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let b = world.compute("b").await;
    assert_eq!((a.next().await.unwrap(), b.next().await.unwrap()), (1, 33));
    a.blocks.set(POSTGRES, SEQUENCE, 1000, true).await.unwrap();
    assert_eq!(b.next().await.unwrap(), 1001);
    assert!(a.next().await.unwrap() > 1001);
    b.blocks.set(POSTGRES, SEQUENCE, 5, false).await.unwrap();
    assert_eq!(a.next().await.unwrap(), 5);
    let error = a.blocks.set(POSTGRES, SEQUENCE, 0, true).await.unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
}

#[tokio::test]
async fn a_new_definition_holds_on_every_compute() {
    let (world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let b = world.compute("b").await;
    assert_eq!((a.next().await.unwrap(), b.next().await.unwrap()), (1, 33));
    let mut txn = a.begin().await;
    access::update(&mut txn, &row(SEQUENCE, rules(10, 1, 500, false))).await.unwrap();
    txn.commit().await.unwrap();
    // What both had reserved is lost.
    assert_eq!((b.next().await.unwrap(), b.next().await.unwrap()), (74, 84));
    let error = loop {
        if let Err(error) = a.next().await {
            break error;
        }
    };
    assert_eq!(error.sqlstate(), SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED);
}

#[tokio::test]
async fn what_is_left_of_a_block_goes_back_unless_another_follows() {
    let (world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let b = world.compute("b").await;
    assert_eq!((a.next().await.unwrap(), a.next().await.unwrap()), (1, 2));
    a.blocks.give_back(POSTGRES, SEQUENCE).await.unwrap();
    assert_eq!((b.next().await.unwrap(), a.next().await.unwrap()), (3, 35));
    b.blocks.give_back(POSTGRES, SEQUENCE).await.unwrap();
    assert!(b.next().await.unwrap() > 35, "the other compute has reserved behind it");
}

#[tokio::test]
async fn a_transaction_moves_a_sequence_of_its_own_within_itself() {
    let own = Oid(20_001);
    let (world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let session = SessionSequences::new(a.blocks.clone(), POSTGRES);
    session.schema_changes();
    let mut txn = a.begin().await;
    write(&mut txn, own, rules(1, 1, 3, false)).await.unwrap();
    let next = async |txn: &mut Txn, sequence| loop {
        match session.next_value(sequence) {
            Ok(number) => return Ok(number),
            Err(error) => match error.fields().sequence {
                Some(need) => session.satisfy(need, txn).await?,
                None => return Err(error),
            },
        }
    };
    assert_eq!(next(&mut txn, own).await.unwrap(), 1);
    assert_eq!(next(&mut txn, SEQUENCE).await.unwrap(), 1, "others' are reserved for all");
    let savepoint = txn.savepoint();
    assert_eq!(next(&mut txn, own).await.unwrap(), 2);
    txn.rollback_to(savepoint);
    session.undone();
    session.settle(&mut txn).await.unwrap();
    txn.commit().await.unwrap();
    session.transaction_ends();
    // The block was reserved before the savepoint, and stays used up.
    let mut after = world.compute("b").await.begin().await;
    let position: Option<PositionRow> =
        access::get(&mut after, &[POSTGRES.to_datum(), own.to_datum()]).await.unwrap();
    assert_eq!(Position::of(&position.unwrap()), Position { version: 1, last: 3, called: true });
}

#[tokio::test]
async fn an_evaluation_that_is_repeated_makes_its_calls_once() {
    let (_world, a) = World::with_sequence(rules(1, 1, i64::MAX, false)).await;
    let session = SessionSequences::new(a.blocks.clone(), POSTGRES);
    let mut txn = a.begin().await;
    // select setval(s, 100), nextval(s), setval(s, 200), nextval(s), in two rows
    let row = || -> SqlResult<[i64; 2]> {
        session.begin_evaluation();
        session.set_value(SEQUENCE, 100, true)?;
        let first = session.next_value(SEQUENCE)?;
        session.set_value(SEQUENCE, 200, true)?;
        Ok([first, session.next_value(SEQUENCE)?])
    };
    for _ in 0..2 {
        let mut stops = 0;
        let numbers = loop {
            match row() {
                Ok(numbers) => break numbers,
                Err(error) => {
                    stops += 1;
                    let need = error.fields().sequence.expect("it only stops");
                    session.satisfy(need, &mut txn).await.unwrap();
                }
            }
        };
        assert_eq!((numbers, stops), ([101, 201], 4));
    }
    assert_eq!((session.current_value(SEQUENCE), session.last_value()), (Some(201), Some((SEQUENCE, 201))));
    session.set_read_only(true);
    let refused = session.next_value(SEQUENCE).unwrap_err();
    assert_eq!(refused.sqlstate(), SqlState::READ_ONLY_SQL_TRANSACTION);
}
