//! Takes memory back across tenants: on an insert that finds no room, on a lowered limit, under pressure,
//! and when the user asks.
//!
//! Decisions are plain functions in `plan`; this module reads the figures, calls the tenants, and keeps
//! going until it is done or nobody can give. It holds no lock while a tenant is called. Values that leave
//! are dropped by the tenants, after their locks, on the thread that asked.

mod auto;
mod builder;
mod epoch;
mod explain;
mod journal;
mod plan;
mod pour;
mod respond;
mod validation;

pub use builder::DomainBuilder;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arrange::sort_by;
use crate::boundary::{ask, cross};
use crate::budget::Ledger;
use crate::descriptor::Kind;
use crate::domain::namespace::{self, Excess};
use crate::domain::{Budget, DomainCore, Relief, Trimmed};
#[cfg(unix)]
use crate::monitor::Watcher;
use crate::monitor::process;
use crate::pressure::{Auto, MemorySample, PressureSource, Watermarks};
use crate::stats::{Cause, Explanation, Snapshot, TenantStats, in_bytes};
#[cfg(unix)]
use crate::sync::fork;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::tenant::{Card, Claim, Need};
use crate::time::Clock;
use crate::worker::Worker;

use epoch::Epochs;
use journal::{Deed, Gave, Journal};
use plan::{Against, Candidate, Pick};
use respond::Watched;

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

/// Who may be asked to give.
#[derive(Clone, Copy)]
struct Whom<'a> {
    floors: Floors,
    /// The tenant that needs room, if it is one.
    asker: Option<&'a Card>,
    /// Only tenants of this namespace.
    among: Option<&'a str>,
}

impl Whom<'_> {
    /// Everybody.
    fn all(floors: Floors) -> Self {
        Self { floors, asker: None, among: None }
    }

    fn includes(&self, card: &Card) -> bool {
        self.among.is_none_or(|namespace| namespace::contains(namespace, &card.name))
    }

    fn is_asking(&self, card: &Card) -> bool {
        self.asker.is_some_and(|asker| std::ptr::eq(asker, card))
    }
}

/// What wakes the background thread when memory gets short.
#[cfg(unix)]
struct Triggers {
    /// Whether they may have a thread that waits for them.
    watched: bool,
    watcher: Mutex<Option<Watcher>>,
}

#[cfg(unix)]
impl Triggers {
    fn take(&self) -> Option<Watcher> {
        // In the child of a fork it may stay locked for ever, and the thread is not there.
        if fork::forked() { None } else { self.watcher.lock().take() }
    }
}

/// What a tenant gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Bytes that it had taken and not spent.
    Credit,
    /// Entries or objects.
    Entries,
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
    /// Whether there may be threads beside the one that ticks.
    #[cfg(feature = "tiers")]
    has_workers: bool,
    last: Mutex<Option<MemorySample>>,
    journal: Journal,
    watched: Mutex<Watched>,
    /// One fit or tick at a time, and one trim that knows exactly what it freed. A flag and not a lock: a user's
    /// `Drop` that runs in one and asks for another must not wait for itself.
    acting: AtomicBool,
    /// The limit was lowered while somebody was acting: whoever acts makes usage fit when done.
    unfit: AtomicBool,
    /// What is learned and planned.
    epochs: Mutex<Epochs>,
    worker: Worker,
    /// A trigger fired since the last look at memory.
    pressed: AtomicBool,
    /// Somebody asked the source for triggers.
    #[cfg(unix)]
    watching: AtomicBool,
    #[cfg(unix)]
    triggers: Triggers,
}

