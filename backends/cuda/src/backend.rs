//! CUDA as a driver of pools: streams are orders, events are fences.

use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_runtime::device::{
    DeviceBackend, DeviceError, DeviceInfo, DeviceKind, DeviceMemory, Fault, Residence,
};

use crate::context::{Context, Event, Stream};
use crate::driver::{CudaError, Driver, unavailable};
use crate::memory::{Allocated, Allocation, CudaBuffer, Heap, Memory};
use crate::sys::{ATTRIBUTE_INTEGRATED, ATTRIBUTE_MEMORY_POOLS, Ordinal};

/// What the driver aligns memory to, and kernels like.
const ALIGNMENT: u64 = 256;

/// Who waits looks again at once for so long, and then less and less often: nobody waits for an eighth longer than he
/// has to.
const EAGER: Duration = Duration::from_micros(50);
const SLOWEST: Duration = Duration::from_millis(1);

/// One device of the CUDA driver, in its primary context; clones are the same one.
#[derive(Clone)]
pub struct CudaDevice {
    pub(crate) heap: Arc<Heap>,
    info: Arc<DeviceInfo>,
}

impl CudaDevice {
    /// The device with this number, with memory in the order of streams where the device has that.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unavailable`] when there is no such device, or the driver fails.
    pub fn new(driver: &Driver, ordinal: usize) -> Result<Self, DeviceError> {
        let (number, has_pools) = Self::look(driver, ordinal)?;
        let allocation = if has_pools { Allocation::Ordered } else { Allocation::Blocking };
        Self::make(driver, number, allocation).map_err(|error| refused(ordinal, &error))
    }

    /// The same with memory as it is said.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unavailable`] when there is no such device, it can't have memory in that way, or the driver fails.
    pub fn with(driver: &Driver, ordinal: usize, allocation: Allocation) -> Result<Self, DeviceError> {
        let (number, has_pools) = Self::look(driver, ordinal)?;
        if allocation == Allocation::Ordered && !has_pools {
            return Err(unavailable(format!("device {ordinal} has no memory in the order of streams")));
        }
        Self::make(driver, number, allocation).map_err(|error| refused(ordinal, &error))
    }

    /// The driver's number of a device, and whether it has memory in the order of streams.
    fn look(driver: &Driver, ordinal: usize) -> Result<(Ordinal, bool), DeviceError> {
        let count = driver.devices().map_err(|error| refused(ordinal, &error))?;
        if ordinal >= count {
            return Err(unavailable(format!("no device {ordinal}: the driver has {count}")));
        }
        let mut number = 0;
        // SAFETY: the place for the number outlives the call.
        let code = unsafe { (driver.functions().device)(&raw mut number, ordinal as c_int) };
        driver.check("cuDeviceGet", code).map_err(|error| refused(ordinal, &error))?;
        let has_pools =
            driver.pools().is_some() && attribute(driver, number, ATTRIBUTE_MEMORY_POOLS) == Ok(1);
        Ok((number, has_pools))
    }

    fn make(driver: &Driver, number: Ordinal, allocation: Allocation) -> Result<Self, CudaError> {
        let mut name = [0; 256];
        // SAFETY: there is room for as many bytes as it says, and the driver ends the name with a zero.
        driver.check("cuDeviceGetName", unsafe {
            (driver.functions().device_name)(name.as_mut_ptr(), name.len() as c_int, number)
        })?;
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let mut total = 0;
        // SAFETY: the place for the number outlives the call.
        driver.check("cuDeviceTotalMem", unsafe {
            (driver.functions().device_total)(&raw mut total, number)
        })?;
        let kind = match attribute(driver, number, ATTRIBUTE_INTEGRATED)? {
            0 => DeviceKind::Discrete,
            _ => DeviceKind::Integrated,
        };
        let max_buffer = total as u64 & !(ALIGNMENT - 1);
        let info = DeviceInfo { name, kind, alignment: ALIGNMENT, max_buffer };
        let heap = Heap::new(&Context::of(driver, number)?, allocation)?;
        Ok(Self { heap, info: Arc::new(info) })
    }

