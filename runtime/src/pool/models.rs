//! Pools under controlled schedules: magazines, depot, hand-off, closing and resizing, each against somebody who is in
//! the middle of something.
//!
//! Objects are numbers, each made once, and a ledger of the model's says who has which: one that is handed out twice, or
//! lost, is found at once. Under a model there is no barrier for all cores, so both sides of a magazine fence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use shuttle::thread;

use super::{AcquireError, Pool, PoolBuilder, Pooled, Sometimes};
use crate::models::check;
use crate::{Domain, testing::ManualClock};

/// An object of a model, which knows whether it is lent, and tells when it goes.
struct Token {
    lent: AtomicBool,
    alive: Arc<AtomicU64>,
}

impl Token {
    /// Uses the object as if it were alone with it.
    fn with(lease: &Pooled<Self>) {
        assert!(!lease.lent.swap(true, Ordering::SeqCst), "handed out twice");
        thread::yield_now();
        assert!(lease.lent.swap(false, Ordering::SeqCst), "handed out twice");
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        assert!(!self.lent.load(Ordering::SeqCst), "dropped while it was lent");
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

struct World {
    domain: Domain,
    alive: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let domain = Domain::builder().limit_bytes(1 << 20).clock(ManualClock::new()).manual().build();
        Self { domain, alive: Arc::default() }
    }

    fn builder(&self) -> PoolBuilder<Token> {
        let alive = Arc::clone(&self.alive);
        Pool::builder("tokens", move || {
            alive.fetch_add(1, Ordering::SeqCst);
            Token { lent: AtomicBool::new(false), alive: Arc::clone(&alive) }
        })
    }

    /// At rest: all that live wait in the pool, and nothing is left when it is emptied.
    fn check<R>(&self, pool: &Pool<Token, R>) {
        let alive = self.alive.load(Ordering::SeqCst);
        assert_eq!((pool.idle() as u64, pool.leased(), pool.waiting()), (alive, 0, 0));
        assert_eq!(pool.stats().entries, alive);
        pool.clear();
        assert_eq!((self.alive.load(Ordering::SeqCst), pool.idle()), (0, 0));
        assert_eq!(pool.weight(), pool.core.card.base() + pool.core.magazine_bytes());
    }
}

fn twice<R: Send + Sync + 'static>(
    pool: &Pool<Token, R>,
    act: impl Fn(&Pool<Token, R>) + Send + Sync + 'static,
) {
    let act = Arc::new(act);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (pool, act) = (pool.clone(), Arc::clone(&act));
            thread::spawn(move || act(&pool))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn magazines_beside_a_clear_hand_nothing_out_twice() {
    check(|| {
        let world = World::new();
        let pool = world.builder().build_in(&world.domain).unwrap();
        let cleaner = {
            let pool = pool.clone();
            thread::spawn(move || pool.clear())
        };
        for _ in 0..3 {
            Token::with(&pool.acquire());
        }
        cleaner.join().unwrap();
        world.check(&pool);
    });
}

#[test]
fn a_batch_beside_a_batch_keeps_all() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(64).build_in(&world.domain).unwrap();
        twice(&pool, |pool| {
            let leases: Vec<_> = (0..6).map(|_| pool.acquire()).collect();
            leases.iter().for_each(Token::with);
        });
        world.check(&pool);
    });
}

#[test]
fn what_lies_with_another_thread_is_found_under_a_bound() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(1).wait().build_in(&world.domain).unwrap();
        twice(&pool, |pool| {
            Token::with(&pool.acquire());
            Token::with(&pool.acquire());
        });
        assert_eq!(world.alive.load(Ordering::SeqCst), 1, "the bound held");
        world.check(&pool);
    });
}

#[test]
fn a_bound_of_two_under_three_threads_wakes_everybody() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(2).wait().build_in(&world.domain).unwrap();
        let other = {
            let pool = pool.clone();
            thread::spawn(move || Token::with(&pool.acquire()))
        };
        twice(&pool, |pool| Token::with(&pool.acquire()));
        other.join().unwrap();
        assert!(world.alive.load(Ordering::SeqCst) <= 2);
        world.check(&pool);
    });
}

#[test]
fn an_object_that_is_discarded_makes_room_for_who_waits() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(1).wait().build_in(&world.domain).unwrap();
        twice(&pool, |pool| {
            let lease = pool.acquire();
            Token::with(&lease);
            Pooled::discard(lease);
        });
        assert_eq!(world.alive.load(Ordering::SeqCst), 0);
        world.check(&pool);
    });
}

