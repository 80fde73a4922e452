//! A cache or a pool as the budget sees it: published figures, and the few things one can ask of it.
//!
//! The coordinator reads [`Card`]s, which are plain atomics, and calls [`Tenant`] only to act. No call
//! waits for another tenant; none is made with a lock of the domain held.

use std::sync::Arc;

use crate::budget::{Ledger, Refused, Reservation};
use crate::curve::Curve;
use crate::descriptor::{Descriptor, Kind};
use crate::stats::{Tally, TenantStats};
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Mutex, Ordering};
use crate::time::Nanos;
use crate::weight::weigh::allocation;

/// A scope of a test: the address of its state. Unique while any twin of the scope is kept, because the end of a
/// scope removes them.
pub(crate) type ScopeId = usize;

/// How calls of a tenant are to be taken: the word beside the data that every look-up reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(u8);

impl Mode {
    const BYPASS: u8 = 1;
    const SCOPED: u8 = 2;

    pub(crate) fn new(bypass: bool, scoped: bool) -> Self {
        let bypass = if bypass { Self::BYPASS } else { 0 };
        let scoped = if scoped { Self::SCOPED } else { 0 };
        Self(bypass | scoped)
    }

    /// As documented, on whatever thread.
    #[inline]
    pub(crate) fn is_normal(self) -> bool {
        self.0 == 0
    }

    /// As if the tenant were not there: look-ups find nothing, nothing is stored, every body runs.
    #[inline]
    pub(crate) fn is_bypass(self) -> bool {
        self.0 & Self::BYPASS != 0
    }

    /// A scope of a test lives somewhere: what is meant may be a twin.
    #[inline]
    pub(crate) fn is_scoped(self) -> bool {
        self.0 & Self::SCOPED != 0
    }
}

/// The mode of one tenant's data. A hint between threads: who changes a mode and calls the tenant itself sees
/// the change, others soon do.
#[derive(Debug)]
pub(crate) struct ModeWord(AtomicU8);

impl ModeWord {
    /// Look-ups have more to do than to find. Never changes; in the same word, because every look-up reads it.
    const THOROUGH: u8 = 4;

    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// [`new`](Self::new) of a tenant whose look-ups have more to do than to find, where `thorough`.
    pub(crate) fn new_for(thorough: bool) -> Self {
        Self(AtomicU8::new(if thorough { Self::THOROUGH } else { 0 }))
    }

    #[inline]
    pub(crate) fn get(&self) -> Mode {
        Mode(self.0.load(Ordering::Relaxed) & !Self::THOROUGH)
    }

    /// Whether a look-up has only to find: the mode is normal, and nothing else is to be done.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_brief(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes over what `wanted` says. Several may do so at once, and what is wanted may change meanwhile: each
    /// looks again after it wrote, so the last to write wrote what is wanted.
    pub(crate) fn follow(&self, wanted: impl Fn() -> Mode) {
        let mut mode = wanted();
        let constant = self.0.load(Ordering::Relaxed) & Self::THOROUGH;
        loop {
            self.0.store(mode.0 | constant, Ordering::SeqCst);
            let now = wanted();
            if now == mode {
                return;
            }
            mode = now;
        }
    }
}

/// What stands for something in scopes of tests.
#[derive(Debug)]
pub(crate) struct Twins<T>(Mutex<Option<Box<TwinList<T>>>>);

/// Boxed, because nearly always there are none.
type TwinList<T> = Vec<(ScopeId, Arc<T>)>;

impl<T> Twins<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The twin in a scope, made on first use there. `make` runs under the list's lock, so that there is one only; it
    /// must not run anything of the user's, which may come here again.
    pub(crate) fn find_or_make(&self, scope: ScopeId, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let mut twins = self.0.lock();
        let list = twins.get_or_insert_default();
        if let Some((_, twin)) = list.iter().find(|(of, _)| *of == scope) {
            return Arc::clone(twin);
        }
        let twin = make();
        list.push((scope, Arc::clone(&twin)));
        twin
    }

    /// Takes all twins out; they are the caller's to drop.
    pub(crate) fn take_all(&self) -> Vec<Arc<T>> {
        let twins = self.0.lock().take();
        twins.map_or_else(Vec::new, |twins| twins.into_iter().map(|(_, twin)| twin).collect())
    }

    /// Takes the twin of a scope out; it is the caller's to drop.
    pub(crate) fn leave(&self, scope: ScopeId) -> Option<Arc<T>> {
        let mut twins = self.0.lock();
        let list = twins.as_mut()?;
        let at = list.iter().position(|(of, _)| *of == scope)?;
        let (_, twin) = list.swap_remove(at);
        if list.is_empty() {
            *twins = None;
        }
        Some(twin)
    }
}

