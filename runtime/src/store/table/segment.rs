//! A segment of a table: buckets, and which way an entry goes through them.
//!
//! ```text
//! bucket   [ tags 0..7 | tags 8..11, passed by from home, from elsewhere | 12 indices ]      a line of cache
//! ```
//!
//! One writer at a time changes a bucket in place: index first, then tag, and only over lanes without a tag. Not here:
//! where segments are, and when they grow.

use std::alloc::Layout;
use std::ptr;

use crate::store::limbo::Block;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Entries of a bucket.
pub(super) const LANES: usize = 12;
/// Segments start at multiples of this, so that their size fits into the bits below.
const ALIGN: usize = 64;

/// Which bits of a hash are what: the lowest seven are the tag; ten above the lowest byte choose the bucket.
pub(super) const TAG_BITS: u32 = 7;
const PLACE_SHIFT: u32 = 8;
const PLACE_BITS: u32 = 10;

/// Every lane's lowest bit, and highest.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

#[repr(C, align(64))]
pub(super) struct Bucket {
    /// Tags of lanes 0 to 7; 0 where there is no entry.
    first: AtomicU64,
    /// Tags of lanes 8 to 11 below; above, how many entries passed by: of those that have their home here in 16 bits, and
    /// of those that came from elsewhere in 16.
    pub(super) second: AtomicU64,
    pub(super) lanes: [AtomicU32; LANES],
}

/// Buckets; their number, as a [`Width`], is packed into the unused bits of their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment(pub(super) *mut Bucket);

/// A number of buckets that six bits can say: a float with two bits behind the point, in quarters. Only those are
/// used that come to whole buckets: 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ..
///
/// Far up are segments whose entries cannot be told apart by more bits: keys whose `Hash` is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(in crate::store) struct Width(pub(super) u8);

impl Width {
    /// The last one: 57,344 buckets; fewer where tests are to come there soon.
    pub(super) const WIDEST: Self = Self(if cfg!(test) { 32 } else { 63 });

    /// The least for so many buckets.
    pub(super) fn for_buckets(buckets: usize) -> Self {
        let mut width = Self(0);
        while width.buckets() < buckets && width < Self::WIDEST {
            width = width.next();
        }
        width
    }

    /// The next that comes to whole buckets; of the last one itself.
    pub(super) fn next(self) -> Self {
        let whole = |code: &u8| Self(*code).quarters().is_multiple_of(4);
        (self.0 + 1..=Self::WIDEST.0).find(whole).map_or(Self::WIDEST, Self)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn quarters(self) -> usize {
        usize::from(4 | (self.0 % 4)) << (self.0 / 4)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn buckets(self) -> usize {
        self.quarters() / 4
    }
}

/// A lane without an entry, where one of some hash would go. Good for as long as nothing is inserted.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Vacancy {
    pub(super) segment: Segment,
    /// How far the bucket is from the hash's own.
    distance: u32,
    lane: u8,
}
impl Segment {
    pub(super) fn layout(width: Width) -> Layout {
        Layout::array::<Bucket>(width.buckets()).expect("the widest segment takes some megabytes")
    }

