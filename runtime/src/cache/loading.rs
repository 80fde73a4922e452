//! A load in two halves, with the body between them: [`begin`] waits until it is the caller's turn, [`end`] stores what
//! the body returned.
//!
//! So the body is in neither. Both are compiled for the types of a cache and not for each function; so is what calls them
//! ([`load`]), which has the body as a `dyn`. A task polls its body between them ([`polled`]), which is all that is
//! compiled for each body. Bodies that an executor runs are in `detached`.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::load::{Load, Run, Turn};
use super::tiers::Raise;
use super::{Cache, CacheTenant, Core, Here};
use crate::flight::{Patience, Waiting, Working};
use crate::key::{Fallible, Miss};

/// A body that its caller is to run now. Dropped instead of [ended](end) (the body failed, or panics), it counts as a
/// failure, and lets the next of those who wait run its own.
#[doc(hidden)]
#[must_use]
#[expect(missing_debug_implementations, reason = "nobody holds one for longer than a body runs")]
pub struct Loading<'a, K, V, W> {
    /// Says of a thread that it works here, which a task does at each poll; gone first.
    working: W,
    /// `None` where the cache is turned off: nothing is stored or counted.
    begun: Option<Begun<'a, K, V>>,
}

/// Of a load whose caller stays on its thread: says that it works there. Nobody does where the caller computes alone.
#[doc(hidden)]
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "as of a `Loading`")]
pub struct OnThread {
    _working: Option<Working>,
}

/// A load that began, and is stored and counted when it ends. Said first that it failed, then that nobody leads.
pub(super) struct Begun<'a, K, V> {
    pub(super) load: Load<&'a CacheTenant>,
    pub(super) run: Run<'a, K, V>,
    pub(super) core: &'a Core<K, V>,
    pub(super) hash: u64,
}

impl<K, V> Core<K, V> {
    /// The value, if others compute it, or leave to compute it.
    #[inline(never)]
    pub(super) fn begin(&self, hash: u64, key: K) -> Result<V, Loading<'_, K, V, OnThread>> {
        if self.is_bypassed() {
            return Err(Loading::unkept());
        }
        let mut patience = None;
        let mut turn = self.turn(hash, key);
        loop {
            match turn {
                Turn::Found(value) => return Ok(value),
                Turn::Run(run) => {
                    let run = match self.raise_cold(hash, run) {
                        Turn::Run(run) => run,
                        found => {
                            turn = found;
                            continue;
                        }
                    };
                    let load = Load::start(&*self.tenant);
                    let mut loading = Loading::of(
                        OnThread { _working: run.working() },
                        Begun { load, run, core: self, hash },
                    );
                    loading.resume();
                    return Err(loading);
                }
                Turn::Wait(waiter, key) => {
                    let waited = waiter.wait(self.patience(&mut patience), self.ops.clone);
                    turn = self.after(hash, key, waited);
                }
            }
        }
    }

    /// [`begin`](Self::begin) for a task, which waits without blocking its thread.
    pub(super) fn begin_async(&self, hash: u64, key: K) -> Begin<'_, K, V> {
        Begin { core: self, hash, patience: None, stage: Stage::Start(key) }
    }

    /// It is a task's turn, and nothing is below.
    fn begun<'a>(&'a self, hash: u64, run: Run<'a, K, V>) -> Loading<'a, K, V, ()> {
        Loading::of((), Begun { load: Load::start(&*self.tenant), run, core: self, hash })
    }
}

/// The first half of a task's load. A type of its own and no `async` block: what a function keeps of it while it waits is the
/// same type for all that have these keys and values, and nothing in it has to be looked into once more for each.
///
/// # Cancel safety
///
/// Dropping it takes its caller out of the flight that it waits for.
#[doc(hidden)]
#[must_use = "a future does nothing until it is polled"]
#[expect(missing_debug_implementations, reason = "as of a `Loading`")]
pub struct Begin<'a, K, V> {
    core: &'a Core<K, V>,
    hash: u64,
    patience: Option<Patience<'a>>,
    stage: Stage<'a, K, V>,
}

