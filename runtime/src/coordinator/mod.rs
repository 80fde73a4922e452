//! Takes memory back across tenants: on an insert that finds no room, on a lowered limit, under pressure,
//! and when the user asks.
//!
//! Decisions are plain functions in `plan`; this module reads the figures, calls the tenants, and keeps
//! going until it is done or nobody can give. It holds no lock while a tenant is called. Values that leave
//! are dropped by the tenants, after their locks, on the thread that asked.

mod builder;
mod plan;

pub use builder::DomainBuilder;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Ledger;
use crate::descriptor::Kind;
use crate::domain::{Budget, DomainCore, Relief, Trimmed};
use crate::monitor::process;
use crate::pressure::{Level, MemorySample, PressureSource, Watermarks};
use crate::stats::{PressureStats, Snapshot, TenantStats};
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::tenant::{Card, Claim, Need};
use crate::time::Clock;
use crate::worker::Worker;

use plan::{Candidate, Pick, Situation};

/// So many tenants in a row that could give nothing, and relief gives up.
const FUTILE: usize = 8;

/// What protects a tenant from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floors {
    /// Nobody goes below its floor for others.
    Kept,
    /// The limit is below what is promised: everybody may have to give everything.
    Broken,
}

#[cfg(not(larder_shuttle))]
thread_local! {
    static TRIMMING: Cell<bool> = const { Cell::new(false) };
}
#[cfg(larder_shuttle)]
shuttle::thread_local! {
    static TRIMMING: Cell<bool> = Cell::new(false);
}

/// The thread is in a trim: what is dropped there may ask for another, and so on for each value there is.
struct Trimming;

impl Trimming {
    /// `None` in a trim. A thread whose thread-locals are gone is in none.
    fn start() -> Option<Self> {
        let before = TRIMMING.try_with(|trimming| trimming.replace(true));
        (before != Ok(true)).then_some(Self)
    }
}

impl Drop for Trimming {
    fn drop(&mut self) {
        let _ = TRIMMING.try_with(|trimming| trimming.set(false));
    }
}

/// Decides and acts for one domain.
pub(crate) struct Coordinator {
    source: Option<Arc<dyn PressureSource>>,
    watermarks: Watermarks,
    /// How often the background thread looks, while there is no pressure.
    interval: Duration,
    /// No background thread: `tick()` does its work.
    manual: bool,
    last: Mutex<Option<MemorySample>>,
    /// One fit or tick at a time, and one trim that knows exactly what it freed. A flag and not a lock: a user's
    /// `Drop` that runs in one and asks for another must not wait for itself.
    acting: AtomicBool,
    /// The limit was lowered while somebody was acting: whoever acts makes usage fit when done.
    unfit: AtomicBool,
    worker: Worker,
}

impl Coordinator {
    fn new(
        source: Option<Arc<dyn PressureSource>>,
        watermarks: Watermarks,
        interval: Duration,
        manual: bool,
    ) -> Self {
        Self {
            source,
            watermarks,
            interval,
            manual,
            last: Mutex::new(None),
            acting: AtomicBool::new(false),
            unfit: AtomicBool::new(false),
            worker: Worker::default(),
        }
    }

    /// Whose next victim goes.
    fn cheapest(core: &DomainCore, asker: Option<&Card>, floors: Floors, passed: &[usize]) -> Option<Pick> {
        core.with_cards(|cards| {
            let open = cards.enumerate().filter(|(at, _)| !passed.contains(at));
            plan::cheapest(open.map(|(at, card)| Candidate {
                at,
                price: card.price(),
                reclaimable: match floors {
                    Floors::Kept => card.reclaimable(),
                    Floors::Broken => card.evictable(),
                },
                asks: asker.is_some_and(|asker| std::ptr::eq(asker, card)),
                idle: card.kind != Kind::Cache,
            }))
        })
    }

