//! Short memory: levels, how far the budget shrinks and grows, and the user's own trim.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use larder::{
    Builder, Cache, Domain, Level, MemorySample, PressureSource, Watermarks, testing::FixedPressure,
};

use crate::support::{MB, check, domain};

/// A domain under a pressure source that a test sets, in percent of 1 GB.
fn pressed(limit: u64) -> (Domain, Gauge) {
    let source = FixedPressure::new(0, 0);
    let domain = Domain::builder().limit_bytes(limit).pressure(source.clone()).manual().build();
    (domain, Gauge(source))
}

struct Gauge(FixedPressure);

impl Gauge {
    fn percent(&self, percent: u64) {
        self.0.set(percent * 10 * MB, 1000 * MB);
    }
}

/// A cache whose values weigh what they say, so that a test of many megabytes takes none.
fn weighed(domain: &Domain, name: &str, cost: u64) -> Cache<u64, u64> {
    builder(name, cost).build_in(domain).unwrap()
}

fn builder(name: &str, cost: u64) -> Builder<u64, u64> {
    Cache::builder(name).weigh(|_, value| *value).cost(move |_, _| Duration::from_micros(cost))
}

fn fill(cache: &Cache<u64, u64>, megabytes: u64) {
    for key in 0..megabytes * 10 {
        cache.insert(key, MB / 10);
    }
}

fn allowed(domain: &Domain) -> u64 {
    domain.stats().budget.allowed
}

#[test]
fn levels_hold_on_until_their_exit() {
    let (domain, gauge) = pressed(MB);
    let level_at = |percent| {
        gauge.percent(percent);
        domain.tick();
        domain.pressure()
    };
    let steps = [
        (50, Level::Normal),
        (79, Level::Normal),
        (80, Level::High),
        (76, Level::High),
        (75, Level::High),
        (74, Level::Normal),
        (79, Level::Normal),
        (94, Level::High),
        (95, Level::Emergency),
        (86, Level::Emergency),
        (85, Level::Emergency),
        (84, Level::High),
        (75, Level::High),
        (96, Level::Emergency),
        (10, Level::Normal),
        (200, Level::Emergency),
        (0, Level::Normal),
    ];
    for (percent, level) in steps {
        assert_eq!(level_at(percent), level, "at {percent} %");
    }
}

#[test]
fn watermarks_can_be_set() {
    let source = FixedPressure::new(50, 100);
    let marks = Watermarks::new(0.4, 0.6).unwrap();
    let domain =
        Domain::builder().limit_bytes(MB).pressure(source.clone()).watermarks(marks).manual().build();
    assert_eq!(domain.pressure(), Level::Normal, "nobody looked yet");
    domain.tick();
    assert_eq!(domain.pressure(), Level::High);
    source.set(60, 100);
    domain.tick();
    assert_eq!(domain.pressure(), Level::Emergency);
    for (high, emergency) in [(0.0, 0.5), (0.6, 0.6), (0.9, 0.8), (0.5, 1.1), (f64::NAN, 0.9), (-1.0, 0.5)] {
        let error = Watermarks::new(high, emergency).unwrap_err().to_string();
        assert!(error.starts_with("watermarks must be fractions with high < emergency"), "{error}");
    }
}

#[test]
fn a_source_that_cannot_tell_changes_nothing() {
    let (domain, gauge) = pressed(MB);
    gauge.percent(90);
    domain.tick();
    gauge.0.set_unknown();
    domain.tick();
    assert_eq!(domain.pressure(), Level::High);
    let stats = domain.stats().pressure;
    assert_eq!((stats.used, stats.limit, stats.source.as_str()), (900 * MB, 1000 * MB, "fixed"));
    gauge.0.set(5, 0);
    domain.tick();
    assert_eq!(domain.pressure(), Level::Normal, "no limit is no pressure");
}

