//! What the coordinator remembers: the last decisions and their reasons, sums since the start, and what each tenant earns
//! in a second.
//!
//! Bounded, whatever happens: a ring of decisions, and a few words for each live tenant. Not here: deciding anything.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::arrange::sort_by;
use crate::domain::DomainCore;
use crate::stats::{Cause, CoordinatorStats, Decision, TenantStats};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, fork};
use crate::tenant::Tenant;
use crate::time::Nanos;

/// So many decisions are kept.
const KEPT: usize = 64;
/// So many givers of each are named.
const NAMED: usize = 8;
/// Rates are of about so long, in seconds: what lies further back counts for a third and less.
const MEMORY: f64 = 60.0;

/// The coordinator's memory.
#[derive(Default)]
pub(super) struct Journal {
    /// Bytes that tenants gave for another's insert; counted by the inserting threads, so not under the lock.
    moved: AtomicU64,
    shrunk: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Latest last, each with its time.
    decisions: VecDeque<(Nanos, Decision)>,
    made: u64,
    /// How much of `moved` decisions tell of.
    told: u64,
    overshoot: u64,
    fullest: f64,
    near_misses: u64,
    /// By the address of the tenant, which the weak reference keeps from being another's; in the order of these.
    earnings: Vec<(usize, Earnings)>,
}

impl Notes {
    fn earnings_at(&self, address: usize) -> Result<usize, usize> {
        self.earnings.binary_search_by(|(other, _)| other.cmp(&address))
    }
}

/// Who gave how much, in the order of the names.
#[derive(Clone, Debug, Default)]
pub(super) struct Gave(Vec<(String, u64)>);

