//! The default: a window and a main part, both lazy and ordered by price, and ghosts that say how wide the window is.
//!
//! ```text
//!   new ──► window: first lap ──used──► second lap ──used──► main ──used──► once more, one use poorer
//!    ▲           └── not used ──┬───────────┘                  └── not used ──┐
//!    │                          ▼                                             ▼
//!    └──── comes back ◄────── ghost ◄─────────────────────────────────────────┘
//!              └── sooner than main's next victim has been idle ──► main
//! ```
//!
//! *Price* of an entry: cost x factor / (weight x idle), where idle counts the shard's misses since the entry's lap
//! began. The victim is the cheapest of a part; with equal costs and weights that is a plain first-in-first-out clock.
//!
//! * A hit counts up to [`USES`] and is then free: the order looks when the entry comes up.
//! * *Window.* New entries go there. Whoever was used in two laps belongs to main; two, because uses that come
//!   together say nothing of later ones. Else it becomes a ghost. (The lazy lists are S3-FIFO's: Yang et al., 2023.)
//! * *Admission.* A ghost that comes back goes straight to main if its price at its reuse distance beats that of main's
//!   next victim, by a tenth. With equal costs: if it was away for less long than main's victim has been idle. That is
//!   the rule of LIRS (Jiang, Zhang, 2002) without its stack; a loop larger than the cache keeps a part of itself in
//!   main by it, instead of nothing.
//! * *Share.* Only ghosts at the margin count, those let go while their part let go a tenth of the cache since: they
//!   would have been hits in a slightly larger part. The window's widen it, main's narrow it, by steps that fall with
//!   the root of the number of entries; one that comes back too late even for main narrows it a little.
//! * *Dear newcomers.* What is worth more than sixteen times as much for each byte as main's victim goes to main at
//!   once: it is not to be lost in a short window. Never happens where costs are equal, or only noisy.
//! * *Start.* Until something is evicted, main fills first, as in LIRS.
//!
//! Cost and size come in as in GreedyDual-Size-Frequency (Cherkasova, 1998), in classes of half an octave, so that
//! measured costs that jitter a little do not turn the lists into a heap. Not here: prices between tenants, which are
//! credits; a sketch of frequencies, which the ghosts make superfluous.

use super::ghosts::{Ghost, Ghosts};
use super::history::History;
use super::lists::{Link, Lists, Part, Place, class_of, ratio_of};
use super::order::{Front, Moment, Replaced, Slots, heaviest_first};
use crate::weight::weigh::allocation;

/// Uses that are told apart.
pub(super) const USES: u32 = 2;

/// Steps of the hand in one eviction: bounds its work after a long time of hits only.
const HAND: u32 = 64;
/// A ghost must beat main's victim by this factor.
const BEAT: f32 = 0.9;
/// The part of the cache's weight that is the margin.
const NEAR: f64 = 0.1;
/// The margin in entries, at least.
const NEAR_ENTRIES: f64 = 4.0;
/// The window's share: in the beginning, at the least and at the most.
const SHARE: f64 = 0.1;
const SHARE_LEAST: f64 = 0.01;
const SHARE_MOST: f64 = 0.95;
/// A step of the share is this over the root of the number of entries, and no more than `STEP_ENTRIES` entries.
const STEP: f64 = 1.0 / 16.0;
const STEP_ENTRIES: f64 = 8.0;
/// How much of a step a ghost that is late takes back.
const LATE: f64 = 0.1;
/// Samples of the level of inflation are a part of the entries apart, in misses: a small window holds several.
const APART: u32 = 128;
/// A newcomer is dear if it is more than so many classes, half octaves, above main's victim: a factor of 16.
const DEAR: i32 = 8;

/// The order of one shard.
#[derive(Debug)]
pub(crate) struct Hybrid {
    lists: Lists,
    ghosts: Ghosts,
    history: History,
    /// Misses: the clock of laps.
    now: u32,
    /// Bytes that window and main have let go.
    gone: [u64; 2],
    /// The window's share of the weight.
    share: f64,
    scale: Scale,
}

/// The units of the ghosts' clocks: about 1/256 of the entries, and of their weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The entries and the weight that they were set for; 0 before.
    entries: u32,
    weight: u64,
    /// Logarithms of the units.
    lap: u32,
    gone: u32,
}

