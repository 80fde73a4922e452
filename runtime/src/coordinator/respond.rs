//! What a tick does about memory: reads the source, moves between levels, moves the limit if that follows memory, sets what
//! may be used, evicts, and finds out whether that helped.
//!
//! The figures are decided in `plan`, `auto` and `validation`; here they are read and acted on. No lock is held while a
//! tenant, the source or a purge is called.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Coordinator;
use super::auto::{self, Rest, Room};
use super::journal::{Deed, Gave};
use super::plan::{self, Holder, Situation};
use super::validation::{Reclaimed, Retention};
use crate::arrange::sort_by;
use crate::boundary::ask;
use crate::domain::DomainCore;
use crate::monitor::process;
use crate::pressure::{Auto, Level, MemorySample, PressureSource};
use crate::stats::{Cause, in_bytes};
use crate::sync::{MutexGuard, Ordering, fork};
use crate::tenant::{Claim, Need};

/// Memory gets fuller if what is no cache's has grown by more than this part of it between two looks.
const RISE: u64 = 256;
/// The allocator is asked to give back more than this part of memory under high pressure; less is not worth its locks.
const MUCH: u64 = 64;
/// So many of those who hold on to what is wanted are named.
const NAMED: usize = 3;

/// What the coordinator knows of memory from one tick to the next.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// What is used beside the caches, at the last look.
    rest: Option<u64>,
    /// Of the last minutes, for a limit that follows memory.
    rests: Rest,
    /// The bounds of such a limit.
    pub(super) auto: Option<Auto>,
    retention: Retention,
    /// How often it was at its limit.
    at_limit: Option<u64>,
    /// Growth was held back the last time.
    frozen: bool,
}

impl Watched {
    pub(super) fn retained(&self) -> u64 {
        self.retention.kept()
    }
}

