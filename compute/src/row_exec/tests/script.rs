//! Runs the scripts.

use super::world::{Outcome, World};
use crate::SqlError;
use crate::sql::bound::Query;
use goldenscript::{Command, Context, Runner};
use std::error::Error;
use std::fmt::Write;

pub(super) struct Script {
    runtime: tokio::runtime::Runtime,
    world: World,
}

impl Script {
    pub(super) fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = runtime.block_on(World::new());
        Self { runtime, world }
    }
}

pub(super) fn describe(error: &SqlError) -> String {
    let fields = error.fields();
    let mut out = format!("{}: {}\n", fields.sqlstate, fields.message);
    for (name, text) in
        [("detail", &fields.detail), ("hint", &fields.hint), ("constraint", &fields.constraint)]
    {
        if let Some(text) = text {
            let _ = writeln!(out, "  {name}: {text}");
        }
    }
    out
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let session = context.prefix.clone().unwrap_or_default();
        if context.tags.contains("explain") {
            return Ok(match self.runtime.block_on(self.world.explain(&command.name)) {
                Ok(lines) => lines.join("\n") + "\n",
                Err(error) => describe(&error),
            });
        }
        let outcome = if command.name == "resume" {
            self.runtime.block_on(self.world.resume(&session))
        } else {
            let mut feed = |_: &Query| panic!("this needs the report engine");
            self.runtime.block_on(self.world.run(&session, &command.name, &mut feed))
        };
        Ok(match outcome {
            Ok(Outcome::Rows(lines, count)) => {
                let mut out: String = lines.iter().map(|line| format!("{line}\n")).collect();
                let _ = writeln!(out, "({count})");
                out
            }
            Ok(Outcome::Waits) => "waits for a row lock\n".to_owned(),
            Err(error) => describe(&error),
        })
    }
}
