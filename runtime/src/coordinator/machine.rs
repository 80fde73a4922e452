//! The budget as a state machine: random histories over caches and pools of every kind, one thread against a
//! model, then several at once.
//!
//! What holds after each step: `used <= limit`, but for leases and pins that a lowered limit does not take away; what
//! is found was written last and is not expired, and what is pinned is found. What holds at rest: the books are what a recount of every shard and
//! every idle list says, the reservations are what is used, nothing was released twice, and everything goes back
//! when it is emptied.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::domain::Domain;
use crate::pool::{Pool, Pooled};
use crate::pressure::FixedPressure;
use crate::tenant::Card;
use crate::time::ManualClock;
use crate::{Cache, Policy};

const MB: u64 = 1 << 20;
const CACHES: usize = 9;
const POOLS: usize = 2;
const KEYS: u64 = 96;
const TTL: u64 = 1000;
/// So often everything is counted again.
const RECOUNT: u64 = 8192;

/// Steps of each form: the short figure for every change, the long one for `cargo xtask deep`.
fn steps() -> u64 {
    let deep = std::env::var_os("LARDER_DEEP").is_some_and(|value| value != "0");
    if deep { 50_000_000 } else { 500_000 }
}

/// Random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Small ones mostly, and now and then one that is larger than a whole cache.
    fn size(&mut self) -> u64 {
        let most = [400, 400, 400, 8000, 400_000][self.below(64).min(4) as usize];
        let most = if self.below(4) == 0 { 8000 } else { most };
        self.below(most)
    }
}

/// A value that knows whose it is; it weighs what it says, or what was said of all values of its key since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    cache: usize,
    key: u64,
    version: u64,
    size: u64,
}

/// How much larger the values of each key are by now than when they were made.
type Grown = Arc<[AtomicU64; KEYS as usize]>;

/// What was last written for a key, and when it expires.
type Written = Option<(Value, u64)>;

fn has_ttl(at: usize) -> bool {
    at == 2 || at == 4
}

fn expires(at: usize) -> bool {
    has_ttl(at) || is_idle(at)
}

fn is_idle(at: usize) -> bool {
    at == 6
}

fn cache(domain: &Domain, at: usize, grown: &Grown) -> Cache<u64, Value> {
    let grown = Arc::clone(grown);
    let builder = Cache::builder(format!("cache {at}"))
        .policy(Policy::ALL[at % Policy::ALL.len()])
        .priority([1.0, 3.0, 0.2][at % 3])
        .weigh(move |key, value: &Value| value.size + grown[*key as usize].load(Ordering::Relaxed));
    let ttl = Duration::from_nanos(TTL);
    let builder = match at {
        0 => builder.max_entries(10),
        1 => builder.max_bytes(30_000),
        2 => builder.ttl(ttl),
        3 => builder.max_entries(1),
        4 => builder.max_entries(40).max_bytes(20_000).ttl(ttl),
        5 => builder.cost(|key, _| Duration::from_micros(*key)),
        6 => builder.tti(ttl),
        _ => builder,
    };
    builder.build_in(domain).unwrap()
}

fn pool(domain: &Domain, at: usize) -> Pool<Vec<u8>> {
    let pool = Pool::builder(format!("pool {at}"), || Vec::with_capacity(100)).max(20).reset(
        |buffer: &mut Vec<u8>| {
            buffer.clear();
            buffer.capacity() < 6000
        },
    );
    let pool = if at == 1 { pool.max_bytes(40_000) } else { pool };
    pool.build_in(domain).unwrap()
}

/// What the steps act on.
struct World {
    domain: Domain,
    clock: ManualClock,
    memory: FixedPressure,
    grown: Grown,
    caches: Vec<Cache<u64, Value>>,
    pools: Vec<Pool<Vec<u8>>>,
}