enum Stage<'a, K, V> {
    /// Nobody was asked yet.
    Start(K),
    /// Nobody is asked.
    Force(K),
    /// Others compute it. The waiter goes first.
    Waiting(Waiting<'a, V>, K),
    /// A tier below is asked.
    Raising(Raise<'a, K, V>),
    /// It is over.
    Over,
}

/// Nothing in it is pinned.
impl<K, V> Unpin for Begin<'_, K, V> {}

impl<'a, K, V> Future for Begin<'a, K, V> {
    type Output = Result<V, Loading<'a, K, V, ()>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (core, hash) = (this.core, this.hash);
        let mut turn = match mem::replace(&mut this.stage, Stage::Over) {
            Stage::Start(_) if core.is_bypassed() => return Poll::Ready(Err(Loading::unkept())),
            Stage::Start(key) => core.turn(hash, key),
            Stage::Force(key) => return Poll::Ready(Err(core.begin_refresh(hash, key))),
            Stage::Waiting(waiting, key) => match this.wait(waiting, key, context) {
                Some(turn) => turn,
                None => return Poll::Pending,
            },
            Stage::Raising(raise) => match this.raise(raise, context) {
                Some(Turn::Run(run)) => return Poll::Ready(Err(core.begun(hash, run))),
                Some(turn) => turn,
                None => return Poll::Pending,
            },
            Stage::Over => unreachable!("what is over is not polled"),
        };
        loop {
            match turn {
                Turn::Found(value) => return Poll::Ready(Ok(value)),
                Turn::Run(run) => match this.raise(core.raise_cold_async(hash, run), context) {
                    Some(Turn::Run(run)) => return Poll::Ready(Err(core.begun(hash, run))),
                    Some(next) => turn = next,
                    None => return Poll::Pending,
                },
                Turn::Wait(waiter, key) => {
                    let waiting = waiter.waiting(core.patience(&mut this.patience));
                    match this.wait(waiting, key, context) {
                        Some(next) => turn = next,
                        None => return Poll::Pending,
                    }
                }
            }
        }
    }
}

impl<'a, K, V> Begin<'a, K, V> {
    /// The same, but what is stored is not looked at.
    pub(super) fn forced(self) -> Self {
        let stage = match self.stage {
            Stage::Start(key) => Stage::Force(key),
            later => later,
        };
        Self { stage, ..self }
    }

    /// Whose turn it is after a look below; `None` while that goes on.
    fn raise(&mut self, mut raise: Raise<'a, K, V>, context: &mut Context<'_>) -> Option<Turn<'a, K, V>> {
        match Pin::new(&mut raise).poll(context) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => {
                self.stage = Stage::Raising(raise);
                None
            }
        }
    }

    /// Whose turn it is after a wait; `None` while that goes on.
    fn wait(&mut self, mut waiting: Waiting<'a, V>, key: K, context: &Context<'_>) -> Option<Turn<'a, K, V>> {
        match waiting.poll(context, &self.core.ops.clone) {
            Poll::Ready(waited) => {
                drop(waiting);
                Some(self.core.after(self.hash, key, waited))
            }
            Poll::Pending => {
                self.stage = Stage::Waiting(waiting, key);
                None
            }
        }
    }
}

impl<'a, K, V, W> Loading<'a, K, V, W> {
    pub(super) fn of(working: W, begun: Begun<'a, K, V>) -> Self {
        Self { working, begun: Some(begun) }
    }

    /// Of a cache that is turned off.
    pub(super) fn unkept() -> Self
    where
        W: Default,
    {
        Self { working: W::default(), begun: None }
    }

    /// The body runs from here on, on this thread.
    pub(super) fn resume(&mut self) {
        if let Some(begun) = &mut self.begun {
            begun.load.resume();
        }
    }

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

impl<'a, K, V> Loading<'a, K, V, ()> {
    /// The body, as this load's.
    pub(super) fn polled<'b, F>(&'b mut self, body: Pin<&'b mut F>) -> Polled<'b, 'a, K, V, F> {
        Polled { loading: self, body }
    }
}

/// The body of a task, which is polled in the caller's own future: nothing else has to.
#[doc(hidden)]
#[must_use]
#[expect(missing_debug_implementations, reason = "as of a `Loading`")]
pub struct Polled<'b, 'a, K, V, F> {
    loading: &'b mut Loading<'a, K, V, ()>,
    body: Pin<&'b mut F>,
}

