//! Histories of one cache against a model of it: bytes decide what the cache is, what is done to it and when.
//!
//! The model knows each entry: whose value it is, when it expires, whether it is pinned. So it can tell of each look-up
//! what it must return; of each entry that leaves that it left once, for a reason that what was done allows; of what was
//! not stored whether there was room; and after each step that bounds and budget are kept. Every few steps, and at the
//! end, the cache is recounted from inside.
//!
//! Fuzzers make the bytes for `fuzz/`; seeded random numbers make them for tests. Not here: threads, pools, and the
//! coordinator's choice among tenants. One neighbour is there so that there is somebody to give way to.

mod model;
mod values;
mod world;

use values::{Blob, Colliding, Flat, Nothing, Only};
use world::World;

/// Runs the history that these bytes tell. Any bytes tell one.
///
/// # Panics
///
/// When the cache does what the model says it must not.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices { bytes };
    match choices.below(6) {
        0 => World::<u64, Blob>::new(&mut choices).run(choices),
        1 => World::<u64, Flat>::new(&mut choices).run(choices),
        2 => World::<Colliding, Blob>::new(&mut choices).run(choices),
        3 => World::<String, Blob>::new(&mut choices).run(choices),
        4 => World::<u64, Nothing>::new(&mut choices).run(choices),
        _ => World::<Only, Flat>::new(&mut choices).run(choices),
    }
}

/// A history of so many bytes, the same for each seed.
#[must_use]
pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(next());
    }
    bytes.truncate(len);
    bytes
}

/// What is left of the bytes.
struct Choices<'a> {
    bytes: &'a [u8],
}

impl Choices<'_> {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte; 0 when there is none.
    fn byte(&mut self) -> u64 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        u64::from(*first)
    }

    /// A number below a bound of at most 65,536.
    fn below(&mut self, bound: u64) -> u64 {
        let number = if bound > 256 { self.byte() << 8 | self.byte() } else { self.byte() };
        number % bound
    }

    fn is_one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}
