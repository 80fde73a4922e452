//! What larder takes a block, a value and a cache to weigh, against what the program's allocator says of each block:
//!
//! ```sh
//! cargo test --features jemalloc
//! cargo test --features mimalloc
//! ```
#![cfg(any(feature = "jemalloc", feature = "mimalloc"))]

use std::collections::BTreeMap;
use std::sync::Arc;

use larder::testing::{CountingAllocator, audit, held_by};
use larder::{Cache, Domain, weigh};

#[cfg(all(feature = "jemalloc", feature = "mimalloc"))]
compile_error!("a program has one allocator: test with `--features jemalloc` or `--features mimalloc`");

#[cfg(feature = "jemalloc")]
mod program {
    use super::CountingAllocator;
    use tikv_jemallocator::{Jemalloc, usable_size};

    unsafe fn size(block: *mut u8) -> usize {
        // SAFETY: the caller passes a live block of jemalloc.
        unsafe { usable_size(block) }
    }

    #[global_allocator]
    // SAFETY: jemalloc tells the size of each of its blocks.
    static ALLOCATOR: CountingAllocator<Jemalloc> = unsafe { CountingAllocator::with_sizes(Jemalloc, size) };
}

#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
mod program {
    use super::CountingAllocator;
    use mimalloc::MiMalloc;

    unsafe fn size(block: *mut u8) -> usize {
        // SAFETY: the caller passes a live block of mimalloc.
        unsafe { MiMalloc.usable_size(block) }
    }

    #[global_allocator]
    // SAFETY: mimalloc tells the size of each of its blocks.
    static ALLOCATOR: CountingAllocator<MiMalloc> = unsafe { CountingAllocator::with_sizes(MiMalloc, size) };
}

#[test]
fn blocks() {
    let around = |size: usize| [size - 4097, size - 1, size, size + 1, size + 4097];
    let large = (4..16).map(|power| 1 << power).flat_map(|kib: usize| around(kib << 10));
    for bytes in (1..70_000).chain(large) {
        let (_block, truth) = held_by(|| Vec::<u8>::with_capacity(bytes));
        assert_eq!(weigh::allocation(bytes), truth, "{bytes} bytes");
    }
}

#[test]
fn aligned_blocks() {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line([u8; 64]);
    impl larder::Weigh for Line {
        fn heap_bytes(&self) -> u64 {
            // Read, so that the array is not dead weight to the compiler.
            u64::from(self.0[0])
        }
        fn owns_heap() -> bool {
            false
        }
    }
    for lines in 1..300 {
        // Several at once: which are cut out of larger blocks depends on what lies next to them.
        let audit = audit(|| (0..20).map(|_| vec![Line([0; 64]); lines]).collect::<Vec<_>>());
        assert!((-0.001..=0.26).contains(&audit.error()), "{lines} lines: {audit}");
    }
    for words in (129..5000).chain([100_000, 1_000_000]) {
        let audit = audit(|| vec![0_u64; words]);
        assert!(audit.error().abs() <= 0.001, "{words} words: {audit}");
    }
}

#[test]
fn values() {
    let text = |number: u64| "x".repeat((number % 60) as usize);
    let checked = [
        audit(|| (0..20_000).map(text).collect::<Vec<_>>()),
        audit(|| (0..5000).map(|key| (key, text(key))).collect::<std::collections::HashMap<_, _>>()),
        audit(|| (0..300).map(|at| Arc::<[u8]>::from(vec![0; at * 100])).collect::<Vec<_>>()),
    ];
    for audit in checked {
        println!("{audit}");
        assert!(audit.error().abs() < 0.05, "{audit}");
    }
    let audit = audit(|| (0..5000).map(|key| (key, text(key))).collect::<BTreeMap<_, _>>());
    assert!(audit.error().abs() < 0.10, "{audit}");
}

#[test]
fn caches() {
    let domain = Domain::builder().limit_bytes(1 << 30).manual().build();
    let cache = Cache::<u64, Vec<u8>>::builder("weighed").build_in(&domain).expect("no option is set");
    cache.insert(0, Vec::new());
    cache.clear();
    let ((), held) = held_by(|| (0..50_000).for_each(|key| cache.insert(key, vec![0; (key % 500) as usize])));
    let (weight, truth) = (cache.weight() as f64, held as f64);
    println!("weight {weight}, truth {truth}");
    assert!((weight / truth - 1.0).abs() < 0.05, "weight {weight}, truth {truth}");
}
