//! The records of one cache in a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use fjall::PersistMode;
use larder_runtime::{Store, StoreError, StoreWrite};

use crate::directory::Directory;

pub(crate) struct Space {
    pub(crate) directory: Arc<Directory>,
    pub(crate) name: String,
    pub(crate) closed: AtomicBool,
    /// Tells the time of the system, in tests.
    pub(crate) clock: Option<fn() -> u64>,
}

impl Drop for Space {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for Space {
    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.directory.with(&self.name, |_, spaces| {
            Ok(spaces.records.get(number.to_be_bytes())?.map(|value| value.to_vec()))
        })
    }

    fn write(&self, batch: &[StoreWrite<'_>]) -> Result<(), StoreError> {
        let mut bytes = 0;
        let written = self.directory.change(&self.name, |database, spaces| {
            // What has been written is the system's, and outlives the process.
            let begin = || database.batch().durability(Some(PersistMode::Buffer));
            let mut changes = begin();
            for change in batch {
                match *change {
                    StoreWrite::Put { number, label, record } => {
                        bytes += (label.len() + record.len()) as u64;
                        changes.insert(&spaces.labels, number.to_be_bytes(), label);
                        changes.insert(&spaces.records, number.to_be_bytes(), record);
                    }
                    StoreWrite::Remove { number } => {
                        changes.remove(&spaces.labels, number.to_be_bytes());
                        changes.remove(&spaces.records, number.to_be_bytes());
                    }
                    StoreWrite::Clear => {
                        std::mem::replace(&mut changes, begin()).commit()?;
                        // Labels last: without one nobody knows of a record any more.
                        spaces.records.clear()?;
                        spaces.labels.clear()?;
                    }
                    // Of a later runtime, which comes with a later one of these.
                    _ => {}
                }
            }
            changes.commit()
        });
        self.directory.wrote(bytes);
        written
    }

    fn labels(
        &self,
        from: u64,
        most: usize,
        show: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<u64>, StoreError> {
        self.directory.with(&self.name, |_, spaces| {
            let mut next = None;
            for (count, label) in spaces.labels.range(from.to_be_bytes()..).enumerate() {
                let (key, label) = label.into_inner()?;
                let Ok(number) = <[u8; 8]>::try_from(&*key).map(u64::from_be_bytes) else { continue };
                if count == most {
                    next = Some(number);
                    break;
                }
                show(number, &label);
            }
            Ok(next)
        })
    }

    fn next(&self) -> Result<u64, StoreError> {
        self.directory.with(&self.name, |_, spaces| {
            let last = |space: &fjall::Keyspace| match space.last_key_value() {
                Some(last) => {
                    let key = last.key()?;
                    Ok(<[u8; 8]>::try_from(&*key).map_or(0, |key| u64::from_be_bytes(key) + 1))
                }
                None => Ok::<_, fjall::Error>(0),
            };
            Ok(last(&spaces.labels)?.max(last(&spaces.records)?))
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.directory.sync()
    }

    fn bytes(&self) -> u64 {
        self.directory.bytes_of(&self.name)
    }

    fn compact(&self) {
        // What fails here fails again where somebody hears of it.
        let _ = self.directory.compact(&self.name);
    }

    fn mend(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.directory.mend()
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
