//! The bodies of a commit; all but the last of a large one are staged (C6).
//!
//! The final mutations come in key order, each key once. Several fragments are under way at a time: the
//! leader takes them in order, and one write of its log holds all that wait. When one of them is not taken,
//! those after it cannot be either: they are all sent again, one by one.
//!
//! Whole chunks of bulk rows are fragments as they stand, and tell the leader that nobody else can have
//! written between their first and last keys: it then need not look at each.

use super::branch::{Branch, backoff};
use super::buffer::Final;
use super::bulk::Chunk;
use super::commit::{CommitPlan, PATIENCE, refused, task_timeout};
use super::{TxnError, refresh};
use bytes::Bytes;
use shardforge_common::mutation::{Aspects, Mutation, MutationList, MutationListBuilder};
use shardforge_common::wal::MAX_BODY_LEN;
use shardforge_common::{StorageId, TxnId, key};
use shardforge_proto::wal::{Check, CommitOutcome, FragmentRequest};
use std::collections::VecDeque;
use std::iter::Peekable;
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of fragments under way at a time.
const WINDOW_BYTES: usize = 16 << 20;

/// The mutations of a body. A chunk that is all of it is not copied.
#[derive(Default)]
pub(super) struct Mutations {
    /// What came first, as long as nothing came after it.
    whole: Option<MutationList>,
    built: MutationListBuilder,
}

impl Mutations {
    pub(super) fn len_bytes(&self) -> usize {
        self.whole.as_ref().map_or(self.built.len_bytes(), |list| list.as_bytes().len())
    }

    fn push(&mut self, mutation: Mutation<'_>) {
        self.open();
        self.built.push(mutation);
    }

    fn append(&mut self, list: MutationList) {
        if self.len_bytes() == 0 {
            self.whole = Some(list);
        } else {
            self.open();
            self.built.extend(&list);
        }
    }

    /// More is to come.
    fn open(&mut self) {
        if let Some(list) = self.whole.take() {
            self.built.extend(&list);
        }
    }

    pub(super) fn finish(self) -> MutationList {
        self.whole.unwrap_or_else(|| self.built.finish())
    }
}

/// A body with the checks of its rows.
#[derive(Default)]
pub(super) struct Body {
    pub(super) mutations: Mutations,
    pub(super) checks: Vec<Check>,
    /// Nobody else can have written in these ranges: `[start, end)`.
    fresh: Vec<(Bytes, Bytes)>,
    /// The last of them is all of this storage.
    fresh_storage: Option<StorageId>,
}

impl Body {
    fn fresh_rows(&mut self, chunk: &Chunk) {
        let end = [&chunk.last[..], &[0]].concat();
        self.fresh.push((chunk.first.clone(), end.into()));
    }

    /// A row in storage that the transaction made.
    fn fresh_storage(&mut self, at: &[u8]) -> shardforge_common::Result<()> {
        let storage = key::storage_id_of(at)?;
        if self.fresh_storage != Some(storage) {
            let (start, end) = key::storage_range(storage);
            self.fresh.push((start.into(), end.into()));
            self.fresh_storage = Some(storage);
        }
        Ok(())
    }
}

/// Fragments of a transaction in the log; those of one that does not commit are dropped (C6).
pub(super) struct Staging<'a> {
    branch: &'a Branch,
    txn: TxnId,
    count: u32,
    done: bool,
}

impl Staging<'_> {
    /// How many there are.
    pub(super) fn fragments(&self) -> u32 {
        self.count
    }

    /// The transaction has committed.
    pub(super) fn done(&mut self) {
        self.done = true;
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.count > 0 && !self.done {
            self.branch.wal.abandon(self.branch.id, self.txn);
        }
    }
}

