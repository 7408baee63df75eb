//! The log beside a model of it, on a disk that loses power. Violations are values, so that one test
//! can demand that there are none, and another that there are some.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// What happens to a log.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Appends so many entries with payloads of this size to a group.
    Append(u64, usize, usize),
    Vote(u64),
    Committed(u64),
    /// Removes this many of the last entries.
    Truncate(u64, u64),
    /// Purges to this many before the last entry.
    Purge(u64, u64),
    /// Purges beyond the last entry, as an installed snapshot does.
    PurgeBeyond(u64, u64),
    Step,
    PrepareSpare,
    MarkEnd,
    /// The power goes after this many operations of the disk more.
    CutPower(u64),
    /// The machine loses power and starts again.
    Crash,
    /// The process dies and starts again; the machine stays up.
    Kill,
    /// The log is stopped and opened again.
    Restart,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct GroupModel {
    vote: Option<Bytes>,
    purged: Option<(u64, Bytes)>,
    entries: BTreeMap<u64, LogEntry>,
}

impl GroupModel {
    fn last(&self) -> Option<u64> {
        self.entries.keys().next_back().copied().or(self.purged.as_ref().map(|(index, _)| *index))
    }

    fn next(&self) -> u64 {
        self.last().map_or(1, |last| last + 1)
    }
}

#[derive(Debug, Clone)]
enum Op {
    Append(u64, Vec<LogEntry>),
    Vote(u64, Bytes),
    Truncate(u64, u64),
    Purge(u64, u64, Bytes),
}

type Groups = BTreeMap<u64, GroupModel>;

fn apply(groups: &mut Groups, op: &Op) {
    match op {
        Op::Append(group, entries) => {
            let group = groups.entry(*group).or_default();
            group.entries.extend(entries.iter().map(|entry| (entry.index, entry.clone())));
        }
        Op::Vote(group, vote) => groups.entry(*group).or_default().vote = Some(vote.clone()),
        Op::Truncate(group, index) => {
            groups.entry(*group).or_default().entries.split_off(index);
        }
        Op::Purge(group, index, marker) => {
            let group = groups.entry(*group).or_default();
            group.entries = group.entries.split_off(&(index + 1));
            group.purged = Some((*index, marker.clone()));
        }
    }
}

/// The log, and what it must hold.
pub(super) struct Harness {
    pub(super) disk: PowerLossDisk,
    config: LogConfig,
    open: Option<(Log, LogPump)>,
    /// What is surely durable.
    base: Groups,
    /// What was asked for since, with its completion if it has one.
    ops: Vec<(Op, Option<Outcome>)>,
    /// What the log shows: all of it.
    shown: Groups,
    /// Every committed mark that a start may find.
    committed: BTreeMap<u64, BTreeSet<Bytes>>,
    counter: u64,
    /// Whether there was a power loss yet.
    pub(super) crashed: Arc<AtomicBool>,
    /// The first power loss is none: only the process dies.
    pub(super) only_dies: bool,
}

impl Harness {
    pub(super) fn new(disk: PowerLossDisk, config: LogConfig) -> Self {
        Self {
            disk,
            config,
            open: None,
            base: Groups::new(),
            ops: Vec::new(),
            shown: Groups::new(),
            committed: BTreeMap::new(),
            counter: 0,
            crashed: Arc::default(),
            only_dies: false,
        }
    }

    /// Opens the log if it is closed. A cut of the power may make that fail, nothing else may.
    fn opened(&mut self) -> Result<&mut (Log, LogPump), String> {
        while self.open.is_none() {
            let opened = open(&self.disk, &self.config).map_err(|e| format!("does not open: {e}"));
            match opened.and_then(|opened| self.check_recovered(&opened.0).map(|()| opened)) {
                Ok(opened) => self.open = Some(opened),
                Err(error) if error.contains("the power is gone") => self.crash(),
                Err(error) => return Err(error),
            }
        }
        Ok(self.open.as_mut().expect("it was just opened"))
    }

    fn crash(&mut self) {
        self.crashed.store(true, Ordering::Relaxed);
        if std::mem::take(&mut self.only_dies) {
            self.disk.restore_power();
        } else {
            self.disk.crash();
        }
    }

