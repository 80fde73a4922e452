//! The plan: how many bytes each tenant should have, from what each would save with them. Figures in, figures out.
//!
//! ```text
//!  value                 the curve, and its upper hull: what the plan reckons with
//!    |        ___-----   greedy: the steepest pieces of all hulls first, until the budget is spent
//!    |    __--  |        a piece of which only a part is left, and on which the curve is far below the hull
//!    |  _/      |        (a cliff), goes to nobody: half of a loop is worth nothing
//!    | /        |
//!    +----------+----- bytes
//! ```
//!
//! Greedy is optimal on concave curves. A group that was promised a share has its own pieces first, until it has as much; what
//! it has no use for goes to the others. A plan is worth following only if it gains clearly more than the noise and than
//! what the bytes that move cost to fill; and then a tenth of the budget at a time. Not here: who evicts what, when, and
//! whose tenants these are.

use crate::arrange::sort_by;
use crate::curve::{Curve, KEPT};

/// So much of the budget moves in an epoch, at the most.
const STEP: f64 = 0.10;
/// A plan must gain more than this part of what is saved, or of what could be saved beside, whichever is less: where nearly all
/// is saved, a fiftieth of that is most of what is left,
const GAIN: f64 = 0.02;
/// and move more than this part of the budget.
const MOVED: f64 = 0.01;
/// What moves in a step must pay for its filling within so many epochs of what the whole way gains.
const EPOCHS: f64 = 100.0;
/// While the load is calm, a target that went one way turns round only after so many epochs,
const REST: u32 = 5;
/// and only by more than this part of itself, and than what is worth moving at all: less is noise of the sample.
const TURN: f64 = 0.35;
/// Where a curve is so far below its hull, a piece is a cliff.
const CLIFF: f64 = 0.20;
/// Every tenant is left so many bytes, or a quarter of an even share: to see what it would do with more.
const LEAST: u64 = 256 << 10;

/// A tenant as far as the plan is concerned.
#[derive(Clone, Debug)]
pub(super) struct Party<'a> {
    /// Bytes that it has by the plan so far, or without one holds.
    pub(super) bytes: u64,
    /// It gives nothing below.
    pub(super) floor: u64,
    /// It takes nothing above.
    pub(super) ceiling: u64,
    /// Multiplies what is saved.
    pub(super) priority: f64,
    /// `None` while it is not known: it keeps what it has.
    pub(super) curve: Option<&'a Curve>,
    /// Its group, a place in the list of shares; `None` where nothing was promised.
    pub(super) group: Option<usize>,
    /// Which way its target went last, while the load is calm.
    pub(super) trend: Trend,
}

/// Which way a target went last, and how many epochs ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trend {
    /// It has not moved, or nothing is to be made of it.
    #[default]
    Free,
    /// It rose.
    Up(u32),
    /// It fell.
    Down(u32),
}

impl Trend {
    /// After one more epoch, in which the target went from `before` to `now`.
    pub(super) fn next(self, before: u64, now: u64) -> Self {
        // What follows a tenant's holdings by a thousandth is no move.
        if now > before.saturating_add(before / 1000) {
            return Self::Up(0);
        }
        if now.saturating_add(before / 1000) < before {
            return Self::Down(0);
        }
        match self {
            Self::Free => Self::Free,
            Self::Up(age) => Self::Up(age.saturating_add(1)),
            Self::Down(age) => Self::Down(age.saturating_add(1)),
        }
    }

    /// Whether a target may go from `now` to `then`, of a budget of so many bytes.
    fn allows(self, now: u64, then: u64, budget: u64) -> bool {
        let age = match self {
            Self::Up(age) if then < now => age,
            Self::Down(age) if then > now => age,
            _ => return true,
        };
        let change = now.abs_diff(then) as f64;
        age >= REST && change > now.max(then) as f64 * TURN && change > budget as f64 * MOVED / 4.0
    }
}

/// What is to be done, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Bytes of each tenant, after this epoch's step; `None` for who has no curve.
    pub(super) targets: Vec<Option<u64>>,
    /// Who is to have nearly all that it is known to have a use for: what it may have beyond, nobody knows yet.
    pub(super) open: Vec<bool>,
    pub(super) verdict: Verdict,
    /// What the whole way would gain by the hulls, in the curves' nanoseconds.
    pub(super) gain: f64,
    /// What is saved by the hulls as it is.
    pub(super) saved: f64,
    /// Bytes that change their owner in this step.
    pub(super) moved: u64,
    /// Which part of the whole way this step is.
    pub(super) part: f64,
    /// What the last byte that was given out saves: the price of memory.
    pub(super) price: f64,
}