impl Scale {
    pub(super) const fn new() -> Self {
        Self { entries: 0, weight: 0, lap: 0, gone: 0 }
    }

    /// Sets the units anew if the shard is twice as large, or half as large, as it was. Ghosts of before are then
    /// misread once, which looks like a guess.
    pub(super) fn follow(&mut self, entries: u32, weight: u64) {
        let strays = |now: u64, then: u64| now > then.saturating_mul(2) || now < then / 2;
        if strays(u64::from(entries), u64::from(self.entries)) || strays(weight, self.weight) {
            let lap = (entries / 256).max(1).ilog2();
            let gone = (weight / 256).max(1).ilog2();
            *self = Self { entries, weight, lap, gone };
        }
    }

    pub(super) fn lap(&self, lap: u32) -> u16 {
        (lap >> self.lap) as u16
    }

    /// Misses since `lap`.
    fn since(&self, lap: u16, now: u32) -> u32 {
        u32::from(self.lap(now).wrapping_sub(lap)) << self.lap
    }

    pub(super) fn gone(&self, gone: u64) -> u16 {
        (gone >> self.gone) as u16 & Ghost::GONE
    }

    /// Bytes that were let go since `gone`.
    pub(super) fn gone_since(&self, gone: u16, now: u64) -> u64 {
        u64::from(self.gone(now).wrapping_sub(gone) & Ghost::GONE) << self.gone
    }
}

impl Hybrid {
    pub(super) const fn new() -> Self {
        Self {
            lists: Lists::new(),
            ghosts: Ghosts::new(),
            history: History::new(),
            now: 0,
            gone: [0; 2],
            share: SHARE,
            scale: Scale::new(),
        }
    }

    /// Whether anything was evicted.
    fn has_evicted(&self) -> bool {
        self.gone != [0; 2]
    }

    /// The part that gives the next victim.
    fn part(&self) -> Part {
        let (window, all) = (self.lists.weight_of(Part::Window) as f64, self.lists.weight() as f64);
        let is_wide = self.lists.len(Part::Window) > 0 && window >= (self.share * all).max(1.0);
        if is_wide || self.lists.len(Part::Main) == 0 { Part::Window } else { Part::Main }
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        self.now = self.now.wrapping_add(1);
        let entries = self.lists.entries();
        self.history.note(self.now, moment.inflation, entries / APART);
        let facts = slots.facts(slot);
        let class = class_of(&facts);
        let to_main = if self.has_evicted() {
            self.scale.follow(entries, self.lists.weight());
            match self.ghosts.take(facts.hash) {
                Some(ghost) => self.admits(ghost, class),
                None => self.is_dear(class),
            }
        } else {
            moment.filling
        };
        let place = if to_main { Place::Main } else { Place::First };
        self.lists.push(slot, Link::new(place, self.now, class), facts.weight, slots);
    }

    /// Whether what comes back goes to main; and what its return says about the window.
    fn admits(&mut self, ghost: Ghost, class: u8) -> bool {
        // A distance of no units may be any part of one.
        let distance = self.scale.since(ghost.lap, self.now).max(1) as f32;
        let price = ratio_of(class) * BEAT / distance;
        let wins = self.lists.cheapest(Part::Main, self.now).is_none_or(|victim| price > victim.price());

        let gone = self.scale.gone_since(ghost.gone, self.gone[usize::from(ghost.from_main)]) as f64;
        let (entries, weight) = (f64::from(self.lists.entries().max(1)), self.lists.weight() as f64);
        let is_near = gone <= weight * NEAR.max(NEAR_ENTRIES / entries);
        let step = (STEP / entries.sqrt()).min(STEP_ENTRIES / entries);
        let change = match (is_near, ghost.from_main) {
            (true, false) => step,
            (true, true) => -step,
            (false, false) if !wins => -step * LATE,
            (false, _) => 0.0,
        };
        self.share = (self.share + change).clamp(SHARE_LEAST, SHARE_MOST);
        wins
    }

    fn is_dear(&self, class: u8) -> bool {
        let victim = self.lists.cheapest(Part::Main, self.now);
        victim.is_some_and(|victim| i32::from(class) - i32::from(victim.class) > DEAR)
    }

