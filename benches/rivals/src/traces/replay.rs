//! One trace through every cache at every capacity.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use larder::Policy;

use super::{Trace, reference};
use crate::contestants::{
    FoyerLfu, FoyerS3Fifo, Larder, MiniMoka, Moka, Numbers, QuickCache, SieveCache, TinyUfo,
};

/// Who replays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Larder(Policy),
    Rival(&'static str),
    /// An exact LRU: a rival too, and the line that others are measured from.
    Lru,
    /// Whoever knows the future.
    Optimum,
}

impl Who {
    pub fn name(self) -> String {
        match self {
            Self::Larder(policy) => format!("larder {policy}"),
            Self::Rival(name) => name.to_owned(),
            Self::Lru => "exact LRU".to_owned(),
            Self::Optimum => "optimum".to_owned(),
        }
    }

    pub fn is_rival(self) -> bool {
        matches!(self, Self::Rival(_) | Self::Lru)
    }
}

/// What one cache did with a trace at one capacity.
pub struct Outcome {
    pub who: Who,
    pub hits: u64,
    /// Most entries above its capacity that it held at any time; `None` if it cannot tell.
    pub excess: Option<u64>,
}

/// A trace at one capacity.
pub struct Cell {
    /// The capacity as a share of the distinct keys; `None` where it was chosen for itself.
    pub share: Option<f64>,
    pub capacity: usize,
    pub outcomes: Vec<Outcome>,
}

/// A trace at all capacities.
pub struct Replayed {
    pub trace: String,
    pub is_recorded: bool,
    pub accesses: u64,
    pub distinct: usize,
    pub cells: Vec<Cell>,
}

/// Cells that the literature quotes, by trace.
const QUOTED: [(&str, usize); 3] = [("lirs-loop", 512), ("arc-oltp", 1000), ("arc-oltp", 1868)];

/// Replays a trace at a capacity: hits, and the most entries above it.
type Replay = Box<dyn Fn(&Trace, usize) -> (u64, Option<u64>) + Sync>;

/// Everybody who is not computed from the trace alone.
fn caches() -> Vec<(Who, Replay)> {
    fn rival<C: Numbers>() -> (Who, Replay) {
        (
            Who::Rival(C::NAME),
            Box::new(|trace, capacity| through(&C::in_one_piece(capacity), trace, capacity)),
        )
    }
    fn ours(policy: Policy) -> (Who, Replay) {
        let make = move |capacity| Larder::with_policy(policy, capacity);
        (Who::Larder(policy), Box::new(move |trace, capacity| through(&make(capacity), trace, capacity)))
    }
    let mut caches: Vec<(Who, Replay)> = Policy::ALL.into_iter().map(ours).collect();
    caches.extend([
        rival::<QuickCache>(),
        rival::<FoyerLfu>(),
        rival::<FoyerS3Fifo>(),
        rival::<Moka>(),
        rival::<MiniMoka>(),
        rival::<TinyUfo>(),
        rival::<SieveCache>(),
    ]);
    caches
}

/// Replays a trace at its capacities, `jobs` replays at a time.
pub fn everybody(trace: &Trace, jobs: usize) -> Replayed {
    let mut sizes: Vec<(Option<f64>, usize)> =
        trace.capacities().into_iter().map(|(share, capacity)| (Some(share), capacity)).collect();
    sizes
        .extend(QUOTED.iter().filter(|(name, _)| *name == trace.name).map(|(_, capacity)| (None, *capacity)));
    let capacities: Vec<usize> = sizes.iter().map(|(_, capacity)| *capacity).collect();

    let caches = caches();
    let mut tasks: Vec<(usize, Option<usize>)> = Vec::new();
    for cell in 0..sizes.len() {
        tasks.extend((0..caches.len()).map(|cache| (cell, Some(cache))));
        tasks.push((cell, None));
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(tasks.len())));
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(&(cell, cache)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let capacity = capacities[cell];
                    let outcome = match cache {
                        Some(cache) => {
                            let (who, replay) = &caches[cache];
                            let (hits, excess) = replay(trace, capacity);
                            Outcome { who: *who, hits, excess }
                        }
                        None => {
                            let hits = reference::best_hits(trace, capacity);
                            Outcome { who: Who::Optimum, hits, excess: Some(0) }
                        }
                    };
                    done.lock().expect("no replay panics").push((cell, cache.unwrap_or(usize::MAX), outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no replay panics");
    // Replays end in any order.
    done.sort_by_key(|(cell, cache, _)| (*cell, *cache));

    let lru = reference::lru_hits(trace, &capacities);
    let mut cells: Vec<Cell> =
        sizes.into_iter().map(|(share, capacity)| Cell { share, capacity, outcomes: Vec::new() }).collect();
    for (cell, _, outcome) in done {
        if outcome.who == Who::Optimum {
            cells[cell].outcomes.push(Outcome { who: Who::Lru, hits: lru[cell], excess: Some(0) });
        }
        cells[cell].outcomes.push(outcome);
    }
    Replayed {
        trace: trace.name.clone(),
        is_recorded: trace.is_recorded,
        accesses: trace.keys.len() as u64,
        distinct: trace.distinct,
        cells,
    }
}

/// Hits, and the most entries above the capacity.
fn through<C: Numbers>(cache: &C, trace: &Trace, capacity: usize) -> (u64, Option<u64>) {
    // A cache that works in batches learns of hits in batches too: settled after every access it admits worse than any
    // of its users would see. Settled this often, what waits is a hundredth of the capacity and no more.
    let period = (capacity / 100).clamp(1, 64);
    let (mut hits, mut most, mut unsettled) = (0, 0, 0);
    for (number, key) in trace.keys.iter().enumerate() {
        if cache.get(*key).is_some() {
            hits += 1;
        } else {
            cache.insert(*key, *key);
            unsettled += u64::from(C::DEFERS);
            most = most.max(cache.resident().unwrap_or(0) + unsettled);
        }
        if number % period == 0 {
            cache.settle();
            unsettled = 0;
        }
    }
    (hits, cache.resident().map(|_| most.saturating_sub(capacity as u64)))
}
