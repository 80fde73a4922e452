//! What an exact LRU hits, and what anybody could: small, slow enough, and independent of every cache here.

use super::{NEVER, Trace};

/// The hits of an exact LRU at each of `capacities`, from one pass.
///
/// An access hits at every capacity that is larger than the number of different keys asked for since the key's last
/// access (its stack distance; Mattson et al., 1970). Those are counted in a Fenwick tree with a one at the latest
/// access of each key.
pub fn lru_hits(trace: &Trace, capacities: &[usize]) -> Vec<u64> {
    let count = trace.keys.len();
    let mut latest = Fenwick::new(count);
    let mut previous = vec![NEVER; count];
    for (at, next) in trace.next.iter().enumerate().filter(|(_, next)| **next != NEVER) {
        previous[*next as usize] = at as u32;
    }
    // Hits that need exactly so many entries or fewer than the next capacity: summed up at the end.
    let mut hits = vec![0_u64; capacities.len()];
    for (at, before) in previous.iter().enumerate() {
        if *before != NEVER {
            let before = *before as usize;
            let between = latest.sum(at) - latest.sum(before + 1);
            for (hits, capacity) in hits.iter_mut().zip(capacities) {
                *hits += u64::from((between as usize) < *capacity);
            }
            latest.add(before, u32::MAX);
        }
        latest.add(at, 1);
    }
    hits
}

/// Sums over prefixes, in logarithmic time.
struct Fenwick(Vec<u32>);

impl Fenwick {
    fn new(count: usize) -> Self {
        Self(vec![0; count + 1])
    }

    /// Adds `what`, wrapping, at `at`.
    fn add(&mut self, at: usize, what: u32) {
        let mut at = at + 1;
        while at < self.0.len() {
            self.0[at] = self.0[at].wrapping_add(what);
            at += at & at.wrapping_neg();
        }
    }

    /// The sum of the first `count`.
    fn sum(&self, count: usize) -> u32 {
        let (mut at, mut sum) = (count, 0_u32);
        while at > 0 {
            sum = sum.wrapping_add(self.0[at]);
            at &= at - 1;
        }
        sum
    }
}

/// The hits of whoever knows the future: keeps what is asked for soonest (Belady, 1966), and is free not to store.
///
/// An entry is known by the access that will hit it, so that the set of entries is a set of numbers, and the one to
/// give up is its largest.
pub fn best_hits(trace: &Trace, capacity: usize) -> u64 {
    let mut entries = Numbers::new(trace.keys.len());
    let (mut held, mut hits) = (0, 0);
    for (at, next) in trace.next.iter().enumerate() {
        if entries.remove(at) {
            hits += 1;
            held -= 1;
        }
        if *next == NEVER {
            continue;
        }
        let next = *next as usize;
        if held < capacity {
            held += 1;
        } else {
            match entries.last() {
                Some(last) if last > next => entries.remove(last),
                _ => continue,
            };
        }
        entries.insert(next);
    }
    hits
}

/// A set of numbers below a bound: a bitmap, over it a bitmap of its words that are not zero, and so on.
struct Numbers(Vec<Vec<u64>>);

impl Numbers {
    fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = bound.max(1);
        loop {
            let words = bits.div_ceil(64);
            levels.push(vec![0; words]);
            if words == 1 {
                return Self(levels);
            }
            bits = words;
        }
    }

    fn insert(&mut self, mut number: usize) {
        for level in &mut self.0 {
            level[number / 64] |= 1 << (number % 64);
            number /= 64;
        }
    }

    /// Whether it was there.
    fn remove(&mut self, mut number: usize) -> bool {
        let was_there = self.0[0][number / 64] >> (number % 64) & 1 == 1;
        for level in &mut self.0 {
            level[number / 64] &= !(1 << (number % 64));
            if level[number / 64] != 0 {
                break;
            }
            number /= 64;
        }
        was_there
    }

    fn last(&self) -> Option<usize> {
        let mut at = 0;
        for level in self.0.iter().rev() {
            at = at * 64 + level[at].checked_ilog2()? as usize;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use larder_benches::Random;

    use super::{Numbers, best_hits, lru_hits};
    use crate::contestants::{LruInMutex, Numbers as _};
    use crate::traces::Trace;

    fn random_trace(keys: u64, count: usize, seed: u64) -> Trace {
        let mut random = Random::new(seed);
        let draw = || random.bits() % keys;
        Trace::new("random", std::iter::repeat_with(draw).take(count).collect(), false)
    }

    #[test]
    fn the_largest_of_a_set_is_found() {
        let mut numbers = Numbers::new(300_000);
        assert_eq!(numbers.last(), None);
        for number in [5, 299_999, 64, 4096] {
            numbers.insert(number);
        }
        for number in [299_999, 4096, 64, 5] {
            assert_eq!(numbers.last(), Some(number));
            assert!(numbers.remove(number));
            assert!(!numbers.remove(number));
        }
        assert_eq!(numbers.last(), None);
    }

    #[test]
    fn exact_lru_agrees_with_a_list() {
        let trace = random_trace(200, 20_000, 1);
        let capacities = [1, 7, 64, 199, 200];
        for (capacity, hits) in capacities.iter().zip(lru_hits(&trace, &capacities)) {
            let cache = LruInMutex::with_capacity(*capacity);
            let by_list = trace.keys.iter().filter(|key| {
                let is_hit = cache.get(**key).is_some();
                if !is_hit {
                    cache.insert(**key, **key);
                }
                is_hit
            });
            assert_eq!(hits, by_list.count() as u64, "at {capacity}");
        }
    }

    /// Tries every choice of what to keep.
    fn exhaustive(keys: &[u64], held: &[u64], capacity: usize) -> u64 {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        let is_hit = held.contains(key);
        let mut with: Vec<u64> = held.iter().copied().filter(|other| other != key).collect();
        with.push(*key);
        let choices: Vec<Vec<u64>> = if with.len() <= capacity {
            vec![with]
        } else {
            (0..with.len())
                .map(|out| {
                    with.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, key)| *key).collect()
                })
                .collect()
        };
        let best = choices.iter().map(|held| exhaustive(rest, held, capacity)).max().unwrap_or(0);
        u64::from(is_hit) + best
    }

    #[test]
    fn nobody_hits_more_than_the_optimum_and_some_choice_hits_as_much() {
        for seed in 0..20 {
            let trace = random_trace(5, 11, seed);
            for capacity in 1..=3 {
                assert_eq!(
                    best_hits(&trace, capacity),
                    exhaustive(&trace.keys, &[], capacity),
                    "seed {seed}"
                );
            }
        }
    }
}
