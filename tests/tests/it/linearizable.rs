//! Whether calls of several threads can be put in one order: short histories on real threads, each judged as a whole.
//!
//! Every call is recorded with when it began and ended and with what it returned. For each key a search tries to order its
//! calls so that each returned what it had to, and none comes before one that had ended when it began. `invalidate` has
//! histories of any length, of values that only rise; these here are short, and have every operation.
//!
//! A load does more than one thing, and promises less: see [`Call::Load`].

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use larder::{Cache, Change, Policy};
use larder_tests::short_or_deep;
use parking_lot::Mutex;

use crate::support::{MB, Random, all_at_once, check, domain};

type State = Option<u64>;

/// What was called, and what came of it.
#[derive(Clone, Copy, Debug)]
enum Call {
    Get(State),
    Insert(u64),
    Invalidate(bool),
    /// It saw this, and left that.
    Compute(State, State),
    /// It would have stored `own`, and returned `got`.
    ///
    /// Who finds a value has read it. Who computes one stores it where there is none; or, where a write or an
    /// invalidation runs beside it, keeps it to itself. And who waits for another's gets what that one computed.
    Load {
        own: u64,
        ran: bool,
        got: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Event {
    key: u64,
    call: Call,
    began: u64,
    ended: u64,
}

impl Event {
    fn is_beside(&self, other: &Self) -> bool {
        self.began < other.ended && other.began < self.ended
    }

    /// Whether loads beside it may keep what they compute to themselves. So it is also where there was nothing to remove.
    fn overtakes(&self) -> bool {
        matches!(self.call, Call::Insert(_) | Call::Invalidate(_) | Call::Compute(..))
    }

    /// What the key may hold after this call, if it held `state` when the call took effect.
    fn after(&self, state: State, all: &[Self]) -> [Option<State>; 2] {
        let if_so = |so: bool, then: State| so.then_some(then);
        match self.call {
            Call::Get(found) => [if_so(found == state, state), None],
            Call::Insert(value) => [Some(Some(value)), None],
            Call::Invalidate(removed) => [if_so(removed == state.is_some(), None), None],
            Call::Compute(before, after) => [if_so(before == state, after), None],
            Call::Load { got, ran: false, .. } => {
                let lent = all.iter().any(|other| {
                    self.is_beside(other)
                        && matches!(other.call, Call::Load { own, ran: true, .. } if own == got)
                });
                [if_so(state == Some(got) || lent, state), None]
            }
            Call::Load { own, ran: true, got } => {
                let overtaken = all.iter().any(|other| other.overtakes() && self.is_beside(other));
                [if_so(own == got && state.is_none(), Some(own)), if_so(own == got && overtaken, state)]
            }
        }
    }
}

/// Whether the calls of a key can be ordered. With `evicts` an entry may be gone at any time.
fn is_linearizable(key: u64, all: &[Event], evicts: bool) -> bool {
    let events: Vec<Event> = all.iter().filter(|event| event.key == key).copied().collect();
    assert!(events.len() <= 64, "a history that is too long to judge");
    let (everyone, mut seen) = (u64::MAX.checked_shr(64 - events.len() as u32).unwrap_or(0), HashSet::new());
    let mut open = vec![(0_u64, None)];
    while let Some((done, state)) = open.pop() {
        if done == everyone {
            return true;
        }
        if !seen.insert((done, state)) {
            continue;
        }
        if evicts && state.is_some() {
            open.push((done, None));
        }
        let left = || (0..events.len()).filter(|at| done & (1 << at) == 0);
        let first_end = left().map(|at| events[at].ended).min().unwrap_or(u64::MAX);
        for at in left().filter(|at| events[*at].began < first_end) {
            for after in events[at].after(state, all).into_iter().flatten() {
                open.push((done | (1 << at), after));
            }
        }
    }
    false
}

/// A cache, and a clock that counts what happens.
struct Stage {
    cache: Cache<u64, u64>,
    now: AtomicU64,
    keys: u64,
}

impl Stage {
    fn call(&self, random: &mut Random, value: u64) -> Event {
        let (key, cache) = (random.below(self.keys), &self.cache);
        let pause = random.below(2) == 0;
        let slow = || {
            if pause {
                std::thread::yield_now();
            }
        };
        let began = self.now.fetch_add(1, Ordering::SeqCst);
        let call = match random.below(12) {
            0..=2 => Call::Get(cache.get(key)),
            3 => Call::Get(cache.peek(key)),
            4 | 5 => {
                cache.insert(key, value);
                Call::Insert(value)
            }
            6 | 7 => Call::Invalidate(cache.invalidate(key)),
            8 | 9 => {
                let removes = value.is_multiple_of(3);
                let mut seen = None;
                let left = cache.compute(key, |found| {
                    seen = found.copied();
                    slow();
                    if removes { Change::Remove } else { Change::Insert(value) }
                });
                Call::Compute(seen, left)
            }
            _ => {
                let mut ran = false;
                let got = cache.get_or_insert_with(key, || {
                    ran = true;
                    slow();
                    value
                });
                Call::Load { own: value, ran, got }
            }
        };
        let ended = self.now.fetch_add(1, Ordering::SeqCst);
        Event { key, call, began, ended }
    }
}

/// Plays short histories and judges each.
fn play(policy: Policy, keys: u64, max_entries: Option<u64>, rounds: u64) {
    const THREADS: usize = 3;
    const CALLS: u64 = 5;
    let domain = domain(4 * MB);
    let builder = Cache::builder("stage").policy(policy);
    let builder = if let Some(most) = max_entries { builder.max_entries(most) } else { builder };
    let cache = builder.build_in(&domain).unwrap();
    let stage = Arc::new((Stage { cache, now: AtomicU64::new(0), keys }, Barrier::new(THREADS)));
    let (shared, history) = (Arc::clone(&stage), Mutex::new(Vec::new()));
    let failed = std::sync::atomic::AtomicBool::new(false);
    all_at_once("short histories", THREADS, move |thread| {
        let (stage, barrier) = &*shared;
        let mut random = Random::new(thread as u64);
        for round in 0..rounds {
            barrier.wait();
            let calls = (0..CALLS)
                .map(|at| stage.call(&mut random, 1 + thread as u64 + THREADS as u64 * (at + CALLS * round)));
            let calls: Vec<Event> = calls.collect();
            history.lock().extend(calls);
            if barrier.wait().is_leader() {
                let all = std::mem::take(&mut *history.lock());
                let wrong = (0..keys).find(|key| !is_linearizable(*key, &all, max_entries.is_some()));
                if let Some(key) = wrong {
                    eprintln!("round {round}, key {key}: no order explains {all:#?}");
                    failed.store(true, Ordering::SeqCst);
                }
                stage.cache.clear();
            }
            barrier.wait();
            assert!(!failed.load(Ordering::SeqCst), "see above");
        }
    });
    check(&domain);
}

#[test]
fn calls_of_threads_can_be_put_in_one_order() {
    for policy in [Policy::Hybrid, Policy::Lru] {
        play(policy, 1, None, short_or_deep(1500, 200_000));
        play(policy, 2, None, short_or_deep(1500, 200_000));
    }
}

#[test]
fn calls_of_threads_can_be_put_in_one_order_while_entries_are_evicted() {
    play(Policy::Hybrid, 2, Some(1), short_or_deep(1500, 200_000));
    play(Policy::Fifo, 3, Some(2), short_or_deep(1500, 200_000));
}

#[test]
fn the_judge_knows_wrong_from_right() {
    let at = |began, ended, call| Event { key: 0, call, began, ended };
    let judge = |events: &[Event]| is_linearizable(0, events, false);
    let load = |own, ran, got| Call::Load { own, ran, got };
    assert!(judge(&[at(0, 1, Call::Insert(5)), at(2, 3, Call::Get(Some(5)))]));
    assert!(!judge(&[at(0, 1, Call::Insert(5)), at(2, 3, Call::Get(None))]), "lost");
    assert!(is_linearizable(0, &[at(0, 1, Call::Insert(5)), at(2, 3, Call::Get(None))], true));
    let inverted = [at(0, 9, Call::Insert(5)), at(1, 2, Call::Get(Some(5))), at(3, 4, Call::Get(None))];
    assert!(!judge(&inverted), "new, then old");
    let stale = [at(0, 1, Call::Insert(5)), at(2, 3, Call::Invalidate(true)), at(4, 5, Call::Get(Some(5)))];
    assert!(!judge(&stale), "a value from before an invalidation");
    assert!(!judge(&[at(0, 1, Call::Insert(5)), at(2, 3, load(7, true, 7))]), "computed what was there");
    let twice = [at(0, 5, Call::Compute(None, Some(1))), at(1, 4, Call::Compute(None, Some(2)))];
    assert!(!judge(&twice), "both changed the same state");
    let kept = [at(0, 5, load(7, true, 7)), at(1, 2, Call::Invalidate(false)), at(6, 7, Call::Get(None))];
    assert!(judge(&kept), "a load that was overtaken is not stored");
    let joined = [at(0, 5, load(7, true, 7)), at(1, 6, load(8, false, 7)), at(7, 8, Call::Get(Some(7)))];
    assert!(judge(&joined));
    assert!(!judge(&[at(0, 1, load(8, false, 7))]), "a value from nowhere");
}
