//! The table of a shard: from a hash to the index of a slot, read without a lock.
//!
//! ```text
//! directory            segment                       bucket, one cache line
//! [ *, 3 ] ─┬────────► [ bucket bucket bucket ]      12 tags of 7 bits, how many passed by, 12 indices
//! [ *, 3 ] ─┘
//! [ *, 1 ] ──────────► [ bucket ]
//! ```
//!
//! It is an extendible hash table (Fagin et al., 1979): the top bits of a hash choose a segment through the
//! directory, and a segment that is full grows by a quarter, until it has 64 buckets and is cut in two. So no
//! insert ever moves more than one segment. (Keys with a bad `Hash` may all end in one segment, which grows on, to
//! some 600,000 entries; there is no room for another then.) Inside,
//! the hash chooses a bucket. What finds it full goes to a second one, which its hash says as well, and from there on in
//! a row. Each bucket counts the entries that passed it by, and a look-up goes on only while there are any. (So do the
//! tables of F14: Bronson, Shi, 2019.) The count falls when they leave, so that a table in which entries come and go for
//! long is as quick as a new one.
//!
//! One writer at a time changes a bucket in place. Segments and directories are never changed in shape; new ones take
//! their place, and the old ones go to [`Limbo`] until no reader can be in them.

mod segment;
#[cfg(all(test, not(larder_shuttle)))]
mod tests;
#[cfg(any(test, feature = "__validate"))]
mod validate;

#[cfg(any(test, feature = "__validate"))]
pub(crate) use validate::Spread;

pub(super) use segment::Vacancy;

use std::alloc::Layout;
use std::ptr;

use segment::{Bucket, LANES, Segment, Width};

use super::limbo::{Block, Limbo};
use crate::sync::{AtomicPtr, Ordering};
use crate::weight::weigh::allocation;

/// Buckets of a segment that is cut in two rather than made wider.
const MOST: usize = 64;
/// Directories start at multiples of this, and their depth fits.
const DIRECTORY_ALIGN: usize = 16;
/// The deepest directory: so many top bits of the hash choose a segment, and the others do the rest.
const DEEPEST: u32 = 14;

/// What the writer knows of a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    entries: u32,
    /// How many top bits all hashes in it share.
    depth: u8,
    /// It is as wide as can be, and no bit tells its hashes apart. So when it is full again, room is not even reserved, which
    /// others would have to make.
    alike: bool,
}

/// What readers start from: an array of segments, its depth packed into the unused bits of the address. Null
/// while the table is empty.
#[derive(Debug)]
pub(super) struct Table {
    directory: AtomicPtr<AtomicPtr<Bucket>>,
}

/// The writer's part.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// One for each entry of the directory; kept at the first entry of a segment.
    facts: Vec<Facts>,
    entries: usize,
    /// Bytes of directory, segments and `facts`, as allocated.
    allocated: u64,
}

