//! Five functions that do real work, under one number of bytes, on real threads: which arrangement spends least time in
//! bodies, and what resident memory says to it.
//!
//! Each contestant runs in a process of its own, so that nobody inherits another's memory. The time of a body is the time that
//! its thread was on a core; what else the machine does moves it by hundredths, through caches and clocks. It says little of
//! what a look-up costs, which is a thousandth of a body here.

mod bodies;
mod contestants;
mod load;
mod process;
mod search;

use std::error::Error;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::measure::own_time;
use contestants::Contestant;
use load::{Facts, Kind, Load};

/// Budgets, in hundredths of what all values take.
const BUDGETS: [u64; 2] = [10, 25];
const THREADS: usize = 2;
/// Requests that a thread takes at a time.
const CHUNK: usize = 64;
/// The coordinator may take this part of the time of the process.
const BAR: f64 = 0.005;

/// What one contestant is to do.
struct Task {
    contestant: Contestant,
    kind: Kind,
    requests: usize,
    budget: u64,
    best: Vec<u64>,
}

impl Task {
    fn to_text(&self) -> String {
        let best: Vec<String> = self.best.iter().map(u64::to_string).collect();
        let of = |all: &[Contestant]| all.iter().position(|one| *one == self.contestant).unwrap_or(0);
        let kind = usize::from(self.kind == Kind::Shift);
        format!("{}:{kind}:{}:{}:{}", of(&Contestant::ALL), self.requests, self.budget, best.join(","))
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let contestant = *Contestant::ALL.get(parts.next()?.parse::<usize>().ok()?)?;
        let kind = *Kind::ALL.get(parts.next()?.parse::<usize>().ok()?)?;
        let (requests, budget) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let best: Option<Vec<u64>> = parts.next()?.split(',').map(|bytes| bytes.parse().ok()).collect();
        Some(Self { contestant, kind, requests, budget, best: best? })
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outcome {
    /// Seconds in bodies after the first part.
    bodies: f64,
    /// How many were run then.
    computed: u64,
    /// Seconds of the whole process on a core, and on the wall.
    process: f64,
    wall: f64,
    /// Megabytes in memory: the mean after the first part, and the most, above what there was before the first request.
    resident: f64,
    peak: f64,
    /// Seconds of the coordinator's thread.
    coordinator: f64,
}

impl Outcome {
    fn to_text(self) -> String {
        let Self { bodies, computed, process, wall, resident, peak, coordinator } = self;
        format!("outcome {bodies} {computed} {process} {wall} {resident} {peak} {coordinator}")
    }

    fn from_text(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("outcome ")?.split(' ');
        let mut next = || parts.next()?.parse::<f64>().ok();
        Some(Self {
            bodies: next()?,
            computed: next()? as u64,
            process: next()?,
            wall: next()?,
            resident: next()?,
            peak: next()?,
            coordinator: next()?,
        })
    }
}

/// Runs everybody, each in a process of its own, and prints the tables.
pub fn run(is_quick: bool) -> Result<(), Box<dyn Error>> {
    let requests = if is_quick { 200_000 } else { 800_000 };
    println!("\n### Five functions that do real work\n");
    let facts = Facts::new();
    facts.print();
    let footprint = facts.footprint();
    println!(
        "\n{requests} requests from {THREADS} threads, of which the first sixth is not counted; all values together take {:.0} MB.",
        footprint as f64 / f64::from(1 << 20)
    );
    let mut shares = Vec::new();
    for kind in Kind::ALL {
        let load = Load::new(kind, requests);
        let table = search::table(&load, &facts);
        drop(load);
        for percent in BUDGETS {
            let budget = footprint * percent / 100;
            let best = search::best(&table, budget);
            let mut outcomes = Vec::new();
            for contestant in Contestant::ALL {
                eprintln!("   {}, {percent} %, {}", kind.name(), contestant.name());
                let task = Task { contestant, kind, requests, budget, best: best.clone() };
                outcomes.push(in_a_process(&task)?);
            }
            print(kind, percent, budget, &outcomes);
            shares.push(outcomes[0].coordinator / outcomes[0].process);
        }
    }
    let most = shares.into_iter().fold(0.0, f64::max);
    let verdict = if most < BAR { "holds" } else { "missed" };
    println!(
        "\nThe coordinator's thread took {:.3} % of the process's time at the most; the bar is 0.5 %: {verdict}.",
        100.0 * most
    );
    Ok(())
}

fn in_a_process(task: &Task) -> Result<Outcome, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).args(["--child", &task.to_text()]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let outcome = told.lines().find_map(Outcome::from_text).filter(|_| output.status.success());
    for line in told.lines().filter_map(|line| line.strip_prefix("report ")) {
        eprintln!("      {line}");
    }
    outcome.ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{}: {}\n{told}\n{errors}", task.contestant.name(), output.status).into()
    })
}

