//! The wheel beside a sorted map, and the rules at the ends of their ranges.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Expires, Lifetime, Turned, Wheel};
use crate::time::{NEVER, Nanos};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Any duration, short ones as likely as long ones: a random number of random bits, or one end.
    fn duration(&mut self) -> Nanos {
        match self.below(20) {
            0 => 0,
            1 => 1,
            2 => NEVER,
            3 => NEVER - self.below(3),
            // What caches have: up to some hours.
            4..=9 => self.next() >> (20 + self.below(20)),
            _ => self.next() >> self.below(64),
        }
    }
}

/// A wheel, and what it should know.
struct Pair {
    wheel: Wheel,
    now: Nanos,
    /// Slots there are.
    slots: u32,
    /// The deadline of each scheduled slot, which may have moved later since.
    deadlines: BTreeMap<u32, Nanos>,
    /// Deadlines given so far: bounds the looks.
    given: u64,
    looks: u64,
}

impl Pair {
    fn new(slots: u32, now: Nanos) -> Self {
        let mut wheel = Wheel::new(now);
        let promised = wheel.allocated_for(slots as usize, slots as usize);
        assert!(wheel.try_reserve(slots as usize, slots as usize));
        assert!(wheel.allocated() <= promised);
        Self { wheel, now, slots, deadlines: BTreeMap::new(), given: 0, looks: 0 }
    }

    fn schedule(&mut self, slot: u32, deadline: Nanos) {
        self.wheel.schedule(slot, deadline);
        self.given += 1;
        match deadline {
            NEVER => self.deadlines.remove(&slot),
            deadline => self.deadlines.insert(slot, deadline),
        };
    }

    /// As a hit does: the wheel does not hear of it.
    fn extend(&mut self, slot: u32, by: Nanos) {
        if let Some(deadline) = self.deadlines.get_mut(&slot) {
            *deadline = deadline.saturating_add(by);
            self.given += 1;
        }
    }

    fn cancel(&mut self, slot: u32) {
        self.wheel.cancel(slot);
        self.deadlines.remove(&slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        if from == to || self.deadlines.contains_key(&to) {
            return;
        }
        // A slot that no longer expires may still be in the wheel; vacant ones are not.
        self.wheel.cancel(to);
        self.wheel.renamed(from, to);
        if let Some(deadline) = self.deadlines.remove(&from) {
            self.deadlines.insert(to, deadline);
        }
    }

    /// One turn to `now`; whether it found everything.
    fn turn(&mut self, most: usize) -> bool {
        let mut looks = most;
        let done = loop {
            let deadlines = &self.deadlines;
            let deadline = |slot| deadlines.get(&slot).copied().unwrap_or(NEVER);
            match self.wheel.advance(self.now, &mut looks, &deadline) {
                Turned::Due(slot) => {
                    let at = self.deadlines.remove(&slot);
                    assert!(
                        at.is_some_and(|at| at <= self.now),
                        "slot {slot} is due at {at:?}, not {}",
                        self.now
                    );
                }
                Turned::Paused => break false,
                Turned::Done => break true,
            }
        };
        self.looks += (most - looks) as u64;
        let due = |(slot, at): (&u32, &Nanos)| (*at <= self.now).then_some((*slot, *at));
        if done {
            assert_eq!(self.deadlines.iter().find_map(due), None, "forgotten at {}", self.now);
        }
        done
    }

    fn turn_to(&mut self, now: Nanos) {
        self.now = now;
        while !self.turn(64) {}
    }

    fn check(&self) {
        let least = self.deadlines.values().copied().min().unwrap_or(NEVER);
        assert!(self.wheel.next() <= least, "{} is promised, but {least} is due", self.wheel.next());
        self.wheel.validate(|slot| self.deadlines.get(&slot).copied().unwrap_or(NEVER));
        for slot in self.deadlines.keys().filter(|slot| self.deadlines[slot] != NEVER) {
            assert!(self.wheel.is_scheduled(*slot), "slot {slot} is not scheduled");
        }
        // Each deadline is good for one look a level, and one that finds it due.
        assert!(self.looks <= 12 * self.given, "{} looks for {} deadlines", self.looks, self.given);
    }
}

fn operations() -> u64 {
    let deep = std::env::var_os("LARDER_DEEP").is_some_and(|value| value != "0");
    if deep { 10_000_000 } else { 200_000 }
}

#[test]
fn the_wheel_agrees_with_a_sorted_map() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let each = 20_000;
    for round in 0..operations() / each {
        let origin = if round % 3 == 0 { 0 } else { random.duration().min(NEVER - 1) };
        let mut pair = Pair::new([1, 3, 60, 1000][round as usize % 4], origin);
        for step in 0..each {
            let slot = random.below(pair.slots.into()) as u32;
            match random.below(16) {
                0..=6 => {
                    let deadline = pair.now.saturating_add(random.duration());
                    pair.schedule(slot, deadline);
                }
                7 => pair.cancel(slot),
                8 => {
                    let by = random.duration();
                    pair.extend(slot, by);
                }
                9 => {
                    let to = random.below(pair.slots.into()) as u32;
                    pair.rename(slot, to);
                }
                // A step short enough that a round sees many of them, or a jump.
                10..=12 => {
                    let by = random.duration() >> random.below(64);
                    pair.now = pair.now.saturating_add(by).min(NEVER - 1);
                    pair.turn(random.below(20) as usize);
                }
                13 if step % 50 == 0 => {
                    pair.now = pair.now.saturating_add(random.duration()).min(NEVER - 1);
                    pair.turn(random.below(2000) as usize);
                }
                _ => drop(pair.turn(8)),
            }
            if step % 199 == 0 {
                pair.check();
            }
        }
        pair.turn_to(NEVER - 1);
        pair.check();
        assert!(pair.deadlines.values().all(|deadline| *deadline == NEVER));
    }
}

