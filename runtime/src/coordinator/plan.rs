//! Decisions about memory, as plain functions: figures in, decisions out. Nothing here acts.

use crate::pressure::Level;

/// Where memory may grow again: below this fullness.
const ROOM: f64 = 0.70;
/// Below this budget a shortage that neighbours cause does not push the caches.
const LEAST: u64 = 16 << 20;
/// How full memory should be after an emergency.
const TARGET: f64 = 0.80;

/// What a decision about the budget rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) level: Level,
    /// Used over limit, of the process, its container or the host.
    pub(super) fullness: f64,
    /// What fullness is measured against, in bytes.
    pub(super) memory: u64,
    /// The budget's limit and what may be used of it now.
    pub(super) limit: u64,
    pub(super) allowed: u64,
    pub(super) used: u64,
    /// The sum of what tenants may not be made to give.
    pub(super) floors: u64,
}

/// How much of the budget may be used from now on.
///
/// High pressure takes a quarter of the limit, in proportion to how far fullness is above 0.80; an
/// emergency takes what is missing to 0.80. Growth is slow, a fiftieth of the limit at a time, and only
/// while there is clearly room.
pub(super) fn allowance(situation: &Situation) -> u64 {
    let Situation { level, fullness, memory, limit, allowed, used, floors } = *situation;
    let least = floors.max(LEAST).min(limit);
    match level {
        Level::Normal if fullness < ROOM => allowed.saturating_add((limit / 50).max(1)).min(limit),
        Level::Normal => allowed.min(limit),
        Level::High => {
            let share = (0.25 * (fullness - 0.80) / 0.15).clamp(0.05, 0.25);
            let shrunk = (limit as f64 * (1.0 - share)) as u64;
            shrunk.min(allowed).max(least)
        }
        Level::Emergency => {
            let excess = ((fullness - TARGET).max(0.0) * memory as f64) as u64;
            used.saturating_sub(excess).min(allowed).max(least)
        }
    }
}

/// A tenant as far as the next victim is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its place on the domain's list.
    pub(super) at: usize,
    /// What its next victim is worth; infinite without one.
    pub(super) price: f64,
    /// Bytes above its floor.
    pub(super) reclaimable: u64,
    /// It makes room for itself: its floor protects it from others only.
    pub(super) asks: bool,
    /// What would go is not in use: an idle object, and no entry.
    pub(super) idle: bool,
}

/// Whose next victim goes, and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pick {
    pub(super) at: usize,
    /// The next cheapest tenant's price: above it, that one's victims go instead.
    pub(super) runner_up: f64,
}

/// Whose next victim goes: the cheapest of all that may be asked. A tie goes to what is idle, and then to the one that
/// asks, so that others are not disturbed for nothing.
pub(super) fn cheapest(candidates: impl Iterator<Item = Candidate>) -> Option<Pick> {
    let mut best: Option<Candidate> = None;
    let mut runner_up = f64::INFINITY;
    for candidate in candidates {
        if !candidate.price.is_finite() || !(candidate.asks || candidate.reclaimable > 0) {
            continue;
        }
        match best {
            Some(held) if !candidate.goes_before(&held) => runner_up = runner_up.min(candidate.price),
            _ => {
                runner_up = best.map_or(runner_up, |held| runner_up.min(held.price));
                best = Some(candidate);
            }
        }
    }
    best.map(|candidate| Pick { at: candidate.at, runner_up })
}

impl Candidate {
    fn goes_before(&self, other: &Self) -> bool {
        let rank = |candidate: &Self| (!candidate.idle, !candidate.asks);
        self.price < other.price || (self.price == other.price && rank(self) < rank(other))
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn situation(level: Level, fullness: f64) -> Situation {
        Situation {
            level,
            fullness,
            memory: 1000 * MB,
            limit: 400 * MB,
            allowed: 400 * MB,
            used: 390 * MB,
            floors: 0,
        }
    }

    #[test]
    fn high_pressure_shrinks_in_proportion_and_never_by_more_than_a_quarter() {
        let at = |fullness| allowance(&situation(Level::High, fullness));
        assert_eq!(at(0.80), 380 * MB);
        assert!(at(0.90) < at(0.85));
        assert_eq!(at(0.95), 300 * MB);
        assert_eq!(at(5.0), 300 * MB);
    }

    #[test]
    fn an_emergency_takes_what_is_missing_to_four_fifths() {
        assert_eq!(allowance(&situation(Level::Emergency, 0.96)) / MB, 230);
    }

    #[test]
    fn neighbours_never_push_the_budget_below_floors_or_sixteen_megabytes() {
        let full_host = Situation { memory: 100_000 * MB, ..situation(Level::Emergency, 1.0) };
        assert_eq!(allowance(&full_host), 16 * MB);
        assert_eq!(allowance(&Situation { floors: 64 * MB, ..full_host }), 64 * MB);
        assert_eq!(allowance(&Situation { limit: 4 * MB, allowed: 4 * MB, ..full_host }), 4 * MB);
    }

    #[test]
    fn growth_is_slow_and_waits_for_room() {
        let shrunk = Situation { allowed: 200 * MB, ..situation(Level::Normal, 0.72) };
        assert_eq!(allowance(&shrunk), 200 * MB);
        assert_eq!(allowance(&Situation { fullness: 0.5, ..shrunk }), 208 * MB);
        assert_eq!(allowance(&Situation { fullness: 0.5, allowed: 399 * MB, ..shrunk }), 400 * MB);
    }

    #[test]
    fn the_cheapest_goes_floors_hold_and_a_tie_goes_to_the_asker() {
        let candidate =
            |at, price, reclaimable, asks| Candidate { at, price, reclaimable, asks, idle: false };
        let pick = |all: &[Candidate]| cheapest(all.iter().copied()).map(|pick| pick.at);
        assert_eq!(pick(&[candidate(0, 5.0, 1, false), candidate(1, 3.0, 1, false)]), Some(1));
        assert_eq!(pick(&[candidate(0, 5.0, 1, false), candidate(1, 3.0, 0, false)]), Some(0));
        assert_eq!(pick(&[candidate(0, 5.0, 0, true)]), Some(0));
        assert_eq!(pick(&[candidate(0, 5.0, 9, false), candidate(1, 5.0, 0, true)]), Some(1));
        let idle = |at, price| Candidate { idle: true, ..candidate(at, price, 1, false) };
        assert_eq!(pick(&[candidate(0, 5.0, 9, true), idle(1, 5.0)]), Some(1));
        assert_eq!(pick(&[candidate(0, 4.0, 9, false), idle(1, 5.0)]), Some(0));
        assert_eq!(pick(&[candidate(0, f64::INFINITY, 9, true)]), None);
        assert_eq!(pick(&[]), None);
    }

    #[test]
    fn the_runner_up_is_the_cheapest_of_the_others() {
        let candidate = |at, price| Candidate { at, price, reclaimable: 1, asks: false, idle: false };
        let pick =
            |prices: &[f64]| cheapest(prices.iter().enumerate().map(|(at, price)| candidate(at, *price)));
        assert_eq!(pick(&[5.0, 3.0, 4.0]), Some(Pick { at: 1, runner_up: 4.0 }));
        assert_eq!(pick(&[3.0, 5.0, 4.0]), Some(Pick { at: 0, runner_up: 4.0 }));
        assert_eq!(pick(&[3.0, 3.0]), Some(Pick { at: 0, runner_up: 3.0 }));
        assert_eq!(pick(&[3.0, f64::INFINITY]), Some(Pick { at: 0, runner_up: f64::INFINITY }));
    }
}