#[test]
fn high_pressure_shrinks_and_does_not_grow() {
    let (domain, gauge) = pressed(100 * MB);
    let cache = weighed(&domain, "pressed", 100);
    fill(&cache, 100);
    let full = domain.budget().used();
    gauge.percent(80);
    domain.tick();
    assert_eq!(allowed(&domain), 95 * MB);
    assert!(domain.budget().used() <= 95 * MB);
    gauge.percent(92);
    domain.tick();
    assert_eq!(allowed(&domain), 80 * MB, "0.12 above the mark takes a fifth");
    gauge.percent(94);
    domain.tick();
    gauge.percent(81);
    domain.tick();
    let least = allowed(&domain);
    assert!((76 * MB..78 * MB).contains(&least), "{least}");
    assert!(domain.budget().used() <= least && domain.budget().used() > least * 9 / 10);
    for key in 0..2000 {
        cache.insert(key + 10_000, MB / 10);
        assert!(domain.budget().used() <= least, "inserts keep to what is allowed");
    }
    assert_eq!(domain.budget().limit(), 100 * MB, "what was set stays set");
    assert!(cache.stats().reclaims > 0);
    assert!(full > domain.budget().used());
    check(&domain);
}

#[test]
fn an_emergency_takes_what_is_missing() {
    let (domain, gauge) = pressed(400 * MB);
    let cache = weighed(&domain, "pressed", 100);
    fill(&cache, 390);
    let before = domain.budget().used();
    gauge.percent(96);
    domain.tick();
    // 160 MB above the target of 80 % of 1000 MB.
    let after = domain.budget().used();
    assert!(after <= before - 160 * MB, "{after} of {before}");
    assert!(after >= before - 161 * MB, "and no more: {after} of {before}");
    gauge.percent(50);
    domain.tick();
    assert_eq!(domain.pressure(), Level::Normal);
    check(&domain);
}

#[test]
fn neighbours_do_not_push_a_domain_below_sixteen_megabytes() {
    for (limit, least) in [(100 * MB, 16 * MB), (20 * MB, 16 * MB), (8 * MB, 8 * MB)] {
        let (domain, gauge) = pressed(limit);
        let cache = weighed(&domain, "pressed", 100);
        fill(&cache, limit / MB);
        gauge.percent(100);
        for _ in 0..20 {
            domain.tick();
        }
        assert_eq!(allowed(&domain), least);
        assert!(domain.budget().used() > least * 9 / 10, "{} of {least}", domain.budget().used());
        check(&domain);
    }
}

#[test]
fn pressure_does_not_go_below_the_floors() {
    let (domain, gauge) = pressed(100 * MB);
    let kept = builder("kept", 1).min_mb(40).build_in(&domain).unwrap();
    let other = weighed(&domain, "other", 1_000_000);
    fill(&kept, 45);
    fill(&other, 55);
    let held = kept.weight();
    assert!(held >= 40 * MB, "{held}");
    gauge.percent(100);
    for _ in 0..20 {
        domain.tick();
    }
    assert_eq!(allowed(&domain), 40 * MB);
    assert!(kept.stats().reserved >= 40 * MB, "{} bytes kept", kept.stats().reserved);
    assert!(domain.budget().used() <= domain.budget().limit());
    check(&domain);
}

#[test]
fn growth_is_slow_and_only_with_room() {
    let (domain, gauge) = pressed(100 * MB);
    gauge.percent(94);
    domain.tick();
    let mut before = allowed(&domain);
    gauge.percent(72);
    for _ in 0..5 {
        domain.tick();
    }
    assert_eq!(
        (domain.pressure(), allowed(&domain)),
        (Level::Normal, before),
        "between the marks nothing moves"
    );
    gauge.percent(60);
    let mut ticks = 0;
    while allowed(&domain) < 100 * MB {
        domain.tick();
        assert!(allowed(&domain) - before <= 2 * MB);
        before = allowed(&domain);
        ticks += 1;
    }
    assert!((10..=13).contains(&ticks), "{ticks} ticks");
    domain.tick();
    assert_eq!(allowed(&domain), 100 * MB);
}

#[test]
fn a_limit_that_is_lowered_under_pressure_is_kept() {
    let (domain, gauge) = pressed(100 * MB);
    let cache = weighed(&domain, "pressed", 100);
    fill(&cache, 100);
    gauge.percent(90);
    domain.tick();
    domain.budget().set_limit_mb(10);
    assert!(domain.budget().used() <= 10 * MB);
    domain.tick();
    assert!(allowed(&domain) <= 10 * MB);
    assert!(domain.stats().budget.allowed <= domain.budget().limit());
    check(&domain);
}

