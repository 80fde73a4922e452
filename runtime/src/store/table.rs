//! The table of a shard: from a hash to the index of a slot, read without a lock.
//!
//! ```text
//! directory            segment                       bucket, one cache line
//! [ *, 3 ] ─┬────────► [ bucket bucket bucket ]      12 tags of 7 bits, how far strays went, 12 indices
//! [ *, 3 ] ─┘
//! [ *, 1 ] ──────────► [ bucket ]
//! ```
//!
//! It is an extendible hash table (Fagin et al., 1979): the top bits of a hash choose a segment through the
//! directory, and a segment that is full grows by a quarter, until it has 64 buckets and is cut in two. So no
//! insert ever moves more than one segment. (Keys with a bad `Hash` may all end in one segment, which grows on.) Inside, the hash chooses a bucket; what finds it full goes to a next
//! one, and the bucket remembers how far to look.
//!
//! One writer at a time changes a bucket in place: index first, then tag, and only over lanes without a tag.
//! Segments and directories are never changed in shape; new ones take their place, and the old ones go to
//! [`Limbo`] until no reader can be in them.

use std::alloc::Layout;
use std::ptr;

use super::limbo::{Block, Limbo};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::weight::weigh::allocation;

/// Entries of a bucket.
const LANES: usize = 12;
/// Buckets of a segment that is cut in two rather than made wider.
const MOST: usize = 64;
/// Segments start at multiples of this, so that their size fits into the bits below.
const ALIGN: usize = 64;
/// Directories start at multiples of this, and their depth fits.
const DIRECTORY_ALIGN: usize = 16;
/// The deepest directory: so many top bits of the hash choose a segment, and the others do the rest.
const DEEPEST: u32 = 14;

/// Which bits of a hash are what: the lowest seven are the tag; ten above the lowest byte choose the bucket.
const TAG_BITS: u32 = 7;
const PLACE_SHIFT: u32 = 8;
const PLACE_BITS: u32 = 10;

/// Every lane's lowest bit, and highest.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

#[repr(C, align(64))]
struct Bucket {
    /// Tags of lanes 0 to 7; 0 where there is no entry.
    first: AtomicU64,
    /// Tags of lanes 8 to 11 below; above, how many buckets further an entry may be that belongs here.
    second: AtomicU64,
    lanes: [AtomicU32; LANES],
}

/// Buckets; their number, as a [`Width`], is packed into the unused bits of their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment(*mut Bucket);

/// A number of buckets that six bits can say: a float with two bits behind the point, in quarters. Only those are
/// used that come to whole buckets: 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ..
///
/// Beyond [`MOST`] are segments whose entries cannot be told apart by more bits: keys whose `Hash` is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Width(u8);

impl Width {
    /// The last one.
    const WIDEST: Self = Self(63);

    /// The least for so many buckets.
    fn for_buckets(buckets: usize) -> Self {
        let mut width = Self(0);
        while width.buckets() < buckets && width < Self::WIDEST {
            width = width.next();
        }
        width
    }

    /// The next that comes to whole buckets.
    fn next(self) -> Self {
        let whole = |code: &u8| Self(*code).quarters().is_multiple_of(4);
        (self.0 + 1..=Self::WIDEST.0).find(whole).map_or(Self::WIDEST, Self)
    }

    #[inline(always)]
    fn quarters(self) -> usize {
        usize::from(4 | (self.0 % 4)) << (self.0 / 4)
    }

    #[inline(always)]
    fn buckets(self) -> usize {
        self.quarters() / 4
    }
}

/// What the writer knows of a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    entries: u32,
    /// How many top bits all hashes in it share.
    depth: u8,
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
}

impl Segment {
    fn layout(width: Width) -> Layout {
        Layout::array::<Bucket>(width.buckets()).expect("the widest segment takes some megabytes")
    }

    fn new(width: Width) -> Option<Self> {
        let block = Block::filled(Self::layout(width), width.buckets(), Bucket::new)?;
        Some(Self(block.cast::<Bucket>().map_addr(|addr| addr | usize::from(width.0))))
    }

    #[inline(always)]
    fn width(self) -> Width {
        Width((self.0.addr() % ALIGN) as u8)
    }

    #[inline(always)]
    fn len(self) -> usize {
        self.width().buckets()
    }

    #[inline(always)]
    fn buckets(self) -> *const Bucket {
        self.0.map_addr(|addr| addr & !(ALIGN - 1))
    }

