//! Checks of a shard: table, pages, order, wheel, pins, limbo and books tell the same story. For tests and fuzz targets:
//! no program that only uses larder has them.

use std::collections::HashSet;

use super::super::table::Spread;
use super::{Inner, Shard, View, Writer, hash_at};
use crate::store::pages::State;
use crate::time::NEVER;

/// What the shards of a store hold, all in all, as counted entry by entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Entries in the table.
    pub(crate) entries: u64,
    /// Heap bytes of entries, in limbo or not, and what the shards were charged.
    pub(crate) bytes: u64,
    /// Those of the entries that are pinned.
    pub(crate) pins: u64,
    /// Bytes of these, their slots included.
    pub(crate) pinned: u64,
    /// How far entries are from where their hashes say.
    pub(crate) spread: Spread,
}

impl Count {
    pub(in crate::store) fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
            pins: self.pins + other.pins,
            pinned: self.pinned + other.pinned,
            spread: self.spread.and(other.spread),
        }
    }
}

impl<K, V> Writer<'_, K, V> {
    /// Checks all parts of the shard against each other. `is_of` says whether a key may have this hash, but for the bits
    /// that the shard does not know, and lies in this place.
    pub(in crate::store) fn validate(&mut self, is_of: &dyn Fn(&K, u32) -> bool) -> Count {
        let slot_bytes = Shard::<K, V>::SLOT_BYTES;
        let Self { shard, inner, .. } = self;
        let Inner { shape, filling, limbo, order, wheel, charged, .. } = &mut **inner;
        let pages = &shard.pages;
        let census = pages.validate(filling, limbo);
        let spread = shard.table.validate(shape, |index| hash_at(shard, filling, index));
        assert_eq!(census.filled, shape.len(), "filled slots, and entries of the table");

        let (mut linked, mut versions, mut evictable) = (HashSet::new(), HashSet::new(), Vec::new());
        let (mut heap, mut pinned) = (0, 0);
        shard.table.each(shape, |index| {
            assert!(filling.has::<K, V>(index), "the table leads to slot {index}, which is none");
            assert!(linked.insert(index), "slot {index} is linked twice");
            let own = pages.own(filling, index);
            assert_eq!(own.state, State::Filled, "slot {index} is in the table");
            assert!(versions.insert(own.mark), "two entries of version {}", own.mark);
            let hash = hash_at(shard, filling, index);
            let found = shard.table.find_mine(shape, hash, |other| other == index);
            assert_eq!(found, Some(index), "slot {index} is not found");
            // SAFETY: the slot is filled, and only the writer empties it.
            let key = unsafe { pages.slot_mine(filling, index).key() };
            assert!(is_of(key, hash), "slot {index} is not where its key belongs");
            heap += pages.heap(filling, index);
            if own.pinned {
                pinned += pages.heap(filling, index) + slot_bytes;
            } else {
                evictable.push(index);
            }
        });
        evictable.sort_unstable();
        order.validate(&evictable, &View { shard, filling });

        match wheel {
            Some(wheel) => {
                let scheduled = wheel.validate(|index| shard.deadline(index));
                for &index in &linked {
                    let expires = shard.deadline(index) != NEVER;
                    assert!(!expires || wheel.is_scheduled(index), "slot {index} is forgotten");
                }
                // What no longer expires for its uses alone may still be scheduled.
                let known = linked.iter().filter(|&&index| wheel.is_scheduled(index)).count();
                assert_eq!(known, scheduled, "a slot without an entry is scheduled");
            }
            None => {
                let timeless = shard.expires == crate::expiry::Expires::Never;
                assert!(linked.is_empty() || timeless, "nobody watches the time");
            }
        }
        let (buried, charged) = (limbo.heap, *charged);
        assert!(charged >= self.inner.occupied::<K, V>(), "grew beyond what was reserved");
        let (entries, pins) = (linked.len() as u64, (linked.len() - evictable.len()) as u64);
        Count { entries, pins, bytes: heap + buried + charged, pinned, spread }
    }

    /// How far entries are from where their hashes say. Looks at the table alone.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(in crate::store) fn spread(&self) -> Spread {
        let Inner { shape, filling, .. } = &*self.inner;
        self.shard.table.validate(shape, |index| hash_at(self.shard, filling, index))
    }

    /// The keys of all entries, to be compared with each other.
    #[cfg(feature = "__validate")]
    pub(in crate::store) fn each_key(&self, mut each: impl FnMut(&K)) {
        let Inner { shape, filling, .. } = &*self.inner;
        self.shard.table.each(shape, |index| {
            // SAFETY: the table leads to filled slots, and only the writer empties them.
            each(unsafe { self.shard.pages.slot_mine(filling, index).key() });
        });
    }
}

impl Inner {
    /// Bytes of the shard and all its parts, as they are.
    fn occupied<K, V>(&self) -> u64 {
        self.rest_now::<K, V>() + self.shape.allocated() + self.filling.allocated() + self.limbo.allocated()
    }
}