/// What must change before one more entry fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    None,
    /// The segment gets more buckets.
    Wider(Width),
    /// The segment is cut in two; the directory may have to double first.
    Split,
    /// It will not fit.
    Never,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { directory: AtomicPtr::new(ptr::null_mut()) }
    }

    /// What `is` makes of the first index it accepts, among those with a hash like this. Needs no lock.
    ///
    /// # Safety
    ///
    /// The caller reads under the [`Era`](crate::grace::Era) by which this table's blocks are freed, or is the writer.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find<T>(&self, hash: u32, mut is: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let segment = self.segment(hash)?;
        // SAFETY: what a reader finds through the directory is not freed while it reads.
        unsafe { segment.find(hash, |_, _, index| is(index)) }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn segment(&self, hash: u32) -> Option<Segment> {
        let (entries, depth) = self.entries()?;
        let at = (u64::from(hash) << depth >> 32) as usize;
        // SAFETY: a directory of this depth has more entries than the top bits can say.
        let entry = unsafe { &*entries.add(at) };
        Some(Segment(entry.load(Ordering::Acquire)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn entries(&self) -> Option<(*const AtomicPtr<Bucket>, u32)> {
        let directory = self.directory.load(Ordering::Acquire);
        if directory.is_null() {
            return None;
        }
        let depth = directory.addr() % DIRECTORY_ALIGN;
        Some((directory.map_addr(|addr| addr & !(DIRECTORY_ALIGN - 1)).cast_const(), depth as u32))
    }
}

fn directory_layout(depth: u32) -> Layout {
    let array = Layout::array::<AtomicPtr<Bucket>>(1 << depth).expect("a directory is small");
    array.align_to(DIRECTORY_ALIGN).expect("a directory is small")
}

fn new_directory(depth: u32) -> Option<Block> {
    Block::filled(directory_layout(depth), 1 << depth, || AtomicPtr::new(ptr::null_mut::<Bucket>()))
}

/// Entries a segment holds before it grows: the last lanes would be found full more often than not.
const fn most_entries(buckets: usize) -> usize {
    if buckets == 1 { LANES } else { buckets * LANES * 7 / 8 }
}

/// A segment should be narrower.
fn is_sparse(entries: usize, buckets: usize) -> bool {
    buckets > 1 && entries * 5 < buckets * LANES
}

/// A segment should be one with its neighbour.
fn is_lone(entries: usize, buckets: usize, depth: u8) -> bool {
    depth > 0 && buckets == 1 && entries < LANES / 3
}

/// Room for so many entries and some more.
fn width_for(entries: usize) -> Width {
    Width::for_buckets((entries * 4 / 3).div_ceil(LANES))
}

impl Shape {
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }
}

/// What the writer does; the shape is behind the shard's lock, so whoever has it is the only one.
impl Table {
    /// The index that `is` the one.
    pub(super) fn find_mine(
        &self,
        _shape: &Shape,
        hash: u32,
        mut is: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        // SAFETY: only the writer frees what the directory leads to.
        unsafe { self.find(hash, |index| is(index).then_some(index)) }
    }

    /// The index that `is` the one; if there is none, where it may go.
    #[inline]
    pub(super) fn find_or_vacancy(
        &self,
        _shape: &Shape,
        hash: u32,
        is: impl FnMut(u32) -> bool,
    ) -> Result<u32, Option<Vacancy>> {
        // SAFETY: only the writer frees segments.
        self.segment(hash).map_or(Err(None), |segment| unsafe { segment.find_or_vacancy(hash, is) })
    }

    /// Whether an entry of this hash fits as things are.
    #[inline]
    pub(super) fn has_room(&self, shape: &Shape, hash: u32) -> bool {
        self.segment(hash).is_some_and(|segment| {
            let entries = shape.facts[self.first(shape, hash)].entries as usize;
            entries < most_entries(segment.len())
        })
    }

    /// What must change before an entry of this hash fits, and the most bytes that will take.
    pub(super) fn growth(&self, shape: &Shape, hash: u32) -> (Growth, u64) {
        let Some(segment) = self.segment(hash) else {
            let bytes =
                Block::bytes(Segment::layout(Width(0))) + Block::bytes(directory_layout(0)) + facts_bytes(1);
            return (Growth::Wider(Width(0)), bytes);
        };
        let (facts, width) = (shape.facts[self.first(shape, hash)], segment.width());
        let entries = facts.entries as usize;
        if entries < most_entries(width.buckets()) {
            return (Growth::None, 0);
        }
        let deepest = u32::from(facts.depth) == DEEPEST;
        if facts.alike || (deepest && width == Width::WIDEST) {
            return (Growth::Never, 0);
        }
        let wider = Block::bytes(Segment::layout(width.next()));
        if width.buckets() < MOST || deepest {
            return (Growth::Wider(width.next()), wider);
        }
        let halves = 2 * Block::bytes(Segment::layout(width_for(entries)));
        let depth = self.depth();
        let doubles = u32::from(facts.depth) == depth;
        let directory =
            if doubles { Block::bytes(directory_layout(depth + 1)) + facts_bytes(2 << depth) } else { 0 };
        (Growth::Split, halves.max(wider) + directory)
    }

    /// Makes an entry of this hash fit. `hash_of` knows the hashes of all indices, but for the lowest byte. `false` when memory
    /// is exhausted, or hashes are too much alike: no entry has moved then, though the directory may have doubled.
    pub(super) fn grow(
        &self,
        shape: &mut Shape,
        hash: u32,
        growth: Growth,
        limbo: &mut Limbo,
        hash_of: &dyn Fn(u32) -> u32,
    ) -> bool {
        match growth {
            Growth::None => true,
            Growth::Never => false,
            Growth::Wider(width) => match self.segment(hash) {
                Some(_) => self.rebuild(shape, hash, width, limbo, hash_of),
                None => self.begin(shape),
            },
            Growth::Split => self.split(shape, hash, limbo, hash_of),
        }
    }

    /// Links an index; there is room. Nothing was inserted since the `vacancy` was found for the hash.
    pub(super) fn insert(&self, shape: &mut Shape, hash: u32, index: u32, vacancy: Option<Vacancy>) {
        let segment = self.segment(hash).expect("`grow` made a segment");
        match vacancy {
            // SAFETY: only the writer frees segments. One that took another's place since has another address: the old
            // one is still there.
            Some(vacancy) if vacancy.segment == segment => unsafe { segment.fill(vacancy, hash, index) },
            // SAFETY: as above.
            _ => unsafe { segment.insert(hash, index) },
        }
        let first = self.first(shape, hash);
        shape.facts[first].entries += 1;
        shape.entries += 1;
    }

    /// Puts another index in an entry's place: a reader finds the one or the other.
    pub(super) fn replace(&self, _shape: &Shape, hash: u32, from: u32, to: u32) {
        let (_, bucket, lane) = self.place(hash, from);
        bucket.lanes[lane].store(to, Ordering::Release);
    }

    /// Unlinks an index. Says whether [`shrink`](Self::shrink) has something to give back.
    pub(super) fn remove(&self, shape: &mut Shape, hash: u32, index: u32) -> bool {
        let (segment, bucket, lane) = self.place(hash, index);
        // SAFETY: only the writer frees segments.
        unsafe { segment.remove(hash, bucket, lane) };
        shape.entries -= 1;
        let first = self.first(shape, hash);
        let facts = &mut shape.facts[first];
        facts.entries -= 1;
        let (entries, depth) = (facts.entries as usize, facts.depth);
        let buckets = segment.len();
        shape.entries == 0 || is_sparse(entries, buckets) || is_lone(entries, buckets, depth)
    }

    /// Has at hand what [`remove`](Self::remove) and [`replace`](Self::replace) will want of these hashes: together they
    /// wait for memory little longer than for one.
    pub(super) fn look_ahead(&self, _shape: &Shape, hashes: impl Iterator<Item = u32>) {
        for hash in hashes {
            if let Some(segment) = self.segment(hash) {
                // SAFETY: only the writer frees segments.
                unsafe { segment.look_ahead(hash) };
            }
        }
    }

    /// Where an index is.
    fn place(&self, hash: u32, index: u32) -> (Segment, &Bucket, usize) {
        let segment = self.segment(hash).expect("the entry is linked");
        let is = |bucket: &Bucket, lane, other| (other == index).then_some((ptr::from_ref(bucket), lane));
        // SAFETY: only the writer frees segments.
        let (bucket, lane) = unsafe { segment.find(hash, is) }.expect("the entry is linked");
        // SAFETY: as above; the reference does not outlive the writer's own next step.
        (segment, unsafe { &*bucket }, lane)
    }

    /// Gives back what removing an entry of this hash left over, if there is room to do it; `reserve` says so.
    pub(super) fn shrink(
        &self,
        shape: &mut Shape,
        hash: u32,
        limbo: &mut Limbo,
        reserve: &dyn Fn(u64) -> bool,
        hash_of: &dyn Fn(u32) -> u32,
    ) {
        let Some(segment) = self.segment(hash) else { return };
        if shape.entries == 0 {
            return self.clear(shape, limbo);
        }
        let first = self.first(shape, hash);
        let Facts { entries, depth, .. } = shape.facts[first];
        let (entries, buckets) = (entries as usize, segment.len());
        if is_sparse(entries, buckets) {
            let narrower = width_for(entries);
            if reserve(Block::bytes(Segment::layout(narrower))) {
                self.rebuild(shape, hash, narrower, limbo, hash_of);
            }
        } else if is_lone(entries, buckets, depth) {
            self.merge(shape, hash, limbo, reserve, hash_of);
        }
    }

    /// Unlinks everything.
    pub(super) fn clear(&self, shape: &mut Shape, limbo: &mut Limbo) {
        let Some((entries, depth)) = self.entries() else { return };
        self.directory.store(ptr::null_mut(), Ordering::Release);
        let mut at = 0;
        while at < 1 << depth {
            limbo.take_block(self.at(entries, at).block());
            at += 1 << (depth - u32::from(shape.facts[at].depth));
        }
        limbo.take_block(Block::of(entries.cast_mut(), directory_layout(depth)));
        *shape = Shape::default();
    }

    /// Calls `visit` with each index.
    pub(super) fn each(&self, shape: &Shape, mut visit: impl FnMut(u32)) {
        let Some((entries, depth)) = self.entries() else { return };
        let mut at = 0;
        while at < 1 << depth {
            // SAFETY: only the writer frees segments, and who has the shape is the writer.
            unsafe { self.at(entries, at).each(|_, index| visit(index)) };
            at += 1 << (depth - u32::from(shape.facts[at].depth));
        }
    }

    fn depth(&self) -> u32 {
        self.entries().map_or(0, |(_, depth)| depth)
    }

    fn at(&self, entries: *const AtomicPtr<Bucket>, at: usize) -> Segment {
        // SAFETY: callers stay below the directory's length, and only the writer frees it.
        Segment(unsafe { &*entries.add(at) }.load(Ordering::Relaxed))
    }

    /// The first directory entry of a hash's segment, where its facts are.
    fn first(&self, shape: &Shape, hash: u32) -> usize {
        let depth = self.depth();
        let at = (u64::from(hash) << depth >> 32) as usize;
        // Only the first entry has the facts; the others say the depth.
        let span = 1 << (depth - u32::from(shape.facts[at].depth));
        at & !(span - 1)
    }

    /// Publishes a segment for all directory entries from `first` that share `depth` bits.
    fn publish(&self, shape: &mut Shape, first: usize, depth: u32, segment: Segment, entries: usize) {
        let (array, global) = self.entries().expect("there is a directory");
        for at in first..first + (1 << (global - depth)) {
            // SAFETY: the entries of one segment lie within the directory.
            unsafe { &*array.add(at) }.store(segment.0, Ordering::Release);
            shape.facts[at] = Facts { depth: depth as u8, ..Facts::default() };
        }
        shape.facts[first].entries = entries as u32;
        shape.allocated += segment.bytes();
    }

    fn retire(&self, shape: &mut Shape, segment: Segment, limbo: &mut Limbo) {
        shape.allocated -= segment.bytes();
        limbo.take_block(segment.block());
    }

    /// The first bucket.
    fn begin(&self, shape: &mut Shape) -> bool {
        let mut facts = Vec::new();
        if facts.try_reserve_exact(1).is_err() {
            return false;
        }
        facts.push(Facts::default());
        let Some(segment) = Segment::new(Width(0)) else { return false };
        let Some(directory) = new_directory(0) else {
            // SAFETY: nobody has seen it.
            unsafe { segment.block().free() };
            return false;
        };
        shape.facts = facts;
        shape.allocated = Block::bytes(directory_layout(0)) + facts_bytes(1) + segment.bytes();
        let entries = directory.cast::<AtomicPtr<Bucket>>();
        // SAFETY: the block has room for one entry, and nobody else has seen it.
        unsafe { &*entries }.store(segment.0, Ordering::Relaxed);
        self.directory.store(entries, Ordering::Release);
        true
    }

    /// Puts a segment of another size in a segment's place.
    fn rebuild(
        &self,
        shape: &mut Shape,
        hash: u32,
        width: Width,
        limbo: &mut Limbo,
        hash_of: &dyn Fn(u32) -> u32,
    ) -> bool {
        let old = self.segment(hash).expect("the caller found it");
        let Some(new) = Segment::new(width) else { return false };
        // SAFETY: only the writer frees segments, and nobody has seen the new one.
        unsafe { old.each_hashed(hash_of, |hash, index| new.insert(hash, index)) };
        let first = self.first(shape, hash);
        let Facts { entries, depth, .. } = shape.facts[first];
        self.publish(shape, first, u32::from(depth), new, entries as usize);
        self.retire(shape, old, limbo);
        true
    }

    fn split(&self, shape: &mut Shape, hash: u32, limbo: &mut Limbo, hash_of: &dyn Fn(u32) -> u32) -> bool {
        let old = self.segment(hash).expect("the caller found it");
        let first = self.first(shape, hash);
        let depth = u32::from(shape.facts[first].depth);
        let upper = |hash: u32| hash << depth >> 31 == 1;
        let mut counts = [0, 0];
        // SAFETY: only the writer frees segments.
        unsafe { old.each_hashed(hash_of, |hash, _| counts[usize::from(upper(hash))] += 1) };
        if counts.contains(&0) {
            // More bits would not tell them apart.
            if old.width() == Width::WIDEST {
                shape.facts[first].alike = true;
                return false;
            }
            return self.rebuild(shape, hash, old.width().next(), limbo, hash_of);
        }
        if depth == self.depth() && !self.double(shape, limbo) {
            return false;
        }
        let Some(low) = Segment::new(width_for(counts[0])) else { return false };
        let Some(high) = Segment::new(width_for(counts[1])) else {
            // SAFETY: nobody has seen it.
            unsafe { low.block().free() };
            return false;
        };
        // SAFETY: only the writer frees segments, and nobody has seen the new ones.
        unsafe {
            old.each_hashed(hash_of, |hash, index| {
                if upper(hash) { high.insert(hash, index) } else { low.insert(hash, index) }
            });
        }
        let first = self.first(shape, hash);
        let half = 1 << (self.depth() - depth - 1);
        self.publish(shape, first, depth + 1, low, counts[0]);
        self.publish(shape, first + half, depth + 1, high, counts[1]);
        self.retire(shape, old, limbo);
        true
    }

    /// A directory of twice the length.
    fn double(&self, shape: &mut Shape, limbo: &mut Limbo) -> bool {
        let (entries, depth) = self.entries().expect("the caller found a segment");
        let mut facts = Vec::new();
        if facts.try_reserve_exact(2 << depth).is_err() {
            return false;
        }
        for old in &shape.facts {
            facts.extend([*old, Facts { depth: old.depth, ..Facts::default() }]);
        }
        self.redirect(shape, limbo, depth + 1, facts, |at| self.at(entries, at / 2))
    }

    /// A directory of half the length, if no segment needs the last bit.
    fn halve(&self, shape: &mut Shape, limbo: &mut Limbo, reserve: &dyn Fn(u64) -> bool) {
        let Some((entries, depth)) = self.entries() else { return };
        let needed = shape.facts.iter().any(|facts| u32::from(facts.depth) == depth);
        if depth == 0
            || needed
            || !reserve(Block::bytes(directory_layout(depth - 1)) + facts_bytes(1 << depth >> 1))
        {
            return;
        }
        let mut facts = Vec::new();
        if facts.try_reserve_exact(1 << depth >> 1).is_err() {
            return;
        }
        facts.extend(shape.facts.iter().step_by(2));
        self.redirect(shape, limbo, depth - 1, facts, |at| self.at(entries, at * 2));
    }

    /// Puts another directory in the directory's place.
    fn redirect(
        &self,
        shape: &mut Shape,
        limbo: &mut Limbo,
        depth: u32,
        facts: Vec<Facts>,
        segment: impl Fn(usize) -> Segment,
    ) -> bool {
        let (old, old_depth) = self.entries().expect("the caller found it");
        let Some(block) = new_directory(depth) else { return false };
        let new = block.cast::<AtomicPtr<Bucket>>();
        for at in 0..1 << depth {
            // SAFETY: `at` is below the new directory's length, and nobody else has seen it.
            unsafe { &*new.add(at) }.store(segment(at).0, Ordering::Relaxed);
        }
        let old_bytes = Block::bytes(directory_layout(old_depth)) + facts_bytes(1 << old_depth);
        let new_bytes = Block::bytes(directory_layout(depth)) + facts_bytes(1 << depth);
        shape.allocated = shape.allocated + new_bytes - old_bytes;
        shape.facts = facts;
        self.directory.store(new.map_addr(|addr| addr | depth as usize), Ordering::Release);
        limbo.take_block(Block::of(old.cast_mut(), directory_layout(old_depth)));
        true
    }

    /// Makes one segment of a small one and its small neighbour.
    fn merge(
        &self,
        shape: &mut Shape,
        hash: u32,
        limbo: &mut Limbo,
        reserve: &dyn Fn(u64) -> bool,
        hash_of: &dyn Fn(u32) -> u32,
    ) {
        let (array, global) = self.entries().expect("the caller found a segment");
        let first = self.first(shape, hash);
        let Facts { entries, depth, .. } = shape.facts[first];
        let span = 1 << (global - u32::from(depth));
        let (low, high) = (first & !span, first | span);
        let other = shape.facts[first ^ span];
        let (left, right) = (self.at(array, low), self.at(array, high));
        let together = (entries + other.entries) as usize;
        let small = other.depth == depth && left.len() + right.len() == 2 && together <= LANES / 2;
        if !small || !reserve(Segment(ptr::null_mut()).bytes()) {
            return;
        }
        let Some(new) = Segment::new(Width(0)) else { return };
        // SAFETY: only the writer frees segments, and nobody has seen the new one.
        unsafe {
            left.each_hashed(hash_of, |hash, index| new.insert(hash, index));
            right.each_hashed(hash_of, |hash, index| new.insert(hash, index));
        }
        self.publish(shape, low, u32::from(depth) - 1, new, together);
        self.retire(shape, left, limbo);
        self.retire(shape, right, limbo);
        if u32::from(depth) == global {
            self.halve(shape, limbo, reserve);
        }
    }

    /// Frees everything at once.
    ///
    /// # Safety
    ///
    /// Nobody may read any more.
    pub(super) unsafe fn free(&self, shape: &mut Shape) {
        let mut limbo = Limbo::new();
        self.clear(shape, &mut limbo);
        // SAFETY: by the caller's promise.
        unsafe { limbo.free_blocks() };
    }
}

fn facts_bytes(entries: usize) -> u64 {
    allocation(entries * size_of::<Facts>())
}
