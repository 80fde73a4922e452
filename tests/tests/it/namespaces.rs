//! Namespaces: which tenants they are, what is done to them alone, and what a share protects.

use larder::{Cache, Domain, ShareError, testing, testing::FixedPressure};

use crate::support::{MB, check, domain};

/// A cache whose values weigh what they say, and cost so many microseconds.
fn weighed(domain: &Domain, name: &str, cost: u64) -> Cache<u64, u64> {
    let cost = std::time::Duration::from_micros(cost);
    Cache::builder(name).weigh(|_, value| *value).cost(move |_, _| cost).build_in(domain).unwrap()
}

fn fill(cache: &Cache<u64, u64>, megabytes: u64) {
    for key in 0..megabytes * 10 {
        cache.insert(key, MB / 10);
    }
}

fn used(domain: &Domain, namespace: &str) -> u64 {
    domain.namespace(namespace).stats().tenants.iter().map(|tenant| tenant.reserved).sum()
}

#[test]
fn stats_trim_and_clear_reach_one_namespace_and_no_other() {
    let domain = domain(100 * MB);
    let invoices = weighed(&domain, "billing::invoices", 10);
    let customers = weighed(&domain, "billing::customers", 1000);
    let pages = weighed(&domain, "billings::pages", 1);
    for cache in [&invoices, &customers, &pages] {
        fill(cache, 10);
    }
    let billing = domain.namespace("billing");
    let names: Vec<_> = billing.stats().tenants.into_iter().map(|tenant| tenant.name).collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.starts_with("billing::")), "{names:?}");
    assert_eq!(billing.stats().budget.limit, 100 * MB, "the budget is the domain's");

    let trimmed = billing.trim(3 * MB);
    assert!((3 * MB..4 * MB).contains(&trimmed.freed), "{trimmed:?}");
    assert_eq!(trimmed.by_tenant[0].0, "billing::invoices", "the cheapest of them");
    assert_eq!((customers.len(), pages.len()), (100, 100), "also where another is cheaper still");

    billing.clear();
    assert_eq!((invoices.len(), customers.len(), pages.len()), (0, 0, 100));
    assert_eq!(domain.namespace("nobody").stats().tenants.len(), 0);
    assert_eq!(domain.namespace("nobody").trim(u64::MAX).freed, 0);
    check(&domain);
}

#[test]
fn a_share_is_got_back_by_who_needs_it() {
    let domain = domain(100 * MB);
    let shop = weighed(&domain, "shop::pages", 100_000);
    let billing = weighed(&domain, "billing::invoices", 1);
    domain.namespace("billing").set_share(0.4).unwrap();
    // What is not needed is lent.
    fill(&shop, 99);
    assert!(shop.weight() > 95 * MB);
    // Its entries are worth next to nothing beside the others', and yet it gets to its share.
    for key in 0..2000 {
        billing.insert(key, MB / 10);
        let promised = 40 * MB;
        assert!(billing.weight() <= promised + MB, "beyond its share price decides: {}", billing.weight());
    }
    assert!(billing.weight() >= 39 * MB, "{} of 40 MB", billing.weight());
    // And nobody takes it away.
    for key in 10_000..12_000 {
        shop.insert(key, MB / 10);
    }
    assert!(billing.weight() >= 39 * MB, "{} of 40 MB", billing.weight());
    let stats = domain.stats();
    let row = &stats.namespaces[0];
    assert_eq!((row.name.as_str(), row.share, row.promised), ("billing", 0.4, 40 * MB));
    assert_eq!(row.used, used(&domain, "billing"));
    assert!(stats.to_string().contains("namespace billing: "), "{stats}");
    // A promise that is taken back protects nothing.
    domain.namespace("billing").set_share(0.0).unwrap();
    for key in 20_000..22_000 {
        shop.insert(key, MB / 10);
    }
    assert!(billing.weight() < MB, "{}", billing.weight());
    assert!(domain.stats().namespaces.is_empty());
    check(&domain);
}

