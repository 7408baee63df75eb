//! Writers that race over a store whose answers get lost, step by step and at random.

use super::*;
use crate::ObjectMeta;
use async_trait::async_trait;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What becomes of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// Nothing happens.
    Refused,
    /// The answer is an error now; it takes effect when someone else's next operation is done.
    Delayed,
}

/// A store that gives way to others before each operation.
#[derive(Default)]
struct RacingStore {
    objects: Mutex<BTreeMap<ObjectPath, Bytes>>,
    fates: Mutex<VecDeque<Fate>>,
    delayed: Mutex<Vec<(ObjectPath, Bytes)>>,
}

impl RacingStore {
    async fn step(&self) {
        let mut yielded = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        for (path, bytes) in self.delayed.lock().drain(..) {
            self.objects.lock().entry(path).or_insert(bytes);
        }
    }
}

#[async_trait]
impl ObjectStore for RacingStore {
    async fn put_if_absent(&self, path: &ObjectPath, bytes: Bytes) -> Result<PutOutcome> {
        self.step().await;
        let fate = self.fates.lock().pop_front().unwrap_or(Fate::Answered);
        let lost = Err(Error::unavailable("the answer was lost"));
        match fate {
            Fate::Refused => return lost,
            Fate::Delayed => {
                self.delayed.lock().push((path.clone(), bytes));
                return lost;
            }
            Fate::Answered | Fate::AnswerLost => {}
        }
        let mut objects = self.objects.lock();
        let outcome = if objects.contains_key(path) { PutOutcome::Exists } else { PutOutcome::Created };
        objects.entry(path.clone()).or_insert(bytes);
        if fate == Fate::AnswerLost { lost } else { Ok(outcome) }
    }

    async fn put(&self, _: &ObjectPath, _: Bytes) -> Result<()> {
        unreachable!("a journal never overwrites")
    }

    async fn get(&self, path: &ObjectPath) -> Result<Bytes> {
        self.step().await;
        self.objects.lock().get(path).cloned().ok_or_else(|| Error::not_found(path.to_string()))
    }

    async fn get_range(&self, _: &ObjectPath, _: Range<u64>) -> Result<Bytes> {
        unreachable!("a journal reads whole entries")
    }

    async fn list(&self, folder: &ObjectPath) -> Result<Vec<ObjectMeta>> {
        self.step().await;
        let objects = self.objects.lock();
        let below = objects.iter().filter(|(path, _)| path.below(folder).is_some());
        Ok(below.map(|(path, b)| ObjectMeta { path: path.clone(), size_bytes: b.len() as u64 }).collect())
    }

    async fn delete(&self, path: &ObjectPath) -> Result<()> {
        self.step().await;
        self.objects.lock().remove(path);
        Ok(())
    }

    async fn head(&self, _: &ObjectPath) -> Result<Option<ObjectMeta>> {
        unreachable!("a journal does not ask")
    }

    fn describe(&self) -> String {
        "a racing store".into()
    }
}

fn journal(store: &Arc<RacingStore>, seed: u64) -> Journal {
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    Journal::new(store, ObjectPath::new("journal").unwrap(), Random::from_seed(seed))
}

/// The state of a test journal is the list of all changes made to it.
fn with_change(latest: Option<&Entry>, change: u8) -> Vec<u8> {
    let mut payload = latest.map(|entry| entry.payload().to_vec()).unwrap_or_default();
    payload.push(change);
    payload
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

#[test]
fn one_who_slept_through_a_clean_up_is_superseded() {
    let store = Arc::new(RacingStore::default());
    let (sleeper, owner) = (journal(&store, 1), journal(&store, 2));
    block_on(async {
        assert_eq!(sleeper.publish(FIRST, b"1").await.unwrap(), Published::Counted);
        let slept_at = sleeper.latest().await.unwrap().unwrap();
        for number in 2..=5 {
            assert_eq!(owner.publish(number, b"n").await.unwrap(), Published::Counted);
        }
        assert_eq!(owner.clean_up(1).await.unwrap(), 4);
        // Number 2 is free again, but publishing it does not count.
        assert_eq!(sleeper.publish(slept_at.next_number(), b"2").await.unwrap(), Published::Superseded);
        assert_eq!(sleeper.latest().await.unwrap().unwrap().number, 5);
    });
}

#[test]
fn a_put_whose_answer_was_lost_knows_its_own_nonce() {
    let store = Arc::new(RacingStore::default());
    let (a, b) = (journal(&store, 1), journal(&store, 2));
    block_on(async {
        store.fates.lock().push_back(Fate::AnswerLost);
        assert_eq!(a.publish(FIRST, b"a").await.unwrap(), Published::Counted);
        store.fates.lock().push_back(Fate::AnswerLost);
        assert_eq!(b.publish(FIRST, b"b").await.unwrap(), Published::Superseded, "the number is a's");
        store.fates.lock().push_back(Fate::Refused);
        assert_eq!(b.publish(2, b"b").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(b.publish(2, b"b").await.unwrap(), Published::Counted);
    });
}

#[test]
fn clean_up_never_removes_the_last_entry() {
    let store = Arc::new(RacingStore::default());
    let journal = journal(&store, 1);
    block_on(async {
        assert_eq!(journal.clean_up(0).await.unwrap(), 0);
        for number in 1..=3 {
            journal.publish(number, b"").await.unwrap();
        }
        assert_eq!(journal.clean_up(0).await.unwrap(), 2);
        assert_eq!(journal.numbers().await.unwrap(), [3]);
    });
}

/// Makes changes until a number of them counted; now and then cleans up. Records what counted.
async fn writer(journal: Journal, id: u8, counted: Arc<Mutex<Vec<u8>>>) {
    for round in 0..4 {
        let change = id * 16 + round;
        // A caller that got an error, or lost, starts from the latest entry again.
        let Ok(latest) = journal.latest().await else { continue };
        let number = latest.as_ref().map_or(FIRST, Entry::next_number);
        if let Ok(Published::Counted) = journal.publish(number, &with_change(latest.as_ref(), change)).await {
            counted.lock().push(change);
        }
        if round % 2 == 1 {
            let _ = journal.clean_up(1).await;
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Refused),
        2 => Just(Fate::Delayed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the interleaving and whatever answers are lost: each change that counted is in
    /// every later state, once.
    #[test]
    fn racing_writers_make_one_chain(
        schedule in proptest::collection::vec(0usize..4, 0..400),
        fates in proptest::collection::vec(fate(), 0..20),
    ) {
        let store = Arc::new(RacingStore::default());
        *store.fates.lock() = fates.into();
        let counted = Arc::new(Mutex::new(Vec::new()));
        let mut writers: Vec<Option<Pin<Box<dyn Future<Output = ()>>>>> = (0..4u8)
            .map(|id| Some(Box::pin(writer(journal(&store, id.into()), id, Arc::clone(&counted))) as _))
            .collect();
        let rest = (0..4).cycle().take(4000);
        for turn in schedule.into_iter().chain(rest) {
            if let Some(future) = &mut writers[turn]
                && future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
            {
                writers[turn] = None;
            }
        }
        prop_assert!(writers.iter().all(Option::is_none), "a writer hangs");
        let last = block_on(journal(&store, 9).latest()).unwrap();
        let chain = last.map(|entry| entry.payload().to_vec()).unwrap_or_default();
        for change in counted.lock().iter() {
            prop_assert_eq!(chain.iter().filter(|c| *c == change).count(), 1, "change {} in {:?}", change, chain);
        }
    }
}