    fn found(log: &Log) -> Result<Groups, String> {
        let mut groups = Groups::new();
        for id in log.groups() {
            let mut group =
                GroupModel { vote: log.vote(id), purged: log.purged(id), ..GroupModel::default() };
            let from = group.purged.as_ref().map_or(0, |(index, _)| index + 1);
            for entry in log.read(id, from..u64::MAX, usize::MAX).map_err(|e| format!("read: {e}"))? {
                group.entries.insert(entry.index, entry);
            }
            let last = group.entries.values().next_back().map(|entry| (entry.index, entry.head.clone()));
            if last != log.last(id) {
                return Err(format!("last of group {id} is {:?}, not {last:?}", log.last(id)));
            }
            if group != GroupModel::default() {
                groups.insert(id.0, group);
            }
        }
        Ok(groups)
    }

    /// What a start finds is what was asked for up to some point, no earlier than all that was done.
    fn check_recovered(&mut self, log: &Log) -> Result<(), String> {
        let found = Self::found(log)?;
        let done = self.ops.iter().rposition(|(_, outcome)| outcome.as_ref().is_some_and(Outcome::is_ok));
        let done = done.map_or(0, |at| at + 1);
        let mut state = self.base.clone();
        for (op, _) in &self.ops[..done] {
            apply(&mut state, op);
        }
        let mut at = done;
        loop {
            let mut filled = state.clone();
            filled.retain(|_, group| *group != GroupModel::default());
            if filled == found {
                break;
            }
            let Some((op, _)) = self.ops.get(at) else {
                let brief = |groups: &Groups| {
                    groups
                        .iter()
                        .map(|(id, g)| format!("{id}: {:?} {:?} {:?}", g.vote, g.purged, g.entries.keys()))
                        .collect::<Vec<_>>()
                };
                return Err(format!("found {:?}, not {:?} or earlier", brief(&found), brief(&state)));
            };
            apply(&mut state, op);
            at += 1;
        }
        for id in log.groups() {
            if let Some(mark) = log.committed(id) {
                if !self.committed.get(&id.0).is_some_and(|known| known.contains(&mark)) {
                    return Err(format!("group {id} has a committed mark {mark:?} that nobody gave"));
                }
                // It was durable, so no later start may find an older one.
                self.committed.insert(id.0, BTreeSet::from([mark]));
            }
        }
        self.base = found.clone();
        self.shown = found;
        self.ops.clear();
        Ok(())
    }