    fn block(self) -> Block {
        Block::of(self.buckets().cast_mut(), Self::layout(self.width()))
    }

    fn bytes(self) -> u64 {
        Block::bytes(Self::layout(self.width()))
    }

    /// # Safety
    ///
    /// The segment's memory is not freed while the reference is used.
    #[inline(always)]
    unsafe fn bucket<'a>(self, at: usize) -> &'a Bucket {
        debug_assert!(at < self.len());
        // SAFETY: `at` is below the length, and the memory lives, by the caller's promise. Buckets are atomics only.
        unsafe { &*self.buckets().add(at) }
    }

    #[inline(always)]
    fn home(self, hash: u32) -> usize {
        let place = (hash >> PLACE_SHIFT) as usize % (1 << PLACE_BITS);
        (place * self.width().quarters()) >> (PLACE_BITS + 2)
    }

    /// What `is` makes of the first index it accepts, among those with a hash like this.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    #[inline(always)]
    unsafe fn find<T>(self, hash: u32, mut is: impl FnMut(&Bucket, usize, u32) -> Option<T>) -> Option<T> {
        let (home, tag) = (self.home(hash), Bucket::tag(hash));
        let (mut at, mut left) = (home, None);
        loop {
            // SAFETY: by the caller's promise.
            let bucket = unsafe { self.bucket(at) };
            // Acquire, here and for the lane: a lane with a tag has an index, and the index a slot that is filled.
            let (first, second) =
                (bucket.first.load(Ordering::Acquire), bucket.second.load(Ordering::Acquire));
            let mut equal = equal_tags(first, second, tag);
            while equal != 0 {
                let lane = equal.trailing_zeros() as usize;
                // SAFETY: there is a bit for each lane and no other.
                let index = unsafe { bucket.lanes.get_unchecked(lane) }.load(Ordering::Acquire);
                if let Some(found) = is(bucket, lane, index) {
                    return Some(found);
                }
                equal &= equal - 1;
            }
            let reach = *left.get_or_insert((second >> 32) as usize);
            if reach == 0 {
                return None;
            }
            left = Some(reach - 1);
            at = if at + 1 == self.len() { 0 } else { at + 1 };
        }
    }

    /// Puts an index where its hash belongs; there is room. Only the writer does.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    unsafe fn insert(self, hash: u32, index: u32) {
        let home = self.home(hash);
        for distance in 0..self.len() {
            // SAFETY: by the caller's promise.
            let bucket = unsafe { self.bucket((home + distance) % self.len()) };
            let Some(lane) = bucket.vacancy() else { continue };
            if distance > 0 {
                // Before the entry can be found: a reader that starts later must look as far.
                // SAFETY: by the caller's promise.
                unsafe { self.bucket(home) }.reach_to(distance as u64);
            }
            bucket.fill(lane, hash, index);
            return;
        }
        unreachable!("a segment with a vacancy has one in some bucket");
    }

    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    unsafe fn each(self, mut visit: impl FnMut(u32, u32)) {
        for at in 0..self.len() {
            // SAFETY: by the caller's promise.
            unsafe { self.bucket(at) }.each(&mut visit);
        }
    }
}

impl Bucket {
    /// No tags, nobody strayed.
    fn new() -> Self {
        let lanes = std::array::from_fn(|_| AtomicU32::new(0));
        Self { first: AtomicU64::new(0), second: AtomicU64::new(0), lanes }
    }

    fn tag(hash: u32) -> u64 {
        (u64::from(hash) % (1 << TAG_BITS)) | (1 << TAG_BITS)
    }

    fn vacancy(&self) -> Option<usize> {
        let vacant = !self.first.load(Ordering::Relaxed) & HIGH;
        if vacant != 0 {
            return Some(vacant.trailing_zeros() as usize / 8);
        }
        let vacant = !self.second.load(Ordering::Relaxed) & HIGH & u64::from(u32::MAX);
        (vacant != 0).then(|| 8 + vacant.trailing_zeros() as usize / 8)
    }

    fn fill(&self, lane: usize, hash: u32, index: u32) {
        self.lanes[lane].store(index, Ordering::Release);
        self.retag(lane, Self::tag(hash));
    }

