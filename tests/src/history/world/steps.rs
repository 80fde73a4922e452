//! The steps of a history: what each does to the cache, and what the model expects of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, Change};

use super::{Arrival, LIFE, MB, World, numbers};
use crate::history::Choices;
use crate::history::model::{Allowed, Entry, Gone, NEVER};
use crate::history::values::{Name, Payload};

impl<K: Name, V: Payload> World<K, V> {
    pub(super) fn step(&mut self, choices: &mut Choices<'_>) {
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
}