/// Why a plan is followed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is followed: this is the first, or bytes move.
    Move,
    /// It would gain too little to tell it from noise.
    SmallGain,
    /// It would move too little to matter.
    SmallMove,
    /// Filling what moves costs more than it gains.
    Refill,
    /// Nobody's curve is known, or there is no choice.
    Nothing,
}

/// A tenant's upper hull, from no bytes on.
#[derive(Debug)]
struct Hull {
    /// Bytes and value, both rising, slopes falling; at least one point.
    points: Vec<(u64, f64)>,
}

impl Hull {
    /// The hull of what up to `most` bytes save.
    fn of(curve: &Curve, priority: f64, most: u64) -> Self {
        let mut points: Vec<(u64, f64)> = vec![(0, 0.0)];
        let inner = curve.points().iter().filter(|(edge, _)| (1..=most).contains(edge));
        for (edge, value) in inner {
            let next = (*edge, value * priority);
            while let [.., a, b] = points[..]
                && slope(a, b) <= slope(b, next)
            {
                points.pop();
            }
            if next.1 > points[points.len() - 1].1 {
                points.push(next);
            }
        }
        Self { points }
    }

    /// What so many bytes save; along a piece in proportion.
    fn value(&self, bytes: u64) -> f64 {
        let after = self.points.partition_point(|(edge, _)| *edge <= bytes);
        let Some(at) = after.checked_sub(1) else { return self.points[0].1 };
        let (from, value) = self.points[at];
        match self.points.get(after) {
            Some(to) => value + slope((from, value), *to) * (bytes - from) as f64,
            None => value,
        }
    }
}

/// By which part `more` bytes beside `bytes` would raise what is saved; `None` where that many save nothing.
pub(super) fn growth(curve: &Curve, bytes: u64, more: u64) -> Option<f64> {
    let hull = Hull::of(curve, 1.0, u64::MAX);
    let now = hull.value(bytes);
    (now > 0.0).then(|| hull.value(bytes.saturating_add(more)) / now - 1.0)
}

fn slope(a: (u64, f64), b: (u64, f64)) -> f64 {
    (b.1 - a.1) / (b.0 - a.0).max(1) as f64
}

/// A piece of a hull.
#[derive(Clone, Copy, Debug)]
struct Piece {
    slope: f64,
    party: usize,
    /// Where it ends.
    end: u64,
}

