//! A directory with the records of many caches: one store of fjall's, opened once in a process, and opened again when it
//! had failed.
//!
//! Each cache has two spaces there: labels, which are all read when it is opened, and records.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use larder_runtime::StoreError;

/// In a directory of its own, so that nothing else in the user's is ever touched.
const FOLDER: &str = "larder-1";
/// Where fjall has what is no journal.
const SPACES: &str = "keyspaces";
/// What was read stays in memory up to this.
const READ_CACHE: u64 = 8 << 20;
/// What was written, up to about three of these for each cache.
const WRITE_BUFFER: u64 = 4 << 20;
/// Small, so that journals need not wait for labels.
const LABEL_BUFFER: u64 = 256 << 10;
/// The least that fjall takes.
const JOURNALS: u64 = 64 << 20;
/// Records from so many bytes on lie apart, and are not moved when others are sorted.
const APART: u32 = 1024;
/// In files of this size, so that what goes gives its room back soon.
const FILE: u64 = 8 << 20;
/// Files of which a fifth is gone are written anew.
const STALE: f32 = 0.2;
/// What was written is in its files after this, or the disk is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nobody looks at the size of all files more often than this,
const LOOK: Duration = Duration::from_secs(2);
/// or after fewer bytes.
const LOOK_AFTER: u64 = 8 << 20;

/// The directories that this process has open.
static OPEN: Mutex<Vec<(PathBuf, Weak<Directory>)>> = Mutex::new(Vec::new());

pub(crate) struct Directory {
    path: PathBuf,
    /// `None` where it could not be opened again.
    store: RwLock<Option<Opened>>,
    /// A write failed since it was opened.
    broken: AtomicBool,
    /// Names that caches have now.
    taken: Mutex<HashSet<String>>,
    size: Mutex<Size>,
    written: AtomicU64,
}

pub(crate) struct Opened {
    pub(crate) database: Database,
    spaces: HashMap<String, Spaces>,
}

/// Of one cache.
#[derive(Clone)]
pub(crate) struct Spaces {
    pub(crate) labels: Keyspace,
    pub(crate) records: Keyspace,
}

struct Size {
    bytes: u64,
    at: Option<(Instant, u64)>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error of fjall's means.
pub(crate) fn meaning(error: &fjall::Error, path: &Path) -> StoreError {
    match error {
        fjall::Error::Locked => StoreError::Locked(path.to_owned()),
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            StoreError::from_io(error, path)
        }
        fjall::Error::KeyspaceDeleted => StoreError::Closed,
        // A write failed before, and nothing is written until it is opened again.
        fjall::Error::Poisoned => StoreError::Io(std::io::ErrorKind::Other),
        _ => StoreError::Damaged(path.to_owned()),
    }
}

