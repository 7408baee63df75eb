//! A disk in memory that loses power.
//!
//! # Model
//!
//! 1. A sector of 512 bytes is written whole or not at all; sectors reach the platter in any order,
//!    and any version that a sector had since its last sync may be the one found.
//! 2. A file's length is any that it had since its last sync, whatever became of its sectors; a
//!    sector inside the length that was never written reads as zeros.
//! 3. A change of a folder is kept or lost, each by itself, until the folder is synced. A rename within one
//!    folder is one change: the file is found under one of its names. Across folders it is two.
//! 4. A folder made by [`Disk::create_dir_all`] is there at once: that call syncs.
//!
//! This is harsher than any file system we know, and no harsher than what POSIX promises.

use super::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;
type Sector = [u8; SECTOR];

/// What a sync was asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncKind {
    /// [`DiskFile::sync_data`].
    File,
    /// [`Disk::sync_dir`].
    Dir,
}

/// A disk in memory with a seed, whose unsynced bytes, lengths and names are at risk.
///
/// Clones are the same disk.
#[derive(Clone)]
pub struct PowerLossDisk(Arc<Mutex<State>>);

/// Says whether a sync is to be left out, though it claims success.
type SkipSync = Box<dyn FnMut(SyncKind, &Path) -> bool + Send>;

struct State {
    random: StdRng,
    /// Counts crashes: handles of an earlier boot no longer work.
    boot: u64,
    /// Operations that still succeed; `None` is no limit.
    operations_left: Option<u64>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    folders: BTreeSet<PathBuf>,
    /// Names as running programs see them.
    names: BTreeMap<PathBuf, u64>,
    /// Names as a crash would surely leave them.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since, in order, each with its folder.
    changes: Vec<(PathBuf, Change)>,
    skip_sync: Option<SkipSync>,
    syncs: u64,
}

#[derive(Default)]
struct Inode {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Versions of each sector since the last sync, the current one last.
    dirty: BTreeMap<usize, Vec<Sector>>,
    /// Lengths since the last sync, the current one last.
    lengths: Vec<usize>,
}

enum Change {
    Add(PathBuf, u64),
    Remove(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
}

fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    let mut out = [0; SECTOR];
    let start = (sector * SECTOR).min(bytes.len());
    let end = (start + SECTOR).min(bytes.len());
    out[..end - start].copy_from_slice(&bytes[start..end]);
    out
}

impl Inode {
    /// Notes what the sectors of `[from, to)` hold now.
    fn dirtied(&mut self, from: usize, to: usize) {
        if from < to {
            for sector in from / SECTOR..=(to - 1) / SECTOR {
                self.dirty.entry(sector).or_default().push(sector_of(&self.current, sector));
            }
        }
    }

    fn resize(&mut self, len: usize) {
        let before = self.current.len();
        if len != before {
            self.current.resize(len, 0);
            self.lengths.push(len);
            // Cut bytes must read as zeros should the file grow again.
            self.dirtied(len, before);
        }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.current.len() {
            self.resize(end);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirtied(offset, end);
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.current);
        self.dirty.clear();
        self.lengths.clear();
    }

