//! Eight caches under one budget: which arrangement computes least again, over loads that change.
//!
//! Everything is counted and nothing is timed, so no figure depends on the machine; placement by hash differs from process
//! to process, and moves figures by about two hundredths. It says nothing of what a look-up costs.

mod peers;

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_benches::split::caches::{Caches, Gdsf, Larder, Without, replay};
use larder_benches::split::loads::{Kind, Load};
use larder_benches::split::search::{For, Table};

use crate::plot::{self, Line, Role};
use peers::{Cliffhanger, Moka, Quick, S3Fifo};

/// Who takes part. The first is what all others are compared with.
const NAMES: [&str; 17] = [
    "larder",
    "larder, without curves",
    "larder, without costs",
    "larder, least recently used",
    "larder's caches, equal split",
    "larder's caches, tuned on the first phase",
    "larder's caches, best static split",
    "larder's caches, best split of each phase",
    "moka, equal split",
    "moka, best static split",
    "quick_cache, equal split",
    "quick_cache, best static split",
    "one moka",
    "one S3-FIFO",
    "one GDSF",
    "Cliffhanger",
    "nothing cached",
];

const EQUAL: usize = 4;
const STATIC: usize = 6;
const ORACLE: usize = 7;
const PEERS: [usize; 2] = [9, 11];
const GDSF: usize = 14;

/// Turns of targets count from this epoch on: before, there is much to learn.
const SETTLED: usize = 25;

/// One load at one budget.
struct Setting {
    kind: Kind,
    percent: u64,
    seed: u64,
    /// What was computed again, in nanoseconds, by [`NAMES`].
    costs: [f64; NAMES.len()],
    /// How often a tenant's target turned round in a hundred epochs: the most of all tenants.
    turns: f64,
}

impl Setting {
    fn against(&self, other: usize) -> f64 {
        self.costs[0] / self.costs[other]
    }

    /// How much of what the best splits of each phase gain on an equal one larder gains.
    fn share(&self) -> f64 {
        (self.costs[EQUAL] - self.costs[0]) / (self.costs[EQUAL] - self.costs[ORACLE])
    }
}

/// Runs everything and prints the tables.
pub fn run(is_quick: bool, jobs: usize, plots: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let (budgets, seeds): (&[u64], u64) = if is_quick { (&[10], 1) } else { (&[5, 10, 25, 50, 100], 3) };
    let more = if is_quick { &[][..] } else { &Kind::MORE };
    let kinds: Vec<Kind> = Kind::ALL.iter().chain(more).copied().collect();
    let work: Vec<(Kind, u64)> =
        (1..=seeds).flat_map(|seed| kinds.iter().map(move |kind| (*kind, seed))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, work.len()) {
            scope.spawn(|| {
                while let Some((kind, seed)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let settings = settings(*kind, *seed, budgets, is_quick);
                    for setting in &settings {
                        let against = [GDSF, EQUAL, STATIC, ORACLE]
                            .map(|other| format!("{:.3}", setting.against(other)));
                        eprintln!(
                            "   {}, seed {seed}, {} %: {} of one GDSF, equal, best static and best splits",
                            kind.name(),
                            setting.percent,
                            against.join(", ")
                        );
                    }
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(settings);
                }
            });
        }
    });
    let mut settings = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    settings.sort_by_key(|setting| {
        let place = kinds.iter().position(|kind| *kind == setting.kind);
        (place, setting.percent, setting.seed)
    });
    print_costs(&settings, &kinds, budgets);
    print_bars(&settings);
    if let Some(folder) = plots {
        plot_budgets(&settings, budgets, folder)?;
        plot_shift(folder)?;
    }
    Ok(())
}

/// The short form leaves out the search for the peers' best splits.
fn settings(kind: Kind, seed: u64, budgets: &[u64], is_quick: bool) -> Vec<Setting> {
    let load = Load::new(kind, seed);
    let own = Table::of_larder(&load);
    let searched = !is_quick;
    let moka = searched.then(|| Table::new(&load, |_, limits| Moka::split(limits)));
    let quick = searched.then(|| Table::new(&load, Quick::split));
    budgets
        .iter()
        .map(|percent| setting(&load, *percent, seed, &own, moka.as_ref(), quick.as_ref()))
        .collect()
}