impl<K, V, F: Future> Future for Polled<'_, '_, K, V, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { loading, body } = &mut *self;
        let Some(begun) = &mut loading.begun else { return body.as_mut().poll(context) };
        let _working = begun.run.working();
        begun.load.resume();
        let polled = body.as_mut().poll(context);
        begun.load.pause();
        polled
    }
}

/// A cache as a call sees it.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "nobody holds one for longer than a call")]
pub struct Seen<'a, K, V>(Here<'a, K, V>);

impl<K, V> Seen<'_, K, V> {
    pub(super) fn core(&self) -> &Core<K, V> {
        &self.0
    }
}

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
pub fn begin<'a, K, V>(here: &'a Seen<'_, K, V>, miss: Miss<K>) -> Result<V, Loading<'a, K, V, OnThread>> {
    here.0.begin(miss.hash, miss.key)
}

/// A whole load of a function: its body as a pointer, and what it is called with. For generated code; it is compiled for the
/// types of these, and not for each function.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn load_with<K, V, A>(cache: &Cache<K, V>, miss: Miss<K>, arguments: A, body: fn(A) -> V) -> V {
    let here = cache.here();
    match here.begin(miss.hash, miss.key) {
        Ok(value) => value,
        Err(loading) => loading.end(body(arguments)),
    }
}

/// [`load_with`] for a body that may fail. For generated code.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn try_load_with<R: Fallible, K, A>(
    cache: &Cache<K, R::Value>,
    miss: Miss<K>,
    arguments: A,
    body: fn(A) -> R,
) -> R {
    let here = cache.here();
    match here.begin(miss.hash, miss.key) {
        Ok(value) => R::from_value(value),
        Err(loading) => try_end(loading, body(arguments)),
    }
}

/// A whole load, of a body that is no function. For generated code; what depends on the body is only the call of it.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn load<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl FnOnce() -> V) -> V {
    load_by(cache, miss, &mut Some(body))
}

/// [`load`] for a body that may fail. For generated code.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn try_load<R: Fallible, K>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: impl FnOnce() -> R) -> R {
    try_load_by(cache, miss, &mut Some(body))
}

/// A body that runs once, behind a pointer; with nothing else in its table, as an `FnMut` would have.
trait Body<R> {
    fn run(&mut self) -> R;
}

impl<R, F: FnOnce() -> R> Body<R> for Option<F> {
    fn run(&mut self) -> R {
        match self.take() {
            Some(body) => body(),
            None => ran_twice(),
        }
    }
}

#[cold]
fn ran_twice() -> ! {
    unreachable!("a load runs its body once")
}

#[inline(never)]
fn load_by<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: &mut dyn Body<V>) -> V {
    let here = cache.here();
    match here.begin(miss.hash, miss.key) {
        Ok(value) => value,
        Err(loading) => loading.end(body.run()),
    }
}

#[inline(never)]
fn try_load_by<R: Fallible, K>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: &mut dyn Body<R>) -> R {
    let here = cache.here();
    match here.begin(miss.hash, miss.key) {
        Ok(value) => R::from_value(value),
        Err(loading) => try_end(loading, body.run()),
    }
}

/// The first half of a task's load. For generated code.
///
/// # Errors
///
/// It is the caller's turn to [poll](polled) the body; [`end`] takes what it returns.
#[doc(hidden)]
pub fn begin_async<'a, K, V>(here: &'a Seen<'_, K, V>, miss: Miss<K>) -> Begin<'a, K, V> {
    here.0.begin_async(miss.hash, miss.key)
}

/// What a task does between the halves. For generated code.
#[doc(hidden)]
#[inline]
pub fn polled<'b, 'a, K, V, F: Future>(
    loading: &'b mut Loading<'a, K, V, ()>,
    body: Pin<&'b mut F>,
) -> Polled<'b, 'a, K, V, F> {
    loading.polled(body)
}

/// The second half of a load. For generated code.
#[doc(hidden)]
#[inline]
pub fn end<K, V, W>(loading: Loading<'_, K, V, W>, value: V) -> V {
    loading.end(value)
}

/// [`end`] for a body that may have failed. For generated code.
#[doc(hidden)]
pub fn try_end<R: Fallible, K, W>(loading: Loading<'_, K, R::Value, W>, returned: R) -> R {
    match returned.split() {
        Ok(value) => R::from_value(loading.end(value)),
        Err(rest) => rest,
    }
}
