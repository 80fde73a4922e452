//! Looks into a directory of [`Disk`](crate::Disk) while no cache has it: what is there, whether it is whole; and empties
//! it.
//!
//! Nothing of a record is shown but its size: keys and values are the program's.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use larder_codec::HEADER;
use larder_runtime::StoreError;

use crate::directory::Directory;
use crate::log::Log;

/// A directory that is looked into.
pub struct Inspected {
    directory: Arc<Directory>,
}

impl fmt::Debug for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected").field("path", &self.directory.path()).finish_non_exhaustive()
    }
}

/// What is there of one cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// Its name there: the cache's, and a number for its types.
    pub name: String,
    /// Records.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records that are not whole. They are never found by a cache.
    pub damaged: u64,
    /// Records that cannot be read where they should be.
    pub missing: u64,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, records, bytes, damaged, missing } = self;
        write!(f, "{name}: {records} records, {bytes} bytes, {damaged} damaged, {missing} missing")
    }
}

/// Opens the directory that is given to [`Disk::at`](crate::Disk::at).
///
/// # Errors
///
/// Another process has it, or it cannot be opened.
pub fn open(path: impl AsRef<Path>) -> Result<Inspected, StoreError> {
    Ok(Inspected { directory: Directory::open(path.as_ref(), false)? })
}

impl Inspected {
    /// The names of the caches that have something there.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn caches(&self) -> Result<Vec<String>, StoreError> {
        self.directory.names()
    }

    /// Bytes that all of it takes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.directory.bytes()
    }

    /// Reads everything that there is of a cache, and checks it.
    ///
    /// # Errors
    ///
    /// A cache of this process has it, or the store cannot be read.
    pub fn verify(&self, name: &str) -> Result<Contents, StoreError> {
        let mut contents = Contents { name: name.to_owned(), ..Contents::default() };
        self.each(name, &mut |record| match record {
            Some(record) => {
                contents.records += 1;
                contents.bytes += record.len() as u64;
                contents.damaged += u64::from(!larder_codec::is_whole(&record));
            }
            None => contents.missing += 1,
        })?;
        Ok(contents)
    }

    /// The sizes of keys and values of a cache, in bytes as they lie.
    ///
    /// # Errors
    ///
    /// As of [`verify`](Self::verify).
    pub fn sizes(&self, name: &str) -> Result<Vec<(u32, u32)>, StoreError> {
        let mut sizes = Vec::new();
        self.each(name, &mut |record| {
            if let Some(record) = record
                && let Some(key) = larder_codec::key_bytes(&record)
            {
                sizes.push((key, (record.len() - HEADER) as u32 - key));
            }
        })?;
        Ok(sizes)
    }

    /// Removes everything of a cache, and its name.
    ///
    /// # Errors
    ///
    /// As of [`verify`](Self::verify).
    pub fn clear(&self, name: &str) -> Result<(), StoreError> {
        self.borrowed(name, |log| fs::remove_dir_all(log.folder()))
    }

    /// Shows each record; `None` for one that is not where it should be.
    fn each(&self, name: &str, show: &mut dyn FnMut(Option<Vec<u8>>)) -> Result<(), StoreError> {
        self.borrowed(name, |log| {
            let mut numbers = log.numbers();
            numbers.sort_unstable();
            numbers.into_iter().try_for_each(|number| log.read(number).map(&mut *show))
        })
    }

    /// Does something with the log of a name that nobody has.
    fn borrowed<R>(&self, name: &str, with: impl FnOnce(&Log) -> io::Result<R>) -> Result<R, StoreError> {
        if !self.directory.names()?.iter().any(|known| known == name) {
            return Err(StoreError::Io(io::ErrorKind::NotFound));
        }
        let log = self.directory.take(name, u64::MAX)?;
        let result = with(&log);
        drop(log);
        self.directory.release(name);
        result.map_err(|error| StoreError::from_io(&error, self.directory.path()))
    }
}
