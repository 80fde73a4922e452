//! The books under controlled schedules.

use std::sync::Arc;

use shuttle::thread;

use super::{Ledger, Reservation};
use crate::models::check;

#[test]
fn two_tenants_never_pass_the_limit_and_the_sums_agree_at_rest() {
    check(|| {
        let ledger = Arc::new(Ledger::new(1000));
        ledger.divide(2);
        let tenants: Vec<_> = (0..2).map(|_| Arc::new(Reservation::new(Arc::clone(&ledger)))).collect();
        let threads: Vec<_> = tenants
            .iter()
            .cloned()
            .map(|tenant| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || {
                    for bytes in [300, 400, 200] {
                        if tenant.try_grow(bytes, 700).is_ok() {
                            assert!(ledger.used() <= 1000);
                            tenant.shrink(bytes / 2);
                        }
                    }
                    tenant.release_credit();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let held: u64 = tenants.iter().map(|tenant| tenant.held()).sum();
        assert_eq!(held, ledger.used());
    });
}

#[test]
fn one_tenant_is_used_by_two_threads_while_a_third_takes_its_credit() {
    check(|| {
        let ledger = Arc::new(Ledger::new(100_000));
        ledger.divide(1);
        let tenant = Arc::new(Reservation::new(Arc::clone(&ledger)));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let tenant = Arc::clone(&tenant);
                thread::spawn(move || {
                    for _ in 0..2 {
                        tenant.try_grow(700, u64::MAX).unwrap();
                        tenant.shrink(700);
                    }
                })
            })
            .collect();
        tenant.release_credit();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!((tenant.spent(), tenant.held()), (0, ledger.used()));
        tenant.release_credit();
        assert_eq!(ledger.used(), 0);
    });
}

#[test]
fn a_ceiling_holds_for_threads_of_one_tenant() {
    check(|| {
        let ledger = Arc::new(Ledger::new(100_000));
        let tenant = Arc::new(Reservation::new(ledger));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let tenant = Arc::clone(&tenant);
                thread::spawn(move || {
                    let grown = tenant.try_grow(40, 100).is_ok();
                    assert!(tenant.spent() <= 100);
                    grown
                })
            })
            .collect();
        let grown = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|grown| *grown).count();
        assert_eq!((grown, tenant.spent()), (2, 80));
    });
}

#[test]
fn a_limit_that_moves_is_never_passed_by_who_takes_after_it() {
    check(|| {
        let ledger = Arc::new(Ledger::new(1000));
        let tenants: Vec<_> = (0..2).map(|_| Arc::new(Reservation::new(Arc::clone(&ledger)))).collect();
        let threads: Vec<_> = tenants
            .iter()
            .cloned()
            .map(|tenant| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || {
                    for _ in 0..3 {
                        if tenant.try_grow(250, u64::MAX).is_ok() {
                            assert!(ledger.used() <= 1000);
                            tenant.shrink(250);
                            tenant.release_credit();
                        }
                    }
                })
            })
            .collect();
        ledger.set_limit(400);
        ledger.set_allowed(300);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((ledger.used(), ledger.limit(), ledger.allowed()), (0, 400, 300));
        assert!(tenants[0].try_grow(301, u64::MAX).is_err() && tenants[0].try_grow(300, u64::MAX).is_ok());
        tenants[0].shrink(300);
    });
}

#[test]
fn who_takes_while_the_limit_is_lowered_is_seen_or_gives_back() {
    check(|| {
        let ledger = Arc::new(Ledger::new(1000));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || if ledger.try_take(300) { 300 } else { 0 })
            })
            .collect();
        ledger.set_limit(400);
        // What a coordinator would evict then.
        let seen = ledger.used();
        let taken: u64 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(ledger.used(), taken);
        assert!(taken <= 400 || seen >= taken, "{taken} bytes are out, and only {seen} were seen");
        ledger.give(taken);
    });
}
