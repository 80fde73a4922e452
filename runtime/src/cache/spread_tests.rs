//! Where entries lie: how many steps a look-up takes, however keys were picked, and how many entries an insert moves.
//!
//! Counted and not timed. The seed of the hasher is another in each process; what is claimed holds for any.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use super::Cache;
use crate::{Domain, Policy};

thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

/// A key that counts how often it is compared.
#[derive(Clone, Copy)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Eq for Key {}

/// How often keys are compared while `work` runs.
fn compared(work: impl FnOnce()) -> u64 {
    let before = COMPARED.get();
    work();
    COMPARED.get() - before
}

fn domain() -> Domain {
    Domain::builder().limit_bytes(1 << 30).manual().build()
}

/// What a hash that only multiplies turns into the number it is given.
const UNDOES: u64 = {
    // As many good bits as there are, twice as many with each step.
    let (factor, mut inverse, mut step) = (0x517C_C1B7_2722_0A95_u64, 1_u64, 0);
    while step < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};

/// Keys that end in one bucket where the hash has no seed: of tables that take a key for its hash, by the lowest bits or
/// by the highest; of hashes that multiply; and of a power of two of them.
const FAMILIES: [fn(u64) -> u64; 4] = [
    |at| at << 40,
    |at| at | 0xAAAA_AAAA << 32,
    |at| UNDOES.wrapping_mul(at),
    |at| UNDOES.wrapping_mul(at << 36).rotate_left(7),
];

#[test]
fn a_million_keys_that_collide_under_an_unseeded_hash_do_not_slow_it() {
    // The whole million for `cargo xtask deep`; the claim is the same for a fifth of it.
    let deep = std::env::var_os("LARDER_DEEP").is_some_and(|value| value != "0");
    let each = if deep { 250_000 } else { 50_000 };
    assert_eq!(UNDOES.wrapping_mul(0x517C_C1B7_2722_0A95), 1);
    let domain = domain();
    let cache = Cache::<Key, ()>::builder("crafted").build_in(&domain).unwrap();
    let keys =
        |from: u64| FAMILIES.iter().flat_map(move |key| (from..from + each).map(move |at| Key(key(at))));
    let inserting = compared(|| keys(1).for_each(|key| cache.insert(key, ())));
    let spread = cache.core.store.spread(&cache.core.tenant.card.reservation);
    assert!(spread.entries > 4 * each - each / 10, "{spread:?}");
    assert!(inserting * 10 < 4 * each, "{inserting} comparisons for {} inserts", 4 * each);
    // As few buckets as for any other keys: nearly always one.
    assert!(spread.visits * 10 < spread.entries * 12, "{spread:?}");
    let hits = compared(|| keys(1).step_by(7).for_each(|key| assert!(cache.contains(&key))));
    assert!(hits * 7 * 10 < 4 * each * 11, "{hits} comparisons for {} hits", 4 * each / 7);
    let misses = compared(|| {
        keys(each + 1).step_by(7).for_each(|key| _ = cache.contains(&key));
    });
    assert!(misses * 7 * 10 < 4 * each * 2, "{misses} comparisons for {} misses", 4 * each / 7);
}

#[test]
fn an_insert_moves_a_bounded_number_of_entries() {
    // One segment at a time; see the store's table.
    const WIDEST: u64 = 64 * 12;
    let domain = domain();
    let cache =
        Cache::<u64, ()>::builder("growing").policy(Policy::Fifo).shards(1).build_in(&domain).unwrap();
    let spread = || cache.core.store.spread(&cache.core.tenant.card.reservation);
    for key in 0..120_000 {
        cache.insert(key, ());
        if key % 9973 == 0 {
            assert!(spread().widest <= WIDEST, "at {key}: {:?}", spread());
        }
    }
    let grown = spread();
    assert!(grown.entries == 120_000 && grown.widest <= WIDEST, "{grown:?}");
    (0..119_000).for_each(|key| assert!(cache.invalidate(key)));
    assert!(spread().widest <= WIDEST);
}

#[test]
fn a_small_cache_has_few_shards_and_a_large_one_more() {
    let domain = domain();
    let shards = |entries: u64| {
        let builder = Cache::<u64, u64>::builder("sized").max_entries(entries);
        builder.build_in(&domain).unwrap().core.store.shards()
    };
    assert_eq!((shards(4), shards(300)), (1, 1));
    assert!(shards(1 << 20) >= 4);
    // An order sees only its own shard: each has enough to see.
    for entries in [1, 255, 512, 1023, 4096, 1 << 20] {
        assert!(shards(entries) == 1 || entries / shards(entries) as u64 >= 256, "{entries} entries");
    }
}
