//! The rows of time: what is done, and by whom.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use larder_benches::zipf;

use crate::allocations;
use crate::contestants::{
    Cached, Foyer, Hashers, Kind, Larder, Learning, LruInMutex, MiniMoka, Moka, Numbers, OnePerThread,
    QuickCache, RwLocked, SieveCache, TextLru, Texts, TinyUfo, annotated as by,
};
use crate::measure::{Effort, Entrant, Round, compete, together};
use crate::table::{Column, Group, Unit};

/// Operations of a round in rows without misses, over all threads together.
const HITS: u64 = 1 << 20;

/// One entrant for each crate's cache of numbers, larder first.
macro_rules! caches {
    ($entrant:ident, $($argument:expr),*) => {
        vec![
            $entrant::<Larder>($($argument),*),
            $entrant::<QuickCache>($($argument),*),
            $entrant::<TinyUfo>($($argument),*),
            $entrant::<Moka>($($argument),*),
            $entrant::<MiniMoka>($($argument),*),
            $entrant::<Foyer>($($argument),*),
            $entrant::<Cached>($($argument),*),
            $entrant::<SieveCache>($($argument),*),
            $entrant::<LruInMutex>($($argument),*),
        ]
    };
}

/// The same, and what is no cache.
macro_rules! caches_and_limits {
    ($entrant:ident, $($argument:expr),*) => {{
        let mut entrants = caches!($entrant, $($argument),*);
        entrants.push($entrant::<RwLocked>($($argument),*));
        entrants.push($entrant::<OnePerThread>($($argument),*));
        entrants
    }};
}

/// Every key is present; one thread asks.
pub fn hit(effort: Effort) -> Group {
    let column = |resident: u64, title: &str| {
        let mut entrants = caches_and_limits!(present, resident, 1, effort);
        entrants.push(present::<Learning>(resident, 1, effort));
        Column { title: title.to_owned(), threads: 1, scores: compete(entrants, effort) }
    };
    Group {
        name: "hit",
        title: "Hit, u64 -> u64, 1 thread".to_owned(),
        unit: Unit::Nanoseconds,
        columns: vec![column(1 << 10, "1,024 resident"), column(1 << 18, "262,144 resident")],
    }
}

/// Every key is present; several threads ask for the same 1,024.
pub fn threads(effort: Effort) -> Group {
    let column = |threads: usize| Column {
        title: plural(threads),
        threads,
        scores: compete(caches_and_limits!(present, 1 << 10, threads, effort), effort),
    };
    Group {
        name: "threads",
        title: "Hits only, 1,024 keys, u64 -> u64".to_owned(),
        unit: Unit::MillionsASecond,
        columns: [1, 2, 4, 8].map(column).into(),
    }
}

fn present<C: Numbers>(resident: u64, threads: usize, effort: Effort) -> Entrant {
    // More than the keys: no contestant may evict, however it splits its capacity over shards.
    let cache = C::with_capacity(4 * resident as usize);
    (0..resident).for_each(|key| cache.insert(key, key));
    cache.settle();
    let operations = HITS / threads as u64 / effort.divisor;
    let round = move || {
        cache.settle();
        let (took, _) = together(threads, |_| {
            repeat(operations, resident, |key| cache.get(key).expect("every key is resident"));
        });
        Round { took, operations: operations * threads as u64, hit_rate: None }
    };
    Entrant { name: C::NAME, kind: C::KIND, round: Box::new(round), allocations: None }
}

/// Asks for each of `keys` keys in turn, far from in order: a store that keeps entries as they came must not gain from
/// being asked in that order. `keys` is a power of two.
fn repeat(operations: u64, keys: u64, ask: impl Fn(u64) -> u64) {
    /// Odd, so that it meets every key once before it comes round.
    const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
    let sum = (0..operations)
        .map(|n| ask(black_box(n.wrapping_mul(STRIDE) & (keys - 1))))
        .fold(0, u64::wrapping_add);
    black_box(sum);
}

