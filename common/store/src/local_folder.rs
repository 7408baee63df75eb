//! A folder on a local disk as an object store that keeps its promises over a loss of power.
//!
//! # The life of a put
//!
//! 1. The bytes go into a new file in `.tmp/`, which is then synced: content before name.
//! 2. The object's folder is made, with its parents, and their names are made durable.
//! 3. *If absent*: the file is linked to the object's name, which fails when it is taken, so one of
//!    many wins. *Replacing*: it is renamed over it.
//! 4. The object's folder is synced; only then does the put answer.
//! 5. The temporary name is removed.
//!
//! A crash before 3 leaves a temporary file, which [`LocalFolder::open`] sweeps. A crash between 3
//! and 4 leaves the object whole or absent, and nobody was told of it. A reader may see an object
//! before 4; what it then writes into the same folder makes that name durable too, and an object
//! of another folder that it relies on was answered for before it was named.
//!
//! A failed sync is never tried again on the same file (rule L3): the put fails, and the next
//! attempt writes a new one.
//!
//! Not done here: one owner of a folder at a time (the data folder's lock does that), and removal of
//! folders that have become empty.

use crate::{ObjectMeta, ObjectPath, ObjectStore, PutOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, OpenMode};
use shardforge_common::{Error, Result, task};
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const TEMPORARY: &str = ".tmp";

/// An object store in a folder.
pub struct LocalFolder {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    next_temporary: AtomicU64,
    /// Folders whose names are known to be durable.
    made: Mutex<HashSet<PathBuf>>,
}

impl LocalFolder {
    /// Opens the folder, making it when it is missing, and sweeps temporary files of earlier lives.
    pub fn open(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Result<LocalFolder> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        let prepare = || -> io::Result<()> {
            disk.create_dir_all(&temporary)?;
            for (name, is_folder) in disk.read_dir(&temporary)? {
                if !is_folder {
                    disk.remove_file(&temporary.join(name))?;
                }
            }
            Ok(())
        };
        prepare().map_err(|e| {
            Error::unavailable(format!("cannot open the object store {}", root.display())).with_source(e)
        })?;
        let inner = Inner { disk, root, next_temporary: AtomicU64::new(0), made: Mutex::new(HashSet::new()) };
        Ok(LocalFolder { inner: Arc::new(inner) })
    }

    /// Runs disk work where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        match task::spawn_blocking("object store", move || work(&inner)).await {
            Ok(result) => result,
            Err(e) => Err(Error::internal("disk work of the object store died").with_source(e)),
        }
    }
}

impl Inner {
    fn file(&self, path: &ObjectPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    fn error(&self, doing: &str, path: &ObjectPath, error: io::Error) -> Error {
        let message = format!("{doing} {}", self.file(path).display());
        match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(message),
            _ => Error::unavailable(message),
        }
        .with_source(error)
    }

    /// Steps 1 and 2: the bytes, durable under a temporary name.
    fn write_temporary(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<PathBuf> {
        let (temporary, file) = loop {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let temporary = self.root.join(TEMPORARY).join(number.to_string());
            match self.disk.open(&temporary, OpenMode::CreateNew) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => break (temporary, opened?),
            }
        };
        let written = (|| {
            file.write_all_at(bytes, 0)?;
            file.sync_data()?;
            self.make_folder(path)
        })();
        match written {
            Ok(()) => Ok(temporary),
            Err(e) => {
                self.discard(&temporary);
                Err(e)
            }
        }
    }

    fn make_folder(&self, path: &ObjectPath) -> io::Result<()> {
        let file = self.file(path);
        let folder = parent(&file);
        if !self.made.lock().contains(folder) {
            self.disk.create_dir_all(folder)?;
            self.made.lock().insert(folder.to_path_buf());
        }
        Ok(())
    }

    /// Removes a temporary name. What stays behind is swept at the next start.
    fn discard(&self, temporary: &Path) {
        let _ = self.disk.remove_file(temporary);
    }

