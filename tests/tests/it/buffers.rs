//! Pools of byte buffers: sizes, reuse without zeroing, sharing, bounds.

use std::io::{Read, Write};

use larder::{Buffer, BufferPool, PoolError};

use crate::support::{MB, check, domain};

fn small(domain: &larder::Domain) -> BufferPool {
    BufferPool::builder("small").classes([64, 16, 256, 64]).align(16).build_in(domain).unwrap()
}

#[test]
fn a_buffer_has_the_smallest_class_that_it_fits_and_starts_empty() {
    let domain = domain(MB);
    let pool = small(&domain);
    for (asked, capacity) in [(0, 16), (1, 16), (16, 16), (17, 64), (64, 64), (65, 256), (300, 300)] {
        let buffer = pool.acquire(asked);
        assert_eq!((buffer.len(), buffer.capacity(), buffer.is_empty()), (0, capacity, true));
    }
    let stats = pool.stats();
    assert_eq!((stats.leases, stats.asked_bytes, stats.oversize), (7, 463, 1));
    assert_eq!(stats.lent_bytes, 16 * 3 + 64 * 2 + 256 + 300);
    assert!((stats.waste() - (1.0 - 463.0 / 732.0)).abs() < 1e-9);
    assert_eq!(
        stats.classes.iter().map(|class| (class.bytes, class.idle)).collect::<Vec<_>>(),
        [(16, 1), (64, 1), (256, 1)]
    );
    assert_eq!(stats.bytes, 16 + 64 + 256, "what was too large is gone");
    check(&domain);
}

#[test]
fn what_was_written_before_is_never_shown_unasked() {
    let domain = domain(MB);
    let pool = small(&domain);
    let mut secret = pool.acquire(64);
    secret.resize(64, 7);
    let at = secret.as_ptr();
    drop(secret);
    let mut again = pool.acquire(64);
    assert_eq!((again.len(), &again[..]), (0, &[][..]));
    again.resize(4, 1);
    assert_eq!((again.as_ptr(), &again[..]), (at, &[1; 4][..]));
    drop(again);
    let zeroed = pool.zeroed(64);
    assert_eq!((zeroed.as_ptr(), &zeroed[..]), (at, &[0; 64][..]));
}

#[test]
fn it_is_written_and_read_like_a_file() {
    let domain = domain(MB);
    let mut buffer = small(&domain).acquire(16);
    assert_eq!(buffer.write(b"to be or not to be").unwrap(), 16);
    assert!(buffer.write_all(b"!").is_err(), "it is full");
    let mut word = [0; 5];
    buffer.read_exact(&mut word).unwrap();
    let mut rest = String::new();
    buffer.read_to_string(&mut rest).unwrap();
    assert_eq!((&word, &*rest), (b"to be", " or not to "));
    buffer.truncate(2);
    assert_eq!(buffer.read(&mut word).unwrap(), 0);
    assert_eq!(&buffer[..], b"to");
    buffer.clear();
    let mut source = &b"0123456789 and more than fits"[..];
    assert_eq!((buffer.read_from(&mut source).unwrap(), &buffer[..]), (16, &b"0123456789 and m"[..]));
    assert_eq!(buffer.read_from(&mut source).unwrap(), 0);
    buffer.clear();
    buffer.extend(*b"abc");
    buffer[1] = b'x';
    for (room, byte) in buffer.spare_capacity_mut().iter_mut().zip(*b"de") {
        room.write(byte);
    }
    // SAFETY: two more bytes were written just now.
    unsafe { buffer.set_len(5) };
    assert_eq!(&buffer[..], b"axcde");
}

#[test]
#[should_panic(expected = "2 bytes don't fit behind the 15 of a buffer of 16: ask the pool for a larger one")]
fn what_does_not_fit_panics_with_advice() {
    let mut buffer = small(&domain(MB)).acquire(16);
    buffer.resize(15, 0);
    buffer.extend_from_slice(b"ab");
}

