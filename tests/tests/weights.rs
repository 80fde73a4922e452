//! What caches say they weigh against what they hold, by a counting allocator: entries, tables and pages, when a
//! cache fills, when it evicts, and when it empties. A process of its own: it has the allocator to itself.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use larder::testing::{CountingAllocator, held_by};
use larder::{Cache, Domain, Policy, Weigh, weigh};
use larder_tests::short_or_deep;

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator::system();

/// Heap in the entries is seen through types, and may be off by this.
const NESTED: f64 = 0.10;
/// Without heap in the entries, only tables and pages are to be known.
const FLAT: f64 = 0.05;

fn domain() -> Domain {
    Domain::builder().limit_bytes(64 << 30).manual().build()
}

fn build<K, V>(domain: &Domain) -> Cache<K, V>
where
    K: Weigh + Hash + Eq + Clone + Send + Sync + 'static,
    V: Weigh + Clone + Send + Sync + 'static,
{
    Cache::builder("weighed").weigh(weigh::entry).build_in(domain).expect("the options make sense")
}

/// Says by how much the weight is off, and fails beyond `bound`.
#[track_caller]
fn close(what: &str, bound: f64, weight: u64, truth: u64) {
    let error = (weight as f64 - truth as f64) / truth as f64;
    println!("{what}: weight {weight}, truth {truth} ({:+.2} %)", error * 100.0);
    assert!(error.abs() <= bound, "{what}: weight {weight}, truth {truth}");
}

/// Checks the ledger of caches of several sizes, full and emptied. Entry `n` is `entry(n)`.
#[track_caller]
fn check<K, V>(bound: f64, entry: impl Fn(u64) -> (K, V))
where
    K: Weigh + Hash + Eq + Clone + Send + Sync + 'static,
    V: Weigh + Clone + Send + Sync + 'static,
{
    let kind = format!("{} -> {}", std::any::type_name::<K>(), std::any::type_name::<V>());
    for count in sizes() {
        let domain = domain();
        let cache = build(&domain);
        // What a cache allocates once, on its first use, belongs to the empty cache.
        warm_up(&cache, &entry);
        let empty = cache.weight();
        let ((), held) = held_by(|| (0..count).map(&entry).for_each(|(key, value)| cache.insert(key, value)));
        assert_eq!(cache.len() as u64, count, "{kind}: nothing was evicted");
        close(&format!("{count} of {kind}"), bound, cache.weight() - empty, held);

        // Freed by the same thread, so that the count goes back.
        let ((), freed) = held_by(|| cache.clear());
        let left = held.wrapping_add(freed);
        assert_eq!((cache.weight(), left), (empty, 0), "{kind}: bytes are left of {count} entries");
    }
}

/// Uses a cache once, and empties it.
fn warm_up<K, V>(cache: &Cache<K, V>, entry: impl Fn(u64) -> (K, V))
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let (key, value) = entry(0);
    cache.insert(key, value);
    cache.clear();
}

fn sizes() -> Vec<u64> {
    let mut sizes = vec![1000, 100_000];
    sizes.extend(short_or_deep(None, Some(1_000_000)));
    sizes
}

/// A number that follows no pattern.
fn scattered(index: u64) -> u64 {
    let mixed = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// Text of up to 50 bytes.
fn text(index: u64) -> String {
    format!("{:0>1$}", scattered(index) % 1000, (scattered(index) % 51) as usize)
}

#[test]
fn numbers() {
    check(FLAT, |index| (index, scattered(index)));
    check(FLAT, |index| (scattered(index), [0_u8; 64]));
    check(FLAT, |index| (index as u32, ()));
    check(FLAT, |index| ((index, index as u16), [0_u64; 100]));
}

#[test]
fn buffers() {
    check(FLAT, |index| (index, vec![0_u8; (scattered(index) % 2000) as usize]));
    check(FLAT, |index| (index, text(index)));
    check(FLAT, |index| (format!("key {index}"), Arc::<[f32]>::from(vec![0.0; 16])));
}

#[test]
fn values_of_values() {
    check(NESTED, |index| {
        (format!("key {index}"), (0..scattered(index) % 9).map(text).collect::<Vec<String>>())
    });
    check(NESTED, |index| {
        let map = (0..scattered(index) % 40).map(|key| (key as u32, text(key)));
        (index, map.collect::<BTreeMap<u32, String>>())
    });
    check(NESTED, |index| {
        let map = (0..scattered(index) % 20).map(|key| (text(key + index), key));
        (index, Arc::new(map.collect::<HashMap<String, u64>>()))
    });
    check(NESTED, |index| (index, Some(Box::new((text(index), vec![vec![index; 3]; 2])))));
}

#[test]
fn a_cache_that_evicts() {
    for policy in [Policy::Hybrid, Policy::Lru] {
        let domain = domain();
        let cache = Cache::<u64, String>::builder("evicting")
            .policy(policy)
            .max_mb(1)
            .weigh(weigh::entry)
            .build_in(&domain)
            .expect("the options make sense");
        warm_up(&cache, |index| (index, text(index)));
        let ((), held) = held_by(|| {
            for index in 0..100_000 {
                cache.insert(scattered(index) % 50_000, text(index));
            }
        });
        assert!(cache.stats().evictions > 0, "{policy:?}");
        close(&format!("{policy:?}, evicting"), FLAT, cache.weight(), held);
        let ((), freed) = held_by(|| cache.clear());
        assert_eq!((cache.weight(), held.wrapping_add(freed)), (0, 0), "{policy:?}");
    }
}

#[test]
fn a_cache_that_shrinks() {
    let domain = domain();
    let cache = build::<u64, String>(&domain);
    warm_up(&cache, |index| (index, text(index)));
    let ((), mut held) = held_by(|| (0..100_000).for_each(|index| cache.insert(index, text(index))));
    let full = held;
    for keep in [2, 10, 100, 1000] {
        let ((), freed) = held_by(|| {
            for index in (0..100_000).filter(|index| index % keep != 0) {
                cache.invalidate(index);
            }
        });
        held = held.wrapping_add(freed);
        close(&format!("one in {keep} kept"), NESTED, cache.weight(), held);
        assert!(held < full / keep.min(50) * 2, "one in {keep} kept: {held} of {full} bytes are held");
    }
}

#[test]
fn a_first_entry_is_small() {
    let domain = domain();
    let cache = build::<u64, u64>(&domain);
    let ((), held) = held_by(|| cache.insert(1, 2));
    assert!(held <= 4096, "a first entry takes {held} bytes");
    // What is done once for the thread and the domain is in it too.
    assert!(cache.weight() > 0 && cache.weight() <= held, "{} of {held} bytes are charged", cache.weight());
}

#[test]
fn an_audit_of_a_type_of_ones_own() {
    #[derive(Weigh)]
    struct Page {
        title: String,
        lines: Vec<String>,
        links: BTreeMap<u32, String>,
    }
    let audit = larder::testing::audit(|| Page {
        title: text(50),
        lines: (0..100).map(text).collect(),
        links: (0..50).map(|at| (at as u32, text(at))).collect(),
    });
    assert!(audit.error().abs() < NESTED, "{audit}");
    let wrong = larder::testing::audit_by(weigh::shallow, || vec![0_u8; 1000]);
    assert!(wrong.error() < -0.9, "{wrong}");
}
