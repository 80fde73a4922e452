//! Pools of byte buffers: memory in a few sizes, each size a pool of its own under one bound.
//!
//! A class is made when it is first used, and is a tenant with a name of its own, so tables show what each holds. What is
//! larger than the largest class is allocated as asked and not kept. Not here: how objects wait and are lent.

mod block;
mod lease;

pub use lease::{Buffer, SharedBuffer};

use std::fmt;
use std::sync::{Arc, OnceLock};

use block::{Block, Kind, PAGE, Totals};

use super::{Pool, PoolError, Pooled};
use crate::descriptor::Descriptor;
use crate::domain::{Domain, DomainCore};
use crate::sync::{AtomicU64, Ordering};

/// Sizes of classes unless others are given: from a page on, each four times the one before.
const CLASSES: [usize; 8] = [4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

/// A pool of byte buffers in a few sizes; made by [`BufferPool::builder`], or `larder::buffers()` for the process.
///
/// # When it pays
///
/// For buffers of some hundred kilobytes and more, whose pages the system hands out anew each time, by a factor of tens.
/// For small ones an allocator that keeps blocks for each thread is as fast; what is won is a bound, statistics, and
/// memory that is given back when others need it.
///
/// # Examples
///
/// ```
/// use larder_runtime::{BufferPool, Domain};
///
/// let domain = Domain::builder().limit_bytes(64 << 20).manual().build();
/// let pool = BufferPool::builder("blocks").classes([1 << 10, 1 << 16]).build_in(&domain)?;
/// let zeroed = pool.zeroed(1000);
/// assert_eq!((zeroed.len(), zeroed.capacity(), zeroed[999]), (1000, 1024, 0));
/// let shared = zeroed.freeze();
/// assert_eq!(shared.slice(..10).len(), 10);
/// # Ok::<(), larder_runtime::PoolError>(())
/// ```
pub struct BufferPool {
    classes: Box<[Class]>,
    routes: Routes,
    /// Makes what is larger than all classes; keeps nothing.
    beyond: OnceLock<Pool<Block>>,
    name: String,
    kind: Kind,
    priority: f64,
    max_bytes: AtomicU64,
    totals: Arc<Totals>,
    domain: Arc<DomainCore>,
    descriptor: Option<&'static Descriptor>,
}

struct Class {
    bytes: usize,
    pool: OnceLock<Pool<Block>>,
}

/// Where to look for the class of a length: by the number of its bits, the first class that some such length needs.
struct Routes([u8; usize::BITS as usize + 1]);

impl Routes {
    fn new(classes: &[Class]) -> Self {
        Self(std::array::from_fn(|bits| {
            // The least length that has so many bits, counted from 0.
            let least = if bits == 0 { 0 } else { (1_usize << (bits - 1)).saturating_add(1) };
            // Further classes are found from the last that can be named here.
            classes.partition_point(|class| class.bytes < least).min(u8::MAX.into()) as u8
        }))
    }

    #[inline]
    fn of(&self, len: usize) -> usize {
        self.0[(usize::BITS - len.saturating_sub(1).leading_zeros()) as usize].into()
    }
}

impl BufferPool {
    /// Configures a pool of buffers.
    pub fn builder(name: impl Into<String>) -> BufferPoolBuilder {
        BufferPoolBuilder {
            name: name.into(),
            classes: CLASSES.to_vec(),
            kind: Kind { align: PAGE, lock: false },
            max_bytes: u64::MAX,
            priority: 1.0,
            descriptor: None,
        }
    }

    /// An empty buffer with room for at least `len` bytes. Nothing is zeroed.
    ///
    /// Never fails and never waits. What is larger than the largest class, or beyond the bound, has the size that was asked
    /// for or its class, and goes when it is dropped.
    ///
    /// # Panics
    ///
    /// When `len` is more than any memory holds.
    #[inline]
    #[must_use]
    pub fn acquire(&self, len: usize) -> Buffer {
        let near =
            self.class_of(len).and_then(|class| class.pool.get()).and_then(|pool| pool.core.lend_near());
        let block = match near {
            Some(own) => Pooled::new(own),
            None => self.acquire_from_afar(len),
        };
        Buffer::new(block, len)
    }

    /// The smallest class that has room for so many bytes.
    #[inline]
    fn class_of(&self, len: usize) -> Option<&Class> {
        let mut at = self.routes.of(len);
        loop {
            let class = self.classes.get(at)?;
            if len <= class.bytes {
                return Some(class);
            }
            at += 1;
        }
    }

    /// A buffer of `len` zeroes.
    ///
    /// # Panics
    ///
    /// When `len` is more than any memory holds.
    #[must_use]
    pub fn zeroed(&self, len: usize) -> Buffer {
        let mut buffer = self.acquire(len);
        buffer.resize(len, 0);
        buffer
    }

    #[cold]
    fn acquire_from_afar(&self, len: usize) -> Pooled<Block> {
        let Some(class) = self.class_of(len) else {
            self.totals.oversize.fetch_add(1, Ordering::Relaxed);
            return self.exact(len);
        };
        let pool = self.pool_of(class);
        if pool.idle() == 0 && !self.has_room(class.bytes as u64) {
            self.totals.surplus.fetch_add(1, Ordering::Relaxed);
            return self.exact(class.bytes);
        }
        pool.acquire()
    }

    /// By how much so many bytes more would pass the bound.
    fn excess(&self, bytes: u64) -> u64 {
        let held = self.totals.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        held.saturating_sub(self.max_bytes.load(Ordering::Relaxed))
    }

    /// Whether there may be so many bytes more; drops what is idle in other classes to make room.
    fn has_room(&self, bytes: u64) -> bool {
        if bytes <= self.max_bytes.load(Ordering::Relaxed) {
            for pool in self.pools() {
                match self.excess(bytes) {
                    0 => return true,
                    over => _ = pool.trim(over),
                }
            }
        }
        self.excess(bytes) == 0
    }

    /// Memory of this size that goes when it is dropped.
    fn exact(&self, bytes: usize) -> Pooled<Block> {
        let beyond = self.beyond.get_or_init(|| self.make_pool("beyond".to_owned(), 1));
        beyond.lend_once(Block::new(bytes, self.kind, &self.totals))
    }

    fn pool_of<'a>(&self, class: &'a Class) -> &'a Pool<Block> {
        class.pool.get_or_init(|| self.make_pool(size_name(class.bytes), class.bytes))
    }

    fn make_pool(&self, class: String, bytes: usize) -> Pool<Block> {
        let (kind, totals) = (self.kind, Arc::clone(&self.totals));
        let domain = Domain::from_core(Arc::clone(&self.domain));
        let pool = Pool::builder(format!("{}/{class}", self.name), move || Block::new(bytes, kind, &totals))
            .priority(self.priority)
            .declared(self.descriptor)
            .weigh(|block| size_of::<Block>() as u64 + block.weight())
            .constant()
            .build_in(&domain);
        match pool {
            Ok(pool) => pool,
            // The priority was checked when this pool was built, and nothing else is said.
            Err(error) => unreachable!("{error}"),
        }
    }

    fn pools(&self) -> impl Iterator<Item = &Pool<Block>> {
        // The largest first: they give most at once.
        self.classes.iter().rev().filter_map(|class| class.pool.get())
    }

    /// Makes `count` buffers with room for `len` bytes, with memory of the system behind each page, and lets them wait.
    /// Returns how many there was room for.
    pub fn warm(&self, count: usize, len: usize) -> usize {
        let Some(class) = self.class_of(len) else { return 0 };
        let pool = self.pool_of(class);
        let warmed = (0..count).take_while(|_| {
            // What is warm already stays: nothing is dropped for this.
            if self.excess(class.bytes as u64) > 0 {
                return false;
            }
            let mut block = Block::new(class.bytes, self.kind, &self.totals);
            block.touch();
            pool.put(block).is_ok()
        });
        warmed.count()
    }

    /// Drops about so many bytes of idle buffers, the largest first; returns what was freed.
    pub fn trim(&self, bytes: u64) -> u64 {
        let mut freed = 0;
        for pool in self.pools() {
            if freed >= bytes {
                break;
            }
            freed += pool.trim(bytes - freed);
        }
        freed
    }

    /// Drops every idle buffer.
    pub fn clear(&self) {
        self.pools().for_each(Pool::clear);
    }

    /// Sets how many bytes of memory there may be, idle and lent. What is idle beyond goes at once.
    pub fn set_max_bytes(&self, bytes: u64) {
        self.max_bytes.store(bytes, Ordering::Relaxed);
        self.has_room(0);
    }

    /// The figures of this pool. What leased buffers were asked for is in them when they come back.
    #[must_use]
    pub fn stats(&self) -> BufferStats {
        let totals = &self.totals;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = BufferStats {
            bytes: read(&totals.bytes),
            leases: read(&totals.leases),
            asked_bytes: read(&totals.asked),
            lent_bytes: read(&totals.lent),
            oversize: read(&totals.oversize),
            surplus: read(&totals.surplus),
            locked_bytes: read(&totals.locked),
            lock_failures: read(&totals.lock_failures),
            classes: Vec::new(),
        };
        for class in &self.classes {
            let Some(pool) = class.pool.get() else { continue };
            pool.visit_idle(|block| {
                let [leases, asked, lent] = block.counts();
                stats.leases += leases;
                stats.asked_bytes += asked;
                stats.lent_bytes += lent;
            });
            let (idle, leased) = (pool.idle() as u64, pool.leased());
            stats.classes.push(ClassStats { bytes: class.bytes as u64, idle, leased });
        }
        stats
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<_> = self.classes.iter().map(|class| class.bytes).collect();
        f.debug_struct("BufferPool")
            .field("name", &self.name)
            .field("classes", &bytes)
            .finish_non_exhaustive()
    }
}