    fn crash(&mut self, random: &mut StdRng) {
        let mut found = std::mem::take(&mut self.durable);
        let mut len = found.len();
        if !self.lengths.is_empty() && random.random_bool(0.7) {
            len = self.lengths[random.random_range(0..self.lengths.len())];
        }
        // Some crashes find nearly everything written, some nearly nothing.
        let kept = [0.05, 0.5, 0.95][random.random_range(0..3)];
        for (&sector, versions) in &self.dirty {
            if random.random_bool(kept) {
                let newest = versions.len() - 1;
                let version = if random.random_bool(0.7) { newest } else { random.random_range(0..=newest) };
                let end = (sector + 1) * SECTOR;
                if found.len() < end {
                    found.resize(end, 0);
                }
                found[end - SECTOR..end].copy_from_slice(&versions[version]);
            }
        }
        found.resize(len, 0);
        self.current.clone_from(&found);
        self.durable = found;
        self.dirty.clear();
        self.lengths.clear();
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Add(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Change::Remove(path, inode) => {
                if names.get(path) == Some(inode) {
                    names.remove(path);
                }
            }
            Change::Rename(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}

fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

impl State {
    /// Counts an operation; fails when the power is gone.
    fn tick(&mut self, boot: u64) -> io::Result<()> {
        if boot != self.boot {
            return Err(io::Error::other("a file handle from before the power loss"));
        }
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn tick_now(&mut self) -> io::Result<()> {
        self.tick(self.boot)
    }

    fn inode_at(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }

    fn folder_exists(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || self.folders.contains(path) {
            Ok(())
        } else {
            Err(error(io::ErrorKind::NotFound, path))
        }
    }

    fn change(&mut self, folder: PathBuf, change: Change) {
        change.apply(&mut self.names);
        self.changes.push((folder, change));
    }

    fn skips(&mut self, kind: SyncKind, path: &Path) -> bool {
        self.syncs += 1;
        self.skip_sync.as_mut().is_some_and(|skip| skip(kind, path))
    }

    fn inode(&mut self, id: u64) -> &mut Inode {
        self.inodes.get_mut(&id).expect("inodes of this boot stay until the crash")
    }
}

impl PowerLossDisk {
    /// An empty disk. What a crash leaves is decided by the seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            boot: 0,
            operations_left: None,
            inodes: BTreeMap::new(),
            next_inode: 0,
            folders: BTreeSet::from([PathBuf::from("/")]),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            skip_sync: None,
            syncs: 0,
        })))
    }

    /// The power goes: each thing not synced is kept, lost or torn, and the disk is as a restarted
    /// machine finds it. Open files no longer work.
    pub fn crash(&self) {
        let state = &mut *self.0.lock();
        state.boot += 1;
        state.operations_left = None;
        let kept = [0.05, 0.5, 0.95][state.random.random_range(0..3)];
        let mut names = std::mem::take(&mut state.durable_names);
        for (_, change) in std::mem::take(&mut state.changes) {
            if state.random.random_bool(kept) {
                change.apply(&mut names);
            }
        }
        let used: BTreeSet<u64> = names.values().copied().collect();
        state.inodes.retain(|id, _| used.contains(id));
        for inode in state.inodes.values_mut() {
            inode.crash(&mut state.random);
        }
        state.names.clone_from(&names);
        state.durable_names = names;
    }

    /// After this many operations more, every one fails until [`PowerLossDisk::crash`].
    pub fn cut_power_after(&self, operations: u64) {
        self.0.lock().operations_left = Some(operations);
    }

    /// Operations succeed again after [`PowerLossDisk::cut_power_after`], and nothing is lost: it was only
    /// the process that died. Files that are open go on working, as another process's would.
    pub fn restore_power(&self) {
        self.0.lock().operations_left = None;
    }

    /// Leaves out the syncs that the function picks, though they claim success: a test that still
    /// passes does not need them. `None` leaves out none.
    pub fn skip_syncs(&self, skip: Option<SkipSync>) {
        self.0.lock().skip_sync = skip;
    }

    /// How many syncs were asked for so far.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Every file's name and bytes as running programs see them; for tests that damage or print them.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.0.lock();
        state.names.iter().map(|(path, id)| (path.clone(), state.inodes[id].current.clone())).collect()
    }

    /// Replaces a file's bytes, durably: damage, as a test wants it.
    pub fn set_file(&self, path: &Path, bytes: Vec<u8>) {
        let state = &mut *self.0.lock();
        let id = state.names[path];
        let inode = state.inode(id);
        inode.current = bytes;
        inode.sync();
    }

    /// A copy of the disk as it is, at rest, with a seed of its own.
    pub fn fork(&self, seed: u64) -> PowerLossDisk {
        let copy = PowerLossDisk::new(seed);
        let state = self.0.lock();
        {
            let to = &mut *copy.0.lock();
            to.folders.clone_from(&state.folders);
            to.names.clone_from(&state.names);
            to.durable_names.clone_from(&state.names);
            to.next_inode = state.next_inode;
            for (id, inode) in &state.inodes {
                let bytes = inode.current.clone();
                to.inodes.insert(*id, Inode { durable: bytes.clone(), current: bytes, ..Inode::default() });
            }
        }
        copy
    }
}

