//! Misses: loads with and without an eviction, and a mix as a service sees it.
//!
//! Bodies cost next to nothing, so this shows larder's own share of a miss, which a real body would hide. Sizes are
//! those of the whole entry, bookkeeping included, because that is what a bound counts.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder::{Cache, Policy};
use larder_benches::zipf;

const KEYS: usize = 100_000;
const DRAWS: usize = 100_000;

fn misses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("miss");

    for policy in [Policy::Lru, Policy::Hybrid] {
        let cache = Cache::<u64, u64>::builder("every insert evicts")
            .policy(policy)
            .max_entries(10_000)
            .build()
            .expect("the options are valid");
        let mut next = 0_u64;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("insert with eviction, {policy}"), |bencher| {
            bencher.iter(|| {
                next += 1;
                cache.insert(black_box(next), next);
            });
        });
    }

    let keys = zipf(KEYS, 0.99, DRAWS, 7);
    for policy in [Policy::Lru, Policy::Hybrid] {
        let cache = Cache::<u64, u64>::builder("a tenth of the keys fit")
            .policy(policy)
            .max_entries((KEYS / 10) as u64)
            .build()
            .expect("the options are valid");
        group.throughput(Throughput::Elements(DRAWS as u64));
        group.bench_function(format!("get or compute, zipf 0.99, {policy}"), |bencher| {
            bencher.iter(|| {
                keys.iter().map(|key| cache.get_or_insert_with(*key, || *key)).fold(0, u64::wrapping_add)
            });
        });
    }

    group.finish();
}

criterion_group!(benches, misses);
criterion_main!(benches);
