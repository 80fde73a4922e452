//! Checks of a store at rest. For tests and fuzz targets: no program that only uses larder has them.

#[cfg(all(test, not(larder_shuttle)))]
use super::table::Spread;
use super::{Count, Store};
use crate::budget::Reservation;
use crate::sync::Ordering;
use crate::time::NEVER;

impl<K, V> Store<K, V> {
    /// Checks every shard, and what its place says of it. `hash_of` knows the hash of a key, where somebody can say.
    ///
    /// Only while nobody uses the store.
    pub(crate) fn validate(&self, hash_of: Option<&dyn Fn(&K) -> u64>, reservation: &Reservation) -> Count {
        let mut sum = Count::default();
        for (at, place) in self.places().iter().enumerate() {
            let mut locked = self.lock(place, reservation);
            let is_of = |key: &K, low: u32| {
                hash_of.is_none_or(|hash_of| {
                    let hash = hash_of(key);
                    hash as u32 == low && self.place(hash) == at
                })
            };
            let mut due = NEVER;
            let mut front = None;
            if let Some(mut shard) = locked.writer() {
                sum = sum.and(shard.validate(&is_of));
                (due, front) = (shard.next_due(), shard.front());
            }
            // How heavy a shard is may be said a little late; whether somebody can go, never.
            let published = place.rank.load(Ordering::Relaxed) != u64::MAX;
            assert_eq!(published, front.is_some(), "place {at} says whether it has a victim");
            assert_eq!(
                place.credit().is_finite(),
                front.is_some(),
                "place {at} says what its victim is worth"
            );
            assert!(
                self.due.load(Ordering::Relaxed) <= due,
                "an entry of place {at} is due before anybody looks"
            );
        }
        sum
    }

    /// How far entries are from where their hashes say.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn spread(&self, reservation: &Reservation) -> Spread {
        let of = |place| {
            self.lock(place, reservation).writer().map_or_else(Spread::default, |shard| shard.spread())
        };
        self.places().iter().map(of).fold(Spread::default(), Spread::and)
    }

    /// As if so many insertions, or uses where the order is exact, had been.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn set_tick(&self, tick: u64) {
        self.tick.store(tick, Ordering::Relaxed);
    }

    /// Under which addresses of its entries are noted.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn layout(&self) -> u32 {
        self.era.layout()
    }

    /// Calls `each` with all keys of one shard.
    #[cfg(feature = "__validate")]
    pub(crate) fn each_key(&self, at: usize, reservation: &Reservation, each: impl FnMut(&K)) {
        if let Some(shard) = self.lock(&self.places()[at], reservation).writer() {
            shard.each_key(each);
        }
    }
}
