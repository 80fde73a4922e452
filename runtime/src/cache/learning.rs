//! What a cache's curve hears of: a sample of its hits, misses and stores, and what was taken out of it.
//!
//! Not here: what is made of it (`curve`), and when (`coordinator`).

use super::instance::Core;
use super::tenant::CacheTenant;
use crate::curve::{Curve, Fact, Followed, NO_DEADLINE, OFF, Reuse};
use crate::expiry::Expires;
use crate::stats::Counters;
use crate::store::Store;
use crate::sync::Ordering;
use crate::time::{NEVER, Nanos};

/// A curve takes a few KB: it is worth them where a tenant's even share of the budget is so many times as much,
const WORTH: u64 = 16;
/// and where so many values were computed.
const LOADS: u64 = 256;
/// and so many entries are there.
const ENTRIES: u64 = 16;
/// Nobody learns while tenants together use less than this part of the budget: one in so many.
const ROOMY: u64 = 2;

/// Time on a curve's scale, of about a millisecond.
fn millis(at: Nanos) -> u32 {
    u32::try_from(at >> 20).unwrap_or(NO_DEADLINE)
}

impl<K, V> Core<K, V> {
    /// Whether the curve hears of hits of this hash. The only thing that most hits see of it.
    #[inline(always)]
    pub(super) fn is_heard(&self, hash: u64) -> bool {
        (hash >> 32) as u32 >= self.heard.load(Ordering::Relaxed)
    }

    /// Whether the curve follows keys of this hash.
    #[inline]
    pub(super) fn is_followed(&self, hash: u64) -> bool {
        (hash >> 32) as u32 >= self.followed.load(Ordering::Relaxed)
    }

    /// A key that is followed was found.
    #[cold]
    #[inline(never)]
    pub(super) fn learn_hit(&self, hash: u64, cost: u8) {
        let hit = self.told_apart(hash) & !0xff | u64::from(cost);
        self.follow(self.tenant.note_hit(self.counters, hit));
    }

    /// A key that is followed was not found.
    #[cold]
    #[inline(never)]
    pub(super) fn learn_miss(&self, hash: u64) {
        self.follow(self.tenant.note_miss(self.told_apart(hash)));
    }

    /// A value is about to be stored.
    #[inline]
    pub(super) fn learn_store(&self, hash: u64, heap: u64, cost: u8, deadline: Nanos) {
        if self.is_followed(hash) {
            let deadline = if deadline == NEVER { NO_DEADLINE } else { millis(deadline) };
            self.learn_fact(
                hash,
                Fact { bytes: heap.saturating_add(Store::<K, V>::SLOT_BYTES), cost, deadline },
            );
        }
    }

    #[cold]
    fn learn_fact(&self, hash: u64, fact: Fact) {
        self.follow(self.tenant.note_fact(self.told_apart(hash), fact));
    }

    /// The key's value is gone or wrong.
    #[inline]
    pub(super) fn learn_gone(&self, hash: u64) {
        if self.is_followed(hash) {
            self.follow(self.tenant.note_gone(self.told_apart(hash)));
        }
    }

    /// The value of a key is gone of whose hash the lower half is known, but for a bit.
    pub(super) fn learn_gone_like(&self, lower: u32) {
        if self.followed.load(Ordering::Relaxed) != OFF {
            let like = self.told_apart(lower.into()) as u32;
            self.follow(self.tenant.sampling.note(&mut |reuse| reuse.forget_like(like)));
        }
    }

    /// Instances of one tenant share a curve, and may have keys of equal hashes.
    fn told_apart(&self, hash: u64) -> u64 {
        hash ^ ((std::ptr::from_ref(self).addr() as u64) << 4) & 0xffff_ff00
    }

    #[inline(never)]
    fn follow(&self, followed: Option<Followed>) {
        if let Some(followed) = followed {
            self.follow_from(followed);
        }
    }

    pub(super) fn follow_from(&self, Followed { from, hits_from }: Followed) {
        if from != self.followed.load(Ordering::Relaxed) {
            self.followed.store(from, Ordering::Relaxed);
        }
        let before = self.heard.load(Ordering::Relaxed);
        if hits_from != before {
            self.heard.store(hits_from, Ordering::Relaxed);
        }
        if hits_from < before {
            // Threads find some of these keys without a look at their hashes.
            self.store.look_anew();
        }
    }
}

