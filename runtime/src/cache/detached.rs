//! Loads that an executor runs: the body lives until it is done or all of its callers are gone, whoever began it.
//!
//! The caller that begins hands the lead and the body to a task, and waits for the flight like everybody else. What
//! became of a body that brought no value lies in a slot that the two share: its error and its panic belong to the
//! caller that began, and so does the body itself when the executor drops the task unfinished. That caller polls it on
//! then, so no caller is left without a value. Which executor it is, is the domain's to know.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use super::instance::Core;
use super::load::{Load, Run, Turn};
use super::loading::{Begun, Loading, here, polled, try_end};
use super::{Cache, CacheTenant, Verdict};
use crate::domain::Task;
use crate::flight::{OwnLead, Waited, WorkingOnly};
use crate::key::{Fallible, Miss, PassedOn};
use crate::stats::Count;
use crate::sync::Mutex;

type Body<V, E> = Pin<Box<dyn Future<Output = Result<V, E>> + Send>>;

/// A domain without an executor.
const NO_EXECUTOR: &str = "a detached load needs an executor, and none is set: call \
    `larder::set_executor(|task| { tokio::spawn(task); })`, or what your executor has for that, before the first one \
    (`Domain::set_executor` in a domain of your own), or load without `detach`";

impl<K, V> Core<K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// [`try_load_async`](Self::try_load_async), with the body on the domain's executor.
    pub(crate) async fn try_load_detached<E: Send + 'static>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        body: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Result<V, E> {
        const { task::<Detached<K, V, E>>() };
        // SAFETY: the bounds say it.
        let load = unsafe { self.try_load_elsewhere(hash, key, body) };
        sent(load).await
    }
}

/// What is told to be `Send` where the types say nothing is so where they do: the compiler sees it here.
const fn sent<T: Send>(load: T) -> T {
    load
}

/// The same of what an executor gets.
const fn task<T: Future<Output = ()> + Send + 'static>() {}

impl<K, V> Core<K, V> {
    /// [`try_load_detached`](Self::try_load_detached), where the types say nothing.
    ///
    /// # Safety
    ///
    /// `K` and `V` are `Send + Sync + 'static`, `E` is `Send + 'static`.
    async unsafe fn try_load_elsewhere<E>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        body: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Result<V, E> {
        if self.is_bypassed() || !self.ops.single_flight {
            // Nobody shares it: it is over when its one caller is gone.
            return self.try_load_async(hash, key, body).await;
        }
        let Some(executor) = self.tenant.core.executor() else { panic!("{NO_EXECUTOR}") };
        let mut patience = None;
        let mut turn = self.turn(hash, key);
        loop {
            if let Turn::Run(run) = turn {
                turn = self.raise_cold_async(hash, run).await;
            }
            match turn {
                Turn::Found(value) => return Ok(value),
                Turn::Run(Run::Lead(lead)) => {
                    let slot = Arc::new(Slot(Mutex::new(None)));
                    let (lead, waiter) = lead.detach(&self.flights);
                    let mut task = Some(Detached {
                        core: Arc::clone(self),
                        hash,
                        flight: Some(lead),
                        load: None,
                        body: Some(Box::pin(body)),
                        slot: Arc::clone(&slot),
                    });
                    let mut wait = pin!(waiter.wait_async(None, self.ops.clone));
                    let waited = poll_fn(|context| {
                        let polled = wait.as_mut().poll(context);
                        let Some(task) = task.take() else { return polled };
                        let task: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(task);
                        // SAFETY: it holds keys, values, an error, and the body, all of them `Send + 'static`; the first
                        // three because the caller says so. What else is in it is ours, and is if they are.
                        let task =
                            unsafe { mem::transmute::<Pin<Box<dyn Future<Output = ()> + '_>>, Task>(task) };
                        // Only now: before the body first runs, the graph has to know who waits for it.
                        executor.spawn(task);
                        wait.as_mut().poll(context)
                    });
                    return match (waited.await, slot.take()) {
                        (Waited::Value(value), _) => Ok(value),
                        (_, Some(Left::Failed(error))) => Err(error),
                        (_, Some(Left::Panicked(panic))) => resume_unwind(panic),
                        (_, Some(Left::Body(body, Some(key)))) => self.try_load_async(hash, key, body).await,
                        (_, Some(Left::Body(body, None))) => self.run_unkept(body).await,
                        (_, None) => unreachable!("a body without a value leaves what became of it"),
                    };
                }
                Turn::Run(run @ Run::Alone { .. }) => {
                    let load = Load::start(&*self.tenant);
                    let mut loading = Loading::of((), Begun { load, run, core: self, hash });
                    let value = loading.polled(pin!(body)).await?;
                    return Ok(loading.end(value));
                }
                Turn::Wait(waiter, key) => {
                    let waited = waiter.wait_async(self.patience(&mut patience), self.ops.clone).await;
                    turn = self.after(hash, key, waited);
                }
            }
        }
    }

    /// Goes on with a body whose key was written or invalidated meanwhile: its value is the caller's alone.
    async fn run_unkept<E>(&self, body: Body<V, E>) -> Result<V, E> {
        let load = Load::start(&*self.tenant);
        let value = body.await?;
        load.succeed();
        self.tenant.card.tally.add(Count::Rejections, 1);
        Ok(value)
    }
}

/// What the caller that began finds when the flight ended without a value.
enum Left<K, V, E> {
    Failed(E),
    Panicked(Box<dyn Any + Send>),
    /// The executor dropped the task. The key is gone if somebody wrote or invalidated it.
    Body(Body<V, E>, Option<K>),
}

/// Where the task leaves it. Locked by one of the two at a time, and only for a move.
struct Slot<K, V, E>(Mutex<Option<Left<K, V, E>>>);

impl<K, V, E> Slot<K, V, E> {
    fn put(&self, left: Left<K, V, E>) {
        *self.0.lock() = Some(left);
    }

