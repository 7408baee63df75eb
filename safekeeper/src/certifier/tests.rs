//! Scripts (`testscripts/`), and a comparison with a model too simple to be wrong.

use super::{Certifier, Verdict, WriteSet};
use bytes::Bytes;
use proptest::prelude::*;
use shardforge_common::mutation::{Aspects, Mutation, MutationList, MutationListBuilder};
use shardforge_common::{Lsn, TxnId};
use shardforge_proto::wal::Check;
use std::error::Error;
use std::fmt::Write as _;

fn txn(number: u64) -> TxnId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    TxnId::from_bytes(bytes)
}

/// Runs scripts. The prefix of a command is its transaction: `t1:`.
///
/// ```text
/// certifier floor=N
/// certify reads=[k@N a..c@N k?exists@N] writes=[k +k -k !k a..c]    changes nothing
/// commit  the same, and on success takes the next LSN
/// stage   the same, and on success counts the writes as pending; fresh=[a..c]: ranges that are its alone
/// unstage
/// evict                                                               forgets the oldest commit
/// ```
///
/// A write `k` updates, `+k` inserts, `-k` deletes, `!k` touches, `a..c` deletes a range. A read asks
/// for all aspects; `k?exists` and `k?read` for some.
#[derive(Default)]
struct Script {
    certifier: Option<Certifier>,
}

impl Script {
    fn certifier(&mut self) -> &mut Certifier {
        self.certifier.get_or_insert_with(|| Certifier::new(Lsn::ZERO))
    }
}

fn items(list: &str) -> Vec<&str> {
    list.trim_matches(['[', ']']).split_whitespace().collect()
}

fn parse_check(item: &str) -> Result<Check, Box<dyn Error>> {
    let (what, read_at) = item.split_once('@').ok_or("a read is written key@lsn")?;
    let read_at = Lsn(read_at.parse()?);
    let (what, aspects) = match what.split_once('?') {
        None => (what, Aspects::ALL),
        Some((what, "exists")) => (what, Aspects::EXISTENCE),
        Some((what, "read")) => (what, Aspects::READ),
        Some((_, other)) => return Err(format!("unknown aspects {other}").into()),
    };
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Ok(match what.split_once("..") {
        Some((start, end)) => Check::Range { start: bytes(start), end: bytes(end), aspects, read_at },
        None => Check::Key { key: bytes(what), aspects, read_at },
    })
}

fn parse_writes(list: &str) -> MutationList {
    let mut out = MutationListBuilder::new();
    for item in items(list) {
        let (sign, key) = item.split_at(1);
        out.push(match (sign, item.split_once("..")) {
            (_, Some((start, end))) => Mutation::DeleteRange { start: start.as_bytes(), end: end.as_bytes() },
            ("+", _) => Mutation::Insert { key: key.as_bytes(), value: b"" },
            ("-", _) => Mutation::Delete { key: key.as_bytes() },
            ("!", _) => Mutation::Touch { key: key.as_bytes() },
            _ => Mutation::Update { key: item.as_bytes(), value: b"" },
        });
    }
    out.finish()
}

