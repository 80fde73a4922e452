//! Between a cache and its tier that outlives the process: who waits for the disk, what is written when a program ends,
//! and what comes back when it starts.
//!
//! Threads read where they are; tasks have a thread of the domain read for them. Not here: what goes down when it makes
//! room (`tiers`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::instance::Core;
use super::load::{Run, Turn};
use super::tiers::Demoting;
use crate::store::Store;
use crate::tier::{Blob, Candidate, Chain, ColdTier, Place, Raised, StoreError, changes};
use crate::time::Nanos;

/// The name that a cache was given: the second living one of a name has a number behind it, which depends on who came
/// first, and must not find what was the other's before a restart.
fn declared(name: &str) -> &str {
    match name.rsplit_once('#') {
        Some((given, number)) if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => {
            given
        }
        _ => name,
    }
}

/// A look into the tier for a task. A type of its own, whatever the keys and values: what awaits it needs no proof that it
/// may go to another thread.
pub(super) struct Raise<'a, K, V> {
    /// `None` where there is nothing to read.
    read: Option<Read<'a>>,
    /// Until it is over.
    run: Option<Run<'a, K, V>>,
    core: &'a Core<K, V>,
    hash: u64,
}

/// A record that is being read.
struct Read<'a> {
    place: Place,
    began: Nanos,
    blob: Pin<Box<dyn Future<Output = Option<Blob>> + Send + 'a>>,
}

/// Nothing in it is pinned but what has a box of its own.
impl<K, V> Unpin for Raise<'_, K, V> {}

impl<'a, K, V> Future for Raise<'a, K, V> {
    type Output = Turn<'a, K, V>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { read, run, core, hash } = self.get_mut();
        let blob = match read {
            Some(read) => ready!(read.blob.as_mut().poll(context)),
            None => None,
        };
        let Some(run) = run.take() else { unreachable!("what is over is not polled") };
        let raised = read.take().zip(core.cold()).and_then(|(Read { place, began, .. }, (chain, _))| {
            let _working = run.working();
            chain.open(&place, blob, began, &|key| run.is_of(|own| (core.ops.eq)(own, key)))
        });
        Poll::Ready(core.turn_after(*hash, run, raised))
    }
}

impl<K, V> Core<K, V> {
    fn cold(&self) -> Option<(&Chain<K, V>, &ColdTier)> {
        let chain = self.chain()?;
        Some((chain, chain.cold_tier()?))
    }

