//! Random histories over many caches against a model: after each step the budget is kept, and nothing is made up.
//!
//! A failing history shrinks to its shortest form here. Pools, leases and millions of steps, with every book recounted,
//! are in the runtime's own state machine, which sees inside.

use std::collections::HashMap;
use std::time::Duration;

use larder::{
    Cache, Domain, Policy,
    testing::{FixedPressure, ManualClock},
};
use larder_tests::short_or_deep;
use proptest::prelude::*;

use crate::support::{EMPTY, MB, check, check_emptied};

const CACHES: usize = 9;
const TTL: u64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        cache: usize,
        key: u64,
        size: u64,
    },
    Load {
        cache: usize,
        key: u64,
        size: u64,
    },
    FailingLoad {
        cache: usize,
        key: u64,
    },
    Get {
        cache: usize,
        key: u64,
    },
    Invalidate {
        cache: usize,
        key: u64,
    },
    Clear {
        cache: usize,
    },
    ClearAll,
    Advance {
        nanos: u64,
    },
    Tick,
    Trim {
        bytes: u64,
    },
    SetLimit {
        bytes: u64,
    },
    Pressure {
        percent: u64,
    },
    Bypass {
        on: bool,
    },
    MaxBytes {
        cache: usize,
        bytes: u64,
    },
    MaxEntries {
        cache: usize,
        entries: u64,
    },
    Priority {
        cache: usize,
        hundredths: u64,
    },
    /// The cache goes, and one with the same options takes its place.
    Renew {
        cache: usize,
    },
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let (cache, key) = (0..CACHES, 0_u64..120);
    let size = prop_oneof![10 => 0_u64..400, 5 => 0_u64..8000, 1 => 0_u64..400_000];
    let at = (cache.clone(), key);
    let sized = (cache.clone(), 0_u64..120, size);
    let step = prop_oneof![
        30 => sized.clone().prop_map(|(cache, key, size)| Step::Insert { cache, key, size }),
        30 => sized.prop_map(|(cache, key, size)| Step::Load { cache, key, size }),
        2 => at.clone().prop_map(|(cache, key)| Step::FailingLoad { cache, key }),
        20 => at.clone().prop_map(|(cache, key)| Step::Get { cache, key }),
        8 => at.prop_map(|(cache, key)| Step::Invalidate { cache, key }),
        1 => cache.clone().prop_map(|cache| Step::Clear { cache }),
        1 => Just(Step::ClearAll),
        5 => (0_u64..TTL).prop_map(|nanos| Step::Advance { nanos }),
        2 => Just(Step::Tick),
        2 => (0_u64..100_000).prop_map(|bytes| Step::Trim { bytes }),
        2 => (0_u64..2 * MB).prop_map(|bytes| Step::SetLimit { bytes }),
        2 => (0_u64..120).prop_map(|percent| Step::Pressure { percent }),
        1 => any::<bool>().prop_map(|on| Step::Bypass { on }),
        1 => (cache.clone(), 0_u64..60_000).prop_map(|(cache, bytes)| Step::MaxBytes { cache, bytes }),
        1 => (cache.clone(), 0_u64..120).prop_map(|(cache, entries)| Step::MaxEntries { cache, entries }),
        1 => (cache.clone(), 1_u64..1000).prop_map(|(cache, hundredths)| Step::Priority { cache, hundredths }),
        1 => cache.prop_map(|cache| Step::Renew { cache }),
    ];
    proptest::collection::vec(step, 1..most)
}

/// A value that knows whose it is; it weighs what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    cache: usize,
    key: u64,
    version: u64,
    size: u64,
}

/// What the cache must not contradict: what was last written, and when it expires.
type Written = HashMap<(usize, u64), (Value, u64)>;

struct Machine {
    domain: Domain,
    clock: ManualClock,
    memory: FixedPressure,
    caches: Vec<Cache<u64, Value>>,
    written: Written,
    now: u64,
    version: u64,
    bypassed: bool,
}

fn build(domain: &Domain, at: usize) -> Cache<u64, Value> {
    let builder = Cache::builder(format!("of {at}"))
        .policy(Policy::ALL[at % Policy::ALL.len()])
        .priority([1.0, 3.0, 0.2][at % 3])
        .weigh(|_, value: &Value| value.size);
    let builder = match at {
        0 => builder.max_entries(10),
        1 => builder.max_bytes(30_000),
        2 => builder.ttl(Duration::from_nanos(TTL)),
        3 => builder.max_entries(1),
        4 => builder.max_entries(40).max_bytes(20_000).ttl(Duration::from_nanos(TTL)),
        5 => builder.cost(|key, _| Duration::from_micros(*key)),
        _ => builder,
    };
    builder.build_in(domain).unwrap()
}

fn has_ttl(at: usize) -> bool {
    at == 2 || at == 4
}

impl Machine {
    fn new() -> Self {
        let (clock, memory) = (ManualClock::new(), FixedPressure::new(10, 100));
        let domain =
            Domain::builder().limit_bytes(MB).clock(clock.clone()).pressure(memory.clone()).manual().build();
        let caches = (0..CACHES).map(|at| build(&domain, at)).collect();
        let written = Written::new();
        Self { domain, clock, memory, caches, written, now: 0, version: 0, bypassed: false }
    }

    fn value(&mut self, cache: usize, key: u64, size: u64) -> Value {
        self.version += 1;
        Value { cache, key, version: self.version, size }
    }

