//! Keeps a shard's manifest: attaches, publishes edits, and notices a newer owner.
//!
//! # The protocol (rules P1, P2, P4)
//!
//! ```text
//! attach(generation)   latest -> refuse if its generation is not lower
//!                      publish latest's layers under the new generation; superseded: again from the top
//! edit(change)         publish the change of the manifest before it
//!                      superseded: read the latest; a higher generation: fenced, for good
//!                                  our own (an answer was lost): go on from it
//! sweep                delete layers that the latest does not name, of lower generations
//! ```
//!
//! An edit is a function of the manifest before it, so it can be applied again; it must be
//! idempotent, since after a lost answer it may be applied to its own result.

use super::Manifest;
use crate::layer::LayerName;
use shardforge_common::random::Random;
use shardforge_common::{BranchRef, Error, ErrorKind, Generation, Result, SlotRange, task};
use shardforge_store::journal::{FIRST, Journal, Published};
use shardforge_store::{ObjectPath, ObjectStore, paths};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How often an attach whose answer was lost asks again, and how long it waits before.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Manifests kept behind the latest, for a person to look at.
const KEPT: usize = 8;
/// Superfluous manifests are removed every so many publishes.
const CLEAN_EVERY: u64 = 16;

/// The owner's view of a shard's manifest.
pub(crate) struct ManifestKeeper {
    journal: Journal,
    store: Arc<dyn ObjectStore>,
    layers: ObjectPath,
    generation: Generation,
    number: u64,
    manifest: Manifest,
    /// Set after an error: what is the latest is not known until it is read again.
    unsure: bool,
}

impl ManifestKeeper {
    /// Becomes the owner: publishes the latest manifest under a higher generation (P1).
    pub(crate) async fn attach(
        store: Arc<dyn ObjectStore>,
        branch: BranchRef,
        slots: SlotRange,
        generation: Generation,
        random: Random,
    ) -> Result<ManifestKeeper> {
        let journal = Journal::new(Arc::clone(&store), paths::manifests(branch, slots), random);
        let mut attempts = 0;
        loop {
            let (number, mut manifest) = match latest(&journal).await? {
                None => (FIRST, Manifest::empty(branch, slots)),
                Some((number, manifest)) => {
                    check_place(&manifest, branch, slots, &journal.path(number))?;
                    (number + 1, manifest)
                }
            };
            let layers = paths::layers(branch, slots);
            // A generation is given out once: after an attempt of ours it is our own that we see.
            if manifest.generation == generation && attempts > 0 {
                let number = number - 1;
                return Ok(ManifestKeeper {
                    journal,
                    store,
                    layers,
                    generation,
                    number,
                    manifest,
                    unsure: false,
                });
            }
            if manifest.generation >= generation {
                return Err(fenced(branch, slots, generation, manifest.generation));
            }
            manifest.generation = generation;
            match journal.publish(number, &manifest.encode()).await {
                Ok(Published::Counted) => {
                    return Ok(ManifestKeeper {
                        journal,
                        store,
                        layers,
                        generation,
                        number,
                        manifest,
                        unsure: false,
                    });
                }
                Ok(Published::Superseded) => {}
                Err(error) if attempts >= ATTEMPTS => return Err(error),
                Err(_) => task::sleep(PAUSE).await,
            }
            attempts += 1;
        }
    }

    /// The manifest last known to be ours.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Publishes a change of the latest manifest. Fails with `Fenced` when a newer owner exists.
    ///
    /// While the store cannot be reached it goes on trying: a change of which nobody knows whether it
    /// took effect must be settled before the next one. It ends without that only when `give_up`, which hears
    /// why, says so, after which this keeper must not be used for edits again.
    pub(crate) async fn edit(
        &mut self,
        give_up: impl Fn(&Error) -> bool,
        change: impl Fn(&mut Manifest),
    ) -> Result<()> {
        let mut pause = PAUSE;
        loop {
            match self.try_edit(&change).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    let passing = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Retry);
                    if !passing || give_up(&error) {
                        return Err(error);
                    }
                    tracing::warn!(folder = %self.layers, %error, "a manifest could not be published; trying again");
                    task::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One attempt; `false` when another entry was in its way.
    async fn try_edit(&mut self, change: impl Fn(&mut Manifest)) -> Result<bool> {
        if self.unsure {
            self.reload().await?;
        }
        let mut next = self.manifest.clone();
        change(&mut next);
        debug_assert_eq!(next.generation, self.generation, "an edit never changes the generation");
        self.unsure = true;
        if self.journal.publish(self.number + 1, &next.encode()).await? == Published::Superseded {
            return Ok(false);
        }
        self.unsure = false;
        self.number += 1;
        self.manifest = next;
        if self.number.is_multiple_of(CLEAN_EVERY)
            && let Err(error) = self.journal.clean_up(KEPT).await
        {
            tracing::debug!(%error, "old manifests stay for now");
        }
        Ok(true)
    }

    async fn reload(&mut self) -> Result<()> {
        let (branch, slots) = (self.manifest.branch, self.manifest.slots);
        let Some((number, manifest)) = latest(&self.journal).await? else {
            return Err(Error::corrupt(format!(
                "all manifests of {} are gone",
                self.journal.path(self.number)
            )));
        };
        if manifest.generation != self.generation {
            return Err(fenced(branch, slots, self.generation, manifest.generation));
        }
        (self.number, self.manifest, self.unsure) = (number, manifest, false);
        Ok(())
    }

    /// Deletes layers that the latest manifest does not name and a lower generation wrote (P4).
    /// Returns how many.
    pub(crate) async fn sweep(&mut self) -> Result<usize> {
        self.reload().await?;
        let named: HashSet<&str> = self.manifest.layers.iter().map(|layer| layer.name.as_str()).collect();
        let mut swept = 0;
        for object in self.store.list(&self.layers).await? {
            let Ok(name) = LayerName::parse(object.path.name()) else { continue };
            if name.generation() < self.generation && !named.contains(name.as_str()) {
                self.store.delete(&object.path).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

async fn latest(journal: &Journal) -> Result<Option<(u64, Manifest)>> {
    let Some(entry) = journal.latest().await? else { return Ok(None) };
    let manifest = Manifest::decode(&entry.payload()).map_err(|e| e.context(journal.path(entry.number)))?;
    Ok(Some((entry.number, manifest)))
}

fn check_place(manifest: &Manifest, branch: BranchRef, slots: SlotRange, path: &ObjectPath) -> Result<()> {
    if manifest.branch != branch || manifest.slots != slots {
        return Err(Error::corrupt(format!(
            "{path}: a manifest of {} slots {} lies here",
            manifest.branch, manifest.slots
        )));
    }
    Ok(())
}

fn fenced(branch: BranchRef, slots: SlotRange, own: Generation, other: Generation) -> Error {
    Error::fenced(format!("shard {slots} of {branch}: generation {other} owns it, not generation {own}"))
}