/// One step, drawn at random.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert { cache: usize, key: u64, size: u64 },
    Load { cache: usize, key: u64, size: u64 },
    FailingLoad { cache: usize, key: u64 },
    Get { cache: usize, key: u64 },
    Invalidate { cache: usize, key: u64 },
    Reweigh { cache: usize, key: u64, size: u64 },
    Pin { cache: usize, key: u64 },
    Unpin { cache: usize, key: u64 },
    InsertFor { cache: usize, key: u64, size: u64, nanos: u64 },
    SetTtl { cache: usize, key: u64, nanos: u64 },
    Clear { cache: usize },
    ClearAll,
    MaxBytes { cache: usize, bytes: u64 },
    MaxEntries { cache: usize, entries: u64 },
    Priority { cache: usize, priority: f64 },
    Acquire { pool: usize },
    Grow { bytes: u64 },
    Return,
    Detach,
    ClearPool { pool: usize },
    Advance { nanos: u64 },
    Tick,
    Trim { bytes: u64 },
    Limit { bytes: u64 },
    Pressure { percent: u64 },
    Bypass { on: bool },
}

impl Step {
    fn draw(random: &mut Random) -> Self {
        let cache = random.below(CACHES as u64) as usize;
        let pool = random.below(POOLS as u64) as usize;
        let key = random.below(KEYS);
        match random.below(1000) {
            0..=229 => Self::Insert { cache, key, size: random.size() },
            230..=239 => Self::InsertFor { cache, key, size: random.size(), nanos: random.below(2 * TTL) },
            240..=249 => Self::SetTtl { cache, key, nanos: random.below(2 * TTL) },
            250..=449 => Self::Load { cache, key, size: random.size() },
            450..=469 => Self::FailingLoad { cache, key },
            470..=649 => Self::Get { cache, key },
            650..=674 => Self::Invalidate { cache, key },
            675..=679 => Self::Pin { cache, key },
            680..=689 => Self::Unpin { cache, key },
            690..=709 => Self::Reweigh { cache, key, size: random.size() },
            710..=714 => Self::Clear { cache },
            715 => Self::ClearAll,
            716..=725 => Self::MaxBytes { cache, bytes: random.below(60_000) },
            726..=735 => Self::MaxEntries { cache, entries: random.below(KEYS) },
            736..=745 => Self::Priority { cache, priority: (1 + random.below(400)) as f64 / 100.0 },
            746..=815 => Self::Acquire { pool },
            816..=835 => Self::Grow { bytes: random.below(9000) },
            836..=905 => Self::Return,
            906..=910 => Self::Detach,
            911..=914 => Self::ClearPool { pool },
            915..=949 => Self::Advance { nanos: random.below(TTL / 2) },
            950..=964 => Self::Tick,
            965..=974 => Self::Trim { bytes: random.below(100_000) },
            975..=984 => Self::Limit { bytes: random.below(MB) },
            985..=996 => Self::Pressure { percent: random.below(110) },
            _ => Self::Bypass { on: random.below(8) == 0 },
        }
    }
}

impl World {
    fn new() -> Self {
        let (clock, memory) = (ManualClock::new(), FixedPressure::new(10, 100));
        let domain =
            Domain::builder().limit_bytes(MB).clock(clock.clone()).pressure(memory.clone()).manual().build();
        let grown: Grown = Arc::new([const { AtomicU64::new(0) }; KEYS as usize]);
        let caches = (0..CACHES).map(|at| cache(&domain, at, &grown)).collect();
        let pools = (0..POOLS).map(|at| pool(&domain, at)).collect();
        Self { domain, clock, memory, grown, caches, pools }
    }

