//! The records of one cache in a directory.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use larder_runtime::{Store, StoreError, StoreWrite};

use crate::directory::Directory;
use crate::log::Log;

#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) directory: Arc<Directory>,
    pub(crate) log: Log,
    pub(crate) name: String,
    pub(crate) closed: AtomicBool,
    /// Tells the time of the system, in tests.
    pub(crate) clock: Option<fn() -> u64>,
}

impl Space {
    fn meaning(&self, error: &io::Error) -> StoreError {
        StoreError::from_io(error, self.directory.path())
    }

    fn note_file(&self) -> PathBuf {
        self.log.folder().join("curve")
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for Space {
    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.log.read(number).map_err(|error| self.meaning(&error))
    }

    fn write(&self, batch: &[StoreWrite<'_>]) -> Result<(), StoreError> {
        self.log.write(batch).map_err(|error| self.meaning(&error))
    }

    fn labels(
        &self,
        from: u64,
        most: usize,
        show: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<u64>, StoreError> {
        self.log.labels(from, most, show).map_err(|error| self.meaning(&error))
    }

    fn next(&self) -> Result<u64, StoreError> {
        Ok(self.log.next())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.log.sync().map_err(|error| self.meaning(&error))
    }

    fn note(&self) -> Option<Vec<u8>> {
        fs::read(self.note_file()).ok()
    }

    fn set_note(&self, note: &[u8]) -> Result<(), StoreError> {
        // Whole, or as before.
        let new = self.note_file().with_extension("new");
        let written = fs::write(&new, note).and_then(|()| fs::rename(new, self.note_file()));
        written.map_err(|error| self.meaning(&error))
    }

    fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    fn mend(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.log.mend().map_err(|error| self.meaning(&error))
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.directory.release(&self.name);
        }
    }

    fn now(&self) -> u64 {
        match self.clock {
            Some(clock) => clock(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        }
    }
}