/// Stages all bodies but the last, which it gives back; `None` when there is nothing to commit.
pub(super) async fn stage<'p>(plan: &CommitPlan<'p>) -> Result<Option<(Body, Staging<'p>)>, TxnError> {
    let limit = plan.branch.config.fragment_bytes.min(MAX_BODY_LEN);
    let mut staging = Staging { branch: plan.branch, txn: plan.txn, count: 0, done: false };
    let mut body = Body::default();
    let mut any = false;
    let mut under_way = UnderWay::new(plan);
    // Deleted ranges come first, before all rows: the log demands it of what is staged.
    for range in plan.buffer.range_writes() {
        any = true;
        let mutation = Mutation::DeleteRange { start: &range.start, end: &range.end };
        let len = body.mutations.len_bytes();
        if len > 0 && len + mutation.encoded_len() > limit {
            staging.count += 1;
            under_way.send(staging.count - 1, std::mem::take(&mut body)).await?;
        }
        body.mutations.push(mutation);
        body.checks.extend(range.check.map(|read_at| Check::Range {
            start: range.start.clone(),
            end: range.end.clone(),
            aspects: Aspects::ALL,
            read_at,
        }));
    }
    let mut bodies = Bodies::new(plan, limit)?;
    while let Some(next) = bodies.fill(&mut body, &mut any)? {
        let full = std::mem::replace(&mut body, next);
        staging.count += 1;
        under_way.send(staging.count - 1, full).await?;
    }
    under_way.finish().await?;
    Ok((any || staging.count > 0).then_some((body, staging)))
}

/// Cuts what a transaction wrote into bodies.
struct Bodies<'a, R: Iterator<Item = shardforge_common::Result<Final>>> {
    plan: &'a CommitPlan<'a>,
    limit: usize,
    rows: Peekable<R>,
    /// Chunks between whose rows none of `rows` lies.
    chunks: Peekable<std::vec::IntoIter<Chunk>>,
}

impl<'a> Bodies<'a, std::iter::Empty<shardforge_common::Result<Final>>> {
    fn new(
        plan: &'a CommitPlan<'a>,
        limit: usize,
    ) -> Result<Bodies<'a, impl Iterator<Item = shardforge_common::Result<Final>> + 'a>, TxnError> {
        let (whole, mixed) = plan.buffer.bulk_chunks()?;
        let rows = plan.buffer.finals(mixed).peekable();
        Ok(Bodies { plan, limit, rows, chunks: whole.into_iter().peekable() })
    }
}

impl<R: Iterator<Item = shardforge_common::Result<Final>>> Bodies<'_, R> {
    /// Fills a body up to the limit. Gives the beginning of the next body when there is more.
    fn fill(&mut self, body: &mut Body, any: &mut bool) -> Result<Option<Body>, TxnError> {
        loop {
            let next = match (self.chunks.peek(), self.rows.peek()) {
                (Some(chunk), Some(Ok(row))) if chunk.first < row.key => self.chunk(body, any)?,
                (Some(_), None) => self.chunk(body, any)?,
                (None, None) => return Ok(None),
                _ => self.row(body, any)?,
            };
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    fn chunk(&mut self, body: &mut Body, any: &mut bool) -> Result<Option<Body>, TxnError> {
        let Some(chunk) = self.chunks.next() else { return Ok(None) };
        *any = true;
        let len = body.mutations.len_bytes();
        let overflows = len > 0 && len + chunk.len() > self.limit;
        let mut next = overflows.then(Body::default);
        let target = next.as_mut().unwrap_or(body);
        target.mutations.append(chunk.list()?);
        target.fresh_rows(&chunk);
        Ok(next)
    }

    fn row(&mut self, body: &mut Body, any: &mut bool) -> Result<Option<Body>, TxnError> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let row = row?;
        let mutation = row.mutation();
        let row_len = mutation.as_ref().map_or(0, Mutation::encoded_len);
        let len = body.mutations.len_bytes();
        let mut next = (len > 0 && len + row_len > self.limit).then(Body::default);
        let target = next.as_mut().unwrap_or(body);
        if let Some(mutation) = mutation {
            *any = true;
            target.mutations.push(mutation);
            if self.plan.buffer.is_created(&row.key) {
                target.fresh_storage(&row.key)?;
            }
        }
        let checks =
            row.check.map(|read_at| Check::Key { key: row.key.clone(), aspects: Aspects::ALL, read_at });
        target.checks.extend(checks);
        Ok(next)
    }
}

/// A fragment that was sent and is not known to be in the log.
struct Sent {
    request: FragmentRequest,
    answered: oneshot::Receiver<CommitOutcome>,
}

/// What a fragment takes of memory while it is under way.
fn cost(request: &FragmentRequest) -> usize {
    let of_key = |check: &Check| match check {
        Check::Key { key, .. } => key.len(),
        Check::Range { start, end, .. } => start.len() + end.len(),
    };
    let checks: usize = request.checks.iter().map(|check| size_of::<Check>() + of_key(check)).sum();
    request.mutations.as_bytes().len() + checks
}

