//! Counters of one tenant. What look-ups and loads write belongs to the thread; the rest is shared.
//!
//! A hit adds to a block that only its own thread writes, so counting costs a plain load and store and no
//! cache line moves between cores. Threads find their block in a thread-local table, by the tenant's
//! index. A thread that ends marks its blocks; whoever looks next folds them into the totals.
//!
//! These are counters, not synchronisation: everything is relaxed.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::TenantStats;
use crate::sync::fork;

/// What is counted seldom enough for a shared counter.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Count {
    LoadFailures,
    Waits,
    Evictions,
    Reclaims,
    Expirations,
    Invalidations,
    Replacements,
    Rejections,
}

const COUNTS: usize = Count::Rejections as usize + 1;

/// The counters of one tenant.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Tells a block of ours from one of an earlier owner of `index`; never [`NOBODY`].
    id: u32,
    /// Where threads keep our block in their tables; reused after we are gone, so that tables stay small.
    index: usize,
    /// There from the first count on.
    blocks: Mutex<Option<Box<Blocks>>>,
    counts: [AtomicU64; COUNTS],
}

#[derive(Debug, Default)]
struct Blocks {
    live: Vec<Arc<Block>>,
    /// Sums of blocks whose threads ended, and of what threads counted while they ended.
    retired: Sums,
}

/// What threads count for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Own {
    Hits,
    Misses,
    /// Nanoseconds.
    Saved,
    Loads,
    LoadNanos,
    /// Those of entries that left for the thread's own.
    Evictions,
}

const OWNS: usize = Own::Evictions as usize + 1;

/// By [`Own`].
type Sums = [u64; OWNS];

/// What one thread counted for one tenant. Written by its thread alone, read by all.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Block {
    owner: u32,
    counts: [AtomicU64; OWNS],
    retired: AtomicBool,
    /// How many of the next are filled.
    sampled: AtomicU8,
    /// Hits that a curve is to hear of.
    samples: [AtomicU64; SAMPLES],
}

/// Hits that a curve hears of at once.
pub(crate) const SAMPLES: usize = 9;

