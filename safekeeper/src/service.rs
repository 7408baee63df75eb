//! The safekeeper as its callers see it: [`WalService`], by direct calls.

use crate::feed::Hub;
use crate::history::find;
use crate::safekeeper::Safekeeper;
use crate::sequencer::{LeaseDone, Request, held_elsewhere};
use async_trait::async_trait;
use shardforge_common::{BranchRef, ComputeId, Error, Lsn, Result, TxnId};
use shardforge_proto::wal::{
    BranchStatus, CommitOutcome, CommitRequest, Completion, FeedRequest, FeedSink, FeedSubscription,
    FragmentRequest, GroupStatus, IngestReport, LeaseGrant, LeaseRequest, TxnStatus, WalService,
};
use std::sync::Arc;

#[async_trait]
impl WalService for Safekeeper {
    fn snapshot(&self, branch: BranchRef, sender: ComputeId, done: Completion<Result<Lsn>>) {
        if self.sequencer.leading_term().is_none() {
            return done(Err(Error::retry("this safekeeper does not lead the group")));
        }
        let (state, leases, clock) = (self.state.clone(), self.leases.clone(), self.clock.clone());
        let answer = move || {
            let committed = find(&state.read(), branch)?.committed;
            // Looked at last: an LSN read before someone got the lease has nothing that its holder does not
            // know of.
            let admitted = leases.of(branch.branch).lock().admit(sender, clock.boottime());
            admitted.map(|()| committed).map_err(held_elsewhere)
        };
        if self.read_index.confirms_itself() {
            return done(answer());
        }
        self.read_index.confirm(Box::new(move |confirmed| done(confirmed.and_then(|()| answer()))));
    }

    fn lease(&self, request: LeaseRequest, done: Completion<Result<Option<LeaseGrant>>>) {
        let LeaseRequest { branch, holder, in_process } = request;
        let within = in_process.then(|| self.leases.process());
        let done: LeaseDone = if self.read_index.confirms_itself() {
            done
        } else {
            // The leader keeps everyone else out from now on; what it says counts once a quorum has
            // confirmed, after this request came, that it still is the leader.
            let read_index = self.read_index.clone();
            Box::new(move |answer| match answer {
                Ok(Some(grant)) => {
                    read_index.confirm(Box::new(move |confirmed| done(confirmed.map(|()| Some(grant)))))
                }
                other => done(other),
            })
        };
        self.sequencer.enqueue(Request::Lease { branch, holder, within, done });
    }

    fn give_back(&self, branch: BranchRef, holder: ComputeId) {
        self.sequencer.enqueue(Request::GiveBack { branch, holder });
    }

    fn submit(&self, request: CommitRequest, done: Completion<CommitOutcome>) {
        match self.store_full(request.branch) {
            None => match &self.lone {
                Some(lone) => lone.carry(&self.sequencer, &*self.clock, done, |done| {
                    self.sequencer.enqueue(Request::Commit(request, done))
                }),
                None => self.sequencer.enqueue(Request::Commit(request, done)),
            },
            Some(full) => done(full),
        }
    }

    fn stage(&self, request: FragmentRequest, done: Completion<CommitOutcome>) {
        match self.store_full(request.branch) {
            None => self.sequencer.enqueue(Request::Stage(request, done)),
            Some(full) => done(full),
        }
    }

    fn abandon(&self, branch: BranchRef, txn: TxnId) {
        self.sequencer.enqueue(Request::Abandon { branch, txn });
    }

    async fn outcome(&self, branch: BranchRef, txn: TxnId, base: Lsn) -> Result<TxnStatus> {
        self.ask(|done| Request::Outcome { branch, txn, base, done }).await
    }

    fn subscribe(&self, request: FeedRequest, sink: Arc<dyn FeedSink>) -> Result<Box<dyn FeedSubscription>> {
        let (committed, first_available) = {
            let state = self.state.read();
            let branch = find(&state, request.branch)?;
            (branch.committed, branch.first_available())
        };
        if request.from > committed.next() {
            return Err(Error::retry(format!("LSN {} is not reached here, only {committed}", request.from)));
        }
        // When the archive was not listed yet, the catch-up thread finds out, and ends the feed.
        if request.from < first_available && self.history.archive.lacks(request.branch, request.from) {
            return Err(Error::not_found(format!(
                "LSN {} of branch {} is no longer kept; the log begins at {first_available}",
                request.from, request.branch
            )));
        }
        let hub: &Arc<Hub> = &self.hub;
        Ok(Box::new(hub.subscribe(&request, committed, sink)))
    }

    fn report_ingest(&self, report: IngestReport) {
        self.reports.lock().take(report);
    }

    async fn create_branch(&self, branch: BranchRef) -> Result<()> {
        self.ask(|done| Request::Open { branch, done }).await
    }

    async fn branch_status(&self, branch: BranchRef) -> Result<BranchStatus> {
        let reports = self.reports.lock();
        let (uploaded, ingested) = (reports.uploaded(branch), reports.ingested(branch));
        let state = self.state.read();
        let known = find(&state, branch)?;
        Ok(BranchStatus {
            committed: known.committed,
            time_micros: known.time_micros,
            uploaded: uploaded.min(known.committed),
            ingested: ingested.min(known.committed),
            first_available: known.first_available(),
        })
    }

    async fn lsn_at(&self, branch: BranchRef, time_micros: i64) -> Result<Lsn> {
        let lsn = self.ask(|done| Request::LsnAt { branch, time_micros, done }).await?;
        // A round begun after the answer shows that no other leader had commits that it does not know of.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.read_index.confirm(Box::new(move |confirmed| drop(sender.send(confirmed))));
        let confirmed = receiver.await;
        confirmed.map_err(|e| Error::internal("a request was left without an answer").with_source(e))??;
        Ok(lsn)
    }

    async fn group_status(&self) -> Result<GroupStatus> {
        let (status, log) = (self.member.status(), self.log.stats());
        let store_full =
            self.reports.lock().any_full().map(|reason| format!("the object store is full: {reason}"));
        Ok(GroupStatus {
            node: self.config.node,
            leader: status.leader,
            term: status.term,
            durable_index: self.log.last(self.config.group).map_or(0, |(index, _)| index),
            applied_index: status.applied_index,
            log_bytes: log.disk_bytes,
            log_segments: log.segments,
            stopped: self.log.stopped().or(status.stopped),
            full: log.full.or(store_full),
        })
    }
}

impl Safekeeper {
    /// What a commit is told while the object store has no room for what it would write: pageservers would fall
    /// behind without end, and readers with them. Whether the log has room is for the sequencer to ask.
    fn store_full(&self, branch: BranchRef) -> Option<CommitOutcome> {
        let reports = self.reports.lock();
        let reason = reports.full(branch)?;
        Some(CommitOutcome::Full { reason: format!("the object store is full: {reason}") })
    }

    async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(Completion<Result<T>>) -> Request,
    ) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.sequencer.enqueue(request(Box::new(move |answer| {
            // The asker may have given up.
            let _ = sender.send(answer);
        })));
        receiver.await.map_err(|e| Error::internal("a request was left without an answer").with_source(e))?
    }
}