impl Coordinator {
    /// `None` in the child of a fork, where somebody may hold it for ever.
    pub(super) fn watched(&self) -> Option<MutexGuard<'_, Watched>> {
        if fork::forked() { self.watched.try_lock() } else { Some(self.watched.lock()) }
    }

    /// Has the allocator give back what it keeps.
    pub(super) fn purge(core: &DomainCore) {
        match core.purge() {
            // Its message was printed; memory stays where it is.
            Some(purge) => _ = catch_unwind(AssertUnwindSafe(|| purge.run())),
            None => process::purge(),
        }
    }

    pub(super) fn respond(&self, core: &DomainCore) {
        let Some(source) = self.source.as_deref() else { return };
        // Before the look: what fires after it is looked at again.
        let pressed = self.pressed.swap(false, Ordering::AcqRel);
        let Some(sample) = source.sample() else { return };
        // Whoever else is at it writes the same; in the child of a fork it may stay locked for ever.
        if let Some(mut last) = self.last.try_lock() {
            *last = Some(sample);
        }
        // Who waits for memory is short of it, whatever the figures say.
        let least = if pressed { self.watermarks.high() } else { 0.0 };
        let fullness = sample.fullness().max(least);
        let before = core.level();
        let level = self.watermarks.next(before, fullness);
        core.set_level(level);
        self.journal.note_fullness(sample.fullness());
        if level == Level::Emergency && before != Level::Emergency {
            self.journal.note_near_misses(1);
        }
        self.count_near_misses(source);
        let ledger = &core.ledger;
        let (used, resident) = (ledger.used(), source.resident());
        let (rising, helps) = self.look(core, source, sample, resident);
        let allowed_before = ledger.allowed();
        let floors = core.with_cards(|cards| cards.fold(0_u64, |sum, card| sum.saturating_add(card.floor())));
        if level == Level::Emergency {
            for tenant in core.live() {
                ask(|| tenant.drop_idle());
                tenant.card().reservation.release_credit();
            }
        }
        let allowed = plan::allowance(&Situation {
            level,
            fullness,
            memory: sample.limit,
            limit: ledger.limit(),
            allowed: allowed_before,
            used,
            floors,
            rising,
            // At each new level it is tried anew.
            helps: helps || before != level,
        });
        ledger.set_allowed(allowed);
        let mut gave = Gave::default();
        if level == Level::Emergency {
            self.evacuate(core, &mut gave);
        }
        self.evict_to_allowance(core, &mut gave);
        let freed = used.saturating_sub(ledger.used());
        let purges = match level {
            Level::Normal => false,
            Level::High => freed > sample.limit / MUCH,
            Level::Emergency => freed > 0 || before != Level::Emergency,
        };
        if purges {
            Self::purge(core);
        }
        let reclaimed =
            Reclaimed { freed, resident: if freed > 0 { resident.zip(source.resident()) } else { None } };
        if let Some(mut watched) = self.watched() {
            watched.retention.learn(ledger.used(), reclaimed);
            if purges {
                watched.retention.judge(reclaimed);
            }
        }
        let allowed = ledger.allowed();
        if allowed == allowed_before && gave.is_empty() {
            return;
        }
        let cause = match level {
            Level::Normal if allowed > allowed_before => Cause::Growth,
            Level::Normal | Level::High => Cause::Pressure,
            Level::Emergency => Cause::Emergency,
        };
        let mut reason = format!(
            "{} {:.0} % full of {}",
            source.name(),
            100.0 * sample.fullness(),
            in_bytes(sample.limit)
        );
        if pressed {
            reason.push_str(", tasks wait for memory");
        }
        if ledger.used() > allowed {
            reason.push_str(&held_back(core, ledger.used() - allowed));
        }
        let deed = Deed::new(cause, reason, (allowed_before, allowed), gave);
        self.journal.note(core.now(), Deed { freed, returned: reclaimed.returned(), ..deed });
    }

    /// Counts the times that the system says memory was at its limit, since the first look.
    fn count_near_misses(&self, source: &dyn PressureSource) {
        let Some(times) = source.at_limit() else { return };
        let before = self.watched().and_then(|mut watched| watched.at_limit.replace(times));
        self.journal.note_near_misses(times.saturating_sub(before.unwrap_or(times)));
    }

    /// Compares memory with what it was at the last look, and moves a limit that follows it. Says whether memory gets
    /// fuller by itself, and whether evicting helps.
    fn look(
        &self,
        core: &DomainCore,
        source: &dyn PressureSource,
        sample: MemorySample,
        resident: Option<u64>,
    ) -> (bool, bool) {
        let (now, used) = (core.now(), core.ledger.used());
        let Some(mut watched) = self.watched() else { return (false, true) };
        watched.retention.observe(used, resident);
        // What was freed and is kept by the allocator counts as used, and is nobody's need.
        let rest = sample.used.saturating_sub(used).saturating_sub(watched.retention.kept());
        let rise = watched.rest.replace(rest).map_or(0, |before| rest.saturating_sub(before));
        let rising = rise > sample.limit / RISE;
        let helps = watched.retention.helps();
        let limit = core.ledger.limit();
        let peak = watched.rests.observe(now, rest);
        let mut deed = None;
        if let Some(auto) = watched.auto.filter(|_| sample.limit > 0) {
            let room = Room {
                auto,
                sample,
                shared: source.is_shared(),
                full: self.watermarks.high_exit(),
                used,
                rest: peak,
                limit,
                rising,
            };
            let moved = auto::limit(&room);
            if moved != limit {
                let reason = format!("of {} the rest needs {}", in_bytes(sample.limit), in_bytes(peak));
                let before = core.ledger.allowed();
                // Still locked: a limit that the user sets comes after this, and stays.
                core.ledger.move_limit(moved);
                core.ledger.divide(core.with_cards(|cards| cards.count()));
                let allowed = (before, core.ledger.allowed());
                deed = Some(Deed::new(Cause::Auto, reason, allowed, Gave::default()));
            }
        }
        let short = core.ledger.allowed() < core.ledger.limit();
        let freezes = rising && short && core.level() == Level::Normal;
        if freezes && !std::mem::replace(&mut watched.frozen, freezes) {
            let reason = format!("held back: {} more are used beside the caches", in_bytes(rise));
            let allowed = core.ledger.allowed();
            deed = Some(Deed::new(Cause::Growth, reason, (allowed, allowed), Gave::default()));
        }
        watched.frozen = freezes;
        drop(watched);
        if let Some(deed) = deed {
            self.journal.note(now, deed);
        }
        (rising, helps)
    }

    /// Empties whole tenants down to their floors, those whose bytes earn least first, until usage is what is allowed.
    /// Where nothing is known of what they earn, price decides, one victim at a time.
    fn evacuate(&self, core: &DomainCore, gave: &mut Gave) {
        let excess = || core.ledger.used().saturating_sub(core.ledger.allowed());
        if excess() == 0 {
            return;
        }
        let live = core.live();
        let shares = core.excess();
        let holder = |(at, tenant)| {
            let tenant: &std::sync::Arc<dyn crate::tenant::Tenant> = tenant;
            let card = tenant.card();
            let rates = self.journal.rates_of(tenant)?;
            let earns = card.scale() * rates.by_byte;
            let within_share = shares.as_ref().is_some_and(|shares| shares.of(card) == 0);
            Some(Holder { at, earns, price: card.price(), within_share })
        };
        let holders: Option<Vec<Holder>> = live.iter().enumerate().map(holder).collect();
        let Some(holders) = holders else { return };
        // Whole tenants go, dear victims among them: that says nothing of those who stay.
        let level = holders.iter().map(|holder| holder.price).fold(f64::INFINITY, f64::min);
        for at in plan::departures(holders) {
            let tenant = &live[at];
            let card = tenant.card();
            while excess() > 0 && card.reclaimable() > 0 {
                let claim = Claim { bytes: excess(), upto: f64::INFINITY, level, need: Need::Others };
                let given = ask(|| tenant.reclaim(claim));
                card.reservation.release_credit();
                gave.note(&card.name, given.bytes);
                if given.entries == 0 {
                    break;
                }
            }
        }
    }
}

/// Who holds what can't be evicted, in words.
fn held_back(core: &DomainCore, bytes: u64) -> String {
    let mut holders: Vec<(u64, String)> = core.with_cards(|cards| {
        let stuck = cards.filter(|card| card.reservation.spent() > 0 && card.reclaimable() == 0);
        stuck.map(|card| (card.reservation.spent(), card.name.to_string())).collect()
    });
    sort_by(&mut holders, |a, b| b.cmp(a));
    holders.truncate(NAMED);
    let names: Vec<String> = holders.into_iter().map(|(_, name)| name).collect();
    let whose = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
    format!(", {} are held back{whose}", in_bytes(bytes))
}
