//! Between a cache and the tiers below it: when an entry goes down, when it comes up, and who makes room for it.
//!
//! Nothing here runs with a lock held. A cache without tiers asks one pointer, on its slow paths only.

pub(super) use super::deep::Raise;
use std::cell::Cell;
use std::sync::Arc;

use super::instance::{Core, Loaded, Source};
use super::load::{Run, Turn};
use super::{Cache, CacheTenant};
use crate::budget::Refused;
use crate::flight::{Flights, Lead, Working};
use crate::pressure::Level;
use crate::removal::RemovalCause;
use crate::stats::Count;
use crate::store::{Departed, Evicted, Parting, Store, Wanted};
use crate::tier::{Candidate, Chain, Changing, ChangingAll, ColdTier, Ground, Raised, TierStats, Tiers};
use crate::time::Nanos;

/// A record that is used so often goes up: it came down with one use, so that is its second.
const USES: u8 = 3;
/// What a place in an index is worth: more than anybody's value, and less than nothing to be had at all.
const PLACES: f64 = 1e30;
/// So many times room is made for one record.
const ROUNDS: usize = 16;
/// So often a record is offered whose list has to grow: others may take each time what was made for it.
const GROWTHS: usize = 3;

/// The tiers of one instance, if it has any.
pub(super) struct Below<K, V>(Option<Box<Chain<K, V>>>);

impl<K, V> Below<K, V> {
    pub(super) fn new(ops: &super::Ops<K, V>, tenant: &CacheTenant) -> Self {
        let chain = |tiers: &Tiers<K, V>| {
            // What stands for a cache in a test keeps its own to itself.
            let cold = tiers.cold.as_ref().filter(|_| !tenant.core.is_twin());
            let ground = cold.map(|cold| Ground {
                card: Arc::clone(&tenant.card),
                clock: tenant.core.clock.clone(),
                workers: Arc::clone(&tenant.core.below),
                hash_of: Arc::clone(&cold.hash_of),
                ledger: Arc::clone(&tenant.core.ledger),
            });
            Chain::new(tiers, ground)
        };
        Self(ops.tiers().and_then(chain).map(Box::new))
    }

    /// Bytes that they take while they are empty.
    pub(super) fn base_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |chain| chain.base_bytes())
    }

    pub(super) fn chain(&self) -> Option<&Chain<K, V>> {
        self.0.as_deref()
    }
}

/// A change of one key, as the tiers see it.
pub(super) struct Change<'a>(Option<Changing<'a>>);

impl Change<'_> {
    /// The change is over. Says whether there was something below.
    pub(super) fn end(self) -> bool {
        self.0.is_some_and(Changing::end)
    }
}

/// What became of an entry that was to become a record in memory.
enum Demoted {
    Done,
    /// It is not worth its room.
    Refused,
    /// It cannot be one, or hardly gets smaller; that is counted.
    Unfit,
}

thread_local! {
    /// This thread makes room for a record: what makes room for it finds only what is free.
    static DEMOTING: Cell<bool> = const { Cell::new(false) };
}

pub(super) struct Demoting;

impl Demoting {
    /// `None` where this thread does so already, or is ending.
    pub(super) fn start() -> Option<Self> {
        let first = DEMOTING.try_with(|demoting| !demoting.replace(true)).unwrap_or(false);
        first.then_some(Self)
    }
}

impl Drop for Demoting {
    fn drop(&mut self) {
        let _ = DEMOTING.try_with(|demoting| demoting.set(false));
    }
}

impl<K, V> Core<K, V> {
    #[inline]
    pub(super) fn chain(&self) -> Option<&Chain<K, V>> {
        self.below.chain()
    }

