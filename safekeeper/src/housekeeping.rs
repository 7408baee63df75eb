//! Work in the background: archive, trim, leases, gauges. All of it has one shape, a [`Chore`], and one
//! task does a round of each in turn.

use async_trait::async_trait;
use shardforge_common::{ErrorKind, Result, task};
use std::time::Duration;
use tokio::sync::watch;

/// Something to be done again and again. A round that fails is logged, and tried again the next time.
#[async_trait]
pub trait Chore: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;
    /// Does what there is to do now.
    async fn round(&self) -> Result<()>;
}

/// A chore that is a function.
pub(crate) struct Simple<F>(pub(crate) &'static str, pub(crate) F);

#[async_trait]
impl<F: Fn() + Send + Sync> Chore for Simple<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn round(&self) -> Result<()> {
        (self.1)();
        Ok(())
    }
}

/// Does rounds of all chores until told to stop.
pub(crate) async fn run(chores: Vec<Box<dyn Chore>>, interval: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = task::sleep(interval) => {}
        }
        for chore in &chores {
            let round = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                round = chore.round() => round,
            };
            match round {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => {
                    tracing::info!(chore = chore.name(), "later: {e}")
                }
                Err(e) => tracing::warn!(chore = chore.name(), "failed: {e}"),
            }
        }
    }
}
