//! Between the threads that use a tenant and what is learned from them: one lock, which no hit waits for.
//!
//! A hit looks at one word of its cache, [`OFF`] or the [start](Followed) of the hashes that are followed. If its
//! hash is one of them, it leaves a note in its thread's own memory; the notes come here many at a time, and are lost if
//! somebody else is here. Lost notes make a curve a little flatter, and nothing wrong. Misses come one by one, and are lost
//! likewise; only who stores or removes waits.

use super::{Curve, Followed, Reuse};
use crate::sync::{Mutex, MutexGuard, fork};

/// No hash is followed; but for the last few of all, which nobody hears of.
pub(crate) const OFF: u32 = u32::MAX;

/// What one tenant learns; nothing until it is started.
#[derive(Debug, Default)]
pub(crate) struct Sampling(Mutex<Option<Box<Reuse>>>);

impl Sampling {
    /// In the child of a fork it may stay locked for ever: there nobody waits.
    fn lock(&self) -> Option<MutexGuard<'_, Option<Box<Reuse>>>> {
        if fork::forked() { self.0.try_lock() } else { Some(self.0.lock()) }
    }

    /// Starts to learn, if it did not yet, of a tenant that has had so many look-ups.
    pub(crate) fn start(&self, idle: u32, lookups: u64) {
        if let Some(mut state) = self.lock() {
            state.get_or_insert_with(|| Box::new(Reuse::new(idle, lookups)));
        }
    }

    /// What was learned, as bytes; `None` where that is not enough to go by.
    #[cfg(feature = "tiers")]
    pub(crate) fn record(&self) -> Option<Vec<u8>> {
        self.lock()?.as_ref()?.record()
    }

    /// Goes on from such bytes; `false` where they are none.
    #[cfg(feature = "tiers")]
    pub(crate) fn resume(&self, bytes: &[u8]) -> bool {
        self.lock().is_some_and(|mut state| state.as_mut().is_some_and(|reuse| reuse.resume(bytes)))
    }

    /// Forgets everything, and gives its memory back; `false` if there was nothing.
    pub(crate) fn stop(&self) -> bool {
        let learned = self.lock().and_then(|mut state| state.take());
        learned.is_some()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lock().is_some_and(|state| state.is_some())
    }

    /// Lets `learn` note something. Returns who is followed after that.
    pub(crate) fn note(&self, learn: &mut dyn FnMut(&mut Reuse)) -> Option<Followed> {
        self.lock().map(|state| Self::with(state, learn))
    }

    /// [`note`](Self::note), if nobody else is at it.
    pub(crate) fn try_note(&self, learn: &mut dyn FnMut(&mut Reuse)) -> Option<Followed> {
        self.0.try_lock().map(|state| Self::with(state, learn))
    }

    fn with(mut state: MutexGuard<'_, Option<Box<Reuse>>>, learn: &mut dyn FnMut(&mut Reuse)) -> Followed {
        match &mut *state {
            Some(reuse) => {
                learn(reuse);
                reuse.followed()
            }
            None => Followed::NOBODY,
        }
    }

    /// What was learned so far, if that is enough to go by.
    pub(crate) fn curve(&self) -> Option<Curve> {
        self.lock()?.as_ref()?.curve()
    }
}
