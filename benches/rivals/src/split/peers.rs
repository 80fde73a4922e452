//! Peers and simpler rules under the same loads: one cache for each tenant, or one for all.

use std::collections::{HashMap, VecDeque};

use larder_benches::Random;
use larder_benches::split::caches::Caches;
use larder_benches::split::loads::{Load, Request};

/// Bytes that an entry takes beside its value, as larder charges them: so all are given the same room.
const BESIDE: u64 = 64;

fn weight(load: &Load, request: Request) -> u32 {
    u32::try_from(load.bytes(request) + BESIDE).unwrap_or(u32::MAX)
}

/// A key of one cache for all tenants.
fn joined((tenant, key): Request) -> u64 {
    key << 3 | u64::from(tenant)
}

/// Caches of `moka`, bounded in bytes.
pub struct Moka {
    caches: Vec<moka::sync::Cache<u64, u32>>,
    shared: bool,
}

impl Moka {
    /// One for each tenant.
    pub fn split(limits: &[u64]) -> Self {
        let cache = |limit: &u64| {
            moka::sync::Cache::builder().weigher(|_, weight| *weight).max_capacity(*limit).build()
        };
        Self { caches: limits.iter().map(cache).collect(), shared: false }
    }

    /// One for all.
    pub fn shared(budget: u64) -> Self {
        Self { shared: true, ..Self::split(&[budget]) }
    }
}

impl Caches for Moka {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        let (at, key) = if self.shared { (0, joined(request)) } else { (usize::from(request.0), request.1) };
        let cache = &self.caches[at];
        let found = cache.get(&key).is_some();
        if !found {
            cache.insert(key, weight(load, request));
        }
        found
    }
}

/// Weighs what is its own weight.
#[derive(Clone)]
struct Itself;

impl quick_cache::Weighter<u64, u32> for Itself {
    fn weight(&self, _key: &u64, value: &u32) -> u64 {
        (*value).into()
    }
}

/// A cache of `quick_cache` for each tenant, bounded in bytes.
pub struct Quick(Vec<quick_cache::sync::Cache<u64, u32, Itself>>);

impl Quick {
    pub fn split(load: &Load, limits: &[u64]) -> Self {
        let cache = |(tenant, limit): (&larder_benches::split::loads::Tenant, &u64)| {
            let entries = (*limit as f64 / (tenant.bytes + BESIDE as f64)) as usize;
            quick_cache::sync::Cache::with_weighter(entries.max(16), *limit, Itself)
        };
        Self(load.tenants.iter().zip(limits).map(cache).collect())
    }
}

impl Caches for Quick {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        let cache = &self.0[usize::from(request.0)];
        let found = cache.get(&request.1).is_some();
        if !found {
            cache.insert(request.1, weight(load, request));
        }
        found
    }
}

/// One S3-FIFO for all (Yang et al., 2023), in bytes: a tenth for what is new, the rest for what was used again, and ghosts.
pub struct S3Fifo {
    budget: u64,
    used: [u64; 2],
    entries: HashMap<Request, Queued>,
    queues: [VecDeque<Request>; 2],
    /// In the order of leaving; those that are not `known` under their number any more are stale.
    ghosts: VecDeque<(u64, Request)>,
    known: HashMap<Request, u64>,
    left: u64,
}

struct Queued {
    bytes: u64,
    uses: u8,
}

impl S3Fifo {
    pub fn shared(budget: u64) -> Self {
        Self {
            budget,
            used: [0; 2],
            entries: HashMap::new(),
            queues: [VecDeque::new(), VecDeque::new()],
            ghosts: VecDeque::new(),
            known: HashMap::new(),
            left: 0,
        }
    }

    fn remember(&mut self, request: Request) {
        self.left += 1;
        self.ghosts.push_back((self.left, request));
        self.known.insert(request, self.left);
        while self.known.len() > self.entries.len() {
            let Some((left, oldest)) = self.ghosts.pop_front() else { return };
            if self.known.get(&oldest) == Some(&left) {
                self.known.remove(&oldest);
            }
        }
    }