struct PowerLossFile {
    disk: PowerLossDisk,
    boot: u64,
    inode: u64,
    path: PathBuf,
    writable: bool,
}

impl PowerLossFile {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.disk.0.lock();
        state.tick(self.boot)?;
        act(state)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(error(io::ErrorKind::PermissionDenied, &self.path)) }
    }
}

fn to_usize(value: u64) -> io::Result<usize> {
    usize::try_from(value).map_err(io::Error::other)
}

impl DiskFile for PowerLossFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|state| {
            let start = to_usize(offset)?;
            let bytes = &state.inode(self.inode).current;
            let found = start.checked_add(buf.len()).and_then(|end| bytes.get(start..end));
            buf.copy_from_slice(found.ok_or_else(|| error(io::ErrorKind::UnexpectedEof, &self.path))?);
            Ok(())
        })
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.with(|state| {
            state.inode(self.inode).write(buf, to_usize(offset)?);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.inode(self.inode).current.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.with(|state| {
            state.inode(self.inode).resize(to_usize(len)?);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            if !state.skips(SyncKind::File, &self.path) {
                state.inode(self.inode).sync();
            }
            Ok(())
        })
    }
}

impl Disk for PowerLossDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        let folder = parent(path);
        state.folder_exists(&folder)?;
        let inode = match mode {
            OpenMode::CreateNew => {
                if state.names.contains_key(path) || state.folders.contains(path) {
                    return Err(error(io::ErrorKind::AlreadyExists, path));
                }
                let id = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(id, Inode::default());
                state.change(folder, Change::Add(path.to_path_buf(), id));
                id
            }
            OpenMode::Read | OpenMode::ReadWrite => state.inode_at(path)?,
        };
        Ok(Arc::new(PowerLossFile {
            disk: self.clone(),
            boot: state.boot,
            inode,
            path: path.to_path_buf(),
            writable: mode != OpenMode::Read,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        let id = state.inode_at(from)?;
        let (old, new) = (parent(from), parent(to));
        state.folder_exists(&new)?;
        if old == new {
            state.change(old, Change::Rename(from.to_path_buf(), to.to_path_buf(), id));
        } else {
            state.change(new, Change::Add(to.to_path_buf(), id));
            state.change(old, Change::Remove(from.to_path_buf(), id));
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        let id = state.inode_at(from)?;
        let folder = parent(to);
        state.folder_exists(&folder)?;
        if state.names.contains_key(to) {
            return Err(error(io::ErrorKind::AlreadyExists, to));
        }
        state.change(folder, Change::Add(to.to_path_buf(), id));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        let id = state.inode_at(path)?;
        state.change(parent(path), Change::Remove(path.to_path_buf(), id));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            if state.names.contains_key(folder) {
                return Err(error(io::ErrorKind::AlreadyExists, folder));
            }
            state.folders.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        state.folder_exists(path)?;
        let occupied = state.names.keys().chain(&state.folders).any(|other| other.parent() == Some(path));
        if occupied {
            return Err(error(io::ErrorKind::DirectoryNotEmpty, path));
        }
        state.folders.remove(path);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        state.folder_exists(path)?;
        let name = |entry: &PathBuf| {
            let name = entry.file_name()?.to_str()?;
            (entry.parent() == Some(path)).then(|| name.to_string())
        };
        let files = state.names.keys().filter_map(name).map(|name| (name, false));
        let folders = state.folders.iter().filter_map(name).map(|name| (name, true));
        let mut names: Vec<_> = files.chain(folders).collect();
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.tick_now()?;
        state.folder_exists(path)?;
        if state.skips(SyncKind::Dir, path) {
            return Ok(());
        }
        let State { changes, durable_names, .. } = state;
        changes.retain(|(folder, change)| {
            let synced = folder == path;
            if synced {
                change.apply(durable_names);
            }
            !synced
        });
        Ok(())
    }
}
