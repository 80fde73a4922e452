//! A cache or a pool as the budget sees it: published figures, and the few things one can ask of it.
//!
//! The coordinator reads [`Card`]s, which are plain atomics, and calls [`Tenant`] only to act. No call
//! waits for another tenant; none is made with a lock of the domain held.

use std::sync::Arc;

use crate::budget::{Ledger, Reservation};
use crate::descriptor::{Descriptor, Kind};
use crate::stats::{Tally, TenantStats};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::time::Nanos;

/// A scope of a test: the address of its state. Unique while any twin of the scope is kept, because the end of a
/// scope removes them.
pub(crate) type ScopeId = usize;

/// How calls of a tenant are to be taken: the word beside the data that every look-up reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(u8);

impl Mode {
    const BYPASS: u8 = 1;
    const SCOPED: u8 = 2;

    pub(crate) fn new(bypass: bool, scoped: bool) -> Self {
        let bypass = if bypass { Self::BYPASS } else { 0 };
        let scoped = if scoped { Self::SCOPED } else { 0 };
        Self(bypass | scoped)
    }

    /// As documented, on whatever thread.
    #[inline]
    pub(crate) fn is_normal(self) -> bool {
        self.0 == 0
    }

    /// As if the tenant were not there: look-ups find nothing, nothing is stored, every body runs.
    #[inline]
    pub(crate) fn is_bypass(self) -> bool {
        self.0 & Self::BYPASS != 0
    }

    /// A scope of a test lives somewhere: what is meant may be a twin.
    #[inline]
    pub(crate) fn is_scoped(self) -> bool {
        self.0 & Self::SCOPED != 0
    }
}

/// The mode of one tenant's data. A hint between threads: who changes a mode and calls the tenant itself sees
/// the change, others soon do.
#[derive(Debug)]
pub(crate) struct ModeWord(AtomicU8);

impl ModeWord {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> Mode {
        Mode(self.0.load(Ordering::Relaxed))
    }

    /// Takes over what `wanted` says. Several may do so at once, and what is wanted may change meanwhile: each
    /// looks again after it wrote, so the last to write wrote what is wanted.
    pub(crate) fn follow(&self, wanted: impl Fn() -> Mode) {
        let mut mode = wanted();
        loop {
            self.0.store(mode.0, Ordering::SeqCst);
            let now = wanted();
            if now == mode {
                return;
            }
            mode = now;
        }
    }
}

/// What a tenant publishes for everybody to read, and its part of the budget.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The annotated item it belongs to, if any.
    pub(crate) descriptor: Option<&'static Descriptor>,
    /// Bits of what the user said; from 0, exclusive.
    priority: AtomicU64,
    /// Others may not reclaim below this many bytes.
    pub(crate) floor: u64,
    /// The tenant's own bound, `u64::MAX` without one.
    ceiling: AtomicU64,
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
            priority: AtomicU64::new(terms.priority.to_bits()),
            floor: terms.floor,
            ceiling: AtomicU64::new(terms.ceiling),
            reservation: Reservation::new(Arc::clone(ledger)),
            tally: Tally::new(),
            estimated: AtomicBool::new(false),
            price: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    /// What prices are multiplied with: the priority, kept to what floats can still tell apart. Beyond, one
    /// tenant would be worth infinitely more than all, or nothing.
    pub(crate) fn scale(&self) -> f64 {
        self.priority().clamp(1e-6, 1e6)
    }

    pub(crate) fn priority(&self) -> f64 {
        f64::from_bits(self.priority.load(Ordering::Relaxed))
    }

    /// The tenant publishes its price anew after this.
    pub(crate) fn set_priority(&self, priority: f64) {
        self.priority.store(priority.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn ceiling(&self) -> u64 {
        self.ceiling.load(Ordering::Relaxed)
    }

    /// The tenant evicts what is above after this.
    pub(crate) fn set_ceiling(&self, bytes: u64) {
        self.ceiling.store(bytes, Ordering::Relaxed);
    }

    /// What was agreed, as it is now: a twin gets the same.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            name: self.name.clone(),
            kind: self.kind,
            descriptor: self.descriptor,
            priority: self.priority(),
            floor: self.floor,
            ceiling: self.ceiling(),
        }
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

/// What was agreed between a tenant and its domain.
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

    /// The mode of the domain, or of the process, changed.
    fn follow_mode(&self);

    /// Drops the tenant's twin of this scope, if it has one, and what is stored there.
    fn leave(&self, scope: ScopeId);

    /// What each byte of the next victim saves, in nanoseconds of compute, times priority; 0 without a victim.
    fn marginal(&self) -> f64;

    /// What the card cannot know: entries, bounds, policy.
    fn stats(&self) -> TenantStats;
}