    pub(super) fn new(width: Width) -> Option<Self> {
        let block = Block::filled(Self::layout(width), width.buckets(), Bucket::new)?;
        Some(Self(block.cast::<Bucket>().map_addr(|addr| addr | usize::from(width.0))))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn width(self) -> Width {
        Width((self.0.addr() % ALIGN) as u8)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn len(self) -> usize {
        self.width().buckets()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn buckets(self) -> *const Bucket {
        self.0.map_addr(|addr| addr & !(ALIGN - 1))
    }

    pub(super) fn block(self) -> Block {
        Block::of(self.buckets().cast_mut(), Self::layout(self.width()))
    }

    pub(super) fn bytes(self) -> u64 {
        Block::bytes(Self::layout(self.width()))
    }

    /// # Safety
    ///
    /// The segment's memory is not freed while the reference is used.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn bucket<'a>(self, at: usize) -> &'a Bucket {
        debug_assert!(at < self.len());
        // SAFETY: `at` is below the length, and the memory lives, by the caller's promise. Buckets are atomics only.
        unsafe { &*self.buckets().add(at) }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn home(self, hash: u32) -> usize {
        let place = (hash >> PLACE_SHIFT) as usize % (1 << PLACE_BITS);
        (place * self.width().quarters()) >> (PLACE_BITS + 2)
    }

    /// What `is` makes of the first index it accepts, among those with a hash like this.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find<T>(
        self,
        hash: u32,
        mut is: impl FnMut(&Bucket, usize, u32) -> Option<T>,
    ) -> Option<T> {
        let (mut at, mut distance, tag) = (self.home(hash), 0, Bucket::tag(hash));
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
            if passed(second, distance) == 0 || distance == self.len() {
                return None;
            }
            distance += 1;
            at = self.away(hash, distance);
        }
    }

    /// Looks at the bucket that a hash chooses, so that it is near when it is needed. Nobody waits for what it says.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    #[inline]
    pub(super) unsafe fn look_ahead(self, hash: u32) {
        // SAFETY: by the caller's promise.
        std::hint::black_box(unsafe { self.bucket(self.home(hash)) }.first.load(Ordering::Relaxed));
    }

    /// Where what finds no place goes, step by step: from its home to another bucket, which its hash says too, so that
    /// those of one home do not all crowd the next; and from there on in a row, through all buckets.
    #[inline]
    pub(super) fn away(self, hash: u32, distance: usize) -> usize {
        if distance == 0 {
            return self.home(hash);
        }
        let (at, len) = (self.second_home(hash) + distance - 1, self.len());
        if at < len { at } else { at % len }
    }

    #[inline]
    fn second_home(self, hash: u32) -> usize {
        // Of the bits that are known wherever a segment is built anew.
        self.home((hash >> PLACE_SHIFT).wrapping_mul(0x9E37_79B1) >> (u32::BITS - PLACE_BITS - PLACE_SHIFT))
    }

    /// How many steps away from its home a hash is in a bucket. What has a place at home is never found further on.
    pub(super) fn distance(self, hash: u32, at: usize) -> usize {
        if at == self.home(hash) {
            return 0;
        }
        let second = self.second_home(hash);
        1 + if at >= second { at - second } else { at + self.len() - second }
    }

    /// The first index of a hash like this that is the one; and if none is, the first lane in reach that has no entry.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    #[inline]
    pub(super) unsafe fn find_or_vacancy(
        self,
        hash: u32,
        mut is: impl FnMut(u32) -> bool,
    ) -> Result<u32, Option<Vacancy>> {
        let (mut at, mut distance, tag) = (self.home(hash), 0, Bucket::tag(hash));
        let mut vacancy = None;
        loop {
            // SAFETY: by the caller's promise.
            let bucket = unsafe { self.bucket(at) };
            let (first, second) =
                (bucket.first.load(Ordering::Relaxed), bucket.second.load(Ordering::Relaxed));
            let mut equal = equal_tags(first, second, tag);
            while equal != 0 {
                // SAFETY: there is a bit for each lane and no other.
                let lane = unsafe { bucket.lanes.get_unchecked(equal.trailing_zeros() as usize) };
                let index = lane.load(Ordering::Relaxed);
                if is(index) {
                    return Ok(index);
                }
                equal &= equal - 1;
            }
            if vacancy.is_none()
                && let Some(lane) = vacant_lane(first, second)
            {
                vacancy = Some(Vacancy { segment: self, distance: distance as u32, lane });
            }
            if passed(second, distance) == 0 || distance == self.len() {
                return Err(vacancy);
            }
            distance += 1;
            at = self.away(hash, distance);
        }
    }

    /// Puts an index into a lane that was found vacant for its hash.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    pub(super) unsafe fn fill(self, vacancy: Vacancy, hash: u32, index: u32) {
        let distance = vacancy.distance as usize;
        // Before the entry can be found: a reader that starts later must look as far.
        // SAFETY: by the caller's promise.
        unsafe { self.pass(hash, distance, u16::saturating_add) };
        // SAFETY: as above.
        unsafe { self.bucket(self.away(hash, distance)) }.fill(usize::from(vacancy.lane), hash, index);
    }

    /// Puts an index where its hash belongs; there is room. Only the writer does.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    pub(super) unsafe fn insert(self, hash: u32, index: u32) {
        for distance in 0..=self.len() {
            // SAFETY: by the caller's promise.
            let bucket = unsafe { self.bucket(self.away(hash, distance)) };
            if let Some(lane) = bucket.vacancy() {
                let vacancy = Vacancy { segment: self, distance: distance as u32, lane };
                // SAFETY: by the caller's promise.
                return unsafe { self.fill(vacancy, hash, index) };
            }
        }
        unreachable!("a segment with a vacancy has one in some bucket");
    }

