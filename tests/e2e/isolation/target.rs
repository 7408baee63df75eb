//! What a script runs against.

use crate::server::Server;
use crate::wire::Wire;

/// A server with sessions, which can say how many of them wait for a lock.
pub trait Target {
    /// A new connection.
    fn connect(&self) -> Wire;

    /// How many of these sessions (process ids) wait for another session, and will until that one does
    /// something. A session whose deadlock is about to be found does not count.
    fn waiting(&self, sessions: &[i32]) -> usize;

    /// What a session is told before it runs anything: how soon it looks for a deadlock.
    fn prepare(&self, _session: &mut Wire, _is_victim: bool) {}
}

/// Our server.
pub struct Ours(pub Server);

impl Target for Ours {
    fn connect(&self) -> Wire {
        Wire::connect(self.0.sql_port)
    }

    fn waiting(&self, _sessions: &[i32]) -> usize {
        self.0.metric("shardforge_lock_waiters") as usize
    }
}