    /// To be held while a key is written or removed: what is below is older, and goes.
    pub(super) fn change(&self, hash: u64) -> Change<'_> {
        let tenant = &*self.tenant;
        Change(self.chain().map(|chain| chain.begin(hash, &tenant.core.clock, &tenant.card.reservation)))
    }

    /// To be held while all keys may be removed.
    pub(super) fn change_all(&self) -> Option<ChangingAll<'_>> {
        self.chain().map(Chain::begin_all)
    }

    fn level(&self) -> f64 {
        self.tenant.moment().inflation
    }

    fn clock(&self) -> impl Fn() -> Nanos {
        || self.tenant.core.now()
    }

    /// Entries have left: those that made room go on below.
    pub(super) fn demote(&self, departed: &Departed<K, V>) {
        let Some(chain) = self.chain() else { return };
        let first = Demoting::start();
        for (key, value, cause, parting) in departed {
            let wanted = match cause {
                RemovalCause::Evicted => true,
                // Who is short of memory wants it now.
                RemovalCause::Reclaimed => self.tenant.core.level() == Level::Normal,
                _ => false,
            };
            if wanted && !self.is_bypassed() {
                self.demote_one(chain, key, value, parting, first.is_some());
            }
        }
    }

    fn demote_one(&self, chain: &Chain<K, V>, key: &K, value: &V, parting: &Parting, displaces: bool) {
        let Parting { hash, cost, factor, heap, deadline, idle, left } = *parting;
        if deadline.min(idle) <= self.tenant.core.now() {
            return;
        }
        let weight = heap + Store::<K, V>::SLOT_BYTES;
        let candidate = Candidate { hash, cost, factor, weight, deadline, idle, left };
        match self.demote_to_memory(chain, key, value, &candidate, displaces) {
            Demoted::Done => return,
            Demoted::Refused => chain.refuse(),
            Demoted::Unfit => {}
        }
        self.sink(chain, key, value, &candidate, displaces);
    }

    /// To the tier in memory.
    fn demote_to_memory(
        &self,
        chain: &Chain<K, V>,
        key: &K,
        value: &V,
        candidate: &Candidate,
        displaces: bool,
    ) -> Demoted {
        let (now, level) = (self.tenant.core.now(), self.level());
        let Some(likely) = chain.appraise(candidate, level) else { return Demoted::Refused };
        if self.is_tight(candidate.weight) && self.cheapest().0 > likely {
            return Demoted::Refused;
        }
        let Some(parcel) = chain.wrap(key, value, candidate, level, now) else { return Demoted::Unfit };
        let (bytes, credit) = (Chain::<K, V>::bytes_of(&parcel), chain.credit_of(&parcel));
        let (tenant, reservation) = (&*self.tenant, &self.tenant.card.reservation);
        if !self.reserve_below(chain, bytes, 0, credit, level, displaces) {
            return Demoted::Refused;
        }
        let mut parcel = Some(parcel);
        for _ in 0..GROWTHS {
            let Some(ready) = parcel.take() else { break };
            match chain.put(ready, reservation, tenant.card.ceiling()) {
                Ok(()) => {
                    tenant.offer(self, || chain.records().credit());
                    return Demoted::Done;
                }
                Err(None) => break,
                Err(Some((back, growth))) => {
                    if self.reserve_below(chain, growth, bytes, credit, level, displaces) {
                        // For the list of records, that takes them in a moment.
                        reservation.shrink(growth);
                        parcel = Some(back);
                    }
                }
            }
        }
        reservation.shrink(bytes);
        Demoted::Refused
    }

    /// To the tier that outlives the process. Says whether it went there.
    pub(super) fn sink(
        &self,
        chain: &Chain<K, V>,
        key: &K,
        value: &V,
        candidate: &Candidate,
        displaces: bool,
    ) -> bool {
        let (Some(cold), Some(ready)) = (chain.cold_tier(), chain.prepare(key, value, candidate)) else {
            return false;
        };
        let mut ready = Some(ready);
        for _ in 0..GROWTHS {
            let Some(sent) = ready.take() else { break };
            match cold.put(sent) {
                Ok(()) => return true,
                Err(None) => return false,
                Err(Some((back, growth))) => {
                    // A place in the index is worth more than any value: it keeps one.
                    if self.reserve_below(chain, growth, 0, f64::INFINITY, self.level(), displaces) {
                        self.tenant.card.reservation.shrink(growth);
                        ready = Some(back);
                    }
                }
            }
        }
        cold.refuse();
        false
    }

    /// Whether so many bytes more would find no room.
    fn is_tight(&self, bytes: u64) -> bool {
        let tenant = &*self.tenant;
        let spent = tenant.card.reservation.spent().saturating_add(bytes);
        let used = tenant.core.ledger.used().saturating_add(bytes);
        spent > tenant.card.ceiling() || used > tenant.core.ledger.allowed()
    }

    /// What the cheapest of entries and records is worth, and whether that is a record.
    fn cheapest(&self) -> (f64, bool) {
        let here = self.store.credit(self.tenant.policy.is_by_credit());
        let below = self.chain().map_or(f64::INFINITY, |chain| chain.records().credit());
        (here.min(below), below <= here)
    }

    /// Reserves bytes for what is worth so much, beside those that wait for it already. What is worth less makes way,
    /// records or entries; `false` where nothing is.
    fn reserve_below(
        &self,
        chain: &Chain<K, V>,
        bytes: u64,
        beside: u64,
        credit: f64,
        level: f64,
        displaces: bool,
    ) -> bool {
        let (tenant, reservation) = (&*self.tenant, &self.tenant.card.reservation);
        let over = if credit == f64::INFINITY { 0 } else { chain.records().over(bytes + beside) };
        if over > 0 {
            let gone = chain.evict(over, u64::MAX, credit, reservation);
            if gone.bytes < over {
                return false;
            }
            chain.records().age(gone.credit, level);
        }
        for _ in 0..ROUNDS {
            let short = match reservation.try_grow(bytes, tenant.card.ceiling()) {
                Ok(()) => return true,
                Err(Refused::Ceiling { over: short } | Refused::Budget { short }) => short,
            };
            let (cheapest, below) = self.cheapest();
            if cheapest >= credit {
                return false;
            }
            let freed = if below {
                chain.evict(short, u64::MAX, credit, reservation).entries > 0
            } else if displaces {
                let wanted = Wanted { bytes: short, most: u64::MAX, upto: credit, patient: false };
                !self.evict_here(tenant, wanted, Count::Evictions).is_nothing()
            } else {
                false
            };
            if !freed {
                return false;
            }
        }
        false
    }

    /// Evicts records where they are worth less than entries; `None` where they are not.
    pub(super) fn evict_below(&self, wanted: Wanted) -> Option<Evicted> {
        let chain = self.chain()?;
        // A place among the entries is none of theirs.
        if wanted.bytes == 0 {
            return None;
        }
        let (cheapest, below) = self.cheapest();
        if cheapest == f64::INFINITY {
            // All that is left are places in an index.
            let (entries, bytes) = chain.cold_tier()?.give(wanted.bytes.min(wanted.most));
            return (entries > 0).then_some(Evicted { entries, bytes, waiting: 0, credit: 0.0 });
        }
        if !below {
            return None;
        }
        let below = chain.records().credit();
        let here = self.store.credit(self.tenant.policy.is_by_credit());
        let upto = wanted.upto.min(here).max(below);
        let gone = chain.evict(wanted.bytes, wanted.most, upto, &self.tenant.card.reservation);
        (gone.entries > 0).then_some(Evicted {
            entries: gone.entries,
            bytes: gone.bytes,
            waiting: 0,
            credit: gone.credit,
        })
    }

    /// What the next victim below is worth; infinite without one.
    pub(super) fn credit_below(&self) -> f64 {
        let Some(chain) = self.chain() else { return f64::INFINITY };
        let credit = chain.records().credit();
        if credit.is_finite() || chain.cold_tier().is_none_or(|cold| cold.charged() == 0) {
            return credit;
        }
        PLACES
    }

    /// Whoever is to compute looks below first; what is there goes to all who wait.
    #[inline]
    pub(super) fn raise<'a>(&'a self, hash: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        match self.chain() {
            Some(chain) => self.raise_from(chain, hash, run),
            None => Turn::Run(run),
        }
    }

    #[cold]
    fn raise_from<'a>(&'a self, chain: &Chain<K, V>, hash: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        let raised = {
            let _working = run.working();
            self.find_warm(chain, hash, &|key| run.is_of(|own| (self.ops.eq)(own, key)))
        };
        match raised {
            Some(raised) => Turn::Found(self.hand_up(chain, hash, run, raised)),
            None => Turn::Run(run),
        }
    }

    /// The value that was found below goes to all who wait for it, and up if it is to.
    pub(super) fn hand_up(
        &self,
        chain: &Chain<K, V>,
        hash: u64,
        run: Run<'_, K, V>,
        raised: Raised<K, V>,
    ) -> V {
        let goes_up = self.goes_up(&raised);
        match run {
            Run::Lead(mut lead) => {
                let value = if goes_up {
                    let _working = Working::on(lead.id());
                    match lead.take_key() {
                        Some(key) => self.lift(chain, hash, key, raised, &lead).0,
                        None => raised.value,
                    }
                } else {
                    raised.value
                };
                lead.land(|| (self.ops.clone)(&value));
                value
            }
            Run::Alone(lead, key, _) if goes_up => self.lift(chain, hash, key, raised, &lead).0,
            Run::Alone(..) => raised.value,
        }
    }

    fn find_warm(&self, chain: &Chain<K, V>, hash: u64, is: &dyn Fn(&K) -> bool) -> Option<Raised<K, V>> {
        chain.find(hash, self.level(), &self.clock(), &self.tenant.card.reservation, is)
    }

    /// In all tiers; waits for the disk.
    fn find_below(&self, chain: &Chain<K, V>, hash: u64, is: &dyn Fn(&K) -> bool) -> Option<Raised<K, V>> {
        self.find_warm(chain, hash, is).or_else(|| chain.find_cold(hash, true, is))
    }

    /// Whether an entry that was found below goes up: it is used often enough, or there is room.
    fn goes_up(&self, raised: &Raised<K, V>) -> bool {
        raised.uses >= USES || self.tenant.moment().filling
    }

    /// Stores an entry that was found below, unless its key was changed since the lead was taken. Says whether it did.
    pub(super) fn lift(
        &self,
        chain: &Chain<K, V>,
        hash: u64,
        key: K,
        raised: Raised<K, V>,
        lead: &Lead<K, V, &Flights<K, V>>,
    ) -> (V, bool) {
        let Raised { value, cost, deadline, found, .. } = raised;
        let loaded = Loaded {
            marks: lead.marks(),
            seen: lead.marks_seen(),
            look_for_mark: &|| lead.look_for_mark(),
            now: self.tenant.now(),
        };
        let source = Source::Raised { loaded, deadline };
        let stored = self.store_new(hash, key, (self.ops.clone)(&value), cost, source, true).is_ok();
        if let Some(found) = found.filter(|_| stored) {
            chain.raised(hash, &found, &self.tenant.card.reservation);
        }
        (value, stored)
    }

    /// The value of a key that is not here.
    #[cold]
    pub(super) fn look_below(&self, hash: u64, eq: &dyn Fn(&K) -> bool) -> Option<V> {
        let chain = self.chain()?;
        if self.is_bypassed() {
            return None;
        }
        // In the table of flights before it looks, so that who changes the key marks it.
        let lead = self.flights.alone(hash);
        let mut raised = self.find_below(chain, hash, eq)?;
        if !self.goes_up(&raised) {
            return Some(raised.value);
        }
        let key = raised.key.take()?;
        Some(self.lift(chain, hash, key, raised, &lead).0)
    }

    /// Brings the entry of a key up, if there is one below; it is not below any more then. Says whether it is here.
    #[cold]
    pub(super) fn fetch(&self, hash: u64, eq: &dyn Fn(&K) -> bool) -> bool {
        let Some(chain) = self.chain() else { return false };
        if self.is_bypassed() || !chain.may_have(hash) {
            return false;
        }
        let lead = self.flights.alone(hash);
        let Some(mut raised) = self.find_below(chain, hash, eq) else { return false };
        let Some(key) = raised.key.take() else { return false };
        let (_, stored) = self.lift(chain, hash, key, raised, &lead);
        if !stored {
            // As if it had been evicted.
            drop(self.change(hash));
        }
        stored
    }

    /// The value of a key that is not here, without a trace, and when it is too old.
    #[cold]
    pub(super) fn peek_below(&self, hash: u64, eq: &dyn Fn(&K) -> bool) -> Option<(V, Nanos)> {
        let chain = self.chain()?;
        if self.is_bypassed() {
            return None;
        }
        let warm = chain.peek(hash, &self.clock(), &self.tenant.card.reservation, eq);
        warm.or_else(|| chain.find_cold(hash, false, eq).map(|raised| (raised.value, raised.deadline)))
    }

    /// Removes what matches, by who changes all keys.
    pub(super) fn remove_below(&self, is_stale: &mut dyn FnMut(&K, &V) -> bool) -> u64 {
        let Some(chain) = self.chain() else { return 0 };
        chain.remove_if(is_stale, &self.clock(), &self.tenant.card.reservation)
    }

    /// Removes everything, by who changes all keys.
    pub(super) fn clear_below(&self) -> u64 {
        let Some(chain) = self.chain() else { return 0 };
        let cold = chain.cold_tier().map_or(0, ColdTier::clear);
        chain.records().clear(&self.tenant.card.reservation) + cold
    }

    /// Takes out what is expired.
    pub(super) fn sweep_below(&self) {
        if let Some(chain) = self.chain() {
            chain.records().sweep(self.tenant.core.now(), &self.tenant.card.reservation);
            if let Some(cold) = chain.cold_tier() {
                cold.tick();
            }
        }
    }

    /// Bytes that records are charged.
    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn bytes_below(&self) -> u64 {
        let of =
            |chain: &Chain<K, V>| chain.records().bytes() + chain.cold_tier().map_or(0, ColdTier::charged);
        self.chain().map_or(0, of)
    }

    pub(super) fn stats_below(&self) -> Vec<TierStats> {
        self.chain().map_or_else(Vec::new, Chain::stats)
    }
}

impl<K, V> Below<K, V> {
    /// Everything goes with the cache.
    pub(super) fn dissolve(&self, tenant: &CacheTenant) {
        if let Some(chain) = self.chain() {
            chain.records().clear(&tenant.card.reservation);
            if let Some(cold) = chain.cold_tier() {
                cold.dissolve();
            }
        }
    }
}

impl<K, V> Cache<K, V> {
    /// Looks below, where a look-up found nothing.
    #[inline]
    pub(super) fn get_below(&self, hash: u64, eq: &dyn Fn(&K) -> bool) -> Option<V> {
        if self.core.ops.tiers().is_some() { self.here().look_below(hash, eq) } else { None }
    }
}