impl Block {
    fn read(&self) -> Sums {
        self.counts.each_ref().map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Adds without a read-modify-write: only one thread writes the counter.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn add(&self, what: Own, by: u64) {
        let counter = &self.counts[what as usize];
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    fn add_all(&self, sums: Sums) {
        for (counter, by) in self.counts.iter().zip(sums) {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        }
    }
}

/// The blocks of one thread, by tally index.
#[derive(Default)]
struct Table(RefCell<Vec<Option<Arc<Block>>>>);

impl Drop for Table {
    fn drop(&mut self) {
        AT_HAND.with(|hand| hand.iter().for_each(|(id, _)| id.set(NOBODY)));
        for block in self.0.get_mut().iter().flatten() {
            block.retired.store(true, Ordering::Release);
        }
    }
}

thread_local! {
    static TABLE: Table = Table::default();
    /// Blocks of this thread's table by the lower bits of the index, each with the id that it counts for. For hits, which
    /// have no time to ask whether the table is still there, and how long it is: while an id stands here its block is in
    /// the table.
    static AT_HAND: [(Cell<u32>, Cell<*const Block>); HANDY] =
        const { [const { (Cell::new(NOBODY), Cell::new(std::ptr::null())) }; HANDY] };
}

/// Blocks that a thread has at hand.
const HANDY: usize = 64;

/// The id of no tally.
const NOBODY: u32 = 0;

static INDICES: Mutex<Indices> = Mutex::new(Indices { free: Vec::new(), next: 0, ids: 0 });

struct Indices {
    free: Vec<usize>,
    next: usize,
    ids: u32,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let mut indices = INDICES.lock();
        // An index would have to change hands four billion times before a block of an earlier owner was taken for ours.
        indices.ids = indices.ids.checked_add(1).unwrap_or(1);
        let id = indices.ids;
        let index = indices.free.pop().unwrap_or_else(|| {
            indices.next += 1;
            indices.next - 1
        });
        Self { id, index, blocks: Mutex::default(), counts: [const { AtomicU64::new(0) }; COUNTS] }
    }

    /// Where each thread counts for this tally.
    pub(crate) fn counters(&self) -> Counters {
        Counters { id: self.id, at: (self.index % HANDY) as u32 }
    }

    /// Counts a hit that saved `nanos` of compute.
    pub(crate) fn hit(&self, nanos: u64) {
        self.counters().add(self, [(Own::Hits, 1), (Own::Saved, nanos)]);
    }

    /// Counts a look-up that found nothing.
    #[inline]
    pub(crate) fn miss(&self) {
        self.counters().add(self, [(Own::Misses, 1)]);
    }

    /// Counts a load that took so long.
    #[inline]
    pub(crate) fn load(&self, nanos: u64) {
        self.counters().add(self, [(Own::Loads, 1), (Own::LoadNanos, nanos)]);
    }

    /// Counts an entry that made way for one of the thread's.
    #[inline]
    pub(crate) fn evicted(&self) {
        self.counters().add(self, [(Own::Evictions, 1)]);
    }

    pub(crate) fn add(&self, what: Count, amount: u64) {
        if amount > 0 {
            self.counts[what as usize].fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Adds hits that were counted elsewhere, and the nanoseconds that they saved.
    pub(crate) fn fold(&self, hits: u64, nanos: u64) {
        if hits > 0 {
            let mut blocks = self.blocks.lock();
            let blocks = blocks.get_or_insert_default();
            let mut sums = [0; OWNS];
            (sums[Own::Hits as usize], sums[Own::Saved as usize]) = (hits, nanos);
            blocks.retired = plus(blocks.retired, sums);
        }
    }

    /// How many loads were counted.
    pub(crate) fn loads(&self) -> u64 {
        self.sums()[Own::Loads as usize]
    }

    pub(crate) fn hits(&self) -> u64 {
        self.sums()[Own::Hits as usize]
    }

    /// Hits and misses, and the nanoseconds that hits saved.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        let sums = self.sums();
        (sums[Own::Hits as usize] + sums[Own::Misses as usize], sums[Own::Saved as usize])
    }

    /// Writes all counters into a tenant's stats.
    pub(crate) fn fill(&self, stats: &mut TenantStats) {
        let [hits, misses, saved, loads, load_nanos, evictions] = self.sums();
        let count = |what: Count| self.counts[what as usize].load(Ordering::Relaxed);
        stats.hits = hits;
        stats.misses = misses;
        stats.time_saved = Duration::from_nanos(saved);
        stats.loads = loads;
        stats.load_time = Duration::from_nanos(load_nanos);
        stats.load_failures = count(Count::LoadFailures);
        stats.waits = count(Count::Waits);
        stats.evictions = evictions + count(Count::Evictions);
        stats.reclaims = count(Count::Reclaims);
        stats.expirations = count(Count::Expirations);
        stats.invalidations = count(Count::Invalidations);
        stats.replacements = count(Count::Replacements);
        stats.rejections = count(Count::Rejections);
    }

    fn sums(&self) -> Sums {
        let mut blocks = self.blocks.lock();
        let Some(blocks) = &mut *blocks else { return [0; OWNS] };
        blocks.fold();
        blocks.live.iter().fold(blocks.retired, |sums, block| plus(sums, block.read()))
    }

    /// Counts in a block that is not at hand: the thread's, made with its first use. A thread that is ending, whose table
    /// is gone, counts in the totals.
    #[cold]
    #[inline(never)]
    fn count_elsewhere<const N: usize>(&self, counts: [(Own, u64); N]) {
        let mut sums = [0; OWNS];
        counts.into_iter().for_each(|(what, by)| sums[what as usize] = by);
        match self.block() {
            Ok((block, true)) => block.add_all(sums),
            Ok((block, false)) => {
                block.add_all(sums);
                self.share(|own| {
                    own.fold();
                    own.live.push(block);
                });
            }
            Err(Ending) => self.share(|own| own.retired = plus(own.retired, sums)),
        }
    }

    /// This thread's block, at hand from now on, and whether it was there before.
    fn block(&self) -> Result<(Arc<Block>, bool), Ending> {
        let found = TABLE.try_with(|table| {
            let mut blocks = table.0.try_borrow_mut().ok()?;
            if blocks.len() <= self.index {
                blocks.resize(self.index + 1, None);
            }
            let known = blocks[self.index].as_ref().filter(|block| block.owner == self.id).map(Arc::clone);
            let is_known = known.is_some();
            let block = known.unwrap_or_else(|| {
                let block = Arc::new(Block { owner: self.id, ..Block::default() });
                blocks[self.index] = Some(Arc::clone(&block));
                block
            });
            // Also when that replaced the block of an earlier owner, which is at the same place here, if at all.
            AT_HAND.with(|hand| {
                let (id, at) = &hand[self.index % HANDY];
                id.set(self.id);
                at.set(Arc::as_ptr(&block));
            });
            Some((block, is_known))
        });
        found.ok().flatten().ok_or(Ending)
    }

    /// The child of a fork rather does not count than wait for a thread that is not there.
    fn share(&self, count: impl FnOnce(&mut Blocks)) {
        let own = if fork::forked() { self.blocks.try_lock() } else { Some(self.blocks.lock()) };
        if let Some(mut own) = own {
            count(own.get_or_insert_default());
        }
    }
}

/// The thread has no table any more.
struct Ending;

/// Where threads find the block of a tally: close at hand for hits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    id: u32,
    /// Below [`HANDY`].
    at: u32,
}

impl Counters {
    /// Counts a hit that saved `nanos` of compute, if the block is at hand; otherwise it is the tally's to
    /// [count](Tally::hit).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hit(self, nanos: u64) -> bool {
        let (id, block) = self.hand();
        let is_at_hand = id.get() == self.id;
        if is_at_hand {
            // SAFETY: under its tally's id stands a block in this thread's table, which keeps it.
            let block = unsafe { &*block.get() };
            block.add(Own::Hits, 1);
            block.add(Own::Saved, nanos);
        }
        is_at_hand
    }