impl Directory {
    /// The one for this path. What is damaged goes, if the user said so.
    pub(crate) fn open(path: &Path, empties: bool) -> Result<Arc<Self>, StoreError> {
        let folder = path.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| StoreError::from_io(&error, path))?;
        let folder = folder.canonicalize().map_err(|error| StoreError::from_io(&error, path))?;
        let mut open = lock(&OPEN);
        open.retain(|(_, directory)| directory.strong_count() > 0);
        if let Some(directory) =
            open.iter().find(|(at, _)| *at == folder).and_then(|(_, known)| known.upgrade())
        {
            return Ok(directory);
        }
        let store = match open_store(&folder) {
            Err(StoreError::Damaged(_)) if empties => {
                fs::remove_dir_all(&folder)
                    .and_then(|()| fs::create_dir_all(&folder))
                    .map_err(|error| StoreError::from_io(&error, path))?;
                open_store(&folder)?
            }
            opened => opened?,
        };
        let directory = Arc::new(Self {
            path: folder.clone(),
            store: RwLock::new(Some(store)),
            broken: AtomicBool::new(false),
            taken: Mutex::default(),
            size: Mutex::new(Size { bytes: 0, at: None }),
            written: AtomicU64::new(0),
        });
        open.push((folder, Arc::downgrade(&directory)));
        Ok(directory)
    }

    /// Gives a cache of this name its spaces.
    pub(crate) fn take(&self, name: &str) -> Result<(), StoreError> {
        if !lock(&self.taken).insert(name.to_owned()) {
            return Err(StoreError::Taken(name.to_owned()));
        }
        let made = self.write().as_mut().map_or(Err(StoreError::Closed), |opened| {
            let spaces = make(&opened.database, name).map_err(|error| meaning(&error, &self.path))?;
            opened.spaces.insert(name.to_owned(), spaces);
            Ok(())
        });
        if made.is_err() {
            lock(&self.taken).remove(name);
        }
        made
    }

    /// The cache of this name is gone.
    pub(crate) fn release(&self, name: &str) {
        if let Some(opened) = self.write().as_mut() {
            opened.spaces.remove(name);
        }
        lock(&self.taken).remove(name);
    }

    /// All spaces there are.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let store = self.read();
        let Some(opened) = &*store else { return Err(StoreError::Closed) };
        Ok(opened.database.list_keyspace_names().iter().map(ToString::to_string).collect())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Opened>> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `with` with the spaces of a cache.
    pub(crate) fn with<R>(
        &self,
        name: &str,
        with: impl FnOnce(&Database, &Spaces) -> Result<R, fjall::Error>,
    ) -> Result<R, StoreError> {
        let store = self.read();
        let Some(opened) = &*store else { return Err(StoreError::Closed) };
        let Some(spaces) = opened.spaces.get(name) else { return Err(StoreError::Closed) };
        with(&opened.database, spaces).map_err(|error| meaning(&error, &self.path))
    }

    /// [`with`](Self::with) for writing: after an error nothing is written until it is opened again.
    pub(crate) fn change<R>(
        &self,
        name: &str,
        with: impl FnOnce(&Database, &Spaces) -> Result<R, fjall::Error>,
    ) -> Result<R, StoreError> {
        let changed = self.with(name, with);
        if changed.is_err() {
            self.broken.store(true, Ordering::Release);
        }
        changed
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let store = self.read();
        let Some(opened) = &*store else { return Err(StoreError::Closed) };
        opened.database.persist(PersistMode::SyncAll).map_err(|error| meaning(&error, &self.path))
    }

    /// Opens it again, if a write failed since it was opened.
    pub(crate) fn mend(&self) -> Result<(), StoreError> {
        let mut store = self.write();
        if store.is_some() && !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        // All of it, or the lock is still ours.
        drop(store.take());
        let mut opened = open_store(&self.path)?;
        for name in &*lock(&self.taken) {
            let spaces = make(&opened.database, name).map_err(|error| meaning(&error, &self.path))?;
            opened.spaces.insert(name.clone(), spaces);
        }
        *store = Some(opened);
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Bytes that its files take.
    pub(crate) fn bytes(&self) -> u64 {
        taken_by(&self.path)
    }

    /// Bytes that the files of one cache take, and its part of those that all share, when somebody last looked.
    pub(crate) fn bytes_of(&self, name: &str) -> u64 {
        let own = self.with(name, |_, spaces| Ok(spaces.records.disk_space() + spaces.labels.disk_space()));
        let caches = lock(&self.taken).len().max(1) as u64;
        own.unwrap_or(0) + self.shared_bytes() / caches
    }

    /// Has what is gone leave the files of one cache, and journals what is written elsewhere.
    pub(crate) fn compact(&self, name: &str) -> Result<(), StoreError> {
        // Not under the lock: it takes long.
        let Spaces { labels, records } = self.with(name, |_, spaces| Ok(spaces.clone()))?;
        let compacted = || {
            records.rotate_memtable()?;
            labels.rotate_memtable()?;
            // Where it is not written in this time the disk is not well, and this is not worth waiting for.
            let until = Instant::now() + PATIENCE;
            while records.sealed_memtable_count() + labels.sealed_memtable_count() > 0 {
                if Instant::now() > until {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            // Which values nobody refers to is known only after the first.
            records.major_compact()?;
            if records.fragmented_blob_bytes() * 5 > records.disk_space() {
                records.major_compact()?;
            }
            labels.major_compact()
        };
        let compacted = compacted().map_err(|error: fjall::Error| meaning(&error, &self.path));
        lock(&self.size).at = None;
        compacted
    }

    /// Of journals, nearly all.
    fn shared_bytes(&self) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        let mut size = lock(&self.size);
        let is_fresh =
            size.at.is_some_and(|(at, before)| at.elapsed() < LOOK && written - before < LOOK_AFTER);
        if !is_fresh {
            size.bytes = taken_by(&self.path).saturating_sub(taken_by(&self.path.join(SPACES)));
            size.at = Some((Instant::now(), written));
        }
        size.bytes
    }
}

/// Opens what is there. What fjall cannot make sense of may have it panic.
fn open_store(folder: &Path) -> Result<Opened, StoreError> {
    let builder = || {
        Database::builder(folder)
            .cache_size(READ_CACHE)
            .worker_threads(1)
            .max_journaling_size(JOURNALS)
            .open()
    };
    match catch_unwind(AssertUnwindSafe(builder)) {
        Ok(Ok(database)) => Ok(Opened { database, spaces: HashMap::new() }),
        Ok(Err(error)) => Err(meaning(&error, folder)),
        Err(panic) => {
            // One with a drop of its own is not worth another.
            std::mem::forget(panic);
            Err(StoreError::Damaged(folder.to_owned()))
        }
    }
}

fn make(database: &Database, name: &str) -> Result<Spaces, fjall::Error> {
    let records = || {
        let apart = KvSeparationOptions::default()
            .separation_threshold(APART)
            .file_target_size(FILE)
            .staleness_threshold(STALE)
            .age_cutoff(1.0);
        KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER).with_kv_separation(Some(apart))
    };
    let labels = || KeyspaceCreateOptions::default().max_memtable_size(LABEL_BUFFER);
    Ok(Spaces {
        labels: database.keyspace(&labels_of(name), labels)?,
        records: database.keyspace(&records_of(name), records)?,
    })
}

pub(crate) fn labels_of(name: &str) -> String {
    format!("l:{name}")
}

pub(crate) fn records_of(name: &str) -> String {
    format!("r:{name}")
}

/// Bytes that all files below a folder take on the disk.
fn taken_by(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => taken_by(&entry.path()),
        Ok(metadata) => size_of(&metadata),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// Without what is only announced: journals are made longer than they are.
#[cfg(unix)]
fn size_of(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn size_of(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