    fn take(&self) -> Option<Left<K, V, E>> {
        self.0.lock().take()
    }
}

/// The task.
struct Detached<K, V, E> {
    core: Arc<Core<K, V>>,
    hash: u64,
    /// There until the flight is over.
    flight: Option<OwnLead<K, V>>,
    /// From the first poll on.
    load: Option<Load<Arc<CacheTenant>>>,
    /// There until it is done.
    body: Option<Body<V, E>>,
    slot: Arc<Slot<K, V, E>>,
}

/// Nothing in it is pinned but the body, which has a box of its own.
impl<K, V, E> Unpin for Detached<K, V, E> {}

impl<K, V, E> Detached<K, V, E> {
    /// Polls the body, and stores its value. Panics with the body, and with what weighs the value.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (Some(lead), Some(body)) = (&mut self.flight, &mut self.body) else {
            return Poll::Ready(());
        };
        let load = self.load.get_or_insert_with(|| Load::start(Arc::clone(&self.core.tenant)));
        let polled = {
            let _working = WorkingOnly::on(lead.id());
            load.resume();
            body.as_mut().poll(context)
        };
        load.pause();
        let Poll::Ready(result) = polled else { return Poll::Pending };
        // Before others hear of it, as with a body that its caller polls: what it holds is free again.
        self.body = None;
        let load = self.load.take();
        match result {
            Ok(value) => {
                let nanos = load.map_or(0, Load::succeed);
                // A panic of the user's in here leaves the flight to `poll`.
                self.core.keep_led(self.hash, lead, &value, nanos);
                if let Some(lead) = self.flight.take() {
                    lead.land(move || value);
                }
            }
            Err(error) => {
                self.slot.put(Left::Failed(error));
                self.flight = None;
            }
        }
        Poll::Ready(())
    }
}

impl<K, V, E> Future for Detached<K, V, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(lead) = &this.flight else { return Poll::Ready(()) };
        if !lead.is_wanted(context.waker()) {
            // The body goes first: what it waits for is noted under the flight that it is.
            this.body = None;
            this.load = None;
            this.flight = None;
            return Poll::Ready(());
        }
        match catch_unwind(AssertUnwindSafe(|| this.advance(context))) {
            Ok(polled) => polled,
            Err(panic) => {
                // The panic is the caller's that began, as if the body had run there; the executor goes on. First it
                // lies in the slot, then the flight is over.
                this.slot.put(Left::Panicked(panic));
                this.body = None;
                this.load = None;
                this.flight = None;
                Poll::Ready(())
            }
        }
    }
}

impl<K, V, E> Drop for Detached<K, V, E> {
    /// The executor drops it: whoever began goes on with the body.
    fn drop(&mut self) {
        let Some(mut lead) = self.flight.take() else { return };
        let key = lead.take_key();
        if let Some(body) = self.body.take() {
            if let Some(load) = self.load.take() {
                load.move_on();
            }
            self.slot.put(Left::Body(body, key));
        }
        // `lead` goes last and wakes them.
    }
}

// For generated code.

/// A whole value, as what is stored of itself.
struct Whole<V>(V);

impl<V> Fallible for Whole<V> {
    type Value = V;
    type Rest = Infallible;

    fn split(self) -> Result<V, Self> {
        Ok(self.0)
    }

    fn from_value(value: V) -> Self {
        Self(value)
    }
}

/// Proof that what a body may return in place of a value can go to another thread. Values themselves are proved when their
/// cache is made.
#[doc(hidden)]
pub struct Returned<R>(PhantomData<fn(R)>);

impl<R> std::fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Returned")
    }
}

/// The only place that asks for it: at the type, so that a missing bound is one error.
#[doc(hidden)]
#[must_use]
pub const fn returned<R: Fallible<Rest: PassedOn>>() -> Returned<R> {
    Returned(PhantomData)
}