fn setting(
    load: &Load,
    percent: u64,
    seed: u64,
    own: &Table,
    moka: Option<&Table>,
    quick: Option<&Table>,
) -> Setting {
    let budget = load.footprint() * percent / 100;
    let tenants = load.tenants.len();
    let even = vec![budget / tenants as u64; tenants];
    let phases = load.phases();
    let mut turns = Turns::new(tenants);
    let larder = {
        let mut caches = Larder::shared(load, budget, Without::default());
        let mut note = |epoch: usize, caches: &Larder| {
            if epoch > SETTLED {
                turns.note(&caches.targets());
            }
        };
        let total = replay(load, &mut caches, &mut note).total() as f64;
        if load.kind == Kind::Steady {
            // Once more, so that turns are counted over about a hundred epochs.
            replay(load, &mut caches, |epoch, caches| note(epoch + SETTLED, caches));
        }
        total
    };
    let shared = |without| cost(load, Larder::shared(load, budget, without));
    let split = |limits| cost(load, Larder::split(load, limits));
    let oracle = (0..phases).map(|phase| own.best(budget, For::Phase(phase))).collect();
    let costs = [
        larder,
        shared(Without { curves: true, ..Without::default() }),
        shared(Without { cost: true, ..Without::default() }),
        shared(Without { policy: true, ..Without::default() }),
        split(vec![even.clone()]),
        split(vec![own.best(budget, For::Phase(0))]),
        split(vec![own.best(budget, For::All)]),
        split(oracle),
        cost(load, Moka::split(&even)),
        moka.map_or(f64::NAN, |moka| cost(load, Moka::split(&moka.best(budget, For::All)))),
        cost(load, Quick::split(load, &even)),
        quick.map_or(f64::NAN, |quick| cost(load, Quick::split(load, &quick.best(budget, For::All)))),
        cost(load, Moka::shared(budget)),
        cost(load, S3Fifo::shared(budget)),
        cost(load, Gdsf::new(budget)),
        cost(load, Cliffhanger::new(tenants, budget)),
        cost(load, Nothing),
    ];
    Setting { kind: load.kind, percent, seed, costs, turns: turns.in_a_hundred() }
}

fn cost(load: &Load, mut caches: impl Caches) -> f64 {
    replay(load, &mut caches, |_, _| ()).total() as f64
}

/// Stores nothing.
struct Nothing;

impl Caches for Nothing {
    fn request(&mut self, _load: &Load, _request: (u8, u64)) -> bool {
        false
    }
}

/// Counts how often targets turn round.
struct Turns {
    last: Vec<Option<u64>>,
    directions: Vec<i8>,
    turns: Vec<u32>,
    epochs: u32,
}

impl Turns {
    fn new(tenants: usize) -> Self {
        Self { last: vec![None; tenants], directions: vec![0; tenants], turns: vec![0; tenants], epochs: 0 }
    }

    fn note(&mut self, targets: &[Option<u64>]) {
        self.epochs += 1;
        for (at, target) in targets.iter().enumerate() {
            if let (Some(before), Some(now)) = (self.last[at], *target) {
                // What follows a tenant's holdings by a thousandth is no move.
                let direction = if now > before + before / 1000 {
                    1
                } else if now + before / 1000 < before {
                    -1
                } else {
                    0
                };
                self.turns[at] += u32::from(direction != 0 && direction == -self.directions[at]);
                if direction != 0 {
                    self.directions[at] = direction;
                }
            }
            self.last[at] = *target;
        }
    }

