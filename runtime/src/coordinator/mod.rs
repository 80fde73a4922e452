//! Takes memory back across tenants: on an insert that finds no room, on a lowered limit, under pressure,
//! and when the user asks.
//!
//! Decisions are plain functions in `plan`; this module reads the figures, calls the tenants, and keeps
//! going until it is done or nobody can give. It holds no lock while a tenant is called. Values that leave
//! are dropped by the tenants, after their locks, on the thread that asked.

mod builder;
mod plan;

pub use builder::DomainBuilder;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Budget, DomainCore, Relief, Trimmed};
use crate::monitor::process;
use crate::pressure::{Level, MemorySample, PressureSource, Watermarks};
use crate::stats::{PressureStats, Snapshot, TenantStats};
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::tenant::{Card, stats_of};
use crate::worker::Worker;

use plan::{Candidate, Situation};

/// So many tenants in a row that could give nothing, and relief gives up.
const FUTILE: usize = 8;

/// Decides and acts for one domain.
pub(crate) struct Coordinator {
    source: Option<Box<dyn PressureSource>>,
    watermarks: Watermarks,
    /// How often the background thread looks, while there is no pressure.
    interval: Duration,
    /// No background thread: `tick()` does its work.
    manual: bool,
    last: Mutex<Option<MemorySample>>,
    /// One trim, fit or tick at a time. A flag and not a lock: a user's `Drop` that runs in one and asks
    /// for another must not wait for itself.
    acting: AtomicBool,
    worker: Worker,
}

impl Coordinator {
    /// Whose next victim goes.
    fn cheapest(core: &DomainCore, asker: Option<&Card>, passed: &[usize]) -> Option<usize> {
        core.with_cards(|cards| {
            let open = cards.enumerate().filter(|(at, _)| !passed.contains(at));
            plan::cheapest(open.map(|(at, card)| Candidate {
                at,
                price: card.price(),
                reclaimable: card.reclaimable(),
                asks: asker.is_some_and(|asker| std::ptr::eq(asker, card)),
            }))
        })
    }

    /// Evicts from whoever is cheapest until `bytes` are free or nobody gives; `gave` hears who gave what.
    fn relieve(core: &DomainCore, asker: Option<&Card>, bytes: u64, mut gave: impl FnMut(&Card, u64)) -> u64 {
        // Unspent credit costs nobody anything.
        let mut freed = core.with_cards(|cards| {
            cards.fold(0, |freed, card| {
                let credit = card.reservation.release_credit();
                if credit > 0 {
                    gave(card, credit);
                }
                freed + credit
            })
        });
        let mut passed = Vec::new();
        while freed < bytes && passed.len() < FUTILE {
            let Some(at) = Self::cheapest(core, asker, &passed) else { break };
            let Some(tenant) = core.tenant_at(at) else {
                passed.push(at);
                continue;
            };
            let card = tenant.card();
            let own = asker.is_some_and(|asker| std::ptr::eq(asker, card));
            let given = tenant.reclaim(bytes - freed, own);
            if given == 0 {
                passed.push(at);
                continue;
            }
            card.reservation.release_credit();
            freed += given;
            gave(card, given);
        }
        freed
    }

    /// Runs `act` unless another is at it.
    fn alone<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        struct Acting<'a>(&'a AtomicBool);
        impl Drop for Acting<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        if self.acting.swap(true, Ordering::AcqRel) {
            return None;
        }
        let _acting = Acting(&self.acting);
        Some(act())
    }

    fn evict_to_allowance(core: &DomainCore) {
        loop {
            let excess = core.ledger.used().saturating_sub(core.ledger.allowed());
            if excess == 0 || Self::relieve(core, None, excess, |_, _| {}) == 0 {
                return;
            }
        }
    }

    /// Reads the source, moves between levels, and sets what may be used.
    fn respond(&self, core: &DomainCore) {
        let Some(sample) = self.source.as_ref().and_then(|source| source.sample()) else { return };
        *self.last.lock() = Some(sample);
        let fullness = sample.fullness();
        let before = core.level();
        let level = self.watermarks.next(before, fullness);
        core.set_level(level);
        let ledger = &core.ledger;
        let floors = core.with_cards(|cards| cards.map(|card| card.floor).sum());
        if level == Level::Emergency {
            for tenant in core.live() {
                tenant.drop_idle();
                tenant.card().reservation.release_credit();
            }
        }
        let allowed = plan::allowance(&Situation {
            level,
            fullness,
            memory: sample.limit,
            limit: ledger.limit(),
            allowed: ledger.allowed(),
            used: ledger.used(),
            floors,
        });
        ledger.set_allowed(allowed);
        Self::evict_to_allowance(core);
        if level == Level::Emergency && before != Level::Emergency {
            process::purge();
        }
    }
}