/// `4 KiB`, `1000 B`.
fn size_name(bytes: usize) -> String {
    match bytes {
        b if b.is_multiple_of(1 << 20) => format!("{} MiB", b >> 20),
        b if b.is_multiple_of(1 << 10) => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}

/// One [`BufferPool`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferStats {
    /// Memory of all buffers, idle and lent.
    pub bytes: u64,
    /// Leases that are over.
    pub leases: u64,
    /// Bytes that they asked for.
    pub asked_bytes: u64,
    /// Bytes that they got; the difference is what rounding up to classes wastes.
    pub lent_bytes: u64,
    /// Leases larger than the largest class.
    pub oversize: u64,
    /// Leases beyond the bound.
    pub surplus: u64,
    /// Bytes that are locked in memory.
    pub locked_bytes: u64,
    /// Buffers that the system refused to lock.
    pub lock_failures: u64,
    /// The classes that were used so far, smallest first.
    pub classes: Vec<ClassStats>,
}

impl BufferStats {
    /// Which part of what was lent nobody asked for, 0 to 1.
    #[must_use]
    pub fn waste(&self) -> f64 {
        match self.lent_bytes {
            0 => 0.0,
            lent => 1.0 - self.asked_bytes as f64 / lent as f64,
        }
    }
}

