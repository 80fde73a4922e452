//! S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, 2023): a small queue that filters, a main queue, and ghosts of the small one.
//!
//! A new entry goes to the small queue, which has a tenth of the weight. Used twice there, it moves on to main when it
//! comes up; else it goes, and leaves a ghost. What comes back while main lets go no more than it holds goes to main at
//! once. In main a used entry goes round again, one use poorer. Costs play no part.

use super::ghosts::{Ghost, Ghosts};
use super::history::History;
use super::lists::{Link, Lists, Part, Place};
use super::scale::Scale;
use super::slots::{Front, Moment, Replaced, Slots, heaviest_first};
use crate::weight::weigh::allocation;

/// Uses that are told apart.
pub(super) const USES: u32 = 3;
/// The small queue has one part in so many.
const SMALL: u64 = 10;
/// Steps of the hand in one eviction.
const HAND: u32 = 64;
/// All are of one class, whatever they cost.
const CLASS: u8 = 64;

/// The order of one shard.
#[derive(Debug)]
pub(crate) struct S3Fifo {
    lists: Lists,
    ghosts: Ghosts,
    history: History,
    /// Misses.
    now: u32,
    /// Bytes that the small queue has let go.
    gone: u64,
    scale: Scale,
}

impl S3Fifo {
    pub(super) const fn new() -> Self {
        Self {
            lists: Lists::new(),
            ghosts: Ghosts::new(),
            history: History::new(),
            now: 0,
            gone: 0,
            scale: Scale::new(),
        }
    }

    fn part(&self) -> Part {
        let small = self.lists.weight_of(Part::Window);
        let is_full = small > 0 && small >= self.lists.weight() / SMALL;
        if is_full || self.lists.len(Part::Main) == 0 { Part::Window } else { Part::Main }
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        self.now = self.now.wrapping_add(1);
        self.history.note(self.now, moment.inflation, self.lists.entries() / 64);
        let facts = slots.facts(slot);
        let came_back = self.gone > 0 && {
            self.scale.follow(self.lists.entries(), self.lists.weight());
            let ghost = self.ghosts.take(facts.hash);
            let within = self.lists.weight_of(Part::Main).max(self.lists.weight() / 2);
            ghost.is_some_and(|ghost| self.scale.gone_since(ghost.gone, self.gone) <= within)
        };
        let place = if came_back { Place::Main } else { Place::First };
        self.lists.push(slot, Link::new(place, self.now, CLASS), facts.weight, slots);
    }

    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, _moment: Moment) {
        self.lists.replaced((old.slot, old.weight), new, CLASS, slots);
        slots.touch(new).set_uses((old.uses + 1).min(USES));
    }

    pub(super) fn renamed(&mut self, from: u32, to: u32, slots: &mut dyn Slots) {
        self.lists.renamed(from, to, slots);
    }

    pub(super) fn remove(&mut self, slot: u32, slots: &mut dyn Slots) {
        let weight = slots.facts(slot).weight;
        self.lists.unlink(slot, weight, slots);
    }

    pub(super) fn victim(&mut self, slots: &mut dyn Slots, _moment: Moment) -> Option<u32> {
        for _ in 0..HAND {
            let slot = self.lists.cheapest(self.part(), self.now)?.slot;
            let (uses, link) = (slots.touch(slot).uses(), Link::of(slot, slots));
            let left = match link.place {
                Place::Main if uses > 0 => uses - 1,
                Place::First | Place::Second if uses > 1 => 0,
                _ => return Some(slot),
            };
            let weight = slots.facts(slot).weight;
            self.lists.unlink(slot, weight, slots);
            slots.touch(slot).set_uses(left);
            self.lists.push(slot, link.moved(Place::Main, self.now), weight, slots);
        }
        let small = self.lists.cheapest(Part::Window, self.now);
        small.or_else(|| self.lists.cheapest(Part::Main, self.now)).map(|victim| victim.slot)
    }

    pub(super) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        let facts = slots.facts(slot);
        let link = self.lists.unlink(slot, facts.weight, slots);
        if link.place != Place::Main {
            self.gone += facts.weight;
            let ghost = Ghost { lap: 0, from_main: false, gone: self.scale.gone(self.gone), fame: 0 };
            self.ghosts.put(facts.hash, ghost);
        }
    }

    pub(super) fn load(&self) -> u64 {
        self.lists.weight()
    }

    fn credit(&self, slot: u32, slots: &dyn Slots) -> f64 {
        let began = self.history.level(Link::of(slot, slots).lap, self.now);
        began + slots.facts(slot).density(1 + slots.touch(slot).uses())
    }

    pub(super) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        let slot = self.lists.cheapest(self.part(), self.now)?.slot;
        let rank = heaviest_first(self.lists.weight());
        let density = slots.facts(slot).density(1 + slots.touch(slot).uses());
        Some(Front { rank, credit: self.credit(slot, slots), density })
    }

    /// What would leave the small queue; what comes up in main and is not used; what goes round again.
    pub(super) fn stay(&self, slot: u32, slots: &dyn Slots, _moment: Moment) -> u64 {
        let (place, uses) = (Link::of(slot, slots).place, slots.touch(slot).uses());
        let tier = match place {
            Place::Main => 1 + uses,
            Place::First | Place::Second => u32::from(uses > 1),
        };
        self.lists.stay(tier, slot, self.now, slots)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(super) fn allocated(&self) -> u64 {
        allocation(self.lists.allocated()) + self.ghosts.allocated()
    }

    pub(super) fn allocated_for_one_more(&self) -> u64 {
        let ghosts = if self.gone > 0 {
            self.ghosts.allocated_to_grow(self.lists.entries() as usize + 1)
        } else {
            self.ghosts.allocated()
        };
        allocation(self.lists.allocated_for_one_more()) + ghosts
    }

    pub(super) fn try_reserve_one(&mut self) -> bool {
        let entries = self.lists.entries() as usize + 1;
        self.lists.try_reserve_one() && (self.gone == 0 || self.ghosts.try_grow(entries))
    }

    pub(super) fn shrink(&mut self) {
        self.lists.shrink();
        self.ghosts.shrink(self.lists.entries() as usize);
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        self.lists.validate(filled, slots);
        self.ghosts.validate();
    }
}
