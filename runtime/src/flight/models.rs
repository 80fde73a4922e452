//! Single-flight under controlled schedules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::thread;

use super::{Flights, Joined, Waited, Working};
use crate::models::check;

type Keys = Flights<u64, u64>;

/// What a caller does on a miss, with a store of one cell: 0 means empty.
fn call(flights: &Arc<Keys>, store: &crate::sync::AtomicU64, body: &dyn Fn() -> Option<u64>) -> Option<u64> {
    use crate::sync::Ordering::SeqCst;
    loop {
        let stored = || Some(store.load(SeqCst)).filter(|&value| value != 0);
        if let Some(value) = stored() {
            return Some(value);
        }
        match flights.join(7, 7, |a, b| a == b, |_| stored().is_some()) {
            Joined::Leader(mut lead) => {
                let value = body()?;
                if lead.take_key().is_some() {
                    store.store(value, SeqCst);
                }
                lead.land(|| value);
                return Some(value);
            }
            Joined::Stored(_) => {}
            Joined::Waiter(waiter, _) => match waiter.wait(None, |value| *value) {
                Waited::Value(value) => return Some(value),
                Waited::Retry => {}
                Waited::Cycle | Waited::Overdue => panic!("nobody waits in a circle, nor against time"),
            },
        }
    }
}

#[test]
fn many_callers_one_run() {
    check(|| {
        let flights = Arc::new(Keys::new());
        let store = Arc::new(crate::sync::AtomicU64::new(0));
        let runs = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (flights, store, runs) = (Arc::clone(&flights), Arc::clone(&store), Arc::clone(&runs));
                thread::spawn(move || {
                    let body = || {
                        thread::yield_now();
                        runs.fetch_add(1, Ordering::SeqCst);
                        Some(42)
                    };
                    assert_eq!(call(&flights, &store, &body), Some(42));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(flights.count.load(crate::sync::Ordering::SeqCst), 0);
    });
}

#[test]
fn a_leader_that_fails_hands_over() {
    check(|| {
        let flights = Arc::new(Keys::new());
        let store = Arc::new(crate::sync::AtomicU64::new(0));
        let runs = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (flights, store, runs) = (Arc::clone(&flights), Arc::clone(&store), Arc::clone(&runs));
                thread::spawn(move || {
                    // The first run fails, the second succeeds.
                    let body = || (runs.fetch_add(1, Ordering::SeqCst) > 0).then_some(42);
                    call(&flights, &store, &body)
                })
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_none()).count(), 1);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn nobody_who_calls_after_an_invalidation_gets_a_value_from_before() {
    check(|| {
        let flights = Arc::new(Keys::new());
        let source = Arc::new(AtomicU64::new(1));
        let loader = {
            let (flights, source) = (Arc::clone(&flights), Arc::clone(&source));
            thread::spawn(move || {
                if let Joined::Leader(mut lead) = flights.join(7, 7, |a, b| a == b, |_| false) {
                    let value = source.load(Ordering::SeqCst);
                    thread::yield_now();
                    let stored = lead.take_key().is_some() && lead.look_for_mark().is_some();
                    lead.land(|| value);
                    return stored.then_some(value);
                }
                None
            })
        };
        source.store(2, Ordering::SeqCst);
        flights.supersede(7, |key| *key == 7);
        match flights.join(7, 7, |a, b| a == b, |_| false) {
            Joined::Leader(lead) => lead.land(|| 2),
            Joined::Stored(_) => unreachable!("nothing is stored"),
            Joined::Waiter(waiter, _) => {
                if let Waited::Value(value) = waiter.wait(None, |value| *value) {
                    assert_eq!(value, 2, "a flight from before the invalidation was joined");
                }
            }
        }
        loader.join().unwrap();
    });
}

#[test]
fn two_parties_that_need_each_other_do_not_wait_for_ever() {
    check(|| {
        let flights = Arc::new(Keys::new());
        let one = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || {
                if let Joined::Leader(lead) = flights.join(1, 1, |a, b| a == b, |_| false) {
                    let _working = Working::on(lead.id());
                    if let Joined::Waiter(waiter, _) = flights.join(2, 2, |a, b| a == b, |_| false) {
                        let _ = waiter.wait(None, |value| *value);
                    }
                    lead.land(|| 1);
                }
            })
        };
        if let Joined::Leader(lead) = flights.join(2, 2, |a, b| a == b, |_| false) {
            let _working = Working::on(lead.id());
            if let Joined::Waiter(waiter, _) = flights.join(1, 1, |a, b| a == b, |_| false) {
                let _ = waiter.wait(None, |value| *value);
            }
            lead.land(|| 2);
        }
        one.join().unwrap();
    });
}
