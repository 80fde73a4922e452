//! How the entries of a shard stand in its order, without taking any of them out.

use super::super::{Sighting, Store};
use super::Writer;
use crate::budget::Reservation;
use crate::policy::Moment;
use crate::time::Nanos;

/// An entry, and how long it is likely to stay: the lowest goes first, `None` is pinned and goes last.
pub(crate) type Standing = (Option<u64>, Sighting);

impl<K, V> Store<K, V> {
    /// All entries of one shard that are not expired by `now`, as they stand.
    pub(crate) fn stand(
        &self,
        at: usize,
        mut moment: Moment,
        now: Nanos,
        reservation: &Reservation,
    ) -> Vec<Standing> {
        (moment.exact, moment.tick) = (self.exact, self.tick());
        let mut all = Vec::new();
        if let Some(mut shard) = self.lock(&self.places()[at], reservation).writer() {
            all.reserve_exact(shard.len());
            shard.stand(at, moment, now, &mut all);
        }
        all
    }
}

impl<K, V> Writer<'_, K, V> {
    fn stand(&mut self, at: usize, moment: Moment, now: Nanos, all: &mut Vec<Standing>) {
        let mut sighted = Vec::with_capacity(self.len());
        self.each_sighted(|index, entry| sighted.push((index, entry)));
        for (index, entry) in sighted {
            if self.shard.deadline(index) > now {
                let pinned = self.own(index).pinned;
                let (order, slots) = self.order();
                let stay = (!pinned).then(|| order.stay(index, &slots, moment));
                all.push((stay, Sighting { place: at as u32, entry }));
            }
        }
    }
}