    /// The entry keeps its lap, and its uses and one more.
    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, _moment: Moment) {
        let class = class_of(&slots.facts(new));
        self.lists.replaced((old.slot, old.weight), new, class, slots);
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
            let uses = slots.touch(slot).uses();
            if uses == 0 {
                return Some(slot);
            }
            let weight = slots.facts(slot).weight;
            let link = self.lists.unlink(slot, weight, slots);
            let (place, left) = match link.place {
                Place::First => (Place::Second, 0),
                Place::Second => (Place::Main, 0),
                Place::Main => (Place::Main, uses - 1),
            };
            slots.touch(slot).set_uses(left);
            self.lists.push(slot, link.moved(place, self.now), weight, slots);
        }
        // So many used ones in a row: the window's goes, whatever it was.
        let window = self.lists.cheapest(Part::Window, self.now);
        window.or_else(|| self.lists.cheapest(Part::Main, self.now)).map(|victim| victim.slot)
    }

    pub(super) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        let facts = slots.facts(slot);
        if !self.has_evicted() {
            self.scale.follow(self.lists.entries(), self.lists.weight());
        }
        let link = self.lists.unlink(slot, facts.weight, slots);
        let from_main = link.place == Place::Main;
        let gone = &mut self.gone[usize::from(from_main)];
        *gone += facts.weight;
        let ghost = Ghost { lap: self.scale.lap(link.lap), from_main, gone: self.scale.gone(*gone) };
        self.ghosts.put(facts.hash, ghost);
    }

    pub(super) fn load(&self) -> u64 {
        self.lists.weight()
    }

    /// What the shard's bytes are worth to its tenant, and what those of its next victim save.
    ///
    /// Told by the heavier part: there most of the bytes are won or lost when the tenant grows or gives way. The head
    /// of a small window is always young, and says nothing of them.
    fn worth(&self, slots: &dyn Slots) -> Option<(f64, f64)> {
        let is_wide = self.lists.weight_of(Part::Window) > self.lists.weight_of(Part::Main);
        let part = if is_wide { Part::Window } else { Part::Main };
        let slot = self.lists.cheapest(part, self.now)?.slot;
        let density = slots.facts(slot).density(1);
        // When it was used is not known: uses that are spread evenly over its lap leave such a part behind the last.
        let age = self.now.wrapping_sub(Link::of(slot, slots).lap) / (1 + slots.touch(slot).uses());
        Some((self.history.level(self.now.wrapping_sub(age), self.now) + density, density))
    }

    pub(super) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        let (credit, density) = self.worth(slots)?;
        Some(Front { rank: heaviest_first(self.lists.weight()), credit, density })
    }

    /// What would leave the window; what would get a second lap there, and what comes up in main and is not used; what
    /// belongs to main, by its uses.
    pub(super) fn stay(&self, slot: u32, slots: &dyn Slots, _moment: Moment) -> u64 {
        let (place, uses) = (Link::of(slot, slots).place, slots.touch(slot).uses());
        let tier = match place {
            Place::First => u32::from(uses > 0),
            Place::Second => 2 * u32::from(uses > 0),
            Place::Main => 1 + uses,
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
        let ghosts = if self.has_evicted() {
            self.ghosts.allocated_to_grow(self.lists.entries() as usize + 1)
        } else {
            self.ghosts.allocated()
        };
        allocation(self.lists.allocated_for_one_more()) + ghosts
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let entries = self.lists.entries() as usize + 1;
        self.lists.has_room() && (!self.has_evicted() || !self.ghosts.would_grow(entries))
    }

    pub(super) fn try_reserve_one(&mut self) -> bool {
        let entries = self.lists.entries() as usize + 1;
        self.lists.try_reserve_one() && (!self.has_evicted() || self.ghosts.try_grow(entries))
    }

    pub(super) fn shrink(&mut self) {
        self.lists.shrink();
        self.ghosts.shrink(self.lists.entries() as usize);
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        self.lists.validate(filled, slots);
        self.ghosts.validate();
        assert!((SHARE_LEAST..=SHARE_MOST).contains(&self.share));
    }
}
