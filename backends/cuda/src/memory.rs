//! Memory: how it is had from the driver, and given back when nothing can touch it.
//!
//! Nothing here waits for the device but the drop of a buffer that somebody took away from its pool, and the end of the device itself.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::{Context, Event, Stream};
use crate::driver::CudaError;
use crate::sys::{Address, HOST_PORTABLE, POOL_RESERVED, POOL_USED, PoolProperties, RawPool};

/// Whose memory a buffer is in: what its pool tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Memory {
    /// The device's.
    Device,
    /// The host's, pinned, so that the device copies from and to it beside other work. The host touches it as soon as it has it, so
    /// it is lent again only when all work with it is done.
    Pinned,
}

/// How memory of the device is had from the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// In the order of a stream, from a pool of the driver's that is ours alone: nothing on the device stands still for it.
    /// (`cuMemAllocFromPoolAsync`, CUDA 11.2.)
    Ordered,
    /// At once, for which the device may stand still. (`cuMemAlloc`.)
    Blocking,
}

/// What of the device's memory is in our buffers, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Buffers.
    pub allocated: u64,
    /// What the driver holds for them: with [`Allocation::Ordered`] it keeps what was freed until a trim.
    pub reserved: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Pool(RawPool),
    Device,
    Host,
}

/// Memory that the driver has not got back.
struct Block {
    address: Address,
    bytes: u64,
    origin: Origin,
}

// SAFETY: an address and a handle of the driver's, which any thread may use.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// Memory that goes back to the driver when these are reached.
struct Grave {
    block: Block,
    after: Vec<Event>,
}

/// The memory of one device, as far as it is ours.
pub(crate) struct Heap {
    pub(crate) context: Arc<Context>,
    /// The driver's pool, where memory is had in the order of streams.
    pool: Option<RawPool>,
    /// Where such memory is freed, when nothing can touch it any more. So this stream never has to wait, and nobody long for it.
    freeing: Stream,
    /// Bytes that were had at once.
    blocking: AtomicU64,
    graves: Mutex<Vec<Grave>>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn new(context: &Arc<Context>, allocation: Allocation) -> Result<Arc<Self>, CudaError> {
        let freeing = context.new_stream()?;
        let mut pool = None;
        if allocation == Allocation::Ordered
            && let Some(functions) = context.driver.pools()
        {
            let _entered = context.enter()?;
            let (mut raw, properties) = (std::ptr::null_mut(), PoolProperties::of(context.ordinal));
            // SAFETY: the places for the handle and the properties outlive the call.
            context.driver.check("cuMemPoolCreate", unsafe {
                (functions.create)(&raw mut raw, &raw const properties)
            })?;
            pool = Some(raw);
        }
        let (blocking, graves) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        Ok(Arc::new(Self { context: Arc::clone(context), pool, freeing, blocking, graves }))
    }

    pub(crate) fn allocate(
        self: &Arc<Self>,
        bytes: u64,
        memory: Memory,
        stream: &Stream,
    ) -> Result<CudaBuffer, CudaError> {
        let Ok(size) = usize::try_from(bytes) else { unreachable!("addresses have 64 bits") };
        let (driver, _entered) = (&self.context.driver, self.context.enter()?);
        let (mut address, mut host) = (0, std::ptr::null_mut());
        let (call, code, origin) = match (memory, self.pool.zip(driver.pools())) {
            (Memory::Pinned, _) => {
                let make = driver.functions().allocate_host;
                // SAFETY: the context is current, and the place for the result outlives the call.
                ("cuMemHostAlloc", unsafe { make(&raw mut host, size, HOST_PORTABLE) }, Origin::Host)
            }
            (Memory::Device, Some((pool, functions))) => {
                // SAFETY: as above, and the stream is alive.
                let code = unsafe { (functions.allocate)(&raw mut address, size, pool, stream.raw()) };
                ("cuMemAllocFromPoolAsync", code, Origin::Pool(pool))
            }
            (Memory::Device, None) => {
                let make = driver.functions().allocate;
                // SAFETY: as above.
                ("cuMemAlloc", unsafe { make(&raw mut address, size) }, Origin::Device)
            }
        };
        driver.check(call, code)?;
        match origin {
            // Host and device share addresses.
            Origin::Host => address = host as Address,
            Origin::Device => _ = self.blocking.fetch_add(bytes, Ordering::Relaxed),
            Origin::Pool(_) => {}
        }
        let block = Block { address, bytes, origin };
        Ok(CudaBuffer { block: Some(block), memory, heap: Arc::clone(self) })
    }

    /// Frees memory once all is done that these streams were given so far.
    fn free(&self, block: Block, touched: &[Stream]) {
        let recorded: Result<Vec<Event>, CudaError> =
            touched.iter().map(|stream| self.context.record(stream.raw())).collect();
        match recorded {
            Ok(after) => self.free_after(block, after),
            // When that is, nobody can tell any more: when all is done, then.
            Err(_) if self.context.synchronize().is_ok() => self.free_after(block, Vec::new()),
            // Memory of a device that is lost went with it.
            Err(_) => {}
        }
    }

    fn free_after(&self, block: Block, after: Vec<Event>) {
        if after.is_empty() {
            self.give_back(&block);
        } else {
            self.graves().push(Grave { block, after });
        }
    }

