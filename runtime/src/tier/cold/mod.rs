//! A tier that outlives the process: records in a store, and what is known of them in memory.
//!
//! ```text
//! put    index and queue, under one stripe's lock  ->  the writer, in batches  ->  the store
//! find   index  ->  the queue, or the store  ->  the record says whether it is whole, and whose
//! end    index and queue, under one stripe's lock: what is older goes, now from here and soon from the store
//! ```
//!
//! A record's number is used once. So what has to go is named exactly, and a removal that is late takes nothing newer
//! along. The queue keeps the order in which things were decided, and a removal stays in it until it is written.
//!
//! What is in the store when it is opened is listed by labels; until then what changes is noted, and wins.
//!
//! Not here: what is in a record (the chain), when an entry comes (the cache), and how anything is stored (a [`Store`]).

mod breaker;
mod index;
mod listing;
mod queue;
mod reading;
mod settings;
mod workers;
mod writing;

pub(crate) use reading::{Blob, Place};
pub(crate) use settings::KeyWays;
pub use settings::{Cold, IntoCold};
pub(crate) use workers::{Laborer, Workers};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::events::{Event, tell};
use super::warm::count;
use super::{Envelope, Opened, Sealed, Store, StoreError, TierState, TierStats};
use crate::budget::Ledger;
use crate::sync::fork;
use crate::tenant::Card;
use crate::time::{Clock, Nanos, nanos};
use crate::unwind::discard;

use breaker::Breaker;
use index::{Hands, Index, Refused, Slot};
use queue::{Put, Queue};

/// What a record takes in a store beside its bytes, about.
const BESIDE: usize = 48;
/// So many bytes may wait to be written, at the most; no more than a sixteenth of the budget. They are not charged.
const WAITING: u64 = 16 << 20;

/// The key of a record as its cache hashes it, from its bytes; `None` where they are no key.
pub(crate) type HashOf = dyn Fn(&[u8]) -> Option<u32> + Send + Sync;

/// What it takes to make one.
pub(crate) struct Ground {
    pub(crate) card: Arc<Card>,
    pub(crate) clock: Clock,
    pub(crate) workers: Arc<Workers>,
    pub(crate) hash_of: Arc<HashOf>,
    pub(crate) ledger: Arc<Ledger>,
}

/// An entry on its way to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) hash: u32,
    pub(crate) cost: u8,
    pub(crate) factor: i8,
    pub(crate) packing: u8,
    pub(crate) encoded: u32,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// When the entry is too old.
    pub(crate) deadline: Nanos,
    /// When the record is.
    pub(crate) expires: Nanos,
    /// When it left, as changes are counted.
    pub(crate) left: u64,
}

/// An entry as bytes, for which there is room in the store.
pub(crate) struct Ready {
    slot: Slot,
    label: Arc<Vec<u8>>,
    record: Arc<Vec<u8>>,
    left: u64,
}

/// A store that is open, and what records are written with.
type InUse = (Arc<dyn Store>, Arc<dyn Envelope>);

/// What became of the store.
const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const OFF: u8 = 2;

/// A tier of one cache instance that outlives the process.
pub(crate) struct ColdTier {
    settings: Cold,
    ground: Ground,
    index: Index,
    queue: Queue,
    breaker: Breaker,
    limit: Mutex<Limit>,
    state: AtomicU8,
    /// There while it is open.
    opened: RwLock<Option<InUse>>,
    /// Why it could not be opened.
    refused: OnceLock<StoreError>,
    /// One batch, and one part of the list, at a time.
    writing: Mutex<()>,
    listing: Mutex<listing::Listing>,
    /// Who wants to know that all is listed.
    listed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// The cache is gone.
    dissolved: AtomicBool,
    /// The number of the next record.
    next: AtomicU64,
    /// Milliseconds since 1970 when the clock began, as the store told when it was opened: a clock of the system that is
    /// set meanwhile changes nothing.
    since: AtomicU64,
    /// Nanoseconds that a look-up takes for a kilobyte, of late.
    pace: AtomicU64,
    /// Bytes of the store, when somebody last looked.
    on_disk: AtomicU64,
    /// Writes that failed.
    failed: AtomicU64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    saved: AtomicU64,
    demotions: AtomicU64,
    refusals: AtomicU64,
    evictions: AtomicU64,
    expirations: AtomicU64,
    failures: AtomicU64,
    written: AtomicU64,
}

