//! Runs a script and writes its transcript.

use super::script::{Script, Step};
use super::target::Target;
use crate::wire::Wire;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session in a thread of its own: statements go in, lines come out.
struct Session {
    pid: i32,
    ask: Sender<String>,
    answers: Receiver<Vec<String>>,
    /// Whether a statement is unanswered.
    busy: bool,
}

impl Session {
    fn start(mut wire: Wire) -> Session {
        let (ask, asked) = channel::<String>();
        let (answer, answers) = channel();
        let pid = wire.key.0;
        std::thread::spawn(move || {
            for sql in asked {
                wire.messages.clear();
                let lines = wire.query(&sql);
                let lines = readable(&lines, &wire.messages);
                if answer.send(lines).is_err() {
                    return;
                }
            }
        });
        Session { pid, ask, answers, busy: false }
    }

    fn take(&mut self, patience: Duration) -> Option<Vec<String>> {
        match self.answers.recv_timeout(patience) {
            Ok(lines) => {
                self.busy = false;
                Some(lines)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("a session's thread has ended"),
        }
    }
}

/// What the wire's lines say, for a reader.
fn readable(lines: &[String], messages: &[String]) -> Vec<String> {
    let mut messages = messages.iter();
    let mut message = |kind: &str, state: &str| match (state, messages.next()) {
        // When a conflict is noticed, and so what is said of it, is each system's own.
        ("40001", _) => format!("{kind} 40001"),
        (_, Some(text)) => format!("{kind} {state}: {text}"),
        (_, None) => format!("{kind} {state}"),
    };
    let mut out = Vec::new();
    for line in lines {
        let (tag, rest) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "D" => out.push(format!("  {}", rest.replace('|', " | ").replace('~', "null"))),
            "C" => out.push(rest.to_string()),
            "E" => out.push(message("ERROR", rest)),
            "N" => out.push(message("NOTICE", rest)),
            "EOF" => out.push("the connection has ended".to_string()),
            _ => {}
        }
    }
    out
}

/// Runs it at each of its levels. With a transcript that is expected, the runner waits for each answer
/// that stands in it; without, for each answer that can come.
pub fn run(target: &dyn Target, script: &Script, expected: Option<&str>) -> Result<String, String> {
    let mut out = String::new();
    for level in &script.levels {
        let mut lines = Vec::new();
        if !level.is_empty() {
            lines.push(format!("== {level}"));
        }
        let from = out.lines().count() + lines.len();
        let expected: Option<Vec<&str>> = expected.map(|text| text.lines().skip(from).collect());
        Run { target, sessions: BTreeMap::new(), script, expected, lines: &mut lines }.level(level)?;
        lines.push(String::new());
        out.push_str(&lines.join("\n"));
        out.push('\n');
    }
    Ok(out)
}

struct Run<'a> {
    target: &'a dyn Target,
    sessions: BTreeMap<String, Session>,
    script: &'a Script,
    /// What is to come from here on.
    expected: Option<Vec<&'a str>>,
    lines: &'a mut Vec<String>,
}

impl Run<'_> {
    fn level(mut self, level: &str) -> Result<(), String> {
        let schema = format!("run_{}", next_run());
        let mut setup = self.target.connect();
        let statements = [format!("create schema {schema}"), format!("set search_path = {schema}")];
        for sql in statements.iter().chain(&self.script.setup) {
            let answer = setup.query(sql);
            if answer.iter().any(|line| line.starts_with("E:")) {
                return Err(format!("setup: {sql}: {answer:?} {:?}", setup.messages));
            }
        }
        let begin = format!("isolation level {level}");
        for step in &self.script.steps {
            let sql = step.sql.replace("$LEVEL", &begin);
            self.lines.push(format!("{}: {sql}", step.session));
            self.start(step, &sql, &schema)?;
            self.settle(step)?;
        }
        Ok(())
    }

    fn start(&mut self, step: &Step, sql: &str, schema: &str) -> Result<(), String> {
        if !self.sessions.contains_key(&step.session) {
            let mut wire = self.target.connect();
            self.target.prepare(&mut wire, self.script.victim.as_deref() == Some(&step.session));
            wire.query(&format!("set search_path = {schema}"));
            self.sessions.insert(step.session.clone(), Session::start(wire));
        }
        let session = self.sessions.get_mut(&step.session).expect("just made");
        if session.busy {
            return Err(format!("{}\n{} still waits", self.lines.join("\n"), step.session));
        }
        session.busy = true;
        session.ask.send(sql.to_string()).map_err(|_| "a session's thread has ended".to_string())
    }

    /// Waits until every session has answered or waits for another; writes what came.
    fn settle(&mut self, step: &Step) -> Result<(), String> {
        let began = Instant::now();
        let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        loop {
            for (name, session) in self.sessions.iter_mut().filter(|(_, session)| session.busy) {
                if let Some(lines) = session.take(Duration::from_millis(1)) {
                    answers.insert(name.clone(), lines);
                }
            }
            let busy: Vec<_> = self.sessions.values().filter(|session| session.busy).map(|s| s.pid).collect();
            let own = self.sessions[&step.session].busy;
            let expects_more = self.expects_more(step, &answers);
            if busy.is_empty() && !expects_more {
                break;
            }
            let more = expects_more || (own && step.ends_by_itself);
            let known = self.expected.is_some() && !own;
            if !more && (known || self.target.waiting(&busy) == busy.len()) {
                break;
            }
            if began.elapsed() > PATIENCE {
                // What is missing shows in the comparison.
                break;
            }
        }
        match answers.remove(&step.session) {
            Some(lines) => self.lines.extend(lines),
            None => self.lines.push("  waits".to_string()),
        }
        for (name, lines) in answers {
            let (first, rest) = lines.split_first().expect("an answer has a line");
            self.lines.push(format!("{name} goes on: {first}"));
            self.lines.extend(rest.iter().cloned());
        }
        Ok(())
    }

    /// Whether the expected transcript says that more sessions answer to this step.
    fn expects_more(&self, step: &Step, answers: &BTreeMap<String, Vec<String>>) -> bool {
        let Some(expected) = &self.expected else { return false };
        let at = self.lines.len() - self.header();
        let rest = expected.get(at..).unwrap_or_default();
        let is_step = |line: &&&str| {
            !line.is_empty() && !line.starts_with("== ") && {
                let head = line.split(':').next().unwrap_or_default();
                !(head.starts_with('T') && head[1..].parse::<u8>().is_ok())
            }
        };
        let block: Vec<_> = rest.iter().take_while(is_step).collect();
        let waits = block.first().is_some_and(|line| **line == "  waits");
        let own = !waits && !answers.contains_key(&step.session);
        let others = block.iter().filter_map(|line| line.split_once(" goes on: "));
        own || others
            .filter(|(name, _)| self.sessions.get(*name).is_some_and(|session| session.busy))
            .any(|(name, _)| !answers.contains_key(name))
    }

    fn header(&self) -> usize {
        usize::from(self.lines.first().is_some_and(|line| line.starts_with("== ")))
    }
}

/// A number that no other run in this process has.
fn next_run() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