/// What needs no types: who hears of something says from where on to follow, if that is new.
impl CacheTenant {
    fn note_hit(&self, counters: Counters, hit: u64) -> Option<Followed> {
        let hits = counters.sample(hit)?;
        let now = self.learning_time();
        let typical = self.card.reservation.spent() / self.entries().max(1);
        let budget = self.core.ledger.limit();
        self.sampling.try_note(&mut |reuse| {
            for hit in hits {
                reuse.hit(hit, hit as u8, now, typical, budget);
            }
        })
    }

    fn note_miss(&self, key: u64) -> Option<Followed> {
        let now = self.learning_time();
        self.sampling.try_note(&mut |reuse| reuse.missed(key, now))
    }

    fn note_fact(&self, key: u64, fact: Fact) -> Option<Followed> {
        let (now, budget) = (self.learning_time(), self.core.ledger.limit());
        self.sampling.note(&mut |reuse| reuse.stored(key, fact, now, budget))
    }

    fn note_gone(&self, key: u64) -> Option<Followed> {
        self.sampling.note(&mut |reuse| reuse.forget(key))
    }

    /// The time, where entries expire.
    fn learning_time(&self) -> u32 {
        if self.lifetime.is_none() { 0 } else { millis(self.core.clock.recent()) }
    }

    /// What was learned in all epochs so far, of which one ends now.
    pub(super) fn end_epoch(&self) -> Option<Curve> {
        if !self.sampling.is_on() {
            return None;
        }
        if self.entries() == 0 {
            // What is empty is as small as a new one.
            self.stop_learning();
            return None;
        }
        let (hits, (lookups, _)) = (self.card.tally.hits(), self.card.tally.lookups());
        let held = self.card.reservation.spent();
        self.follow_all(self.sampling.note(&mut |reuse| reuse.end_epoch(hits, lookups, held))?);
        self.sampling.curve()
    }

    /// Whether it does not learn yet, and should.
    pub(super) fn is_worth_learning(&self) -> bool {
        let ledger = &self.core.ledger;
        // Where there is room for all nothing is to be decided.
        if self.sampling.is_on() || ledger.used().saturating_mul(ROOMY) < ledger.allowed() {
            return false;
        }
        let enough = self.entries() >= ENTRIES && self.card.tally.loads() >= LOADS;
        enough && self.has_a_share_worth_learning()
    }

    /// Whether a curve's memory is little beside what the tenant may expect to have.
    fn has_a_share_worth_learning(&self) -> bool {
        let share = self.core.ledger.limit() / self.core.with_cards(|cards| cards.count() as u64).max(1);
        Reuse::most_bytes() * WORTH <= share.min(self.card.ceiling())
    }

    /// Begins anew: the curve's memory is charged.
    pub(super) fn start_learning(&self) {
        self.begin_learning();
        self.follow_all(self.sampling.note(&mut |_| ()).unwrap_or(Followed::NOBODY));
    }

    fn begin_learning(&self) {
        let idle = match self.expires() {
            Expires::ByUse(idle) => millis(idle),
            Expires::Never | Expires::ByAge => NO_DEADLINE,
        };
        self.sampling.start(idle, self.card.tally.lookups().0);
    }

    /// What was learned, for the next process.
    #[cfg(feature = "tiers")]
    pub(super) fn learned(&self) -> Option<Vec<u8>> {
        self.sampling.record()
    }

    /// Goes on from what was learned in the process before, unless it has begun to learn anew, or there is no room: nobody makes
    /// way for it.
    #[cfg(feature = "tiers")]
    pub(super) fn resume_learning(&self, learned: &[u8]) {
        let begins = !self.sampling.is_on() && self.has_a_share_worth_learning();
        if !begins || self.card.try_add_base(Reuse::most_bytes()).is_err() {
            return;
        }
        self.begin_learning();
        if self.sampling.resume(learned) {
            self.follow_all(self.sampling.note(&mut |_| ()).unwrap_or(Followed::NOBODY));
        } else {
            self.stop_learning();
        }
    }

    /// Forgets what was learned, and gives the memory back.
    pub(super) fn stop_learning(&self) {
        if self.sampling.stop() {
            self.card.remove_base(Reuse::most_bytes());
            self.card.reservation.release_credit();
            self.follow_all(Followed::NOBODY);
        }
    }