    /// Takes an index out of the lane of a bucket where it was found.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    pub(super) unsafe fn remove(self, hash: u32, bucket: &Bucket, lane: usize) {
        bucket.retag(lane, 0);
        // SAFETY: the bucket is one of this segment.
        let at = unsafe { ptr::from_ref(bucket).offset_from(self.buckets()) } as usize;
        // SAFETY: by the caller's promise.
        unsafe { self.pass(hash, self.distance(hash, at), u16::saturating_sub) };
    }

    /// One entry more, or one less, has passed so many buckets by on its way from home.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    #[inline]
    unsafe fn pass(self, hash: u32, buckets: usize, change: fn(u16, u16) -> u16) {
        for distance in 0..buckets {
            // SAFETY: by the caller's promise.
            unsafe { self.bucket(self.away(hash, distance)) }.pass(distance, change);
        }
    }

    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    pub(super) unsafe fn each(self, mut visit: impl FnMut(u32, u32)) {
        for at in 0..self.len() {
            // SAFETY: by the caller's promise.
            unsafe { self.bucket(at) }.each(&mut visit);
        }
    }

    /// Calls `visit` with each hash and index; `hash_of` knows the hash of an index, but for the bits of the tag.
    ///
    /// Hashes are asked for many at a time: each is a look at memory that is far away, and together they take little
    /// longer than one.
    ///
    /// # Safety
    ///
    /// As for [`bucket`](Self::bucket).
    pub(super) unsafe fn each_hashed(self, hash_of: &dyn Fn(u32) -> u32, mut visit: impl FnMut(u32, u32)) {
        /// So many buckets at a time.
        const CHUNK: usize = 8;
        let mut found = [(0, 0); CHUNK * LANES];
        for start in (0..self.len()).step_by(CHUNK) {
            let mut count = 0;
            for at in start..self.len().min(start + CHUNK) {
                // SAFETY: by the caller's promise.
                unsafe { self.bucket(at) }.each(&mut |tag, index| {
                    found[count] = (tag, index);
                    count += 1;
                });
            }
            let found = &mut found[..count];
            found.iter_mut().for_each(|(hash, index)| *hash |= hash_of(*index));
            found.iter().for_each(|(hash, index)| visit(*hash, *index));
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

    fn vacancy(&self) -> Option<u8> {
        vacant_lane(self.first.load(Ordering::Relaxed), self.second.load(Ordering::Relaxed))
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

    /// So many that their number is lost stay for ever: that only costs looks.
    fn pass(&self, distance: usize, change: fn(u16, u16) -> u16) {
        let second = self.second.load(Ordering::Relaxed);
        let before = passed(second, distance);
        if before < u16::MAX {
            let others = second & !(u64::from(u16::MAX) << passed_shift(distance));
            let after = u64::from(change(before, 1)) << passed_shift(distance);
            self.second.store(others | after, Ordering::Release);
        }
    }

    /// Calls `visit` with each tag and index.
    pub(super) fn each(&self, visit: &mut impl FnMut(u32, u32)) {
        for (lane, index) in self.lanes.iter().enumerate() {
            if let Some(tag) = self.tag_at(lane) {
                visit(tag, index.load(Ordering::Relaxed));
            }
        }
    }

    /// The tag bits of a lane that holds an entry.
    pub(super) fn tag_at(&self, lane: usize) -> Option<u32> {
        let words = [&self.first, &self.second];
        let tag = (words[lane / 8].load(Ordering::Relaxed) >> (lane % 8 * 8)) as u32;
        (tag & (1 << TAG_BITS) != 0).then_some(tag % (1 << TAG_BITS))
    }
}

/// How many entries passed by, of those at this distance from home: in a bucket's second word.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn passed(second: u64, distance: usize) -> u16 {
    (second >> passed_shift(distance)) as u16
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn passed_shift(distance: usize) -> u32 {
    if distance == 0 { 32 } else { 48 }
}

/// The first lane without a tag.
#[inline]
fn vacant_lane(first: u64, second: u64) -> Option<u8> {
    let vacant = !first & HIGH;
    if vacant != 0 {
        return Some((vacant.trailing_zeros() / 8) as u8);
    }
    let vacant = !second & HIGH & u64::from(u32::MAX);
    (vacant != 0).then(|| 8 + (vacant.trailing_zeros() / 8) as u8)
}

/// A bit for each lane whose tag is equal.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[cfg_attr(not(debug_assertions), inline(always))]
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
#[cfg_attr(not(debug_assertions), inline(always))]
fn equal_tags(first: u64, second: u64, tag: u64) -> u32 {
    let equal = |word: u64| {
        let differing = word ^ (tag * LOW);
        // The highest bit of each equal byte, gathered in the top byte.
        let equal = differing.wrapping_sub(LOW) & !differing & HIGH;
        ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    (equal(first) | equal(second) << 8) % (1 << LANES)
}
