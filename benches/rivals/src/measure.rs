//! Rounds in which all contestants take turns.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Rounds that count; one more before them warms caches and predictors.
const ROUNDS: usize = 9;

/// One contestant in one workload: its name, and one round of work that returns what it took.
pub struct Entrant {
    pub name: &'static str,
    pub round: Box<dyn FnMut() -> Round>,
}

/// What one round took.
pub struct Round {
    pub took: Duration,
    pub operations: u64,
    /// Share of operations that found their value, where the workload has misses.
    pub hit_rate: Option<f64>,
}

/// The medians of one contestant.
pub struct Score {
    pub name: &'static str,
    pub nanoseconds: f64,
    pub hit_rate: Option<f64>,
}

/// Runs all rounds, every contestant once a round.
pub fn compete(mut entrants: Vec<Entrant>) -> Vec<Score> {
    let mut times: Vec<Vec<f64>> = entrants.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    let mut hit_rates = vec![None; entrants.len()];
    for number in 0..=ROUNDS {
        for (at, entrant) in entrants.iter_mut().enumerate() {
            let Round { took, operations, hit_rate } = (entrant.round)();
            if number > 0 {
                times[at].push(took.as_secs_f64() * 1e9 / operations as f64);
                hit_rates[at] = hit_rate;
            }
        }
    }
    entrants
        .into_iter()
        .zip(times)
        .zip(hit_rates)
        .map(|((entrant, mut times), hit_rate)| {
            times.sort_unstable_by(f64::total_cmp);
            Score { name: entrant.name, nanoseconds: times[times.len() / 2], hit_rate }
        })
        .collect()
}

/// Runs `work` on each of `threads` threads at once and returns the time from the common start to the last end,
/// with what each returned.
pub fn together<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> (Duration, Vec<R>) {
    if threads == 1 {
        let started = Instant::now();
        let result = work(0);
        return (started.elapsed(), vec![result]);
    }
    let (ready, work) = (Barrier::new(threads), &work);
    let spans: Vec<(Instant, Instant, R)> = thread::scope(|scope| {
        let ready = &ready;
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
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
