//! wgpu as a driver of pools.
//!
//! One queue, on which work is done in the order of submissions, and encoders whose work is recorded long before: so a buffer is
//! handed on when what was recorded with it is done, and not sooner. (Writes of the queue's own come before the encoders that are
//! submitted after them, so that even one encoder is no order.)

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use larder_runtime::device::{DeviceBackend, DeviceInfo, DeviceKind, DeviceMemory, Fault, Residence};
use wgpu::{BufferUsages, ErrorFilter, PollType};

use crate::recording::{Recorded, Recording};

/// How long a thread of the user's that polls may take to pass on what is done.
const SAID_WITHIN: Duration = Duration::from_millis(250);

/// Sizes are multiples of this, so that any part can be copied, cleared and bound.
const ALIGNMENT: u64 = 256;

/// wgpu's handles of one device.
pub struct WgpuDevice {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Asking wgpu each time would copy all that it knows of the adapter.
    kind: DeviceKind,
    lost: Arc<OnceLock<String>>,
    /// Threads that poll for us just now.
    polling: AtomicUsize,
}

/// What wgpu's allocator holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// Of all buffers and textures of the device, those of others included.
    pub allocated: u64,
    /// Of the blocks that these lie in: what the driver was asked for. Blocks stay for a while when nothing is in them any more;
    /// [`wgpu::MemoryHints::MemoryUsage`] makes them small.
    pub reserved: u64,
}

impl WgpuDevice {
    /// A driver of these handles.
    #[must_use]
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let kind = match device.adapter_info().device_type {
            wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => DeviceKind::Discrete,
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            // Charged to the host as well: never too little.
            wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Other => DeviceKind::Integrated,
        };
        Self { device, queue, kind, lost: Arc::default(), polling: AtomicUsize::new(0) }
    }

    /// wgpu's device.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// wgpu's queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// A callback for [`wgpu::Device::set_device_lost_callback`], of which a device has one: without it pools do not
    /// hear that the device is lost, and lend buffers that wgpu only seems to make. It keeps nothing of the device
    /// alive.
    pub fn on_lost(&self) -> impl Fn(wgpu::DeviceLostReason, String) + Send + Sync + 'static {
        let lost = Arc::clone(&self.lost);
        move |reason, why| _ = lost.set(format!("{reason:?}: {why}"))
    }

    /// Says that the device is lost, for a program with a callback of its own for that. Pools then give up what they
    /// hold with the next request.
    pub fn mark_lost(&self, why: impl Into<String>) {
        // Whoever said it first.
        let _ = self.lost.set(why.into());
    }

    /// What wgpu's allocator says; `None` where it says nothing.
    #[must_use]
    pub fn allocated(&self) -> Option<Allocated> {
        let report = self.device.generate_allocator_report()?;
        Some(Allocated { allocated: report.total_allocated_bytes, reserved: report.total_reserved_bytes })
    }

    /// Runs `call` with what it does wrong as an error, instead of the program's handler for that.
    pub(crate) fn guarded<R>(&self, call: impl FnOnce() -> R) -> Result<R, Fault> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let result = call();
        // All are taken before one is looked at.
        let errors = [now(validation.pop()), now(internal.pop()), now(memory.pop())];
        match errors.into_iter().flatten().next() {
            None => Ok(result),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(Fault::OutOfMemory),
            Some(error) => Err(Fault::other(error.to_string())),
        }
    }
}

/// What a future says that is ready at once, as those of errors are but in browsers.
fn now<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => None,
    }
}

impl WgpuDevice {
    /// Polls, as one of those who do.
    fn polled(&self, how: PollType) -> Result<wgpu::PollStatus, wgpu::PollError> {
        struct Polling<'a>(&'a AtomicUsize);

        impl Drop for Polling<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Release);
            }
        }

        self.polling.fetch_add(1, Ordering::Relaxed);
        // What is done calls back: users' code, which may panic.
        let _polling = Polling(&self.polling);
        self.device.poll(how)
    }
}

impl DeviceBackend for WgpuDevice {
    type Buffer = wgpu::Buffer;
    type Usage = BufferUsages;
    type Order = Recording;
    type Fence = Recorded;

