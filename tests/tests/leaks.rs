//! Who holds what: the list of leases of a pool, which the feature `leak-report` keeps.
#![cfg(feature = "leak-report")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Domain, Pool, Pooled, pooled};

#[pooled]
#[derive(Default)]
struct Scratch;

#[test]
fn each_lease_is_listed_with_its_place_until_it_ends() {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    let pool = Pool::builder("numbers", || 0_u64).max(2).wait().build_in(&domain).unwrap();
    assert!(pool.leases().is_empty());
    let first = (pool.acquire(), line!());
    clock.advance(Duration::from_secs(3));
    let lender = pool.clone();
    let thread = std::thread::Builder::new().name("lender".to_owned());
    let second = (thread.spawn(move || lender.acquire()).unwrap().join().unwrap(), line!());
    let leases = pool.leases();
    let seen: Vec<_> = leases.iter().map(|lease| (lease.place.line(), lease.held_for.as_secs())).collect();
    assert_eq!(seen, [(first.1, 3), (second.1, 0)]);
    assert_eq!(leases[1].thread, "lender");
    assert_eq!(leases[1].to_string(), format!("acquired at {} by thread lender, 0ns ago", leases[1].place));
    assert!(leases[0].place.file().ends_with("leaks.rs"));
    // One that waits is where it was asked for.
    let (mut waits, asked) = (pin!(pool.acquire_async()), line!());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(first);
    let Poll::Ready(Ok(third)) = waits.as_mut().poll(&mut context) else { panic!("one came back") };
    assert_eq!(pool.leases()[1].place.line(), asked);
    let _ = Pooled::detach(third);
    drop(second);
    assert!(pool.leases().is_empty());
}

#[test]
fn an_annotated_type_tells_the_place_of_its_caller() {
    let (_lease, asked) = (Scratch::acquire(), line!());
    let leases = Scratch::pool().leases();
    assert_eq!((leases.len(), leases[0].place.line()), (1, asked));
    assert!(leases[0].place.file().ends_with("leaks.rs"));
}
