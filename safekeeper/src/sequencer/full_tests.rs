//! A log without room: nothing is proposed, nothing waits for ever, and nothing is promised that is not written.

use super::tests::{Bench, branch, compute, put};
use super::*;
use shardforge_common::{ErrorKind, Lsn, TxnId};
use shardforge_proto::wal::{CommitOutcome, TxnStatus};

impl Bench {
    fn room(&self, there: bool) {
        self.log.1.store(!there, Ordering::Relaxed);
    }

    fn outcome(&self, number: u8) -> Arc<Mutex<Option<Result<TxnStatus>>>> {
        let answer = Arc::<Mutex<Option<Result<TxnStatus>>>>::default();
        let given = answer.clone();
        let done = Box::new(move |status| *given.lock() = Some(status));
        let txn = TxnId::from_bytes([number; 16]);
        self.sequencer.enqueue(Request::Outcome { branch: branch(), txn, base: Lsn::ZERO, done });
        answer
    }
}

#[test]
fn without_room_a_commit_is_refused_and_may_come_again() {
    let mut bench = Bench::new(1);
    let me = compute(0);
    bench.submit_from(me, 1, 0, vec![], put(1));
    bench.apply_all();
    assert_eq!(bench.committed(), [(1, 1)]);
    bench.room(false);
    bench.submit_from(me, 2, 0, vec![], put(2));
    assert!(matches!(bench.answers()[..], [(2, CommitOutcome::Full { .. })]));
    // What is known needs no record; what is not known cannot be settled.
    bench.submit_from(me, 1, 1, vec![], put(1));
    assert_eq!(bench.committed(), [(1, 1)]);
    assert!(matches!(*bench.outcome(1).lock(), Some(Ok(TxnStatus::Committed(Lsn(1))))));
    let unsettled = bench.outcome(2).lock().take().expect("answered at once");
    assert_eq!(unsettled.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(bench.apply(), None, "nothing was proposed");
    bench.room(true);
    bench.submit_from(me, 2, 1, vec![], put(2));
    bench.apply_all();
    assert_eq!(bench.committed(), [(2, 2)]);
}

#[test]
fn behind_a_batch_that_waits_for_room_everyone_is_told() {
    let mut bench = Bench::new(1);
    let me = compute(0);
    bench.submit_from(me, 1, 0, vec![], put(1));
    bench.submit_from(me, 2, 0, vec![], put(2));
    bench.room(false);
    assert!(bench.answers().is_empty(), "the second waits behind the first");
    bench.sequencer.expire_staged(std::time::Duration::from_secs(600));
    assert!(matches!(bench.answers()[..], [(2, CommitOutcome::Full { .. })]));
    bench.submit_from(me, 3, 0, vec![], put(3));
    assert!(matches!(bench.answers()[..], [(3, CommitOutcome::Full { .. })]));
    let open = bench.outcome(1).lock().take().expect("answered at once");
    assert_eq!(open.unwrap_err().kind(), ErrorKind::Unavailable);
    bench.room(true);
    bench.submit_from(me, 1, 1, vec![], put(1));
    bench.apply_all();
    assert_eq!(bench.committed(), [(1, 1), (1, 1)], "the first attempt, for both");
}

#[test]
fn without_room_the_lease_is_renewed_but_not_granted() {
    let mut bench = Bench::new(1);
    let (a, b) = (compute(1), compute(2));
    bench.room(false);
    assert!(matches!(*bench.lease(a).lock(), Some(Ok(None))));
    let lease = bench.sequencer.leases.of(branch().branch);
    assert_eq!(lease.lock().admit(a, bench.clock.boottime()), Ok(()), "confirmed snapshots go on");
    bench.room(true);
    let granted = bench.lease(a);
    bench.apply_all();
    assert!(matches!(*granted.lock(), Some(Ok(Some(_)))));
    bench.room(false);
    assert!(matches!(*bench.lease(a).lock(), Some(Ok(Some(_)))), "a renewal needs no record");
    assert!(lease.lock().admit(b, bench.clock.boottime()).is_err(), "and keeps others out");
    bench.sequencer.enqueue(Request::GiveBack { branch: branch(), holder: a });
    assert_eq!(lease.lock().admit(b, bench.clock.boottime()), Ok(()));
    assert!(matches!(*bench.lease(a).lock(), Some(Ok(None))), "not anew");
    // The log still has the grant: a new leader waits for it, which is longer than needed, and not wrong.
    assert!(bench.state.read().branches[&branch().branch].lease.is_some());
}
