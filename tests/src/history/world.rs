//! A cache and its model, side by side through a history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Change, Domain, EntryFacts, Evict, Policy, RemovalCause, TenantStats, Uses};
use larder_runtime::__private::validate;

use super::Choices;
use super::model::{Allowed, Entry, Gone, Model, NEVER, Nanos};
use super::values::{Alive, Name, Payload};

const MB: u64 = 1 << 20;
/// So often everything is compared and recounted.
const RECOUNT: u64 = 16;
/// The time that entries of most caches live, or may be idle.
const LIFE: Nanos = 1000;
/// More than an empty cache takes.
const EMPTY: u64 = 2048;
/// More than an empty cache, its neighbour and the first entry of a shard take.
const OVERHEAD: u64 = 16 * 1024;

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
            && used + bytes + 2 * OVERHEAD < self.limit
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

    /// Takes out of the model what has left the cache. Of several arrivals the later ones may have left again.
    fn settle(&mut self, arrivals: &[Arrival], allowed: &Allowed) {
        if self.heard {
            let told = std::mem::take(&mut *self.log.lock().expect("no listener panics"));
            for (key, id, cause) in told {
                *self.causes.entry(cause.as_str()).or_default() += 1;
                let is_known = self.model.entries.get(&key).is_some_and(|entry| entry.id == id);
                let is_arrival =
                    arrivals.len() > 1 && arrivals.iter().any(|(at, new)| (*at, new.id) == (key, id));
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

    fn step(&mut self, choices: &mut Choices<'_>) {
        let key = choices.below(K::COUNT);
        let name = K::of(key);
        match choices.below(64) {
            0..=15 => {
                let value = self.value(choices);
                self.store(&[self.arrival(key, &value)], |cache| cache.insert(name, value));
            }
            16..=23 => self.get(key),
            24..=29 => self.load(key, choices),
            30 => self.load_overtaken(key, choices),
            31..=33 => self.compute(key, choices),
            34..=36 => {
                let had = self.model.entries.get(&key).map(|entry| !self.model.is_expired(entry));
                let allowed = Allowed { invalidate: Gone::Key(key), ..Allowed::default() };
                let removed = self.change(allowed, |cache| cache.invalidate(&name));
                assert!(had.is_none_or(|fresh| removed || !fresh), "key {key} was there to be removed");
                assert!(had.is_some() || !removed || !self.heard, "key {key} was not there to be removed");
                assert!(!self.cache().contains(&K::of(key)));
            }
            37 => self.invalidate_if(choices),
            38 | 39 => {
                let pinned = self.change(Allowed::default(), |cache| cache.pin(&name));
                assert_eq!(pinned, self.model.fresh(key).is_some(), "pin of key {key}");
                if pinned {
                    self.model.entries.get_mut(&key).expect("it is fresh").pinned = true;
                }
            }
            40..=42 => self.unpin(key),
            43 => {
                self.max_entries = choices.below(120);
                let most = self.max_entries;
                self.change(Allowed { evict: true, ..Allowed::default() }, |cache| {
                    cache.set_max_entries(most);
                });
            }
            44 => {
                self.max_bytes = choices.one_of(&[0, 2500, 10_000, 100_000, u64::MAX]);
                let most = self.max_bytes;
                self.change(Allowed { evict: true, ..Allowed::default() }, |cache| cache.set_max_bytes(most));
            }
            45 => {
                let (domain, bytes) = (Arc::clone(&self.domain), choices.below(60_000) * 4);
                self.change(Allowed { reclaim: true, ..Allowed::default() }, |_| drop(domain.trim(bytes)));
            }
            46 => {
                self.limit = choices.one_of(&[MB, MB / 2, 100_000, 20_000, 1000]);
                let (domain, limit) = (Arc::clone(&self.domain), self.limit);
                let allowed = Allowed { reclaim: true, ..Allowed::default() };
                self.change(allowed, |_| domain.budget().set_limit(limit));
            }
            47 => {
                let (neighbour, bytes) = (self.neighbour.clone(), choices.below(60_000) as usize);
                let allowed = Allowed { reclaim: true, ..Allowed::default() };
                self.change(allowed, |_| neighbour.insert(key % 8, vec![0; bytes]));
            }
            48 if choices.is_one_in(4) => {
                self.change(Allowed { invalidate: Gone::All, ..Allowed::default() }, Cache::clear);
                assert_eq!(self.cache().len(), 0);
                self.model.entries.clear();
            }
            48..=51 => {
                let nanos = choices.one_of(&[10, 100, 200, 300, LIFE / 2, LIFE, 4 * LIFE, 1 << 24]);
                self.clock.advance(Duration::from_nanos(nanos));
                self.model.now += nanos;
            }
            52 => {
                let domain = Arc::clone(&self.domain);
                self.change(Allowed::default(), |_| domain.tick());
                let late = self.model.entries.iter().find(|(_, entry)| self.model.is_expired(entry));
                assert!(late.is_none() || !self.heard, "a tick left an expired entry: {late:?}");
            }
            53 => self.set_ttl(key, choices),
            54 => self.insert_with_ttl(key, choices),
            55 | 56 => self.reweigh(key, choices),
            57 => {
                let priority = choices.one_of(&[0.1, 1.0, 5.0, 1e9]);
                self.cache().set_priority(priority).expect("a number above 0");
            }
            58 => self.rank(choices),
            59 => self.insert_many(key, choices),
            60 => {
                let keys: Vec<u64> = (key..(key + 5).min(K::COUNT)).collect();
                let names: Vec<K> = keys.iter().map(|key| K::of(*key)).collect();
                let found = self.change(Allowed::default(), |cache| cache.get_many(&names));
                assert_eq!(found.len(), keys.len());
                for (key, found) in keys.into_iter().zip(found) {
                    self.found(key, found.as_ref());
                }
            }
            61 => self.bypass(key, choices),
            62 => {
                let left =
                    self.cache().time_left(&name).map(|left| u64::try_from(left.as_nanos()).unwrap_or(NEVER));
                let entry = self.model.fresh(key).map(|entry| self.model.expires(&entry));
                let until = entry.map(|at| if at == NEVER { NEVER } else { at - self.model.now });
                assert_eq!(left, until, "the time left to key {key}");
            }
            _ => {
                let pinned = self.model.fresh(key).is_some_and(|entry| entry.pinned);
                assert_eq!(self.cache().is_pinned(&name), pinned, "whether key {key} is pinned");
                assert_eq!(self.cache().contains(&name), self.model.fresh(key).is_some());
            }
        }
    }

    /// What a counted look-up has found.
    fn found(&mut self, key: u64, found: Option<&V>) {
        let entry = self.model.fresh(key);
        assert_eq!(found.map(V::id), entry.map(|entry| entry.id), "key {key} at {}", self.model.now);
        match found {
            Some(_) => self.hits += 1,
            None => self.misses += 1,
        }
        self.model.used(key);
    }

    fn get(&mut self, key: u64) {
        let found = self.change(Allowed::default(), |cache| cache.get(&K::of(key)));
        self.found(key, found.as_ref());
    }

    fn load(&mut self, key: u64, choices: &mut Choices<'_>) {
        let (value, fails) = (self.value(choices), choices.is_one_in(8));
        let entry = self.model.fresh(key);
        let mut ran = false;
        let body = || {
            ran = true;
            if fails { Err(()) } else { Ok(value.clone()) }
        };
        let arrival = self.arrival(key, &value);
        let mut loaded = None;
        let work = |cache: &Cache<K, V>| loaded = Some(cache.try_get_or_insert_with(K::of(key), body));
        match entry {
            None if !fails => self.store(&[arrival], work),
            _ => self.change(Allowed::default(), work),
        }
        let loaded = loaded.expect("a load returns").map(|value| value.id());
        assert_eq!(ran, entry.is_none(), "a body runs on a miss only");
        match entry {
            Some(entry) => {
                assert_eq!(loaded, Ok(entry.id));
                self.hits += 1;
                self.model.used(key);
            }
            None => {
                assert_eq!(loaded, if fails { Err(()) } else { Ok(value.id()) });
                self.misses += 1;
                self.loads += u64::from(!fails);
            }
        }
    }

    /// A load during which something happens to its key.
    fn load_overtaken(&mut self, key: u64, choices: &mut Choices<'_>) {
        if self.model.fresh(key).is_some() {
            return self.get(key);
        }
        let (value, other, how) = (self.value(choices), self.value(choices), choices.below(3));
        let id = value.id();
        let arrival = self.arrival(key, &other);
        let mut returned = None;
        let work = |cache: &Cache<K, V>| {
            let loaded = cache.get_or_insert_with(K::of(key), || {
                match how {
                    0 => cache.insert(K::of(key), other.clone()),
                    1 => assert!(!cache.contains(&K::of(key)) && !cache.invalidate(&K::of(key))),
                    _ => cache.clear(),
                }
                value
            });
            returned = Some(loaded.id());
        };
        match how {
            0 => self.store(&[arrival], work),
            1 => self.change(Allowed { invalidate: Gone::Key(key), ..Allowed::default() }, work),
            _ => {
                self.change(Allowed { invalidate: Gone::All, ..Allowed::default() }, work);
                self.model.entries.clear();
            }
        }
        assert_eq!(returned, Some(id), "who computes gets the value");
        self.misses += 1;
        self.loads += 1;
    }

    fn compute(&mut self, key: u64, choices: &mut Choices<'_>) {
        let (value, seen) = (self.value(choices), self.model.fresh(key).map(|entry| entry.id));
        // It is asked again where its own entry had to make way for the new one.
        let asked = std::cell::Cell::new(false);
        let check = |found: Option<&V>| {
            let expected = if asked.replace(true) { None } else { seen };
            assert_eq!(found.map(V::id), expected, "what `compute` sees of key {key}");
        };
        match choices.below(3) {
            0 => {
                let keep = |found: Option<&V>| {
                    check(found);
                    Change::Keep
                };
                let kept = self.change(Allowed::default(), |cache| cache.compute(K::of(key), keep));
                assert_eq!(kept.map(|value| value.id()), seen);
            }
            1 => {
                let allowed = Allowed { invalidate: Gone::Key(key), ..Allowed::default() };
                let remove = |found: Option<&V>| {
                    check(found);
                    Change::Remove
                };
                let left = self.change(allowed, |cache| cache.compute(K::of(key), remove));
                assert!(left.is_none() && !self.cache().contains(&K::of(key)));
            }
            _ => {
                let id = value.id();
                let work = |cache: &Cache<K, V>| {
                    let result = cache.compute(K::of(key), |found| {
                        check(found);
                        Change::Insert(value.clone())
                    });
                    assert_eq!(result.map(|value| value.id()), Some(id));
                };
                self.store(&[self.arrival(key, &value)], work);
            }
        }
    }

    fn invalidate_if(&mut self, choices: &mut Choices<'_>) {
        let by = 1 + choices.below(7);
        let gone = Gone::Rest(choices.below(by), by);
        let matching = self.model.all_fresh().filter(|(key, _)| gone.has(*key)).count() as u64;
        let numbers = numbers::<K>();
        let removed = self.change(Allowed { invalidate: gone, ..Allowed::default() }, |cache| {
            cache.invalidate_if(|key, _| gone.has(numbers(key)))
        });
        assert_eq!(removed, matching, "{gone:?}");
    }

    fn unpin(&mut self, key: u64) {
        let was = self.model.entries.get(&key).map(|entry| (entry.pinned, self.model.is_expired(entry)));
        // It may be the one that goes, for what no bound could take so far.
        if let Some(entry) = self.model.entries.get_mut(&key) {
            entry.pinned = false;
        }
        let allowed = Allowed { evict: true, reclaim: true, ..Allowed::default() };
        let unpinned = self.change(allowed, |cache| cache.unpin(&K::of(key)));
        if let Some((pinned, false)) = was {
            assert_eq!(unpinned, pinned, "unpin of key {key}");
        }
        assert!(!self.cache().is_pinned(&K::of(key)));
    }

    fn set_ttl(&mut self, key: u64, choices: &mut Choices<'_>) {
        let nanos = choices.one_of(&[0, 1, 500, 5000, NEVER]);
        let ttl = if nanos == NEVER { Duration::MAX } else { Duration::from_nanos(nanos) };
        let fresh = self.model.fresh(key).is_some();
        let until = self.model.now.saturating_add(nanos);
        if fresh && self.life.expires() {
            self.model.entries.get_mut(&key).expect("it is fresh").deadline = until;
        }
        let set = self.change(Allowed::default(), |cache| cache.set_ttl(&K::of(key), ttl));
        assert_eq!(set.ok(), self.life.expires().then_some(fresh), "set_ttl of key {key}");
    }

    fn insert_with_ttl(&mut self, key: u64, choices: &mut Choices<'_>) {
        let (value, nanos) = (self.value(choices), choices.one_of(&[0, 300, 3000]));
        if !self.life.expires() {
            let refused = self.change(Allowed::default(), |cache| {
                cache.insert_with_ttl(K::of(key), value, Duration::from_nanos(nanos))
            });
            return assert!(refused.is_err());
        }
        let (_, entry) = self.arrival(key, &value);
        let entry = Entry { deadline: self.model.now + nanos, ..entry };
        self.store(&[(key, entry)], |cache| {
            cache.insert_with_ttl(K::of(key), value, Duration::from_nanos(nanos)).expect("entries expire");
        });
    }

    fn reweigh(&mut self, key: u64, choices: &mut Choices<'_>) {
        let size = choices.one_of(&[0, 50, 900, 20_000, 500_000]);
        let entry = self.model.fresh(key);
        let Some(value) = self.cache().peek(&K::of(key)) else {
            return assert_eq!(self.change(Allowed::default(), |cache| cache.reweigh(&K::of(key))), None);
        };
        value.grow(size);
        let entry = entry.expect("what is found is in the model");
        let weight =
            self.change(Allowed { evict: true, ..Allowed::default() }, |cache| cache.reweigh(&K::of(key)));
        let inline = (size_of::<K>() + size_of::<V>()) as u64;
        let wanted = if V::GROWS { size } else { entry.size };
        match (weight, self.model.entries.get_mut(&key)) {
            (Some(weight), Some(entry)) => {
                let charged = [wanted.max(inline), entry.size.max(inline)];
                assert!(
                    weight == charged[0] || (entry.pinned && weight == charged[1]),
                    "{weight} of {charged:?}"
                );
                if weight == charged[0] {
                    entry.size = wanted;
                }
            }
            (None, None) => assert!(!entry.pinned),
            (None, Some(entry)) => panic!("{entry:?} is there and weighs nothing"),
            (Some(weight), None) => panic!("an entry that is gone weighs {weight}"),
        }
    }

    fn rank(&mut self, choices: &mut Choices<'_>) {
        let n = choices.below(20) as usize;
        let numbers = numbers::<K>();
        let fresh: BTreeSet<u64> = self.model.all_fresh().map(|(key, _)| key).collect();
        let pinned = self.model.all_fresh().filter(|(_, entry)| entry.pinned).count();
        let hot: Vec<u64> = self.cache().hottest(n).iter().map(&numbers).collect();
        let cold: Vec<u64> = self.cache().coldest(n).iter().map(&numbers).collect();
        for (keys, most) in [(&hot, fresh.len()), (&cold, fresh.len() - pinned)] {
            assert_eq!(keys.len(), n.min(most), "keys at an end");
            let distinct: BTreeSet<u64> = keys.iter().copied().collect();
            assert!(distinct.len() == keys.len() && distinct.is_subset(&fresh), "{keys:?}");
        }
        let is_pinned = |key: &u64| self.model.entries[key].pinned;
        assert!(hot.iter().take(pinned).all(is_pinned), "what is pinned stays longest");
        assert!(!cold.iter().any(is_pinned), "what is pinned is not evicted");
    }

    fn insert_many(&mut self, key: u64, choices: &mut Choices<'_>) {
        if !V::KNOWN {
            return;
        }
        // So many now and then that pages come, and go when they are removed again.
        let count = choices.one_of(&[4, 4, 40, 200]);
        let keys: Vec<u64> = (key..(key + count).min(K::COUNT)).collect();
        let small = |world: &mut Self| {
            world.next += 1;
            V::new(world.next - 1, 10 + world.next % 50, &world.alive)
        };
        let entries: Vec<(u64, V)> = keys.into_iter().map(|key| (key, small(self))).collect();
        let arrivals: Vec<Arrival> = entries.iter().map(|(key, value)| self.arrival(*key, value)).collect();
        self.store(&arrivals, |cache| {
            cache.insert_many(entries.into_iter().map(|(key, value)| (K::of(key), value)));
        });
    }

    /// Everything is turned off for a moment, and somebody writes.
    fn bypass(&mut self, key: u64, choices: &mut Choices<'_>) {
        let (domain, value) = (Arc::clone(&self.domain), self.value(choices));
        let allowed = Allowed { replace: Some(key), ..Allowed::default() };
        self.change(allowed, |cache| {
            domain.set_bypass(true);
            cache.insert(K::of(key), value);
            assert!(cache.get(&K::of(key)).is_none() && cache.iter().next().is_none());
            domain.set_bypass(false);
            assert!(!cache.contains(&K::of(key)), "an older value came back");
        });
    }

    /// Holds after every step.
    fn check(&self) {
        let cache = self.cache();
        let (stats, budget) = (cache.stats(), self.domain.stats().budget);
        let pins = self.model.pins() as u64;
        assert!(
            stats.entries <= self.max_entries.max(pins),
            "{} of {} entries",
            stats.entries,
            self.max_entries
        );
        if pins == 0 {
            // What was pinned may have kept an empty cache on the books that does not fit either.
            assert!(stats.bytes <= self.max_bytes.max(EMPTY), "{} of {} bytes", stats.bytes, self.max_bytes);
            assert!(budget.used <= budget.limit.max(2 * EMPTY), "{budget:?}");
        }
        assert_eq!(budget.over_released, 0);
        assert_eq!((stats.hits, stats.loads), (self.hits, self.loads), "counters");
    }

    /// Everything the cache has, against everything it should have; and a look inside.
    fn compare(&mut self) {
        self.settle(&[], &Allowed::default());
        let cache = self.cache();
        let numbers = numbers::<K>();
        let all: BTreeMap<u64, u64> = cache.iter().map(|(key, value)| (numbers(&key), value.id())).collect();
        let expected: BTreeMap<u64, u64> =
            self.model.all_fresh().map(|(key, entry)| (key, entry.id)).collect();
        assert_eq!(all, expected, "the entries at {}", self.model.now);
        for (key, id) in &all {
            assert_eq!(cache.peek(&K::of(*key)).map(|value| value.id()), Some(*id), "key {key}");
        }
        let stats = cache.stats();
        assert_eq!(stats.entries, cache.len() as u64);
        if self.heard {
            assert_eq!(cache.len(), self.model.entries.len(), "each entry that left was told of");
            for (cause, counted) in counters(&stats) {
                assert_eq!(self.causes.get(cause).copied().unwrap_or(0), counted, "entries {cause}");
            }
            assert_eq!(stats.listener_panics, 0);
        }
        validate(&cache);
        let reserved: u64 = self.domain.stats().tenants.iter().map(|tenant| tenant.reserved).sum();
        assert_eq!(reserved, self.domain.budget().used(), "the reservations are what is used");
        drop(cache);
        self.count_values();
    }

    /// Each value that lives is in the cache.
    fn count_values(&self) {
        let alive = self.alive.count();
        if V::GROWS && self.heard {
            assert_eq!(alive, self.model.entries.len() as i64, "values that live");
        }
    }

    /// The cache goes: everything that is left leaves.
    fn finish(mut self) {
        drop(self.cache.take());
        let told = std::mem::take(&mut *self.log.lock().expect("no listener panics"));
        let mut told: Vec<_> = told.into_iter().map(|(key, id, cause)| (key, (id, cause))).collect();
        told.sort_by_key(|(key, _)| *key);
        let left = self.model.entries.iter().map(|(key, entry)| (*key, (entry.id, RemovalCause::Dropped)));
        assert!(!self.heard || told.into_iter().eq(left), "what is left leaves with its cache");
        assert_eq!(self.alive.count(), 0, "values that outlive their cache");
        assert_eq!(
            self.domain.budget().used(),
            self.domain.stats().tenants.iter().map(|own| own.reserved).sum::<u64>()
        );
        drop(self.neighbour);
        assert_eq!(self.domain.budget().used(), 0, "bytes that outlive their caches");
    }
}

/// The counters of causes, by their names.
fn counters(stats: &TenantStats) -> [(&'static str, u64); 5] {
    [
        (RemovalCause::Evicted.as_str(), stats.evictions),
        (RemovalCause::Reclaimed.as_str(), stats.reclaims),
        (RemovalCause::Expired.as_str(), stats.expirations),
        (RemovalCause::Invalidated.as_str(), stats.invalidations),
        (RemovalCause::Replaced.as_str(), stats.replacements),
    ]
}

/// The number of each key.
fn numbers<K: Name>() -> impl Fn(&K) -> u64 + Send + Sync + 'static {
    let all: std::collections::HashMap<K, u64> =
        (0..K::COUNT).map(|number| (K::of(number), number)).collect();
    move |key| all[key]
}

/// An order of a user's own that does what it should.
#[derive(Default)]
struct SecondChance(VecDeque<u32>);

impl Evict for SecondChance {
    fn insert(&mut self, slot: u32, _: &EntryFacts) {
        assert!(!self.0.contains(&slot), "slot {slot} comes twice");
        self.0.push_back(slot);
    }

    fn remove(&mut self, slot: u32) {
        let at = self.0.iter().position(|other| *other == slot).expect("what leaves has come");
        self.0.remove(at);
    }

    fn rename(&mut self, from: u32, to: u32) {
        assert!(!self.0.contains(&to), "slot {to} is another's");
        let slot = self.0.iter_mut().find(|slot| **slot == from).expect("what moves has come");
        *slot = to;
    }

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        for _ in 0..self.0.len() {
            if uses.take(*self.0.front()?) == 0 {
                break;
            }
            self.0.rotate_left(1);
        }
        self.0.front().copied()
    }
}

/// One that names anybody, there or not.
#[derive(Default)]
struct Nonsense(u32);

impl Evict for Nonsense {
    fn insert(&mut self, slot: u32, facts: &EntryFacts) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(slot ^ facts.fingerprint);
    }

    fn remove(&mut self, _: u32) {}

    fn rename(&mut self, _: u32, _: u32) {}

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        self.0 = self.0.wrapping_mul(31).wrapping_add(7);
        let slot = self.0 >> (self.0 % 32);
        uses.take(slot);
        (!self.0.is_multiple_of(5)).then_some(slot)
    }
}