/// How much may still be written.
#[derive(Debug, Default)]
struct Limit {
    bytes: f64,
    at: Nanos,
}

/// Calls a store; a panic is a failure.
fn guarded<R>(call: impl FnOnce() -> Result<R, StoreError>) -> Result<R, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        discard(panic);
        Err(StoreError::Panicked)
    })
}

impl ColdTier {
    pub(crate) fn new(settings: Cold, ground: Ground) -> Self {
        Self {
            index: Index::new(settings.beside),
            settings,
            ground,
            queue: Queue::default(),
            breaker: Breaker::default(),
            limit: Mutex::default(),
            state: AtomicU8::new(CLOSED),
            opened: RwLock::new(None),
            refused: OnceLock::new(),
            writing: Mutex::new(()),
            listing: Mutex::default(),
            listed: Mutex::new(None),
            dissolved: AtomicBool::new(false),
            next: AtomicU64::new(0),
            since: AtomicU64::new(0),
            pace: AtomicU64::new(0),
            on_disk: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    /// Bytes that it takes while it is empty.
    pub(crate) fn base_bytes(&self) -> u64 {
        crate::tenant::arc::<Self>() + self.index.base_bytes()
    }

    /// Bytes that it is charged beside those.
    pub(crate) fn charged(&self) -> u64 {
        self.index.charged()
    }

    pub(crate) fn settings(&self) -> &Cold {
        &self.settings
    }

    /// Opens the store, once; says whether this was the time. The values' ways of being made smaller are part of whose
    /// the records are. Waits for the disk.
    ///
    /// # Errors
    ///
    /// It is off for good.
    pub(crate) fn open(&self, name: &str, packings: &str) -> Result<bool, StoreError> {
        let _alone = self.writing.lock();
        if self.state.load(Ordering::Acquire) != CLOSED {
            return self.refused.get().cloned().map_or(Ok(false), Err);
        }
        let opened = guarded(|| {
            let opened = (self.settings.open)(name, packings)?;
            let next = opened.store.next().inspect_err(|_| opened.store.close())?;
            Ok((opened, next))
        });
        match opened {
            Ok((Opened { store, envelope }, next)) => {
                let (wall, now) = (store.now(), self.ground.clock.now() / 1_000_000);
                self.since.store(wall.saturating_sub(now), Ordering::Relaxed);
                self.next.store(next, Ordering::Release);
                self.listing.lock().begin(next, wall);
                self.on_disk.store(store.bytes(), Ordering::Relaxed);
                *self.opened.write() = Some((store, envelope));
                self.state.store(OPEN, Ordering::Release);
                Ok(true)
            }
            Err(error) => {
                self.index.listed();
                self.state.store(OFF, Ordering::Release);
                let _ = self.refused.set(error.clone());
                tell(&Event::Off { cache: &self.ground.card.name, why: &error });
                Err(error)
            }
        }
    }

    /// Whether it is asked at all.
    fn is_on(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN && !self.breaker.is_open() && !fork::forked()
    }

    /// Calls `then` when all that was there is listed.
    pub(crate) fn when_listed(&self, then: impl FnOnce() + Send + 'static) {
        *self.listed.lock() = Some(Box::new(then));
    }

    fn opened(&self) -> Option<InUse> {
        self.opened.read().clone()
    }

    fn hands(&self) -> Hands<'_> {
        Hands {
            queue: &self.queue,
            reservation: &self.ground.card.reservation,
            ceiling: self.ground.card.ceiling(),
            workers: &self.ground.workers,
        }
    }

    fn now(&self) -> Nanos {
        self.ground.clock.now()
    }

    /// A time of the clock in milliseconds since 1970.
    fn wall_of(&self, at: Nanos) -> u64 {
        if at == Nanos::MAX {
            u64::MAX
        } else {
            self.since.load(Ordering::Relaxed).saturating_add(at / 1_000_000)
        }
    }

    fn time_of_wall(&self, at: u64) -> Nanos {
        if at == u64::MAX {
            return Nanos::MAX;
        }
        at.saturating_sub(self.since.load(Ordering::Relaxed)).saturating_mul(1_000_000)
    }

    /// Nanoseconds that reading takes for each byte.
    fn rate(&self) -> f64 {
        self.pace.load(Ordering::Relaxed) as f64 / 1024.0
    }

    /// Somebody begins to change the key of this hash.
    pub(crate) fn begin(&self, hash: u32) {
        self.index.begin(hash);
    }

    /// The change is over. Says whether there was something that had not expired.
    pub(crate) fn end(&self, hash: u32, now: impl FnOnce() -> Nanos) -> bool {
        self.index.end(hash, self.hands()).is_some_and(|expires| expires > now())
    }

    /// Somebody begins to change all keys.
    pub(crate) fn begin_all(&self) {
        self.index.begin_all();
        // Nobody looks at what is not listed yet.
        self.index.outdate();
    }

    pub(crate) fn end_all(&self) {
        self.index.end_all();
    }

    /// Whether something may be under this hash: a hint.
    pub(crate) fn may_have(&self, hash: u32) -> bool {
        self.is_on() && self.index.has(hash)
    }

    /// The record of an entry that stays as it is, but for how long it lives, is not right any more.
    pub(crate) fn forget(&self, hash: u32) {
        self.index.begin(hash);
        self.index.end(hash, self.hands());
    }

    /// Whether an entry with so many bytes would be let in.
    pub(crate) fn wants(&self, hash: u32, cost: u8, factor: i8, bytes: u64) -> bool {
        if !self.is_on() || bytes > self.settings.max_record_bytes || self.index.has(hash) {
            return false;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Slot { number: 0, expires: 0, hash, bytes, level: 0.0, cost, factor, uses: 1 }.worth(self.rate())
            > 0.0
    }

    /// An entry as a record, for which room was made in the store. `None` where it is not let in.
    pub(crate) fn prepare(&self, sending: &Sending<'_>) -> Option<Ready> {
        let ready = self.seal(sending);
        if ready.is_none() {
            self.refuse();
        }
        ready
    }

    fn seal(&self, sending: &Sending<'_>) -> Option<Ready> {
        if !self.is_on() || self.dissolved.load(Ordering::Acquire) {
            return None;
        }
        let (_, envelope) = self.opened()?;
        let Sending { hash, cost, factor, packing, encoded, key, value, deadline, expires, left } = *sending;
        let now = self.now();
        let ttl = self.settings.ttl.map_or(Nanos::MAX, |ttl| now.saturating_add(nanos(ttl)));
        let expires = expires.min(ttl);
        let mut record = Vec::new();
        let mut label = Vec::new();
        let sealed = Sealed { packing, deadline: self.wall_of(deadline), cost, factor, encoded, key, value };
        if !envelope.seal(&sealed, &mut record) {
            return None;
        }
        let facts = listing::Facts { bytes: u32::try_from(record.len()).ok()?, written: self.wall_of(now) };
        let sealed = Sealed { deadline: self.wall_of(expires), value: &facts.to_bytes(), ..sealed };
        if !envelope.seal(&sealed, &mut label) {
            return None;
        }
        let bytes = u32::try_from(record.len() + label.len() + BESIDE).ok()?;
        if u64::from(bytes) > self.settings.max_record_bytes || !self.may_write(bytes, now) {
            return None;
        }
        let slot = Slot { number: 0, expires, hash, bytes, level: 0.0, cost, factor, uses: 1 };
        if !self.make_room(&slot) {
            return None;
        }
        Some(Ready { slot, label: Arc::new(label), record: Arc::new(record), left })
    }

    /// Has a record written soon.
    ///
    /// # Errors
    ///
    /// It is not, and nothing has changed. `Some` where it would be if there were so many bytes more: the index has to
    /// grow.
    pub(crate) fn put(&self, ready: Ready) -> Result<(), Option<(Ready, u64)>> {
        let Ready { slot, ref label, ref record, left } = ready;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (label, record) = (Arc::clone(label), Arc::clone(record));
        let put = Put { number, hash: slot.hash, label, record, bytes: slot.bytes.into(), gone: false };
        let most = self.most_waiting().max(put.bytes);
        match self.index.put(Slot { number, ..slot }, put, left, most, self.hands()) {
            Ok(()) => {
                count(&self.counts.demotions, 1);
                Ok(())
            }
            Err(Refused::NoRoom(growth)) => Err(Some((ready, growth))),
            Err(Refused::Changed | Refused::Waits) => {
                self.refuse();
                Err(None)
            }
        }
    }

    /// So many bytes may wait to be written.
    fn most_waiting(&self) -> u64 {
        WAITING.min(self.ground.card.ceiling() / 16).min(self.ground.ledger.limit() / 16)
    }

    /// An entry does not come down.
    pub(crate) fn refuse(&self) {
        count(&self.counts.refusals, 1);
    }

    /// Whether so many bytes more may be written.
    fn may_write(&self, bytes: u32, now: Nanos) -> bool {
        let Some(rate) = self.settings.writes else { return true };
        let mut limit = self.limit.lock();
        let rate = rate as f64;
        let passed = now.saturating_sub(limit.at) as f64 / 1e9;
        // A second's worth may come at once.
        limit.bytes = if limit.at == 0 { rate } else { (limit.bytes + passed * rate).min(rate) };
        limit.at = now.max(1);
        if limit.bytes < f64::from(bytes) && limit.bytes < rate {
            return false;
        }
        limit.bytes -= f64::from(bytes);
        true
    }

    /// Evicts what is worth less, until there is room; `false` where there is none.
    fn make_room(&self, slot: &Slot) -> bool {
        let (rate, most) = (self.rate(), self.bound());
        let credit = self.index.credit_of(slot, rate);
        let bytes = u64::from(slot.bytes);
        if bytes > most {
            return false;
        }
        while self.index.stored() + bytes > most {
            if !self.index.evict(credit, rate, self.hands()) {
                return false;
            }
            count(&self.counts.evictions, 1);
        }
        true
    }

    /// Removes everything, by who changes all keys; returns how many records that were.
    pub(crate) fn clear(&self) -> u64 {
        let reservation = &self.ground.card.reservation;
        let entries = self.index.clear(reservation);
        if self.state.load(Ordering::Acquire) != OFF {
            self.queue.clear();
            self.ground.workers.rouse();
        }
        entries
    }

    /// Does what is due, where no thread does it.
    pub(crate) fn tick(&self) {
        if fork::forked() || self.state.load(Ordering::Acquire) != OPEN {
            return;
        }
        count(&self.counts.expirations, self.index.sweep(self.now(), self.hands()));
        if !self.ground.workers.has_threads() {
            let _ = self.labor();
        } else if self.breaker.is_due(self.now()) {
            self.ground.workers.rouse();
        }
    }

    /// Lets records go, and the room in memory that their places take, until so many bytes are free.
    pub(crate) fn give(&self, bytes: u64) -> (u64, u64) {
        let (before, mut entries) = (self.index.charged(), 0);
        while before.saturating_sub(self.index.charged()) < bytes
            && self.index.evict(f64::INFINITY, self.rate(), self.hands())
        {
            entries += 1;
        }
        count(&self.counts.evictions, entries);
        (entries, before.saturating_sub(self.index.charged()))
    }

    pub(crate) fn stats(&self) -> TierStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        let trouble = self.refused.get().cloned().or_else(|| self.breaker.trouble());
        let state = match (self.state.load(Ordering::Acquire), &trouble) {
            (OPEN, None) if self.index.is_listing() => TierState::Listing,
            (OPEN, None) => TierState::On,
            (OPEN, Some(_)) => TierState::Broken,
            _ => TierState::Off,
        };
        TierStats {
            name: "disk".to_owned(),
            entries: self.index.entries(),
            bytes: self.index.stored(),
            max_bytes: Some(self.settings.max_bytes),
            hits: of(&counts.hits),
            misses: of(&counts.misses),
            time_saved: Duration::from_nanos(of(&counts.saved)),
            demotions: of(&counts.demotions),
            refusals: of(&counts.refusals),
            evictions: of(&counts.evictions),
            expirations: of(&counts.expirations),
            failures: of(&counts.failures),
            state,
            trouble: trouble.map(|error| error.to_string()),
            breaks: self.breaker.times(),
            waiting: self.queue.bytes(),
            written: of(&counts.written),
            on_disk: of(&self.on_disk),
            ..TierStats::default()
        }
    }
}
