//! The object store, as ShardForge needs it: where everything durable but the log's tail lives.
//!
//! # What is guaranteed
//!
//! 1. **Durable when answered**: a put that returned survives a loss of power, name included.
//! 2. **Whole or absent**: no reader ever sees a part of an object.
//! 3. **One creator**: of several [`ObjectStore::put_if_absent`] on one path, at most one answers
//!    [`PutOutcome::Created`]. After an error the caller knows nothing: it may have been created.
//! 4. **Fresh lists**: a list begun after a put returned shows that object.
//!
//! S3, and what speaks its protocol, gives all four ([`S3`]); the local folder is made to
//! ([`LocalFolder`]). What is built on them: [`journal`], a sequence of numbered entries with one
//! winner for each number, which manifests and the control plane's state are. Where each object
//! lies is said once, in [`paths`].
//!
//! This crate knows nothing of what the objects hold.

pub mod journal;
pub mod local_folder;
mod path;
pub mod paths;
mod s3;
mod url;

pub use local_folder::LocalFolder;
pub use path::ObjectPath;
pub use s3::S3;
pub use url::StoreUrl;

use async_trait::async_trait;
use bytes::Bytes;
use shardforge_common::Result;
use shardforge_common::disk::Disk;
use std::ops::Range;
use std::sync::Arc;

/// How a [`ObjectStore::put_if_absent`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is this call's, and durable.
    Created,
    /// An object was there before; it is unchanged. It may be of an earlier attempt of the same call.
    Exists,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectMeta {
    /// Where it lies.
    pub path: ObjectPath,
    /// Its length, in bytes.
    pub size_bytes: u64,
}

/// A store of immutable objects under paths. The crate's head says what an implementation promises.
///
/// Errors: `NotFound` for an object that is not there, `Unavailable` when the store cannot be
/// reached or has no room, `Invalid` when it refuses the request for good.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Creates the object, unless there is one.
    async fn put_if_absent(&self, path: &ObjectPath, bytes: Bytes) -> Result<PutOutcome>;

    /// Creates the object, replacing the one that is there.
    async fn put(&self, path: &ObjectPath, bytes: Bytes) -> Result<()>;

    /// All of an object.
    async fn get(&self, path: &ObjectPath) -> Result<Bytes>;

    /// A part of an object. Fails with `Corrupt` when the object ends before the range does.
    async fn get_range(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes>;

    /// Every object below a folder, in the order of paths.
    async fn list(&self, folder: &ObjectPath) -> Result<Vec<ObjectMeta>>;

    /// Removes an object. Removing what is not there is not an error.
    async fn delete(&self, path: &ObjectPath) -> Result<()>;

    /// An object's size, or `None` when there is none.
    async fn head(&self, path: &ObjectPath) -> Result<Option<ObjectMeta>>;

    /// Where the store is, for a person.
    fn describe(&self) -> String;
}

/// Opens the store that a URL names: `file:///folder`, made when it is missing, or
/// `s3://bucket/prefix?endpoint=…`.
pub fn open(url: &str, disk: Arc<dyn Disk>) -> Result<Arc<dyn ObjectStore>> {
    Ok(match url.parse::<StoreUrl>()? {
        StoreUrl::Folder(folder) => Arc::new(LocalFolder::open(disk, folder)?),
        StoreUrl::S3(location) => Arc::new(S3::open(&location)?),
    })
}
