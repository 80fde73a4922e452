//! Loads that an executor runs: the body lives until it is done or all of its callers are gone, whoever began it.
//!
//! The caller that begins hands the lead and the body to a task, and waits for the flight like everybody else. What
//! became of a body that brought no value lies in a slot that the two share: its error and its panic belong to the
//! caller that began, and so does the body itself when the executor drops the task unfinished. That caller polls it on
//! then, so no caller is left without a value. Which executor it is, is the domain's to know.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use super::instance::Core;
use super::load::{Load, Run, Turn};
use super::loading::{Begun, Loading, here, polled, try_end};
use super::{Cache, CacheTenant};
use crate::flight::{OwnLead, Waited, WorkingOnly};
use crate::key::{Fallible, Miss};
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
                        // Only now: before the body first runs, the graph has to know who waits for it.
                        executor.spawn(Box::pin(task));
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

/// A whole value, as what is stored of itself.
struct Whole<V>(V);

impl<V> Fallible for Whole<V> {
    type Value = V;

    fn split(self) -> Result<V, Self> {
        Ok(self.0)
    }

    fn from_value(value: V) -> Self {
        Self(value)
    }
}

// For generated code.

/// Computes a missing value with a body that an executor runs.
#[doc(hidden)]
pub async fn load_detached<K, V, F>(cache: &Cache<K, V>, miss: Miss<K>, body: F) -> V
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    try_load_detached(cache, miss, async { Whole(body.await) }).await.0
}

/// [`load_detached`] for a body that may fail.
#[doc(hidden)]
pub async fn try_load_detached<R, K, F>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: F) -> R
where
    R: Fallible + Send + 'static,
    K: Send + Sync + 'static,
    R::Value: Send + Sync + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let split = async { body.await.split() };
    match cache.shared().try_load_detached(miss.hash, miss.key, split).await {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}

/// [`load_detached`]; a forced call, for which nobody waits, runs its body in its own future.
#[doc(hidden)]
pub async fn load_detached_or_refresh<K, V, F>(cache: &Cache<K, V>, miss: Miss<K>, body: F) -> V
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    try_load_detached_or_refresh(cache, miss, async { Whole(body.await) }).await.0
}

/// [`load_detached_or_refresh`] for a body that may fail.
#[doc(hidden)]
pub async fn try_load_detached_or_refresh<R, K, F>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: F) -> R
where
    R: Fallible + Send + 'static,
    K: Send + Sync + 'static,
    R::Value: Send + Sync + 'static,
    F: Future<Output = R> + Send + 'static,
{
    if !miss.forced {
        return try_load_detached(cache, miss, body).await;
    }
    let here = here(cache);
    let mut loading = here.core().begin_refresh(miss.hash, miss.key);
    let returned = polled(&mut loading, pin!(body)).await;
    try_end(loading, returned)
}
