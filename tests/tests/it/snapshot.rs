//! The numbers people and programs read: the table, and the JSON.

use std::time::Duration;

use larder::{
    Cache, Domain, Policy,
    testing::{FixedPressure, ManualClock},
};

use crate::support::{MB, check};

/// A domain in which everything happened, the same each time.
fn eventful() -> (Domain, Vec<Cache<u64, u64>>) {
    let clock = ManualClock::new();
    let memory = FixedPressure::new(0, 0);
    let domain =
        Domain::builder().limit_bytes(16 * MB).clock(clock.clone()).pressure(memory.clone()).manual().build();
    let build = |name: &str, priority: f64| {
        Cache::<u64, u64>::builder(name).priority(priority).weigh(|_, value| *value)
    };
    // Few enough entries for one shard each: how keys spread over more is another matter in each process.
    let images = build("app::images", 2.0).max_entries(40).build_in(&domain).unwrap();
    let words = build("app::words", 1.0).policy(Policy::Lru).max_entries(100).build_in(&domain).unwrap();
    let empty = build("app::empty", 1.0).shards(8).build_in(&domain).unwrap();
    for key in 0..60 {
        images.get_or_insert_with(key, || {
            clock.advance(Duration::from_millis(4));
            100_200
        });
    }
    for key in 0..1234 {
        words.get_or_insert_with(key, || {
            clock.advance(Duration::from_micros(250));
            20_100
        });
    }
    for key in 1200..1234 {
        assert_eq!(words.get(key), Some(20_100));
    }
    memory.set(850 * MB, 1000 * MB);
    domain.tick();
    check(&domain);
    (domain, vec![images, words, empty])
}

#[test]
fn the_table_is_what_a_person_reads() {
    let (domain, _caches) = eventful();
    let text = domain.stats().to_string();
    let expected = "\
budget 5.9 MB of 16.0 MB used (37 %), peak 5.9 MB; pressure high (fixed: 85 % of 1000.0 MB); 8.7 ms saved
name         kind   entries   bytes   share  hits  misses  hit rate  time saved  evictions  reclaims       price
-----------  -----  -------  ------  ------  ----  ------  --------  ----------  ---------  --------  ----------
app::images  cache       40  3.8 MB  24.3 %     0      60     0.0 %         0 s         20         0  85.7 ms/MB
app::words   cache      100  1.9 MB  12.5 %    34   1 234     2.7 %      8.7 ms      1 134         0  13.3 ms/MB
app::empty   cache        0  1.1 KB   0.0 %     0       0         -         0 s          0         0           -";
    assert_eq!(text, expected, "\n{text}\n");
}

#[test]
fn a_domain_without_tenants_says_so() {
    let domain = Domain::builder().limit_bytes(500 * MB).manual().build();
    assert_eq!(
        domain.stats().to_string(),
        "budget 0 B of 500.0 MB used (0 %), peak 0 B; pressure normal; 0 s saved\nno caches or pools yet"
    );
    domain.budget().set_limit(0);
    assert!(domain.stats().to_string().starts_with("budget 0 B of 0 B used (0 %)"));
}

#[test]
fn tenants_come_by_size_then_by_name() {
    let domain = Domain::builder().limit_bytes(16 * MB).manual().build();
    let build = |name: &str| Cache::<u64, Vec<u8>>::builder(name).build_in(&domain).unwrap();
    let (b, a, c) = (build("b"), build("a"), build("c"));
    c.insert(1, vec![0; 1000]);
    let stats = domain.stats();
    let names: Vec<_> = stats.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "b"]);
    assert_eq!(stats.tenant("c").map(|tenant| tenant.entries), Some(1));
    assert!(stats.tenant("d").is_none());
    assert_eq!((a.len(), b.len()), (0, 0));
}

#[test]
fn names_of_any_script_keep_the_columns_straight() {
    let domain = Domain::builder().limit_bytes(16 * MB).manual().build();
    let _caches: Vec<Cache<u64, u64>> = ["größe", "名前", "a much longer name than the others", ""]
        .into_iter()
        .map(|name| Cache::builder(name).build_in(&domain).unwrap())
        .collect();
    let text = domain.stats().to_string();
    let widths: Vec<_> = text.lines().skip(1).map(|line| line.chars().count()).collect();
    assert_eq!(widths.len(), 6);
    assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
}

#[test]
fn time_saved_is_what_the_hits_would_have_cost() {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(16 * MB).clock(clock.clone()).manual().build();
    let cache = Cache::<u64, u64>::builder("slow").build_in(&domain).unwrap();
    for _ in 0..11 {
        cache.get_or_insert_with(1, || {
            clock.advance(Duration::from_millis(100));
            1
        });
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_time), (1, Duration::from_millis(100)));
    let saved = stats.time_saved.as_secs_f64();
    assert!((0.95..1.05).contains(&saved), "ten hits of 100 ms saved {saved} s");
    assert_eq!(domain.stats().time_saved(), stats.time_saved);
}

#[cfg(feature = "serde")]
mod json {
    use serde_json::{Value, json};

    use super::eventful;

    #[test]
    fn the_snapshot_is_plain_json() {
        let (domain, caches) = eventful();
        let snapshot = domain.stats();
        let text = serde_json::to_string(&snapshot).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["budget"]["limit"], json!(16 << 20));
        assert_eq!(value["budget"]["used"], json!(snapshot.budget.used));
        assert_eq!(value["pressure"]["level"], json!("High"));
        assert_eq!(value["pressure"]["source"], json!("fixed"));
        assert_eq!(value["warnings"], json!([]));
        let tenants = value["tenants"].as_array().unwrap();
        assert_eq!(tenants.len(), caches.len());
        let words = tenants.iter().find(|tenant| tenant["name"] == "app::words").unwrap();
        assert_eq!(words["policy"], json!("lru"));
        assert_eq!(words["kind"], json!("Cache"));
        assert_eq!(words["max_entries"], json!(100));
        assert_eq!(words["max_bytes"], Value::Null);
        assert_eq!(words["hits"], json!(34));
        assert_eq!(words["misses"], json!(1234));
    }

    #[test]
    fn a_trim_is_plain_json_too() {
        let (domain, _caches) = eventful();
        let trimmed = domain.trim(100_000);
        let value = serde_json::to_value(&trimmed).unwrap();
        assert_eq!(value["asked"], json!(100_000));
        assert_eq!(value["freed"], json!(trimmed.freed));
        assert!(value["by_tenant"].is_array());
    }
}
