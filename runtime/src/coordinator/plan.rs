//! Decisions about memory, as plain functions: figures in, decisions out. Nothing here acts.

use std::time::Duration;

use crate::arrange::sort_by;
use crate::pressure::{Level, MemorySample};

/// Where memory may grow again: below this fullness.
const ROOM: f64 = 0.70;
/// Below this budget a shortage that neighbours cause does not push the caches.
const LEAST: u64 = 16 << 20;
/// High pressure takes more for as long as memory is fuller than this.
const STUBBORN: f64 = 0.85;
/// How full memory should be after an emergency.
const TARGET: f64 = 0.80;

/// As fast as this, in bytes a second, memory is thought to fill while nobody looks.
const RUSH: u64 = 64 << 20;

/// How long until memory is looked at again: sooner the fuller it is, and soon enough that it is not full by then if it fills
/// in a rush. Never sooner than a second because of what it may be, and never later than the interval.
pub(super) fn pause(sample: Option<MemorySample>, high: f64, interval: Duration) -> Duration {
    const SECOND: Duration = Duration::from_secs(1);
    let Some(sample) = sample.filter(|sample| sample.limit > 0) else { return interval };
    let by_level = match sample.fullness() {
        f if f < 0.60 => interval,
        f if f < 0.80 => 5 * SECOND,
        _ => SECOND,
    };
    let room = ((sample.limit as f64 * high) as u64).saturating_sub(sample.used);
    let by_room = Duration::from_millis(room.saturating_mul(1000) / RUSH).max(SECOND);
    by_level.min(by_room).min(interval)
}

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
    /// Memory gets fuller, and not because of the caches.
    pub(super) rising: bool,
    /// Evicting makes memory less full: what is freed goes back to the system.
    pub(super) helps: bool,
}

/// How much of the budget may be used from now on.
///
/// High pressure takes a quarter of the limit, in proportion to how far fullness is above 0.80, and a twentieth more at each
/// look while memory stays above 0.85; an
/// emergency takes what is missing to 0.80. One that goes on takes more only if that helps: where what was freed stays with
/// the allocator, and memory does not get fuller, evicting the rest would change nothing. Growth is slow, a fiftieth of the
/// limit at a time, and only while there is clearly room, and memory does not get fuller by itself.
pub(super) fn allowance(situation: &Situation) -> u64 {
    let Situation { level, fullness, memory, limit, allowed, used, floors, rising, helps } = *situation;
    let least = floors.max(LEAST).min(limit);
    match level {
        Level::Normal if fullness < ROOM && !rising => allowed.saturating_add((limit / 50).max(1)).min(limit),
        Level::Normal => allowed.min(limit),
        Level::High => {
            let share = (0.25 * (fullness - 0.80) / 0.15).clamp(0.05, 0.25);
            let shrunk = (limit as f64 * (1.0 - share)) as u64;
            // That was taken, and memory is no less full.
            let goes_on = fullness >= STUBBORN && allowed <= shrunk && (helps || rising);
            let shrunk = if goes_on { allowed.saturating_sub((limit / 20).max(1)) } else { shrunk };
            shrunk.min(allowed).max(least)
        }
        Level::Emergency if !helps && !rising => allowed.min(limit).max(least),
        Level::Emergency => {
            let excess = ((fullness - TARGET).max(0.0) * memory as f64) as u64;
            used.saturating_sub(excess).min(allowed).max(least)
        }
    }
}

/// A tenant as far as an emergency is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// Its place on the caller's list.
    pub(super) at: usize,
    /// What each of its bytes saves in a second, times priority.
    pub(super) earns: f64,
    /// What its next victim is worth.
    pub(super) price: f64,
    /// Its namespace holds no more than its share.
    pub(super) within_share: bool,
}

/// In which order tenants give all they can: those whose bytes save least go first, and go whole, because allocators return
/// what is freed together and keep what is thinned out.
pub(super) fn departures(mut holders: Vec<Holder>) -> impl Iterator<Item = usize> {
    sort_by(&mut holders, |a, b| {
        let earnings = a.earns.total_cmp(&b.earns);
        a.within_share.cmp(&b.within_share).then(earnings).then(a.price.total_cmp(&b.price))
    });
    holders.into_iter().map(|holder| holder.at)
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
    /// What it holds beside what the plan gives it.
    pub(super) against: Against,
    /// Bytes that its namespace holds beyond its share; [`u64::MAX`] where nothing is promised.
    pub(super) lent: u64,
    /// It makes room for itself: its floor protects it from others only.
    pub(super) asks: bool,
    /// What would go is not in use: an idle object, and no entry.
    pub(super) idle: bool,
}