/// Shares `budget` out. `shares` are bytes that were promised to groups.
pub(super) fn pour(parties: &[Party<'_>], budget: u64, shares: &[u64]) -> Plan {
    let known = parties.iter().filter(|party| party.curve.is_some()).count() as u64;
    let unknown: u64 = parties.iter().filter(|party| party.curve.is_none()).map(|party| party.bytes).sum();
    let budget = budget.saturating_sub(unknown);
    let nothing = Plan {
        targets: vec![None; parties.len()],
        open: vec![false; parties.len()],
        verdict: Verdict::Nothing,
        gain: 0.0,
        saved: 0.0,
        moved: 0,
        part: 0.0,
        price: 0.0,
    };
    if known == 0 {
        return nothing;
    }
    let even = budget / known;
    let least = |party: &Party<'_>| party.floor.max(LEAST.min(even / 4)).min(party.ceiling);
    let leasts: u64 = parties.iter().filter(|party| party.curve.is_some()).map(least).sum();
    if leasts > budget {
        // Floors beyond the budget are kept by nobody's plan.
        return nothing;
    }
    let hulls: Vec<Option<Hull>> = parties
        .iter()
        .map(|party| {
            let curve = party.curve?;
            Some(Hull::of(curve, party.priority, party.ceiling.min(budget)))
        })
        .collect();
    let mut poured = Poured {
        bytes: parties.iter().map(|party| party.curve.map(|_| least(party))).collect(),
        left: budget - leasts,
        price: 0.0,
    };
    let pieces = pieces(&hulls);
    for (group, share) in shares.iter().enumerate() {
        let is_own = |party: &Party<'_>| party.group == Some(group);
        // Who has no curve keeps what it has, which is the group's, too.
        let has: u64 = parties
            .iter()
            .zip(&poured.bytes)
            .filter(|(party, _)| is_own(party))
            .map(|(party, bytes)| bytes.unwrap_or(party.bytes))
            .sum();
        poured.pour(parties, &hulls, &pieces, share.saturating_sub(has), is_own);
    }
    poured.pour(parties, &hulls, &pieces, u64::MAX, |_| true);
    poured.spread(parties);
    let now = start(parties, budget);
    let owed = owed(parties, &poured.bytes, &now, shares);
    if owed == 0 {
        poured.keep_course(parties, &now, budget);
    }
    let open = parties.iter().zip(&poured.bytes).map(|(party, bytes)| {
        let known = party.curve.map_or(u64::MAX, Curve::known);
        bytes.is_some_and(|bytes| bytes >= known - known / 8)
    });
    let open = open.collect();
    Plan { open, ..decide(parties, &hulls, &poured, &now, budget, owed) }
}

/// Bytes that groups lack of what they were promised, and have a use for.
fn owed(parties: &[Party<'_>], poured: &[Option<u64>], now: &[Option<u64>], shares: &[u64]) -> u64 {
    let sum = |bytes: &[Option<u64>], group: usize| -> u64 {
        let own = parties.iter().zip(bytes).filter(|(party, _)| party.group == Some(group));
        own.map(|(party, bytes)| bytes.unwrap_or(party.bytes)).sum()
    };
    let of = |(group, share): (usize, &u64)| sum(poured, group).min(*share).saturating_sub(sum(now, group));
    shares.iter().enumerate().map(of).sum()
}

/// What has been given out.
struct Poured {
    bytes: Vec<Option<u64>>,
    left: u64,
    price: f64,
}

/// All hulls' pieces, the steepest first.
fn pieces(hulls: &[Option<Hull>]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (party, hull) in hulls.iter().enumerate() {
        let points = hull.as_ref().map_or(&[][..], |hull| &hull.points);
        let ends = points.windows(2).map(|ends| (slope(ends[0], ends[1]), ends[1].0));
        pieces.extend(ends.map(|(slope, end)| Piece { slope, party, end }));
    }
    // Stable: of equals the one that was first stays first, so that plans do not tremble.
    sort_by(&mut pieces, |a, b| b.slope.total_cmp(&a.slope));
    pieces
}

impl Poured {
    /// The steepest pieces first, of those whom it is for, until `most` is given out.
    fn pour(
        &mut self,
        parties: &[Party<'_>],
        hulls: &[Option<Hull>],
        pieces: &[Piece],
        most: u64,
        is_for: impl Fn(&Party<'_>) -> bool,
    ) {
        let mut passed = vec![false; parties.len()];
        let mut left = most.min(self.left);
        for piece in pieces {
            let party = &parties[piece.party];
            let Some(has) = self.bytes[piece.party] else { continue };
            if passed[piece.party] || left == 0 || !is_for(party) {
                continue;
            }
            // What it is left in any case covers some pieces, and a part of one.
            let wanted = piece.end.saturating_sub(has);
            if wanted == 0 {
                continue;
            }
            let given = wanted.min(left);
            if given < wanted && is_cliff(party, hulls[piece.party].as_ref(), has, given) {
                // What lies behind it is worth less for each byte, and cannot be had without it.
                passed[piece.party] = true;
                continue;
            }
            self.bytes[piece.party] = Some(has + given);
            self.left -= given;
            left -= given;
            self.price = piece.slope;
        }
    }

    /// What nobody has a use for goes to all alike, as far as their ceilings allow.
    fn spread(&mut self, parties: &[Party<'_>]) {
        while self.left > 0 {
            let open: Vec<usize> = (0..parties.len())
                .filter(|at| self.bytes[*at].is_some_and(|bytes| bytes < parties[*at].ceiling))
                .collect();
            let each = self.left / (open.len() as u64).max(1);
            if each == 0 || open.is_empty() {
                return;
            }
            for at in open {
                let bytes = self.bytes[at].unwrap_or(0);
                let given = each.min(parties[at].ceiling - bytes);
                self.bytes[at] = Some(bytes + given);
                self.left -= given;
            }
        }
    }
}

impl Poured {
    /// Leaves those where they are who would turn round for little, and takes no more from the rest than somebody gets.
    ///
    /// Whoever still grows has steeper pieces than whoever still gives, so nothing is lost by it.
    fn keep_course(&mut self, parties: &[Party<'_>], now: &[Option<u64>], budget: u64) {
        let (mut up, mut down, mut spare) = (0_u64, 0_u64, budget);
        for ((party, then), now) in parties.iter().zip(&mut self.bytes).zip(now) {
            let (Some(then), Some(now)) = (then, *now) else { continue };
            if !party.trend.allows(now, *then, budget) {
                *then = now;
            }
            up += then.saturating_sub(now);
            down += now.saturating_sub(*then);
            spare = spare.saturating_sub(now);
        }
        let part = |of: u64, all: u64| (of as f64 / all.max(1) as f64).min(1.0);
        let (growing, giving) = (part(down.saturating_add(spare), up), part(up, down));
        for (then, now) in self.bytes.iter_mut().zip(now) {
            let (Some(then), Some(now)) = (then, *now) else { continue };
            *then = if *then > now {
                now + ((*then - now) as f64 * growing) as u64
            } else {
                // Rounded up, so that what is given is never less than what is taken.
                now - (((now - *then) as f64 * giving).ceil() as u64).min(now - *then)
            };
        }
    }
}

/// Whether so much of a piece is worth far less than its share of the piece.
fn is_cliff(party: &Party<'_>, hull: Option<&Hull>, has: u64, given: u64) -> bool {
    let (Some(curve), Some(hull)) = (party.curve, hull) else { return false };
    let promised = hull.value(has + given) - hull.value(has);
    let real = curve.value(has + given) * party.priority - hull.value(has);
    real < promised * (1.0 - CLIFF)
}

/// What each has now, as far as it may have it and all of them may.
fn start(parties: &[Party<'_>], budget: u64) -> Vec<Option<u64>> {
    let has = |party: &Party<'_>| party.bytes.clamp(party.floor.min(party.ceiling), party.ceiling);
    let known = || parties.iter().filter(|party| party.curve.is_some());
    let sum: u64 = known().map(has).sum();
    let floors: u64 = known().map(|party| party.floor.min(party.ceiling)).sum();
    let scale = (budget.saturating_sub(floors)) as f64 / (sum - floors).max(1) as f64;
    parties
        .iter()
        .map(|party| {
            party.curve?;
            let floor = party.floor.min(party.ceiling);
            Some((floor + ((has(party) - floor) as f64 * scale) as u64).min(party.ceiling))
        })
        .collect()
}

/// Whether the way from `now` to what was poured is worth going, and how far it goes in one epoch.
fn decide(
    parties: &[Party<'_>],
    hulls: &[Option<Hull>],
    poured: &Poured,
    now: &[Option<u64>],
    budget: u64,
    owed: u64,
) -> Plan {
    let mut plan = Plan {
        targets: now.to_vec(),
        open: Vec::new(),
        verdict: Verdict::Move,
        gain: 0.0,
        saved: 0.0,
        moved: 0,
        part: 0.0,
        price: poured.price,
    };
    let (mut up, mut down, mut refill) = (0_u64, 0_u64, 0.0);
    // By the curves themselves: just before a cliff the hull has little left to gain.
    let mut real = 0.0;
    // By the hulls, with bytes for everything.
    let mut missing = 0.0_f64;
    for (at, hull) in hulls.iter().enumerate() {
        let (Some(hull), Some(now), Some(then)) = (hull, now[at], poured.bytes[at]) else { continue };
        plan.saved += hull.value(now);
        missing += hull.value(u64::MAX) - hull.value(now);
        plan.gain += hull.value(then) - hull.value(now);
        let curve = |bytes| parties[at].curve.map_or(0.0, |curve| curve.value(bytes) * parties[at].priority);
        real += curve(then) - curve(now);
        if then > now {
            up += then - now;
            refill +=
                (then - now) as f64 * parties[at].curve.map_or(0.0, Curve::refill) * parties[at].priority;
        } else {
            down += now - then;
        }
    }
    // All go the same part of their way, so that what is saved never falls on it: the hulls are concave.
    let part = (budget as f64 * STEP / up.max(down).max(1) as f64).min(1.0);
    plan.verdict = if up.max(down) as f64 <= budget as f64 * MOVED {
        Verdict::SmallMove
    } else if owed as f64 > budget as f64 * MOVED {
        // A promise is kept, whatever it gains.
        Verdict::Move
    } else if plan.gain <= 0.0 || plan.gain.max(real) <= plan.saved.min(missing) * GAIN {
        Verdict::SmallGain
    } else if plan.gain.max(real) * f64::from(1.0 - KEPT) * EPOCHS <= refill * part {
        Verdict::Refill
    } else {
        Verdict::Move
    };
    if plan.verdict != Verdict::Move {
        return plan;
    }
    plan.part = part;
    for (at, target) in plan.targets.iter_mut().enumerate() {
        let (Some(now), Some(then)) = (*target, poured.bytes[at]) else { continue };
        if then > now {
            let more = ((then - now) as f64 * part) as u64;
            *target = Some(now + more);
            plan.moved += more;
        } else {
            // Rounded up, so that what is given is never less than what is taken.
            let less = (((now - then) as f64 * part).ceil() as u64).min(now - then);
            *target = Some(now - less);
        }
    }
    plan
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests;