#[test]
fn who_stops_waiting_hands_on_what_it_was_given() {
    check(|| {
        let world = World::new();
        let pool: Pool<Token, Sometimes> =
            world.builder().max(1).fail_when_exhausted().build_in(&world.domain).unwrap();
        let lease = pool.try_acquire().unwrap();
        let waiter = {
            let pool = pool.clone();
            thread::spawn(move || {
                let mut future = Box::pin(pool.acquire_async());
                let mut context = Context::from_waker(Waker::noop());
                match future.as_mut().poll(&mut context) {
                    Poll::Ready(lease) => Token::with(&lease.unwrap()),
                    // Dropped, whether it was given something meanwhile or not.
                    Poll::Pending => thread::yield_now(),
                }
            })
        };
        thread::yield_now();
        drop(lease);
        waiter.join().unwrap();
        Token::with(&pool.try_acquire().expect("nobody has it any more"));
        world.check(&pool);
    });
}

#[test]
fn a_close_beside_leases_and_waits_lets_everybody_go() {
    check(|| {
        let world = World::new();
        let pool: Pool<Token, Sometimes> = world
            .builder()
            .max(1)
            .fail_when_exhausted()
            .wait_at_most(std::time::Duration::from_secs(1))
            .build_in(&world.domain)
            .unwrap();
        let closer = {
            let pool = pool.clone();
            thread::spawn(move || pool.close())
        };
        twice(&pool, |pool| match pool.try_acquire() {
            Ok(lease) => Token::with(&lease),
            Err(AcquireError::Closed { .. }) => {}
            Err(error) => panic!("{error}"),
        });
        closer.join().unwrap();
        assert_eq!((world.alive.load(Ordering::SeqCst), pool.idle(), pool.waiting()), (0, 0, 0));
        assert!(matches!(pool.try_acquire(), Err(AcquireError::Closed { .. })));
    });
}

#[test]
fn a_bound_that_is_lowered_beside_leases_holds_when_they_are_back() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(3).wait().build_in(&world.domain).unwrap();
        let smaller = {
            let pool = pool.clone();
            thread::spawn(move || pool.resize(1))
        };
        twice(&pool, |pool| {
            let leases = pool.acquire();
            Token::with(&leases);
        });
        smaller.join().unwrap();
        assert!(world.alive.load(Ordering::SeqCst) <= 1);
        world.check(&pool);
    });
}

#[test]
fn a_bound_that_is_raised_lets_in_who_waits() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(1).wait().build_in(&world.domain).unwrap();
        let lease = pool.acquire();
        let waiter = {
            let pool = pool.clone();
            thread::spawn(move || Token::with(&pool.acquire()))
        };
        pool.resize(2);
        waiter.join().unwrap();
        drop(lease);
        world.check(&pool);
    });
}

#[test]
fn a_thread_that_ends_beside_a_drain_leaves_what_it_had() {
    check(|| {
        let world = World::new();
        let pool = world.builder().build_in(&world.domain).unwrap();
        let short = {
            let pool = pool.clone();
            thread::spawn(move || Token::with(&pool.acquire()))
        };
        world.domain.tick();
        let _ = world.domain.trim(1);
        world.domain.tick();
        short.join().unwrap();
        world.check(&pool);
    });
}

#[test]
fn the_last_handle_that_goes_beside_a_return_leaves_nothing() {
    check(|| {
        let world = World::new();
        let pool = world.builder().build_in(&world.domain).unwrap();
        let lease = pool.acquire();
        let returner = thread::spawn(move || {
            Token::with(&lease);
            drop(lease);
        });
        drop(pool);
        returner.join().unwrap();
        assert_eq!((world.alive.load(Ordering::SeqCst), world.domain.budget().used()), (0, 0));
    });
}

#[test]
fn a_lease_from_one_thread_that_ends_on_another_is_kept_there() {
    check(|| {
        let world = World::new();
        let pool = world.builder().max(4).build_in(&world.domain).unwrap();
        let leases: Vec<_> = (0..2).map(|_| pool.acquire()).collect();
        let returner = thread::spawn(move || drop(leases));
        Token::with(&pool.acquire());
        returner.join().unwrap();
        world.check(&pool);
    });
}