/// The proof of a function that returns its value as it is.
#[doc(hidden)]
#[derive(Debug)]
pub struct ReturnedWhole;

/// A proof that holds for this. Sealed: others would have to prove it.
#[doc(hidden)]
pub trait MayReturn<R>: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
    impl<R> Sealed for super::Returned<R> {}
    impl Sealed for super::ReturnedWhole {}
}

impl<R: Fallible> MayReturn<R> for Returned<R> {}
impl<R: Fallible> MayReturn<Verdict<R::Value, R>> for Returned<R> {}
impl<V> MayReturn<Verdict<V, V>> for ReturnedWhole {}
impl<V> MayReturn<Whole<V>> for ReturnedWhole {}

/// A load whose body an executor runs. A type of its own, so that what its caller's future is made of is looked into once.
#[doc(hidden)]
#[must_use = "a future does nothing until it is polled"]
#[expect(missing_debug_implementations, reason = "as of a `Loading`")]
pub struct Elsewhere<'a, R>(Pin<Box<dyn Future<Output = R> + Send + 'a>>);

impl<'a, R> Elsewhere<'a, R> {
    /// # Safety
    ///
    /// `load` is `Send`.
    unsafe fn new(load: impl Future<Output = R> + 'a) -> Self {
        type Bare<'a, R> = Pin<Box<dyn Future<Output = R> + 'a>>;
        type Sent<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;
        let load: Bare<'a, R> = Box::pin(load);
        // SAFETY: this only adds `Send` to the trait object's type, and the caller says that it is so.
        Self(unsafe { mem::transmute::<Bare<'a, R>, Sent<'a, R>>(load) })
    }
}

impl<R> Future for Elsewhere<'_, R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        self.0.as_mut().poll(context)
    }
}

/// Computes a missing value with a body that an executor runs.
#[doc(hidden)]
pub fn load_detached<'a, K, V, F>(cache: &'a Cache<K, V>, miss: Miss<K>, body: F) -> Elsewhere<'a, V>
where
    F: Future<Output = V> + Send + 'static,
{
    let load = try_load_detached(cache, miss, async { Whole(body.await) }, ReturnedWhole);
    // SAFETY: all that it holds is `load`, which is.
    unsafe { Elsewhere::new(async { load.await.0 }) }
}

/// [`load_detached`] for a body that may fail.
#[doc(hidden)]
pub fn try_load_detached<'a, R, K, F, P>(
    cache: &'a Cache<K, R::Value>,
    miss: Miss<K>,
    body: F,
    _: P,
) -> Elsewhere<'a, R>
where
    R: Fallible + 'a,
    F: Future<Output = R> + Send + 'static,
    P: MayReturn<R>,
{
    let split = async { body.await.split() };
    let load = async move {
        let core = cache.shared();
        // SAFETY: there is no way to a `Cache` but through proofs, or bounds, that key and value are `Send + Sync + 'static`,
        // and `P` is the proof that what else is returned is `Send + 'static`.
        match unsafe { core.try_load_elsewhere(miss.hash, miss.key, split) }.await {
            Ok(value) => R::from_value(value),
            Err(rest) => rest,
        }
    };
    // SAFETY: it holds key, value, rest and body, which are `Send` as above, and ours, which is if they are.
    unsafe { Elsewhere::new(load) }
}

/// [`load_detached`]; a forced call, for which nobody waits, runs its body in its own future.
#[doc(hidden)]
pub fn load_detached_or_refresh<'a, K, V, F>(
    cache: &'a Cache<K, V>,
    miss: Miss<K>,
    body: F,
) -> Elsewhere<'a, V>
where
    F: Future<Output = V> + Send + 'static,
{
    let load = try_load_detached_or_refresh(cache, miss, async { Whole(body.await) }, ReturnedWhole);
    // SAFETY: all that it holds is `load`, which is.
    unsafe { Elsewhere::new(async { load.await.0 }) }
}

/// [`load_detached_or_refresh`] for a body that may fail.
#[doc(hidden)]
pub fn try_load_detached_or_refresh<'a, R, K, F, P>(
    cache: &'a Cache<K, R::Value>,
    miss: Miss<K>,
    body: F,
    proof: P,
) -> Elsewhere<'a, R>
where
    R: Fallible + 'a,
    F: Future<Output = R> + Send + 'static,
    P: MayReturn<R>,
{
    if !miss.forced {
        return try_load_detached(cache, miss, body, proof);
    }
    let load = async move {
        let here = here(cache);
        let mut loading = here.core().begin_refresh(miss.hash, miss.key);
        let returned = polled(&mut loading, pin!(body)).await;
        try_end(loading, returned)
    };
    // SAFETY: it holds key, value, rest and body, which are `Send` as in `try_load_detached`, and ours, which is if they are.
    unsafe { Elsewhere::new(load) }
}