    /// Whoever is to compute looks there last; waits for the disk.
    #[inline]
    pub(super) fn raise_cold<'a>(&'a self, hash: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        match self.cold() {
            Some((chain, _)) => self.raise_cold_from(chain, hash, run),
            None => Turn::Run(run),
        }
    }

    #[cold]
    fn raise_cold_from<'a>(&'a self, chain: &Chain<K, V>, hash: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        let raised = {
            let _working = run.working();
            chain.find_cold(hash, true, &|key| run.is_of(|own| (self.ops.eq)(own, key)))
        };
        self.turn_after(hash, run, raised)
    }

    /// What is next for whoever looked below.
    fn turn_after<'a>(
        &'a self,
        hash: u64,
        run: Run<'a, K, V>,
        raised: Option<Raised<K, V>>,
    ) -> Turn<'a, K, V> {
        match self.chain().zip(raised) {
            Some((chain, raised)) => Turn::Found(self.hand_up(chain, hash, run, raised)),
            None => Turn::Run(run),
        }
    }

    /// [`raise_cold`](Self::raise_cold) for a task, which waits without blocking its thread.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it lets the next of those who wait look for itself.
    pub(super) fn raise_cold_async<'a>(&'a self, hash: u64, run: Run<'a, K, V>) -> Raise<'a, K, V> {
        let read = self.cold().and_then(|(chain, cold)| {
            let Some(place) = chain.locate(hash, true) else {
                cold.miss();
                return None;
            };
            Some(Read { place, began: cold.began(), blob: Box::pin(cold.read_apart(place)) })
        });
        Raise { read, run: Some(run), core: self, hash }
    }

    /// What is there of an entry is not right any more, though the entry is.
    pub(super) fn forget_below(&self, hash: u64) {
        if let Some((_, cold)) = self.cold() {
            cold.forget(hash as u32);
        }
    }

    /// Opens the tier, and lists what is there, for a moment at least. Once; waits for the disk, so no lock may be held.
    ///
    /// # Errors
    ///
    /// The tier is off.
    pub(crate) fn open_below(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some((chain, cold)) = self.cold() else { return Ok(()) };
        let Some(laborer) = chain.laborer() else { return Ok(()) };
        let tenant = &self.tenant;
        if !cold.open(declared(&tenant.card.name), &chain.packings())? {
            return Ok(());
        }
        let instance = (self.ops.instance)(Arc::clone(self));
        let weak = Arc::downgrade(&instance);
        cold.when_listed(move || {
            if let Some(instance) = weak.upgrade() {
                instance.bring_up();
            }
        });
        if let Some(learned) = cold.note().filter(|_| cold.settings().persist) {
            tenant.resume_learning(&learned);
        }
        let has_workers = tenant.core.relief().has_workers();
        // Before there is anybody else who lists, and whom this would have to wait for.
        cold.list_some(has_workers);
        tenant.core.below.hire(laborer, has_workers);
        tenant.offer(&**self, || self.credit_below());
        Ok(())
    }

    /// Writes what waits, and what is in memory where that is to outlive the process.
    pub(super) fn flush_below(&self, until: Instant) -> bool {
        let Some((chain, cold)) = self.cold() else { return true };
        if cold.settings().persist {
            self.send_down(chain, cold, until);
            if let Some(learned) = self.tenant.learned() {
                cold.set_note(&learned);
            }
        }
        cold.flush(until)
    }

    /// Has all entries written that are not there yet, those in memory below included.
    fn send_down(&self, chain: &Chain<K, V>, cold: &ColdTier, until: Instant) {
        // Where the index has to grow, others make way, who find only what is free.
        let demoting = Demoting::start();
        let reservation = &self.tenant.card.reservation;
        for shard in 0..self.store.shards() {
            for sighting in self.store.sight_all(shard, reservation) {
                // Before the look: what changes after it is not written.
                let left = changes();
                let now = || self.tenant.core.clock.recent();
                let Some(facts) = self.store.facts(sighting, reservation) else { continue };
                let copy = |key: &K, value: &V| (chain.clone_key(key), (self.ops.clone)(value));
                let copied = self.store.look_again(sighting, now, reservation, copy);
                let Some((Some(key), value)) = copied else { continue };
                let Some(hash) = chain.hash_of(&key) else { continue };
                let weight = facts.heap + Store::<K, V>::SLOT_BYTES;
                let candidate = Candidate {
                    hash: hash as u32,
                    cost: facts.cost,
                    factor: facts.factor,
                    weight,
                    deadline: facts.deadline,
                    idle: facts.idle,
                    left,
                };
                self.sink(chain, &key, &value, &candidate, demoting.is_some());
                if cold.is_crowded() && !cold.drain(until) {
                    return;
                }
            }
        }
        chain.send_down(&|| cold.is_crowded() && !cold.drain(until));
    }

    /// Brings entries up into memory, the most valuable first, while there is room.
    pub(super) fn bring_up_below(&self) {
        let Some((chain, cold)) = self.cold() else { return };
        self.tenant.offer(self, || self.credit_below());
        if !cold.settings().persist {
            return;
        }
        for half in cold.by_value() {
            if self.is_bypassed() || !self.tenant.moment().filling {
                return;
            }
            // The key is needed to know all of the hash.
            let Some(key) = chain.key_of(half) else { continue };
            let Some(hash) = chain.hash_of(&key) else { continue };
            // In the table of flights before it looks, so that who changes the key marks it.
            let lead = self.flights.alone(hash);
            let found = chain.find_cold(hash, false, &|own| (self.ops.eq)(own, &key));
            if let Some(raised) = found {
                let _ = self.lift(chain, hash, key, raised, &lead);
            }
        }
    }
}
