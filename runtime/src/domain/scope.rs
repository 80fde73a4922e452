//! Scopes for tests: while a thread is in one, every cache and pool it calls is a twin of the real one.
//!
//! A scope has a twin of each domain that is used in it: the same limit and rules, books of its own, nobody
//! else's tenants. Twins of caches and pools are made on first use, live under the domain's twin, and go when
//! the scope does. They are kept by the tenants themselves, because only those know their types.
//!
//! Not a mock: a twin is a whole cache with the options of the real one. Nothing is undone at the end of a
//! scope, because nothing real was touched.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::DomainCore;
use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::tenant::{ScopeId, Tenant};
use crate::time::Clock;

/// Sets this thread apart: until the result is dropped, every cache and pool it calls is empty at first, works as
/// it always does, and is seen by nobody else.
///
/// What a function computed before is not found, what is computed in the scope is not left behind, and tests
/// that run at the same time do not see each other. That holds for annotated functions, for caches and pools made
/// at run time, in whichever domain, and for what is asked of a [`Domain`](crate::Domain) or of the process:
/// `stats`, `budget`, `tick`, `trim`, `clear_all`, `set_bypass`. Options and limits are those of the real ones at
/// that moment; a background thread there is none, so [`tick`](crate::tick) does its work.
///
/// Threads and tasks that the test starts are outside, until they [`enter`](Scope::enter) the same scope.
///
/// # Cost
///
/// While no scope lives: nothing. While one does, anywhere in the process, a call outside it looks at a
/// thread-local beside. Beginning and ending a scope visits every cache and pool once.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Domain, testing};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let cache: Cache<u64, u64> = Cache::builder("squares").build_in(&domain)?;
/// cache.insert(3, 9);
/// {
///     let _scope = testing::isolated();
///     assert_eq!(cache.get(3), None);
///     cache.insert(4, 16);
/// }
/// assert_eq!((cache.get(3), cache.get(4)), (Some(9), None));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[must_use = "the scope ends when this is dropped"]
pub fn isolated() -> Entered {
    Scope::begin(None, false).enter()
}

/// [`isolated`], with a clock for the scope: every cache in it expires by this one, whatever its domain's is.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use larder_runtime::{Cache, Domain, testing};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let cache: Cache<u64, u64> =
///     Cache::builder("short-lived").ttl(Duration::from_secs(60)).build_in(&domain)?;
///
/// let clock = testing::ManualClock::new();
/// let _scope = testing::isolated_at(clock.clone());
/// cache.insert(1, 1);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(cache.get(1), None);
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[must_use = "the scope ends when this is dropped"]
pub fn isolated_at(clock: impl Into<Clock>) -> Entered {
    Scope::begin(Some(clock.into()), false).enter()
}

/// Turns every cache and pool off for this thread, until the result is dropped: look-ups find nothing, nothing is
/// stored or removed, every body runs, every pooled object is a new one.
///
/// For one domain and all threads there is [`Domain::set_bypass`](crate::Domain::set_bypass). Everything else is
/// as in an [`isolated`] scope.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Domain, testing};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let cache: Cache<u64, u64> = Cache::builder("squares").build_in(&domain)?;
/// let scope = testing::bypassed();
/// assert_eq!(cache.get_or_insert_with(3, || 9), 9);
/// assert_eq!(cache.get_or_insert_with(3, || 10), 10);
/// drop(scope);
/// assert_eq!(cache.get(3), None);
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[must_use = "the scope ends when this is dropped"]
pub fn bypassed() -> Entered {
    Scope::begin(None, true).enter()
}

/// A scope that other threads and tasks may enter, too. It ends, and what is stored in it goes, when its last
/// handle is dropped and the last thread has left.
#[derive(Clone)]
pub struct Scope {
    state: Arc<State>,
}

pub(crate) struct State {
    clock: Option<Clock>,
    bypass: bool,
    /// Each domain that was used here, and its twin. The weak handle keeps the address from being used again.
    domains: Mutex<Vec<(Weak<DomainCore>, Arc<DomainCore>)>>,
}

impl Scope {
    fn begin(clock: Option<Clock>, bypass: bool) -> Self {
        with_live(|live| live.scopes.fetch_add(1, Ordering::SeqCst));
        let state = Arc::new(State { clock, bypass, domains: Mutex::new(Vec::new()) });
        // Also when another scope lives: the one that began it may still be at this.
        follow_modes();
        Self { state }
    }

    /// Puts this thread into the scope, until the result is dropped. Scopes nest: the one that was entered last is
    /// the one that counts.
    #[must_use = "the thread leaves the scope when this is dropped"]
    pub fn enter(&self) -> Entered {
        with_entered(|entered| entered.push(Arc::clone(&self.state)));
        Entered { scope: self.clone(), _thread: PhantomData }
    }

    /// The same future, in this scope: the thread that polls or drops it is in the scope meanwhile.
    ///
    /// A task that was spawned on an executor belongs to no thread; wrapped in this it takes the scope along.
    pub fn around<F: Future>(&self, future: F) -> Around<F> {
        Around { scope: self.clone(), future: Some(Box::pin(future)) }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("bypass", &self.state.bypass).finish_non_exhaustive()
    }
}

