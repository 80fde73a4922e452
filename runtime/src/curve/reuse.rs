//! A histogram of reuse distances in bytes, from a sample of the keys, weighted by what a miss costs.
//!
//! The *distance* of a reuse is the bytes of all entries that were used since the key's last use, and its own: a cache
//! of so many bytes that lets go what was used least recently would have had it. Only keys whose hash is below a
//! threshold are followed, and what is seen of them is scaled up (SHARDS: Waldspurger et al., 2015). So
//!
//! ```text
//! value(m) = sum of cost over the reuses at a distance of m or less
//! ```
//!
//! is the compute time that `m` bytes would have saved. A reuse of what has expired or was invalidated earns nothing.
//!
//! What is remembered is the *shape* of a curve, for several epochs: what a look-up saves with so many bytes. How many look-ups
//! there are is counted and not sampled, and is taken from the last epochs alone, so that a crowd that comes or goes is seen at once.
//!
//! At most [`MOST`] keys are followed. Where there are more, first those go that were not used for longer than the
//! whole budget could hold them, because no split of it would have them; then the threshold falls, and with it all
//! keys above. It rises again where fewer than [`LEAST`] are left. The keys lie in the order of their last use, with a
//! Fenwick tree of their bytes over that order. Everything is plain data: no clock, no lock, and no entry of a cache.

mod index;
#[cfg(feature = "tiers")]
mod record;

use index::Index;

use super::shape::Curve;
use super::watch::{KEPT, Watch};
use crate::cost;
use crate::weight::weigh::allocation;

/// So many keys are followed at the most.
pub(super) const MOST: usize = 512;
/// So many are worth a curve, and too few for one below.
pub(super) const LEAST: usize = 256;
/// Places in the order of last uses: when the last one is taken, the keys move together.
const PLACES: usize = 2 * MOST;
/// Buckets for each doubling of the distance.
const STEPS: usize = 8;
/// The first bucket ends here, as a logarithm: distances below 16 KB are not told apart.
const FIRST: u32 = 14;
/// Up to 16 TB.
const BUCKETS: usize = 30 * STEPS;
/// What an epoch leaves of the pace before it.
const PACE_KEPT: f64 = 0.5;
/// A threshold that takes every key.
const ALL: u32 = u32::MAX;
/// A threshold starts at one key in so many, and rises to `ALL` where these are few.
const ONE_IN: u32 = 16;
/// The farthest distance worth following, in budgets.
const REACH: f64 = 1.25;
/// So many hits are heard of in an epoch. What is asked for all the time is known by then, and its hits need not pay more.
const HEARD: u32 = 2048;
/// A deadline that never comes.
pub(crate) const NO_DEADLINE: u32 = u32::MAX;

/// What is known of a key when its value is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// Bytes of the entry.
    pub(crate) bytes: u64,
    /// What a miss costs, as a byte of [`crate::cost`].
    pub(crate) cost: u8,
    /// When the entry expires, in milliseconds of the domain's clock.
    pub(crate) deadline: u32,
}

/// From which upper half of a hash on a key is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Whatever becomes of it.
    pub(crate) from: u32,
    /// Its hits; [`OFF`](super::OFF) where enough of them are known in this epoch.
    pub(crate) hits_from: u32,
}

impl Followed {
    /// Nobody.
    pub(crate) const NOBODY: Self = Self { from: super::OFF, hits_from: super::OFF };
}

/// A key that is followed.
#[derive(Clone, Copy, Debug)]
struct Key {
    id: u64,
    bytes: u32,
    deadline: u32,
    /// The time of the last use; of no meaning where nothing expires.
    used: u32,
    /// Its place in the order of last uses.
    place: u16,
    cost: u8,
}

