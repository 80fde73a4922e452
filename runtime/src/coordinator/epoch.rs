//! Epochs: now and then every tenant says what it has learned, the plan is made anew, and tenants get their targets.
//!
//! A target moves nothing by itself. It says in which turn relief asks: who is above its target gives, in the small
//! batches of any eviction, when somebody needs room; and who is below grows into what was freed. Targets stay from plan to
//! plan, and a plan starts from them: holdings tremble by what the next victims happen to cost, and are no better start.

use std::sync::Arc;
use std::time::Duration;

use super::Coordinator;
use super::journal::{Deed, Gave, address};
use super::pour::{Party, Plan, Trend, Verdict, growth, pour};
use crate::arrange::sort_by;
use crate::boundary::ask;
use crate::budget::Refused;
use crate::domain::{DomainCore, Relief};
use crate::stats::{Cause, in_bytes};
use crate::tenant::{Card, Tenant};
use crate::time::{Nanos, nanos};

/// An epoch is over after so long,
pub(super) const LENGTH: Duration = Duration::from_secs(10);
/// or after so many look-ups, whichever comes first.
const LOOKUPS: u64 = 20_000;
/// A load is calm when so many epochs long each tenant was asked about as often as before,
const CALM: u32 = 20;
/// where a change by this part of a tenant's share of the look-ups is none,
const SWING: f64 = 0.4;
/// nor is one by this part of all look-ups.
const SMALL: f64 = 0.02;
/// What an epoch leaves of a tenant's share of the look-ups.
const KEPT: f64 = 0.75;
/// How often room is made for a curve, where others take it meanwhile; the next epoch tries again.
const ATTEMPTS: u32 = 8;
/// So many receivers and givers of a plan are named.
const NAMED: usize = 3;

/// Where the current epoch stands.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// When it began.
    began: Nanos,
    /// What all tenants had counted until then.
    counted: Counted,
    /// What the last plan that moved bytes said that it gains, as a part of what was saved.
    predicted: Option<f64>,
    /// Nanoseconds that a look-up saved before it.
    before: f64,
    /// The same in the last epoch.
    lately: f64,
    /// What is known of each tenant.
    habits: Vec<Habit>,
    /// For how many epochs the load has been the same.
    calm: u32,
}

/// How a tenant was used until now, and which way its target went.
#[derive(Clone, Copy, Debug)]
struct Habit {
    /// The tenant's address, by which it is told from the others that live.
    of: usize,
    lookups: u64,
    /// Its part of all look-ups of an epoch, by the last ones.
    share: f64,
    trend: Trend,
}

/// Sums over all tenants.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    lookups: u64,
    /// Nanoseconds.
    saved: u64,
}

impl Epochs {
    /// What the last plan that moved bytes said that it gains, as a part of what was saved; and what a look-up saves more
    /// than before it.
    pub(super) fn gains(&self) -> Option<(f64, f64)> {
        let realised = if self.before > 0.0 { self.lately / self.before - 1.0 } else { 0.0 };
        self.predicted.map(|predicted| (predicted, realised))
    }

    /// Notes how often each tenant was asked in the epoch, which all together were `all` times, and whether that is as before.
    fn observe(&mut self, tenants: &[Arc<dyn Tenant>], all: u64) {
        let mut is_calm = true;
        let habits = tenants.iter().map(|tenant| {
            let of = address(tenant);
            let lookups = tenant.card().tally.lookups().0;
            let Some(habit) = self.habits.iter().find(|habit| habit.of == of) else {
                return Habit { of, lookups, share: 0.0, trend: Trend::Free };
            };
            let share = lookups.saturating_sub(habit.lookups) as f64 / all.max(1) as f64;
            let change = (share - habit.share).abs();
            is_calm &= change <= SMALL || change <= SWING * share.max(habit.share);
            Habit { lookups, share: habit.share * KEPT + share * (1.0 - KEPT), ..*habit }
        });
        self.habits = habits.collect();
        self.calm = if is_calm { self.calm.saturating_add(1) } else { 0 };
    }

    /// Which way targets went last, as far as that is to be heeded.
    fn trends(&self) -> Vec<Trend> {
        let heeded = |habit: &Habit| if self.calm < CALM { Trend::Free } else { habit.trend };
        self.habits.iter().map(heeded).collect()
    }

    /// Notes where targets went; by [`observe`](Self::observe)'s tenants.
    fn moved(&mut self, moves: impl Iterator<Item = Option<(u64, u64)>>) {
        for (habit, moved) in self.habits.iter_mut().zip(moves) {
            if let Some((before, now)) = moved {
                habit.trend = habit.trend.next(before, now);
            }
        }
    }

    /// Notes what was counted until now.
    fn end(&mut self, now: Nanos, counted: Counted) {
        let lookups = counted.lookups.saturating_sub(self.counted.lookups).max(1);
        self.lately = counted.saved.saturating_sub(self.counted.saved) as f64 / lookups as f64;
        (self.began, self.counted) = (now, counted);
    }
}