/// Whose next victim goes, and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pick {
    pub(super) at: usize,
    /// Up to this price its victims go: above it, those of the next cheapest tenant do.
    pub(super) upto: f64,
    /// No more than so many bytes: what is beyond them was promised to it.
    pub(super) most: u64,
    /// What the level of inflation rises to at the most: where a tenant gives what others would not, that is not the level
    /// that eviction has reached.
    pub(super) level: f64,
}

/// What a tenant holds beside its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// So many bytes more than the target and what it may be off by.
    Above(u64),
    /// About as much, or there is no target: price decides.
    Near,
    /// Less than the target and what it may be off by.
    Below,
}

/// So much may holdings be off from their targets before these decide who gives, in parts of 256: within, prices do.
const SLACK: u64 = 16;

impl Against {
    /// A target of [`u64::MAX`] is none; one that is `open` bounds nobody.
    pub(super) fn of(held: u64, target: u64, open: bool) -> Self {
        if target == u64::MAX {
            return Self::Near;
        }
        let slack = target / 256 * SLACK;
        if held > target + slack && !open {
            Self::Above(held - target - slack)
        } else if held < target - slack.min(target) {
            Self::Below
        } else {
            Self::Near
        }
    }

    /// Those of lower ranks give first.
    fn rank(self) -> usize {
        match self {
            Self::Above(_) => 0,
            Self::Near => 1,
            Self::Below => 2,
        }
    }
}
/// Whose next victim goes: the cheapest of all that may be asked, of those within their shares only if nobody is left who
/// holds more, or was promised nothing, and of those below their targets only if nobody is above or near. A tie goes to what is idle, and then to the one that asks, so that others are not
/// disturbed for nothing.
pub(super) fn cheapest(candidates: impl Iterator<Item = Candidate>) -> Option<Pick> {
    let mut fronts = [Front::default(); 6];
    for candidate in candidates {
        if candidate.price.is_finite() && (candidate.asks || candidate.reclaimable > 0) {
            fronts[candidate.rank()].add(candidate);
        }
    }
    let at = fronts.iter().position(|front| front.best.is_some())?;
    let (front, rest) = (fronts[at], &fronts[at + 1..]);
    let best = front.best?;
    let protected = rest.iter().filter_map(|front| front.best).map(|best| best.price);
    let protected = protected.fold(f64::INFINITY, f64::min);
    let most = match best.against {
        Against::Above(bytes) => bytes,
        Against::Near | Against::Below => u64::MAX,
    };
    Some(Pick {
        at: best.at,
        upto: front.runner_up,
        most: if best.lent > 0 { most.min(best.lent) } else { most },
        level: if best.price > protected { protected } else { f64::INFINITY },
    })
}

/// In which turn each would give if nothing changed, from 1; `None` for who gives nothing.
pub(super) fn turns(candidates: &[Candidate]) -> Vec<Option<usize>> {
    let gives = |candidate: &Candidate| candidate.price.is_finite() && candidate.reclaimable > 0;
    let mut order: Vec<usize> = (0..candidates.len()).filter(|&at| gives(&candidates[at])).collect();
    sort_by(&mut order, |&a, &b| {
        let (a, b) = (&candidates[a], &candidates[b]);
        let prices = a.price.total_cmp(&b.price);
        a.rank().cmp(&b.rank()).then(prices).then_with(|| b.idle.cmp(&a.idle))
    });
    let mut turns = vec![None; candidates.len()];
    for (turn, at) in order.into_iter().enumerate() {
        turns[at] = Some(turn + 1);
    }
    turns
}

/// The cheapest of those seen so far, and the price of the next.
#[derive(Clone, Copy)]
struct Front {
    best: Option<Candidate>,
    runner_up: f64,
}

impl Default for Front {
    fn default() -> Self {
        Self { best: None, runner_up: f64::INFINITY }
    }
}

impl Front {
    fn add(&mut self, candidate: Candidate) {
        match self.best {
            Some(held) if !candidate.goes_before(&held) => {
                self.runner_up = self.runner_up.min(candidate.price);
            }
            held => {
                self.runner_up = held.map_or(self.runner_up, |held| self.runner_up.min(held.price));
                self.best = Some(candidate);
            }
        }
    }
}