/// The sample of one tenant, and what was learned from it.
#[derive(Debug)]
pub(crate) struct Reuse {
    /// In no order.
    keys: Vec<Key>,
    /// Where each is in `keys`.
    index: Index,
    /// A Fenwick tree over places: bytes.
    sums: Vec<u64>,
    /// The next free place.
    next: usize,
    /// Bytes of all keys that are followed.
    total: u64,
    /// Keys with a rank below are followed.
    threshold: u32,
    /// An entry that was not used for so many milliseconds is expired.
    idle: u32,
    /// Nanoseconds saved at each distance, scaled up, and decayed.
    saved: Box<[f32; BUCKETS]>,
    /// Uses of keys that are followed, in this epoch.
    uses: u32,
    /// Those of them that were hits, of at most [`HEARD`].
    heard: u32,
    /// All hits of the tenant until this epoch.
    hits: u64,
    /// A hit that is heard of stands for so many: as many as in the epoch before.
    weight: f64,
    /// Epochs with fewer keys than are worth a curve, one after the other.
    sparse: u8,
    /// All look-ups of the tenant until this epoch, and until it was followed.
    lookups: u64,
    /// Look-ups of the epochs that `saved` remembers, decayed like them.
    seen: f64,
    /// Look-ups of an epoch, by the last ones.
    pace: f64,
    /// What of `saved` were hits.
    earned: f64,
    /// Bytes held in these epochs, for each look-up.
    held: f64,
    /// For how long it was watched.
    watch: Watch,
    /// What it cost to fill a byte, and how many bytes were followed, in the process before.
    before: (f64, f64),
}

/// Where the hash of a key stands among all: those with the lowest ranks are followed. The bits that pick shards and
/// slots are others.
#[inline]
fn rank(hash: u64) -> u32 {
    !(hash >> 32) as u32
}

/// The part of the hash that tells keys apart here: the last byte is used for something else on the way.
const fn id(hash: u64) -> u64 {
    hash & !0xff
}

/// The same for the table, which wants its lowest bits to differ.
const fn spread(id: u64) -> u64 {
    id.rotate_right(8)
}

fn bucket(distance: f64) -> usize {
    let octaves = distance.max(1.0).log2() - f64::from(FIRST);
    (octaves * STEPS as f64).ceil().clamp(0.0, (BUCKETS - 1) as f64) as usize
}

/// The distance at which a bucket ends.
fn edge(bucket: usize) -> u64 {
    let octaves = f64::from(FIRST) + bucket as f64 / STEPS as f64;
    octaves.exp2().ceil() as u64
}

impl Reuse {
    /// Nothing is known yet, of a tenant that has had so many look-ups. Entries are expired that were not used for `idle`
    /// milliseconds.
    pub(crate) fn new(idle: u32, lookups: u64) -> Self {
        Self {
            keys: Vec::with_capacity(MOST),
            index: Index::new(MOST),
            sums: vec![0; PLACES + 1],
            next: 0,
            total: 0,
            threshold: ALL / ONE_IN,
            idle,
            saved: Box::new([0.0; BUCKETS]),
            uses: 0,
            heard: 0,
            hits: 0,
            weight: 1.0,
            sparse: 0,
            lookups,
            seen: 0.0,
            pace: 0.0,
            earned: 0.0,
            held: 0.0,
            watch: Watch::default(),
            before: (0.0, 0.0),
        }
    }

    /// More bytes than it ever takes.
    pub(crate) fn most_bytes() -> u64 {
        let parts = [
            size_of::<Self>(),
            MOST * size_of::<Key>(),
            Index::bytes(MOST),
            Index::bytes(MOST),
            (PLACES + 1) * size_of::<u64>(),
            BUCKETS * size_of::<f32>(),
        ];
        parts.into_iter().map(allocation).sum()
    }

    /// From which upper half of a hash on a key is followed.
    pub(crate) fn followed(&self) -> Followed {
        let from = !self.threshold.wrapping_sub(1);
        Followed { from, hits_from: if self.heard < HEARD { from } else { super::OFF } }
    }

    /// The part of the keys that is followed.
    fn rate(&self) -> f64 {
        f64::from(self.threshold) / f64::from(ALL)
    }

    fn follows(&self, hash: u64) -> bool {
        rank(hash) < self.threshold
    }

    /// A key was found whose entry costs so much. One that is not known yet, because it was stored before it was
    /// followed, is taken to weigh as much as the others do.
    pub(crate) fn hit(&mut self, hash: u64, cost: u8, now: u32, typical: u64, budget: u64) {
        if self.follows(hash) && self.find(hash).is_none() {
            self.insert(hash, Fact { bytes: typical, cost, deadline: NO_DEADLINE }, now, budget);
            return;
        }
        self.heard += 1;
        self.used(hash, Some(cost), now);
    }

    /// A key was looked for and not found.
    pub(crate) fn missed(&mut self, hash: u64, now: u32) {
        self.used(hash, None, now);
    }

