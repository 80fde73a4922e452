//! What is below a cache's values: what goes down and comes up, and that nothing comes back that was written or
//! removed.

#![cfg(feature = "tiers")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use larder::{Cache, Change, Codec, CodecError, Compress, Domain, TierStats, Tiers, Warm};

use larder::testing::ManualClock;
use larder_tests::patience;

const MB: u64 = 1 << 20;

/// A domain with a clock of its own, and no thread.
fn clocked(limit: u64) -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    (Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build(), clock)
}

fn domain(limit: u64) -> Domain {
    clocked(limit).0
}

/// Holds at rest, whatever happened: the budget is kept, and its parts are the whole.
#[track_caller]
fn check(domain: &Domain) {
    let stats = domain.stats();
    let parts: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!(parts, stats.budget.used, "{stats}");
    assert!(stats.budget.used <= stats.budget.limit, "{stats}");
    assert_eq!(stats.budget.over_released, 0, "{stats}");
}

type Texts = Cache<u64, String>;

/// Numbers and texts as they are; what a test wants to happen meanwhile happens in `during`.
#[derive(Default)]
struct Plain {
    during: OnceLock<Box<dyn Fn(Step, u64) -> bool + Send + Sync>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    EncodeValue,
    DecodeValue,
}

impl Plain {
    /// `false` is a failure.
    fn step(&self, step: Step, key: u64) -> Result<(), CodecError> {
        let fine = self.during.get().is_none_or(|during| during(step, key));
        if fine { Ok(()) } else { Err(CodecError::default()) }
    }
}

/// The same codec for the cache and the test.
struct Shared(Arc<Plain>);

impl Codec<u64, String> for Shared {
    fn encode_key(&self, key: &u64, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.extend(key.to_le_bytes());
        Ok(())
    }

    fn encode_value(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.step(Step::EncodeValue, number(value))?;
        into.extend(value.as_bytes());
        Ok(())
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| CodecError::default())
    }

    fn decode_value(&self, bytes: &[u8]) -> Result<String, CodecError> {
        let value = String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::default())?;
        self.0.step(Step::DecodeValue, number(&value))?;
        Ok(value)
    }
}

/// Runs of bytes as their number and the byte.
struct Runs;

impl Compress for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn compress(&self, bytes: &[u8], into: &mut Vec<u8>) {
        for run in bytes.chunk_by(|a, b| a == b) {
            for part in run.chunks(255) {
                into.extend([part.len() as u8, part[0]]);
            }
        }
    }

    fn expand(&self, bytes: &[u8], len: usize, into: &mut Vec<u8>) -> Result<(), CodecError> {
        for run in bytes.chunks_exact(2) {
            if into.len() + usize::from(run[0]) > len {
                return Err(CodecError::default());
            }
            into.extend(std::iter::repeat_n(run[1], run[0].into()));
        }
        if into.len() == len { Ok(()) } else { Err(CodecError::default()) }
    }
}

/// A text that says which it is, and is worth compressing.
fn text(key: u64) -> String {
    format!("{key:08}{}", "x".repeat(600))
}

fn number(text: &str) -> u64 {
    text[..8].parse().unwrap_or(u64::MAX)
}

fn runs() -> Warm {
    Warm::compressed(Runs)
}

/// A cache with room for so many values, and a tier below.
fn texts(domain: &Domain, entries: u64, warm: Warm) -> (Texts, Arc<Plain>) {
    let codec = Arc::new(Plain::default());
    let builder = Cache::builder("texts").policy(larder::Policy::Lru).max_entries(entries);
    let builder = builder.cost(|_, _| Duration::from_millis(1));
    let cache = builder.tiers(Tiers::new(Shared(Arc::clone(&codec))).warm(warm)).build_in(domain).unwrap();
    (cache, codec)
}

fn tier(cache: &Texts) -> TierStats {
    cache.stats().tiers[0].clone()
}