    fn check_shown(&mut self) -> Result<(), String> {
        let (log, _) = self.open.as_ref().expect("only called when open");
        log.validate();
        if log.stopped().is_some() {
            return Ok(());
        }
        let mut shown = self.shown.clone();
        shown.retain(|_, group| *group != GroupModel::default());
        match Self::found(log) {
            Ok(found) if found == shown => Ok(()),
            Ok(_) => Err("the log shows something else than was asked for".into()),
            Err(error) if error.contains("the power is gone") => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, op: Op) -> Result<(), String> {
        let outcome = Outcome::default();
        let (log, _) = self.opened()?;
        if log.stopped().is_some() {
            return Ok(());
        }
        let has_done = match op.clone() {
            Op::Append(group, entries) => {
                log.append(GroupId(group), entries, outcome.done());
                true
            }
            Op::Vote(group, vote) => {
                log.save_vote(GroupId(group), vote, outcome.done());
                true
            }
            Op::Truncate(group, index) => {
                log.truncate_from(GroupId(group), index, outcome.done());
                true
            }
            Op::Purge(group, index, marker) => {
                log.purge_to(GroupId(group), index, marker);
                false
            }
        };
        match outcome.get() {
            // Space could not be reserved: refused, and nothing has changed.
            Some(Err(error)) if error.to_string().contains("the log takes no more entries") => {
                return if error.to_string().contains("the power is gone") {
                    Ok(())
                } else {
                    Err(format!("refused: {error}"))
                };
            }
            // Whoever completes at once with another error has stopped the log meanwhile.
            Some(Err(error)) if self.open.as_ref().is_some_and(|(log, _)| log.stopped().is_none()) => {
                return Err(format!("refused: {error}"));
            }
            _ => {}
        }
        apply(&mut self.shown, &op);
        self.ops.push((op, has_done.then_some(outcome)));
        Ok(())
    }

    pub(super) fn act(&mut self, action: &Action) -> Result<(), String> {
        self.counter += 1;
        let counter = self.counter;
        self.opened()?;
        match *action {
            Action::Append(group, count, size) => {
                let next = self.shown.get(&group).map_or(1, GroupModel::next);
                let entries = (next..next + count as u64)
                    .map(|index| LogEntry {
                        index,
                        head: Bytes::from(format!("head {counter}")),
                        payload: Bytes::from(vec![counter as u8; size]),
                    })
                    .collect();
                self.ask(Op::Append(group, entries))?;
            }
            Action::Vote(group) => self.ask(Op::Vote(group, Bytes::from(format!("vote {counter}"))))?,
            Action::Committed(group) => {
                let mark = Bytes::from(format!("mark {counter}"));
                self.committed.entry(group).or_default().insert(mark.clone());
                self.opened()?.0.save_committed(GroupId(group), mark);
                self.shown.entry(group).or_default();
            }
            Action::Truncate(group, count) => {
                let model = self.shown.get(&group).cloned().unwrap_or_default();
                if let Some((index, _)) = model.entries.iter().rev().take(count as usize).last() {
                    self.ask(Op::Truncate(group, *index))?;
                }
            }
            Action::Purge(group, left) => {
                let model = self.shown.get(&group).cloned().unwrap_or_default();
                if let Some((index, _)) = model.entries.iter().rev().nth(left as usize) {
                    self.ask(Op::Purge(group, *index, Bytes::from(format!("purged {counter}"))))?;
                }
            }
            Action::PurgeBeyond(group, by) => {
                let last = self.shown.get(&group).map_or(1, GroupModel::next);
                self.ask(Op::Purge(group, last + by, Bytes::from(format!("installed {counter}"))))?;
            }
            Action::Step => {
                self.opened()?.1.step();
            }
            Action::PrepareSpare => self.opened()?.1.prepare_spare(),
            Action::MarkEnd => self.opened()?.1.mark_end(),
            Action::CutPower(operations) => self.disk.cut_power_after(operations),
            Action::Crash => {
                self.open = None;
                self.crash();
                self.opened()?;
            }
            Action::Kill => {
                self.open = None;
                self.opened()?;
            }
            Action::Restart => {
                self.opened()?.1.finish();
                self.open = None;
                self.opened()?;
            }
        }
        self.check_shown()
    }

    pub(super) fn run(&mut self, actions: &[Action]) -> Result<(), String> {
        for (i, action) in actions.iter().enumerate() {
            self.act(action).map_err(|what| format!("after {i}: {action:?}: {what}"))?;
        }
        self.act(&Action::Crash).map_err(|what| format!("at the end: {what}"))
    }
}

pub(super) fn action() -> impl Strategy<Value = Action> {
    let group = 1..4u64;
    prop_oneof![
        6 => (group.clone(), 1..5usize, prop_oneof![0..40usize, 0..700usize, Just(6000)])
            .prop_map(|(g, n, size)| Action::Append(g, n, size)),
        2 => group.clone().prop_map(Action::Vote),
        2 => group.clone().prop_map(Action::Committed),
        2 => (group.clone(), 1..4u64).prop_map(|(g, n)| Action::Truncate(g, n)),
        3 => (group.clone(), 0..4u64).prop_map(|(g, n)| Action::Purge(g, n)),
        1 => (group, 0..3u64).prop_map(|(g, n)| Action::PurgeBeyond(g, n)),
        9 => Just(Action::Step),
        1 => Just(Action::PrepareSpare),
        1 => Just(Action::MarkEnd),
        1 => (0..40u64).prop_map(Action::CutPower),
        1 => Just(Action::Crash),
        1 => Just(Action::Kill),
        1 => Just(Action::Restart),
    ]
}
