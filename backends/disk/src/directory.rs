//! A directory with the records of many caches, open once in a process, and in one process at a time.
//!
//! ```text
//! larder-1/version        what this is
//! larder-1/lock           held by the process that uses it
//! larder-1/NAME/name      of a cache: all of its name
//! larder-1/NAME/curve     what was learned of it
//! larder-1/NAME/7.labels  its log
//! ```

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use larder_runtime::StoreError;

use crate::log::Log;

/// In a directory of its own, so that nothing else in the user's is ever touched.
const FOLDER: &str = "larder-1";
const VERSION: &str = "larder 1\n";
/// The name of a cache's folder has so many characters of its own.
const NAME: usize = 80;

/// The directories that this process has open.
static OPEN: Mutex<Vec<(PathBuf, Weak<Directory>)>> = Mutex::new(Vec::new());

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Names that caches have now.
    taken: Mutex<HashSet<String>>,
    /// Locked, until it is closed.
    _lock: File,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    /// The one for this path. What is damaged goes, if the user said so.
    pub(crate) fn open(path: &Path, empties: bool) -> Result<Arc<Self>, StoreError> {
        let folder = path.join(FOLDER);
        let meaning = |error: io::Error| StoreError::from_io(&error, path);
        fs::create_dir_all(&folder).map_err(meaning)?;
        let folder = folder.canonicalize().map_err(meaning)?;
        let mut open = lock(&OPEN);
        open.retain(|(_, directory)| directory.strong_count() > 0);
        if let Some(directory) =
            open.iter().find(|(at, _)| *at == folder).and_then(|(_, known)| known.upgrade())
        {
            return Ok(directory);
        }
        let file = File::options().write(true).create(true).truncate(false).open(folder.join("lock"));
        let file = file.map_err(meaning)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked(folder.clone()),
            TryLockError::Error(error) => meaning(error),
        })?;
        match check_version(&folder) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData && empties => {
                empty(&folder).and_then(|()| check_version(&folder)).map_err(meaning)?;
            }
            checked => checked.map_err(meaning)?,
        }
        let directory = Arc::new(Self { path: folder.clone(), taken: Mutex::default(), _lock: file });
        open.push((folder, Arc::downgrade(&directory)));
        Ok(directory)
    }

    /// Gives a cache of this name its log, of which the files may take so many bytes.
    pub(crate) fn take(&self, name: &str, most: u64) -> Result<Log, StoreError> {
        if !lock(&self.taken).insert(name.to_owned()) {
            return Err(StoreError::Taken(name.to_owned()));
        }
        let log = self.open_log(name, most);
        if log.is_err() {
            self.release(name);
        }
        log.map_err(|error| StoreError::from_io(&error, &self.path))
    }

    fn open_log(&self, name: &str, most: u64) -> io::Result<Log> {
        let folder = self.folder_of(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("name");
        if fs::read(&file).ok().as_deref() != Some(name.as_bytes()) {
            fs::write(file, name)?;
        }
        Log::open(&folder, most)
    }

    /// The cache of this name is gone.
    pub(crate) fn release(&self, name: &str) {
        lock(&self.taken).remove(name);
    }

    /// Where a cache of this name has its files. Names may have anything in them, and tell folders apart by more than
    /// their letters.
    pub(crate) fn folder_of(&self, name: &str) -> PathBuf {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let start: String = name.chars().take(NAME).map(plain).collect();
        self.path.join(format!("{start}-{:016x}", number_of(name)))
    }

    /// The names of all caches that have something there.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(&self.path).map_err(|error| StoreError::from_io(&error, &self.path))?;
        let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("name")).ok();
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that its files take.
    pub(crate) fn bytes(&self) -> u64 {
        taken_by(&self.path)
    }
}

/// A number for a name, the same in every process (FNV-1a).
pub(crate) fn number_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Writes what this is, if nobody did; what is something else is an error.
fn check_version(folder: &Path) -> io::Result<()> {
    let file = folder.join("version");
    match fs::read(&file) {
        Ok(found) if found == VERSION.as_bytes() => Ok(()),
        // Whoever wrote it was killed.
        Ok(found) if !found.is_empty() => Err(io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::write(file, VERSION),
    }
}

/// Removes everything but what is locked.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != "lock" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Bytes of all files below a folder.
fn taken_by(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => taken_by(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
