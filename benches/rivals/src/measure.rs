//! Rounds in which all contestants take turns.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::contestants::Kind;

/// How much to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Rounds that count; one more before them warms caches and predictors.
    pub rounds: usize,
    /// Operations of a round are divided by this.
    pub divisor: u64,
}

impl Effort {
    pub const FULL: Self = Self { rounds: 21, divisor: 1 };
    pub const QUICK: Self = Self { rounds: 7, divisor: 4 };
}

/// One contestant in one workload: its name, and one round of work that returns what it took.
pub struct Entrant {
    pub name: &'static str,
    pub kind: Kind,
    pub round: Box<dyn FnMut() -> Round>,
    /// Blocks allocated for one operation, where the workload counts them.
    pub allocations: Option<f64>,
}

/// What one round took.
pub struct Round {
    pub took: Duration,
    pub operations: u64,
    /// Share of operations that found their value, where the workload has misses.
    pub hit_rate: Option<f64>,
}

/// One contestant over all rounds.
pub struct Score {
    pub name: &'static str,
    pub kind: Kind,
    /// The median time of an operation, in nanoseconds, over all threads together.
    pub nanoseconds: f64,
    /// The median over the rounds of this contestant's time divided by larder's in the same round: what slows the
    /// machine down for a while slows both.
    pub ratio: f64,
    pub hit_rate: Option<f64>,
    pub allocations: Option<f64>,
}

/// Runs all rounds, every contestant once a round. The first entrant is what the others are divided by.
pub fn compete(mut entrants: Vec<Entrant>, effort: Effort) -> Vec<Score> {
    let mut times: Vec<Vec<f64>> = entrants.iter().map(|_| Vec::with_capacity(effort.rounds)).collect();
    let mut hit_rates = vec![None; entrants.len()];
    for number in 0..=effort.rounds {
        for (at, entrant) in entrants.iter_mut().enumerate() {
            let Round { took, operations, hit_rate } = (entrant.round)();
            if number > 0 {
                times[at].push(took.as_secs_f64() * 1e9 / operations as f64);
                hit_rates[at] = hit_rate;
            }
        }
    }
    let score = |(at, entrant): (usize, Entrant)| Score {
        name: entrant.name,
        kind: entrant.kind,
        nanoseconds: median(times[at].clone()),
        ratio: median(times[at].iter().zip(&times[0]).map(|(theirs, ours)| theirs / ours).collect()),
        hit_rate: hit_rates[at],
        allocations: entrant.allocations,
    };
    entrants.into_iter().enumerate().map(score).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `work` on each of `threads` threads at once and returns the time from the common start to the last end,
/// with what each returned. Where there is a core for each thread, each stays on its own.
///
/// One thread alone waits for nobody: its time is the time that it was on a core.
pub fn together<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> (Duration, Vec<R>) {
    if threads == 1 {
        let started = own_time();
        let result = work(0);
        return (own_time().saturating_sub(started), vec![result]);
    }
    let cores = cores_for(threads);
    let (ready, work, cores) = (Barrier::new(threads), &work, &cores);
    let spans: Vec<(Instant, Instant, R)> = thread::scope(|scope| {
        let ready = &ready;
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    if let Some(core) = cores.get(thread) {
                        core_affinity::set_for_current(*core);
                    }
                    ready.wait();
                    let started = Instant::now();
                    let result = work(thread);
                    (started, Instant::now(), result)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a contestant panicked")).collect()
    });
    let first = spans.iter().map(|span| span.0).min().expect("at least one thread ran");
    let last = spans.iter().map(|span| span.1).max().expect("at least one thread ran");
    (last - first, spans.into_iter().map(|span| span.2).collect())
}

/// How long this thread has been on a core.
#[cfg(target_os = "linux")]
pub fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Elsewhere the wall's clock stands in for it.
#[cfg(not(target_os = "linux"))]
pub fn own_time() -> Duration {
    use std::sync::OnceLock;
    static STARTED: OnceLock<Instant> = OnceLock::new();
    STARTED.get_or_init(Instant::now).elapsed()
}

/// A core for each of so many threads; none at all if there are too few, because the system shares them better.
fn cores_for(threads: usize) -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().filter(|cores| cores.len() >= threads).unwrap_or_default()
}
