//! A sequence of numbered entries in the object store, of which each number has one winner.
//!
//! A shard's manifests and the control plane's state are journals. Whoever wants to change the state
//! reads the latest entry, makes the next one of it, and publishes it under the next number. Of two
//! who do so at once, one is *superseded*: it reads again, and decides anew whether it may go on.
//!
//! # What is guaranteed
//!
//! 1. **A chain**: every entry that counted was made of the one that counted before it (P1), as long
//!    as callers publish at [`Entry::number`] + 1 of what [`Journal::latest`] gave them.
//! 2. **No waking dead (P2)**: a put counts only once a list begun after it shows no higher number. One
//!    who slept while numbers were cleaned up may re-create an old number, and then sees the higher one.
//! 3. **Own puts are known again**: each put carries a nonce, so that a put whose answer was lost and
//!    which finds its own nonce has succeeded.
//! 4. **The highest stays**: clean-up never removes the highest number that it saw, and numbers only
//!    grow.
//!
//! After an error from [`Journal::publish`] nothing is known: the entry may be there, or appear
//! later. The only way on is [`Journal::latest`].
//!
//! # The life of a publish
//!
//! 1. `entry::encode` wraps the payload, with number and nonce.
//! 2. The object is created if it is absent. If it is there, or the answer was lost, it is read: with
//!    our nonce, it is ours.
//! 3. A list decides: [`Published::Counted`] or [`Published::Superseded`].

mod entry;
#[cfg(test)]
mod tests;

use crate::paths::{number_name, parse_number_name};
use crate::{ObjectPath, ObjectStore, PutOutcome};
use bytes::Bytes;
use shardforge_common::random::Random;
use shardforge_common::{Error, ErrorKind, Result};
use std::sync::Arc;

pub use entry::Entry;

/// The number of the first entry.
pub const FIRST: u64 = 1;

/// How often a reader follows a journal whose latest entry vanishes under it, before giving up.
const CHASES: usize = 16;

/// How a publish ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The entry is the latest one, durably; what follows from it may be done.
    Counted,
    /// Another entry has this number or a higher one. Ours may be part of the chain or not; nothing
    /// may be done on the strength of it before [`Journal::latest`] was read again.
    Superseded,
}

/// A journal in a folder of the object store.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn ObjectStore>,
    folder: ObjectPath,
    random: Random,
}

impl Journal {
    /// The journal in a folder. Nothing is read or written yet.
    pub fn new(store: Arc<dyn ObjectStore>, folder: ObjectPath, random: Random) -> Journal {
        Journal { store, folder, random }
    }

    /// Where an entry lies.
    pub fn path(&self, number: u64) -> ObjectPath {
        self.folder.join(&number_name(number)).expect("twenty digits are a segment")
    }

    /// The latest entry; `None` while there is none.
    pub async fn latest(&self) -> Result<Option<Entry>> {
        for _ in 0..CHASES {
            let Some(number) = self.highest().await? else { return Ok(None) };
            match self.entry(number).await {
                // Cleaned up since the list was made: there is a higher one.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                entry => return entry.map(Some),
            }
        }
        Err(Error::unavailable(format!(
            "the latest entry of {} moves on faster than it can be read",
            self.folder
        )))
    }

    /// The entry of a number. Fails with `NotFound` when there is none, or no longer.
    pub async fn entry(&self, number: u64) -> Result<Entry> {
        let path = self.path(number);
        let bytes = self.store.get(&path).await?;
        entry::decode(bytes, number, &path)
    }

    /// Publishes a payload under a number: [`FIRST`], or the latest entry's plus one.
    pub async fn publish(&self, number: u64, payload: &[u8]) -> Result<Published> {
        let nonce = self.random.bytes16();
        let path = self.path(number);
        let put = self.store.put_if_absent(&path, entry::encode(number, nonce, payload)).await;
        if put.as_ref().ok() != Some(&PutOutcome::Created) {
            match self.entry(number).await {
                Ok(entry) if entry.nonce == nonce => {}
                Ok(_) => return Ok(Published::Superseded),
                // The put's own error says more than the failure to look after it.
                Err(e) => match put {
                    Ok(_) if e.kind() == ErrorKind::NotFound => return Ok(Published::Superseded),
                    Ok(_) => return Err(e),
                    Err(put_error) => return Err(put_error),
                },
            }
        }
        match self.highest().await? {
            Some(highest) if highest > number => Ok(Published::Superseded),
            Some(highest) if highest == number => Ok(Published::Counted),
            _ => Err(Error::unavailable(format!("{path} was put, but a list does not show it"))),
        }
    }

    /// Removes entries below the last `keep`, which is at least one. Returns how many.
    pub async fn clean_up(&self, keep: usize) -> Result<usize> {
        let numbers = self.numbers().await?;
        let old = &numbers[..numbers.len().saturating_sub(keep.max(1))];
        for &number in old {
            self.store.delete(&self.path(number)).await?;
        }
        Ok(old.len())
    }

    /// The numbers that are there, ascending.
    pub async fn numbers(&self) -> Result<Vec<u64>> {
        let list = self.store.list(&self.folder).await?;
        Ok(list.iter().filter_map(|meta| parse_number_name(meta.path.below(&self.folder)?)).collect())
    }

    async fn highest(&self) -> Result<Option<u64>> {
        Ok(self.numbers().await?.last().copied())
    }
}

/// An entry's payload, as the caller gave it.
impl Entry {
    /// The number under which the next entry is to be published.
    pub fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// The payload, shared.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }
}
