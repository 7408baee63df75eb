//! What `status` says: each part, asked now.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How one part fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartStatus {
    /// `safekeeper`, `pageserver`, `compute`, `control-plane` or `object-store`.
    pub part: String,
    /// Whether it does its work.
    pub healthy: bool,
    /// One line for a person.
    pub summary: String,
    /// Particulars, for `--detailed` and for programs.
    pub detail: Value,
}

/// How everything fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Whether every part is healthy.
    pub healthy: bool,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// The parts.
    pub parts: Vec<PartStatus>,
}

impl Status {
    /// The parts that are not healthy, in one line.
    pub fn summary(&self) -> String {
        let ill = self.parts.iter().filter(|part| !part.healthy);
        ill.map(|part| format!("{}: {}", part.part, part.summary)).collect::<Vec<_>>().join("; ")
    }
}

/// Asks the parts.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// Asks each part now. A part that does not answer in time is not healthy.
    async fn status(&self) -> Status;
}