/// Fills the cache with others, so that what was in it makes room.
fn push_out(cache: &Texts) {
    for key in 1000..1000 + 4 * cache.stats().max_entries.unwrap() {
        cache.insert(key, text(key));
    }
}

#[test]
fn what_makes_room_is_found_below() {
    let domain = domain(4 * MB);
    let (cache, _) = texts(&domain, 8, runs());
    for key in 0..100 {
        cache.insert(key, text(key));
    }
    assert_eq!(cache.len(), 8);
    let below = tier(&cache);
    assert_eq!((below.name.as_str(), below.entries, below.demotions, below.refusals), ("runs", 92, 92, 0));
    assert!(below.bytes < below.encoded / 2, "{below:?}");
    for key in 0..100 {
        assert_eq!(cache.peek(key), Some(text(key)), "{key}");
        assert!(cache.contains(key), "{key}");
        let found = cache.get_or_insert_with(key, || panic!("{key} is there"));
        assert_eq!(found, text(key));
        assert_eq!(cache.get(key), Some(text(key)), "{key}");
    }
    assert_eq!(cache.stats().loads, 0);
    assert!(tier(&cache).time_saved > Duration::ZERO);
    assert!(domain.stats().to_string().contains("tier of texts: runs: "), "{}", domain.stats());
    assert!(domain.explain().to_string().contains("below it runs: "), "{}", domain.explain());
    larder_runtime::__private::validate(&cache);
    check(&domain);
}

#[test]
fn what_is_used_again_goes_up_and_what_is_used_once_stays() {
    let domain = domain(4 * MB);
    let (cache, _) = texts(&domain, 8, runs());
    cache.insert(1, text(1));
    push_out(&cache);
    assert_eq!(cache.get(1), Some(text(1)));
    assert_eq!(tier(&cache).promotions, 0, "one use is not enough");
    assert_eq!(cache.get_or_insert_with(1, || unreachable!()), text(1));
    assert_eq!(tier(&cache).promotions, 1);
    let hits = tier(&cache).hits;
    assert_eq!(cache.get(1), Some(text(1)));
    assert_eq!(tier(&cache).hits, hits, "it is a value again");
    larder_runtime::__private::validate(&cache);
}

#[test]
fn what_is_written_or_removed_is_gone_below() {
    let domain = domain(4 * MB);
    let (cache, _) = texts(&domain, 8, runs());
    let lower = |key| {
        cache.insert(key, text(key));
        push_out(&cache);
        let hits = tier(&cache).hits;
        assert!(cache.contains(key) && cache.iter().all(|(other, _)| other != key), "{key} is below");
        assert_eq!(tier(&cache).hits, hits);
    };
    lower(1);
    assert!(cache.invalidate(1));
    assert_eq!((cache.get(1), cache.invalidate(1)), (None, false));

    lower(2);
    cache.insert(2, "z".repeat(600));
    push_out(&cache);
    assert_eq!(cache.get(2), Some("z".repeat(600)));

    lower(3);
    assert_eq!(cache.compute(3, |seen| Change::Insert(format!("{}!", seen.unwrap()))), Some(text(3) + "!"));
    assert_eq!(cache.get(3), Some(text(3) + "!"));

    lower(4);
    assert_eq!(cache.compute(4, |_| Change::Remove), None);
    assert_eq!(cache.get(4), None);

    lower(5);
    lower(6);
    assert_eq!(cache.invalidate_if(|key, value| *key == 5 && value.starts_with("00000005")), 1);
    assert_eq!((cache.get(5), cache.get(6)), (None, Some(text(6))));

    lower(7);
    cache.clear();
    assert_eq!((cache.get(7), tier(&cache).entries, tier(&cache).bytes), (None, 0, 0));
    larder_runtime::__private::validate(&cache);
    check(&domain);
}