    /// Lets one entry go, or moves it on.
    fn step(&mut self) {
        let is_small = self.used[0] * 10 > self.budget || self.queues[1].is_empty();
        let from = usize::from(!is_small);
        let Some(request) = self.queues[from].pop_front() else { return };
        let Some(entry) = self.entries.get_mut(&request) else { return };
        let (bytes, uses) = (entry.bytes, entry.uses);
        if from == 0 && uses > 1 {
            entry.uses = 0;
            self.used[0] -= bytes;
            self.used[1] += bytes;
            self.queues[1].push_back(request);
        } else if from == 1 && uses > 0 {
            entry.uses -= 1;
            self.queues[1].push_back(request);
        } else {
            self.used[from] -= bytes;
            self.entries.remove(&request);
            if from == 0 {
                self.remember(request);
            }
        }
    }
}

impl Caches for S3Fifo {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        if let Some(entry) = self.entries.get_mut(&request) {
            entry.uses = (entry.uses + 1).min(3);
            return true;
        }
        let bytes = weight(load, request).into();
        while self.used[0] + self.used[1] + bytes > self.budget {
            if self.entries.is_empty() {
                return false;
            }
            self.step();
        }
        let to = usize::from(self.known.remove(&request).is_some());
        self.used[to] += bytes;
        self.entries.insert(request, Queued { bytes, uses: 0 });
        self.queues[to].push_back(request);
        false
    }
}

/// A cache for each tenant, least recently used first, whose sizes follow hits just beyond their ends (Cliffhanger: Cidon et
/// al., 2016): who would have hit with a megabyte more takes a little from somebody.
pub struct Cliffhanger {
    caches: Vec<Recency>,
    shadows: Vec<Recency>,
    random: Random,
    step: u64,
}

impl Cliffhanger {
    pub fn new(tenants: usize, budget: u64) -> Self {
        let each = budget / tenants as u64;
        let caches = |limit| (0..tenants).map(|_| Recency::new(limit)).collect();
        Self { caches: caches(each), shadows: caches(1 << 20), random: Random::new(1), step: 4 << 10 }
    }
}

impl Caches for Cliffhanger {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        let (at, key) = (usize::from(request.0), request.1);
        if self.caches[at].touch(key) {
            return true;
        }
        if self.shadows[at].remove(key) {
            let other = self.random.bits() as usize % self.caches.len();
            if other != at && self.caches[other].limit > 2 * self.step {
                self.caches[other].limit -= self.step;
                self.caches[at].limit += self.step;
            }
        }
        let (cache, shadow) = (&mut self.caches[at], &mut self.shadows[at]);
        cache.insert(key, weight(load, request).into(), |key, bytes| shadow.insert(key, bytes, |_, _| ()));
        false
    }
}

/// What was used least recently goes first.
struct Recency {
    limit: u64,
    used: u64,
    clock: u64,
    /// When each was used last, and its bytes.
    entries: HashMap<u64, (u64, u64)>,
    /// In the order of use; those that were used since are stale.
    order: VecDeque<(u64, u64)>,
}

impl Recency {
    fn new(limit: u64) -> Self {
        Self { limit, used: 0, clock: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    fn touch(&mut self, key: u64) -> bool {
        let Some((used, _)) = self.entries.get_mut(&key) else { return false };
        self.clock += 1;
        *used = self.clock;
        self.order.push_back((self.clock, key));
        true
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some((_, bytes)) = self.entries.remove(&key) else { return false };
        self.used -= bytes;
        true
    }

    fn insert(&mut self, key: u64, bytes: u64, mut left: impl FnMut(u64, u64)) {
        self.remove(key);
        while self.used + bytes > self.limit {
            let Some((used, oldest)) = self.order.pop_front() else { return };
            if let Some((last, bytes)) = self.entries.get(&oldest).copied()
                && last == used
            {
                self.remove(oldest);
                left(oldest, bytes);
            }
        }
        self.clock += 1;
        self.entries.insert(key, (self.clock, bytes));
        self.order.push_back((self.clock, key));
        self.used += bytes;
    }
}