    /// Steps that need no model: all but those on entries.
    fn run(&self, step: Step, random: &mut Random, leases: &mut Vec<(usize, Pooled<Vec<u8>>)>) {
        match step {
            Step::Clear { cache } => self.caches[cache].clear(),
            Step::ClearAll => self.domain.clear_all(),
            Step::MaxBytes { cache, bytes } => self.caches[cache].set_max_bytes(bytes),
            Step::MaxEntries { cache, entries } => self.caches[cache].set_max_entries(entries),
            Step::Priority { cache, priority } => self.caches[cache].set_priority(priority).unwrap(),
            Step::Acquire { pool } => {
                // What is on loan is bounded by the program, as in any other.
                if leases.len() >= 24 {
                    leases.swap_remove(random.below(24) as usize);
                }
                let lease = self.pools[pool].acquire();
                assert!(lease.is_empty(), "a reset object");
                leases.push((pool, lease));
            }
            Step::Grow { bytes } => {
                if let Some((_, lease)) = leases.last_mut() {
                    lease.resize(bytes as usize, 1);
                }
            }
            Step::Return | Step::Detach if leases.is_empty() => {}
            Step::Return => drop(leases.swap_remove(random.below(leases.len() as u64) as usize)),
            Step::Detach => {
                let (_, lease) = leases.swap_remove(random.below(leases.len() as u64) as usize);
                drop(Pooled::detach(lease));
            }
            Step::ClearPool { pool } => self.pools[pool].clear(),
            Step::Advance { nanos } => self.clock.advance(Duration::from_nanos(nanos)),
            Step::Tick => self.domain.tick(),
            Step::Trim { bytes } => _ = self.domain.trim(bytes),
            Step::Limit { bytes } => self.domain.budget().set_limit(bytes),
            Step::Pressure { percent } => {
                self.memory.set(percent, 100);
                self.domain.tick();
            }
            Step::Bypass { on } => self.domain.set_bypass(on),
            Step::Insert { .. }
            | Step::Load { .. }
            | Step::FailingLoad { .. }
            | Step::Get { .. }
            | Step::Invalidate { .. }
            | Step::Reweigh { .. }
            | Step::Pin { .. }
            | Step::Unpin { .. }
            | Step::InsertFor { .. }
            | Step::SetTtl { .. } => unreachable!("steps on entries are the caller's"),
        }
    }

    /// Counts everything again. Nobody else is at it; `leases` are all there are.
    fn recount(&self, leases: &[(usize, Pooled<Vec<u8>>)]) {
        let stats = self.domain.stats();
        let parts: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
        assert_eq!(parts, stats.budget.used, "the reservations are not what is used: {stats}");
        assert_eq!(stats.budget.over_released, 0, "{stats}");
        for tenant in &stats.tenants {
            assert!(tenant.bytes <= tenant.reserved, "{tenant:?}");
        }
        for cache in &self.caches {
            assert_eq!(cache.core.validate(), cache.weight(), "{cache:?}");
            assert_eq!(cache.core.tenant.entries(), cache.len() as u64, "{cache:?}");
        }
        for (at, pool) in self.pools.iter().enumerate() {
            let own = leases.iter().filter(|(of, _)| *of == at);
            let on_loan: u64 = own.map(|(_, lease)| lease.charged()).sum();
            assert_eq!(pool.core.card.base() + pool.core.idle_bytes() + on_loan, pool.weight(), "{pool:?}");
        }
        self.check_limit();
    }

    /// Only leases and pins can be above a limit: they stay when it is lowered.
    fn check_limit(&self) {
        let budget = self.domain.budget();
        if budget.used() > budget.limit() {
            let evictable: usize = self.caches.iter().map(|cache| cache.len() - pins(cache)).sum();
            let empty = self.caches.iter().filter(|cache| cache.is_empty());
            let empty: u64 = empty.map(Cache::weight).sum();
            let idle: u64 = self.pools.iter().map(|pool| pool.core.idle_bytes()).sum();
            assert_eq!((evictable, empty, idle), (0, 0, 0), "{}", self.domain.stats());
        }
    }

    /// Everything goes back.
    fn finish(self, leases: Vec<(usize, Pooled<Vec<u8>>)>) {
        self.domain.set_bypass(false);
        self.recount(&leases);
        drop(leases);
        self.recount(&[]);
        self.domain.clear_all();
        // But for what empty tenants take, where there was room for that.
        let empty = |card: &Card| card.base();
        let magazines = |pool: &Pool<Vec<u8>>| pool.core.magazine_bytes();
        for cache in &self.caches {
            assert_eq!((cache.len(), cache.weight()), (0, empty(&cache.core.tenant.card)), "{cache:?}");
        }
        for pool in &self.pools {
            let (idle, leased) = (pool.idle(), pool.leased());
            assert_eq!(
                (idle, leased, pool.weight()),
                (0, 0, empty(&pool.core.card) + magazines(pool)),
                "{pool:?}"
            );
        }
        let caches: u64 = self.caches.iter().map(Cache::weight).sum();
        let pools: u64 = self.pools.iter().map(Pool::weight).sum();
        assert_eq!(self.domain.budget().used(), caches + pools, "{}", self.domain.stats());
    }
}

/// How many entries are pinned.
fn pins(cache: &Cache<u64, Value>) -> usize {
    cache.core.count(None).pins as usize
}