#[test]
fn a_clock_in_small_steps_finds_each_slot_at_its_deadline() {
    let mut random = Random(3);
    let mut pair = Pair::new(500, 1 << 40);
    for slot in 0..500 {
        pair.schedule(slot, pair.now + random.below(1 << 30));
    }
    while !pair.deadlines.is_empty() {
        pair.turn_to(pair.now + random.below(1 << 20));
        pair.check();
    }
    assert_eq!(pair.wheel.next(), NEVER);
}

#[test]
fn one_look_each_is_enough_after_a_jump() {
    for jump in [1_u64 << 32, 1 << 50, NEVER - 1 - (1 << 33)] {
        let mut pair = Pair::new(1000, 1 << 33);
        for slot in 0..1000 {
            pair.schedule(slot, pair.now + 1 + u64::from(slot) * 1_000_000);
        }
        pair.turn_to(pair.now + jump);
        assert_eq!((pair.looks, pair.deadlines.len()), (1000, 0));
    }
}

#[test]
fn entries_of_minutes_are_looked_at_a_few_times_in_steps_of_milliseconds() {
    const GRAIN: Nanos = 1 << 22;
    const TEN_MINUTES: Nanos = 600_000_000_000;
    let mut pair = Pair::new(20, 0);
    let (mut next, mut given) = (0, 0_u64);
    for step in 0..400_000 {
        if step % 10_000 == 0 {
            pair.schedule(next, pair.now + TEN_MINUTES);
            (next, given) = ((next + 1) % 20, given + 1);
        }
        pair.turn_to(pair.now + GRAIN);
    }
    assert!(pair.looks <= 5 * given, "{} looks for {given} entries", pair.looks);
}

#[test]
fn the_last_instants_of_the_range_are_told_apart() {
    let mut pair = Pair::new(4, 0);
    for (slot, deadline) in [NEVER - 3, NEVER - 2, NEVER - 1, NEVER].into_iter().enumerate() {
        pair.schedule(slot as u32, deadline);
    }
    assert_eq!(pair.deadlines.len(), 3, "`NEVER` is not scheduled");
    for left in [2, 1, 0] {
        pair.turn_to(NEVER - 1 - left);
        assert_eq!(pair.deadlines.len() as u64, left);
    }
    pair.schedule(0, NEVER - 1);
    pair.turn_to(NEVER - 1);
    assert!(pair.deadlines.is_empty(), "what is due when it is scheduled comes up at once");
}