impl goldenscript::Runner for Script {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &Self::Command,
        context: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        let number = context.prefix.as_deref().and_then(|prefix| prefix.strip_prefix('t')).unwrap_or("0");
        let txn = txn(number.parse()?);
        let mut args = command.consume_args();
        let mut out = String::new();
        match command.name.as_str() {
            "certifier" => {
                let floor = args.take_key("floor").unwrap_or("0").parse()?;
                self.certifier = Some(Certifier::new(Lsn(floor)));
            }
            name @ ("certify" | "commit" | "stage") => {
                let reads = args.take_key("reads").unwrap_or_default();
                let checks = items(reads).into_iter().map(parse_check).collect::<Result<Vec<_>, _>>()?;
                let list = args.take_key("writes").unwrap_or_default();
                let mutations = parse_writes(list);
                let range = |item: &str| {
                    let (start, end) = item.split_once("..").ok_or("a range is written a..c")?;
                    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
                    Ok::<_, Box<dyn Error>>((bytes(start), bytes(end)))
                };
                let fresh = items(args.take_key("fresh").unwrap_or_default());
                let fresh = fresh.into_iter().map(range).collect::<Result<Vec<_>, _>>()?;
                let writes = WriteSet::verified(&mutations, &fresh, |_| Ok(()))?;
                let certifier = self.certifier();
                match certifier.certify(txn, &checks, &writes) {
                    Verdict::Clear if name == "commit" => {
                        writeln!(out, "committed at {}", certifier.commit(txn, &writes))?;
                    }
                    Verdict::Clear if name == "stage" => {
                        certifier.stage(txn, &writes);
                        writeln!(out, "staged")?;
                    }
                    Verdict::Clear => writeln!(out, "clear")?,
                    Verdict::Conflict { key, written_at } => {
                        let key = String::from_utf8_lossy(&key);
                        let at = if written_at == Lsn::MAX {
                            "pending".into()
                        } else {
                            format!("written at {written_at}")
                        };
                        writeln!(out, "conflict on \"{key}\" ({at})")?;
                    }
                    Verdict::TooOld { floor } => writeln!(out, "too old: the floor is {floor}")?,
                }
            }
            "unstage" => self.certifier().unstage(txn),
            "evict" => {
                self.certifier().evict_oldest();
            }
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()?;
        self.certifier().validate();
        Ok(out)
    }

    fn end_block(&mut self, _: &goldenscript::Block) -> Result<String, Box<dyn Error>> {
        let certifier = self.certifier();
        Ok(format!("floor={} last={}\n", certifier.floor(), certifier.last()))
    }
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/certifier/testscripts/", stringify!($name));
            goldenscript::run(&mut Script::default(), path).unwrap();
        })*
    };
}

scripts! {
    anomaly_lost_update
    anomaly_phantom
    anomaly_write_skew
    aspects_foreign_keys_and_locks
    deleted_ranges
    fresh_ranges
    staged_transactions
    window_floor
}

/// Every write there ever was, in order.
#[derive(Default)]
struct Model {
    floor: u64,
    commits: Vec<MutationList>,
    staged: Vec<(u64, MutationList)>,
}

fn hits(check: &Check, list: &MutationList) -> bool {
    list.iter().any(|mutation| {
        let mutation = mutation.unwrap();
        let (from, to): (&[u8], Vec<u8>) = match mutation {
            Mutation::DeleteRange { start, end } => (start, end.to_vec()),
            other => (other.key(), [other.key(), &[0]].concat()),
        };
        let (aspects, start, end) = match check {
            Check::Key { key, aspects, .. } => (aspects, key.to_vec(), [&key[..], &[0]].concat()),
            Check::Range { start, end, aspects, .. } => (aspects, start.to_vec(), end.to_vec()),
        };
        aspects.intersects(mutation.aspects())
            && from < to.as_slice()
            && start < end
            && from < end.as_slice()
            && start < to
    })
}

