//! A store that fails: its tier is as if it were empty, callers notice nothing, and nothing old comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use larder::codec::{Record, Serde};
use larder::testing::ManualClock;
use larder::{
    BuildError, Cache, Codec, CodecError, Cold, Domain, Envelope, Opened, Policy, Sealed, Store, StoreError,
    StoreWrite, TierState, Tiers,
};
use larder_tests::{patience, short_or_deep};

use super::{MB, Texts, check, fill, text, tier};

/// Records as larder's own tier on disk writes them.
struct Plain;

impl Envelope for Plain {
    fn seal(&self, sealed: &Sealed<'_>, into: &mut Vec<u8>) -> bool {
        let Sealed { packing, deadline, cost, factor, encoded, key, value, .. } = *sealed;
        Record { packing, deadline, cost, factor, encoded, key, value }.seal(1, into).is_ok()
    }

    fn open<'a>(&self, bytes: &'a [u8]) -> Option<Sealed<'a>> {
        let record = Record::open(bytes, 1).ok()?;
        let mut sealed = Sealed::new(record.key, record.value);
        (sealed.packing, sealed.deadline) = (record.packing, record.deadline);
        (sealed.cost, sealed.factor, sealed.encoded) = (record.cost, record.factor, record.encoded);
        Some(sealed)
    }
}