impl Candidate {
    /// Which front it stands in. What a namespace was promised comes before what a plan thinks best.
    fn rank(&self) -> usize {
        let kept = if self.lent > 0 { 0 } else { 3 };
        kept + self.against.rank()
    }

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
            rising: false,
            helps: true,
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
    fn high_pressure_that_stays_takes_more_while_that_helps() {
        let stays = Situation { allowed: 320 * MB, ..situation(Level::High, 0.90) };
        assert_eq!(allowance(&stays) / MB, 300);
        assert_eq!(allowance(&Situation { fullness: 0.84, ..stays }) / MB, 320);
        assert_eq!(allowance(&Situation { helps: false, ..stays }) / MB, 320);
        assert_eq!(allowance(&Situation { helps: false, rising: true, ..stays }) / MB, 300);
        assert_eq!(allowance(&Situation { allowed: 17 * MB, ..stays }) / MB, 16, "neighbours take no more");
    }

    #[test]
    fn an_emergency_that_evicting_does_not_end_takes_no_more() {
        let stuck = Situation { helps: false, allowed: 300 * MB, ..situation(Level::Emergency, 0.96) };
        assert_eq!(allowance(&stuck) / MB, 300);
        assert_eq!(allowance(&Situation { rising: true, ..stuck }) / MB, 230, "unless it gets worse");
        assert_eq!(allowance(&Situation { helps: true, ..stuck }) / MB, 230);
        assert!(allowance(&Situation { level: Level::High, ..stuck }) <= 300 * MB);
    }

    #[test]
    fn tenants_leave_by_what_their_bytes_earn() {
        let holder = |at, earns, price| Holder { at, earns, price, within_share: false };
        let all = [holder(0, 5.0, 1.0), holder(1, 0.0, 9.0), holder(2, 0.0, 3.0), holder(3, 2.0, 7.0)];
        let shared = Holder { within_share: true, ..holder(4, 0.0, 0.0) };
        let order: Vec<usize> = departures(all.into_iter().chain([shared]).collect()).collect();
        assert_eq!(order, [2, 1, 3, 0, 4]);
    }

    #[test]
    fn growth_is_slow_and_waits_for_room() {
        let shrunk = Situation { allowed: 200 * MB, ..situation(Level::Normal, 0.72) };
        assert_eq!(allowance(&shrunk), 200 * MB);
        assert_eq!(allowance(&Situation { fullness: 0.5, ..shrunk }), 208 * MB);
        assert_eq!(allowance(&Situation { fullness: 0.5, rising: true, ..shrunk }), 200 * MB);
        assert_eq!(allowance(&Situation { fullness: 0.5, allowed: 399 * MB, ..shrunk }), 400 * MB);
    }

    #[test]
    fn the_cheapest_goes_floors_hold_and_a_tie_goes_to_the_asker() {
        let candidate = |at, price, reclaimable, asks| Candidate {
            at,
            price,
            reclaimable,
            against: Against::Near,
            lent: u64::MAX,
            asks,
            idle: false,
        };
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
        let candidate = |at, price| Candidate {
            at,
            price,
            reclaimable: 1,
            against: Against::Near,
            lent: u64::MAX,
            asks: false,
            idle: false,
        };
        let pick =
            |prices: &[f64]| cheapest(prices.iter().enumerate().map(|(at, price)| candidate(at, *price)));
        assert_eq!(
            pick(&[5.0, 3.0, 4.0]),
            Some(Pick { at: 1, upto: 4.0, most: u64::MAX, level: f64::INFINITY })
        );
        assert_eq!(
            pick(&[3.0, 5.0, 4.0]),
            Some(Pick { at: 0, upto: 4.0, most: u64::MAX, level: f64::INFINITY })
        );
        assert_eq!(pick(&[3.0, 3.0]), Some(Pick { at: 0, upto: 3.0, most: u64::MAX, level: f64::INFINITY }));
        assert_eq!(
            pick(&[3.0, f64::INFINITY]),
            Some(Pick { at: 0, upto: f64::INFINITY, most: u64::MAX, level: f64::INFINITY })
        );
    }

