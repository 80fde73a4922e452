//! A user's order, and the one below it: the oldest first, for when the user's has nothing sensible to say.
//!
//! Every call into the user's code is guarded. After a panic it is gone, and the shard is a first-in-first-out one.
//! The list of all entries is kept in any case; so a name that the user's order gives is checked against it, and
//! nothing that it does reaches the books.

use std::fmt;

use super::evict::{EntryFacts, Evict, Factory, Uses, guarded};
use super::history::History;
use super::lists::{Link, Lists, Part, Place};
use super::slots::{Facts, Front, Moment, Node, Replaced, Slots, heaviest_first};
use crate::weight::weigh::allocation;

/// All are of one class.
const CLASS: u8 = 64;

/// The order of one shard.
pub(crate) struct Custom {
    /// `None` after a panic.
    own: Option<Box<dyn Evict>>,
    /// All entries by age, in one list.
    lists: Lists,
    history: History,
    /// Insertions.
    now: u32,
}

impl EntryFacts {
    fn of(facts: &Facts) -> Self {
        Self {
            cost: crate::cost::decode(facts.cost),
            weight: facts.weight,
            utility: crate::cost::factor(facts.factor),
            fingerprint: facts.hash,
        }
    }
}

impl Custom {
    pub(super) fn new(factory: Option<&Factory>) -> Self {
        let own = factory.and_then(guarded);
        Self { own, lists: Lists::new(), history: History::new(), now: 0 }
    }

    /// Lets the user's order do something; drops it if it panics.
    fn ask<R>(&mut self, what: impl FnOnce(&mut dyn Evict) -> R) -> Option<R> {
        let own = self.own.as_deref_mut()?;
        let said = guarded(|| what(own));
        if said.is_none() {
            self.give_up();
        }
        said
    }

    fn give_up(&mut self) {
        let broken = self.own.take();
        // Its drop may panic as well.
        guarded(|| drop(broken));
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        self.now = self.now.wrapping_add(1);
        self.history.note(self.now, moment.inflation, self.lists.entries() / 64);
        let facts = slots.facts(slot);
        self.lists.push(slot, Link::new(Place::Main, self.now, CLASS), facts.weight, slots);
        self.ask(|own| own.insert(slot, &EntryFacts::of(&facts)));
    }

    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, _moment: Moment) {
        self.lists.replaced((old.slot, old.weight), new, CLASS, slots);
        slots.touch(new).set_uses(old.uses + 1);
        let facts = EntryFacts::of(&slots.facts(new));
        self.ask(|own| {
            if old.slot != new {
                own.rename(old.slot, new);
            }
            own.replace(new, &facts);
        });
    }

    pub(super) fn renamed(&mut self, from: u32, to: u32, slots: &mut dyn Slots) {
        self.lists.renamed(from, to, slots);
        self.ask(|own| own.rename(from, to));
    }

    pub(super) fn remove(&mut self, slot: u32, slots: &mut dyn Slots) {
        let weight = slots.facts(slot).weight;
        self.lists.unlink(slot, weight, slots);
        *slots.node_mut(slot) = Node::OUT;
        self.ask(|own| own.remove(slot));
    }

    fn oldest(&self) -> Option<u32> {
        self.lists.cheapest(Part::Main, self.now).map(|oldest| oldest.slot)
    }

    pub(super) fn victim(&mut self, slots: &mut dyn Slots, _moment: Moment) -> Option<u32> {
        let is_in = |slot: u32| slots.is_filled(slot) && *slots.node(slot) != Node::OUT;
        let mut take = |slot: u32| if is_in(slot) { slots.touch(slot).take_uses() } else { 0 };
        let named = self.ask(|own| own.victim(&mut Uses { take: &mut take })).flatten();
        named.filter(|slot| is_in(*slot)).or_else(|| self.oldest())
    }

    pub(super) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        self.remove(slot, slots);
    }

    pub(super) fn load(&self) -> u64 {
        self.lists.weight()
    }

    fn credit(&self, slot: u32, slots: &dyn Slots) -> f64 {
        let began = self.history.level(Link::of(slot, slots).lap, self.now);
        began + slots.facts(slot).density(1 + slots.touch(slot).uses())
    }

    /// The oldest stands for the next victim: naming that one could change the user's order.
    pub(super) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        let slot = self.oldest()?;
        let rank = heaviest_first(self.lists.weight());
        let density = slots.facts(slot).density(1 + slots.touch(slot).uses());
        Some(Front { rank, credit: self.credit(slot, slots), density })
    }

    /// By age: the user's order says who is next, and no more.
    pub(super) fn stay(&self, slot: u32, slots: &dyn Slots, _moment: Moment) -> u64 {
        self.lists.stay(0, slot, self.now, slots)
    }

    /// The user's order is dropped with the last entry, not told of each. What comes next has another; see
    /// [`renew`](Self::renew).
    pub(super) fn clear(&mut self) {
        self.give_up();
        self.lists.clear();
    }

    /// A shard that could not go when it was empty gets its first entry again, and with it an order of its own.
    pub(super) fn renew(&mut self, factory: &Factory) {
        self.give_up();
        self.own = guarded(factory);
    }

    pub(super) fn allocated(&self) -> u64 {
        allocation(self.lists.allocated())
    }

    pub(super) fn allocated_for_one_more(&self) -> u64 {
        allocation(self.lists.allocated_for_one_more())
    }

    pub(super) fn try_reserve_one(&mut self) -> bool {
        self.lists.try_reserve_one()
    }

    pub(super) fn shrink(&mut self) {
        self.lists.shrink();
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        self.lists.validate(filled, slots);
    }
}

impl Drop for Custom {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("entries", &self.lists.entries()).finish_non_exhaustive()
    }
}
