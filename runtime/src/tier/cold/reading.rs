//! Looking up: where a record is, its bytes, and whether they are whole; and what follows from a disk that is slow or fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::index::Slot;
use super::{ColdTier, OPEN, guarded};
use crate::tier::events::{Event, tell};
use crate::tier::warm::count;
use crate::tier::{Sealed, StoreError};
use crate::time::{Nanos, nanos};

/// A record that was found; others may have replaced it by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    slot: Slot,
}

impl Place {
    pub(crate) fn cost(&self) -> u8 {
        self.slot.cost
    }

    pub(crate) fn uses(&self) -> u8 {
        self.slot.uses
    }
}

/// A record's bytes.
pub(crate) enum Blob {
    /// That wait to be written.
    Waiting(Arc<Vec<u8>>),
    Read(Vec<u8>),
}

impl std::ops::Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Waiting(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

impl ColdTier {
    /// The record under this hash, if there is one.
    pub(crate) fn locate(&self, hash: u32, is_use: bool) -> Option<Place> {
        if !self.is_on() {
            return None;
        }
        let slot = self.index.find(hash, self.now(), is_use, self.hands())?;
        Some(Place { slot })
    }

    /// The record under this hash, by who changes all keys.
    pub(crate) fn look(&self, hash: u32) -> Option<Place> {
        self.index.look(hash).filter(|slot| slot.expires > self.now()).map(|slot| Place { slot })
    }

    pub(crate) fn hashes(&self) -> Vec<u32> {
        self.index.hashes()
    }

    /// The hashes of all records, the most valuable first.
    pub(crate) fn by_value(&self) -> Vec<u32> {
        self.index.by_value(self.rate()).iter().map(|slot| slot.hash).collect()
    }

    /// The bytes of a record. Waits for the disk.
    pub(crate) fn read(&self, place: &Place) -> Option<Blob> {
        if let Some(waiting) = self.queue.find(place.slot.number) {
            return Some(Blob::Waiting(waiting));
        }
        let (store, _) = self.opened()?;
        let began = self.now();
        let read = guarded(|| store.read(place.slot.number));
        self.judge(place, began, read)
    }

    /// [`read`](Self::read), on a thread that may wait.
    pub(crate) async fn read_apart(&self, place: Place) -> Option<Blob> {
        if let Some(waiting) = self.queue.find(place.slot.number) {
            return Some(Blob::Waiting(waiting));
        }
        let (store, _) = self.opened()?;
        let (number, began) = (place.slot.number, self.now());
        let read = self.ground.workers.run(move || guarded(|| store.read(number))).await;
        self.judge(&place, began, read.unwrap_or(Err(StoreError::Panicked)))
    }

    fn judge(&self, place: &Place, began: Nanos, read: Result<Option<Vec<u8>>, StoreError>) -> Option<Blob> {
        let now = self.now();
        let late = now.saturating_sub(began) > nanos(self.settings.patience);
        match &read {
            Ok(_) if !late => self.breaker.fine(),
            Ok(_) => self.failed_read(&StoreError::Slow, now),
            Err(error) => {
                count(&self.counts.failures, 1);
                self.failed_read(error, now);
            }
        }
        let bytes = read.ok()?;
        if bytes.is_none() {
            // Evicted meanwhile, or lost.
            self.drop_record(place);
        }
        bytes.map(Blob::Read)
    }

    fn failed_read(&self, error: &StoreError, now: Nanos) {
        if self.breaker.failed(error, now) {
            self.tell_broken(error);
        }
    }

    pub(super) fn tell_broken(&self, error: &StoreError) {
        tell(&Event::Broke { cache: &self.ground.card.name, why: error });
        self.ground.workers.rouse();
    }

    /// What a record is made of, and when its entry is too old. One that cannot be opened is no record.
    pub(crate) fn unseal<'a>(&self, place: &Place, blob: &'a [u8]) -> Option<(Sealed<'a>, Nanos)> {
        let (_, envelope) = self.opened()?;
        match envelope.open(blob) {
            Some(sealed) => {
                let deadline = self.time_of_wall(sealed.deadline);
                Some((sealed, deadline))
            }
            None => {
                self.damaged(place);
                None
            }
        }
    }

    /// A record cannot be read: it goes.
    pub(crate) fn damaged(&self, place: &Place) {
        count(&self.counts.failures, 1);
        self.drop_record(place);
    }

    /// An entry cannot be written.
    pub(crate) fn failed_to_write(&self) {
        count(&self.counts.failures, 1);
    }

    /// A record goes.
    pub(crate) fn drop_record(&self, place: &Place) {
        self.index.take(place.slot.hash, place.slot.number, self.hands());
    }

    /// Tells of a look-up that found a record, and what that took.
    pub(crate) fn hit(&self, place: &Place, began: Nanos) {
        let took = self.now().saturating_sub(began);
        let seen = took.saturating_mul(1024) / u64::from(place.slot.bytes.max(256));
        let known = self.pace.load(Ordering::Relaxed);
        // One stall must not decide for long.
        let seen = if known == 0 { seen } else { seen.min(known.saturating_mul(4)) };
        self.pace.store(if known == 0 { seen } else { (known * 15 + seen) / 16 }, Ordering::Relaxed);
        count(&self.counts.hits, 1);
        count(&self.counts.saved, crate::cost::decode(place.slot.cost).saturating_sub(took));
    }

    /// Tells of one that did not.
    pub(crate) fn miss(&self) {
        if self.state.load(Ordering::Relaxed) == OPEN {
            count(&self.counts.misses, 1);
        }
    }

    /// When a look-up begins.
    pub(crate) fn began(&self) -> Nanos {
        self.now()
    }
}