/// Calls `act` while the value of `key` is at this step, once.
fn while_at(codec: &Plain, at: Step, key: u64, act: impl Fn() + Send + Sync + 'static) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    let acted = Arc::clone(&done);
    let during = move |step, of| {
        if step == at && of == key && !acted.swap(true, Ordering::Relaxed) {
            act();
        }
        true
    };
    assert!(codec.during.set(Box::new(during)).is_ok());
    done
}

#[test]
fn what_is_removed_on_its_way_down_does_not_arrive() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    let handle = cache.clone();
    let acted = while_at(&codec, Step::EncodeValue, 1, move || {
        assert!(!handle.invalidate(1), "it is nowhere just now");
    });
    cache.insert(1, text(1));
    push_out(&cache);
    assert!(acted.load(Ordering::Relaxed));
    assert_eq!((cache.get(1), cache.peek(1), cache.contains(1)), (None, None, false));
    assert_eq!(tier(&cache).refusals, 1);
}

#[test]
fn what_is_cleared_on_its_way_down_does_not_arrive() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    let handle = cache.clone();
    let acted = while_at(&codec, Step::EncodeValue, 1, move || {
        handle.invalidate_if(|key, _| *key == 1);
    });
    cache.insert(1, text(1));
    push_out(&cache);
    assert!(acted.load(Ordering::Relaxed));
    assert_eq!(cache.get(1), None);
}

#[test]
fn what_is_computed_anew_while_an_older_value_is_on_its_way_down_stays() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    let handle = cache.clone();
    let newer = "00000001 newer".to_owned();
    let value = newer.clone();
    let acted = while_at(&codec, Step::EncodeValue, 1, move || {
        assert_eq!(handle.get_or_insert_with(1, || value.clone()), value);
    });
    cache.insert(1, text(1));
    push_out(&cache);
    assert!(acted.load(Ordering::Relaxed));
    assert!(cache.get(1).is_none_or(|found| found == newer), "the older value came back");
}

#[test]
fn what_is_removed_on_its_way_up_is_not_stored() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    cache.insert(1, text(1));
    push_out(&cache);
    assert_eq!(cache.get(1), Some(text(1)));
    let handle = cache.clone();
    let acted = while_at(&codec, Step::DecodeValue, 1, move || assert!(handle.invalidate(1)));
    // Its call began before the other.
    assert_eq!(cache.get_or_insert_with(1, || unreachable!()), text(1));
    assert!(acted.load(Ordering::Relaxed));
    assert_eq!((cache.get(1), tier(&cache).promotions), (None, 0));
}

#[test]
fn what_is_removed_while_a_look_up_reads_it_is_not_stored() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    cache.insert(1, text(1));
    push_out(&cache);
    assert_eq!(cache.get(1), Some(text(1)));
    let handle = cache.clone();
    let acted = while_at(&codec, Step::DecodeValue, 1, move || assert!(handle.invalidate(1)));
    assert_eq!(cache.get(1), Some(text(1)));
    assert!(acted.load(Ordering::Relaxed));
    assert_eq!((cache.get(1), tier(&cache).promotions), (None, 0));
}