#[test]
fn all_the_shares_there_are_refuse_no_insert() {
    let domain = domain(10 * MB);
    let (a, b) = (weighed(&domain, "a::x", 100), weighed(&domain, "b::x", 100));
    domain.namespace("a").set_share(0.5).unwrap();
    domain.namespace("b").set_share(0.5).unwrap();
    fill(&a, 10);
    fill(&b, 10);
    assert!(a.weight().abs_diff(b.weight()) < MB, "{} {}", a.weight(), b.weight());
    let other = weighed(&domain, "unpromised", 1);
    fill(&other, 1);
    assert!(!other.is_empty() && other.stats().rejections == 0, "{}", domain.stats());
    check(&domain);
}

#[test]
fn under_pressure_shares_are_of_what_is_left() {
    let source = FixedPressure::new(10, 100);
    let domain = Domain::builder().limit_bytes(100 * MB).pressure(source.clone()).manual().build();
    let (a, b) = (weighed(&domain, "a::x", 1), weighed(&domain, "b::x", 1000));
    domain.namespace("a").set_share(0.5).unwrap();
    fill(&a, 50);
    fill(&b, 49);
    source.set(94, 100);
    domain.tick();
    let allowed = domain.stats().budget.allowed;
    assert!(allowed < 80 * MB, "{allowed}");
    assert_eq!(domain.stats().namespaces[0].promised, allowed / 2);
    assert!(a.weight() >= allowed / 2 - MB, "{} of {}", a.weight(), allowed / 2);
    check(&domain);
}

#[test]
fn who_comes_later_is_of_its_namespace_too_and_scopes_know_the_shares() {
    let domain = domain(10 * MB);
    domain.namespace("late").set_share(0.5).unwrap();
    let other = weighed(&domain, "other", 1000);
    fill(&other, 9);
    let late = weighed(&domain, "late", 1);
    fill(&late, 8);
    assert!(late.weight() > 4 * MB, "{}", late.weight());
    {
        let _scope = testing::isolated();
        assert_eq!(domain.stats().namespaces.len(), 1);
        domain.namespace("late").set_share(0.0).unwrap();
    }
    assert_eq!(domain.stats().namespaces.len(), 1, "what a scope takes back, it takes back for itself");
}

#[test]
fn what_can_not_be_promised_says_why() {
    let domain = domain(MB);
    domain.namespace("a").set_share(0.75).unwrap();
    let refused = |name: &str, share| domain.namespace(name).set_share(share).unwrap_err();
    assert!(matches!(refused("b", 1.5), ShareError::NoFraction { .. }));
    assert_eq!(
        refused("b", 0.5).to_string(),
        "shares can't exceed the whole: 0.5 was asked for, and 0.2500 is left"
    );
    assert!(refused("a::b", 0.1).to_string().starts_with("the namespace `a` has a share"));
}

#[test]
fn a_pinned_cache_keeps_what_it_has_against_everybody_but_itself_and_the_limit() {
    let source = FixedPressure::new(10, 100);
    let domain = Domain::builder().limit_bytes(40 * MB).pressure(source.clone()).manual().build();
    let pinned = Cache::<u64, u64>::builder("pinned")
        .weigh(|_, value| *value)
        .cost(|_, _| std::time::Duration::from_micros(1))
        .pinned()
        .build_in(&domain)
        .unwrap();
    let dear = weighed(&domain, "dear", 1_000_000);
    fill(&pinned, 10);
    let held = pinned.stats().bytes;
    // Another's need, a trim, a trim of its own namespace, and an emergency, again and again.
    fill(&dear, 40);
    let _ = domain.trim(u64::MAX);
    let _ = domain.namespace("pinned").trim(u64::MAX);
    source.set(100, 100);
    (0..20).for_each(|_| domain.tick());
    let stats = pinned.stats();
    assert_eq!(
        (pinned.len(), stats.reclaims, stats.min_bytes),
        (100, 0, stats.bytes),
        "its floor is what it has"
    );
    assert!(held - stats.bytes < 4096, "what it did not use itself: {}", held - stats.bytes);
    // Its own need, and a limit below it.
    source.set(10, 100);
    domain.tick();
    (1000..2000).for_each(|key| pinned.insert(key, MB / 10));
    assert!(pinned.weight() <= domain.budget().limit() && pinned.peek(1999).is_some());
    domain.budget().set_limit(MB);
    assert!(domain.budget().used() <= MB);
    check(&domain);
}
