//! A timer wheel over slot indices: who may be due, found without looking at the others.
//!
//! Eleven levels of up to 64 buckets cover every `u64` of nanoseconds, each digit of six bits one level:
//!
//! ```text
//! level 10   9        ...      2        1        0
//! [ 4 bits | 6 bits | ... | 6 bits | 6 bits | 6 bits ]    a deadline; the wheel's time, `elapsed`, likewise
//! ```
//!
//! A slot stands at the level of the highest digit in which its deadline differs from `elapsed`, in the bucket
//! of its own digit there. All digits above agree, so buckets in the order of level and digit are in the order
//! of time, none wraps around, and nothing is too far away. When `elapsed` comes to a bucket, its slots are
//! looked at once: each is due, or moves down at least one level. So a slot is looked at eleven times at the
//! most in its whole life, and three or four times in steps of milliseconds, however far the clock jumps.
//!
//! Lists are intrusive: two indices for each slot. Of the buckets only the occupied ones have a head, found by
//! counting bits, so that a wheel with three slots takes a few dozen bytes and not eleven full levels.
//!
//! Not here: what a deadline is, or when a slot was last used. Whoever turns the wheel is asked for the deadline
//! of each slot that comes up; it may be later by then than when the slot was scheduled, never earlier.

use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// Bits of a digit.
const DIGIT: u32 = 6;
/// Buckets of a full level.
const RADIX: u32 = 1 << DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;
/// All buckets there can be; the highest level has four bits only.
const BUCKETS: u32 = RADIX * (LEVELS as u32 - 1) + (1 << (u64::BITS % DIGIT));

/// The list of what is looked at next, whatever its time: a bucket that came up and is not done yet, and what
/// was due when it was scheduled.
const FRONT: u32 = BUCKETS;

/// In `next`: the last of its list. In `prev`: in no list.
const NONE: u32 = u32::MAX;
/// Marks a `prev` that names the bucket which the slot is the first of. Slots have 31 bits.
const HEAD: u32 = 1 << 31;

/// Where a slot stands in its list.
#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    prev: u32,
}

impl Link {
    const LOOSE: Self = Self { next: NONE, prev: NONE };
}

/// Where a turn of the wheel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// At a slot that is due; there may be more.
    Due(u32),
    /// After as many looks as were allowed; there may be more.
    Paused,
    /// At the time that was asked for; no more are due.
    Done,
}

/// A hierarchical timer wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The time up to which nothing but `front` is left to look at. Only rises.
    elapsed: Nanos,
    /// One link for each slot index, scheduled or not.
    links: Vec<Link>,
    /// A bit for each bucket that has a slot.
    occupied: [u64; LEVELS],
    /// The first slots of the occupied buckets, in their order. Never more than there are slots, and room for
    /// so many is reserved, so turning the wheel allocates nothing.
    heads: Vec<u32>,
    /// The first slot of [`FRONT`].
    front: u32,
}

impl Wheel {
    /// An empty wheel at `now`; allocates nothing.
    pub(crate) const fn new(now: Nanos) -> Self {
        Self { elapsed: now, links: Vec::new(), occupied: [0; LEVELS], heads: Vec::new(), front: NONE }
    }

    /// Bytes of its lists, as allocated.
    pub(crate) fn allocated(&self) -> u64 {
        bytes(self.links.capacity(), self.heads.capacity())
    }

    /// Bytes of the lists with room for `slots` indices, `entries` of them scheduled.
    pub(crate) fn allocated_for(&self, slots: usize, entries: usize) -> u64 {
        bytes(grown(self.links.capacity(), slots), grown(self.heads.capacity(), heads(entries)))
    }

    /// Makes room for `slots` indices, `entries` of them scheduled; `false` when memory is exhausted.
    pub(crate) fn try_reserve(&mut self, slots: usize, entries: usize) -> bool {
        let links = grown(self.links.capacity(), slots) - self.links.len();
        let heads = grown(self.heads.capacity(), heads(entries)) - self.heads.len();
        let reserved =
            self.links.try_reserve_exact(links).is_ok() && self.heads.try_reserve_exact(heads).is_ok();
        if reserved && self.links.len() < slots {
            self.links.resize(slots, Link::LOOSE);
        }
        reserved
    }

