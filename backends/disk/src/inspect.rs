//! Looks into a directory of [`Disk`](crate::Disk) while no cache has it: what is there, whether it is whole; and empties
//! it.
//!
//! Nothing of a record is shown but its size: keys and values are the program's.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fjall::Guard;
use larder_codec::HEADER;
use larder_runtime::StoreError;

use crate::directory::{Directory, labels_of, meaning, records_of};

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
    /// Records that are not whole, or that no label knows. They are never found by a cache.
    pub damaged: u64,
    /// Labels without a record.
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
    /// It was closed by an error.
    pub fn caches(&self) -> Result<Vec<String>, StoreError> {
        let names = self.directory.names()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix("l:").map(str::to_owned)).collect())
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
        self.borrowed(name, || {
            self.directory.with(name, |_, spaces| {
                let mut contents = Contents { name: name.to_owned(), ..Contents::default() };
                for record in spaces.records.iter() {
                    let Ok((number, record)) = Guard::into_inner(record) else {
                        contents.damaged += 1;
                        continue;
                    };
                    contents.records += 1;
                    contents.bytes += record.len() as u64;
                    let labelled = spaces.labels.contains_key(&*number)?;
                    contents.damaged += u64::from(!labelled || !larder_codec::is_whole(&record));
                }
                for label in spaces.labels.iter() {
                    let number = label.key()?;
                    contents.missing += u64::from(!spaces.records.contains_key(&*number)?);
                }
                Ok(contents)
            })
        })
    }

    /// The sizes of keys and values of a cache, in bytes as they lie.
    ///
    /// # Errors
    ///
    /// As of [`verify`](Self::verify).
    pub fn sizes(&self, name: &str) -> Result<Vec<(u32, u32)>, StoreError> {
        self.borrowed(name, || {
            self.directory.with(name, |_, spaces| {
                let mut sizes = Vec::new();
                for record in spaces.records.iter() {
                    let (_, record) = Guard::into_inner(record)?;
                    if let Some(key) = larder_codec::key_bytes(&record) {
                        sizes.push((key, (record.len() - HEADER) as u32 - key));
                    }
                }
                Ok(sizes)
            })
        })
    }

    /// Removes everything of a cache, and its name.
    ///
    /// # Errors
    ///
    /// As of [`verify`](Self::verify).
    pub fn clear(&self, name: &str) -> Result<(), StoreError> {
        let path = self.directory.path();
        self.borrowed(name, || {
            self.directory.change(name, |database, spaces| {
                database.delete_keyspace(spaces.records.clone())?;
                database.delete_keyspace(spaces.labels.clone())
            })
        })
        .map_err(|error| match error {
            StoreError::Closed => meaning(&fjall::Error::KeyspaceDeleted, path),
            other => other,
        })
    }

    /// Does something with the spaces of a name that nobody has.
    fn borrowed<R>(&self, name: &str, with: impl FnOnce() -> Result<R, StoreError>) -> Result<R, StoreError> {
        let names = self.directory.names()?;
        if !names.contains(&labels_of(name)) && !names.contains(&records_of(name)) {
            return Err(StoreError::Io(std::io::ErrorKind::NotFound));
        }
        self.directory.take(name)?;
        let result = with();
        self.directory.release(name);
        result
    }
}