    /// Frees what waited, as far as it is known that nothing can touch it.
    pub(crate) fn bury(&self) {
        let is_over = |grave: &mut Grave| {
            grave.after.retain(|event| !event.is_done().unwrap_or(false));
            grave.after.is_empty()
        };
        let over: Vec<Grave> = self.graves().extract_if(.., is_over).collect();
        over.iter().for_each(|grave| self.give_back(&grave.block));
    }

    fn graves(&self) -> std::sync::MutexGuard<'_, Vec<Grave>> {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives memory to the driver that nothing touches. What it answers, nobody can use.
    fn give_back(&self, block: &Block) {
        let Ok(_entered) = self.context.enter() else { return };
        let functions = self.context.driver.functions();
        match block.origin {
            Origin::Pool(_) => {
                if let Some(functions) = self.context.driver.pools() {
                    // SAFETY: what may have touched it is done, and nobody has the address any more.
                    unsafe { (functions.free)(block.address, self.freeing.raw()) };
                }
            }
            Origin::Device => {
                self.blocking.fetch_sub(block.bytes, Ordering::Relaxed);
                // SAFETY: nothing touches it, and nobody has the address any more.
                unsafe { (functions.free)(block.address) };
            }
            // SAFETY: as above.
            Origin::Host => _ = unsafe { (functions.free_host)(block.address as *mut c_void) },
        }
    }

    /// What the driver keeps of freed memory goes back to the device.
    pub(crate) fn trim(&self) {
        self.bury();
        if let Some((pool, functions)) = self.pool.zip(self.context.driver.pools())
            && let Ok(_entered) = self.context.enter()
        {
            // What was freed is free when that stream has come to it. If it does not, the device has other troubles.
            let _ = self.freeing.synchronize();
            // SAFETY: the pool is alive.
            unsafe { (functions.trim)(pool, 0) };
        }
    }

    pub(crate) fn allocated(&self) -> Allocated {
        let blocking = self.blocking.load(Ordering::Relaxed);
        let pooled = |attribute| {
            let Some((pool, functions)) = self.pool.zip(self.context.driver.pools()) else { return 0 };
            let mut bytes = 0_u64;
            // SAFETY: the pool is alive, and these attributes have 64 bits.
            let code = unsafe { (functions.attribute)(pool, attribute, (&raw mut bytes).cast()) };
            if code == 0 { bytes } else { 0 }
        };
        Allocated { allocated: blocking + pooled(POOL_USED), reserved: blocking + pooled(POOL_RESERVED) }
    }

    /// All of the device's memory, and what of it is free.
    pub(crate) fn total_and_free(&self) -> Result<(u64, u64), CudaError> {
        let (driver, _entered) = (&self.context.driver, self.context.enter()?);
        let (mut free, mut total) = (0, 0);
        // SAFETY: the context is current, and the places for the numbers outlive the call.
        driver.check("cuMemGetInfo", unsafe {
            (driver.functions().memory_info)(&raw mut free, &raw mut total)
        })?;
        Ok((total as u64, free as u64))
    }
}

impl Drop for Heap {
    /// No buffer is left, because each keeps the heap.
    fn drop(&mut self) {
        let graves = std::mem::take(&mut *self.graves());
        // Of a device that does not finish, nothing is known: its memory goes with the process.
        if graves.is_empty() || self.context.synchronize().is_ok() {
            graves.iter().for_each(|grave| self.give_back(&grave.block));
        }
        if let Some((pool, functions)) = self.pool.zip(self.context.driver.pools()) {
            // SAFETY: it is ours; the driver keeps it until what is freed in it is free.
            unsafe { (functions.destroy)(pool) };
        }
    }
}

/// A buffer: so many bytes at an address.
///
/// One that was [detached](larder_runtime::device::DeviceLease::detach) from its pool is freed when it is dropped, for which the
/// whole device is waited for; [`free_after`](Self::free_after) waits for nothing.
pub struct CudaBuffer {
    /// There until it is freed.
    block: Option<Block>,
    memory: Memory,
    heap: Arc<Heap>,
}

impl CudaBuffer {
    fn block(&self) -> &Block {
        match &self.block {
            Some(block) => block,
            None => unreachable!("only what frees it takes it"),
        }
    }

    /// Its address for kernels and copies, a `CUdeviceptr`.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.block().address
    }

    /// Where the host finds it, if it is pinned. Whoever reads or writes there has to know that no stream does at that time.
    #[must_use]
    pub fn host(&self) -> Option<*mut u8> {
        (self.memory == Memory::Pinned).then_some(self.block().address as *mut u8)
    }

    /// Bytes that it has: those of its class.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.block().bytes
    }

    /// Whose memory it is in.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.memory
    }

    pub(crate) fn is_of(&self, context: &Context) -> bool {
        self.heap.context.raw == context.raw
    }

    /// Frees it once all is done that these streams were given so far.
    pub fn free_after(mut self, streams: &[Stream]) {
        if let Some(block) = self.block.take() {
            self.heap.free(block, streams);
        }
    }
}

impl Drop for CudaBuffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take()
            && self.heap.context.synchronize().is_ok()
        {
            self.heap.give_back(&block);
        }
    }
}

impl fmt::Debug for CudaBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaBuffer")
            .field("address", &format_args!("{:#x}", self.address()))
            .field("bytes", &self.bytes())
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