/// Some weights are lower bounds.
const ESTIMATED: u16 = 1;
/// The priority has changed since the tenant began.
const REPRICED: u16 = 2;
/// Its target is all that is known to be of use to it, and not all that may be.
const OPEN: u16 = 4;
/// How far above those marks the number of a namespace begins.
const NAMESPACE: u32 = 3;
/// The largest number of a namespace.
pub(crate) const NAMESPACES: u16 = u16::MAX >> NAMESPACE;

/// The bytes of the empty tenant are charged.
const COVERED: u32 = 1 << 31;

/// What a tenant publishes for everybody to read, and its part of the budget.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    /// The annotated item it belongs to, if any.
    pub(crate) descriptor: Option<&'static Descriptor>,
    /// Bits of what the user said; from 0, exclusive.
    priority: AtomicU64,
    /// Others may not reclaim below this many bytes; [`u64::MAX`] is whatever it has.
    pub(crate) floor: u64,
    /// The tenant's own bound, `u64::MAX` without one.
    ceiling: AtomicU64,
    pub(crate) reservation: Reservation,
    pub(crate) tally: Tally,
    /// [`ESTIMATED`], [`REPRICED`], and above them which of the namespaces with a share it is of, from 1; 0 for none of
    /// them. In one word, because each tenant is charged for its card.
    marks: AtomicU16,
    /// Held while the base changes.
    covering: Mutex<()>,
    /// Bytes that the tenant takes while it is empty, and [`COVERED`] where they are charged; they are not where the limit
    /// had no room for them. They grow while they are not, or with their charge.
    base: AtomicU32,
    /// Bytes that others are about to take: they count as gone for those who come next.
    claimed: Claims,
    /// Bytes that the plan gives it; [`u64::MAX`] without a plan.
    target: AtomicU64,
    /// Bits of what the next victim is worth, on the domain's scale; infinite with nothing to evict. It may
    /// lag behind by what was touched since; whoever reclaims publishes it anew.
    price: AtomicU64,
}

