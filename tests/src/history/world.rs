//! A cache and its model, side by side through a history: both as they begin, and how the model follows what the cache does.
//!
//! The steps are in `steps`, what is compared is in `checks`.

mod checks;
mod orders;
mod steps;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Domain, Policy, RemovalCause, TenantStats};

use super::Choices;
use super::model::{Allowed, Entry, Model, NEVER, Nanos};
use super::values::{Alive, Name, Payload};
use orders::{Nonsense, SecondChance};

const MB: u64 = 1 << 20;
/// So often everything is compared and recounted.
const RECOUNT: u64 = 16;
/// The time that entries of most caches live, or may be idle.
const LIFE: Nanos = 1000;
/// More than an empty cache takes.
const EMPTY: u64 = 2048;
/// More than an empty cache, its neighbour and the first entry of a shard take.
const OVERHEAD: u64 = 16 * 1024;
/// What each of many entries may take beside its heap while pages and tables grow for them.
const GROWTH: u64 = 256;

/// How entries of a cache expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Endless,
    Ttl,
    Tti,
    Both,
    /// Each its own.
    Own,
}

impl Life {
    fn expires(self) -> bool {
        self != Self::Endless
    }
}

/// How long an entry lives where each has its own time.
fn own_life(number: u64) -> Nanos {
    match number % 16 {
        0 => NEVER,
        1 => 0,
        part => part * LIFE / 4,
    }
}

/// What was removed: key, value, cause.
type Log = Arc<Mutex<Vec<(u64, u64, RemovalCause)>>>;

/// A value that may have been stored in a step, with the key it is of.
type Arrival = (u64, Entry);

pub(super) struct World<K, V> {
    cache: Option<Cache<K, V>>,
    neighbour: Cache<u64, Vec<u8>>,
    domain: Arc<Domain>,
    clock: ManualClock,
    model: Model,
    life: Life,
    max_entries: u64,
    max_bytes: u64,
    limit: u64,
    /// Somebody hears of what leaves.
    heard: bool,
    log: Log,
    causes: BTreeMap<&'static str, u64>,
    alive: Alive,
    /// The number of the next value.
    next: u64,
    hits: u64,
    misses: u64,
    loads: u64,
    values: PhantomData<V>,
}

impl<K: Name, V: Payload> World<K, V> {
    pub(super) fn new(choices: &mut Choices<'_>) -> Self {
        let limit = choices.one_of(&[MB, 256 * 1024, 64 * 1024]);
        let max_entries = choices.one_of(&[u64::MAX, u64::MAX, 1, 4, 30, 100]);
        let max_bytes = choices.one_of(&[u64::MAX, u64::MAX, 3000, 20_000, 150_000]);
        let life =
            choices.one_of(&[Life::Endless, Life::Endless, Life::Ttl, Life::Tti, Life::Both, Life::Own]);
        let heard = choices.is_one_in(2);
        let clock = ManualClock::new();
        let domain = Arc::new(Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build());
        let (log, alive) = (Log::default(), Alive::default());

        let mut builder = Cache::<K, V>::builder("of a history")
            .shards(choices.one_of(&[1, 2, 8]))
            .weigh(|_, value| value.size());
        builder = match choices.below(9) {
            7 => builder.policy_with(SecondChance::default),
            8 => builder.policy_with(Nonsense::default),
            named => builder.policy(Policy::ALL[named as usize]),
        };
        if max_entries < u64::MAX {
            builder = builder.max_entries(max_entries);
        }
        if max_bytes < u64::MAX {
            builder = builder.max_bytes(max_bytes);
        }
        if matches!(life, Life::Ttl | Life::Both) {
            builder = builder.ttl(Duration::from_nanos(LIFE));
        }
        if matches!(life, Life::Tti | Life::Both) {
            builder = builder.tti(Duration::from_nanos(LIFE / 2));
        }
        if life == Life::Own {
            builder = builder.ttl_by(|_, value| match own_life(value.id()) {
                NEVER => Duration::MAX,
                nanos => Duration::from_nanos(nanos),
            });
        }
        if choices.is_one_in(3) {
            builder = builder.cost(|_, value| Duration::from_micros(1 + value.id() % 5000));
        }
        if choices.is_one_in(4) {
            builder = builder.utility(|_, value| (value.id() % 7) as f64 - 1.0);
        }
        if heard {
            let (numbers, log) = (numbers::<K>(), Arc::clone(&log));
            builder = builder.on_remove(move |key, value, cause| {
                log.lock().expect("no listener panics").push((numbers(&key), value.id(), cause));
            });
        }
        let cache = builder.build_in(&domain).expect("the options make sense");
        let neighbour = Cache::builder("neighbour").build_in(&domain).expect("the options make sense");
        let tti = if matches!(life, Life::Tti | Life::Both) { LIFE / 2 } else { NEVER };
        Self {
            cache: Some(cache),
            neighbour,
            domain,
            clock,
            model: Model { entries: BTreeMap::new(), now: 0, tti },
            life,
            max_entries,
            max_bytes,
            limit,
            heard,
            log,
            causes: BTreeMap::new(),
            alive,
            next: 1,
            hits: 0,
            misses: 0,
            loads: 0,
            values: PhantomData,
        }
    }

