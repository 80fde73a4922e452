//! A cached function that calls another: whose cost is whose.

use std::time::Duration;

use larder::{Cache, Domain, testing::ManualClock};

#[test]
fn a_body_costs_what_it_waited_for_with_what_others_computed_for_it() {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    let cache = |name: &str| Cache::<u64, u64>::builder(name).build_in(&domain).unwrap();
    let (outer, inner) = (cache("outer"), cache("inner"));
    let call = |key| {
        outer.get_or_insert_with(key, || {
            let value = inner.get_or_insert_with(0, || {
                clock.advance(Duration::from_millis(3));
                1
            });
            clock.advance(Duration::from_millis(2));
            value + key
        })
    };
    // The first computes both, the second finds the inner value.
    assert_eq!((call(1), call(2)), (2, 3));
    let near = |time: Duration, millis: f64| (time.as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.1;
    let saved = |key| {
        let before = outer.stats().time_saved;
        assert!(outer.get(key).is_some());
        outer.stats().time_saved - before
    };
    assert!(near(saved(1), 5.0) && near(saved(2), 2.0), "{}", domain.stats());
    assert!(inner.get(0).is_some() && near(inner.stats().time_saved, 6.0), "{}", domain.stats());
}
