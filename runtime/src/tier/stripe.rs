//! A part of a tier's records under one lock: what is there by its hash, and which keys are being changed.
//!
//! Room is reserved before it is taken. Not here: what a record is, and when it goes.

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::budget::Reservation;
use crate::weight::weigh::allocation;

/// What a stripe lists.
pub(super) trait Listed {
    /// The lower half of its key's hash.
    fn hash(&self) -> u32;
}

#[derive(Debug)]
pub(super) struct Stripe<R> {
    pub(super) records: Vec<R>,
    /// Places in `records`.
    index: HashTable<u32>,
    /// Hashes of keys that are being changed.
    pub(super) changing: SmallVec<[u32; 2]>,
    /// How many change all keys.
    pub(super) closed: u32,
    /// The number of the last change.
    pub(super) changed: u64,
    /// What each record takes elsewhere.
    beside: u64,
    /// Bytes of the two, and of what is elsewhere, that are charged.
    charged: u64,
}

impl<R> Default for Stripe<R> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            index: HashTable::new(),
            changing: SmallVec::new(),
            closed: 0,
            changed: 0,
            beside: 0,
            charged: 0,
        }
    }
}

impl<R: Listed> Stripe<R> {
    /// Each record takes so many bytes elsewhere.
    pub(super) fn with_beside(beside: u64) -> Self {
        Self { beside, ..Self::default() }
    }

    pub(super) fn is_changing(&self, hash: u32) -> bool {
        self.closed > 0 || self.changing.contains(&hash)
    }

    /// The change of a key that was begun is over.
    pub(super) fn end_change(&mut self, hash: u32, number: u64) {
        if let Some(at) = self.changing.iter().position(|changing| *changing == hash) {
            self.changing.swap_remove(at);
        }
        self.changed = number;
    }

    pub(super) fn position(&self, hash: u32) -> Option<usize> {
        let is = |&at: &u32| self.records[at as usize].hash() == hash;
        self.index.find(mix(hash), is).map(|&at| at as usize)
    }

    pub(super) fn push(&mut self, record: R) {
        let Self { records, index, .. } = self;
        let (at, hash) = (records.len() as u32, record.hash());
        records.push(record);
        index.insert_unique(mix(hash), at, |&at| mix(records[at as usize].hash()));
    }

    pub(super) fn remove(&mut self, hash: u32) -> Option<R> {
        let Self { records, index, .. } = self;
        let is = |&at: &u32| records[at as usize].hash() == hash;
        let (at, _) = index.find_entry(mix(hash), is).ok()?.remove();
        let last = records.len() as u32 - 1;
        if at != last
            && let Some(moved) = index.find_mut(mix(records[last as usize].hash()), |&other| other == last)
        {
            *moved = at;
        }
        Some(records.swap_remove(at as usize))
    }

    fn has_room(&self) -> bool {
        let Self { records, index, .. } = self;
        records.len() < records.capacity() && index.len() < index.capacity()
    }

    /// Room after it has [grown](Self::grow).
    fn room(&self) -> usize {
        (self.records.len() + self.records.len() / 2).max(4)
    }

    /// The most bytes that room for one more record takes.
    pub(super) fn growth(&self) -> u64 {
        if self.has_room() {
            0
        } else {
            bytes_for::<R>(self.room(), self.beside).saturating_sub(self.charged)
        }
    }

    /// Room for one more record; returns by how many bytes that is more, `None` where there are none.
    pub(super) fn grow(&mut self, reservation: &Reservation, ceiling: u64) -> Option<u64> {
        if self.has_room() {
            return Some(0);
        }
        let (room, more) = (self.room(), self.growth());
        reservation.try_grow(more, ceiling).ok()?;
        let Self { records, index, beside, charged, .. } = self;
        let grown = records.try_reserve_exact(room - records.len()).is_ok()
            && index.try_reserve(room - index.len(), |&at| mix(records[at as usize].hash())).is_ok();
        if !grown {
            reservation.shrink(more);
            return None;
        }
        *charged += more;
        let surplus = charged.saturating_sub(actual(records, index, *beside));
        *charged -= surplus;
        reservation.shrink(surplus);
        Some(more - surplus)
    }

    /// Gives up room that is mostly empty; returns how many bytes that was, which are the caller's to give back.
    pub(super) fn shrink(&mut self) -> u64 {
        let Self { records, index, beside, charged, .. } = self;
        if records.len() * 4 < records.capacity() {
            let room = records.len() * 2;
            records.shrink_to(room);
            index.shrink_to(room, |&at| mix(records[at as usize].hash()));
        }
        let surplus = charged.saturating_sub(actual(records, index, *beside));
        *charged -= surplus;
        surplus
    }
}

/// The most bytes of both for so many records.
fn bytes_for<R>(records: usize, beside: u64) -> u64 {
    let buckets = (records * 8 / 7 + 1).next_power_of_two().max(4);
    let own = allocation(records * size_of::<R>()) + allocation(buckets * (size_of::<u32>() + 1) + 32);
    own + records as u64 * beside
}

fn actual<R>(records: &Vec<R>, index: &HashTable<u32>, beside: u64) -> u64 {
    let index = match index.allocation_size() {
        0 => 0,
        size => allocation(size),
    };
    let records = match records.capacity() {
        0 => 0,
        room => allocation(room * size_of::<R>()) + room as u64 * beside,
    };
    records + index
}

fn mix(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