impl Card {
    pub(crate) fn new(terms: Terms, ledger: &Arc<Ledger>) -> Self {
        let name = terms.name.into_boxed_str();
        let base = arc::<Self>() + allocation(name.len());
        Self {
            name,
            kind: terms.kind,
            descriptor: terms.descriptor,
            priority: AtomicU64::new(terms.priority.to_bits()),
            floor: terms.floor,
            ceiling: AtomicU64::new(terms.ceiling),
            reservation: Reservation::new(Arc::clone(ledger)),
            tally: Tally::new(),
            marks: AtomicU16::new(0),
            covering: Mutex::new(()),
            base: AtomicU32::new(base as u32),
            claimed: Claims::default(),
            target: AtomicU64::new(u64::MAX),
            price: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    /// What prices are multiplied with: the priority, kept to what floats can still tell apart. Beyond, one
    /// tenant would be worth infinitely more than all, or nothing.
    #[inline]
    pub(crate) fn scale(&self) -> f64 {
        self.priority().clamp(1e-6, 1e6)
    }

    #[inline]
    pub(crate) fn priority(&self) -> f64 {
        f64::from_bits(self.priority.load(Ordering::Relaxed))
    }

    /// The tenant publishes its price anew after this.
    pub(crate) fn set_priority(&self, priority: f64) {
        self.priority.store(priority.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn ceiling(&self) -> u64 {
        self.ceiling.load(Ordering::Relaxed)
    }

    /// The tenant evicts what is above after this.
    pub(crate) fn set_ceiling(&self, bytes: u64) {
        self.ceiling.store(bytes, Ordering::Relaxed);
    }

    /// What was agreed, as it is now: a twin gets the same.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            name: self.name.to_string(),
            kind: self.kind,
            descriptor: self.descriptor,
            priority: self.priority(),
            floor: self.floor,
            ceiling: self.ceiling(),
        }
    }

    #[inline]
    pub(crate) fn price(&self) -> f64 {
        f64::from_bits(self.price.load(Ordering::Relaxed))
    }

    pub(crate) fn publish(&self, price: f64) {
        self.price.store(price.to_bits(), Ordering::Relaxed);
    }

    /// Bytes that the plan gives it; [`u64::MAX`] without a plan.
    pub(crate) fn target(&self) -> u64 {
        self.target.load(Ordering::Relaxed)
    }

    /// What is `open` may have more by its price.
    pub(crate) fn set_target(&self, bytes: u64, open: bool) {
        self.target.store(bytes, Ordering::Relaxed);
        if open {
            self.marks.fetch_or(OPEN, Ordering::Relaxed);
        } else {
            self.marks.fetch_and(!OPEN, Ordering::Relaxed);
        }
    }

    /// Its target is all that is known to be of use to it, and not all that may be.
    pub(crate) fn is_open(&self) -> bool {
        self.marks.load(Ordering::Relaxed) & OPEN != 0
    }

    /// The number of the namespace with a share that it is of, from 1; 0 without one.
    #[inline]
    pub(crate) fn namespace(&self) -> u16 {
        self.marks.load(Ordering::Relaxed) >> NAMESPACE
    }

    /// Numbers are at most [`NAMESPACES`].
    pub(crate) fn set_namespace(&self, number: u16) {
        let number = number.min(NAMESPACES) << NAMESPACE;
        let renew = |marks: u16| Some(marks & (ESTIMATED | REPRICED | OPEN) | number);
        let _ = self.marks.fetch_update(Ordering::AcqRel, Ordering::Relaxed, renew);
    }

    /// Some weights are lower bounds.
    pub(crate) fn is_estimated(&self) -> bool {
        self.marks.load(Ordering::Relaxed) & ESTIMATED != 0
    }

    pub(crate) fn set_estimated(&self, estimated: bool) {
        if estimated {
            self.marks.fetch_or(ESTIMATED, Ordering::Relaxed);
        } else {
            self.marks.fetch_and(!ESTIMATED, Ordering::Relaxed);
        }
    }

    /// The priority has changed since the tenant began.
    #[inline]
    pub(crate) fn is_repriced(&self) -> bool {
        self.marks.load(Ordering::Acquire) & REPRICED != 0
    }

    pub(crate) fn set_repriced(&self) {
        self.marks.fetch_or(REPRICED, Ordering::Release);
    }

    /// Publishes a price only if it is below the one that stands.
    pub(crate) fn publish_lower(&self, price: f64) {
        if price < self.price() {
            self.publish(price);
        }
    }

    /// Bytes that others may take.
    pub(crate) fn reclaimable(&self) -> u64 {
        self.reservation.spent().saturating_sub(self.floor.max(self.kept()))
    }

    /// Bytes that can be taken, whatever the floor.
    pub(crate) fn evictable(&self) -> u64 {
        self.reservation.held().saturating_sub(self.kept())
    }

    /// Bytes that stay whoever asks: of the empty tenant, and of what is pinned.
    fn kept(&self) -> u64 {
        self.base() + self.reservation.pinned()
    }

    /// Bytes of the empty tenant that are charged.
    #[inline]
    pub(crate) fn base(&self) -> u64 {
        let base = self.base.load(Ordering::Acquire);
        if base & COVERED != 0 { (base & !COVERED).into() } else { 0 }
    }

    /// Bytes of the empty tenant that are not charged, because there was no room for them.
    pub(crate) fn uncovered(&self) -> u64 {
        let base = self.base.load(Ordering::Acquire);
        if base & COVERED != 0 { 0 } else { base.into() }
    }

    #[inline]
    pub(crate) fn is_covered(&self) -> bool {
        self.base.load(Ordering::Acquire) & COVERED != 0
    }

    /// The empty tenant takes so many bytes more; charged with the next [`cover`](Self::cover).
    pub(crate) fn add_base(&self, bytes: u64) {
        let _covering = self.covering.lock();
        self.release_base();
        let base = self.uncovered().saturating_add(bytes).min((COVERED - 1).into());
        self.base.store(base as u32, Ordering::Release);
    }

    /// [`add_base`](Self::add_base), charged at once.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(crate) fn try_add_base(&self, bytes: u64) -> Result<(), Refused> {
        let _covering = self.covering.lock();
        if !self.is_covered() || self.base().saturating_add(bytes) >= COVERED.into() {
            // Nobody can make way for that.
            return Err(Refused::Ceiling { over: bytes });
        }
        self.reservation.try_grow(bytes, self.ceiling())?;
        self.base.fetch_add(bytes as u32, Ordering::AcqRel);
        Ok(())
    }

    /// The empty tenant takes so many bytes less: one of several that were [added](Self::add_base) is gone.
    pub(crate) fn remove_base(&self, bytes: u64) {
        let _covering = self.covering.lock();
        let (charged, uncharged) = (self.base(), self.uncovered());
        let bytes = bytes.min(charged + uncharged);
        self.base.fetch_sub(bytes as u32, Ordering::AcqRel);
        if charged > 0 {
            self.reservation.shrink(bytes);
        }
    }

    /// Bytes that others may not take: what the user said, or all there is.
    pub(crate) fn floor(&self) -> u64 {
        if self.floor == u64::MAX { self.reservation.spent() } else { self.floor }
    }

    /// Charges the bytes of the empty tenant, unless they are.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(crate) fn cover(&self) -> Result<(), Refused> {
        let _covering = self.covering.lock();
        if !self.is_covered() {
            self.reservation.try_grow(self.uncovered(), self.ceiling())?;
            self.base.fetch_or(COVERED, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Takes the bytes of the empty tenant off the books: the limit is too low even for them. Nothing is stored
    /// until they are charged again.
    pub(crate) fn uncover(&self) {
        let _covering = self.covering.lock();
        self.release_base();
    }

    /// Gives everything back: the tenant is gone, and the domain's list keeps the card for a while.
    pub(crate) fn close(&self) {
        self.publish(f64::INFINITY);
        let _covering = self.covering.lock();
        self.base.fetch_and(!COVERED, Ordering::AcqRel);
        self.reservation.close();
    }

    /// With `covering` locked.
    fn release_base(&self) {
        let base = self.base.fetch_and(!COVERED, Ordering::AcqRel);
        if base & COVERED != 0 {
            self.reservation.shrink((base & !COVERED).into());
        }
    }

    /// Claims up to `bytes` for somebody else, as far as the floor allows beside what others have claimed.
    pub(crate) fn claim(&self, bytes: u64) -> Claimed<'_> {
        let bytes = self.claimed.add(|claimed| self.reclaimable().saturating_sub(claimed).min(bytes));
        Claimed { card: self, bytes }
    }
}

/// The sum of all claims at a time: 48 bits of bytes, below 16 bits that every change counts up.
///
/// The count is there because claims are often of one size. A sum that is the same as before may stand for others, whose
/// predecessors have taken their bytes meanwhile; what was reclaimable then is not any more.
#[derive(Debug, Default)]
struct Claims(AtomicU64);

impl Claims {
    const COUNT: u64 = 1 << 48;

    /// Adds what `claim` says beside the sum so far, and returns it.
    fn add(&self, claim: impl Fn(u64) -> u64) -> u64 {
        let mut taken = 0;
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |claims| {
            let claimed = claims % Self::COUNT;
            taken = claim(claimed).min(Self::COUNT - 1 - claimed);
            (taken > 0).then_some(claims.wrapping_add(Self::COUNT) + taken)
        });
        taken
    }

    fn take(&self, bytes: u64) {
        // Counts up, too.
        self.0.fetch_add(Self::COUNT - bytes, Ordering::AcqRel);
    }
}

/// Bytes above a floor that one reclaim may take, and no other meanwhile.
#[must_use]
pub(crate) struct Claimed<'a> {
    card: &'a Card,
    pub(crate) bytes: u64,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.card.claimed.take(self.bytes);
    }
}