    fn used(&mut self, hash: u64, cost: Option<u8>, now: u32) {
        if !self.follows(hash) {
            return;
        }
        self.uses = self.uses.saturating_add(1);
        let Some(at) = self.find(hash) else { return };
        let Key { bytes, deadline, used, place, cost: known, .. } = self.keys[at];
        let was_hit = cost.is_some();
        let cost = cost.unwrap_or(known);
        self.keys[at].cost = cost;
        self.keys[at].used = now;
        let fresh = now < deadline && now.saturating_sub(used) < self.idle;
        if fresh && cost != cost::NOTHING {
            let distance = self.newer(place) as f64 / self.rate() + f64::from(bytes);
            let weight = if was_hit { self.weight } else { 1.0 };
            let saved = weight * cost::decode(cost) as f64 / self.rate();
            self.saved[bucket(distance)] += saved as f32;
            if was_hit {
                self.earned += saved;
            }
        }
        // What was used a moment ago stays where it is: under skewed use that is nearly all, and no distance changes by
        // more than a little.
        if self.next - usize::from(place) > self.keys.len() / 64 + 1 {
            self.move_up(at);
        }
    }

    /// A value is stored for the key. That is no use of it.
    pub(crate) fn stored(&mut self, hash: u64, fact: Fact, now: u32, budget: u64) {
        if !self.follows(hash) {
            return;
        }
        let bytes = u32::try_from(fact.bytes).unwrap_or(u32::MAX);
        if let Some(at) = self.find(hash) {
            let Key { place, bytes: before, .. } = self.keys[at];
            self.change(place, before, bytes);
            let key = &mut self.keys[at];
            (key.bytes, key.cost, key.deadline, key.used) = (bytes, fact.cost, fact.deadline, now);
            return;
        }
        self.insert(hash, fact, now, budget);
    }

    /// Follows a key that was not followed, if it still may be when there is room for it.
    fn insert(&mut self, hash: u64, fact: Fact, now: u32, budget: u64) {
        let bytes = u32::try_from(fact.bytes).unwrap_or(u32::MAX);
        while self.keys.len() >= MOST {
            self.make_room(budget);
            if !self.follows(hash) {
                return;
            }
        }
        let place = self.take_place();
        self.keys.push(Key {
            id: id(hash),
            bytes,
            deadline: fact.deadline,
            used: now,
            place,
            cost: fact.cost,
        });
        self.index.push(spread(id(hash)));
        self.change(place, 0, bytes);
    }

    /// The key's value is gone, or wrong: its next use is the first.
    pub(crate) fn forget(&mut self, hash: u64) {
        if let Some(at) = self.find(hash) {
            self.drop_key(at);
        }
    }

    /// [`forget`](Self::forget) of all keys of whose hashes the lower half is this one, but for its last byte and its
    /// highest bit. Another's may be among them, once in some thousand times.
    pub(crate) fn forget_like(&mut self, lower: u32) {
        const KNOWN: u32 = 0x7fff_ff00;
        while let Some(at) = self.keys.iter().position(|key| (key.id as u32 ^ lower) & KNOWN == 0) {
            self.drop_key(at);
        }
    }

    /// Ends an epoch: what was seen before counts a little less from now on, and the threshold rises if there are too
    /// few keys to tell anything. `hits` and `lookups` are those of the tenant so far.
    pub(crate) fn end_epoch(&mut self, hits: u64, lookups: u64, held: u64) {
        let own = lookups.saturating_sub(self.lookups) as f64;
        self.lookups = lookups;
        let kept = f64::from(KEPT);
        self.pace = if self.seen == 0.0 { own } else { self.pace * PACE_KEPT + own * (1.0 - PACE_KEPT) };
        self.seen = (self.seen + own) * kept;
        self.earned *= kept;
        self.held = (self.held + held as f64 * own) * kept;
        let new = hits.saturating_sub(self.hits) as f64 * self.rate();
        self.weight = if self.heard < HEARD { 1.0 } else { (new / f64::from(self.heard)).max(1.0) };
        (self.hits, self.heard) = (hits, 0);
        if self.uses > 0 {
            self.watch.end_epoch(self.depth());
        }
        self.sparse = if self.keys.len() < LEAST && self.uses > 0 { self.sparse + 1 } else { 0 };
        if self.sparse >= 2 && self.threshold < ALL {
            self.threshold = self.threshold.saturating_mul(2);
            self.sparse = 0;
        }
        self.uses = 0;
        for saved in &mut self.saved[..] {
            *saved *= KEPT;
        }
    }