    fn in_a_hundred(&self) -> f64 {
        f64::from(self.turns.iter().copied().max().unwrap_or(0)) * 100.0 / f64::from(self.epochs.max(1))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    // Of nothing it is no number, which is shown as such.
    sum / f64::from(count)
}

fn print_costs(settings: &[Setting], kinds: &[Kind], budgets: &[u64]) {
    let seeds = settings.iter().map(|setting| setting.seed).max().unwrap_or(1);
    let budgets: Vec<String> = budgets.iter().map(|percent| format!("{percent} %")).collect();
    println!("\n### Eight caches under one budget\n");
    println!(
        "Compute time paid again as a multiple of larder's, above 1 where larder computes less: the mean over budgets of {} of all \
         bytes, and {seeds} seeds.\n",
        budgets.join(", ")
    );
    println!("| | {} |", kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" | "));
    println!("|---{}|", "|--:".repeat(kinds.len()));
    for (at, name) in NAMES.iter().enumerate() {
        let cells = kinds.iter().map(|kind| {
            let of = settings.iter().filter(|setting| setting.kind == *kind);
            let mean = mean(of.map(|setting| 1.0 / setting.against(at)));
            if mean.is_nan() { "-".to_owned() } else { format!("{mean:.2}") }
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

fn print_bars(settings: &[Setting]) {
    let judged = || settings.iter().filter(|setting| Kind::ALL.contains(&setting.kind));
    // With room for everything there is nothing to gain by any split.
    let changing = || judged().filter(|setting| setting.kind.is_changing());
    let short = || changing().filter(|setting| setting.percent < 100);
    let peers = |setting: &Setting| {
        PEERS.map(|peer| setting.against(peer)).into_iter().reduce(f64::max).unwrap_or(f64::NAN)
    };
    let steady = || judged().filter(|setting| setting.kind == Kind::Steady);
    let equal = judged().filter(|setting| setting.kind == Kind::Equal).map(|setting| setting.against(EQUAL));
    let worst = judged().map(|setting| setting.against(GDSF)).fold(0.0, f64::max);
    let unseen = || settings.iter().filter(|setting| Kind::MORE.contains(&setting.kind));
    let twins = twins();
    let rows: [(&str, f64, bool, f64); 10] = [
        ("share of the possible gain, changing loads", mean(short().map(Setting::share)), true, 0.8),
        (
            "best static split, changing loads",
            mean(changing().map(|setting| setting.against(STATIC))),
            false,
            1.0,
        ),
        ("best split of each phase", mean(judged().map(|setting| setting.against(ORACLE))), false, 1.15),
        ("best peer with its best static split", mean(judged().map(peers)), false, 0.75),
        ("one GDSF", mean(judged().map(|setting| setting.against(GDSF))), false, 0.93),
        ("one GDSF, the worst setting", worst, false, 1.02),
        ("all equal: the equal split, the worst setting", equal.fold(0.0, f64::max), false, 1.02),
        (
            "turns of a target in 100 epochs, steady",
            steady().map(|s| s.turns).fold(0.0, f64::max),
            false,
            5.0,
        ),
        ("twins: bytes of priority 2.0 over 1.0", twins, true, 1.3),
        ("one GDSF, tides and renewal", mean(unseen().map(|s| s.against(GDSF))), false, 0.93),
    ];
    println!("\n| larder's cost against | measured | bar | |");
    println!("|---|--:|--:|---|");
    for (name, measured, at_least, bar) in rows {
        let holds = if at_least { measured >= bar } else { measured <= bar };
        let sign = if at_least { "≥" } else { "≤" };
        let verdict = if measured.is_nan() {
            "not measured"
        } else if holds {
            "holds"
        } else {
            "missed"
        };
        println!("| {name} | {measured:.3} | {sign} {bar} | {verdict} |");
    }
}

/// What the dearer of two caches holds beside the other, which is asked for the same.
fn twins() -> f64 {
    use larder::testing::ManualClock;
    use larder::{Cache, Domain};
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(8 << 20).clock(clock.clone()).manual().build();
    let cache = |name: &str, priority| {
        let builder = Cache::<u64, ()>::builder(name).weigh(|_, ()| 2000).priority(priority);
        builder.build_in(&domain).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let caches = [cache("dear", 2.0), cache("plain", 1.0)];
    let keys = larder_benches::zipf(20_000, 0.8, 400_000, 5);
    let mut sums = [0; 2];
    for (at, key) in keys.iter().enumerate() {
        for cache in &caches {
            cache.get_or_insert_with(*key, || clock.advance(std::time::Duration::from_millis(1)));
        }
        if (at + 1) % 10_000 == 0 {
            domain.tick();
            if at > 100_000 {
                sums.iter_mut().zip(&caches).for_each(|(sum, cache)| *sum += cache.weight());
            }
        }
    }
    sums[0] as f64 / sums[1] as f64
}

/// Cost against budget, for every contestant.
fn plot_budgets(settings: &[Setting], budgets: &[u64], folder: &Path) -> Result<(), Box<dyn Error>> {
    let nothing = NAMES.len() - 1;
    let lines: Vec<Line> = (0..nothing)
        .map(|at| {
            let value = |percent: &u64| {
                let of = settings
                    .iter()
                    .filter(|setting| setting.percent == *percent && Kind::ALL.contains(&setting.kind));
                100.0 * mean(of.map(|setting| setting.costs[at] / setting.costs[nothing]))
            };
            let role = match at {
                0..4 => Role::Ours,
                ORACLE => Role::Limit,
                _ => Role::Rival,
            };
            Line { name: NAMES[at].to_owned(), role, values: budgets.iter().map(value).collect() }
        })
        .collect();
    let positions: Vec<String> = budgets.iter().map(u64::to_string).collect();
    plot::lines(
        &folder.join("cost-against-budget.svg"),
        "Compute time paid again, mean over the eight loads",
        ("budget, % of all bytes", "% of what is paid without caches"),
        &positions,
        &lines,
    )
}

/// Bytes of each tenant through a phase shift.
fn plot_shift(folder: &Path) -> Result<(), Box<dyn Error>> {
    let load = Load::new(Kind::Shift, 1);
    let mut caches = Larder::shared(&load, load.footprint() / 10, Without::default());
    let mut held: Vec<Vec<u64>> = Vec::new();
    replay(&load, &mut caches, |_, caches| held.push(caches.held()));
    let lines: Vec<Line> = load
        .tenants
        .iter()
        .enumerate()
        .map(|(at, tenant)| Line {
            name: tenant.name.to_owned(),
            role: Role::Rival,
            values: held.iter().map(|held| held[at] as f64 / f64::from(1 << 20)).collect(),
        })
        .collect();
    let positions: Vec<String> = (1..=held.len()).map(|epoch| epoch.to_string()).collect();
    plot::lines(
        &folder.join("bytes-through-a-shift.svg"),
        "Bytes of each cache; what is asked for changes after epoch 30",
        ("epoch of 20,000 look-ups", "MB"),
        &positions,
        &lines,
    )
}