    /// Gives back lists that are mostly empty. Indices from `slots` on are gone, and were cancelled.
    pub(crate) fn shrink(&mut self, slots: usize, entries: usize) {
        debug_assert!(self.links.iter().skip(slots).all(|link| link.prev == NONE), "a slot left unannounced");
        self.links.truncate(slots);
        if slots * 4 < self.links.capacity() {
            self.links.shrink_to(slots * 2);
        }
        if heads(entries) * 4 < self.heads.capacity() {
            self.heads.shrink_to(heads(entries) * 2);
        }
    }

    /// Puts a slot where its deadline belongs, wherever it was before. With [`NEVER`] it is nowhere.
    pub(crate) fn schedule(&mut self, slot: u32, deadline: Nanos) {
        self.cancel(slot);
        if deadline != NEVER {
            self.push(self.bucket_of(deadline), slot);
        }
    }

    /// Takes a slot out, if it is in.
    pub(crate) fn cancel(&mut self, slot: u32) {
        let link = std::mem::replace(&mut self.links[slot as usize], Link::LOOSE);
        if link.prev == NONE {
            return;
        }
        if link.next != NONE {
            self.links[link.next as usize].prev = link.prev;
        }
        self.follow(link.prev, link.next);
    }

    /// A slot has another index from now on; nothing has `to` yet.
    pub(crate) fn renamed(&mut self, from: u32, to: u32) {
        let link = std::mem::replace(&mut self.links[from as usize], Link::LOOSE);
        if link.prev == NONE {
            return;
        }
        self.links[to as usize] = link;
        if link.next != NONE {
            self.links[link.next as usize].prev = to;
        }
        self.follow(link.prev, to);
    }

    /// No slot is due earlier, 0 when there are some to look at in any case; [`NEVER`] when none is scheduled.
    pub(crate) fn next(&self) -> Nanos {
        match self.earliest() {
            _ if self.front != NONE => 0,
            Some(bucket) => self.start(bucket),
            None => NEVER,
        }
    }

    /// Turns the wheel towards `now` until a slot is due, looking at no more than `looks` of them, which are
    /// counted down. `deadline` is asked for each that comes up. A slot that is due is cancelled; the next call
    /// goes on behind it.
    pub(crate) fn advance(
        &mut self,
        now: Nanos,
        looks: &mut usize,
        deadline: &dyn Fn(u32) -> Nanos,
    ) -> Turned {
        // Another thread may have read the clock later and come first.
        let now = now.max(self.elapsed);
        loop {
            while self.front != NONE {
                if *looks == 0 {
                    return Turned::Paused;
                }
                *looks -= 1;
                let slot = self.front;
                let deadline = deadline(slot);
                if deadline <= now {
                    self.cancel(slot);
                    return Turned::Due(slot);
                }
                self.schedule(slot, deadline);
            }
            match self.earliest() {
                Some(bucket) if self.start(bucket) <= now => self.bring_up(bucket, now),
                _ => {
                    self.elapsed = now;
                    return Turned::Done;
                }
            }
        }
    }

    /// Makes the earliest bucket the front, and lets time pass as far as the next one allows.
    fn bring_up(&mut self, bucket: u32, now: Nanos) {
        let first = self.heads[self.rank(bucket)];
        self.vacate(bucket);
        self.front = first;
        self.links[first as usize].prev = HEAD | FRONT;
        // Short of the next bucket, `elapsed` changes no digit that another bucket's place depends on. As late
        // as that allows, because what is not due yet is put in its place relative to it.
        let next = self.earliest().map_or(NEVER, |bucket| self.start(bucket));
        self.elapsed = now.min(next - 1);
    }

    fn bucket_of(&self, deadline: Nanos) -> u32 {
        if deadline <= self.elapsed {
            return FRONT;
        }
        let level = (deadline ^ self.elapsed).ilog2() / DIGIT;
        level * RADIX + (deadline >> (level * DIGIT)) as u32 % RADIX
    }

    /// The first instant of an occupied bucket.
    fn start(&self, bucket: u32) -> Nanos {
        let shift = bucket / RADIX * DIGIT;
        // The highest level has no digits above.
        let above = u64::MAX.checked_shl(shift + DIGIT).unwrap_or(0);
        (self.elapsed & above) | u64::from(bucket % RADIX) << shift
    }

    fn earliest(&self) -> Option<u32> {
        let (level, bits) = self.occupied.iter().enumerate().find(|(_, bits)| **bits != 0)?;
        Some(level as u32 * RADIX + bits.trailing_zeros())
    }

