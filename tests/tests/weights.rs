//! What caches say they weigh against what they hold, by a counting allocator: entries, tables and pages, when a
//! cache fills, when it evicts, and when it empties. A process of its own: it has the allocator to itself.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    let domain = || Domain::builder().limit_bytes(64 << 30).manual().build();
    // What a thread keeps for its look-ups comes with the first one, and is no cache's.
    let other = Cache::<u64, u64>::builder("another").build_in(&domain()).expect("nothing is odd here");
    assert_eq!(other.get(1), None);
    domain()
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

/// What a cache without entries may take.
const EMPTY: u64 = 1152;
/// What it may take with its first.
const FIRST: u64 = 4096;

/// The cache that `build` makes, and the bytes that it takes: all are charged.
#[track_caller]
fn measured<K, V>(domain: &Domain, build: impl FnOnce() -> Cache<K, V>) -> (Cache<K, V>, u64) {
    let used = domain.budget().used();
    let (cache, held) = held_by(build);
    assert_eq!(domain.budget().used() - used, cache.weight(), "the ledger knows of the empty cache");
    // Each tenant is charged its place on the domain's list, which grows by four at a time. And beside other tests the
    // allocator may hand out pieces that are a little larger than they have to be, because the rests are too small to keep:
    // by 16 bytes each, and three at once were seen.
    assert!(cache.weight().abs_diff(held) <= 96 + 64, "{} of {held} bytes are charged", cache.weight());
    (cache, held)
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
        let (cache, empty) = measured(&domain, || build(&domain));
        let charged = cache.weight();
        assert!(empty <= EMPTY && charged <= EMPTY, "{kind}: {empty} bytes, {charged} charged");
        let ((), held) = held_by(|| (0..count).map(&entry).for_each(|(key, value)| cache.insert(key, value)));
        assert_eq!(cache.len() as u64, count, "{kind}: nothing was evicted");
        close(&format!("{count} of {kind}"), bound, cache.weight() - charged, held);

        // Freed by the same thread, so that the count goes back.
        let ((), freed) = held_by(|| cache.clear());
        let left = held.wrapping_add(freed);
        assert_eq!((cache.weight(), left), (charged, 0), "{kind}: bytes are left of {count} entries");
        assert_eq!(domain.budget().used(), charged, "{kind}: the ledger is back");
    }
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
    for policy in Policy::ALL {
        let domain = domain();
        let build = || {
            let builder = Cache::<u64, String>::builder("evicting").policy(policy).max_mb(1);
            builder.weigh(weigh::entry).build_in(&domain).expect("the options make sense")
        };
        let (cache, empty) = measured(&domain, build);
        let charged = cache.weight();
        let ((), held) = held_by(|| {
            for index in 0..100_000 {
                cache.insert(scattered(index) % 50_000, text(index));
            }
        });
        assert!(cache.stats().evictions > 0, "{policy:?}");
        close(&format!("{policy:?}, evicting"), FLAT, cache.weight(), empty + held);
        let ((), freed) = held_by(|| cache.clear());
        assert_eq!((cache.weight(), held.wrapping_add(freed)), (charged, 0), "{policy:?}");
    }
}

#[test]
fn a_cache_that_shrinks() {
    let domain = domain();
    let cache = build::<u64, String>(&domain);
    let empty = cache.weight();
    let ((), mut held) = held_by(|| (0..100_000).for_each(|index| cache.insert(index, text(index))));
    let full = held;
    for keep in [2, 10, 100, 1000] {
        let ((), freed) = held_by(|| {
            for index in (0..100_000).filter(|index| index % keep != 0) {
                cache.invalidate(index);
            }
        });
        held = held.wrapping_add(freed);
        close(&format!("one in {keep} kept"), NESTED, cache.weight() - empty, held);
        assert!(held < full / keep.min(50) * 2, "one in {keep} kept: {held} of {full} bytes are held");
    }
}

