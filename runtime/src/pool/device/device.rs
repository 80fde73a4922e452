//! One device: its driver, its domain, the pools on it, and what is done when its memory is short.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::backend::{DeviceBackend, DeviceInfo, DeviceMemory, Fault};
use super::core::PoolCore;
use super::error::DeviceError;
use super::state::Side;
use super::stats::Why;
use crate::domain::{Domain, DomainCore};
use crate::pressure::{MemorySample, PressureSource};
use crate::sync::{AtomicU64, Mutex, Ordering, fork};
use crate::unwind;

/// Hears that the driver has no memory: how many bytes are wanted.
type OnOutOfMemory = Arc<dyn Fn(u64) + Send + Sync>;

thread_local! {
    /// This thread runs callbacks: what they ask for themselves calls none.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// So many fences are waited for at once.
const FENCES: usize = 64;

pub(super) struct DeviceCore<B: DeviceBackend> {
    pub(super) name: String,
    pub(super) backend: B,
    pub(super) info: DeviceInfo,
    pub(super) ordered: bool,
    /// New buffers are full of zeroes.
    pub(super) zeroed: bool,
    pub(super) domain: Arc<DomainCore>,
    /// Whose memory the device uses where it has none of its own.
    pub(super) host: Arc<DomainCore>,
    /// How long a request waits for the device.
    pub(super) patience: Duration,
    pools: Mutex<Vec<Weak<PoolCore<B>>>>,
    /// Why the device is gone.
    lost: OnceLock<String>,
    callbacks: Mutex<Vec<OnOutOfMemory>>,
    turns: AtomicU64,
    /// The process that opened it.
    process: u32,
}

impl<B: DeviceBackend> DeviceCore<B> {
    pub(super) fn adopt(&self, pool: &Arc<PoolCore<B>>) {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Handles, because what is dropped with the last of them must not be dropped under the lock.
    pub(super) fn live(&self) -> Vec<Arc<PoolCore<B>>> {
        self.pools.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Whether this process is a child of the one that opened it: the driver must not be called, and a lock may be
    /// somebody's who is not there.
    pub(super) fn is_inherited(&self) -> bool {
        fork::forked() && self.process != std::process::id()
    }

    pub(super) fn check(&self) -> Result<(), DeviceError> {
        let why = if self.is_inherited() { Some("it was opened before a fork") } else { self.lost() };
        match why {
            Some(why) => Err(DeviceError::Lost { device: self.name.clone(), why: why.to_owned() }),
            None => Ok(()),
        }
    }

    /// What a failure means: of a lost device all is given up at once.
    pub(super) fn failed(&self, call: &'static str, fault: Fault) -> DeviceError {
        let device = self.name.clone();
        match fault {
            Fault::Lost(why) => {
                if self.lost.set(why.clone()).is_ok() {
                    unwind::each_to_the_end(self.live(), |pool| pool.abandon());
                }
                DeviceError::Lost { device, why }
            }
            fault => DeviceError::Failed { device, call, fault },
        }
    }

    /// Finds out what is done, in all pools.
    pub(super) fn settle_all(&self) {
        self.backend.poll();
        self.live().iter().for_each(|pool| pool.settle(None));
    }

    /// Waits until some work is done that keeps a buffer of any pool, or of one; `false` when there is none, or it was not done
    /// in time.
    pub(super) fn wait(&self, only: Option<&PoolCore<B>>, patience: &mut Patience) -> bool {
        let mut fences: Vec<(u64, Arc<B::Fence>)> = match only {
            Some(pool) => pool.state.lock().fences().collect(),
            None => {
                self.live().iter().flat_map(|pool| pool.state.lock().fences().collect::<Vec<_>>()).collect()
            }
        };
        fences.sort_by_key(|(turn, _)| *turn);
        fences.truncate(FENCES);
        let fences: Vec<_> = fences.into_iter().map(|(_, fence)| fence).collect();
        let left = patience.left();
        if fences.is_empty() || left.is_zero() {
            return false;
        }
        match self.backend.wait(&fences, left) {
            Ok(done) => {
                self.settle_all();
                done
            }
            Err(fault) => {
                let _ = self.failed("wait", fault);
                false
            }
        }
    }

    /// The driver has no memory: everybody gives what nobody needs now, and the driver what it keeps; returns the bytes that
    /// pools gave.
    pub(super) fn relieve(&self, bytes: u64) -> u64 {
        if !CALLING.replace(true) {
            let callbacks = self.callbacks.lock().clone();
            for callback in callbacks {
                // The user's code, with no lock held. Its message was printed.
                if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| callback(bytes))) {
                    unwind::discard(thrown);
                }
            }
            CALLING.set(false);
        }
        self.settle_all();
        let freed = self.drop_all_idle();
        self.backend.trim();
        freed
    }

    pub(super) fn drop_all_idle(&self) -> u64 {
        let drop_idle = |pool: &Arc<PoolCore<B>>| pool.drop_all_idle(Some(Side::Device), Why::OutOfMemory);
        self.live().iter().map(drop_idle).sum()
    }

    pub(super) fn memory(&self) -> Option<DeviceMemory> {
        if self.is_inherited() { None } else { self.backend.memory().ok() }
    }
}

/// How long somebody waits: counted from the first wait on.
pub(super) struct Patience {
    most: Duration,
    end: Option<Instant>,
}

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, end: None }
    }

    fn left(&mut self) -> Duration {
        if self.most.is_zero() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        match self.end {
            Some(end) => end.saturating_duration_since(now),
            None => {
                self.end = now.checked_add(self.most);
                self.most
            }
        }
    }
}