    /// Release: what the tag announces came before.
    fn retag(&self, lane: usize, tag: u64) {
        let (word, shift) = if lane < 8 { (&self.first, lane * 8) } else { (&self.second, (lane - 8) * 8) };
        let others = word.load(Ordering::Relaxed) & !(0xFF << shift);
        word.store(others | (tag << shift), Ordering::Release);
    }

    fn reach_to(&self, distance: u64) {
        let second = self.second.load(Ordering::Relaxed);
        if second >> 32 < distance {
            self.second.store(second & u64::from(u32::MAX) | (distance << 32), Ordering::Release);
        }
    }

    /// Calls `visit` with each tag and index.
    fn each(&self, visit: &mut impl FnMut(u32, u32)) {
        for (lane, index) in self.lanes.iter().enumerate() {
            if let Some(tag) = self.tag_at(lane) {
                visit(tag, index.load(Ordering::Relaxed));
            }
        }
    }

    /// The tag bits of a lane that holds an entry.
    fn tag_at(&self, lane: usize) -> Option<u32> {
        let words = [&self.first, &self.second];
        let tag = (words[lane / 8].load(Ordering::Relaxed) >> (lane % 8 * 8)) as u32;
        (tag & (1 << TAG_BITS) != 0).then_some(tag % (1 << TAG_BITS))
    }
}

/// A bit for each lane whose tag is equal.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline(always)]
fn equal_tags(first: u64, second: u64, tag: u64) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    // SAFETY: the feature is there, or this would not be compiled.
    let equal = unsafe {
        let tags = _mm_set_epi64x(second as i64, first as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag as i8)))
    };
    equal as u32 % (1 << LANES)
}

