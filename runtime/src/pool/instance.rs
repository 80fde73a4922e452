//! A pool as an instance of its tenant: figures, and giving memory back.
//!
//! Idle objects are found wherever they wait, in the depot or with a thread; leased ones are nobody's to take.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PoolCore;
use super::core::Dropped;
use super::magazine::Gate;
use super::node::{List, Own};
use super::tenant::{Figures, Instance};
use crate::curve::Curve;
use crate::instances::Ranked;
use crate::pressure::Level;
use crate::stats::Count;
use crate::sync::{Ordering, fork};
use crate::tenant::{Claim, ScopeId};
use crate::time::{self, NEVER, Nanos};

/// So many sweeps find an object idle before short memory takes it: one that is idle between two bursts stays.
const PATIENCE: u8 = 3;

impl<T> Ranked for PoolCore<T> {
    fn set_place(&self, place: u32) {
        self.rank.store(place, Ordering::Relaxed);
    }

    fn place(&self) -> u32 {
        self.rank.load(Ordering::Relaxed)
    }

    fn credit(&self) -> f64 {
        self.price.get()
    }

    fn due(&self) -> Nanos {
        NEVER
    }
}

impl<T: Send + 'static> Instance for PoolCore<T> {
    fn density(&self) -> f64 {
        self.density_of(self.typical())
    }

    fn learn(&self) -> Option<Curve> {
        Self::learn(self)
    }

    fn reclaim(&self, claim: Claim, why: Count) -> Dropped {
        self.reclaim_idle(claim, why)
    }

    fn sweep(&self, now: Nanos) -> u64 {
        if fork::forked() && !self.is_free() { 0 } else { self.sweep_idle(now) }
    }

    fn drop_idle(&self) -> u64 {
        self.drop_all_idle()
    }

    fn clear(&self) {
        self.clear_idle();
    }

    fn follow_mode(&self) {
        Self::follow_mode(self);
    }

    fn leave(&self, scope: ScopeId) {
        self.leave_scope(scope);
    }

    fn figures(&self) -> Figures {
        self.count_all();
        Self::figures(self)
    }
}

impl<T> PoolCore<T> {
    pub(super) fn leased(&self) -> u64 {
        self.nodes.load(Ordering::SeqCst).saturating_sub(self.idle() as u64)
    }

    /// How many objects there are; exact while nobody acquires or returns.
    pub(super) fn figures(&self) -> Figures {
        Figures {
            members: self.members.load(Ordering::Relaxed),
            leased: self.leased(),
            uncharged: self.uncharged.load(Ordering::Relaxed) + self.uncharged_magazines(),
            max: self.max.load(Ordering::Relaxed),
        }
    }

    /// Drops what the scope of a test has instead of this pool.
    pub(super) fn leave_scope(&self, scope: ScopeId) {
        if let Some(twin) = self.twins.leave(scope) {
            // The user's objects are dropped here, with no lock held.
            twin.close();
        }
    }

    pub(super) fn reclaim_idle(&self, claim: Claim, why: Count) -> Dropped {
        let dropped = self.find_and_drop(claim);
        self.card.tally.add(why, dropped.count);
        dropped
    }

    fn find_and_drop(&self, claim: Claim) -> Dropped {
        let dropped = self.drop_coldest(claim.bytes, claim.upto);
        if dropped.count > 0 {
            return dropped;
        }
        // None in the depot: if there is none with the threads either, what comes back next says so.
        self.gate.shut(Gate::ALERT);
        self.gather();
        if self.depot.len() > 0 {
            self.gate.open(Gate::ALERT);
        }
        self.drop_coldest(claim.bytes, claim.upto)
    }

    /// Drops all that is idle, because memory is short.
    pub(super) fn drop_all_idle(&self) -> u64 {
        // What comes back is looked at until memory is no longer short.
        self.gate.shut(Gate::ALERT);
        let dropped = self.drop_all();
        self.card.tally.add(Count::Reclaims, dropped.count);
        dropped.bytes + self.uncharge_magazines()
    }

    /// Drops what is too old, or was idle for long while memory is short; makes what is missing.
    pub(super) fn sweep_idle(&self, now: Nanos) -> u64 {
        self.gather_stale();
        self.count_all();
        let options = self.options;
        let is_over = |since: Nanos, most: Option<std::time::Duration>| {
            most.is_some_and(|most| now >= since.saturating_add(time::nanos(most)))
        };
        let mut left = self.depot.len() as u64;
        let aged = self.drop_where(|node| {
            node.seen = node.seen.saturating_add(1);
            let spare = left > options.min_idle;
            let goes = now >= node.until
                || is_over(node.since, options.idle)
                || (spare && is_over(node.since, options.idle_soft));
            left -= u64::from(goes);
            goes
        });
        self.card.tally.add(Count::Expirations, aged.count);
        let mut bytes = aged.bytes;
        if self.domain.level() == Level::High {
            let unused = self.drop_where(|node| node.seen >= PATIENCE);
            self.card.tally.add(Count::Reclaims, unused.count);
            bytes += unused.bytes;
        }
        if options.min_idle > 0 && self.domain.level() == Level::Normal {
            // A constructor that panics is counted, and must not end the tick of the whole domain.
            let _ = catch_unwind(AssertUnwindSafe(|| self.fill_up()));
        }
        bytes
    }

    pub(super) fn clear_idle(&self) {
        let dropped = self.drop_all();
        self.card.tally.add(Count::Invalidations, dropped.count);
        self.card.reservation.release_credit();
    }

    /// Drops about so many bytes of what waits.
    pub(super) fn trim(&self, bytes: u64) -> u64 {
        self.gather();
        let dropped = self.drop_coldest(bytes, f64::INFINITY);
        self.card.tally.add(Count::Reclaims, dropped.count);
        self.card.reservation.release_credit();
        dropped.bytes
    }

    /// Asks of each idle object whether it stays.
    pub(super) fn retain(&self, mut keep: impl FnMut(&mut T) -> bool) {
        self.gather();
        let mut asked = self.depot.take_all(|_| true);
        let mut kept = List::new();
        while let Some(mut own) = asked.pop_cold() {
            if keep(&mut own.object) {
                kept.push_warm(own);
            } else {
                self.card.tally.add(Count::Invalidations, 1);
            }
        }
        self.stow(0, kept);
    }

    /// Puts an object into the pool that nobody lent.
    pub(super) fn take_in(&self, object: T, room: super::Room<T>) -> Result<(), T> {
        let own: Own<T> = self.wrap(object, Some(room), None);
        if own.charged == 0 || own.heap > self.options.max_object {
            return Err(own.take_apart());
        }
        self.stow_back(own);
        Ok(())
    }
}