    /// What was learned, if that is enough to go by.
    pub(crate) fn curve(&self) -> Option<Curve> {
        if self.watch.epochs() < 2 {
            return None;
        }
        // As if all epochs that are remembered had been like the last ones.
        let lately = self.pace * f64::from(KEPT / (1.0 - KEPT));
        let scale = if self.seen > 0.0 { lately / self.seen } else { 1.0 };
        let mut points = Vec::new();
        let mut sum = 0.0;
        for (at, saved) in self.saved.iter().enumerate() {
            if *saved > 0.0 {
                sum += f64::from(*saved) * scale * self.watch.stands_for(edge(at));
                points.push((edge(at), sum));
            }
        }
        let held = self.held / self.seen.max(1.0);
        let known = self.depth_known() as u64;
        Some(Curve::of(points, self.refill(), known).raised(held as u64, self.earned * scale))
    }

    /// Bytes of all entries that were used since the tenant is watched, as far as they are followed.
    fn depth(&self) -> f64 {
        self.total as f64 / self.rate()
    }

    /// What it costs to fill a byte.
    fn refill(&self) -> f64 {
        let costs: u64 = self.keys.iter().map(|key| cost::decode(key.cost)).sum();
        if self.total == 0 { self.before.0 } else { costs as f64 / self.total as f64 }
    }

    /// [`depth`](Self::depth), those of the process before included.
    fn depth_known(&self) -> f64 {
        self.depth().max(self.before.1)
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let id = id(hash);
        self.index.find(spread(id), |at| self.keys[at].id == id)
    }

    /// Bytes of the keys that were used after the one at this place.
    fn newer(&self, place: u16) -> u64 {
        let (mut at, mut older) = (usize::from(place) + 1, 0);
        while at > 0 {
            older += self.sums[at];
            at &= at - 1;
        }
        self.total - older
    }

    /// The key at this place has other bytes from now on.
    fn change(&mut self, place: u16, before: u32, after: u32) {
        let by = u64::from(after).wrapping_sub(before.into());
        self.total = self.total.wrapping_add(by);
        let mut at = usize::from(place) + 1;
        while at <= PLACES {
            self.sums[at] = self.sums[at].wrapping_add(by);
            at += at & at.wrapping_neg();
        }
    }

    fn move_up(&mut self, at: usize) {
        let Key { place, bytes, .. } = self.keys[at];
        self.change(place, bytes, 0);
        self.keys[at].bytes = 0;
        let place = self.take_place();
        (self.keys[at].place, self.keys[at].bytes) = (place, bytes);
        self.change(place, 0, bytes);
    }

    /// The next place in the order of last uses.
    fn take_place(&mut self) -> u16 {
        if self.next == PLACES {
            self.close_up();
        }
        self.next += 1;
        (self.next - 1) as u16
    }

    /// Takes the gaps out of the order. A hit may come here, so nothing is allocated.
    fn close_up(&mut self) {
        let mut order: [u16; MOST] = std::array::from_fn(|at| at as u16);
        let order = &mut order[..self.keys.len()];
        order.sort_unstable_by_key(|at| self.keys[usize::from(*at)].place);
        self.sums.fill(0);
        self.total = 0;
        self.next = order.len();
        for (place, at) in order.iter().enumerate() {
            let key = &mut self.keys[usize::from(*at)];
            key.place = place as u16;
            let bytes = key.bytes;
            self.change(place as u16, 0, bytes);
        }
    }

    /// Makes room for one more key.
    fn make_room(&mut self, budget: u64) {
        let oldest = self.keys.iter().enumerate().min_by_key(|(_, key)| key.place);
        let Some((oldest, key)) = oldest else { return };
        let distance = self.newer(key.place) as f64 / self.rate();
        if distance > budget as f64 * REACH {
            self.watch.reaches_far();
            self.drop_key(oldest);
            return;
        }
        // The highest rank goes, and with it all that come and rank as high.
        let highest = self.keys.iter().map(|key| rank(key.id)).max().unwrap_or(0);
        self.threshold = highest.max(1);
        while let Some(at) = self.keys.iter().position(|key| rank(key.id) >= self.threshold) {
            self.drop_key(at);
        }
    }

    fn drop_key(&mut self, at: usize) {
        let Key { id, place, bytes, .. } = self.keys[at];
        self.change(place, bytes, 0);
        let last = self.keys.last().map_or(id, |last| last.id);
        self.index.swap_remove(at, spread(id), spread(last));
        self.keys.swap_remove(at);
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests;