    pub(super) fn run(mut self, mut choices: Choices<'_>) {
        let mut steps = 0;
        while !choices.is_empty() {
            self.step(&mut choices);
            self.check();
            steps += 1;
            if steps % RECOUNT == 0 {
                self.compare();
            }
        }
        self.compare();
        self.finish();
    }

    fn cache(&self) -> Cache<K, V> {
        self.cache.clone().expect("the cache is there until the end")
    }

    /// A value that has not come yet.
    fn value(&mut self, choices: &mut Choices<'_>) -> V {
        let size = match choices.below(32) {
            0..=19 => choices.below(300),
            20..=27 => choices.below(6000),
            28 => 0,
            29 => choices.below(60_000) * 20,
            // Nine tenths of what there is.
            _ => self.bound().saturating_sub(OVERHEAD) / 10 * 9,
        };
        let id = if V::KNOWN { self.next } else { 0 };
        self.next += 1;
        V::new(id, size, &self.alive)
    }

    /// Bytes that the cache could have if everybody else had none.
    fn bound(&self) -> u64 {
        self.max_bytes.min(self.limit)
    }

    fn deadline(&self, id: u64) -> Nanos {
        let lasts = match self.life {
            Life::Endless | Life::Tti => NEVER,
            Life::Ttl | Life::Both => LIFE,
            Life::Own => own_life(id),
        };
        self.model.now.saturating_add(lasts)
    }

    fn arrival(&self, key: u64, value: &V) -> Arrival {
        let pinned = self.model.fresh(key).is_some_and(|old| old.pinned);
        let (now, id) = (self.model.now, value.id());
        (key, Entry { id, size: value.size(), deadline: self.deadline(id), used: now, pinned })
    }

    /// Whether what arrives needs nobody to make way.
    fn is_roomy(&self, before: &TenantStats, used: u64, arrivals: &[Arrival]) -> bool {
        let bytes: u64 = arrivals.iter().map(|(_, entry)| entry.size).sum();
        let more = arrivals.iter().filter(|(key, _)| self.model.fresh(*key).is_none()).count() as u64;
        self.max_bytes == u64::MAX
            && used + bytes + arrivals.len() as u64 * GROWTH + 2 * OVERHEAD < self.limit
            && before.entries + more <= self.max_entries
    }

    /// Whether an arrival has to be stored, whatever else has to go.
    fn must_store(&self, entry: &Entry) -> bool {
        self.model.pins() == 0
            && self.max_entries > 0
            && entry.deadline > self.model.now
            && entry.size.saturating_add(OVERHEAD) <= self.bound()
    }

    /// Does something that may store `arrivals`, and follows what becomes of them and of those that leave.
    fn store(&mut self, arrivals: &[Arrival], work: impl FnOnce(&Cache<K, V>)) {
        let cache = self.cache();
        let roomy = self.is_roomy(&cache.stats(), self.domain.budget().used(), arrivals);
        work(&cache);
        let mut allowed = Allowed { evict: !roomy, ..Allowed::default() };
        for &(key, entry) in arrivals {
            let must = self.must_store(&entry);
            allowed.replace = Some(key);
            self.settle(arrivals, &allowed);
            let found = cache.peek(&K::of(key)).map(|value| value.id());
            if found == Some(entry.id) && entry.deadline > self.model.now {
                self.model.entries.insert(key, entry);
            } else {
                assert!(!must || arrivals.len() > 1, "{entry:?} of key {key} was refused: {cache:?}");
                assert!(found.is_none() || !V::KNOWN, "key {key} still has a value from before");
            }
        }
    }

    /// Does something that stores nothing.
    fn change<R>(&mut self, allowed: Allowed, work: impl FnOnce(&Cache<K, V>) -> R) -> R {
        let cache = self.cache();
        let result = work(&cache);
        self.settle(&[], &allowed);
        result
    }

    /// Takes out of the model what has left the cache. An arrival may have left again: for a later one, or because only what
    /// it replaced was allowed to be there.
    fn settle(&mut self, arrivals: &[Arrival], allowed: &Allowed) {
        if self.heard {
            let told = std::mem::take(&mut *self.log.lock().expect("no listener panics"));
            for (key, id, cause) in told {
                *self.causes.entry(cause.as_str()).or_default() += 1;
                let is_known = self.model.entries.get(&key).is_some_and(|entry| entry.id == id);
                let is_arrival = arrivals.iter().any(|(at, new)| (*at, new.id) == (key, id));
                if is_known || !is_arrival {
                    let replace =
                        arrivals.iter().any(|(at, _)| *at == key).then_some(key).or(allowed.replace);
                    self.model.leaves(key, id, cause, &Allowed { replace, ..*allowed });
                }
            }
            return;
        }
        let cache = self.cache();
        let found = |key: &u64| cache.peek(&K::of(*key)).map(|value| value.id());
        let gone: Vec<u64> = self
            .model
            .entries
            .iter()
            .filter(|(key, entry)| found(key) != Some(entry.id))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            let replace = arrivals.iter().any(|(at, _)| *at == key).then_some(key).or(allowed.replace);
            self.model.vanishes(key, &Allowed { replace, ..*allowed });
        }
    }
}

/// The number of each key.
fn numbers<K: Name>() -> impl Fn(&K) -> u64 + Send + Sync + 'static {
    let all: std::collections::HashMap<K, u64> =
        (0..K::COUNT).map(|number| (K::of(number), number)).collect();
    move |key| all[key]
}