/// Nothing of a scope is left half done by a panic: twins are caches.
impl UnwindSafe for Scope {}
impl RefUnwindSafe for Scope {}

/// A thread's stay in a [`Scope`]; dropping it, also by a panic, ends the stay. It stays on its thread.
#[derive(Debug)]
pub struct Entered {
    scope: Scope,
    _thread: PhantomData<*const ()>,
}

impl Entered {
    /// The scope, for other threads and tasks of the test.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::testing;
    ///
    /// let entered = testing::isolated();
    /// let scope = entered.scope().clone();
    /// std::thread::spawn(move || {
    ///     let _entered = scope.enter();
    ///     // Sees what the test stored.
    /// })
    /// .join()
    /// .unwrap();
    /// ```
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let state = &self.scope.state;
        // The handle is dropped after the list is released: it may be the last.
        let _left = with_entered(|entered| {
            let at = entered.iter().rposition(|other| Arc::ptr_eq(other, state));
            at.map(|at| entered.remove(at))
        });
    }
}

/// A future that is polled inside a [`Scope`]; made by [`Scope::around`].
#[must_use = "futures do nothing unless polled"]
pub struct Around<F> {
    scope: Scope,
    /// There until it is dropped; boxed so that polling it needs no unsafe code.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Around<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.scope.enter();
        let future = self.future.as_mut().expect("it is taken out when dropped only");
        future.as_mut().poll(context)
    }
}

impl<F> Drop for Around<F> {
    fn drop(&mut self) {
        let _entered = self.scope.enter();
        drop(self.future.take());
    }
}

impl<F> fmt::Debug for Around<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn id(&self) -> ScopeId {
        std::ptr::from_ref(self).addr()
    }

    /// What stands for this domain in the scope.
    pub(crate) fn twin_of(&self, core: &Arc<DomainCore>) -> Arc<DomainCore> {
        let mut domains = self.domains.lock();
        let twin = domains.iter().find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(core)));
        if let Some((_, twin)) = twin {
            return Arc::clone(twin);
        }
        let clock = self.clock.clone().unwrap_or_else(|| core.clock.clone());
        let twin = core.relief().twin(core, clock);
        twin.bypass.store(self.bypass, Ordering::SeqCst);
        domains.push((Arc::downgrade(core), Arc::clone(&twin)));
        twin
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let last = with_live(|live| live.scopes.fetch_sub(1, Ordering::SeqCst)) == 1;
        if last {
            follow_modes();
        }
        // Values that were stored here are dropped in this, with no lock held.
        let id = self.id();
        for tenant in tenants() {
            tenant.leave(id);
        }
    }
}

/// The scope that the current thread is in; none on a thread whose thread-locals are gone.
pub(crate) fn current() -> Option<Arc<State>> {
    with_entered(|entered| entered.last().cloned()).flatten()
}

/// Whether any scope lives, on whatever thread.
pub(super) fn any() -> bool {
    with_live(|live| live.scopes.load(Ordering::SeqCst)) > 0
}

/// A domain came: its tenants hear of scopes.
pub(super) fn register(core: &Arc<DomainCore>) {
    with_live(|live| {
        let mut domains = live.domains.lock();
        domains.retain(|domain| domain.strong_count() > 0);
        domains.push(Arc::downgrade(core));
    });
}

fn tenants() -> Vec<Arc<dyn Tenant>> {
    let domains = with_live(|live| live.domains.lock().clone());
    domains.iter().filter_map(Weak::upgrade).flat_map(|domain| domain.live()).collect()
}

fn follow_modes() {
    for tenant in tenants() {
        tenant.follow_mode();
    }
}

/// What scopes know of the process.
#[derive(Default)]
struct Live {
    scopes: AtomicUsize,
    /// All domains but twins, dead ones until somebody looks.
    domains: Mutex<Vec<Weak<DomainCore>>>,
}

#[cfg(not(larder_shuttle))]
fn with_live<R>(visit: impl FnOnce(&Live) -> R) -> R {
    static LIVE: Live = Live { scopes: AtomicUsize::new(0), domains: Mutex::new(Vec::new()) };
    visit(&LIVE)
}

/// Under the models each execution needs its own.
#[cfg(larder_shuttle)]
fn with_live<R>(visit: impl FnOnce(&Live) -> R) -> R {
    shuttle::lazy_static! {
        static ref LIVE: Live = Live::default();
    }
    visit(&LIVE)
}

#[cfg(not(larder_shuttle))]
thread_local! {
    static ENTERED: RefCell<Vec<Arc<State>>> = const { RefCell::new(Vec::new()) };
}
#[cfg(larder_shuttle)]
shuttle::thread_local! {
    static ENTERED: RefCell<Vec<Arc<State>>> = RefCell::new(Vec::new());
}

/// The scopes that the current thread is in, the innermost last; nothing is done where thread-locals are gone.
fn with_entered<R>(visit: impl FnOnce(&mut Vec<Arc<State>>) -> R) -> Option<R> {
    ENTERED.try_with(|entered| visit(&mut entered.borrow_mut())).ok()
}