/// Bytes of a block that an `Arc` points to.
pub(crate) fn arc<T>() -> u64 {
    let counters = std::alloc::Layout::new::<[usize; 2]>();
    let layout = counters.extend(std::alloc::Layout::new::<T>()).map(|(layout, _)| layout.pad_to_align());
    layout.map_or(0, crate::weight::block_of)
}

/// What was agreed between a tenant and its domain.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) descriptor: Option<&'static Descriptor>,
    pub(crate) priority: f64,
    pub(crate) floor: u64,
    pub(crate) ceiling: u64,
}

/// Whose need a reclaim serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The tenant's own: its floor does not protect it from itself, and it may wait for a shard of its own.
    Own,
    /// Another tenant's, a trim's, or that of short memory: the floor holds.
    Others,
    /// The limit's, which is too low for the floors.
    Limit,
}

/// How much a tenant is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// About so many bytes.
    pub(crate) bytes: u64,
    /// Only victims up to this price, on the domain's scale, after the first: dearer ones are another
    /// tenant's turn.
    pub(crate) upto: f64,
    /// No victim raises the inflation above this: dearer ones go because something cheaper was promised to others, and what
    /// stays is worth what it was.
    pub(crate) level: f64,
    pub(crate) need: Need,
}

/// What a tenant gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    /// Bytes that left the reservation; 0 where entries only left holes in a page so far.
    pub(crate) bytes: u64,
    /// Entries or objects that left.
    pub(crate) entries: u64,
    /// Bytes that will leave the reservation when nobody reads any more what left.
    pub(crate) waiting: u64,
}