#[test]
fn callers_of_one_key_read_its_record_once() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    cache.insert(1, text(1));
    push_out(&cache);
    let (reads, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(())));
    let (counted, held) = (Arc::clone(&reads), Arc::clone(&gate));
    let (entered, reading) = mpsc::channel();
    let during = move |step, key| {
        if step == Step::DecodeValue && key == 1 {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = entered.send(());
            drop(held.lock());
        }
        true
    };
    assert!(codec.during.set(Box::new(during)).is_ok());
    let closed = gate.lock().unwrap();
    let caller = |cache: Texts| std::thread::spawn(move || cache.get_or_insert_with(1, || unreachable!()));
    let first = caller(cache.clone());
    reading.recv().unwrap();
    let second = caller(cache.clone());
    while cache.stats().waits == 0 {
        std::thread::yield_now();
    }
    drop(closed);
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (text(1), text(1)));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[test]
fn an_entry_keeps_its_age_on_its_way_down_and_up() {
    let (domain, clock) = clocked(4 * MB);
    let codec = Shared(Arc::new(Plain::default()));
    let builder =
        Cache::builder("texts").policy(larder::Policy::Lru).max_entries(8).ttl(Duration::from_secs(60));
    let builder = builder.cost(|_, _| Duration::from_millis(1));
    let cache: Texts = builder.tiers(Tiers::new(codec).warm(runs())).build_in(&domain).unwrap();
    cache.insert(1, text(1));
    clock.advance(Duration::from_secs(30));
    push_out(&cache);
    assert_eq!(cache.time_left(1), Some(Duration::from_secs(30)));
    assert_eq!(cache.get(1), Some(text(1)));
    assert_eq!(cache.get(1), Some(text(1)));
    assert_eq!(tier(&cache).promotions, 1);
    assert_eq!(cache.time_left(1), Some(Duration::from_secs(30)));
    push_out(&cache);
    assert!(cache.set_ttl(1, Duration::from_secs(40)).unwrap());
    push_out(&cache);
    clock.advance(Duration::from_secs(39));
    assert_eq!(cache.peek(1), Some(text(1)));
    clock.advance(Duration::from_secs(1));
    assert_eq!((cache.peek(1), cache.get(1)), (None, None));
    clock.advance(Duration::from_secs(60));
    domain.tick();
    assert_eq!((tier(&cache).entries, tier(&cache).bytes), (0, 0));
    check(&domain);
}

#[test]
fn an_idle_entry_expires_below_as_well() {
    let (domain, clock) = clocked(4 * MB);
    let codec = Shared(Arc::new(Plain::default()));
    let builder =
        Cache::builder("texts").policy(larder::Policy::Lru).max_entries(8).tti(Duration::from_secs(60));
    let builder = builder.cost(|_, _| Duration::from_millis(1));
    let cache: Texts = builder.tiers(Tiers::new(codec).warm(runs())).build_in(&domain).unwrap();
    cache.insert(1, text(1));
    push_out(&cache);
    clock.advance(Duration::from_secs(59));
    assert!(cache.contains(1));
    clock.advance(Duration::from_secs(1));
    assert!(!cache.contains(1));
}

#[test]
fn a_tier_has_a_time_of_its_own() {
    let (domain, clock) = clocked(4 * MB);
    let (cache, _) = texts(&domain, 8, runs().ttl(Duration::from_secs(10)));
    cache.insert(1, text(1));
    push_out(&cache);
    clock.advance(Duration::from_secs(9));
    assert!(cache.contains(1));
    clock.advance(Duration::from_secs(1));
    assert_eq!((cache.contains(1), cache.get(1)), (false, None));
}

#[test]
fn a_tier_keeps_its_bound_and_what_is_worth_most() {
    let domain = domain(4 * MB);
    let codec = Shared(Arc::new(Plain::default()));
    let dear =
        |key: &u64, _: &String| Duration::from_micros(if key.is_multiple_of(10) { 90_000 } else { 500 });
    let builder = Cache::builder("texts").max_entries(8).policy(larder::Policy::Fifo).cost(dear);
    let cache: Texts =
        builder.tiers(Tiers::new(codec).warm(runs().max_bytes(12_000))).build_in(&domain).unwrap();
    for key in 0..1000 {
        cache.insert(key, text(key));
        assert!(tier(&cache).bytes <= 12_000, "{:?}", tier(&cache));
    }
    let below = tier(&cache);
    assert!(below.entries > 20 && below.evictions + below.refusals > 500, "{below:?}");
    let found = |rest| (0..1000).filter(|key| key % 10 == rest && cache.contains(*key)).count();
    assert!(found(0) > 3 * (found(1) + found(3)), "{} dear, {} and {} cheap", found(0), found(1), found(3));
    larder_runtime::__private::validate(&cache);
}

