//! Ways to cache five functions with so many bytes.

use std::convert::Infallible;
use std::time::Duration;

use larder::{Cache, Domain};

use super::bodies::{FUNCTIONS, Value};
use super::load::Request;

/// Bytes that an entry takes beside the heap of its value, as larder charges them: all are given the same room.
pub const BESIDE: u64 = 104;

/// Something that holds the values of all functions.
pub trait Caches: Sync {
    /// The value, computed by `body` where it is not there.
    fn get(&self, request: Request, body: &dyn Fn() -> Value) -> Value;

    /// What it says of itself at the end.
    fn report(&self) -> String {
        String::new()
    }
}

/// Who takes part. The first is what all others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    Larder,
    LarderEqual,
    LarderBest,
    Moka,
    Quick,
    OneMoka,
}

impl Contestant {
    pub const ALL: [Self; 6] =
        [Self::Larder, Self::LarderEqual, Self::LarderBest, Self::Moka, Self::Quick, Self::OneMoka];

    pub fn name(self) -> &'static str {
        match self {
            Self::Larder => "larder",
            Self::LarderEqual => "larder's caches, equal split",
            Self::LarderBest => "larder's caches, best static split",
            Self::Moka => "moka, equal split",
            Self::Quick => "quick_cache, equal split",
            Self::OneMoka => "one moka",
        }
    }

    /// The caches, with so many bytes in all; `best` is the best static split.
    pub fn build(self, budget: u64, best: &[u64]) -> Box<dyn Caches> {
        let even = vec![budget / FUNCTIONS.len() as u64; FUNCTIONS.len()];
        match self {
            // The interval of programs that set none is 30 s, and epochs end by the clock after ten: what is replayed here
            // in seconds is a load of many minutes.
            Self::Larder => {
                let builder = Domain::builder().limit_bytes(budget).interval(Duration::from_millis(250));
                Box::new(Larder::new(vec![builder.build()]))
            }
            Self::LarderEqual => Box::new(Larder::split(&even)),
            Self::LarderBest => Box::new(Larder::split(best)),
            Self::Moka => Box::new(Moka(even.iter().map(|limit| moka(*limit)).collect())),
            Self::OneMoka => Box::new(Moka(vec![moka(budget)])),
            Self::Quick => Box::new(Quick::new(&even)),
        }
    }
}

/// One domain for all caches, or one for each.
struct Larder {
    domains: Vec<Domain>,
    caches: Vec<Cache<u32, Value>>,
}

impl Larder {
    fn new(domains: Vec<Domain>) -> Self {
        let cache = |(at, function): (usize, &super::bodies::Function)| {
            // What is compared is time on a core, so that is what a miss costs here: on a busy machine long bodies are
            // interrupted more often than short ones, and clocks on the wall tell of that.
            let builder = Cache::builder(function.name).weigh(|_, value: &Value| value.heap()).cpu_cost();
            let domain = &domains[at % domains.len()];
            builder.build_in(domain).unwrap_or_else(|error| panic!("{}: {error}", function.name))
        };
        let caches = FUNCTIONS.iter().enumerate().map(cache).collect();
        Self { domains, caches }
    }

    fn split(limits: &[u64]) -> Self {
        Self::new(limits.iter().map(|limit| Domain::builder().limit_bytes(*limit).manual().build()).collect())
    }
}

impl Caches for Larder {
    fn get(&self, (function, key): Request, body: &dyn Fn() -> Value) -> Value {
        self.caches[usize::from(function)].get_or_insert_with(key, body)
    }

    fn report(&self) -> String {
        let plans = |domain: &Domain| domain.explain().decisions.len();
        let held: Vec<String> = self.caches.iter().map(|cache| (cache.weight() >> 10).to_string()).collect();
        format!("{} KB held; {} decisions", held.join(", "), self.domains.iter().map(plans).sum::<usize>())
    }
}

/// Caches of `moka`: one for each function, or one for all.
struct Moka(Vec<moka::sync::Cache<Request, Value>>);

fn weight(value: &Value) -> u32 {
    u32::try_from(value.heap() + BESIDE).unwrap_or(u32::MAX)
}

fn moka(limit: u64) -> moka::sync::Cache<Request, Value> {
    moka::sync::Cache::builder().weigher(|_, value| weight(value)).max_capacity(limit).build()
}

impl Caches for Moka {
    fn get(&self, request: Request, body: &dyn Fn() -> Value) -> Value {
        self.0[usize::from(request.0) % self.0.len()].get_with(request, body)
    }
}

#[derive(Clone)]
struct Weighter;

impl quick_cache::Weighter<Request, Value> for Weighter {
    fn weight(&self, _key: &Request, value: &Value) -> u64 {
        weight(value).into()
    }
}

/// A cache of `quick_cache` for each function.
struct Quick(Vec<quick_cache::sync::Cache<Request, Value, Weighter>>);

impl Quick {
    fn new(limits: &[u64]) -> Self {
        // It asks how many entries there will be; all of them is what it can be told without a look at the values.
        let cache = |(limit, function): (&u64, &super::bodies::Function)| {
            quick_cache::sync::Cache::with_weighter(function.keys as usize, *limit, Weighter)
        };
        Self(limits.iter().zip(&FUNCTIONS).map(cache).collect())
    }
}

impl Caches for Quick {
    fn get(&self, request: Request, body: &dyn Fn() -> Value) -> Value {
        let Ok(value) =
            self.0[usize::from(request.0)].get_or_insert_with(&request, || Ok::<_, Infallible>(body()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn everybody_computes_once_what_is_asked_twice() {
        for contestant in Contestant::ALL {
            let caches = contestant.build(8 << 20, &[1 << 20; 5]);
            let bodies = AtomicU32::new(0);
            for key in [1, 2, 1, 2] {
                let body = || {
                    bodies.fetch_add(1, Ordering::Relaxed);
                    (FUNCTIONS[1].body)(key.into())
                };
                assert!(caches.get((1, key), &body).use_it() > 100);
            }
            assert_eq!(bodies.into_inner(), 2, "{contestant:?}");
        }
    }
}