#[test]
fn a_reader_whose_time_is_older_finds_nothing_new_and_ends() {
    let mut pair = Pair::new(2, 0);
    pair.schedule(0, 1000);
    pair.turn_to(900);
    pair.schedule(1, 950);
    pair.now = 100;
    assert!(pair.turn(10));
    assert_eq!(pair.deadlines.len(), 2);
    pair.turn_to(1000);
    assert!(pair.deadlines.is_empty());
}

#[test]
fn a_small_wheel_is_small_and_an_emptied_one_gives_back() {
    assert_eq!(Wheel::new(0).allocated(), 0);
    let mut pair = Pair::new(4, 0);
    assert!(pair.wheel.allocated() <= 96, "{}", pair.wheel.allocated());
    pair = Pair::new(100_000, 0);
    let full = pair.wheel.allocated();
    for slot in 0..100_000_u32 {
        pair.schedule(slot, u64::from(slot) << 20);
    }
    assert_eq!(pair.wheel.allocated(), full, "room for all was made before");
    for slot in 10..100_000 {
        pair.cancel(slot);
    }
    pair.wheel.shrink(10, 10);
    assert!(pair.wheel.allocated() < full / 100, "{} of {full}", pair.wheel.allocated());
    pair.slots = 10;
    pair.check();
    pair.turn_to(1 << 40);
    assert!(pair.deadlines.is_empty());
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

const SECOND: Nanos = 1_000_000_000;

#[test]
fn the_earliest_of_several_bounds_wins() {
    let rules = Lifetime::new(seconds(10), None, None, true).unwrap();
    assert_eq!(rules.expires(), Expires::ByAge);
    assert_eq!(rules.deadline(5, 0, None), 5 + 10 * SECOND);
    assert_eq!(rules.deadline(5, 0, seconds(3)), 5 + 3 * SECOND);
    assert_eq!(rules.deadline(5, 0, seconds(30)), 5 + 10 * SECOND);
    assert_eq!(rules.deadline(5, 0, seconds(0)), 5);
    let idle = Lifetime::new(None, seconds(2), None, false).unwrap();
    assert_eq!((idle.expires(), idle.deadline(5, 0, None)), (Expires::ByUse(2 * SECOND), NEVER));
}

#[test]
fn rules_that_bound_nothing_are_none() {
    assert!(Lifetime::new(None, None, None, false).is_none());
    assert!(Lifetime::new(Some(Duration::MAX), Some(Duration::MAX), Some(0.5), false).is_none());
    assert!(Lifetime::new(None, None, None, true).is_some());
}

#[test]
fn what_does_not_fit_in_the_range_never_expires() {
    let rules = Lifetime::new(seconds(10), None, Some(1.0), true).unwrap();
    assert_eq!(rules.deadline(NEVER - 1, u64::MAX, None), NEVER);
    let unbounded = Lifetime::new(None, None, Some(1.0), true).unwrap();
    assert_eq!(unbounded.deadline(0, 7, Some(Duration::MAX)), NEVER);
    assert_eq!(unbounded.deadline(0, 7, None), NEVER);
    let short = Lifetime::new(Some(Duration::from_nanos(1)), None, Some(1.0), false).unwrap();
    assert_eq!(short.deadline(0, u64::MAX, None), 1, "jitter never takes all");
}

#[test]
fn jitter_spreads_evenly_and_the_same_each_time() {
    let rules = Lifetime::new(seconds(100), None, Some(0.2), false).unwrap();
    let mut random = Random(5);
    let mut tenths = [0; 10];
    for _ in 0..10_000 {
        let hash = random.next();
        let deadline = rules.deadline(0, hash, None);
        assert_eq!(deadline, rules.deadline(0, hash, None));
        assert!((80 * SECOND..=100 * SECOND).contains(&deadline), "{deadline}");
        tenths[((deadline - 1 - 80 * SECOND) / (2 * SECOND)) as usize] += 1;
    }
    assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
}
