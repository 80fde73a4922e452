//! A load in two halves, with the body between them: [`begin`] waits until it is the caller's turn, [`end`] stores what
//! the body returned.
//!
//! So the body is in neither. Both are compiled for the types of a cache and not for each function, and the function
//! calls its body in place, without a closure around it. Tasks go through `load`, where the body is polled.

use super::load::{Load, Run, Turn};
use super::{Cache, CacheTenant, Core, Here};
use crate::flight::Working;
use crate::key::{Fallible, Miss};

/// A body that its caller is to run now. Dropped instead of [ended](end) (the body failed, or panics), it counts as a
/// failure, and lets the next of those who wait run its own.
#[doc(hidden)]
#[must_use]
#[expect(missing_debug_implementations, reason = "nobody holds one for longer than a body runs")]
pub struct Loading<'a, K, V> {
    /// Said first that nobody works here any more, then that it failed.
    working: Option<Working>,
    /// `None` where the cache is turned off: nothing is stored or counted.
    begun: Option<Begun<'a, K, V>>,
}

struct Begun<'a, K, V> {
    load: Load<&'a CacheTenant>,
    run: Run<'a, K, V>,
    core: &'a Core<K, V>,
    hash: u64,
}

impl<K, V> Core<K, V> {
    /// The value, if others compute it, or leave to compute it.
    #[inline(never)]
    pub(super) fn begin(&self, hash: u64, key: K) -> Result<V, Loading<'_, K, V>> {
        if self.is_bypassed() {
            return Err(Loading { working: None, begun: None });
        }
        let mut patience = None;
        let mut turn = self.turn(hash, key);
        loop {
            match turn {
                Turn::Found(value) => return Ok(value),
                Turn::Run(run) => {
                    let load = Load::start(&*self.tenant);
                    let working = run.working();
                    return Err(Loading { working, begun: Some(Begun { load, run, core: self, hash }) });
                }
                Turn::Wait(waiter, key) => {
                    let waited = waiter.wait(self.patience(&mut patience), self.ops.clone);
                    turn = self.after(hash, key, waited);
                }
            }
        }
    }
}

impl<K, V> Loading<'_, K, V> {
    /// Stores the value, if it may be, and hands it to whoever waits.
    #[inline(never)]
    pub(super) fn end(self, value: V) -> V {
        drop(self.working);
        match self.begun {
            Some(Begun { load, run, core, hash }) => core.finish(hash, run, value, load.succeed()),
            None => value,
        }
    }
}

/// A cache as a call sees it.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "nobody holds one for longer than a call")]
pub struct Seen<'a, K, V>(Here<'a, K, V>);

/// The cache, or what stands for it in the scope that the thread is in. For generated code.
#[doc(hidden)]
#[inline(never)]
#[must_use]
pub fn here<K, V>(cache: &Cache<K, V>) -> Seen<'_, K, V> {
    Seen(cache.here())
}

/// The first half of a load. For generated code.
///
/// # Errors
///
/// It is the caller's turn to run the body; [`end`] takes what it returns.
#[doc(hidden)]
#[inline]
pub fn begin<'a, K, V>(here: &'a Seen<'_, K, V>, miss: Miss<K>) -> Result<V, Loading<'a, K, V>> {
    here.0.begin(miss.hash, miss.key)
}

/// The second half of a load. For generated code.
#[doc(hidden)]
#[inline]
pub fn end<K, V>(loading: Loading<'_, K, V>, value: V) -> V {
    loading.end(value)
}

/// [`end`] for a body that may have failed. For generated code.
#[doc(hidden)]
pub fn try_end<R: Fallible, K>(loading: Loading<'_, K, R::Value>, returned: R) -> R {
    match returned.split() {
        Ok(value) => R::from_value(loading.end(value)),
        Err(rest) => rest,
    }
}