#[test]
fn what_hardly_gets_smaller_stays_out() {
    let domain = domain(4 * MB);
    let codec = Shared(Arc::new(Plain::default()));
    let builder = Cache::builder("texts").max_entries(8).cost(|_, _| Duration::from_millis(1));
    let cache: Texts = builder.tiers(Tiers::new(codec).warm(runs())).build_in(&domain).unwrap();
    let noise = |key: u64| -> String {
        let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 60) as u8)
        };
        format!("{key:08}") + &std::iter::repeat_with(&mut next).take(600).collect::<String>()
    };
    for key in 0..200 {
        cache.insert(key, noise(key));
    }
    let below = tier(&cache);
    assert_eq!((below.entries, below.demotions, below.refusals), (0, 0, 192), "{below:?}");
}

#[test]
fn a_codec_that_fails_fails_nobody() {
    let domain = domain(4 * MB);
    let (cache, codec) = texts(&domain, 8, runs());
    cache.insert(1, text(1));
    push_out(&cache);
    let during = |step: Step, key: u64| match (step, key) {
        (Step::EncodeValue, 2) => panic!("on purpose: a value that cannot be written"),
        (Step::EncodeValue, 3) | (Step::DecodeValue, 1) => false,
        _ => true,
    };
    assert!(codec.during.set(Box::new(during)).is_ok());
    assert_eq!(cache.get(1), None);
    assert_eq!(cache.get_or_insert_with(1, || text(1)), text(1));
    cache.insert(2, text(2));
    cache.insert(3, text(3));
    push_out(&cache);
    assert_eq!((cache.get(2), cache.get(3)), (None, None));
    assert_eq!(tier(&cache).failures, 3);
    check(&domain);
}

#[test]
fn records_are_charged_and_make_room_for_others() {
    let domain = domain(MB);
    let codec = Shared(Arc::new(Plain::default()));
    let builder = Cache::builder("texts").cost(|_, _| Duration::from_millis(1));
    let cache: Texts = builder.tiers(Tiers::new(codec).warm(runs())).build_in(&domain).unwrap();
    for key in 0..20_000 {
        cache.insert(key, text(key));
    }
    let below = tier(&cache);
    assert!(below.entries > cache.len() as u64, "{below:?} below {} values", cache.len());
    larder_runtime::__private::validate(&cache);
    check(&domain);
    let other: Cache<u64, String> =
        Cache::builder("other").cost(|_, _| Duration::from_secs(10)).build_in(&domain).unwrap();
    for key in 0..20_000 {
        other.insert(key, text(key));
    }
    assert!(other.weight() > MB / 2, "{} of {MB}", other.weight());
    larder_runtime::__private::validate(&cache);
    check(&domain);
    cache.set_max_bytes(20_000);
    assert!(cache.weight() <= 20_000);
    larder_runtime::__private::validate(&cache);
    drop((cache, other));
    assert_eq!(domain.stats().budget.used, 0);
}