impl Coordinator {
    /// Charges a curve's memory to its tenant. In a full budget whoever is worth least makes way: there a curve is of use.
    fn take_room(&self, core: &DomainCore, card: &Card, bytes: u64) -> bool {
        for _ in 0..ATTEMPTS {
            match card.try_add_base(bytes) {
                Ok(()) => return true,
                Err(Refused::Budget { short }) if self.make_room(core, card, short) > 0 => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Ends the epoch if it is over. Called by one at a time.
    pub(super) fn end_epoch(&self, core: &DomainCore, now: Nanos) {
        // Held by nobody for long, but in the child of a fork.
        let Some(mut epochs) = self.epochs.try_lock() else { return };
        let counted = core.with_cards(|cards| {
            cards.map(|card| card.tally.lookups()).fold(Counted::default(), |sum, (lookups, saved)| Counted {
                lookups: sum.lookups.saturating_add(lookups),
                saved: sum.saved.saturating_add(saved),
            })
        });
        let over = now.saturating_sub(epochs.began) >= nanos(LENGTH)
            || counted.lookups.saturating_sub(epochs.counted.lookups) >= LOOKUPS;
        if !over {
            return;
        }
        let lookups = counted.lookups.saturating_sub(epochs.counted.lookups);
        epochs.end(now, counted);
        let before = epochs.lately;
        // What is dropped below may be the last of a cache, and run a user's code.
        drop(epochs);
        let tenants = core.live();
        let Some(mut epochs) = self.epochs.try_lock() else { return };
        epochs.observe(&tenants, lookups);
        let trends = epochs.trends();
        drop(epochs);
        let curves: Vec<_> = tenants.iter().map(|tenant| ask(|| tenant.learn())).collect();
        // The first epoch of those who begin now is the next one.
        for tenant in &tenants {
            let bytes = ask(|| tenant.wants_to_learn());
            if bytes > 0 && self.take_room(core, tenant.card(), bytes) {
                ask(|| tenant.begin_to_learn());
            }
        }
        let growths = tenants.iter().zip(&curves).map(|(tenant, curve)| {
            let held = tenant.card().reservation.spent();
            growth(curve.as_ref()?, held, 1 << 20)
        });
        self.journal.note_growths(&tenants, growths);
        let shares = core.shares();
        let parties: Vec<Party<'_>> = tenants
            .iter()
            .zip(&curves)
            .zip(&trends)
            .map(|((tenant, curve), trend)| {
                let card = tenant.card();
                Party {
                    bytes: start_of(card),
                    floor: card.floor(),
                    ceiling: card.ceiling(),
                    priority: card.scale(),
                    curve: curve.as_ref(),
                    group: usize::from(card.namespace()).checked_sub(1),
                    trend: *trend,
                }
            })
            .collect();
        let plan = pour(&parties, core.ledger.allowed(), &shares);
        for ((tenant, target), open) in tenants.iter().zip(&plan.targets).zip(&plan.open) {
            tenant.card().set_target(target.unwrap_or(u64::MAX), *open);
        }
        if let Some(mut epochs) = self.epochs.try_lock() {
            let starts = parties.iter().map(|party| party.bytes);
            epochs
                .moved(starts.zip(&plan.targets).map(|(start, target)| target.map(|target| (start, target))));
        }
        if plan.verdict != Verdict::Move {
            return;
        }
        let gain = plan.gain * plan.part / plan.saved.max(1.0);
        if let Some(mut epochs) = self.epochs.try_lock() {
            (epochs.predicted, epochs.before) = (Some(gain), before);
        }
        let starts: Vec<u64> = parties.iter().map(|party| party.bytes).collect();
        let allowed = core.ledger.allowed();
        let deed = Deed::new(
            Cause::Plan,
            reason(&tenants, &starts, &plan, gain),
            (allowed, allowed),
            Gave::default(),
        );
        self.journal.note(now, deed);
    }
}

/// What a plan starts from: the target before, as far as it was filled. Who does not fill what it was given does not need
/// it.
fn start_of(card: &Card) -> u64 {
    let held = card.reservation.spent();
    match card.target() {
        u64::MAX => held,
        target => target.min(held.saturating_add(held / 4)),
    }
}

/// Who is to give to whom, and why.
fn reason(tenants: &[Arc<dyn Tenant>], starts: &[u64], plan: &Plan, gain: f64) -> String {
    let moves = tenants.iter().zip(starts).zip(&plan.targets).filter_map(|((tenant, start), target)| {
        target.map(|target| (&*tenant.card().name, target as i64 - *start as i64))
    });
    let mut moves: Vec<(&str, i64)> = moves.collect();
    sort_by(&mut moves, |a, b| a.1.cmp(&b.1));
    let names = |mut named: Vec<&str>, of: usize| {
        named.truncate(NAMED);
        let others = if of > named.len() { " and others" } else { "" };
        format!("{}{others}", named.join(", "))
    };
    let givers: Vec<&str> = moves.iter().filter(|(_, by)| *by < 0).map(|(name, _)| *name).collect();
    let takers: Vec<&str> = moves.iter().rev().filter(|(_, by)| *by > 0).map(|(name, _)| *name).collect();
    let (giving, taking) = (givers.len(), takers.len());
    format!(
        "{} from {} to {} would save {:.1} % more",
        in_bytes(plan.moved),
        names(givers, giving),
        names(takers, taking),
        100.0 * gain
    )
}