/// Says what an empty cache takes and what one with an entry, and checks that both are charged.
#[track_caller]
fn first(what: &str, build: impl Fn(&str, &Domain) -> Cache<u64, u64>) {
    let domain = domain();
    // What is done once for the process is nobody's.
    let _before = build("before", &domain);
    // More than the domain has places for at first; and the second of a name gets a longer one.
    let caches: Vec<_> = (0..40).map(|_| measured(&domain, || build("same", &domain))).collect();
    let held: u64 = caches.iter().map(|(_, held)| held).sum();
    let charged: u64 = caches.iter().map(|(cache, _)| cache.weight()).sum();
    close(&format!("{what}, empty"), FLAT, charged, held);
    for (cache, _) in &caches {
        let empty = cache.weight();
        let ((), held) = held_by(|| cache.insert(1, 2));
        assert_eq!(cache.get(1), Some(2));
        assert!(empty <= EMPTY && cache.weight() <= FIRST, "{what}: {empty}, then {}", cache.weight());
        close(&format!("{what}, first"), FLAT, cache.weight() - empty, held);
        let ((), freed) = held_by(|| assert!(cache.invalidate(1)));
        assert_eq!((cache.weight(), held.wrapping_add(freed)), (empty, 0), "{what}: bytes are left of one");
    }
}

#[test]
fn an_empty_cache_and_a_first_entry_are_small() {
    first("plain", |name, domain| Cache::builder(name).build_in(domain).expect("nothing is odd here"));
    first("lru", |name, domain| {
        Cache::builder(name)
            .policy(Policy::Lru)
            .max_entries(10)
            .build_in(domain)
            .expect("nothing is odd here")
    });
    first("expiring", |name, domain| {
        Cache::builder(name)
            .ttl(Duration::from_secs(1))
            .tti(Duration::from_secs(1))
            .max_mb(64)
            .build_in(domain)
            .expect("nothing is odd here")
    });
}

#[test]
fn a_cache_of_as_many_shards_as_there_can_be() {
    for count in sizes() {
        let domain = domain();
        let build = || Cache::builder("spread").shards(64).build_in(&domain).expect("the options make sense");
        let (cache, _) = measured(&domain, build);
        let charged = cache.weight();
        assert!((EMPTY..FIRST).contains(&charged), "so many places are not free: {charged}");
        let ((), held) = held_by(|| (0..count).for_each(|index| cache.insert(index, index)));
        close(&format!("{count} in 64 shards"), FLAT, cache.weight() - charged, held);
        let ((), freed) = held_by(|| cache.clear());
        assert_eq!((cache.weight(), held.wrapping_add(freed)), (charged, 0));
    }
}

#[test]
fn what_loads_leave_behind() {
    let domain = domain();
    let cache = build::<u64, u64>(&domain);
    let load = |index| cache.get_or_insert_with(index, || index);
    // The counters of this thread stay with it.
    load(0);
    cache.clear();
    let charged = cache.weight();
    let ((), held) = held_by(|| (0..10_000).for_each(|index| assert_eq!(load(index), index)));
    close("loaded", FLAT, cache.weight() - charged, held);
    let ((), freed) = held_by(|| cache.clear());
    assert_eq!((cache.weight(), held.wrapping_add(freed)), (charged, 0));
}

#[test]
fn a_value_that_grows_and_shrinks_inside() {
    type Shared = Arc<Mutex<Vec<u8>>>;
    let heap = |value: &Shared| value.lock().map_or(0, |value| value.heap_bytes());
    let domain = domain();
    let cache = Cache::<u64, Shared>::builder("changing")
        .weigh(move |_, value| weigh::allocation(56) + 16 + heap(value))
        .build_in(&domain)
        .expect("the options make sense");
    let charged = cache.weight();
    let ((), mut held) = held_by(|| (0..1000).for_each(|key| cache.insert(key, Shared::default())));
    for bytes in [0, 10, 1000, 5000, 200, 0] {
        let ((), more) = held_by(|| {
            for key in 0..1000 {
                let value = cache.peek(key).expect("it is there");
                *value.lock().expect("nobody panicked") = Vec::with_capacity(bytes);
                assert!(cache.reweigh(key).is_some_and(|weight| weight >= bytes as u64));
            }
        });
        held = held.wrapping_add(more);
        close(&format!("{bytes} bytes inside"), FLAT, cache.weight() - charged, held);
    }
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