impl Model {
    /// Whether the checks pass against committed writes: `None` for too old.
    fn passes(&self, checks: &[Check]) -> Option<bool> {
        let read_at = |check: &Check| match check {
            Check::Key { read_at, .. } | Check::Range { read_at, .. } => read_at.0,
        };
        if checks.iter().any(|check| read_at(check) < self.floor) {
            return None;
        }
        let conflict = checks.iter().any(|check| {
            self.commits.iter().zip(1u64..).any(|(list, lsn)| lsn > read_at(check) && hits(check, list))
        });
        Some(!conflict)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Commit(u64, Vec<Check>, MutationList),
    Stage(u64, Vec<Check>, MutationList),
    Unstage(u64),
    Evict,
}

fn any_key() -> impl Strategy<Value = Bytes> {
    "[ab]{0,3}".prop_map(|key| Bytes::from(format!("store-01{key}")))
}

fn any_check() -> impl Strategy<Value = Check> {
    let back = 0u64..12;
    prop_oneof![
        (any_key(), 1u8..8, back.clone()).prop_map(|(key, aspects, read_at)| Check::Key {
            key,
            aspects: Aspects::from_bits(aspects).unwrap(),
            read_at: Lsn(read_at)
        }),
        (any_key(), any_key(), 1u8..8, back).prop_map(|(start, end, aspects, read_at)| Check::Range {
            start,
            end,
            aspects: Aspects::from_bits(aspects).unwrap(),
            read_at: Lsn(read_at)
        }),
    ]
}

fn any_writes() -> impl Strategy<Value = MutationList> {
    proptest::collection::vec((0u8..5, any_key(), any_key()), 0..4).prop_map(|writes| {
        let mut list = MutationListBuilder::new();
        for (kind, key, other) in &writes {
            list.push(match kind {
                0 => Mutation::Insert { key, value: b"v" },
                1 => Mutation::Update { key, value: b"v" },
                2 => Mutation::Delete { key },
                3 => Mutation::Touch { key },
                _ => Mutation::DeleteRange { start: key, end: other },
            });
        }
        list.finish()
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let checks = || proptest::collection::vec(any_check(), 0..3);
    prop_oneof![
        6 => (1u64..4, checks(), any_writes()).prop_map(|(t, c, w)| Step::Commit(t, c, w)),
        2 => (1u64..4, checks(), any_writes()).prop_map(|(t, c, w)| Step::Stage(t, c, w)),
        1 => (1u64..4).prop_map(Step::Unstage),
        1 => Just(Step::Evict),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Checks against committed writes are exact. Staged ones may stop more than they must, never less.
    #[test]
    fn agrees_with_the_model(steps in proptest::collection::vec(any_step(), 1..40)) {
        let mut certifier = Certifier::new(Lsn::ZERO);
        let mut model = Model::default();
        // LSNs whose marks are those of a large commit: hits by these may be wider than the truth.
        let mut wide = Vec::new();
        for step in steps {
            match step {
                Step::Commit(number, checks, list) => {
                    let writes = WriteSet::of(&list).unwrap();
                    let verdict = certifier.certify(txn(number), &checks, &writes);
                    let passes = model.passes(&checks);
                    let others = || model.staged.iter().filter(|(owner, _)| *owner != number);
                    let blocked = others().any(|(_, staged)| checks.iter().any(|check| hits(check, staged)));
                    match &verdict {
                        Verdict::TooOld { floor } => {
                            prop_assert_eq!(passes, None);
                            prop_assert_eq!(floor.0, model.floor);
                        }
                        Verdict::Conflict { written_at, .. } => {
                            let may_be_wide = *written_at == Lsn::MAX || wide.contains(written_at);
                            prop_assert!(passes == Some(false) || (passes == Some(true) && may_be_wide));
                        }
                        Verdict::Clear => {
                            prop_assert_eq!(passes, Some(true));
                            prop_assert!(!blocked, "a pending write was overlooked");
                            let lsn = certifier.commit(txn(number), &writes);
                            let mut all = MutationListBuilder::new();
                            let (own, rest): (Vec<_>, Vec<_>) = model.staged.drain(..).partition(|(owner, _)| *owner == number);
                            model.staged = rest;
                            if !own.is_empty() {
                                wide.push(lsn);
                            }
                            for list in own.iter().map(|(_, list)| list).chain([&list]) {
                                list.iter().for_each(|mutation| all.push(mutation.unwrap()));
                            }
                            model.commits.push(all.finish());
                            prop_assert_eq!(lsn.0, model.commits.len() as u64);
                        }
                    }
                }
                Step::Stage(number, checks, list) => {
                    let writes = WriteSet::of(&list).unwrap();
                    if certifier.certify(txn(number), &checks, &writes) == Verdict::Clear {
                        prop_assert_eq!(model.passes(&checks), Some(true));
                        certifier.stage(txn(number), &writes);
                        model.staged.push((number, list));
                    }
                }
                Step::Unstage(number) => {
                    certifier.unstage(txn(number));
                    model.staged.retain(|(owner, _)| *owner != number);
                }
                Step::Evict => {
                    if certifier.evict_oldest() {
                        model.floor += 1;
                    }
                }
            }
            certifier.validate();
        }
    }
}
