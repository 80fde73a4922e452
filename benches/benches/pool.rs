//! A lease and its return, on one thread, beside making the object anew.
//!
//! The object is a buffer of the size that a tokenizer or an encoder keeps. It does not show contention.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use larder::pooled;

const BYTES: usize = 64 * 1024;

#[pooled(max = 64, reset = Self::clear)]
#[derive(Default, larder::Weigh)]
struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    fn clear(&mut self) {
        self.bytes.clear();
    }

    fn fill(&mut self) -> usize {
        self.bytes.resize(BYTES, black_box(1));
        self.bytes.len()
    }
}

fn leases(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    group.bench_function("acquire and return", |bencher| bencher.iter(Scratch::acquire));
    group.bench_function("acquire, fill 64 KiB, return", |bencher| {
        bencher.iter(|| Scratch::acquire().fill());
    });
    group.bench_function("make, fill 64 KiB, drop", |bencher| {
        bencher.iter(|| Scratch::default().fill());
    });
    group.finish();
}

criterion_group!(benches, leases);
criterion_main!(benches);
