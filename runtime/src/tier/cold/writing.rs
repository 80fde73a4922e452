//! What the writer does: batches from the queue to the store, and what follows when the store fails.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::queue::Change;
use super::workers::Laborer;
use super::{ColdTier, OPEN, guarded};
use crate::sync::fork;
use crate::tier::events::{Event, tell};
use crate::tier::warm::count;
use crate::tier::{Sealed, StoreError, StoreWrite};

/// The store may take so much more than its bound: a tenth, or 64 MB.
const SPARE: u64 = 64 << 20;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    /// There may be more.
    Some,
    Nothing,
    /// The store is left alone.
    Rest,
}

impl ColdTier {
    /// Does what there is to do; says when there is more.
    pub(super) fn labor(&self) -> Option<Duration> {
        if fork::forked() || self.state.load(Ordering::Acquire) != OPEN {
            return None;
        }
        while self.list_part() {
            // What was decided meanwhile need not wait for the end.
            let _ = self.write_some();
        }
        while self.write_some() == Did::Some {}
        if self.breaker.is_open() {
            // Not at once, whatever the clock says: somebody may hold it.
            return self.breaker.pause(self.now()).map(|pause| pause.max(Duration::from_millis(10)));
        }
        None
    }

    /// Writes a batch.
    fn write_some(&self) -> Did {
        let _alone = self.writing.lock();
        let Some((store, _)) = self.opened() else { return Did::Nothing };
        if self.breaker.is_open() {
            if !self.breaker.is_due(self.now()) {
                return Did::Rest;
            }
            let mended = guarded(|| {
                store.mend()?;
                store.labels(0, 1, &mut |_, _| {}).map(|_| ())
            });
            if let Err(error) = mended {
                self.breaker.broke(&error, self.now());
                return Did::Rest;
            }
        }
        let batch = self.queue.take();
        let writes: Vec<StoreWrite<'_>> = batch.iter().map(Change::as_write).collect();
        let written = if batch.is_empty() { Ok(()) } else { guarded(|| store.write(&writes)) };
        match written {
            Ok(()) => {
                let bytes: u64 = batch.iter().map(Change::bytes).sum();
                count(&self.counts.written, bytes);
                self.queue.finish(&batch);
                if self.breaker.mended() {
                    tell(&Event::Mended { cache: &self.ground.card.name });
                } else if bytes > 0 {
                    self.breaker.worked();
                }
                if !batch.is_empty() {
                    self.on_disk.store(store.bytes(), Ordering::Relaxed);
                }
                if batch.is_empty() { Did::Nothing } else { Did::Some }
            }
            Err(error) => {
                self.failed_write(&batch, &error);
                Did::Rest
            }
        }
    }

    /// A batch was not written, or nobody knows: what came with it goes, and what had to go still has to.
    fn failed_write(&self, batch: &[Change], error: &StoreError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        count(&self.counts.failures, 1);
        // Before anything else, so that nothing comes in any more.
        if self.breaker.broke(error, self.now()) {
            self.tell_broken(error);
        }
        let reservation = &self.ground.card.reservation;
        let all = batch.iter().any(|change| matches!(change, Change::Clear));
        let numbers = batch.iter().rev().filter_map(|change| match change {
            Change::Put(put) => Some(put.number),
            Change::Remove(number) => Some(*number),
            Change::Clear => None,
        });
        self.queue.owe(numbers, all);
        let lost = batch.iter().filter_map(|change| match change {
            Change::Put(put) => Some((put.hash, put.number)),
            _ => None,
        });
        for (hash, number) in lost {
            self.index.forget(hash, number, reservation);
        }
        self.queue.finish(batch);
        for put in self.queue.give_up() {
            self.index.forget(put.hash, put.number, reservation);
        }
    }

    /// Whether much waits.
    pub(crate) fn is_crowded(&self) -> bool {
        self.queue.bytes() > self.most_waiting() / 2
    }

    /// Writes what waits; `false` where that was not possible, or not in time.
    pub(crate) fn drain(&self, until: Instant) -> bool {
        let mark = self.queue.mark();
        while !self.queue.is_done(mark) {
            if self.write_some() == Did::Rest || Instant::now() > until {
                return false;
            }
        }
        true
    }

    /// Writes what waits, and has it outlive the machine. `false` where that was not possible, or not in time.
    pub(crate) fn flush(&self, until: Instant) -> bool {
        if self.state.load(Ordering::Acquire) != OPEN || fork::forked() {
            // Nothing was ever put there.
            return true;
        }
        let failed = self.failed.load(Ordering::Relaxed);
        while self.index.is_listing() && self.list_part() {
            if Instant::now() > until {
                return false;
            }
        }
        if !self.drain(until) {
            return false;
        }
        let Some((store, _)) = self.opened() else { return true };
        guarded(|| store.sync()).is_ok() && self.failed.load(Ordering::Relaxed) == failed
    }

    /// Keeps a few bytes for the cache of the next process, sealed like a record.
    pub(crate) fn set_note(&self, note: &[u8]) {
        let Some((store, envelope)) = self.opened() else { return };
        let mut sealed = Vec::new();
        if self.is_on() && envelope.seal(&Sealed::new(&[], note), &mut sealed) {
            // Without it the next one learns anew.
            let _ = guarded(|| store.set_note(&sealed));
        }
    }

    /// What the cache of the process before has kept for this one.
    pub(crate) fn note(&self) -> Option<Vec<u8>> {
        let (store, envelope) = self.opened()?;
        let sealed = guarded(|| Ok(store.note())).ok()??;
        Some(envelope.open(&sealed)?.value.to_vec())
    }

    /// The cache is gone: what waits is written, and the store closed. Nothing is charged any more.
    pub(crate) fn dissolve(&self) {
        self.dissolved.store(true, Ordering::Release);
        self.queue.close();
        if !fork::forked() {
            while self.write_some() == Did::Some {}
        }
        // A part that is being listed ends first.
        let mut listing = self.listing.lock();
        *listing = super::listing::Listing::default();
        drop(listing);
        let _alone = self.writing.lock();
        let reservation = &self.ground.card.reservation;
        drop(self.queue.give_up());
        self.index.clear(reservation);
        let opened = self.opened.write().take();
        if let Some((store, _)) = opened {
            let _ = guarded(|| {
                store.close();
                Ok(())
            });
        }
    }

    /// So many bytes of records may be there: a store has room for what is gone, too, or it would move the rest about all
    /// the time.
    pub(super) fn bound(&self) -> u64 {
        let most = self.settings.max_bytes;
        most.min(most.saturating_add((most / 10).max(SPARE)) / 10 * 7)
    }
}

impl Change {
    fn as_write(&self) -> StoreWrite<'_> {
        match self {
            Self::Put(put) => StoreWrite::Put { number: put.number, label: &put.label, record: &put.record },
            Self::Remove(number) => StoreWrite::Remove { number: *number },
            Self::Clear => StoreWrite::Clear,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Put(put) => (put.label.len() + put.record.len()) as u64,
            Self::Remove(_) | Self::Clear => 1,
        }
    }
}

impl Laborer for ColdTier {
    fn work(&self) -> Option<Duration> {
        self.labor()
    }
}
