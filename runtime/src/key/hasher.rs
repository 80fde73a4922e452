//! How keys are hashed: one hasher, with one seed for the process.

use std::cell::UnsafeCell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::MaybeUninit;
use std::sync::Once;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// The hasher of all keys, seeded once per process: keys can be hostile.
///
/// It mixes once more at its end. With a single multiplication there are seeds, one in a hundred, under which keys that
/// count up stay out of a shard for thousands of inserts.
#[derive(Clone)]
pub struct KeyHasher(FoldHasher<'static>);

impl fmt::Debug for KeyHasher {
    /// Without the state: it would give the seed away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// Forwards what the inner hasher has its own way for; `isize` and the like come down to these.
macro_rules! forward {
    ($($write:ident $int:ty),*) => { $(
        #[cfg_attr(not(debug_assertions), inline)]
        fn $write(&mut self, int: $int) {
            self.0.$write(int);
        }
    )* };
}

impl Hasher for KeyHasher {
    #[cfg_attr(not(debug_assertions), inline)]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[cfg_attr(not(debug_assertions), inline)]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    forward! { write_u8 u8, write_u16 u16, write_u32 u32, write_u64 u64, write_u128 u128, write_usize usize }
}

/// The seed of this process.
static SEED: SeedCell = SeedCell { once: Once::new(), seed: UnsafeCell::new(MaybeUninit::uninit()) };

/// A seed that is written once. Who knows that it was does not ask again, which a `OnceLock` cannot spare.
struct SeedCell {
    once: Once,
    seed: UnsafeCell<MaybeUninit<Seed>>,
}

// SAFETY: what is written is written once, before anybody reads it.
unsafe impl Sync for SeedCell {}

impl SeedCell {
    #[inline]
    fn seeded(&'static self) -> Seeded {
        if !self.once.is_completed() {
            self.write();
        }
        Seeded(())
    }

    #[cold]
    #[inline(never)]
    fn write(&'static self) {
        // SAFETY: this runs once, and before anybody has a `Seeded`, which is what it takes to read.
        self.once.call_once(|| unsafe {
            (*self.seed.get()).write(Seed::new());
        });
    }
}

struct Seed {
    start: u64,
    shared: SharedSeed,
}

impl Seed {
    fn new() -> Self {
        if cfg!(fuzzing) {
            // An input that fails must fail again.
            return Self { start: 1, shared: SharedSeed::from_u64(2) };
        }
        // std's keys come from the system's randomness, which foldhash's own seeds do not.
        let random = RandomState::new();
        Self { start: random.hash_one(0), shared: SharedSeed::from_u64(random.hash_one(1)) }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn hasher(&'static self) -> KeyHasher {
        KeyHasher(FoldHasher::with_seed(self.start, &self.shared))
    }
}

/// A fresh hasher with the seed of this process.
pub fn hasher() -> KeyHasher {
    Seeded::new().seed().hasher()
}

/// The hash of what `feed` puts into a fresh hasher.
#[inline]
pub fn hash_of(feed: impl FnOnce(&mut KeyHasher)) -> u64 {
    Seeded::new().hash_of(feed)
}

/// Knows that the process has its seed: a cache that has this hashes without asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(());

impl Seeded {
    pub(crate) fn new() -> Self {
        SEED.seeded()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn seed(self) -> &'static Seed {
        // SAFETY: the seed is written before anybody has a `Seeded`, and never again.
        unsafe { (*SEED.seed.get()).assume_init_ref() }
    }

    /// The hash of what `feed` puts into a fresh hasher.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hash_of(self, feed: impl FnOnce(&mut KeyHasher)) -> u64 {
        let mut state = self.seed().hasher();
        feed(&mut state);
        state.finish()
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use std::hash::Hasher;

    use foldhash::SharedSeed;

    use super::FoldHasher;

    /// With some seeds they were not: whole shards went without an insert for thousands of keys.
    #[test]
    fn keys_that_count_up_are_spread_evenly_under_every_seed() {
        for seed in 0..300_u64 {
            let shared = SharedSeed::from_u64(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
            let start = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // Bits that choose a shard, a segment and a bucket.
            for shift in [40, 29, 8] {
                let (mut counts, mut last) = ([0_u32; 8], [0_u64; 8]);
                for key in 0..4096_u64 {
                    let mut hasher = FoldHasher::with_seed(start, &shared);
                    hasher.write_u64(key);
                    let part = (hasher.finish() >> shift) as usize % 8;
                    assert!(
                        key - last[part] < 300,
                        "bits {shift}: none in {part} from {} to {key}",
                        last[part]
                    );
                    counts[part] += 1;
                    last[part] = key;
                }
                assert!(counts.iter().all(|count| (350..700).contains(count)), "bits {shift}: {counts:?}");
            }
        }
    }
}