    fn put_if_absent(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<PutOutcome> {
        let temporary = self.write_temporary(path, bytes)?;
        let file = self.file(path);
        let linked = match self.disk.hard_link(&temporary, &file) {
            Ok(()) => Ok(PutOutcome::Created),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(PutOutcome::Exists),
            Err(e) => Err(e),
        };
        // Also when the name was taken: what the caller concludes from it must not vanish.
        let synced = linked.and_then(|outcome| self.disk.sync_dir(parent(&file)).map(|()| outcome));
        self.discard(&temporary);
        synced
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.write_temporary(path, bytes)?;
        let file = self.file(path);
        if let Err(e) = self.disk.rename(&temporary, &file) {
            self.discard(&temporary);
            return Err(e);
        }
        self.disk.sync_dir(parent(&file))
    }

    fn read(&self, path: &ObjectPath, range: Option<Range<u64>>) -> Result<Bytes> {
        let read = || -> io::Result<Vec<u8>> {
            let file = self.disk.open(&self.file(path), OpenMode::Read)?;
            let (start, end) = match &range {
                Some(range) => (range.start, range.end),
                None => (0, file.len()?),
            };
            let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, start)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let range = range.unwrap_or_default();
                let file = self.file(path);
                Err(Error::corrupt(format!("{} ends before byte {}", file.display(), range.end))
                    .with_source(e))
            }
            Err(e) => Err(self.error("reading", path, e)),
        }
    }

    /// Collects the objects below a folder, in no order.
    fn walk(&self, folder: &ObjectPath, found: &mut Vec<ObjectMeta>) -> Result<()> {
        let names = match self.disk.read_dir(&self.file(folder)) {
            Ok(names) => names,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(e) => return Err(self.error("listing", folder, e)),
        };
        for (name, is_folder) in names {
            // Names that we could not have written are not ours.
            let Ok(path) = folder.join(&name) else { continue };
            if is_folder {
                self.walk(&path, found)?;
            } else if let Some(meta) = self.head(&path)? {
                found.push(meta);
            }
        }
        Ok(())
    }

    fn head(&self, path: &ObjectPath) -> Result<Option<ObjectMeta>> {
        match self.disk.open(&self.file(path), OpenMode::Read).and_then(|file| file.len()) {
            Ok(size_bytes) => Ok(Some(ObjectMeta { path: path.clone(), size_bytes })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error("asking for", path, e)),
        }
    }
}

fn parent(file: &Path) -> &Path {
    file.parent().expect("an object's file lies below the root")
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn put_if_absent(&self, path: &ObjectPath, bytes: Bytes) -> Result<PutOutcome> {
        let path = path.clone();
        self.run(move |inner| {
            inner.put_if_absent(&path, &bytes).map_err(|e| inner.write_error("creating", &path, e))
        })
        .await
    }

    async fn put(&self, path: &ObjectPath, bytes: Bytes) -> Result<()> {
        let path = path.clone();
        self.run(move |inner| inner.put(&path, &bytes).map_err(|e| inner.write_error("writing", &path, e)))
            .await
    }

    async fn get(&self, path: &ObjectPath) -> Result<Bytes> {
        let path = path.clone();
        self.run(move |inner| inner.read(&path, None)).await
    }

    async fn get_range(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes> {
        let path = path.clone();
        self.run(move |inner| inner.read(&path, Some(range))).await
    }

    async fn list(&self, folder: &ObjectPath) -> Result<Vec<ObjectMeta>> {
        let folder = folder.clone();
        self.run(move |inner| {
            let mut found = Vec::new();
            inner.walk(&folder, &mut found)?;
            found.sort();
            Ok(found)
        })
        .await
    }

    async fn delete(&self, path: &ObjectPath) -> Result<()> {
        let path = path.clone();
        self.run(move |inner| match inner.disk.remove_file(&inner.file(&path)) {
            // Not synced: an object that comes back after a loss of power is one more orphan.
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(inner.error("deleting", &path, e)),
        })
        .await
    }

    async fn head(&self, path: &ObjectPath) -> Result<Option<ObjectMeta>> {
        let path = path.clone();
        self.run(move |inner| inner.head(&path)).await
    }

    fn describe(&self) -> String {
        format!("file://{}", self.inner.root.display())
    }
}

impl Inner {
    /// A failed write is never `NotFound`: a folder that vanished is an outage.
    fn write_error(&self, doing: &str, path: &ObjectPath, error: io::Error) -> Error {
        Error::unavailable(format!("{doing} {}", self.file(path).display())).with_source(error)
    }
}