/// What a history does, and what must come of it: a look-up finds what was last written, or nothing.
#[test]
fn whatever_happens_a_look_up_finds_what_was_written_last() {
    for seed in 0..20_u64 {
        let (domain, clock) = clocked(if seed % 2 == 0 { 4 * MB } else { 40_000 });
        let codec = Shared(Arc::new(Plain::default()));
        let builder = Cache::builder("texts").max_entries(8 + seed).cost(|_, _| Duration::from_millis(1));
        let builder = if seed % 3 == 0 { builder.ttl(Duration::from_secs(50)) } else { builder };
        let warm = if seed % 4 == 1 { runs().max_bytes(6000) } else { runs() };
        let cache: Texts = builder.tiers(Tiers::new(codec).warm(warm)).build_in(&domain).unwrap();
        let mut written: [Option<String>; 60] = [const { None }; 60];
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        for turn in 0..4000 {
            let key = roll(60);
            let last = &mut written[key as usize];
            match roll(16) {
                0..4 => {
                    let value = text(turn);
                    *last = Some(value.clone());
                    cache.insert(key, value);
                }
                4..8 => {
                    let found = cache.get(key);
                    assert!(found.is_none() || found == *last, "seed {seed}, turn {turn}: an older value");
                }
                8..11 => {
                    let loaded = text(turn);
                    let found = cache.get_or_insert_with(key, || loaded.clone());
                    assert!(found == loaded || Some(&found) == last.as_ref(), "seed {seed}, turn {turn}");
                    *last = Some(found);
                }
                11 => {
                    cache.invalidate(key);
                    *last = None;
                    assert_eq!((cache.get(key), cache.peek(key)), (None, None), "seed {seed}, turn {turn}");
                }
                12 => {
                    let found = cache.compute(key, |seen| {
                        assert!(seen.is_none() || seen == last.as_ref(), "seed {seed}, turn {turn}");
                        if turn % 3 == 0 { Change::Remove } else { Change::Insert(text(turn)) }
                    });
                    *last = found;
                }
                13 => {
                    assert!(cache.peek(key).is_none_or(|found| Some(found) == *last));
                    clock.advance(Duration::from_secs(roll(4)));
                }
                14 => {
                    cache.invalidate_if(|other, _| other % 7 == key % 7);
                    for other in (0..60).filter(|other| other % 7 == key % 7) {
                        written[other as usize] = None;
                        assert!(!cache.contains(other), "seed {seed}, turn {turn}");
                    }
                }
                _ if turn % 50 == 0 => {
                    cache.clear();
                    written = [const { None }; 60];
                }
                _ => domain.tick(),
            }
        }
        larder_runtime::__private::validate(&cache);
        check(&domain);
    }
}

/// Each key's source counts up, and is invalidated after each step: who asks after that never sees an older number.
#[test]
fn nobody_sees_what_was_removed_before_they_asked() {
    let domain = domain(60_000);
    let codec = Shared(Arc::new(Plain::default()));
    let builder = Cache::builder("texts").max_entries(16).cost(|_, _| Duration::from_millis(1));
    let cache: Texts = builder.tiers(Tiers::new(codec).warm(runs())).build_in(&domain).unwrap();
    let sources: Arc<[AtomicU64; 48]> = Arc::new([const { AtomicU64::new(0) }; 48]);
    let known: Arc<[AtomicU64; 48]> = Arc::new([const { AtomicU64::new(0) }; 48]);
    let shared = cache.clone();
    let (finished, all_finished) = mpsc::channel();
    let work = move |thread: usize| {
        let mut state = thread as u64 + 1;
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let key = (state >> 8) % 48;
            let at = key as usize;
            if state.is_multiple_of(8) && thread < 2 {
                let next = sources[at].fetch_add(1, Ordering::SeqCst) + 1;
                shared.invalidate(key);
                known[at].fetch_max(next, Ordering::SeqCst);
                continue;
            }
            let least = known[at].load(Ordering::SeqCst);
            let load = || text(sources[at].load(Ordering::SeqCst));
            let found = if state.is_multiple_of(3) {
                shared.get(key)
            } else {
                Some(shared.get_or_insert_with(key, load))
            };
            if let Some(found) = found {
                assert!(number(&found) >= least, "key {key}: {} after {least}", number(&found));
            }
        }
    };
    let work = Arc::new(work);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (work, finished) = (Arc::clone(&work), finished.clone());
            std::thread::spawn(move || {
                work(thread);
                let _ = finished.send(());
            })
        })
        .collect();
    drop(finished);
    for _ in 0..4 {
        if all_finished.recv_timeout(patience()) == Err(mpsc::RecvTimeoutError::Timeout) {
            panic!("stuck");
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(tier(&cache).hits > 100, "{:?}", tier(&cache));
    larder_runtime::__private::validate(&cache);
    check(&domain);
}
