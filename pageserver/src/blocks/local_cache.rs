//! Whole layers on local disk, by use, within a size limit. Only a cache: deleting the folder at any
//! moment loses nothing (I8), and nothing read from it is trusted before its checksum matched (I11).
//!
//! A file enters by being written whole beside the others; it is never synced, since a torn one is
//! found out when it is read. The least recently used go first.

use crate::layer::Layer;
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, OpenMode};
use shardforge_common::task;
use shardforge_store::ObjectStore;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A layer is fetched whole once this many parts of it were read from the store.
const READS_BEFORE_FETCH: u32 = 8;

/// The folder of whole layers.
#[derive(Clone)]
pub(crate) struct LocalCache(Option<Arc<Inner>>);

struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    limit_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, File>,
    total_bytes: u64,
    /// Counts uses, as a clock.
    tick: u64,
    /// How often each layer that is not here was wished for; `None` while it is being fetched.
    wishes: HashMap<String, Option<u32>>,
}

struct File {
    size_bytes: u64,
    used: u64,
}

impl State {
    fn forget(&mut self, name: &str) {
        if let Some(file) = self.files.remove(name) {
            self.total_bytes -= file.size_bytes;
        }
    }
}

/// A layer's file name: its object's path on one level.
fn file_name(layer: &Layer) -> String {
    layer.path.as_str().replace('/', "_")
}

impl LocalCache {
    /// No local copies: right where the object store is itself a folder of this machine.
    pub(crate) fn none() -> LocalCache {
        LocalCache(None)
    }

    /// Opens the folder, with what an earlier life left in it.
    pub(crate) fn open(disk: Arc<dyn Disk>, root: PathBuf, limit_bytes: u64) -> io::Result<LocalCache> {
        disk.create_dir_all(&root)?;
        let mut state = State::default();
        for (name, is_folder) in disk.read_dir(&root)? {
            if is_folder {
                continue;
            }
            let size_bytes = match disk.open(&root.join(&name), OpenMode::Read).and_then(|file| file.len()) {
                Ok(size_bytes) => size_bytes,
                // A copy that was still being written when its pageserver stopped has got its name, or
                // lost it, since the folder was read: as good as never there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            state.total_bytes += size_bytes;
            state.files.insert(name, File { size_bytes, used: 0 });
        }
        let cache = Inner { disk, root, limit_bytes, state: Mutex::new(state) };
        cache.make_room(0);
        Ok(LocalCache(Some(Arc::new(cache))))
    }

    /// A part of a layer, if there is a local copy; unverified.
    pub(crate) async fn read(&self, layer: &Layer, range: Range<u64>) -> Option<Bytes> {
        let inner = self.0.as_ref()?;
        let name = file_name(layer);
        {
            let mut state = inner.state.lock();
            state.tick += 1;
            let tick = state.tick;
            state.files.get_mut(&name)?.used = tick;
        }
        let work = Arc::clone(inner);
        let file = inner.root.join(&name);
        let read = task::spawn_blocking("local cache", move || -> io::Result<Bytes> {
            let file = work.disk.open(&file, OpenMode::Read)?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.into())
        });
        match read.await {
            Ok(Ok(bytes)) => Some(bytes),
            // Gone or cut short: as good as never there.
            _ => {
                inner.state.lock().forget(&name);
                None
            }
        }
    }

    /// Keeps a copy of a layer. A failure costs only the copy.
    pub(crate) async fn put(&self, layer: &Layer, bytes: Bytes) {
        let Some(inner) = self.0.clone() else { return };
        let name = file_name(layer);
        if bytes.len() as u64 > inner.limit_bytes || inner.state.lock().files.contains_key(&name) {
            return;
        }
        let kept = task::spawn_blocking("local cache", move || inner.write(&name, &bytes)).await;
        if let Ok(Err(error)) = kept {
            tracing::debug!(layer = %layer.path, %error, "no local copy is kept");
        }
    }

    /// Drops a copy.
    pub(crate) async fn remove(&self, layer: &Layer) {
        let Some(inner) = self.0.clone() else { return };
        let name = file_name(layer);
        // Without the task the copy would stay; it is checked again at its next use.
        let _ = task::spawn_blocking("local cache", move || inner.drop_file(&name)).await;
    }

    /// Notes that a part of a layer had to be read from the store; fetches the whole one when that
    /// has happened often.
    pub(crate) fn wish_for(&self, layer: &Layer, store: &Arc<dyn ObjectStore>) {
        let Some(inner) = &self.0 else { return };
        let name = file_name(layer);
        {
            let mut state = inner.state.lock();
            match state.wishes.entry(name.clone()).or_insert(Some(0)) {
                Some(reads) if *reads + 1 < READS_BEFORE_FETCH => {
                    *reads += 1;
                    return;
                }
                wish @ Some(_) => *wish = None,
                None => return,
            }
        }
        let (inner, store, path) = (Arc::clone(inner), Arc::clone(store), layer.path.clone());
        task::spawn("fetch a layer", async move {
            let fetched = store.get(&path).await;
            let work = Arc::clone(&inner);
            let own = name.clone();
            if let Ok(bytes) = fetched
                && bytes.len() as u64 <= inner.limit_bytes
                && crate::layer::file::verify(&bytes).is_ok()
            {
                let _ = task::spawn_blocking("local cache", move || work.write(&own, &bytes)).await;
            }
            inner.state.lock().wishes.remove(&name);
        });
    }
}

impl Inner {
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.make_room(bytes.len() as u64);
        let path = self.root.join(name);
        // The folder may have been deleted under us: it is only a cache.
        self.disk.create_dir_all(&self.root)?;
        let written = match self.disk.open(&path, OpenMode::CreateNew) {
            Ok(file) => file.write_all_at(bytes, 0),
            Err(e) => Err(e),
        };
        if let Err(e) = written {
            let _ = self.disk.remove_file(&path);
            return Err(e);
        }
        let mut state = self.state.lock();
        state.tick += 1;
        let used = state.tick;
        state.forget(name);
        state.total_bytes += bytes.len() as u64;
        state.files.insert(name.to_string(), File { size_bytes: bytes.len() as u64, used });
        Ok(())
    }

    fn drop_file(&self, name: &str) {
        self.state.lock().forget(name);
        let _ = self.disk.remove_file(&self.root.join(name));
    }

    fn make_room(&self, for_bytes: u64) {
        loop {
            let victim = {
                let state = self.state.lock();
                if state.total_bytes + for_bytes <= self.limit_bytes {
                    return;
                }
                state.files.iter().min_by_key(|(_, file)| file.used).map(|(name, _)| name.clone())
            };
            match victim {
                Some(name) => self.drop_file(&name),
                None => return,
            }
        }
    }
}