    fn is_occupied(&self, bucket: u32) -> bool {
        self.occupied[(bucket / RADIX) as usize] & (1 << (bucket % RADIX)) != 0
    }

    /// Where the head of a bucket is, or would be.
    fn rank(&self, bucket: u32) -> usize {
        let level = (bucket / RADIX) as usize;
        let below = self.occupied[level] & ((1 << (bucket % RADIX)) - 1);
        let lower: u32 = self.occupied[..level].iter().map(|bits| bits.count_ones()).sum();
        (lower + below.count_ones()) as usize
    }

    fn push(&mut self, bucket: u32, slot: u32) {
        let next = if bucket == FRONT {
            std::mem::replace(&mut self.front, slot)
        } else if self.is_occupied(bucket) {
            let rank = self.rank(bucket);
            std::mem::replace(&mut self.heads[rank], slot)
        } else {
            debug_assert!(self.heads.len() < self.heads.capacity(), "room for a head of each was reserved");
            self.heads.insert(self.rank(bucket), slot);
            self.occupied[(bucket / RADIX) as usize] |= 1 << (bucket % RADIX);
            NONE
        };
        self.links[slot as usize] = Link { next, prev: HEAD | bucket };
        if next != NONE {
            self.links[next as usize].prev = slot;
        }
    }

    /// After `prev`, a slot or the head of a bucket, comes `next` from now on.
    fn follow(&mut self, prev: u32, next: u32) {
        if prev & HEAD == 0 {
            self.links[prev as usize].next = next;
            return;
        }
        match prev & !HEAD {
            FRONT => self.front = next,
            bucket if next == NONE => self.vacate(bucket),
            bucket => {
                let rank = self.rank(bucket);
                self.heads[rank] = next;
            }
        }
    }

    fn vacate(&mut self, bucket: u32) {
        self.heads.remove(self.rank(bucket));
        self.occupied[(bucket / RADIX) as usize] &= !(1 << (bucket % RADIX));
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(crate) fn is_scheduled(&self, slot: u32) -> bool {
        self.links[slot as usize].prev != NONE
    }

    /// Checks every list and bucket; returns how many slots are scheduled.
    #[cfg(any(test, feature = "__validate"))]
    pub(crate) fn validate(&self, deadline: impl Fn(u32) -> Nanos) -> usize {
        let bits: u32 = self.occupied.iter().map(|bits| bits.count_ones()).sum();
        assert_eq!(self.heads.len(), bits as usize, "a head for each occupied bucket");
        let mut found = 0;
        let buckets = (0..BUCKETS).filter(|&bucket| self.is_occupied(bucket));
        let mut after = self.elapsed;
        for (bucket, &head) in buckets.clone().zip(&self.heads) {
            assert!(self.start(bucket) > after, "buckets are in the order of time, after `elapsed`");
            after = self.start(bucket);
            found += self
                .validate_list(bucket, head, |slot| assert!(deadline(slot) >= after, "slot {slot} is late"));
        }
        found += if self.front == NONE { 0 } else { self.validate_list(FRONT, self.front, |_| {}) };
        let scheduled = self.links.iter().filter(|link| link.prev != NONE).count();
        assert_eq!(found, scheduled, "lists hold what is scheduled");
        assert!(self.heads.len() <= scheduled);
        scheduled
    }

    #[cfg(any(test, feature = "__validate"))]
    fn validate_list(&self, bucket: u32, head: u32, check: impl Fn(u32)) -> usize {
        let (mut prev, mut slot, mut count) = (HEAD | bucket, head, 0);
        while slot != NONE {
            assert_eq!(self.links[slot as usize].prev, prev, "slot {slot} knows who is before it");
            check(slot);
            count += 1;
            (prev, slot) = (slot, self.links[slot as usize].next);
        }
        assert!(count > 0, "bucket {bucket} is empty");
        count
    }
}

/// Heads that so many scheduled slots can need.
fn heads(entries: usize) -> usize {
    entries.min(BUCKETS as usize)
}

fn bytes(links: usize, heads: usize) -> u64 {
    allocation(links * size_of::<Link>()) + allocation(heads * size_of::<u32>())
}

/// Half as much again when it is too small: a doubled array would waste more of the budget.
fn grown(capacity: usize, wanted: usize) -> usize {
    if wanted <= capacity { capacity } else { wanted.max(capacity + capacity / 2) }
}