#[test]
fn the_cheapest_goes_first_under_pressure() {
    let (domain, gauge) = pressed(40 * MB);
    let (cheap, costly) = (weighed(&domain, "cheap", 100), weighed(&domain, "costly", 100_000));
    fill(&cheap, 20);
    fill(&costly, 18);
    let before = costly.len();
    gauge.percent(94);
    domain.tick();
    assert_eq!((costly.len(), costly.stats().reclaims), (before, 0));
    assert!(cheap.stats().reclaims > 50);
}

#[test]
fn a_trim_says_what_it_did() {
    let domain = domain(64 * MB);
    let (cheap, costly) = (weighed(&domain, "cheap", 100), weighed(&domain, "costly", 100_000));
    let empty = domain.budget().used();
    fill(&cheap, 10);
    fill(&costly, 10);
    let before = domain.budget().used();
    let trimmed = domain.trim(3 * MB);
    assert_eq!((trimmed.asked, trimmed.freed), (3 * MB, before - domain.budget().used()));
    assert!((3 * MB..4 * MB).contains(&trimmed.freed), "{trimmed:?}");
    assert_eq!(trimmed.by_tenant[0].0, "cheap");
    assert_eq!((costly.len(), costly.stats().reclaims), (100, 0), "others give no more than unspent credit");
    let parts: u64 = trimmed.by_tenant.iter().map(|(_, bytes)| bytes).sum();
    assert!(parts <= trimmed.freed, "{trimmed:?}");
    let all = domain.trim(u64::MAX);
    let names: Vec<_> = all.by_tenant.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["costly", "cheap"], "most first");
    assert_eq!((all.asked, domain.budget().used(), cheap.len(), costly.len()), (u64::MAX, empty, 0, 0));
    #[cfg(target_os = "linux")]
    assert!(all.rss_before.is_some() && all.rss_after.is_some());
    let nothing = domain.trim(MB);
    assert_eq!((nothing.freed, nothing.by_tenant.len()), (0, 0));
    check(&domain);
}

#[test]
fn a_trim_of_small_values_frees_what_it_says() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("flat").build_in(&domain).unwrap();
    for key in 0..50_000 {
        cache.insert(key, key);
    }
    for asked in [1, 1000, 10_000, 100_000, MB] {
        let before = domain.budget().used();
        let trimmed = domain.trim(asked);
        assert_eq!(trimmed.freed, before - domain.budget().used());
        assert!(trimmed.freed >= asked, "{trimmed:?}");
        let parts: u64 = trimmed.by_tenant.iter().map(|(_, bytes)| bytes).sum();
        assert!(parts <= trimmed.freed, "{trimmed:?}");
    }
    let before = cache.len();
    let _ = domain.trim(0);
    assert_eq!(cache.len(), before, "nothing asked, nobody evicted");
    check(&domain);
}

#[test]
fn a_trim_does_not_go_below_the_floors() {
    let domain = domain(64 * MB);
    let kept = builder("kept", 100).min_mb(4).build_in(&domain).unwrap();
    let other = weighed(&domain, "other", 100);
    fill(&kept, 8);
    fill(&other, 8);
    let _ = domain.trim(u64::MAX);
    assert!(kept.stats().reserved >= 4 * MB, "{} bytes kept", kept.stats().reserved);
    assert!(kept.weight() < 5 * MB);
    assert_eq!(other.len(), 0);
    check(&domain);
}

/// A source that stands still while it is asked.
#[derive(Debug)]
struct Stuck {
    asked: Sender<()>,
    answer: Mutex<Receiver<()>>,
}

impl PressureSource for Stuck {
    fn sample(&self) -> Option<MemorySample> {
        self.asked.send(()).unwrap();
        self.answer.lock().unwrap().recv().unwrap();
        None
    }

    fn name(&self) -> &str {
        "stuck"
    }
}

#[test]
fn a_trim_beside_a_tick_frees_as_much() {
    let ((asked, is_asked), (answer, answered)) = (channel(), channel());
    let source = Stuck { asked, answer: Mutex::new(answered) };
    let domain = Domain::builder().limit_bytes(16 * MB).pressure(source).manual().build();
    let cache = weighed(&domain, "trimmed", 1);
    fill(&cache, 8);
    std::thread::scope(|scope| {
        scope.spawn(|| domain.tick());
        is_asked.recv().unwrap();
        let trimmed = domain.trim(MB);
        answer.send(()).unwrap();
        assert!(trimmed.freed >= MB, "{trimmed:?}");
        assert_eq!(trimmed.by_tenant[0].0, "trimmed");
    });
    check(&domain);
}