    fn info(&self) -> DeviceInfo {
        let max_buffer = self.device.limits().max_buffer_size & !(ALIGNMENT - 1);
        DeviceInfo {
            name: self.device.adapter_info().name,
            kind: self.kind,
            alignment: ALIGNMENT,
            max_buffer,
        }
    }

    fn memory(&self) -> Result<DeviceMemory, Fault> {
        self.check()?;
        let own = self.allocated().map(|allocated| allocated.reserved);
        Ok(DeviceMemory { own, source: "wgpu's allocator", ..DeviceMemory::default() })
    }

    fn check(&self) -> Result<(), Fault> {
        match self.lost.get() {
            Some(why) => Err(Fault::Lost(why.clone())),
            None => Ok(()),
        }
    }

    fn is_ordered(&self) -> bool {
        false
    }

    fn same(&self, _a: &Recording, _b: &Recording) -> bool {
        false
    }

    fn create(&self, bytes: u64, usage: BufferUsages, _order: &Recording) -> Result<wgpu::Buffer, Fault> {
        self.check()?;
        let descriptor =
            wgpu::BufferDescriptor { label: Some("larder"), size: bytes, usage, mapped_at_creation: false };
        self.guarded(|| self.device.create_buffer(&descriptor))
    }

    /// wgpu counts who uses it.
    fn discard(&self, buffer: wgpu::Buffer, _touched: &[Recording]) {
        drop(buffer);
    }

    fn fence(&self, order: &Recording) -> Result<Recorded, Fault> {
        self.check()?;
        Ok(Recorded(order.clone()))
    }

    fn done(&self, fence: &Recorded) -> Result<bool, Fault> {
        Ok(fence.0.is_done())
    }

    fn wait(&self, fences: &[Arc<Recorded>], most: Duration) -> Result<bool, Fault> {
        self.check()?;
        let is_any_done = || fences.iter().any(|fence| fence.0.is_done());
        let start = Instant::now();
        loop {
            if is_any_done() {
                return Ok(true);
            }
            let left = most.saturating_sub(start.elapsed());
            let poll = PollType::Wait { submission_index: None, timeout: Some(left) };
            match self.polled(poll) {
                // All that was submitted is done: what is left was not submitted, and no wait changes that. But another
                // thread that polls may have taken the word of it and not passed it on yet.
                Ok(_) => {
                    let told = Instant::now();
                    while !is_any_done() {
                        let is_told =
                            told.elapsed() >= SAID_WITHIN && self.polling.load(Ordering::Acquire) == 0;
                        if is_told || told.elapsed() >= left {
                            return Ok(is_any_done());
                        }
                        std::thread::yield_now();
                    }
                    return Ok(true);
                }
                Err(wgpu::PollError::Timeout) if left.is_zero() => return Ok(is_any_done()),
                Err(wgpu::PollError::Timeout) => {}
                Err(error) => return Err(Fault::other(error)),
            }
        }
    }

    fn order_after(&self, _order: &Recording, _fence: &Recorded) -> Result<(), Fault> {
        Err(Fault::other("an encoder can't wait for another"))
    }

    fn zero(&self, buffer: &wgpu::Buffer, _order: &Recording) -> Result<(), Fault> {
        self.check()?;
        if !buffer.usage().contains(BufferUsages::COPY_DST) {
            return Err(Fault::other("a buffer that is to be zeroed needs the usage `COPY_DST`"));
        }
        self.guarded(|| {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.clear_buffer(buffer, 0, None);
            self.queue.submit([encoder.finish()]);
        })
    }

    fn creates_zeroed(&self) -> bool {
        true
    }

    fn poll(&self) {
        // What went wrong, whoever waits hears of.
        let _ = self.polled(PollType::Poll);
    }

    fn residence(&self, usage: BufferUsages) -> Residence {
        // Drivers put what is mapped here or there.
        let mapped = usage.intersects(BufferUsages::MAP_READ | BufferUsages::MAP_WRITE);
        if self.kind == DeviceKind::Discrete && !mapped { Residence::Device } else { Residence::Both }
    }
}

impl fmt::Debug for WgpuDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WgpuDevice").field("device", &self.device).finish_non_exhaustive()
    }
}