/// A device whose memory is shared by pools, and by caches of what is in it: a driver, and a [`Domain`] with a limit of its own.
///
/// Made by [`Device::builder`]; clones are the same device. Two devices share nothing.
pub struct Device<B: DeviceBackend> {
    pub(super) core: Arc<DeviceCore<B>>,
    domain: Arc<Domain>,
}

impl<B: DeviceBackend> Clone for Device<B> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), domain: Arc::clone(&self.domain) }
    }
}

/// What a [`Device`] is put together from.
pub(crate) struct Parts<B> {
    pub(crate) name: String,
    pub(crate) backend: B,
    pub(crate) info: DeviceInfo,
    pub(crate) patience: Duration,
}

impl<B: DeviceBackend> Device<B> {
    pub(crate) fn assemble(parts: Parts<B>, host: &Domain, make: impl FnOnce(Watch<B>) -> Domain) -> Self {
        let Parts { name, backend, info, patience } = parts;
        let (ordered, zeroed) = (backend.is_ordered(), backend.creates_zeroed());
        let mut domain = None;
        let core = Arc::new_cyclic(|me| {
            let made = make(Watch { name: name.clone(), device: me.clone() });
            let core = Arc::clone(&made.core);
            domain = Some(made);
            DeviceCore {
                name,
                backend,
                info,
                ordered,
                zeroed,
                domain: core,
                host: Arc::clone(&host.core),
                patience,
                pools: Mutex::new(Vec::new()),
                lost: OnceLock::new(),
                callbacks: Mutex::new(Vec::new()),
                turns: AtomicU64::new(0),
                process: std::process::id(),
            }
        });
        let domain = domain.expect("the closure above ran");
        Self { core, domain: Arc::new(domain) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The driver.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.core.backend
    }

    /// What does not change about it.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.core.info
    }

    /// The budget of its memory, and who holds what of it.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub(crate) fn shared_domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Whether it is a handle of the same device.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// What the driver says of its memory; `None` when it does not.
    #[must_use]
    pub fn memory(&self) -> Option<DeviceMemory> {
        self.core.memory()
    }

    /// Whether the device is gone. Pools on it lend nothing then, and hold nothing.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.core.is_inherited() || self.core.lost().is_some()
    }

    /// Has `callback` called when the driver has no memory, before buffers are dropped and the request is tried again: it is
    /// told how many bytes are wanted.
    ///
    /// It runs on the thread that needs memory, with no lock held, and may give buffers back, trim, and ask for buffers
    /// itself: what it asks for calls nobody. One that panics is passed over.
    pub fn on_out_of_memory(&self, callback: impl Fn(u64) + Send + Sync + 'static) {
        self.core.callbacks.lock().push(Arc::new(callback));
    }

    /// Finds out what is done, and frees about `bytes` of what nobody needs now, the cheapest first over all tenants of the
    /// device; returns how many bytes that were. [`u64::MAX`] for all.
    pub fn trim(&self, bytes: u64) -> u64 {
        if self.core.is_inherited() {
            return 0;
        }
        self.core.settle_all();
        // Scopes of tests do not reach devices.
        let domain = &self.core.domain;
        domain.relief().trim(domain, bytes, None).freed
    }
}

impl<B: DeviceBackend> fmt::Debug for Device<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.core.name)
            .field("info", &self.core.info)
            .field("lost", &self.core.lost())
            .finish_non_exhaustive()
    }
}

/// The device's memory as its domain watches it.
pub(crate) struct Watch<B: DeviceBackend> {
    name: String,
    device: Weak<DeviceCore<B>>,
}

impl<B: DeviceBackend> Watch<B> {
    /// Has the driver give back what it keeps.
    pub(crate) fn purge(&self) -> impl Fn() + Send + Sync + 'static {
        let device = self.device.clone();
        move || {
            if let Some(device) = device.upgrade().filter(|device| !device.is_inherited()) {
                device.backend.trim();
            }
        }
    }
}

impl<B: DeviceBackend> fmt::Debug for Watch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("device", &self.name).finish_non_exhaustive()
    }
}

impl<B: DeviceBackend> PressureSource for Watch<B> {
    fn sample(&self) -> Option<MemorySample> {
        let memory = self.device.upgrade()?.memory()?;
        // What this process may use says more than what there is.
        match (memory.budget.zip(memory.own), memory.total.zip(memory.free)) {
            (Some((limit, used)), _) => Some(MemorySample { used, limit }),
            (None, Some((total, free))) => {
                Some(MemorySample { used: total.saturating_sub(free), limit: total })
            }
            (None, None) => None,
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}
