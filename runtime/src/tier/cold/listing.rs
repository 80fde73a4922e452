//! What is in a store when it is opened: its labels are read, part by part, until the index has all of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::index::Slot;
use super::{BESIDE, ColdTier, guarded};
use crate::tier::StoreError;
use crate::tier::warm::count;
use crate::time::nanos;

/// So many labels are read at once.
const PART: usize = 2048;
/// Who opens a store lists it for so long, so that a small one is there at once; the rest comes behind.
const AT_ONCE: Duration = Duration::from_millis(50);
/// A record that was written so many milliseconds from now is no sign that the clock was set back.
const SLACK: u64 = 2000;

/// What a label says of its record beside what every record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Of the record.
    pub(super) bytes: u32,
    /// When, in milliseconds since 1970.
    pub(super) written: u64,
}

impl Facts {
    const BYTES: usize = 12;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[4..].copy_from_slice(&self.written.to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (length, written) = bytes.split_first_chunk::<4>()?;
        let written = written.try_into().ok()?;
        Some(Self { bytes: u32::from_le_bytes(*length), written: u64::from_le_bytes(written) })
    }
}

/// How far the list is.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The number to go on with; `None` at the end.
    at: Option<u64>,
    /// Numbers from here on came since.
    until: u64,
    /// When it began, in milliseconds since 1970.
    wall: u64,
}

impl Listing {
    pub(super) fn begin(&mut self, until: u64, wall: u64) {
        *self = Self { at: Some(0), until, wall };
    }
}

impl ColdTier {
    /// Lists what is there: for a moment, where somebody else goes on with it.
    pub(crate) fn list_some(&self, others: bool) {
        let end = self.now().saturating_add(nanos(AT_ONCE));
        while self.list_part() && !(others && self.now() > end) {}
    }

    /// Lists a part; `false` at the end.
    pub(super) fn list_part(&self) -> bool {
        let mut listing = self.listing.lock();
        let Some(from) = listing.at else { return false };
        let Some((store, envelope)) = self.opened() else { return false };
        let (until, wall) = (listing.until, listing.wall);
        let mut unwanted = Vec::new();
        let listed = guarded(|| {
            store.labels(from, PART, &mut |number, label| {
                if number >= until {
                    return;
                }
                let slot = envelope.open(label).and_then(|sealed| {
                    let facts = Facts::of(sealed.value)?;
                    // Nobody knows how old it is: the clock of the system was set back.
                    let is_dated = sealed.deadline < u64::MAX && facts.written > wall.saturating_add(SLACK);
                    let expires = self.time_of_wall(sealed.deadline);
                    if is_dated || expires <= self.now() {
                        return None;
                    }
                    let hash = (self.ground.hash_of)(sealed.key)?;
                    let bytes = facts.bytes.saturating_add((label.len() + BESIDE) as u32);
                    let (cost, factor) = (sealed.cost, sealed.factor);
                    Some(Slot { number, expires, hash, bytes, level: 0.0, cost, factor, uses: 1 })
                });
                let card = &self.ground.card;
                if !slot.is_some_and(|slot| self.index.list(slot, &card.reservation, card.ceiling())) {
                    unwanted.push(number);
                }
            })
        });
        for number in unwanted {
            self.hands().drop(number);
        }
        match listed {
            Ok(Some(next)) if next < until => listing.at = Some(next),
            Ok(_) => {
                listing.at = None;
                self.index.listed();
            }
            Err(error) => {
                listing.at = None;
                drop(listing);
                self.unlisted(&error);
                return false;
            }
        }
        let more = listing.at.is_some();
        drop(listing);
        if !more {
            let then = self.listed.lock().take();
            if let Some(then) = then {
                then();
            }
        }
        while self.index.stored() > self.bound() && self.index.evict(f64::INFINITY, self.rate(), self.hands())
        {
            count(&self.counts.evictions, 1);
        }
        more
    }

    /// The list cannot be read: what is not in it must not be found by anybody after us.
    fn unlisted(&self, error: &StoreError) {
        self.index.outdate();
        self.index.clear(&self.ground.card.reservation);
        self.queue.clear();
        self.index.listed();
        self.failed.fetch_add(1, Ordering::Relaxed);
        if self.breaker.broke(error, self.now()) {
            self.tell_broken(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn facts_are_as_on_file() {
        let facts = Facts { bytes: 0x0102, written: 0x0304_0506 };
        assert_eq!(facts.to_bytes(), [2, 1, 0, 0, 6, 5, 4, 3, 0, 0, 0, 0]);
        assert_eq!(Facts::of(&facts.to_bytes()), Some(facts));
        assert_eq!(Facts::of(&facts.to_bytes()[..11]), None);
    }
}