/// What reads must not contradict.
struct Model {
    written: Vec<Written>,
    /// Who has to be found, as long as it is not expired.
    pinned: Vec<bool>,
    now: u64,
    version: u64,
    bypassed: bool,
}

impl Model {
    fn new() -> Self {
        let written = vec![None; CACHES * KEYS as usize];
        let pinned = vec![false; CACHES * KEYS as usize];
        Self { written, pinned, now: 0, version: 0, bypassed: false }
    }

    fn slot(&mut self, cache: usize, key: u64) -> &mut Written {
        &mut self.written[cache * KEYS as usize + key as usize]
    }

    fn value(&mut self, cache: usize, key: u64, size: u64) -> Value {
        self.version += 1;
        Value { cache, key, version: self.version, size }
    }

    fn write(&mut self, value: Value) {
        let deadline = if has_ttl(value.cache) { self.now + TTL } else { u64::MAX };
        *self.slot(value.cache, value.key) = Some((value, deadline));
    }

    fn check(&mut self, cache: usize, key: u64, found: Value) {
        assert!(!self.bypassed, "{found:?} was found while all is turned off");
        let now = self.now;
        let alive = self.slot(cache, key).filter(|(_, deadline)| now < *deadline);
        assert_eq!(Some(found), alive.map(|(value, _)| value));
    }

    fn pin(&mut self, cache: usize, key: u64) -> &mut bool {
        &mut self.pinned[cache * KEYS as usize + key as usize]
    }

    /// Whether the entry must be there. One that expires when it is idle may always be gone.
    fn must_be(&mut self, cache: usize, key: u64) -> bool {
        let now = self.now;
        let alive = self.slot(cache, key).is_some_and(|(_, deadline)| now < deadline);
        alive && *self.pin(cache, key) && !self.bypassed && !is_idle(cache)
    }

    /// What a write left: a pin that was there, or nothing.
    fn written_over(&mut self, world: &World, cache: usize, key: u64, was_pinned: bool) {
        let there = world.caches[cache].contains(key);
        let pinned = world.caches[cache].is_pinned(key);
        assert_eq!(pinned, there && was_pinned, "a pin stays with its key, and comes from nowhere");
        *self.pin(cache, key) = pinned;
    }

    fn check_pins(&mut self, world: &World) {
        for (cache, key) in (0..CACHES).flat_map(|cache| (0..KEYS).map(move |key| (cache, key))) {
            if self.must_be(cache, key) {
                let value = self.slot(cache, key).map(|(value, _)| value);
                assert_eq!(world.caches[cache].peek(key), value, "{key} of cache {cache} is pinned");
            }
        }
    }

    fn forget(&mut self, cache: usize) {
        let keys = KEYS as usize;
        self.pinned[cache * keys..(cache + 1) * keys].fill(false);
        self.written[cache * keys..(cache + 1) * keys].fill(None);
    }