impl Gave {
    pub(super) fn note(&mut self, name: &str, bytes: u64) {
        if bytes == 0 {
            return;
        }
        match self.0.binary_search_by(|(other, _)| (**other).cmp(name)) {
            Ok(at) => self.0[at].1 += bytes,
            Err(at) => self.0.insert(at, (name.to_owned(), bytes)),
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Most first.
    pub(super) fn into_sorted(mut self) -> Vec<(String, u64)> {
        sort_by(&mut self.0, |a, b| b.1.cmp(&a.1));
        self.0
    }
}

/// A decision, as it is made.
#[derive(Debug)]
pub(super) struct Deed {
    pub(super) cause: Cause,
    pub(super) reason: String,
    /// What could be used before and after.
    pub(super) allowed: (u64, u64),
    pub(super) freed: u64,
    /// By how much resident memory fell, where that is known.
    pub(super) returned: Option<u64>,
    pub(super) gave: Gave,
}

impl Deed {
    pub(super) fn new(cause: Cause, reason: String, allowed: (u64, u64), gave: Gave) -> Self {
        Self { cause, reason, allowed, freed: gave.sum(), returned: None, gave }
    }
}

/// What a tenant had counted at a time.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// Nanoseconds of compute that hits saved.
    saved: u64,
    /// Entries that left for want of room.
    left: u64,
    /// Bytes that it holds now.
    held: u64,
}

impl Counted {
    fn of(tenant: &dyn Tenant) -> Self {
        let card = tenant.card();
        let mut stats = TenantStats::empty(String::new(), card.kind);
        card.tally.fill(&mut stats);
        Self {
            saved: nanos(stats.time_saved),
            left: stats.evictions + stats.reclaims,
            held: card.reservation.spent(),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Earnings {
    tenant: Weak<dyn Tenant>,
    at: Nanos,
    counted: Counted,
    /// What was counted over how many seconds, both fading alike.
    seconds: f64,
    saved: f64,
    left: f64,
    /// Bytes times seconds.
    held: f64,
    /// By which part a megabyte more would raise what is saved, by the tenant's curve, where it has one.
    growth: Option<f64>,
}

/// What a tenant does in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Nanoseconds of compute that hits save.
    pub(super) saved: f64,
    /// Entries that leave for want of room.
    pub(super) left: f64,
    /// Nanoseconds that each byte saves: of those that it held meanwhile, which may be more than now.
    pub(super) by_byte: f64,
    /// By which part a megabyte more would raise what is saved; `None` where no curve says.
    pub(super) growth: Option<f64>,
}

impl Earnings {
    fn new(tenant: &Arc<dyn Tenant>, at: Nanos, counted: Counted) -> Self {
        let tenant = Arc::downgrade(tenant);
        Self { tenant, at, counted, seconds: 0.0, saved: 0.0, left: 0.0, held: 0.0, growth: None }
    }

    fn advance(&mut self, now: Nanos, counted: Counted) {
        let seconds = now.saturating_sub(self.at) as f64 / 1e9;
        if seconds <= 0.0 {
            return;
        }
        let fade = (-seconds / MEMORY).exp();
        let add = |sum: &mut f64, more: f64| *sum = *sum * fade + more;
        add(&mut self.saved, counted.saved.saturating_sub(self.counted.saved) as f64);
        add(&mut self.left, counted.left.saturating_sub(self.counted.left) as f64);
        // What is taken goes right after a measurement, so what is there now was there all the while.
        add(&mut self.held, counted.held as f64 * seconds);
        self.seconds = self.seconds * fade + seconds;
        (self.at, self.counted) = (now, counted);
    }

    fn rates(&self) -> Option<Rates> {
        let Self { seconds, saved, left, held, growth, .. } = *self;
        let by_byte = if held > 0.0 { saved / held } else { 0.0 };
        (seconds > 0.0).then(|| Rates { saved: saved / seconds, left: left / seconds, by_byte, growth })
    }
}

/// What tells a tenant from the others that live.
pub(super) fn address(tenant: &Arc<dyn Tenant>) -> usize {
    Arc::as_ptr(tenant).cast::<()>() as usize
}

impl Journal {
    /// `None` in the child of a fork, where somebody may hold it for ever.
    fn notes(&self) -> Option<MutexGuard<'_, Notes>> {
        if fork::forked() { self.notes.try_lock() } else { Some(self.notes.lock()) }
    }

    /// Somebody's insert took so many bytes from others.
    pub(super) fn moved(&self, bytes: u64) {
        if bytes > 0 {
            self.moved.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Keeps a decision. One that only goes on with the last is told with it.
    pub(super) fn note(&self, now: Nanos, deed: Deed) {
        let Deed { cause, reason, allowed, freed, returned, mut gave } = deed;
        if !matches!(cause, Cause::Room | Cause::Plan) {
            self.shrunk.fetch_add(freed, Ordering::Relaxed);
        }
        // The listener is the user's: no lock is held.
        #[cfg(feature = "tracing")]
        tell(cause, &reason, allowed, freed, returned, &gave);
        let Some(mut notes) = self.notes() else { return };
        notes.made += 1;
        let mut decision = Decision {
            ago: Duration::ZERO,
            times: 1,
            cause,
            reason,
            allowed_before: allowed.0,
            allowed_after: allowed.1,
            freed,
            returned,
            gave: Vec::new(),
        };
        let goes_on = notes.decisions.back().is_some_and(|(_, last)| last.cause == cause);
        if goes_on && let Some((_, last)) = notes.decisions.pop_back() {
            decision.times += last.times;
            decision.allowed_before = last.allowed_before;
            decision.freed += last.freed;
            decision.returned = match (decision.returned, last.returned) {
                (Some(now), Some(before)) => Some(now + before),
                (now, before) => now.or(before),
            };
            last.gave.iter().for_each(|(name, bytes)| gave.note(name, *bytes));
        }
        decision.gave = gave.into_sorted();
        decision.gave.truncate(NAMED);
        if notes.decisions.len() == KEPT {
            notes.decisions.pop_front();
        }
        notes.decisions.push_back((now, decision));
    }

    /// Tells of what tenants gave each other since this was called last.
    pub(super) fn note_moves(&self, now: Nanos, allowed: u64) {
        let moved = self.moved.load(Ordering::Relaxed);
        let Some(mut notes) = self.notes() else { return };
        let since = moved - std::mem::replace(&mut notes.told, moved);
        drop(notes);
        if since > 0 {
            let reason = "the cheapest made room for entries of others".to_owned();
            let deed = Deed::new(Cause::Room, reason, (allowed, allowed), Gave::default());
            self.note(now, Deed { freed: since, ..deed });
        }
    }

    /// Memory was seen this full.
    pub(super) fn note_fullness(&self, fullness: f64) {
        if let Some(mut notes) = self.notes() {
            notes.fullest = notes.fullest.max(fullness);
        }
    }

    /// So many bytes above what is allowed can't be evicted.
    pub(super) fn note_overshoot(&self, bytes: u64) {
        if bytes > 0
            && let Some(mut notes) = self.notes()
        {
            notes.overshoot = notes.overshoot.max(bytes);
        }
    }

    /// The process came close to being killed so many times more.
    pub(super) fn note_near_misses(&self, times: u64) {
        if times > 0
            && let Some(mut notes) = self.notes()
        {
            notes.near_misses += times;
        }
    }

    /// Reads what tenants have counted since the last time.
    pub(super) fn measure(&self, now: Nanos, live: &[Arc<dyn Tenant>]) {
        let read: Vec<_> = live.iter().map(|tenant| (tenant, Counted::of(&**tenant))).collect();
        let Some(mut notes) = self.notes() else { return };
        notes.earnings.retain(|(_, earnings)| earnings.tenant.strong_count() > 0);
        for (tenant, counted) in read {
            let address = address(tenant);
            match notes.earnings_at(address) {
                Ok(at) => notes.earnings[at].1.advance(now, counted),
                Err(at) => notes.earnings.insert(at, (address, Earnings::new(tenant, now, counted))),
            }
        }
    }

    /// Notes by which part a megabyte more would raise what each of these saves, as its curve says.
    pub(super) fn note_growths(&self, live: &[Arc<dyn Tenant>], growths: impl Iterator<Item = Option<f64>>) {
        let Some(mut notes) = self.notes() else { return };
        for (tenant, growth) in live.iter().zip(growths) {
            if let Ok(at) = notes.earnings_at(address(tenant)) {
                notes.earnings[at].1.growth = growth;
            }
        }
    }

    /// What a tenant does in a second, lately; `None` before two measurements at different times.
    pub(super) fn rates_of(&self, tenant: &Arc<dyn Tenant>) -> Option<Rates> {
        let notes = self.notes()?;
        let at = notes.earnings_at(address(tenant)).ok()?;
        notes.earnings[at].1.rates()
    }

    pub(super) fn stats(&self, core: &DomainCore) -> CoordinatorStats {
        let churn: f64 = core.live().iter().map(|tenant| self.churn_of(tenant)).sum();
        let (moved, shrunk) = (self.moved.load(Ordering::Relaxed), self.shrunk.load(Ordering::Relaxed));
        let stats = CoordinatorStats { moved, shrunk, churn: churn as u64, ..CoordinatorStats::default() };
        let Some(notes) = self.notes() else { return stats };
        CoordinatorStats {
            decisions: notes.made,
            overshoot_peak: notes.overshoot,
            fullest: notes.fullest,
            near_misses: notes.near_misses,
            ..stats
        }
    }

    /// Bytes of a tenant that leave in a second, at the mean weight of its entries.
    fn churn_of(&self, tenant: &Arc<dyn Tenant>) -> f64 {
        let Some(rates) = self.rates_of(tenant).filter(|rates| rates.left > 0.0) else { return 0.0 };
        let entries = tenant.stats().entries.max(1);
        rates.left * tenant.card().reservation.spent() as f64 / entries as f64
    }

    /// The last decisions, latest first.
    pub(super) fn decisions(&self, now: Nanos) -> Vec<Decision> {
        let Some(notes) = self.notes() else { return Vec::new() };
        let dated = notes.decisions.iter().rev().map(|(at, decision)| {
            let ago = Duration::from_nanos(now.saturating_sub(*at));
            Decision { ago, ..decision.clone() }
        });
        dated.collect()
    }
}

/// Emits a decision as an event: what is dangerous as a warning, what goes on all the time for those who look closely.
#[cfg(feature = "tracing")]
fn tell(cause: Cause, reason: &str, allowed: (u64, u64), freed: u64, returned: Option<u64>, gave: &Gave) {
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: "larder",
                tracing::Level::$level,
                cause = cause.as_str(),
                allowed_before = allowed.0,
                allowed_after = allowed.1,
                freed,
                returned,
                gave = ?gave.0,
                "{reason}"
            )
        };
    }
    match cause {
        Cause::Emergency => event!(WARN),
        Cause::Pressure | Cause::Limit | Cause::Trim | Cause::Auto => event!(INFO),
        Cause::Growth | Cause::Room | Cause::Plan => event!(DEBUG),
    }
}

/// Nanoseconds of compute that a megabyte more would save in a second.
///
/// Where the tenant's curve is known it says how much more that is than what is saved now. Without one: entries stay for `entries / left` seconds. In that time each byte of the one that leaves next has saved `marginal`
/// nanoseconds; what stayed longer for a megabyte more would go on saving at that rate. That counts the use that brought an
/// entry in, which saved nothing; and the best bytes come first, so the next ones save no more than those that are there do
/// on average.
pub(super) fn by_megabyte_more(rates: Rates, marginal: f64, entries: u64) -> f64 {
    if let Some(growth) = rates.growth {
        return rates.saved * growth;
    }
    if entries == 0 {
        return 0.0;
    }
    let by_byte = marginal * rates.left / entries as f64;
    by_byte.min(rates.by_byte) * (1 << 20) as f64
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn gave(name: &str, bytes: u64) -> Gave {
        let mut gave = Gave::default();
        gave.note(name, bytes);
        gave
    }

    #[test]
    fn the_ring_keeps_the_last_and_tells_repetitions_as_one() {
        let journal = Journal::default();
        let note = |now, cause, bytes| {
            journal.note(now, Deed::new(cause, format!("at {now}"), (now, now + 1), gave("a", bytes)));
        };
        for now in 0..10 {
            note(now, Cause::Pressure, 5);
        }
        let all = journal.decisions(10);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].times, all[0].freed, all[0].ago), (10, 50, Duration::from_nanos(1)));
        assert_eq!((all[0].allowed_before, all[0].allowed_after, &*all[0].reason), (0, 10, "at 9"));
        assert_eq!(all[0].gave, [("a".to_owned(), 50)]);
        for now in 0..200 {
            note(now, if now % 2 == 0 { Cause::Growth } else { Cause::Limit }, 0);
        }
        let all = journal.decisions(200);
        assert_eq!((all.len(), all[0].ago.as_nanos(), all[63].ago.as_nanos()), (64, 1, 64));
    }

    #[test]
    fn only_so_many_givers_are_named_and_all_are_counted() {
        let mut all = Gave::default();
        (0..20_u64).for_each(|at| all.note(&format!("{at:02}"), at));
        let journal = Journal::default();
        journal.note(0, Deed::new(Cause::Trim, String::new(), (1, 1), all));
        let decision = &journal.decisions(0)[0];
        assert_eq!((decision.freed, decision.gave.len(), &*decision.gave[0].0), (190, NAMED, "19"));
    }

    #[test]
    fn rates_are_of_lately_and_need_an_interval() {
        let mut earnings = Earnings {
            tenant: Weak::<crate::cache::CacheTenant>::new(),
            at: 0,
            counted: Counted::default(),
            seconds: 0.0,
            saved: 0.0,
            left: 0.0,
            held: 0.0,
            growth: None,
        };
        earnings.advance(0, Counted { saved: 100, left: 0, held: 0 });
        assert_eq!(earnings.rates(), None, "no time has passed");
        let mut counted = Counted::default();
        for second in 1..=600 {
            counted.saved += 1000;
            counted.left += 3;
            counted.held = 500;
            earnings.advance(second * SECOND, counted);
        }
        let steady = earnings.rates().unwrap();
        assert!((steady.saved - 1000.0).abs() < 1e-6 && (steady.left - 3.0).abs() < 1e-9, "{steady:?}");
        assert!((steady.by_byte - 2.0).abs() < 1e-9, "{steady:?}");
        for second in 601..=900 {
            earnings.advance(second * SECOND, counted);
        }
        assert!(earnings.rates().unwrap().saved < 10.0, "what is long ago fades");
    }

    #[test]
    fn a_megabyte_more_saves_what_leaves_at_its_rate_and_no_more_than_the_average() {
        let rates = Rates { saved: 1e9, left: 10.0, by_byte: 1e6, growth: None };
        // 100 entries stay ten seconds; a byte that saves 1 ns in that time saves 0.1 ns a second.
        assert!((by_megabyte_more(rates, 1.0, 100) - 0.1 * 1_048_576.0).abs() < 1e-6);
        assert_eq!(by_megabyte_more(Rates { left: 0.0, ..rates }, 1.0, 100), 0.0);
        assert_eq!(by_megabyte_more(Rates { by_byte: 0.01, ..rates }, 1.0, 100), 0.01 * 1_048_576.0);
        assert_eq!(by_megabyte_more(rates, 1.0, 0), 0.0);
        // A curve knows better.
        assert_eq!(by_megabyte_more(Rates { growth: Some(0.02), ..rates }, 1.0, 100), 2e7);
    }
}