/// Every key is present, asked for through an annotated function.
pub fn annotated(effort: Effort) -> Group {
    const KEYS: u64 = 1 << 10;
    fn entrant(
        name: &'static str,
        kind: Kind,
        effort: Effort,
        call: impl Fn(u64) -> u64 + Sync + 'static,
    ) -> Entrant {
        let operations = HITS / effort.divisor;
        (0..KEYS)
            .for_each(|key| assert_eq!(call(key), key.wrapping_mul(3), "{name} computes something else"));
        let round = move || {
            let (took, _) = together(1, |_| repeat(operations, KEYS, &call));
            Round { took, operations, hit_rate: None }
        };
        Entrant { name, kind, round: Box::new(round), allocations: None }
    }
    let mut entrants = vec![
        entrant("larder #[cached]", Kind::Ours, effort, by::by_larder),
        entrant("cached #[cached]", Kind::Rival, effort, by::by_cached),
        entrant("cached #[concurrent_cached]", Kind::Rival, effort, by::by_concurrent_cached),
        entrant("memoize, shared", Kind::Rival, effort, by::by_memoize_shared),
        // Its default: nothing is shared between threads.
        entrant("memoize, a map for each thread", Kind::Limit, effort, by::by_memoize),
    ];
    // What the macro adds shows against the cache alone, in the same rounds.
    entrants.push(Entrant {
        kind: Kind::Beside,
        name: "larder Cache::get",
        ..present::<Larder>(KEYS, 1, effort)
    });
    Group {
        name: "annotated",
        title: "Hit through an attribute macro, `fn(u64) -> u64`, 1,024 resident, 1 thread".to_owned(),
        unit: Unit::Nanoseconds,
        columns: vec![Column { title: "hit".to_owned(), threads: 1, scores: compete(entrants, effort) }],
    }
}

/// Every key is present, and each is a borrowed name with a number.
pub fn pair(effort: Effort) -> Group {
    const KEYS: u64 = 1 << 10;
    const NAME: &str = "a name of some length";

    fn entrant(
        name: &'static str,
        kind: Kind,
        effort: Effort,
        ask: impl Fn(&str, u32) -> Arc<str> + Sync + 'static,
    ) -> Entrant {
        let operations = HITS / 2 / effort.divisor;
        let hit = move |key: u64| ask(black_box(NAME), key as u32).len() as u64;
        // A thread's first calls may set something up; they are not what a hit allocates.
        repeat(KEYS, KEYS, &hit);
        let ((), blocks) = allocations::counted(|| repeat(KEYS, KEYS, &hit));
        let round = move || {
            let (took, _) = together(1, |_| repeat(operations, KEYS, &hit));
            Round { took, operations, hit_rate: None }
        };
        Entrant { name, kind, round: Box::new(round), allocations: Some(blocks as f64 / KEYS as f64) }
    }
    fn cache<C: Texts>(effort: Effort) -> Entrant {
        let cache = C::with_capacity(4 * KEYS as usize);
        for id in 0..KEYS as u32 {
            cache.insert(NAME, id, Arc::from(format!("{NAME}-{id}")));
        }
        entrant(C::NAME, C::KIND, effort, move |name, id| cache.get(name, id).expect("every key is resident"))
    }

    fn macro_entrant(
        name: &'static str,
        kind: Kind,
        effort: Effort,
        call: impl Fn(&str, u32) -> Arc<str> + Sync + 'static,
    ) -> Entrant {
        (0..KEYS as u32).for_each(|id| drop(call(NAME, id)));
        entrant(name, kind, effort, call)
    }

    type Key = (String, u32);
    let mut entrants = vec![
        cache::<larder::Cache<Key, Arc<str>>>(effort),
        cache::<quick_cache::sync::Cache<Key, Arc<str>, quick_cache::UnitWeighter, Hashers>>(effort),
        cache::<tinyufo::TinyUfo<Key, Arc<str>>>(effort),
        cache::<moka::sync::Cache<Key, Arc<str>, Hashers>>(effort),
        cache::<foyer_memory::Cache<Key, Arc<str>, Hashers>>(effort),
        cache::<cached::stores::ShardedLruCache<Key, Arc<str>, Hashers>>(effort),
        cache::<TextLru>(effort),
    ];
    // The first line is the cache itself; its macro's stands beside those of the others.
    entrants.push(macro_entrant("larder #[cached]", Kind::Beside, effort, by::text_by_larder));
    entrants.push(macro_entrant("cached #[cached]", Kind::Rival, effort, by::text_by_cached));
    let memoize = |name: &str, id| by::text_by_memoize(name.to_owned(), id);
    entrants.push(macro_entrant("memoize, shared", Kind::Rival, effort, memoize));
    Group {
        name: "pair",
        title: "Hit, (&str, u32) -> Arc<str>, 1,024 resident, 1 thread".to_owned(),
        unit: Unit::Nanoseconds,
        columns: vec![Column { title: "hit".to_owned(), threads: 1, scores: compete(entrants, effort) }],
    }
}