    /// Keeps a hit for a curve. Now and then all that were kept are handed out. Hits that the thread counts elsewhere are
    /// lost, and those that wait when it ends.
    pub(crate) fn sample(self, hit: u64) -> Option<[u64; SAMPLES]> {
        let (id, block) = self.hand();
        if id.get() != self.id {
            return None;
        }
        // SAFETY: as in `hit`.
        let block = unsafe { &*block.get() };
        let at = usize::from(block.sampled.load(Ordering::Relaxed)) % SAMPLES;
        block.samples[at].store(hit, Ordering::Relaxed);
        let is_full = at + 1 == SAMPLES;
        block.sampled.store(if is_full { 0 } else { at as u8 + 1 }, Ordering::Relaxed);
        is_full.then(|| block.samples.each_ref().map(|sample| sample.load(Ordering::Relaxed)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn add<const N: usize>(self, tally: &Tally, counts: [(Own, u64); N]) {
        let (id, block) = self.hand();
        if id.get() != self.id {
            return tally.count_elsewhere(counts);
        }
        // SAFETY: as in `hit`.
        let block = unsafe { &*block.get() };
        counts.into_iter().for_each(|(what, by)| block.add(what, by));
    }

    /// Where this thread's block is, if it is at hand. A closure that did more than this would stay a function.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn hand<'a>(self) -> &'a (Cell<u32>, Cell<*const Block>) {
        let hand = AT_HAND.with(ptr::from_ref);
        // SAFETY: it is this thread's own, and as it needs no destructor it is there until the thread is not.
        unsafe { &(&*hand)[self.at as usize % HANDY] }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        INDICES.lock().free.push(self.index);
    }
}

impl Blocks {
    /// Moves what ended threads counted into the sums.
    fn fold(&mut self) {
        let retired = &mut self.retired;
        self.live.retain(|block| {
            // Acquire: the thread's last counts came before its mark.
            let ended = block.retired.load(Ordering::Acquire);
            if ended {
                *retired = plus(*retired, block.read());
            }
            !ended
        });
    }
}

fn plus(sums: Sums, counts: Sums) -> Sums {
    std::array::from_fn(|at| sums[at] + counts[at])
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn counts_of_living_and_ended_threads_add_up() {
        let tally = Arc::new(Tally::new());
        tally.hit(5);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let tally = Arc::clone(&tally);
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        tally.hit(2);
                        tally.miss();
                        tally.load(3);
                        tally.evicted();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(tally.sums(), [8001, 8000, 16_005, 8000, 24_000, 8000]);
    }

    #[test]
    fn a_new_tally_at_an_old_index_starts_at_zero() {
        let first = Tally::new();
        first.hit(1);
        let index = first.index;
        drop(first);
        let others: Vec<_> = (0..100).map(|_| Tally::new()).collect();
        for tally in &others {
            assert_eq!(tally.sums(), [0; OWNS]);
            tally.hit(1);
            assert_eq!(
                tally.sums(),
                [1, 0, 1, 0, 0, 0],
                "index {} (reused: {})",
                tally.index,
                tally.index == index
            );
        }
    }
}
