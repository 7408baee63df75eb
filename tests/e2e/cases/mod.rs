//! The cases, a theme a file. Names are behaviours.

mod commands;
mod conformance;
mod crashes;
mod durability;
mod executors;
mod histories;
mod history;
mod isolation;
mod memory;
mod pgbench;
mod protocol;
mod schema_changes;
mod sql;
mod statistics;
mod values;

use crate::Case;

/// All of them.
pub fn all() -> Vec<Case> {
    [
        commands::CASES,
        conformance::CASES,
        sql::CASES,
        statistics::CASES,
        durability::CASES,
        executors::CASES,
        crashes::CASES,
        history::CASES,
        isolation::CASES,
        histories::CASES,
        memory::CASES,
        protocol::CASES,
        schema_changes::CASES,
        values::CASES,
        pgbench::CASES,
    ]
    .concat_cases()
}

trait ConcatCases {
    fn concat_cases(self) -> Vec<Case>;
}

impl<const N: usize> ConcatCases for [&'static [Case]; N] {
    fn concat_cases(self) -> Vec<Case> {
        let copy = |case: &Case| Case { name: case.name, tools: case.tools, run: case.run };
        self.into_iter().flatten().map(copy).collect()
    }
}