/// One size of buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The capacity of its buffers.
    pub bytes: u64,
    /// Buffers that wait.
    pub idle: u64,
    /// Buffers that are lent.
    pub leased: u64,
}

/// Configures a [`BufferPool`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` or `build_in`"]
pub struct BufferPoolBuilder {
    name: String,
    classes: Vec<usize>,
    kind: Kind,
    max_bytes: u64,
    priority: f64,
    descriptor: Option<&'static Descriptor>,
}

impl BufferPoolBuilder {
    /// It is made for this annotated item.
    pub(crate) fn declared(self, descriptor: &'static Descriptor) -> Self {
        Self { descriptor: Some(descriptor), ..self }
    }

    /// The capacities of buffers, in bytes. Unless given: 4096, and each four times the one before, to 64 MiB.
    pub fn classes(mut self, bytes: impl IntoIterator<Item = usize>) -> Self {
        self.classes = bytes.into_iter().collect();
        self.classes.sort_unstable();
        self.classes.dedup();
        self
    }

    /// Where buffers start in memory: a power of two; 4096 unless given.
    pub fn align(mut self, bytes: usize) -> Self {
        self.kind.align = bytes;
        self
    }

    /// Most bytes of memory, idle and lent. What is lent beyond goes when it is dropped.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Most megabytes of 1,048,576 bytes, idle and lent.
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// How much dearer this pool's bytes are than those of other tenants; 1.0 unless set.
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = priority;
        self
    }

    /// Keeps buffers in memory with `mlock`, so that what is in them never gets to a disk. The system allows a process only
    /// so much of that; what it refuses is counted in the stats, and works without.
    pub fn lock_memory(mut self) -> Self {
        self.kind.lock = true;
        self
    }

    /// Builds the pool under a domain's budget.
    ///
    /// # Errors
    ///
    /// When options make no sense; the error says which.
    pub fn build_in(self, domain: &Domain) -> Result<BufferPool, PoolError> {
        let Self { name, classes, kind, max_bytes, priority, descriptor } = self;
        if classes.is_empty() || classes.contains(&0) || max_bytes == 0 {
            return Err(PoolError::ZeroCapacity);
        }
        if !kind.align.is_power_of_two() {
            return Err(PoolError::Alignment(kind.align));
        }
        if !(priority.is_finite() && priority > 0.0) {
            return Err(PoolError::Priority(priority));
        }
        let classes: Box<[Class]> =
            classes.into_iter().map(|bytes| Class { bytes, pool: OnceLock::new() }).collect();
        Ok(BufferPool {
            routes: Routes::new(&classes),
            classes,
            beyond: OnceLock::new(),
            name,
            kind,
            priority,
            max_bytes: AtomicU64::new(max_bytes),
            totals: Arc::default(),
            domain: Arc::clone(&domain.core),
            descriptor,
        })
    }
}
