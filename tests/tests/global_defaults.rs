//! The process's own domain as a program finds it: nothing set, in code or in the environment.
//!
//! One test, because there is one such domain in a process; `cargo test` gives this file a process of its own.

use std::time::Duration;

use larder::{Cache, Domain};
use larder_tests::patience;

const MB: u64 = 1 << 20;

#[test]
fn the_global_domain_from_start_to_shutdown() {
    larder::init().unwrap();
    let limit = larder::budget().limit();
    assert!(limit > 0 && limit <= 500 * MB, "at most 500 MB by default, less on a small machine: {limit}");

    let cache = Cache::<u64, Vec<u8>>::builder("global").build().unwrap();
    assert_eq!(cache.get_or_insert_with(1, || vec![1; 1000]), vec![1; 1000]);
    assert!(larder::budget().used() >= 1000);
    assert_eq!(larder::budget().used(), Domain::global().budget().used());
    let stats = larder::stats();
    assert_eq!(stats.tenant("global").map(|tenant| (tenant.entries, tenant.live)), Some((1, true)));
    assert!(stats.warnings.is_empty(), "{stats}");
    assert_ne!(stats.pressure.source, "off");

    larder::set_bypass(true);
    assert_eq!(cache.get(1), None);
    larder::set_bypass(false);
    assert!(cache.contains(1));

    larder::tick();
    larder::budget().set_limit_mb(2);
    for key in 0..100 {
        cache.insert(key, vec![0; 100_000]);
    }
    assert!(larder::budget().used() <= 2 * MB);
    let trimmed = larder::trim(MB);
    assert!(trimmed.freed >= MB, "{trimmed:?}");
    larder::clear_all();
    assert_eq!((cache.len(), larder::budget().used()), (0, cache.weight()));

    assert_eq!(larder::flush(Duration::ZERO), Ok(()));
    assert_eq!(larder::shutdown(patience()), Ok(()));
    assert_eq!(larder::shutdown(Duration::ZERO), Ok(()), "it has ended already");
    cache.insert(1, vec![1]);
    assert_eq!(cache.get(1), Some(vec![1]), "caches outlive the background thread");
    assert_eq!(cache.stats().rejections, 0);
}
