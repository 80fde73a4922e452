//! The rows of the table.

use std::hint::black_box;
use std::sync::Arc;

use larder_benches::zipf;

use crate::contestants::{LruInMutex, Numbers, Texts, annotated};
use crate::measure::{Entrant, Round, Score, compete, together};

/// One row: a workload, and how everybody did.
pub struct Row {
    pub name: String,
    pub scores: Vec<Score>,
}

/// Keys of the rows in which every key is present.
const RESIDENT_KEYS: u64 = 1024;

/// How often a round asks for each of them.
const REPEATS: u64 = 1000;

/// One entrant for each crate's cache of numbers.
macro_rules! all_numbers {
    ($entrant:ident, $($argument:expr),*) => {
        vec![
            $entrant::<larder::Cache<u64, u64>>($($argument),*),
            $entrant::<quick_cache::sync::Cache<u64, u64>>($($argument),*),
            $entrant::<moka::sync::Cache<u64, u64>>($($argument),*),
            $entrant::<mini_moka::sync::Cache<u64, u64>>($($argument),*),
            $entrant::<cached::stores::ShardedLruCache<u64, u64>>($($argument),*),
            $entrant::<LruInMutex<u64, u64>>($($argument),*),
            $entrant::<sieve_cache::ShardedSieveCache<u64, u64>>($($argument),*),
        ]
    };
}

/// All keys are present.
pub fn hit(threads: usize) -> Row {
    fn entrant<C: Numbers>(threads: usize) -> Entrant {
        // More than the keys: no contestant may evict, however it splits its capacity over shards.
        let cache = C::with_capacity(4 * RESIDENT_KEYS as usize);
        (0..RESIDENT_KEYS).for_each(|key| cache.insert(key, key));
        let round = move || {
            let (took, _) =
                together(threads, |_| repeat_resident(|key| cache.get(key).expect("every key is resident")));
            resident_round(took, threads)
        };
        Entrant { name: C::NAME, round: Box::new(round) }
    }
    Row {
        name: format!("hit, 1,024 keys, {}", plural(threads)),
        scores: compete(all_numbers!(entrant, threads)),
    }
}

/// All keys are present, asked for through an annotated function.
pub fn hit_annotated() -> Row {
    fn entrant(name: &'static str, function: impl Fn(u64) -> u64 + Sync + 'static) -> Entrant {
        for key in 0..RESIDENT_KEYS {
            black_box(function(key));
        }
        let round = move || {
            let (took, _) = together(1, |_| repeat_resident(&function));
            resident_round(took, 1)
        };
        Entrant { name, round: Box::new(round) }
    }
    let entrants = vec![
        entrant("larder", annotated::by_larder),
        entrant("cached", annotated::by_cached),
        entrant("cached (concurrent)", annotated::by_concurrent_cached),
    ];
    Row { name: "the same, annotated".to_owned(), scores: compete(entrants) }
}

/// Asks for each resident key many times over.
fn repeat_resident(ask: impl Fn(u64) -> u64) {
    let sum =
        (0..REPEATS * RESIDENT_KEYS).map(|n| ask(black_box(n % RESIDENT_KEYS))).fold(0, u64::wrapping_add);
    black_box(sum);
}

fn resident_round(took: std::time::Duration, threads: usize) -> Round {
    Round { took, operations: threads as u64 * REPEATS * RESIDENT_KEYS, hit_rate: None }
}

/// All keys are present, and each is a borrowed name with a number.
pub fn hit_borrowed_pair() -> Row {
    const NAME: &str = "a name of some length";
    fn entrant<C: Texts>() -> Entrant {
        let cache = C::with_capacity(4 * RESIDENT_KEYS as usize);
        for id in 0..RESIDENT_KEYS as u32 {
            cache.insert(NAME, id, Arc::from(format!("{NAME}-{id}")));
        }
        let round = move || {
            let (took, _) = together(1, |_| {
                repeat_resident(|key| {
                    let text = cache.get(black_box(NAME), key as u32).expect("every key is resident");
                    text.len() as u64
                });
            });
            resident_round(took, 1)
        };
        Entrant { name: C::NAME, round: Box::new(round) }
    }
    let entrants = vec![
        entrant::<larder::Cache<(String, u32), Arc<str>>>(),
        entrant::<quick_cache::sync::Cache<(String, u32), Arc<str>>>(),
        entrant::<moka::sync::Cache<(String, u32), Arc<str>>>(),
        entrant::<cached::stores::ShardedLruCache<(String, u32), Arc<str>>>(),
        entrant::<LruInMutex<(String, u32), Arc<str>>>(),
    ];
    Row { name: "hit, (&str, u32) -> Arc<str>".to_owned(), scores: compete(entrants) }
}

/// A million keys, a tenth of which fit.
pub fn get_or_compute(threads: usize) -> Row {
    const KEYS: usize = 1_000_000;
    const DRAWS: usize = 1_000_000;
    fn entrant<C: Numbers>(threads: usize, draws: Arc<[Vec<u64>]>) -> Entrant {
        let cache = C::with_capacity(KEYS / 10);
        let round = move || {
            let (took, misses) = together(threads, |thread| {
                let mut misses = 0_u64;
                for key in &draws[thread] {
                    black_box(cache.get_or_compute(*key, || {
                        misses += 1;
                        *key
                    }));
                }
                misses
            });
            let operations = (threads * DRAWS) as u64;
            let hit_rate = 1.0 - misses.iter().sum::<u64>() as f64 / operations as f64;
            Round { took, operations, hit_rate: Some(hit_rate) }
        };
        Entrant { name: C::NAME, round: Box::new(round) }
    }
    let draws: Arc<[Vec<u64>]> = (0..threads as u64).map(|seed| zipf(KEYS, 0.99, DRAWS, seed)).collect();
    let entrants = all_numbers!(entrant, threads, Arc::clone(&draws));
    Row { name: format!("get or compute, zipf 0.99, {}", plural(threads)), scores: compete(entrants) }
}

/// New keys only.
pub fn insert_evicting() -> Row {
    const FIT: u64 = 10_000;
    const INSERTS: u64 = 300_000;
    fn entrant<C: Numbers>() -> Entrant {
        let cache = C::with_capacity(FIT as usize);
        let mut next = 0;
        let round = move || {
            let from = next;
            next += INSERTS;
            let (took, _) = together(1, |_| (from..from + INSERTS).for_each(|key| cache.insert(key, key)));
            Round { took, operations: INSERTS, hit_rate: None }
        };
        Entrant { name: C::NAME, round: Box::new(round) }
    }
    Row { name: "insert, each evicts".to_owned(), scores: compete(all_numbers!(entrant,)) }
}

fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}
