//! Giving an entry that is there another deadline.
//!
//! Not here: what the deadline is, and who takes out what is due.

use super::super::Store;
use super::Writer;
use crate::budget::Reservation;
use crate::sync::Ordering;
use crate::time::Nanos;

impl<K, V> Store<K, V> {
    /// Sets when the entry with this key is too old, however much it is used; `false` when there is none, or it is
    /// expired by `now`. Only where entries expire.
    pub(crate) fn set_deadline(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        deadline: Nanos,
        now: Nanos,
        reservation: &Reservation,
    ) -> bool {
        let mut locked = self.lock(self.at(hash), reservation);
        let set = locked.writer().is_some_and(|mut shard| shard.set_deadline(hash, eq, deadline, now));
        locked.publish();
        set
    }
}

impl<K, V> Writer<'_, K, V> {
    fn set_deadline(&mut self, hash: u64, eq: impl FnMut(&K) -> bool, deadline: Nanos, now: Nanos) -> bool {
        let found = self.find(hash, eq).filter(|&index| self.shard.deadline(index) > now);
        let (Some(index), Some(wheel)) = (found, &mut self.inner.wheel) else { return false };
        // SAFETY: we are the writer, and where there is a wheel, there is the column.
        unsafe { self.shard.pages.deadline(index) }.store(deadline, Ordering::Relaxed);
        // Room for each slot was made when it was filled.
        wheel.schedule(index, self.shard.deadline(index));
        true
    }
}