#[test]
fn a_frozen_buffer_is_shared_and_returns_with_the_last_piece() {
    let domain = domain(MB);
    let pool = small(&domain);
    let mut buffer = pool.acquire(16);
    buffer.extend_from_slice(b"to be or not");
    let shared = buffer.freeze();
    let (be, clone) = (shared.slice(3..5), shared.clone());
    assert_eq!((&be[..], &shared.slice(..=1)[..], &be.slice(1..)[..]), (&b"be"[..], &b"to"[..], &b"e"[..]));
    let shared = shared.try_thaw().unwrap_err();
    drop((shared, clone));
    assert_eq!(pool.stats().classes[0].leased, 1);
    let thawed: Buffer = be.try_thaw().unwrap();
    assert_eq!(&thawed[..], b"to be or not");
    drop(thawed);
    assert_eq!((pool.stats().classes[0].leased, pool.stats().classes[0].idle), (0, 1));
}

#[test]
fn the_bound_holds_over_all_classes() {
    let domain = domain(MB);
    let pool = BufferPool::builder("bound").classes([1000, 4000]).max_bytes(8000).build_in(&domain).unwrap();
    drop((0..8).map(|_| pool.acquire(1000)).collect::<Vec<_>>());
    assert_eq!(pool.stats().bytes, 8000);
    // Room is made by what is idle in the other class.
    let large = pool.acquire(4000);
    assert_eq!((pool.stats().bytes, pool.stats().surplus), (8000, 0));
    let second = pool.acquire(4000);
    let third = pool.acquire(4000);
    assert_eq!((pool.stats().bytes, pool.stats().surplus), (12_000, 1));
    drop(third);
    assert_eq!(pool.stats().bytes, 8000, "what is beyond is not kept");
    drop((large, second));
    pool.set_max_bytes(4000);
    assert_eq!(pool.stats().bytes, 4000);
    assert!(pool.trim(1) > 0);
    assert_eq!(pool.stats().bytes, 0);
    check(&domain);
}

#[test]
fn it_is_warm_aligned_and_gives_back() {
    let domain = domain(64 * MB);
    let pool = BufferPool::builder("aligned").align(8192).max_mb(4).build_in(&domain).unwrap();
    assert_eq!(pool.warm(3, 1_000_000), 3);
    assert_eq!(pool.warm(3, 1_000_000), 1, "the fifth is beyond the bound");
    let buffer = pool.acquire(1_000_000);
    assert_eq!((buffer.as_ptr().addr() % 8192, buffer.capacity()), (0, MB as usize));
    assert_eq!(domain.stats().tenant("aligned/1 MiB").unwrap().hits, 1);
    drop(buffer);
    let _ = domain.trim(u64::MAX);
    assert_eq!(pool.stats().bytes, 0);
    check(&domain);
}

#[test]
fn locked_memory_is_locked_or_counted() {
    let domain = domain(MB);
    let pool = BufferPool::builder("locked").lock_memory().build_in(&domain).unwrap();
    let mut buffer = pool.acquire(4096);
    buffer.resize(4096, 1);
    let stats = pool.stats();
    assert_eq!(stats.locked_bytes + stats.lock_failures * 4096, 4096);
    drop(buffer);
    pool.clear();
    assert_eq!(pool.stats().locked_bytes, 0);
}

#[test]
fn two_pools_in_turn_do_not_disturb_each_other() {
    let domain = domain(MB);
    let (a, b) = (small(&domain), small(&domain));
    for _ in 0..1000 {
        drop(a.acquire(10));
        drop(b.acquire(10));
    }
    let misses: u64 = domain.stats().tenants.iter().map(|tenant| tenant.misses).sum();
    assert_eq!(misses, 2);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let domain = domain(MB);
    let refused = |builder: larder::BufferPoolBuilder| builder.build_in(&domain).unwrap_err();
    assert_eq!(refused(BufferPool::builder("a").classes([])), PoolError::ZeroCapacity);
    assert_eq!(refused(BufferPool::builder("a").classes([0, 1])), PoolError::ZeroCapacity);
    assert_eq!(refused(BufferPool::builder("a").align(3)), PoolError::Alignment(3));
    assert_eq!(refused(BufferPool::builder("a").priority(0.0)), PoolError::Priority(0.0));
}
