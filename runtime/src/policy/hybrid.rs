//! The default: a window and a main part, both lazy and ordered by price, and ghosts that say how wide the window is.
//!
//! ```text
//!   new ──► window: first lap ──used──► second lap ──used──► main ──used──► once more, with more fame
//!    ▲           └── not used ──┬───────────┘                  └── not used ──┐
//!    │                          ▼                                             ▼
//!    └──── comes back ◄────── ghost ◄─────────────────────────────────────────┘
//!              └── sooner than main's next victim has been idle ──► main
//! ```
//!
//! *Price* of an entry: fame x cost x factor / (weight x idle), where idle counts the shard's misses since the entry's lap
//! began, and, where entries differ in worth, two for each entry there is on top. The victim is the cheapest of a part.
//! Entries differ where newcomers are half an octave of worth for each byte from the middle, in the mean: a single one that
//! was slow by chance is not enough.
//!
//! *Fame* counts uses, and fades: after five misses for each entry a use counts half. It is settled when the entry comes up,
//! in half octaves, and ghosts keep it. So what is used again and again stays through a pause, and the head of a list is told
//! from others by more than its last use: with costs and sizes that differ a tenth less is computed again than by the last
//! use alone. Where entries do not differ, fame counts nothing, and a part is a plain first-in-first-out clock: what comes
//! back is the question there, and recency answers it better.
//!
//! * A hit counts up to [`USES`] and is then free: the order looks when the entry comes up.
//! * *Window.* New entries go there. Whoever was used in two laps belongs to main; two, because uses that come
//!   together say nothing of later ones. Else it becomes a ghost. (The lazy lists are S3-FIFO's: Yang et al., 2023.)
//! * *Admission.* A ghost that comes back goes straight to main if its price at its reuse distance beats that of main's
//!   next victim, by a tenth. With equal costs and fame: if it was away for less long than main's victim has been idle. That is
//!   the rule of LIRS (Jiang, Zhang, 2002) without its stack; a loop larger than the cache keeps a part of itself in
//!   main by it, instead of nothing.
//! * *Share.* Only ghosts at the margin count, those let go while their part let go a tenth of the cache since: they
//!   would have been hits in a slightly larger part. The window's widen it, main's narrow it, by steps that fall with
//!   the root of the number of entries; one that comes back too late even for main narrows it a little.
//! * *Dear newcomers.* What is worth clearly more for each byte than main's victim goes to main at once: it is not to be
//!   lost in a short window. Where entries do not differ that takes sixteen times as much, so that costs may be noisy.
//! * *Start.* Until something is evicted, main fills first, as in LIRS.
//!
//! Cost and size come in as in GreedyDual-Size-Frequency (Cherkasova, 1998), in classes of half an octave, so that
//! measured costs that jitter a little do not turn the lists into a heap. Not here: prices between tenants, which are
//! credits; a sketch of frequencies, which the ghosts make superfluous.

use super::ghosts::{Ghost, Ghosts};
use super::history::History;
use super::lists::{DEAREST, Link, Lists, Part, Place, class_of, ratio_of};
use super::scale::Scale;
use super::slots::{Facts, Front, Moment, Replaced, Slots, heaviest_first};
use crate::weight::weigh::allocation;

/// Uses that are told apart,
pub(super) const USES: u32 = 4;
/// and where entries hardly differ in worth: there further ones would only keep what was popular once.
const USES_AMONG_EQUALS: u32 = 2;

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
/// A newcomer is dear if it is more than so many classes, half octaves, above main's victim;
const DEAR: i32 = 1;
/// where entries hardly differ, only at a factor of 16: costs may be noisy.
const DEAR_AMONG_EQUALS: i32 = 8;
/// A use counts half as much, in fame, after so many misses for each entry of the shard.
const TURNS: f32 = 5.0;
/// What is idle for so many misses for each entry is worth half of what it was.
const EASE: f32 = 2.0;
/// Entries differ in worth if they are so many classes from the middle, in the mean: below, costs may only be noisy.
const VARIED: f32 = 1.0;
/// The mean is over about so many newcomers.
const RECENT: f32 = 64.0;
/// A use, in fame.
const USE: u16 = 16;

/// A fame in half octaves: 0 is half a use or less, 2 is one, in as many steps as a ghost has room for.
fn level_of(fame: u16) -> u8 {
    let uses = f32::from(fame) / f32::from(USE);
    (2.0 + 2.0 * uses.log2()).round().clamp(0.0, f32::from(Ghost::FAME)) as u8
}

