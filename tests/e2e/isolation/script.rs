//! The text of a script.

use std::path::Path;

/// One statement of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub session: String,
    pub sql: String,
    /// Whether its answer is waited for though it is blocked.
    pub ends_by_itself: bool,
}

/// A script, as its file says it.
#[derive(Debug)]
pub struct Script {
    /// Isolation levels to run at; one empty name when it does not depend on it.
    pub levels: Vec<String>,
    pub victim: Option<String>,
    pub setup: Vec<String>,
    pub steps: Vec<Step>,
}

impl Script {
    pub fn load(path: &Path) -> Result<Script, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script { levels: Vec::new(), victim: None, setup: Vec::new(), steps: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = line
                .find([':', '!'])
                .ok_or_else(|| format!("line {}: neither a step nor a header", number + 1))?;
            let (head, rest) = (&line[..at], line[at + 1..].trim().to_string());
            match head {
                "levels" => script.levels = rest.split(',').map(|level| level.trim().to_string()).collect(),
                "victim" => script.victim = Some(rest),
                "setup" => script.setup.push(rest),
                _ if head.starts_with('T') && head[1..].parse::<u8>().is_ok() => script.steps.push(Step {
                    session: head.to_string(),
                    sql: rest,
                    ends_by_itself: line.as_bytes()[at] == b'!',
                }),
                _ => {
                    return Err(format!("line {}: \"{head}\" is neither a session nor a header", number + 1));
                }
            }
        }
        if script.levels.is_empty() {
            script.levels.push(String::new());
        }
        Ok(script)
    }
}