    /// A new stream, which waits for no other by itself.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn stream(&self) -> Result<Stream, CudaError> {
        self.context().new_stream()
    }

    /// A stream that somebody else made, a `CUstream` or the runtime's `cudaStream_t`: cudarc's for example.
    ///
    /// # Safety
    ///
    /// It is a stream of this device's primary context, and lives as long as the returned one, its clones, and what pools acquire
    /// for them.
    #[must_use]
    pub unsafe fn stream_from_raw(&self, raw: *mut c_void) -> Stream {
        Stream::over(raw, false, self.context())
    }

    /// Waits for all that the device was given in this context, by whomever.
    ///
    /// # Errors
    ///
    /// What the driver says; the failure may be that of earlier work.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.context().synchronize()
    }

    /// What of the device's memory is in our buffers.
    #[must_use]
    pub fn allocated(&self) -> Allocated {
        self.heap.allocated()
    }

    /// The driver.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        &self.context().driver
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.heap.context
    }

    /// What may be given work here.
    pub(crate) fn check(&self, stream: &Stream) -> Result<(), Fault> {
        if stream.is_of(self.context()) {
            Ok(())
        } else {
            Err(Fault::other("the stream is one of another device"))
        }
    }
}

fn attribute(driver: &Driver, number: Ordinal, attribute: c_int) -> Result<c_int, CudaError> {
    let mut value = 0;
    // SAFETY: the place for the number outlives the call.
    driver.check("cuDeviceGetAttribute", unsafe {
        (driver.functions().device_attribute)(&raw mut value, attribute, number)
    })?;
    Ok(value)
}

fn refused(ordinal: usize, error: &CudaError) -> DeviceError {
    unavailable(format!("device {ordinal}: {error}"))
}

impl DeviceBackend for CudaDevice {
    type Buffer = CudaBuffer;
    type Usage = Memory;
    type Order = Stream;
    type Fence = Event;

    fn info(&self) -> DeviceInfo {
        (*self.info).clone()
    }

    fn memory(&self) -> Result<DeviceMemory, Fault> {
        let (total, free) = self.heap.total_and_free()?;
        let own = self.allocated().reserved;
        Ok(DeviceMemory {
            total: Some(total),
            free: Some(free),
            budget: Some(free + own),
            own: Some(own),
            source: "cuMemGetInfo",
        })
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn hands_on(&self, usage: Memory) -> bool {
        usage == Memory::Device
    }

    fn same(&self, a: &Stream, b: &Stream) -> bool {
        a == b
    }

    fn create(&self, bytes: u64, usage: Memory, order: &Stream) -> Result<CudaBuffer, Fault> {
        self.check(order)?;
        Ok(self.heap.allocate(bytes, usage, order)?)
    }

    fn discard(&self, buffer: CudaBuffer, touched: &[Stream]) {
        buffer.free_after(touched);
    }

    fn fence(&self, order: &Stream) -> Result<Event, Fault> {
        self.check(order)?;
        Ok(self.context().record(order.raw())?)
    }

    fn done(&self, fence: &Event) -> Result<bool, Fault> {
        Ok(fence.is_done()?)
    }

    /// Looks again and again: the driver's own wait knows no end.
    fn wait(&self, fences: &[Arc<Event>], most: Duration) -> Result<bool, Fault> {
        let start = Instant::now();
        loop {
            for fence in fences {
                if fence.is_done()? {
                    return Ok(true);
                }
            }
            let waited = start.elapsed();
            if waited >= most {
                return Ok(false);
            }
            if waited < EAGER {
                std::thread::yield_now();
            } else {
                std::thread::sleep((waited / 8).min(SLOWEST).min(most - waited));
            }
        }
    }

    fn order_after(&self, order: &Stream, fence: &Event) -> Result<(), Fault> {
        self.check(order)?;
        Ok(self.context().wait_for(order.raw(), fence)?)
    }

    fn zero(&self, buffer: &CudaBuffer, order: &Stream) -> Result<(), Fault> {
        let Ok(bytes) = usize::try_from(buffer.bytes()) else { unreachable!("addresses have 64 bits") };
        if let Some(host) = buffer.host() {
            // SAFETY: it has so many bytes, and is nobody's but the pool's; no work with it is left.
            unsafe { host.write_bytes(0, bytes) };
            return Ok(());
        }
        self.check(order)?;
        let (driver, _entered) = (self.driver(), self.context().enter()?);
        // SAFETY: the buffer has so many bytes, and is lent to nobody before this is given to its stream.
        let code = unsafe { (driver.functions().set_bytes)(buffer.address(), 0, bytes, order.raw()) };
        Ok(driver.check("cuMemsetD8Async", code)?)
    }

    fn poll(&self) {
        self.heap.bury();
    }

    fn trim(&self) {
        self.heap.trim();
    }

    fn residence(&self, usage: Memory) -> Residence {
        match (usage, self.info.kind) {
            (Memory::Pinned, _) => Residence::Host,
            (Memory::Device, DeviceKind::Discrete) => Residence::Device,
            (Memory::Device, _) => Residence::Both,
        }
    }
}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaDevice").field("info", &self.info).finish_non_exhaustive()
    }
}
