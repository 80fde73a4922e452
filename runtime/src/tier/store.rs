//! Where records outlive the process: what a tier on disk asks of a store, and of what writes its records.
//!
//! A store knows numbers and bytes. Which entry a number is, is in the tier's index; what the bytes are is an
//! [`Envelope`]'s to know.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The records of one cache in a place that outlives the process.
///
/// Each record has a number that is used once, and a *label*: a few bytes that are read for all records when the store
/// is opened, so that nothing else has to be. Calls come from several threads, may block, and may take long: larder calls
/// [`write`](Self::write), [`sync`](Self::sync) and [`mend`](Self::mend) from a thread of its own (or from
/// [`tick`](crate::tick), [`flush`](crate::flush) and the drop of the last handle), and never with a lock held that a
/// look-up takes. What fails or panics is as if there were nothing.
pub trait Store: Send + Sync {
    /// The record of that number.
    ///
    /// # Errors
    ///
    /// The store cannot be read. No such record is no error.
    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Does all of this in its order, or nothing. When it returns, it outlives the process, though maybe not the machine.
    ///
    /// # Errors
    ///
    /// Not all of it was done, as far as the store knows.
    fn write(&self, batch: &[StoreWrite<'_>]) -> Result<(), StoreError>;

    /// Shows up to `most` labels in the order of their numbers, which are `from` or more; returns the number to go on
    /// with, `None` at the end.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn labels(
        &self,
        from: u64,
        most: usize,
        show: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<u64>, StoreError>;

    /// A number that is above those of all records.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn next(&self) -> Result<u64, StoreError>;

    /// What was written outlives the machine, too.
    ///
    /// # Errors
    ///
    /// Nobody knows whether it does.
    fn sync(&self) -> Result<(), StoreError>;

    /// A few bytes that the cache [left](Self::set_note) there last, whole; `None` where there are none, or they cannot be
    /// read.
    fn note(&self) -> Option<Vec<u8>> {
        None
    }

    /// Keeps a few bytes for the cache of the next process, in place of those before.
    ///
    /// # Errors
    ///
    /// They are not there, and maybe those before are not, either.
    fn set_note(&self, note: &[u8]) -> Result<(), StoreError> {
        let _ = note;
        Ok(())
    }

    /// Bytes that it takes where it is, about.
    fn bytes(&self) -> u64;

    /// Tries to get going again after an error.
    ///
    /// # Errors
    ///
    /// It still cannot.
    fn mend(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Nobody asks any more: another cache of the same name may have it.
    fn close(&self) {}

    /// Milliseconds since 1970, by which the ages of records are told apart from one process to the next.
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}

/// One change of a store.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StoreWrite<'a> {
    /// A record comes.
    Put {
        /// Its number, which no other record had.
        number: u64,
        /// What is read of it when the store is opened.
        label: &'a [u8],
        /// What is read of it when it is wanted.
        record: &'a [u8],
    },
    /// A record goes, if it is there.
    Remove {
        /// Its number.
        number: u64,
    },
    /// All records go that are there.
    Clear,
}

/// What is known of an entry, with its key and value as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed<'a> {
    /// How the value was made smaller; 0 for not at all.
    pub packing: u8,
    /// When it is too old, in milliseconds since 1970; [`u64::MAX`] for never.
    pub deadline: u64,
    /// What a miss costs, as a byte of larder's scale.
    pub cost: u8,
    /// The user's factor, likewise.
    pub factor: i8,
    /// Bytes of the value before it was made smaller.
    pub encoded: u32,
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value's.
    pub value: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// A key and a value, of which nothing is known.
    #[must_use]
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { packing: 0, deadline: u64::MAX, cost: 0, factor: 0, encoded: value.len() as u32, key, value }
    }
}

/// Writes what is known of an entry as one row of bytes that can be told from what other code wrote, and from what is
/// damaged.
pub trait Envelope: Send + Sync {
    /// Appends it. `false` where it cannot be written.
    fn seal(&self, sealed: &Sealed<'_>, into: &mut Vec<u8>) -> bool;

    /// Reads it back. `None` where the bytes are damaged, or not of this code.
    fn open<'a>(&self, bytes: &'a [u8]) -> Option<Sealed<'a>>;
}

/// A store for one cache, and how its records are written.
#[expect(missing_debug_implementations, reason = "neither has anything to show")]
pub struct Opened {
    /// Where.
    pub store: Arc<dyn Store>,
    /// How.
    pub envelope: Arc<dyn Envelope>,
}

/// Why a store cannot be used. Has the place of the store in it, and nothing of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Nobody said where.
    NoPath,
    /// Another process has it.
    Locked(PathBuf),
    /// Another cache of this process has that name there.
    Taken(String),
    /// It cannot be written there, or not read.
    Denied(PathBuf),
    /// There is no room left.
    Full,
    /// What is there is no store of ours, or is damaged.
    Damaged(PathBuf),
    /// The system says no for another reason.
    Io(io::ErrorKind),
    /// It was closed.
    Closed,
    /// It panicked.
    Panicked,
    /// It takes too long.
    Slow,
}

impl StoreError {
    /// What an error of the system means for a store in this place.
    #[must_use]
    pub fn from_io(error: &io::Error, at: &Path) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied(at.to_owned())
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged(at.to_owned()),
            kind => Self::Io(kind),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPath => f.write_str(
                "nobody said where: give the tier a `path`, set LARDER_DISK, or call `larder::disk::set_path`",
            ),
            Self::Locked(path) => write!(
                f,
                "another process uses {}: give each process a directory of its own, or end the other one",
                path.display()
            ),
            Self::Taken(name) => write!(
                f,
                "another cache is called `{name}` there: give one of them another name or another directory"
            ),
            Self::Denied(path) => write!(
                f,
                "{} cannot be read and written by this user: give it the rights, or another directory",
                path.display()
            ),
            Self::Full => f.write_str("there is no room left on the disk: make some, or lower `max_mb`"),
            Self::Damaged(path) => write!(
                f,
                "what is in {} is damaged, or no store of larder's: remove it, or give another directory",
                path.display()
            ),
            Self::Io(kind) => write!(f, "the system says: {kind}"),
            Self::Closed => f.write_str("it was closed"),
            Self::Panicked => f.write_str("the store panicked"),
            Self::Slow => f.write_str("the disk takes too long"),
        }
    }
}

impl Error for StoreError {}