/// The fame of such a level.
fn fame_of(level: u8) -> u16 {
    (f32::from(USE) * ((f32::from(level) - 2.0) / 2.0).exp2()) as u16
}

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
    /// The class of a newcomer without fame, and how far from it they are, in the mean.
    middle: f32,
    spread: f32,
    /// Newcomers, up to [`RECENT`].
    seen: f32,
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
            middle: 0.0,
            spread: 0.0,
            seen: 0.0,
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

    /// The class of an entry of some fame: uses count like cost.
    fn class_with(&self, facts: &Facts, fame: u16) -> u8 {
        let class = class_of(facts);
        if !self.is_varied() {
            return class;
        }
        (class + level_of(fame)).saturating_sub(level_of(USE)).min(DEAREST)
    }

    /// Whether entries differ in what their bytes are worth. Where they do not, and it is only about when they are used
    /// again, fame would keep what was popular once.
    fn is_varied(&self) -> bool {
        self.spread >= VARIED
    }

    /// Notes what a newcomer is worth.
    fn observe(&mut self, class: u8) {
        self.seen = (self.seen + 1.0).min(RECENT);
        let class = f32::from(class);
        self.middle += (class - self.middle) / self.seen;
        self.spread += ((class - self.middle).abs() - self.spread) / self.seen;
    }

    /// What is left of a fame after a lap.
    fn faded(&self, fame: u16, lap: u32) -> u16 {
        let turns = (self.lists.entries() as f32 * TURNS).max(16.0);
        (f32::from(fame) * turns / (turns + lap as f32)) as u16
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        self.now = self.now.wrapping_add(1);
        let entries = self.lists.entries();
        self.history.note(self.now, moment.inflation, entries / APART);
        let facts = slots.facts(slot);
        let class = class_of(&facts);
        self.observe(class);
        self.lists.set_ease(if self.is_varied() { entries as f32 * EASE } else { 0.0 });
        let mut fame = USE;
        let to_main = if self.has_evicted() {
            self.scale.follow(entries, self.lists.weight());
            match self.ghosts.take(facts.hash) {
                Some(ghost) => {
                    let known = self.faded(fame_of(ghost.fame), self.scale.since(ghost.lap, self.now));
                    fame = known + USE;
                    self.admits(ghost, self.class_with(&facts, fame_of(ghost.fame)))
                }
                None => self.is_dear(class, slots),
            }
        } else {
            moment.filling
        };
        let place = if to_main { Place::Main } else { Place::First };
        let link = Link::new(place, self.now, 0).of_class(self.class_with(&facts, fame), fame);
        self.lists.push(slot, link, facts.weight, slots);
    }

    /// Whether what comes back goes to main; and what its return says about the window.
    fn admits(&mut self, ghost: Ghost, class: u8) -> bool {
        // A distance of no units may be any part of one.
        let distance = self.scale.since(ghost.lap, self.now).max(1) as f32;
        let price = ratio_of(class) * BEAT / (distance + self.lists.ease());
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

    fn is_dear(&self, class: u8, slots: &dyn Slots) -> bool {
        let above = if self.is_varied() { DEAR } else { DEAR_AMONG_EQUALS };
        let victim = self.lists.cheapest(Part::Main, self.now);
        // Without its fame: a newcomer has none yet.
        let class_of_victim = |slot| i32::from(class_of(&slots.facts(slot)));
        victim.is_some_and(|victim| i32::from(class) - class_of_victim(victim.slot) > above)
    }

    /// The entry keeps its lap, and its uses and one more.
    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, _moment: Moment) {
        let fame = Link::of(old.slot, slots).fame;
        let class = self.class_with(&slots.facts(new), fame);
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
            let facts = slots.facts(slot);
            let weight = facts.weight;
            let link = self.lists.unlink(slot, weight, slots);
            let fame =
                self.faded(link.fame, self.now.wrapping_sub(link.lap)).saturating_add(uses as u16 * USE);
            let link = link.of_class(self.class_with(&facts, fame), fame);
            let (place, left) = match link.place {
                Place::First => (Place::Second, 0),
                Place::Second => (Place::Main, 0),
                Place::Main => {
                    (Place::Main, if self.is_varied() { 0 } else { uses.min(USES_AMONG_EQUALS) - 1 })
                }
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
        let fame = level_of(link.fame);
        let ghost = Ghost { lap: self.scale.lap(link.lap), from_main, gone: self.scale.gone(*gone), fame };
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
        let (link, noted) = (Link::of(slot, slots), slots.touch(slot).uses());
        // When it was used is not known: uses that are spread evenly over its lap leave such a part behind the last.
        let age = self.now.wrapping_sub(link.lap) / (1 + noted);
        let uses = f64::from(link.fame) / f64::from(USE) + f64::from(noted);
        let worth = if self.is_varied() { density * uses.max(1.0) } else { density };
        Some((self.history.level(self.now.wrapping_sub(age), self.now) + worth, density))
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

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_fame_is_told_within_a_quarter_of_an_octave() {
        for fame in USE / 2..USE * 90 {
            let off = (f32::from(fame) / f32::from(fame_of(level_of(fame)))).log2();
            assert!(off.abs() <= 0.4, "{fame}: {off}");
        }
        assert_eq!((level_of(0), level_of(u16::MAX)), (0, Ghost::FAME));
        assert_eq!(fame_of(level_of(USE)), USE);
    }
}
