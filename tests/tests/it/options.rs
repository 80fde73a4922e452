//! Options that make no sense, and those at the ends of their range.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::time::Duration;

use larder::{BuildError, Builder, Cache};

use crate::cache::build;
use crate::support::{MB, blob, bytes, check, domain, in_time};

#[test]
fn options_that_make_no_sense_are_refused_with_the_way_out() {
    #[track_caller]
    fn refused(
        option: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>,
        expected: BuildError,
        text: &str,
    ) {
        let domain = domain(4 * MB);
        let error = option(Cache::builder("wrong")).build_in(&domain).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), text);
        assert!(domain.stats().tenants.is_empty(), "nothing is left of it");
        assert_eq!(domain.budget().used(), 0);
    }
    let room = "a cache with room for nothing: set `max_entries` or `max_bytes` above 0, or leave it out";
    refused(|builder| builder.max_entries(0), BuildError::ZeroCapacity, room);
    refused(|builder| builder.max_bytes(0), BuildError::ZeroCapacity, room);
    refused(|builder| builder.max_mb(0), BuildError::ZeroCapacity, room);
    refused(
        |builder| builder.min_mb(2).max_mb(1),
        BuildError::FloorAboveCeiling { min_bytes: 2 * MB, max_bytes: MB },
        "`min_mb` keeps 2097152 bytes, but `max_bytes` allows 1048576: lower the one or raise the other",
    );
    refused(
        |builder| builder.min_mb(5),
        BuildError::FloorAboveBudget { min_bytes: 5 * MB, limit: 4 * MB },
        "`min_mb` keeps 5242880 bytes, but the whole budget is 4194304: lower it, or raise the budget first",
    );
    refused(
        |builder| builder.min_mb(u64::MAX),
        BuildError::FloorAboveBudget { min_bytes: u64::MAX - 1, limit: 4 * MB },
        "`min_mb` keeps 18446744073709551614 bytes, but the whole budget is 4194304: lower it, or raise the budget first",
    );
    refused(
        |builder| builder.priority(0.0),
        BuildError::Priority(0.0),
        "`priority` is 0, but it multiplies a price: use a number above 0, as in 2.0",
    );
    refused(
        |builder| builder.priority(-1.5),
        BuildError::Priority(-1.5),
        "`priority` is -1.5, but it multiplies a price: use a number above 0, as in 2.0",
    );
    refused(
        |builder| builder.priority(f64::INFINITY),
        BuildError::Priority(f64::INFINITY),
        "`priority` is inf, but it multiplies a price: use a number above 0, as in 2.0",
    );
    refused(
        |builder| builder.ttl(Duration::ZERO),
        BuildError::ZeroTtl,
        "a `ttl` of zero expires at once: use a longer one, or no cache",
    );
    let nan = Cache::<u64, u64>::builder("wrong").priority(f64::NAN).build_in(&domain(MB));
    assert!(matches!(nan, Err(BuildError::Priority(priority)) if priority.is_nan()));
}

#[test]
fn bounds_at_the_ends_of_the_range_are_bounds_all_the_same() {
    let domain = domain(MB);
    let cache = Cache::<u64, u64>::builder("boundless")
        .max_mb(u64::MAX)
        .max_entries(u64::MAX)
        .ttl(Duration::MAX)
        .build_in(&domain)
        .unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.get(1), Some(1));
    let tiny = Cache::<u64, u64>::builder("tiny").max_bytes(1).build_in(&domain).unwrap();
    assert_eq!(tiny.get_or_insert_with(1, || 5), 5);
    assert_eq!((tiny.len(), tiny.weight(), tiny.stats().rejections), (0, 0, 1));
    check(&domain);
}

#[test]
fn debug_says_which_cache_it_is() {
    let domain = domain(MB);
    let cache = build(&domain, "shown");
    cache.insert(1, 1);
    let text = format!("{cache:?}");
    assert!(text.starts_with("Cache { name: \"shown\", entries: 1, weight: "), "{text}");
    let text = format!("{:?}", Cache::<u64, u64>::builder("shown").max_entries(3));
    assert!(text.contains("shown") && text.contains("max_entries: Some(3)"), "{text}");
}

#[test]
fn debug_takes_no_lock() {
    static CACHE: OnceLock<Cache<Printing, u64>> = OnceLock::new();

    /// Prints the cache where it is compared, which is under a shard's lock.
    #[derive(Clone)]
    struct Printing(u64);

    impl Hash for Printing {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl PartialEq for Printing {
        fn eq(&self, other: &Self) -> bool {
            let cache = CACHE.get().expect("it is built");
            assert!(format!("{cache:?}").contains("shown"));
            self.0 == other.0
        }
    }

    impl Eq for Printing {}

    in_time("printing a cache", || {
        let domain = domain(MB);
        let cache = CACHE.get_or_init(|| Cache::builder("shown").build_in(&domain).unwrap());
        cache.insert(Printing(1), 1);
        cache.insert(Printing(1), 2);
        assert_eq!(cache.get(&Printing(1)), Some(2));
    });
}

#[test]
fn a_floor_in_bytes_is_kept_from_others() {
    let domain = domain(MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept").min_bytes(100_000).build_in(&domain).unwrap();
    let other = bytes(&domain, "other");
    (0..10).for_each(|key| kept.insert(key, blob(8_000)));
    (0..2000).for_each(|key| other.insert(key, blob(8_000)));
    assert_eq!((kept.len(), other.is_empty()), (10, false));
    let above = Cache::<u64, u64>::builder("wrong").min_bytes(MB + 1).build_in(&domain).unwrap_err();
    assert_eq!(above, BuildError::FloorAboveBudget { min_bytes: MB + 1, limit: MB });
    check(&domain);
}
