//! How an entry comes in: over the one with an equal key, in a place that was reserved, or in a victim's.
//!
//! Room in table, pages, order and wheel is reserved before anything changes. Runs no user code but a key's `Eq`, and
//! that comes first.

use super::leave::{Collect, Leaving};
use super::{Inner, View, Writer, high_at};
use crate::budget::Refused;
use crate::expiry::{Expires, Wheel};
use crate::policy::{Factory, Moment, Node, Replaced, Slots, Touch};
use crate::removal::RemovalCause;
use crate::store::pages::{Contents, Fixed, Own, State};
use crate::store::table::{Growth, Vacancy};
use crate::sync::Ordering;
use crate::time::Nanos;

/// An entry on its way in.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
    /// Heap bytes of key and value; already reserved.
    pub(crate) heap: u64,
    pub(crate) cost: u8,
    /// The user's factor, as a byte of [`crate::cost`].
    pub(crate) factor: i8,
    /// When it is too old, however much it is used; `NEVER` without a bound.
    pub(crate) deadline: Nanos,
    /// Now; of no meaning where nothing expires.
    pub(crate) written: Nanos,
    /// It must not go to make room. So it is with what replaces a pinned entry.
    pub(crate) pinned: bool,
}

/// Who left when an entry came, whether it got in or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Displaced {
    /// One with an equal key, whose place it is.
    pub(crate) replaced: bool,
    /// A victim, whose place it is.
    pub(crate) evicted: bool,
}

/// The slot of an entry with an equal key; otherwise, maybe, where in the table one may be linked.
pub(in crate::store) type PlaceOf = Result<u32, Option<Vacancy>>;

/// Why an entry was not linked; the entry comes back.
#[derive(Debug)]
pub(crate) enum NotLinked {
    /// Table or pages must grow and the reservation cannot.
    NoRoom(Refused),
    /// The entry has no place: there is none with an equal key, and none that could make way here.
    NoPlace,
    /// The allocator has no memory left, or the table no place for one more key of this hash.
    Exhausted,
    /// There is an entry with an equal key that a load does not replace: it was written, or loaded, since this load began.
    Present,
    /// The entry is not the one that was seen.
    Changed,
}

/// What happens to an entry with an equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Over {
    /// It is replaced.
    Any,
    /// It is replaced only if it is expired by then: a loaded value never overwrites a written one.
    Expired(Nanos),
    /// It is replaced only if it is the one of this version; there must be none, or an expired one, for `None`.
    Seen(Option<u32>),
}

/// Where the place of an entry comes from, if there is none with an equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Room {
    /// It was reserved.
    Reserved,
    /// A victim of this shard makes it.
    Victim,
    /// It has none.
    Nowhere,
}

/// On what terms an entry comes.
#[derive(Clone, Copy)]
pub(in crate::store) struct Terms<'a> {
    pub(in crate::store) over: Over,
    pub(in crate::store) room: Room,
    pub(in crate::store) moment: Moment,
    /// What the reservation must not exceed.
    pub(in crate::store) ceiling: u64,
    /// Makes the user's own order anew, if the entry is the first of a shard that was here before.
    pub(in crate::store) own: Option<&'a Factory>,
}

