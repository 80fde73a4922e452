//! A cache or a pool as the budget sees it: published figures, and the few things one can ask of it.
//!
//! The coordinator reads [`Card`]s, which are plain atomics, and calls [`Tenant`] only to act. No call
//! waits for another tenant; none is made with a lock of the domain held.

use std::sync::Arc;

use crate::budget::{Ledger, Reservation};
use crate::descriptor::{Descriptor, Kind};
use crate::stats::{Tally, TenantStats};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::time::Nanos;

/// Whether a tenant's data is used at all: the word beside the data that every look-up reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// As documented.
    Normal = 0,
    /// As if the tenant were not there: look-ups find nothing, nothing is stored, every body runs.
    Bypass = 1,
}

/// What a tenant publishes for everybody to read, and its part of the budget.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The annotated item it belongs to, if any.
    pub(crate) descriptor: Option<&'static Descriptor>,
    /// What the user said; from 0, exclusive.
    pub(crate) priority: f64,
    /// Others may not reclaim below this many bytes.
    pub(crate) floor: u64,
    /// The tenant's own bound, `u64::MAX` without one.
    pub(crate) ceiling: u64,
    pub(crate) reservation: Reservation,
    pub(crate) tally: Tally,
    /// Some weights are lower bounds.
    pub(crate) estimated: AtomicBool,
    /// Bits of what the next victim is worth, on the domain's scale; infinite with nothing to evict. It may
    /// lag behind by what was touched since; whoever reclaims publishes it anew.
    price: AtomicU64,
}

impl Card {
    pub(crate) fn new(terms: Terms, ledger: &Arc<Ledger>) -> Self {
        Self {
            name: terms.name,
            kind: terms.kind,
            descriptor: terms.descriptor,
            priority: terms.priority,
            floor: terms.floor,
            ceiling: terms.ceiling,
            reservation: Reservation::new(Arc::clone(ledger)),
            tally: Tally::new(),
            estimated: AtomicBool::new(false),
            price: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    /// What prices are multiplied with: the priority, kept to what floats can still tell apart. Beyond, one
    /// tenant would be worth infinitely more than all, or nothing.
    pub(crate) fn scale(&self) -> f64 {
        self.priority.clamp(1e-6, 1e6)
    }

    pub(crate) fn price(&self) -> f64 {
        f64::from_bits(self.price.load(Ordering::Relaxed))
    }

    pub(crate) fn publish(&self, price: f64) {
        self.price.store(price.to_bits(), Ordering::Relaxed);
    }

    /// Publishes a price only if it is below the one that stands.
    pub(crate) fn publish_lower(&self, price: f64) {
        if price < self.price() {
            self.publish(price);
        }
    }

    /// Bytes that others may take.
    pub(crate) fn reclaimable(&self) -> u64 {
        self.reservation.spent().saturating_sub(self.floor)
    }
}

/// What a tenant was agreed with the domain.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) descriptor: Option<&'static Descriptor>,
    pub(crate) priority: f64,
    pub(crate) floor: u64,
    pub(crate) ceiling: u64,
}

/// Whose need a reclaim serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The tenant's own: its floor does not protect it from itself, and it may wait for a shard of its own.
    Own,
    /// Another tenant's, a trim's, or that of short memory: the floor holds.
    Others,
    /// The limit's, which is too low for the floors.
    Limit,
}

/// How much a tenant is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// About so many bytes.
    pub(crate) bytes: u64,
    /// Only victims up to this price, on the domain's scale, after the first: dearer ones are another
    /// tenant's turn.
    pub(crate) upto: f64,
    pub(crate) need: Need,
}

/// What a tenant gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    /// Bytes that left the reservation; 0 where entries only left holes in a page so far.
    pub(crate) bytes: u64,
    /// Entries or objects that left.
    pub(crate) entries: u64,
}

/// A cache or a pool under a budget.
///
/// Implementors never call back into the coordinator from here, take one shard's lock at a time, and drop
/// what they evict after the lock is released.
pub(crate) trait Tenant: Send + Sync {
    fn card(&self) -> &Card;

    /// Evicts about as much as is claimed of what is worth least, at least one entry if there is any. No
    /// entries mean that nothing can go now: all is busy, leased, protected or gone.
    fn reclaim(&self, claim: Claim) -> Given;

    /// Drops what is expired by `now`, a bounded amount of work; returns the bytes that left.
    fn sweep(&self, now: Nanos) -> u64;

    /// Drops objects that wait idle in a pool; returns the bytes that left.
    fn drop_idle(&self) -> u64;

    /// Drops everything that is not leased.
    fn clear(&self);

    fn set_mode(&self, mode: Mode);

    /// What each byte of the next victim saves, in nanoseconds of compute, times priority; 0 without a victim.
    fn marginal(&self) -> f64;

    /// What the card cannot know: entries, bounds, policy.
    fn stats(&self) -> TenantStats;
}