/// What a process does that was started for one contestant.
pub fn child(text: &str) -> Result<(), Box<dyn Error>> {
    let task = Task::from_text(text).ok_or_else(|| format!("no task: {text}"))?;
    let load = Load::new(task.kind, task.requests);
    let outcome = replay(&task, &load);
    println!("{}", outcome.to_text());
    Ok(())
}

fn replay(task: &Task, load: &Load) -> Outcome {
    let before = process::resident().unwrap_or(0);
    let (started, wall) = (process::time(), Instant::now());
    let caches = task.contestant.build(task.budget, &task.best);
    let (next, in_bodies, computed) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let sizes = Mutex::new(Vec::new());
    let work = || {
        let (mut spent, mut bodies, mut used) = (Duration::ZERO, 0, 0_u64);
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            let Some(chunk) = load.requests.get(from..).filter(|rest| !rest.is_empty()) else { break };
            for request in &chunk[..chunk.len().min(CHUNK)] {
                let took = std::cell::Cell::new(None);
                let body = || {
                    let started = own_time();
                    let value = (bodies::FUNCTIONS[usize::from(request.0)].body)(request.1.into());
                    took.set(Some(own_time().saturating_sub(started)));
                    value
                };
                used = used.wrapping_add(caches.get(*request, &body).use_it());
                if let Some(took) = took.get().filter(|_| from >= load.warm) {
                    spent += took;
                    bodies += 1;
                }
            }
            if from % (CHUNK * 64) == 0 && from >= load.warm {
                let size = process::resident().unwrap_or(0).saturating_sub(before);
                sizes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(size);
            }
        }
        std::hint::black_box(used);
        in_bodies.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        computed.fetch_add(bodies, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let sizes = sizes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let megabytes = |bytes: f64| bytes / f64::from(1 << 20);
    let outcome = Outcome {
        bodies: in_bodies.into_inner() as f64 / 1e9,
        computed: computed.into_inner(),
        process: process::time().saturating_sub(started).as_secs_f64(),
        wall: wall.elapsed().as_secs_f64(),
        resident: megabytes(sizes.iter().sum::<u64>() as f64 / sizes.len().max(1) as f64),
        peak: megabytes(sizes.iter().copied().max().unwrap_or(0) as f64),
        coordinator: process::time_of("larder").unwrap_or(Duration::ZERO).as_secs_f64(),
    };
    println!("report {}", caches.report());
    outcome
}

fn print(kind: Kind, percent: u64, budget: u64, outcomes: &[Outcome]) {
    println!(
        "\n**{}, {percent} % of all bytes: {:.1} MB**\n",
        kind.name(),
        budget as f64 / f64::from(1 << 20)
    );
    println!(
        "| | CPU in bodies, s | of larder's | computed | process CPU, s | wall, s | resident, MB | most | coordinator |"
    );
    println!("|---{}|", "|--:".repeat(8));
    for (contestant, outcome) in Contestant::ALL.iter().zip(outcomes) {
        let coordinator = if *contestant == Contestant::Larder {
            format!("{:.3} %", 100.0 * outcome.coordinator / outcome.process)
        } else {
            "-".to_owned()
        };
        println!(
            "| {} | {:.2} | {:.3} | {} | {:.2} | {:.1} | {:.1} | {:.1} | {coordinator} |",
            contestant.name(),
            outcome.bodies,
            outcome.bodies / outcomes[0].bodies,
            outcome.computed,
            outcome.process,
            outcome.wall,
            outcome.resident,
            outcome.peak
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(contestant: Contestant) -> Task {
        Task { contestant, kind: Kind::Shift, requests: 3_000, budget: 4 << 20, best: vec![1, 2, 3, 4, 5] }
    }

    #[test]
    fn tasks_and_outcomes_come_through() {
        let told = Task::from_text(&task(Contestant::OneMoka).to_text()).unwrap();
        assert_eq!((told.contestant, told.kind, told.requests), (Contestant::OneMoka, Kind::Shift, 3_000));
        assert_eq!((told.budget, told.best), (4 << 20, vec![1, 2, 3, 4, 5]));
        assert!(Task::from_text("7:0:1:1:1").is_none());
        let outcome =
            Outcome { bodies: 1.5, computed: 7, process: 2.0, coordinator: 0.25, ..Outcome::default() };
        assert_eq!(Outcome::from_text(&outcome.to_text()), Some(outcome));
    }

    #[test]
    fn what_is_asked_is_computed_and_counted() {
        let task = task(Contestant::Larder);
        let load = Load::new(task.kind, task.requests);
        let outcome = replay(&task, &load);
        assert!(outcome.computed > 100 && outcome.computed < 2_500, "{outcome:?}");
        assert!(outcome.bodies > 0.0 && outcome.process >= outcome.bodies, "{outcome:?}");
    }
}