/// What a test does to the store at each call: 0 for nothing.
type Fate = dyn Fn(&'static str) -> Option<StoreError> + Send + Sync;

/// A label and a value.
type Kept = (Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Disk {
    records: Mutex<BTreeMap<u64, Kept>>,
    fate: Mutex<Option<Arc<Fate>>>,
    opened: AtomicU64,
    calls: AtomicU64,
}

impl Disk {
    fn meet(&self, call: &'static str) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let fate = self.fate.lock().unwrap().clone();
        fate.and_then(|fate| fate(call)).map_or(Ok(()), Err)
    }

    fn fail_with(&self, fate: impl Fn(&'static str) -> Option<StoreError> + Send + Sync + 'static) {
        *self.fate.lock().unwrap() = Some(Arc::new(fate));
    }

    fn work_again(&self) {
        *self.fate.lock().unwrap() = None;
    }
}

/// The same disk for every store on it.
struct On(Arc<Disk>);

impl Store for On {
    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.meet("read")?;
        Ok(self.0.records.lock().unwrap().get(&number).map(|(_, record)| record.clone()))
    }

    fn write(&self, batch: &[StoreWrite<'_>]) -> Result<(), StoreError> {
        self.0.meet("write")?;
        let mut records = self.0.records.lock().unwrap();
        for change in batch {
            match *change {
                StoreWrite::Put { number, label, record } => {
                    let replaced = records.insert(number, (label.to_vec(), record.to_vec()));
                    assert!(replaced.is_none(), "a number is used once");
                }
                StoreWrite::Remove { number } => drop(records.remove(&number)),
                StoreWrite::Clear => records.clear(),
                _ => unreachable!("there is no other"),
            }
        }
        drop(records);
        // Written, and nobody heard of it.
        self.0.meet("written")
    }

    fn labels(
        &self,
        from: u64,
        most: usize,
        show: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<u64>, StoreError> {
        self.0.meet("labels")?;
        let records = self.0.records.lock().unwrap().clone();
        let mut rest = records.range(from..);
        rest.by_ref().take(most).for_each(|(&number, (label, _))| show(number, label));
        Ok(rest.next().map(|(&number, _)| number))
    }

    fn next(&self) -> Result<u64, StoreError> {
        self.0.meet("next")?;
        Ok(self.0.records.lock().unwrap().last_key_value().map_or(0, |(number, _)| number + 1))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.0.meet("sync")
    }

    fn bytes(&self) -> u64 {
        self.0
            .records
            .lock()
            .unwrap()
            .values()
            .map(|(label, record)| (label.len() + record.len()) as u64)
            .sum()
    }

    fn mend(&self) -> Result<(), StoreError> {
        self.0.meet("mend")
    }

    /// The same day, always.
    fn now(&self) -> u64 {
        1_700_000_000_000
    }
}

/// What version 1 looks like, for ever: a line for the label, and one for the record.
const GOLDEN: &str = include_str!("golden/version-1.hex");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(line: &str) -> Vec<u8> {
    (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn records_are_as_on_file_and_those_on_file_are_read() {
    let disk = Arc::new(Disk::default());
    let (domain, cache, _) = on(&disk);
    for key in 0..9 {
        cache.insert(key, format!("a value for {key}"));
    }
    domain.flush(patience()).unwrap();
    let (label, record) = disk.records.lock().unwrap()[&0].clone();
    assert_eq!(format!("{}\n{}\n", hex(&label), hex(&record)), GOLDEN);
    drop((cache, domain));

    let disk = Arc::new(Disk::default());
    let lines: Vec<Vec<u8>> = GOLDEN.lines().map(from_hex).collect();
    disk.records.lock().unwrap().insert(41, (lines[0].clone(), lines[1].clone()));
    let (_domain, cache, _) = on(&disk);
    assert_eq!(cache.get(0).as_deref(), Some("a value for 0"));
}

fn cold(disk: &Arc<Disk>) -> Cold {
    let disk = Arc::clone(disk);
    Cold::new(move |_, _| {
        disk.meet("open")?;
        disk.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Opened { store: Arc::new(On(Arc::clone(&disk))), envelope: Arc::new(Plain) })
    })
}

fn try_on(disk: &Arc<Disk>) -> Result<(Domain, Texts, ManualClock), BuildError> {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(32 * MB).clock(clock.clone()).manual().build();
    let cache = Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(8)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(cold(disk)))
        .build_in(&domain)?;
    Ok((domain, cache, clock))
}

fn on(disk: &Arc<Disk>) -> (Domain, Texts, ManualClock) {
    try_on(disk).unwrap()
}

#[test]
fn a_full_disk_is_an_empty_tier_until_there_is_room() {
    let disk = Arc::new(Disk::default());
    let (domain, cache, clock) = on(&disk);
    disk.fail_with(|call| (call == "write").then_some(StoreError::Full));
    fill(&cache);
    domain.tick();
    let told = tier(&cache);
    assert_eq!(
        (told.state, told.breaks, told.entries, told.waiting),
        (TierState::Broken, 1, 0, 0),
        "{told:?}"
    );
    assert!(told.trouble.is_some_and(|trouble| trouble.contains("no room")));
    assert!(domain.stats().to_string().contains("no room"), "{}", domain.stats());
    assert_eq!(cache.get(3), None);
    assert_eq!(cache.get_or_insert_with(3, || text(3)), text(3));
    assert!(domain.flush(patience()).is_err());
    disk.work_again();
    domain.tick();
    assert_eq!(tier(&cache).state, TierState::Broken, "it is not asked yet");
    clock.advance(Duration::from_secs(3));
    domain.tick();
    assert_eq!(tier(&cache).state, TierState::On);
    fill(&cache);
    domain.flush(patience()).unwrap();
    assert_eq!(cache.get(3), Some(text(3)));
    check(&domain);
}

#[test]
fn what_was_removed_while_the_disk_failed_stays_removed() {
    for call in ["write", "written"] {
        let disk = Arc::new(Disk::default());
        let (domain, cache, clock) = on(&disk);
        fill(&cache);
        domain.flush(patience()).unwrap();
        disk.fail_with(move |now| (now == call).then_some(StoreError::Io(std::io::ErrorKind::Other)));
        for key in 0..40 {
            assert!(cache.invalidate(key), "{key}");
            cache.insert(key, text(key + 1000));
        }
        domain.tick();
        assert!(domain.flush(patience()).is_err(), "{call}");
        disk.work_again();
        clock.advance(Duration::from_secs(100));
        domain.flush(patience()).unwrap();
        drop((cache, domain));
        let (_domain, cache, _) = on(&disk);
        for key in 0..40 {
            let found = cache.get(key);
            assert!(found.is_none() || found == Some(text(key + 1000)), "{call} {key} {found:?}");
        }
        assert_eq!(cache.get(50), Some(text(50)));
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_left_alone_after_three_failures() {
    let disk = Arc::new(Disk::default());
    let (domain, cache, clock) = on(&disk);
    fill(&cache);
    domain.flush(patience()).unwrap();
    disk.fail_with(|call| (call == "read").then_some(StoreError::Io(std::io::ErrorKind::Other)));
    for key in 0..10 {
        assert_eq!(cache.get_or_insert_with(key, || text(key)), text(key));
    }
    let told = tier(&cache);
    assert_eq!((told.failures, told.state), (3, TierState::Broken), "{told:?}");
    disk.work_again();
    clock.advance(Duration::from_secs(1));
    domain.tick();
    assert_eq!((tier(&cache).state, cache.get(20)), (TierState::On, Some(text(20))));
}

#[test]
fn a_slow_disk_is_left_alone() {
    let disk = Arc::new(Disk::default());
    let (domain, cache, clock) = on(&disk);
    fill(&cache);
    domain.flush(patience()).unwrap();
    let ticking = clock.clone();
    disk.fail_with(move |call| {
        if call == "read" {
            ticking.advance(Duration::from_secs(1));
        }
        None
    });
    for key in 0..10 {
        assert_eq!(cache.get_or_insert_with(key, || text(key)), text(key));
    }
    let told = tier(&cache);
    assert_eq!((told.hits, told.state), (3, TierState::Broken), "{told:?}");
    assert!(told.trouble.is_some_and(|trouble| trouble.contains("too long")));
    clock.advance(Duration::from_secs(2));
    domain.tick();
    assert_eq!(tier(&cache).state, TierState::On);
}

#[test]
fn a_store_that_panics_is_one_that_fails() {
    let disk = Arc::new(Disk::default());
    let (domain, cache, clock) = on(&disk);
    disk.fail_with(|call| if call == "write" { panic!("on purpose") } else { None });
    fill(&cache);
    domain.tick();
    assert_eq!(tier(&cache).trouble.as_deref(), Some("the store panicked"));
    disk.work_again();
    clock.advance(Duration::from_secs(3));
    domain.tick();
    fill(&cache);
    domain.flush(patience()).unwrap();
    disk.fail_with(|call| if call == "read" { panic!("on purpose") } else { None });
    assert_eq!(cache.get_or_insert_with(3, || text(3)), text(3));
}

#[test]
fn a_store_that_cannot_be_opened_is_an_error_of_the_builder() {
    let disk = Arc::new(Disk::default());
    for call in ["open", "next"] {
        disk.fail_with(move |now| (now == call).then_some(StoreError::Damaged("/there".into())));
        let error = try_on(&disk).unwrap_err();
        assert!(matches!(&error, BuildError::Store(StoreError::Damaged(_))), "{error}");
        assert!(error.to_string().contains("/there") && error.to_string().contains("remove it"), "{error}");
    }
    disk.work_again();
    assert!(try_on(&disk).is_ok());
}

#[test]
fn a_list_that_cannot_be_read_is_an_empty_tier_and_nothing_of_it_comes_back() {
    let disk = Arc::new(Disk::default());
    {
        let (domain, cache, _) = on(&disk);
        fill(&cache);
        domain.flush(patience()).unwrap();
    }
    disk.fail_with(|call| (call == "labels").then_some(StoreError::Io(std::io::ErrorKind::Other)));
    let (domain, cache, clock) = on(&disk);
    assert_eq!((cache.get(3), tier(&cache).state), (None, TierState::Broken));
    cache.insert(3, text(1003));
    disk.work_again();
    clock.advance(Duration::from_secs(100));
    domain.flush(patience()).unwrap();
    drop((cache, domain));
    let (_domain, cache, _) = on(&disk);
    assert_eq!((cache.get(3), tier(&cache).entries), (None, 0));
}

#[test]
fn what_changes_while_it_is_listed_wins() {
    let disk = Arc::new(Disk::default());
    {
        let (domain, cache, _) = on(&disk);
        for key in 0..3000 {
            cache.insert(key, text(key));
            if key % 100 == 0 {
                domain.tick();
            }
        }
        domain.flush(patience()).unwrap();
    }
    // The first part of the list takes long, so that the rest is left to a thread; which waits until we are done.
    let (go, gate) = mpsc::channel::<()>();
    let (clock, gate) = (ManualClock::new(), Mutex::new(gate));
    let passing = clock.clone();
    let domain = Domain::builder().limit_bytes(32 * MB).clock(clock).build();
    let parts = AtomicU64::new(0);
    disk.fail_with(move |call| {
        match (call, call == "labels" && parts.fetch_add(1, Ordering::SeqCst) == 0) {
            ("labels", true) => passing.advance(Duration::from_secs(1)),
            ("labels", false) => drop(gate.lock().unwrap().recv()),
            _ => {}
        }
        None
    });
    let cache: Texts = Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(8)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(cold(&disk)))
        .build_in(&domain)
        .unwrap();
    assert_eq!((tier(&cache).state, cache.get(2500)), (TierState::Listing, None), "it comes later");
    assert_eq!(cache.get(3), Some(text(3)));
    cache.invalidate(2900);
    cache.insert(2901, text(9901));
    (0..8).for_each(|key| drop(cache.get_or_insert_with(key + 10_000, || text(key))));
    drop(go);
    domain.flush(patience()).unwrap();
    assert_eq!(tier(&cache).state, TierState::On);
    assert_eq!((cache.get(2900), cache.get(2902)), (None, Some(text(2902))));
    assert_eq!(cache.get(2901), Some(text(9901)));
    domain.shutdown(patience()).unwrap();
    drop((cache, domain));
    disk.work_again();
    let (_domain, cache, _) = on(&disk);
    assert_eq!((cache.get(2900), cache.get(2901)), (None, Some(text(9901))));
}

/// What a test wants to happen while a value is written or read.
type During = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Numbers and texts, and what happens meanwhile.
struct Watched(During);

impl Watched {
    fn happen(&self) {
        let during = self.0.lock().unwrap().take();
        if let Some(during) = during {
            during();
        }
    }
}

impl Codec<u64, String> for Watched {
    fn encode_key(&self, key: &u64, into: &mut Vec<u8>) -> Result<(), CodecError> {
        Codec::<u64, String>::encode_key(&Serde, key, into)
    }

    fn encode_value(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
        self.happen();
        Codec::<u64, String>::encode_value(&Serde, value, into)
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        Codec::<u64, String>::decode_key(&Serde, bytes)
    }

    fn decode_value(&self, bytes: &[u8]) -> Result<String, CodecError> {
        self.happen();
        Codec::<u64, String>::decode_value(&Serde, bytes)
    }
}

#[test]
fn what_is_on_its_way_down_or_up_while_its_key_changes_does_not_arrive() {
    let disk = Arc::new(Disk::default());
    let domain = Domain::builder().limit_bytes(32 * MB).manual().build();
    let during = During::default();
    let cache: Texts = Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(1)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Watched(Arc::clone(&during))).cold(cold(&disk)))
        .build_in(&domain)
        .unwrap();
    let then = |act: fn(&Texts)| {
        let cache = cache.clone();
        *during.lock().unwrap() = Some(Box::new(move || act(&cache)));
    };
    cache.insert(1, text(1));
    then(|cache| assert!(cache.invalidate(1) || !cache.contains(1)));
    cache.insert(2, text(2));
    assert_eq!((cache.get(1), tier(&cache).refusals), (None, 1), "it left before it was removed");

    cache.insert(1, text(1));
    cache.insert(3, text(3));
    domain.flush(patience()).unwrap();
    then(|cache| assert!(cache.invalidate(1) || !cache.contains(1)));
    let _ = cache.get(1);
    assert!(during.lock().unwrap().is_none(), "it was read");
    assert_eq!(cache.get(1), None, "what was read is not stored");

    cache.insert(4, text(4));
    cache.insert(5, text(5));
    domain.flush(patience()).unwrap();
    then(|cache| cache.insert(4, text(1004)));
    let _ = cache.get_or_insert_with(4, || text(2004));
    assert_eq!(cache.get(4), Some(text(1004)), "what was written meanwhile wins");
    domain.flush(patience()).unwrap();
    check(&domain);
}

/// SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A third of all calls fail, or panic. Each thread has keys of its own, so it knows what it may find: what it wrote last,
/// or nothing.
#[test]
fn callers_see_no_error_and_nothing_old_whatever_the_disk_does() {
    let disk = Arc::new(Disk::default());
    let calls = AtomicU64::new(0);
    disk.fail_with(move |call| {
        let roll = mix(calls.fetch_add(1, Ordering::Relaxed)) % 100;
        match roll {
            0..=24 if call != "open" && call != "next" => Some(StoreError::Io(std::io::ErrorKind::Other)),
            25..=29 if call == "read" || call == "write" => panic!("on purpose"),
            _ => None,
        }
    });
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(2 * MB).clock(clock.clone()).build();
    let cache: Cache<u64, (u64, String)> = Cache::builder("texts")
        .max_entries(50)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(cold(&disk)))
        .build_in(&domain)
        .unwrap();
    let rounds = short_or_deep(10_000, 100_000);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (cache, clock, domain) = (&cache, &clock, &domain);
            scope.spawn(move || {
                let mut newest = vec![0_u64; 100];
                for round in 1..=rounds {
                    let roll = mix(thread << 32 | round);
                    let own = (roll >> 8) % 100;
                    let (key, known) = (thread * 1000 + own, &mut newest[own as usize]);
                    match roll % 16 {
                        0..=4 => {
                            cache.insert(key, (round, text(round)));
                            *known = round;
                        }
                        5 => {
                            cache.invalidate(key);
                            *known = u64::MAX;
                        }
                        6 => {
                            let (of, value) = cache.get_or_insert_with(key, || (round, text(round)));
                            assert!(of == round || of == *known, "{of} after {known}");
                            assert_eq!(value, text(of));
                            *known = of;
                        }
                        7 => {
                            clock.advance(Duration::from_secs(61));
                            domain.tick();
                        }
                        8 if roll.is_multiple_of(31) => drop(domain.flush(Duration::from_secs(1))),
                        _ => {
                            if let Some((of, value)) = cache.get(key) {
                                assert_eq!((of, value), (*known, text(*known)), "{key}");
                            }
                        }
                    }
                }
            });
        }
    });
    let told = tier(&cache);
    assert!(told.breaks > 3 && told.demotions > 50, "{told:?}");
    disk.work_again();
    check(&domain);
    let _ = domain.shutdown(patience());
}