    /// Evicts from whoever is cheapest until `bytes` are free or nobody gives; `gave` hears who gave what.
    fn relieve(
        core: &DomainCore,
        asker: Option<&Card>,
        floors: Floors,
        bytes: u64,
        mut gave: impl FnMut(&Card, u64),
    ) -> u64 {
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
            let Some(Pick { at, runner_up }) = Self::cheapest(core, asker, floors, &passed) else { break };
            let Some(tenant) = core.tenant_at(at) else {
                passed.push(at);
                continue;
            };
            let card = tenant.card();
            let need = match floors {
                Floors::Broken => Need::Limit,
                Floors::Kept if asker.is_some_and(|asker| std::ptr::eq(asker, card)) => Need::Own,
                Floors::Kept => Need::Others,
            };
            let given = tenant.reclaim(Claim { bytes: bytes - freed, upto: runner_up, need });
            if given.entries == 0 {
                // One that turned out to be empty says so in its price, and is not asked again.
                if card.price().is_finite() {
                    passed.push(at);
                }
                continue;
            }
            card.reservation.release_credit();
            freed += given.bytes;
            gave(card, given.bytes);
        }
        freed
    }

    /// Runs `act` unless another is at it; makes usage fit afterwards, if somebody asked for that meanwhile.
    fn alone<R>(&self, core: &DomainCore, act: impl FnOnce() -> R) -> Option<R> {
        let result = self.exclusively(act)?;
        while self.unfit.load(Ordering::Acquire) {
            let fitted = self.exclusively(|| {
                self.unfit.store(false, Ordering::Release);
                Self::evict_to_allowance(core);
            });
            if fitted.is_none() {
                // Who acts now looks at the flag when done.
                break;
            }
        }
        Some(result)
    }

    fn exclusively<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        struct Acting<'a>(&'a AtomicBool);
        impl Drop for Acting<'_> {
            fn drop(&mut self) {
                // Swapped and not stored: whoever found us acting had set `unfit` before, and we see it.
                self.0.swap(false, Ordering::AcqRel);
            }
        }
        if self.acting.swap(true, Ordering::AcqRel) {
            return None;
        }
        let _acting = Acting(&self.acting);
        Some(act())
    }

    fn evict_to_allowance(core: &DomainCore) {
        let fit = |floors, bound: fn(&Ledger) -> u64| {
            loop {
                let excess = core.ledger.used().saturating_sub(bound(&core.ledger));
                if excess == 0 || Self::relieve(core, None, floors, excess, |_, _| {}) == 0 {
                    return;
                }
            }
        };
        fit(Floors::Kept, Ledger::allowed);
        // Floors hold against tenants and short memory, and give way where the limit leaves no room for them.
        fit(Floors::Broken, Ledger::limit);
        if core.ledger.used() > core.ledger.limit() {
            // A pool without idle objects has no victim and no price, but it may keep an empty list of them.
            for tenant in core.live() {
                tenant.drop_idle();
                tenant.card().reservation.release_credit();
            }
        }
        // All that can be evicted is. What empty tenants take is off the books before these exceed the limit.
        core.with_cards(|cards| {
            let over = |_: &&Card| core.ledger.used() > core.ledger.limit();
            cards.take_while(over).for_each(|card| {
                card.uncover();
                card.reservation.release_credit();
            });
        });
    }

    /// Reads the source, moves between levels, and sets what may be used.
    fn respond(&self, core: &DomainCore) {
        let Some(sample) = self.source.as_deref().and_then(PressureSource::sample) else { return };
        // Whoever else is at it writes the same; in the child of a fork it may stay locked for ever.
        if let Some(mut last) = self.last.try_lock() {
            *last = Some(sample);
        }
        let fullness = sample.fullness();
        let before = core.level();
        let level = self.watermarks.next(before, fullness);
        core.set_level(level);
        let ledger = &core.ledger;
        let floors = core.with_cards(|cards| cards.fold(0_u64, |sum, card| sum.saturating_add(card.floor())));
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
        // What can never fit, because others have a right to their floors, evicts nobody.
        let room = core.with_cards(|cards| {
            let own = |card: &Card| std::ptr::eq(asker, card);
            let room = cards.map(|card| if own(card) { card.evictable() } else { card.reclaimable() });
            room.fold(0_u64, u64::saturating_add)
        });
        if room < bytes {
            return 0;
        }
        Self::relieve(core, Some(asker), Floors::Kept, bytes, |_, _| {})
    }

    fn fit(&self, core: &DomainCore) {
        // Where another act is under way, it does this when done: it may be the one that called us.
        self.unfit.store(true, Ordering::Release);
        let _ = self.alone(core, || {});
    }

    fn tick(&self, core: &DomainCore) {
        core.clock.ring();
        if !core.is_readable() {
            return;
        }
        let _ = self.alone(core, || {
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
        let freed = match Trimming::start() {
            None => 0,
            Some(_trimming) => {
                let mut relieve = || {
                    Self::relieve(core, None, Floors::Kept, bytes, |card, given| {
                        *by_tenant.entry(card.name.to_string()).or_default() += given;
                    })
                };
                let used_before = core.ledger.used();
                let alone = self.alone(core, || {
                    relieve();
                    used_before.saturating_sub(core.ledger.used())
                });
                // Beside a tick or another's trim the difference would be theirs as well.
                alone.unwrap_or_else(relieve)
            }
        };
        if freed > 0 {
            process::purge();
        }
        let mut by_tenant: Vec<_> = by_tenant.into_iter().collect();
        by_tenant.sort_by_key(|(_, given)| std::cmp::Reverse(*given));
        Trimmed { asked: bytes, freed, rss_before, rss_after: process::resident_bytes(), by_tenant }
    }

    fn snapshot(&self, core: &DomainCore) -> Snapshot {
        let mut tenants: Vec<TenantStats> =
            core.live().iter().map(|tenant| core.stats_of(&**tenant)).collect();
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
        let mut next = Instant::now();
        self.worker.start("larder", move || {
            let core = weak.upgrade()?;
            // A value whose drop panics, or a waker that does, must not end expiry and the watch over memory: it is
            // gone, and the next tick goes on. The panic's message was printed when it happened.
            let now = Instant::now();
            if now < next {
                let _ = catch_unwind(AssertUnwindSafe(|| core.clock.ring()));
            } else {
                let _ = catch_unwind(AssertUnwindSafe(|| core.relief().tick(&core)));
                // A pause that ends beyond all time is tried again in an hour.
                let pause = core.relief().pause();
                let now = Instant::now();
                next = now.checked_add(pause).unwrap_or(now + Duration::from_secs(3600));
            }
            let pause = next.saturating_duration_since(Instant::now());
            Some(core.clock.until_alarm().map_or(pause, |alarm| alarm.min(pause)))
        });
    }

    fn rouse(&self) {
        self.worker.rouse();
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

    fn twin(&self, core: &DomainCore, clock: Clock) -> Arc<DomainCore> {
        let twin = Self::new(self.source.clone(), self.watermarks, self.interval, true);
        let twin = DomainCore::new_twin(core.ledger.limit(), clock, Box::new(twin));
        if let Some(executor) = core.executor() {
            twin.set_executor(executor);
        }
        twin
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod machine;
#[cfg(all(test, larder_shuttle))]
mod models;
