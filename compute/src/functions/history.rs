//! Functions of our own over the branch's history: what AS OF takes.

use super::args::{TimestampTz, body};
use super::call::{Call, ScalarFunction, stable, volatile};
use shardforge_common::Lsn;

fn number(lsn: Lsn) -> i64 {
    i64::try_from(lsn.0).unwrap_or(i64::MAX)
}

fn last_commit_time(call: &Call<'_>) -> Option<TimestampTz> {
    call.context.last_commit.map(|(_, time)| TimestampTz(time))
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(9000, "shardforge_current_lsn", body!(call || call.context.snapshot.map(number))),
    volatile(
        9001,
        "shardforge_last_commit_lsn",
        body!(call || call.context.last_commit.map(|(lsn, _)| number(lsn))),
    ),
    volatile(9002, "shardforge_last_commit_time", body!(call || last_commit_time(call))),
];