    fn write(&mut self, value: Value) {
        let deadline = if has_ttl(value.cache) { self.now + TTL } else { u64::MAX };
        self.written.insert((value.cache, value.key), (value, deadline));
    }

    /// What a read may find, if it finds anything.
    fn alive(&self, cache: usize, key: u64) -> Option<Value> {
        if self.bypassed {
            return None;
        }
        self.written.get(&(cache, key)).filter(|(_, deadline)| self.now < *deadline).map(|(value, _)| *value)
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Insert { cache, key, size } => {
                let value = self.value(cache, key, size);
                self.caches[cache].insert(key, value);
                if self.bypassed {
                    self.written.remove(&(cache, key));
                } else {
                    self.write(value);
                }
            }
            Step::Load { cache, key, size } => {
                let fresh = self.value(cache, key, size);
                let found = self.caches[cache].get_or_insert_with(key, || fresh);
                if found == fresh {
                    if !self.bypassed {
                        self.write(fresh);
                    }
                } else {
                    assert_eq!(Some(found), self.alive(cache, key));
                }
            }
            Step::FailingLoad { cache, key } => {
                if let Ok(found) = self.caches[cache].try_get_or_insert_with(key, || Err(())) {
                    assert_eq!(Some(found), self.alive(cache, key));
                }
            }
            Step::Get { cache, key } => {
                let (peeked, got) = (self.caches[cache].peek(key), self.caches[cache].get(key));
                assert_eq!(peeked, got);
                if let Some(found) = got {
                    assert_eq!(Some(found), self.alive(cache, key));
                }
            }
            Step::Invalidate { cache, key } => {
                self.caches[cache].invalidate(key);
                assert_eq!(self.caches[cache].get(key), None);
                self.written.remove(&(cache, key));
            }
            Step::Clear { cache } => {
                self.caches[cache].clear();
                self.written.retain(|(of, _), _| *of != cache);
            }
            Step::ClearAll => {
                self.domain.clear_all();
                self.written.clear();
                let empty: u64 = self.caches.iter().map(Cache::weight).sum();
                assert_eq!(self.domain.budget().used(), empty);
                assert!(empty <= EMPTY * self.caches.len() as u64);
            }
            Step::Advance { nanos } => {
                self.clock.advance(Duration::from_nanos(nanos));
                self.now += nanos;
            }
            Step::Tick => self.domain.tick(),
            Step::Trim { bytes } => {
                let before = self.domain.budget().used();
                let trimmed = self.domain.trim(bytes);
                assert_eq!(trimmed.freed, before - self.domain.budget().used());
                let empty = EMPTY * self.caches.len() as u64;
                assert!(
                    trimmed.freed >= bytes.min(before.saturating_sub(empty)),
                    "no floors stand in the way: {trimmed:?} of {before}"
                );
            }
            Step::SetLimit { bytes } => self.domain.budget().set_limit(bytes),
            Step::Pressure { percent } => {
                self.memory.set(percent, 100);
                self.domain.tick();
            }
            Step::Bypass { on } => {
                self.domain.set_bypass(on);
                self.bypassed = on;
            }
            Step::MaxBytes { cache, bytes } => {
                self.caches[cache].set_max_bytes(bytes);
                assert!(self.caches[cache].weight() <= bytes);
            }
            Step::MaxEntries { cache, entries } => {
                self.caches[cache].set_max_entries(entries);
                assert!(self.caches[cache].len() as u64 <= entries);
            }
            Step::Priority { cache, hundredths } => {
                self.caches[cache].set_priority(hundredths as f64 / 100.0).unwrap();
            }
            Step::Renew { cache } => {
                let renewed = build(&self.domain, cache);
                self.caches[cache] = renewed;
                self.written.retain(|(of, _), _| *of != cache);
            }
        }
    }

    /// Holds after each step.
    fn check(&self) {
        check(&self.domain);
        let budget = self.domain.stats().budget;
        assert!(budget.used <= budget.allowed, "{budget:?}");
        for cache in &self.caches {
            let stats = cache.stats();
            assert_eq!(stats.entries, cache.len() as u64);
            assert!(stats.max_entries.is_none_or(|max| stats.entries <= max), "{stats:?}");
        }
    }

    /// Holds at the end: what can be found was written, and all goes back.
    fn finish(&mut self) {
        self.domain.set_bypass(false);
        self.bypassed = false;
        self.domain.tick();
        for (at, cache) in self.caches.iter().enumerate() {
            let found = (0..120).filter_map(|key| cache.peek(key));
            let found = found.inspect(|value| assert_eq!(Some(*value), self.alive(at, value.key)));
            let weight: u64 = found.map(|value| value.size).sum();
            assert!(weight <= cache.weight() + 120 * 48, "an entry weighs at least what its value says");
            assert_eq!(
                (0..120).filter(|key| cache.contains(*key)).count(),
                cache.len(),
                "a tick swept the rest"
            );
        }
        self.caches.iter().for_each(check_emptied);
        assert_eq!(self.domain.budget().used(), self.caches.iter().map(Cache::weight).sum::<u64>());
    }
}

fn run(steps: &[Step]) {
    let mut machine = Machine::new();
    for (at, step) in steps.iter().enumerate() {
        machine.run(step);
        let budget = machine.domain.budget();
        assert!(budget.used() <= budget.limit(), "{} of {}", budget.used(), budget.limit());
        if at % 16 == 0 {
            machine.check();
        }
    }
    machine.check();
    machine.finish();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: short_or_deep(60, 20_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_keeps_the_budget_and_makes_nothing_up(steps in steps(800)) {
        run(&steps);
    }
}