impl Coordinator {
    fn new(
        source: Option<Arc<dyn PressureSource>>,
        watermarks: Watermarks,
        interval: Duration,
        manual: bool,
        #[cfg_attr(
            not(any(unix, feature = "tiers")),
            expect(unused_variables, reason = "there are no triggers and no disks")
        )]
        watched: bool,
    ) -> Self {
        Self {
            source,
            watermarks,
            interval,
            manual,
            #[cfg(feature = "tiers")]
            has_workers: watched && !manual,
            last: Mutex::new(None),
            journal: Journal::default(),
            watched: Mutex::new(Watched::default()),
            acting: AtomicBool::new(false),
            unfit: AtomicBool::new(false),
            epochs: Mutex::new(Epochs::default()),
            worker: Worker::default(),
            pressed: AtomicBool::new(false),
            #[cfg(unix)]
            watching: AtomicBool::new(false),
            #[cfg(unix)]
            triggers: Triggers { watched, watcher: Mutex::new(None) },
        }
    }

    /// Whose next victim goes.
    fn cheapest(core: &DomainCore, whom: &Whom<'_>, passed: &[usize]) -> Option<Pick> {
        // Shares are between namespaces: inside one they decide nothing.
        let excess = if whom.among.is_none() { core.excess() } else { None };
        core.with_cards(|cards| {
            let open = cards.enumerate().filter(|(at, card)| !passed.contains(at) && whom.includes(card));
            plan::cheapest(open.map(|(at, card)| Self::candidate(at, card, whom, excess.as_ref())))
        })
    }

    fn candidate(at: usize, card: &Card, whom: &Whom<'_>, excess: Option<&Excess>) -> Candidate {
        Candidate {
            at,
            price: card.price(),
            reclaimable: match whom.floors {
                Floors::Kept => card.reclaimable(),
                Floors::Broken => card.evictable(),
            },
            against: Against::of(card.reservation.spent(), card.target(), card.is_open()),
            lent: excess.map_or(u64::MAX, |excess| excess.of(card)),
            asks: whom.is_asking(card),
            idle: card.kind != Kind::Cache,
        }
    }

    /// Evicts from whoever is cheapest until `bytes` are free or nobody gives; `gave` hears who gave what, and whether
    /// anything left for it. For who asks, and will ask again, bytes that leave when somebody has read what left need not
    /// come from others as well.
    fn relieve(
        core: &DomainCore,
        whom: &Whom<'_>,
        bytes: u64,
        mut gave: impl FnMut(&Card, u64, What),
    ) -> u64 {
        // Unspent credit costs nobody anything.
        let mut freed = core.with_cards(|cards| {
            cards.filter(|card| whom.includes(card)).fold(0, |freed, card| {
                let credit = card.reservation.release_credit();
                if credit > 0 {
                    gave(card, credit, What::Credit);
                }
                freed + credit
            })
        });
        let (mut passed, mut waiting) = (Vec::new(), 0);
        while freed + waiting < bytes && passed.len() < FUTILE {
            let Some(Pick { at, upto, most, level }) = Self::cheapest(core, whom, &passed) else {
                break;
            };
            let Some(tenant) = core.tenant_at(at) else {
                passed.push(at);
                continue;
            };
            let card = tenant.card();
            let need = match whom.floors {
                Floors::Broken => Need::Limit,
                Floors::Kept if whom.is_asking(card) => Need::Own,
                Floors::Kept => Need::Others,
            };
            let wanted = (bytes - freed - waiting).min(most);
            let given = ask(|| tenant.reclaim(Claim { bytes: wanted, upto, level, need }));
            if given.entries == 0 && given.bytes == 0 {
                // One that turned out to be empty says so in its price, and is not asked again. One that has given as much
                // before, which somebody reads still, gives no more.
                if card.price().is_finite() {
                    passed.push(at);
                }
                continue;
            }
            card.reservation.release_credit();
            freed += given.bytes;
            if whom.asker.is_some() {
                waiting += given.waiting;
            }
            gave(card, given.bytes, What::Entries);
        }
        freed
    }

    /// Begins to wait for the source's triggers, with the first tenant.
    #[cfg(unix)]
    fn watch_triggers(&self, core: &Arc<DomainCore>) {
        let Some(source) = self.source.as_deref().filter(|_| self.triggers.watched) else { return };
        if self.watching.swap(true, Ordering::AcqRel) {
            return;
        }
        // The user's code, with no lock held.
        let triggers = source.triggers();
        let weak = Arc::downgrade(core);
        let watcher = Watcher::start(triggers, move || {
            let Some(core) = weak.upgrade() else { return false };
            core.relief().hasten();
            true
        });
        *self.triggers.watcher.lock() = watcher;
    }

    /// Runs `act` unless another is at it; makes usage fit afterwards, if somebody asked for that meanwhile.
    fn alone<R>(&self, core: &DomainCore, act: impl FnOnce() -> R) -> Option<R> {
        let result = self.exclusively(act)?;
        while self.unfit.load(Ordering::Acquire) {
            let fitted = self.exclusively(|| {
                self.unfit.store(false, Ordering::Release);
                let mut gave = Gave::default();
                self.evict_to_allowance(core, &mut gave);
                if !gave.is_empty() {
                    let allowed = core.ledger.allowed();
                    let reason = format!("the limit is {}", in_bytes(core.ledger.limit()));
                    self.journal.note(core.now(), Deed::new(Cause::Limit, reason, (allowed, allowed), gave));
                }
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

    /// Evicts what is above the allowance, and notes whose it was.
    fn evict_to_allowance(&self, core: &DomainCore, gave: &mut Gave) {
        let mut fit = |floors, bound: fn(&Ledger) -> u64| {
            loop {
                let excess = core.ledger.used().saturating_sub(bound(&core.ledger));
                let note = |card: &Card, bytes, _| gave.note(&card.name, bytes);
                if excess == 0 || Self::relieve(core, &Whom::all(floors), excess, note) == 0 {
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
                ask(|| tenant.drop_idle());
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
        self.journal.note_overshoot(core.ledger.used().saturating_sub(core.ledger.allowed()));
    }
}

/// Tiers of a tenant that are off, and why.
#[cfg(feature = "tiers")]
fn tiers_in_trouble(tenant: &TenantStats) -> impl Iterator<Item = String> {
    tenant.tiers.iter().filter_map(|tier| {
        let trouble = tier.trouble.as_ref()?;
        Some(format!("the tier `{}` of `{}` is off: {trouble}", tier.name, tenant.name))
    })
}

#[cfg(not(feature = "tiers"))]
fn tiers_in_trouble(_: &TenantStats) -> impl Iterator<Item = String> {
    std::iter::empty()
}

impl Relief for Coordinator {
    fn make_room(&self, core: &DomainCore, asker: &Card, bytes: u64) -> u64 {
        cross();
        // What can never fit, because others have a right to their floors, evicts nobody.
        let room = core.with_cards(|cards| {
            let own = |card: &Card| std::ptr::eq(asker, card);
            let room = cards.map(|card| if own(card) { card.evictable() } else { card.reclaimable() });
            room.fold(0_u64, u64::saturating_add)
        });
        if room < bytes {
            return 0;
        }
        let whom = Whom { asker: Some(asker), ..Whom::all(Floors::Kept) };
        Self::relieve(core, &whom, bytes, |card, given, what| {
            if what == What::Entries && !whom.is_asking(card) {
                self.journal.moved(given);
            }
        })
    }

    fn fit(&self, core: &DomainCore) {
        cross();
        // Where another act is under way, it does this when done: it may be the one that called us.
        self.unfit.store(true, Ordering::Release);
        let _ = self.alone(core, || {});
    }

    fn tick(&self, core: &DomainCore) {
        cross();
        core.clock.ring();
        if !core.is_readable() {
            return;
        }
        let _ = self.alone(core, || {
            let now = core.now();
            let live = core.live();
            for tenant in &live {
                ask(|| tenant.sweep(now));
            }
            if core.ledger.used() > core.ledger.limit() {
                // It was lowered, and what was to go was read then.
                self.unfit.store(true, Ordering::Release);
            }
            self.journal.measure(now, &live);
            drop(live);
            self.journal.note_moves(now, core.ledger.allowed());
            self.respond(core);
            self.end_epoch(core, now);
        });
    }

    fn trim(&self, core: &DomainCore, bytes: u64, among: Option<&str>) -> Trimmed {
        cross();
        let rss_before = process::resident_bytes();
        let mut gave = Gave::default();
        let freed = match Trimming::start() {
            None => 0,
            Some(_trimming) => {
                let mut relieve = || {
                    let whom = Whom { among, ..Whom::all(Floors::Kept) };
                    Self::relieve(core, &whom, bytes, |card, given, _| gave.note(&card.name, given))
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
            Self::purge(core);
        }
        let by_tenant = gave.clone().into_sorted();
        if !by_tenant.is_empty() {
            let whose = among.map_or(String::new(), |namespace| format!(" of {namespace}"));
            let reason = if bytes == u64::MAX {
                format!("all that can go{whose} was asked for")
            } else {
                format!("{}{whose} were asked for", in_bytes(bytes))
            };
            let allowed = core.ledger.allowed();
            self.journal.note(core.now(), Deed::new(Cause::Trim, reason, (allowed, allowed), gave));
        }
        Trimmed { asked: bytes, freed, rss_before, rss_after: process::resident_bytes(), by_tenant }
    }

    fn snapshot(&self, core: &DomainCore) -> Snapshot {
        let mut tenants: Vec<TenantStats> =
            core.live().iter().map(|tenant| core.stats_of(&**tenant)).collect();
        sort_by(&mut tenants, |a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let warnings = tenants.iter().filter(|tenant| tenant.estimated && tenant.max_bytes.is_some());
        let warnings = warnings.map(|tenant| {
            format!(
                "`{}` is bounded in bytes, but its values own heap that cannot be seen: derive `Weigh`, or say `weigh = ..`",
                tenant.name
            )
        });
        let warnings = warnings.chain(tenants.iter().flat_map(tiers_in_trouble));
        Snapshot {
            budget: Budget::stats(core),
            pressure: self.pressure_stats(core),
            coordinator: self.coordinator_stats(core),
            namespaces: core.namespace_stats(),
            warnings: warnings.collect(),
            tenants,
        }
    }

    fn explain(&self, core: &DomainCore) -> Explanation {
        self.explanation(core)
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
            if now < next && !core.relief().is_pressed() {
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
        #[cfg(unix)]
        self.watch_triggers(core);
    }

    fn rouse(&self) {
        self.worker.rouse();
    }

    fn hasten(&self) {
        self.pressed.store(true, Ordering::Release);
        self.worker.rouse();
    }

    fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Acquire)
    }

    /// Sooner the fuller memory is.
    fn pause(&self) -> Duration {
        plan::pause(*self.last.lock(), self.watermarks.high(), self.interval).min(epoch::LENGTH)
    }

    #[cfg(feature = "tiers")]
    fn has_workers(&self) -> bool {
        self.has_workers
    }

    fn follow(&self, _core: &DomainCore, auto: Option<Auto>) {
        if let Some(mut watched) = self.watched() {
            watched.auto = auto;
        }
    }

    fn stop(&self, timeout: Duration) -> bool {
        #[cfg(unix)]
        if let Some(watcher) = self.triggers.take() {
            watcher.stop();
        }
        self.worker.stop(timeout)
    }

    fn twin(&self, core: &DomainCore, clock: Clock) -> Arc<DomainCore> {
        let twin = Self::new(self.source.clone(), self.watermarks, self.interval, true, false);
        let twin = DomainCore::new_twin(core.ledger.limit(), clock, Box::new(twin));
        twin.copy_shares(core);
        twin.relief().follow(&twin, self.watched().and_then(|watched| watched.auto));
        if let Some(purge) = core.purge() {
            twin.set_purge(purge);
        }
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