impl Relief for Coordinator {
    fn make_room(&self, core: &DomainCore, asker: &Card, bytes: u64) -> u64 {
        Self::relieve(core, Some(asker), bytes, |_, _| {})
    }

    fn fit(&self, core: &DomainCore) {
        // Another act that is under way may have read the old limit; inserts keep to the new one anyway.
        let _ = self.alone(|| Self::evict_to_allowance(core));
    }

    fn tick(&self, core: &DomainCore) {
        let _ = self.alone(|| {
            let now = core.now();
            for tenant in core.live() {
                tenant.sweep(now);
            }
            self.respond(core);
        });
    }

    fn trim(&self, core: &DomainCore, bytes: u64) -> Trimmed {
        let rss_before = process::resident_bytes();
        let mut by_tenant = BTreeMap::<String, u64>::new();
        let used_before = core.ledger.used();
        let freed = self.alone(|| {
            Self::relieve(core, None, bytes, |card, given| {
                *by_tenant.entry(card.name.clone()).or_default() += given;
            });
            used_before.saturating_sub(core.ledger.used())
        });
        if freed.is_some_and(|freed| freed > 0) {
            process::purge();
        }
        let mut by_tenant: Vec<_> = by_tenant.into_iter().collect();
        by_tenant.sort_by_key(|(_, given)| std::cmp::Reverse(*given));
        Trimmed {
            asked: bytes,
            freed: freed.unwrap_or(0),
            rss_before,
            rss_after: process::resident_bytes(),
            by_tenant,
        }
    }

    fn snapshot(&self, core: &DomainCore) -> Snapshot {
        let limit = core.ledger.limit();
        let mut tenants: Vec<TenantStats> =
            core.live().iter().map(|tenant| stats_of(&**tenant, limit)).collect();
        tenants.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let warnings = tenants.iter().filter(|tenant| tenant.estimated && tenant.max_bytes.is_some());
        let warnings = warnings.map(|tenant| {
            format!(
                "`{}` is bounded in bytes, but its values own heap that cannot be seen: derive `Weigh`, or say `weigh = ..`",
                tenant.name
            )
        });
        let sample = *self.last.lock();
        Snapshot {
            budget: Budget::stats(core),
            pressure: PressureStats {
                level: core.level(),
                used: sample.map_or(0, |sample| sample.used),
                limit: sample.map_or(0, |sample| sample.limit),
                source: self.source.as_ref().map_or("off", |source| source.name()).to_owned(),
            },
            warnings: warnings.collect(),
            tenants,
        }
    }

    fn enrolled(&self, core: &Arc<DomainCore>) {
        if self.manual {
            return;
        }
        let weak = Arc::downgrade(core);
        self.worker.start("larder", move || {
            let core = weak.upgrade()?;
            core.relief().tick(&core);
            Some(core.relief().pause())
        });
    }

    /// Sooner the fuller memory is.
    fn pause(&self) -> Duration {
        let fullness = self.last.lock().map_or(0.0, |sample| sample.fullness());
        let most = match fullness {
            f if f < 0.60 => self.interval,
            f if f < 0.80 => Duration::from_secs(5),
            _ => Duration::from_secs(1),
        };
        most.min(self.interval)
    }

    fn stop(&self, timeout: Duration) -> bool {
        self.worker.stop(timeout)
    }
}