impl<K, V> Writer<'_, K, V> {
    /// Where the entry with an equal key is, or where the new one may go. Apart from [`link`](Self::link), so that the
    /// new entry is not dropped under the lock when a key's `Eq` panics.
    #[inline]
    pub(in crate::store) fn place_of(&self, entry: &Entry<K, V>, eq: impl Fn(&K, &K) -> bool) -> PlaceOf {
        let Inner { shape, filling, .. } = &*self.inner;
        let hash = entry.hash as u32;
        self.shard.table.find_or_vacancy(shape, hash, |index| {
            let slot = self.shard.pages.slot_mine(filling, index);
            // SAFETY: the table leads to filled slots.
            slot.fixed().may_be(hash) && eq(unsafe { slot.key() }, &entry.key)
        })
    }

    /// Puts the entry that is `arriving` in, and takes it: over the one with an equal key, or in a new slot. Runs no
    /// user code. Says who left, in any case.
    pub(in crate::store) fn link(
        &mut self,
        arriving: &mut Option<Entry<K, V>>,
        place: PlaceOf,
        terms: &Terms<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> (Displaced, Result<(), NotLinked>) {
        let Terms { over, room, moment, ceiling, own } = *terms;
        let (mut found, vacancy) = match place {
            Ok(old) => (Some(old), None),
            Err(vacancy) => (None, vacancy),
        };
        let nobody = Displaced::default();
        let Some(entry) = &*arriving else { return (nobody, Err(NotLinked::Present)) };
        match (found, over) {
            (Some(index), Over::Expired(now)) if self.shard.deadline(index) > now => {
                return (nobody, Err(NotLinked::Present));
            }
            (Some(index), Over::Seen(Some(version))) if self.own(index).mark == version => {}
            (Some(index), Over::Seen(None)) if self.shard.deadline(index) <= entry.written => {}
            (Some(_), Over::Seen(_)) | (None, Over::Seen(Some(_))) => {
                return (nobody, Err(NotLinked::Changed));
            }
            _ => {}
        }
        let pinned = entry.pinned || found.is_some_and(|old| self.hands_on_pin(old, entry.written));
        let mut displaced = Displaced { replaced: found.is_some(), evicted: false };
        if found.is_none() && room != Room::Reserved {
            if room == Room::Nowhere || !self.make_place(moment) {
                return (nobody, Err(NotLinked::NoPlace));
            }
            displaced.evicted = true;
        }
        self.renew_order(own);
        let mut grown = self.grow(entry, found.is_none(), ceiling);
        if let (Err(NotLinked::NoRoom(_)), Some(old)) = (&grown, found) {
            // Where there is no room for both, the old one goes first.
            found = None;
            self.unlink(old, RemovalCause::Replaced);
            self.collect(Collect::Now, leaving);
            self.renew_order(own);
            grown = self.grow(entry, true, ceiling);
        } else if grown.is_err() {
            displaced.replaced = false;
        }
        if let Err(error) = grown {
            if let Some(entry) = arriving.as_mut().filter(|_| displaced.replaced) {
                // The old one is gone, and its pin is all that is left of it.
                entry.pinned = pinned;
            }
            return (displaced, Err(error));
        }
        let Some(entry) = arriving.take() else { return (displaced, Err(NotLinked::Present)) };
        let Entry { hash, key, value, heap, cost, factor, deadline, written, .. } = entry;
        let hash = hash as u32;
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, order, wheel, linked, version, .. } = &mut **inner;
        let (touch, fixed) = (Touch::new(moment.tick), Fixed::new(hash));
        *version = version.wrapping_add(1);
        let node = match found {
            // The order does not have it, whatever it has of the old one.
            _ if pinned => Node::OUT,
            Some(old) => shard.pages.own_ref(filling, old).node,
            None => Node::default(),
        };
        let own = Own { state: State::Filled, factor, low: hash as u8, pinned, mark: *version, node };
        let index = shard.pages.fill(filling, Contents { key, value, touch, fixed, own, heap });
        if shard.expires != Expires::Never {
            // SAFETY: we are the writer, and the columns exist where entries expire so.
            unsafe {
                shard.pages.deadline(index).store(deadline, Ordering::Relaxed);
                if matches!(shard.expires, Expires::ByUse(_)) {
                    shard.pages.used(index).store(written, Ordering::Relaxed);
                }
            }
        }
        let mut slots = View { shard, filling };
        let old_pinned = found.is_some_and(|old| shard.pages.own(slots.filling, old).pinned);
        match found {
            Some(old) => {
                shard.pages.slot_mine(slots.filling, old).denounce();
                shard.table.replace(shape, hash, old, index);
            }
            None => {
                shard.table.insert(shape, hash, index, vacancy);
                *linked += 1;
            }
        }
        shard.pages.slot_mine(slots.filling, index).announce(cost);
        match (found.filter(|_| !old_pinned), pinned) {
            (Some(old), false) => {
                // The key keeps the uses it has earned.
                let uses = slots.touch(old).uses();
                let before = Replaced { slot: old, weight: slots.weight(old), uses };
                order.replaced(before, index, &mut slots, moment);
            }
            (Some(old), true) => order.remove(old, &mut slots),
            (None, false) => order.push(index, &mut slots, moment),
            (None, true) => {}
        }
        if pinned {
            reservation.pin(slots.weight(index));
        }
        if let Some(old) = found {
            if old_pinned {
                reservation.unpin(slots.weight(old));
            }
            if let Some(wheel) = wheel {
                wheel.cancel(old);
            }
        }
        if let Some(wheel) = wheel {
            wheel.schedule(index, shard.deadline(index));
        }
        if let Some(old) = found {
            self.bury(old, RemovalCause::Replaced);
        }
        self.inner.unpublished = self.inner.unpublished.saturating_add(1);
        (displaced, Ok(()))
    }

    /// An order of the user's own goes with the last entry of its shard, which may stay.
    fn renew_order(&mut self, own: Option<&Factory>) {
        if let Some(own) = own
            && self.inner.shape.len() == 0
        {
            self.inner.order.renew(own);
        }
    }

    /// Takes a victim out for an entry that has no place, if this shard is one that should give way.
    fn make_place(&mut self, moment: Moment) -> bool {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, heavy, .. } = &mut **inner;
        if order.load().is_none_or(|load| load < *heavy) {
            return false;
        }
        let mut slots = View { shard, filling };
        let Some(index) = order.victim(&mut slots, moment) else { return false };
        order.evict(index, &mut slots);
        self.take_out(index, RemovalCause::Evicted);
        true
    }

    /// Makes room for one more entry in table, pages, order and wheel; reserves the bytes before it grows them.
    /// `new` says that the entry takes no other's place in table and queue.
    fn grow(&mut self, entry: &Entry<K, V>, new: bool, ceiling: u64) -> Result<(), NotLinked> {
        let hash = entry.hash as u32;
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, order, .. } = &**inner;
        // As it nearly always is.
        if shard.expires == Expires::Never
            && shard.pages.has_room(filling, entry.heap)
            && order.has_room()
            && (!new || shard.table.has_room(shape, hash))
        {
            return Ok(());
        }
        loop {
            let (growth, after) = inner.after_one_more::<K, V>(
                &shard.table,
                shard.expires,
                hash,
                entry.heap,
                entry.written,
                new,
            );
            if growth == Growth::Never {
                return Err(NotLinked::Exhausted);
            }
            let bytes = after.saturating_sub(inner.charged);
            if bytes > 0 {
                if let Err(refused) = reservation.try_grow(bytes, ceiling) {
                    return Err(NotLinked::NoRoom(refused));
                }
                inner.charged += bytes;
            }
            let Inner { shape, filling, limbo, order, wheel, .. } = &mut **inner;
            if wheel.is_none() && shard.expires != Expires::Never {
                *wheel = Some(Box::new(Wheel::new(entry.written)));
            }
            let (slots, entries) = (filling.bound_for_one_more::<K, V>(), shape.len() + 1);
            let hash_of = |index| high_at(shard, filling, index);
            let grown = shard.table.grow(shape, hash, growth, limbo, &hash_of)
                && order.try_reserve_one()
                && wheel.as_mut().is_none_or(|wheel| wheel.try_reserve(slots, entries))
                && shard.pages.try_reserve_one(filling, entry.heap, limbo);
            inner.recount::<K, V>();
            inner.settle::<K, V>(reservation, u64::MAX);
            match growth {
                _ if !grown => return Err(NotLinked::Exhausted),
                // One half may have got nearly everything.
                Growth::Split => {}
                _ => return Ok(()),
            }
        }
    }
}