/// A cache or a pool under a budget.
///
/// Implementors never call back into the coordinator from here, take one shard's lock at a time, and drop
/// what they evict after the lock is released.
pub(crate) trait Tenant: Send + Sync {
    fn card(&self) -> &Card;

    /// Evicts about as much as is claimed of what is worth least, at least one entry if there is any. No
    /// entries mean that nothing can go now: all is busy, leased, protected or gone.
    fn reclaim(&self, claim: Claim) -> Given;

    /// Drops what is expired by `now`, a bounded amount of work; returns the bytes that left.
    fn sweep(&self, now: Nanos) -> u64;

    /// What the tenant's uses so far say of more bytes and fewer, if that is enough to go by. An epoch ends.
    fn learn(&self) -> Option<Curve> {
        None
    }

    /// Bytes that it would take to learn, where that is worth it and has not begun; else 0.
    fn wants_to_learn(&self) -> u64 {
        0
    }

    /// Begins to learn: the bytes are charged to its card.
    fn begin_to_learn(&self) {}

    /// Drops objects that wait idle in a pool; returns the bytes that left.
    fn drop_idle(&self) -> u64;

    /// Drops everything that is not leased.
    fn clear(&self);

    /// Has what waits to be written outlive the process; `false` where that was not possible in time.
    #[cfg(feature = "tiers")]
    fn flush(&self, _until: std::time::Instant) -> bool {
        true
    }

    /// The mode of the domain, or of the process, changed.
    fn follow_mode(&self);

    /// Drops the tenant's twin of this scope, if it has one, and what is stored there.
    fn leave(&self, scope: ScopeId);

    /// What each byte of the next victim saves, in nanoseconds of compute, times priority; 0 without a victim.
    fn marginal(&self) -> f64;

    /// What the card cannot know: entries, bounds, policy.
    fn stats(&self) -> TenantStats;
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_comes_and_goes_leaves_thorough_look_ups_thorough() {
        for thorough in [false, true] {
            let word = ModeWord::new_for(thorough);
            for mode in [Mode::new(true, false), Mode::new(false, true), Mode::new(false, false)] {
                word.follow(|| mode);
                assert_eq!(word.get(), mode);
                assert_eq!(word.is_brief(), !thorough && mode.is_normal(), "{mode:?}");
            }
        }
    }
}