/// A million keys, a tenth of which fit.
pub fn compute(skew: f64, effort: Effort) -> Group {
    const KEYS: usize = 1_000_000;
    /// Of a round, over all threads together. Not divided by the effort: fewer would not fill the caches.
    const DRAWS: usize = 1_000_000;

    fn entrant<C: Numbers>(threads: usize, draws: Arc<[u64]>) -> Entrant {
        let cache = C::with_capacity(KEYS / 10);
        let mut next_round = 0;
        let round = move || {
            let each = DRAWS / threads;
            let keys = &draws[next_round * DRAWS..][..each * threads];
            next_round += 1;
            let (took, misses) = together(threads, |thread| {
                let mut misses = 0_u64;
                for key in &keys[thread * each..][..each] {
                    black_box(cache.get_or_compute(*key, || {
                        misses += 1;
                        *key
                    }));
                }
                misses
            });
            let hit_rate = 1.0 - misses.iter().sum::<u64>() as f64 / keys.len() as f64;
            Round { took, operations: keys.len() as u64, hit_rate: Some(hit_rate) }
        };
        Entrant { name: C::NAME, kind: C::KIND, round: Box::new(round), allocations: None }
    }
    // A round is long enough for two.
    let effort = Effort { rounds: effort.rounds / 2, ..effort };
    // Each round goes on where the last one ended, for everybody at the same place: keys asked for again and again in
    // the same order would all be resident in the end.
    let draws: Arc<[u64]> = zipf(KEYS, skew, DRAWS * (effort.rounds + 1), 1).into();
    let column = |threads: usize| {
        let scores = compete(caches!(entrant, threads, Arc::clone(&draws)), effort);
        Column { title: plural(threads), threads, scores }
    };
    Group {
        name: if skew < 1.0 { "compute-0.99" } else { "compute-1.2" },
        title: format!("Get or compute, zipf {skew} over 1,000,000 keys, a tenth fit"),
        unit: Unit::MillionsASecond,
        columns: [1, 2, 8].map(column).into(),
    }
}

/// New keys only, into a full cache.
pub fn insert(effort: Effort) -> Group {
    let column = |threads: usize| Column {
        title: plural(threads),
        threads,
        scores: compete(
            caches!(new_keys, threads, effort, |cache, key| Numbers::insert(cache, key, key)),
            effort,
        ),
    };
    Group {
        name: "insert",
        title: "Insert, each evicts, 10,000 fit, u64 -> u64".to_owned(),
        unit: Unit::Nanoseconds,
        columns: [1, 2].map(column).into(),
    }
}

/// New keys only, each computed.
pub fn miss(effort: Effort) -> Group {
    let column = |threads: usize| Column {
        title: plural(threads),
        threads,
        scores: compete(
            caches!(new_keys, threads, effort, |cache, key| {
                black_box(Numbers::get_or_compute(cache, key, || key));
            }),
            effort,
        ),
    };
    Group {
        name: "miss",
        title: "Get or compute, each misses and evicts, 10,000 fit, u64 -> u64".to_owned(),
        unit: Unit::Nanoseconds,
        columns: [1, 2].map(column).into(),
    }
}

fn new_keys<C: Numbers>(threads: usize, effort: Effort, put: fn(&C, u64)) -> Entrant {
    const FIT: u64 = 10_000;
    let cache = C::with_capacity(FIT as usize);
    let each = 200_000 / threads as u64 / effort.divisor;
    let mut next = 0;
    let round = move || {
        let from = next;
        next += each * threads as u64;
        let (took, _): (Duration, Vec<()>) = together(threads, |thread| {
            let from = from + each * thread as u64;
            (from..from + each).for_each(|key| put(&cache, key));
        });
        Round { took, operations: each * threads as u64, hit_rate: None }
    };
    Entrant { name: C::NAME, kind: C::KIND, round: Box::new(round), allocations: None }
}

fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}
