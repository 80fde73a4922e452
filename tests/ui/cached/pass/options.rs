//! Every option, in every spelling that it has.
#![deny(warnings)]

use std::time::Duration;

use larder::{EntryFacts, Evict, Policy, Uses, cached};

fn bytes(value: &[u8; 4]) -> u64 {
    value.len() as u64
}

#[cached()]
fn nothing(n: u8) -> u8 {
    n
}

#[cached(
    policy = "lru",
    max_mb = 2,
    max_entries = 10_000,
    min_mb = 0.5,
    priority = 2,
    ttl = "1.5h",
    weigh = bytes,
    name = "all of them",
)]
fn all(n: u8) -> [u8; 4] {
    [n; 4]
}

#[cached(max_bytes = "512KiB", weigh = |value: &Vec<u8>| value.len() as u64, priority = 0.25)]
fn size_in_quotes(n: u8) -> Vec<u8> {
    vec![n]
}

#[cached(max_bytes = 4096, weigh = |text| text.len() as u64, ttl = "250 ms")]
fn size_in_bytes(n: u8) -> String {
    n.to_string()
}

#[cached(max_mb = 0.001, weigh = "larder::weigh::shallow")]
fn fraction(n: u8) -> Option<String> {
    Some(n.to_string())
}

/// The oldest goes first.
#[derive(Default)]
struct Oldest(Vec<u32>);

impl Evict for Oldest {
    fn insert(&mut self, slot: u32, _: &EntryFacts) {
        self.0.push(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.0.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, _: &mut Uses<'_>) -> Option<u32> {
        self.0.first().copied()
    }
}

mod orders {
    pub(crate) fn oldest() -> super::Oldest {
        super::Oldest::default()
    }
}

#[cached(policy = Oldest, utility = |n, _| f64::from(*n))]
fn order_by_type(n: u8) -> u8 {
    n
}

#[cached(policy = orders::oldest, utility = worth, ttl_by = |_, _| Duration::from_secs(1))]
fn order_by_function(n: u8) -> u8 {
    n
}

fn worth(_: &u8, value: &u8) -> f64 {
    f64::from(*value) + 1.0
}

#[cached(policy = "utility", utility = "worth")]
fn filtered(n: u8) -> u8 {
    n
}

fn was_removed<T>(_: u8, _: T, _: larder::RemovalCause) {}

#[cached(on_remove = was_removed)]
fn told(n: u8) -> u8 {
    n
}

#[cached(on_remove = "was_removed", utility = worth)]
fn told_in_quotes(n: u8) -> u8 {
    n
}

#[cached(on_remove = |(text, n): (String, u8), value, cause| drop((text, n, value, cause)))]
fn told_of_two(text: &str, n: u8) -> Vec<u8> {
    vec![n; text.len()]
}

#[cached(on_remove = |_, _, _| {})]
fn told_of_any<T: Clone + Send + Sync + 'static>(n: u8) -> Option<T> {
    let _ = n;
    None
}

fn main() {
    assert_eq!((told(1), told_in_quotes(2), told_of_two("ab", 3), told_of_any::<u8>(4)), (1, 2, vec![3, 3], None));
    let declared = |name: &str| larder::declared().find(|item| item.name.ends_with(name)).expect("declared");
    let nothing_declared = declared("::nothing");
    assert_eq!(nothing_declared.policy, Some(Policy::Hybrid));
    assert_eq!(nothing_declared.max_bytes, None);
    assert_eq!(nothing_declared.line, 13);
    let all_declared = declared("all of them");
    assert_eq!(all_declared.name, "all of them");
    assert_eq!(all_declared.policy, Some(Policy::Lru));
    assert_eq!(all_declared.max_bytes, Some(2 << 20));
    assert_eq!(all_declared.max_entries, Some(10_000));
    assert_eq!(all_declared.min_bytes, 1 << 19);
    assert_eq!(all_declared.priority, 2.0);
    assert_eq!(all_declared.ttl, Some(Duration::from_secs(5400)));
    assert_eq!(declared("::size_in_quotes").max_bytes, Some(512 << 10));
    assert_eq!(declared("::size_in_bytes").max_bytes, Some(4096));
    assert_eq!(declared("::size_in_bytes").ttl, Some(Duration::from_millis(250)));
    assert_eq!(declared("::fraction").max_bytes, Some(1049));
    assert_eq!(declared("::order_by_type").policy, Some(Policy::Custom));
    assert_eq!(declared("::order_by_function").policy, Some(Policy::Custom));
    assert_eq!(declared("::filtered").policy, Some(Policy::Utility));
    for n in 0..3 {
        assert_eq!((order_by_type(n), order_by_function(n), filtered(n)), (n, n, n));
        assert_eq!(nothing(n), n);
        assert_eq!(all(n), [n; 4]);
        assert_eq!(size_in_quotes(n), [n]);
        assert_eq!(size_in_bytes(n), n.to_string());
        assert_eq!(fraction(n), Some(n.to_string()));
    }
    assert_eq!(all_cache().name(), "all of them");
}