    #[test]
    fn who_is_within_a_share_goes_last_and_who_is_beyond_gives_no_more_than_that() {
        let candidate = |at, price, lent| Candidate {
            at,
            price,
            reclaimable: 100,
            against: Against::Near,
            lent,
            asks: false,
            idle: false,
        };
        let pick = |all: &[Candidate]| cheapest(all.iter().copied());
        let (kept, lent, free) = (candidate(0, 1.0, 0), candidate(1, 5.0, 7), candidate(2, 9.0, u64::MAX));
        assert_eq!(pick(&[kept, lent, free]), Some(Pick { at: 1, upto: 9.0, most: 7, level: 1.0 }));
        assert_eq!(
            pick(&[kept, free]),
            Some(Pick { at: 2, upto: f64::INFINITY, most: u64::MAX, level: 1.0 })
        );
        // Also where it asks for itself.
        assert_eq!(pick(&[Candidate { asks: true, ..kept }, free]).map(|pick| pick.at), Some(2));
        // Nobody else can give.
        assert_eq!(
            pick(&[kept]),
            Some(Pick { at: 0, upto: f64::INFINITY, most: u64::MAX, level: f64::INFINITY })
        );
    }

    #[test]
    fn who_is_above_its_target_gives_before_who_is_below() {
        let candidate = |at, price, held, target| Candidate {
            at,
            price,
            reclaimable: 1,
            against: Against::of(held, target, false),
            lent: u64::MAX,
            asks: false,
            idle: false,
        };
        let above = candidate(0, 3.0, 2000, 1000);
        let (near, below) = (candidate(1, 2.0, 1000, 1000), candidate(2, 1.0, 1000, 2000));
        let pick = |all: &[Candidate]| cheapest(all.iter().copied()).expect("all can give");
        let slack = 1000 / 256 * SLACK;
        assert_eq!(
            pick(&[above, near, below]),
            Pick { at: 0, upto: f64::INFINITY, most: 1000 - slack, level: 1.0 }
        );
        assert_eq!(pick(&[below, near]).at, 1);
        assert_eq!(pick(&[below]), Pick { at: 2, upto: f64::INFINITY, most: u64::MAX, level: f64::INFINITY });
        // One without a target goes by its price.
        assert_eq!(Against::of(2 * MB, MB, true), Against::Near, "what it would do with more, nobody knows");
        assert_eq!(Against::of(0, MB, true), Against::Below);
        assert_eq!(Against::of(1 << 40, u64::MAX, false), Against::Near);
        assert_eq!(
            (Against::of(0, 0, false), Against::of(0, 1 << 20, false)),
            (Against::Near, Against::Below)
        );
        // What a namespace was promised is kept from all plans.
        assert_eq!(pick(&[Candidate { lent: 0, ..above }, below]).at, 2);
    }

    #[test]
    fn turns_are_the_order_in_which_all_would_give() {
        let candidate = |price, reclaimable| Candidate {
            at: 0,
            price,
            reclaimable,
            against: Against::Near,
            lent: u64::MAX,
            asks: false,
            idle: false,
        };
        let all = [
            candidate(5.0, 1),
            candidate(3.0, 1),
            candidate(1.0, 0),
            candidate(f64::INFINITY, 1),
            Candidate { idle: true, ..candidate(5.0, 1) },
            Candidate { lent: 0, ..candidate(0.1, 1) },
        ];
        assert_eq!(turns(&all), [Some(3), Some(1), None, None, Some(2), Some(4)]);
        // The first turn is who is asked first.
        let numbered = all.iter().enumerate().map(|(at, candidate)| Candidate { at, ..*candidate });
        assert_eq!(cheapest(numbered).map(|pick| pick.at), Some(1));
    }

    #[test]
    fn pauses_are_shorter_the_fuller_memory_is_and_the_less_there_is_of_it() {
        let interval = Duration::from_secs(30);
        let pause = |used: u64, limit: u64| {
            pause(Some(MemorySample { used: used * MB, limit: limit * MB }), 0.80, interval).as_millis()
        };
        assert_eq!(
            [59, 60, 79, 80, 100].map(|used| pause(used * 1000, 100_000)),
            [30_000, 5000, 5000, 1000, 1000]
        );
        // 400 MB fill in six seconds.
        assert_eq!((pause(400, 1000), pause(100, 200), pause(0, 64)), (6250, 1000, 1000));
        assert_eq!(super::pause(None, 0.80, interval), interval);
        assert_eq!(super::pause(Some(MemorySample { used: 9, limit: 0 }), 0.80, interval), interval);
        let often = Duration::from_millis(50);
        assert_eq!(super::pause(Some(MemorySample { used: 9, limit: 10 }), 0.80, often), often);
    }
}
