use std::sync::Arc;

use super::{Ledger, Refused, Reservation};

const NO_CEILING: u64 = u64::MAX;

fn ledger(limit: u64, tenants: usize) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::new(limit));
    ledger.divide(tenants);
    ledger
}

#[test]
fn a_reservation_spends_takes_credit_and_gives_all_back() {
    let ledger = ledger(1 << 20, 4);
    let tenant = Reservation::new(Arc::clone(&ledger));
    tenant.try_grow(1000, NO_CEILING).unwrap();
    assert_eq!(tenant.spent(), 1000);
    assert_eq!(ledger.used(), tenant.held());
    tenant.shrink(1000);
    tenant.release_credit();
    assert_eq!((tenant.spent(), tenant.held(), ledger.used()), (0, 0, 0));
}

#[test]
fn nothing_passes_the_limit_and_a_refusal_changes_nothing() {
    let ledger = ledger(1000, 1);
    let tenant = Reservation::new(Arc::clone(&ledger));
    tenant.try_grow(900, NO_CEILING).unwrap();
    let held = tenant.held();
    assert!(matches!(tenant.try_grow(200, NO_CEILING), Err(Refused::Budget { .. })));
    assert_eq!(tenant.held(), held);
    assert_eq!(tenant.spent(), 900);
    assert!(ledger.used() <= 1000);
}

#[test]
fn the_ceiling_is_told_apart_from_the_budget() {
    let ledger = ledger(1 << 20, 1);
    let tenant = Reservation::new(Arc::clone(&ledger));
    tenant.try_grow(80, 100).unwrap();
    assert_eq!(tenant.try_grow(50, 100), Err(Refused::Ceiling { over: 30 }));
    assert_eq!(tenant.spent(), 80);
}

#[test]
fn unspent_credit_stays_below_a_sixty_fourth_of_the_limit() {
    let limit = 1 << 20;
    let ledger = ledger(limit, 8);
    let tenants: Vec<_> = (0..8).map(|_| Reservation::new(Arc::clone(&ledger))).collect();
    for tenant in &tenants {
        tenant.try_grow(10, NO_CEILING).unwrap();
    }
    let spent: u64 = tenants.iter().map(Reservation::spent).sum();
    assert!(ledger.used() - spent <= limit / 64);
}

#[test]
fn a_dropped_tenant_leaves_the_budget() {
    let ledger = ledger(1 << 20, 1);
    let tenant = Reservation::new(Arc::clone(&ledger));
    tenant.try_grow(5000, NO_CEILING).unwrap();
    drop(tenant);
    assert_eq!(ledger.used(), 0);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "released")]
fn over_release_is_loud() {
    let ledger = ledger(1000, 1);
    ledger.give(1);
}

#[test]
fn sizes_near_the_end_of_the_range_are_refused_not_wrapped() {
    let ledger = ledger(u64::MAX, 1);
    let tenant = Reservation::new(Arc::clone(&ledger));
    tenant.try_grow(u64::MAX / 2, NO_CEILING).unwrap();
    assert!(tenant.try_grow(u64::MAX - 5, NO_CEILING).is_err());
    tenant.shrink(u64::MAX / 2);
}