    fn follow_all(&self, followed: Followed) {
        for instance in self.live() {
            instance.follow_keys(followed);
        }
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::ManualClock;
    use crate::{Cache, Domain};

    /// A cache that has been asked for all `keys` in turn for so many epochs of ten seconds.
    fn asked(limit: u64, keys: u64, epochs: u32) -> (Cache<u64, [u8; 100]>, Domain) {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build();
        let cache = Cache::builder("asked").build_in(&domain).expect("plain options");
        for _ in 0..epochs {
            for key in 0..keys {
                cache.get_or_insert_with(key, || {
                    clock.advance(Duration::from_micros(100));
                    [0; 100]
                });
            }
            clock.advance(Duration::from_secs(10));
            domain.tick();
        }
        (cache, domain)
    }

    #[test]
    fn a_cache_learns_what_its_bytes_are_worth() {
        let (cache, _domain) = asked(5 << 20, 20_000, 8);
        let curve = cache.core.tenant.sampling.curve().expect("two epochs were enough");
        // It is asked in a circle: less than all of it is worth nothing.
        let all = cache.weight();
        assert!(curve.value(2 * all) > 0.0);
        assert_eq!(curve.value(all / 2), 0.0);
        let (_, value) = *curve.points().last().expect("there were reuses");
        assert!((curve.value(2 * all) - value).abs() <= value * 0.01);
    }

    /// Nobody made way for a curve, so a cache that came when the budget was full never had one, and kept what it had by
    /// every plan.
    #[test]
    fn a_cache_that_comes_into_a_full_budget_learns() {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
        let make = |name| Cache::<u64, [u8; 100]>::builder(name).build_in(&domain).expect("plain options");
        let first = make("first");
        (0..20_000).for_each(|key| first.insert(key, [0; 100]));
        let second = make("second");
        for key in 0..2000 {
            second.get_or_insert_with(key, || [0; 100]);
        }
        clock.advance(Duration::from_secs(10));
        domain.tick();
        assert!(second.core.tenant.sampling.is_on());
        assert!(domain.budget().used() <= 1 << 20);
    }

    #[test]
    fn what_is_learned_is_charged_and_goes_when_the_cache_is_cleared() {
        let (cache, domain) = asked(1 << 20, 4000, 3);
        assert!(cache.core.tenant.sampling.is_on());
        assert!(cache.core.followed.load(Ordering::Relaxed) != OFF);
        let base = cache.core.tenant.card.base();
        cache.clear();
        assert!(!cache.core.tenant.sampling.is_on());
        assert_eq!(cache.core.followed.load(Ordering::Relaxed), OFF);
        assert_eq!(cache.core.tenant.card.base() + Reuse::most_bytes(), base);
        assert_eq!(domain.budget().used(), cache.weight());
    }

    #[test]
    fn hits_are_heard_for_a_part_of_an_epoch() {
        let (cache, domain) = asked(1 << 20, 4000, 3);
        let heard = || cache.core.heard.load(Ordering::Relaxed) != OFF;
        assert!(heard());
        for _ in 0..50 {
            (3000..4000).for_each(|key| _ = cache.get(key));
        }
        assert!(!heard() && cache.core.followed.load(Ordering::Relaxed) != OFF);
        assert!(cache.get(3999).is_some());
        // So many look-ups are an epoch.
        domain.tick();
        assert!(heard());
    }

    #[test]
    fn small_caches_and_small_budgets_are_not_worth_a_curve() {
        assert!(!asked(1 << 20, 100, 4).0.core.tenant.sampling.is_on(), "few loads");
        assert!(!asked(64 << 20, 4000, 4).0.core.tenant.sampling.is_on(), "room for all");
        assert!(!asked(128 << 10, 4000, 4).0.core.tenant.sampling.is_on(), "a small budget");
    }

    #[test]
    fn what_was_invalidated_is_not_followed() {
        let (cache, _domain) = asked(5 << 20, 20_000, 6);
        // Each key in one of three ways.
        for key in (0..20_000_u64).filter(|key| key % 3 == 0) {
            cache.invalidate(key);
        }
        for key in (0..20_000_u64).filter(|key| key % 3 == 1) {
            cache.compute(key, |_| crate::Change::Remove);
        }
        cache.invalidate_if(|_, _| true);
        // The first epoch of the second round has no reuse to learn of, but what faded.
        let before = cache.core.tenant.sampling.curve().expect("it has learned");
        for key in 0..20_000_u64 {
            cache.get_or_insert_with(key, || [0; 100]);
        }
        let after = cache.core.tenant.sampling.curve().expect("it has learned");
        assert_eq!(before.points(), after.points());
    }
}