/// A bit for each lane whose tag is equal; possibly for the lane above one, too, if the two tags differ in the
/// lowest bit only.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
#[inline(always)]
fn equal_tags(first: u64, second: u64, tag: u64) -> u32 {
    let equal = |word: u64| {
        let differing = word ^ (tag * LOW);
        // The highest bit of each equal byte, gathered in the top byte.
        let equal = differing.wrapping_sub(LOW) & !differing & HIGH;
        ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    (equal(first) | equal(second) << 8) % (1 << LANES)
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
    #[inline(always)]
    pub(super) unsafe fn find<T>(&self, hash: u32, mut is: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let segment = self.segment(hash)?;
        // SAFETY: what a reader finds through the directory is not freed while it reads.
        unsafe { segment.find(hash, |_, _, index| is(index)) }
    }

    #[inline(always)]
    fn segment(&self, hash: u32) -> Option<Segment> {
        let (entries, depth) = self.entries()?;
        let at = (u64::from(hash) << depth >> 32) as usize;
        // SAFETY: a directory of this depth has more entries than the top bits can say.
        let entry = unsafe { &*entries.add(at) };
        Some(Segment(entry.load(Ordering::Acquire)))
    }

    #[inline(always)]
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
        let wider = Block::bytes(Segment::layout(width.next()));
        if width.buckets() < MOST || u32::from(facts.depth) == DEEPEST {
            return (Growth::Wider(width.next()), wider);
        }
        let halves = 2 * Block::bytes(Segment::layout(width_for(entries)));
        let depth = self.depth();
        let doubles = u32::from(facts.depth) == depth;
        let directory =
            if doubles { Block::bytes(directory_layout(depth + 1)) + facts_bytes(2 << depth) } else { 0 };
        (Growth::Split, halves.max(wider) + directory)
    }

    /// Makes an entry of this hash fit. `hash_of` knows the hashes of all indices, but
    /// for the lowest byte. `false` when memory is exhausted:
    /// nothing has changed then.
    pub(super) fn grow(
        &self,
        shape: &mut Shape,
        hash: u32,
        growth: Growth,
        limbo: &mut Limbo,
        hash_of: impl Fn(u32) -> u32,
    ) -> bool {
        match growth {
            Growth::None => true,
            Growth::Wider(width) => match self.segment(hash) {
                Some(_) => self.rebuild(shape, hash, width, limbo, hash_of),
                None => self.begin(shape),
            },
            Growth::Split => self.split(shape, hash, limbo, hash_of),
        }
    }

    /// Links an index; there is room.
    pub(super) fn insert(&self, shape: &mut Shape, hash: u32, index: u32) {
        let segment = self.segment(hash).expect("`grow` made a segment");
        // SAFETY: only the writer frees segments.
        unsafe { segment.insert(hash, index) };
        let first = self.first(shape, hash);
        shape.facts[first].entries += 1;
        shape.entries += 1;
    }

    /// Puts another index in an entry's place: a reader finds the one or the other.
    pub(super) fn replace(&self, _shape: &mut Shape, hash: u32, from: u32, to: u32) {
        let (bucket, lane) = self.place(hash, from);
        bucket.lanes[lane].store(to, Ordering::Release);
    }

    /// Unlinks an index. Says whether [`shrink`](Self::shrink) has something to give back.
    pub(super) fn remove(&self, shape: &mut Shape, hash: u32, index: u32) -> bool {
        let (bucket, lane) = self.place(hash, index);
        bucket.retag(lane, 0);
        shape.entries -= 1;
        let first = self.first(shape, hash);
        let facts = &mut shape.facts[first];
        facts.entries -= 1;
        let (entries, depth) = (facts.entries as usize, facts.depth);
        let buckets = self.segment(hash).map_or(0, Segment::len);
        shape.entries == 0 || is_sparse(entries, buckets) || is_lone(entries, buckets, depth)
    }

    /// Where an index is.
    fn place(&self, hash: u32, index: u32) -> (&Bucket, usize) {
        let segment = self.segment(hash).expect("the entry is linked");
        let is = |bucket: &Bucket, lane, other| (other == index).then_some((ptr::from_ref(bucket), lane));
        // SAFETY: only the writer frees segments.
        let (bucket, lane) = unsafe { segment.find(hash, is) }.expect("the entry is linked");
        // SAFETY: as above; the reference does not outlive the writer's own next step.
        (unsafe { &*bucket }, lane)
    }

    /// Gives back what removing an entry of this hash left over, if there is room to do it; `reserve` says so.
    pub(super) fn shrink(
        &self,
        shape: &mut Shape,
        hash: u32,
        limbo: &mut Limbo,
        reserve: &impl Fn(u64) -> bool,
        hash_of: impl Fn(u32) -> u32,
    ) {
        let Some(segment) = self.segment(hash) else { return };
        if shape.entries == 0 {
            return self.clear(shape, limbo);
        }
        let first = self.first(shape, hash);
        let Facts { entries, depth } = shape.facts[first];
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
            shape.facts[at] = Facts { entries: 0, depth: depth as u8 };
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
        hash_of: impl Fn(u32) -> u32,
    ) -> bool {
        let old = self.segment(hash).expect("the caller found it");
        let Some(new) = Segment::new(width) else { return false };
        // SAFETY: only the writer frees segments, and nobody has seen the new one.
        unsafe { old.each(|tag, index| new.insert(hash_of(index) | tag, index)) };
        let first = self.first(shape, hash);
        let Facts { entries, depth } = shape.facts[first];
        self.publish(shape, first, u32::from(depth), new, entries as usize);
        self.retire(shape, old, limbo);
        true
    }

    fn split(&self, shape: &mut Shape, hash: u32, limbo: &mut Limbo, hash_of: impl Fn(u32) -> u32) -> bool {
        let old = self.segment(hash).expect("the caller found it");
        let depth = u32::from(shape.facts[self.first(shape, hash)].depth);
        let upper = |hash: u32| hash << depth >> 31 == 1;
        let mut counts = [0, 0];
        // SAFETY: only the writer frees segments.
        unsafe { old.each(|_, index| counts[usize::from(upper(hash_of(index)))] += 1) };
        if counts.contains(&0) {
            // More bits would not tell them apart.
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
            old.each(|tag, index| {
                let hash = hash_of(index) | tag;
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
            facts.extend([*old, Facts { entries: 0, depth: old.depth }]);
        }
        self.redirect(shape, limbo, depth + 1, facts, |at| self.at(entries, at / 2))
    }

    /// A directory of half the length, if no segment needs the last bit.
    fn halve(&self, shape: &mut Shape, limbo: &mut Limbo, reserve: &impl Fn(u64) -> bool) {
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
        reserve: &impl Fn(u64) -> bool,
        hash_of: impl Fn(u32) -> u32,
    ) {
        let (array, global) = self.entries().expect("the caller found a segment");
        let first = self.first(shape, hash);
        let Facts { entries, depth } = shape.facts[first];
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
            left.each(|tag, index| new.insert(hash_of(index) | tag, index));
            right.each(|tag, index| new.insert(hash_of(index) | tag, index));
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