    fn run(
        &mut self,
        world: &World,
        step: Step,
        random: &mut Random,
        leases: &mut Vec<(usize, Pooled<Vec<u8>>)>,
    ) {
        match step {
            Step::Insert { cache, key, size } => {
                let value = self.value(cache, key, size);
                let was_pinned = world.caches[cache].is_pinned(key);
                world.caches[cache].insert(key, value);
                if self.bypassed {
                    *self.slot(cache, key) = None;
                    *self.pin(cache, key) = false;
                } else {
                    self.write(value);
                    self.written_over(world, cache, key, was_pinned);
                }
            }
            Step::InsertFor { cache, key, size, nanos } => {
                let value = self.value(cache, key, size);
                let was_pinned = world.caches[cache].is_pinned(key);
                let ttl = Duration::from_nanos(nanos);
                match world.caches[cache].insert_with_ttl(key, value, ttl) {
                    Err(_) => assert!(!expires(cache)),
                    Ok(()) if self.bypassed => {
                        *self.slot(cache, key) = None;
                        *self.pin(cache, key) = false;
                    }
                    Ok(()) => {
                        *self.slot(cache, key) = Some((value, self.now + nanos));
                        self.written_over(world, cache, key, was_pinned);
                    }
                }
            }
            Step::SetTtl { cache, key, nanos } => {
                let there = world.caches[cache].contains(key);
                let deadline = self.now + nanos;
                match world.caches[cache].set_ttl(key, Duration::from_nanos(nanos)) {
                    Err(_) => assert!(!expires(cache)),
                    Ok(set) => {
                        assert_eq!(set, there);
                        if let Some((_, old)) = self.slot(cache, key).as_mut().filter(|_| set) {
                            *old = deadline;
                        }
                        assert_eq!(world.caches[cache].contains(key), set && nanos > 0);
                    }
                }
            }
            Step::Load { cache, key, size } => {
                let fresh = self.value(cache, key, size);
                let found = world.caches[cache].get_or_insert_with(key, || fresh);
                if found != fresh {
                    self.check(cache, key, found);
                } else if !self.bypassed {
                    assert!(!self.must_be(cache, key), "{key} of cache {cache} is pinned");
                    self.write(fresh);
                    self.written_over(world, cache, key, false);
                }
            }
            Step::FailingLoad { cache, key } => {
                if let Ok(found) = world.caches[cache].try_get_or_insert_with(key, || Err(())) {
                    self.check(cache, key, found);
                }
            }
            Step::Get { cache, key } => {
                let (peeked, got) = (world.caches[cache].peek(key), world.caches[cache].get(key));
                assert_eq!(peeked, got);
                assert!(got.is_some() || !self.must_be(cache, key), "{key} of cache {cache} is pinned");
                if let Some(found) = got {
                    self.check(cache, key, found);
                }
            }
            Step::Invalidate { cache, key } => {
                world.caches[cache].invalidate(key);
                assert_eq!(world.caches[cache].peek(key), None);
                *self.slot(cache, key) = None;
                *self.pin(cache, key) = false;
            }
            Step::Pin { cache, key } => {
                let pinned = world.caches[cache].pin(key);
                assert_eq!(pinned, world.caches[cache].contains(key));
                *self.pin(cache, key) |= pinned;
            }
            Step::Unpin { cache, key } => {
                let must_be = self.must_be(cache, key);
                assert!(world.caches[cache].unpin(key) || !must_be);
                assert!(!world.caches[cache].is_pinned(key));
                *self.pin(cache, key) = false;
            }
            Step::Reweigh { cache, key, size } => {
                let found = world.caches[cache].peek(key);
                world.grown[key as usize].store(size, Ordering::Relaxed);
                let weight = world.caches[cache].reweigh(key);
                // What no longer fits is gone, unless it is pinned; what stays is what it was.
                assert!(weight.is_none() || found.is_some());
                assert!(weight.is_some() || !self.must_be(cache, key), "{key} of cache {cache} is pinned");
                assert!(world.caches[cache].peek(key).is_none_or(|value| Some(value) == found));
            }
            other => {
                world.run(other, random, leases);
                match other {
                    Step::Clear { cache } => self.forget(cache),
                    Step::ClearAll => (0..CACHES).for_each(|cache| self.forget(cache)),
                    Step::Advance { nanos } => self.now += nanos,
                    Step::Bypass { on } => self.bypassed = on,
                    Step::Limit { .. } => world.check_limit(),
                    Step::MaxBytes { cache, bytes } => {
                        let cache = &world.caches[cache];
                        let pins = pins(cache);
                        assert!(cache.weight() <= bytes || (pins > 0 && pins == cache.len()));
                    }
                    Step::MaxEntries { cache, entries } => {
                        let cache = &world.caches[cache];
                        assert!(cache.len() <= pins(cache).max(entries as usize));
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn one_thread_against_a_model() {
    let (world, mut model, mut random) = (World::new(), Model::new(), Random(7));
    let mut leases = Vec::new();
    // What may be used: the limit, or what leases and pins held above it when it was lowered.
    let mut bound = MB;
    for at in 0..steps() {
        let step = Step::draw(&mut random);
        model.run(&world, step, &mut random, &mut leases);
        let (used, limit) = (world.domain.budget().used(), world.domain.budget().limit());
        if matches!(step, Step::Limit { .. }) {
            bound = bound.max(used);
        }
        assert!(used <= bound.max(limit), "{used} of {limit} bytes after step {at}, {step:?}");
        bound = used.max(limit);
        if at % RECOUNT == 0 {
            world.recount(&leases);
            model.check_pins(&world);
        }
    }
    world.finish(leases);
}

#[test]
fn several_threads_at_once() {
    const THREADS: u64 = 4;
    // Between two phases all threads are at rest.
    let phase = 25_000;
    let phases = (steps() / THREADS / phase).max(1);
    let world = World::new();
    // Two flags: one that a leader sets must not send home who still reads the other, and leave it waiting.
    let (rest, failed) = (Barrier::new(THREADS as usize), [AtomicBool::new(false), AtomicBool::new(false)]);
    // The limit moves between phases only: in one, nobody is ever above it, or above what leases held when it was
    // lowered.
    let bound = AtomicU64::new(MB);
    let held: Vec<_> = (0..THREADS).map(|_| std::sync::Mutex::new(Vec::new())).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (world, rest, failed, held, bound) = (&world, &rest, &failed, &held, &bound);
            scope.spawn(move || {
                let mut random = Random(1000 + thread);
                for phase_at in 0..phases {
                    // A thread that panics must not leave the others at the barrier.
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        let mut own = held[thread as usize].lock().unwrap();
                        for _ in 0..phase {
                            in_parallel(world, &mut random, &mut own);
                            let used = world.domain.budget().used();
                            assert!(used <= bound.load(Ordering::SeqCst), "{used} bytes are used");
                        }
                    }));
                    failed[0].fetch_or(outcome.is_err(), Ordering::SeqCst);
                    let leader = rest.wait().is_leader();
                    if failed[0].load(Ordering::SeqCst) {
                        break;
                    }
                    if leader {
                        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            let limit = random.below(MB) + MB / 8;
                            world.domain.budget().set_limit(limit);
                            bound.store(limit.max(world.domain.budget().used()), Ordering::SeqCst);
                            let mut all = Vec::new();
                            held.iter().for_each(|held| all.append(&mut held.lock().unwrap()));
                            world.recount(&all);
                            if phase_at % 2 == 1 {
                                all.clear();
                                world.recount(&all);
                            }
                            *held[0].lock().unwrap() = all;
                        }));
                        failed[1].fetch_or(outcome.is_err(), Ordering::SeqCst);
                    }
                    rest.wait();
                    if failed[1].load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
    });
    let failed = failed.iter().any(|failed| failed.load(Ordering::SeqCst));
    assert!(!failed, "a thread failed; its message is above");
    let mut leases = Vec::new();
    held.into_iter().for_each(|held| leases.append(&mut held.into_inner().unwrap()));
    world.finish(leases);
}

/// One step beside others, which may do anything at the same time but move the limit.
fn in_parallel(world: &World, random: &mut Random, leases: &mut Vec<(usize, Pooled<Vec<u8>>)>) {
    let whose = |found: Value, cache, key| assert_eq!((found.cache, found.key), (cache, key), "made up");
    match Step::draw(random) {
        Step::Insert { cache, key, size } => {
            world.caches[cache].insert(key, Value { cache, key, version: 0, size });
        }
        Step::Load { cache, key, size } => {
            let fresh = Value { cache, key, version: 0, size };
            whose(world.caches[cache].get_or_insert_with(key, || fresh), cache, key);
        }
        Step::FailingLoad { cache, key } => {
            if let Ok(found) = world.caches[cache].try_get_or_insert_with(key, || Err(())) {
                whose(found, cache, key);
            }
        }
        Step::Get { cache, key } => {
            if let Some(found) = world.caches[cache].get(key) {
                whose(found, cache, key);
            }
        }
        Step::Invalidate { cache, key } => _ = world.caches[cache].invalidate(key),
        Step::InsertFor { cache, key, size, nanos } => {
            let value = Value { cache, key, version: 0, size };
            let _ = world.caches[cache].insert_with_ttl(key, value, Duration::from_nanos(nanos));
        }
        Step::SetTtl { cache, key, nanos } => {
            let _ = world.caches[cache].set_ttl(key, Duration::from_nanos(nanos));
        }
        Step::Pin { cache, key } => _ = world.caches[cache].pin(key),
        Step::Unpin { cache, key } => _ = world.caches[cache].unpin(key),
        Step::Reweigh { cache, key, size } => {
            world.grown[key as usize].store(size, Ordering::Relaxed);
            let _ = world.caches[cache].reweigh(key);
        }
        // Between phases.
        Step::Limit { .. } => {}
        other => world.run(other, random, leases),
    }
}