/// Fragments between here and the log.
struct UnderWay<'a> {
    plan: &'a CommitPlan<'a>,
    sent: VecDeque<Sent>,
    bytes: usize,
}

impl<'a> UnderWay<'a> {
    fn new(plan: &'a CommitPlan<'a>) -> Self {
        Self { plan, sent: VecDeque::new(), bytes: 0 }
    }

    /// Sends the next fragment, when there is room for it.
    async fn send(&mut self, fragment: u32, body: Body) -> Result<(), TxnError> {
        let request = FragmentRequest {
            branch: self.plan.branch.id,
            txn: self.plan.txn,
            fragment,
            checks: body.checks,
            fresh: body.fresh,
            mutations: body.mutations.finish(),
        };
        let len = cost(&request);
        while self.bytes + len > WINDOW_BYTES && !self.sent.is_empty() {
            self.receive().await?;
        }
        self.bytes += len;
        let answered = self.submit(&request);
        self.sent.push_back(Sent { request, answered });
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), TxnError> {
        while !self.sent.is_empty() {
            self.receive().await?;
        }
        Ok(())
    }

    fn submit(&self, request: &FragmentRequest) -> oneshot::Receiver<CommitOutcome> {
        let (answer, answered) = oneshot::channel();
        let done = Box::new(move |outcome| drop(answer.send(outcome)));
        self.plan.branch.wal.stage(request.clone(), done);
        answered
    }

    /// Takes the answer to the oldest fragment.
    async fn receive(&mut self) -> Result<(), TxnError> {
        let Some(Sent { request, answered }) = self.sent.pop_front() else { return Ok(()) };
        self.bytes -= cost(&request);
        match task_timeout(answered).await {
            Some(CommitOutcome::Committed { .. }) => return Ok(()),
            Some(CommitOutcome::TooOld { .. } | CommitOutcome::Retry { .. }) | None => {}
            Some(refusal) => return Err(refused(refusal)),
        }
        // Those after it were refused as well, or are in doubt: the log numbers them without gaps.
        let later = std::mem::take(&mut self.sent);
        self.bytes = 0;
        let mut again = vec![request];
        for sent in later {
            task_timeout(sent.answered).await;
            again.push(sent.request);
        }
        for request in again {
            self.insist(request).await?;
        }
        Ok(())
    }

    /// Sends a fragment until it is in the log.
    async fn insist(&self, mut request: FragmentRequest) -> Result<(), TxnError> {
        let mut waited = Duration::ZERO;
        loop {
            let answered = self.submit(&request);
            match task_timeout(answered).await {
                Some(CommitOutcome::Committed { .. }) => return Ok(()),
                Some(CommitOutcome::TooOld { floor }) if waited < PATIENCE => {
                    refresh::refresh(self.plan.branch, &mut request.checks, floor).await?;
                    waited += backoff(waited).await;
                }
                None | Some(CommitOutcome::Retry { .. }) if waited < PATIENCE => {
                    waited += backoff(waited).await;
                }
                Some(refusal) => return Err(refused(refusal)),
                None => {
                    let error = shardforge_common::Error::unavailable("the log's leader does not answer");
                    return Err(error.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(key: &[u8]) -> Mutation<'_> {
        Mutation::Touch { key }
    }

    fn list(keys: &[&[u8]]) -> MutationList {
        let mut builder = MutationListBuilder::new();
        keys.iter().for_each(|key| builder.push(touch(key)));
        builder.finish()
    }

    #[test]
    fn a_chunk_that_is_all_of_a_body_is_not_copied_and_others_are_joined() {
        let chunk = list(&[b"a", b"b"]);
        let mut mutations = Mutations::default();
        mutations.append(chunk.clone());
        assert_eq!(mutations.len_bytes(), chunk.as_bytes().len());
        assert_eq!(mutations.finish().as_bytes().as_ptr(), chunk.as_bytes().as_ptr());

        let mut mutations = Mutations::default();
        mutations.append(chunk.clone());
        mutations.push(touch(b"c"));
        mutations.append(list(&[b"d"]));
        let joined = list(&[b"a", b"b", b"c", b"d"]);
        assert_eq!(mutations.len_bytes(), joined.as_bytes().len());
        assert_eq!(mutations.finish(), joined);

        let mut mutations = Mutations::default();
        mutations.append(list(&[]));
        mutations.append(chunk.clone());
        assert_eq!(mutations.finish(), chunk);
        assert!(Mutations::default().finish().is_empty());
    }
}
