//! A hit, alone: what it costs to ask for what is there.
//!
//! Every key is resident and nothing is evicted, so this shows the shortest path through an annotated function and
//! through a handle. It does not show misses, eviction, or what several threads do to each other.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder::cached;

const KEYS: u64 = 1024;

#[cached]
fn number(key: u64) -> u64 {
    key.wrapping_mul(3)
}

#[cached]
fn text(name: &str, id: u32) -> Arc<str> {
    Arc::from(format!("{name}-{id}"))
}

#[cached]
fn fallible(key: u64) -> Result<u64, String> {
    Ok(key.wrapping_mul(3))
}

fn hits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(KEYS));

    group.bench_function("function u64 -> u64", |bencher| {
        (0..KEYS).for_each(|key| assert_eq!(number(key), key * 3));
        bencher.iter(|| (0..KEYS).map(|key| number(black_box(key))).fold(0, u64::wrapping_add));
    });

    group.bench_function("function (&str, u32) -> Arc<str>", |bencher| {
        let ids = 0..KEYS as u32;
        let length = |id| text(black_box("a name of some length"), id).len();
        assert!(ids.clone().map(length).all(|length| length > 0));
        bencher.iter(|| ids.clone().map(length).sum::<usize>());
    });

    group.bench_function("function u64 -> Result<u64, String>", |bencher| {
        assert!((0..KEYS).all(|key| fallible(key).is_ok()));
        bencher.iter(|| (0..KEYS).filter(|key| fallible(black_box(*key)).is_ok()).count());
    });

    group.bench_function("handle u64 -> u64", |bencher| {
        let cache = number_cache();
        (0..KEYS).for_each(|key| assert_eq!(number(key), key * 3));
        bencher.iter(|| (0..KEYS).filter_map(|key| cache.get(black_box(key))).fold(0, u64::wrapping_add));
    });

    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
